import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { type ISignal, Signal } from '@lumino/signaling';

import { ApiError, toApiError } from './errors';
import { lastEvent } from './eventStream';
import { pageUser } from './page';
import type {
  IBlame,
  IEdit,
  IFinding,
  IFound,
  IGeneration,
  IInvitation,
  IInvited,
  ILocation,
  ILock,
  IMember,
  IPage,
  IReport,
  ISession,
  ITarget,
  IUser,
  IVersion,
  IVersionContent,
  Role
} from './types';

/** Which document of a session is meant: for a folder, the path within it. */
export interface IDocumentReference {
  readonly session_id: string;
  readonly path?: string;
}

export interface IDebugRequest extends IDocumentReference {
  readonly cell_id?: string;
  readonly location?: ILocation;
  readonly error?: string;
}

export interface IGenerateRequest extends IDocumentReference {
  readonly instructions: string;
  readonly target?: ITarget;
  readonly apply?: boolean;
}

/** What of a version is to be brought back; all of it where nothing is named. */
export interface IRestorePart {
  readonly cell_id?: string;
  readonly hunks?: readonly string[];
}

export interface IInviteRequest {
  readonly session_id: string;
  readonly role: Role;
  readonly username?: string;
  readonly expires_in?: number;
  readonly max_uses?: number;
}

/** How JupyterLab's socket of a document is to be opened. */
export interface IDocumentSession {
  readonly format: string;
  readonly type: string;
  readonly fileId: string;
  /** The document's epoch. */
  readonly sessionId: string;
}

/**
 * The calls that this package's server answers, as the person in this browser.
 *
 * Each rejects with an `ApiError` where the server refuses, and with
 * `ServerConnection.NetworkError` where it can't be reached.
 */
export interface ICollabClient {
  /**
   * Emitted with false when a call fails because the person is no longer signed in, or when
   * somebody else is signed in instead, and with true when the same person is again.
   */
  readonly signedInChanged: ISignal<ICollabClient, boolean>;

  /**
   * Who is signed in in this browser now instead of the person for whom this page was loaded;
   * null where nobody is. Once there is somebody, nothing is called any more.
   */
  readonly stranger: string | null;

  /** Return whether an account is that of the person for whom this page was loaded. */
  isMine(userId: string): boolean;

  /** Return the account of the person in this browser. */
  me(): Promise<IUser>;

  /** Return a page of the sessions of which the person is a member. */
  sessions(options?: {
    after?: string;
    limit?: number;
  }): Promise<IPage<ISession>>;

  session(id: string): Promise<ISession>;
  createSession(name: string, path: string): Promise<ISession>;

  members(id: string): Promise<readonly IMember[]>;
  setRole(id: string, username: string, role: Role): Promise<void>;
  removeMember(id: string, username: string): Promise<void>;

  invite(request: IInviteRequest): Promise<IInvited>;
  invitations(id: string): Promise<readonly IInvitation[]>;
  revokeInvitation(id: string, invitation: string): Promise<void>;

  /** Return the address of the events of a session. */
  eventsUrl(id: string): string;

  debug(request: IDebugRequest): Promise<IReport>;
  /** Return what the debugger last found in a document, where it is by now. */
  findings(reference: IDocumentReference): Promise<IFound>;
  generate(request: IGenerateRequest): Promise<IGeneration>;
  applyFix(finding: string): Promise<readonly IEdit[]>;
  /** Write a result, or those of its edits that have these numbers. */
  applyOperation(
    operation: string,
    edits?: readonly number[]
  ): Promise<IGeneration>;
  undoOperation(operation: string): Promise<IGeneration>;
  /** Return the AI locks that stand in a document. */
  locks(reference: IDocumentReference): Promise<readonly ILock[]>;
  breakLock(id: string, lock: string): Promise<void>;

