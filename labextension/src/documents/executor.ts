import { NotebookCellServerExecutor } from '@jupyter/docprovider';
import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import { INotebookCellExecutor, runCell } from '@jupyterlab/notebook';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';

import { runsCode } from '../api/page';
import type { ILiveDocuments } from './liveDocument';
import { ILiveDocumentsToken } from './tokens';

/**
 * Runs cells for those who may, and says it once to those who may not; text cells are rendered
 * for everybody.
 */
class GuardedExecutor implements INotebookCellExecutor {
  constructor(
    private readonly _inner: INotebookCellExecutor,
    private readonly _documents: ILiveDocuments,
    private readonly _trans: TranslationBundle
  ) {}

  async runCell(
    options: INotebookCellExecutor.IRunCellOptions
  ): Promise<boolean> {
    if (options.cell.model.type !== 'code' || this._may(options)) {
      return this._inner.runCell(options);
    }
    if (this._told === null || !Notification.manager.has(this._told)) {
      this._told = Notification.info(
        this._trans.__(
          'You may not run code on this server. You see the outputs as others run it.'
        ),
        { autoClose: 6_000 }
      );
    }
    return true;
  }

  private _may({ notebook }: INotebookCellExecutor.IRunCellOptions): boolean {
    const right = runsCode();
    if (right !== 'by_role') {
      return right === 'always';
    }
    return this._documents.find(notebook.sharedModel)?.may('execute') ?? false;
  }

  private _told: string | null = null;
}

/**
 * Takes the place of `@jupyter/docprovider-extension:notebook-cell-executor`.
 */
export const executorPlugin: JupyterFrontEndPlugin<INotebookCellExecutor> = {
  id: 'jupyter-collab-ai:cell-executor',
  description: 'Runs the cells of notebooks for those who may run code.',
  autoStart: true,
  requires: [ILiveDocumentsToken],
  optional: [ITranslator],
  provides: INotebookCellExecutor,
  activate: (
    app: JupyterFrontEnd,
    documents: ILiveDocuments,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_collab_ai');
    const inner =
      PageConfig.getOption('serverSideExecution') === 'true'
        ? new NotebookCellServerExecutor({
            serverSettings: app.serviceManager.serverSettings
          })
        : { runCell };
    return new GuardedExecutor(inner, documents, trans);
  }
};
