"""What sessions ask of other rooms; ``app.py`` plugs the answers in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.principal import Principal


class Presence(Protocol):
    """Who is here."""

    def online(self, session_id: SessionId) -> set[UserId]:
        """Return who has a document of the session open."""
        ...


class Locks(Protocol):
    """What is locked."""

    async def current(self, session_id: SessionId) -> dict[str, Any] | None:
        """Return the newest lock in the session as clients see it, or None."""
        ...

    async def blocking(self, path: str) -> dict[str, Any] | None:
        """Return a lock that forbids to replace, move or delete what is at ``path``."""
        ...


class Moves(Protocol):
    """Told when files are moved or deleted, so that live documents follow."""

    async def renamed(self, old: str, new: str) -> None:
        """Follow what was at ``old`` to ``new``."""
        ...

    async def deleted(self, path: str) -> None:
        """Forget what was at ``path``."""
        ...


class Logins(Protocol):
    """Whether whoever opened a stream is still signed in."""

    def watch(self, principal: Principal, ended: Callable[[], None]) -> Callable[[], None]:
        """Call ``ended`` once the login or the account ends; returns how to stop."""
        ...


class Contents(Protocol):
    """The files below the server's root."""

    async def require_plain(self, path: str) -> None:
        """Refuse a path that leads through a link.

        Raises:
            InvalidRequest: It does; what it leads to has another path.
        """
        ...

    async def real(self, path: str) -> str | None:
        """Return the path of what ``path`` leads to; None where a link leads out of the root."""
        ...

    async def kind(self, path: str) -> str | None:
        """Return ``file``, ``notebook`` or ``directory``; None where there is nothing."""
        ...

    async def holds_files(self, path: str) -> bool:
        """Return whether there is a folder with something in it, or a file, at ``path``."""
        ...

    async def prepare(self, kind: str, content: object | None) -> Any:
        """Return what :meth:`create` makes a new file, notebook or folder of.

        Raises:
            InvalidRequest: ``content`` is not what a file of this kind can hold.
            DocumentTooLarge: ``content`` is too large to be edited together.
        """
        ...

    async def create(self, path: str, prepared: Any) -> None:
        """Create what does not exist yet, and the folders above it.

        Raises:
            PathExists: Something is there, or a file is where a folder would have to be.
        """
        ...

    async def move(self, old: str, new: str) -> None:
        """Move a file or folder; folders above the new path are made.

        Raises:
            NotFound: There is nothing at ``old``.
            PathExists: There is something at ``new``, or a file is where a folder would have
                to be.
        """
        ...

    async def delete(self, path: str) -> None:
        """Delete a file, or a folder with all that is in it; nothing there is no error.

        Raises:
            PathExists: Something can't be deleted.
        """
        ...


def newest(locks: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the lock that was taken last."""
    return max(locks, key=lambda lock: str(lock["since"]), default=None)
