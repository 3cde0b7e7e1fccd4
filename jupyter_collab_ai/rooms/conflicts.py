"""What a file held where people had changed the same place: kept, and told to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyter_collab_ai.rooms import protocol
from jupyter_collab_ai.rooms.connection import Connection, Frame
from jupyter_collab_ai.rooms.content import Content
from jupyter_collab_ai.rooms.log import Origin
from jupyter_collab_ai.rooms.room import LiveRoom
from jupyter_collab_ai.rooms.versions import Versions

#: How such a version is called; when it was kept is shown beside.
NAME = "Changed on disk"

_MESSAGE = (
    "The file was changed on disk where people had changed it too. There the live text stands; "
    "what the file held is kept in the history as a version of its own."
)


class Conflicts:
    """The conflicts of one room with its file."""

    def __init__(
        self, room: LiveRoom, versions: Versions, publish: Callable[[dict[str, Any]], None]
    ) -> None:
        """Keep what loses a conflict beside the history of ``room``'s document.

        Args:
            room: The room.
            versions: Where it is kept.
            publish: Tells those who follow the sessions of the people in the room.
        """
        self._room = room
        self._versions = versions
        self._publish = publish
        #: What nobody was there to be told.
        self._untold: dict[str, Any] | None = None

    async def keep(self, content: Content) -> str:
        """Keep what the file held as a version, and return its id.

        Raises:
            DatabaseUnavailable: It could not be kept, so the file must not be written over.
        """
        return await self._versions.keep(self._room.document, content, NAME, origin=Origin.DISK)

    def tell(self, version: str, places: int) -> None:
        """Tell people; whoever comes first where nobody is here.

        Args:
            version: What was kept.
            places: In how many places people had changed the same.
        """
        conflict = {"version": version, "name": NAME, "places": places, "message": _MESSAGE}
        if not self._room.connections:
            self._untold = conflict
            return
        for connection in tuple(self._room.connections):
            self._tell(connection, conflict)
        self._publish(conflict)

    def greet(self, connection: Connection) -> None:
        """Tell somebody who comes what nobody was told."""
        untold, self._untold = self._untold, None
        if untold is not None:
            self._tell(connection, untold)
            self._publish(untold)

    def _tell(self, connection: Connection, conflict: dict[str, Any]) -> None:
        frame = {"type": "conflict", "path": self._room.path, **conflict}
        connection.send(Frame(protocol.raw(frame)))
