"""What sessions ask of other rooms; ``app.py`` plugs the answers in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from jupyter_collab_ai.ids import SessionId, UserId


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
    """Told when files of a session are moved or deleted by its owner."""

    async def renamed(self, old: str, new: str) -> None:
        """Follow what was at ``old`` to ``new``."""
        ...

    async def deleted(self, path: str) -> None:
        """Forget what was at ``path``."""
        ...


class Contents(Protocol):
    """The files below the server's root."""

    async def kind(self, path: str) -> str | None:
        """Return ``file``, ``notebook`` or ``directory``; None where there is nothing."""
        ...

    async def create(self, path: str, kind: str, content: object | None) -> None:
        """Create what does not exist yet, and the folders above it.

        Raises:
            InvalidRequest: ``content`` is not what a file of this kind can hold.
            PathExists: Something is there, or a file is where a folder would have to be.
        """
        ...

    async def move(self, old: str, new: str) -> None:
        """Move a file or folder.

        Raises:
            NotFound: There is nothing at ``old``.
            PathExists: There is something at ``new``.
        """
        ...

    async def delete(self, path: str) -> None:
        """Delete a file, or a folder with all that is in it; nothing there is no error."""
        ...


def newest(locks: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the lock that was taken last."""
    return max(locks, key=lambda lock: str(lock["since"]), default=None)
