"""A process that writes under leases until it is killed, now and then too late.

Each write is noted in the audit log, in the transaction that spends the lease.
"""

from __future__ import annotations

import asyncio
import random
import sys

from jupyter_collab_ai.ids import DocumentId, OperationId, UserId
from jupyter_collab_ai.locks.leases import Held, LeaseLost, Leases, LeaseTaken, Wanted
from jupyter_collab_ai.locks.scopes import Scope
from jupyter_collab_ai.storage.audit import note
from jupyter_collab_ai.storage.database import Database, Tx
from tests.locks.worker import whole


def write(tx: Tx, held: Held) -> None:
    held.spend(tx)
    note(tx, None, "test_write", session_id=None, detail={"token": held.lease.token})


async def main(url: str, document_id: str, user_id: str, ttl: str) -> None:
    database = Database(url)
    await database.open()
    leases = Leases(database, ttl=float(ttl))
    wanted = Wanted(
        DocumentId(document_id),
        None,
        Scope.document(),
        OperationId("operation"),
        "test",
        UserId(user_id),
    )
    while True:
        try:
            async with leases.hold(wanted, whole) as held:
                print(f"holds {held.lease.token}", flush=True)
                await asyncio.sleep(random.random() * 0.05)
                try:
                    await database.write(lambda tx, held=held: write(tx, held))
                except LeaseLost:
                    print(f"lost {held.lease.token}", flush=True)
        except LeaseTaken:
            await asyncio.sleep(0.005)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
