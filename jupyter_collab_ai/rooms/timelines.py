"""Timelines of jupyter-collaboration: copies of documents that go through what was recorded.

A copy holds nothing of its own. What it shows is in the log, and what a client sends into it is
never applied; so it can be freed at any time, and nobody loses anything. It belongs to whoever
opened it, who has to have the right to the document whenever they do anything with it.

What moves a copy is written under a Yjs client id of the server's that the log does not know. A
page that goes back to the document with what it saw here is so told to start afresh. Restoring
records all that the copy wrote in the document's log, as one change of the account's: what such a
page brings is known then, and is not there twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterator
from typing import Any

from pycrdt import get_update

from jupyter_collab_ai.errors import Locked, NotFound, RateLimited, RoleRequired
from jupyter_collab_ai.ids import SessionId, UserId, new_id
from jupyter_collab_ai.logs import cause_of
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.rooms import protocol
from jupyter_collab_ai.rooms.close_codes import Ending
from jupyter_collab_ai.rooms.connection import Connection, Frame
from jupyter_collab_ai.rooms.copies import new_client_id
from jupyter_collab_ai.rooms.documents import Document
from jupyter_collab_ai.rooms.freezing import frozen
from jupyter_collab_ai.rooms.log import LogGone, NotKept
from jupyter_collab_ai.rooms.panics import without_panics
from jupyter_collab_ai.rooms.ports import Right, Rights, Stop, WriteLocks
from jupyter_collab_ai.rooms.registry import Rooms
from jupyter_collab_ai.rooms.replaying import Copy, Tape, move, read_tape, restoration_of, steps_of
from jupyter_collab_ai.rooms.rewriting import rewrite
from jupyter_collab_ai.storage.audit import note
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.web import metrics
from jupyter_collab_ai.web.metrics import Transport

log = logging.getLogger(__name__)

#: Seconds for which a copy is kept that nobody is connected to.
IDLE = 30.0
#: Copies of one account, and of all, that are kept; the oldest go first.
MOST_OF_ONE = 3
MOST = 30
#: Bytes that all copies may take together.
MOST_BYTES = 512 * 1024 * 1024
#: Copies that are made or moved at the same time; others wait for their turn.
AT_ONCE = 2
#: Requests that may wait for that.
MOST_WAITING = 50
#: Seconds after which rights are asked for again, though nobody has said that they changed.
RECHECK = 5.0

_GONE = "There is no such timeline, or it is not yours; open it anew."
_OVER = "What this timeline shows was restored, or it was freed; open it anew."
_NO_DOCUMENT = "There is no such document, or it is not shared with you."


class Timeline:
    """One copy, and those who look at it: whoever opened it, in as many windows as they like."""

    def __init__(self, document: Document, owner: UserId, copy: Copy) -> None:
        self.id = new_id()
        self.document = document
        self.owner = owner
        self.copy = copy
        #: Bytes that it takes at the most.
        self.most_bytes = copy.most_bytes
        self.connections: set[Connection] = set()
        #: Nobody moves it while it is being moved.
        self.lock = asyncio.Lock()
        #: It can't be moved any more: it was restored, or freed.
        self.over = False
        self.idle: asyncio.TimerHandle | None = None

    @property
    def times(self) -> list[float]:
        """When each of its steps was recorded, in seconds since the epoch."""
        return [at for at, _ in self.copy.steps.marks]

    def show(self, data: bytes) -> None:
        """Show a change to all who are connected."""
        frame = Frame(protocol.update(data))
        for connection in tuple(self.connections):
            connection.send(frame)


class Timelines:
    """Opens, moves, restores and frees them."""

    def __init__(
        self,
        database: Database,
        rooms: Rooms,
        rights: Rights,
        locks: WriteLocks,
        *,
        idle: float = IDLE,
        most_of_one: int = MOST_OF_ONE,
        most: int = MOST,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """Prepare to open timelines.

        Args:
            database: Where the log is.
            rooms: By which a restored document is written.
            rights: Who may read and write what.
            locks: Where operations are writing.
            idle: Seconds for which a copy is kept that nobody is connected to.
            most_of_one: Copies of one account that are kept.
            most: Copies that are kept at all.
            most_bytes: Bytes that all copies may take together.
        """
        self._database = database
        self._rooms = rooms
        self._rights = rights
        self._locks = locks
        self._idle = idle
        self._most_of_one = most_of_one
        self._most = most
        self._most_bytes = most_bytes
        #: By their ids, the oldest first.
        self._open: dict[str, Timeline] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking: asyncio.TimerHandle | None = None
        self._stop_watching: Stop = rights.watch(self._rights_changed)

    # ------------------------------------------------------------ what is asked of them

    async def open(self, principal: Principal, path: str) -> Timeline:
        """Copy the document at ``path`` as it was recorded, for ``principal`` alone.

        Raises:
            NotFound: There is no such document, or not for ``principal``.
            DocumentTooLarge: It is too large for that.
            RateLimited: So many are open that there is no room for another.
        """
        await self._require(principal, path)
        with self._in_line():
            document = await self._describe(path, outside=principal.is_admin)
            async with self._turns:
                tape = await self._read(document)
                steps, state = await asyncio.to_thread(steps_of, tape)
        await self._require(principal, path)
        copy = Copy(document.kind, steps, new_client_id(), state, state, steps.last)
        timeline = Timeline(document, principal.user_id, copy)
        self._make_room_for(timeline)
        self._open[timeline.id] = timeline
        self._free_later(timeline)
        return timeline

    def find(self, timeline_id: str, principal: Principal) -> Timeline | None:
        """Return a timeline of this id, if there is one and ``principal`` has opened it."""
        timeline = self._open.get(timeline_id)
        return None if timeline is None or timeline.owner != principal.user_id else timeline

    async def path_of(self, timeline_id: str) -> str | None:
        """Return where the document of a timeline is now; None where there is none of this id."""
        timeline = self._open.get(timeline_id)
        if timeline is None:
            return None
        document = await self._rooms.documents.by_id(timeline.document.id)
        if document is None or document.epoch != timeline.document.epoch:
            self._free(timeline, Ending.NOT_FOUND)
            return None
        return document.path

    async def go(self, principal: Principal, timeline_id: str, path: str, steps: int) -> bool:
        """Move a timeline by so many steps, back where it is negative; tell whether it can.

        Args:
            principal: Who moves it.
            timeline_id: The timeline.
            path: Of which document they say that it is.
            steps: How far.

        Raises:
            NotFound: It is not theirs, or not of this document.
            DocumentTooLarge: It was moved too often.
        """
        timeline = await self._mine(principal, timeline_id, path)
        with self._in_line():
            async with timeline.lock, self._turns:
                await self._require(principal, path)
                copy = timeline.copy
                if timeline.over:
                    raise NotFound(_OVER)
                step = min(max(copy.step + steps, 0), copy.steps.last)
                if step == copy.step:
                    return not steps
                copy, data = await asyncio.to_thread(move, copy, step)
                timeline.copy = copy
                timeline.show(data)
        return True

    async def restore(
        self,
        principal: Principal,
        timeline_id: str,
        path: str,
        *,
        address: str | None = None,
    ) -> bool:
        """Write what a timeline shows into its document; tell whether anything was changed.

        The timeline is over then.

        Raises:
            NotFound: It is not theirs, or not of this document.
            RoleRequired: ``principal`` may not write.
            Locked: An AI operation is writing there.
        """
        timeline = await self._mine(principal, timeline_id, path)
        await self._require(principal, path, write=True)
        await self._locks.refuse(path)
        with self._in_line():
            async with timeline.lock:
                if timeline.over:
                    raise NotFound(_OVER)
                return await self._restore(timeline, principal, path, address)

    async def _restore(
        self, timeline: Timeline, principal: Principal, path: str, address: str | None
    ) -> bool:
        copy = timeline.copy
        right = Right(may_read=False, may_write=False)

        async def make(state: bytes) -> bytes | None:
            async with self._turns:
                return await asyncio.to_thread(restoration_of, copy, state)

        async def allowed() -> None:
            nonlocal right
            right = await self._require(principal, path, write=True)
            # From here on it may be recorded, and what comes of it must not be known otherwise:
            # the copy would write something else under the same numbers.
            timeline.over = True

        def noted(tx: Tx) -> None:
            at = copy.steps.marks[copy.step][0]
            note(
                tx,
                principal,
                "timeline_restored",
                session_id=right.session_id,
                target=path,
                detail={"at": at},
                address=address,
            )

        async with self._rooms.hold(path, outside=principal.is_admin) as room:
            if (room.document.id, room.epoch) != (timeline.document.id, timeline.document.epoch):
                raise NotFound(_GONE)
            async with frozen(room):
                try:
                    _, changed = await rewrite(
                        room, self._locks, principal.user_id, make, allowed=allowed, noted=noted
                    )
                except (Locked, RoleRequired):
                    # Nothing was recorded.
                    timeline.over = timeline.id not in self._open
                    raise
        return changed

    # ------------------------------------------------------------ connections

    def join(self, timeline: Timeline, connection: Connection) -> None:
        """Let a connection of the owner's in."""
        if timeline.idle is not None:
            timeline.idle.cancel()
            timeline.idle = None
        timeline.connections.add(connection)
        connection.on_end = lambda: self.leave(timeline, connection)
        hello = {
            "type": "hello",
            "epoch": timeline.document.epoch,
            **connection.describe_right(),
            "read_only": True,
        }
        connection.send(Frame(protocol.raw(hello)))
        self._look_later()

    def leave(self, timeline: Timeline, connection: Connection) -> None:
        """Forget a connection; the timeline is freed some time after the last one."""
        if connection in timeline.connections:
            timeline.connections.discard(connection)
            if not timeline.connections and timeline.id in self._open:
                self._free_later(timeline)

    async def receive(
        self, timeline: Timeline, connection: Connection, message: protocol.Message
    ) -> None:
        """Answer what a client asks; what it brings is not taken, and shown to nobody."""
        if connection.ended or not isinstance(message, protocol.SyncMessage):
            return
        if message.kind is not protocol.SyncKind.STEP1:
            return
        try:
            async with timeline.lock:
                # Moves that come after this are shown after this.
                missing = await asyncio.to_thread(
                    _missing, timeline.copy.state, bytes(message.payload)
                )
                connection.send(Frame(protocol.sync_step2(missing)))
        except Exception:
            metrics.refused(Transport.MESSAGE, "malformed")
            connection.end(Ending.UNREADABLE)

    def _rights_changed(self, session_id: SessionId | None, user_id: UserId | None) -> None:
        del session_id  # the document may have been moved to another one
        for timeline in tuple(self._open.values()):
            if user_id in (None, timeline.owner) and timeline.connections:
                self._spawn(self._recheck(timeline))

    async def _recheck(self, timeline: Timeline) -> None:
        """Let those go who may not read the document any more."""
        try:
            path = await self.path_of(timeline.id)
            for connection in tuple(timeline.connections):
                right = None
                if path is not None:
                    right = await self._rights.right(connection.principal, path)
                if right is None or not right.may_read:
                    connection.end(Ending.REMOVED)
        except Exception as error:
            # Without an answer nothing more is shown; a page connects again by itself.
            log.warning(
                "Rights to a timeline of the document %s can't be asked for: %s",
                timeline.document.id,
                cause_of(error),
            )
            for connection in tuple(timeline.connections):
                connection.end(Ending.UNAVAILABLE)

    def _look_later(self) -> None:
        """Ask for all rights again in a while: another server's word may be lost."""
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(RECHECK, self._look)

    def _look(self) -> None:
        self._looking = None
        self._rights_changed(None, None)
        if any(timeline.connections for timeline in self._open.values()):
            self._look_later()

    # ------------------------------------------------------------ freeing

    def count(self) -> int:
        """Return how many there are."""
        return len(self._open)

    def close(self) -> None:
        """Free all of them, as the server stops."""
        self._stop_watching()
        if self._looking is not None:
            self._looking.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        for timeline in tuple(self._open.values()):
            self._free(timeline, Ending.STOPPING)

    def _make_room_for(self, new: Timeline) -> None:
        mine = [one for one in self._open.values() if one.owner == new.owner]
        if len(mine) >= self._most_of_one:
            # Those that nobody looks at go first.
            self._free(min(mine, key=lambda one: bool(one.connections)), Ending.NOT_FOUND)
        while len(self._open) >= self._most or (
            sum(one.most_bytes for one in (*self._open.values(), new)) > self._most_bytes
        ):
            oldest = next((one for one in self._open.values() if not one.connections), None)
            if oldest is None:
                raise RateLimited(
                    "Too many timelines are open on this server; try again in a minute.",
                    retry_after=60,
                )
            self._free(oldest, Ending.NOT_FOUND)

    def _free_later(self, timeline: Timeline) -> None:
        timeline.idle = asyncio.get_running_loop().call_later(
            self._idle, lambda: self._free(timeline, Ending.NOT_FOUND)
        )

    def _free(self, timeline: Timeline, ending: Ending) -> None:
        if self._open.pop(timeline.id, None) is None:
            return
        timeline.over = True
        if timeline.idle is not None:
            timeline.idle.cancel()
        for connection in tuple(timeline.connections):
            connection.end(ending)

    # ------------------------------------------------------------ inside

    async def _require(self, principal: Principal, path: str, *, write: bool = False) -> Right:
        right = await self._rights.right(principal, path)
        if not right.may_read:
            raise NotFound(_NO_DOCUMENT)
        if write and not right.may_write:
            raise RoleRequired("Restoring a document needs the role editor or owner.")
        return right

    async def _mine(self, principal: Principal, timeline_id: str, path: str) -> Timeline:
        await self._require(principal, path)
        timeline = self.find(timeline_id, principal)
        if timeline is None or await self.path_of(timeline.id) != path:
            raise NotFound(_GONE)
        return timeline

    async def _describe(self, path: str, *, outside: bool) -> Document:
        document = await self._rooms.describe(path, outside=outside)
        if not document.seq:
            # Nobody has opened it yet: what the file holds becomes the first step.
            async with self._rooms.hold(path, outside=outside):
                pass
            document = await self._rooms.describe(path, outside=outside)
        return document

    async def _read(self, document: Document) -> Tape:
        try:
            return await self._database.read(lambda tx: read_tape(tx, document.id, document.epoch))
        except (LogGone, NotKept):
            raise NotFound(_NO_DOCUMENT) from None

    @contextlib.contextmanager
    def _in_line(self) -> Iterator[None]:
        if self._waiting >= MOST_WAITING:
            raise RateLimited(
                "Too many timelines are being opened and moved; try again in a moment.",
                retry_after=5,
            )
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@without_panics
def _missing(state: bytes, vector: bytes) -> bytes:
    """Return what of a document a client lacks; for worker threads."""
    return get_update(state, vector)