  /** Return a page of the history of a document, the newest version first. */
  history(
    reference: IDocumentReference,
    options?: { after?: string; limit?: number; named?: boolean }
  ): Promise<IPage<IVersion>>;
  /** Return a version; `current` is what is there now. */
  version(
    reference: IDocumentReference,
    version: string,
    against?: string
  ): Promise<IVersionContent>;
  nameVersion(
    reference: IDocumentReference,
    version: string,
    name: string
  ): Promise<void>;
  unnameVersion(reference: IDocumentReference, version: string): Promise<void>;
  restore(
    reference: IDocumentReference,
    version: string,
    part: IRestorePart
  ): Promise<void>;
  /** Return who wrote each line. */
  blame(reference: IDocumentReference): Promise<IBlame>;

  /** Ask JupyterLab's own endpoint how to open a document. */
  openDocument(
    path: string,
    format: string,
    type: string
  ): Promise<IDocumentSession>;

  /**
   * Say that the login has ended, where something other than a call has told. Whether there is
   * another one by now is found out.
   */
  noteSignedOut(): void;
}

/** The header that says by which confirmation a grave action is asked for. */
const CONFIRMATION = 'X-Collab-Confirmation';

/** Milliseconds after which is asked whether the person has signed in again already. */
const LOOK_AGAIN = 1_000;

const MOST_OF_A_PAGE = 200;
/** Findings beyond which no further page is asked for. */
const MOST_FINDINGS = 1000;

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

export class CollabClient implements ICollabClient {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  get signedInChanged(): ISignal<this, boolean> {
    return this._signedInChanged;
  }

  get stranger(): string | null {
    return this._stranger;
  }

  isMine(userId: string): boolean {
    return !this._userId || userId === this._userId;
  }

  async me(): Promise<IUser> {
    const user = await this._json<IUser>('GET', ['me']);
    if (!this.isMine(user.id)) {
      this._onStranger(user.display_name || user.username);
    }
    this._refuseStranger();
    this._userId = user.id;
    this._setSignedIn(true);
    return user;
  }

  async sessions(
    options: { after?: string; limit?: number } = {}
  ): Promise<IPage<ISession>> {
    return this._json<IPage<ISession>>(
      'GET',
      ['sessions'],
      undefined,
      queryOf(options)
    );
  }

  async session(id: string): Promise<ISession> {
    return this._json<ISession>('GET', ['sessions', id]);
  }

  async createSession(name: string, path: string): Promise<ISession> {
    return this._json<ISession>('POST', ['sessions'], { name, path });
  }

  async members(id: string): Promise<readonly IMember[]> {
    return this._items<IMember>(['sessions', id, 'members']);
  }

  async setRole(id: string, username: string, role: Role): Promise<void> {
    await this._call('PUT', ['sessions', 'access'], {
      session_id: id,
      username,
      role
    });
  }

  async removeMember(id: string, username: string): Promise<void> {
    await this._call('DELETE', ['sessions', id, 'members', username]);
  }

  async invite(request: IInviteRequest): Promise<IInvited> {
    return this._json<IInvited>('POST', ['sessions', 'invite'], request);
  }

  async invitations(id: string): Promise<readonly IInvitation[]> {
    return this._items<IInvitation>(['sessions', id, 'invitations']);
  }

  async revokeInvitation(id: string, invitation: string): Promise<void> {
    await this._call('DELETE', ['sessions', id, 'invitations', invitation]);
  }

  eventsUrl(id: string): string {
    return this._url(['collab-ai', 'sessions', id, 'events']);
  }

  async debug(request: IDebugRequest): Promise<IReport> {
    return this._operation<IReport>(['ai', 'code-debugger'], request);
  }

  async findings({
    session_id: id,
    path
  }: IDocumentReference): Promise<IFound> {
    const items: IFinding[] = [];
    let after: string | undefined;
    for (;;) {
      const page: IPage<IFinding> & IFound = await this._json(
        'GET',
        ['sessions', id, 'findings'],
        undefined,
        queryOf({ path, limit: MOST_OF_A_PAGE, after })
      );
      items.push(...page.items);
      if (page.next === null || items.length >= MOST_FINDINGS) {
        return { operation_id: page.operation_id, items };
      }
      after = page.next;
    }
  }

