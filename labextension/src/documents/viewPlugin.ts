import {
  ILabShell,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import {
  EditorExtensionRegistry,
  IEditorExtensionRegistry
} from '@jupyterlab/codemirror';
import { IDocumentManager } from '@jupyterlab/docmanager';
import type { DocumentWidget } from '@jupyterlab/docregistry';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { NotebookPanel } from '@jupyterlab/notebook';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';

import { runsCode } from '../api/page';
import { adornDocuments } from './adorn';
import { DocumentBanner } from './banner';
import { CellKeeper } from './cellKeeper';
import { tell } from './dialogs';
import { guardCommands, type IFront, refreshCommands } from './editCommands';
import { keep, take } from './keptText';
import type { ILiveDocument, LiveDocument } from './liveDocument';
import { markReadOnly } from './readOnlyMarks';
import { NotebookGuard } from './notebookGuard';
import { readOnlyEditor } from './readOnlyEditor';
import { closeAll, reopen } from './reopen';
import { type IEndedForGood, REMOVED, SIGNED_OUT } from './provider';
import type { IEnded, LiveDocuments } from './service';
import { ILiveDocumentsToken } from './tokens';

/** Milliseconds within which documents that end together are told of together. */
const TOGETHER = 400;

/**
 * Shows what the person may do in a document, and holds the page to it.
 */
export const viewPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-collab-ai:document-views',
  description:
    'Shows what the person may do in a document, and reopens those that have to be.',
  autoStart: true,
  requires: [ILiveDocumentsToken, IEditorExtensionRegistry],
  optional: [ILabShell, IDocumentManager, IDefaultFileBrowser, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    documents: LiveDocuments,
    editors: IEditorExtensionRegistry,
    shell: ILabShell | null,
    manager: IDocumentManager | null,
    browser: IDefaultFileBrowser | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_collab_ai');

    editors.addExtension({
      name: 'collab-ai:read-only',
      factory: options => {
        const live = documents.find(options.model.sharedModel);
        return live === null
          ? null
          : EditorExtensionRegistry.createImmutableExtension(
              readOnlyEditor(live)
            );
      }
    });

    adornDocuments(app, documents, (widget, live) => {
      adorn(widget, live, trans);
      const document = documents.find(live.model);
      if (widget instanceof NotebookPanel && document !== null) {
        new CellKeeper(widget, document, trans);
      }
    });

    guardCommands(app.commands, () => frontOf(app, documents));
    const refresh = (): void => {
      refreshCommands(app.commands);
    };
    shell?.currentChanged.connect(refresh);
    documents.each(live => {
      live.changed.connect(refresh);
    });
    documents.each(live => {
      attend(live, trans);
    });

    const endings = new Endings(app, shell, manager, browser, trans);
    documents.ended.connect((_, ended) => {
      endings.handle(ended);
    });
    void app.restored.then(async () => {
      for (const { path, text } of take()) {
        await tell(
          trans.__('Your text from before'),
          trans.__('This could not be taken into %1 any more:', path),
          text,
          trans
        );
      }
    });
  }
};

function frontOf(
  app: JupyterFrontEnd,
  documents: LiveDocuments
): IFront | null {
  const live = documents.of(app.shell.currentWidget);
  return live === null
    ? null
    : { readOnly: live.readOnly, runsCode: mayRun(live) };
}

function mayRun(live: ILiveDocument): boolean {
  const right = runsCode();
  return right === 'by_role' ? live.may('execute') : right === 'always';
}

/** Say what happens to a document, once for all views of it. */
function attend(live: LiveDocument, trans: TranslationBundle): void {
  live.happened.connect((_, { event, data }) => {
    if (event === 'conflict' && typeof data.message === 'string') {
      Notification.warning(`${live.path}: ${data.message}`, {
        autoClose: false
      });
    }
  });
  live.lost.connect((_, { text }) => {
    void tell(
      trans.__('Not taken'),
      trans.__(
        'While you were offline, somebody deleted a cell of %1 into which you typed. This was in it:',
        live.path
      ),
      text,
      trans
    );
  });
}

/** Put banners on a document, and guard what is in it. */
function adorn(
  widget: DocumentWidget,
  live: ILiveDocument,
  trans: TranslationBundle
): void {
  const { context } = widget;
  widget.addClass('jp-CollabAI-live');
  markReadOnly(widget, live);
  widget.contentHeader.addWidget(new DocumentBanner(live, trans));
  let { readOnly } = live;
  live.changed.connect(() => {
    if (live.readOnly === readOnly) {
      return;
    }
    ({ readOnly } = live);
    if (context.isReady && live.connection === 'online') {
      // Whether the file may be saved is part of what JupyterLab knows of it.
      void context.revert();
    }
  });
  if (widget instanceof NotebookPanel) {
    new NotebookGuard(widget, live);
    guardKernel(widget, live);
  }
}

