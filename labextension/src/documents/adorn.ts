import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { DocumentWidget } from '@jupyterlab/docregistry';

import type { ILiveDocument, ILiveDocuments } from './liveDocument';
import { isDocumentWidget } from './widgets';

/** Call back for each view of a document that is made from now on: notebooks and editors. */
export function adornDocuments(
  app: JupyterFrontEnd,
  documents: ILiveDocuments,
  adorn: (widget: DocumentWidget, live: ILiveDocument) => void
): void {
  for (const name of ['Notebook', 'Editor']) {
    app.docRegistry.addWidgetExtension(name, {
      createNew: widget => {
        const live = documents.of(widget);
        if (live !== null && isDocumentWidget(widget)) {
          adorn(widget, live);
        }
      }
    });
  }
}
