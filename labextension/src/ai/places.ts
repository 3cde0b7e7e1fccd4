import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { DocumentWidget } from '@jupyterlab/docregistry';
import { FileEditor } from '@jupyterlab/fileeditor';
import { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { ILocation } from '../api/types';
import type { IPlace } from './generateDialog';
import { positionOf } from './positions';

/** Return where code may go in a document, the likeliest place first. */
export function placesIn(
  widget: DocumentWidget,
  trans: TranslationBundle
): IPlace[] {
  if (widget instanceof NotebookPanel) {
    return inNotebook(widget, trans);
  }
  const places: IPlace[] = [];
  if (widget.content instanceof FileEditor) {
    const { editor } = widget.content;
    const empty = !editor.model.sharedModel.getSource().trim();
    if (!empty) {
      places.push(...atCursor(editor, null, trans));
    }
    places.push({
      label: trans.__('At the end of the file'),
      target: { mode: empty ? 'replace_document' : 'append' }
    });
  }
  return places;
}

function inNotebook(panel: NotebookPanel, trans: TranslationBundle): IPlace[] {
  const { activeCell, activeCellIndex, widgets } = panel.content;
  const places: IPlace[] = [];
  if (activeCell !== null) {
    const cellId = activeCell.model.id;
    places.push({
      label: trans.__('In a new cell below cell %1', activeCellIndex + 1),
      target: {
        mode: 'new_cell',
        location: {
          cell_id: cellId,
          start: { line: 1, column: 1 },
          end: { line: 1, column: 1 }
        }
      }
    });
    if (activeCell.model.type === 'code' && activeCell.editor) {
      places.push(...atCursor(activeCell.editor, cellId, trans));
    }
  }
  if (activeCell === null || activeCellIndex < widgets.length - 1) {
    places.push({
      label: trans.__('In a new cell at the end'),
      target: { mode: 'new_cell' }
    });
  }
  return places;
}

function atCursor(
  editor: CodeEditor.IEditor,
  cellId: string | null,
  trans: TranslationBundle
): IPlace[] {
  const text = editor.model.sharedModel.getSource();
  const { start, end } = editor.getSelection();
  const from = editor.getOffsetAt(start);
  const to = editor.getOffsetAt(end);
  const location = (one: number, other: number): ILocation => ({
    ...(cellId === null ? {} : { cell_id: cellId }),
    start: positionOf(text, one),
    end: positionOf(text, other)
  });
  if (from !== to) {
    const [first, last] = from < to ? [from, to] : [to, from];
    return [
      {
        label: trans.__('In place of the selection'),
        target: { mode: 'replace', location: location(first, last) }
      }
    ];
  }
  const position = positionOf(text, to);
  return [
    {
      label: trans.__('At the cursor, line %1', position.line),
      target: { mode: 'insert', location: location(to, to) }
    }
  ];
}
