import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import {
  refreshIcon,
  SidePanel,
  ToolbarButton
} from '@jupyterlab/ui-components';

import type { ICollabClient } from '../api/client';
import { ICollabClientToken } from '../api/tokens';
import type { ISession } from '../api/types';
import { sessionsIcon, shareIcon } from './icons';
import { SessionsModel } from './model';
import { SessionsView } from './view';

export const CommandIDs = {
  show: 'collab-ai:show-sessions'
} as const;

const PANEL_ID = 'jp-collab-ai-sessions';

export const sessionsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-collab-ai:sessions',
  description: 'Lists what is shared with you in the side bar.',
  autoStart: true,
  requires: [ICollabClientToken],
  optional: [ILayoutRestorer, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    client: ICollabClient,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_collab_ai');
    const { commands, shell } = app;

    const open = (session: ISession): void => {
      void commands.execute(
        session.type === 'directory'
          ? 'filebrowser:open-path'
          : 'docmanager:open',
        { path: session.path }
      );
    };

    const model = new SessionsModel(client, trans);
    const panel = new SidePanel({ translator: translator ?? nullTranslator });
    panel.id = PANEL_ID;
    panel.addClass('jp-CollabAI-panel');
    panel.title.icon = sessionsIcon;
    panel.title.caption = trans.__('Shared Sessions');
    panel.node.setAttribute('role', 'region');
    panel.node.setAttribute('aria-label', trans.__('Shared sessions'));
    const share = (session: ISession): void => {
      void commands.execute('collab-ai:share', { path: session.path });
    };
    const view = new SessionsView(model, open, share, trans);
    view.title.label = trans.__('Shared sessions');
    panel.addWidget(view);
    panel.toolbar.addItem(
      'refresh',
      new ToolbarButton({
        icon: refreshIcon,
        tooltip: trans.__('Look again'),
        onClick: () => {
          void model.refresh();
        }
      })
    );
    panel.toolbar.addItem(
      'share',
      new ToolbarButton({
        icon: shareIcon,
        tooltip: trans.__('Share the document in front'),
        onClick: () => {
          void commands.execute('collab-ai:share');
        }
      })
    );
    shell.add(panel, 'left', { rank: 310 });
    restorer?.add(panel, PANEL_ID);

    commands.addCommand(CommandIDs.show, {
      label: trans.__('Show Shared Sessions'),
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => {
        shell.activateById(PANEL_ID);
      }
    });
    palette?.addItem({
      command: CommandIDs.show,
      category: trans.__('Collaboration')
    });
  }
};
