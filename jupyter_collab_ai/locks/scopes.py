"""What a lease covers, and when two of them are in each other's way. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ScopeKind(Enum):
    """How much a lease covers."""

    DOCUMENT = "document"
    CELL = "cell"
    RANGE = "range"


@dataclass(frozen=True)
class Scope:
    """What a lease covers at one moment; offsets count characters and move with the text.

    A range that ends where it begins is a place of insertion.
    """

    kind: ScopeKind
    #: The cell; None in a text file, and where it is the whole document.
    cell_id: str | None = None
    start: int = 0
    end: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError("A scope has to begin before it ends.")

    @classmethod
    def document(cls) -> Scope:
        """Return the whole document."""
        return cls(ScopeKind.DOCUMENT)

    @classmethod
    def cell(cls, cell_id: str) -> Scope:
        """Return one whole cell."""
        return cls(ScopeKind.CELL, cell_id)

    @classmethod
    def range(cls, cell_id: str | None, start: int, end: int) -> Scope:
        """Return a part of a cell, or of a text file where ``cell_id`` is None."""
        return cls(ScopeKind.RANGE, cell_id, start, end)


def overlap(one: Scope, other: Scope) -> bool:
    """Tell whether two scopes of one document can't be held at the same time.

    Scopes that merely touch overlap too: where one ends and the other begins, both would
    write at the same place.
    """
    if ScopeKind.DOCUMENT in (one.kind, other.kind):
        return True
    if one.cell_id != other.cell_id:
        return False
    if ScopeKind.CELL in (one.kind, other.kind):
        return True
    return one.start <= other.end and other.start <= one.end


def covers(one: Scope, other: Scope) -> bool:
    """Tell whether whoever holds the first scope may write in all of the other."""
    if one.kind is ScopeKind.DOCUMENT:
        return True
    if other.kind is ScopeKind.DOCUMENT or one.cell_id != other.cell_id:
        return False
    if one.kind is ScopeKind.CELL:
        return True
    return other.kind is ScopeKind.RANGE and one.start <= other.start and other.end <= one.end
