import { Token } from '@lumino/coreutils';

import type { ICollabClient } from './client';

/**
 * The token of the client, for other plugins and other extensions.
 */
export const ICollabClientToken = new Token<ICollabClient>(
  'jupyter-collab-ai:ICollabClient',
  'Calls the server part of jupyter-collab-ai as the person in this browser.'
);
