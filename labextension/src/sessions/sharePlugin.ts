import {
  ILabShell,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import type { ICollabClient } from '../api/client';
import { sentenceOf } from '../api/errors';
import { isMember } from '../api/page';
import { ICollabClientToken } from '../api/tokens';
import { type ILiveDocuments, ILiveDocumentsToken } from '../documents/tokens';
import { tellFailure } from '../ui/toasts';
import { clickedPath, FileCommands } from './fileCommands';
import { shareIcon } from './icons';
import { ShareModel } from './shareModel';
import { showShareDialog } from './shareView';
import { isDocumentWidget } from '../documents/widgets';

export const CommandIDs = {
  share: 'collab-ai:share',
  shareTab: 'collab-ai:share-tab',
  shareSelected: 'collab-ai:share-selected'
} as const;

export const sharePlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-collab-ai:share',
  description: 'Shares files and folders, with roles.',
  autoStart: true,
  requires: [ICollabClientToken, ILiveDocumentsToken],
  optional: [
    ILabShell,
    IDocumentManager,
    IFileBrowserFactory,
    ICommandPalette,
    ITranslator
  ],
  activate: (
    app: JupyterFrontEnd,
    client: ICollabClient,
    documents: ILiveDocuments,
    labShell: ILabShell | null,
    manager: IDocumentManager | null,
    browsers: IFileBrowserFactory | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_collab_ai');
    const { commands, shell } = app;

    const share = async (path: string): Promise<void> => {
      const open = [...documents].find(live => live.path === path);
      let me: string;
      try {
        me = (await client.me()).username;
      } catch (error) {
        tellFailure(
          trans.__('It can’t be shared now: %1', sentenceOf(error, trans)),
          trans
        );
        return;
      }
      await showShareDialog(
        new ShareModel(client, path, open?.session ?? null, trans),
        me,
        trans
      );
    };
    const current = (): string | null => {
      const widget = shell.currentWidget;
      return isDocumentWidget(widget) ? widget.context.path : null;
    };
    const selected = (): string | null => {
      const items = [
        ...(browsers?.tracker.currentWidget?.selectedItems() ?? [])
      ];
      return items.length === 1 ? (items[0]?.path ?? null) : null;
    };

    if (isMember()) {
      new FileCommands(
        app,
        documents,
        manager,
        browsers,
        app.serviceManager.contents
      );
    }

    const sources: [string, () => string | null][] = [
      [CommandIDs.share, current],
      [CommandIDs.shareTab, () => clickedPath(app, manager)],
      [CommandIDs.shareSelected, selected]
    ];
    for (const [id, pathOf] of sources) {
      commands.addCommand(id, {
        label: trans.__('Share…'),
        caption: trans.__('Invite others, and see who has access'),
        icon: shareIcon,
        describedBy: {
          args: {
            type: 'object',
            properties: {
              path: {
                type: 'string',
                description: trans.__('The file or folder to share')
              }
            }
          }
        },
        isEnabled: args => typeof args.path === 'string' || pathOf() !== null,
        execute: async args => {
          const given = args.path;
          const path = typeof given === 'string' ? given : pathOf();
          if (path !== null) {
            await share(path);
          }
        }
      });
    }
    labShell?.currentChanged.connect(() => {
      commands.notifyCommandChanged(CommandIDs.share);
    });
    palette?.addItem({
      command: CommandIDs.share,
      category: trans.__('Collaboration')
    });
  }
};
