import type { DocumentChange, YDocument } from '@jupyter/ydoc';

/**
 * Keeps everything in this page from changing a document that may only be looked at.
 *
 * Editors are made read-only where they are; this is the net below them. All local writes of
 * `@jupyter/ydoc` (4.x) and of JupyterLab's CodeMirror binding go through the method
 * `ydoc.transact`; what comes from the server goes through Yjs' function of that name, and so
 * still arrives. The server refuses the same writes: this spares people text that is on their
 * own screen alone.
 */
export class ReadOnlyGuard {
  constructor(private readonly _model: YDocument<DocumentChange>) {}

  /** Keep writes out, or let them in. */
  set(on: boolean): void {
    if (on === this._on || this._model.isDisposed) {
      return;
    }
    this._on = on;
    const { ydoc } = this._model;
    const writers: [object, string][] = [
      [ydoc, 'transact'],
      [this._model, 'undo'],
      [this._model, 'redo']
    ];
    if (on) {
      this._model.undoManager.clear();
    }
    for (const [target, name] of writers) {
      if (on) {
        // An own property hides the method of the class.
        Object.defineProperty(target, name, {
          value: () => undefined,
          configurable: true
        });
      } else {
        Reflect.deleteProperty(target, name);
      }
    }
  }

  private _on = false;
}
