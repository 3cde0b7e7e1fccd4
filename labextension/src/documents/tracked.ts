import { diff } from '@codemirror/merge';

/** A step of a change, as of Yjs' text events. */
export interface IDelta {
  readonly retain?: number | undefined;
  readonly insert?: unknown;
  readonly delete?: number | undefined;
}

/** Replaces a stretch of a text. */
export interface ISplice {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** A piece of text, with the own edits that brought and took it; 0 and ∞ where none did. */
interface IPiece {
  readonly text: string;
  readonly born: number;
  readonly died: number;
}

const NEVER = Number.POSITIVE_INFINITY;

/**
 * A text in which a person's own edits can be told from what stood there and from what others
 * did, so that they can be made again in a copy of it that somebody took before they came.
 *
 * Own edits have numbers that grow; what others do has none, and holds for all states alike.
 */
export class TrackedText {
  constructor(text: string) {
    this._pieces = text ? [{ text, born: 0, died: NEVER }] : [];
  }

  /** The text as it is. */
  get text(): string {
    return this._pieces
      .filter(piece => piece.died === NEVER)
      .map(piece => piece.text)
      .join('');
  }

  /** Whether there is an own edit after this one. */
  changedSince(edit: number): boolean {
    return this._pieces.some(
      ({ born, died }) => born > edit || (died !== NEVER && died > edit)
    );
  }

  /** Take in a change: the own edit of this number, or with null somebody else's. */
  change(delta: readonly IDelta[], edit: number | null): void {
    const pieces: IPiece[] = [];
    const rest = [...this._pieces];
    /** Pass so many characters of the text, each piece by `pass`. */
    const walk = (length: number, pass: (piece: IPiece) => void): void => {
      while (length > 0) {
        const piece = rest.shift();
        if (piece === undefined) {
          return;
        }
        if (piece.died !== NEVER) {
          pieces.push(piece);
          continue;
        }
        if (piece.text.length > length) {
          rest.unshift({ ...piece, text: piece.text.slice(length) });
        }
        const text = piece.text.slice(0, length);
        length -= text.length;
        pass({ ...piece, text });
      }
    };
    for (const step of delta) {
      if (step.retain !== undefined) {
        walk(step.retain, piece => pieces.push(piece));
      } else if (step.delete !== undefined) {
        walk(step.delete, piece => {
          if (edit !== null) {
            pieces.push({ ...piece, died: edit });
          }
        });
      } else if (typeof step.insert === 'string') {
        pieces.push({ text: step.insert, born: edit ?? 0, died: NEVER });
      }
    }
    this._pieces = joined([...pieces, ...rest]);
  }

  /** Forget which edits up to this one were own. */
  settle(edit: number): void {
    this._pieces = joined(
      this._pieces
        .filter(piece => piece.died > edit)
        .map(piece => (piece.born <= edit ? { ...piece, born: 0 } : piece))
    );
  }

  /**
   * Return how the own edits are made in a copy of the text, from its end to its start.
   *
   * The copy was taken when some of the own edits were in it, in their order, and none after
   * `latest`; others may have changed it since.
   */
  replay(copy: string, latest: number): readonly ISplice[] {
    const edit = this._lastIn(copy, latest);
    const base = this._at(edit);
    const changes = base === copy ? [] : diff(base, copy, { scanLimit: 500 });
    const splices: ISplice[] = [];
    let at = 0;
    let replacing = false;
    for (const { text, born, died } of this._pieces) {
      const before = born <= edit && died > edit;
      if (!before && died === NEVER) {
        const place = moved(at, changes, replacing);
        splices.push({ from: place, to: place, text });
      }
      if (before && died !== NEVER) {
        splices.push(...remaining(at, at + text.length, changes));
      }
      if (before) {
        at += text.length;
        replacing = died !== NEVER;
      }
    }
    return splices.reverse();
  }

  /** Return the text as it would be with the own edits up to this one alone. */
  private _at(edit: number): string {
    return this._pieces
      .filter(({ born, died }) => born <= edit && died > edit)
      .map(piece => piece.text)
      .join('');
  }

  /** Return the last own edit that a copy has: that with which it is most like the text. */
  private _lastIn(copy: string, latest: number): number {
    const edits = new Set([latest]);
    for (const { born, died } of this._pieces) {
      for (const edit of [born, died]) {
        if (edit > 0 && edit <= latest) {
          edits.add(edit - 1);
        }
      }
    }
    let best = latest;
    let least = NEVER;
    for (const edit of [...edits].sort((one, other) => other - one)) {
      const distance = unlike(this._at(edit), copy);
      if (distance < least) {
        best = edit;
        least = distance;
      }
      if (least === 0) {
        break;
      }
    }
    return best;
  }

  private _pieces: readonly IPiece[];
}

/** Join neighbours that came and went together. */
function joined(pieces: readonly IPiece[]): IPiece[] {
  const result: IPiece[] = [];
  for (const piece of pieces) {
    const last = result.at(-1);
    if (last?.born === piece.born && last.died === piece.died) {
      result[result.length - 1] = { ...last, text: last.text + piece.text };
    } else if (piece.text) {
      result.push(piece);
    }
  }
  return result;
}

/** Return how many characters of two texts lie between what they begin and end with alike. */
function unlike(one: string, other: string): number {
  const shorter = Math.min(one.length, other.length);
  let start = 0;
  while (start < shorter && one[start] === other[start]) {
    start += 1;
  }
  let end = 0;
  while (
    end < shorter - start &&
    one[one.length - 1 - end] === other[other.length - 1 - end]
  ) {
    end += 1;
  }
  return one.length + other.length - 2 * (start + end);
}

type Changes = readonly {
  readonly fromA: number;
  readonly toA: number;
  readonly fromB: number;
  readonly toB: number;
}[];

/** Return where a place of a text is after changes; before or after what came in right there. */
function moved(at: number, changes: Changes, before: boolean): number {
  let shift = 0;
  for (const { fromA, toA, toB } of changes) {
    if (before ? toA <= at && fromA < at : toA <= at) {
      shift = toB - toA;
    } else if (fromA < at) {
      return toB;
    } else {
      break;
    }
  }
  return at + shift;
}

/** Return what is left of a stretch after changes, to be taken out. */
function remaining(from: number, to: number, changes: Changes): ISplice[] {
  const splices: ISplice[] = [];
  let shift = 0;
  let at = from;
  const cut = (end: number): void => {
    if (at < end) {
      splices.push({ from: at + shift, to: end + shift, text: '' });
    }
  };
  for (const { fromA, toA, toB } of changes) {
    if (fromA >= to) {
      break;
    }
    cut(fromA);
    at = Math.max(at, toA);
    shift = toB - toA;
  }
  cut(to);
  return splices;
}
