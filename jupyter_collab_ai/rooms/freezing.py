"""Holding editors still for the moment in which a whole document is written anew.

Whoever may write is asked to hold still, and for all that they have: a sync step 1, which every
Yjs client answers. Messages of a connection keep their order, so once the answer is in, so is
everything that was typed before it, and what is written then comes after it. A client that does
not know the frame, or does not answer, loses nothing: what it sends merges like any edit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from jupyter_collab_ai.rooms import protocol
from jupyter_collab_ai.rooms.connection import Frame
from jupyter_collab_ai.rooms.room import LiveRoom

#: Seconds that editors hold still at the most; they move again by themselves after that.
FREEZE = 1.0
#: Seconds in which they have to answer; the rest is for the writing.
ANSWER = 0.75


@contextlib.asynccontextmanager
async def frozen(
    room: LiveRoom, *, within: float = ANSWER, seconds: float = FREEZE
) -> AsyncIterator[bool]:
    """Hold the editors of a room still for the length of a block, as soon as all have answered.

    Each writer gets the raw frame ``{"type": "freeze", "seconds": …}``, and
    ``{"type": "thaw"}`` at the end. Whoever joins meanwhile is told as well.

    Args:
        room: The room.
        within: Seconds after which the block begins, whoever has not answered by then.
        seconds: Seconds after which an editor that hears nothing more moves again.

    Returns:
        Whether all have answered.
    """
    freeze = Frame(protocol.raw({"type": "freeze", "seconds": seconds}))
    room.freezes.append(freeze)
    try:
        writers = [one for one in room.connections if one.right.may_write and not one.ended]
        step1 = Frame(protocol.sync_step1(room.doc.get_state()))
        answers = []
        for connection in writers:
            connection.send(freeze)
            answers.append(connection.ask(step1))
        silent: set[asyncio.Future[None]] = set()
        if answers:
            _, silent = await asyncio.wait(answers, timeout=within)
        for answer in silent:
            answer.cancel()
        yield not silent
    finally:
        room.freezes.remove(freeze)
        if not room.freezes:
            thaw = Frame(protocol.raw({"type": "thaw"}))
            for connection in tuple(room.connections):
                if connection.right.may_write:
                    connection.send(thaw)
