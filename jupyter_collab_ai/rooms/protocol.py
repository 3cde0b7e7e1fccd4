"""The frames of a room's WebSocket: y-websocket's protocol, and raw frames.

Pure: bytes in, values out. A frame begins with its type as a variable-length number:

- ``0`` sync (``y-protocols/sync.js``): a state vector that asks (step 1), the update that
  answers (step 2), or an update as it happens;
- ``1`` awareness (``y-protocols/awareness.js``): who is here;
- ``2`` raw: to clients a string of JSON, ``{"type": …}``. From JupyterLab's provider it is
  the string ``save`` and a number by which it knows the reply
  (``jupyter_server_ydoc/handlers.py``). y-websocket takes type 2 for its own message
  "authentication": it reads the length of our string as a subtype that it doesn't know, as
  that is never 0, and does nothing; so raw frames do not disturb it;
- ``3`` asks for everybody's awareness (y-websocket's ``messageQueryAwareness``).

Interface::

    message = parse_frame(data)     # MalformedFrame for anything that is no frame
    match message:
        case SyncMessage(kind=SyncKind.STEP1 | SyncKind.STEP2 | SyncKind.UPDATE, payload=...)
        case AwarenessMessage(payload=...)
        case AwarenessQuery()
        case SaveRequest(request_id=...)
        case UnknownMessage(type=...)      # not for us; to be ignored

    sync_step1(state_vector), sync_step2(update), update(update), awareness(payload), raw({...})

Payloads are not looked into here; :mod:`~.yupdate` and :mod:`~.awareness` read them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from jupyter_collab_ai.rooms.yupdate import MalformedUpdate, Reader, write_blob, write_varuint

#: Bytes of the largest frame that is read at all, unless the caller says otherwise.
MAX_FRAME: Final = 32 * 1024 * 1024


class MalformedFrame(ValueError):
    """The bytes are no frame of this protocol."""


class FrameTooLarge(MalformedFrame):
    """The frame is over the limit of size; it was not read."""


class MessageType(IntEnum):
    """The first number of a frame."""

    SYNC = 0
    AWARENESS = 1
    RAW = 2
    QUERY_AWARENESS = 3


class SyncKind(IntEnum):
    """The second number of a sync frame."""

    #: What the sender knows, as a state vector; asks for the rest.
    STEP1 = 0
    #: The answer to a step 1: an update of all that the asker lacks, and all deletions.
    STEP2 = 1
    #: An update as it happens.
    UPDATE = 2


@dataclass(frozen=True, slots=True)
class SyncMessage:
    """A sync message; the payload is a state vector for step 1, an update otherwise."""

    kind: SyncKind
    payload: bytes


@dataclass(frozen=True, slots=True)
class AwarenessMessage:
    """An awareness update, for :mod:`~.awareness` to read."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class AwarenessQuery:
    """Asks for the awareness of all who are here."""


@dataclass(frozen=True, slots=True)
class SaveRequest:
    """JupyterLab asks to write the file; the reply names the number again."""

    request_id: int


@dataclass(frozen=True, slots=True)
class UnknownMessage:
    """A frame of a type, or a raw frame of a kind, that has no meaning here."""

    type: int


Message = SyncMessage | AwarenessMessage | AwarenessQuery | SaveRequest | UnknownMessage


def parse_frame(data: bytes, *, limit: int = MAX_FRAME) -> Message:
    """Read one binary frame.

    Args:
        data: The frame.
        limit: Bytes that it may have.

    Raises:
        FrameTooLarge: It has more.
        MalformedFrame: It is empty, cut off, or has more than it says.
    """
    if len(data) > limit:
        raise FrameTooLarge(f"A message may have at most {limit} bytes.")
    reader = Reader(data)
    try:
        return _read_message(reader)
    except MalformedUpdate as error:
        raise MalformedFrame(str(error)) from None


def _read_message(reader: Reader) -> Message:
    type_ = reader.varuint()
    if type_ == MessageType.SYNC:
        kind = SyncKind(reader.varuint(limit=max(SyncKind)))
        message: Message = SyncMessage(kind, reader.blob())
    elif type_ == MessageType.AWARENESS:
        message = AwarenessMessage(reader.blob())
    elif type_ == MessageType.QUERY_AWARENESS:
        message = AwarenessQuery()
    elif type_ == MessageType.RAW:
        if reader.string() != "save":
            return UnknownMessage(type_)
        message = SaveRequest(reader.varuint())
    else:
        return UnknownMessage(type_)
    reader.expect_end()
    return message


def sync_step1(state_vector: bytes) -> bytes:
    """Return the frame that asks for what lies beyond a state vector."""
    return _sync(SyncKind.STEP1, state_vector)


def sync_step2(data: bytes) -> bytes:
    """Return the frame that answers a step 1."""
    return _sync(SyncKind.STEP2, data)


def update(data: bytes) -> bytes:
    """Return the frame of an update as it happens."""
    return _sync(SyncKind.UPDATE, data)


def awareness(payload: bytes) -> bytes:
    """Return the frame of an awareness update."""
    out = bytearray((MessageType.AWARENESS,))
    write_blob(out, payload)
    return bytes(out)


def raw(content: Mapping[str, Any]) -> bytes:
    """Return a raw frame.

    Raises:
        ValueError: ``content`` has no ``type``, or is not JSON.
    """
    # Without a type no client could tell what it is.
    if not content.get("type"):
        raise ValueError("A raw frame needs a type.")
    out = bytearray((MessageType.RAW,))
    # ASCII alone: some readers count characters where others count bytes.
    write_blob(out, json.dumps(content, separators=(",", ":"), allow_nan=False).encode())
    return bytes(out)


def saved(number: int) -> bytes:
    """Return the raw frame that tells a client which of its frames was recorded."""
    content = b'{"type":"saved","seq":%d}' % number
    return bytes((MessageType.RAW, len(content))) + content


def _sync(kind: SyncKind, payload: bytes) -> bytes:
    out = bytearray((MessageType.SYNC,))
    write_varuint(out, kind)
    write_varuint(out, len(payload))
    # One copy, not three: the first answer to a client may have many MB.
    return bytes(out) + payload
