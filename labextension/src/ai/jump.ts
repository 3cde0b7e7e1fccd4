import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { DocumentWidget } from '@jupyterlab/docregistry';
import { FileEditor } from '@jupyterlab/fileeditor';
import { NotebookPanel } from '@jupyterlab/notebook';

import type { ILiveDocument } from '../documents/liveDocument';
import type { Anchor } from './positions';
import { isDocumentWidget } from '../documents/widgets';

/** Bring a place of a document to the eye, and the cursor to it. */
export async function jumpTo(
  app: JupyterFrontEnd,
  document: ILiveDocument,
  anchor: Anchor
): Promise<void> {
  const range = anchor.range;
  const widget = viewOf(app, document);
  if (range === null || widget === null) {
    return;
  }
  app.shell.activateById(widget.id);
  let editor: CodeEditor.IEditor | null = null;
  if (widget instanceof NotebookPanel) {
    const { content } = widget;
    const index = content.widgets.findIndex(
      cell =>
        (cell.model.sharedModel as { ysource?: unknown }).ysource ===
        anchor.text
    );
    if (index < 0) {
      return;
    }
    content.activeCellIndex = index;
    await content.scrollToItem(index, 'smart');
    const cell = content.widgets[index];
    await cell?.ready;
    editor = cell?.editor ?? null;
  } else if (widget.content instanceof FileEditor) {
    ({ editor } = widget.content);
  }
  if (editor === null) {
    return;
  }
  const start = editor.getPositionAt(range.from);
  const end = editor.getPositionAt(range.to);
  if (start && end) {
    editor.setSelection({ start, end });
    editor.revealSelection({ start, end });
    editor.focus();
    // What grows there is no text yet, and so no part of the selection.
    window.requestAnimationFrame(() => {
      editor.host
        .querySelector('.jp-CollabAI-preview')
        ?.scrollIntoView({ block: 'nearest' });
    });
  }
}

/** Return a widget that shows a document, the current one first. */
export function viewOf(
  app: JupyterFrontEnd,
  document: ILiveDocument
): DocumentWidget | null {
  const { currentWidget } = app.shell;
  for (const widget of [currentWidget, ...app.shell.widgets('main')]) {
    if (
      isDocumentWidget(widget) &&
      widget.context.model.sharedModel === document.model
    ) {
      return widget;
    }
  }
  return null;
}
