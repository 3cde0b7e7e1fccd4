"""Three texts become one: nothing of the people's is lost, and of the disk's only what is said."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_collab_ai.rooms.merge import Conflict, Merged, merge
from jupyter_collab_ai.rooms.textdiff import MAX_EDITS, apply_edits
from tests.rooms.test_textdiff import TEXTS, long_text

SEEDED = settings(derandomize=True, deadline=None, max_examples=800)

BASE = "import os\n\ndef f(x):\n    return x + 1\n\nprint(f(1))\n"


def merged_text(base: str, live: str, disk: str) -> str:
    return apply_edits(live, merge(base, live, disk).edits)


@pytest.mark.parametrize(
    ("live", "disk", "expected"),
    [
        # Different lines.
        (
            BASE.replace("import os", "import sys"),
            BASE.replace("f(1)", "f(2)"),
            BASE.replace("import os", "import sys").replace("f(1)", "f(2)"),
        ),
        # Different words of one line.
        (
            BASE.replace("x + 1", "y + 1"),
            BASE.replace("x + 1", "x + 2"),
            BASE.replace("x + 1", "y + 2"),
        ),
        # The disk appends while a person types at the end, or at the beginning.
        (BASE + "typing", BASE + "# by disk\n", BASE + "# by disk\ntyping"),
        (BASE + "typed = 1\n", BASE + "# by disk\n", BASE + "typed = 1\n# by disk\n"),
        ("# typed\n" + BASE, BASE + "# by disk\n", "# typed\n" + BASE + "# by disk\n"),
        # A file without a line end.
        ("Xbase", "base\ndisk", "Xbase\ndisk"),
        ("baseX", "base\ndisk", "baseX\ndisk"),
        # Next to one another.
        (
            BASE.replace("import os\n", "import re\n"),
            BASE.replace("\n\ndef", "\nimport io\n\ndef"),
            None,
        ),
        # Both did the same, and the disk a little more.
        (BASE.replace("f(1)", "f(2)"), BASE.replace("f(1)", "f(2)").replace("os", "io"), None),
        # Both deleted, one more than the other.
        (BASE.replace("    return x + 1\n", ""), BASE[:11] + BASE[45:], BASE[:11] + BASE[45:]),
        (BASE[:11] + BASE[45:], BASE.replace("    return x + 1\n", ""), BASE[:11] + BASE[45:]),
    ],
)
def test_both_changes_stay(live, disk, expected):
    base = "base" if disk.startswith("base") else BASE
    merged = merge(base, live, disk)
    assert merged.conflicts == []
    text = apply_edits(live, merged.edits)
    if expected is not None:
        assert text == expected
    added = Counter(live.split()) + Counter(disk.split())
    assert not Counter(text.split()) - added


@pytest.mark.parametrize(
    ("live", "disk"),
    [
        (BASE.replace("x + 1", "x + 2"), BASE.replace("x + 1", "x + 3")),
        (BASE.replace("    return x + 1\n", ""), BASE.replace("x + 1", "x * 100")),
        (BASE.replace("x + 1", "x + 1 + more"), BASE.replace("    return x + 1\n", "")),
        (BASE.replace("f(1)", "f(1).a"), BASE.replace("f(1)", "f(1).b")),
    ],
)
def test_where_both_changed_the_same_place_the_live_text_stands(live, disk):
    merged = merge(BASE, live, disk)
    assert merged.edits == []
    (conflict,) = merged.conflicts
    assert conflict.base_text in BASE
    assert conflict.disk_text in disk
    assert live[conflict.start : conflict.end] == conflict.live_text


def test_a_conflict_says_what_is_at_stake():
    merged = merge("a\nb = 1\nc\n", "A\na\nb = 2\nc\n", "a\nb = 3\nc\nd\n")
    assert apply_edits("A\na\nb = 2\nc\n", merged.edits) == "A\na\nb = 2\nc\nd\n"
    assert merged.conflicts == [Conflict(4, 10, "b = 1\n", "b = 2\n", "b = 3\n")]


def test_a_line_goes_in_as_a_whole_or_not_at_all():
    """A part of the disk's line would fit, but half a change is worse than none."""
    merged = merge("f(a, b)\n", "f(a, x)\n", "g(a, y)\n")
    assert merged.edits == []
    assert len(merged.conflicts) == 1


