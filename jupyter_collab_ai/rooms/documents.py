"""Documents as rows: one for each file that was ever opened for co-editing.

A file has one format and one type, which follow from its name as Jupyter's contents model
has it. Whoever asks for another is refused, for a second live copy of the same file would
overwrite the first one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, insert, null, or_, select, update

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import FieldError, InvalidRequest
from jupyter_collab_ai.ids import DocumentId, new_id
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.driver import Prepared
from jupyter_collab_ai.storage.tables import documents, forks, merged_files

_WITH_ROOTS = select(documents, forks.c.root_id, forks.c.synchronize).outerjoin(
    forks, forks.c.document_id == documents.c.id
)
#: The statements of every save.
_NOTE_SAVED = Prepared(
    update(documents)
    .where(documents.c.id == bindparam("of"))
    .values(saved_hash=bindparam("hash"), saved_seq=bindparam("up_to"), saving_seq=null())
)
_FORGET_MERGED = Prepared(delete(merged_files).where(merged_files.c.document_id == bindparam("of")))
_NOTE_SAVING = Prepared(
    update(documents).where(documents.c.id == bindparam("of")).values(saving_seq=bindparam("up_to"))
)

#: Characters that the path of a document may have. Its forks stand below it, and fit as well.
MOST_PATH = 1000
#: The change topic of documents; its key is the id of the document.
TOPIC = "document"


class Kind(Enum):
    """What a document is: its format and its type in Jupyter's contents model."""

    TEXT = ("text", "file")
    NOTEBOOK = ("json", "notebook")

    def __init__(self, format_: str, type_: str) -> None:
        self.format = format_
        self.type = type_


def kind_of(path: str) -> Kind:
    """Return what the file at ``path`` is opened as; there is one answer only."""
    return Kind.NOTEBOOK if path.endswith(".ipynb") else Kind.TEXT


def require_kind(path: str, format_: str, type_: str) -> Kind:
    """Return the kind of ``path`` if it is the one asked for.

    Raises:
        InvalidRequest: The file would be opened as something else.
    """
    kind = kind_of(path)
    if (format_, type_) != (kind.format, kind.type):
        raise InvalidRequest(
            f"This file is edited together as {kind.type} in the format {kind.format}; "
            f"it can't be opened as {type_} in the format {format_} at the same time."
        )
    return kind


@dataclass(frozen=True)
class Document:
    """One document, as its row was when it was read."""

    id: DocumentId
    path: str
    kind: Kind
    #: Names the one history of this document.
    epoch: str
    #: The number of the newest update in the log; 0 before the first load.
    seq: int
    saved_hash: str | None
    saved_seq: int
    #: Up to which update the file was being written when the server ended, if it was.
    saving_seq: int | None = None
    #: Of which document it is a fork; its path is that one's then. None for one with a file.
    root_id: DocumentId | None = None
    #: Whether a fork takes over what is recorded in that one.
    follows_root: bool = False


