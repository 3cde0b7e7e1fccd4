"""Spans, differences and effects of updates, as values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text

from jupyter_collab_ai.ids import UserId
from jupyter_collab_ai.rooms.documents import Kind
from jupyter_collab_ai.rooms.linediff import (
    Lines,
    NoSuchHunk,
    compare,
    hunks_of,
    with_cell,
    with_parts,
)
from jupyter_collab_ai.rooms.log import Origin
from jupyter_collab_ai.rooms.spans import LONGEST, PAUSE, Part, Span, by_day, group
from jupyter_collab_ai.rooms.tally import Tally
from jupyter_collab_ai.rooms.yupdate import (
    IdRanges,
    parse_update,
    with_deletions,
    without_deleted_content,
)
from jupyter_collab_ai.rooms.yupdate import (
    Kind as Content,
)

BEGUN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def piece(
    seq: int,
    at: timedelta,
    user: str | None = "alice",
    origin: Origin = Origin.CLIENT,
    *,
    silent: bool = False,
    closed: bool = False,
) -> Span:
    moment = BEGUN + at
    part = Part(None if user is None else UserId(user), origin, 2, 1, moment)
    return Span(seq, moment, moment, () if silent else (part,), closed)


pieces = st.lists(
    st.tuples(
        st.sampled_from(["alice", "bob", "carol"]),
        st.sampled_from([Origin.CLIENT] * 6 + [Origin.AI, Origin.DISK, Origin.RESTORE]),
        st.sampled_from([0, 1, 20, 70, 130, 290, 310, 2000]),
        st.booleans(),
        st.integers(0, 9),
    ),
    max_size=60,
).map(
    lambda drawn: [
        piece(
            number,
            timedelta(seconds=sum(one[2] for one in drawn[:number])),
            user,
            origin,
            silent=silent,
            closed=not closed,
        )
        for number, (user, origin, _, silent, closed) in enumerate(drawn, start=1)
    ]
)


@given(pieces)
def test_grouping_loses_nothing_and_is_done_once(made: list[Span]) -> None:
    spans = group(made)
    assert group(spans) == spans
    assert sum(span.added for span in spans) == sum(one.added for one in made)
    assert [span.seq for span in spans] == sorted(span.seq for span in spans)
    if made:
        assert spans[-1].seq == made[-1].seq
    ends = {span.seq for span in spans}
    assert {one.seq for one in made if one.closed} <= ends
    for span in spans:
        assert span.ended - span.started <= LONGEST or len(span.parts) == 0
        # What an AI did stays by itself, so that it can be taken back.
        if Origin.AI in {part.origin for part in span.parts}:
            assert [one.seq for one in made if one.seq == span.seq and one.parts] == [span.seq]
            assert len(span.parts) == 1 and span.added == 2


@given(pieces, st.integers(0, 60))
def test_what_was_grouped_before_makes_no_difference(made: list[Span], at: int) -> None:
    assert group([*group(made[:at]), *made[at:]]) == group(made)


def test_spans_by_author_and_pause() -> None:
    minute = timedelta(minutes=1)
    spans = group(
        [
            piece(1, 0 * minute),
            piece(2, 1 * minute),
            piece(3, 2 * minute, "bob"),
            piece(4, 2 * minute + PAUSE, "bob"),
            piece(5, 3 * minute + 2 * PAUSE, "bob"),
        ]
    )
    assert [(span.seq, span.authors) for span in spans] == [
        (2, ("alice",)),
        (4, ("bob",)),
        (5, ("bob",)),
    ]


def test_days_are_cut_at_names_and_loads() -> None:
    hour = timedelta(hours=1)
    runs = by_day(
        [
            piece(1, 0 * hour, None, Origin.LOAD),
            piece(2, 1 * hour),
            piece(3, 2 * hour, closed=True),
            piece(4, 3 * hour),
            piece(5, 13 * hour),
        ]
    )
    assert [[span.seq for span in run] for run in runs] == [[1], [2, 3], [4], [5]]


# ---------------------------------------------------------------- parts


@given(pieces)
def test_parts_survive_the_database(made: list[Span]) -> None:
    for span in group(made):
        for part in span.parts:
            whole = replace(part, clients=(1, 2**53 - 1), deletions=b"\0")
            assert Part.from_json(whole.as_json(alone=False)) == whole
            assert Part.from_json(whole.as_json(alone=True)) == replace(whole, deletions=None)


# ---------------------------------------------------------------- differences

lines = st.lists(st.sampled_from(["a", "b", "", "c c", "ä😀"]), max_size=12).map("\n".join)


@given(lines, lines)
def test_all_hunks_make_one_text_of_the_other(old: str, new: str) -> None:
    hunks = hunks_of(old, new)
    ids = {hunk.id for hunk in hunks}
    assert len(ids) == len(hunks)
    assert with_parts(Kind.TEXT, old, new, ids) == new
    assert with_parts(Kind.TEXT, old, new, []) == old
    named = [
        Lines(None, (one["old"]["from"], one["old"]["to"]), (one["new"]["from"], one["new"]["to"]))
        for one in compare(Kind.TEXT, old, new)["hunks"]
    ]
    assert with_parts(Kind.TEXT, old, new, named) == new
    for hunk in hunks:
        before, after = old.split("\n"), new.split("\n")
        at, to = hunk.old_start - 1, hunk.new_start - 1
        assert tuple(before[at : at + len(hunk.old_lines)]) == hunk.old_lines
        assert tuple(after[to : to + len(hunk.new_lines)]) == hunk.new_lines
    assert compare(Kind.TEXT, old, new)["hunks"] == [hunk.as_json() for hunk in hunks]


def cell(id_: str, source: str) -> dict[str, object]:
    return {"id": id_, "cell_type": "code", "source": source, "metadata": {}, "outputs": []}


notebooks = st.lists(
    st.tuples(st.sampled_from("abcdef"), lines), max_size=5, unique_by=lambda pair: pair[0]
).map(lambda pairs: {"metadata": {}, "cells": [cell(id_, source) for id_, source in pairs]})


@given(notebooks, notebooks)
def test_all_changed_cells_make_one_notebook_of_the_other(old, new) -> None:
    diff = compare(Kind.NOTEBOOK, old, new)
    changed = [one["id"] for one in diff["cells"] if one["change"] != "moved"]
    made = with_parts(Kind.NOTEBOOK, old, new, changed)
    assert {one["id"]: one for one in made["cells"]} == {one["id"]: one for one in new["cells"]}
    again = compare(Kind.NOTEBOOK, made, new)
    assert {one["change"] for one in again["cells"]} <= {"moved"}


@pytest.mark.parametrize(
    "part",
    [
        "nonsense",
        Lines(None, (1, 9), (1, 1)),
        Lines(None, (2, 1), (1, 1)),
        Lines(None, (1, 1), (1, 9)),
        Lines("cell", (1, 2), (1, 2)),
    ],
)
def test_what_is_not_there_is_not_restored(part: object) -> None:
    with pytest.raises(NoSuchHunk):
        with_parts(Kind.TEXT, "a\nb", "a\nc", [part])  # type: ignore[list-item]


def test_lines_of_cells_are_restored() -> None:
    old = {"cells": [cell("a", "1\n2\n3"), cell("b", "x")]}
    new = {"cells": [cell("a", "1\ntwo\n3"), cell("b", "y")]}
    made = with_parts(Kind.NOTEBOOK, old, new, [Lines("a", (2, 3), (2, 3)), "cell-b"])
    assert made["cells"] == new["cells"]
    with pytest.raises(NoSuchHunk):
        with_parts(Kind.NOTEBOOK, old, new, [Lines(None, (1, 2), (1, 2))])


def test_a_cell_comes_back_to_its_place() -> None:
    version = {"cells": [cell("a", "1"), cell("b", "2"), cell("c", "3")]}
    now = {"cells": [cell("a", "1"), cell("x", "new"), cell("c", "3")]}
    assert [one["id"] for one in with_cell(now, version, "b")["cells"]] == ["a", "b", "x", "c"]


# ---------------------------------------------------------------- updates


def test_what_is_noted_in_the_map_state_is_silent() -> None:
    docs = [Doc(client_id=number) for number in (5, 9, 7)]
    for number, doc in enumerate(docs):
        for other in docs[:number]:
            doc.apply_update(other.get_update())
        doc.get("state", type=Map)["hash"] = f"{number}"
    whole = docs[-1].get_update()
    tally = Tally.of_state(whole)
    sent: list[bytes] = []
    docs[-1].observe(lambda event: sent.append(event.update))
    docs[-1].get("state", type=Map)["hash"] = "again"
    docs[-1].get("source", type=Text).insert(0, "ä😀b")
    del docs[-1].get("source", type=Text)[2:6]
    effects = [tally.take(parse_update(data)) for data in sent]
    assert [(one.silent, one.added, one.deleted) for one in effects] == [
        (True, 0, 0),
        (False, 3, 0),
        (False, 0, 1),
    ]


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["ab", "ä😀", ""])), max_size=20))
def test_content_that_came_and_went_can_be_left_out(steps) -> None:
    doc: Doc = Doc(client_id=3, skip_gc=True)
    text = doc.get("source", type=Text)
    for where, what in steps:
        source = str(text)
        at = len(source[: where % (len(source) + 1)].encode())
        if what:
            text.insert(at, what)
        elif source:
            del text[at : at + len(source.encode()[at:].decode()[:2].encode())]
    whole = doc.get_update()
    less = without_deleted_content(whole)
    assert len(less) <= len(whole)
    assert without_deleted_content(less) == less
    copy: Doc = Doc()
    copy.apply_update(less)
    assert str(copy.get("source", type=Text)) == str(text)
    assert copy.get_state() == doc.get_state()
    left, all_ = parse_update(less), parse_update(whole)
    assert left.deletions == all_.deletions
    assert not any(
        struct.kind is Content.STRING
        and left.deletions.covers(struct.client, struct.clock, struct.end)
        for struct in left.structs()
    )


def test_an_update_can_have_other_deletions() -> None:
    doc: Doc = Doc(client_id=3)
    text = doc.get("source", type=Text)
    text.insert(0, "abc")
    del text[0:1]
    only = IdRanges([(3, 1, 2)])
    changed = parse_update(with_deletions(doc.get_update(), only))
    assert changed.deletions == only
    assert changed.clients == parse_update(doc.get_update()).clients
