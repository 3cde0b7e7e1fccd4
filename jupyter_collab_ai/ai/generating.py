"""The generator on live documents: under the AI lock, in as one change, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any

from jupyter_collab_ai.ai import store
from jupyter_collab_ai.ai.analyzers.service import Analyzers
from jupyter_collab_ai.ai.board import LockBoard
from jupyter_collab_ai.ai.debugger import Emit
from jupyter_collab_ai.ai.findings import Edit
from jupyter_collab_ai.ai.generator import Draft, Generator
from jupyter_collab_ai.ai.guard import Guard, seq_of, while_held
from jupyter_collab_ai.ai.looking import invalid, take_snapshot
from jupyter_collab_ai.ai.model import Usage
from jupyter_collab_ai.ai.permits import Permits
from jupyter_collab_ai.ai.placing import (
    Chosen,
    Mode,
    Moved,
    NoSuchEdit,
    NothingToDo,
    Place,
    SnapshotView,
    Target,
    again,
    changed,
    default_target,
    find_place,
    found_again,
    freeze,
    scope_now,
    work_out,
)
from jupyter_collab_ai.ai.ports import Editor, Events, Files, LiveDocument, LiveDocuments, View
from jupyter_collab_ai.ai.preview import Preview
from jupyter_collab_ai.ai.retention import Keeping
from jupyter_collab_ai.ai.runner import Run, Runner, cancelled
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot
from jupyter_collab_ai.ai.store import Kind, Operation, State
from jupyter_collab_ai.ai.tearing import is_broken_by, is_torn, write_change
from jupyter_collab_ai.ai.undoing import NOTHING_LEFT, place_of_undo
from jupyter_collab_ai.errors import (
    CollabError,
    DocumentTooLarge,
    Locked,
    ModelFailed,
    ModelTimeout,
    NotFound,
    StaleDocument,
)
from jupyter_collab_ai.ids import OperationId, SessionId, UserId
from jupyter_collab_ai.locks.leases import Held, LeaseLost, Wanted
from jupyter_collab_ai.locks.scopes import Scope
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.sessions.paths import canonical, join
from jupyter_collab_ai.sessions.roles import Capability
from jupyter_collab_ai.sessions.service import Sessions
from jupyter_collab_ai.sessions.store import Session
from jupyter_collab_ai.storage.audit import note
from jupyter_collab_ai.storage.database import Database, Tx

log = logging.getLogger(__name__)

#: Why a result was not written by itself.
STALE = "stale_document"
UNSOUND = "checks_failed"

#: Other files that the model may be shown, and characters of all together.
MOST_FILES = 10
MOST_CONTEXT = 100_000

#: Seconds until what could not be taken back, because others wrote there, is tried again, and
#: after which it is left as it is.
PATIENCE = 1.0
MOST_PATIENCE = 60.0

Result = dict[str, Any]


@dataclass(frozen=True)
class GenerateRequest:
    """What the generator is asked for."""

    session_id: str
    instructions: str
    path: str | None = None
    target: Target | None = None
    apply: bool = True
    #: More for the model to know: a text, and other files of the session.
    context: str | None = None
    files: tuple[str, ...] = ()
    #: Tests or examples that the code has to pass.
    tests: str | None = None


@dataclass(frozen=True)
class Prepared:
    """A document at one moment, and a place in it."""

    snapshot: DocumentSnapshot
    place: Place
    frozen: SnapshotView

    @property
    def language(self) -> str:
        """The language of the document."""
        return self.snapshot.language


class Generating:
    """Runs the generator, writes its results and takes them back."""

    def __init__(
        self,
        database: Database,
        documents: LiveDocuments,
        sessions: Sessions,
        permits: Permits,
        runner: Runner,
        guard: Guard,
        board: LockBoard,
        generator: Generator,
        analyzers: Analyzers,
        events: Events,
        keeping: Keeping,
        files: Files,
    ) -> None:
        self._database = database
        self._documents = documents
        self._sessions = sessions
        self._permits = permits
        self._runner = runner
        self._guard = guard
        self._board = board
        self._generator = generator
        self._analyzers = analyzers
        self._events = events
        self._keeping = keeping
        self._files = files

    async def generate(self, principal: Principal, request: GenerateRequest, emit: Emit) -> Result:
        """Write code at a place of the live document, and return the generation.

        Raises:
            NotFound, RoleRequired: Who asks may not.
            InvalidRequest: There is no such place.
            Locked: Another operation is writing there.
            DocumentTooLarge, RateLimited: It can't be done, or not now.
            ModelNotConfigured, ModelFailed, ModelTimeout: There is no code.
            OperationCancelled: Somebody cancelled it, or broke its lock.
            TokenExpired, TokenRevoked: Who asks was signed out or deactivated meanwhile.
        """
        session, path = await self._sessions.document_in(
            principal, request.session_id, request.path, Capability.GENERATE
        )
        self._generator.require()
        files = await self._read_files(session, path, request.files)
        async with self._documents.hold(path) as document:
            prepared = await document.look(lambda view: _prepare(view, request.target))
            run = Run(principal, session, path, document)
            work = self._suggest if not request.apply else self._under_lock
            context = _joined(request.context, files, request.tests)
            request = replace(request, context=context)
            return await self._runner.run(
                run,
                Kind.GENERATOR,
                {
                    "mode": prepared.place.mode.value,
                    "apply": request.apply,
                    **({"instructions": request.instructions} if self._keeping.all else {}),
                },
                emit,
                work(run, prepared, request, emit),
            )

    async def _read_files(
        self, session: Session, path: str, names: Sequence[str]
    ) -> list[tuple[str, str]]:
        """Return other files of a session, as they are now, by the names that were given.

        Raises:
            InvalidRequest: One can't be shown.
            DocumentTooLarge: They are too long.
        """
        if names and session.type != "directory":
            raise invalid("context.files", "This session is one file; there are no others in it.")
        found: list[tuple[str, str]] = []
        size = 0
        for name in dict.fromkeys(names):
            full = join(session.path, canonical(name))
            if full == path:
                continue  # it is shown anyway
            try:
                async with self._documents.hold(full) as document:
                    text = _plain(await document.look(take_snapshot))
            except NotFound:
                raise invalid(
                    "context.files", f"There is no file {name} in this session."
                ) from None
            size += len(text)
            if size > MOST_CONTEXT:
                raise DocumentTooLarge(
                    f"The files of the context have more than {MOST_CONTEXT:,} characters "
                    "together; name fewer of them."
                )
            found.append((name, text))
        return found

    async def _suggest(
        self, run: Run, prepared: Prepared, request: GenerateRequest, emit: Emit
    ) -> Result:
        """Make a draft that is only kept; nothing is written, so nothing is locked."""
        draft = await self._draft(run, prepared, request, emit, lambda _: None)
        return await self._keep(run, prepared, draft, None)

    async def _under_lock(
        self, run: Run, prepared: Prepared, request: GenerateRequest, emit: Emit
    ) -> Result:
        def scope(view: View) -> Scope:
            try:
                return scope_now(view, prepared.place)
            except Moved:
                raise StaleDocument("The place where the code should go is gone.") from None

        wanted = Wanted(
            run.document.document_id,
            run.session.id,
            await run.document.look(scope),
            run.id,
            Kind.GENERATOR.value,
            run.principal.user_id,
            prepared.place.start,
            prepared.place.end,
        )
        async with self._guard.hold(wanted, run.document, scope) as held:
            emit("lock", await self._board.describe(held.lease, run.document))
            try:
                return await while_held(held, self._write(run, prepared, request, emit, held))
            except LeaseLost:
                raise cancelled() from None

    async def _write(
        self, run: Run, prepared: Prepared, request: GenerateRequest, emit: Emit, held: Held
    ) -> Result:
        preview = Preview(self._events, run.session.id, run.id, held.lease.id, run.path)
        try:
            draft = await self._draft(run, prepared, request, emit, preview.grow)
            for may_ask_again in (True, False):
                if not draft.sound:
                    return await self._keep(run, prepared, draft, UNSOUND)
                try:
                    return await self._commit(run, prepared, draft, emit, held)
                except Moved:
                    if not may_ask_again:
                        break
                emit("progress", {"stage": "changed"})
                before = prepared
                try:
                    prepared = await run.document.look(lambda view, b=before: _again(view, b))  # type: ignore[misc]
                    draft = await self._draft(run, prepared, request, emit, preview.grow)
                except (Moved, ModelFailed, ModelTimeout, DocumentTooLarge):
                    break
            return await self._keep(run, prepared, draft, STALE)
        finally:
            preview.end()

    async def _is_local(self, run: Run, name: str) -> bool:
        """Tell whether a module lies beside a document, or in the folder that is shared.

        What lies beside a file that is shared alone is none of its members' business.
        """
        if run.session.type != "directory":
            return False
        for folder in {run.path.rpartition("/")[0], run.session.path}:
            for path in (join(folder, f"{name}.py"), join(folder, name)):
                if await self._files.kind(path) is not None:
                    return True
        return False

    async def _draft(
        self,
        run: Run,
        prepared: Prepared,
        request: GenerateRequest,
        emit: Emit,
        on_text: Callable[[str], None],
    ) -> Draft:
        draft = await self._generator.run(
            prepared.snapshot,
            prepared.frozen,
            prepared.place,
            instructions=request.instructions,
            context=request.context,
            tests=request.tests,
            emit=emit,
            on_text=on_text,
            is_local=lambda name: self._is_local(run, name),
        )
        for check in draft.checks:
            emit("check", check.as_json())
        return draft

    async def _commit(
        self, run: Run, prepared: Prepared, draft: Draft, emit: Emit, held: Held
    ) -> Result:
        """Write a draft as one change, guarded in the transaction that records it.

        Raises:
            Moved: What it was made for has changed.
            LeaseLost: It was cancelled, or the lease was broken.
            TokenExpired, TokenRevoked, RoleRequired, NotFound: Who asked may no longer write.
        """
        emit("progress", {"stage": "writing"})
        place, language = prepared.place, prepared.language
        result: Result = {}

        def write(editor: Editor) -> DocumentSnapshot:
            change = work_out(editor, place, draft.code, language)
            result.update(_generation(run, draft, language, change.edits, applied=True))
            return write_change(editor, change)

        def record(tx: Tx) -> None:
            self._permits.require_write(tx, run.principal, run.document.document_id)
            held.spend(tx)
            if not store.finish(
                tx,
                run.id,
                State.DONE,
                result=result,
                inside={**_inside(prepared), "seq": seq_of(tx, run.document.document_id)},
                model=draft.model,
                usage=draft.usage,
            ):
                raise LeaseLost
            run.note_end(tx)

        try:
            async with _held_still(run.document, place):
                seq, written = await run.document.edit(
                    write, user_id=run.principal.user_id, fence=record
                )
        except NothingToDo:
            return await self._keep(run, prepared, draft, None, applied=True)
        self._watch_later(run.id, run.path, seq, written)
        return result

    async def _keep(
        self,
        run: Run,
        prepared: Prepared,
        draft: Draft,
        reason: str | None,
        *,
        applied: bool = False,
    ) -> Result:
        """Note the end of an operation that has written nothing, and keep its draft.

        Raises:
            OperationCancelled: It was cancelled meanwhile.
            TokenExpired, TokenRevoked, RoleRequired, NotFound: Who asked may not have it any more.
        """
        result = _generation(
            run, draft, prepared.language, draft.edits, applied=applied, reason=reason
        )

        def write(tx: Tx) -> bool:
            self._permits.require(tx, run.claim(Kind.GENERATOR))
            finished = store.finish(
                tx,
                run.id,
                State.DONE,
                result=result,
                inside=_inside(prepared),
                model=draft.model,
                usage=draft.usage,
            )
            if finished:
                run.note_end(tx)
            return finished

        if not await self._database.write(write):
            raise cancelled()
        return result

    # ------------------------------------------------------------ results, later

    async def apply(
        self, principal: Principal, operation: Operation, path: str, chosen: Chosen = None
    ) -> Result:
        """Write a result that was kept as a suggestion, or some of its edits.

        Args:
            principal: Who wants it.
            operation: Whose result it is.
            path: Where the document is now.
            chosen: Which of the edits are wanted; None for all.

        Raises:
            InvalidRequest: It has fewer edits.
            NotFound: There is no such result.
            StaleDocument: The text that it was made for is gone, or it was written already.
            Locked: Another operation is writing there.
            TokenExpired, TokenRevoked, RoleRequired, NotFound: Who wants it may no longer write.
        """
        kept = operation.result or {}
        if kept.get("applied"):
            raise StaleDocument("This result has been written already.")
        if "place" not in operation.inside:
            raise NotFound("This operation has no result to be written.")
        try:
            async with self._documents.hold(path) as document:
                seq, written, result = await self._apply(
                    principal, operation, kept, document, path, chosen
                )
        except NoSuchEdit as error:
            raise invalid(
                "edits", f"The result has {error} edits; name some of them, counted from 0."
            ) from None
        except (Moved, NothingToDo):
            raise StaleDocument(
                "The text that this was made for is gone; ask the generator again."
            ) from None
        except LeaseLost:
            raise cancelled() from None
        self._watch_later(operation.id, path, seq, written)
        return result

    async def _apply(
        self,
        principal: Principal,
        operation: Operation,
        kept: Mapping[str, Any],
        document: LiveDocument,
        path: str,
        chosen: Chosen,
    ) -> tuple[int, DocumentSnapshot, Result]:
        before = Place.from_json(operation.inside["place"])
        place = await document.look(lambda view: found_again(view, before))
        language, code = str(operation.inside["language"]), str(kept["code"])
        result: Result = {**kept, "applied": True, "reason": None}

        def write(editor: Editor) -> DocumentSnapshot:
            change = work_out(editor, place, code, language, chosen)
            result["edits"] = [edit.as_json() for edit in change.edits]
            return write_change(editor, change)

        def record(tx: Tx, held: Held) -> None:
            self._permits.require_write(tx, principal, document.document_id)
            held.spend(tx)
            inside = {**operation.inside, "seq": seq_of(tx, document.document_id)}
            store.change_result(tx, operation, result, inside)
            note(tx, principal, "operation_applied", **_about(operation, path))

        if place is not before:
            await self._require_whole(document, place, code, language, chosen)
        wanted = Wanted(
            document.document_id,
            operation.session_id,
            await document.look(lambda view: scope_now(view, place)),
            operation.id,
            Kind.GENERATOR.value,
            principal.user_id,
            place.start,
            place.end,
        )
        async with (
            self._guard.hold(wanted, document, lambda view: scope_now(view, place)) as held,
            _held_still(document, place),
        ):
            seq, written = await document.edit(
                write, user_id=principal.user_id, fence=lambda tx: record(tx, held)
            )
        return seq, written, result

    async def _require_whole(
        self, document: LiveDocument, place: Place, code: str, language: str, chosen: Chosen
    ) -> None:
        """Look once more at code whose place had to be found again.

        Raises:
            Moved: The document parses, and would not with it.
        """

        def look(view: View) -> tuple[DocumentSnapshot, DocumentSnapshot]:
            snapshot = DocumentSnapshot.of_view(view)
            return snapshot, changed(snapshot, work_out(view, place, code, language, chosen))

        now, then = await document.look(look)
        parses = self._analyzers.parses
        if await parses(then) is False and await parses(now) is not False:
            raise Moved

    async def undo(self, principal: Principal, operation: Operation, path: str) -> Result:
        """Take an applied result back as one step, and leave what people wrote since.

        Raises:
            StaleDocument: There is nothing left to take back.
            TokenExpired, TokenRevoked, RoleRequired, NotFound: Who wants it may no longer write.
            Locked: Another operation is writing there.
        """
        kept = operation.result or {}
        if not kept.get("applied") or "seq" not in operation.inside:
            raise StaleDocument("This result is not in the document.")

        async with self._documents.hold(path) as document:

            def record(tx: Tx) -> None:
                self._permits.require_write(tx, principal, document.document_id)
                note(tx, principal, "operation_undone", **_about(operation, path))

            return await self._take_back(
                operation, document, principal.user_id, reason=None, record=record
            )

    async def _take_back(
        self,
        operation: Operation,
        document: LiveDocument,
        user_id: UserId,
        *,
        reason: str | None,
        record: Callable[[Tx], None] = lambda _: None,
    ) -> Result:
        result: Result = {**(operation.result or {}), "applied": False, "reason": reason}
        inside = {key: value for key, value in operation.inside.items() if key != "seq"}

        def fence(tx: Tx, held: Held) -> None:
            record(tx)
            held.spend(tx)
            store.change_result(tx, operation, result, inside)

        seq = operation.inside["seq"]
        place = await place_of_undo(document, seq)

        def scope(view: View) -> Scope:
            try:
                return scope_now(view, place)
            except Moved:
                raise StaleDocument(NOTHING_LEFT) from None

        wanted = Wanted(
            document.document_id,
            operation.session_id,
            await document.look(scope),
            operation.id,
            Kind.GENERATOR.value,
            user_id,
            place.start,
            place.end,
        )
        try:
            async with self._guard.hold(wanted, document, scope) as held:
                if not await document.undo(seq, user_id=user_id, fence=lambda tx: fence(tx, held)):
                    raise StaleDocument(NOTHING_LEFT)
        except LeaseLost:
            raise cancelled() from None
        return result

    def _watch_later(
        self, operation_id: OperationId, path: str, seq: int, written: DocumentSnapshot
    ) -> None:
        self._runner.later(self._watch(operation_id, path, seq, written))

    async def _watch(
        self, operation_id: OperationId, path: str, seq: int, written: DocumentSnapshot
    ) -> None:
        """Take a change back where an edit that was in flight has torn it."""
        try:
            async with self._documents.hold(path) as document:
                if not await is_torn(document, seq, written, self._analyzers):
                    return
                await self._take_back_in_turn(document, operation_id, path, seq)
        except CollabError as error:
            log.info("What was written could not be watched: %s", error.message)
        except Exception:
            log.exception("What was written could not be watched.")

    async def _take_back_in_turn(
        self, document: LiveDocument, operation_id: OperationId, path: str, seq: int
    ) -> None:
        """Take a change back that is torn, once nobody else is writing there.

        Raises:
            Locked: Somebody did for all the time that it was waited for.
        """
        clock = asyncio.get_running_loop()
        ends = clock.time() + MOST_PATIENCE
        while True:
            operation = await self._database.read(lambda tx: store.find(tx, operation_id))
            if operation is None or operation.inside.get("seq") != seq:
                return  # somebody has taken it back
            try:
                await self._take_back(operation, document, operation.user_id, reason=STALE)
            except Locked:
                if clock.time() > ends:
                    raise
            else:
                self._tell_taken_back(operation.session_id, operation_id, path)
                return
            await asyncio.sleep(PATIENCE)
            if not await is_broken_by(document, seq, self._analyzers):
                return  # what was written meanwhile has mended it

    def _tell_taken_back(self, session_id: SessionId, operation_id: OperationId, path: str) -> None:
        about = {"operation": operation_id, "path": path, "state": "taken_back", "text": ""}
        self._events.publish(session_id, "preview", about)


def _held_still(document: LiveDocument, place: Place) -> AbstractAsyncContextManager[object]:
    """Hold editors still while the whole of a document is written anew; else nobody."""
    if place.mode is Mode.REPLACE_DOCUMENT:
        return document.frozen()
    return contextlib.nullcontext()


def _about(operation: Operation, path: str) -> dict[str, Any]:
    return {
        "session_id": operation.session_id,
        "target": path[:256],
        "detail": {"operation": operation.id},
    }


def _prepare(view: View, target: Target | None) -> Prepared:
    snapshot = take_snapshot(view)
    place = find_place(view, snapshot, target or default_target(snapshot))
    return Prepared(snapshot, place, freeze(view, place, snapshot))


def _again(view: View, before: Prepared) -> Prepared:
    """Find a place once more, with what now stands there.

    Raises:
        Moved: It is gone.
    """
    snapshot = take_snapshot(view)
    place = again(view, snapshot, before.place)
    return Prepared(snapshot, place, freeze(view, place, snapshot))


def _plain(snapshot: DocumentSnapshot) -> str:
    """Return a document as a text; cells are parted as in the percent format."""
    if not snapshot.is_notebook:
        return snapshot.part(None).source
    marks = {True: "# %%", False: "# %% [markdown]"}
    return "\n".join(f"{marks[part.is_code]}\n{part.source}" for part in snapshot.parts)


def _joined(text: str | None, files: Sequence[tuple[str, str]], tests: str | None) -> str | None:
    pieces = [f"The file {name}:\n{content}" for name, content in files]
    if tests and tests.strip():
        pieces.append(f"Tests that the document has to pass; don't repeat them:\n{tests}")
    return "\n\n".join([*([text] if text else []), *pieces]) or None


def _inside(prepared: Prepared) -> dict[str, Any]:
    return {"place": prepared.place.as_json(), "language": prepared.language}


def _generation(
    run: Run,
    draft: Draft,
    language: str,
    edits: tuple[Edit, ...],
    *,
    applied: bool,
    reason: str | None = None,
) -> Result:
    return {
        "operation_id": run.id,
        "code": draft.code,
        "language": language,
        "explanation": draft.explanation,
        "edits": [edit.as_json() for edit in edits],
        "applied": applied,
        "reason": reason,
        "checks": [check.as_json() for check in draft.checks],
        "model": draft.model,
        "usage": (draft.usage or Usage()).as_json(),
        "duration_ms": run.duration_ms,
    }
