"""Small pieces by which one room answers what another asks; ``app.py`` puts them in."""

from __future__ import annotations

from collections.abc import Callable

from jupyter_collab_ai.errors import FieldError, InvalidRequest, NotFound
from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.rooms.ports import Right
from jupyter_collab_ai.sessions.paths import canonical, join
from jupyter_collab_ai.sessions.roles import Capability
from jupyter_collab_ai.sessions.service import Sessions


class SessionRights:
    """Answers rooms by what sessions know: the port :class:`~.rooms.ports.Rights`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def right(self, principal: Principal, path: str) -> Right:
        """Return what ``principal`` may do with the document at ``path``."""
        standing = await self._sessions.standing(principal, path)
        return Right(
            may_read=standing.may(Capability.READ),
            may_write=standing.may(Capability.WRITE),
            session_id=standing.session_id,
            role=None if standing.as_admin or standing.role is None else standing.role.value,
            capabilities=frozenset(one.value for one in Capability if standing.may(one)),
        )

    async def document_path(
        self, principal: Principal, session_id: SessionId, path: str | None
    ) -> str:
        """Return the canonical path of a session's document.

        Raises:
            NotFound: There is no such session, or not for ``principal``.
            InvalidRequest: The session is a folder and ``path`` is missing or not canonical.
        """
        session, standing = await self._sessions.standing_in(principal, session_id)
        standing.require(Capability.READ)
        if session.type != "directory":
            if path not in (None, ""):
                raise NotFound("This session is one file; leave the path out.")
            return session.path
        if not path:
            sentence = "This session is a folder; say which of its files you mean."
            raise InvalidRequest(sentence, errors=[FieldError("path", sentence)])
        return join(session.path, canonical(path))

    def watch(
        self, changed: Callable[[SessionId | None, UserId | None], None]
    ) -> Callable[[], None]:
        """Call ``changed`` as soon as a right may have changed."""
        return self._sessions.watch(changed)
