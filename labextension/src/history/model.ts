import type { TranslationBundle } from '@jupyterlab/translation';
import { VDomModel } from '@jupyterlab/ui-components';
import { Debouncer } from '@lumino/polling';

import type {
  ICollabClient,
  IDocumentReference,
  IRestorePart
} from '../api/client';
import { sentenceOf } from '../api/errors';
import type { ILines, IVersion, IVersionContent, Role } from '../api/types';
import type { ILiveDocument } from '../documents/liveDocument';
import type { IDifference } from './compareText';

const PAGE_SIZE = 50;
const MOST_AT_ONCE = 200;
/** How the state of now is called. */
const CURRENT = 'current';
/** Milliseconds of quiet after a change of the document before its history is asked for again. */
const QUIET = 3_000;

/** What a version is compared with: what was before it, or what is now. */
export type Against = 'before' | 'now';

/** Two states of the document. */
export interface IComparison {
  readonly before: IVersionContent | null;
  readonly after: IVersionContent;
}

/**
 * The history of one document, as far as somebody has looked at it.
 */
export class HistoryModel extends VDomModel {
  constructor(
    private readonly _client: ICollabClient,
    private readonly _reference: IDocumentReference,
    document: ILiveDocument,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this._later = new Debouncer(() => this._load(), QUIET);
    this._document = document;
    this._path = document.path;
    this._listen();
  }

  /** Where the document was, which is how it is found again when it is opened anew. */
  get path(): string {
    return this._path;
  }

  /** Follow a document that was opened anew, in place of one that is gone. */
  rebind(document: ILiveDocument): void {
    if (this.isDisposed || !this._document.isDisposed) {
      return;
    }
    this._document = document;
    this._listen();
    this._onEvent();
    this._tell();
  }

  /** Newest first; null until the first answer. */
  get versions(): readonly IVersion[] | null {
    return this._versions;
  }

  get hasMore(): boolean {
    return this._next !== null;
  }

  get selected(): IVersion | null {
    return this._selected;
  }

  get against(): Against {
    return this._against;
  }

  /** Null while it is fetched. */
  get comparison(): IComparison | null {
    return this._comparison;
  }

  get namedOnly(): boolean {
    return this._namedOnly;
  }

  /** What went wrong the last time; null where nothing did. */
  get error(): string | null {
    return this._error;
  }

  get busy(): boolean {
    return this._busy;
  }

  /** Whether the person may name versions and restore them. */
  get mayChange(): boolean {
    const document = this._document;
    return document.isDisposed
      ? this._role !== undefined && this._role !== 'viewer'
      : !document.readOnly && document.may('write');
  }

  get isNewest(): boolean {
    return this._selected?.version === this._newest;
  }

  async refresh(): Promise<void> {
    await this._load();
    const first = this._versions?.[0];
    if (this._selected === null && first !== undefined) {
      await this.select(first);
    }
  }

  async showMore(): Promise<void> {
    await this._try(() => this._more());
  }

  async showNamedOnly(only: boolean): Promise<void> {
    this._namedOnly = only;
    this._versions = null;
    this.stateChanged.emit();
    await this._load();
  }

  async select(version: IVersion, against = this._against): Promise<void> {
    this._selected = version;
    // What was kept beside the history came after nothing.
    this._against = against = version.beside ? 'now' : against;
    this._comparison = null;
    this._tell();
    await this._try(async () => {
      const comparison = await this._compare(version, against);
      // Somebody may have chosen another one meanwhile.
      if (this._selected === version && this._against === against) {
        this._comparison = comparison;
      }
    });
  }

  async name(name: string): Promise<void> {
    const version = this._selected;
    if (version !== null) {
      await this._change(() =>
        this._client.nameVersion(this._reference, version.version, name)
      );
    }
  }

  /** Bring the whole document back to the version that is chosen. */
  async restore(): Promise<void> {
    await this._restore({});
  }

  /** Bring one difference of a text back that is compared with what is now. */
  async restorePart({ before, after }: IDifference): Promise<void> {
    const hunks = this._comparison?.before?.diff?.hunks ?? [];
    const meant = hunks.filter(
      hunk => touches(before, hunk.new) && touches(after, hunk.old)
    );
    if (meant.length > 0) {
      await this._restore({ hunks: meant.map(({ id }) => id) });
    }
  }

  /** Bring a cell back as it was. */
  async restoreCell(id: string): Promise<void> {
    await this._restore({ cell_id: id });
  }

