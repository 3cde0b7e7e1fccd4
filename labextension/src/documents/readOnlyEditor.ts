import {
  Compartment,
  EditorState,
  type Extension,
  Prec
} from '@codemirror/state';
import { EditorView, ViewPlugin } from '@codemirror/view';

import type { ILiveDocument } from './liveDocument';

/** What an editor is given where it may only be looked at: one can still select and copy. */
const READ_ONLY: Extension = [
  Prec.highest(EditorState.readOnly.of(true)),
  EditorView.contentAttributes.of({ 'aria-readonly': 'true' }),
  EditorView.editorAttributes.of({ class: 'jp-CollabAI-readOnlyEditor' })
];

/** Make an editor follow whether its document may be changed. */
export function readOnlyEditor(live: ILiveDocument): Extension {
  const compartment = new Compartment();
  const closed = (): boolean => live.readOnly || live.held;
  const now = (): Extension => (closed() ? READ_ONLY : []);
  const follow = ViewPlugin.define(view => {
    let shown = closed();
    const update = (): void => {
      if (closed() !== shown) {
        shown = closed();
        view.dispatch({ effects: compartment.reconfigure(now()) });
      }
    };
    live.changed.connect(update);
    // It may have changed between the making of the extension and that of the view.
    queueMicrotask(update);
    return {
      destroy: () => {
        live.changed.disconnect(update);
      }
    };
  });
  return [compartment.of(now()), follow];
}
