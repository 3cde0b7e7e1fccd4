"""A text that changed on disk while people changed its live copy: three-way merge.

Pure. Interface::

    merged = merge(base, live, disk)
    merged.edits       # ascending TextEdits on the live text; see textdiff.apply_edits_to_text
    merged.conflicts   # what of the disk was left out, because people changed the same place

``base`` is what both began with: what the file held when it was last loaded or saved.

The contract: neither the disk's change nor the people's is lost; where both changed the same
place the live text stands, and people are told. So nothing that people wrote is ever touched,
and each run of lines that changed on disk goes in as a whole or not at all: half a changed
line is worse than none.

Both changed the same place where one replaced or deleted what the other replaced, or wrote into
the middle of what the other took away. Not where both did the same, where both deleted, where
their changes merely touch, or where both inserted at the same point and the disk's insertion is
made of lines of its own (both began a new line after the last, say): then both stay. Unless
they resemble each other: those are most likely two states of one edit, and would double.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from rapidfuzz.distance import Indel

from jupyter_collab_ai.rooms.textdiff import (
    MAX_EDITS,
    Hunk,
    TextEdit,
    diff_hunks,
    limit_edits,
)

#: From this similarity on, two insertions at one point count as two states of one.
ALIKE = 0.5
#: Characters of an insertion that are compared for that.
_COMPARED = 4000


@dataclass(frozen=True, slots=True)
class Conflict:
    """A place that changed on both sides; the live text stands."""

    #: Where it lies in the live text before the merge, in characters.
    start: int
    end: int
    base_text: str
    live_text: str
    disk_text: str


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of a merge."""

    edits: list[TextEdit]
    conflicts: list[Conflict] = field(default_factory=list)


def merge(base: str, live: str, disk: str) -> Merged:
    """Bring what changed on disk into the live text.

    Takes as long as two diffs: for long texts, call it in a worker thread.
    """
    if disk in (base, live):
        return Merged([])
    people = _People(
        [edit for hunk in diff_hunks(base, live) for edit in hunk.edits] if live != base else []
    )
    edits: list[TextEdit] = []
    conflicts: list[Conflict] = []
    for hunk in diff_hunks(base, disk):
        brought = _bring(hunk, people, base)
        if brought is not None:
            edits += brought
            continue
        place = people.widened(hunk.start, hunk.end)
        start, end = people.before(place[0]), people.after(place[1])
        conflicts.append(
            Conflict(start, end, base[hunk.start : hunk.end], live[start:end], hunk.new_text)
        )
    return Merged(_limited(live, edits, people), conflicts)


def _limited(live: str, edits: list[TextEdit], people: _People) -> list[TextEdit]:
    """Join edits where they are too many, but never across what people wrote."""
    if len(edits) <= MAX_EDITS:
        return edits
    runs: list[list[TextEdit]] = []
    for edit in edits:
        if runs and not people.wrote_between(runs[-1][-1].end, edit.start):
            runs[-1].append(edit)
        else:
            runs.append([edit])
    return [
        edit
        for run in runs
        for edit in limit_edits(live, run, max(1, MAX_EDITS * len(run) // len(edits)))
    ]


class _People:
    """What people changed, by places of the base."""

    def __init__(self, edits: Sequence[TextEdit]) -> None:
        self.edits = edits
        self._starts = [edit.start for edit in edits]
        self._ends = [edit.end for edit in edits]
        self._shifts = [
            0,
            *accumulate(len(edit.new_text) - (edit.end - edit.start) for edit in edits),
        ]
        self._live_starts = [
            edit.start + shift for edit, shift in zip(edits, self._shifts, strict=False)
        ]
        self._live_ends = [
            start + len(edit.new_text) for edit, start in zip(edits, self._live_starts, strict=True)
        ]

    def wrote_between(self, start: int, end: int) -> bool:
        """Tell whether people changed anything between two places of the live text."""
        index = bisect_left(self._live_ends, start)
        return index < len(self.edits) and self._live_starts[index] <= end

    def near(self, start: int, end: int) -> Sequence[TextEdit]:
        """Return the edits that overlap or touch a place."""
        return self.edits[bisect_left(self._ends, start) : bisect_right(self._starts, end)]

    def before(self, position: int) -> int:
        """Return where a place lies in the live text, before what was inserted there."""
        index = bisect_right(self._ends, position)
        while index and self._starts[index - 1] == position:
            index -= 1
        return position + self._shifts[index]

    def after(self, position: int) -> int:
        """Return where a place lies in the live text, after what was inserted there."""
        return position + self._shifts[bisect_right(self._ends, position)]

    def widened(self, start: int, end: int) -> tuple[int, int]:
        """Return a place grown to take in all of the edits that overlap it."""
        for edit in self.near(start, end):
            if edit.start < end and start < edit.end:
                start, end = min(start, edit.start), max(end, edit.end)
        return start, end


def _bring(hunk: Hunk, people: _People, base: str) -> list[TextEdit] | None:
    """Return a hunk of the disk as edits on the live text; None where people changed it too."""
    brought: list[TextEdit] = []
    for edit in hunk.edits:
        near = people.near(edit.start, edit.end)
        if edit in near:
            continue
        placed = (
            _insertion(edit, near, people, base)
            if edit.start == edit.end
            else _replacement(edit, near, people)
        )
        if placed is None:
            return None
        brought += placed
    return brought


def _replacement(
    edit: TextEdit, near: Sequence[TextEdit], people: _People
) -> list[TextEdit] | None:
    # What is left of the place between what people took away.
    left: list[tuple[int, int]] = []
    start = edit.start
    for other in near:
        if other.start >= edit.end or other.end <= edit.start:
            continue
        if other.new_text or edit.new_text:
            return None
        if start < other.start:
            left.append((start, other.start))
        start = other.end
    if start < edit.end:
        left.append((start, edit.end))
    return [TextEdit(people.after(from_), people.before(to), edit.new_text) for from_, to in left]


def _insertion(
    edit: TextEdit, near: Sequence[TextEdit], people: _People, base: str
) -> list[TextEdit] | None:
    place = edit.start
    for other in near:
        if other.start < place < other.end:
            return None
        if other.start == other.end == place:
            return _beside(edit, other, people, base)
    # Next to a replacement it stays on its side of it.
    ends_here = any(other.end == place for other in near)
    position = people.after(place) if ends_here else people.before(place)
    return [TextEdit(position, position, edit.new_text)]


def _beside(edit: TextEdit, other: TextEdit, people: _People, base: str) -> list[TextEdit] | None:
    """Place an insertion where people inserted at the same point."""
    place, new, theirs = edit.start, edit.new_text, other.new_text
    if theirs.startswith(new) or theirs.endswith(new):
        return []  # it is there already
    if _alike(new, theirs):
        return None
    if new.startswith(("\n", "\r\n")):
        position = people.after(place)
    elif new.endswith("\n") and (place == 0 or base[place - 1] == "\n"):
        position = people.after(place) if theirs.endswith("\n") else people.before(place)
    else:
        return None
    return [TextEdit(position, position, new)]


def _alike(one: str, other: str) -> bool:
    """Tell whether two insertions may be two states of one."""
    one, other = one.strip()[:_COMPARED], other.strip()[:_COMPARED]
    shorter, longer = sorted((one, other), key=len)
    return longer.startswith(shorter) or Indel.normalized_similarity(one, other) >= ALIKE
