import { type ISignal, Signal } from '@lumino/signaling';

import type { ICollabClient } from '../api/client';
import type { ILock } from '../api/types';
import type { ILiveDocument, ILiveDocuments } from '../documents/liveDocument';
import { referenceTo } from '../sessions/find';
import { Anchor, rangeOf } from './positions';
import { textOf } from './texts';

/** An AI lock in a live document. */
export interface ILiveLock {
  readonly lock: ILock;
  /** Where it is in a text; null for one of the whole document. */
  readonly anchor: Anchor | null;
  /** The text as it grows, which is not yet part of the document. */
  readonly preview: string;
}

/**
 * The AI locks that stand in the documents of this page.
 */
export class Locks {
  constructor(
    documents: ILiveDocuments,
    private readonly _client: ICollabClient
  ) {
    documents.each(document => {
      document.happened.connect((_, { event, data }) => {
        this._onEvent(document, event, data);
      });
      document.disposed.connect(() => {
        this._locks.delete(document);
      });
    });
  }

  /** Emitted with the document whose locks have changed. */
  get changed(): ISignal<this, ILiveDocument> {
    return this._changed;
  }

  /** Emitted with an operation whose result was taken back, as what people typed had torn it. */
  get takenBack(): ISignal<this, string> {
    return this._takenBack;
  }

  of(document: ILiveDocument): readonly ILiveLock[] {
    return this._locks.get(document) ?? [];
  }

  private _onEvent(
    document: ILiveDocument,
    event: string,
    data: Record<string, unknown>
  ): void {
    const now = this.of(document);
    switch (event) {
      case 'resync':
        void this._read(document);
        break;
      case 'lock':
        this._set(document, [
          ...now.filter(({ lock }) => lock.id !== data.id),
          this._place(document, data as unknown as ILock)
        ]);
        break;
      case 'unlock':
        this._set(
          document,
          now.filter(({ lock }) => lock.id !== data.id)
        );
        break;
      case 'preview':
        if (data.state === 'taken_back') {
          this._takenBack.emit(String(data.operation));
          break;
        }
        this._set(
          document,
          now.map(one =>
            one.lock.id === data.lock
              ? { ...one, preview: String(data.text) }
              : one
          )
        );
        break;
    }
  }

  private async _read(document: ILiveDocument): Promise<void> {
    const { session } = document;
    if (session === null) {
      return;
    }
    let locks: readonly ILock[];
    try {
      locks = await this._client.locks(
        referenceTo(await this._client.session(session), document.path)
      );
    } catch {
      return; // The next connection reads them again.
    }
    if (!document.isDisposed && document.session === session) {
      const before = this.of(document);
      this._set(
        document,
        locks.map(lock => ({
          ...this._place(document, lock),
          preview: before.find(one => one.lock.id === lock.id)?.preview ?? ''
        }))
      );
    }
  }

  private _place(document: ILiveDocument, lock: ILock): ILiveLock {
    const location = lock.location ?? null;
    const text =
      location === null
        ? null
        : textOf(document.model, location.cell_id ?? null);
    return {
      lock,
      anchor:
        text === null || location === null
          ? null
          : new Anchor(text, rangeOf(text.toJSON(), location)),
      preview: ''
    };
  }

  private _set(document: ILiveDocument, locks: readonly ILiveLock[]): void {
    this._locks.set(document, locks);
    this._changed.emit(document);
  }

  private readonly _locks = new Map<ILiveDocument, readonly ILiveLock[]>();
  private readonly _changed = new Signal<this, ILiveDocument>(this);
  private readonly _takenBack = new Signal<this, string>(this);
}
