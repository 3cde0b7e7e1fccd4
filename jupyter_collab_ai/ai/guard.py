"""Holding the AI lock on a place of a live document while something is made for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from sqlalchemy import select

from jupyter_collab_ai.ai.board import LockBoard
from jupyter_collab_ai.ai.placing import scope_of_lease
from jupyter_collab_ai.ai.ports import LiveDocument, View
from jupyter_collab_ai.ids import DocumentId, LockId
from jupyter_collab_ai.locks.leases import Held, Lease, LeaseLost, Leases, LeaseTaken, Wanted
from jupyter_collab_ai.locks.scopes import Scope
from jupyter_collab_ai.storage.database import Tx
from jupyter_collab_ai.storage.tables import documents

T = TypeVar("T")


class Guard:
    """Gives out leases on places of live documents."""

    def __init__(self, leases: Leases, board: LockBoard) -> None:
        self._leases = leases
        self._board = board

    @contextlib.asynccontextmanager
    async def hold(
        self, wanted: Wanted, document: LiveDocument, scope: Callable[[View], Scope]
    ) -> AsyncIterator[Held]:
        """Hold a lease for the length of a block, which begins when people see it.

        Args:
            wanted: What is asked for.
            document: Whose it is.
            scope: Says what ``wanted`` covers now.

        Raises:
            Locked: Another operation is writing there.
            NotFound: The document is gone.
        """

        async def locate(standing: Sequence[Lease]) -> tuple[Scope, dict[LockId, Scope]]:
            def look(view: View) -> tuple[Scope, dict[LockId, Scope]]:
                places = {
                    lease.id: place
                    for lease in standing
                    if (place := scope_of_lease(view, lease)) is not None
                }
                return scope(view), places

            return await document.look(look)

        async with contextlib.AsyncExitStack() as stack:
            try:
                held = await stack.enter_async_context(self._leases.hold(wanted, locate))
            except LeaseTaken as taken:
                raise await self._board.locked(taken.lease) from None
            await self._board.shown(held.lease.id)
            yield held


async def while_held(held: Held, work: Coroutine[Any, Any, T]) -> T:
    """Do some work as long as a lease is held.

    Raises:
        LeaseLost: It was lost before the work was done.
    """
    working = asyncio.ensure_future(work)
    losing = asyncio.ensure_future(held.lost.wait())
    try:
        await asyncio.wait({working, losing}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise LeaseLost
        return working.result()
    finally:
        for task in (working, losing):
            task.cancel()
        await asyncio.wait({working, losing})


def seq_of(tx: Tx, document_id: DocumentId) -> int:
    """Return the number of the update that this transaction records."""
    return int(
        tx.execute(select(documents.c.seq).where(documents.c.id == document_id)).scalar_one()
    )
