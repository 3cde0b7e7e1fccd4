"""What each update does to the text of a document, as far as a history has to tell.

Pure: reads updates, knows no document. What touches only the shared map "state" (JupyterLab
and the server note there by themselves what a page or the file is like) is silent: people
would not call it a change.
"""

from __future__ import annotations

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
        for struct in update.structs():
            start = max(struct.clock, self._clocks.get(struct.client, 0))
            if struct.kind is Kind.SKIP or start >= struct.end:
                continue
            clients.add(struct.client)
            self._clocks[struct.client] = struct.end
            if self._is_hidden(struct):
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

    def _is_hidden(self, struct: Struct) -> bool:
        if struct.parent == STATE_MAP:
            return True
        # Without a parent of its own it has that of its neighbour.
        by = struct.parent if struct.parent is not None else struct.origin or struct.right_origin
        return isinstance(by, Id) and self._hidden.has(by)


def _common(one: IdRanges, other: IdRanges) -> int:
    """Return how many ids are in both."""
    return _size(other) - _size(one.missing(other))


def _size(ranges: IdRanges) -> int:
    return sum(end - start for _, start, end in ranges)
