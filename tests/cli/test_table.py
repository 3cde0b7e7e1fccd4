"""Tables of text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_collab_ai.cli.table import render, width_of

cells = st.text(st.characters(categories=["L", "Mn", "N", "P", "S"]), max_size=20)


@given(st.lists(st.tuples(cells, cells), min_size=1))
def test_the_second_column_begins_at_the_same_place(rows: list[tuple[str, str]]) -> None:
    marked = [(first, f"|{second}") for first, second in rows]
    lines = render(("A", "|B"), marked).splitlines()
    assert len(lines) == len(rows) + 1
    widest = max(1, *(width_of(first) for first, _ in rows))
    for line, (first, second) in zip(lines[1:], marked, strict=True):
        assert line.startswith(first)
        assert line.endswith(second.rstrip())
        assert width_of(line) == widest + 2 + width_of(second)


def test_wide_characters_take_two_columns() -> None:
    assert width_of("漢字") == 4
    assert width_of("e\u0301") == 1
    assert render(["A", "B"], [["漢", "x"]]) == "A   B\n漢  x\n"


def test_no_space_ends_a_line() -> None:
    assert render(["A", "B"], [["long", "longer"]]) == "A     B\nlong  longer\n"
