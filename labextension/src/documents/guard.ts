import type { DocumentChange, YDocument } from '@jupyter/ydoc';

interface IUndoable {
  undo(): void;
  redo(): void;
}

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
    const targets: object[] = [this._model.ydoc, this._model];
    if (on) {
      this._model.undoManager.clear();
      Object.defineProperty(this._model.ydoc, 'transact', {
        value: () => undefined,
        configurable: true
      });
      const inert: IUndoable = { undo: () => undefined, redo: () => undefined };
      for (const [name, value] of Object.entries(inert)) {
        Object.defineProperty(this._model, name, { value, configurable: true });
      }
    } else {
      for (const target of targets) {
        for (const name of ['transact', 'undo', 'redo']) {
          if (Object.hasOwn(target, name)) {
            Reflect.deleteProperty(target, name);
          }
        }
      }
    }
  }

  private _on = false;
}
