import type { Extension } from '@codemirror/state';
import {
  ILabShell,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import {
  ICommandPalette,
  InputDialog,
  MainAreaWidget
} from '@jupyterlab/apputils';
import {
  EditorExtensionRegistry,
  IEditorExtensionRegistry,
  type IEditorLanguage,
  IEditorLanguageRegistry,
  jupyterTheme
} from '@jupyterlab/codemirror';
import { PathExt } from '@jupyterlab/coreutils';
import type { ISharedCell } from '@jupyter/ydoc';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';
import { LabIcon } from '@jupyterlab/ui-components';
import { SplitPanel } from '@lumino/widgets';

import historySvg from '../../style/icons/history.svg';
import type { ICollabClient } from '../api/client';
import { sentenceOf } from '../api/errors';
import { ICollabClientToken } from '../api/tokens';
import type { ILiveDocument } from '../documents/liveDocument';
import { type ILiveDocuments, ILiveDocumentsToken } from '../documents/tokens';
import { referenceTo } from '../sessions/find';
import { tellFailure } from '../ui/toasts';
import { Authors } from './authors';
import { authorsEditor } from './authorsEditor';
import { type Colours, CompareView } from './compareView';
import { HistoryModel } from './model';
import { Timeline } from './timeline';

export const CommandIDs = {
  history: 'collab-ai:history',
  authors: 'collab-ai:show-authors'
} as const;

const historyIcon = new LabIcon({
  name: 'jupyter-collab-ai:history',
  svgstr: historySvg
});

export const historyPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-collab-ai:history',
  description: 'The versions of a shared document: who changed what, and back.',
  autoStart: true,
  requires: [
    ICollabClientToken,
    ILiveDocumentsToken,
    IEditorLanguageRegistry,
    IEditorExtensionRegistry
  ],
  optional: [ILabShell, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    client: ICollabClient,
    documents: ILiveDocuments,
    languages: IEditorLanguageRegistry,
    editors: IEditorExtensionRegistry,
    labShell: ILabShell | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_collab_ai');
    const { commands, shell } = app;

    const front = (): ILiveDocument | null => {
      const document = documents.of(shell.currentWidget);
      return document?.session == null ? null : document;
    };
    /** What the histories on the screen are of. */
    const models = new Set<HistoryModel>();
    documents.each(document => {
      const rebind = (): void => {
        for (const model of models) {
          const found = [...documents].find(({ path }) => path === model.path);
          if (found !== undefined) {
            model.rebind(found);
          }
        }
      };
      rebind();
      // It may be open anew before it is gone.
      document.disposed.connect(rebind);
    });
    const open = async (document: ILiveDocument): Promise<void> => {
      const id = `jp-collab-ai-history-${document.path}`;
      const before = [...shell.widgets('main')].find(one => one.id === id);
      if (before !== undefined) {
        shell.activateById(id);
        return;
      }
      if (document.session === null) {
        return;
      }
      const session = await client.session(document.session);
      const model = new HistoryModel(
        client,
        referenceTo(session, document.path),
        document,
        trans
      );
      models.add(model);
      const widget = historyWidget(
        model,
        await coloursOf(document.path, languages),
        trans
      );
      widget.disposed.connect(() => {
        models.delete(model);
      });
      widget.id = id;
      widget.title.label = trans.__(
        'History: %1',
        PathExt.basename(document.path)
      );
      widget.title.caption = document.path;
      widget.title.icon = historyIcon;
      // Notebook 7 shows one document, and nothing beside it but panels.
      shell.add(widget, labShell === null ? 'right' : 'main');
      shell.activateById(id);
      await model.refresh();
    };

    commands.addCommand(CommandIDs.history, {
      label: trans.__('Version History'),
      caption: trans.__('See who changed what and when, and bring it back'),
      icon: historyIcon,
      describedBy: { args: { type: 'object', properties: {} } },
      isEnabled: () => front() !== null,
      execute: async () => {
        const document = front();
        if (document !== null) {
          try {
            await open(document);
          } catch (error) {
            tellFailure(
              trans.__(
                'The history can’t be shown: %1',
                sentenceOf(error, trans)
              ),
              trans
            );
          }
        }
      }
    });
    const authors = new Authors(client, trans);
    editors.addExtension({
      name: 'collab-ai:authors',
      factory: options => {
        const { sharedModel } = options.model;
        const document = documents.find(sharedModel);
        const cell = (): string | null =>
          'cell_type' in sharedModel
            ? (sharedModel as ISharedCell).getId()
            : null;
        return document === null
          ? null
          : EditorExtensionRegistry.createImmutableExtension(
              authorsEditor(document, cell, authors)
            );
      }
    });
    commands.addCommand(CommandIDs.authors, {
      label: trans.__('Show Who Wrote Each Line'),
      describedBy: { args: { type: 'object', properties: {} } },
      isEnabled: () => front() !== null,
      isToggleable: true,
      isToggled: () => {
        const document = front();
        return document !== null && authors.isShown(document);
      },
      execute: async () => {
        const document = front();
        if (document === null) {
          return;
        }
        if (authors.isShown(document)) {
          authors.hide(document);
          return;
        }
        try {
          await authors.show(document);
        } catch (error) {
          tellFailure(
            trans.__(
              'Who wrote it can’t be shown: %1',
              sentenceOf(error, trans)
            ),
            trans
          );
        }
      }
    });
    for (const command of Object.values(CommandIDs)) {
      palette?.addItem({ command, category: trans.__('Collaboration') });
    }
    const refresh = (): void => {
      for (const id of Object.values(CommandIDs)) {
        commands.notifyCommandChanged(id);
      }
    };
    authors.changed.connect(refresh);
    labShell?.currentChanged.connect(refresh);
    documents.each(document => {
      document.changed.connect(refresh);
    });
  }
};

function historyWidget(
  model: HistoryModel,
  colours: Colours,
  trans: TranslationBundle
): MainAreaWidget {
  const askName = async (): Promise<void> => {
    const result = await InputDialog.getText({
      title: trans.__('Name this version'),
      label: trans.__('Name'),
      text: model.selected?.name ?? ''
    });
    const name = result.value?.trim();
    if (result.button.accept && name) {
      await model.name(name);
    }
  };
  const content = new SplitPanel({ orientation: 'horizontal' });
  content.addClass('jp-CollabAI-history');
  content.addWidget(
    new CompareView({
      model,
      colours,
      trans,
      askName: () => {
        void askName();
      }
    })
  );
  content.addWidget(new Timeline(model, trans));
  content.setRelativeSizes([3, 1]);
  const widget = new MainAreaWidget({ content });
  widget.toolbar.hide();
  widget.disposed.connect(() => {
    model.dispose();
  });
  return widget;
}

/** Return how the texts of a document are coloured: as in its editor. */
async function coloursOf(
  path: string,
  languages: IEditorLanguageRegistry
): Promise<Colours> {
  const load = async (found: IEditorLanguage | null): Promise<Extension[]> => {
    const language = found === null ? null : await languages.getLanguage(found);
    return language?.support
      ? [jupyterTheme, language.support]
      : [jupyterTheme];
  };
  const [own, python, markdown] = await Promise.all([
    load(languages.findByFileName(path)),
    load(languages.findByMIME('text/x-python')),
    load(languages.findByMIME('text/x-ipythongfm'))
  ]);
  return kind => {
    switch (kind) {
      case 'document':
        return own;
      case 'code':
        return python;
      case 'markdown':
        return markdown;
      case 'raw':
        return [jupyterTheme];
    }
  };
}