  /** Take the name from the version that is chosen. */
  async unname(): Promise<void> {
    const version = this._selected;
    if (version !== null) {
      await this._change(() =>
        this._client.unnameVersion(this._reference, version.version)
      );
    }
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this._later.dispose();
      this._document.happened.disconnect(this._onEvent, this);
      this._document.changed.disconnect(this._onChanged, this);
      this._document.disposed.disconnect(this._onGone, this);
      super.dispose();
    }
  }

  private async _restore(part: IRestorePart): Promise<void> {
    const version = this._selected;
    if (version !== null) {
      await this._change(() =>
        this._client.restore(this._reference, version.version, part)
      );
    }
  }

  private async _change(change: () => Promise<unknown>): Promise<void> {
    this._busy = true;
    this.stateChanged.emit();
    await this._try(async () => {
      try {
        await change();
      } finally {
        this._busy = false;
      }
      await this._load();
      const { _selected: selected } = this;
      if (selected !== null) {
        const now = this._versions?.find(
          ({ version }) => version === selected.version
        );
        await this.select(now ?? selected);
      }
    });
  }

  private async _compare(
    version: IVersion,
    against: Against
  ): Promise<IComparison> {
    const { version: id } = version;
    if (against === 'now') {
      const [before, after] = await Promise.all([
        this._client.version(this._reference, id, CURRENT),
        this._client.version(this._reference, CURRENT)
      ]);
      return { before, after };
    }
    const [before, after] = await Promise.all([
      version.previous === null
        ? null
        : this._client.version(this._reference, version.previous),
      this._client.version(this._reference, id)
    ]);
    return { before, after };
  }

  private async _more(): Promise<void> {
    const page = await this._client.history(this._reference, {
      limit: PAGE_SIZE,
      named: this._namedOnly,
      ...(this._next === null ? {} : { after: this._next })
    });
    this._versions = [...(this._versions ?? []), ...page.items];
    this._next = page.next;
  }

  private async _load(): Promise<void> {
    await this._try(async () => {
      if (this._document.isDisposed) {
        const { session_id: id } = this._reference;
        this._role = (await this._client.session(id)).role;
      }
      const page = await this._client.history(this._reference, {
        limit: Math.min(
          MOST_AT_ONCE,
          Math.max(PAGE_SIZE, this._versions?.length ?? 0)
        ),
        named: this._namedOnly
      });
      this._versions = page.items;
      this._next = page.next;
      if (!this._namedOnly) {
        this._newest = page.items[0]?.version ?? null;
      }
      this._error = null;
    });
    await this._follow();
  }

  /** Stay with the version that is chosen, which may have grown. */
  private async _follow(): Promise<void> {
    const { _selected: selected, _versions: versions } = this;
    if (
      selected === null ||
      versions === null ||
      versions.some(({ version }) => version === selected.version)
    ) {
      return;
    }
    const grown = versions.find(({ from }) => from === selected.from);
    if (grown !== undefined) {
      await this.select(grown);
    }
  }

  private async _try(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this._error = sentenceOf(error, this._trans);
    }
    this._tell();
  }

  private _listen(): void {
    this._document.happened.connect(this._onEvent, this);
    this._document.changed.connect(this._onChanged, this);
    this._document.disposed.connect(this._onGone, this);
  }

  private _onEvent(): void {
    void this._later.invoke();
  }

  private _onChanged(): void {
    this._path = this._document.path;
    this._tell();
  }

  /** The document was closed: nothing tells of changes and roles any more, so ask. */
  private _onGone(): void {
    this._role = undefined;
    this._onEvent();
    this._tell();
  }

  private _tell(): void {
    if (!this.isDisposed) {
      this.stateChanged.emit();
    }
  }

  private readonly _later: Debouncer;
  private _document: ILiveDocument;
  private _path: string;
  /** The person's, once it was asked for as the document is closed. */
  private _role: Role | null | undefined = undefined;
  private _versions: readonly IVersion[] | null = null;
  private _next: string | null = null;
  private _newest: string | null = null;
  private _selected: IVersion | null = null;
  private _against: Against = 'before';
  private _comparison: IComparison | null = null;
  private _namedOnly = false;
  private _error: string | null = null;
  private _busy = false;
}

/** Return whether two stretches of lines have a line or a place in common. */
function touches(one: ILines, other: ILines): boolean {
  return one.from <= other.to && other.from <= one.to;
}
