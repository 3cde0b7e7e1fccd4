"""The log of updates: the one history of each document.

Whatever was acknowledged to anyone, or shown to anyone else, is in here first. History,
recovery and the file on disk are all made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from pycrdt import Doc
from sqlalchemy import (
    BigInteger,
    LargeBinary,
    Text,
    bindparam,
    func,
    insert,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.ids import DocumentId, UserId
from jupyter_collab_ai.rooms.yupdate import IdRanges
from jupyter_collab_ai.storage.columns import UtcDateTime
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.driver import Prepared
from jupyter_collab_ai.storage.tables import (
    document_clients,
    document_snapshots,
    document_updates,
    documents,
    forks,
    refused_deletions,
)

#: The statements of every keystroke.
_ADVANCING = (
    update(documents)
    .where(
        documents.c.id == bindparam("of"),
        documents.c.epoch == bindparam("in_epoch"),
        documents.c.seq == bindparam("expected"),
    )
    .values(seq=bindparam("newest"), updated_at=bindparam("now"))
)
_ADVANCE = Prepared(_ADVANCING)
_ROW = ("document_id", "seq", "data", "origin", "user_id", "created_at")
_INSERT = Prepared(insert(document_updates).inline(), _ROW)
_MOVED = _ADVANCING.returning(documents.c.id).cte("moved")
_NEW = (
    func.unnest(
        bindparam("data", type_=postgresql.ARRAY(LargeBinary)),
        bindparam("origin", type_=postgresql.ARRAY(Text)),
        bindparam("user_id", type_=postgresql.ARRAY(Text)),
    )
    .table_valued("data", "origin", "user_id", with_ordinality="position", name="new")
    .render_derived()
)
#: Both in one, for PostgreSQL, where each statement is a trip to the server.
_RECORD = Prepared(
    insert(document_updates).from_select(
        _ROW,
        select(
            _MOVED.c.id,
            bindparam("expected", type_=BigInteger) + _NEW.c.position,
            _NEW.c.data,
            _NEW.c.origin,
            _NEW.c.user_id,
            bindparam("now", type_=UtcDateTime),
        ).select_from(_MOVED.join(_NEW, true())),
    )
)

#: Called in the transaction that records an edit, once no other can come in between.
Fence = Callable[[Tx], None]


class Origin(Enum):
    """Where an update came from."""

    CLIENT = "client"
    LOAD = "load"
    DISK = "disk"
    AI = "ai"
    SERVER = "server"
    RESTORE = "restore"
    #: A fork that was merged: whoever wrote in it is told by its Yjs client ids, as in
    #: ``CLIENT``; what was deleted there counts as the work of whoever merged it.
    MERGE = "merge"


class LogMoved(Exception):
    """The log holds updates that the caller has not seen; read them, then try again."""


class LogGone(Exception):
    """The document was forgotten, or its history was given up for another one."""


class NotKept(Exception):
    """The document as it was then is no longer told apart from a later one."""


class DocumentForgotten(LogGone):
    """The document has no row any more: its file was deleted."""


@dataclass(frozen=True)
class Entry:
    """One update to record."""

    data: bytes
    origin: Origin
    user_id: UserId | None = None


@dataclass(frozen=True)
class Recorded:
    """One update that is in the log."""

    seq: int
    data: bytes
    origin: Origin
    user_id: UserId | None
    at: datetime


@dataclass(frozen=True)
class ClientRecord:
    """What is known of one Yjs client id of a document."""

    client_id: int
    #: Whose it is; None for the server's own.
    user_id: UserId | None
    #: Structs from this clock on are never accepted; None where none is barred.
    barred_from: int | None = None


@dataclass(frozen=True)
class RefusedDeletions:
    """What an account wanted to delete and was not allowed to."""

    user_id: UserId
    #: A Yjs delete set (version 1).
    deletions: bytes


@dataclass(frozen=True)
class Known:
    """What the gate has to know of a document beside its content."""

    clients: Sequence[ClientRecord] = ()
    refused: Sequence[RefusedDeletions] = ()


@dataclass(frozen=True)
class History:
    """Everything needed to build a document again."""

    #: The number of the newest update.
    seq: int
    #: A snapshot, if there is one, and all updates after it, in order.
    updates: Sequence[bytes]
    #: How many of them are not in the snapshot.
    tail: int
    known: Known = field(default_factory=Known)

    def replay(self) -> Doc[Any]:
        """Return a new document with all of it; takes time for a long history."""
        doc: Doc[Any] = Doc()
        with doc.transaction():
            for data in self.updates:
                doc.apply_update(data)
        return doc


class UpdateLog:
    """The updates of all documents, in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, document_id: DocumentId, epoch: str) -> History:
        """Return the whole history of a document.

        Raises:
            LogGone: There is no such history any more.
        """
        return await self._database.read(lambda tx: read_history(tx, document_id, epoch))

    async def history_at(self, document_id: DocumentId, epoch: str, seq: int) -> History:
        """Return the history up to and with the update ``seq``.

        Raises:
            LogGone: There is no such history any more.
            NotKept: That update was compacted together with later ones.
        """
        return await self._database.read(lambda tx: read_history(tx, document_id, epoch, seq))

    async def after(self, document_id: DocumentId, epoch: str, seq: int) -> list[Recorded]:
        """Return the updates after ``seq``, in order.

        Raises:
            LogGone: There is no such history any more.
        """

        def read(tx: Tx) -> list[Recorded]:
            require_epoch(tx, document_id, epoch)
            return read_updates(tx, document_id, after=seq)

        return await self._database.read(read)

    async def known(self, document_id: DocumentId) -> Known:
        """Return what the gate has to know of a document beside its content."""
        return await self._database.read(lambda tx: read_known(tx, document_id))

    async def elsewhere(
        self, document_id: DocumentId, clients: Collection[int]
    ) -> dict[int, UserId]:
        """Return under which of some client ids somebody has written in a fork or its root.

        Args:
            document_id: The document; what was written in itself is not told.
            clients: The ids.
        """
        return await self._database.read(lambda tx: read_elsewhere(tx, document_id, clients))

    async def append(
        self,
        document_id: DocumentId,
        epoch: str,
        expected: int,
        entries: Sequence[Entry],
        *,
        learned: Known | None = None,
        fence: Fence | None = None,
    ) -> int:
        """Record updates and what was learned beside them, all or nothing.

        Args:
            document_id: The document.
            epoch: The history that the caller means.
            expected: The number of the newest update that the caller has seen.
            entries: The updates, in order.
            learned: New or changed facts about client ids, and deletions that were refused.
            fence: Raises if the updates may not be recorded after all.

        Returns:
            The number of the newest update afterwards.

        Raises:
            LogMoved: Somebody else has recorded updates meanwhile.
            LogGone: There is no such history any more.
            DatabaseUnavailable: It may or may not have been recorded.
        """
        learned = learned or Known()
        alone = entries and not learned.clients and not learned.refused and fence is None
        if alone and not self._database.is_sqlite:
            return await self._database.write(
                lambda tx: _record(tx, document_id, epoch, expected, entries), single=True
            )
        return await self._database.write(
            lambda tx: append(
                tx, document_id, epoch, expected, entries, learned=learned, fence=fence
            )
        )


