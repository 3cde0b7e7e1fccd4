"""Forks of jupyter-collaboration: documents without a file, which may be merged into their root.

A fork is a document of its own, with its log in the database and a room behind the same gate. The
roles are those of the document of which it is one. Merging records what it has beyond that one
there, and deletes it, in one transaction: killed at any moment, a server has done both or neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pycrdt import Doc, Map, get_state
from sqlalchemy import Row, delete, func, insert, select

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import InvalidRequest, NotFound, RoleRequired, StaleDocument
from jupyter_collab_ai.ids import DocumentId, new_id
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.rooms.content import build
from jupyter_collab_ai.rooms.copies import change_copy, new_client_id
from jupyter_collab_ai.rooms.documents import TOPIC, Document, find_by_id, path_of_fork
from jupyter_collab_ai.rooms.freezing import frozen
from jupyter_collab_ai.rooms.gate import STATE_MAP, Joined
from jupyter_collab_ai.rooms.log import Entry, LogGone, Origin, append, read_known, require_epoch
from jupyter_collab_ai.rooms.panics import without_panics
from jupyter_collab_ai.rooms.ports import Right, Rights, WriteLocks
from jupyter_collab_ai.rooms.registry import Rooms
from jupyter_collab_ai.rooms.rewriting import LockCame, Moved
from jupyter_collab_ai.rooms.room import LiveRoom, NotJoined
from jupyter_collab_ai.storage.audit import note
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.tables import documents, forks

#: Forks that one document, and that one account may have.
MOST_OF_DOCUMENT: Final = 20
MOST_OF_ONE: Final = 100
#: Times that a merge is worked out anew because somebody wrote in the fork meanwhile.
TRIES: Final = 20

_NO_DOCUMENT = "There is no such document, or it is not shared with you."
_NO_FORK = "There is no such fork, or it is not shared with you."
_NOT_JOINED = {
    Joined.OTHERS: "The fork and the document disagree on who wrote something; nothing was merged.",
    Joined.BARRED: "The fork holds what was refused in the document; nothing was merged.",
    Joined.MISFIT: "The fork does not fit the document any more; nothing was merged.",
}


@dataclass(frozen=True)
class Fork:
    """One fork, as people see it."""

    id: DocumentId
    title: str
    description: str
    synchronize: bool
    #: Names its history.
    epoch: str = ""

    def info(self, root_room: str) -> dict[str, Any]:
        """Return it as upstream's calls have it."""
        return {
            "root_roomid": root_room,
            "synchronize": self.synchronize,
            "title": self.title,
            "description": self.description,
        }


