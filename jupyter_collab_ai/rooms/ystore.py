"""Our log as a store of ``jupyter-collaboration``, so that there is no second history."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from logging import Logger
from typing import Any, ClassVar

from pycrdt.store import BaseYStore, YDocNotFound
from traitlets.config import LoggingConfigurable

from jupyter_collab_ai.errors import NotFound
from jupyter_collab_ai.rooms.jupyterlab import FileIds
from jupyter_collab_ai.rooms.log import LogGone, Origin
from jupyter_collab_ai.rooms.registry import Rooms


@dataclass(frozen=True)
class Backing:
    """What the store works with; upstream makes its stores with no more than a path."""

    rooms: Rooms
    file_ids: FileIds


class _Meta(type(LoggingConfigurable), type(BaseYStore)):  # type: ignore[misc]
    """Both bases bring a metaclass."""


class LogYStore(LoggingConfigurable, BaseYStore, metaclass=_Meta):
    """Reads and writes the log of one document; for ``YDocExtension.ystore_class``."""

    #: Set once at start, before any store is made.
    backing: ClassVar[Backing | None] = None

    def __init__(
        self,
        path: str,
        metadata_callback: Callable[[], Awaitable[bytes] | bytes] | None = None,
        log: Logger | None = None,
        config: Any = None,
    ) -> None:
        """Make the store that upstream names ``.{type}:{file id}.y``."""
        options: dict[str, Any] = {"path": path}
        if config is not None:
            options["config"] = config
        if log is not None:
            options["log"] = log
        super().__init__(**options)
        self.path = path
        self.metadata_callback = metadata_callback

    async def read(self) -> AsyncIterator[tuple[bytes, bytes, float]]:
        """Yield the updates with their metadata (none) and times (seconds since the epoch).

        Raises:
            YDocNotFound: There is no such document, or nothing of it was recorded.
        """
        backing, path = self._locate()
        document = await backing.rooms.documents.by_path(path)
        if document is None or not document.seq:
            raise YDocNotFound
        try:
            updates = await backing.rooms.log.after(document.id, document.epoch, 0)
        except LogGone:
            raise YDocNotFound from None
        for update in updates:
            yield update.data, b"", update.at.timestamp()

    async def write(self, data: bytes) -> None:
        """Record an update by way of the document's room, as all others are.

        Raises:
            YDocNotFound: There is no such document.
        """
        backing, path = self._locate()
        async with backing.rooms.hold(path, outside=True) as room:
            await room.add(data, origin=Origin.SERVER)

    def _locate(self) -> tuple[Backing, str]:
        backing = type(self).backing
        _, separator, file_id = self.path.removesuffix(".y").partition(":")
        if backing is None or not separator:
            raise YDocNotFound
        try:
            return backing, backing.file_ids.path_of(file_id)
        except NotFound:
            raise YDocNotFound from None
