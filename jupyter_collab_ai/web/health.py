"""Whether the server is well, for load balancers and for people who wait for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from jupyter_server.auth.decorator import allow_unauthenticated

from jupyter_collab_ai.errors import DatabaseUnavailable
from jupyter_collab_ai.web.errors import body_of, headers_of, status_of
from jupyter_collab_ai.web.handlers import ApiHandler

T = TypeVar("T")

#: Seconds after which a database that does not answer counts as unavailable.
PATIENCE = 5.0
#: Seconds for which it counts as known whether the database takes changes.
WRITES_EVERY = 10.0

_SILENT = "The database does not answer at the moment; try again in a few seconds."


class Store(Protocol):
    """What is asked whether it answers: the database."""

    async def read(self, function: Callable[[Any], T]) -> T:
        """Run ``function`` in a transaction that changes nothing."""

    async def try_writing(self) -> None:
        """Write a little, which changes nothing for anybody.

        Raises:
            DatabaseUnavailable: It does not work.
        """


class Check:
    """Asks the database whether it answers and takes changes.

    It is read each time. Written is once in a while, however many ask: they are strangers.
    """

    def __init__(self, database: Store, every: float = WRITES_EVERY) -> None:
        """Prepare to ask.

        Args:
            database: What is asked.
            every: Seconds between two attempts to write.
        """
        self._database = database
        self._every = every
        self._writing: asyncio.Task[None] | None = None
        self._wrote_at = 0.0

    async def run(self) -> None:
        """Ask.

        Raises:
            DatabaseUnavailable: It does not answer, or takes no changes.
        """
        await self._database.read(lambda tx: tx.now())
        writing = self._writing
        now = time.monotonic()
        if writing is None or (writing.done() and now - self._wrote_at >= self._every):
            self._wrote_at = now
            writing = self._writing = asyncio.create_task(
                self._database.try_writing(), name="collab-ai health"
            )
            writing.add_done_callback(_retrieve)
        # Whoever is too impatient leaves it to those who ask later.
        await asyncio.shield(writing)


def _retrieve(writing: asyncio.Task[None]) -> None:
    """Let what went wrong be no trouble where nobody waits for it any more."""
    if not writing.cancelled():
        writing.exception()


class HealthHandler(ApiHandler):
    """GET ``/health``, for everybody; it tells nothing that is not for everybody."""

    def initialize(self, check: Check, patience: float = PATIENCE) -> None:
        """Keep what is asked, and the seconds that it may take to answer."""
        self.check = check
        self.patience = patience

    @allow_unauthenticated
    async def get(self) -> None:
        """Answer 200 if requests can be served now, else 503."""
        try:
            async with asyncio.timeout(self.patience):
                await self.check.run()
        except TimeoutError:
            self._unavailable(DatabaseUnavailable(_SILENT, retry_after=self.patience))
        except DatabaseUnavailable as error:
            self._unavailable(error)
        else:
            self.write_json({"status": "ok", "database": "ok"})

    @allow_unauthenticated
    async def head(self) -> None:
        """Answer the same without the body, as load balancers ask."""
        await self.get()

    def _unavailable(self, error: DatabaseUnavailable) -> None:
        for name, value in headers_of(error).items():
            self.set_header(name, value)
        state = {"status": "unavailable", "database": "unavailable"}
        self.write_json({**state, **body_of(error)}, status_of(error))


def handlers(url: Callable[[str], str], database: Store) -> list[tuple[Any, ...]]:
    """Return the rules of this module."""
    return [(url("health"), HealthHandler, {"check": Check(database)})]
