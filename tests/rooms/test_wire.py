"""Frames by way of Tornado's inside: the same as by its own way, whatever comes in what pieces."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import os
import socket
import struct
from types import SimpleNamespace
from typing import Any

import pytest
import tornado
from hypothesis import given
from hypothesis import strategies as st
from tornado.iostream import IOStream
from tornado.util import _websocket_mask
from tornado.websocket import WebSocketProtocol13, _WebSocketParams

from jupyter_collab_ai.rooms.connection import Frame
from jupyter_collab_ai.rooms.wire import AHEAD, VERSIONS, Outbox, ReadingAhead, reading_ahead
from tests.rooms.engine import until


def _outbox(stream: IOStream) -> Outbox:
    protocol_ = SimpleNamespace(
        stream=stream, _compressor=None, is_closing=stream.closed, server_terminated=False
    )
    return Outbox(SimpleNamespace(ws_connection=protocol_), lambda *_: None)  # type: ignore[arg-type]


async def test_frames_go_out_whole_and_in_order_however_little_is_taken_at_once() -> None:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    writer, reader = IOStream(ours), IOStream(theirs)
    outbox = _outbox(writer)
    frames = [Frame(bytes((number % 256,)) * 999) for number in range(400)]
    for frame in frames[:-1]:
        outbox.send(frame)
    # What is left is Tornado's, and nothing overtakes it.
    assert writer.writing()
    outbox.send(frames[-1])
    whole = b"".join(frame.wire for frame in frames)
    assert await reader.read_bytes(len(whole)) == whole
    await until(lambda: not writer.writing())
    # At once again, without Tornado.
    outbox.send(frames[0])
    assert not writer.writing()
    assert await reader.read_bytes(len(frames[0].wire)) == frames[0].wire
    theirs.close()
    reader.close()
    # Of a connection that is gone Tornado finds that out.
    while not writer.closed():
        outbox.send(frames[0])
        await asyncio.sleep(0)
    outbox.send(frames[0])


async def test_nothing_overtakes_what_tornado_sends_itself() -> None:
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    writer, reader = IOStream(ours), IOStream(theirs)
    outbox = _outbox(writer)
    # Such as the answer to a ping, while the client takes nothing.
    first = bytes(300_000)
    written = writer.write(first)
    frame = Frame(b"later")
    outbox.send(frame)
    whole = first + frame.wire
    assert await reader.read_bytes(len(whole)) == whole
    await written


# ---------------------------------------------------------------- reading

LIMIT = 200_000
PARAMS = _WebSocketParams(max_message_size=LIMIT)


class Handler:
    """Notes what a protocol calls."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def on_message(self, message: str | bytes) -> None:
        self.heard.append(("message", message))

    def on_ping(self, data: bytes) -> None:
        self.heard.append(("ping", data))

    def on_pong(self, data: bytes) -> None:
        self.heard.append(("pong", data))

    def on_ws_connection_close(self, code: int | None, reason: str | None) -> None:
        self.heard.append(("close", code, reason))

    def log_exception(self, *error: object) -> None:
        raise AssertionError(error)


def _frame(opcode: int, data: bytes, *, final: bool = True, mask: bytes | None = b"mask") -> bytes:
    bit = 0x80 if mask else 0
    head = bytes(((0x80 if final else 0) | opcode,))
    if len(data) < 126:
        head += bytes((bit | len(data),))
    elif len(data) < 1 << 16:
        head += struct.pack("!BH", bit | 126, len(data))
    else:
        head += struct.pack("!BQ", bit | 127, len(data))
    return head + (mask + _websocket_mask(mask, data) if mask else data)


