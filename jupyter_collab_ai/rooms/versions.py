"""Versions: moments of a document's history that can be named, looked at and restored."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, update

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import InvalidRequest, NotFound
from jupyter_collab_ai.ids import DocumentId, UserId, new_id
from jupyter_collab_ai.rooms.content import Content, encoded, pack, unpack
from jupyter_collab_ai.rooms.documents import Document
from jupyter_collab_ai.rooms.log import Origin
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.tables import document_updates, document_versions, documents

#: Names that one document may have.
MOST_NAMED = 1000
#: Contents that are kept beside the history of one document; the oldest make room.
MOST_KEPT = 50
#: The word for the document as it is now.
CURRENT = "current"
#: Characters of an epoch that stand in the id of a version: a document that was deleted and
#: made anew has none of the versions of the one before.
_EPOCH = 8
_KEPT = "kept-"

_UNKNOWN = "There is no such version; load the history again."


@dataclass(frozen=True)
class Named:
    """A version with a name, or a content that was kept."""

    id: str
    seq: int
    name: str
    #: Whether it never was the document: its content is kept by itself.
    kept: bool
    origin: Origin | None
    user_id: UserId | None
    at: datetime


@dataclass(frozen=True)
class Ref:
    """Which version is meant: the document after an update, or a content that was kept."""

    seq: int | None = None
    kept: str | None = None


def id_of(document: Document, seq: int) -> str:
    """Return the id of the document as it was after an update."""
    return f"{seq}-{document.epoch[:_EPOCH]}"


def id_of_kept(named: Named) -> str:
    """Return the id of a content that was kept."""
    return _KEPT + named.id


def version_id(document: Document, named: Named) -> str:
    """Return the id of a version that has a name."""
    return id_of_kept(named) if named.kept else id_of(document, named.seq)


def ref_of(document: Document, version: str) -> Ref:
    """Return which version of a document an id means.

    Raises:
        NotFound: None of it.
    """
    if version == CURRENT:
        return Ref(document.seq)
    if version.startswith(_KEPT):
        return Ref(kept=version.removeprefix(_KEPT))
    number, _, epoch = version.partition("-")
    if (
        not (number.isascii() and number.isdigit() and len(number) < 18)
        or epoch != document.epoch[:_EPOCH]
        or not 0 < int(number) <= document.seq
    ):
        raise NotFound(_UNKNOWN)
    return Ref(int(number))


class Versions:
    """Keeps names and contents beside the history."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(
        self,
        document: Document,
        content: Content,
        name: str,
        *,
        origin: Origin = Origin.DISK,
    ) -> str:
        """Keep a content that never was the document as a named version; return its id.

        What is kept already is not kept twice.

        Raises:
            DatabaseUnavailable: It could not be kept.
        """
        digest, packed = await asyncio.to_thread(_kept, content)
        table = document_versions

        def write(tx: Tx) -> str:
            seq = _hold(tx, document)
            known = tx.execute(
                select(table.c.id).where(
                    table.c.document_id == document.id,
                    table.c.content_hash == digest,
                )
            ).scalar()
            if known is not None:
                return _KEPT + str(known)
            version_id = new_id()
            tx.execute(
                insert(table).values(
                    id=version_id,
                    document_id=document.id,
                    seq=seq,
                    name=name,
                    content=packed,
                    content_hash=digest,
                    origin=origin.value,
                    user_id=None,
                    created_at=utcnow(),
                )
            )
            newest = (
                select(table.c.id)
                .where(table.c.document_id == document.id, table.c.content.is_not(None))
                .order_by(table.c.created_at.desc(), table.c.id)
                .limit(MOST_KEPT)
            )
            tx.execute(
                delete(table).where(
                    table.c.document_id == document.id,
                    table.c.content.is_not(None),
                    table.c.id.not_in(list(tx.execute(newest).scalars())),
                )
            )
            return _KEPT + version_id

        return await self._database.write(write)

    async def content(self, document: Document, kept: str) -> Content:
        """Return a content that was kept.

        Raises:
            NotFound: There is none.
        """

        def read(tx: Tx) -> Content:
            packed = tx.execute(
                select(document_versions.c.content).where(
                    document_versions.c.id == kept,
                    document_versions.c.document_id == document.id,
                    document_versions.c.content.is_not(None),
                )
            ).scalar_one_or_none()
            if packed is None:
                raise NotFound(_UNKNOWN)
            return unpack(packed)

        return await self._database.read(read)


