// Does with real yjs what jupyter-collaboration's page does with a timeline and a fork: it takes
// one and the same document into the room beside and back.
// Arguments: the server's URL (http), the room's name, its path, the bearer token.
import WebSocket from "ws";
import { WebsocketProvider } from "y-websocket-lab";
import * as Y from "yjs";

const [base, room, path, token] = process.argv.slice(2);
const rooms = `${base.replace("http", "ws")}api/collaboration/room`;

class AuthenticatedWebSocket extends WebSocket {
  constructor(address, protocols) {
    super(address, protocols, { headers: { Authorization: `Bearer ${token}` } });
  }
}

async function connect(name, doc, sessionId) {
  const provider = new WebsocketProvider(rooms, name, doc, {
    WebSocketPolyfill: AuthenticatedWebSocket,
    disableBc: true,
    params: sessionId ? { sessionId } : {},
  });
  await until(() => provider.synced, "the sync");
  return provider;
}

async function call(method, address, body) {
  const response = await fetch(`${base}api/collaboration/${address}`, {
    method,
    headers: { Authorization: `Bearer ${token}` },
    body: body && JSON.stringify(body),
  });
  if (!response.ok) {
    throw new Error(`${method} ${address}: ${response.status} ${await response.text()}`);
  }
  const text = await response.text();
  return text ? JSON.parse(text) : null;
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

const doc = new Y.Doc();
const text = doc.getText("source");
let provider = await connect(room, doc);
const other = new Y.Doc();
const watching = await connect(room, other);
const seen = () => other.getText("source").toString();
for (const word of ["one\n", "two\n", "three 🦉\n"]) {
  text.insert(text.length, word);
  await until(() => seen() === text.toString(), "the other page");
}
const whole = text.toString();

const told = await call("GET", `timeline/${path}?format=text&&type=file`);
provider.destroy();
provider = await connect(told.forkRoom, doc, told.sessionId);
const move = (action, steps) =>
  call(
    "PUT",
    `undo_redo/${encodeURIComponent(room)}?action=${action}&&steps=${steps}&&forkRoom=${told.forkRoom}`,
  );
await move("undo", 3);
await until(() => text.toString() === "# start\n", "the first step");
await move("redo", 2);
await until(() => text.toString() === "# start\none\ntwo\n", "the third step");
const before = seen();
const restored = await move("restore", 0);
provider.destroy();
provider = await connect(room, doc);
await until(() => seen() === "# start\none\ntwo\n", "what was restored");
text.insert(text.length, "after\n");
await until(() => seen() === text.toString(), "the page to go on");

const fork = await call("PUT", `fork/${room}`, { title: "An idea", synchronize: true });
provider.destroy();
provider = await connect(fork.fork_roomid, doc, fork.sessionId);
text.insert(0, "in the fork\n");
other.getText("source").insert(seen().length, "in the root\n");
await until(() => text.toString().endsWith("in the root\n"), "what the root records");
const apart = seen();
await call("DELETE", `fork/${fork.fork_roomid}?merge=true`);
provider.destroy();
provider = await connect(room, doc);
await until(() => seen() === text.toString(), "both pages to be the same");
const fresh = new Y.Doc();
const third = await connect(room, fresh);

const pending = [doc, other, fresh].some(
  ({ store }) => store.pendingStructs !== null || store.pendingDs !== null,
);
console.log(
  JSON.stringify({
    whole,
    steps: told.timestamps.length,
    before,
    restored,
    apart,
    text: text.toString(),
    fresh: fresh.getText("source").toString(),
    pending,
  }),
);
for (const each of [provider, watching, third]) {
  each.destroy();
}
process.exit(0);
