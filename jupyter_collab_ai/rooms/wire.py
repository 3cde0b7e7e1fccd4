"""Frames to and from Tornado's WebSockets, at less cost than Tornado's own way.

All that leans on the inside of Tornado is here, written for its versions 6.5 and 6.6.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import tornado
from tornado.iostream import IOStream, StreamClosedError
from tornado.websocket import (
    WebSocketClosedError,
    WebSocketHandler,
    WebSocketProtocol,
    WebSocketProtocol13,
)

from jupyter_collab_ai.rooms.close_codes import Ending
from jupyter_collab_ai.rooms.connection import Frame

#: The versions of Tornado whose inside this module knows.
VERSIONS = ((6, 5), (6, 6))
#: Bytes that may wait for a slow client before it is let go.
MAX_BACKLOG = 16 * 1024 * 1024
#: Bytes that are read at once, at the most, before it is known what they are.
AHEAD = 64 * 1024


def _is_known() -> bool:
    return tornado.version_info[:2] in VERSIONS


class ReadingAhead(WebSocketProtocol13):
    """Tornado's protocol, which reads what has come at once and not field by field.

    Tornado asks its stream for two bytes, then for the mask, then for the rest. Each question
    costs a future and most cost two calls of the system, since the stream stops listening while
    it holds what nobody has asked for.
    """

    _ahead = b""
    #: Where in ``_ahead`` that begins which was not taken yet.
    _taken = 0

    async def _read_bytes(self, n: int) -> bytes:
        start, end = self._taken, self._taken + n
        if end > len(self._ahead):
            self._ahead = await self._read_on(self._ahead[start:], n)
            start, end = 0, n
        data = self._ahead[start:end]
        if end == len(self._ahead):
            self._ahead = b""
            end = 0
        self._taken = end
        self._wire_bytes_in += n
        return data

    async def _read_on(self, held: bytes, n: int) -> bytes:
        """Return at least ``n`` bytes, of which ``held`` are the first."""
        if held:
            # Whatever is missing, so that who sends it byte by byte costs no copy for each.
            return held + await self.stream.read_bytes(n - len(held))
        if n > AHEAD:
            return await self.stream.read_bytes(n)
        data = await self.stream.read_bytes(AHEAD, partial=True)
        return data if len(data) >= n else data + await self.stream.read_bytes(n - len(data))


def reading_ahead(protocol: WebSocketProtocol | None) -> WebSocketProtocol | None:
    """Return what does the same as ``protocol``, and reads ahead where that is known to work."""
    if type(protocol) is WebSocketProtocol13 and _is_known():
        return ReadingAhead(protocol.handler, protocol.mask_outgoing, protocol.params)
    return protocol


#: What writes: the protocol, the stream under it where encoded frames may go straight to that, and
#: the stream's buffer and its socket's ``send`` where it does nothing more than to send.
_Way = tuple[WebSocketProtocol13, IOStream | None, Any, Callable[[bytes], int] | None]


class Outbox:
    """Hands frames to one WebSocket, and keeps a bounded number back while it is slow.

    Frames come encoded, so sending to many costs one call of the system each, and neither a
    future nor a task. Where that is not possible (the connection is encrypted here, or
    compresses, or has not taken all that came before) Tornado does its part.
    """

    def __init__(
        self,
        handler: WebSocketHandler,
        close: Callable[[Ending, str | None], None],
        max_backlog: int = MAX_BACKLOG,
    ) -> None:
        self._handler = handler
        self._close = close
        self._max_backlog = max_backlog
        self._waiting: deque[Frame] = deque()
        self._bytes = 0
        self._writing = False
        self._over = False
        self._way: _Way | None = None
        #: Called once when the client is too far behind.
        self.on_overflow: Callable[[], None] | None = None

    def send(self, frame: Frame) -> None:
        """Send now, or as soon as what was sent before is out."""
        if self._over:
            return
        if self._writing or self._waiting:
            self._waiting.append(frame)
            self._bytes += len(frame.wire)
            if self._bytes > self._max_backlog and self.on_overflow is not None:
                self.on_overflow()
            return
        self._write(frame)

    def close(self, ending: Ending, sentence: str | None = None) -> None:
        """End the connection; what still waits is not sent any more."""
        self._drop()
        self._close(ending, sentence)

    def _drop(self) -> None:
        self._over = True
        self._waiting.clear()
        self._bytes = 0

    def _write(self, frame: Frame) -> None:
        sent = 0
        try:
            protocol, stream, buffer, send = self._way or self._find_way()
            # What waits in the stream has to go first; nothing may follow the frame that closes.
            if send is not None and not buffer._size and not protocol.server_terminated:
                # ``IOStream.write`` copies into a buffer, and makes a future and two callbacks,
                # even where all of it goes out at once, which is nearly always: that costs as
                # much again as to send.
                try:
                    sent = send(frame.wire)
                except OSError:
                    # It takes nothing now, or is broken, which Tornado finds out.
                    sent = 0
                if sent == len(frame.wire):
                    return
            if protocol.is_closing():
                raise WebSocketClosedError
            if stream is None:
                written = self._handler.write_message(frame.payload, binary=True)
                done = False
            else:
                written = stream.write(memoryview(frame.wire)[sent:])
                done = not stream.writing()
        except (StreamClosedError, WebSocketClosedError):
            self._drop()
            return
        if done:
            # Nobody waits for this future; an error in it shows as the end of the connection.
            written.add_done_callback(retrieve)
            return
        self._writing = True
        written.add_done_callback(self._written)

    def _find_way(self) -> _Way:
        protocol: Any = self._handler.ws_connection
        if protocol is None or protocol.is_closing():
            raise WebSocketClosedError
        stream = protocol.stream if _is_known() and protocol._compressor is None else None
        # Another class may do more than to send (TLS).
        if type(stream) is IOStream:
            self._way = (protocol, stream, stream._write_buffer, stream.socket.send)
        else:
            self._way = (protocol, stream, None, None)
        return self._way

    def _written(self, future: asyncio.Future[None]) -> None:
        self._writing = False
        if future.cancelled() or future.exception() is not None:
            self._drop()
            return
        while self._waiting and not self._writing:
            frame = self._waiting.popleft()
            self._bytes -= len(frame.wire)
            self._write(frame)


def retrieve(future: asyncio.Future[None]) -> None:
    """Look at what came of writing, for the sake of asyncio, which complains otherwise."""
    if not future.cancelled():
        future.exception()
