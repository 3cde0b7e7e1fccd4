"""The copies of a document that clients hold: pycrdt in this process, yjs in one of Node.

Both connect again by themselves, as editors do, and count what they send, so that the server's
acknowledgements can be matched to edits.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pycrdt import (
    Array,
    Awareness,
    Doc,
    Map,
    Text,
    TransactionEvent,
    UndoManager,
    create_awareness_message,
    create_sync_message,
    create_update_message,
    read_message,
)
from tornado.httpclient import HTTPError, HTTPRequest
from tornado.websocket import (
    WebSocketClientConnection,
    WebSocketClosedError,
    WebSocketError,
    websocket_connect,
)

from jupyter_collab_ai.rooms import protocol
from tests.plans.generate import Step
from tests.plans.ledger import Account
from tests.support.node import Node

#: Close codes after which connecting again is of no use.
FINAL = range(4400, 4500)

_ALLOWED_CHARACTERS = 64 * 2**20


@dataclass
class State:
    """What a copy holds now."""

    content: Any
    update: bytes
    pending: bool
    connected: bool
    synced: bool


class Copy(ABC):
    """One client, with one document after the other."""

    def __init__(self, number: int, client: dict[str, Any], url: str, account: Account) -> None:
        self.number = number
        self.client = client
        self.url = url
        self.account = account
        #: Whether it tries to be connected.
        self.wanted = False
        #: The code of the last close after which it did not connect again.
        self.ended: int | None = None

    @property
    def notebook(self) -> bool:
        """Whether the document is one."""
        return bool(self.client["document"] == "notebook")

    @abstractmethod
    async def join(self, token: str) -> None:
        """Begin to connect; does not wait for it."""

    @abstractmethod
    async def leave(self, how: str) -> None:
        """Go, with a goodbye (``polite``) or without (``abrupt``)."""

    @abstractmethod
    async def fresh(self) -> None:
        """Go, and forget the document."""

    @abstractmethod
    async def edit(self, step: Step) -> None:
        """Edit, and tell the account."""

    @abstractmethod
    async def state(self) -> State:
        """Return what it holds."""

    @abstractmethod
    async def drop(self) -> None:
        """End for good."""

    async def type(self, step: Step) -> None:
        """Do one step, which may be many edits."""
        if step["op"] != "type":
            await self.edit(step)
            return
        for offset, character in enumerate(step["text"]):
            await self.edit({**step, "op": "insert", "at": step["at"] + offset, "text": character})

    def _notice(self, notice: dict[str, Any]) -> None:
        match notice["type"]:
            case "saved" if "seq" in notice:
                self.account.saved(notice["seq"])
            case "refused":
                self.account.was_refused(notice)
            case "reset":
                self.account.was_reset(notice)

    def _closed(self, code: int) -> None:
        self.wanted = False
        self.ended = code


# ---------------------------------------------------------------- pycrdt


class PythonCopy(Copy):
    """A client on pycrdt."""

    def __init__(self, number: int, client: dict[str, Any], url: str, account: Account) -> None:
        super().__init__(number, client, url, account)
        self._token = ""
        self._life: asyncio.Task[None] | None = None
        self._socket: WebSocketClientConnection | None = None
        self._make()

    def _make(self) -> None:
        self.doc: Doc[Any] = Doc()
        self.text: Text = self.doc.get("source", type=Text)
        self.cells: Array[Any] = self.doc.get("cells", type=Array)
        self._undo = UndoManager(
            scopes=[self.cells if self.notebook else self.text], capture_timeout_millis=0
        )
        self._undo.include_origin(_TYPED)
        self._awareness = Awareness(self.doc)
        self._synced = False
        self._frames = self._updates = 0
        self._receiving = False
        self._watched = self.doc.observe(self._changed)

    # ---- the connection

    async def join(self, token: str) -> None:
        self._token, self.wanted, self.ended = token, True, None
        if self._life is None or self._life.done():
            self._life = asyncio.create_task(self._live())

    async def leave(self, how: str) -> None:
        self.wanted = False
        socket, self._socket = self._socket, None
        self._synced = False
        if self._life is not None:
            self._life.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._life
        if socket is None:
            return
        if how == "abrupt":
            socket.protocol.stream.close()
        else:
            socket.close()

    async def fresh(self) -> None:
        await self.leave("polite")
        self.doc.unobserve(self._watched)
        self.account.fresh()
        self._make()

    async def drop(self) -> None:
        await self.leave("abrupt")

    async def _live(self) -> None:
        while self.wanted:
            try:
                socket = await websocket_connect(
                    HTTPRequest(
                        self.url,
                        headers={"Authorization": f"Bearer {self._token}"},
                        connect_timeout=10,
                    ),
                    max_message_size=_ALLOWED_CHARACTERS,
                )
            except (OSError, HTTPError, WebSocketError):  # there is no server just now
                await asyncio.sleep(0.1)
                continue
            self.account.connection()
            self._frames, self._socket = 0, socket
            self._send(create_sync_message(self.doc))
            if self.client["shown"]:
                self._awareness.set_local_state({})
                state = self._awareness.encode_awareness_update([self._awareness.client_id])
                self._send(create_awareness_message(state))
            try:
                while isinstance(frame := await socket.read_message(), bytes):
                    self._take(frame)
            finally:
                self._socket, self._synced = None, False
            code = socket.close_code
            if code in FINAL:
                self._closed(code)
            await asyncio.sleep(0.05)

    def _take(self, frame: bytes) -> None:
        if frame[0] == 0:
            payload = read_message(frame[2:])
            if frame[1] == 0:
                self._send(protocol.sync_step2(self.doc.get_update(payload)))
                self.account.step2(self._frames)
                return
            self._receiving = True
            with self.doc.transaction(origin=_RECEIVED):
                self.doc.apply_update(payload)
            self._receiving = False
            self._synced = self._synced or frame[1] == 1
        elif frame[0] == 2:
            self._notice(json.loads(read_message(frame[1:])))

    def _send(self, frame: bytes) -> None:
        if self._socket is None:
            return
        if frame[0] == 0 and frame[1] in (1, 2):
            self._frames += 1
        with contextlib.suppress(WebSocketClosedError):  # shows as the end of the connection
            self._socket.write_message(frame, binary=True)

    def _changed(self, event: TransactionEvent) -> None:
        if not self._receiving:
            self._updates += 1
            self._send(create_update_message(event.update))

    # ---- edits

    async def edit(self, step: Step) -> None:
        before, updates = self._frames, self._updates
        if step["op"] == "undo":
            stacked = len(self._undo.undo_stack)
            self._undo.undo()
            popped = stacked - len(self._undo.undo_stack)
            done = {"popped": popped} if popped else None
        else:
            with self.doc.transaction(origin=_TYPED):
                done = getattr(self, f"_{step['op']}")(step)
        if done is not None:
            whole = {"inserted": [], "deleted": [], "added": [], "gone": [], **done}
            frame = self._frames if self._frames > before else None
            self.account.typed(whole, frame, changed=self._updates > updates)

    def _target(self, step: Step) -> tuple[str, Text, str] | None:
        if not self.notebook:
            return "", self.text, str(self.text)
        if not len(self.cells):
            return None
        cell = self.cells[step["cell"] % len(self.cells)]
        return cell["id"], cell["source"], str(cell["source"])

    def _insert(self, step: Step) -> dict[str, Any] | None:
        found = self._target(step)
        if found is None:
            return None
        _put(found[1], step["at"] % (len(found[2]) + 1), step["text"])
        return {"inserted": [(found[0], step["text"])]}

    def _delete(self, step: Step) -> dict[str, Any] | None:
        found = self._target(step)
        if found is None or not found[2]:
            return None
        part = _cut(found[1], step["at"] % len(found[2]), step["length"])
        return {"deleted": [(found[0], part)]}

    def _move(self, step: Step) -> dict[str, Any] | None:
        found = self._target(step)
        if found is None or not found[2]:
            return None
        part = _cut(found[1], step["at"] % len(found[2]), step["length"])
        _put(found[1], step["to"] % (len(found[2]) - len(part) + 1), part)
        return {"deleted": [(found[0], part)], "inserted": [(found[0], part)]}

    def _paste(self, step: Step) -> dict[str, Any] | None:
        found = self._target(step)
        if found is None or not found[2]:
            return None
        at = step["at"] % len(found[2])
        part = found[2][at : at + step["length"]]
        _put(found[1], step["to"] % (len(found[2]) + 1), part)
        return {"inserted": [(found[0], part)]}

    def _add_cell(self, step: Step) -> dict[str, Any] | None:
        cell = step["content"]
        self.cells.insert(step["at"] % (len(self.cells) + 1), _made(cell))
        return {"inserted": [(cell["id"], cell["source"])], "added": [cell["id"]]}

    def _delete_cell(self, step: Step) -> dict[str, Any] | None:
        if not len(self.cells):
            return None
        index = step["cell"] % len(self.cells)
        cell = self.cells[index].to_py()
        del self.cells[index]
        return {"deleted": [(cell["id"], cell["source"])], "gone": [cell["id"]]}

    def _move_cell(self, step: Step) -> dict[str, Any] | None:
        if not len(self.cells):
            return None
        index = step["cell"] % len(self.cells)
        cell = self.cells[index].to_py()
        del self.cells[index]
        self.cells.insert(step["to"] % (len(self.cells) + 1), _made(cell))
        part = [(cell["id"], cell["source"])]
        return {"deleted": part, "inserted": part, "added": [cell["id"]], "gone": [cell["id"]]}

    async def state(self) -> State:
        return State(
            self.cells.to_py() if self.notebook else str(self.text),
            self.doc.get_update(),
            pending=False,  # what pycrdt holds back shows in the state vector alone
            connected=self._socket is not None,
            synced=self._synced,
        )


_TYPED, _RECEIVED = "typed", "received"


def _put(text: Text, at: int, part: str) -> None:
    # pycrdt counts bytes of UTF-8.
    text.insert(len(str(text)[:at].encode()), part)


def _cut(text: Text, at: int, length: int) -> str:
    whole = str(text)
    part = whole[at : at + length]
    start = len(whole[:at].encode())
    del text[start : start + len(part.encode())]
    return part


def _made(plain: dict[str, Any]) -> Map[Any]:
    cell = dict(plain)
    cell["source"] = Text(cell["source"])
    if "metadata" in cell:
        cell["metadata"] = Map(cell["metadata"])
    if "outputs" in cell:
        cell["outputs"] = Array(cell["outputs"])
    return Map(cell)


# ---------------------------------------------------------------- yjs


class NodeHost:
    """One process of Node with all yjs clients in it."""

    def __init__(self, node: Node) -> None:
        self._process: subprocess.Popen[bytes] = node.start("plans.mjs", stderr=None)
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._heard: dict[int, Callable[[dict[str, Any]], None]] = {}
        #: Told of an answer before anything that came after it is told to anybody.
        self._first: dict[int, Callable[[dict[str, Any]], None]] = {}
        self._reader: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to listen."""
        assert self._process.stdout is not None
        reader = asyncio.StreamReader(limit=_ALLOWED_CHARACTERS)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self._process.stdout
        )
        self._reader = asyncio.create_task(self._read(reader))

    async def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.kill()
        await asyncio.to_thread(self._process.wait)
        if self._reader is not None:
            await self._reader

    def hear(self, client: int, told: Callable[[dict[str, Any]], None]) -> None:
        """Let ``told`` hear what happens to a client."""
        self._heard[client] = told

    async def ask(
        self, command: dict[str, Any], first: Callable[[dict[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """Send a command; return the answer once it was given to ``first``."""
        assert self._process.stdin is not None
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        if first is not None:
            self._first[number] = first
        self._process.stdin.write(json.dumps({"id": number, **command}).encode() + b"\n")
        self._process.stdin.flush()
        return await asyncio.wait_for(answer, 30)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            message = json.loads(line)
            number = message.pop("re", None)
            if number is None:
                told = self._heard.get(message["client"])
                if told is not None:
                    told(message)
                continue
            answer = self._asked.pop(number)
            first = self._first.pop(number, None)
            if "error" in message:
                answer.set_exception(RuntimeError(message["error"]))
                continue
            if first is not None:
                first(message)
            if not answer.done():
                answer.set_result(message)


class NodeCopy(Copy):
    """A client on yjs and y-websocket."""

    _ids = itertools.count(1)

    def __init__(
        self, number: int, client: dict[str, Any], url: str, account: Account, host: NodeHost
    ) -> None:
        super().__init__(number, client, url, account)
        self._host = host
        self._id = next(self._ids)
        self._open = False
        host.hear(self._id, self._event)

    async def _do(self, what: str, **more: Any) -> dict[str, Any]:
        return await self._host.ask({"do": what, "client": self._id, **more})

    async def _ensure(self, token: str = "") -> None:
        if not self._open:
            self._open = True
            await self._do(
                "open",
                url=self.url,
                token=token,
                kind=self.client["document"],
                lab=self.client["kind"] == "lab",
            )

    async def join(self, token: str) -> None:
        self.wanted, self.ended = True, None
        await self._ensure(token)
        await self._do("join", token=token)

    async def leave(self, how: str) -> None:
        self.wanted = False
        await self._ensure()
        await self._do("leave", how=how)

    async def fresh(self) -> None:
        self.wanted = False
        await self._ensure()
        await self._host.ask(
            {"do": "reset", "client": self._id}, lambda _answer: self.account.fresh()
        )

    async def drop(self) -> None:
        if self._open:
            await self._do("drop")

    async def edit(self, step: Step) -> None:
        await self._ensure()
        # Told at once: an acknowledgement may stand on the very next line.
        await self._host.ask({"do": "edit", "client": self._id, "step": step}, self._did)

    def _did(self, answer: dict[str, Any]) -> None:
        if answer["done"] is not None:
            self.account.typed(answer["done"], answer["frame"], changed=answer["changed"])

    async def state(self) -> State:
        await self._ensure()
        answer = await self._do("state")
        return State(
            answer["content"],
            base64.b64decode(answer["update"]),
            answer["pending"],
            answer["connected"],
            answer["synced"],
        )

    def _event(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "connection":
                self.account.connection()
            case "step2":
                self.account.step2(event["frame"])
            case "notice":
                self._notice(event["notice"])
            case "closed":
                self._closed(event["code"])
