"""Places in a text, as people and as programs count them.

People are told lines and columns from 1, with columns in characters (Unicode code points).
Inside, places are spans of offsets from 0. Lines end with a line feed alone, as in
live documents.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any


class NoSuchPlace(ValueError):
    """A location does not lie within its text."""


@dataclass(frozen=True, order=True)
class Position:
    """A place between two characters; both numbers count from 1."""

    line: int
    column: int

    def as_json(self) -> dict[str, int]:
        """Return it as the contract has it."""
        return {"line": self.line, "column": self.column}


@dataclass(frozen=True)
class Location:
    """From ``start`` up to but without ``end``, in one cell of a notebook or in a text."""

    start: Position
    end: Position
    cell_id: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as the contract has it."""
        place: dict[str, Any] = {"start": self.start.as_json(), "end": self.end.as_json()}
        return place if self.cell_id is None else {"cell_id": self.cell_id, **place}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Location:
        """Return what :meth:`as_json` made JSON of."""
        return cls(Position(**data["start"]), Position(**data["end"]), data.get("cell_id"))


@dataclass(frozen=True, order=True)
class Span:
    """Offsets of characters in one text, from ``start`` up to but without ``end``."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise NoSuchPlace("A place has to begin before it ends.")

    def of(self, text: str) -> str:
        """Return the text in it."""
        return text[self.start : self.end]


class Lines:
    """The lines of one text, to turn offsets into lines and columns and back."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0]
        found = text.find("\n")
        while found >= 0:
            self._starts.append(found + 1)
            found = text.find("\n", found + 1)

    def __len__(self) -> int:
        return len(self._starts)

    def span(self, line: int) -> Span:
        """Return where a line is, without its end of line.

        Raises:
            NoSuchPlace: There is no such line.
        """
        if not 1 <= line <= len(self._starts):
            raise NoSuchPlace(f"There is no line {line}; the text has {len(self._starts)}.")
        last = line == len(self._starts)
        return Span(self._starts[line - 1], len(self._text) if last else self._starts[line] - 1)

    def position(self, offset: int) -> Position:
        """Return the line and column of an offset.

        Raises:
            NoSuchPlace: The offset lies outside of the text.
        """
        if not 0 <= offset <= len(self._text):
            raise NoSuchPlace("This place lies outside of the text.")
        line = bisect_right(self._starts, offset)
        return Position(line, offset - self._starts[line - 1] + 1)

    def offset(self, position: Position) -> int:
        """Return the offset of a line and column.

        Raises:
            NoSuchPlace: There is no such line, or the line is shorter than that.
        """
        line = self.span(position.line)
        if not 1 <= position.column <= line.end - line.start + 1:
            raise NoSuchPlace(f"Line {position.line} has no column {position.column}.")
        return line.start + position.column - 1

    def clamped(self, line: int, column: int) -> int:
        """Return the offset nearest to a line and column that may not exist."""
        line = min(max(line, 1), len(self._starts))
        span = self.span(line)
        return min(max(span.start + column - 1, span.start), span.end)

    def location(self, span: Span, cell_id: str | None = None) -> Location:
        """Return a span as lines and columns.

        Raises:
            NoSuchPlace: It lies outside of the text.
        """
        return Location(self.position(span.start), self.position(span.end), cell_id)

    def span_of(self, location: Location) -> Span:
        """Return a location as offsets; its cell is the caller's concern.

        Raises:
            NoSuchPlace: It does not lie within the text.
        """
        return Span(self.offset(location.start), self.offset(location.end))


def visible(text: str, span: Span) -> Span:
    """Return a span that shows something: the given one, or what stands nearest to it.

    Faults are often found where nothing stands, as at the end of a file. The span that is
    returned holds at least one character that is no space, unless the text has none.
    """
    start, end = min(span.start, len(text)), min(span.end, len(text))
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        return Span(start, end)
    line_end = text.find("\n", start)
    line_end = len(text) if line_end < 0 else line_end
    for at in range(start, line_end):
        if not text[at].isspace():
            return Span(at, at + 1)
    for at in range(start - 1, -1, -1):
        if not text[at].isspace():
            return Span(at, at + 1)
    for at in range(line_end, len(text)):
        if not text[at].isspace():
            return Span(at, at + 1)
    return Span(start, start)
