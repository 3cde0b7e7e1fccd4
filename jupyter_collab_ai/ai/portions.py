"""Showing a long document to a model in portions: by function, class or cell, never cut silently.

Each portion is whole blocks of lines with their true numbers, and comes with an outline of all the
rest, so that the model knows what is defined elsewhere. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from jupyter_collab_ai.ai.findings import Finding
from jupyter_collab_ai.ai.locations import Location
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot

#: Characters of an outline at most, and as a part of what it comes with; and of a line in it.
MOST_OUTLINE = 4000
_OUTLINE_PART = 0.3
_LONGEST = 120
#: What the number before each line takes.
_NUMBER = 7

_GOES_ON = re.compile(r"[)\]}]|(?:else|elif|except|finally|catch|case|end|fi|done|esac)\b|then\b")
_DECORATOR = re.compile(r"@|#|//|/\*|\*|--")
_DEFINES = re.compile(
    r"\s*(?:(?:export|default|public|private|protected|static|final|abstract|async|pub|inline)\s+)*"
    r"(?:def|class|function|func|fn|struct|enum|trait|impl|interface|type|module|const|import|from"
    r"|use|package|#include|CREATE)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Portion:
    """Lines of one part, from the first up to and with the last, from 1."""

    cell_id: str | None
    first: int
    last: int

    def meets(self, location: Location) -> bool:
        """Tell whether a place reaches into it."""
        return (
            location.cell_id == self.cell_id
            and location.start.line <= self.last
            and self.first <= location.end.line
        )


#: What is shown at once.
Sheet = tuple[Portion, ...]


def sheets(snapshot: DocumentSnapshot, most: int) -> list[Sheet]:
    """Return the whole document in sheets, in order.

    Args:
        snapshot: The document.
        most: Characters of a sheet; a single line that is longer is left whole.
    """
    made: list[Sheet] = []
    sheet: list[Portion] = []
    size = 0
    for portion, length in _blocks(snapshot, most):
        if sheet and size + length > most:
            made.append(_joined(sheet))
            sheet, size = [], 0
        sheet.append(portion)
        size += length
    if sheet:
        made.append(_joined(sheet))
    return made


def chosen(
    made: Sequence[Sheet], most: int, focus: Location | None, found: Iterable[Finding]
) -> list[Sheet]:
    """Return the sheets that are shown where not all can be: those that matter most.

    First what is asked about, then what analyzers are least sure of or found most in, then the
    others in the order of the document.
    """
    facts = list(found)

    def rank(index: int) -> tuple[int, int, int]:
        sheet = made[index]
        asked = focus is not None and any(portion.meets(focus) for portion in sheet)
        holds = sum(any(portion.meets(one.location) for portion in sheet) for one in facts)
        return (not asked, -holds, index)

    picked = sorted(range(len(made)), key=rank)[:most]
    return [made[index] for index in sorted(picked)]


def outline(snapshot: DocumentSnapshot, sheet: Sheet) -> str:
    """Return what is defined outside of a sheet, line by line with numbers, as far as it fits."""
    lines: list[str] = []
    size = 0
    most = min(MOST_OUTLINE, _OUTLINE_PART * _size(snapshot, sheet))
    for number, part in enumerate(snapshot.parts, 1):
        if not part.is_code:
            continue
        for row, line in enumerate(part.source.split("\n"), 1):
            inside = any(
                portion.cell_id == part.cell_id and portion.first <= row <= portion.last
                for portion in sheet
            )
            if inside or not _DEFINES.match(line):
                continue
            where = f"cell {number}, " if snapshot.is_notebook else ""
            told = f"{where}line {row}: {line.strip()[:_LONGEST]}"
            size += len(told) + 1
            if size > most:
                lines.append("… and more")
                return "\n".join(lines)
            lines.append(told)
    return "\n".join(lines)


def _size(snapshot: DocumentSnapshot, sheet: Sheet) -> int:
    size = 0
    for portion in sheet:
        lines = snapshot.part(portion.cell_id).lines
        size += lines.span(portion.last).end - lines.span(portion.first).start
    return size


def in_words(snapshot: DocumentSnapshot, shown: Iterable[Sheet]) -> str:
    """Say which lines were shown."""
    portions = _joined([portion for sheet in shown for portion in sheet])
    if not snapshot.is_notebook:
        return "lines " + ", ".join(f"{one.first} to {one.last}" for one in portions)
    ids = snapshot.cell_ids
    told = []
    for one in portions:
        whole = one.first == 1 and one.last == len(snapshot.part(one.cell_id).lines)
        cell = f"cell {ids.index(one.cell_id) + 1}"
        told.append(cell if whole else f"lines {one.first} to {one.last} of {cell}")
    return ", ".join(told)


def _joined(portions: Sequence[Portion]) -> Sheet:
    joined: list[Portion] = []
    for portion in portions:
        if (
            joined
            and joined[-1].cell_id == portion.cell_id
            and joined[-1].last + 1 == portion.first
        ):
            joined[-1] = Portion(portion.cell_id, joined[-1].first, portion.last)
        else:
            joined.append(portion)
    return tuple(joined)


def _blocks(snapshot: DocumentSnapshot, most: int) -> Iterator[tuple[Portion, int]]:
    for part in snapshot.parts:
        lines = part.source.split("\n")
        sizes = [len(line) + 1 + _NUMBER for line in lines]
        for first, last in _cut(lines, sizes, 0, len(lines) - 1, most, depth=0):
            yield Portion(part.cell_id, first + 1, last + 1), sum(sizes[first : last + 1])


def _cut(
    lines: Sequence[str], sizes: Sequence[int], first: int, last: int, most: int, *, depth: int
) -> Iterator[tuple[int, int]]:
    """Cut lines where a block of this depth begins; blocks that are too long, one deeper."""
    if sum(sizes[first : last + 1]) <= most and depth:
        yield first, last
        return
    starts = [first, *_starts(lines, first + 1, last, depth)]
    for start, end in zip(starts, [*(one - 1 for one in starts[1:]), last], strict=True):
        if sum(sizes[start : end + 1]) <= most:
            yield start, end
        elif depth < _DEEPEST and len(starts) < end - start + 1:
            yield from _cut(lines, sizes, start, end, most, depth=depth + 1)
        else:
            yield from _hard(sizes, start, end, most)


#: Levels of indentation at which a block that is too long is cut.
_DEEPEST = 4


def _starts(lines: Sequence[str], first: int, last: int, depth: int) -> Iterator[int]:
    before = lines[first - 1] if first else ""
    for index in range(first, last + 1):
        line = lines[index]
        stripped = line.lstrip()
        if not stripped:
            continue
        width = len(line.expandtabs(4)) - len(line.expandtabs(4).lstrip())
        # What belongs to the next block stands before it: decorators and comments.
        attached = _DECORATOR.match(before.lstrip()) is not None
        if width <= depth * 4 and not _GOES_ON.match(stripped) and not attached:
            yield index
        before = line


def _hard(sizes: Sequence[int], first: int, last: int, most: int) -> Iterator[tuple[int, int]]:
    start, size = first, 0
    for index in range(first, last + 1):
        if index > start and size + sizes[index] > most:
            yield start, index - 1
            start, size = index, 0
        size += sizes[index]
    yield start, last
