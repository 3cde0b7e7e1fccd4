import { IUserMenu } from '@jupyter/collaboration';
import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { URLExt } from '@jupyterlab/coreutils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import type { ICollabClient } from '../api/client';
import { ICollabClientToken } from '../api/tokens';
import { LoginWatch } from './loginWatch';

export const CommandIDs = {
  account: 'collab-ai:account',
  signOut: 'collab-ai:sign-out'
} as const;

export const accountPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-collab-ai:account',
  description: 'Signs out, and tells when a login has ended.',
  autoStart: true,
  requires: [ICollabClientToken],
  optional: [IUserMenu, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    client: ICollabClient,
    userMenu: IUserMenu | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_collab_ai');
    const { baseUrl } = app.serviceManager.serverSettings;

    app.commands.addCommand(CommandIDs.signOut, {
      label: trans.__('Sign Out'),
      caption: trans.__('End your login in this browser'),
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => {
        window.location.assign(URLExt.join(baseUrl, 'logout'));
      }
    });
    app.commands.addCommand(CommandIDs.account, {
      label: trans.__('My Account'),
      caption: trans.__('Where you are signed in, and your password'),
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => {
        window.open(
          URLExt.join(baseUrl, 'collab-ai', 'account'),
          '_blank',
          'noopener'
        );
      }
    });
    for (const command of [CommandIDs.account, CommandIDs.signOut]) {
      userMenu?.addItem({ command });
      palette?.addItem({ command, category: trans.__('Collaboration') });
    }

    const watch = new LoginWatch(
      client,
      () => {
        const { pathname, search } = window.location;
        window.location.assign(
          `${URLExt.join(baseUrl, 'login')}?next=${encodeURIComponent(pathname + search)}`
        );
      },
      trans
    );
    window.addEventListener('pagehide', () => {
      watch.dispose();
    });
  }
};
