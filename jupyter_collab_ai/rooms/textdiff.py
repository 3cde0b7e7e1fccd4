"""The smallest sensible edits that make one text of another.

Pure, but for :func:`apply_edits_to_text`, which writes into a pycrdt text. Small edits keep
what others do meanwhile in the same document: their text, their cursors, their undo.

Interface::

    edits = diff(old, new)                   # [TextEdit(start, end, new_text)], ascending
    apply_edits(old, edits) == new
    with doc.transaction(origin=...):
        apply_edits_to_text(ytext, edits)    # str(ytext) was old, is new
    hunks = diff_hunks(old, new)             # the same by changed runs of lines, for merging
    byte_offsets(text, offsets)              # pycrdt counts UTF-8 bytes, Python characters

Positions are Python characters (code points) of the old text; no edit touches another.
Edits end between tokens: words, runs of blanks, line ends, and characters together with what
joins on to them (combining marks, emoji modifiers, flags). Only equal beginnings and ends of a
changed word are left alone.

First lines are compared, then the tokens of the lines that changed. It is rapidfuzz that
compares (bit-parallel LCS): 10,000 lines take some 50 ms, where ``difflib`` takes seconds. Its
memory is the product of the lengths, so it is bounded here: larger texts are first cut at the
lines that occur once in both, and a run that is still too large is replaced in one piece.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from pycrdt import Text
from rapidfuzz.distance import Indel

#: Above so many edits, whole hunks are replaced: each costs a document some 0.5 ms.
MAX_EDITS: Final = 500
#: Lines below this similarity are replaced in one piece: what would be left is chance.
MIN_SIMILARITY: Final = 0.3
#: The largest product of two lengths that is compared: 12 MB of bits.
MAX_PRODUCT: Final = 100_000_000

#: A token: a line end, a flag, a word, blanks, or any character, with all that joins on to it.
_TOKEN: Final = re.compile(
    "(?:\r\n|[\U0001f1e6-\U0001f1ff]{2}|\\w+|[^\\S\r\n]+|.)"
    "(?:[\u0300-\u036f\u1ab0-\u1aff\u20d0-\u20ff\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]"
    "|\u200d.)*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class TextEdit:
    """Replace the characters from ``start`` up to ``end`` of the old text."""

    start: int
    end: int
    new_text: str


@dataclass(frozen=True, slots=True)
class Hunk:
    """A changed run of lines, and the edits that change it."""

    start: int
    end: int
    new_text: str
    edits: tuple[TextEdit, ...]


def diff(old: str, new: str, *, max_edits: int = MAX_EDITS) -> list[TextEdit]:
    """Return the edits that make ``new`` of ``old``, in ascending order.

    Args:
        old: The text to be changed.
        new: What it is to become.
        max_edits: How many edits there may be; beyond that they become coarser.
    """
    return _at_most(diff_hunks(old, new), old, max_edits)


def diff_hunks(old: str, new: str) -> list[Hunk]:
    """Return the changed runs of lines, in ascending order, however many."""
    if old == new:
        return []
    old_lines, new_lines = old.splitlines(keepends=True), new.splitlines(keepends=True)
    old_starts, new_starts = _starts(old_lines), _starts(new_lines)
    return [
        _hunk(old, new, old_starts[a], old_starts[b], new_starts[c], new_starts[d])
        for a, b, c, d in _changes(old_lines, new_lines)
    ]


def apply_edits(text: str, edits: Iterable[TextEdit]) -> str:
    """Return a text with edits made; they are ascending and don't overlap."""
    parts: list[str] = []
    position = 0
    for edit in edits:
        parts += (text[position : edit.start], edit.new_text)
        position = edit.end
    parts.append(text[position:])
    return "".join(parts)


def byte_offsets(text: str, offsets: Sequence[int]) -> list[int]:
    """Return where ascending offsets in characters lie in UTF-8 bytes."""
    if text.isascii():
        return list(offsets)
    found = []
    position = total = 0
    for offset in offsets:
        total += len(text[position:offset].encode())
        position = offset
        found.append(total)
    return found


