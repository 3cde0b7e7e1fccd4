"""Asking again, from time to time, what the people in a room may do.

Changes of rights are told, to all servers. But another server's word may be lost, so an answer
counts for so many seconds only. It is asked for anew beside the typing and before it is too old, so
that no keystroke waits for it; where that fails, the next one does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence

from jupyter_collab_ai.errors import CollabError
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.rooms.connection import Connection
from jupyter_collab_ai.rooms.ports import Right

#: Seconds for which an answer counts.
RECHECK = 5.0
#: Seconds before that, in which it is asked for beside the typing.
EARLY = 1.5


class Rechecking:
    """How old the answers about the people of one room are."""

    def __init__(
        self,
        connections: Collection[Connection],
        ask: Callable[[Sequence[Principal]], Awaitable[Sequence[Right]]],
        suspect: Callable[[Connection], None],
    ) -> None:
        """Begin with answers that are new.

        Args:
            connections: Those that are open; looked at again each time.
            ask: Returns what some people may do now.
            suspect: Called with a connection whose right seems to have changed. (What is asked
                beside the typing may be overtaken by another answer, so it decides nothing.)
        """
        self._connections = connections
        self._ask = ask
        self._suspect = suspect
        #: Before that, by the monotonic clock, no answer is old.
        self._due = 0.0
        self._asking: asyncio.Task[None] | None = None

    def too_old(self) -> set[Connection]:
        """Return those about whom to ask before anything else; see to those about to be old."""
        now = time.monotonic()
        if now < self._due:
            return set()
        old = {one for one in self._connections if one.checked_at <= now - RECHECK}
        # One question for all who came within a while, in place of one for each.
        aging = [one for one in self._connections if one.checked_at <= now - RECHECK / 2]
        soon = now - RECHECK + EARLY
        if self._asking is None and any(one.checked_at <= soon for one in aging if one not in old):
            self._asking = asyncio.create_task(self._ask_aside(aging))
        wait = RECHECK if self._asking is not None else RECHECK - EARLY
        rest = (one.checked_at for one in self._connections if one not in old)
        self._due = min(rest, default=now) + wait
        return old

    async def _ask_aside(self, connections: Sequence[Connection]) -> None:
        asked_at = time.monotonic()
        try:
            rights = await self._ask([one.principal for one in connections])
        except CollabError:
            return  # those whose answers get too old meanwhile are asked about again
        finally:
            self._asking = None
        for connection, right in zip(connections, rights, strict=True):
            if right == connection.right:
                connection.checked_at = max(connection.checked_at, asked_at)
            elif connection in self._connections:
                self._suspect(connection)
        self._due = 0.0

    def close(self) -> None:
        """Ask nothing more."""
        if self._asking is not None:
            self._asking.cancel()
