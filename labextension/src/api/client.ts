import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import { type ISignal, Signal } from '@lumino/signaling';

import { toApiError } from './errors';
import type { IPage, ISession, IUser } from './types';

/**
 * The calls that this package's server answers, as the person in this browser.
 */
export interface ICollabClient {
  /**
   * Emitted with false when a call fails because the person is no longer signed in, and with
   * true when a later one succeeds.
   */
  readonly signedInChanged: ISignal<ICollabClient, boolean>;

  /** Return the account of the person in this browser. */
  me(): Promise<IUser>;

  /** Return a page of the sessions of which the person is a member. */
  sessions(options?: {
    after?: string;
    limit?: number;
  }): Promise<IPage<ISession>>;
}

export class CollabClient implements ICollabClient {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  get signedInChanged(): ISignal<this, boolean> {
    return this._signedInChanged;
  }

  async me(): Promise<IUser> {
    return this._get<IUser>('me');
  }

  async sessions(
    options: { after?: string; limit?: number } = {}
  ): Promise<IPage<ISession>> {
    const query = new URLSearchParams();
    if (options.after !== undefined) {
      query.set('after', options.after);
    }
    if (options.limit !== undefined) {
      query.set('limit', String(options.limit));
    }
    return this._get<IPage<ISession>>('sessions', query);
  }

  private async _get<T>(path: string, query?: URLSearchParams): Promise<T> {
    const url = URLExt.join(this._settings.baseUrl, 'collab-ai', path);
    const search = query?.size ? `?${query.toString()}` : '';
    const response = await ServerConnection.makeRequest(
      url + search,
      { cache: 'no-store' },
      this._settings
    );
    if (!response.ok) {
      const error = toApiError(
        response.status,
        response.statusText,
        await response.text()
      );
      if (error.loginEnded) {
        this._setSignedIn(false);
      }
      throw error;
    }
    this._setSignedIn(true);
    return (await response.json()) as T;
  }

  private _setSignedIn(signedIn: boolean): void {
    if (signedIn !== this._signedIn) {
      this._signedIn = signedIn;
      this._signedInChanged.emit(signedIn);
    }
  }

  private _signedIn = true;
  private readonly _signedInChanged = new Signal<this, boolean>(this);
}