def apply_edits_to_text(ytext: Text, edits: Sequence[TextEdit]) -> None:
    """Make edits in a shared text, best within one transaction.

    Args:
        ytext: The text, which holds what the edits were made for.
        edits: Ascending, not overlapping.
    """
    offsets = byte_offsets(
        str(ytext), [offset for edit in edits for offset in (edit.start, edit.end)]
    )
    # From the end, so that no edit moves those that are still to come.
    for index in reversed(range(len(edits))):
        start, end = offsets[2 * index : 2 * index + 2]
        if start < end:
            del ytext[start:end]
        if edits[index].new_text:
            ytext.insert(start, edits[index].new_text)


def limit_edits(text: str, edits: Sequence[TextEdit], max_edits: int = MAX_EDITS) -> list[TextEdit]:
    """Return the same change in at most so many edits, those that lie closest made one."""
    if len(edits) <= max_edits:
        return list(edits)
    gaps = sorted((right.start - left.end for left, right in pairwise(edits)), reverse=True)
    widest = gaps[max_edits - 1] if max_edits <= len(gaps) else 0
    groups = [[edits[0]]]
    for left, right in pairwise(edits):
        if right.start - left.end > widest:
            groups.append([right])
        else:
            groups[-1].append(right)
    return [_joined(text, group) for group in groups]


def _joined(text: str, edits: Sequence[TextEdit]) -> TextEdit:
    start, end = edits[0].start, edits[-1].end
    shifted = (TextEdit(it.start - start, it.end - start, it.new_text) for it in edits)
    return TextEdit(start, end, apply_edits(text[start:end], shifted))


def _at_most(hunks: Sequence[Hunk], old: str, max_edits: int) -> list[TextEdit]:
    edits = [edit for hunk in hunks for edit in hunk.edits]
    if len(edits) > max_edits:
        edits = [_joined(old, hunk.edits) for hunk in hunks]
    return limit_edits(old, edits, max_edits)


def _hunk(old: str, new: str, start: int, end: int, new_start: int, new_end: int) -> Hunk:
    """Compare the tokens of changed lines."""
    old_part, new_part = old[start:end], new[new_start:new_end]
    old_tokens, new_tokens = _TOKEN.findall(old_part), _TOKEN.findall(new_part)
    changes = list(_changes(old_tokens, new_tokens))
    changed = sum(
        len("".join(old_tokens[a:b])) + len("".join(new_tokens[c:d])) for a, b, c, d in changes
    )
    if 1 - changed / (len(old_part) + len(new_part)) < MIN_SIMILARITY and len(changes) > 1:
        changes = [(changes[0][0], changes[-1][1], changes[0][2], changes[-1][3])]
    old_starts, new_starts = _starts(old_tokens), _starts(new_tokens)
    edits = tuple(
        _trimmed(
            start + old_starts[a],
            old_part[old_starts[a] : old_starts[b]],
            new_part[new_starts[c] : new_starts[d]],
        )
        for a, b, c, d in changes
    )
    return Hunk(start, end, new_part, edits)


def _trimmed(start: int, old: str, new: str) -> TextEdit:
    """Return an edit without the beginning and the end that it would leave as they are."""
    head = _common(old, new, str.startswith, lambda text, size: text[:size])
    while head and not (_is_joint(old, head) and _is_joint(new, head)):
        head -= 1
    old, new, start = old[head:], new[head:], start + head
    tail = _common(old, new, str.endswith, lambda text, size: text[len(text) - size :])
    while tail and not (_is_joint(old, len(old) - tail) and _is_joint(new, len(new) - tail)):
        tail -= 1
    return TextEdit(start, start + len(old) - tail, new[: len(new) - tail])