async def _what_comes_of(kind: type[WebSocketProtocol13], pieces: list[bytes]) -> list[Any]:
    """Return what the handler heard, and what was answered."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    handler = Handler()
    protocol = kind(handler, False, PARAMS)  # type: ignore[arg-type]
    protocol.stream = IOStream(ours)
    reading = asyncio.create_task(protocol._receive_frame_loop())
    answered = asyncio.create_task(_read_all(theirs))
    try:
        with contextlib.suppress(OSError):  # ended by a close, or as it is malformed
            for piece in pieces:
                await loop.sock_sendall(theirs, piece)
                for _ in range(3):
                    await asyncio.sleep(0)
            theirs.shutdown(socket.SHUT_WR)
        await reading
        protocol.stream.close()
        return [*handler.heard, await answered]
    finally:
        theirs.close()


async def _read_all(end: socket.socket) -> bytes:
    read = b""
    with contextlib.suppress(OSError):
        while piece := await asyncio.get_running_loop().sock_recv(end, 65536):
            read += piece
    return read


FRAMES = st.one_of(
    st.binary(max_size=300).map(lambda data: _frame(2, data)),
    st.text(max_size=60).map(lambda text: _frame(1, text.encode())),
    st.binary(max_size=125).map(lambda data: _frame(9, data)),
    st.binary(max_size=10).map(lambda data: _frame(10, data)),
    st.binary(max_size=30).map(lambda data: _frame(2, data, mask=None)),
    st.lists(st.binary(max_size=40), min_size=2, max_size=4).map(
        lambda parts: b"".join(
            _frame(0 if index else 2, part, final=index == len(parts) - 1)
            for index, part in enumerate(parts)
        )
    ),
    st.binary(max_size=40).map(lambda data: _frame(2, data, final=False)),
    st.just(_frame(8, struct.pack("!H", 1000) + b"bye")),
    st.integers(126, 70_000).map(lambda size: _frame(2, bytes(size))),
    st.just(_frame(2, b"")),
    st.just(_frame(2, bytes(LIMIT + 1))[:100]),
    st.binary(max_size=20),
)


@given(frames=st.lists(FRAMES, max_size=8), cuts=st.lists(st.integers(0, 100_000), max_size=8))
def test_what_is_read_ahead_is_what_tornado_reads(frames: list[bytes], cuts: list[int]) -> None:
    whole = b"".join(frames)
    at = sorted({0, len(whole), *(cut % (len(whole) + 1) for cut in cuts)})
    pieces = [whole[start:end] for start, end in itertools.pairwise(at)]

    async def both() -> None:
        theirs = await _what_comes_of(WebSocketProtocol13, pieces)
        assert await _what_comes_of(ReadingAhead, pieces) == theirs

    asyncio.run(both())


async def test_a_message_larger_than_is_read_ahead_comes_whole() -> None:
    for size in (AHEAD - 20, AHEAD - 14, AHEAD, AHEAD + 1, 3 * AHEAD):
        data = os.urandom(size)
        stream = _frame(2, b"before") + _frame(2, data) + _frame(2, b"after")
        heard = await _what_comes_of(ReadingAhead, [stream])
        assert [one[1] for one in heard[:3]] == [b"before", data, b"after"]


async def test_byte_by_byte_is_the_same() -> None:
    stream = _frame(2, bytes(300)) + _frame(9, b"there?") + _frame(1, b"text")
    heard = await _what_comes_of(ReadingAhead, [bytes((byte,)) for byte in stream])
    assert heard[:3] == [("message", bytes(300)), ("ping", b"there?"), ("message", "text")]


async def test_nothing_is_held_that_was_taken() -> None:
    ours, theirs = socket.socketpair()
    protocol = ReadingAhead(Handler(), False, PARAMS)  # type: ignore[arg-type]
    protocol.stream = IOStream(ours)
    theirs.sendall(_frame(2, bytes(50_000)))
    reading = asyncio.create_task(protocol._receive_frame_loop())
    await until(lambda: protocol._message_bytes_in)
    assert protocol._ahead == b""
    theirs.close()
    await reading


def test_tornado_is_the_one_that_this_was_written_for() -> None:
    assert tornado.version_info[:2] in VERSIONS
    source = inspect.getsource(WebSocketProtocol13)
    # One that reads past the method that is replaced would miss what was read ahead.
    assert source.count("self.stream.read") == source.count("await self.stream.read_bytes(n)") == 1
    assert not inspect.getsource(IOStream).count("def write(")


def test_another_tornado_reads_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = WebSocketProtocol13(Handler(), False, PARAMS)  # type: ignore[arg-type]
    assert type(reading_ahead(plain)) is ReadingAhead
    assert reading_ahead(None) is None
    monkeypatch.setattr(tornado, "version_info", (9, 0, 0, 0))
    assert reading_ahead(plain) is plain
