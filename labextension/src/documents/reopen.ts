import type { ILabShell, JupyterFrontEnd } from '@jupyterlab/application';
import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import type { DocumentWidget, IDocumentWidget } from '@jupyterlab/docregistry';
import { FileEditor } from '@jupyterlab/fileeditor';
import { NotebookPanel } from '@jupyterlab/notebook';
import { Widget } from '@lumino/widgets';

import type { LiveDocument } from './liveDocument';
import { isDocumentWidget } from './widgets';

/** Return the widgets that show a document. */
export function widgetsOf(
  app: JupyterFrontEnd,
  live: LiveDocument
): DocumentWidget[] {
  const found: DocumentWidget[] = [];
  for (const widget of app.shell.widgets('main')) {
    if (
      isDocumentWidget(widget) &&
      widget.context.model.sharedModel === live.model
    ) {
      found.push(widget);
    }
  }
  return found;
}

/**
 * Open a document anew in the place where it is: with a new Yjs document, the cursor and the
 * scroll position kept.
 */
export async function reopen(
  app: JupyterFrontEnd,
  shell: ILabShell,
  manager: IDocumentManager,
  live: LiveDocument
): Promise<void> {
  const widgets = widgetsOf(app, live);
  const current = shell.currentWidget;
  const places = widgets.map(widget => {
    const place = new Widget();
    place.title.label = widget.title.label;
    place.title.icon = widget.title.icon;
    place.id = `jp-collab-ai-place-${widget.id}`;
    shell.add(place, 'main', {
      ref: widget.id,
      mode: 'tab-after',
      activate: widget === current
    });
    return {
      place,
      path: widget.context.path,
      factory: factoryOf(app, manager, widget),
      view: viewOf(widget),
      focused: widget === current,
      typing: widget.node.contains(document.activeElement)
    };
  });
  for (const widget of widgets) {
    widget.dispose();
  }
  for (const { place, path, factory, view, focused, typing } of places) {
    try {
      // Not "reveal": there may have been two views of the same kind.
      const widget = manager.open(path, factory, undefined, {
        ref: place.id,
        mode: 'tab-before',
        activate: focused
      });
      if (widget !== undefined) {
        await widget.context.ready;
        await widget.revealed;
        restore(widget, view, typing);
      }
    } finally {
      place.dispose();
    }
  }
}

interface IView {
  readonly cell: number | null;
  readonly mode: 'command' | 'edit' | null;
  readonly cursor: { line: number; column: number } | null;
  readonly scroll: number;
}

/** Return the name of the factory that has made a view, or one of the same kind. */
function factoryOf(
  app: JupyterFrontEnd,
  manager: IDocumentManager,
  widget: DocumentWidget
): string {
  if (widget instanceof NotebookPanel) {
    return 'Notebook';
  }
  if (widget.content instanceof FileEditor) {
    return 'Editor';
  }
  const { path } = widget.context;
  for (const { name } of app.docRegistry.preferredWidgetFactories(path)) {
    const made = manager.findWidget(path, name);
    if (made?.content.constructor === widget.content.constructor) {
      return name;
    }
  }
  return 'default';
}

function scrollerOf(widget: Widget): Element | null {
  return widget.node.querySelector('.jp-WindowedPanel-outer, .cm-scroller');
}

function viewOf(widget: DocumentWidget): IView {
  const scroll = scrollerOf(widget)?.scrollTop ?? 0;
  if (widget instanceof NotebookPanel) {
    const { activeCellIndex, activeCell, mode } = widget.content;
    return {
      cell: activeCellIndex,
      mode,
      cursor: activeCell?.editor?.getCursorPosition() ?? null,
      scroll
    };
  }
  const cursor =
    widget.content instanceof FileEditor
      ? widget.content.editor.getCursorPosition()
      : null;
  return { cell: null, mode: null, cursor, scroll };
}

function restore(widget: IDocumentWidget, view: IView, typing: boolean): void {
  if (widget instanceof NotebookPanel && view.cell !== null) {
    const { content } = widget;
    content.activeCellIndex = Math.min(view.cell, content.widgets.length - 1);
    const editor = content.activeCell?.editor;
    if (view.cursor !== null && editor) {
      putCursor(editor, view.cursor);
    }
    if (typing && view.mode !== null) {
      content.mode = view.mode;
    }
  } else if (widget.content instanceof FileEditor && view.cursor !== null) {
    const { editor } = widget.content;
    putCursor(editor, view.cursor);
    if (typing) {
      editor.focus();
    }
  }
  const scroller = scrollerOf(widget);
  if (scroller !== null) {
    scroller.scrollTop = view.scroll;
  }
}

/** Set the cursor, or as near as the text allows: some of it was not taken. */
function putCursor(
  editor: CodeEditor.IEditor,
  position: CodeEditor.IPosition
): void {
  editor.setCursorPosition(nearest(editor, position));
}

/** Select what was selected, or as near as the text allows. */
export function putSelection(
  editor: CodeEditor.IEditor,
  { start, end }: CodeEditor.IRange
): void {
  editor.setSelection({
    start: nearest(editor, start),
    end: nearest(editor, end)
  });
}

function nearest(
  editor: CodeEditor.IEditor,
  { line, column }: CodeEditor.IPosition
): CodeEditor.IPosition {
  const found = Math.min(line, editor.lineCount - 1);
  const length = editor.getLine(found)?.length ?? 0;
  return { line: found, column: Math.min(column, length) };
}

/** Close every view of a document that is over. */
export function closeAll(app: JupyterFrontEnd, live: LiveDocument): void {
  for (const widget of widgetsOf(app, live)) {
    widget.dispose();
  }
  if (!live.model.isDisposed) {
    live.model.dispose();
  }
}
