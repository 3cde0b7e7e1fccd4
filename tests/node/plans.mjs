// The real yjs clients of a random plan, all in this process: told what to do by lines of JSON
// on standard input, and saying what happens on standard output, in the order in which it does.
//
// {"id", "do": "open", "client", "url", "token", "kind": "text" | "notebook", "lab"}: lab for the
//   y-websocket that JupyterLab bundles, and how it sends its credential
// {"id", "do": "join", "client", "token"}   {"id", "do": "leave", "client", "how"}
// {"id", "do": "reset", "client"}: with a new, empty document from now on
// {"id", "do": "edit", "client", "step"}    {"id", "do": "state", "client"}
// {"id", "do": "drop", "client"}: for good
//
// Each is answered by {"re": id, …}. Indices count code points, as a person counts characters.
import { createInterface } from "node:readline";
import * as decoding from "lib0/decoding";
import WebSocket from "ws";
import { WebsocketProvider } from "y-websocket";
import { WebsocketProvider as JupyterLabsProvider } from "y-websocket-lab";
import * as Y from "yjs";

const RAW = 2;
const TYPED = "typed";

const clients = new Map();

function say(message) {
  process.stdout.write(JSON.stringify(message) + "\n");
}

class Client {
  constructor({ client, url, token, kind, lab }) {
    this.number = client;
    this.url = new URL(url);
    this.token = token;
    this.kind = kind;
    this.lab = lab;
    this.frames = 0;
    this.fresh();
  }

  say(event, more = {}) {
    say({ event, client: this.number, ...more });
  }

  fresh() {
    this.drop();
    const doc = (this.doc = new Y.Doc());
    this.text = doc.getText("source");
    this.cells = doc.getArray("cells");
    const scope = this.kind === "notebook" ? this.cells : this.text;
    this.undoManager = new Y.UndoManager(scope, {
      trackedOrigins: new Set([TYPED]),
      captureTimeout: 0,
    });
    this.updates = 0;
    doc.on("update", (_update, _origin, _doc, transaction) => {
      if (transaction.local) this.updates += 1;
    });
    const self = this;
    // Of a copy that was given up nothing is told any more.
    const tell = (event, more) => {
      if (this.doc === doc) this.say(event, more);
    };
    // Counts what the server is to acknowledge.
    class Counted extends WebSocket {
      constructor(address, protocols) {
        super(
          address,
          protocols,
          self.lab ? { headers: { Authorization: `Bearer ${self.token}` } } : {},
        );
        self.frames = 0;
        tell("connection");
      }

      send(data, ...rest) {
        super.send(data, ...rest);
        const [type, kind] = new Uint8Array(data);
        if (type === 0 && kind > 0) {
          self.frames += 1;
          if (kind === 1) tell("step2", { frame: self.frames });
        }
      }
    }
    const path = this.url.pathname.split("/");
    const room = path.pop();
    const Provider = this.lab ? JupyterLabsProvider : WebsocketProvider;
    const provider = new Provider(`${this.url.origin}${path.join("/")}`, room, doc, {
      connect: false,
      disableBc: true,
      params: Object.fromEntries(this.url.searchParams),
      protocols: this.protocols(),
      WebSocketPolyfill: Counted,
      maxBackoffTime: 300,
    });
    this.provider = provider;
    provider.on("closed", ({ code }) => tell("closed", { code }));
    provider.messageHandlers[RAW] = (_encoder, decoder) => {
      const notice = JSON.parse(decoding.readVarString(decoder));
      tell("notice", { notice });
      // What JupyterLab's page does: its provider would connect again.
      if (notice.type === "end" && !notice.reconnect) {
        provider.disconnect();
        tell("closed", { code: notice.code });
      }
    };
  }

  protocols() {
    return this.lab ? [] : ["collab-ai", `bearer.${this.token}`];
  }

  join(token) {
    this.token = token;
    this.provider.protocols = this.protocols();
    this.provider.connect();
  }

  leave(how) {
    const { provider } = this;
    if (how === "abrupt" && provider.ws !== null) {
      provider.shouldConnect = false;
      provider.ws.terminate();
    } else {
      provider.disconnect();
    }
  }

  drop() {
    this.provider?.destroy();
    this.undoManager?.destroy();
    this.doc?.destroy();
  }

