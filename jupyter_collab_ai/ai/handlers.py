"""The calls about operations and locks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from tornado.iostream import StreamClosedError

from jupyter_collab_ai.ai.debugger import Emit
from jupyter_collab_ai.ai.debugging import DebugRequest
from jupyter_collab_ai.ai.generating import MOST_FILES, GenerateRequest
from jupyter_collab_ai.ai.locations import Location, Position
from jupyter_collab_ai.ai.operations import Operations
from jupyter_collab_ai.ai.placing import Mode, Target
from jupyter_collab_ai.errors import CollabError
from jupyter_collab_ai.web.errors import bare_body, body_of
from jupyter_collab_ai.web.events import KEEP_ALIVE, Event, open_stream, send
from jupyter_collab_ai.web.handlers import ApiHandler, takes
from jupyter_collab_ai.web.requests import Body, Query

Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Number = Annotated[int, Field(ge=1, le=10_000_000)]
#: Events of a stream that its reader may be behind; growing text is left out beyond that.
MOST_WAITING = 1000

Work = Callable[[Emit], Awaitable[dict[str, Any]]]


def _said(instructions: str) -> str:
    if not instructions.strip():
        raise ValueError("Say what is to be written.")
    return instructions


class PositionBody(Body):
    """A place between two characters."""

    line: Number
    column: Number


class LocationBody(Body):
    """A place in a document."""

    cell_id: Id | None = None
    start: PositionBody
    end: PositionBody

    @model_validator(mode="after")
    def _in_order(self) -> LocationBody:
        if (self.end.line, self.end.column) < (self.start.line, self.start.column):
            raise ValueError("A location can't end before it starts")
        return self

    @property
    def value(self) -> Location:
        """The same as this room speaks of it."""
        return Location(
            Position(self.start.line, self.start.column),
            Position(self.end.line, self.end.column),
            self.cell_id,
        )


class TargetBody(Body):
    """Where code goes."""

    mode: Literal["append", "replace_document", "replace", "insert", "new_cell"]
    location: LocationBody | None = None


class DebugBody(Body):
    """What the debugger is asked for."""

    session_id: Id
    path: str | None = None
    cell_id: Id | None = None
    location: LocationBody | None = None
    error: Annotated[str, StringConstraints(max_length=50_000)] | None = None


class ContextBody(Body):
    """What else the model is to know."""

    text: Annotated[str, StringConstraints(max_length=100_000)] | None = None
    files: list[str] = Field(default_factory=list, max_length=MOST_FILES)
    tests: Annotated[str, StringConstraints(max_length=100_000)] | None = None


class GenerateBody(Body):
    """What the generator is asked for."""

    session_id: Id
    path: str | None = None
    instructions: Annotated[str, StringConstraints(max_length=20_000), AfterValidator(_said)]
    target: TargetBody | None = None
    apply: bool = True
    context: Annotated[str, StringConstraints(max_length=100_000)] | ContextBody | None = None


class ApplyBody(Body):
    """Which edits of a result are wanted; all without it."""

    edits: (
        Annotated[
            list[Annotated[int, Field(ge=0, le=100_000)]], Field(min_length=1, max_length=10_000)
        ]
        | None
    ) = None


class LocksQuery(Query):
    """Of which document of a folder the locks are wanted; of all without it."""

    path: str | None = None


class FindingsQuery(Query):
    """Of which document of a folder the findings are wanted, and which page."""

    path: str | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    after: Annotated[str, StringConstraints(max_length=200)] | None = None


class ListQuery(Query):
    """Which operations are wanted."""

    session_id: Id | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    after: Annotated[str, StringConstraints(max_length=200)] | None = None


class AiHandler(ApiHandler):
    """Base: gives the service."""

    def initialize(self, operations: Operations) -> None:
        """Get what the handler works with."""
        self.operations = operations

    async def answer(self, work: Work) -> None:
        """Do some work and answer with its result, or as a stream of what happens meanwhile."""
        accepted = self.request.headers.get("Accept", "")
        if "text/event-stream" not in accepted.lower():
            self.write_json(await work(_nobody))
            return
        await self._stream(work)

    async def _stream(self, work: Work) -> None:
        waiting: asyncio.Queue[Event | None] = asyncio.Queue()

        def emit(type_: str, data: dict[str, Any]) -> None:
            if type_ != "delta" or waiting.qsize() < MOST_WAITING:
                waiting.put_nowait(Event(type_, data))

        async def run() -> Event:
            try:
                return Event("done", await work(emit))
            except CollabError as error:
                if not started.is_set():
                    raise  # nothing was said yet: the plain answer says it best
                return Event("error", body_of(error))
            except Exception:
                if not started.is_set():
                    raise
                self.log.exception("An operation failed.")
                return Event("error", bare_body(500))
            finally:
                waiting.put_nowait(None)

        started = asyncio.Event()
        task = asyncio.create_task(run())
        reading = True
        while (event := await _next(waiting, started)) is not None:
            if not started.is_set():
                started.set()
                open_stream(self)
            if reading:
                reading = await (send(self, event) if event is not _SILENCE else _breathe(self))
        last = await task
        if not started.is_set():
            open_stream(self)
        if reading:
            await send(self, last)


_SILENCE = Event("", {})


def _nobody(type_: str, data: dict[str, Any]) -> None:
    """Tell nobody of what happens: the result says all."""
    del type_, data


async def _next(waiting: asyncio.Queue[Event | None], started: asyncio.Event) -> Event | None:
    if not started.is_set():
        return await waiting.get()
    try:
        return await asyncio.wait_for(waiting.get(), KEEP_ALIVE)
    except TimeoutError:
        return _SILENCE


async def _breathe(handler: ApiHandler) -> bool:
    """Keep a connection open on which nothing happens; False when the reader is gone."""
    with contextlib.suppress(StreamClosedError):
        handler.write(b": keep-alive\n\n")
        await handler.flush()
        return True
    return False


class DebuggerHandler(AiHandler):
    """``/ai/code-debugger``."""

    @takes("body")
    async def post(self) -> None:
        """Look for faults."""
        body = self.read_body(DebugBody)
        request = DebugRequest(
            body.session_id,
            body.path,
            body.cell_id,
            None if body.location is None else body.location.value,
            body.error,
        )
        principal = self.principal
        await self.answer(lambda emit: self.operations.debug(principal, request, emit))


class GeneratorHandler(AiHandler):
    """``/ai/code-generator``."""

    @takes("body")
    async def post(self) -> None:
        """Write code."""
        body = self.read_body(GenerateBody)
        request = GenerateRequest(
            body.session_id,
            body.instructions,
            body.path,
            None if body.target is None else _target(body.target),
            body.apply,
            *_context(body.context),
        )
        principal = self.principal
        await self.answer(lambda emit: self.operations.generate(principal, request, emit))


def _context(context: str | ContextBody | None) -> tuple[str | None, tuple[str, ...], str | None]:
    if isinstance(context, ContextBody):
        return context.text, tuple(context.files), context.tests
    return context, (), None


def _target(body: TargetBody) -> Target:
    return Target(Mode(body.mode), None if body.location is None else body.location.value)


class FixHandler(AiHandler):
    """``/ai/fixes/{finding_id}/apply``."""

    async def post(self, finding_id: str) -> None:
        """Apply a fix to the live document."""
        self.write_json({"edits": await self.operations.apply_fix(self.principal, finding_id)})


class OperationsHandler(AiHandler):
    """``/ai/operations``."""

    @takes("query")
    async def get(self) -> None:
        """List operations."""
        query = self.read_query(ListQuery)
        self.write_json(
            await self.operations.page(
                self.principal,
                session_id=query.session_id,
                limit=query.limit,
                after=query.after,
            )
        )


class OperationHandler(AiHandler):
    """``/ai/operations/{id}``."""

    async def get(self, operation_id: str) -> None:
        """Tell how an operation is doing."""
        self.write_json(await self.operations.get(self.principal, operation_id))

    async def delete(self, operation_id: str) -> None:
        """Cancel an operation."""
        await self.operations.cancel(self.principal, operation_id)
        self.no_content()


class ApplyHandler(AiHandler):
    """``/ai/operations/{id}/apply``."""

    @takes("body")
    async def post(self, operation_id: str) -> None:
        """Write a result that was kept as a suggestion, or some of its edits."""
        edits = self.read_body(ApplyBody).edits if self.request.body else None
        self.write_json(await self.operations.apply(self.principal, operation_id, edits))


class UndoHandler(AiHandler):
    """``/ai/operations/{id}/undo``."""

    async def post(self, operation_id: str) -> None:
        """Take an applied result back."""
        self.write_json(await self.operations.undo(self.principal, operation_id))


class ModelsHandler(AiHandler):
    """``/ai/models``."""

    async def get(self) -> None:
        """List the models that can be used."""
        self.write_json({"items": await self.operations.models()})


class UsageHandler(AiHandler):
    """``/ai/usage``."""

    async def get(self) -> None:
        """Tell how many tokens were used."""
        self.write_json({"items": await self.operations.usage(self.principal)})


class FindingsHandler(AiHandler):
    """``/sessions/{session_id}/findings``."""

    @takes("query")
    async def get(self, session_id: str) -> None:
        """List what the debugger last found in a document."""
        query = self.read_query(FindingsQuery)
        self.write_json(
            await self.operations.findings(
                self.principal, session_id, query.path, limit=query.limit, after=query.after
            )
        )


class LocksHandler(AiHandler):
    """``/sessions/{session_id}/locks``."""

    @takes("query")
    async def get(self, session_id: str) -> None:
        """List the locks that stand."""
        query = self.read_query(LocksQuery)
        locks = await self.operations.locks(self.principal, session_id, query.path)
        self.write_json({"items": locks})


class LockHandler(AiHandler):
    """``/sessions/{session_id}/locks/{lock_id}``."""

    async def delete(self, session_id: str, lock_id: str) -> None:
        """Break a lock."""
        await self.operations.break_lock(self.principal, session_id, lock_id)
        self.no_content()


def handlers(url: Callable[[str], str], operations: Operations) -> list[tuple[Any, ...]]:
    """Return the rules of this room."""
    given = {"operations": operations}
    return [
        (url("ai/code-debugger"), DebuggerHandler, given),
        (url("ai/code-generator"), GeneratorHandler, given),
        (url("ai/fixes/([^/]+)/apply"), FixHandler, given),
        (url("ai/operations"), OperationsHandler, given),
        (url("ai/operations/([^/]+)"), OperationHandler, given),
        (url("ai/operations/([^/]+)/apply"), ApplyHandler, given),
        (url("ai/operations/([^/]+)/undo"), UndoHandler, given),
        (url("ai/models"), ModelsHandler, given),
        (url("ai/usage"), UsageHandler, given),
        (url("sessions/([^/]+)/findings"), FindingsHandler, given),
        (url("sessions/([^/]+)/locks"), LocksHandler, given),
        (url("sessions/([^/]+)/locks/([^/]+)"), LockHandler, given),
    ]
