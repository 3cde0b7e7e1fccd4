"""Writing a whole document anew as one change, where no operation is writing and nobody is lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from sqlalchemy import select

from jupyter_collab_ai.errors import StaleDocument
from jupyter_collab_ai.ids import DocumentId, UserId
from jupyter_collab_ai.rooms.log import Origin
from jupyter_collab_ai.rooms.ports import WriteLocks
from jupyter_collab_ai.rooms.room import LiveRoom
from jupyter_collab_ai.storage.database import Tx
from jupyter_collab_ai.storage.tables import documents

#: Times that a change is worked out anew because somebody wrote meanwhile; then it is merged.
TRIES = 5


class Moved(Exception):
    """Somebody has written since the change was worked out."""


class LockCame(Exception):
    """An operation has begun to write."""


async def rewrite(
    room: LiveRoom,
    locks: WriteLocks,
    user_id: UserId,
    make: Callable[[bytes], Awaitable[bytes | None]],
    *,
    allowed: Callable[[], Awaitable[None]],
    noted: Callable[[Tx], None],
) -> tuple[int, bool]:
    """Record a change of the whole document for somebody.

    Args:
        room: The document.
        locks: Where operations are writing.
        user_id: For whom it is written.
        make: Returns the change as an update, given the document as it is; None for none.
        allowed: Raises if it is not allowed any more; asked right before it is recorded.
        noted: Notes who did it, in the transaction that records it.

    Returns:
        The number of the newest update, and whether anything was changed.

    Raises:
        Locked: An AI operation is writing there.
        StaleDocument: Operations keep writing there.
    """
    for left in reversed(range(TRIES)):
        seq, state = await room.look(lambda doc: (room.seq, doc.get_update()))
        data = await make(state)
        if data is None:
            return seq, False
        # The role may have changed while all this went on.
        await allowed()
        fence = partial(
            _check, locks=locks, document_id=room.document.id, expected=seq if left else None
        )

        def fenced(tx: Tx, fence: Callable[[Tx], None] = fence) -> None:
            fence(tx)
            noted(tx)

        try:
            done = await room.add(data, origin=Origin.RESTORE, user_id=user_id, fence=fenced)
        except Moved:
            continue
        except LockCame:
            await locks.refuse(room.path)
            continue
        return done, True
    raise StaleDocument("Operations keep writing here; try again in a moment.")


def _check(tx: Tx, *, locks: WriteLocks, document_id: DocumentId, expected: int | None) -> None:
    """Refuse in the transaction that records it what can no longer be written."""
    newest = tx.execute(select(documents.c.seq).where(documents.c.id == document_id)).scalar_one()
    if expected is not None and newest != expected + 1:
        raise Moved
    if locks.stands(tx, document_id):
        raise LockCame
