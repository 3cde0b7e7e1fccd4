"""What was found in a document, for whoever opens it later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from jupyter_collab_ai.ai import store
from jupyter_collab_ai.ai.following import current_findings
from jupyter_collab_ai.ai.looking import invalid
from jupyter_collab_ai.ai.ports import LiveDocuments
from jupyter_collab_ai.ai.retention import Keeping
from jupyter_collab_ai.ai.store import KeptFinding
from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import NotFound
from jupyter_collab_ai.ids import DocumentId, OperationId, SessionId
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.sessions.roles import Capability
from jupyter_collab_ai.sessions.service import Sessions
from jupyter_collab_ai.storage.database import Database, Tx


@dataclass(frozen=True)
class _Page:
    operation_id: OperationId | None = None
    kept: tuple[KeptFinding, ...] = ()
    #: The number after which the next page begins.
    last: int | None = None


class Found:
    """Tells what the debugger last found in a document, where it is by now."""

    def __init__(
        self,
        database: Database,
        documents: LiveDocuments,
        sessions: Sessions,
        keeping: Keeping,
    ) -> None:
        self._database = database
        self._documents = documents
        self._sessions = sessions
        self._keeping = keeping

    async def page(
        self,
        principal: Principal,
        session_id: str,
        path: str | None,
        *,
        limit: int,
        after: str | None,
    ) -> dict[str, Any]:
        """Return what the debugger found when it last looked at a document.

        Findings whose text is gone and those whose fix was applied are left out, so a page may
        have fewer than ``limit``. A document in which nothing was found is not opened.

        Raises:
            NotFound: There is no such session for who asks, or the file is gone.
            InvalidRequest: The path is missing, not canonical or one too many, or ``after`` is
                not what a page said comes next, or is of a report that is no longer the last.
        """
        session, full = await self._sessions.document_in(
            principal, session_id, path, Capability.READ
        )
        document_id = await self._documents.id_of(full)
        if document_id is None:
            return _answer(None, [], None)
        found = await self._database.read(
            lambda tx: self._read(tx, session.id, document_id, limit, after)
        )
        if not found.kept:
            return _answer(found.operation_id, [], found.last)
        async with self._documents.hold(full) as document:
            if document.document_id != document_id:
                raise NotFound("The file has just been replaced; ask again.")
            current = await document.study(
                lambda view: current_findings(view, [one.data for one in found.kept])
            )
        return _answer(found.operation_id, [one.as_json() for one in current], found.last)

    def _read(
        self,
        tx: Tx,
        session_id: SessionId,
        document_id: DocumentId,
        limit: int,
        after: str | None,
    ) -> _Page:
        # What is to be forgotten is not told, whether or not it has been swept away yet.
        since = None if self._keeping.all else utcnow() - timedelta(hours=self._keeping.hours)
        operation_id = store.last_review(tx, session_id, document_id, since)
        first = _number_after(after, operation_id)
        if operation_id is None:
            return _Page()
        kept = [
            one
            for one in store.findings_of(tx, operation_id)
            if one.number >= first and one.applied_at is None
        ]
        last = kept[limit - 1].number if len(kept) > limit else None
        return _Page(operation_id, tuple(kept[:limit]), last)


def _answer(
    operation_id: OperationId | None, items: list[dict[str, Any]], last: int | None
) -> dict[str, Any]:
    return {
        "operation_id": operation_id,
        "items": items,
        "next": None if last is None else f"{operation_id}~{last}",
    }


def _number_after(after: str | None, operation_id: OperationId | None) -> int:
    """Return the number of the first finding of a page."""
    if after is None:
        return 0
    of, _, number = after.partition("~")
    if not (number.isascii() and number.isdecimal() and len(number) < 10):
        raise invalid("after", "Use what the last answer gave as next.")
    if of != operation_id:
        raise invalid(
            "after", "The debugger has looked at the document again; begin with the first page."
        )
    return int(number) + 1
