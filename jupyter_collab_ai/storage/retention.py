"""Deleting what is kept by age, a little at a time, while the server runs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import timedelta

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import DatabaseUnavailable
from jupyter_collab_ai.storage import audit
from jupyter_collab_ai.storage.database import Database

log = logging.getLogger(__name__)

#: Seconds between two looks at the age of the audit log.
EVERY = 3600.0
#: Entries that one transaction deletes; others write in between.
BATCH = 1000
#: Transactions of one look. What is left is deleted at the next one.
BATCHES = 100


class AuditRetention:
    """Deletes entries of the audit log that are older than is wanted.

    Several servers may do so at the same time.
    """

    def __init__(self, database: Database, days: int, *, every: float = EVERY) -> None:
        """Keep entries for ``days``; for ever where that is 0.

        Args:
            database: Where the log is.
            days: For how many days an entry is kept.
            every: Seconds between two looks.
        """
        self._database = database
        self._age = timedelta(days=days)
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the running event loop."""
        if self._age and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """End it."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def prune(self) -> int:
        """Delete what is too old, and return how many entries that were.

        Raises:
            DatabaseUnavailable: The database can't be reached.
        """
        before = utcnow() - self._age
        total = 0
        for _ in range(BATCHES):
            deleted = await self._database.write(lambda tx: audit.prune(tx, before, limit=BATCH))
            total += deleted
            if deleted < BATCH:
                break
        return total

    async def _run(self) -> None:
        while True:
            try:
                deleted = await self.prune()
                if deleted:
                    log.info("%d entries of the audit log were old enough to go.", deleted)
            except DatabaseUnavailable:
                log.warning("The audit log was not pruned, as the database can't be reached.")
            except Exception:
                log.exception("The audit log was not pruned.")
            await asyncio.sleep(self._every)
