"""Event streams: what happens in a session, told to the pages that show it.

Server-sent events as in the HTML standard, section 9.2.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from jupyter_collab_ai.ids import SessionId

#: Events that a slow reader may be behind before it is let go; it reads the state anew then.
MAX_BACKLOG = 256
#: Seconds without an event after which a comment keeps the connection open.
KEEP_ALIVE = 15.0


@dataclass(frozen=True)
class Event:
    """One event: its type, and what goes with it as JSON."""

    type: str
    data: dict[str, Any]


class Subscription:
    """The events of one reader, in order; ``None`` ends them."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue(MAX_BACKLOG + 1)
        self.ended = False

    def put(self, event: Event) -> None:
        """Add an event; a reader that is too far behind is ended instead."""
        if self.ended:
            return
        if self._queue.qsize() >= MAX_BACKLOG:
            self.end()
            return
        self._queue.put_nowait(event)

    def end(self) -> None:
        """Let the reader go after what it has been sent already."""
        if not self.ended:
            self.ended = True
            self._queue.put_nowait(None)

    async def get(self) -> Event | None:
        """Return the next event, or None at the end."""
        return await self._queue.get()


class EventHub:
    """Hands each event of a session to everyone who follows that session here."""

    def __init__(self) -> None:
        self._readers: dict[SessionId, set[Subscription]] = defaultdict(set)

    def publish(self, session_id: SessionId, type_: str, data: dict[str, Any]) -> None:
        """Tell all who follow ``session_id``."""
        for reader in tuple(self._readers.get(session_id, ())):
            reader.put(Event(type_, data))

    @contextlib.contextmanager
    def follow(self, session_id: SessionId) -> Iterator[Subscription]:
        """Follow a session for the length of the block."""
        reader = Subscription()
        self._readers[session_id].add(reader)
        try:
            yield reader
        finally:
            self._readers[session_id].discard(reader)
            if not self._readers[session_id]:
                del self._readers[session_id]

    def end(self, session_id: SessionId) -> None:
        """Let everyone go who follows a session that is gone."""
        for reader in tuple(self._readers.get(session_id, ())):
            reader.end()

    def close(self) -> None:
        """Let everyone go, as the server stops."""
        for session_id in tuple(self._readers):
            self.end(session_id)


def encode(event: Event) -> bytes:
    """Return ``event`` as it goes over the wire."""
    data = json.dumps(event.data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {event.type}\ndata: {data}\n\n".encode()


def open_stream(handler: RequestHandler) -> None:
    """Begin the answer as an event stream that no proxy keeps back."""
    handler.set_header("Content-Type", "text/event-stream")
    handler.set_header("Cache-Control", "no-store")
    handler.set_header("X-Accel-Buffering", "no")


async def send(handler: RequestHandler, event: Event) -> bool:
    """Write one event; False when the reader is gone."""
    try:
        handler.write(encode(event))
        await handler.flush()
    except StreamClosedError:
        return False
    return True


async def stream(handler: RequestHandler, reader: Subscription) -> None:
    """Write events until the reader is gone or is let go."""
    while True:
        try:
            event = await asyncio.wait_for(reader.get(), KEEP_ALIVE)
        except TimeoutError:
            try:
                handler.write(b": keep-alive\n\n")
                await handler.flush()
            except StreamClosedError:
                return
            continue
        if event is None or not await send(handler, event):
            return
