import type { CodeEditor } from '@jupyterlab/codeeditor';
import type { DocumentWidget } from '@jupyterlab/docregistry';
import { FileEditor } from '@jupyterlab/fileeditor';
import { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { ILocation, ITarget } from '../api/types';
import type { ILiveDocument } from '../documents/liveDocument';
import { Anchor, positionOf } from './positions';
import { cellNumber, textOf } from './texts';

/** A place where code may go. It stays where it is in the text, whatever others type around it. */
export interface IPlace {
  /** Return how the place is called now. */
  readonly label: () => string;
  /** Return where it is now; null where its text is gone, or is no longer what it was. */
  readonly target: () => ITarget | null;
}

/** Return where code may go in a document, the likeliest place first. */
export function placesIn(
  document: ILiveDocument,
  widget: DocumentWidget,
  trans: TranslationBundle
): IPlace[] {
  if (widget instanceof NotebookPanel) {
    return inNotebook(document, widget, trans);
  }
  const places: IPlace[] = [];
  if (widget.content instanceof FileEditor) {
    const { editor } = widget.content;
    const isEmpty = (): boolean =>
      textOf(document.model, null)?.toJSON().trim() === '';
    if (!isEmpty()) {
      places.push(...atCursor(document, editor, null, trans));
    }
    places.push({
      label: () => trans.__('At the end of the file'),
      target: () => ({ mode: isEmpty() ? 'replace_document' : 'append' })
    });
  }
  return places;
}

function inNotebook(
  document: ILiveDocument,
  panel: NotebookPanel,
  trans: TranslationBundle
): IPlace[] {
  const { activeCell, activeCellIndex, widgets } = panel.content;
  const places: IPlace[] = [];
  if (activeCell !== null) {
    const cellId = activeCell.model.id;
    places.push({
      label: () =>
        trans.__(
          'In a new cell below cell %1',
          cellNumber(document.model, cellId) ?? activeCellIndex + 1
        ),
      target: () =>
        textOf(document.model, cellId) === null
          ? null
          : {
              mode: 'new_cell',
              location: {
                cell_id: cellId,
                start: { line: 1, column: 1 },
                end: { line: 1, column: 1 }
              }
            }
    });
    if (activeCell.model.type === 'code' && activeCell.editor) {
      places.push(...atCursor(document, activeCell.editor, cellId, trans));
    }
  }
  if (activeCell === null || activeCellIndex < widgets.length - 1) {
    places.push({
      label: () => trans.__('In a new cell at the end'),
      target: () => ({ mode: 'new_cell' })
    });
  }
  return places;
}

function atCursor(
  document: ILiveDocument,
  editor: CodeEditor.IEditor,
  cellId: string | null,
  trans: TranslationBundle
): IPlace[] {
  const text = textOf(document.model, cellId);
  if (text === null) {
    return [];
  }
  const { start, end } = editor.getSelection();
  const ends = [editor.getOffsetAt(start), editor.getOffsetAt(end)];
  const anchor = new Anchor(text, {
    from: Math.min(...ends),
    to: Math.max(...ends)
  });
  const isPoint = ends[0] === ends[1];
  const location = (): ILocation | null => {
    const { range } = anchor;
    // A cell that was moved has a new text, and the old one is nowhere.
    if (range === null || textOf(document.model, cellId) !== text) {
      return null;
    }
    const now = text.toJSON();
    return {
      ...(cellId === null ? {} : { cell_id: cellId }),
      start: positionOf(now, range.from),
      end: positionOf(now, range.to)
    };
  };
  if (!isPoint) {
    return [
      {
        label: () => trans.__('In place of the selection'),
        target: () => {
          const place = anchor.intact ? location() : null;
          return place && { mode: 'replace', location: place };
        }
      }
    ];
  }
  const { line } = positionOf(text.toJSON(), Math.min(...ends));
  return [
    {
      label: () =>
        trans.__('At the cursor, line %1', location()?.start.line ?? line),
      target: () => {
        const place = location();
        return place && { mode: 'insert', location: place };
      }
    }
  ];
}
