import {
  Event,
  EventManager,
  IEventManager,
  IServerSettings,
  ServerConnection,
  type ServiceManagerPlugin
} from '@jupyterlab/services';
import { Stream } from '@lumino/signaling';

import { isMember } from '../api/page';

/**
 * The events of a server that keeps them back, as it does from members: they tell of
 * everybody's files. Asking again and again would fill the console and the server's log.
 */
class NoEvents implements Event.IManager {
  constructor(readonly serverSettings: ServerConnection.ISettings) {}

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  get stream(): Event.Stream {
    return this._stream;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this._stream.stop();
    }
  }

  emit(): Promise<void> {
    return Promise.reject(new Error('Only admins may emit events.'));
  }

  private _isDisposed = false;
  private readonly _stream = new Stream<Event.IManager, Event.Emission>(this);
}

/**
 * Takes the place of `@jupyterlab/services-extension:event-manager`.
 */
export const eventsPlugin: ServiceManagerPlugin<Event.IManager> = {
  id: 'jupyter-collab-ai:events',
  description: 'Provides the server’s events to those who may have them.',
  autoStart: true,
  provides: IEventManager,
  optional: [IServerSettings],
  activate: (_: null, settings: ServerConnection.ISettings | null) => {
    const serverSettings = settings ?? ServerConnection.makeSettings();
    return isMember()
      ? new NoEvents(serverSettings)
      : new EventManager({ serverSettings });
  }
};
