"""Who wrote each line, and when.

Which element of a text stands where only a Yjs document knows. So what each span of work has
written is deleted in a copy, and the copy tells from where it went.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from pycrdt import Array, Doc, Text

from jupyter_collab_ai.ids import UserId
from jupyter_collab_ai.rooms.content import build
from jupyter_collab_ai.rooms.documents import Kind
from jupyter_collab_ai.rooms.log import Origin, Recorded
from jupyter_collab_ai.rooms.panics import without_panics
from jupyter_collab_ai.rooms.spans import Span
from jupyter_collab_ai.rooms.yupdate import IdRanges, parse_update, struct_ranges
from jupyter_collab_ai.rooms.yupdate import Kind as Content


@dataclass(frozen=True)
class Credit:
    """Who wrote something, when, and how."""

    user_id: UserId | None
    origin: Origin
    at: datetime
    #: The last update of the span in which it was written.
    seq: int


@dataclass(frozen=True)
class Line:
    """Who wrote a line: the last one, and all whose text stands in it, most first."""

    last: Credit | None
    authors: tuple[UserId, ...] = ()


@dataclass(frozen=True)
class Blamed:
    """One text of a document: all of a file, or a cell."""

    cell_id: str | None
    cell_type: str | None
    #: Who wrote in it last; of an empty cell, who made it.
    last: Credit | None
    lines: tuple[Line, ...]


#: Where a piece of a text begins and ends, in bytes of UTF-8, and whose it is.
_Piece = tuple[int, int, Credit]


@without_panics
def blame(
    kind: Kind,
    rows: Sequence[Recorded],
    spans: Sequence[Span],
    owners: Mapping[int, UserId | None],
) -> list[Blamed]:
    """Return who wrote what stands in a document; for worker threads.

    Args:
        kind: What the document is.
        rows: The whole log, from the beginning.
        spans: All spans of it, in order.
        owners: Whose each Yjs client id is.
    """
    state = build([row.data for row in rows]).get_update()
    credited = list(_credits(rows, spans, owners))
    update = parse_update(state)
    text = IdRanges()
    types = IdRanges()
    for struct in update.structs():
        if struct.kind is Content.STRING:
            text.add(struct.client, struct.clock, struct.end)
        elif struct.kind is Content.TYPE:
            types.add(struct.client, struct.clock, struct.end)
    doc = build([state])
    if kind is Kind.TEXT:
        source = str(doc.get("source", type=Text))
        pieces = _probe_texts(doc, kind, [source], _share(text, credited))
        return [_blamed(None, None, source, pieces[0], None)]
    cells = [cell.to_py() or {} for cell in doc.get("cells", type=Array)]
    sources = [str(cell.get("source", "")) for cell in cells]
    made = _probe_cells(build([state]), len(cells), _share(types, credited))
    pieces = _probe_texts(doc, kind, sources, _share(text, credited))
    return [
        _blamed(cell.get("id"), cell.get("cell_type"), source, pieces[index], made.get(index))
        for index, (cell, source) in enumerate(zip(cells, sources, strict=True))
    ]


# ---------------------------------------------------------------- whose ids they are


def _credits(
    rows: Sequence[Recorded], spans: Sequence[Span], owners: Mapping[int, UserId | None]
) -> Iterator[tuple[Credit, IdRanges]]:
    """Yield what each account inserted in each span, in order."""
    ends = [span.seq for span in spans]
    known: dict[int, int] = {}
    credit_of: dict[Credit, IdRanges] = {}
    for row in rows:
        index = bisect_left(ends, row.seq)
        span = spans[index] if index < len(spans) else None
        for client, (start, end) in struct_ranges(row.data).items():
            start = max(start, known.get(client, 0))
            if start >= end:
                continue
            known[client] = end
            credit = _credit(row, span, client, owners)
            credit_of.setdefault(credit, IdRanges()).add(client, start, end)
    yield from credit_of.items()


def _credit(
    row: Recorded, span: Span | None, client: int, owners: Mapping[int, UserId | None]
) -> Credit:
    if span is None:
        return Credit(row.user_id, row.origin, row.at, row.seq)
    owner = owners.get(client)
    for part in span.parts:
        if client in part.clients or (
            part.origin is Origin.CLIENT and owner is not None and part.user_id == owner
        ):
            return Credit(part.user_id, part.origin, part.last, span.seq)
    origin = Origin.SERVER if owner is None else Origin.CLIENT
    return Credit(owner, origin, span.ended, span.seq)


def _share(
    ids: IdRanges, credited: Iterable[tuple[Credit, IdRanges]]
) -> list[tuple[Credit, IdRanges]]:
    """Return which of some ids each has to their credit."""
    shares = []
    for credit, inserted in credited:
        mine = _both(ids, inserted)
        if mine:
            shares.append((credit, mine))
    return shares


def _both(one: IdRanges, other: IdRanges) -> IdRanges:
    both = other.copy()
    both.remove(one.missing(other))
    return both


# ---------------------------------------------------------------- where they are


def _probe_texts(
    doc: Doc[Any], kind: Kind, sources: Sequence[str], shares: Sequence[tuple[Credit, IdRanges]]
) -> list[list[_Piece]]:
    """Return whose each piece of each text is; deletes all of it."""
    #: What is left of each text: pieces of the original, in order.
    left = [[(0, len(source.encode()))] for source in sources]
    found: list[list[_Piece]] = [[] for _ in sources]
    changes: list[tuple[int, list[dict[str, Any]]]] = []
    watched: Any
    if kind is Kind.TEXT:
        watched = doc.get("source", type=Text)
        watched.observe(lambda event: changes.append((0, event.delta)))
    else:
        watched = doc.get("cells", type=Array)

        def note(events: Iterable[Any]) -> None:
            changes.extend(
                (event.path[0], event.delta)
                for event in events
                if len(event.path) == 2 and event.path[1] == "source"
            )

        watched.observe_deep(note)
    for credit, ids in shares:
        changes.clear()
        doc.apply_update(b"\0" + ids.encode())
        for index, delta in changes:
            left[index], taken = _take(left[index], delta)
            found[index] += [(start, end, credit) for start, end in taken]
    return [sorted(pieces, key=lambda piece: piece[0]) for pieces in found]


def _probe_cells(
    doc: Doc[Any], count: int, shares: Sequence[tuple[Credit, IdRanges]]
) -> dict[int, Credit]:
    """Return who made each cell; deletes all of them."""
    left = [(0, count)]
    found: dict[int, Credit] = {}
    changes: list[list[dict[str, Any]]] = []
    cells = doc.get("cells", type=Array)
    cells.observe(lambda event: changes.append(event.delta))
    for credit, ids in shares:
        changes.clear()
        doc.apply_update(b"\0" + ids.encode())
        for delta in changes:
            left, taken = _take(left, delta)
            found.update({index: credit for start, end in taken for index in range(start, end)})
    return found


_Range = tuple[int, int]


def _take(
    left: list[_Range], delta: Iterable[Mapping[str, Any]]
) -> tuple[list[_Range], list[_Range]]:
    """Return what is left of some ranges after a deletion, and what was taken out of them."""
    kept: list[_Range] = []
    taken: list[_Range] = []
    ranges = iter(left)
    current: _Range | None = next(ranges, None)
    for step in delta:
        out, count = (taken, step["delete"]) if "delete" in step else (kept, step["retain"])
        while count and current is not None:
            start, end = current
            size = min(count, end - start)
            out.append((start, start + size))
            count -= size
            current = (start + size, end) if start + size < end else next(ranges, None)
    if current is not None:
        kept.append(current)
    kept.extend(ranges)
    return kept, taken


# ---------------------------------------------------------------- by lines


def _blamed(
    cell_id: str | None,
    cell_type: str | None,
    source: str,
    pieces: Sequence[_Piece],
    made_by: Credit | None,
) -> Blamed:
    lines = tuple(_lines(source, pieces))
    newest = max(
        (line.last for line in lines if line.last is not None),
        key=lambda credit: credit.seq,
        default=made_by,
    )
    return Blamed(cell_id, cell_type, newest, lines)


def _lines(source: str, pieces: Sequence[_Piece]) -> Iterator[Line]:
    """Yield who wrote each line.

    The end of a line counts only where nothing else is in it: whoever begins a new line after
    somebody else's has not changed that one.
    """
    start = first = 0
    parts = source.encode().split(b"\n")
    for number, text in enumerate(parts, start=1):
        end = start + len(text)
        if number == len(parts) and not text:
            return  # the last line has ended; nothing follows
        stop = end if text else end + 1
        while first < len(pieces) and pieces[first][1] <= start:
            first += 1
        weights: dict[Credit, int] = {}
        for piece_start, piece_stop, credit in islice(pieces, first, None):
            if piece_start >= stop:
                break
            size = min(piece_stop, stop) - max(piece_start, start)
            weights[credit] = weights.get(credit, 0) + size
        yield _line(weights)
        start = end + 1


def _line(weights: Mapping[Credit, int]) -> Line:
    if not weights:
        return Line(None)
    last = max(weights, key=lambda credit: (credit.seq, weights[credit]))
    by_author: dict[UserId, int] = {}
    for credit, size in weights.items():
        if credit.user_id is not None:
            by_author[credit.user_id] = by_author.get(credit.user_id, 0) + size
    return Line(last, tuple(sorted(by_author, key=lambda user_id: -by_author[user_id])))
