"""No regular expression of the package takes much longer for a text that is a little longer."""

from __future__ import annotations

import re

import pytest

from tests.support import hostile

#: Characters of each text: what backtracks much takes seconds for so many.
SIZE = 20_000

USED = list(hostile.patterns())


@pytest.mark.parametrize("number", range(8))
def test_time_grows_no_faster_than_the_text(number: int) -> None:
    slow = {used.name: hostile.slow_text(used, SIZE) for used in USED[number::8]}
    assert {name: text for name, text in slow.items() if text is not None} == {}


def test_the_patterns_are_found() -> None:
    assert "jupyter_collab_ai.ai.tracebacks._OTHER" in {used.name for used in USED}
    assert len(USED) > 100


@pytest.mark.parametrize(
    "bad",
    [
        r"[\w./\\-]+\.\w+:\d+",
        r"(?<![A-Za-z0-9_])eyJ[A-Za-z0-9_-]{8,}\.eyJ",
        r"^[ \t]*#[^\n]*(?:\.\.\.[^\n]*\brest\b)[^\n]*$",
        r"^\W*FIX\W+(?P<number>\d{1,3})\b",
        r"^(?P<fence>`{3,})[^`\n]*\n(?P<code>(?:.|\n)*?)^(?P=fence)$",
        r"-----BEGIN [A-Z]{0,30}KEY-----((?:.|\n){0,16000}?)-----END",
        r"(a+)+$",
        r"\s+$",
    ],
)
def test_a_bad_one_is_found_out(bad: str) -> None:
    used = hostile.Used("bad", re.compile(bad, re.MULTILINE), frozenset({"finditer"}))
    assert hostile.slow_text(used, SIZE) is not None