  async generate(request: IGenerateRequest): Promise<IGeneration> {
    return this._operation<IGeneration>(['ai', 'code-generator'], request);
  }

  async applyFix(finding: string): Promise<readonly IEdit[]> {
    const path = ['ai', 'fixes', finding, 'apply'];
    return (await this._json<{ edits: IEdit[] }>('POST', path)).edits;
  }

  async applyOperation(
    operation: string,
    edits?: readonly number[]
  ): Promise<IGeneration> {
    return this._json(
      'POST',
      ['ai', 'operations', operation, 'apply'],
      edits === undefined ? undefined : { edits }
    );
  }

  async undoOperation(operation: string): Promise<IGeneration> {
    return this._json('POST', ['ai', 'operations', operation, 'undo']);
  }

  async locks({
    session_id: id,
    path
  }: IDocumentReference): Promise<readonly ILock[]> {
    return this._items<ILock>(['sessions', id, 'locks'], queryOf({ path }));
  }

  async breakLock(id: string, lock: string): Promise<void> {
    await this._call('DELETE', ['sessions', id, 'locks', lock]);
  }

  async history(
    { session_id: id, path }: IDocumentReference,
    options: { after?: string; limit?: number; named?: boolean } = {}
  ): Promise<IPage<IVersion>> {
    return this._json(
      'GET',
      ['sessions', id, 'history'],
      undefined,
      queryOf({ path, ...options })
    );
  }

  async version(
    { session_id: id, path }: IDocumentReference,
    version: string,
    against?: string
  ): Promise<IVersionContent> {
    return this._json(
      'GET',
      ['sessions', id, 'history', version],
      undefined,
      queryOf({ path, against })
    );
  }

  async nameVersion(
    { session_id: id, ...document }: IDocumentReference,
    version: string,
    name: string
  ): Promise<void> {
    await this._call('POST', ['sessions', id, 'versions'], {
      ...document,
      version,
      name
    });
  }

  async unnameVersion(
    { session_id: id, path }: IDocumentReference,
    version: string
  ): Promise<void> {
    await this._call(
      'DELETE',
      ['sessions', id, 'versions', version],
      undefined,
      queryOf({ path })
    );
  }

  async restore(
    { session_id: id, ...document }: IDocumentReference,
    version: string,
    part: IRestorePart
  ): Promise<void> {
    await this._call('POST', ['sessions', id, 'restore'], {
      ...document,
      version,
      ...part
    });
  }

  async blame({ session_id: id, path }: IDocumentReference): Promise<IBlame> {
    return this._json(
      'GET',
      ['sessions', id, 'blame'],
      undefined,
      queryOf({ path })
    );
  }

  async openDocument(
    path: string,
    format: string,
    type: string
  ): Promise<IDocumentSession> {
    const url = this._url(['api', 'collaboration', 'session', path]);
    const response = await this._fetch(url, 'PUT', { format, type });
    return (await response.json()) as IDocumentSession;
  }

  noteSignedOut(): void {
    this._setSignedIn(false);
    // Not at once: a call and a socket that see it differently would take turns without end.
    window.setTimeout(() => {
      this.me().catch(() => undefined);
    }, LOOK_AGAIN);
  }

  /**
   * Run an operation as an event stream, and return what its last event carries.
   *
   * Proxies don't give up on a stream that lives; and that somebody has cancelled it is no
   * failure of the call.
   */
  private async _operation<T>(
    path: readonly string[],
    body: object
  ): Promise<T> {
    const response = await this._fetch(
      this._url(['collab-ai', ...path]),
      'POST',
      body,
      { Accept: 'text/event-stream' }
    );
    const { event, data } = lastEvent(await readText(response));
    if (event === 'done') {
      return JSON.parse(data) as T;
    }
    throw toApiError(event === 'error' ? 500 : 502, data);
  }

