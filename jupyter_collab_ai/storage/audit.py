"""The audit log: who did what, when and from where, for every room that writes there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Row, delete, desc, insert, select

from jupyter_collab_ai.clock import rfc3339, utcnow
from jupyter_collab_ai.errors import FieldError, InvalidRequest
from jupyter_collab_ai.storage.database import Tx
from jupyter_collab_ai.storage.tables import activity

#: What stands as the address of somebody at a terminal of the server.
TERMINAL = "terminal"


class Actor(Protocol):
    """Whoever does something, such as a principal."""

    @property
    def user_id(self) -> str | None:
        """The account; None for somebody without one, as at a terminal."""
        ...

    @property
    def username(self) -> str:
        """How it is called now."""
        ...


@dataclass(frozen=True)
class By:
    """Who does something, and from where; each is None where it is not known."""

    actor: Actor | None = None
    address: str | None = None


@dataclass(frozen=True)
class Operator:
    """Somebody at a terminal of the server, by the operating system's name."""

    username: str
    user_id: None = None


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
            actor=None if actor is None else actor.username[:64],
            action=action,
            target=None if target is None else target[:256],
            detail=detail,
            address=None if address is None else address[:64],
        )
    )


def page(
    tx: Tx,
    *,
    limit: int,
    before: int | None = None,
    session_id: str | None = None,
    actor: str | None = None,
    action: str | None = None,
) -> tuple[list[Row[Any]], int | None]:
    """Return what was done, the newest first, and the id before which the log goes on.

    Args:
        tx: A transaction.
        limit: How many at the most.
        before: Only what was noted before this id.
        session_id: Only what is about this session.
        actor: Only what the account of this name did.
        action: Only what is called so.
    """
    statement = select(activity)
    if before is not None:
        statement = statement.where(activity.c.id < before)
    for column, wanted in (
        (activity.c.session_id, session_id),
        (activity.c.actor, actor),
        (activity.c.action, action),
    ):
        if wanted is not None:
            statement = statement.where(column == wanted)
    rows = list(tx.execute(statement.order_by(desc(activity.c.id)).limit(limit + 1)))
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def parse_after(after: str | None) -> int | None:
    """Return the id before which the log goes on, of what a page said comes next.

    Raises:
        InvalidRequest: No page said so.
    """
    if after is None:
        return None
    if not after.isascii() or not after.isdigit() or len(after) > 18:
        raise InvalidRequest(
            "This is not where a list goes on; use what the last answer gave as next.",
            errors=[FieldError("after", "Use the next of the last answer.")],
        )
    return int(after)


def as_json(row: Row[Any]) -> dict[str, Any]:
    """Return an entry as the owners of its session see it."""
    return {
        "at": rfc3339(row.at),
        "actor": row.actor,
        "action": row.action,
        "target": row.target,
        "detail": row.detail,
    }


def as_full_json(row: Row[Any]) -> dict[str, Any]:
    """Return an entry as admins see it: also where it came from, and what it was about."""
    return {**as_json(row), "session_id": row.session_id, "address": row.address}


def prune(tx: Tx, before: datetime, *, limit: int) -> int:
    """Delete the oldest entries from before a moment, ``limit`` at the most; return how many."""
    oldest = (
        select(activity.c.id).where(activity.c.at < before).order_by(activity.c.at).limit(limit)
    )
    return tx.execute(delete(activity).where(activity.c.id.in_(oldest.scalar_subquery()))).rowcount
