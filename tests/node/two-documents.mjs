// Two documents exchange what they have: shows that the packages are there and work.
import * as Y from "yjs";
import { Awareness } from "y-protocols/awareness";
import { WebsocketProvider } from "y-websocket";
import { WebsocketProvider as JupyterLabsProvider } from "y-websocket-lab";
import WebSocket from "ws";

if (![Awareness, WebsocketProvider, JupyterLabsProvider, WebSocket].every((it) => typeof it === "function")) {
  throw new Error("A package lacks what it should export.");
}
const [one, two] = [new Y.Doc(), new Y.Doc()];
one.getText("source").insert(0, "hello ");
Y.applyUpdate(two, Y.encodeStateAsUpdate(one));
two.getText("source").insert(6, "world");
Y.applyUpdate(one, Y.encodeStateAsUpdate(two, Y.encodeStateVector(one)));
console.log(one.getText("source").toString());
