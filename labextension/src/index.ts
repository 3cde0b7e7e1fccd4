/**
 * The JupyterLab side of jupyter-collab-ai: one plugin a capability.
 */

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { accountPlugin } from './account/plugin';
import { apiPlugin } from './api/plugin';
import { sessionsPlugin } from './sessions/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  apiPlugin,
  accountPlugin,
  sessionsPlugin
];

export default plugins;
