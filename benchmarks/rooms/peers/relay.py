"""The least that a server of Yjs documents does on Tornado and pycrdt.

It applies an update to its copy and hands the frame to all others: it asks nobody who they are,
checks nothing, keeps nothing and writes no file. What it costs is what Python, Tornado and pycrdt
cost by themselves. ``HOST`` and ``PORT`` come from the environment, the document from the path.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any

from pycrdt import (
    Doc,
    YMessageType,
    YSyncMessageType,
    create_sync_message,
    create_update_message,
    read_message,
)
from tornado.web import Application
from tornado.websocket import WebSocketClosedError, WebSocketHandler


class Room:
    """A document and who has it open."""

    def __init__(self) -> None:
        self.doc: Doc[Any] = Doc()
        self.people: set[Relay] = set()


class Relay(WebSocketHandler):
    """One connection."""

    def initialize(self, rooms: dict[str, Room]) -> None:
        """Get all rooms."""
        self._rooms = rooms

    def open(self, name: str) -> None:
        """Join."""
        self.set_nodelay(True)
        self._room = self._rooms.setdefault(name, Room())
        self._room.people.add(self)
        self.write_message(create_sync_message(self._room.doc), binary=True)

    def on_message(self, message: str | bytes) -> None:
        """Answer a question, apply and pass on what is new."""
        assert isinstance(message, bytes)
        if message[0] != YMessageType.SYNC:
            return
        payload = read_message(message[2:])
        room = self._room
        if message[1] == YSyncMessageType.SYNC_STEP1:
            missing = create_update_message(room.doc.get_update(payload))
            self.write_message(
                bytes((message[0], YSyncMessageType.SYNC_STEP2)) + missing[2:], binary=True
            )
            return
        room.doc.apply_update(payload)
        frame = create_update_message(payload)
        for other in room.people:
            if other is not self:
                with contextlib.suppress(WebSocketClosedError):
                    other.write_message(frame, binary=True)

    def on_close(self) -> None:
        """Leave."""
        self._room.people.discard(self)


async def main() -> None:
    """Serve until the process is ended."""
    app = Application([(r"/(.*)", Relay, {"rooms": {}})])
    app.listen(int(os.environ["PORT"]), os.environ["HOST"])
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
