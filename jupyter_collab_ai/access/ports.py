"""What access asks of other rooms, and tells them; ``app.py`` plugs the answers in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.sessions.roles import Standing

Stop = Callable[[], None]


class Shared(Protocol):
    """Something that is shared."""

    @property
    def id(self) -> SessionId:
        """The id of its session."""
        ...

    @property
    def name(self) -> str:
        """What its session is called."""
        ...

    @property
    def path(self) -> str:
        """Its canonical path."""
        ...


class Standings(Protocol):
    """Who may do what where (``sessions.service.Sessions``)."""

    async def standing(self, principal: Principal, path: str) -> Standing:
        """Return what ``principal`` is at a canonical path."""
        ...

    async def visible_paths(self, principal: Principal) -> tuple[str, ...]:
        """Return the folders and files that ``principal`` may see, besides the ways to them."""
        ...

    async def sessions_at(self, path: str) -> Sequence[Shared]:
        """Return the sessions at a path and in it."""
        ...

    async def may_move(self, old: str, new: str) -> bool:
        """Return whether files may be moved without two sessions coming to overlap."""
        ...

    def watch(self, changed: Callable[[SessionId | None, UserId | None], None]) -> Stop:
        """Call ``changed`` with the session and user whose standing may have changed."""
        ...


class Locks(Protocol):
    """What is locked."""

    async def blocking(self, path: str) -> dict[str, Any] | None:
        """Return a lock that forbids to replace, move or delete what is at ``path``."""
        ...


class SideRooms(Protocol):
    """The rooms that belong to a document and have no file (``rooms.side_rooms.SideRooms``)."""

    async def path_of(self, room_id: str) -> str | None:
        """Return the path of the document that a room belongs to; None where there is no room."""
        ...


class Moves(Protocol):
    """Told of files that were moved or deleted through Jupyter's contents API."""

    async def renamed(self, old: str, new: str) -> None:
        """Let what is known of the files at and below ``old`` follow them to ``new``."""
        ...

    async def deleted(self, path: str) -> None:
        """Forget what is known of the files at and below ``path``."""
        ...


class Logins(Protocol):
    """Whether whoever opened a connection is still signed in (``identity.service.Identity``)."""

    def watch(self, principal: Principal, ended: Callable[[], None]) -> Stop:
        """Call ``ended`` on the event loop once the principal's login or account ends."""
        ...
