import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';

import { CollabClient, type ICollabClient } from './client';
import { ICollabClientToken } from './tokens';

export const apiPlugin: JupyterFrontEndPlugin<ICollabClient> = {
  id: 'jupyter-collab-ai:api',
  description: 'Provides the client of the server part.',
  autoStart: true,
  provides: ICollabClientToken,
  activate: (app: JupyterFrontEnd) =>
    new CollabClient(app.serviceManager.serverSettings)
};
