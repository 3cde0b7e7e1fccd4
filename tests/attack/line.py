"""A WebSocket on which a test says what it wants, and which never answers by itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pycrdt import Doc, Text, read_message
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError

from jupyter_collab_ai.rooms import protocol
from tests.attack.conftest import Live
from tests.rooms.engine import until


class Line:
    """One connection, with a document that holds what the server has shown on it."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self.socket = socket
        self.doc: Doc[Any] = Doc()
        self.text = self.doc.get("source", type=Text)
        self.raw: list[dict[str, Any]] = []
        self.awareness: list[bytes] = []
        self.answers = 0
        self.closed = False
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, live: Live, who: str, url: str) -> Line:
        """Connect, and wait until the document is here."""
        socket = await live.shake_hands(who, url)
        assert isinstance(socket, WebSocketClientConnection), f"{who} {url}: {socket}"
        line = cls(socket)
        await line.settle()
        return line

    async def settle(self) -> bool:
        """Wait until the server has dealt with all that was sent; False where it hung up."""
        before = self.answers
        self.send(protocol.sync_step1(self.doc.get_state()))
        await until(lambda: self.answers > before or self.closed, "an answer", within=20)
        return not self.closed

    def send(self, frame: bytes | str) -> None:
        """Send a frame, unless the server has hung up."""
        try:
            self.socket.write_message(frame, binary=isinstance(frame, bytes))
        except WebSocketClosedError:
            self.closed = True

    def told(self, type_: str) -> list[dict[str, Any]]:
        """Return the raw frames of a type."""
        return [one for one in self.raw if one["type"] == type_]

    @property
    def code(self) -> int | None:
        """The code by which the server hung up."""
        return self.socket.close_code

    async def close(self) -> None:
        """Hang up."""
        self.socket.close()
        await until(lambda: self.closed, "the connection to end")

    async def _read(self) -> None:
        while True:
            data = await self.socket.read_message()
            if data is None:
                self.closed = True
                return
            assert isinstance(data, bytes)
            if data[0] == 0 and data[1] != 0:
                self.doc.apply_update(read_message(data[2:]))
                self.answers += data[1] == 1
            elif data[0] == 1:
                self.awareness.append(read_message(data[1:]))
            elif data[0] == 2:
                self.raw.append(json.loads(read_message(data[1:])))
