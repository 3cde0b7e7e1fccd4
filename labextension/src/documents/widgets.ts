import { DocumentWidget } from '@jupyterlab/docregistry';

/** Return whether something is the widget of a document. */
export function isDocumentWidget(widget: unknown): widget is DocumentWidget {
  return widget instanceof DocumentWidget;
}
