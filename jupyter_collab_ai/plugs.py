"""Small pieces by which one room answers what another asks; ``app.py`` puts them in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from jupyter_collab_ai.ai.board import LockBoard
from jupyter_collab_ai.errors import Locked
from jupyter_collab_ai.ids import DocumentId, SessionId, UserId
from jupyter_collab_ai.locks.leases import anything_stands
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.rooms.ports import Right
from jupyter_collab_ai.sessions.roles import Capability, Standing
from jupyter_collab_ai.sessions.service import Sessions
from jupyter_collab_ai.sessions.store import user_json
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.tables import users


def _right(standing: Standing) -> Right:
    return Right(
        may_read=standing.may(Capability.READ),
        may_write=standing.may(Capability.WRITE),
        session_id=standing.session_id,
        role=None if standing.as_admin or standing.role is None else standing.role.value,
        capabilities=frozenset(one.value for one in Capability if standing.may(one)),
    )


class SessionRights:
    """Answers rooms by what sessions know: the port :class:`~.rooms.ports.Rights`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def right(self, principal: Principal, path: str) -> Right:
        """Return what ``principal`` may do with the document at ``path``."""
        return _right(await self._sessions.standing(principal, path))

    async def rights_of(self, principals: Sequence[Principal], path: str) -> list[Right]:
        """Return what each of many may do with the document at ``path``."""
        return list(map(_right, await self._sessions.standings(principals, path)))

    async def document_path(
        self,
        principal: Principal,
        session_id: SessionId,
        path: str | None,
        *,
        write: bool = False,
    ) -> str:
        """Return the canonical path of a session's document.

        Raises:
            CollabError: As of :meth:`.Sessions.document_in`.
        """
        wanted = Capability.WRITE if write else Capability.READ
        _, found = await self._sessions.document_in(principal, session_id, path, wanted)
        return found

    def watch(
        self, changed: Callable[[SessionId | None, UserId | None], None]
    ) -> Callable[[], None]:
        """Call ``changed`` as soon as a right may have changed."""
        return self._sessions.watch(changed)


class Accounts:
    """Says who is behind an id: the port :class:`~.rooms.ports.People`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def describe(self, user_ids: Collection[UserId]) -> Mapping[UserId, dict[str, Any]]:
        """Return what members see of accounts."""
        ids = list(user_ids)

        def read(tx: Tx) -> dict[UserId, dict[str, Any]]:
            rows = tx.execute(select(users).where(users.c.id.in_(ids)))
            return {UserId(row.id): user_json(row) for row in rows}

        return await self._database.read(read) if ids else {}


class OperationLocks:
    """Says where operations are writing: the port :class:`~.rooms.ports.WriteLocks`."""

    def __init__(self, board: LockBoard) -> None:
        self._board = board

    async def refuse(self, path: str) -> None:
        """Refuse to change the document at ``path`` while an operation is writing there.

        Raises:
            Locked: One is.
        """
        lock = await self._board.blocking(path)
        if lock is not None:
            raise Locked(
                "The AI is writing there; wait until it is done, or break its lock.",
                extra={"lock": lock},
            )

    def stands(self, tx: Tx, document_id: DocumentId) -> bool:
        """Return whether one is, in a transaction that holds the document's row."""
        return anything_stands(tx, document_id)
