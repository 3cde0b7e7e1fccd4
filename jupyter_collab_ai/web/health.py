"""Whether the server is well, for load balancers and for people who wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from jupyter_server.auth.decorator import allow_unauthenticated

from jupyter_collab_ai.errors import DatabaseUnavailable
from jupyter_collab_ai.web.errors import body_of, headers_of, status_of
from jupyter_collab_ai.web.handlers import ApiHandler

T = TypeVar("T")

#: Seconds after which a database that does not answer counts as unavailable.
PATIENCE = 5.0

_SILENT = "The database does not answer at the moment; try again in a few seconds."


class Store(Protocol):
    """What is asked whether it answers: the database."""

    async def read(self, function: Callable[[Any], T]) -> T:
        """Run ``function`` in a transaction that changes nothing."""


class HealthHandler(ApiHandler):
    """GET ``/health``, for everybody; it tells nothing that is not for everybody."""

    def initialize(self, database: Store, patience: float = PATIENCE) -> None:
        """Keep what is asked, and the seconds that it may take to answer."""
        self.database = database
        self.patience = patience

    @allow_unauthenticated
    async def get(self) -> None:
        """Answer 200 if requests can be served now, else 503."""
        try:
            async with asyncio.timeout(self.patience):
                await self.database.read(lambda tx: tx.now())
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
    return [(url("health"), HealthHandler, {"database": database})]
