"""From what a request names to a document that whoever asks may work on."""

from __future__ import annotations

from jupyter_collab_ai.ai.ports import LiveDocument, View
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot
from jupyter_collab_ai.errors import DocumentTooLarge, FieldError, InvalidRequest
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.sessions.paths import canonical, join
from jupyter_collab_ai.sessions.roles import Capability
from jupyter_collab_ai.sessions.service import Sessions
from jupyter_collab_ai.sessions.store import Session

#: Characters that a document may have to be looked at.
MOST_CHARACTERS = 1_000_000


async def reach(
    sessions: Sessions,
    principal: Principal,
    session_id: str,
    path: str | None,
    capability: Capability,
) -> tuple[Session, str]:
    """Return a session and the path of its document that is meant.

    Raises:
        NotFound, RoleRequired: Whoever asks may not.
        InvalidRequest: The session is a folder and no file in it is named, or the reverse.
    """
    session, standing = await sessions.standing_in(principal, session_id)
    standing.require(capability)
    if session.type != "directory":
        if path is not None:
            raise invalid("path", "This session is one file; leave the path out.")
        return session, session.path
    if path is None:
        raise invalid("path", "This session is a folder; say which of its files you mean.")
    return session, join(session.path, canonical(path))


def take_snapshot(view: View) -> DocumentSnapshot:
    """Return a document as it is now.

    Raises:
        DocumentTooLarge: It is too large to be looked at.
    """
    snapshot = DocumentSnapshot.of_view(view)
    if snapshot.size > MOST_CHARACTERS:
        raise DocumentTooLarge(
            f"The document has more than {MOST_CHARACTERS:,} characters, which is too much for "
            "the AI to look at."
        )
    return snapshot


async def snapshot_of(document: LiveDocument) -> DocumentSnapshot:
    """Return a live document as it is now.

    Raises:
        DocumentTooLarge: It is too large to be looked at.
        StaleDocument: It was closed.
    """
    return await document.look(take_snapshot)


def invalid(field: str, message: str) -> InvalidRequest:
    """Return the error that says what is wrong with one member of a request."""
    return InvalidRequest(message, errors=[FieldError(field, message)])
