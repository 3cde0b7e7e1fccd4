import type { NotebookPanel } from '@jupyterlab/notebook';
import type { IDisposable } from '@lumino/disposable';

import type { ILiveDocument } from './liveDocument';

const EVENTS = [
  'lm-dragenter',
  'lm-dragover',
  'lm-drop',
  'drop',
  'paste'
] as const;

/**
 * Keeps what is no command from changing a notebook that may only be looked at: dragging cells,
 * pasting into it, and the buttons that lie on its cells.
 *
 * `readOnly` of the cells themselves is not to be touched: it is written into the document.
 */
export class NotebookGuard implements IDisposable {
  constructor(
    private readonly _panel: NotebookPanel,
    private readonly _live: ILiveDocument
  ) {
    for (const name of EVENTS) {
      _panel.node.addEventListener(name, this._stop, { capture: true });
    }
    _live.changed.connect(this._update, this);
    _panel.disposed.connect(this.dispose, this);
    this._update();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    this._live.changed.disconnect(this._update, this);
    for (const name of EVENTS) {
      this._panel.node.removeEventListener(name, this._stop, { capture: true });
    }
  }

  private _update(): void {
    this._panel.toggleClass('jp-CollabAI-readOnly', this._live.readOnly);
  }

  private readonly _stop = (event: globalThis.Event): void => {
    if (this._live.readOnly) {
      event.stopPropagation();
      event.preventDefault();
    }
  };

  private _isDisposed = false;
}
