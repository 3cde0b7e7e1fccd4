"""Who is here: the awareness of a room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_collab_ai.ids import UserId
from jupyter_collab_ai.rooms import protocol
from jupyter_collab_ai.rooms.connection import Connection

if TYPE_CHECKING:
    from jupyter_collab_ai.rooms.room import LiveRoom


class RoomPresence:
    """The awareness of one room."""

    def __init__(self, room: LiveRoom) -> None:
        self._room = room

    def claims(self) -> dict[int, UserId]:
        return {}

    def welcome(self, connection: Connection) -> None:
        pass

    def leave(self, connection: Connection) -> None:
        pass

    def receive(self, connection: Connection, message: protocol.AwarenessMessage) -> None:
        pass

    def rights_changed(self, connection: Connection) -> None:
        pass

    def close(self) -> None:
        pass
