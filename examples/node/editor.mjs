// A person's editor: yjs and y-websocket, told what to do by lines of JSON on standard input.
//
// First line: {"url", "token", "by": "subprotocol" | "header", "kind": "file" | "notebook"}.
// Then: {"insert": [index, text]}, {"delete": [index, length]}, {"show": state}.
// The end of the input closes it. What happens goes to standard output, a line of JSON each.
import { createInterface } from "node:readline";
import * as decoding from "lib0/decoding";
import WebSocket from "ws";
import * as Y from "yjs";
import { WebsocketProvider } from "y-websocket";

const RAW = 2;

function say(event, more = {}) {
  process.stdout.write(JSON.stringify({ event, ...more }) + "\n");
}

function join({ url, token, by, kind }) {
  const whole = new URL(url);
  const params = Object.fromEntries(whole.searchParams);
  const path = whole.pathname.split("/");
  const room = path.pop();
  const doc = new Y.Doc();
  const text = doc.getText("source");
  const cells = doc.getArray("cells");
  const shared = kind === "notebook" ? cells : text;
  let changes = 0;

  class WithHeader extends WebSocket {
    constructor(address, protocols) {
      super(address, protocols, { headers: { Authorization: `Bearer ${token}` } });
    }
  }
  const provider = new WebsocketProvider(`${whole.origin}${path.join("/")}`, room, doc, {
    params,
    disableBc: true,
    protocols: by === "subprotocol" ? ["collab-ai", `bearer.${token}`] : [],
    WebSocketPolyfill: by === "subprotocol" ? WebSocket : WithHeader,
    maxBackoffTime: 500,
  });

  const tellState = () =>
    say("state", {
      text:
        kind === "notebook"
          ? cells.map((cell) => cell.get("source").toString()).join("\f")
          : text.toString(),
      pending: doc.store.pendingStructs !== null || doc.store.pendingDs !== null,
      changes,
      client: doc.clientID,
    });
  shared.observeDeep((_events, transaction) => {
    if (!transaction.local) changes += 1;
  });
  doc.on("update", tellState);
  provider.on("sync", (synced) => {
    tellState();
    say("synced", { synced });
  });
  provider.on("closed", ({ code, reason }) => say("closed", { code, reason }));
  provider.awareness.on("change", () =>
    say("states", { states: Object.fromEntries(provider.awareness.getStates()) }),
  );
  provider.messageHandlers[RAW] = (_encoder, decoder) => {
    say("notice", { notice: JSON.parse(decoding.readVarString(decoder)) });
  };
  // In a notebook people type into its first cell.
  const typed = () => (kind === "notebook" ? cells.get(0).get("source") : text);
  return { doc, typed, provider };
}

let open = null;
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  if (open === null) {
    open = join(command);
  } else if (command.insert) {
    open.typed().insert(...command.insert);
  } else if (command.delete) {
    open.typed().delete(...command.delete);
  } else if (command.show) {
    open.provider.awareness.setLocalState(command.show);
  }
}
open?.provider.destroy();
open?.doc.destroy();
process.exitCode = 0;
