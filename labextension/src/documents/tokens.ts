import type { DocumentChange, YDocument } from '@jupyter/ydoc';
import { Token } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';

import type { ILiveDocument } from './liveDocument';
import type { LiveDocuments } from './service';

/**
 * The documents that are open for co-editing in this page.
 */
export interface ILiveDocuments extends Iterable<ILiveDocument> {
  /** Emitted when a document is opened. */
  readonly added: ISignal<ILiveDocuments, ILiveDocument>;

  /** Call back for each document that is open, and for each that will be. */
  each(callback: (document: ILiveDocument) => void): void;

  /** Return the document of a shared model, also of one of a notebook's cells; null for others. */
  find(model: unknown): ILiveDocument | null;

  /** Return the document that a widget shows; null where it shows none. */
  of(widget: Widget | null): ILiveDocument | null;
}

export type SharedDocument = YDocument<DocumentChange>;

export const ILiveDocumentsToken = new Token<LiveDocuments>(
  'jupyter-collab-ai:ILiveDocuments',
  'Knows the documents that are open for co-editing, and what the person may do in them.'
);