/** Start no kernel for who may not run code: they see "No Kernel", and no error. */
function guardKernel(panel: NotebookPanel, live: ILiveDocument): void {
  const { sessionContext } = panel.context;
  const wanted = sessionContext.kernelPreference;
  const update = (): void => {
    const may = mayRun(live);
    panel.toggleClass('jp-CollabAI-noKernel', !may);
    if (may === (sessionContext.kernelPreference.canStart !== false)) {
      return;
    }
    if (!may) {
      sessionContext.kernelPreference = {
        ...sessionContext.kernelPreference,
        shouldStart: false,
        canStart: false,
        autoStartDefault: false
      };
      return;
    }
    sessionContext.kernelPreference = {
      ...sessionContext.kernelPreference,
      shouldStart: wanted.shouldStart ?? true,
      canStart: wanted.canStart ?? true,
      autoStartDefault: wanted.autoStartDefault ?? false
    };
    if (sessionContext.isReady && !sessionContext.session) {
      void sessionContext.startKernel();
    }
  };
  update();
  live.changed.connect(update);
}

/** Deals with documents that can't go on as they are. */
class Endings {
  constructor(
    private readonly _app: JupyterFrontEnd,
    private readonly _shell: ILabShell | null,
    private readonly _manager: IDocumentManager | null,
    private readonly _browser: IDefaultFileBrowser | null,
    private readonly _trans: TranslationBundle
  ) {}

  handle({ document, ending }: IEnded): void {
    const trans = this._trans;
    if (ending.kind === 'ended') {
      if (ending.code === SIGNED_OUT) {
        // The person is asked to sign in again; what they typed comes along.
        this._keepOnLeaving(document, ending.text);
        return;
      }
      this._over.push({ document, ending });
      this._leaveFolder(document.path);
      this._timer ??= window.setTimeout(() => {
        void this._tellOver();
      }, TOGETHER);
      return;
    }
    const reason =
      ending.kind === 'refused'
        ? trans.__(
            'Your last change to %1 was not taken, because you may no longer edit it.',
            document.path
          )
        : trans.__(
            'Your last change to %1 was not taken, because the document had to be opened anew.',
            document.path
          );
    void this._reopen(document, ending.text, reason);
  }

  private async _reopen(
    document: LiveDocument,
    text: string,
    reason: string
  ): Promise<void> {
    const { path } = document;
    if (this._shell === null || this._manager === null) {
      // Notebook 7 has one document a page.
      if (text) {
        keep({ path, text });
      }
      window.location.reload();
      return;
    }
    try {
      await reopen(this._app, this._shell, this._manager, document);
    } catch (error) {
      console.error('A document could not be opened anew.', error);
    }
    if (text) {
      await tell(this._trans.__('Not taken'), reason, text, this._trans);
    }
  }

  private async _tellOver(): Promise<void> {
    this._timer = undefined;
    const over = this._over.splice(0);
    const trans = this._trans;
    const names = over.map(({ document }) => document.path).join(', ');
    const text = over
      .map(({ ending }) => ending.text)
      .filter(Boolean)
      .join('\n');
    const removed = over.some(({ ending }) => ending.code === REMOVED);
    const told = over.find(({ ending }) => ending.message)?.ending.message;
    await tell(
      removed
        ? trans.__('You were removed')
        : trans.__('This document has ended'),
      removed
        ? trans.__(
            'An owner has removed you from %1. It is no longer shared with you.',
            names
          )
        : `${names}: ${told ?? trans.__('It is no longer there.')}`,
      text,
      trans
    );
    for (const { document } of over) {
      closeAll(this._app, document);
    }
  }

  /** Show a folder that is still there, before the file browser complains that its own is not. */
  private _leaveFolder(path: string): void {
    const model = this._browser?.model;
    if (model?.path && path.startsWith(`${model.path}/`)) {
      void model.cd('/');
    }
  }

  private _keepOnLeaving(document: LiveDocument, text: string): void {
    if (!text) {
      return;
    }
    const onLeaving = (): void => {
      if (document.connection === 'ended') {
        keep({ path: document.path, text });
      }
    };
    window.addEventListener('pagehide', onLeaving, { once: true });
    document.changed.connect(() => {
      if (document.connection !== 'ended') {
        window.removeEventListener('pagehide', onLeaving);
      }
    });
  }

  private readonly _over: {
    readonly document: LiveDocument;
    readonly ending: IEndedForGood;
  }[] = [];
  private _timer: number | undefined = undefined;
}
