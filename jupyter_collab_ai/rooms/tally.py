"""What each update does to the text of a document, as far as a history has to tell.

Pure: reads updates, knows no document. What touches only the shared map "state" (JupyterLab
and the server note there by themselves what a page or the file is like) is silent: people
would not call it a change.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from jupyter_collab_ai.rooms.gate import STATE_MAP
from jupyter_collab_ai.rooms.yupdate import Id, IdRanges, Kind, Struct, Update, parse_update


class Effect(NamedTuple):
    """What an update does."""

    #: Characters of text that it writes, and takes away.
    added: int
    deleted: int
    #: Nobody would see it.
    silent: bool
    #: The Yjs client ids under which it inserts.
    clients: frozenset[int]
    #: What it deletes that was not deleted before.
    deletions: IdRanges


class Tally:
    """Follows a document's updates, in order."""

    def __init__(self) -> None:
        """Begin with an empty document."""
        self._clocks: dict[int, int] = {}
        self._text = IdRanges()
        #: The second halves of characters that take two UTF-16 code units.
        self._halves = IdRanges()
        self._deleted = IdRanges()
        self._hidden = IdRanges()

    @classmethod
    def of_state(cls, data: bytes) -> Tally:
        """Begin with a document, given as one update.

        Raises:
            MalformedUpdate: It is none.
        """
        tally = cls()
        tally.take(parse_update(data))
        return tally

    def take(self, update: Update) -> Effect:
        """Take note of the next update, and tell what it does."""
        added = 0
        seen = False
        clients = set()
        hidden = self._hidden_in(update)
        for struct in update.structs():
            start = max(struct.clock, self._clocks.get(struct.client, 0))
            if struct.kind is Kind.SKIP or start >= struct.end:
                continue
            clients.add(struct.client)
            self._clocks[struct.client] = struct.end
            if hidden[Id(struct.client, struct.clock)]:
                self._hidden.add(struct.client, start, struct.end)
            elif struct.kind is Kind.STRING:
                self._text.add(struct.client, start, struct.end)
                halves = [clock for clock in struct.low_halves if clock >= start]
                for clock in halves:
                    self._halves.add(struct.client, clock, clock + 1)
                added += struct.end - start - len(halves)
                seen = True
            elif struct.kind in (Kind.GC, Kind.DELETED):
                self._deleted.add(struct.client, start, struct.end)
            else:
                seen = True
        deletions = self._deleted.missing(update.deletions)
        self._deleted.merge(deletions)
        deleted = _common(self._text, deletions) - _common(self._halves, deletions)
        silent = not seen and not self._hidden.missing(deletions)
        return Effect(added, deleted, silent, frozenset(clients), deletions)

    def _hidden_in(self, update: Update) -> dict[Id, bool]:
        """Tell of each struct whether it lies in the map "state", or in something that does.

        A struct without a parent of its own has that of its neighbour, which may stand before
        or after it in the update.
        """
        starts = {
            client: [struct.clock for struct in structs]
            for client, structs in update.clients.items()
        }
        known: dict[Id, bool] = {}
        for struct in update.structs():
            path: list[Id] = []
            here: Struct | None = struct
            answer = False
            while here is not None:
                id_ = Id(here.client, here.clock)
                if id_ in known:
                    answer = known[id_]
                    break
                path.append(id_)
                known[id_] = False
                if isinstance(here.parent, str):
                    answer = here.parent == STATE_MAP
                    break
                by = here.parent or here.origin or here.right_origin
                if by is None or self._hidden.has(by):
                    answer = by is not None
                    break
                index = bisect_right(starts.get(by.client, ()), by.clock) - 1
                here = update.clients[by.client][index] if index >= 0 else None
            known.update(dict.fromkeys(path, answer))
        return known


def _common(one: IdRanges, other: IdRanges) -> int:
    """Return how many ids are in both."""
    return _size(other) - _size(one.missing(other))


def _size(ranges: IdRanges) -> int:
    return sum(end - start for _, start, end in ranges)
