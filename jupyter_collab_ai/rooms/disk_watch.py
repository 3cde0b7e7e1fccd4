"""One look at the files of all open documents, in place of one for each of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from jupyter_collab_ai.rooms.files import Files, Stamp

log = logging.getLogger(__name__)

#: Seconds between two looks.
POLL = 1.0
#: Files that are looked at in one go: on a slow disk the rest has its turn after them.
AT_ONCE = 100
#: Seconds after which those have to look for themselves whose files are looked at in one go.
PATIENCE = 2.0


class Watched(Protocol):
    """A document whose file is looked at."""

    @property
    def path(self) -> str:
        """Where its file is now."""
        ...

    def seen(self, stamp: Stamp | None) -> None:
        """Hear what the file is like; None where the document has to look for itself."""
        ...


class DiskWatch:
    """Looks at files again and again, as long as there are any to look at."""

    def __init__(self, files: Files, *, every: float = POLL, patience: float = PATIENCE) -> None:
        """Prepare to look.

        Args:
            files: Where the files are.
            every: Seconds between two looks.
            patience: Seconds that one may take.
        """
        self._files = files
        self._every = every
        self._patience = patience
        #: A look that took too long. As long as it does no other one is begun: on a network drive
        #: that hangs each of them would hold a thread.
        self._late: asyncio.Task[list[Stamp | None]] | None = None
        self._watched: set[Watched] = set()
        self._task: asyncio.Task[None] | None = None

    def follow(self, watched: Watched) -> Callable[[], None]:
        """Look at one more file; return how to end that."""
        self._watched.add(watched)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(
                self._run(), name="collab-ai looks at files"
            )
        return lambda: self._leave(watched)

    def _leave(self, watched: Watched) -> None:
        self._watched.discard(watched)
        if not self._watched and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            watched = tuple(self._watched)
            for start in range(0, len(watched), AT_ONCE):
                await self._look(watched[start : start + AT_ONCE])

    async def _look(self, watched: Sequence[Watched]) -> None:
        for one, stamp in zip(watched, await self._stamps(watched), strict=True):
            if one in self._watched:
                one.seen(stamp)

    async def _stamps(self, watched: Sequence[Watched]) -> Sequence[Stamp | None]:
        unknown = [None] * len(watched)
        if self._late is not None and not self._late.done():
            return unknown
        looking = asyncio.create_task(self._files.stamps([one.path for one in watched]))
        self._late = looking
        looking.add_done_callback(_retrieve)
        done, _ = await asyncio.wait({looking}, timeout=self._patience)
        if not done:
            log.warning("A disk is slow to tell of the files of open documents.")
            return unknown
        try:
            return looking.result()
        except Exception:
            log.exception("The files of open documents could not be looked at together.")
            return unknown


def _retrieve(looking: asyncio.Task[list[Stamp | None]]) -> None:
    """Let what went wrong with a look that nobody waits for any more be no trouble."""
    if not looking.cancelled():
        looking.exception()
