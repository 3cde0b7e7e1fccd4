"""Recording for one room, however long it takes: a database that fails is asked again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from jupyter_collab_ai.errors import DatabaseUnavailable
from jupyter_collab_ai.ids import DocumentId, UserId
from jupyter_collab_ai.rooms.log import Entry, Fence, Known, Recorded, UpdateLog
from jupyter_collab_ai.web import metrics

T = TypeVar("T")

#: Seconds between two attempts, at first and at the most.
FIRST_RETRY = 0.05
LAST_RETRY = 1.0
#: Seconds without an answer of the database after which people are told.
SLOW = 1.5

_WAITING = "The database is slow to answer; what you type is kept until it does."


class Recorder:
    """The log of one history of one document."""

    def __init__(self, update_log: UpdateLog, document_id: DocumentId, epoch: str) -> None:
        self._log = update_log
        self._document_id = document_id
        self._epoch = epoch
        self._in_trouble = False
        #: Since when the database has been asked without an answer, by the event loop's clock.
        self._asked_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        #: Told in a sentence why nothing can be recorded, and with None that it can again.
        self.on_trouble: Callable[[str | None], None] | None = None

    async def append(
        self,
        expected: int,
        entries: Sequence[Entry],
        learned: Known | None = None,
        fence: Fence | None = None,
    ) -> None:
        """Record; see :meth:`UpdateLog.append`.

        Raises:
            LogMoved: Others have recorded something; it may even be this, where the database
                seemed to have failed.
            LogGone: There is no such history any more.
        """
        started = time.monotonic()
        await self.insist(
            lambda: self._log.append(
                self._document_id, self._epoch, expected, entries, learned=learned, fence=fence
            )
        )
        metrics.recorded([entry.origin.value for entry in entries], time.monotonic() - started)

    async def later(self, seq: int) -> tuple[list[Recorded], Known]:
        """Return the updates after ``seq``, and what else is known by now.

        Raises:
            LogGone: There is no such history any more.
        """
        updates = await self.insist(lambda: self._log.after(self._document_id, self._epoch, seq))
        return updates, await self.insist(lambda: self._log.known(self._document_id))

    async def elsewhere(self, clients: Collection[int]) -> dict[int, UserId]:
        """Return whose ids are in other documents; see :meth:`UpdateLog.elsewhere`."""
        return await self.insist(lambda: self._log.elsewhere(self._document_id, clients))

    async def insist(self, act: Callable[[], Awaitable[T]]) -> T:
        """Ask the database until it answers, and let people know while it does not."""
        delay = FIRST_RETRY
        while True:
            self._watch()
            try:
                result = await act()
            except DatabaseUnavailable as error:
                self._tell(error.message)
                await asyncio.sleep(delay)
                delay = min(delay * 2, LAST_RETRY)
            else:
                self._tell(None)
                return result
            finally:
                self._asked_at = None

    def close(self) -> None:
        """Ask nothing more, and let go of the room, which the timer holds."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self) -> None:
        """Tell when this question has been open for long.

        One timer serves the questions of a while: to set one for each, and to cancel it, costs
        as much as to ask.
        """
        loop = asyncio.get_running_loop()
        self._asked_at = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(SLOW, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._asked_at is None:
            return
        loop = asyncio.get_running_loop()
        due = self._asked_at + SLOW
        if due <= loop.time():
            self._tell(_WAITING)
        else:
            self._timer = loop.call_at(due, self._look)

    def _tell(self, why: str | None) -> None:
        if (why is not None) == self._in_trouble:
            return
        self._in_trouble = why is not None
        if self.on_trouble is not None:
            self.on_trouble(why)
