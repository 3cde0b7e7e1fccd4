import type { DocumentWidget } from '@jupyterlab/docregistry';

import type { ILiveDocument } from './liveDocument';

/** Marks a view of a document that may only be looked at, for what the style sheet greys out. */
export function markReadOnly(
  widget: DocumentWidget,
  live: ILiveDocument
): void {
  const show = (): void => {
    widget.toggleClass('jp-CollabAI-readOnly', live.readOnly);
    // The list of cell types is no command; without this the keyboard still gets into it.
    widget.toolbar.node
      .querySelector('[data-jp-item-name="cellType"]')
      ?.toggleAttribute('inert', live.readOnly);
  };
  show();
  live.changed.connect(show);
}