def append(
    tx: Tx,
    document_id: DocumentId,
    epoch: str,
    expected: int,
    entries: Sequence[Entry],
    *,
    learned: Known | None = None,
    fence: Fence | None = None,
) -> int:
    """Do what :meth:`UpdateLog.append` does, in a transaction of the caller."""
    now = utcnow()
    seq = expected + len(entries)
    # Also takes the row's lock: from here to the commit nobody else writes to this document.
    moved = tx.run(
        _ADVANCE,
        {"of": document_id, "in_epoch": epoch, "expected": expected, "newest": seq, "now": now},
    )
    if moved != 1:
        require_epoch(tx, document_id, epoch)
        raise LogMoved
    if fence is not None:
        fence(tx)
    if entries:
        tx.run(
            _INSERT,
            [
                {
                    "document_id": document_id,
                    "seq": expected + offset,
                    "data": entry.data,
                    "origin": entry.origin.value,
                    "user_id": entry.user_id,
                    "created_at": now,
                }
                for offset, entry in enumerate(entries, start=1)
            ],
        )
    learned = learned or Known()
    for client in learned.clients:
        _put_client(tx, document_id, client)
    for refused in learned.refused:
        _put_refused(tx, document_id, refused)
    return seq


def _record(
    tx: Tx, document_id: DocumentId, epoch: str, expected: int, entries: Sequence[Entry]
) -> int:
    """Do what :func:`append` does for updates alone, by one statement of PostgreSQL's."""
    seq = expected + len(entries)
    recorded = tx.run(
        _RECORD,
        {
            "of": document_id,
            "in_epoch": epoch,
            "expected": expected,
            "newest": seq,
            "now": utcnow(),
            "data": [entry.data for entry in entries],
            "origin": [entry.origin.value for entry in entries],
            "user_id": [entry.user_id for entry in entries],
        },
    )
    if not recorded:
        require_epoch(tx, document_id, epoch)
        raise LogMoved
    return seq


