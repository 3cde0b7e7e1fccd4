import * as Y from 'yjs';

import { ownClock } from './ownText';

/** A frame that was sent: its number, and the last own edit and the own clock in it. */
interface ISent {
  readonly seq: number;
  readonly edit: number;
  readonly clock: number;
}

/**
 * Knows which of this page's own edits of a document the server has recorded.
 *
 * Own edits are numbered from 1. (Yjs' clocks would not do: a deletion has none.)
 */
export class Ledger {
  /** Make it before anything that sends updates, so that each has its number when it is sent. */
  constructor(private readonly _doc: Y.Doc) {
    _doc.on('update', (_update, _origin, _, transaction) => {
      if (transaction.local) {
        this._made += 1;
        if (takesAway(transaction, this._clock)) {
          this._takenAway = this._made;
        }
      }
    });
  }

  /** The number of the own edit that is being made. */
  get next(): number {
    return this._made + 1;
  }

  /** The last own edit that is known to be recorded, with all before it. */
  get recorded(): number {
    return this._recorded;
  }

  /** The own clock up to which everything is known to be recorded. */
  get clock(): number {
    return this._clock;
  }

  /** Whether an own edit is not known to be recorded. */
  get pending(): boolean {
    return this._made > this._recorded;
  }

  /** Whether one of those that are not takes something away that was there. */
  get pendingRemoval(): boolean {
    return this._takenAway > this._recorded;
  }

  /** A new connection counts its frames anew. */
  opened(): void {
    this._sent = [];
    this._frames = 0;
  }

  /** A frame with all that is not yet sent is about to go. */
  sent(): void {
    this._frames += 1;
    this._sent.push({
      seq: this._frames,
      edit: this._made,
      clock: ownClock(this._doc)
    });
  }

  /** The frames of this connection up to this one are recorded. */
  acknowledged(seq: number): void {
    let frame = this._sent[0];
    while (frame !== undefined && frame.seq <= seq) {
      this._recorded = Math.max(this._recorded, frame.edit);
      this._clock = Math.max(this._clock, frame.clock);
      this._sent.shift();
      frame = this._sent[0];
    }
  }

  private _made = 0;
  private _takenAway = 0;
  private _recorded = 0;
  private _clock = 0;
  private _sent: ISent[] = [];
  private _frames = 0;
}

/**
 * Whether something of the content is deleted that others may have; the map `state` is
 * JupyterLab's own.
 *
 * @param recorded the own clock up to which everything is recorded
 */
function takesAway(
  { deleteSet, doc }: Y.Transaction,
  recorded: number
): boolean {
  const state: unknown = doc.share.get('state');
  for (const [client, ranges] of deleteSet.clients) {
    const structs = doc.store.clients.get(client) ?? [];
    const known =
      client === doc.clientID
        ? ranges.filter(({ clock }) => clock < recorded)
        : ranges;
    for (const { clock, len } of known) {
      let index = Y.findIndexSS(structs, clock);
      let struct = structs[index];
      while (struct !== undefined && struct.id.clock < clock + len) {
        if (!(struct instanceof Y.Item) || struct.parent !== state) {
          return true;
        }
        index += 1;
        struct = structs[index];
      }
    }
  }
  return false;
}