class Documents:
    """The rows of documents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def by_path(self, path: str) -> Document | None:
        """Return the document at the canonical ``path``, if it was ever opened."""
        return await self._database.read(lambda tx: find_by_path(tx, path))

    async def by_id(self, document_id: DocumentId) -> Document | None:
        """Return the document of this id, if there is one."""
        return await self._database.read(lambda tx: find_by_id(tx, document_id))

    async def seqs(self, ids: Collection[DocumentId]) -> dict[DocumentId, int]:
        """Return the number of the newest update of each of these documents that is there."""
        wanted = select(documents.c.id, documents.c.seq).where(documents.c.id.in_(tuple(ids)))
        rows = await self._database.read(lambda tx: tx.execute(wanted).all())
        return {DocumentId(row.id): row.seq for row in rows}

    async def ensure(self, path: str) -> Document:
        """Return the document at ``path``, made now if it was never opened.

        Raises:
            InvalidRequest: The path is too long.
        """
        found = await self.by_path(path)
        if found is not None:
            return found
        if len(path) > MOST_PATH:
            sentence = f"The path is longer than {MOST_PATH} characters; move the file further up."
            raise InvalidRequest(sentence, errors=[FieldError("path", sentence)])
        return await self._database.write(lambda tx: make(tx, path), lock="documents")

    async def rename(self, old: str, new: str) -> None:
        """Let the documents at and below ``old`` follow their files to ``new``."""
        await self._database.write(lambda tx: rename(tx, old, new), lock="documents")

    async def forget(self, path: str) -> None:
        """Remove the documents at and below ``path``, whose files were deleted for good."""
        await self._database.write(lambda tx: forget(tx, path), lock="documents")


def find_by_path(tx: Tx, path: str) -> Document | None:
    """Return the document whose file is at ``path``."""
    row = tx.execute(
        _WITH_ROOTS.where(documents.c.path == path, forks.c.root_id.is_(None))
    ).one_or_none()
    return None if row is None else _document(row)


def find_by_id(tx: Tx, document_id: DocumentId) -> Document | None:
    """Return the document of this id."""
    row = tx.execute(_WITH_ROOTS.where(documents.c.id == document_id)).one_or_none()
    return None if row is None else _document(row)


def make(tx: Tx, path: str) -> Document:
    """Return the document at ``path``, with a new row if it has none."""
    found = find_by_path(tx, path)
    if found is not None:
        return found
    kind = kind_of(path)
    now = utcnow()
    tx.execute(
        insert(documents).values(
            id=new_id(),
            path=path,
            format=kind.format,
            type=kind.type,
            epoch=new_id(),
            created_at=now,
            updated_at=now,
        )
    )
    made = find_by_path(tx, path)
    assert made is not None  # it was inserted in this transaction
    return made


def rename(tx: Tx, old: str, new: str) -> None:
    """Move the rows at and below ``old`` to ``new``.

    A document whose kind would change with its name starts a new history there.
    """
    rows = tx.execute(select(documents.c.id, documents.c.path).where(_at_or_below(old))).all()
    moved = {row.id for row in rows}
    for row in rows:
        target = new + row.path[len(old) :]
        # The file that was at the target is gone: it was overwritten.
        overwritten = tx.execute(
            select(documents.c.id).where(documents.c.path == target)
        ).scalar_one_or_none()
        if overwritten is not None and overwritten not in moved:
            remove(tx, overwritten)
        if kind_of(target) is kind_of(row.path):
            tx.execute(update(documents).where(documents.c.id == row.id).values(path=target))
            tx.notify(TOPIC, row.id)
        else:
            remove(tx, row.id)


def forget(tx: Tx, path: str) -> None:
    """Delete the rows at and below ``path``, and with them their logs."""
    for document_id in tx.execute(select(documents.c.id).where(_at_or_below(path))).scalars().all():
        remove(tx, document_id)


def remove(tx: Tx, document_id: DocumentId) -> None:
    """Delete a row with its log, and its forks with theirs."""
    # Takes the row's lock before those of its forks, as a merge does: neither waits for the other.
    tx.execute(update(documents).where(documents.c.id == document_id).values(seq=documents.c.seq))
    of_it = select(forks.c.document_id).where(forks.c.root_id == document_id)
    for each in (*tx.execute(of_it).scalars().all(), document_id):
        tx.execute(delete(documents).where(documents.c.id == each))
        tx.notify(TOPIC, each)


def path_of_fork(root: str, fork_id: DocumentId) -> str:
    """Return as what the row of a fork stands: below a file, with a name that no file can have.

    (A folder may stand where the file was.) It has no suffix, so that a rename never changes what
    it is.
    """
    return f"{root}//{fork_id}"


def note_saved(tx: Tx, document_id: DocumentId, saved_hash: str | None, saved_seq: int) -> None:
    """Remember what the file holds, and up to which update that is the document."""
    tx.run(_NOTE_SAVED, {"of": document_id, "hash": saved_hash, "up_to": saved_seq})
    tx.run(_FORGET_MERGED, {"of": document_id})


def note_saving(tx: Tx, document_id: DocumentId, seq: int) -> None:
    """Remember that the file is about to be written."""
    tx.run(_NOTE_SAVING, {"of": document_id, "up_to": seq})


def note_not_saved(tx: Tx, document_id: DocumentId, seq: int) -> None:
    """Remember that nothing came of what :func:`note_saving` has noted, unless others save now."""
    tx.execute(
        update(documents)
        .where(documents.c.id == document_id, documents.c.saving_seq == seq)
        .values(saving_seq=None)
    )


def _at_or_below(path: str) -> Any:
    # LIKE folds case on SQLite, and ranges follow the collation on PostgreSQL.
    below = path + "/"
    return or_(
        documents.c.path == path,
        func.substr(documents.c.path, 1, len(below)) == below,
    )


def _document(row: Row[Any]) -> Document:
    path = row.path if row.root_id is None else row.path.removesuffix(f"//{row.id}")
    return Document(
        id=DocumentId(row.id),
        path=path,
        kind=_kind(row.format, row.type),
        epoch=row.epoch,
        seq=row.seq,
        saved_hash=row.saved_hash,
        saved_seq=row.saved_seq,
        saving_seq=row.saving_seq,
        root_id=row.root_id,
        follows_root=bool(row.synchronize),
    )


def _kind(format_: str, type_: str) -> Kind:
    return next(kind for kind in Kind if (kind.format, kind.type) == (format_, type_))
