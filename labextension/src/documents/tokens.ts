import { Token } from '@lumino/coreutils';

import type { LiveDocuments } from './service';

export type { ILiveDocuments } from './liveDocument';

export const ILiveDocumentsToken = new Token<LiveDocuments>(
  'jupyter-collab-ai:ILiveDocuments',
  'Knows the documents that are open for co-editing, and what the person may do in them.'
);
