import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import type { FileBrowser, IFileBrowserFactory } from '@jupyterlab/filebrowser';
import type { Contents } from '@jupyterlab/services';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { Debouncer } from '@lumino/polling';

import type { ILiveDocuments } from '../documents/liveDocument';
import { isDocumentWidget } from '../documents/widgets';

/** Commands of JupyterLab 4.6 that change what is chosen in the file browser. */
const CHOSEN = new Set([
  'filebrowser:cut',
  'filebrowser:delete',
  'filebrowser:rename'
]);

/** Commands that put something into the folder that the file browser shows. */
const FOLDER = new Set([
  'filebrowser:create-new-directory',
  'filebrowser:create-new-file',
  'filebrowser:create-new-markdown-file',
  'filebrowser:create-new-notebook',
  'filebrowser:duplicate',
  'filebrowser:paste'
]);

/** The same where it is called from the file browser's menu. */
const NEW_NOTEBOOK = 'notebook:create-new';

/** Commands that rename, copy or delete the file of a tab. */
const TAB = new Set([
  'docmanager:delete',
  'docmanager:duplicate',
  'docmanager:rename'
]);

/** How JupyterLab's tabs name their files in their titles. */
const TAB_PATH = /[Pp]ath:\s?(.*)\n?/;

/** Milliseconds after something has changed before a folder is asked for again. */
const PAUSE = 300;

/** Return the path of the tab that was clicked last, else of the document in front. */
export function clickedPath(
  app: JupyterFrontEnd,
  manager: IDocumentManager | null
): string | null {
  const node = app.contextMenuHitTest(one => TAB_PATH.test(one.title));
  const path = node === undefined ? null : TAB_PATH.exec(node.title)?.[1];
  if (path && manager?.findWidget(path, null)) {
    return path;
  }
  const widget = app.shell.currentWidget;
  return isDocumentWidget(widget) ? widget.context.path : null;
}

/**
 * Greys commands out that the server would refuse: it says of each file and folder whether the
 * person may write it.
 */
export class FileCommands {
  constructor(
    private readonly _app: JupyterFrontEnd,
    private readonly _documents: ILiveDocuments,
    private readonly _manager: IDocumentManager | null,
    private readonly _browsers: IFileBrowserFactory | null,
    private readonly _contents: Contents.IManager
  ) {
    const { commands } = _app;
    const isEnabled = commands.isEnabled.bind(commands);
    const execute = commands.execute.bind(commands);
    commands.isEnabled = (id, args) =>
      !this._refused(id, args) && isEnabled(id, args);
    commands.execute = (id, args) =>
      this._refused(id, args) ? Promise.resolve(undefined) : execute(id, args);
    this._later = new Debouncer(() => this._look(), PAUSE);
    const later = (): void => {
      void this._later.invoke();
    };
    _documents.each(document => {
      document.changed.connect(later);
    });
    _browsers?.tracker.currentChanged.connect(later);
    _browsers?.tracker.forEach(browser => {
      this._follow(browser, later);
    });
    _browsers?.tracker.widgetAdded.connect((_, browser) => {
      this._follow(browser, later);
    });
    later();
  }

  private _refused(id: string, args?: ReadonlyPartialJSONObject): boolean {
    const browser = this._browsers?.tracker.currentWidget ?? null;
    if (CHOSEN.has(id)) {
      return [...(browser?.selectedItems() ?? [])].some(
        ({ writable }) => !writable
      );
    }
    if (FOLDER.has(id) || (id === NEW_NOTEBOOK && args?.isContextMenu)) {
      return browser !== null && this._closed.has(browser.model.path);
    }
    if (TAB.has(id)) {
      const path = clickedPath(this._app, this._manager);
      return [...this._documents].some(
        document => document.path === path && document.readOnly
      );
    }
    return false;
  }

  private _follow(browser: FileBrowser, later: () => void): void {
    browser.model.pathChanged.connect(later);
  }

  /** Ask whether the folder that is shown may be written. */
  private async _look(): Promise<void> {
    const path = this._browsers?.tracker.currentWidget?.model.path;
    if (path !== undefined) {
      try {
        const { writable } = await this._contents.get(path, { content: false });
        this._closed[writable ? 'delete' : 'add'](path);
      } catch {
        return; // What can't be asked for is left as it is.
      }
    }
    notify(this._app.commands);
  }

  /** Folders in which the person may make nothing. */
  private readonly _closed = new Set<string>();
  private readonly _later: Debouncer;
}

/** Let menus and toolbars ask again. */
function notify(commands: CommandRegistry): void {
  for (const id of [...CHOSEN, ...FOLDER, ...TAB]) {
    if (commands.hasCommand(id)) {
      commands.notifyCommandChanged(id);
    }
  }
}
