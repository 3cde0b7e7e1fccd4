"""Leases: who may write where, for how long, with a fencing token that only rises.

All is in the database and by its clock, so it holds for several servers. A lease ends with
its operation, when somebody breaks it, or :data:`TTL` seconds after its server fell silent.
Whoever writes under a lease checks it in the transaction that records the write
(:meth:`Held.spend`), so that a server which was stopped and wakes up late can do no harm
(see "How to do distributed locking", M. Kleppmann, 2016).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from jupyter_collab_ai.errors import DatabaseUnavailable, NotFound
from jupyter_collab_ai.ids import DocumentId, LockId, OperationId, SessionId, UserId, new_id
from jupyter_collab_ai.locks.scopes import Scope, ScopeKind, overlap
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.tables import documents, locks

log = logging.getLogger(__name__)

#: The change topic of leases; its keys are ``document:lock``.
TOPIC = "lock"
#: Seconds after which a lease that nobody renews has ended. The contract allows 30.
TTL = 20.0
#: Times that a lease is tried for anew because others came and went meanwhile.
MOST_TRIES = 20


class LeaseLost(Exception):
    """The lease was broken, or its time ran out; nothing may be written under it any more."""


class LeaseTaken(Exception):
    """Somebody else holds a lease that is in the way."""

    def __init__(self, lease: Lease) -> None:
        super().__init__("Somebody else holds a lease that is in the way.")
        self.lease = lease


class _Changed(Exception):
    """There is a lease that was not looked at."""


@dataclass(frozen=True)
class Wanted:
    """A lease that is asked for."""

    document_id: DocumentId
    session_id: SessionId | None
    #: What is covered now; the anchors are what it moves with.
    scope: Scope
    operation_id: OperationId
    #: What the operation does, such as ``code-generator``.
    kind: str
    user_id: UserId
    start_anchor: bytes | None = None
    end_anchor: bytes | None = None


@dataclass(frozen=True)
class Lease:
    """A lease, as its row was when it was read."""

    id: LockId
    document_id: DocumentId
    session_id: SessionId | None
    scope: ScopeKind
    cell_id: str | None
    start_anchor: bytes | None
    end_anchor: bytes | None
    operation_id: OperationId
    kind: str
    user_id: UserId
    server_id: str
    token: int
    since: datetime
    expires_at: datetime


#: Says where leases are at this moment, by their anchors; those that are missing are nowhere.
Locate = Callable[[Sequence[Lease]], Awaitable[tuple[Scope, Mapping[LockId, Scope]]]]


class Held:
    """A lease that this server holds and renews."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        #: Set once the lease was broken or could not be renewed in time.
        self.lost = asyncio.Event()
        #: Whether something was, or is just being, written under it.
        self.spent = False

    def spend(self, tx: Tx) -> None:
        """End the lease in the transaction that records what was written under it.

        Raises:
            LeaseLost: It is no longer held, so nothing may be recorded.
        """
        gone = tx.execute(
            delete(locks)
            .where(
                locks.c.id == self.lease.id,
                locks.c.token == self.lease.token,
                locks.c.expires_at > tx.now(),
            )
            .returning(locks.c.id)
        ).one_or_none()
        if gone is None:
            raise LeaseLost
        # Its end, which is heard of next, is no loss.
        self.spent = True
        _notify(tx, self.lease)