  private async _items<T>(
    path: readonly string[],
    query?: URLSearchParams
  ): Promise<readonly T[]> {
    const answer = await this._json<{ items: readonly T[] }>(
      'GET',
      path,
      undefined,
      query
    );
    return answer.items;
  }

  private async _json<T>(
    method: Method,
    path: readonly string[],
    body?: object,
    query?: URLSearchParams
  ): Promise<T> {
    const response = await this._call(method, path, body, query);
    return JSON.parse(await readText(response)) as T;
  }

  private async _call(
    method: Method,
    path: readonly string[],
    body?: object,
    query?: URLSearchParams
  ): Promise<Response> {
    const search = query?.size ? `?${query.toString()}` : '';
    return this._fetch(
      this._url(['collab-ai', ...path]) + search,
      method,
      body
    );
  }

  private async _fetch(
    url: string,
    method: Method,
    body?: object,
    headers: Record<string, string> = {}
  ): Promise<Response> {
    this._refuseStranger();
    const content = body === undefined ? undefined : JSON.stringify(body);
    const call = `${method} ${url} ${content ?? ''}`;
    const confirmation = this._confirmations.get(call);
    this._confirmations.delete(call);
    const response = await ServerConnection.makeRequest(
      url,
      {
        method,
        cache: 'no-store',
        headers:
          confirmation === undefined
            ? headers
            : { ...headers, [CONFIRMATION]: confirmation },
        ...(content === undefined ? {} : { body: content })
      },
      this._settings
    );
    if (!response.ok) {
      const error = toApiError(
        response.status,
        await readText(response),
        response.headers.get('Retry-After')
      );
      if (error.confirmation !== null) {
        this._confirmations.set(call, error.confirmation.id);
      }
      if (error.loginEnded) {
        this._setSignedIn(false);
      }
      throw error;
    }
    if (!this._signedIn && url !== this._url(['collab-ai', 'me'])) {
      // Somebody is signed in again; before anything goes on, it is asked who.
      this.me().catch(() => undefined);
    }
    return response;
  }

  private _url(parts: readonly string[]): string {
    return URLExt.join(
      this._settings.baseUrl,
      ...parts.map(part => encodeURIComponent(part))
    );
  }

  /** Call nothing in the name of whoever is signed in instead of the page's person. */
  private _refuseStranger(): void {
    if (this._stranger !== null) {
      throw new ApiError(401, {
        message: `Now ${this._stranger} is signed in in this browser; reload the page.`,
        reason: 'not_authenticated'
      });
    }
  }

  private _onStranger(name: string): void {
    if (this._stranger === null) {
      this._stranger = name;
      this._signedIn = false;
      this._signedInChanged.emit(false);
    }
  }

  private _setSignedIn(signedIn: boolean): void {
    if (signedIn !== this._signedIn) {
      this._signedIn = signedIn;
      this._signedInChanged.emit(signedIn);
    }
  }

  /** What was asked to be confirmed, by the calls that ask for it once more. */
  private readonly _confirmations = new Map<string, string>();
  private _signedIn = true;
  private _stranger: string | null = null;
  /** The id of the person for whom this page was loaded; empty while it is not known. */
  private _userId = pageUser();
  private readonly _signedInChanged = new Signal<this, boolean>(this);
}

/** Read an answer to its end; that the connection breaks in it is no fault of the page. */
async function readText(response: Response): Promise<string> {
  try {
    return await response.text();
  } catch (error) {
    throw error instanceof TypeError
      ? new ServerConnection.NetworkError(error)
      : error;
  }
}

/** Return a query of what is given. */
function queryOf(
  values: Record<string, string | number | boolean | undefined>
): URLSearchParams {
  return new URLSearchParams(
    Object.entries(values).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, String(value)]]
    )
  );
}
