"""Forgetting what operations have read and written, once it is of no use any more."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from datetime import timedelta

from jupyter_collab_ai.ai import store
from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import DatabaseUnavailable
from jupyter_collab_ai.storage.database import Database

log = logging.getLogger(__name__)

#: Seconds between two looks.
EVERY = 900.0
#: Operations of one transaction, and transactions of one look.
BATCH = 200
BATCHES = 50


@dataclass(frozen=True)
class Keeping:
    """How long the content of operations is kept."""

    #: Hours for which results are kept, to be applied and taken back.
    hours: float = 24.0
    #: Whether questions are kept as well, and everything for ever.
    all: bool = False


DEFAULT_KEEPING = Keeping()


class ContentRetention:
    """Forgets results and findings by their age; several servers may do so at the same time."""

    def __init__(self, database: Database, keeping: Keeping, *, every: float = EVERY) -> None:
        """Forget what is older than ``keeping`` says, looking each ``every`` seconds."""
        self._database = database
        self._keeping = keeping
        self._every = every
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, on the running event loop."""
        if not self._keeping.all and self._task is None:
            self._task = asyncio.create_task(self._run(), name="collab-ai forgetting")

    async def close(self) -> None:
        """End it."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def forget(self) -> int:
        """Forget what is too old, and return of how many operations.

        Raises:
            DatabaseUnavailable: The database can't be reached.
        """
        before = utcnow() - timedelta(hours=self._keeping.hours)
        total = 0
        for _ in range(BATCHES):
            done = await self._database.write(
                lambda tx: store.forget_content(tx, before, limit=BATCH)
            )
            total += done
            if done < BATCH:
                break
        return total

    async def _run(self) -> None:
        while True:
            try:
                await self.forget()
            except DatabaseUnavailable:
                log.info("Old AI results could not be forgotten; it is tried again.")
            except Exception:
                log.exception("Old AI results were not forgotten.")
            await asyncio.sleep(self._every)
