"""What stood around a piece of text: by it the piece is known for certain, or not at all.

Text alone is no proof of a place: ``0.2`` also stands within ``10.25``. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jupyter_collab_ai.ai.locations import Span

#: Characters on each side that are kept; whoever has longer lines around is not found again.
MOST = 2_000

_QUOTES = "\"'`"
_SIGNS = frozenset("+-*/%=<>!&|^~:?")


@dataclass(frozen=True)
class Around:
    """The text beside a piece: the rest of its lines, and the next lines that are not blank."""

    before: str
    after: str
    #: Whether there is nothing above its lines, and nothing below.
    first: bool
    last: bool
    #: Whether the piece with all of this stood in the text once, so that it can be found again.
    certain: bool

    @classmethod
    def of(cls, text: str, span: Span) -> Around:
        """Return what is around a piece of a text."""
        start, end = _line_above(text, span.start), _line_below(text, span.end)
        certain = (
            span.start - start <= MOST
            and end - span.end <= MOST
            and len(_whole_lines(text, text[start:end])) == 1
        )
        above = text[: span.start].rpartition("\n")[0]
        ends_line = span.of(text).endswith("\n")
        below = text[span.end :] if ends_line else text[span.end :].partition("\n")[2]
        return cls(
            text[max(start, span.start - MOST) : span.start],
            text[span.end : min(end, span.end + MOST)],
            not above.strip(),
            not below.strip(),
            certain,
        )

    def as_json(self) -> list[Any]:
        """Return it as plain JSON."""
        return [self.before, self.after, self.first, self.last, self.certain]

    @classmethod
    def from_json(cls, data: list[Any] | None) -> Around | None:
        """Return what :meth:`as_json` made JSON of; None where there was nothing."""
        return None if data is None else cls(*data)

    def find(self, text: str, piece: str) -> Span | None:
        """Return where a piece is now, if all that was around it is there, and is so once."""
        if not self.certain:
            return None
        whole = f"{self.before}{piece}{self.after}"
        places = _whole_lines(text, whole)
        if len(places) != 1:
            return None
        (start,) = places
        if (self.first and start > 0) or (self.last and start + len(whole) < len(text)):
            return None
        return Span(start + len(self.before), start + len(self.before) + len(piece))

    def is_beside(self, text: str, span: Span) -> bool:
        """Tell whether what touches a piece on its lines is still what did, or is space.

        Of a place of insertion this is so, too, where what is put there begins a line.
        """
        before, after = text[: span.start], text[span.end :]
        piece = span.of(text)
        begins = not _last_line(before).strip()
        if not begins and not _last_line(self.before).strip():
            return False
        if not piece and begins:
            return True
        left = piece.startswith("\n") or _is_same(before[-1:], self.before[-1:])
        return left and (piece.endswith("\n") or _is_same(after[:1], self.after[:1]))

    def is_cut(self, text: str, span: Span) -> bool:
        """Tell whether a piece has become a part of a longer word or number since."""
        before, after = text[: span.start][-1:], text[span.end :][:1]
        piece = span.of(text)
        return (before != self.before[-1:] and _are_one(before, (piece + after)[:1])) or (
            after != self.after[:1] and _are_one((before + piece)[-1:], after)
        )

    def is_on(self, text: str, span: Span) -> bool:
        """Tell whether the rest of a piece's lines is still what it was."""
        before, after = _last_line(self.before), self.after.partition("\n")[0]
        return text[: span.start].endswith(before) and text[span.end :].startswith(after)


def _is_same(now: str, then: str) -> bool:
    return not now.strip() or now == then


def _are_one(one: str, other: str) -> bool:
    """Tell whether two characters side by side are likely to be of one token."""
    if not one.strip() or not other.strip():
        return False
    return (_is_of_word(one) and _is_of_word(other)) or (one in _SIGNS and other in _SIGNS)


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character in f"_.\\{_QUOTES}"


def _last_line(text: str) -> str:
    return text[text.rfind("\n") + 1 :]


def _line_above(text: str, offset: int) -> int:
    """Return where the next line above that is not blank begins, or the text."""
    at = text.rfind("\n", 0, offset) + 1
    while at > 0:
        end = at - 1
        at = text.rfind("\n", 0, end) + 1
        if text[at:end].strip():
            break
    return at


def _line_below(text: str, offset: int) -> int:
    """Return where the next line below that is not blank ends, or the text."""
    # A piece that ends with its line has the next one below it, not beside it.
    at = offset - 1 if offset and text[offset - 1] == "\n" else text.find("\n", offset)
    while 0 <= at < len(text):
        end = text.find("\n", at + 1)
        end = len(text) if end < 0 else end
        if text[at + 1 : end].strip():
            return end
        at = end
    return len(text)


def _whole_lines(text: str, lines: str) -> list[int]:
    """Return where some whole lines occur."""
    found = []
    at = text.find(lines)
    while at >= 0:
        end = at + len(lines)
        if (at == 0 or text[at - 1] == "\n") and (end == len(text) or text[end] == "\n"):
            found.append(at)
        at = text.find(lines, at + 1)
    return found
