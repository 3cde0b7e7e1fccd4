// Opens a document with real yjs, types at its end, and tells what it then holds.
// Arguments: the server's URL, the room's name, the bearer token, the text to type, "lab" for
// the y-websocket that JupyterLab bundles. Ends when a second client, with a fresh document, has
// seen what was typed.
import WebSocket from "ws";
import { WebsocketProvider } from "y-websocket";
import { WebsocketProvider as JupyterLabsProvider } from "y-websocket-lab";
import * as Y from "yjs";

const [url, room, token, typed, which] = process.argv.slice(2);
const Provider = which === "lab" ? JupyterLabsProvider : WebsocketProvider;

class AuthenticatedWebSocket extends WebSocket {
  constructor(address, protocols) {
    super(address, protocols, { headers: { Authorization: `Bearer ${token}` } });
  }
}

async function open() {
  const doc = new Y.Doc();
  const provider = new Provider(url, room, doc, {
    WebSocketPolyfill: AuthenticatedWebSocket,
    disableBc: true,
  });
  await until(() => provider.synced, "the sync");
  return { doc, provider, text: doc.getText("source") };
}

async function until(condition, what) {
  const ends = Date.now() + 20_000;
  while (!condition()) {
    if (Date.now() > ends) {
      throw new Error(`waited too long for ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const one = await open();
// As JupyterLab does right after the sync.
one.doc.getMap("state").set("document_id", room);
one.text.insert(one.text.length, typed);
const other = await open();
await until(() => other.text.toString() === one.text.toString(), "the other client");
const { pendingStructs, pendingDs } = other.doc.store;
console.log(
  JSON.stringify({
    text: other.text.toString(),
    pending: pendingStructs !== null || pendingDs !== null,
    state: other.doc.getMap("state").toJSON(),
  }),
);
for (const { provider } of [one, other]) {
  provider.destroy();
}
process.exit(0);