  edit(step) {
    const before = this.frames;
    const updates = this.updates;
    let done = null;
    if (step.op === "undo") {
      const stacked = this.undoManager.undoStack.length;
      this.undoManager.undo();
      const popped = stacked - this.undoManager.undoStack.length;
      done = popped ? { popped } : null;
    } else {
      this.doc.transact(() => (done = EDITS[step.op](this, step)), TYPED);
    }
    if (done === null) return { done };
    return {
      done: { inserted: [], deleted: [], added: [], gone: [], ...done },
      frame: this.frames > before ? this.frames : null,
      changed: this.updates > updates,
    };
  }

  state() {
    const { store } = this.doc;
    return {
      content: this.kind === "notebook" ? this.cells.toJSON() : this.text.toString(),
      update: Buffer.from(Y.encodeStateAsUpdate(this.doc)).toString("base64"),
      pending: store.pendingStructs !== null || store.pendingDs !== null,
      connected: this.provider.wsconnected,
      synced: this.provider.synced,
    };
  }
}

function target(client, step) {
  if (client.kind !== "notebook") return ["", client.text];
  if (!client.cells.length) return null;
  const cell = client.cells.get(step.cell % client.cells.length);
  return [cell.get("id"), cell.get("source")];
}

const units = (points, count) => points.slice(0, count).join("").length;

function cut(text, at, length) {
  const points = [...text.toString()];
  const part = points.slice(at, at + length).join("");
  text.delete(units(points, at), part.length);
  return part;
}

function put(text, at, part) {
  text.insert(units([...text.toString()], at), part);
}

function makeCell(plain) {
  const cell = new Y.Map();
  for (const [key, value] of Object.entries(plain)) {
    if (key === "source") cell.set(key, new Y.Text(value));
    else if (key === "metadata") cell.set(key, new Y.Map(Object.entries(value)));
    else if (key === "outputs") cell.set(key, Y.Array.from(value));
    else cell.set(key, value);
  }
  return cell;
}

const EDITS = {
  insert(client, step) {
    const found = target(client, step);
    if (found === null) return null;
    const [container, text] = found;
    put(text, step.at % ([...text.toString()].length + 1), step.text);
    return { inserted: [[container, step.text]] };
  },
  delete(client, step) {
    const found = target(client, step);
    const length = found === null ? 0 : [...found[1].toString()].length;
    if (!length) return null;
    return { deleted: [[found[0], cut(found[1], step.at % length, step.length)]] };
  },
  move(client, step) {
    const found = target(client, step);
    const length = found === null ? 0 : [...found[1].toString()].length;
    if (!length) return null;
    const part = cut(found[1], step.at % length, step.length);
    put(found[1], step.to % ([...found[1].toString()].length + 1), part);
    return { deleted: [[found[0], part]], inserted: [[found[0], part]] };
  },
  paste(client, step) {
    const found = target(client, step);
    const points = found === null ? [] : [...found[1].toString()];
    if (!points.length) return null;
    const at = step.at % points.length;
    const part = points.slice(at, at + step.length).join("");
    put(found[1], step.to % (points.length + 1), part);
    return { inserted: [[found[0], part]] };
  },
  add_cell(client, step) {
    const cell = makeCell(step.content);
    client.cells.insert(step.at % (client.cells.length + 1), [cell]);
    return { inserted: [[step.content.id, step.content.source]], added: [step.content.id] };
  },
  delete_cell(client, step) {
    if (!client.cells.length) return null;
    const index = step.cell % client.cells.length;
    const { id, source } = client.cells.get(index).toJSON();
    client.cells.delete(index);
    return { deleted: [[id, source]], gone: [id] };
  },
  move_cell(client, step) {
    if (!client.cells.length) return null;
    const index = step.cell % client.cells.length;
    const plain = client.cells.get(index).toJSON();
    client.cells.delete(index);
    client.cells.insert(step.to % (client.cells.length + 1), [makeCell(plain)]);
    const part = [[plain.id, plain.source]];
    return { deleted: part, inserted: part, added: [plain.id], gone: [plain.id] };
  },
};

const COMMANDS = {
  open(command) {
    clients.set(command.client, new Client(command));
  },
  join: ({ client, token }) => clients.get(client).join(token),
  leave: ({ client, how }) => clients.get(client).leave(how),
  reset: ({ client }) => clients.get(client).fresh(),
  edit: ({ client, step }) => clients.get(client).edit(step),
  state: ({ client }) => clients.get(client).state(),
  drop({ client }) {
    clients.get(client).drop();
    clients.delete(client);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, ...command } = JSON.parse(line);
  try {
    say({ re: id, ...COMMANDS[command.do](command) });
  } catch (error) {
    say({ re: id, error: `${error.stack}` });
  }
}
process.exit(0);
