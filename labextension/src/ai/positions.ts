import * as Y from 'yjs';

import type { ILocation, IPosition } from '../api/types';

/** A stretch of a text; both ends count UTF-16 units, as editors and Yjs do. */
export interface IRange {
  readonly from: number;
  readonly to: number;
}

/**
 * Return where a position is in a text; one that lies outside is moved to the nearest place.
 *
 * Lines and columns count from 1, columns count characters (not UTF-16 units).
 */
export function offsetOf(text: string, position: IPosition): number {
  let start = 0;
  for (let line = 1; line < position.line; line++) {
    const end = text.indexOf('\n', start);
    if (end < 0) {
      return text.length;
    }
    start = end + 1;
  }
  let offset = start;
  for (let column = 1; column < position.column; column++) {
    const point = text.codePointAt(offset);
    if (point === undefined || point === 10) {
      break;
    }
    offset += point > 0xffff ? 2 : 1;
  }
  return offset;
}

/** Return the position of an offset; the inverse of `offsetOf`. */
export function positionOf(text: string, offset: number): IPosition {
  const before = text.slice(0, offset);
  const start = before.lastIndexOf('\n') + 1;
  let line = 1;
  for (
    let at = before.indexOf('\n');
    at >= 0;
    at = before.indexOf('\n', at + 1)
  ) {
    line += 1;
  }
  return { line, column: characters(before.slice(start)) + 1 };
}

function characters(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    // The second half of a pair belongs to the first.
    const unit = text.charCodeAt(at);
    if (unit < 0xdc00 || unit > 0xdfff) {
      count += 1;
    }
  }
  return count;
}

/** Return where a location is in its text. */
export function rangeOf(text: string, location: ILocation): IRange {
  return {
    from: offsetOf(text, location.start),
    to: offsetOf(text, location.end)
  };
}

/**
 * A stretch of a shared text that moves with the text.
 */
export class Anchor {
  constructor(
    readonly text: Y.Text,
    { from, to }: IRange
  ) {
    // A place stays behind the character before it; of a stretch, what is typed at its edges
    // stays out.
    this._start = Y.createRelativePositionFromTypeIndex(
      text,
      from,
      from === to ? -1 : 0
    );
    this._end = Y.createRelativePositionFromTypeIndex(text, to, -1);
    this._original = text.toJSON().slice(from, to);
  }

  /** Return where it is now; null where its text is gone. */
  get range(): IRange | null {
    const doc = this.text.doc;
    if (doc === null) {
      return null;
    }
    const start = Y.createAbsolutePositionFromRelativePosition(
      this._start,
      doc
    );
    const end = Y.createAbsolutePositionFromRelativePosition(this._end, doc);
    if (start?.type !== this.text || end?.type !== this.text) {
      return null;
    }
    return {
      from: Math.min(start.index, end.index),
      to: Math.max(start.index, end.index)
    };
  }

  /** Whether its text is still what it was. */
  get intact(): boolean {
    const { range } = this;
    return (
      range !== null &&
      this.text.toJSON().slice(range.from, range.to) === this._original
    );
  }

  private readonly _start: Y.RelativePosition;
  private readonly _end: Y.RelativePosition;
  private readonly _original: string;
}