def _kept(content: Content) -> tuple[str, bytes]:
    return hashlib.sha256(encoded(content)).hexdigest(), pack(content)


def put_name(tx: Tx, document: Document, ref: Ref, name: str, user_id: UserId) -> Named:
    """Name a version, or give it another name.

    Raises:
        NotFound: There is no such version.
        InvalidRequest: There are too many names.
    """
    table = document_versions
    newest = _hold(tx, document)
    where: tuple[ColumnElement[bool], ...]
    if ref.kept is not None:
        where = (table.c.document_id == document.id, table.c.id == ref.kept)
    else:
        seq = newest if ref.seq is None else ref.seq
        where = (
            table.c.document_id == document.id,
            table.c.seq == seq,
            table.c.content.is_(None),
        )
    known = tx.execute(select(table.c.id).where(*where)).scalar()
    if known is not None:
        tx.execute(update(table).where(table.c.id == known).values(name=name))
    elif ref.kept is not None:
        raise NotFound(_UNKNOWN)
    else:
        _require_kept_apart(tx, document, seq)
        count = tx.execute(
            select(func.count()).where(table.c.document_id == document.id)
        ).scalar_one()
        if count >= MOST_NAMED:
            raise InvalidRequest(
                f"A document can have {MOST_NAMED} named versions; delete some of them first."
            )
        known = new_id()
        tx.execute(
            insert(table).values(
                id=known,
                document_id=document.id,
                seq=seq,
                name=name,
                user_id=user_id,
                created_at=utcnow(),
            )
        )
    return _named(tx.execute(select(table).where(table.c.id == known)).one())


def delete_name(tx: Tx, document: Document, ref: Ref) -> Named:
    """Take the name from a version; what was kept by itself is gone with it.

    Raises:
        NotFound: There is no such version, or it has no name.
    """
    table = document_versions
    which = (
        (table.c.id == ref.kept, table.c.content.is_not(None))
        if ref.kept is not None
        else (table.c.seq == ref.seq, table.c.content.is_(None))
    )
    row = tx.execute(
        delete(table).where(table.c.document_id == document.id, *which).returning(table)
    ).one_or_none()
    if row is None:
        raise NotFound("This version has no name.")
    return _named(row)


def read_versions(tx: Tx, document_id: DocumentId) -> list[Named]:
    """Read all names and what was kept, without the contents; the newest first."""
    columns = [column for column in document_versions.c if column.name != "content"]
    kept = document_versions.c.content.is_not(None).label("kept")
    rows = tx.execute(
        select(*columns, kept)
        .where(document_versions.c.document_id == document_id)
        .order_by(document_versions.c.seq.desc(), document_versions.c.created_at.desc())
    )
    return [_named(row, kept=row.kept) for row in rows]


def _hold(tx: Tx, document: Document) -> int:
    """Take the document's row for this transaction; return the number of the newest update."""
    seq = tx.execute(
        update(documents)
        .where(documents.c.id == document.id, documents.c.epoch == document.epoch)
        .values(seq=documents.c.seq)
        .returning(documents.c.seq)
    ).scalar_one_or_none()
    if seq is None:
        raise NotFound("There is no such document; it may have been deleted.")
    return int(seq)


def _require_kept_apart(tx: Tx, document: Document, seq: int) -> None:
    found = tx.execute(
        select(document_updates.c.seq).where(
            document_updates.c.document_id == document.id, document_updates.c.seq == seq
        )
    ).first()
    if found is None:
        raise NotFound(_UNKNOWN)


def _named(row: Row[Any], *, kept: bool | None = None) -> Named:
    return Named(
        row.id,
        row.seq,
        row.name,
        row.content_hash is not None if kept is None else bool(kept),
        None if row.origin is None else Origin(row.origin),
        row.user_id,
        row.created_at,
    )


def cut(names: Sequence[Named]) -> dict[int, Named]:
    """Return the names of versions of the document itself, by their updates."""
    return {named.seq: named for named in names if not named.kept}
