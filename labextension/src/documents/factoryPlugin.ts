import { IDocumentProviderFactory } from '@jupyter/docprovider';
import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import type { ICollabClient } from '../api/client';
import { ICollabClientToken } from '../api/tokens';
import { LiveDocument } from './liveDocument';
import { DocumentProvider } from './provider';
import { LiveDocuments } from './service';
import { ILiveDocumentsToken } from './tokens';

export const documentsPlugin: JupyterFrontEndPlugin<LiveDocuments> = {
  id: 'jupyter-collab-ai:documents',
  description: 'Knows the documents that are open for co-editing.',
  autoStart: true,
  provides: ILiveDocumentsToken,
  activate: () => new LiveDocuments()
};

/**
 * Takes the place of `@jupyter/docprovider-extension:websocket-provider-document-factory`.
 */
export const providerFactoryPlugin: JupyterFrontEndPlugin<IDocumentProviderFactory> =
  {
    id: 'jupyter-collab-ai:provider-factory',
    description: 'Connects documents to their rooms.',
    autoStart: true,
    requires: [ICollabClientToken, ILiveDocumentsToken],
    optional: [ITranslator],
    provides: IDocumentProviderFactory,
    activate: (
      _: JupyterFrontEnd,
      client: ICollabClient,
      documents: LiveDocuments,
      translator: ITranslator | null
    ): IDocumentProviderFactory => {
      const trans = (translator ?? nullTranslator).load('jupyter_collab_ai');
      return {
        create: options => {
          const live = new LiveDocument(options.model, options.path);
          documents.add(live);
          return new DocumentProvider({
            ...options,
            client,
            live,
            trans,
            onEnding: ending => {
              documents.end(live, ending);
            }
          });
        }
      };
    }
  };
