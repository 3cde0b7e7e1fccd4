"""Which AI locks stand, in the words of the contract; and telling the pages that show them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import select

from jupyter_collab_ai.ai.placing import location_of, scope_of_lease
from jupyter_collab_ai.ai.ports import Events, LiveDocument, LiveDocuments, View
from jupyter_collab_ai.clock import rfc3339
from jupyter_collab_ai.errors import CollabError, DatabaseUnavailable, Locked
from jupyter_collab_ai.ids import SessionId
from jupyter_collab_ai.locks.leases import TOPIC, Lease, Leases
from jupyter_collab_ai.locks.scopes import ScopeKind
from jupyter_collab_ai.sessions.store import user_json
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.tables import users

log = logging.getLogger(__name__)

#: Seconds between two looks for locks of servers that have died.
SWEEP = 5.0
#: Seconds that an operation waits at the most until people have been told of its lock.
PATIENCE = 2.0


class LockBoard:
    """Shows locks; also what ``sessions`` and ``access`` ask about them."""

    def __init__(
        self,
        database: Database,
        leases: Leases,
        documents: Callable[[], LiveDocuments],
        events: Events,
    ) -> None:
        """Show the locks of ``leases``, at the places where they are in live documents.

        Args:
            database: Where the accounts of the holders are.
            leases: What stands.
            documents: Returns the live documents, which may be set up later than this.
            events: Told of each lock that comes or goes.
        """
        self._database = database
        self._leases = leases
        self._documents = documents
        self._events = events
        #: The locks that pages here were told of, with their sessions.
        self._told: dict[str, SessionId] = {}
        self._pending: dict[str, asyncio.Task[None]] = {}
        self._stop = database.changes.subscribe(TOPIC, self._changed)
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to remove the locks of servers that have died."""
        self._sweeping = asyncio.create_task(self._sweep_on(), name="collab-ai lock sweep")

    async def close(self) -> None:
        """Stop telling and removing."""
        self._stop()
        tasks = [*self._pending.values(), *([self._sweeping] if self._sweeping else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _sweep_on(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            try:
                if await self._leases.anything_expired():
                    await self._leases.sweep()
            except DatabaseUnavailable:
                log.debug("Locks of the dead could not be looked for; it is tried again.")

    # ------------------------------------------------------------ what stands

    async def of_session(
        self, session_id: SessionId, path: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the locks in a session, or in its document at ``path``, the oldest first."""
        standing = await self._leases.of_session(session_id)
        if path is not None:
            there = {lease.id for lease in await self._leases.at(path)}
            standing = [lease for lease in standing if lease.id in there]
        return await self._all(standing)

    async def current(self, session_id: SessionId) -> dict[str, Any] | None:
        """Return the newest lock in a session, or None."""
        standing = await self._leases.of_session(session_id)
        return next(iter(await self._all(standing[-1:])), None)

    async def blocking(self, path: str) -> dict[str, Any] | None:
        """Return a lock that forbids to replace, move or delete what is at ``path``."""
        standing = await self._leases.at(path)
        return next(iter(await self._all(standing[:1])), None)

    async def locked(self, lease: Lease) -> Locked:
        """Return the error that says that ``lease`` is in the way."""
        lock = await self.describe(lease)
        who = lock["holder"]["display_name"]
        return Locked(
            f"An AI operation of {who} is writing here; wait until it has ended, or ask an "
            "owner to break its lock.",
            extra={"lock": lock},
        )

    async def describe(self, lease: Lease, document: LiveDocument | None = None) -> dict[str, Any]:
        """Return a lock as the contract has it.

        Args:
            lease: What stands.
            document: Its document, where the caller holds it already.
        """
        (lock,) = await self._all([lease], document)
        return lock

    async def _all(
        self, standing: Sequence[Lease], document: LiveDocument | None = None
    ) -> list[dict[str, Any]]:
        if not standing:
            return []
        ids = {lease.user_id for lease in standing}

        def read(tx: Tx) -> dict[str, dict[str, Any]]:
            rows = tx.execute(select(users).where(users.c.id.in_(ids)))
            return {row.id: user_json(row) for row in rows}

        holders = await self._database.read(read)
        locks = []
        for lease in standing:
            lock: dict[str, Any] = {
                "id": lease.id,
                "scope": lease.scope.value,
                "holder": holders.get(lease.user_id, {}),
                "operation": lease.operation_id,
                "since": rfc3339(lease.since),
                "expires_at": rfc3339(lease.expires_at),
            }
            location = await self._location(lease, document)
            if location is not None:
                lock["location"] = location
            locks.append(lock)
        return locks

    async def _location(self, lease: Lease, document: LiveDocument | None) -> dict[str, Any] | None:
        if lease.scope is ScopeKind.DOCUMENT:
            return None

        def look(view: View) -> dict[str, Any] | None:
            scope = scope_of_lease(view, lease)
            location = None if scope is None else location_of(view, scope)
            return None if location is None else location.as_json()

        documents = self._documents()
        try:
            if document is not None:
                return await document.look(look)
            path = await documents.path_of(lease.document_id)
            if path is None:
                return None
            async with documents.hold(path) as held:
                return await held.look(look)
        except CollabError:
            # A document that can't be opened now has a lock all the same.
            return None

    # ------------------------------------------------------------ telling of it

    def _changed(self, key: str | None) -> None:
        if key is None:
            for lock_id in tuple(self._told):
                self._look_later(lock_id)
            return
        self._look_later(key.partition(":")[2])

    async def shown(self, lock_id: str) -> None:
        """Wait until those who look on here have been told of a lock, or can't be.

        What an operation tells afterwards, such as the text as it grows, means nothing before.
        """
        pending = self._pending.get(lock_id)
        if pending is not None:
            await asyncio.wait({pending}, timeout=PATIENCE)

    def _look_later(self, lock_id: str) -> None:
        before = self._pending.get(lock_id)

        async def tell() -> None:
            if before is not None:
                await asyncio.wait({before})
            try:
                await self._tell(lock_id)
            except DatabaseUnavailable:
                log.info("A lock could not be shown: the database can't be reached.")

        task = asyncio.ensure_future(tell())
        self._pending[lock_id] = task
        task.add_done_callback(lambda done: self._forget(lock_id, done))

    def _forget(self, lock_id: str, task: asyncio.Task[None]) -> None:
        if self._pending.get(lock_id) is task:
            del self._pending[lock_id]

    async def _tell(self, lock_id: str) -> None:
        lease = await self._leases.find(lock_id)
        if lease is None:
            session_id = self._told.pop(lock_id, None)
            if session_id is not None:
                self._events.publish(session_id, "unlock", {"id": lock_id})
        elif lease.session_id is not None and lock_id not in self._told:
            lock = await self.describe(lease)
            self._told[lock_id] = lease.session_id
            path = await self._documents().path_of(lease.document_id)
            self._events.publish(lease.session_id, "lock", {**lock, "path": path})
