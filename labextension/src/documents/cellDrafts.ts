import type { YNotebook } from '@jupyter/ydoc';
import * as Y from 'yjs';

import type { Ledger } from './ledger';
import { TrackedText } from './tracked';

/** Milliseconds for which somebody may still move a cell without what was recorded. */
const GRACE = 15_000;

/** Text that was typed into a cell that is gone. */
export interface ILostText {
  readonly cell: string;
  readonly text: string;
}

interface IDraft {
  readonly cell: string;
  readonly text: TrackedText;
}

/**
 * Keeps what a person types into a cell while somebody else moves that cell or changes its type.
 *
 * Both delete the cell and insert a copy of it under the same id. What the other's page had not
 * seen by then is not in the copy, and Yjs forgets it: here it is remembered and written into
 * the copy. Each page does so with its own person's edits alone, so nothing comes twice.
 */
export class CellDrafts {
  constructor(
    private readonly _notebook: YNotebook,
    private readonly _ledger: Ledger,
    private readonly _onLost: (lost: ILostText) => void
  ) {
    this._cells = _notebook.ydoc.getArray('cells');
    this._cells.observeDeep((events, transaction) => {
      this._onEvents(events, transaction);
    });
  }

  /** Take note that the server has recorded more of the own edits. */
  noteRecorded(): void {
    const { recorded } = this._ledger;
    if (recorded !== this._marks.at(-1)?.edit) {
      this._marks.push({ edit: recorded, at: Date.now() });
    }
  }

  private _onEvents(
    events: readonly Y.YEvent<Y.AbstractType<unknown>>[],
    { local }: Y.Transaction
  ): void {
    let moved = false;
    for (const event of events) {
      if (event.target === this._cells) {
        moved = true;
      } else if (event instanceof Y.YTextEvent) {
        this._onText(event, local);
      }
    }
    if (moved) {
      for (const [source, draft] of this._drafts) {
        if (source._item?.deleted) {
          this._drafts.delete(source);
          if (!local) {
            this._bringBack(draft);
          }
        }
      }
    }
  }

  private _onText(event: Y.YTextEvent, local: boolean): void {
    const source = event.target;
    const cell: unknown = source.parent;
    if (
      !(cell instanceof Y.Map) ||
      cell.parent !== this._cells ||
      cell.get('source') !== source
    ) {
      return;
    }
    let draft = this._drafts.get(source);
    if (draft === undefined) {
      if (!local) {
        return;
      }
      draft = {
        cell: String(cell.get('id')),
        text: new TrackedText(textBefore(event))
      };
      this._drafts.set(source, draft);
    }
    draft.text.change(event.delta, local ? this._ledger.next : null);
    this._forget();
  }

  /** Forget what was recorded so long ago that everybody has it. */
  private _forget(): void {
    const now = Date.now();
    let settled = 0;
    while (this._marks[0] !== undefined && this._marks[0].at < now - GRACE) {
      settled = this._marks.shift()?.edit ?? 0;
    }
    if (settled > 0) {
      for (const [source, { text }] of this._drafts) {
        text.settle(settled);
        if (!text.changedSince(0)) {
          this._drafts.delete(source);
        }
      }
    }
  }

  private _bringBack({ cell, text }: IDraft): void {
    this._forget();
    const { recorded } = this._ledger;
    const copy = this._notebook.cells.find(({ id }) => id === cell);
    if (copy === undefined) {
      if (text.changedSince(recorded)) {
        this._onLost({ cell, text: text.text });
      }
      return;
    }
    const splices = text.replay(copy.getSource(), recorded);
    if (splices.length > 0) {
      this._notebook.transact(() => {
        for (const splice of splices) {
          copy.updateSource(splice.from, splice.to, splice.text);
        }
      });
    }
  }

  private readonly _cells: Y.Array<unknown>;
  private readonly _drafts = new Map<Y.Text, IDraft>();
  /** When which own edits were recorded. */
  private readonly _marks: { readonly edit: number; readonly at: number }[] =
    [];
}

/** Return a text as it was before what has just happened to it. */
function textBefore(event: Y.YTextEvent): string {
  let text = '';
  for (let item = event.target._start; item !== null; item = item.right) {
    const was = item.deleted ? event.deletes(item) : !event.adds(item);
    if (was && item.content instanceof Y.ContentString) {
      text += item.content.str;
    }
  }
  return text;
}
