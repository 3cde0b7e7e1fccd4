"""When two leases are in each other's way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_collab_ai.locks.scopes import Scope, covers, overlap

offsets = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(sorted)
cells = st.sampled_from(["a", "b"])
ranges = st.builds(lambda cell, ends: Scope.range(cell, *ends), cells, offsets)
scopes = st.one_of(st.just(Scope.document()), cells.map(Scope.cell), ranges)


@given(scopes, scopes)
def test_it_does_not_matter_who_asks(one, other):
    assert overlap(one, other) == overlap(other, one)
    assert overlap(one, one)
    assert overlap(one, Scope.document())


@given(ranges, ranges)
def test_ranges_overlap_where_they_share_a_place(one, other):
    places = set(range(one.start, one.end + 1)) & set(range(other.start, other.end + 1))
    assert overlap(one, other) == (one.cell_id == other.cell_id and bool(places))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (Scope.range(None, 0, 6), Scope.range(None, 6, 12), True),
        (Scope.range(None, 0, 6), Scope.range(None, 7, 12), False),
        (Scope.range(None, 5, 5), Scope.range(None, 5, 5), True),
        (Scope.range("a", 0, 1), Scope.cell("a"), True),
        (Scope.cell("a"), Scope.cell("b"), False),
        (Scope.cell("a"), Scope.document(), True),
    ],
)
def test_examples(one, other, expected):
    assert overlap(one, other) is expected


def test_a_scope_can_not_end_before_it_begins():
    with pytest.raises(ValueError, match="begin"):
        Scope.range(None, 3, 2)


@given(scopes, scopes)
def test_what_is_covered_overlaps(one, other):
    assert covers(one, one)
    assert covers(Scope.document(), other)
    if covers(one, other):
        assert overlap(one, other)
        if covers(other, one):
            assert one == other


@given(ranges, ranges)
def test_a_range_covers_what_lies_in_it(one, other):
    inside = one.start <= other.start <= other.end <= one.end
    assert covers(one, other) == (one.cell_id == other.cell_id and inside)
    assert covers(Scope.cell(str(one.cell_id)), one)
