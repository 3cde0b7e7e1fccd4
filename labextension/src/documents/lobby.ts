import {
  type IAwarenessProvider,
  IAwarenessProviderFactory
} from '@jupyter/docprovider';
import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { URLExt } from '@jupyterlab/coreutils';
import type { User } from '@jupyterlab/services';
import { WebsocketProvider } from 'y-websocket';

import type { ICollabClient } from '../api/client';
import { ICollabClientToken } from '../api/tokens';

/**
 * Shows who is online. It waits while the person is not signed in: its attempts would all be
 * refused, and fill the console and the server's log.
 */
class LobbyProvider implements IAwarenessProvider {
  constructor(
    options: IAwarenessProviderFactory.IOptions,
    private readonly _client: ICollabClient
  ) {
    this.awareness = options.awareness;
    this._user = options.user;
    this._provider = new WebsocketProvider(
      URLExt.join(options.serverSettings.wsUrl, 'api/collaboration/room'),
      options.roomID,
      options.awareness.doc,
      {
        disableBc: true,
        awareness: options.awareness,
        WebSocketPolyfill: options.serverSettings.WebSocket,
        // Who is refused is told so; asking again would not change it.
        shouldReconnect: event => event.code !== 1003
      }
    );
    this._provider.on('closed', () => {
      // Finds out whether the login has ended, of which the person is told then.
      _client.me().catch(() => undefined);
    });
    void this._user.ready.then(() => {
      this._showUser(this._user);
    });
    this._user.userChanged.connect(this._showUser, this);
    _client.signedInChanged.connect(this._onSignedIn, this);
  }

  readonly awareness: IAwarenessProvider['awareness'];

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this._user.userChanged.disconnect(this._showUser, this);
      this._client.signedInChanged.disconnect(this._onSignedIn, this);
      this._provider.destroy();
    }
  }

  private _showUser(user: User.IManager): void {
    this.awareness.setLocalStateField('user', user.identity);
  }

  private _onSignedIn(_: ICollabClient, signedIn: boolean): void {
    if (signedIn) {
      this._provider.connect();
    } else {
      this._provider.disconnect();
    }
  }

  private readonly _user: User.IManager;
  private readonly _provider: WebsocketProvider;
  private _isDisposed = false;
}

/**
 * Takes the place of `@jupyter/docprovider-extension:websocket-provider-awareness-factory`.
 */
export const lobbyPlugin: JupyterFrontEndPlugin<IAwarenessProviderFactory> = {
  id: 'jupyter-collab-ai:awareness-factory',
  description: 'Connects to the list of who is online.',
  autoStart: true,
  requires: [ICollabClientToken],
  provides: IAwarenessProviderFactory,
  activate: (_: JupyterFrontEnd, client: ICollabClient) => ({
    create: options => new LobbyProvider(options, client)
  })
};