def read_history(tx: Tx, document_id: DocumentId, epoch: str, up_to: int | None = None) -> History:
    """Read the newest snapshot and what follows it.

    Raises:
        LogGone: There is no such history any more.
        NotKept: The update ``up_to`` was compacted together with later ones.
    """
    newest = require_epoch(tx, document_id, epoch)
    if up_to is not None and up_to > newest:
        raise NotKept
    snapshots = (
        select(document_snapshots.c.seq, document_snapshots.c.data)
        .where(document_snapshots.c.document_id == document_id)
        .order_by(document_snapshots.c.seq.desc())
        .limit(1)
    )
    updates = (
        select(document_updates.c.seq, document_updates.c.data)
        .where(document_updates.c.document_id == document_id)
        .order_by(document_updates.c.seq)
    )
    if up_to is not None:
        snapshots = snapshots.where(document_snapshots.c.seq <= up_to)
        updates = updates.where(document_updates.c.seq <= up_to)
    snapshot = tx.execute(snapshots).one_or_none()
    start = 0 if snapshot is None else snapshot.seq
    # Where others compact the log between the two, a row that reaches back is read as well, which
    # does no harm.
    rows = tx.execute(updates.where(document_updates.c.seq > start)).all()
    end = rows[-1].seq if rows else start
    if up_to is not None and end != up_to:
        raise NotKept
    first = [] if snapshot is None else [bytes(snapshot.data)]
    return History(
        end,
        [*first, *(bytes(row.data) for row in rows)],
        len(rows),
        read_known(tx, document_id),
    )


def read_updates(tx: Tx, document_id: DocumentId, *, after: int = 0) -> list[Recorded]:
    """Read the updates after ``after``, in order."""
    rows = tx.execute(
        select(document_updates)
        .where(document_updates.c.document_id == document_id, document_updates.c.seq > after)
        .order_by(document_updates.c.seq)
    )
    return [
        Recorded(row.seq, bytes(row.data), Origin(row.origin), row.user_id, row.created_at)
        for row in rows
    ]


def read_known(tx: Tx, document_id: DocumentId) -> Known:
    """Read what the gate has to know of a document beside its content."""
    clients = tx.execute(
        select(document_clients).where(document_clients.c.document_id == document_id)
    )
    refused = tx.execute(
        select(refused_deletions).where(refused_deletions.c.document_id == document_id)
    )
    return Known(
        [ClientRecord(row.client_id, row.user_id, row.barred_from) for row in clients],
        [RefusedDeletions(row.user_id, bytes(row.deletions)) for row in refused],
    )


def read_elsewhere(tx: Tx, document_id: DocumentId, clients: Collection[int]) -> dict[int, UserId]:
    """Do what :meth:`UpdateLog.elsewhere` does, in a transaction of the caller."""
    mine = tx.execute(select(forks.c.root_id).where(forks.c.document_id == document_id))
    root = mine.scalar_one_or_none() or document_id
    table = document_clients
    rows = tx.execute(
        select(table.c.client_id, table.c.user_id).where(
            or_(
                table.c.document_id == root,
                table.c.document_id.in_(select(forks.c.document_id).where(forks.c.root_id == root)),
            ),
            table.c.document_id != document_id,
            table.c.client_id.in_(clients),
            # Under one that is barred may have been nothing but attempts.
            table.c.barred_from.is_(None),
            table.c.user_id.is_not(None),
        )
    )
    return {row.client_id: row.user_id for row in rows}


def require_epoch(tx: Tx, document_id: DocumentId, epoch: str) -> int:
    """Return the number of the newest update.

    Raises:
        LogGone: There is no such history any more.
    """
    row = tx.execute(
        select(documents.c.epoch, documents.c.seq).where(documents.c.id == document_id)
    ).one_or_none()
    if row is None:
        raise DocumentForgotten
    if row.epoch != epoch:
        raise LogGone
    return int(row.seq)


def _put_client(tx: Tx, document_id: DocumentId, client: ClientRecord) -> None:
    values: Mapping[str, Any] = {
        "document_id": document_id,
        "client_id": client.client_id,
        "user_id": client.user_id,
        "barred_from": client.barred_from,
    }
    dialect = sqlite if tx.is_sqlite else postgresql
    statement = dialect.insert(document_clients).values(**values)
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=["document_id", "client_id"],
            set_={"user_id": client.user_id, "barred_from": client.barred_from},
        )
    )


def _put_refused(tx: Tx, document_id: DocumentId, refused: RefusedDeletions) -> None:
    """Add to what is known; the caller holds the document's row, so nobody else adds meanwhile."""
    known = tx.execute(
        select(refused_deletions.c.deletions).where(
            refused_deletions.c.document_id == document_id,
            refused_deletions.c.user_id == refused.user_id,
        )
    ).scalar_one_or_none()
    deletions = IdRanges.decode(refused.deletions)
    if known is not None:
        deletions.merge(IdRanges.decode(bytes(known)))
    dialect = sqlite if tx.is_sqlite else postgresql
    statement = dialect.insert(refused_deletions).values(
        document_id=document_id, user_id=refused.user_id, deletions=deletions.encode()
    )
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=["document_id", "user_id"],
            set_={"deletions": statement.excluded.deletions},
        )
    )