class Leases:
    """Gives out leases."""

    def __init__(self, database: Database, *, ttl: float = TTL) -> None:
        """Keep leases in ``database``; each lasts ``ttl`` seconds unless it is renewed."""
        self._database = database
        self._ttl = ttl
        self._held: dict[LockId, Held] = {}
        database.changes.subscribe(TOPIC, self._changed)
        self._checks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def hold(self, wanted: Wanted, locate: Locate) -> AsyncIterator[Held]:
        """Hold a lease for the length of a block, renewed in the background.

        Args:
            wanted: What is asked for.
            locate: Given the leases that stand, says what ``wanted`` and they cover now.

        Raises:
            LeaseTaken: Somebody else's is in the way.
            NotFound: The document is gone.
        """
        lease = await self.acquire(wanted, locate)
        held = Held(lease)
        self._held[lease.id] = held
        renewing = asyncio.create_task(self._renew_on(held), name=f"collab-ai lease {lease.id}")
        try:
            yield held
        finally:
            renewing.cancel()
            del self._held[lease.id]
            # Also where the operation is cancelled at this very moment.
            await asyncio.shield(asyncio.ensure_future(self._release_quietly(lease)))

    async def acquire(self, wanted: Wanted, locate: Locate) -> Lease:
        """Take a lease; whoever calls this has to renew and release it.

        Raises:
            LeaseTaken: Somebody else's is in the way.
            NotFound: The document is gone.
        """
        for _ in range(MOST_TRIES):
            standing = await self.live(wanted.document_id)
            scope, places = await locate(standing)
            for lease in standing:
                place = places.get(lease.id)
                if place is not None and overlap(scope, place):
                    raise LeaseTaken(lease)
            known = {lease.id for lease in standing}
            with contextlib.suppress(_Changed):
                return await self._database.write(
                    lambda tx, known=known: self._insert(tx, wanted, known)  # type: ignore[misc]
                )
        raise DatabaseUnavailable("Too many operations begin at once; try again in a moment.")

    def _insert(self, tx: Tx, wanted: Wanted, known: set[LockId]) -> Lease:
        # This also takes the row's lock: acquisitions of one document follow each other.
        token = tx.execute(
            update(documents)
            .where(documents.c.id == wanted.document_id)
            .values(fence=documents.c.fence + 1)
            .returning(documents.c.fence)
        ).scalar_one_or_none()
        if token is None:
            raise NotFound("The document is gone; it may have been deleted.")
        now = tx.now()
        _sweep(tx, now, wanted.document_id)
        standing = _live(tx, now, wanted.document_id)
        if any(lease.id not in known for lease in standing):
            raise _Changed
        lease_id = LockId(new_id())
        tx.execute(
            insert(locks).values(
                id=lease_id,
                document_id=wanted.document_id,
                session_id=wanted.session_id,
                scope=wanted.scope.kind.value,
                cell_id=wanted.scope.cell_id,
                start_anchor=wanted.start_anchor,
                end_anchor=wanted.end_anchor,
                operation_id=wanted.operation_id,
                kind=wanted.kind,
                user_id=wanted.user_id,
                server_id=self._database.server_id,
                token=token,
                since=datetime.fromtimestamp(now, UTC),
                expires_at=now + self._ttl,
            )
        )
        row = tx.execute(select(locks).where(locks.c.id == lease_id)).one()
        lease = _lease(row)
        _notify(tx, lease)
        return lease

    async def renew(self, lease: Lease) -> bool:
        """Let a lease last longer; False where it is no longer held."""

        def write(tx: Tx) -> bool:
            done = tx.execute(
                update(locks)
                .where(locks.c.id == lease.id, locks.c.token == lease.token)
                .values(expires_at=tx.now() + self._ttl)
            )
            return bool(done.rowcount == 1)

        return await self._database.write(write)

    async def release(self, lease: Lease) -> bool:
        """End a lease; False where it had ended already."""
        return await self._database.write(lambda tx: _end(tx, lease))

    async def break_(self, lock_id: str, session_id: SessionId) -> Lease:
        """End somebody's lease: from now on nothing can be written under it.

        Raises:
            NotFound: No such lease stands in the session.
        """

        def write(tx: Tx) -> Lease:
            row = tx.execute(
                select(locks).where(
                    locks.c.id == lock_id,
                    locks.c.session_id == session_id,
                    locks.c.expires_at > tx.now(),
                )
            ).one_or_none()
            if row is None or not _end(tx, _lease(row)):
                raise NotFound("There is no such lock; its operation may have ended already.")
            return _lease(row)

        return await self._database.write(write)

    async def find(self, lock_id: str) -> Lease | None:
        """Return the lease of this id, if it stands."""

        def read(tx: Tx) -> Lease | None:
            row = tx.execute(
                select(locks).where(locks.c.id == lock_id, locks.c.expires_at > tx.now())
            ).one_or_none()
            return None if row is None else _lease(row)

        return await self._database.read(read)

    async def live(self, document_id: DocumentId) -> list[Lease]:
        """Return the leases that stand on a document, the oldest first."""
        return await self._database.read(lambda tx: _live(tx, tx.now(), document_id))

    async def of_session(self, session_id: SessionId) -> list[Lease]:
        """Return the leases that stand in a session, the oldest first."""

        def read(tx: Tx) -> list[Lease]:
            rows = tx.execute(
                select(locks)
                .where(locks.c.session_id == session_id, locks.c.expires_at > tx.now())
                .order_by(locks.c.since, locks.c.id)
            )
            return [_lease(row) for row in rows]

        return await self._database.read(read)

    async def at(self, path: str) -> list[Lease]:
        """Return the leases that stand on the documents at and below a canonical path."""

        def read(tx: Tx) -> list[Lease]:
            rows = tx.execute(
                select(locks, documents.c.path)
                .join(documents, documents.c.id == locks.c.document_id)
                .where(locks.c.expires_at > tx.now())
                .order_by(locks.c.since, locks.c.id)
            )
            # Few leases stand at any time, and LIKE means other things on other databases.
            return [
                _lease(row)
                for row in rows
                if path in ("", row.path) or row.path.startswith(f"{path}/")
            ]

        return await self._database.read(read)

    async def anything_expired(self) -> bool:
        """Tell whether there are leases of servers that have died."""

        def read(tx: Tx) -> bool:
            expired = select(locks.c.id).where(locks.c.expires_at <= tx.now()).limit(1)
            return tx.execute(expired).first() is not None

        return await self._database.read(read)

    async def sweep(self) -> int:
        """Remove the leases of servers that have died; returns how many there were."""
        return await self._database.write(lambda tx: _sweep(tx, tx.now()))

    # ------------------------------------------------------------ leases held here

    async def _renew_on(self, held: Held) -> None:
        clock = asyncio.get_running_loop()
        # Counted here from before the lease was taken or renewed: our clock never says that
        # it lasts longer than the database's does.
        ends = clock.time() + self._ttl * 0.8
        while True:
            await asyncio.sleep(self._ttl / 3)
            begun = clock.time()
            try:
                async with asyncio.timeout(max(ends - begun, 0)):
                    renewed = await self.renew(held.lease)
            except (DatabaseUnavailable, TimeoutError):
                if clock.time() < ends:
                    continue
                renewed = False
            if not renewed:
                if not held.spent:
                    held.lost.set()
                return
            ends = begun + self._ttl * 0.8

    async def _release_quietly(self, lease: Lease) -> None:
        try:
            await self.release(lease)
        except DatabaseUnavailable:
            log.warning("A lease could not be released; it ends by itself in %g s.", self._ttl)

    def _changed(self, key: str | None) -> None:
        for lock_id in tuple(self._held):
            if key is None or key.endswith(f":{lock_id}"):
                task = asyncio.ensure_future(self._check(lock_id))
                self._checks.add(task)
                task.add_done_callback(self._checks.discard)

    async def _check(self, lock_id: LockId) -> None:
        """Find out whether a lease that is held here was broken."""
        with contextlib.suppress(DatabaseUnavailable):
            stands = await self.find(lock_id)
            held = self._held.get(lock_id)
            if stands is None and held is not None and not held.spent:
                held.lost.set()


