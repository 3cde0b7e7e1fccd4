"""The audit log: who did what, for every room that has something to write there."""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import insert

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.storage.database import Tx
from jupyter_collab_ai.storage.tables import activity


class Actor(Protocol):
    """Whoever does something, such as a principal."""

    @property
    def user_id(self) -> str:
        """The account."""
        ...

    @property
    def username(self) -> str:
        """How it is called now."""
        ...


def note(
    tx: Tx,
    actor: Actor | None,
    action: str,
    *,
    session_id: str | None,
    target: str | None = None,
    detail: dict[str, Any] | None = None,
    address: str | None = None,
) -> None:
    """Write who did what, in the transaction that does it.

    Args:
        tx: That transaction.
        actor: Who; None where it is not known, as when files were moved.
        action: What, as a word in snake_case.
        session_id: In which session; None where it is about no session.
        target: To whom or what; cut off where it is long.
        detail: What else is worth knowing; never a secret.
        address: Where the request came from.
    """
    tx.execute(
        insert(activity).values(
            at=utcnow(),
            session_id=session_id,
            actor_id=None if actor is None else actor.user_id,
            actor=None if actor is None else actor.username,
            action=action,
            target=None if target is None else target[:256],
            detail=detail,
            address=address,
        )
    )
