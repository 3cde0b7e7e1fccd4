import {
  IConnectionLost,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

/** Milliseconds for which it is said; it is said again as long as it lasts. */
const SHOWN = 8_000;

/**
 * Says that the server can't be reached without taking the keyboard away: JupyterLab's dialog
 * would stop people from typing, although nothing of it is lost.
 */
export const connectionLostPlugin: JupyterFrontEndPlugin<IConnectionLost> = {
  id: 'jupyter-collab-ai:connection-lost',
  description: 'Says that the server can’t be reached.',
  autoStart: true,
  optional: [ITranslator],
  provides: IConnectionLost,
  activate: (_: JupyterFrontEnd, translator: ITranslator | null) => {
    const trans = (translator ?? nullTranslator).load('jupyter_collab_ai');
    let shown: string | null = null;
    return () => {
      if (shown === null || !Notification.manager.has(shown)) {
        shown = Notification.warning(
          trans.__(
            'The server can’t be reached. It is tried again; what you type in documents is kept meanwhile.'
          ),
          { autoClose: SHOWN }
        );
      }
      return Promise.resolve();
    };
  }
};
