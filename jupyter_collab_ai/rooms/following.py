"""Tells a page that has a document open what happens around it, on the document's own socket.

A browser allows few connections to one host that are not WebSockets, so that pages with an
event stream for each document would soon wait for one another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from jupyter_collab_ai.ids import SessionId
from jupyter_collab_ai.rooms import protocol
from jupyter_collab_ai.rooms.connection import Connection, Frame
from jupyter_collab_ai.rooms.ports import Events
from jupyter_collab_ai.web.events import Event


class Following:
    """Sends one connection the events of the session that its document belongs to."""

    def __init__(self, events: Events, connection: Connection, path: Callable[[], str]) -> None:
        """Begin, and follow the connection's right: the document may be shared later.

        Args:
            events: Where events come from.
            connection: To whom they go.
            path: Returns where the document is; what is about others is left out.
        """
        self._events = events
        self._connection = connection
        self._path = path
        self._session_id: SessionId | None = None
        self._task: asyncio.Task[None] | None = None
        connection.on_right = self._turn
        self._turn()

    def close(self) -> None:
        """Send nothing any more."""
        self._connection.on_right = None
        if self._task is not None:
            self._task.cancel()

    def _turn(self) -> None:
        session_id = self._connection.right.session_id
        if session_id == self._session_id:
            return
        self._session_id = session_id
        if self._task is not None:
            self._task.cancel()
            self._task = None
        if session_id is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(session_id))

    async def _run(self, session_id: SessionId) -> None:
        while True:
            with self._events.follow(session_id) as reader:
                # Whoever begins to follow reads first what stands.
                self._tell(Event("resync", {}))
                while (event := await reader.get()) is not None:
                    if event.data.get("path") in (None, self._path()):
                        self._tell(event)

    def _tell(self, event: Event) -> None:
        frame = {"type": "event", "event": event.type, "data": event.data}
        self._connection.send(Frame(protocol.raw(frame)))
