"""Who is here, and what may be shown of each: the awareness of one room.

Pure: messages and the time come in, messages to send go out. The binary form is that of
``y-protocols/awareness.js``: of each client its Yjs client id, a clock that rises with each
change, and a state in JSON, null for who has left.

Interface::

    presence = Presence()
    seat = Seat(key=connection.id, account=user_id, may_edit=True, user=identity(...))
    outcome = presence.receive(seat, message.payload, now, log.owners)
                                     # MalformedAwareness: end the connection
    outcome.others                   # awareness payload for all others, or None
    outcome.echo                     # the same for the sender: y-websocket takes 30 s of
                                     # silence for a lost connection
    outcome.refused                  # an id of somebody else, to be told as ``not_yours``
    presence.client_of(seat.key)     # the id it is bound to, for ``gate.Standing.client``
    presence.claims()                # for ``gate.judge``
    presence.snapshot()              # payload for who has just come, or None
    presence.leave(key)              # payload for those who stay, or None
    presence.change(seat, now)       # its role, name or colour is another now; payload or None
    presence.expire(now)             # of those who have been silent for too long

What the contract asks for, and where it is done:

- *The names, colours and usernames that others see are those of the account behind the
  connection*: ``user`` in a state is always replaced (:func:`identity`).
- *A presence state under somebody else's id is refused*: a connection is bound to the first id
  under which it shows itself, unless that is another account's, by the log or by a connection
  that is open. A person who connects again takes her own id along from the old connection.
- *Entries of others that a client merely re-sends are ignored in silence*: every y-websocket
  does that with each change it hears of, and says of whom it has not heard for long that they
  have left; with several tabs it also brings news of the other tabs.
- A viewer's ``autosave`` is taken out: it would decide for others whether the file is saved.

Others must see a rising clock. Who connects again begins where she was, at a clock that they
have seen with null, and who has just begun sends 0, for which nobody looks up: so the clocks
shown are those of the client plus an offset that only rises.
The echo bears the client's own clock, or it would overwrite its newer state.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jupyter_collab_ai.ids import UserId
from jupyter_collab_ai.rooms.gate import is_server_client
from jupyter_collab_ai.rooms.yupdate import (
    MAX_CLOCK,
    MalformedUpdate,
    Reader,
    write_string,
    write_varuint,
)

#: Bytes of the largest awareness message; it may hold the states of all who are here.
MAX_PAYLOAD: Final = 1024 * 1024
#: Bytes of the largest state of one connection.
MAX_STATE: Final = 64 * 1024
#: Seconds of silence after which somebody is no longer shown (as in y-protocols, whose clients
#: renew their state every 15 seconds).
TIMEOUT: Final = 30.0
#: How many of those who left are remembered, so that they are seen when they come back.
MAX_REMEMBERED: Final = 4096

State = dict[str, Any]


class MalformedAwareness(ValueError):
    """The bytes are no awareness message, or one over the limits."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one message says of one client; the state is JSON that was not read yet."""

    client: int
    clock: int
    json: str


@dataclass(frozen=True, slots=True)
class Seat:
    """A connection, and the account behind it."""

    key: Hashable
    account: UserId
    may_edit: bool
    #: What others see as ``user`` (:func:`identity`).
    user: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to send after a message."""

    others: bytes | None = None
    echo: bytes | None = None
    refused: int | None = None


@dataclass(slots=True)
class _Presence:
    seat: Seat
    client: int
    #: The clock and the state as the client sent them.
    clock: int
    state: State | None
    #: What is added to the client's clock for others, and the last clock that they saw.
    offset: int
    shown_clock: int
    shown: State | None
    heard: float


def identity(
    *, username: str, display_name: str, color: str, avatar_url: str | None = None
) -> State:
    """Return what others see of an account, in the form of Jupyter's ``User``."""
    initials = "".join(word[0] for word in display_name.split()[:2]).upper()
    return {
        "username": username,
        "name": display_name,
        "display_name": display_name,
        "initials": initials or username[:1].upper(),
        "color": color,
        "avatar_url": avatar_url,
    }


