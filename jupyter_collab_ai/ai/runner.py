"""Running operations as tasks that can be cancelled by their id, from any server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from jupyter_collab_ai.ai import store
from jupyter_collab_ai.ai.budgets import Payer, paid_by
from jupyter_collab_ai.ai.debugger import Emit
from jupyter_collab_ai.ai.permits import NEEDED, RETRY, Claim, Permits
from jupyter_collab_ai.ai.ports import LiveDocument
from jupyter_collab_ai.ai.store import Kind, Operation, State
from jupyter_collab_ai.errors import CollabError, ModelTimeout, OperationCancelled, RateLimited
from jupyter_collab_ai.ids import OperationId, UserId, new_id
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.sessions.store import Session
from jupyter_collab_ai.storage.audit import note
from jupyter_collab_ai.storage.database import Database, Tx

log = logging.getLogger(__name__)

#: Operations of one user at the same time, and of all on one server.
MOST_OF_ONE = 4
MOST_OF_ALL = 32
#: Seconds between two words of the operations that live.
BEAT = 5.0
#: Seconds in which a cancelled operation has to let go.
LET_GO = 5.0


def cancelled() -> OperationCancelled:
    """Return the error that says that nothing was written."""
    return OperationCancelled("The operation was cancelled; nothing was written.")


@dataclass
class _Audit:
    """What the audit is told once an operation has come to a good end."""

    kind: Kind | None = None
    payer: Payer | None = None
    #: Whether a transaction has been given the note; it may not have been committed.
    given: bool = False


@dataclass(frozen=True)
class Run:
    """One operation: whose it is, and on what."""

    principal: Principal
    session: Session
    path: str
    document: LiveDocument
    id: OperationId = field(default_factory=lambda: OperationId(new_id()))
    begun: float = field(default_factory=time.monotonic)
    _audit: _Audit = field(default_factory=_Audit)

    def claim(self, kind: Kind) -> Claim:
        """Return what it rests on."""
        return Claim(self.principal, self.session.id, self.document.document_id, NEEDED[kind])

    def note_end(self, tx: Tx) -> None:
        """Note the good end in the audit, in the transaction that brings it about."""
        if self._audit.kind is not None and self._audit.payer is not None:
            self._audit.given = True
            _note_end(tx, self, self._audit.kind, State.DONE.value, self._audit.payer)

    @property
    def duration_ms(self) -> int:
        """How long it has taken so far."""
        return round((time.monotonic() - self.begun) * 1000)


@dataclass
class _Loss:
    """Why an operation may not go on any more."""

    error: CollabError | None = None


@dataclass(frozen=True)
class _Running:
    task: asyncio.Task[dict[str, Any]]
    user_id: UserId


class Runner:
    """Knows what runs on this server."""

    def __init__(self, database: Database, permits: Permits) -> None:
        self._database = database
        self._permits = permits
        self._running: dict[OperationId, _Running] = {}
        #: The users of operations that are about to be noted, and count already.
        self._beginning: list[UserId] = []
        self._background: set[asyncio.Task[None]] = set()
        self._stop = database.changes.subscribe(store.TOPIC, self._cancelled_somewhere)

    def start(self) -> None:
        """Begin to say which operations live, and to look for those that have died."""
        self.later(self._live_on())

    async def close(self) -> None:
        """End whatever runs; nothing more is written."""
        self._stop()
        tasks = [*(running.task for running in self._running.values()), *self._background]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def run(
        self,
        run: Run,
        kind: Kind,
        details: Mapping[str, Any],
        emit: Emit,
        work: Coroutine[Any, Any, dict[str, Any]],
    ) -> dict[str, Any]:
        """Do the work of an operation, which notes its own good end, and return what it does.

        Args:
            run: The operation.
            kind: What it does.
            details: What was asked for, to be remembered.
            emit: Told that it has begun.
            work: Does it.

        Raises:
            RateLimited: Too many run at once.
            OperationCancelled: Somebody cancelled it.
            TokenExpired, TokenRevoked, NotFound, RoleRequired: Whoever began it may not go on.
        """
        user_id = run.principal.user_id
        try:
            self._require_room(user_id)
            self._beginning.append(user_id)
            try:
                await self._database.write(lambda tx: _begin(tx, run, kind, details))
            finally:
                self._beginning.remove(user_id)
        except BaseException:
            work.close()
            raise
        emit("operation", {"id": run.id, "kind": kind.value, "state": State.RUNNING.value})
        loss = _Loss()
        task = asyncio.create_task(self._to_end(run, kind, work, loss), name=f"collab-ai {run.id}")
        self._running[run.id] = _Running(task, user_id)
        watching = asyncio.create_task(self._watch(run.id, run.claim(kind), task, loss))
        try:
            # Not awaited itself: whoever waits for it is told of its end, and not cancelled.
            await asyncio.wait({task})
        finally:
            watching.cancel()
            del self._running[run.id]
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=LET_GO)
        if task.cancelled():
            raise loss.error or cancelled()
        return task.result()

    async def _watch(
        self, operation_id: OperationId, claim: Claim, task: asyncio.Task[Any], loss: _Loss
    ) -> None:
        """End an operation as soon as whoever began it may not go on.

        What has been recorded by then is whole, and stays.
        """

        def end(tx: Tx) -> tuple[CollabError | None, bool]:
            try:
                self._permits.require(tx, claim)
            except CollabError as error:
                return error, store.give_up(tx, operation_id, error.reason)
            return None, False

        while True:
            await self._permits.until_lost(claim)
            try:
                error, ended = await self._database.write(end)
            except CollabError:
                await asyncio.sleep(RETRY)
                continue
            if error is None:
                continue  # it was given back at this moment
            if ended:
                loss.error = error
                task.cancel()
            return

    async def cancel(self, principal: Principal, operation: Operation, *, action: str) -> bool:
        """End an operation, here or on another server; False where it had ended already.

        Args:
            principal: Who ends it.
            operation: The operation.
            action: What the session's activity calls it.
        """

        def write(tx: Tx) -> bool:
            ended = store.cancel(tx, operation.id)
            if ended:
                note(
                    tx,
                    principal,
                    action,
                    session_id=operation.session_id,
                    target=operation.path[:256],
                    detail={"operation": operation.id},
                )
            return ended

        ended = await self._database.write(write)
        running = self._running.get(operation.id)
        if ended and running is not None:
            running.task.cancel()
            await asyncio.wait({running.task}, timeout=LET_GO)
        return ended

    async def _live_on(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            try:
                if ids := list(self._running):
                    await self._database.write(lambda tx, ids=ids: store.keep_alive(tx, ids))  # type: ignore[misc]
                if await self._database.read(store.any_dead):
                    await self._database.write(store.bury)
            except CollabError:
                log.debug("It could not be noted which AI operations live; it is tried again.")

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for, until the server stops."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _require_room(self, user_id: UserId) -> None:
        users = [*self._beginning, *(running.user_id for running in self._running.values())]
        if users.count(user_id) >= MOST_OF_ONE or len(users) >= MOST_OF_ALL:
            raise RateLimited(
                "Too many AI operations run at once; wait until one of them has ended.",
                retry_after=5,
            )

    async def _to_end(
        self, run: Run, kind: Kind, work: Coroutine[Any, Any, dict[str, Any]], loss: _Loss
    ) -> dict[str, Any]:
        """Let the work be paid for by whom it is for, and note in the audit how it ended."""
        outcome = State.DONE.value
        with paid_by(Payer(run.principal.user_id, run.session.id)) as payer:
            run._audit.kind, run._audit.payer = kind, payer
            try:
                return await self._watched(run, work, loss)
            except (asyncio.CancelledError, OperationCancelled):
                outcome = State.CANCELLED.value
                raise
            except CollabError as error:
                outcome = error.reason
                raise
            except BaseException:
                outcome = "internal_error"
                raise
            finally:
                if outcome != State.DONE.value or not run._audit.given:
                    await self._write(lambda tx: _note_end_unless(tx, run, kind, outcome, payer))

    async def _watched(
        self, run: Run, work: Coroutine[Any, Any, dict[str, Any]], loss: _Loss
    ) -> dict[str, Any]:
        try:
            async with asyncio.timeout(store.MOST_SECONDS):
                return await work
        except (asyncio.CancelledError, OperationCancelled):
            if loss.error is not None:
                raise loss.error from None  # it is noted already
            await self._ended(run.id, State.CANCELLED, OperationCancelled.reason)
            raise
        except TimeoutError:
            await self._ended(run.id, State.FAILED, ModelTimeout.reason)
            raise ModelTimeout("The operation took too long and was given up.") from None
        except CollabError as error:
            await self._ended(run.id, State.FAILED, error.reason)
            raise
        except Exception:
            await self._ended(run.id, State.FAILED, "internal_error")
            raise

    async def _ended(self, operation_id: OperationId, state: State, reason: str) -> None:
        def write(tx: Tx) -> None:
            store.finish(tx, operation_id, state, reason=reason)

        await self._write(write)

    async def _write(self, write: Callable[[Tx], None]) -> None:
        # Where the database is gone, the row says later that its operation has died.
        with contextlib.suppress(CollabError, RuntimeError):
            await asyncio.shield(asyncio.ensure_future(self._database.write(write)))

    def _cancelled_somewhere(self, key: str | None) -> None:
        if key is None:
            if self._running:
                self.later(self._look_after_all())
            return
        running = self._running.get(OperationId(key))
        if running is not None:
            running.task.cancel()

    async def _look_after_all(self) -> None:
        """Cancel here what was cancelled elsewhere while nothing could be heard."""
        ids = list(self._running)
        with contextlib.suppress(CollabError):
            states = await self._database.read(lambda tx: store.states(tx, ids))
            for operation_id, running in tuple(self._running.items()):
                if states.get(operation_id) is State.CANCELLED:
                    running.task.cancel()


def _begin(tx: Tx, run: Run, kind: Kind, details: Mapping[str, Any]) -> None:
    store.begin(
        tx,
        run.id,
        kind,
        run.principal,
        session_id=run.session.id,
        document_id=run.document.document_id,
        path=run.path,
        request=details,
    )
    note(
        tx,
        run.principal,
        "operation_started",
        session_id=run.session.id,
        target=run.path[:256],
        detail={"operation": run.id, "kind": kind.value},
    )


def _note_end_unless(tx: Tx, run: Run, kind: Kind, outcome: str, payer: Payer) -> None:
    """Note how an operation ended, unless its good end was noted before it was disturbed."""
    if run._audit.given and store.states(tx, [run.id]).get(run.id) is State.DONE:
        return
    _note_end(tx, run, kind, outcome, payer)


def _note_end(tx: Tx, run: Run, kind: Kind, outcome: str, payer: Payer) -> None:
    note(
        tx,
        run.principal,
        "operation_ended",
        session_id=run.session.id,
        target=run.path[:256],
        detail={
            "operation": run.id,
            "kind": kind.value,
            "outcome": outcome,
            "model": payer.model,
            **payer.usage.as_json(),
        },
    )
