"""Operations, whoever runs them: seen, cancelled, applied, taken back and counted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from jupyter_collab_ai.ai import budgets, store
from jupyter_collab_ai.ai.analyzers.service import Analyzers
from jupyter_collab_ai.ai.board import LockBoard
from jupyter_collab_ai.ai.debugger import Debugger, Emit
from jupyter_collab_ai.ai.debugging import Debugging, DebugRequest
from jupyter_collab_ai.ai.execution.service import Execution
from jupyter_collab_ai.ai.found import Found
from jupyter_collab_ai.ai.generating import GenerateRequest, Generating
from jupyter_collab_ai.ai.generator import Generator
from jupyter_collab_ai.ai.guard import Guard
from jupyter_collab_ai.ai.model import Model
from jupyter_collab_ai.ai.permits import Permits
from jupyter_collab_ai.ai.ports import Events, Files, LiveDocuments, Logins
from jupyter_collab_ai.ai.retention import DEFAULT_KEEPING, ContentRetention, Keeping
from jupyter_collab_ai.ai.runner import Runner
from jupyter_collab_ai.ai.store import Kind, Operation, State
from jupyter_collab_ai.errors import NotFound, StaleDocument
from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.locks.leases import Leases
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.sessions.roles import Capability, Standing
from jupyter_collab_ai.sessions.service import Sessions
from jupyter_collab_ai.storage.database import Database
from jupyter_collab_ai.web.cursors import cursor_of, parse_cursor

_ResultCall = Callable[[Principal, Operation, str], Awaitable[dict[str, Any]]]


class Operations:
    """What the handlers ask; made of the parts of this room."""

    def __init__(
        self,
        database: Database,
        documents: LiveDocuments,
        sessions: Sessions,
        logins: Logins,
        leases: Leases,
        board: LockBoard,
        analyzers: Analyzers,
        model: Model,
        events: Events,
        files: Files,
        keeping: Keeping = DEFAULT_KEEPING,
        execution: Execution | None = None,
    ) -> None:
        self._database = database
        self._documents = documents
        self._sessions = sessions
        self._leases = leases
        self._board = board
        self._model = model
        self._analyzers = analyzers
        permits = Permits(database, sessions, logins)
        self._runner = Runner(database, permits)
        self._retention = ContentRetention(database, keeping)
        self._found = Found(database, documents, sessions, keeping)
        guard = Guard(leases, board)
        self._debugging = Debugging(
            database,
            documents,
            sessions,
            permits,
            self._runner,
            guard,
            Debugger(analyzers, model),
            analyzers,
            events,
        )
        self._generating = Generating(
            database,
            documents,
            sessions,
            permits,
            self._runner,
            guard,
            board,
            Generator(analyzers, model, execution),
            analyzers,
            events,
            keeping,
            files,
        )

    def start(self) -> None:
        """Begin to look for operations of servers that have died, and for old content."""
        self._runner.start()
        self._retention.start()

    async def close(self) -> None:
        """End whatever runs; nothing more is written."""
        await self._retention.close()
        await self._runner.close()
        await self._analyzers.close()
        await self._model.close()

    async def debug(
        self, principal: Principal, request: DebugRequest, emit: Emit
    ) -> dict[str, Any]:
        """Run the debugger; see :meth:`~.debugging.Debugging.debug`."""
        return await self._debugging.debug(principal, request, emit)

    async def generate(
        self, principal: Principal, request: GenerateRequest, emit: Emit
    ) -> dict[str, Any]:
        """Run the generator; see :meth:`~.generating.Generating.generate`."""
        return await self._generating.generate(principal, request, emit)

    async def apply_fix(self, principal: Principal, finding_id: str) -> list[dict[str, Any]]:
        """Apply a fix; see :meth:`~.debugging.Debugging.apply_fix`."""
        return await self._debugging.apply_fix(principal, finding_id)

    async def findings(
        self,
        principal: Principal,
        session_id: str,
        path: str | None,
        *,
        limit: int,
        after: str | None,
    ) -> dict[str, Any]:
        """Return what was last found in a document; see :meth:`~.found.Found.page`."""
        return await self._found.page(principal, session_id, path, limit=limit, after=after)

    async def get(self, principal: Principal, operation_id: str) -> dict[str, Any]:
        """Return how an operation is doing.

        Raises:
            NotFound, RoleRequired: There is none, or it is not for who asks.
        """
        operation, _ = await self._own(principal, operation_id)
        return operation.as_json()

    async def page(
        self, principal: Principal, *, session_id: str | None, limit: int, after: str | None
    ) -> dict[str, Any]:
        """Return one page of operations, the newest first.

        Of a session, its owner sees everybody's; otherwise one sees one's own.

        Raises:
            NotFound: There is no such session for who asks.
            InvalidRequest: ``after`` is not what a page said comes next.
        """
        user_id: UserId | None = principal.user_id
        wanted: SessionId | None = None
        if session_id is not None:
            session, standing = await self._sessions.standing_in(principal, session_id)
            wanted = session.id
            if standing.may(Capability.CANCEL_ANY):
                user_id = None
        # What one asked for in a session stays there when one is removed.
        member = None if wanted is not None or principal.is_admin else principal.user_id
        cursor = parse_cursor(after)
        items, following = await self._database.read(
            lambda tx: store.page(
                tx, user_id=user_id, session_id=wanted, member=member, limit=limit, after=cursor
            )
        )
        return {
            "items": [operation.as_json() for operation in items],
            "next": None if following is None else cursor_of(*following),
        }

    async def usage(self, principal: Principal) -> list[dict[str, Any]]:
        """Return tokens and cost per user, session and day: one's own; an admin's: all."""
        user_id = None if principal.is_admin else principal.user_id
        return await self._database.read(lambda tx: budgets.usage_of(tx, user_id))

    async def models(self) -> list[dict[str, Any]]:
        """Return the models that can be used, the one that is asked first.

        Raises:
            ModelFailed, ModelTimeout: The server does not say which it has.
        """
        if not self._model.configured:
            return []
        names = await self._model.names()
        return [{"id": name, "default": index == 0} for index, name in enumerate(names)]

    async def cancel(self, principal: Principal, operation_id: str) -> None:
        """Cancel an operation: once this returns, it can't write any more.

        Raises:
            NotFound: There is none, or it has ended and has written something.
            RoleRequired: It is somebody else's.
        """
        operation, _ = await self._own(principal, operation_id)
        if await self._runner.cancel(principal, operation, action="operation_cancelled"):
            return
        operation, _ = await self._own(principal, operation_id)
        if (operation.result or {}).get("applied"):
            raise NotFound("The operation has ended already; its result can be taken back.")

    async def locks(
        self, principal: Principal, session_id: str, path: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the locks that stand in a session, or in one document of a folder's.

        Raises:
            NotFound: There is no such session for who asks.
            InvalidRequest: The session is one file, or the path is not canonical.
        """
        if path is None:
            session, _ = await self._sessions.standing_in(principal, session_id)
            return await self._board.of_session(session.id)
        session, full = await self._sessions.document_in(
            principal, session_id, path, Capability.SEE
        )
        return await self._board.of_session(session.id, full)

    async def break_lock(self, principal: Principal, session_id: str, lock_id: str) -> None:
        """Break a lock, which cancels its operation.

        Raises:
            NotFound: There is no such lock for who asks.
            RoleRequired: It is somebody else's.
        """
        session, standing = await self._sessions.standing_in(principal, session_id)
        lease = await self._leases.find(lock_id)
        if lease is None or lease.session_id != session.id:
            raise NotFound("There is no such lock; its operation may have ended already.")
        own = lease.user_id == principal.user_id
        standing.require(Capability.CANCEL_OWN if own else Capability.CANCEL_ANY)
        await self._leases.break_(lease.id, session.id)
        operation = await self._database.read(lambda tx: store.find(tx, lease.operation_id))
        if operation is not None:
            await self._runner.cancel(principal, operation, action="lock_broken")

    async def apply(
        self, principal: Principal, operation_id: str, edits: Sequence[int] | None = None
    ) -> dict[str, Any]:
        """Write a kept result; see :meth:`~.generating.Generating.apply`."""
        chosen = None if edits is None else frozenset(edits)
        return await self._with_result(
            principal,
            operation_id,
            lambda who, what, path: self._generating.apply(who, what, path, chosen),
        )

    async def undo(self, principal: Principal, operation_id: str) -> dict[str, Any]:
        """Take an applied result back; see :meth:`~.generating.Generating.undo`."""
        return await self._with_result(principal, operation_id, self._generating.undo)

    async def _with_result(
        self, principal: Principal, operation_id: str, call: _ResultCall
    ) -> dict[str, Any]:
        operation, standing = await self._own(principal, operation_id)
        standing.require(Capability.GENERATE)
        if operation.kind is not Kind.GENERATOR or operation.state is not State.DONE:
            raise NotFound("This operation has no result to be written or taken back.")
        path = None
        if operation.document_id is not None:
            path = await self._documents.path_of(operation.document_id)
        if path is None:
            raise StaleDocument("The document is gone.")
        await self._sessions.require_document(
            principal, operation.session_id, path, Capability.GENERATE
        )
        return await call(principal, operation, path)

    async def _own(self, principal: Principal, operation_id: str) -> tuple[Operation, Standing]:
        """Return an operation that is one's own, or that one may cancel as an owner."""
        operation = await self._database.read(lambda tx: store.find(tx, operation_id))
        if operation is None:
            raise NotFound("There is no such operation, or it is not for you.")
        _, standing = await self._sessions.standing_in(principal, operation.session_id)
        if operation.user_id != principal.user_id:
            standing.require(Capability.CANCEL_ANY)
        return operation, standing
