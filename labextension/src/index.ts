/**
 * The JupyterLab side of jupyter-collab-ai: one plugin a capability.
 */

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';
import type { ServiceManagerPlugin } from '@jupyterlab/services';

import { accountPlugin } from './account/plugin';
import { aiPlugin } from './ai/plugin';
import { apiPlugin } from './api/plugin';
import { connectionLostPlugin } from './documents/connectionLost';
import { eventsPlugin } from './documents/events';
import { executorPlugin } from './documents/executor';
import {
  documentsPlugin,
  providerFactoryPlugin
} from './documents/factoryPlugin';
import { lobbyPlugin } from './documents/lobby';
import { viewPlugin } from './documents/viewPlugin';
import { historyPlugin } from './history/plugin';
import { sessionsPlugin } from './sessions/plugin';
import { sharePlugin } from './sessions/sharePlugin';
import { widgetsPlugin } from './widgets/plugin';

const plugins: (
  JupyterFrontEndPlugin<unknown> | ServiceManagerPlugin<unknown>
)[] = [
  eventsPlugin,
  apiPlugin,
  accountPlugin,
  documentsPlugin,
  providerFactoryPlugin,
  lobbyPlugin,
  connectionLostPlugin,
  executorPlugin,
  viewPlugin,
  sessionsPlugin,
  sharePlugin,
  historyPlugin,
  aiPlugin,
  widgetsPlugin
];

export default plugins;
