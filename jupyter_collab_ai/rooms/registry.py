"""The rooms of this server: at most one for each document, opened when somebody comes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from functools import partial
from typing import Any

from pycrdt import Doc

from jupyter_collab_ai.errors import DatabaseUnavailable, InvalidRequest, NotFound, StaleDocument
from jupyter_collab_ai.ids import DocumentId, SessionId, UserId
from jupyter_collab_ai.rooms.branch import Branch
from jupyter_collab_ai.rooms.close_codes import Ending
from jupyter_collab_ai.rooms.compaction import COMPACT_AFTER, Compactor
from jupyter_collab_ai.rooms.conflicts import Conflicts
from jupyter_collab_ai.rooms.connection import Connection
from jupyter_collab_ai.rooms.content import build, first_update
from jupyter_collab_ai.rooms.copies import log_state_of, new_client_id
from jupyter_collab_ai.rooms.disk_watch import DiskWatch
from jupyter_collab_ai.rooms.documents import TOPIC, Document, Documents, note_saved
from jupyter_collab_ai.rooms.files import Files, OnDisk
from jupyter_collab_ai.rooms.gate import LogState
from jupyter_collab_ai.rooms.log import (
    Entry,
    History,
    LogGone,
    LogMoved,
    Origin,
    UpdateLog,
    append,
)
from jupyter_collab_ai.rooms.panics import without_panics
from jupyter_collab_ai.rooms.ports import Events, Rights
from jupyter_collab_ai.rooms.projection import Projection
from jupyter_collab_ai.rooms.room import LiveRoom
from jupyter_collab_ai.rooms.versions import Versions
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.web import metrics

log = logging.getLogger(__name__)

#: Seconds that a room is kept after the last one has left.
IDLE = 60.0
#: Updates after the last snapshot from which on the log of a room that ends is compacted.
COMPACT_AT_END = 100
#: Seconds in which what came in is recorded, unless the database is in trouble.
SETTLE = 5.0
#: Seconds without a change after which a log is compacted, which those who type would feel; and
#: updates after which it is compacted although they do.
PAUSE = 1.0
COMPACT_AT_LAST = 5000
#: Seconds between two looks at what other servers have recorded of the documents that are open.
OTHERS = 1.0


class _Open:
    """A room that is open, with what belongs to it."""

    def __init__(self, room: LiveRoom, projection: Projection | Branch, tail: int) -> None:
        self.room = room
        self.projection = projection
        #: Up to which update the log was compacted.
        self.compact_seq = room.seq - tail
        self.compacting = False
        self.awaits_pause = False
        self.holders = 0
        self.idle: asyncio.TimerHandle | None = None


class Rooms:
    """Opens, finds and frees the rooms of this server."""

    def __init__(
        self,
        database: Database,
        files: Files,
        rights: Rights,
        *,
        events: Events | None = None,
        compactor: Compactor | None = None,
        idle: float = IDLE,
    ) -> None:
        """Prepare to open rooms.

        Args:
            database: Where the log is.
            files: Where the documents' files are.
            rights: Who may read and write what.
            events: Told of what happens to documents.
            compactor: Keeps their logs small.
            idle: Seconds that a room is kept after the last one has left.
        """
        self.documents = Documents(database)
        self.log = UpdateLog(database)
        self.compactor = compactor or Compactor(database)
        self.versions = Versions(database)
        self._database = database
        self._files = files
        self._disk = DiskWatch(files)
        self._rights = rights
        self.events = events
        self._idle = idle
        self._open: dict[DocumentId, _Open] = {}
        self._locks: dict[DocumentId, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._others: asyncio.Task[None] | None = None
        self._closing = False
        self._stop_watching = rights.watch(self._rights_changed)
        self._stop_hearing = database.changes.subscribe(TOPIC, self._document_changed)

    # ------------------------------------------------------------ finding and opening

    async def acquire(self, path: str, *, outside: bool = False) -> LiveRoom:
        """Return the room of the document at ``path``, opened if need be, and keep it open.

        Each call has to be paid back by one of :meth:`release`.

        Args:
            path: Where it is; a link is no document, or its file would have two.
            outside: Whether a link on the way may lead out of the server's root.

        Raises:
            NotFound: There is no such file.
            InvalidRequest: It can't be edited together.
            DocumentTooLarge: It is too large to be edited together.
            DatabaseUnavailable: Its history can't be read.
        """
        return await self._acquire((await self.describe(path, outside=outside)).id)

    async def describe(self, path: str, *, outside: bool = False) -> Document:
        """Return the row of the document at ``path`` without opening it, made if need be.

        Raises:
            NotFound, DocumentTooLarge: As of :meth:`acquire`.
        """
        real = await self._files.real(path)
        if real != path and not (outside and real is None):
            raise NotFound("There is a link in the path; open the file that it leads to.")
        found = await self.documents.by_path(path)
        await self._files.require_fit(path, grown=found is not None and found.seq > 0)
        return found or await self.documents.ensure(path)

    async def acquire_by_id(self, document_id: DocumentId) -> LiveRoom:
        """Do what :meth:`acquire` does, for a document that is known by its id."""
        return await self._acquire(document_id)

    @contextlib.asynccontextmanager
    async def hold(self, path: str, *, outside: bool = False) -> AsyncIterator[LiveRoom]:
        """Keep the room of ``path`` open for the length of the block; see :meth:`acquire`."""
        room = await self.acquire(path, outside=outside)
        try:
            yield room
        finally:
            self.release(room)

    def release(self, room: LiveRoom) -> None:
        """Let go of a room; it is freed some time after the last one has."""
        entry = self._open.get(room.document.id)
        if entry is None or entry.room is not room:
            return  # it has failed, or its document is gone
        entry.holders -= 1
        if not entry.holders:
            self._free_later(entry)

    async def plain(self, path: str) -> str:
        """Return the path by which what is at ``path`` is a document; see :meth:`acquire`."""
        return await self._files.real(path) or path

    def find(self, document_id: DocumentId) -> LiveRoom | None:
        """Return the room of a document, if it is open."""
        entry = self._open.get(document_id)
        return None if entry is None else entry.room

    def all(self) -> tuple[LiveRoom, ...]:
        """Return the rooms that are open."""
        return tuple(entry.room for entry in self._open.values())

    def online(self, session_id: SessionId) -> set[UserId]:
        """Return who has a document of this session open now."""
        return {
            connection.principal.user_id
            for entry in self._open.values()
            for connection in entry.room.connections
            if connection.right.session_id == session_id
        }

    async def save(self, room: LiveRoom) -> None:
        """Save a document now instead of soon.

        Raises:
            CollabError, HTTPError: It did not work; it is tried again by itself.
        """
        entry = self._open.get(room.document.id)
        if entry is not None and entry.room is room:
            await entry.projection.save()

    # ------------------------------------------------------------ files that move

    async def renamed(self, old: str, new: str) -> None:
        """Follow files that were moved from ``old`` to ``new``, rows and rooms alike."""
        await self.documents.rename(old, new)
        for entry in tuple(self._open.values()):
            await self._follow(entry)

    async def deleted(self, path: str) -> None:
        """Forget the documents at and below ``path``, whose files were deleted."""
        for entry in tuple(self._open.values()):
            if entry.room.path == path or entry.room.path.startswith(path + "/"):
                await self._end(entry, Ending.NOT_FOUND)
        await self.documents.forget(path)

    async def forgotten(self, document_id: DocumentId) -> None:
        """End the room of a document whose row has been deleted, without waiting to hear of it."""
        entry = self._open.get(document_id)
        if entry is not None:
            await self._end(entry, Ending.NOT_FOUND)

    # ------------------------------------------------------------ the end

    async def close_all(self, *, within: float = 10) -> None:
        """Save all documents and end all rooms, in about so many seconds."""
        if self._closing:
            return
        self._closing = True
        self._stop_watching()
        self._stop_hearing()
        entries = tuple(self._open.values())
        for entry in entries:
            entry.room.end_connections(Ending.STOPPING)
        if entries:
            ends = [asyncio.create_task(self._finish(entry, within)) for entry in entries]
            await asyncio.wait(ends, timeout=within)
            for task in ends:
                task.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        await self._files.close()

    async def _finish(self, entry: _Open, within: float) -> None:
        async with self._lock(entry.room.document.id):
            await entry.room.settle(within / 2)
            if await entry.projection.stop():
                log.debug("The document %s is saved as the server stops.", entry.room.log_name)
            await self._close(entry, Ending.STOPPING)

    # ------------------------------------------------------------ inside

    def _lock(self, document_id: DocumentId) -> asyncio.Lock:
        return self._locks.setdefault(document_id, asyncio.Lock())

    async def _acquire(self, document_id: DocumentId) -> LiveRoom:
        async with self._lock(document_id):
            if self._closing:
                raise DatabaseUnavailable("The server is going away; try again in a while.")
            entry = self._open.get(document_id)
            if entry is None:
                entry = await self._start(document_id)
                self._open[document_id] = entry
                metrics.room_opened()
                self._follow_others()
                await self._catch_up(entry)
            entry.holders += 1
            if entry.idle is not None:
                entry.idle.cancel()
                entry.idle = None
            return entry.room

    async def _catch_up(self, entry: _Open) -> None:
        """Let a new room follow what became of its file while it was not among those that do."""
        try:
            document = await self.documents.by_id(entry.room.document.id)
            if document is None or document.epoch != entry.room.epoch:
                self._spawn(self._follow_quietly(entry))
            elif document.path != entry.room.path:
                await entry.room.move(document.path)
        except BaseException:
            self._free_later(entry)
            raise

    async def _start(self, document_id: DocumentId) -> _Open:
        loaded: OnDisk | None = None
        while True:
            document = await self.documents.by_id(document_id)
            if document is None:
                raise NotFound("There is no such document; it may have been deleted.")
            try:
                if document.root_id is not None:
                    return await self._start_fork(document)
                await self._files.require_fit(document.path, grown=document.seq > 0)
                # What changes from here on is found by the first look at the file.
                disk, loaded = loaded or await self._read(document), None
                if disk is not None and not document.seq:
                    await self._first_load(document, disk)
                    loaded = disk
                    continue
                history = await self.log.load(document.id, document.epoch)
                return await self._start_room(document, history, disk)
            except (LogMoved, LogGone):
                continue  # another server was faster: look again
            except NotFound:
                now = await self.documents.by_id(document_id)
                if now is not None and now.path == document.path:
                    raise  # else the file was moved meanwhile: look where it is now

    async def _read(self, document: Document) -> OnDisk | None:
        try:
            return await self._files.read(document.path, document.kind)
        except InvalidRequest:
            if document.saving_seq is None:
                raise
            return None  # the server ended while it wrote the file; the log has all of it

    async def _first_load(self, document: Document, disk: OnDisk) -> None:
        data = await self._files.heavy.run_sized(
            disk.stamp.size,
            first_update,
            *(document.kind, disk.content, document.path, disk.digest),
        )

        def record(tx: Tx) -> None:
            append(
                tx,
                document.id,
                document.epoch,
                0,
                [Entry(data, Origin.LOAD)],
            )
            note_saved(tx, document.id, disk.digest, 1)

        await self._database.write(record)

    async def _make_room(self, document: Document, history: History) -> LiveRoom:
        # Replaying and parsing take long for a long history; the one merged update does not.
        state, log_state = await asyncio.to_thread(_rebuild, history)
        doc: Doc[Any] = Doc(client_id=new_client_id())
        doc.apply_update(state)
        return LiveRoom(
            document,
            doc,
            history.seq,
            log_state,
            self.log,
            self._rights,
            on_failure=self._failed,
        )

    async def _start_fork(self, document: Document) -> _Open:
        """Start the room of a document that has no file: all of it is in its log."""
        history = await self.log.load(document.id, document.epoch)
        room = await self._make_room(document, history)
        branch = Branch(room, self.acquire_by_id, self.release)
        room.when_in_trouble(lambda why: self._tell_saved(room, why is None, why))
        room.on_presence = self._tell_presence
        room.start()
        branch.start()
        return _Open(room, branch, history.tail)

    async def _start_room(self, document: Document, history: History, disk: OnDisk | None) -> _Open:
        room = await self._make_room(document, history)
        conflicts = Conflicts(
            room,
            self.versions,
            lambda conflict: self._tell(
                room, "saved", {"path": room.path, "saved": True, "conflict": conflict}
            ),
        )
        projection = Projection(
            room,
            self._files,
            self._database,
            self.log,
            conflicts,
            self._disk,
            on_saved=lambda saved, why: self._tell_saved(room, saved, why),
            on_gone=lambda: self._spawn(self._gone(room)),
        )
        room.when_in_trouble(lambda why: self._tell_saved(room, why is None, why))
        room.on_presence = partial(self._presence, conflicts)
        room.start()
        try:
            await projection.start(disk)
            if room.shown_path != document.path:
                await room.move(document.path)
        except BaseException:
            await projection.abandon()
            await room.close()
            raise
        return _Open(room, projection, history.tail)

    def _free_later(self, entry: _Open) -> None:
        if self._closing:
            return
        entry.idle = asyncio.get_running_loop().call_later(
            self._idle, lambda: self._spawn(self._free(entry))
        )

    async def _free(self, entry: _Open) -> None:
        document_id = entry.room.document.id
        async with self._lock(document_id):
            if entry.holders or self._open.get(document_id) is not entry:
                return
            try:
                if not await entry.room.settle(SETTLE) and not entry.room.failed:
                    self._free_later(entry)
                    return
                if entry.room.changed_at is not None:
                    await entry.projection.save()
            except Exception:
                # Its text is in the log, but as long as the file lacks it the room tries on.
                self._free_later(entry)
                return
            await entry.projection.stop()
            await self._close(entry, Ending.STOPPING)

    async def _close(self, entry: _Open, ending: Ending) -> None:
        room = entry.room
        await room.close(ending)
        if not room.failed and room.seq - entry.compact_seq >= COMPACT_AT_END:
            await self._compact(entry)
        self._forget(entry)

    async def _compact_in_a_pause(self, entry: _Open) -> None:
        """Keep the log small when nobody types, who would feel it, or at the latest some time."""
        if entry.awaits_pause:
            return
        entry.awaits_pause = True
        room = entry.room
        while room.seq - entry.compact_seq < COMPACT_AT_LAST:
            left = room.edited_at + PAUSE - time.monotonic()
            if left <= 0:
                break
            await asyncio.sleep(left)
        entry.awaits_pause = False
        if self._open.get(room.document.id) is entry:
            await self._compact(entry)

    async def _compact(self, entry: _Open) -> None:
        """Keep the log of a document small; what is recorded meanwhile is left alone."""
        if entry.compacting:
            return
        entry.compacting = True
        seq = entry.room.seq
        try:
            await self.compactor.compact(entry.room.document.id)
            entry.compact_seq = seq
        except DatabaseUnavailable:
            log.info(
                "The log of the document %s was not compacted: the database can't be reached.",
                entry.room.log_name,
            )
        except Exception:
            # What is recorded stays as it is, and can be read.
            log.exception("The log of the document %s could not be compacted.", entry.room.log_name)
            entry.compact_seq = seq
        finally:
            entry.compacting = False

    def _forget(self, entry: _Open) -> None:
        document_id = entry.room.document.id
        if entry.idle is not None:
            entry.idle.cancel()
        if self._open.get(document_id) is entry:
            del self._open[document_id]
            metrics.room_closed()

    async def _end(self, entry: _Open, ending: Ending) -> None:
        """End a room whose file is no more."""
        async with self._lock(entry.room.document.id):
            if self._open.get(entry.room.document.id) is entry:
                await entry.projection.stop(save=False)
                await self._close(entry, ending)

    async def _gone(self, room: LiveRoom) -> None:
        entry = self._open.get(room.document.id)
        if entry is not None and entry.room is room:
            log.info(
                "The file of the document %s is gone; its room ends, its history is kept.",
                room.log_name,
            )
            await self._end(entry, Ending.NOT_FOUND)

    def _failed(self, room: LiveRoom) -> None:
        entry = self._open.get(room.document.id)
        if entry is not None and entry.room is room:
            self._forget(entry)
            self._spawn(entry.projection.abandon())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _rights_changed(self, session_id: SessionId | None, user_id: UserId | None) -> None:
        for entry in self._open.values():
            entry.room.rights_changed(session_id, user_id)

    def _document_changed(self, document_id: str | None) -> None:
        for entry in tuple(self._open.values()):
            if document_id in (None, entry.room.document.id):
                self._spawn(self._follow_quietly(entry))

    def _follow_others(self) -> None:
        """Begin to take over what other servers record of the documents that are open."""
        if self._others is None or self._others.done():
            self._others = asyncio.get_running_loop().create_task(self._look_at_others())
            self._tasks.add(self._others)
            self._others.add_done_callback(self._tasks.discard)

    async def _look_at_others(self) -> None:
        while self._open:
            await asyncio.sleep(OTHERS)
            with contextlib.suppress(DatabaseUnavailable):
                for document_id, seq in (await self.documents.seqs(tuple(self._open))).items():
                    entry = self._open.get(document_id)
                    if entry is not None and entry.room.seq < seq:
                        self._spawn(self._catch_up_quietly(entry.room, seq))

    async def _catch_up_quietly(self, room: LiveRoom, seq: int) -> None:
        with contextlib.suppress(StaleDocument):
            await room.catch_up(seq)

    async def _follow_quietly(self, entry: _Open) -> None:
        with contextlib.suppress(DatabaseUnavailable, StaleDocument):
            await self._follow(entry)

    async def _follow(self, entry: _Open) -> None:
        """Let a room follow its document's row, which may have been moved or deleted."""
        document = await self.documents.by_id(entry.room.document.id)
        if document is None or document.epoch != entry.room.epoch:
            await self._end(entry, Ending.NOT_FOUND if document is None else Ending.RESET)
        elif document.path != entry.room.path:
            await entry.room.move(document.path)

    def _tell(self, room: LiveRoom, type_: str, data: dict[str, Any]) -> None:
        if self.events is None:
            return
        for session_id in {connection.right.session_id for connection in room.connections}:
            if session_id is not None:
                self.events.publish(session_id, type_, data)

    def _tell_saved(self, room: LiveRoom, saved: bool, why: str | None) -> None:
        entry = self._open.get(room.document.id)
        # What the file holds is known now, so all before it can be compacted.
        if saved and entry is not None and room.seq - entry.compact_seq >= COMPACT_AFTER:
            self._spawn(self._compact_in_a_pause(entry))
        data: dict[str, Any] = {"path": room.path, "saved": saved}
        if why is not None:
            data["message"] = why
        self._tell(room, "saved", data)

    def _presence(self, conflicts: Conflicts, connection: Connection, arrived: bool) -> None:
        if arrived:
            conflicts.greet(connection)
        self._tell_presence(connection, arrived)

    def _tell_presence(self, connection: Connection, arrived: bool) -> None:
        session_id = connection.right.session_id
        if self.events is None or session_id is None:
            return
        user = connection.principal
        others = sum(
            other is not connection
            and other.principal.user_id == user.user_id
            and other.right.session_id == session_id
            for entry in self._open.values()
            for other in entry.room.connections
        )
        if not others:
            self.events.publish(
                session_id, "presence", {"username": user.username, "online": arrived}
            )


@without_panics
def _rebuild(history: History) -> tuple[bytes, LogState]:
    state = build(list(history.updates)).get_update()
    return state, log_state_of(state, history.known)