class Forks:
    """Makes, finds, merges and deletes them."""

    def __init__(
        self,
        database: Database,
        rooms: Rooms,
        rights: Rights,
        locks: WriteLocks,
        *,
        most_of_document: int = MOST_OF_DOCUMENT,
        most_of_one: int = MOST_OF_ONE,
    ) -> None:
        """Prepare to serve the forks in ``database``.

        Args:
            database: Where they are.
            rooms: By which they are opened, and merged into their roots.
            rights: Who may read and write what.
            locks: Where operations are writing.
            most_of_document: Forks that a document may have.
            most_of_one: Forks that may stand of those that one account has made.
        """
        self._database = database
        self._rooms = rooms
        self._rights = rights
        self._locks = locks
        self._most_of_document = most_of_document
        self._most_of_one = most_of_one

    async def find(self, fork_id: str) -> Document | None:
        """Return the document of a fork, if there is one of this id."""
        if "\0" in fork_id:
            return None  # not every database can be asked for such a text
        document = await self._rooms.documents.by_id(DocumentId(fork_id))
        return None if document is None or document.root_id is None else document

    async def path_of(self, fork_id: str) -> str | None:
        """Return the path of the document of which this is a fork, if there is one of this id."""
        document = await self.find(fork_id)
        return None if document is None else document.path

    async def of(self, principal: Principal, path: str) -> list[Fork]:
        """Return the forks of the document at ``path``, the oldest first.

        Raises:
            NotFound: There is no such document, or not for ``principal``.
        """
        await self._require(principal, path)
        root = await self._rooms.documents.by_path(path)
        if root is None:
            return []
        wanted = select(forks).where(forks.c.root_id == root.id).order_by(forks.c.created_at)
        rows = await self._database.read(lambda tx: tx.execute(wanted).all())
        return list(map(_fork, rows))

    async def create(
        self,
        principal: Principal,
        path: str,
        *,
        title: str = "",
        description: str = "",
        synchronize: bool = False,
        address: str | None = None,
    ) -> Fork:
        """Make a fork of the document at ``path`` as it is now.

        Args:
            principal: Who makes it.
            path: Of which document.
            title: How it is called.
            description: What it is for.
            synchronize: Whether it takes over what is recorded in the document from now on.
            address: Where the request came from.

        Raises:
            NotFound: There is no such document, or not for ``principal``.
            RoleRequired: ``principal`` may not write.
            InvalidRequest: There are too many forks.
        """
        right = await self._require(principal, path, write=True)
        fork = Fork(DocumentId(new_id()), title, description, synchronize, new_id())
        async with self._rooms.hold(path, outside=principal.is_admin) as root:
            state = await root.look(lambda doc: doc.get_update())
            await self._require(principal, path, write=True)

            def write(tx: Tx) -> None:
                self._insert(tx, principal, root.document, fork, state)
                note(
                    tx,
                    principal,
                    "fork_created",
                    session_id=right.session_id,
                    target=path,
                    detail={"fork": fork.id, "title": title},
                    address=address,
                )

            try:
                await self._database.write(write, lock="documents")
            except LogGone:
                raise NotFound(_NO_DOCUMENT) from None
        return fork

    def _insert(
        self, tx: Tx, principal: Principal, root: Document, fork: Fork, state: bytes
    ) -> None:
        require_epoch(tx, root.id, root.epoch)
        self._require_few(tx, principal, root.id)
        now_at = find_by_id(tx, root.id)
        assert now_at is not None  # its epoch was there in this transaction
        now = utcnow()
        tx.execute(
            insert(documents).values(
                id=fork.id,
                path=path_of_fork(now_at.path, fork.id),
                format=root.kind.format,
                type=root.kind.type,
                epoch=fork.epoch,
                created_at=now,
                updated_at=now,
            )
        )
        tx.execute(
            insert(forks).values(
                document_id=fork.id,
                root_id=root.id,
                title=fork.title,
                description=fork.description,
                synchronize=fork.synchronize,
                user_id=principal.user_id,
                created_at=now,
            )
        )
        # Whose the ids are holds here too, and what was refused there is not accepted here.
        append(
            tx,
            fork.id,
            fork.epoch,
            0,
            [Entry(state, Origin.LOAD)],
            learned=read_known(tx, root.id),
        )

    def _require_few(self, tx: Tx, principal: Principal, root_id: DocumentId) -> None:
        count = select(func.count()).select_from(forks)
        if (
            tx.execute(count.where(forks.c.root_id == root_id)).scalar_one()
            >= self._most_of_document
        ):
            raise InvalidRequest(
                f"The document has {self._most_of_document} forks, which is as many as one may "
                "have; merge or delete one first."
            )
        if (
            tx.execute(count.where(forks.c.user_id == principal.user_id)).scalar_one()
            >= self._most_of_one
        ):
            raise InvalidRequest(
                f"You have made {self._most_of_one} forks that still stand, which is as many as "
                "one account may; merge or delete one first."
            )

    async def delete(
        self, principal: Principal, fork_id: str, *, address: str | None = None
    ) -> None:
        """Delete a fork with all that was written in it.

        Raises:
            NotFound: There is no such fork, or not for ``principal``.
            RoleRequired: ``principal`` may not write.
        """
        fork, right = await self._mine(principal, fork_id)

        def write(tx: Tx) -> None:
            gone = tx.execute(delete(documents).where(documents.c.id == fork.id))
            if gone.rowcount != 1:
                raise NotFound(_NO_FORK)
            tx.notify(TOPIC, fork.id)
            self._note(tx, principal, "fork_deleted", fork, right, address)

        await self._database.write(write)
        await self._rooms.forgotten(fork.id)

    async def merge(
        self, principal: Principal, fork_id: str, *, address: str | None = None
    ) -> None:
        """Record what a fork has beyond its root there, as one step, and delete the fork.

        Raises:
            NotFound: There is no such fork, or not for ``principal``.
            RoleRequired: ``principal`` may not write.
            Locked: An AI operation is writing in the root.
            StaleDocument: The two don't fit together, or people keep typing; nothing was merged.
        """
        document, _ = await self._mine(principal, fork_id)
        await self._locks.refuse(document.path)
        async with self._rooms.hold(document.path, outside=principal.is_admin) as root:
            if root.document.id != document.root_id:
                raise NotFound(_NO_FORK)
            fork = await self._rooms.acquire_by_id(document.id)
            try:
                async with frozen(fork):
                    await self._merge(principal, root, fork, address)
            finally:
                self._rooms.release(fork)
        await self._rooms.forgotten(document.id)

    async def _merge(
        self, principal: Principal, root: LiveRoom, fork: LiveRoom, address: str | None
    ) -> None:
        for _ in range(TRIES):
            seq, state, owners = await fork.look(
                lambda doc: (fork.seq, doc.get_update(), fork.owners())
            )
            base = await root.look(lambda doc: doc.get_update())
            data = await asyncio.to_thread(beyond, base, state)
            _, right = await self._mine(principal, fork.document.id)
            fence = self._fence(principal, root, fork, seq, right, address)
            try:
                await root.join_in(
                    data,
                    owners,
                    origin=Origin.MERGE,
                    user_id=principal.user_id,
                    fence=fence,
                )
            except Moved:
                await fork.catch_up()
            except LockCame:
                await self._locks.refuse(root.path)
            except NotJoined as error:
                raise StaleDocument(_NOT_JOINED[error.verdict]) from None
            else:
                return
        raise StaleDocument("People keep typing in the fork; try again in a moment.")

    def _fence(
        self,
        principal: Principal,
        root: LiveRoom,
        fork: LiveRoom,
        seq: int,
        right: Right,
        address: str | None,
    ) -> Callable[[Tx], None]:
        """Return what deletes the fork in the transaction that records all of it elsewhere."""
        mine = documents.c.id == fork.document.id

        def fence(tx: Tx) -> None:
            if self._locks.stands(tx, root.document.id):
                raise LockCame
            gone = tx.execute(delete(documents).where(mine, documents.c.seq == seq))
            if gone.rowcount != 1:
                if tx.execute(select(documents.c.id).where(mine)).one_or_none() is None:
                    raise NotFound(_NO_FORK)
                raise Moved
            tx.notify(TOPIC, fork.document.id)
            self._note(tx, principal, "fork_merged", fork.document, right, address)

        return fence

    def _note(
        self,
        tx: Tx,
        principal: Principal,
        action: str,
        fork: Document,
        right: Right,
        address: str | None,
    ) -> None:
        note(
            tx,
            principal,
            action,
            session_id=right.session_id,
            target=fork.path,
            detail={"fork": fork.id},
            address=address,
        )

    async def _mine(self, principal: Principal, fork_id: str) -> tuple[Document, Right]:
        document = await self.find(fork_id)
        if document is None:
            raise NotFound(_NO_FORK)
        return document, await self._require(principal, document.path, write=True)

    async def _require(self, principal: Principal, path: str, *, write: bool = False) -> Right:
        right = await self._rights.right(principal, path)
        if not right.may_read:
            raise NotFound(_NO_DOCUMENT)
        if write and not right.may_write:
            raise RoleRequired("Making, merging and deleting forks needs the role editor or owner.")
        return right


def _fork(row: Row[Any]) -> Fork:
    return Fork(DocumentId(row.document_id), row.title, row.description, row.synchronize)


@without_panics
def beyond(root: bytes, fork: bytes) -> bytes:
    """Return as an update what a fork has beyond its root; for worker threads.

    What pages and servers note in the shared map "state" is about the one document, and stays as
    it is there.
    """
    both = build([root, fork]).get_update()
    noted = build([root]).get(STATE_MAP, type=Map).to_py() or {}

    def change(doc: Doc[Any]) -> None:
        state = doc.get(STATE_MAP, type=Map)
        now = state.to_py() or {}
        for key in now.keys() | noted.keys():
            if key not in noted:
                del state[key]
            elif key not in now or now[key] != noted[key]:
                state[key] = noted[key]

    data, _ = change_copy(both, new_client_id(), change)
    whole = [both] if data is None else [both, data]
    return build(whole).get_update(get_state(root))
