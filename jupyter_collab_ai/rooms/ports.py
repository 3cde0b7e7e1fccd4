"""What rooms ask of others, and tell others; ``app.py`` plugs the answers in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from jupyter_collab_ai.ids import DocumentId, SessionId, UserId
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.storage.database import Tx
from jupyter_collab_ai.web.events import Subscription

Stop = Callable[[], None]


@dataclass(frozen=True)
class Right:
    """What somebody may do with a document now."""

    may_read: bool
    may_write: bool
    #: The session that gives the right; None for an admin where nothing is shared.
    session_id: SessionId | None = None
    #: What the person is there and may do, in the words of the contract: for their page to show.
    role: str | None = None
    capabilities: frozenset[str] = frozenset()


class Rights(Protocol):
    """Who may do what with a document."""

    async def right(self, principal: Principal, path: str) -> Right:
        """Return what ``principal`` may do with the document at the canonical ``path``.

        Asked for each batch of messages, so it has to be quick when nothing has changed.
        """
        ...

    async def rights_of(self, principals: Sequence[Principal], path: str) -> Sequence[Right]:
        """Return the same of each of many, at the cost of one."""
        ...

    async def document_path(
        self,
        principal: Principal,
        session_id: SessionId,
        path: str | None,
        *,
        write: bool = False,
    ) -> str:
        """Return the canonical path of a session's document.

        Args:
            principal: Who asks.
            session_id: The session.
            path: For a session of a folder, which of its documents.
            write: Whether it is to be changed.

        Raises:
            NotFound: There is no such session or path, or not for ``principal``.
            RoleRequired: It is to be changed, and ``principal`` may not do that.
            InvalidRequest: The session is a folder and ``path`` is missing or not canonical.
        """
        ...

    def watch(self, changed: Callable[[SessionId | None, UserId | None], None]) -> Stop:
        """Call ``changed`` on the event loop as soon as a right may have changed.

        None stands for every session, or for every user.
        """
        ...


class Logins(Protocol):
    """Whether whoever opened a connection is still signed in."""

    def watch(self, principal: Principal, ended: Callable[[], None]) -> Stop:
        """Call ``ended`` on the event loop once the principal's login or account ends."""
        ...

    def follow(self, principal: Principal, changed: Callable[[str, str], None]) -> Stop:
        """Call ``changed`` on the event loop with a new display name and color of the account.

        It is called with what they are by then, as soon as they differ from what ``principal``
        says or from what was told last.
        """
        ...


class People(Protocol):
    """The accounts behind the ids."""

    async def describe(self, user_ids: Collection[UserId]) -> Mapping[UserId, dict[str, Any]]:
        """Return what members see of accounts; those that were deleted are left out."""
        ...


class WriteLocks(Protocol):
    """Where an AI operation is writing."""

    async def refuse(self, path: str) -> None:
        """Refuse to change the document at ``path`` wholesale while one is writing there.

        Raises:
            Locked: It is.
        """
        ...

    def stands(self, tx: Tx, document_id: DocumentId) -> bool:
        """Return whether one is, in the transaction that is to record a change."""
        ...


class Events(Protocol):
    """Tells the pages of a session what has happened (``web.events.EventHub``)."""

    def publish(self, session_id: SessionId, type_: str, data: dict[str, Any]) -> None:
        """Tell all who follow the session."""
        ...

    def follow(self, session_id: SessionId) -> AbstractContextManager[Subscription]:
        """Follow a session for the length of the block."""
        ...
