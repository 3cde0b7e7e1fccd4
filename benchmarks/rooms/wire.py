"""The same cheap client for every server: a WebSocket and Yjs's sync messages, and no document.

It knows two dialects: y-websocket's, which this product and JupyterLab speak too, and that of
Hocuspocus, in which every message begins with the document's name.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

#: What a keystroke inserts, so that its number can be found in whatever frame it comes by.
_KEYSTROKE = re.compile(rb"<k(\d{6})>")

SYNC, AWARENESS, AUTH, SYNC_REPLY, SYNC_STATUS = 0, 1, 2, 4, 8
STEP1, STEP2, UPDATE = 0, 1, 2
#: A state vector, and an update, with nothing in it.
NO_STATE = b"\x00"
NO_UPDATE = b"\x00\x00"

#: Seconds in which a server has to answer.
PATIENCE = 60.0


class Refused(Exception):
    """The server closed the connection, or did not shake hands."""


def keystroke(number: int) -> str:
    """Return what the keystroke of this number inserts."""
    return f"<k{number:06}>"


def newest_keystroke(frame: bytes) -> int:
    """Return the highest number of a keystroke in a frame, -1 where there is none."""
    return max(map(int, _KEYSTROKE.findall(frame)), default=-1)


def varuint(number: int) -> bytes:
    """Encode a number as lib0 does."""
    out = bytearray()
    while number > 0x7F:
        out.append(0x80 | number & 0x7F)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_varuint(data: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def blob(data: bytes) -> bytes:
    """Encode bytes with their length in front."""
    return varuint(len(data)) + data


def encode(payload: bytes, opcode: int = 2) -> bytes:
    """Return a client's frame (RFC 6455, section 5.2), masked with zeros, which changes nothing."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


@dataclass(frozen=True)
class Door:
    """How somebody gets into a document."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    #: The name of the document where messages begin with it (Hocuspocus), else empty.
    document: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return it in a form for another process."""
        return {"url": self.url, "headers": self.headers, "document": self.document}

    @property
    def prefix(self) -> bytes:
        """What every message begins with."""
        return blob(self.document.encode()) if self.document else b""

    def message(self, kind: int, payload: bytes) -> bytes:
        """Return a sync message."""
        return self.prefix + bytes((SYNC, kind)) + blob(payload)

    def greeting(self) -> bytes:
        """Return by what a client tells who it is, where that is not done by headers."""
        return self.prefix + bytes((AUTH, 0)) + blob(b"none") if self.document else b""


class Client:
    """One connection. Blocks while it connects; then ``receive`` takes what has come."""

    def __init__(self, door: Door) -> None:
        """Connect and shake hands.

        Raises:
            Refused: The server did not want to.
        """
        self.door = door
        parts = urlsplit(door.url)
        self.socket = socket.create_connection((parts.hostname, parts.port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [
            f"GET {target or '/'} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(secrets.token_bytes(16)).decode()}",
            *(f"{name}: {value}" for name, value in door.headers.items()),
        ]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self._buffer = bytearray()
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._fill()
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        if not head.startswith(b"HTTP/1.1 101"):
            raise Refused(head.decode(errors="replace").partition("\r\n")[0])
        if door.greeting():
            self.send(door.greeting())

    def _fill(self) -> None:
        data = self.socket.recv(1 << 18)
        if not data:
            raise Refused("The connection was closed.")
        self._buffer += data

    def send(self, message: bytes) -> None:
        """Send one message."""
        self.socket.sendall(encode(message))

    def receive(self) -> Iterator[bytes]:
        """Read once, and return the binary messages that are complete by then.

        Raises:
            Refused: The connection has ended.
        """
        self._fill()
        yield from self._complete()

    def _complete(self) -> Iterator[bytes]:
        buffer = self._buffer
        while len(buffer) >= 2:
            size, at = buffer[1], 2
            if size == 126:
                size, at = int.from_bytes(buffer[2:4], "big"), 4
            elif size == 127:
                size, at = int.from_bytes(buffer[2:10], "big"), 10
            if len(buffer) < at or len(buffer) < at + size:
                return
            first = buffer[0]
            payload = bytes(buffer[at : at + size])
            del buffer[: at + size]
            if first == 0x82:
                yield payload
            elif first == 0x89:
                self.socket.sendall(encode(payload, 10))
            elif first == 0x88:
                code = int.from_bytes(payload[:2], "big")
                raise Refused(f"The server closed with {code} {payload[2:].decode()!r}.")
            elif first != 0x8A:
                raise Refused(f"A frame begins with {first:#x}, which this client can't read.")

    def sync(self) -> bytes:
        """Exchange states with the server, as one who has nothing; return its state.

        Raises:
            Refused: The connection has ended.
            TimeoutError: No answer.
        """
        self.send(self.door.message(STEP1, NO_STATE))
        # What it asks may come before or after its answer.
        state: bytes | None = None
        deadline = time.monotonic() + PATIENCE
        pending = self._complete()
        while True:
            for message in pending:
                state = self.answer(message) or state
            if state is not None:
                return state
            if time.monotonic() > deadline:
                raise TimeoutError("The server did not send its state.")
            pending = self.receive()

    def answer(self, message: bytes) -> bytes | None:
        """Answer the server's question for our state; return the update of its own answer."""
        at = len(self.door.prefix)
        if message[at] not in ((SYNC, SYNC_REPLY) if at else (SYNC,)):
            return None
        if message[at + 1] == STEP1:
            self.send(self.door.message(STEP2, NO_UPDATE))
            return None
        if message[at + 1] != STEP2:
            return None
        size, start = read_varuint(message, at + 2)
        return message[start : start + size]

    def acknowledged(self, message: bytes) -> int | None:
        """Return which of our update frames a message acknowledges; 0 where it does not say."""
        at = len(self.door.prefix)
        if at:
            return 0 if message[at] == SYNC_STATUS else None
        if message[0] != 2:
            return None
        _, start = read_varuint(message, 1)
        content = json.loads(message[start:])
        return int(content["seq"]) if content["type"] == "saved" else None

    def close(self) -> None:
        """End the connection without a word."""
        self.socket.close()
