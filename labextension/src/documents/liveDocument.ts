import type { DocumentChange, YDocument } from '@jupyter/ydoc';
import { type ISignal, Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';

import type { Capability } from '../api/types';
import type { ILostText } from './cellDrafts';
import type { IRightFrame, ISessionEvent } from './frames';
import { ReadOnlyGuard } from './guard';

export type SharedDocument = YDocument<DocumentChange>;

/**
 * How the connection of a document is.
 *
 * - `connecting`: for the first time;
 * - `online`;
 * - `offline`: lost; it is being tried again;
 * - `ended`: over for good, or until the person signs in again.
 */
export type Connection = 'connecting' | 'online' | 'offline' | 'ended';

/**
 * A document that is open for co-editing in this page: what the person may do in it, how its
 * connection is, and what happens around it.
 */
export interface ILiveDocument {
  readonly model: SharedDocument;
  /** Relative to the server's root; it changes when the file is renamed. */
  readonly path: string;
  /** The session that the document belongs to; null while it is not shared. */
  readonly session: string | null;
  readonly readOnly: boolean;
  /** Whether editors take no input for a moment, as the whole document is being written. */
  readonly held: boolean;
  readonly connection: Connection;
  /** Whether something that was typed here is not yet known to be recorded. */
  readonly unsaved: boolean;
  /** Why the file on disk does not follow; null where it does, as far as is known. */
  readonly trouble: string | null;
  readonly isDisposed: boolean;

  may(capability: Capability): boolean;

  /** Emitted when the right, the session or the connection has changed. */
  readonly changed: ISignal<ILiveDocument, void>;
  /** Emitted for each event of the session; `resync` says that some may have been missed. */
  readonly happened: ISignal<ILiveDocument, ISessionEvent>;
  readonly disposed: ISignal<ILiveDocument, void>;
}

/**
 * The documents that are open for co-editing in this page.
 */
export interface ILiveDocuments extends Iterable<ILiveDocument> {
  /** Emitted when a document is opened. */
  readonly added: ISignal<ILiveDocuments, ILiveDocument>;

  /** Call back for each document that is open, and for each that will be. */
  each(callback: (document: ILiveDocument) => void): void;

  /** Return the document of a shared model, also of one of a notebook's cells; null for others. */
  find(model: unknown): ILiveDocument | null;

  /** Return the document that a widget shows; null where it shows none. */
  of(widget: Widget | null): ILiveDocument | null;
}

export class LiveDocument implements ILiveDocument {
  constructor(
    readonly model: SharedDocument,
    private readonly _openedAs: string
  ) {
    this._guard = new ReadOnlyGuard(model);
  }

  get path(): string {
    const path = this.model.isDisposed ? undefined : this.model.state.path;
    return typeof path === 'string' && path ? path : this._openedAs;
  }

  get session(): string | null {
    return this._right?.session ?? null;
  }

  get readOnly(): boolean {
    return this._closed || (this._right?.read_only ?? false);
  }

  get held(): boolean {
    return this._heldUntil !== undefined;
  }

  get connection(): Connection {
    return this._connection;
  }

  get unsaved(): boolean {
    return this._unsaved;
  }

  get trouble(): string | null {
    return this._trouble;
  }

  /** Why it can't be opened for now, while that is being tried again; null where it can. */
  get obstacle(): string | null {
    return this._obstacle;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get happened(): ISignal<this, ISessionEvent> {
    return this._happened;
  }

  /** Emitted with text of the person whose cell somebody else has deleted. */
  get lost(): ISignal<this, ILostText> {
    return this._lost;
  }

  get disposed(): ISignal<this, void> {
    return this._disposed;
  }

  may(capability: Capability): boolean {
    // Without our part of the server there are no roles, but nothing to be called either.
    return this._right?.capabilities.includes(capability) ?? false;
  }

  setRight(right: IRightFrame): void {
    this._right = right;
    this._guard.set(this.readOnly);
    this._changed.emit();
  }

  setConnection(connection: Connection): void {
    if (connection !== this._connection) {
      this._connection = connection;
      this._changed.emit();
    }
  }

  setUnsaved(unsaved: boolean): void {
    if (unsaved !== this._unsaved) {
      this._unsaved = unsaved;
      this._changed.emit();
    }
  }

  setObstacle(obstacle: string | null): void {
    if (obstacle !== this._obstacle) {
      this._obstacle = obstacle;
      this._changed.emit();
    }
  }

  /** Take no input until it is released, or for so many milliseconds at the most. */
  hold(milliseconds: number): void {
    window.clearTimeout(this._heldUntil);
    this._heldUntil = window.setTimeout(() => {
      this.release();
    }, milliseconds);
    this._changed.emit();
  }

  release(): void {
    if (this._heldUntil !== undefined) {
      window.clearTimeout(this._heldUntil);
      this._heldUntil = undefined;
      this._changed.emit();
    }
  }

  /** Let nothing be typed any more: it would go nowhere. */
  close(): void {
    this._closed = true;
    this._guard.set(true);
    this.setConnection('ended');
  }

  /** Let things be typed again, as the right allows. */
  reopen(): void {
    this._closed = false;
    this._guard.set(this.readOnly);
    this.setConnection('connecting');
  }

  tell(event: ISessionEvent): void {
    const { path, saved, message } = event.data;
    if (event.event === 'saved' && path === this.path) {
      const trouble =
        saved === false && typeof message === 'string' ? message : null;
      if (trouble !== this._trouble) {
        this._trouble = trouble;
        this._changed.emit();
      }
    }
    this._happened.emit(event);
  }

  lose(text: ILostText): void {
    this._lost.emit(text);
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    window.clearTimeout(this._heldUntil);
    this._disposed.emit();
    Signal.clearData(this);
  }

  private readonly _guard: ReadOnlyGuard;
  private readonly _changed = new Signal<this, void>(this);
  private readonly _happened = new Signal<this, ISessionEvent>(this);
  private readonly _lost = new Signal<this, ILostText>(this);
  private readonly _disposed = new Signal<this, void>(this);
  private _right: IRightFrame | null = null;
  private _connection: Connection = 'connecting';
  private _unsaved = false;
  private _heldUntil: number | undefined = undefined;
  private _trouble: string | null = null;
  private _obstacle: string | null = null;
  private _closed = false;
  private _isDisposed = false;
}
