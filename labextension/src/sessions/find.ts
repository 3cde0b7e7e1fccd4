import { PathExt } from '@jupyterlab/coreutils';

import type { ICollabClient, IDocumentReference } from '../api/client';
import type { ISession } from '../api/types';

const PAGE_SIZE = 200;

/** Return whether a session is about a path, or about a folder around it. */
export function covers(session: ISession, path: string): boolean {
  return (
    session.path === path ||
    (session.type === 'directory' && path.startsWith(`${session.path}/`))
  );
}

/** Return the person's session to which a path belongs; null where there is none. */
export async function findSession(
  client: ICollabClient,
  path: string
): Promise<ISession | null> {
  let next: string | null = null;
  do {
    const page: Awaited<ReturnType<ICollabClient['sessions']>> =
      await client.sessions({
        limit: PAGE_SIZE,
        ...(next === null ? {} : { after: next })
      });
    const found = page.items.find(session => covers(session, path));
    if (found !== undefined) {
      return found;
    }
    ({ next } = page);
  } while (next !== null);
  return null;
}

/** Return how a document is named in calls about its session. */
export function referenceTo(
  session: ISession,
  path: string
): IDocumentReference {
  return session.type === 'directory'
    ? { session_id: session.id, path: PathExt.relative(session.path, path) }
    : { session_id: session.id };
}

/** Return the name that a session of a path is given. */
export function nameOf(path: string): string {
  return PathExt.basename(path);
}
