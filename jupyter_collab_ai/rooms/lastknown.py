"""What the file of a document was last known to hold: the base of a three-way merge.

It is the document as it was when it was last saved or loaded, or, where somebody else has
changed the file since, the file as it was when that was merged. Both are in the database: else
a server that ends between a merge and the next save would merge the same change once more, and
where people had edited what was merged, it would be there twice.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sqlalchemy import delete, insert, select

from jupyter_collab_ai.ids import DocumentId
from jupyter_collab_ai.rooms.content import (
    Content,
    content_of,
    first_update,
    pack,
    same,
    unpack,
)
from jupyter_collab_ai.rooms.documents import (
    Document,
    Kind,
    find_by_id,
    note_not_saved,
    note_saved,
    note_saving,
)
from jupyter_collab_ai.rooms.log import Fence, NotKept, UpdateLog
from jupyter_collab_ai.rooms.reconcile import distance
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.tables import merged_files


class MergedElsewhere(Exception):
    """The file was merged or saved meanwhile: by another server, or though it seemed to fail."""


@dataclass(frozen=True)
class Merged:
    """A file that was merged and not yet replaced by a save."""

    digest: str
    content: Content


class LastKnown:
    """What is known of one file, in memory and in the database."""

    def __init__(self, database: Database, update_log: UpdateLog, document: Document) -> None:
        """Know what the document's row says; :meth:`load` has to follow."""
        self._database = database
        self._log = update_log
        self._id = document.id
        self._epoch = document.epoch
        self._kind = document.kind
        self._take(document)
        self._merged: Merged | None = None
        self._unnoted = False
        #: Up to which update the file was to hold the document, when nothing came of it.
        self._dropped: int | None = None

    def _take(self, document: Document) -> None:
        self._saved_hash = document.saved_hash
        #: Up to which update the file held the document at the last save.
        self.saved_seq = document.saved_seq
        #: Up to which update it was to hold it when a save was cut off, or goes on elsewhere.
        self._saving_seq = document.saving_seq

    async def load(self) -> None:
        """Read what was saved and merged before the server ended, or by another server.

        Raises:
            DatabaseUnavailable: It can't be read, or what is known here could not be noted.
        """
        await self.settle()
        document, packed = await self._database.read(
            lambda tx: (find_by_id(tx, self._id), _find_merged(tx, self._id))
        )
        if document is None or document.epoch != self._epoch:
            return  # it was given up, and so will be its room
        merged = None
        if packed is not None:
            digest, data = packed
            merged = Merged(digest, await asyncio.to_thread(unpack, data))
        self._take(document)
        self._merged = merged

    @property
    def is_merged(self) -> bool:
        """Whether somebody else has changed the file since it was last saved."""
        return self._merged is not None

    def holds(self, digest: str) -> bool:
        """Tell whether a file of this digest is the one that is known."""
        known = self._saved_hash if self._merged is None else self._merged.digest
        return digest == known

    # ------------------------------------------------------------ what happens to the file

    async def saving(self, seq: int) -> None:
        """Note that the file is about to be written."""
        await self.settle()
        await self._database.write(lambda tx: note_saving(tx, self._id, seq))
        self._saving_seq = seq

    def not_saved(self) -> None:
        """Know that the file was not even begun to be written, though :meth:`saving` says so.

        Else what others make of it could be taken for our own save, cut off.
        """
        self._dropped, self._saving_seq = self._saving_seq, None

    async def saved(self, digest: str | None, seq: int) -> None:
        """Note that the file holds the document as it was at ``seq``.

        Raises:
            DatabaseUnavailable: It is known here, and noted by the next :meth:`settle`.
        """
        self.has_saved(digest, seq)
        await self.settle()

    def has_saved(self, digest: str | None, seq: int) -> Fence:
        """Know that the file holds the document as it was at ``seq``.

        Returns:
            What notes it, in a transaction that records something else; :meth:`has_noted` has to
            follow that, or :meth:`settle`.
        """
        self._saved_hash, self.saved_seq = digest, seq
        self._saving_seq = self._merged = self._dropped = None
        self._unnoted = True
        return lambda tx: note_saved(tx, self._id, digest, seq)

    def has_noted(self) -> None:
        """Know that what :meth:`has_saved` returned was done, and is committed."""
        self._unnoted = False

    @property
    def is_noted(self) -> bool:
        """Whether the database knows all that is known here."""
        return not self._unnoted and self._dropped is None

    async def settle(self) -> None:
        """Note what could not be noted before.

        Raises:
            DatabaseUnavailable: Nor can it now.
        """
        if self.is_noted:
            return
        unnoted, dropped = self._unnoted, self._dropped
        digest, seq = self._saved_hash, self.saved_seq

        def write(tx: Tx) -> None:
            if unnoted:
                note_saved(tx, self._id, digest, seq)
            if dropped is not None:
                note_not_saved(tx, self._id, dropped)

        await self._database.write(write)
        self._unnoted, self._dropped = False, None

    async def merging(self, merged: Merged) -> Fence:
        """Return what notes, in the transaction that records a merge, that it was made.

        After that transaction :meth:`has_merged` has to be called. The fence raises
        :class:`MergedElsewhere` where the file is not any more what :meth:`base` has told.
        """
        await self.settle()
        packed = await asyncio.to_thread(pack, merged.content)
        known = None if self._merged is None else self._merged.digest
        saved = self._saved_hash, self.saved_seq

        def fence(tx: Tx) -> None:
            found, document = _find_merged(tx, self._id), find_by_id(tx, self._id)
            if (None if found is None else found[0]) != known or (
                document is not None and (document.saved_hash, document.saved_seq) != saved
            ):
                raise MergedElsewhere
            tx.execute(delete(merged_files).where(merged_files.c.document_id == self._id))
            tx.execute(
                insert(merged_files).values(
                    document_id=self._id, hash=merged.digest, content=packed
                )
            )

        return fence

    def has_merged(self, merged: Merged) -> None:
        """Know that a merge was recorded."""
        self._merged, self._saving_seq = merged, None

    # ------------------------------------------------------------ what it was before

    async def is_own(self, digest: str, content: Content) -> bool:
        """Tell whether the file is what was being written when a save was cut off.

        Contents managers may write files in place, so it may be a part of that.
        """
        if self._saving_seq is None:
            return False
        meant = await self._content(await self._updates(self._saving_seq))
        if await asyncio.to_thread(same, self._kind, meant, content):
            await self.saved(digest, self._saving_seq)
            return True
        return self._kind is Kind.TEXT and str(meant).startswith(str(content).removesuffix("\r"))

    async def base(self, content: Content) -> list[bytes] | None:
        """Return what the file held before somebody else made ``content`` of it.

        Returns:
            A document, as updates; None where it is unknown.
        """
        if self._merged is not None:
            known: list[bytes] | None = [
                await asyncio.to_thread(first_update, self._kind, self._merged.content, "", None)
            ]
        else:
            known = await self.saved_updates()
        if self._saving_seq is None:
            return known
        # It was cut off before or after it had come to the file: whichever is nearer.
        meant = await self._updates(self._saving_seq)
        if known is None or await self._distance(meant, content) < await self._distance(
            known, content
        ):
            return meant
        return known

    async def saved_updates(self) -> list[bytes] | None:
        """Return the document as it was at the last save; None where that is unknown."""
        if self.saved_seq == 0:
            return None
        try:
            return await self._updates(self.saved_seq)
        except NotKept:
            # Compacted before it could be noted that it is needed; what was noted is kept.
            document = await self._database.read(lambda tx: find_by_id(tx, self._id))
            if document is None or document.saved_seq in (0, self.saved_seq):
                return None
            return await self._updates(document.saved_seq)

    async def _updates(self, seq: int) -> list[bytes]:
        return list((await self._log.history_at(self._id, self._epoch, seq)).updates)

    async def _content(self, updates: list[bytes]) -> Content:
        return await asyncio.to_thread(content_of, self._kind, updates)

    async def _distance(self, updates: list[bytes], content: Content) -> int:
        one = await self._content(updates)
        return await asyncio.to_thread(distance, self._kind, one, content)


def _find_merged(tx: Tx, document_id: DocumentId) -> tuple[str, bytes] | None:
    row = tx.execute(
        select(merged_files.c.hash, merged_files.c.content).where(
            merged_files.c.document_id == document_id
        )
    ).one_or_none()
    return None if row is None else (row.hash, bytes(row.content))
