"""What a room's worker is given to do, and what comes of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pycrdt import Doc

from jupyter_collab_ai.ids import UserId
from jupyter_collab_ai.rooms import protocol
from jupyter_collab_ai.rooms.connection import Connection
from jupyter_collab_ai.rooms.gate import Standing, Verdict
from jupyter_collab_ai.rooms.log import (
    ClientRecord,
    Entry,
    Fence,
    Known,
    Origin,
    RefusedDeletions,
)
from jupyter_collab_ai.rooms.yupdate import IdRanges, MalformedUpdate, Update, parse_update

#: Bytes from which on an update is parsed in a worker thread.
LARGE = 64 * 1024


@dataclass
class SyncFrame:
    """A sync message of a client, waiting for its turn."""

    connection: Connection
    message: protocol.SyncMessage
    #: Which of the connection's update and step-2 frames this is; 0 for a step 1.
    number: int = 0
    #: The update in it, where it was too large to be parsed in passing.
    parsed: Update | None = None


class Request:
    """Something that the server itself wants, and waits for."""

    done: asyncio.Future[Any]

    def succeed(self, result: Any) -> None:
        """Answer, if whoever asked still waits."""
        if not self.done.done():
            self.done.set_result(result)

    def fail(self, error: Exception) -> None:
        """Say that it could not be done, if whoever asked still waits."""
        if not self.done.done():
            self.done.set_exception(error)


@dataclass
class Edit(Request):
    """A change, made on a copy when its turn comes."""

    change: Callable[[Doc[Any]], Any]
    origin: Origin
    user_id: UserId | None
    fence: Fence | None
    done: asyncio.Future[tuple[int, Any]]


@dataclass
class Foreign(Request):
    """An update that was made elsewhere, such as the merge of a changed file."""

    data: bytes
    origin: Origin
    user_id: UserId | None
    fence: Fence | None
    done: asyncio.Future[int]
    #: Where it was recorded in another document: whose the ids are that have written there.
    owners: Mapping[int, UserId | None] | None = None


@dataclass
class Look(Request):
    """A question about the document, answered when its turn comes."""

    function: Callable[[Doc[Any]], Any]
    done: asyncio.Future[Any]


@dataclass
class CatchUp(Request):
    """A wish to have what other servers have recorded."""

    #: Up to which update at least; None for all that there is.
    seq: int | None
    done: asyncio.Future[None]


Item = SyncFrame | Edit | Foreign | Look | CatchUp


@dataclass(frozen=True)
class Change:
    """What a transaction did to the document."""

    update: bytes
    delete_set: bytes


@dataclass
class Judged:
    """What came of the frames of one transaction."""

    verdicts: list[tuple[SyncFrame, Verdict]] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    records: dict[int, ClientRecord] = field(default_factory=dict)
    #: Those of the ids in ``records`` that came with what a page had from before.
    brought: set[int] = field(default_factory=set)
    #: Deletions that were refused, by account.
    refused: dict[UserId, IdRanges] = field(default_factory=dict)
    #: How the connections stand afterwards.
    standings: dict[Connection, Standing] = field(default_factory=dict)

    @property
    def learned(self) -> Known:
        """What has to be known of it later."""
        return Known(
            tuple(self.records.values()),
            tuple(RefusedDeletions(user, one.encode()) for user, one in self.refused.items()),
        )


async def parse(data: bytes) -> Update:
    """Read an update, a large one in a worker thread.

    Raises:
        MalformedUpdate: It is none.
    """
    if len(data) < LARGE:
        return parse_update(data)
    return await asyncio.to_thread(parse_update, data)


async def parse_large(frames: Iterable[SyncFrame]) -> None:
    """Read the updates in large frames in a worker thread, as the gate would block on them."""
    for frame in frames:
        if frame.number and len(frame.message.payload) >= LARGE:
            # What can't be read is found out about, and said, by the gate.
            with contextlib.suppress(MalformedUpdate):
                frame.parsed = await parse(frame.message.payload)
