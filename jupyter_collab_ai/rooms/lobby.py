"""JupyterLab's global awareness: who is online at all, and no document."""

from __future__ import annotations

import json
from typing import Final

from jupyter_collab_ai.rooms import protocol
from jupyter_collab_ai.rooms.awareness import MalformedAwareness, encode_awareness, parse_awareness
from jupyter_collab_ai.rooms.close_codes import Ending
from jupyter_collab_ai.rooms.connection import Connection
from jupyter_collab_ai.rooms.presence import Gathering

#: The id of the one room without a document.
LOBBY_ID: Final = "JupyterLab:globalAwareness"
#: What others may know of somebody in the lobby. JupyterLab also says which documents each has
#: open, and the paths of what is not shared are nobody else's business.
_SHOWN: Final = frozenset({"user"})


class Lobby:
    """Everybody who has JupyterLab open."""

    def __init__(self) -> None:
        self._connections: set[Connection] = set()
        self._gathering = Gathering(lambda: self._connections, dict)

    def join(self, connection: Connection) -> None:
        """Let somebody in."""
        self._connections.add(connection)
        connection.on_end = lambda: self.leave(connection)
        connection.on_looks = lambda: self._gathering.changed(connection)
        self._gathering.welcome(connection)

    def leave(self, connection: Connection) -> None:
        """Let somebody go."""
        if connection in self._connections:
            self._connections.discard(connection)
            self._gathering.leave(connection)

    def receive(self, connection: Connection, message: protocol.Message) -> None:
        """Take in what somebody says of themselves; there is no document to sync."""
        if connection.ended:
            return
        if isinstance(message, protocol.AwarenessQuery):
            self._gathering.welcome(connection)
        elif isinstance(message, protocol.AwarenessMessage):
            try:
                payload = _strip(message.payload)
            except MalformedAwareness:
                connection.end(Ending.UNREADABLE)
                return
            self._gathering.receive(connection, payload)

    def close(self) -> None:
        """Let everyone go, as the server stops."""
        for connection in tuple(self._connections):
            connection.end(Ending.STOPPING)
        self._gathering.close()


def _strip(payload: bytes) -> bytes:
    """Take out of an awareness message what is not to be shown."""
    kept = []
    for entry in parse_awareness(payload):
        try:
            state = json.loads(entry.json)
        except (ValueError, RecursionError):
            raise MalformedAwareness("An awareness state is not JSON.") from None
        if isinstance(state, dict):
            state = {name: value for name, value in state.items() if name in _SHOWN}
        kept.append((entry.client, entry.clock, state))
    return encode_awareness(kept)
