"""A process that takes and holds leases until it is killed; see ``test_leases``."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys

from jupyter_collab_ai.ids import DocumentId, OperationId, UserId
from jupyter_collab_ai.locks.leases import Leases, LeaseTaken, Wanted
from jupyter_collab_ai.locks.scopes import Scope
from jupyter_collab_ai.storage.database import Database


async def whole(standing):
    return Scope.document(), {lease.id: Scope.document() for lease in standing}


async def main(url: str, document_id: str, user_id: str, mark: str, ttl: str) -> None:
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
    file = os.open(mark, os.O_RDWR | os.O_CREAT)
    while True:
        try:
            async with leases.hold(wanted, whole) as held:
                # Nobody else may be here; the system frees it where a process is killed.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                print(f"holds {held.lease.token}", flush=True)
                await asyncio.sleep(0.02)
                fcntl.flock(file, fcntl.LOCK_UN)
        except LeaseTaken:
            await asyncio.sleep(0.005)
        else:
            await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
