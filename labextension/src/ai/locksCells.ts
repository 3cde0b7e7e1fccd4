import { MarkdownCell } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { ILiveDocument } from '../documents/liveDocument';
import type { Locks } from './locks';

/** Show what is being written at cells whose editors are hidden: rendered text. */
export function showAtCells(
  panel: NotebookPanel,
  live: ILiveDocument,
  locks: Locks,
  trans: TranslationBundle
): void {
  const show = (_: unknown, document: ILiveDocument): void => {
    if (document !== live) {
      return;
    }
    const held = new Map(
      locks.of(live).map(one => [one.lock.location?.cell_id, one])
    );
    for (const cell of panel.content.widgets) {
      const one = held.get(cell.model.id);
      if (one !== undefined && cell instanceof MarkdownCell && cell.rendered) {
        const who = trans.__(
          'AI is writing for %1',
          one.lock.holder.display_name
        );
        cell.node.dataset.collabAi = one.preview
          ? `${who}\n${one.preview}`
          : who;
      } else {
        delete cell.node.dataset.collabAi;
      }
    }
  };
  locks.changed.connect(show);
  panel.disposed.connect(() => {
    locks.changed.disconnect(show);
  });
}
