import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Poll } from '@lumino/polling';

import type { ICollabClient } from '../api/client';

/** Milliseconds between two looks at whether the login still stands. */
const INTERVAL = 60_000;
/** On which pages of one browser tell each other that they were loaded. */
const CHANNEL = 'jupyter-collab-ai:loaded';

/**
 * Tells the person, once, that their login has ended, and takes it back when they are signed
 * in again (in another tab, say). JupyterLab by itself says nothing: its calls just fail.
 *
 * Should somebody else be signed in instead, this page is over: all tabs of a browser share one
 * login, and what is done here would be done as that person.
 */
export class LoginWatch implements IDisposable {
  constructor(
    private readonly _client: ICollabClient,
    private readonly _signIn: () => void,
    private readonly _trans: TranslationBundle
  ) {
    _client.signedInChanged.connect(this._onChanged, this);
    this._poll = new Poll({
      name: 'jupyter-collab-ai:login',
      factory: () => _client.me(),
      frequency: { interval: INTERVAL, backoff: true, max: 5 * INTERVAL },
      standby: 'when-hidden'
    });
    // Somebody may have signed in to load a page; who it is, only the server says.
    this._pages.onmessage = () => {
      _client.me().catch(() => undefined);
    };
    this._pages.postMessage(null);
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  dispose(): void {
    this._client.signedInChanged.disconnect(this._onChanged, this);
    this._poll.dispose();
    this._pages.close();
    this._takeBack();
  }

  private _onChanged({ stranger }: ICollabClient, signedIn: boolean): void {
    this._takeBack();
    if (stranger !== null) {
      this._tellOf(stranger);
    } else if (!signedIn) {
      this._tell();
    }
  }

  private _tellOf(stranger: string): void {
    this._notification = Notification.error(
      this._trans.__(
        'Now %1 is signed in in this browser; reload the page. What you type here is not shared or saved.',
        stranger
      ),
      {
        autoClose: false,
        actions: [
          {
            label: this._trans.__('Reload'),
            displayType: 'accent',
            callback: () => {
              window.location.reload();
            }
          }
        ]
      }
    );
  }

  private _tell(): void {
    this._notification = Notification.error(
      this._trans.__(
        'You are no longer signed in. What you type now is not shared or saved.'
      ),
      {
        autoClose: false,
        actions: [
          {
            label: this._trans.__('Sign in again'),
            displayType: 'accent',
            callback: this._signIn
          }
        ]
      }
    );
  }

  private _takeBack(): void {
    if (this._notification !== null) {
      Notification.dismiss(this._notification);
      this._notification = null;
    }
  }

  private _notification: string | null = null;
  private readonly _pages = new BroadcastChannel(CHANNEL);
  private readonly _poll: Poll;
}
