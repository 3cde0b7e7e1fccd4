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
import { forgetFirst, keep, kept } from './keptText';
import type { ILiveDocument, LiveDocument } from './liveDocument';
import { markReadOnly } from './readOnlyMarks';
import { NotebookGuard } from './notebookGuard';
import { readOnlyEditor } from './readOnlyEditor';
import { closeAll, reopen } from './reopen';
import {
  type IEndedForGood,
  type INotTaken,
  REMOVED,
  SIGNED_OUT
} from './provider';
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
      for (const { sentence, text } of kept()) {
        await tell(trans.__('Not taken'), sentence, text, trans);
        // Not before it was answered: the page may be left meanwhile.
        forgetFirst();
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
  let told: string | null = null;
  let shown: string | null = null;
  const show = (): void => {
    const obstacle = live.isDisposed ? null : live.obstacle;
    if (obstacle === told) {
      return;
    }
    told = obstacle;
    if (shown !== null) {
      Notification.dismiss(shown);
      shown = null;
    }
    if (obstacle !== null) {
      shown = Notification.warning(
        trans.__('%1: %2 Trying again…', live.path, obstacle),
        { autoClose: false }
      );
    }
  };
  live.changed.connect(show);
  live.disposed.connect(show);
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
    void this._reopen(document, ending);
  }

  private async _reopen(
    document: LiveDocument,
    ending: INotTaken
  ): Promise<void> {
    const { text, removal, kind } = ending;
    const sentence = this._sentenceOf(document.path, ending);
    const isTold = text || removal || kind === 'too_large';
    if (this._shell === null || this._manager === null) {
      // Notebook 7 has one document a page.
      if (isTold) {
        keep({ sentence, text });
      }
      window.location.reload();
      return;
    }
    try {
      await reopen(this._app, this._shell, this._manager, document);
    } catch (error) {
      console.error('A document could not be opened anew.', error);
    }
    if (isTold) {
      await tell(this._trans.__('Not taken'), sentence, text, this._trans);
    }
  }

  private _sentenceOf(
    path: string,
    { kind, reason, removal }: INotTaken
  ): string {
    const trans = this._trans;
    if (kind === 'too_large') {
      return trans.__(
        'What you last put into %1 was not taken: %2',
        path,
        reason || trans.__('it is too large to be put in at once.')
      );
    }
    const sentence =
      kind === 'reset'
        ? trans.__(
            'Your last change to %1 was not taken, because the document had to be opened anew.',
            path
          )
        : reason === 'role_required'
          ? trans.__(
              'Your last change to %1 was not taken, because you may no longer edit it.',
              path
            )
          : trans.__(
              'Your last change to %1 was not taken, because it was begun under another account.',
              path
            );
    return removal
      ? `${sentence} ${trans.__('What you had deleted or replaced is back.')}`
      : sentence;
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
        keep({
          sentence: this._trans.__(
            'This could not be taken into %1 any more:',
            document.path
          ),
          text
        });
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
