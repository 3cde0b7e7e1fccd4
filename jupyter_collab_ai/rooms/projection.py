"""The file of a live document: it follows the log, and what others write to it flows back.

The log is the truth and the file its projection. ``documents.saved_hash`` and ``saved_seq``
tell what the file held when it was last known to be the document, so that a later change of
the file by somebody else can be told from the lag of our own saving.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from random import uniform
from typing import Any

from pycrdt import Doc
from tornado.web import HTTPError

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import (
    CollabError,
    DatabaseUnavailable,
    InvalidRequest,
    NotFound,
    StaleDocument,
)
from jupyter_collab_ai.logs import Rarely, cause_of
from jupyter_collab_ai.rooms.conflicts import Conflicts
from jupyter_collab_ai.rooms.content import (
    Content,
    build,
    content_of,
    has_doubled_ids,
    holds,
    same,
    tell_cells_apart,
)
from jupyter_collab_ai.rooms.copies import new_client_id
from jupyter_collab_ai.rooms.disk_watch import DiskWatch
from jupyter_collab_ai.rooms.files import Files, OnDisk, Stamp, Written
from jupyter_collab_ai.rooms.lastknown import LastKnown, Merged, MergedElsewhere
from jupyter_collab_ai.rooms.local_files import ChangedOnDisk, DoubledIds, LocalFile, mark_clean
from jupyter_collab_ai.rooms.log import LogGone, Origin, UpdateLog
from jupyter_collab_ai.rooms.reconcile import Outcome, merge_into
from jupyter_collab_ai.rooms.room import LiveRoom
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.web import metrics

log = logging.getLogger(__name__)

#: Seconds from the last change until it is saved.
SAVE_AFTER = 1.5
#: Seconds from the first change until it is saved while people type on: at the least, and at the
#: most. Each save draws its own, so that rooms that began together don't go on saving together.
WHILE_TYPING = (2.5, 3.5)
#: Seconds from a change until it is in the file at the latest, also where saving takes long.
FOLLOWS_WITHIN = 4.0
#: Seconds until a file that was not there is looked for again.
MISSED = 1.0
#: Seconds until a save that failed is tried again, at first and at the most.
FIRST_RETRY = 1.0
LAST_RETRY = 3.0
#: Seconds until a save is tried again that others were faster than, and how often it is where
#: somebody waits for it.
OTHERS_FIRST = 0.1
TRIES = 5
#: Within so much of the time at which a file was last changed, that time does not prove that it
#: is still the same: so coarse are the clocks of some file systems.
COARSE = timedelta(seconds=2)
#: Looks in a row that find no file before the document counts as deleted. Programs that
#: replace a file may leave a gap.
GONE_AFTER = 3


class Projection:
    """Keeps the file of one room and the room in step."""

    def __init__(
        self,
        room: LiveRoom,
        files: Files,
        database: Database,
        update_log: UpdateLog,
        conflicts: Conflicts,
        watch: DiskWatch,
        *,
        on_saved: Callable[[bool, str | None], None],
        on_gone: Callable[[], None],
    ) -> None:
        """Prepare to follow ``room``.

        Args:
            room: The room.
            files: Where its file is.
            database: Where it is noted what the file holds.
            update_log: From where the state at the last save is read.
            conflicts: Keeps what loses a conflict with people, and tells them.
            watch: Looks at the file, together with those of other rooms.
            on_saved: Told after each save whether it worked, and if not why not.
            on_gone: Called when the file is gone for good.
        """
        self._room = room
        self._files = files
        self._on_saved = on_saved
        self._on_gone = on_gone
        self._conflicts = conflicts
        self._watch = watch
        self._stop_watching: Callable[[], None] | None = None
        self._stamp: Stamp | None = None
        self._digest: str | None = None
        #: When it was last made sure that the file has this digest.
        self._checked: datetime | None = None
        #: Somebody else has written the file right after us.
        self._foreign = False
        self._newline = "\n"
        self._known = LastKnown(database, update_log, room.document)
        self._missing = 0
        #: Whether the file may be another one than it was.
        self._look_due = False
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._retry = 0.0
        #: Whether the file does not follow, and whether the log says so.
        self._failing = self._complained = False
        self._rarely = Rarely()
        #: Seconds that the last save took.
        self._took = 0.0
        #: Seconds for which the next save waits at the most while people type on.
        self._while_typing = _draw()
        #: Under which the document is marked as saved where its file is written here.
        self._client_id = new_client_id()

    async def start(self, disk: OnDisk | None) -> None:
        """Bring room and file together, and follow both.

        Args:
            disk: The file as it was just read; None where writing it was cut off.
        """
        async with self._lock:
            if disk is None:
                await self._known.load()
                self._stamp = await self._files.stat(self._room.path)
                self._room.touch()
            else:
                await self._take_in(disk)
        self._room.on_change = self._wake.set
        self._stop_watching = self._watch.follow(self)
        self._task = asyncio.create_task(
            self._run(), name=f"collab-ai file of {self._room.document.id}"
        )

    async def stop(self, *, save: bool = True) -> bool:
        """End; returns whether the file holds the document.

        Args:
            save: Whether to save what is not saved yet.
        """
        try:
            return await self._stop(save)
        finally:
            self._mended(None)

    async def _stop(self, save: bool) -> bool:
        self._room.on_change = None
        self._unfollow()
        if self._task is not None:
            # A merge that is cut off here is recorded together with what keeps it from being
            # made once more.
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if save and not self._known.is_noted:
            # The next start makes it out as well, but less surely where others change the file.
            try:
                await self._known.settle()
            except Exception as error:
                log.warning(
                    "A save of the document %s could not be noted at the end: %s",
                    self._room.log_name,
                    cause_of(error),
                )
        if not save or self._room.changed_at is None:
            return self._room.changed_at is None
        try:
            await self.save()
        except Exception as error:
            log.warning(
                "The document %s could not be saved at the end; what its file lacks is in the "
                "database: %s",
                self._room.log_name,
                cause_of(error),
            )
            return False
        return True

    async def abandon(self) -> None:
        """End without saving, as the room has failed; the next one starts from the log."""
        await self.stop(save=False)

    async def save(self) -> None:
        """Save now.

        Raises:
            CollabError, HTTPError: It did not work; it is tried again later.
        """
        for _ in range(TRIES):
            async with self._lock:
                if await self._save():
                    return
            await asyncio.sleep(OTHERS_FIRST)
        raise InvalidRequest(
            "Another program keeps changing the file; it is saved as soon as that ends."
        )

    def _unfollow(self) -> None:
        if self._stop_watching is not None:
            self._stop_watching()
            self._stop_watching = None

    @property
    def path(self) -> str:
        """Where the file is."""
        return self._room.path

    def seen(self, stamp: Stamp | None) -> None:
        """Look closer, unless the file is known to be as it was."""
        known = self._stamp
        if stamp and known and stamp.last_modified == known.last_modified:
            # Many changes fit into one tick of a file system's clock, and few keep the size.
            # (Of files on this machine that is known; contents managers differ in what they tell.)
            self._foreign = self._foreign or stamp.size != known.size
        if (
            stamp is None
            or self._missing
            or not self._known.is_noted
            or self._is_another(stamp)
            or self._is_to_be_checked()
        ):
            self._look_due = True
            self._wake.set()

    async def _run(self) -> None:
        try:
            await self._follow()
        finally:
            self._unfollow()

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._due_at()):
                    await self._wake.wait()
            self._wake.clear()
            saved = True
            try:
                async with self._lock:
                    if self._look_due:
                        await self._look()
                    due_at = self._due_at()
                    if due_at is not None and due_at <= time.monotonic():
                        saved = await self._save()
                if not saved:
                    await asyncio.sleep(OTHERS_FIRST)
            except NotFound:
                self._missing += 1
                if self._missing >= GONE_AFTER:
                    self._on_gone()
                    return
                await asyncio.sleep(MISSED)
                self._look_due = True
                self._wake.set()
            except (StaleDocument, LogGone):
                return  # the room has ended, and tells those who were in it
            except (CollabError, HTTPError, OSError) as error:
                await self._failed(error)
            except Exception as error:
                if self._rarely.is_due(type(error).__name__):
                    log.exception("Saving a document failed: %s", self._room.log_name)
                await self._failed(error)
            else:
                if saved and self._failing and self._room.changed_at is None:
                    # It was a look that had failed, so there is nothing to be saved.
                    self._mended("is in step with its file again")
                    self._on_saved(True, None)

    async def _failed(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            metrics.save_failed()
        # Of the database it is told once for all documents.
        if not self._complained and not isinstance(error, DatabaseUnavailable):
            self._complained = True
            log.warning(
                "The document %s can't be saved to its file; it is tried again: %s",
                self._room.log_name,
                cause_of(error),
            )
        self._on_saved(False, _sentence(error))
        self._retry = min(LAST_RETRY, self._retry * 2 or FIRST_RETRY)
        await asyncio.sleep(self._retry)

    def _mended(self, how: str | None) -> None:
        """Note that the file follows, or that nobody tries any more.

        Args:
            how: What to say of the document in the log; None for nothing.
        """
        if self._failing:
            metrics.save_mended()
        if self._complained and how is not None:
            log.info("The document %s %s.", self._room.log_name, how)
        self._failing = self._complained = False
        self._retry = 0.0

    def _due_at(self) -> float | None:
        """Return when the file is to be saved, by the monotonic clock; None if it need not be."""
        changed = self._room.changed_at
        if changed is None:
            return None
        return min(changed + self._most(), self._room.edited_at + self._pause())

    def _pause(self) -> float:
        """Return the seconds from the last change until it is saved: more where that takes long."""
        return max(SAVE_AFTER, min(2 * self._took, FOLLOWS_WITHIN - self._took))

    def _most(self) -> float:
        """Return the seconds from the first change until it is saved although people type on."""
        return max(SAVE_AFTER, min(self._while_typing, FOLLOWS_WITHIN - self._took))

    async def _look(self) -> None:
        # What is seen from here on may be newer than what is looked at.
        self._look_due = False
        try:
            await self._known.settle()
            stamp = await self._files.stat(self._room.path)
            self._missing = 0
            if not await self._is_untouched(stamp):
                await self._take_in(await self._files.read(self._room.path, self._room.kind))
        except BaseException:
            self._look_due = True
            raise

    @property
    def _modified(self) -> datetime | None:
        """When the file was changed last, by its time when it was last read or written."""
        return None if self._stamp is None else self._stamp.last_modified

    def _is_another(self, stamp: Stamp) -> bool:
        """Tell whether the file is certainly not as it was last read or written."""
        return self._foreign or stamp.last_modified != self._modified

    def _is_to_be_checked(self) -> bool:
        """Tell whether its time proves nothing yet, and by now could."""
        known = self._modified
        if self._digest is None or known is None or utcnow() - known <= COARSE:
            return False
        return self._checked is None or self._checked - known <= COARSE

    async def _is_untouched(self, stamp: Stamp, *, certainly: bool = False) -> bool:
        """Tell whether the file is as it was last read or written.

        Args:
            stamp: What it is like now.
            certainly: Whether it is about to be written over. Else what was changed within the
                same moment as it was written may be found a little later.
        """
        if self._is_another(stamp):
            return False
        known = stamp.last_modified
        if self._digest is None or known is None:
            return True
        if self._checked is not None and self._checked - known > COARSE:
            return True
        if not certainly and not self._is_to_be_checked():
            return True
        checked = utcnow()
        if await self._files.digest(self._room.path, self._room.kind) != self._digest:
            return False
        self._checked = checked
        return True

    async def _save(self) -> bool:
        """Save; tell whether it was, or has to be tried once more."""
        room = self._room
        local = self._files.find_local(room.path, room.kind)
        # Where it is replaced here, what it holds is looked at once more right before.
        await self._take_in_changes(certainly=local is None)
        changed_at, began = room.changed_at, time.monotonic()
        room.changed_at = None
        try:
            done = await (self._write() if local is None else self._write_local(local))
        except BaseException:
            room.changed_at = changed_at if changed_at is not None else room.changed_at
            raise
        if done is None:
            room.touch(changed_at)
            return False
        written, seq, mark = done
        # Without a digest the next look finds what somebody else wrote, and merges it.
        self._stamp = written.stamp
        self._digest = written.digest
        self._checked, self._foreign = None, written.digest is None
        await self._note(written.digest, seq, mark)
        self._took = time.monotonic() - began
        self._while_typing = _draw()
        self._mended("is saved to its file again")
        self._on_saved(True, None)
        return True

    async def _write(self) -> tuple[Written, int, None] | None:
        """Write the file by way of the contents manager; None where others have changed it."""
        room = self._room
        seq, content = await self._content()
        if has_doubled_ids(room.kind, content):
            # In a file each cell has its own, and the document must not differ from it.
            await room.edit(tell_cells_apart)
            seq, content = await self._content()
        await self._known.saving(seq)
        # Once more, as close to the writing as can be: what others wrote would be lost.
        untouched = False
        try:
            stamp = await self._files.stat(room.path)
            untouched = await self._is_untouched(stamp, certainly=True)
        finally:
            if not untouched:
                self._known.not_saved()
        if not untouched:
            self._foreign = True
            return None
        return await self._files.write(room.path, room.kind, content, self._newline), seq, None

    async def _write_local(self, local: LocalFile) -> tuple[Written, int, bytes] | None:
        """Write the file past the event loop; None where it has to be tried once more."""
        room = self._room
        seq, state = await self._state()
        await self._known.saving(seq)
        try:
            written, mark = await self._files.write_local(
                local, state, self._newline, self._digest, self._client_id
            )
        except DoubledIds:
            self._known.not_saved()
            await room.edit(tell_cells_apart)
            return None
        except ChangedOnDisk:
            self._known.not_saved()
            self._foreign = True
            return None
        return written, seq, mark

    async def _state(self) -> tuple[int, bytes]:
        """Return the document as it is now as one update, and up to which update that is."""
        room = self._room
        return await room.look(lambda doc: (room.seq, doc.get_update()))

    async def _content(self) -> tuple[int, Content]:
        """Return what the document holds now, and up to which update that is."""
        seq, state = await self._state()
        return seq, await asyncio.to_thread(content_of, self._room.kind, [state])

    async def _take_in_changes(self, *, certainly: bool) -> None:
        """Merge the file if others have changed it.

        Args:
            certainly: As of :meth:`_is_untouched`.
        """
        stamp = await self._files.stat(self._room.path)
        self._missing = 0
        if not stamp.writable:
            raise InvalidRequest("The file is read-only on disk, so changes can't be saved to it.")
        if not await self._is_untouched(stamp, certainly=certainly):
            await self._take_in(await self._files.read(self._room.path, self._room.kind))

    async def _note(self, digest: str | None, seq: int, mark: bytes | None = None) -> None:
        """Remember that the file holds the document as it was at ``seq``.

        Args:
            digest: The hash of the file; None where it is unknown.
            seq: Up to which update it holds the document.
            mark: The update that marks the document as saved, where it was made already.
        """
        note = self._known.has_saved(digest, seq)
        noted = False

        def fence(tx: Tx) -> None:
            nonlocal noted
            note(tx)
            noted = True

        try:
            if digest is not None and mark is None:
                await self._room.edit(lambda doc: mark_clean(doc, digest), fence=fence)
            elif digest is not None and mark:
                # Where it is not known whether it was recorded, its numbers must not be used
                # again.
                client_id, self._client_id = self._client_id, new_client_id()
                await self._room.add(mark, origin=Origin.SERVER, fence=fence)
                self._client_id = client_id
        except Exception:
            with contextlib.suppress(CollabError):
                await self._known.settle()
            raise
        if noted:
            self._known.has_noted()
        else:
            await self._known.settle()

    async def _take_in(self, disk: OnDisk) -> None:
        """Bring what the file holds together with what the document holds."""
        while disk.digest != self._digest:
            self._newline = disk.newline
            # Another server may have written it, from a log that it has added to.
            await self._known.load()
            await self._room.catch_up()
            try:
                await self._compare(disk)
            except MergedElsewhere:
                # By now it may be another file.
                disk = await self._files.read(self._room.path, self._room.kind)
            else:
                self._digest = disk.digest
        self._stamp = disk.stamp
        self._checked, self._foreign = None, False

    async def _compare(self, disk: OnDisk) -> None:
        known = self._known
        if known.holds(disk.digest) and not known.is_merged:
            if await self._is_saved():
                return
        elif await self._holds_document(disk):
            return
        elif not known.holds(disk.digest) and not await known.is_own(disk.digest, disk.content):
            await self._merge(disk)
            if await self._holds_document(disk):
                return
        # The log has more than the file: it is written at once, so that what comes next on
        # disk can be told from what is here already.
        self._room.touch(time.monotonic() - self._most())

    async def _is_saved(self) -> bool:
        """Tell whether the document is the same as it was at the last save."""
        room = self._room
        seq, state = await self._state()
        if seq == self._known.saved_seq:
            return True
        updates = await self._known.saved_updates()
        if updates is None:
            return False
        saved = await asyncio.to_thread(content_of, room.kind, updates)
        live = await asyncio.to_thread(content_of, room.kind, [state])
        return await asyncio.to_thread(same, room.kind, saved, live)

    async def _holds_document(self, disk: OnDisk) -> bool:
        """Tell whether the file holds the document as it is now; if so, remember it."""
        seq, state = await self._state()
        if not await self._files.heavy.run_sized(
            disk.stamp.size, holds, self._room.kind, state, disk.content
        ):
            return False
        await self._note(disk.digest, seq)
        return True

    async def _merge(self, disk: OnDisk) -> None:
        room = self._room
        base = await self._known.base(disk.content)

        def change(doc: Doc[Any]) -> Outcome:
            return merge_into(room.kind, doc, None if base is None else build(base), disk.content)

        data, outcome = await room.work_out(change)
        version = None
        if outcome.conflicts:
            # Before the merge is recorded: after that the file may be written over at any moment.
            version = await self._conflicts.keep(disk.content)
        merged = Merged(disk.digest, outcome.content)
        await room.add(data, origin=Origin.DISK, fence=await self._known.merging(merged))
        self._known.has_merged(merged)
        if version is not None:
            log.info(
                "The file of the document %s changed on disk where people had changed it too; "
                "both are kept.",
                room.log_name,
            )
            self._conflicts.tell(version, outcome.conflicts)


def _draw() -> float:
    return uniform(*WHILE_TYPING)  # noqa: S311 (no secret)


def _sentence(error: Exception) -> str:
    if isinstance(error, CollabError):
        return error.message
    return "The file could not be written; it is tried again."
