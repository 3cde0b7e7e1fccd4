"""The rooms beside the documents that JupyterLab knows: their forks and timelines."""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_collab_ai.rooms.forks import Forks
from jupyter_collab_ai.rooms.timelines import Timelines


@dataclass(frozen=True)
class SideRooms:
    """All of them, by their ids."""

    timelines: Timelines
    forks: Forks

    def close(self) -> None:
        """Free what only memory holds, as the server stops."""
        self.timelines.close()

    async def path_of(self, room_id: str) -> str | None:
        """Return the path of the document that a room belongs to; None where there is no room."""
        path = await self.timelines.path_of(room_id)
        return await self.forks.path_of(room_id) if path is None else path