def parse_awareness(payload: bytes) -> list[Entry]:
    """Read an awareness message.

    Raises:
        MalformedAwareness: The bytes are none, or too many.
    """
    if len(payload) > MAX_PAYLOAD:
        raise MalformedAwareness("An awareness message is too large.")
    reader = Reader(payload)
    try:
        entries = [
            Entry(reader.varuint(), reader.varuint(), reader.string())
            for _ in range(reader.count(bytes_each=3))
        ]
        reader.expect_end()
    except MalformedUpdate as error:
        raise MalformedAwareness(str(error)) from None
    return entries


def encode_awareness(entries: Iterable[tuple[int, int, State | None]]) -> bytes:
    """Return an awareness message of (client, clock, state)."""
    listed = list(entries)
    out = bytearray()
    write_varuint(out, len(listed))
    for client, clock, state in listed:
        write_varuint(out, client)
        write_varuint(out, clock)
        write_string(out, json.dumps(state, separators=(",", ":")))
    return bytes(out)


class Presence:
    """All who are in one room."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._by_key: dict[Hashable, _Presence] = {}
        self._by_client: dict[int, _Presence] = {}
        #: Of clients that left, the last clock that others saw.
        self._left: OrderedDict[int, int] = OrderedDict()

    def receive(
        self,
        seat: Seat,
        payload: bytes,
        now: float,
        owners: Mapping[int, UserId | None] | None = None,
    ) -> Outcome:
        """Take in a message.

        Args:
            seat: The connection it came by.
            payload: The message.
            now: The time in seconds, on a clock that never goes back.
            owners: Whose each Yjs client id is by the log; None stands for the server.

        Raises:
            MalformedAwareness: It can't be read, or is over the limits.
        """
        entries = parse_awareness(payload)
        own = self._own(seat, entries, owners or {})
        mine = self._by_key.get(seat.key)
        bound = own.client if own is not None else mine.client if mine is not None else None
        refused = next(
            (
                entry.client
                for entry in entries
                if entry.client != bound and self._is_forged(seat, entry, owners or {})
            ),
            None,
        )
        if own is None:
            return Outcome(refused=refused)
        state = _read_state(own)
        # Those of others may be higher, by the offsets that were added to them.
        if own.clock > MAX_CLOCK:
            raise MalformedAwareness("An awareness clock is too large.")
        present = self._take_seat(seat, own.client, own.clock, now)
        if own.clock < present.clock:
            return Outcome(refused=refused)
        present.clock, present.state, present.heard = own.clock, state, now
        others = self._show(present)
        return Outcome(others, encode_awareness([(own.client, own.clock, state)]), refused)

    def change(self, seat: Seat, now: float) -> bytes | None:
        """Note that a connection's role or its person's name is another now."""
        present = self._by_key.get(seat.key)
        if present is None:
            return None
        present.seat = seat
        # Whoever is not shown for her silence stays so.
        return self._show(present) if now - present.heard < TIMEOUT else None

    def leave(self, key: Hashable) -> bytes | None:
        """Note that a connection has ended."""
        present = self._by_key.pop(key, None)
        if present is None:
            return None
        del self._by_client[present.client]
        self._left[present.client] = present.shown_clock
        self._left.move_to_end(present.client)
        if len(self._left) > MAX_REMEMBERED:
            self._left.popitem(last=False)
        if present.shown is None:
            return None
        return encode_awareness([(present.client, present.shown_clock, None)])

    def expire(self, now: float) -> bytes | None:
        """Show no longer who has been silent for too long; their connections stay bound."""
        silent = [
            present
            for present in self._by_key.values()
            if present.shown is not None and now - present.heard >= TIMEOUT
        ]
        if not silent:
            return None
        for present in silent:
            present.shown = None
        return encode_awareness((it.client, it.shown_clock, None) for it in silent)

    def snapshot(self) -> bytes | None:
        """Return what somebody who has just come has to know."""
        shown = [
            (it.client, it.shown_clock, it.shown)
            for it in self._by_key.values()
            if it.shown is not None
        ]
        return encode_awareness(shown) if shown else None

    def states(self) -> dict[int, State]:
        """Return the states that are shown now, by client."""
        return {it.client: it.shown for it in self._by_key.values() if it.shown is not None}

    def client_of(self, key: Hashable) -> int | None:
        """Return the Yjs client id that a connection is bound to."""
        present = self._by_key.get(key)
        return None if present is None else present.client

    def claims(self) -> dict[int, UserId]:
        """Return of each bound Yjs client id the account behind its connection."""
        return {client: it.seat.account for client, it in self._by_client.items()}

    def _own(
        self, seat: Seat, entries: Iterable[Entry], owners: Mapping[int, UserId | None]
    ) -> Entry | None:
        """Return the entry by which a connection shows itself."""
        present = self._by_key.get(seat.key)
        for entry in entries:
            if present is not None:
                if entry.client == present.client:
                    return entry
            elif entry.json != "null" and self._is_free(seat, entry.client, owners):
                return entry
        return None

    def _is_free(self, seat: Seat, client: int, owners: Mapping[int, UserId | None]) -> bool:
        """Tell whether a connection may be bound to an id."""
        return not is_server_client(client) and self._account_of(client, owners) in (
            seat.account,
            _NOBODY,
        )

    def _account_of(
        self, client: int, owners: Mapping[int, UserId | None]
    ) -> UserId | _Nobody | None:
        if client in owners:
            return owners[client]
        present = self._by_client.get(client)
        return _NOBODY if present is None else present.seat.account

    def _is_forged(self, seat: Seat, entry: Entry, owners: Mapping[int, UserId | None]) -> bool:
        """Tell an attempt to speak for another account from what is merely re-sent."""
        if entry.json == "null" or self._is_free(seat, entry.client, owners):
            return False
        present = self._by_client.get(entry.client)
        known = present.shown_clock if present is not None else self._left.get(entry.client)
        return known is None or entry.clock > known

    def _take_seat(self, seat: Seat, client: int, clock: int, now: float) -> _Presence:
        present = self._by_client.get(client)
        if present is None:
            # y-protocols takes 0 for the clock of those it doesn't know: nobody sees a state
            # that comes with it, as does that of a client that has just begun.
            shown_clock = self._left.pop(client, 0)
            present = _Presence(seat, client, clock, None, 0, shown_clock, None, now)
            self._by_client[client] = present
        elif present.seat.key != seat.key:
            # The same person by a new connection, while the old one has not noticed its end.
            del self._by_key[present.seat.key]
            present.clock = clock
        present.seat = seat
        self._by_key[seat.key] = present
        return present

    def _show(self, present: _Presence) -> bytes | None:
        """Return what others have to know of a client, or None where they know it."""
        state = present.state
        if state is not None:
            state = {**state, "user": dict(present.seat.user)}
            if not present.seat.may_edit:
                state.pop("autosave", None)
        clock = present.clock + present.offset
        if state == present.shown and clock <= present.shown_clock:
            return None
        if clock <= present.shown_clock:
            present.offset += present.shown_clock + 1 - clock
            clock = present.shown_clock + 1
        present.shown_clock, present.shown = clock, state
        return encode_awareness([(present.client, clock, state)])


class _Nobody:
    """Stands for the account behind an id that is nobody's yet."""


_NOBODY: Final = _Nobody()


def _read_state(entry: Entry) -> State | None:
    if len(entry.json) > MAX_STATE:
        raise MalformedAwareness("An awareness state is too large.")
    try:
        state = json.loads(entry.json, parse_int=_small_int, parse_constant=_refuse_constant)
        # Halves of surrogate pairs and endless numbers can't be passed on.
        json.dumps(state, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise MalformedAwareness("An awareness state is not JSON.") from None
    if state is not None and not isinstance(state, dict):
        raise MalformedAwareness("An awareness state is not an object.")
    return state


def _small_int(text: str) -> int | float:
    return int(text) if len(text) <= 16 else float(text)


def _refuse_constant(name: str) -> object:
    raise ValueError(name)
