import type { TranslationBundle } from '@jupyterlab/translation';
import { type ISignal, Signal } from '@lumino/signaling';
import { Debouncer } from '@lumino/polling';

import type { ICollabClient } from '../api/client';
import type { IBlame, ICredit } from '../api/types';
import type { ILiveDocument } from '../documents/liveDocument';
import { referenceTo } from '../sessions/find';
import { clockOf, dayOf, nameOf } from './words';

/** Milliseconds of quiet after a change before it is asked again who wrote what. */
const QUIET = 2_000;

/** Who wrote a line last, as it is shown beside it. */
export interface ILineAuthor {
  readonly name: string;
  readonly color: string;
  /** The whole of it: who, how and when. */
  readonly title: string;
}

/** Who wrote the lines of one document, while somebody wants to know. */
class Watched {
  constructor(
    private readonly _client: ICollabClient,
    readonly document: ILiveDocument,
    private readonly _told: () => void
  ) {
    this._later = new Debouncer(() => this._load(), QUIET);
    document.model.changed.connect(this._onChange, this);
  }

  blame: IBlame | null = null;

  async load(): Promise<void> {
    await this._load();
  }

  dispose(): void {
    this._later.dispose();
    if (!this.document.isDisposed) {
      this.document.model.changed.disconnect(this._onChange, this);
    }
  }

  private _onChange(): void {
    void this._later.invoke();
  }

  private async _load(): Promise<void> {
    const { session, path } = this.document;
    if (session !== null) {
      this._shared ??= await this._client.session(session);
      this.blame = await this._client.blame(referenceTo(this._shared, path));
      this._told();
    }
  }

  private _shared: Awaited<ReturnType<ICollabClient['session']>> | undefined;
  private readonly _later: Debouncer;
}

/**
 * Who wrote what, in the documents of which somebody wants to know.
 */
export class Authors {
  constructor(
    private readonly _client: ICollabClient,
    private readonly _trans: TranslationBundle
  ) {}

  /** Emitted when it is known anew, or no longer wanted. */
  get changed(): ISignal<this, ILiveDocument> {
    return this._changed;
  }

  isShown(document: ILiveDocument): boolean {
    return this._watched.has(document);
  }

  /**
   * Begin to show it.
   *
   * Rejects with an `ApiError` where the server refuses; then it is not shown.
   */
  async show(document: ILiveDocument): Promise<void> {
    const watched = new Watched(this._client, document, () => {
      this._changed.emit(document);
    });
    this._watched.set(document, watched);
    document.disposed.connect(this.hide, this);
    try {
      await watched.load();
    } catch (error) {
      this.hide(document);
      throw error;
    }
  }

  hide(document: ILiveDocument): void {
    this._watched.get(document)?.dispose();
    if (this._watched.delete(document)) {
      document.disposed.disconnect(this.hide, this);
      this._changed.emit(document);
    }
  }

  /**
   * Return who wrote the lines of a file, or of a cell; null where it is not to be shown.
   */
  of(
    document: ILiveDocument,
    cell: string | null
  ): readonly (ILineAuthor | null)[] | null {
    const watched = this._watched.get(document);
    if (watched === undefined) {
      return null;
    }
    const lines =
      cell === null
        ? watched.blame?.lines
        : watched.blame?.cells?.find(one => one.cell_id === cell)?.lines;
    return (lines ?? []).map(line => this._author(line));
  }

  private _author(credit: ICredit): ILineAuthor | null {
    const { author, at, origin } = credit;
    if (at === null) {
      return null;
    }
    const trans = this._trans;
    const name =
      origin === 'ai'
        ? trans.__('AI')
        : author === null
          ? trans.__('File')
          : nameOf(author);
    const who =
      origin === 'ai' && author !== null
        ? trans.__('AI, for %1', nameOf(author))
        : origin === 'disk' || origin === 'load'
          ? trans.__('From the file on disk')
          : name;
    const when = `${dayOf(at, new Date(), trans)}, ${clockOf(at)}`;
    return {
      name,
      color: author?.color ?? 'var(--jp-border-color1)',
      title: `${who} · ${when}`
    };
  }

  private readonly _watched = new Map<ILiveDocument, Watched>();
  private readonly _changed = new Signal<this, ILiveDocument>(this);
}