def anything_stands(tx: Tx, document_id: DocumentId) -> bool:
    """Return whether any lease stands on a document; none comes while ``tx`` holds its row."""
    return bool(_live(tx, tx.now(), document_id))


def _live(tx: Tx, now: float, document_id: DocumentId) -> list[Lease]:
    rows = tx.execute(
        select(locks)
        .where(locks.c.document_id == document_id, locks.c.expires_at > now)
        .order_by(locks.c.since, locks.c.id)
    )
    return [_lease(row) for row in rows]


def _sweep(tx: Tx, now: float, document_id: DocumentId | None = None) -> int:
    expired = delete(locks).where(locks.c.expires_at <= now)
    if document_id is not None:
        expired = expired.where(locks.c.document_id == document_id)
    gone = tx.execute(expired.returning(locks.c.id, locks.c.document_id)).all()
    for row in gone:
        tx.notify(TOPIC, f"{row.document_id}:{row.id}")
    return len(gone)


def _end(tx: Tx, lease: Lease) -> bool:
    gone = tx.execute(
        delete(locks)
        .where(locks.c.id == lease.id, locks.c.token == lease.token)
        .returning(locks.c.id)
    ).one_or_none()
    if gone is None:
        return False
    _notify(tx, lease)
    return True


def _notify(tx: Tx, lease: Lease) -> None:
    tx.notify(TOPIC, f"{lease.document_id}:{lease.id}")


def _lease(row: Row[Any]) -> Lease:
    return Lease(
        id=LockId(row.id),
        document_id=DocumentId(row.document_id),
        session_id=None if row.session_id is None else SessionId(row.session_id),
        scope=ScopeKind(row.scope),
        cell_id=row.cell_id,
        start_anchor=None if row.start_anchor is None else bytes(row.start_anchor),
        end_anchor=None if row.end_anchor is None else bytes(row.end_anchor),
        operation_id=OperationId(row.operation_id),
        kind=row.kind,
        user_id=UserId(row.user_id),
        server_id=row.server_id,
        token=row.token,
        since=row.since,
        expires_at=datetime.fromtimestamp(row.expires_at, UTC),
    )
