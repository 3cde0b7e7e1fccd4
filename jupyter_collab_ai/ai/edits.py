"""Applying edits to a copy, and finding a place by the text that is quoted from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

from jupyter_collab_ai.ai.findings import Edit
from jupyter_collab_ai.ai.locations import Span
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part


class Conflict(ValueError):
    """Two edits want the same place."""


def apply_edits(snapshot: DocumentSnapshot, edits: Iterable[Edit]) -> DocumentSnapshot:
    """Return a copy of ``snapshot`` with all edits made, which all mean its present text.

    Raises:
        NoSuchPlace: An edit points at a place that isn't there.
        Conflict: Two edits overlap.
    """
    for cell_id, replacements in spans_of(snapshot, edits).items():
        source = replace_all(snapshot.part(cell_id).source, replacements)
        snapshot = snapshot.with_source(cell_id, source)
    return snapshot


def spans_of(
    snapshot: DocumentSnapshot, edits: Iterable[Edit]
) -> dict[str | None, list[tuple[Span, str]]]:
    """Return edits as offsets, for each cell in the order of the text.

    Raises:
        NoSuchPlace: An edit points at a place that isn't there.
        Conflict: Two edits overlap.
    """
    by_cell: dict[str | None, list[tuple[Span, str]]] = defaultdict(list)
    for edit in edits:
        by_cell[edit.location.cell_id].append((snapshot.span_of(edit.location), edit.new_text))
    for replacements in by_cell.values():
        replacements.sort(key=lambda item: item[0])
        for (one, _), (other, _) in pairwise(replacements):
            if other.start < one.end or one == other:
                raise Conflict("Two changes want the same place.")
    return dict(by_cell)


def replace_all(text: str, replacements: Sequence[tuple[Span, str]]) -> str:
    """Return ``text`` with all replacements made, which are in order and do not overlap."""
    pieces: list[str] = []
    at = 0
    for span, new in replacements:
        pieces += text[at : span.start], new
        at = span.end
    pieces.append(text[at:])
    return "".join(pieces)


def find_all(text: str, quote: str) -> list[Span]:
    """Return every place where ``quote`` occurs, also such that overlap."""
    if not quote:
        return []
    found = []
    at = text.find(quote)
    while at >= 0:
        found.append(Span(at, at + len(quote)))
        at = text.find(quote, at + 1)
    return found


def find_quote(parts: Sequence[Part], quote: str, *, line: int | None) -> tuple[Part, Span] | None:
    """Return where a model's quote is meant to be, or None where it does not occur.

    The text decides, not the number: ``line`` (from 1, in the part) only picks one of several
    places of the same text. Where lines are indented otherwise than in the text, or have
    spaces at their ends, they are still found.

    Args:
        parts: Where to look, in order.
        quote: What the model says is there.
        line: Where the model says it is, if it said so.
    """
    for candidates in (_exact(parts, quote), _by_lines(parts, quote)):
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            if line is None:
                return candidates[0]
            return min(candidates, key=lambda found: abs(_line(found) - line))
    return None


def _exact(parts: Sequence[Part], quote: str) -> list[tuple[Part, Span]]:
    quote = quote.strip("\n")
    if not quote.strip():
        return []
    return [(part, span) for part in parts for span in find_all(part.source, quote)]


def _by_lines(parts: Sequence[Part], quote: str) -> list[tuple[Part, Span]]:
    wanted = [line.strip() for line in quote.strip().split("\n")]
    if not any(wanted):
        return []
    found = []
    for part in parts:
        lines = part.source.split("\n")
        stripped = [line.strip() for line in lines]
        for first in range(len(lines) - len(wanted) + 1):
            if stripped[first : first + len(wanted)] != wanted:
                continue
            start = part.lines.span(first + 1)
            end = part.lines.span(first + len(wanted))
            indent = len(lines[first]) - len(lines[first].lstrip())
            last = part.source[end.start : end.end].rstrip()
            found.append((part, Span(start.start + indent, end.start + len(last))))
    return found


def _line(found: tuple[Part, Span]) -> int:
    part, span = found
    return part.lines.position(span.start).line


def minimal(text: str, span: Span, new: str) -> tuple[Span, str]:
    """Leave out of a replacement what it would put back as it was, at both ends."""
    old = span.of(text)
    limit = min(len(old), len(new))
    head = 0
    while head < limit and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < limit - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    return Span(span.start + head, span.end - tail), new[head : len(new) - tail]
