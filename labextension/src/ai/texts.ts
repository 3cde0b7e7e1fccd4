import { YFile, YNotebook } from '@jupyter/ydoc';
import type * as Y from 'yjs';

import type { SharedDocument } from '../documents/liveDocument';

/** Return a document's text, or that of one of its cells; null where there is none. */
export function textOf(
  model: SharedDocument,
  cellId: string | null
): Y.Text | null {
  if (model.isDisposed) {
    return null;
  }
  if (model instanceof YFile) {
    return model.ysource;
  }
  if (model instanceof YNotebook && cellId !== null) {
    return model.cells.find(cell => cell.getId() === cellId)?.ysource ?? null;
  }
  return null;
}

/** Return the number of a cell, from 1; null where it is gone. */
export function cellNumber(
  model: SharedDocument,
  cellId: string | null
): number | null {
  if (!(model instanceof YNotebook) || model.isDisposed) {
    return null;
  }
  const index = model.cells.findIndex(cell => cell.getId() === cellId);
  return index < 0 ? null : index + 1;
}
