"""The blocks in what a model answers: fenced code, and changes as text to be found and replaced.

They are read line by line, so that the time grows with the text and no faster, whatever a model
writes: it may be told to write what takes long to read.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

_OPENS = re.compile(r"(?P<indent> {0,3})(?P<fence>`{3,12}|~{3,12})[`~]*[ \t]*(?P<info>[^`]*)$")
_CLOSES = re.compile(r"(?P<indent> {0,6})(?P<fence>[`~]{3,})[ \t]*$")
_NUMBER = re.compile(r"\W{0,40}FIX\W{1,20}(?P<number>\d{1,3})\b", re.IGNORECASE)
_SEARCH = re.compile(r"<{5,9} ?SEARCH[ \t]*$", re.IGNORECASE)
_PARTED = re.compile(r"={5,9}[ \t]*$")
_REPLACE = re.compile(r">{5,9} ?REPLACE", re.IGNORECASE)


@dataclass(frozen=True)
class Fenced:
    """A fenced block (CommonMark, section 4.5), and where it stands."""

    start: int
    end: int
    info: str
    code: str


def fenced(text: str) -> list[Fenced]:
    """Return the fenced blocks that end, in order."""
    lines = text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    ends = [(index, match) for index, line in enumerate(lines) if (match := _CLOSES.match(line))]
    numbers = [index for index, _ in ends]
    #: The kinds of blocks that are known not to end any more.
    endless: set[tuple[int, str]] = set()
    found: list[Fenced] = []
    index = 0
    while index < len(lines):
        opens = _OPENS.match(lines[index])
        index += 1
        if opens is None:
            continue
        kind = len(opens["indent"]), opens["fence"]
        if kind in endless:
            continue
        for end, closes in ends[bisect_right(numbers, index - 1) :]:
            inner = len(closes["indent"]) - kind[0]
            if 0 <= inner <= 3 and closes["fence"].startswith(kind[1]):
                code = "".join(f"{line}\n" for line in lines[index:end])
                stop = starts[end] + len(lines[end])
                found.append(Fenced(starts[index - 1], stop, opens["info"], code))
                index = end + 1
                break
        else:
            endless.add(kind)
    return found


@dataclass(frozen=True)
class Change:
    """Text to be found, and what takes its place."""

    search: str
    replace: str


def changes(text: str) -> tuple[dict[int, Change], str]:
    """Return the changes by the number of the finding that they mend, and the text without them."""
    lines = text.split("\n")
    parted = _where(_PARTED, lines)
    ends = _where(_REPLACE, lines)
    found: dict[int, Change] = {}
    kept: list[str] = []
    index = 0
    while index < len(lines):
        number = _NUMBER.match(lines[index])
        end = None
        if number is not None:
            start = index + 1
            if start < len(lines) and lines[start].lstrip(" \t").startswith("```"):
                start += 1
            if start < len(lines) and _SEARCH.match(lines[start]):
                middle = _next(parted, start)
                end = _next(ends, middle)
        if number is None or end is None or middle is None:
            kept.append(lines[index])
            index += 1
            continue
        found[int(number["number"])] = Change(
            "\n".join(lines[start + 1 : middle]), "\n".join(lines[middle + 1 : end])
        )
        rest = _REPLACE.match(lines[end])
        kept.append(lines[end][rest.end() :] if rest else "")
        index = end + 1
    return found, "\n".join(kept)


def _where(pattern: re.Pattern[str], lines: Sequence[str]) -> list[int]:
    return [index for index, line in enumerate(lines) if pattern.match(line)]


def _next(numbers: Sequence[int], after: int | None) -> int | None:
    if after is None:
        return None
    at = bisect_right(numbers, after)
    return numbers[at] if at < len(numbers) else None
