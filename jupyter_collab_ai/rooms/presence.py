"""Sending round who is here: what :mod:`.awareness` decides, for one room's connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from jupyter_collab_ai.ids import UserId
from jupyter_collab_ai.rooms import protocol
from jupyter_collab_ai.rooms.awareness import MalformedAwareness, Presence, Seat, identity
from jupyter_collab_ai.rooms.close_codes import Ending
from jupyter_collab_ai.rooms.connection import Connection, Frame
from jupyter_collab_ai.rooms.gate import RefusalReason
from jupyter_collab_ai.rooms.yupdate import Reader, write_varuint
from jupyter_collab_ai.web import metrics
from jupyter_collab_ai.web.metrics import Transport

#: Seconds for which news of cursors is gathered before it is sent round.
GATHER = 0.03
#: Seconds between two looks for those who have fallen silent.
SWEEP = 10.0


class Gathering:
    """The people of one room, as they are shown to each other."""

    def __init__(
        self,
        connections: Callable[[], Iterable[Connection]],
        owners: Callable[[], Mapping[int, UserId | None]],
    ) -> None:
        """Begin with nobody.

        Args:
            connections: Returns the connections that are open.
            owners: Returns whose each Yjs client id is by the log.
        """
        self._connections = connections
        self._owners = owners
        self._presence = Presence()
        self._news: dict[Connection | None, bytes] = {}
        self._flushing: asyncio.TimerHandle | None = None
        self._sweeping: asyncio.TimerHandle | None = None

    def claims(self) -> dict[int, UserId]:
        """Return the account behind each Yjs client id under which somebody shows themselves."""
        return self._presence.claims()

    def welcome(self, connection: Connection) -> None:
        """Show somebody who has come who else is here."""
        snapshot = self._presence.snapshot()
        if snapshot is not None:
            connection.send(Frame(protocol.awareness(snapshot)))
        if self._sweeping is None:
            self._sweeping = asyncio.get_running_loop().call_later(SWEEP, self._sweep)

    def receive(self, connection: Connection, payload: bytes) -> None:
        """Take in what a connection says of itself, and show it to the others soon."""
        try:
            outcome = self._presence.receive(_seat(connection), payload, _now(), self._owners())
        except MalformedAwareness:
            metrics.refused(Transport.MESSAGE, "malformed")
            connection.end(Ending.UNREADABLE)
            return
        client = self._presence.client_of(connection.id)
        if client != connection.standing.client:
            connection.standing = replace(connection.standing, client=client)
        if outcome.refused is not None:
            metrics.refused(Transport.MESSAGE, RefusalReason.NOT_YOURS.value)
            refusal = {
                "type": "refused",
                "reason": RefusalReason.NOT_YOURS.value,
                "client": outcome.refused,
                "from_clock": None,
            }
            connection.send(Frame(protocol.raw(refusal)))
        if outcome.echo is not None:
            connection.send(Frame(protocol.awareness(outcome.echo)))
        self._tell(connection, outcome.others)

    def changed(self, connection: Connection) -> None:
        """Show somebody as their role, their name and their color are now."""
        self._tell(connection, self._presence.change(_seat(connection), _now()))

    def leave(self, connection: Connection) -> None:
        """Show that somebody has gone."""
        self._news.pop(connection, None)
        self._tell(connection, self._presence.leave(connection.id))

    def close(self) -> None:
        """Send nothing any more."""
        for timer in (self._flushing, self._sweeping):
            if timer is not None:
                timer.cancel()
        self._flushing = self._sweeping = None
        self._news.clear()

    def _tell(self, about: Connection | None, payload: bytes | None) -> None:
        if payload is None:
            return
        # Of each, only the newest counts.
        self._news[about] = payload
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(GATHER, self._flush)

    def _flush(self) -> None:
        self._flushing = None
        news, self._news = self._news, {}
        for_all = Frame(protocol.awareness(_join(news.values())))
        for connection in tuple(self._connections()):
            if connection not in news:
                connection.send(for_all)
                continue
            # Its own state comes back to it as an echo only, with the clock that it gave it.
            others = [payload for about, payload in news.items() if about is not connection]
            if others:
                connection.send(Frame(protocol.awareness(_join(others))))

    def _sweep(self) -> None:
        self._sweeping = None
        self._tell(None, self._presence.expire(_now()))
        if any(True for _ in self._connections()):
            self._sweeping = asyncio.get_running_loop().call_later(SWEEP, self._sweep)


def _seat(connection: Connection) -> Seat:
    who = connection.principal
    return Seat(
        key=connection.id,
        account=who.user_id,
        may_edit=connection.right.may_write,
        user=identity(username=who.username, display_name=who.display_name, color=who.color),
    )


def _now() -> float:
    return asyncio.get_running_loop().time()


def _join(payloads: Iterable[bytes]) -> bytes:
    """Return one awareness payload in place of several."""
    count = 0
    bodies = bytearray()
    for payload in payloads:
        reader = Reader(payload)
        count += reader.varuint()
        bodies += payload[reader.position :]
    joined = bytearray()
    write_varuint(joined, count)
    return bytes(joined + bodies)
