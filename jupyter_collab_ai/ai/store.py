"""The rows of operations and findings: queries, by noun."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    delete,
    desc,
    func,
    insert,
    null,
    or_,
    select,
    update,
)

from jupyter_collab_ai.ai.model import Usage
from jupyter_collab_ai.clock import rfc3339, utcnow
from jupyter_collab_ai.errors import StaleDocument
from jupyter_collab_ai.ids import DocumentId, FindingId, OperationId, SessionId, UserId
from jupyter_collab_ai.locks.leases import TOPIC as LOCK_TOPIC
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.sessions.store import asking_for_sessions_of
from jupyter_collab_ai.storage.database import Tx
from jupyter_collab_ai.storage.tables import findings, locks, operations

#: The change topic of operations that were cancelled; its keys are their ids.
TOPIC = "operation"
#: Seconds after which an operation has died whose server does not say that it lives.
ALIVE = 25.0
#: An operation that runs for longer than this has died with its server.
MOST_SECONDS = 900.0


class State(Enum):
    """How an operation is doing."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Kind(Enum):
    """What an operation does."""

    DEBUGGER = "code-debugger"
    GENERATOR = "code-generator"


@dataclass(frozen=True)
class Operation:
    """One operation, as its row was when it was read."""

    id: OperationId
    kind: Kind
    session_id: SessionId
    document_id: DocumentId | None
    path: str
    user_id: UserId
    state: State
    result: dict[str, Any] | None
    reason: str | None
    #: What is needed to apply or to take back its result; nobody outside sees it.
    inside: dict[str, Any]
    created_at: datetime
    finished_at: datetime | None

    def as_json(self) -> dict[str, Any]:
        """Return it as the contract has it."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "state": self.state.value,
            "session_id": self.session_id,
            "path": self.path,
            "reason": self.reason,
            "result": self.result,
            "created_at": rfc3339(self.created_at),
            "finished_at": None if self.finished_at is None else rfc3339(self.finished_at),
        }


@dataclass(frozen=True)
class KeptFinding:
    """A finding that was reported, with what is needed to apply its fix later."""

    id: FindingId
    operation_id: OperationId
    session_id: SessionId
    document_id: DocumentId
    data: dict[str, Any]
    applied_at: datetime | None

    @property
    def number(self) -> int:
        """Its place in the report."""
        return int(self.data.get("number", 0))


def begin(
    tx: Tx,
    operation_id: OperationId,
    kind: Kind,
    principal: Principal,
    *,
    session_id: SessionId,
    document_id: DocumentId,
    path: str,
    request: Mapping[str, Any],
) -> None:
    """Note that an operation runs."""
    tx.execute(
        insert(operations).values(
            id=operation_id,
            kind=kind.value,
            session_id=session_id,
            document_id=document_id,
            path=path,
            user_id=principal.user_id,
            state=State.RUNNING.value,
            request=dict(request),
            # Of JSON None is a value; what is not there can be looked for.
            result=null(),
            created_at=utcnow(),
            alive_until=tx.now() + ALIVE,
        )
    )


def finish(
    tx: Tx,
    operation_id: OperationId,
    state: State,
    *,
    result: Mapping[str, Any] | None = None,
    reason: str | None = None,
    inside: Mapping[str, Any] | None = None,
    model: str | None = None,
    usage: Usage | None = None,
) -> bool:
    """Note how an operation ended; False where it had ended already, which stays as it was."""
    counted = usage or Usage()
    done = tx.execute(
        update(operations)
        .where(operations.c.id == operation_id, operations.c.state == State.RUNNING.value)
        .values(
            state=state.value,
            result=null() if result is None else dict(result),
            reason=reason,
            undo=None if inside is None else json.dumps(dict(inside)).encode(),
            model=model,
            prompt_tokens=counted.prompt_tokens,
            completion_tokens=counted.completion_tokens,
            finished_at=utcnow(),
        )
    )
    return bool(done.rowcount == 1)


def keep_alive(tx: Tx, ids: Sequence[OperationId]) -> None:
    """Note that operations run on."""
    tx.execute(
        update(operations).where(operations.c.id.in_(ids)).values(alive_until=tx.now() + ALIVE)
    )


def any_dead(tx: Tx) -> bool:
    """Tell whether there are operations whose server has died."""
    return tx.execute(select(operations.c.id).where(*_dead(tx)).limit(1)).first() is not None


def bury(tx: Tx) -> int:
    """Note of operations whose server has died that they failed; returns how many there were."""
    return tx.execute(
        update(operations)
        .where(*_dead(tx))
        .values(state=State.FAILED.value, reason="internal_error", finished_at=utcnow())
    ).rowcount


def _dead(tx: Tx) -> tuple[ColumnElement[bool], ...]:
    return (
        operations.c.state == State.RUNNING.value,
        operations.c.alive_until <= tx.now(),
    )


def forget_content(tx: Tx, before: datetime, *, limit: int) -> int:
    """Delete what the oldest operations that ended before a moment have read and written.

    Who ran them, when, and how they ended stays.

    Returns:
        How many there were; ``limit`` at the most.
    """
    old = (
        tx.execute(
            select(operations.c.id)
            .where(
                operations.c.finished_at < before,
                or_(operations.c.result.is_not(None), operations.c.undo.is_not(None)),
            )
            .order_by(operations.c.finished_at)
            .limit(limit)
        )
        .scalars()
        .all()
    )
    if old:
        tx.execute(delete(findings).where(findings.c.operation_id.in_(old)))
        tx.execute(
            update(operations)
            .where(operations.c.id.in_(old))
            .values(request={}, result=null(), undo=None)
        )
    return len(old)


def change_result(
    tx: Tx, known: Operation, result: Mapping[str, Any], inside: Mapping[str, Any]
) -> None:
    """Note that the result of an operation was applied, or taken back.

    Args:
        tx: Holds the document's row, so of two who want this one is the first.
        known: The operation as it was when it was decided.
        result: What is told of the result from now on.
        inside: What is kept beside it.

    Raises:
        StaleDocument: It was applied or taken back since.
    """
    now = find(tx, known.id)
    if now is None or now.inside.get("seq") != known.inside.get("seq"):
        raise StaleDocument("This result has just been written, or taken back, by another request.")
    tx.execute(
        update(operations)
        .where(operations.c.id == known.id)
        .values(result=dict(result), undo=json.dumps(dict(inside)).encode())
    )


def cancel(tx: Tx, operation_id: OperationId) -> bool:
    """End an operation and its leases, so that it can't write any more.

    Returns:
        False where it had ended already.
    """
    cancelled = finish(tx, operation_id, State.CANCELLED, reason="operation_cancelled")
    _end_leases(tx, operation_id)
    if cancelled:
        tx.notify(TOPIC, operation_id)
    return cancelled


def give_up(tx: Tx, operation_id: OperationId, reason: str) -> bool:
    """Let an operation fail and end its leases, so that it can't write any more.

    Whoever runs it is not told.

    Returns:
        False where it had ended already.
    """
    failed = finish(tx, operation_id, State.FAILED, reason=reason)
    if failed:
        _end_leases(tx, operation_id)
    return failed


def _end_leases(tx: Tx, operation_id: OperationId) -> None:
    gone = tx.execute(
        delete(locks)
        .where(locks.c.operation_id == operation_id)
        .returning(locks.c.id, locks.c.document_id)
    ).all()
    for row in gone:
        tx.notify(LOCK_TOPIC, f"{row.document_id}:{row.id}")


def find(tx: Tx, operation_id: str) -> Operation | None:
    """Return an operation."""
    row = tx.execute(select(operations).where(operations.c.id == operation_id)).one_or_none()
    return None if row is None else _operation(row)


def states(tx: Tx, ids: Sequence[OperationId]) -> dict[OperationId, State]:
    """Return how some operations are doing."""
    rows = tx.execute(
        select(operations.c.id, operations.c.state).where(operations.c.id.in_(ids))
    ).all()
    return {OperationId(row.id): State(row.state) for row in rows}


def page(
    tx: Tx,
    *,
    user_id: UserId | None,
    session_id: SessionId | None,
    member: UserId | None,
    limit: int,
    after: tuple[datetime, str] | None,
) -> tuple[list[Operation], tuple[datetime, str] | None]:
    """Return operations, the newest first, and where the list goes on.

    Args:
        tx: To ask in.
        user_id: Whose; None for everybody's.
        session_id: In which session; None for all.
        member: Who has to be a member of their sessions; None where nobody has to.
        limit: How many at the most.
        after: Where the page before ended.
    """
    statement = select(operations)
    if member is not None:
        statement = statement.where(operations.c.session_id.in_(asking_for_sessions_of(member)))
    if user_id is not None:
        statement = statement.where(operations.c.user_id == user_id)
    if session_id is not None:
        statement = statement.where(operations.c.session_id == session_id)
    if after is not None:
        moment, last = after
        statement = statement.where(
            or_(
                operations.c.created_at < moment,
                and_(operations.c.created_at == moment, operations.c.id < last),
            )
        )
    rows = tx.execute(
        statement.order_by(desc(operations.c.created_at), desc(operations.c.id)).limit(limit + 1)
    ).all()
    items = [_operation(row) for row in rows[:limit]]
    if len(rows) <= limit:
        return items, None
    return items, (items[-1].created_at, items[-1].id)


def keep_findings(
    tx: Tx,
    operation: OperationId,
    *,
    session_id: SessionId,
    document_id: DocumentId,
    path: str,
    kept: Sequence[Mapping[str, Any]],
) -> None:
    """Keep findings, each with what is needed to apply its fix."""
    if not kept:
        return
    now = utcnow()
    tx.execute(
        insert(findings),
        [
            {
                "id": data["finding"]["id"],
                "operation_id": operation,
                "session_id": session_id,
                "document_id": document_id,
                "path": path,
                "data": dict(data),
                "created_at": now,
            }
            for data in kept
        ],
    )


def find_finding(tx: Tx, finding_id: str) -> KeptFinding | None:
    """Return a finding that was kept."""
    row = tx.execute(select(findings).where(findings.c.id == finding_id)).one_or_none()
    return None if row is None else _kept(row)


def last_review(
    tx: Tx, session_id: SessionId, document_id: DocumentId, since: datetime | None
) -> OperationId | None:
    """Return the debugger's last operation on a document that came to a good end.

    Args:
        tx: The transaction.
        session_id: The session of the document.
        document_id: The document.
        since: When it has to have ended, or later; None for any time.
    """
    row = tx.execute(
        select(operations.c.id, operations.c.finished_at)
        .where(
            operations.c.document_id == document_id,
            # By these SQLite could go as well, and so through nearly all operations there are.
            func.coalesce(operations.c.session_id, "") == session_id,
            operations.c.kind == Kind.DEBUGGER.value,
            func.coalesce(operations.c.state, "") == State.DONE.value,
        )
        .order_by(desc(operations.c.finished_at), desc(operations.c.id))
        .limit(1)
    ).one_or_none()
    if row is None or (since is not None and row.finished_at < since):
        return None
    return OperationId(row.id)


def findings_of(tx: Tx, operation_id: OperationId) -> list[KeptFinding]:
    """Return all findings of an operation, in the order of its report."""
    rows = tx.execute(select(findings).where(findings.c.operation_id == operation_id))
    return sorted(map(_kept, rows), key=lambda one: (one.number, one.id))


def _kept(row: Row[Any]) -> KeptFinding:
    return KeptFinding(
        FindingId(row.id),
        OperationId(row.operation_id),
        SessionId(row.session_id),
        DocumentId(row.document_id),
        row.data,
        row.applied_at,
    )


def mark_applied(tx: Tx, finding_id: FindingId) -> bool:
    """Note that a fix was applied; False where it was already."""
    done = tx.execute(
        update(findings)
        .where(findings.c.id == finding_id, findings.c.applied_at.is_(None))
        .values(applied_at=utcnow())
    )
    return bool(done.rowcount == 1)


def _operation(row: Row[Any]) -> Operation:
    state, reason = State(row.state), row.reason
    if state is State.RUNNING and (utcnow() - row.created_at).total_seconds() > MOST_SECONDS:
        state, reason = State.FAILED, "internal_error"
    return Operation(
        id=OperationId(row.id),
        kind=Kind(row.kind),
        session_id=SessionId(row.session_id),
        document_id=None if row.document_id is None else DocumentId(row.document_id),
        path=row.path,
        user_id=UserId(row.user_id),
        state=state,
        result=row.result,
        reason=reason,
        inside={} if row.undo is None else json.loads(row.undo),
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
