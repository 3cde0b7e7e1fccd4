import * as Y from 'yjs';

/**
 * Return the text that a Yjs client has typed, from one of its clocks on, and that still stands.
 *
 * What was typed at one place is one piece; pieces stand on lines of their own.
 */
export function ownText(doc: Y.Doc, client: number, fromClock: number): string {
  let text = '';
  let next: Y.Item | null = null;
  for (const struct of doc.store.clients.get(client) ?? []) {
    const end = struct.id.clock + struct.length;
    if (
      end <= fromClock ||
      !(struct instanceof Y.Item) ||
      struct.deleted ||
      !(struct.content instanceof Y.ContentString)
    ) {
      continue;
    }
    const skipped = Math.max(0, fromClock - struct.id.clock);
    if (text && struct !== next) {
      text += '\n';
    }
    text += struct.content.str.slice(skipped);
    next = struct.right;
  }
  return text;
}

/** Return the clock that the next struct of a document's own client will have. */
export function ownClock(doc: Y.Doc): number {
  return Y.getState(doc.store, doc.clientID);
}
