"""The debugger on live documents: reports that move with the text, and fixes of one click."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jupyter_collab_ai.ai import store
from jupyter_collab_ai.ai.analyzers.service import Analyzers
from jupyter_collab_ai.ai.debugger import Debugger, Emit, Focus
from jupyter_collab_ai.ai.edits import Conflict, apply_edits
from jupyter_collab_ai.ai.findings import Edit
from jupyter_collab_ai.ai.following import (
    anchors_of,
    as_edits,
    fix_places,
    follow_findings,
    from_behind,
    scope_of,
)
from jupyter_collab_ai.ai.guard import Guard
from jupyter_collab_ai.ai.locations import Location, NoSuchPlace
from jupyter_collab_ai.ai.looking import invalid, snapshot_of
from jupyter_collab_ai.ai.permits import Permits
from jupyter_collab_ai.ai.placing import Moved, scope_of_lease
from jupyter_collab_ai.ai.ports import Editor, Events, LiveDocument, LiveDocuments, View
from jupyter_collab_ai.ai.runner import Run, Runner, cancelled
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot
from jupyter_collab_ai.ai.store import KeptFinding, Kind, State
from jupyter_collab_ai.errors import NotFound, StaleDocument
from jupyter_collab_ai.ids import SessionId
from jupyter_collab_ai.locks.leases import Held, LeaseLost, Wanted
from jupyter_collab_ai.locks.scopes import Scope, covers
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.sessions.roles import Capability
from jupyter_collab_ai.sessions.service import Sessions
from jupyter_collab_ai.storage.audit import note
from jupyter_collab_ai.storage.database import Database, Tx


@dataclass(frozen=True)
class DebugRequest:
    """What the debugger is asked for."""

    session_id: str
    path: str | None = None
    cell_id: str | None = None
    location: Location | None = None
    error: str | None = None


class Debugging:
    """Runs the debugger, and applies what it proposes."""

    def __init__(
        self,
        database: Database,
        documents: LiveDocuments,
        sessions: Sessions,
        permits: Permits,
        runner: Runner,
        guard: Guard,
        debugger: Debugger,
        analyzers: Analyzers,
        events: Events,
    ) -> None:
        self._database = database
        self._documents = documents
        self._sessions = sessions
        self._permits = permits
        self._runner = runner
        self._guard = guard
        self._debugger = debugger
        self._analyzers = analyzers
        self._events = events

    async def debug(
        self, principal: Principal, request: DebugRequest, emit: Emit
    ) -> dict[str, Any]:
        """Look for faults, and return the report.

        Raises:
            NotFound, RoleRequired: Who asks may not.
            InvalidRequest: There is no such cell or place.
            DocumentTooLarge, RateLimited: It can't be done, or not now.
            ModelFailed, ModelTimeout: A model is configured but can't be asked.
            OperationCancelled: Somebody cancelled it.
            TokenExpired, TokenRevoked: Who asks was signed out or deactivated meanwhile.
        """
        session, path = await self._sessions.document_in(
            principal, request.session_id, request.path, Capability.DEBUG
        )
        async with self._documents.hold(path) as document:
            snapshot = await snapshot_of(document)
            focus = _focus(snapshot, request)
            run = Run(principal, session, path, document)
            return await self._runner.run(
                run,
                Kind.DEBUGGER,
                {"cell_id": request.cell_id, "error": request.error is not None},
                emit,
                self._debug(run, snapshot, focus, request.error, emit),
            )

    async def _debug(
        self, run: Run, snapshot: DocumentSnapshot, focus: Focus, error: str | None, emit: Emit
    ) -> dict[str, Any]:
        report = await self._debugger.run(snapshot, focus, error, emit)
        # People may have typed on: what was found moves with the text, or is left out.
        findings, kept = await run.document.study(
            lambda view: follow_findings(view, snapshot, report.findings)
        )
        result = {
            "operation_id": run.id,
            "summary": report.summary,
            "findings": [finding.as_json() for finding in findings],
            "model": report.model,
            "analyzers": list(report.analyzers),
            "usage": None if report.usage is None else report.usage.as_json(),
            "duration_ms": run.duration_ms,
        }

        def write(tx: Tx) -> bool:
            self._permits.require(tx, run.claim(Kind.DEBUGGER))
            store.keep_findings(
                tx,
                run.id,
                session_id=run.session.id,
                document_id=run.document.document_id,
                path=run.path,
                kept=kept,
            )
            finished = store.finish(
                tx, run.id, State.DONE, result=result, model=report.model, usage=report.usage
            )
            if finished:
                run.note_end(tx)
            return finished

        if not await self._database.write(write):
            raise cancelled()
        self._events.publish(
            run.session.id,
            "finding",
            {"operation": run.id, "path": run.path, "findings": result["findings"]},
        )
        return result

    async def apply_fix(self, principal: Principal, finding_id: str) -> list[dict[str, Any]]:
        """Apply the fix of a finding to the live document, and return what was changed.

        Raises:
            NotFound, RoleRequired: Who asks may not, or there is no such fix.
            StaleDocument: The text that it fixes is gone, or was fixed already.
            Locked: An AI operation is writing there.
            TokenExpired, TokenRevoked: Who asks was signed out or deactivated meanwhile.
        """
        finding = await self._database.read(lambda tx: store.find_finding(tx, finding_id))
        if finding is None:
            raise NotFound("There is no such finding; run the debugger again.")
        session, standing = await self._sessions.standing_in(principal, finding.session_id)
        standing.require(Capability.GENERATE)
        kept = finding.data.get("edits")
        if not kept:
            raise NotFound("This finding has no fix to be applied.")
        path = await self._documents.path_of(finding.document_id)
        if path is None or finding.applied_at is not None:
            raise _gone()
        await self._sessions.require_document(principal, session.id, path, Capability.GENERATE)
        try:
            async with self._documents.hold(path) as document:
                edits = await self._apply(principal, session.id, document, path, finding, kept)
        except Moved:
            raise _gone() from None
        except LeaseLost:
            raise cancelled() from None
        return [edit.as_json() for edit in edits]

    async def _apply(
        self,
        principal: Principal,
        session_id: SessionId,
        document: LiveDocument,
        path: str,
        finding: KeptFinding,
        kept: Sequence[Mapping[str, Any]],
    ) -> list[Edit]:
        def scope_now(view: View) -> Scope:
            return scope_of(fix_places(view, kept))

        def look(view: View) -> tuple[Scope, tuple[bytes | None, bytes | None]]:
            scope = scope_now(view)
            return scope, anchors_of(view, scope)

        def write(editor: Editor, held: Held) -> list[Edit]:
            places = fix_places(editor, kept)
            leased = scope_of_lease(editor, held.lease)
            if leased is None or not covers(leased, scope_of(places)):
                raise Moved  # its text has come back elsewhere since
            edits = as_edits(editor, places)
            for cell_id, span, text in sorted(places, key=from_behind, reverse=True):
                editor.replace(cell_id, span.start, span.end, text)
            return edits

        def record(tx: Tx, held: Held) -> None:
            self._permits.require_write(tx, principal, document.document_id)
            held.spend(tx)
            if not store.mark_applied(tx, finding.id):
                raise Moved
            note(
                tx,
                principal,
                "fix_applied",
                session_id=session_id,
                target=path[:256],
                detail={"finding": finding.id},
            )

        await self._require_whole(document, kept)
        scope, anchors = await document.look(look)
        wanted = Wanted(
            document.document_id,
            session_id,
            scope,
            finding.operation_id,
            "fix",
            principal.user_id,
            *anchors,
        )
        async with self._guard.hold(wanted, document, scope_now) as held:
            _, edits = await document.edit(
                lambda editor: write(editor, held),
                user_id=principal.user_id,
                fence=lambda tx: record(tx, held),
            )
        return edits

    async def _require_whole(
        self, document: LiveDocument, kept: Sequence[Mapping[str, Any]]
    ) -> None:
        """Look at the document with a fix once more, which was tried on an older one.

        Raises:
            Moved: It parses, and would not with the fix.
        """

        def look(view: View) -> tuple[DocumentSnapshot, DocumentSnapshot]:
            now = DocumentSnapshot.of_view(view)
            return now, apply_edits(now, as_edits(view, fix_places(view, kept)))

        try:
            now, then = await document.look(look)
        except Conflict:
            raise Moved from None
        parses = self._analyzers.parses
        if await parses(then) is False and await parses(now) is not False:
            raise Moved


def _gone() -> StaleDocument:
    return StaleDocument("The text that this fixes is gone; run the debugger again.")


def _focus(snapshot: DocumentSnapshot, request: DebugRequest) -> Focus:
    cell_id, location = request.cell_id, request.location
    try:
        if cell_id is not None:
            snapshot.part(cell_id)
    except NoSuchPlace as error:
        raise invalid("cell_id", str(error)) from None
    try:
        if location is not None:
            if location.cell_id is None and cell_id is not None:
                location = replace(location, cell_id=cell_id)
            snapshot.span_of(location)
    except NoSuchPlace as error:
        raise invalid("location", str(error)) from None
    return Focus(cell_id, location)
