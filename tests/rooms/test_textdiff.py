"""Edits between texts, on Python strings and on pycrdt texts."""

from __future__ import annotations

import random
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Text

from jupyter_collab_ai.rooms import textdiff
from jupyter_collab_ai.rooms.textdiff import (
    TextEdit,
    apply_edits,
    apply_edits_to_text,
    byte_offsets,
    diff,
    diff_hunks,
    limit_edits,
)

SEEDED = settings(derandomize=True, deadline=None, max_examples=600)

PIECES = st.sampled_from(
    [
        *("a", "bc", "foo", " ", "  ", "\n", "\n", "\r\n", "\r", "=", "(", "\t", "\u2028"),
        *("é", "e\u0301", "漢", "😀", "👨\u200d👩\u200d👧", "🇩🇪", "👍🏽", "\u200d", "\u0301"),
    ]
)
TEXTS = st.lists(PIECES, max_size=25).map("".join)


@SEEDED
@given(TEXTS, TEXTS)
def test_edits_make_one_text_of_the_other(old, new):
    edits = diff(old, new)
    assert apply_edits(old, edits) == new
    assert (not edits) == (old == new)
    for edit in edits:
        assert edit.start <= edit.end
        assert old[edit.start : edit.end] != edit.new_text
    for left, right in pairwise(edits):
        assert left.end < right.start
    hunks = diff_hunks(old, new)
    assert apply_edits(old, [TextEdit(it.start, it.end, it.new_text) for it in hunks]) == new
    for hunk in hunks:
        assert hunk.edits
        assert hunk.start <= hunk.edits[0].start
        assert hunk.edits[-1].end <= hunk.end


@SEEDED
@given(TEXTS, TEXTS, st.integers(1, 5))
def test_no_more_edits_than_wanted(old, new, most):
    edits = diff(old, new, max_edits=most)
    assert len(edits) <= most
    assert apply_edits(old, edits) == new


@SEEDED
@given(TEXTS, TEXTS)
def test_a_shared_text_becomes_the_other(old, new):
    doc = Doc()
    text = doc.get("source", type=Text)
    text += old
    with doc.transaction():
        apply_edits_to_text(text, diff(old, new))
    assert str(text) == new


@SEEDED
@given(TEXTS, st.lists(st.integers(0, 30)))
def test_byte_offsets(text, offsets):
    offsets = sorted(min(offset, len(text)) for offset in offsets)
    assert byte_offsets(text, offsets) == [len(text[:offset].encode()) for offset in offsets]


@pytest.mark.parametrize(
    ("old", "new", "edits"),
    [
        ("", "x", [TextEdit(0, 0, "x")]),
        ("x", "", [TextEdit(0, 1, "")]),
        ("abc", "Xabc", [TextEdit(0, 0, "X")]),
        ("x = old(1)\ny = 2\n", "x = new(1)\ny = 2\n", [TextEdit(4, 7, "new")]),
        ("name = 1\n", "names = 1\n", [TextEdit(4, 4, "s")]),
        ("a\nb\nc\n", "a\nc\n", [TextEdit(2, 4, "")]),
        ("a\nc\n", "a\nb\nc\n", [TextEdit(2, 2, "b\n")]),
        ("f(a, b)\n", "g(a, c)\n", [TextEdit(0, 1, "g"), TextEdit(5, 6, "c")]),
    ],
)
def test_edits_are_small(old, new, edits):
    assert diff(old, new) == edits


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("👍🏽", "👍🏿"),
        ("e\u0301", "e\u0300"),
        ("🇩🇪", "🇩🇰"),
        ("👨\u200d👩", "👨\u200d👧"),
        ("a\r\n", "b\r\n"),
        ("x\r\n", "x\n"),
    ],
)
def test_what_is_seen_as_one_character_is_not_cut(old, new):
    (edit,) = diff(f"({old})", f"({new})")
    cut = {edit.start, edit.end}
    assert cut <= {0, 1, 1 + len(old), 2 + len(old)} or old.endswith("\n")
    if "\r\n" in old:
        assert f"({old})"[edit.end - 1 : edit.end + 1] != "\r\n"


def test_lines_that_have_little_in_common_are_replaced_in_one_piece():
    old = "alpha beta (gamma) delta\n"
    new = "print(1 + 2 * [x for x in y])\n"
    assert len(diff(old, new)) == 1


def test_edits_that_lie_closest_are_joined_first():
    text = "abcdefghijklmnop"
    edits = [TextEdit(0, 1, "A"), TextEdit(2, 3, "C"), TextEdit(10, 11, "K"), TextEdit(15, 16, "P")]
    limited = limit_edits(text, edits, 3)
    assert limited == [TextEdit(0, 3, "AbC"), TextEdit(10, 11, "K"), TextEdit(15, 16, "P")]
    assert limit_edits(text, edits, 1) == [TextEdit(0, 16, apply_edits(text, edits))]


def long_text(lines: int) -> str:
    chance = random.Random(1)
    return "".join(
        f"    value_{chance.randrange(900)} = call({chance.random():.3f}, name)  # é {index}\n"
        for index in range(lines)
    )


def changed(text: str, places: int) -> str:
    chance = random.Random(2)
    lines = text.splitlines(keepends=True)
    for _ in range(places):
        lines[chance.randrange(len(lines))] = f"    other = {chance.random()}\n"
    return "".join(lines)


@pytest.mark.parametrize(
    ("new", "most"),
    [
        (lambda text: changed(text, 25), 100),
        (lambda text: text.replace("value", "number"), 500),
        (lambda text: "".join(f"{index}\n" for index in range(10_000)), 1),
    ],
)
def test_ten_thousand_lines_take_no_time(new, most):
    old = long_text(10_000)
    new = new(old)
    start = time.process_time()
    edits = diff(old, new)
    assert time.process_time() - start < 3  # some 50 to 300 ms where nothing else runs
    assert apply_edits(old, edits) == new
    assert 0 < len(edits) <= most


def test_texts_too_large_to_compare_are_cut_at_lines_that_occur_once(monkeypatch):
    monkeypatch.setattr(textdiff, "MAX_PRODUCT", 10_000)
    old = long_text(2000)
    new = changed(old, 10)
    edits = diff(old, new)
    assert apply_edits(old, edits) == new
    assert 5 <= len(edits) <= 60
    same = "x\n" * 500 + "y\n" * 500
    other = "y\n" + "x\n" * 500 + "z\n"
    assert apply_edits(same, diff(same, other)) == other


@SEEDED
@given(TEXTS, TEXTS)
def test_however_little_may_be_compared(old, new):
    before = textdiff.MAX_PRODUCT
    textdiff.MAX_PRODUCT = 4
    try:
        assert apply_edits(old, diff(old, new)) == new
    finally:
        textdiff.MAX_PRODUCT = before


def test_one_line_of_a_megabyte():
    old = "x = [" + ", ".join(str(index) for index in range(150_000)) + "]"
    new = old.replace("77777,", "77777.5,")
    start = time.process_time()
    assert apply_edits(old, diff(old, new)) == new
    other = old.replace("9", "8")
    assert apply_edits(old, diff(old, other)) == other
    assert time.process_time() - start < 20
