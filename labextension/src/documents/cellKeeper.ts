import { Clipboard, Notification } from '@jupyterlab/apputils';
import type { Cell } from '@jupyterlab/cells';
import type { CodeEditor } from '@jupyterlab/codeeditor';
import { CodeMirrorEditor } from '@jupyterlab/codemirror';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import type * as Y from 'yjs';

import type { LiveDocument } from './liveDocument';
import { putSelection } from './reopen';

/** Milliseconds for which it is said that a cell is gone. */
const SHOWN = 30_000;
/** Milliseconds that an editor may take to be on the screen. */
const PATIENCE = 3_000;

/** The cell that a person was in, when it was taken away. */
interface ILeft {
  readonly id: string;
  readonly index: number;
  readonly focus: 'editor' | 'cell' | 'elsewhere';
  readonly selection: CodeEditor.IRange | null;
  readonly text: string;
}

/**
 * Keeps a person in their cell while somebody else moves it, changes its type or deletes it.
 *
 * To move a cell is to delete it and to insert a copy under the same id. JupyterLab by itself
 * would put the cursor into whichever cell comes next, and keys into that, or act on them as
 * commands.
 */
export class CellKeeper {
  constructor(
    private readonly _panel: NotebookPanel,
    live: LiveDocument,
    private readonly _trans: TranslationBundle
  ) {
    const { ydoc } = live.model;
    // It takes the focus where a cell is gone, as nothing acts on keys there.
    _panel.node.tabIndex = -1;
    const onLost = (_: LiveDocument, { cell }: { cell: string }): void => {
      this._offered = cell;
    };
    ydoc.on('beforeTransaction', this._note);
    ydoc.on('beforeObserverCalls', this._before);
    ydoc.on('afterAllTransactions', this._after);
    live.lost.connect(onLost);
    _panel.disposed.connect(() => {
      ydoc.off('beforeTransaction', this._note);
      ydoc.off('beforeObserverCalls', this._before);
      ydoc.off('afterAllTransactions', this._after);
      live.lost.disconnect(onLost);
    });
  }

  /** Take note of the cell while it still knows its id. */
  private readonly _note = ({ local }: Y.Transaction): void => {
    this._id = local
      ? null
      : (this._panel.content.activeCell?.model.id ?? null);
  };

  /** Leave the cell before it is taken away. */
  private readonly _before = (transaction: Y.Transaction): void => {
    const { content } = this._panel;
    const { activeCell } = content;
    if (
      transaction.local ||
      activeCell === null ||
      this._id === null ||
      this._left !== null ||
      !isDeleted(activeCell)
    ) {
      return;
    }
    const { editor } = activeCell;
    const focus = editor?.hasFocus()
      ? 'editor'
      : activeCell.node.contains(document.activeElement)
        ? 'cell'
        : 'elsewhere';
    this._left = {
      id: this._id,
      index: content.activeCellIndex,
      focus,
      selection: editor?.getSelection() ?? null,
      text:
        editor instanceof CodeMirrorEditor ? editor.state.doc.toString() : ''
    };
    if (focus !== 'elsewhere') {
      // This ends the edit mode, too, in which the next cell would get the focus.
      this._panel.node.focus({ preventScroll: true });
    }
  };

  private readonly _after = (): void => {
    const left = this._left;
    this._left = null;
    if (left === null || this._panel.isDisposed) {
      return;
    }
    const { content } = this._panel;
    const cell = content.widgets.find(({ model }) => model.id === left.id);
    if (cell === undefined) {
      content.activeCellIndex = Math.min(
        left.index,
        content.widgets.length - 1
      );
      if (left.focus === 'editor' && this._offered !== left.id) {
        this._tell(left.text);
      }
      return;
    }
    content.activeCellIndex = content.widgets.indexOf(cell);
    if (left.focus !== 'elsewhere') {
      void this._return(cell, left);
    }
  };

  /** Go back into a cell, with the keys that were pressed until it was on the screen. */
  private async _return(cell: Cell, left: ILeft): Promise<void> {
    const { node, content } = this._panel;
    let typed = '';
    const onKey = (event: KeyboardEvent): void => {
      const key = event.key === 'Enter' ? '\n' : event.key;
      if (
        left.focus === 'editor' &&
        /^.$/su.test(key) &&
        !event.ctrlKey &&
        !event.metaKey
      ) {
        typed += key;
        event.preventDefault();
        event.stopPropagation();
      }
    };
    node.addEventListener('keydown', onKey, { capture: true });
    try {
      const ends = Date.now() + PATIENCE;
      while (!cell.isAttached && !cell.isDisposed && Date.now() < ends) {
        await new Promise(resolve => {
          window.requestAnimationFrame(resolve);
        });
      }
    } finally {
      node.removeEventListener('keydown', onKey, { capture: true });
    }
    // Unless the person has gone somewhere else meanwhile.
    if (
      cell.isDisposed ||
      !cell.isAttached ||
      (document.activeElement !== node &&
        document.activeElement !== document.body)
    ) {
      return;
    }
    if (left.focus === 'cell') {
      cell.node.focus({ preventScroll: true });
      return;
    }
    content.mode = 'edit';
    const { editor } = cell;
    if (editor !== null) {
      if (left.selection !== null) {
        putSelection(editor, left.selection);
      }
      editor.focus();
      if (typed) {
        editor.replaceSelection?.(typed);
      }
    }
  }

  private _tell(text: string): void {
    const copy = {
      label: this._trans.__('Copy its text'),
      callback: () => {
        Clipboard.copyToSystem(text);
      }
    };
    Notification.warning(
      this._trans.__('The cell that you were in was deleted.'),
      { autoClose: SHOWN, actions: text ? [copy] : [] }
    );
  }

  private _id: string | null = null;
  private _left: ILeft | null = null;
  /** The cell whose text was offered to the person already. */
  private _offered: string | null = null;
}

/** Whether a cell was taken out of its notebook, of which its widget need not know yet. */
function isDeleted({ model }: Cell): boolean {
  const { ymodel } = model.sharedModel as unknown as {
    ymodel?: Y.Map<unknown>;
  };
  return ymodel?._item?.deleted ?? false;
}
