"""What waits to be done in a room: in order, and bounded."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

#: Bytes that may wait; then whoever sends waits too, and TCP makes its sender wait.
MAX_WAITING = 8 * 1024 * 1024
#: Items and bytes that are taken at once, and so recorded in one transaction.
MAX_BATCH = 512
MAX_BATCH_BYTES = 4 * 1024 * 1024


class Closed(Exception):
    """The room is closed; nothing more is taken."""


class Inbox(Generic[T]):
    """A queue with one reader, bounded by the bytes that wait."""

    def __init__(self, max_waiting: int = MAX_WAITING) -> None:
        self._max_waiting = max_waiting
        self._items: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._closed = False
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def full(self) -> bool:
        """Whether so much waits that whoever sends has to wait for :meth:`room` first."""
        return not self._closed and self._bytes >= self._max_waiting

    async def room(self) -> None:
        """Wait until less waits, or nothing is taken any more."""
        while self.full:
            self._room.clear()
            await self._room.wait()

    def put_now(self, item: T, size: int = 0) -> None:
        """Add an item whatever waits already; for what the server itself does.

        Raises:
            Closed: Nothing is taken any more.
        """
        if self._closed:
            raise Closed
        self._items.append((item, size))
        self._bytes += size
        self._filled.set()

    def wake(self) -> None:
        """Let the reader look, even where nothing waits."""
        self._filled.set()

    async def take(self) -> list[T]:
        """Wait, and return what came meanwhile; empty after :meth:`wake` or when closed."""
        await self._filled.wait()
        self._filled.clear()
        taken: list[T] = []
        size = 0
        while self._items and len(taken) < MAX_BATCH and size < MAX_BATCH_BYTES:
            item, bytes_ = self._items.popleft()
            taken.append(item)
            size += bytes_
        self._bytes -= size
        if self._items or self._closed:
            self._filled.set()
        if self._bytes < self._max_waiting:
            self._room.set()
        return taken

    def drain(self) -> list[T]:
        """Take everything that waits."""
        items = [item for item, _ in self._items]
        self._items.clear()
        self._bytes = 0
        return items

    @property
    def closed(self) -> bool:
        """Whether nothing more is taken in; what waits is still given out."""
        return self._closed

    def __len__(self) -> int:
        return len(self._items)

    def close(self) -> None:
        """Take nothing more; who waits to add something is refused."""
        self._closed = True
        self._filled.set()
        self._room.set()