def _common(
    old: str,
    new: str,
    fits: Callable[[str, str], bool],
    part: Callable[[str, int], str],
) -> int:
    """Return how long a beginning, or an end, two texts share."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if fits(old, part(new, middle)):
            low = middle
        else:
            high = middle - 1
    return low


#: What is never parted from the character before it.
_JOINS_ON: Final = re.compile(
    "[\u0300-\u036f\u1ab0-\u1aff\u200d\u20d0-\u20ff\ufe00-\ufe0f\U0001f1e6-\U0001f1ff"
    "\U0001f3fb-\U0001f3ff]"
)


def _is_joint(text: str, index: int) -> bool:
    """Tell whether a text may be cut at an index."""
    if index in (0, len(text)):
        return True
    before, after = text[index - 1], text[index]
    return not (_JOINS_ON.match(after) or before == "\u200d" or (before, after) == ("\r", "\n"))


def _starts(parts: Sequence[str]) -> list[int]:
    starts = [0]
    for part in parts:
        starts.append(starts[-1] + len(part))
    return starts


#: From, to in the old sequence; from, to in the new one.
_Change = tuple[int, int, int, int]


def line_changes(old: Sequence[str], new: Sequence[str]) -> list[_Change]:
    """Return what differs between two lists of lines: from, to in each, that don't touch."""
    return list(_changes(old, new))


def _changes(old: Sequence[str], new: Sequence[str]) -> Iterator[_Change]:
    """Yield what differs between two sequences, as replaced runs that don't touch."""
    last: _Change | None = None
    for change in _all_changes(old, new):
        # A deletion and an insertion at the same place are one replacement.
        if last is not None and last[1] == change[0] and last[3] == change[2]:
            last = (last[0], change[1], last[2], change[3])
            continue
        if last is not None:
            yield last
        last = change
    if last is not None:
        yield last


def _all_changes(old: Sequence[str], new: Sequence[str]) -> Iterator[_Change]:
    # Numbers for strings: rapidfuzz would compare the hashes of anything else.
    numbers: dict[str, int] = {}
    old_ids = [numbers.setdefault(it, len(numbers)) for it in old]
    new_ids = [numbers.setdefault(it, len(numbers)) for it in new]
    head = 0
    shorter = min(len(old), len(new))
    while head < shorter and old_ids[head] == new_ids[head]:
        head += 1
    tail = 0
    while tail < shorter - head and old_ids[-1 - tail] == new_ids[-1 - tail]:
        tail += 1
    old_ids = old_ids[head : len(old) - tail]
    new_ids = new_ids[head : len(new) - tail]
    for a, b, c, d in _compare(old_ids, new_ids):
        yield head + a, head + b, head + c, head + d


def _compare(old: list[int], new: list[int]) -> Iterator[_Change]:
    if len(old) * len(new) <= MAX_PRODUCT:
        for op in Indel.opcodes(old, new):
            if op.tag != "equal":
                yield op.src_start, op.src_end, op.dest_start, op.dest_end
        return
    a = c = 0
    for b, d in [*_anchors(old, new), (len(old), len(new))]:
        if (b - a) * (d - c) > MAX_PRODUCT:
            yield a, b, c, d
        else:
            for op in Indel.opcodes(old[a:b], new[c:d]):
                if op.tag != "equal":
                    yield a + op.src_start, a + op.src_end, c + op.dest_start, c + op.dest_end
        a, c = b + 1, d + 1


def _anchors(old: Sequence[int], new: Sequence[int]) -> list[tuple[int, int]]:
    """Return where members lie that occur once in both, in the longest common order."""
    old_counts, new_counts = Counter(old), Counter(new)
    place = {it: index for index, it in enumerate(old) if old_counts[it] == 1}
    pairs = [
        (place[it], index) for index, it in enumerate(new) if new_counts[it] == 1 and it in place
    ]
    # Patience: of each length, the rising sequence that ends lowest.
    ends: list[int] = []
    last: list[int] = []
    previous: list[int] = []
    for number, (index, _) in enumerate(pairs):
        length = bisect_left(ends, index)
        previous.append(last[length - 1] if length else -1)
        if length == len(ends):
            ends.append(index)
            last.append(number)
        else:
            ends[length], last[length] = index, number
    chain = []
    number = last[-1] if last else -1
    while number >= 0:
        chain.append(pairs[number])
        number = previous[number]
    return chain[::-1]
