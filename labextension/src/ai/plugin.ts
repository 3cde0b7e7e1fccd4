import {
  ILabShell,
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import {
  EditorExtensionRegistry,
  IEditorExtensionRegistry
} from '@jupyterlab/codemirror';
import { NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { LabIcon, SidePanel } from '@jupyterlab/ui-components';
import type * as Y from 'yjs';

import debugSvg from '../../style/icons/debug.svg';
import generateSvg from '../../style/icons/generate.svg';
import type { ICollabClient } from '../api/client';
import { ICollabClientToken } from '../api/tokens';
import type { Capability } from '../api/types';
import type { ILiveDocument } from '../documents/liveDocument';
import { type ILiveDocuments, ILiveDocumentsToken } from '../documents/tokens';
import { Findings, type ILiveFinding } from './findings';
import { findingsEditor } from './findingsEditor';
import { FindingsView } from './findingsView';
import { jumpTo, viewOf } from './jump';
import { Locks } from './locks';
import { LocksBar } from './locksBar';
import { showAtCells } from './locksCells';
import { locksEditor } from './locksEditor';
import { Operations } from './operations';
import type { Anchor } from './positions';
import { AssistantToken, type IAssistant } from './tokens';
import { adornDocuments } from '../documents/adorn';

export const CommandIDs = {
  debug: 'collab-ai:debug',
  generate: 'collab-ai:generate',
  showFindings: 'collab-ai:show-findings'
} as const;

const debugIcon = new LabIcon({
  name: 'jupyter-collab-ai:debug',
  svgstr: debugSvg
});
const generateIcon = new LabIcon({
  name: 'jupyter-collab-ai:generate',
  svgstr: generateSvg
});

const PANEL_ID = 'jp-collab-ai-findings';

export const aiPlugin: JupyterFrontEndPlugin<IAssistant> = {
  id: 'jupyter-collab-ai:ai',
  description: 'The AI debugger and generator in documents.',
  autoStart: true,
  provides: AssistantToken,
  requires: [ICollabClientToken, ILiveDocumentsToken, IEditorExtensionRegistry],
  optional: [ILabShell, ILayoutRestorer, ICommandPalette, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    client: ICollabClient,
    documents: ILiveDocuments,
    editors: IEditorExtensionRegistry,
    labShell: ILabShell | null,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    translator: ITranslator | null
  ): IAssistant => {
    const trans = (translator ?? nullTranslator).load('jupyter_collab_ai');
    const { commands, shell } = app;
    const findings = new Findings(documents, client);
    const locks = new Locks(documents, client);
    const operations = new Operations(client, findings, trans);
    const me = (): string => app.serviceManager.user.identity?.username ?? '';

    const applyFix = (document: ILiveDocument, found: ILiveFinding): void => {
      void operations.applyFix(document, found);
    };
    const applyFixes = (
      document: ILiveDocument,
      found: readonly ILiveFinding[]
    ): void => {
      void operations.applyFixes(document, found);
    };
    const jump = (
      document: ILiveDocument,
      { anchor }: { readonly anchor: Anchor | null }
    ): void => {
      if (anchor !== null) {
        void jumpTo(app, document, anchor);
      }
    };
    const debug = async (document: ILiveDocument): Promise<void> => {
      if ((await operations.debug(document)) !== null) {
        shell.activateById(PANEL_ID);
      }
    };

    editors.addExtension({
      name: 'collab-ai:ai',
      factory: options => {
        const { sharedModel } = options.model;
        const document = documents.find(sharedModel);
        const text = (sharedModel as { ysource?: Y.Text }).ysource;
        return document === null || text === undefined
          ? null
          : EditorExtensionRegistry.createImmutableExtension([
              findingsEditor({ document, text, findings, trans, applyFix }),
              locksEditor({ document, text, locks, trans })
            ]);
      }
    });
    adornDocuments(app, documents, (widget, document) => {
      if (widget instanceof NotebookPanel) {
        showAtCells(widget, document, locks, trans);
      }
      widget.contentHeader.addWidget(
        new LocksBar({
          document,
          locks,
          me,
          trans,
          cancel: (one, held) => {
            void operations.cancel(one, held);
          },
          show: jump
        })
      );
    });
    locks.takenBack.connect((_, operation) => {
      void operations.takenBack(operation);
    });

    const view = new FindingsView({
      findings,
      trans,
      jump,
      applyFix,
      applyFixes,
      debug: document => {
        void debug(document);
      }
    });
    const panel = new SidePanel({ translator: translator ?? nullTranslator });
    panel.id = PANEL_ID;
    panel.addClass('jp-CollabAI-panel');
    panel.title.icon = debugIcon;
    panel.title.caption = trans.__('AI Findings');
    panel.node.setAttribute('role', 'region');
    panel.node.setAttribute('aria-label', trans.__('AI findings'));
    view.title.label = trans.__('AI findings');
    panel.addWidget(view);
    shell.add(panel, 'right', { rank: 310 });
    restorer?.add(panel, PANEL_ID);

    const front = (capability: Capability): ILiveDocument | null => {
      const document = documents.of(shell.currentWidget);
      if (document === null) {
        return null;
      }
      // What is not shared yet is one's own.
      const own = document.session === null && document.may('write');
      return own || document.may(capability) ? document : null;
    };
    const refresh = (): void => {
      view.document = documents.of(shell.currentWidget);
      for (const id of [CommandIDs.debug, CommandIDs.generate]) {
        commands.notifyCommandChanged(id);
      }
    };
    const args = {
      type: 'object',
      properties: {}
    } as const;

    commands.addCommand(CommandIDs.debug, {
      label: trans.__('Debug with AI'),
      caption: trans.__(
        'Look for syntax errors, bugs, performance problems and security holes'
      ),
      icon: debugIcon,
      describedBy: { args },
      isEnabled: () => front('debug') !== null,
      execute: async () => {
        const document = front('debug');
        if (document !== null) {
          await debug(document);
        }
      }
    });
    commands.addCommand(CommandIDs.generate, {
      label: trans.__('Generate Code with AI…'),
      caption: trans.__('Have code written into this document'),
      icon: generateIcon,
      describedBy: { args },
      isEnabled: () => front('generate') !== null,
      execute: async () => {
        const document = front('generate');
        const widget = document === null ? null : viewOf(app, document);
        if (document !== null && widget !== null) {
          await operations.generate(document, widget);
        }
      }
    });
    commands.addCommand(CommandIDs.showFindings, {
      label: trans.__('Show AI Findings'),
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => {
        shell.activateById(PANEL_ID);
      }
    });
    for (const command of Object.values(CommandIDs)) {
      palette?.addItem({ command, category: trans.__('Collaboration') });
    }
    labShell?.currentChanged.connect(refresh);
    documents.each(document => {
      document.changed.connect(refresh);
    });

    return {
      findings,
      debug: document => operations.debug(document),
      applyFix,
      applyFixes,
      jump
    };
  }
};