def test_two_states_of_one_edit_are_not_doubled():
    """The file holds what was saved a moment ago, of what is typed on."""
    base = "x = 1\n"
    for saved in ("y", "y = 12", "y = 1234\n"):
        typed = base + "y = 1234\nz"
        assert merged_text(base, typed, base + saved) == typed
        assert merge(base, typed, base + saved).conflicts == []
    other = merge(base, base + "y = compute(1, 2)\n", base + "y = compute(1, 3)\n")
    assert other.edits == []
    assert len(other.conflicts) == 1


@SEEDED
@given(TEXTS, TEXTS)
def test_one_side_alone(base, other):
    assert merge(base, other, base) == Merged([])
    assert merge(base, other, other) == Merged([])
    merged = merge(base, base, other)
    assert merged.conflicts == []
    assert apply_edits(base, merged.edits) == other


WORDS = st.lists(st.sampled_from(["a", "b", "c", "foo(x)", "\n", "\n", " ", "é😀"]), max_size=25)


@SEEDED
@given(WORDS, st.lists(st.tuples(st.integers(0, 25), st.booleans(), st.booleans()), max_size=6))
def test_nothing_that_people_wrote_is_lost_and_nothing_doubles(words, changes):
    """Whoever inserts uses words that occur nowhere else."""
    sides: tuple[list[list[str]], list[list[str]]] = ([[w] for w in words], [[w] for w in words])
    written: tuple[list[str], list[str]] = ([], [])
    for number, (place, by_disk, deletes) in enumerate(changes):
        side = sides[by_disk]
        if place >= len(side):
            continue
        if deletes:
            side[place][-1:] = []
        else:
            word = f"<{'disk' if by_disk else 'live'}{number}>"
            written[by_disk].append(word)
            side[place].insert(0, word + ("\n" if number % 2 else ""))
    base = "".join(words)
    live, disk = ("".join(part for parts in side for part in parts) for side in sides)
    merged = merge(base, live, disk)
    text = apply_edits(live, merged.edits)
    for word in written[0]:
        assert text.count(word) == 1
    left_out = "".join(conflict.disk_text for conflict in merged.conflicts)
    for word in written[1]:
        assert text.count(word) + (word in left_out) == 1
    # Whatever is missing from the live text, the disk has taken away.
    for edit in merged.edits:
        assert "<live" not in live[edit.start : edit.end]
    positions = [position for edit in merged.edits for position in (edit.start, edit.end)]
    assert positions == sorted(positions)
    for conflict in merged.conflicts:
        assert live[conflict.start : conflict.end] == conflict.live_text


def test_changes_of_different_lines_always_merge():
    chance = random.Random(5)
    base = [f"line {index} of the file\n" for index in range(60)]
    for _ in range(300):
        live, disk, expected = base.copy(), base.copy(), base.copy()
        lines = chance.sample(range(0, 60, 2), 20)
        for number, line in enumerate(lines):
            change = chance.choice(["", f"changed {chance.random()}\n", base[line] + "more\n"])
            (live if number % 2 else disk)[line] = expected[line] = change
        merged = merge("".join(base), "".join(live), "".join(disk))
        assert merged.conflicts == []
        assert apply_edits("".join(live), merged.edits) == "".join(expected)


def test_a_large_file():
    base = long_text(10_000)
    lines = base.splitlines(keepends=True)
    typed = [lines[0], "# typed\n", *lines[1:5000], "# and here\n", *lines[5000:]]
    live = "".join(typed)
    disk = base.replace("value", "number")
    start = time.process_time()
    merged = merge(base, live, disk)
    assert time.process_time() - start < 5
    assert merged.conflicts == []
    assert 0 < len(merged.edits) <= MAX_EDITS + 3
    assert apply_edits(live, merged.edits) == live.replace("value", "number")
    # Though the edits are coarse, what people wrote is not taken away and put back.
    for edit in merged.edits:
        assert "# typed" not in live[edit.start : edit.end]
        assert "# and here" not in live[edit.start : edit.end]
