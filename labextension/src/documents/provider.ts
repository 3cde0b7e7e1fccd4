import type { IDocumentProvider } from '@jupyter/collaborative-drive';
import type {
  IDocumentProviderFactory,
  IForkProvider
} from '@jupyter/docprovider';
import { YNotebook } from '@jupyter/ydoc';
import { URLExt } from '@jupyterlab/coreutils';
import type { User } from '@jupyterlab/services';
import { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import { PromiseDelegate } from '@lumino/coreutils';
import * as decoding from 'lib0/decoding';
import * as encoding from 'lib0/encoding';
import { WebsocketProvider } from 'y-websocket';

import type { ICollabClient, IDocumentSession } from '../api/client';
import { ApiError } from '../api/errors';
import { pageUser } from '../api/page';
import { CellDrafts } from './cellDrafts';
import { type ISaveReply, parseFrame, type RawFrame } from './frames';
import { Ledger } from './ledger';
import type { LiveDocument } from './liveDocument';
import { ownText } from './ownText';

const ROOMS = 'api/collaboration/room';
/** The type of raw frames; see `rooms/protocol.py`. */
const RAW = 2;
/** Codes of endings: no longer signed in, no longer a member, nothing there, to be opened anew. */
export const SIGNED_OUT = 4401;
export const REMOVED = 4403;
const NOT_FOUND = 4404;
const RESET = 4409;
const TOO_LARGE = 1009;
/** Attempts to reach a room that fail without a word before the reason is asked for. */
const SILENT_FAILURES = 2;
/** Milliseconds between two attempts to find out how a document is opened. */
const RETRY = 2_000;
/** Attempts that fail before the person is told; the first may be a hiccup. */
const QUIET_FAILURES = 1;
/** Milliseconds that a save may take. */
const SAVE_TIMEOUT = 30_000;

/** A document is over, by one of the codes of the project's own endpoint. */
export interface IEndedForGood {
  readonly kind: 'ended';
  readonly code: number;
  readonly message: string;
  readonly text: string;
}

/** Why a document can't go on as it is, with what was typed in it and was not recorded. */
export type Ending = INotTaken | IEndedForGood;

/** Something that was not taken, so that the document has to be opened anew. */
export interface INotTaken {
  readonly kind: 'reset' | 'refused' | 'too_large';
  /** The server's word for it. */
  readonly reason: string;
  readonly text: string;
  /** Whether something that was deleted or replaced is back. */
  readonly removal: boolean;
}

export interface IProviderOptions extends IDocumentProviderFactory.IOptions {
  readonly client: ICollabClient;
  readonly live: LiveDocument;
  readonly trans: TranslationBundle;
  readonly onEnding: (ending: Ending) => void;
}

/**
 * Keeps a shared model in sync with its room on the server.
 *
 * It takes the place of jupyter-collaboration's own provider, whose protocol it speaks, and
 * acts on what the server says besides: rights that change, updates that were recorded or
 * refused, documents that have to be opened anew.
 */
export class DocumentProvider implements IDocumentProvider, IForkProvider {
  constructor(private readonly _options: IProviderOptions) {
    this.ready = this._ready.promise;
    const { model, live } = _options;
    this._ledger = new Ledger(model.ydoc);
    this._drafts =
      model instanceof YNotebook
        ? new CellDrafts(model, this._ledger, lost => {
            // Who is online has the cell before their eyes, and is told of it there.
            if (this._socket?.synced === false) {
              live.lose(lost);
            }
          })
        : null;
    // Whoever waits for it is told; that nobody waits is no error.
    this.ready.catch(() => undefined);
    const { user, client } = _options;
    void user.ready.then(() => {
      this._showUser(user);
    });
    user.userChanged.connect(this._showUser, this);
    client.signedInChanged.connect(this._onSignedIn, this);
    void this._connect();
  }

  readonly ready: Promise<void>;

  get contentType(): string {
    return this._options.contentType;
  }

  get format(): string {
    return this._options.format;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._options.user.userChanged.disconnect(this._showUser, this);
    this._options.client.signedInChanged.disconnect(this._onSignedIn, this);
    this._disconnect();
    this._options.live.dispose();
  }

  /** Connect anew, as after a fork was looked at. */
  async reconnect(): Promise<void> {
    this._disconnect();
    await this._connect();
  }

  /**
   * A fork has pages of its own: what is in it is not the file that this one shows, and to go
   * there and back with one Yjs document would bring what is in the one into the other.
   */
  connectToForkDoc(): Promise<void> {
    return Promise.reject(
      new Error(
        this._options.trans.__(
          'A fork can’t be shown in place of its document.'
        )
      )
    );
  }

  /** Write the file now; what is typed is recorded without it. */
  async save(): Promise<void> {
    const socket = this._socket?.ws;
    if (socket?.readyState !== WebSocket.OPEN) {
      throw new Error(
        this._options.trans.__(
          'There is no connection; it is saved as soon as there is.'
        )
      );
    }
    const id = ++this._saveCounter;
    const reply = new PromiseDelegate<ISaveReply['status']>();
    this._saves.set(id, reply);
    const timer = window.setTimeout(() => {
      reply.resolve('failed');
    }, SAVE_TIMEOUT);
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, RAW);
    encoding.writeVarString(encoder, 'save');
    encoding.writeVarUint(encoder, id);
    socket.send(encoding.toUint8Array(encoder));
    try {
      if ((await reply.promise) === 'failed') {
        throw new Error(
          this._options.trans.__(
            'The file could not be written; the text is safe on the server, which tries again.'
          )
        );
      }
    } finally {
      window.clearTimeout(timer);
      this._saves.delete(id);
    }
  }

  // ------------------------------------------------------------ the connection

  private async _connect(): Promise<void> {
    const attempt = this._attempt;
    let session: IDocumentSession;
    try {
      session = await this._openDocument();
    } catch (error) {
      if (attempt === this._attempt) {
        this._onOpenFailed(error);
      }
      return;
    }
    if (attempt !== this._attempt || this._options.model.isDisposed) {
      return;
    }
    const settings =
      this._options.serverSettings ?? ServerConnection.makeSettings();
    const room = `${session.format}:${session.type}:${session.fileId}`;
    const provider = new WebsocketProvider(
      URLExt.join(settings.wsUrl, ROOMS),
      room,
      this._options.model.ydoc,
      {
        connect: false,
        disableBc: true,
        params: { sessionId: session.sessionId, ack: '1', events: '1' },
        awareness: this._options.model.awareness,
        WebSocketPolyfill: this._countingSocket(settings.WebSocket),
        shouldReconnect: event => this._shouldReconnect(event)
      }
    );
    provider.messageHandlers[RAW] = (_encoder, decoder) => {
      const frame = parseFrame(decoding.readVarString(decoder));
      if (frame !== null) {
        this._onFrame(frame);
      }
    };
    provider.on('sync', synced => {
      if (synced) {
        this._onSynced(room);
      }
    });
    provider.on('status', ({ status }) => {
      if (status === 'connected') {
        this._silentFailures = 0;
        this._options.live.setObstacle(null);
        this._options.live.setConnection('online');
      } else if (
        status === 'disconnected' &&
        this._options.live.connection === 'online'
      ) {
        this._options.live.setConnection('offline');
      }
    });
    provider.on('connection-close', event => {
      this._onClosed(event);
    });
    this._socket = provider;
    provider.connect();
  }

  private async _openDocument(): Promise<IDocumentSession> {
    const { client, live, format, contentType } = this._options;
    const attempt = this._attempt;
    for (let failures = 1; ; failures += 1) {
      try {
        return await client.openDocument(live.path, format, contentType);
      } catch (error) {
        if (endsIt(error) || attempt !== this._attempt) {
          throw error;
        }
        if (failures > QUIET_FAILURES) {
          this._noteObstacle(this._obstacleOf(error));
        }
        const wait = error instanceof ApiError ? error.retryAfter : null;
        await new Promise(resolve => {
          this._retry = window.setTimeout(resolve, Math.max(wait ?? 0, RETRY));
        });
      }
    }
  }

  private _onOpenFailed(error: unknown): void {
    if (this._isDisposed) {
      return;
    }
    this._options.live.setObstacle(null);
    const message = error instanceof Error ? error.message : String(error);
    if (this._hasSynced) {
      this._end(
        error instanceof ApiError && error.loginEnded ? SIGNED_OUT : NOT_FOUND,
        message
      );
      return;
    }
    this._ready.reject(message);
    // Closes the placeholder, as upstream's provider does.
    this._options.model.dispose();
  }

  /** Count the frames that the server acknowledges, on each connection anew. */
  private _countingSocket(base: typeof WebSocket): typeof WebSocket {
    const onOpening = (): void => {
      this._ledger.opened();
      // Where there are no accounts, there is nobody else, and nobody who says so.
      this._greeted = pageUser() === '';
    };
    const onSending = (data: unknown): boolean => this._onSending(data);
    return class extends base {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        onOpening();
      }

      override send(
        data: string | ArrayBufferLike | Blob | ArrayBufferView<ArrayBuffer>
      ): void {
        if (onSending(data)) {
          super.send(data);
        }
      }
    };
  }

  /** Return whether a message may go. */
  private _onSending(data: unknown): boolean {
    // Sync frames that carry an update: 0 1 (step 2) and 0 2 (update).
    if (
      !(data instanceof Uint8Array) ||
      data[0] !== 0 ||
      (data[1] !== 1 && data[1] !== 2)
    ) {
      return true;
    }
    if (!this._greeted) {
      // Whose socket it is, is not known yet; the step 2 that follows has all of it.
      return false;
    }
    if (data.byteLength > this._maxMessage) {
      // The server would end the connection, and not say more than that.
      const limit = Math.floor((this._maxMessage / 2 ** 20) * 10) / 10;
      window.setTimeout(() => {
        this._notTaken(
          'too_large',
          this._options.trans.__(
            'at most %1 MB can be put in at once.',
            `${limit}`
          )
        );
      });
      return false;
    }
    this._ledger.sent();
    this._noteUnsaved();
    return true;
  }

  private _onSynced(room: string): void {
    const { model, live } = this._options;
    if (!this._hasSynced) {
      this._hasSynced = true;
      model.ydoc.on('update', () => {
        this._noteUnsaved();
      });
      // Other extensions look for it; of who may only look, the server takes nothing.
      if (!live.readOnly) {
        model.ydoc.getMap('state').set('document_id', room);
      }
      this._ready.resolve();
    }
    this._noteUnsaved();
  }

  private _noteUnsaved(): void {
    const { model, live } = this._options;
    if (!model.isDisposed && !live.isDisposed) {
      live.setUnsaved(this._ledger.pending);
    }
  }

  private _onFrame(frame: RawFrame): void {
    const { client, live, model } = this._options;
    switch (frame.type) {
      case 'hello':
        if (!client.isMine(frame.user)) {
          // Before it is answered with what the person has typed: that is not the other's.
          this._end(SIGNED_OUT, '');
          this._disconnect();
          break;
        }
        this._greeted = true;
        this._maxMessage = frame.max_message ?? Number.POSITIVE_INFINITY;
        live.setRight(frame);
        break;
      case 'role':
        live.setRight(frame);
        break;
      case 'saved':
        this._ledger.acknowledged(frame.seq);
        this._drafts?.noteRecorded();
        this._noteUnsaved();
        break;
      case 'freeze':
        live.hold(frame.seconds * 1000);
        break;
      case 'thaw':
        live.release();
        break;
      case 'conflict':
        live.tell({
          type: 'event',
          event: 'conflict',
          data: { message: frame.message }
        });
        break;
      case 'refused':
        if (frame.client === null || frame.client === model.ydoc.clientID) {
          this._notTaken(
            'refused',
            frame.reason,
            frame.client === null || frame.from_clock === null
              ? this._unrecorded()
              : ownText(model.ydoc, frame.client, frame.from_clock)
          );
        }
        break;
      case 'reset':
        this._notTaken('reset', frame.reason);
        break;
      case 'end':
        if (frame.code === RESET) {
          this._notTaken('reset', frame.message);
        } else if (frame.code === TOO_LARGE) {
          this._notTaken('too_large', frame.message);
        } else if (!frame.reconnect) {
          this._end(frame.code, frame.message);
        }
        break;
      case 'event':
        live.tell(frame);
        break;
      case 'save':
        this._saves.get(frame.responseTo)?.resolve(frame.status);
        break;
    }
  }

  /** Let the document be opened anew, without what was not taken. */
  private _notTaken(
    kind: INotTaken['kind'],
    reason: string,
    text = this._unrecorded()
  ): void {
    if (!this._stopped) {
      const removal = this._ledger.pendingRemoval;
      this._stop();
      this._options.onEnding({ kind, reason, text, removal });
    }
  }

  private _unrecorded(): string {
    const { ydoc } = this._options.model;
    return ownText(ydoc, ydoc.clientID, this._ledger.clock);
  }

  private _onClosed(event: CloseEvent | null): void {
    for (const reply of this._saves.values()) {
      reply.resolve('failed');
    }
    if (event === null || this._stopped) {
      return;
    }
    // A handshake that is refused has a status, which no script may see: ask for the reason.
    if (event.code === 1006 && this._options.live.connection !== 'ended') {
      this._silentFailures += 1;
      if (this._silentFailures > SILENT_FAILURES) {
        this._silentFailures = 0;
        void this._findOut();
      }
    }
  }

  private _shouldReconnect(event: CloseEvent): boolean {
    if (this._stopped) {
      return false;
    }
    if (event.code === TOO_LARGE) {
      this._notTaken('too_large', event.reason);
      return false;
    }
    if (event.code === 1003) {
      // Jupyter's own words come here where another server part than ours ends a room.
      this._end(event.code, sentenceOf(event.reason));
      return false;
    }
    return true;
  }

  private async _findOut(): Promise<void> {
    const { client, live, format, contentType } = this._options;
    const attempt = this._attempt;
    try {
      await client.openDocument(live.path, format, contentType);
      this._noteObstacle(
        this._options.trans.__(
          'The server answers, but no WebSocket to it can be opened.'
        )
      );
    } catch (error) {
      if (attempt !== this._attempt) {
        return;
      }
      if (endsIt(error)) {
        this._onOpenFailed(error);
      } else {
        this._noteObstacle(this._obstacleOf(error));
      }
    }
  }

  /** Say why the first connection is not made yet; of a later one, the banner says enough. */
  private _noteObstacle(message: string): void {
    if (!this._hasSynced && !this._stopped && !this._isDisposed) {
      this._options.live.setObstacle(message);
    }
  }

  private _obstacleOf(error: unknown): string {
    const { trans } = this._options;
    if (error instanceof ApiError) {
      // Without a reason it is a proxy's answer, of which the status says most.
      return error.reason === null
        ? trans.__('The server can’t be reached (%1).', `${error.status}`)
        : error.message;
    }
    return trans.__('The server can’t be reached.');
  }

  private _end(code: number, message: string): void {
    if (this._stopped) {
      return;
    }
    this._stop();
    if (code === SIGNED_OUT) {
      this._signedOut = true;
      this._options.client.noteSignedOut();
    }
    this._options.onEnding({
      kind: 'ended',
      code,
      message,
      text: this._unrecorded()
    });
  }

  /** Send nothing any more, and let nothing be typed that would go nowhere. */
  private _stop(): void {
    this._stopped = true;
    this._options.live.setObstacle(null);
    this._options.live.close();
    if (this._socket !== null) {
      this._socket.shouldConnect = false;
    }
  }

  private _onSignedIn(client: ICollabClient, signedIn: boolean): void {
    if (signedIn && this._signedOut) {
      // Signed in again in another tab: what was typed before is still here and is sent now.
      this._signedOut = false;
      this._stopped = false;
      this._options.live.reopen();
      void this.reconnect();
    } else if (client.stranger !== null) {
      this._end(SIGNED_OUT, '');
      this._disconnect();
    }
  }

  private _disconnect(): void {
    this._attempt += 1;
    window.clearTimeout(this._retry);
    this._socket?.destroy();
    this._socket = null;
  }

  private _showUser(user: User.IManager): void {
    this._options.model.awareness.setLocalStateField('user', user.identity);
  }

  private readonly _ready = new PromiseDelegate<void>();
  private readonly _saves = new Map<
    number,
    PromiseDelegate<ISaveReply['status']>
  >();
  private _socket: WebsocketProvider | null = null;
  private _isDisposed = false;
  private _hasSynced = false;
  private _stopped = false;
  /** Whether it was stopped because the login had ended, and not for good. */
  private _signedOut = false;
  private _saveCounter = 0;
  private _silentFailures = 0;
  /** Counts the connections that were wanted, so that one that is not any more is not made. */
  private _attempt = 0;
  /** Whether the server has said whose the socket is, and it is the page's person's. */
  private _greeted = false;
  private _maxMessage = Number.POSITIVE_INFINITY;
  private _retry: number | undefined = undefined;
  private readonly _ledger: Ledger;
  private readonly _drafts: CellDrafts | null;
}

/** Whether an attempt to open a document need not be made again, at least by this login. */
function endsIt(error: unknown): boolean {
  return error instanceof ApiError && (error.isFinal || error.loginEnded);
}

function sentenceOf(reason: string): string {
  try {
    const payload = JSON.parse(reason) as { errorReason?: unknown };
    if (typeof payload.errorReason === 'string' && payload.errorReason) {
      return payload.errorReason;
    }
  } catch {
    // It is a plain sentence.
  }
  return reason;
}
