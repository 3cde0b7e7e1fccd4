"""Places, edits and quotes: pure, and never off by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_collab_ai.ai.edits import (
    Conflict,
    apply_edits,
    find_all,
    find_quote,
    minimal,
    replace_all,
)
from jupyter_collab_ai.ai.findings import (
    Category,
    Edit,
    Finding,
    Fix,
    Severity,
    in_order,
    merge,
    same_fault,
    unique,
)
from jupyter_collab_ai.ai.languages import language_of_notebook, language_of_path
from jupyter_collab_ai.ai.locations import Lines, Location, NoSuchPlace, Position, Span, visible
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part

texts = st.text(alphabet=st.sampled_from("ab \n\t\r😀é漢\x0c\u2028"), max_size=60)


def at(line, column, end_line=None, end_column=None, cell_id=None):
    return Location(
        Position(line, column),
        Position(end_line or line, end_column or column),
        cell_id,
    )


@given(texts, st.data())
def test_offsets_and_positions_are_one_to_one(text, data):
    lines = Lines(text)
    offset = data.draw(st.integers(0, len(text)))
    position = lines.position(offset)
    assert lines.offset(position) == offset
    assert position.line == text[:offset].count("\n") + 1
    assert lines.span(position.line).of(text).count("\n") == 0


@given(texts, st.integers(-3, 80), st.integers(-3, 80))
def test_a_place_that_is_not_there_is_refused_or_clamped(text, line, column):
    lines = Lines(text)
    assert 0 <= lines.clamped(line, column) <= len(text)
    rows = text.split("\n")
    exists = 1 <= line <= len(rows) and 1 <= column <= len(rows[line - 1]) + 1
    if exists:
        assert lines.offset(Position(line, column)) == lines.clamped(line, column)
    else:
        with pytest.raises(NoSuchPlace):
            lines.offset(Position(line, column))


@given(texts, st.data())
def test_what_is_shown_is_text(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    span = visible(text, Span(start, end))
    assert 0 <= span.start <= span.end <= len(text)
    assert bool(span.of(text).strip()) == bool(text.strip())


def test_the_end_of_a_file_is_shown_at_its_last_character():
    assert visible("f(\n\n", Span(4, 4)) == Span(1, 2)
    assert visible("", Span(0, 0)) == Span(0, 0)


def test_locations_become_json_and_back():
    for location in (at(1, 2, 3, 4), at(1, 1, cell_id="c")):
        assert Location.from_json(location.as_json()) == location
    assert "cell_id" not in at(1, 1).as_json()


@given(texts, st.data())
def test_edits_are_made_as_if_one_after_the_other(text, data):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pairs = [
        (Span(a, b), data.draw(st.text(max_size=3)))
        for a, b in zip(cuts[::2], cuts[1::2], strict=False)
    ]
    expected = text
    for span, new in reversed(pairs):
        expected = expected[: span.start] + new + expected[span.end :]
    assert replace_all(text, pairs) == expected
    snapshot = DocumentSnapshot.of_text("a.py", text)
    edits = [Edit(snapshot.location(None, span), new) for span, new in reversed(pairs)]
    assert apply_edits(snapshot, edits).part(None).source == expected


def test_edits_that_want_the_same_place_are_refused():
    snapshot = DocumentSnapshot.of_text("a.py", "abcdef")
    with pytest.raises(Conflict):
        apply_edits(snapshot, [Edit(at(1, 1, 1, 4), "x"), Edit(at(1, 3, 1, 5), "y")])
    with pytest.raises(Conflict):
        apply_edits(snapshot, [Edit(at(1, 2), "x"), Edit(at(1, 2), "y")])
    with pytest.raises(NoSuchPlace):
        apply_edits(snapshot, [Edit(at(2, 1), "x")])
    with pytest.raises(NoSuchPlace):
        apply_edits(snapshot, [Edit(at(1, 1, cell_id="none"), "x")])


@given(texts, st.data())
def test_a_minimal_replacement_does_the_same(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    new = data.draw(texts)
    span, less = minimal(text, Span(start, end), new)
    assert replace_all(text, [(span, less)]) == text[:start] + new + text[end:]
    assert len(less) <= len(new)
    assert start <= span.start <= span.end <= end


@given(texts, st.data())
def test_every_place_of_a_text_is_found(text, data):
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    quote = text[start:end]
    found = find_all(text, quote)
    assert all(span.of(text) == quote for span in found)
    assert (Span(start, end) in found) == bool(quote)


def test_the_text_decides_where_a_quote_is_and_the_number_only_which():
    part = Part(None, "code", "x = 1\n    y = f(x)   \nx = 1\n")
    assert find_quote([part], "x = 1", line=None) == (part, Span(0, 5))
    assert find_quote([part], "x = 1", line=99) == (part, Span(22, 27))
    assert find_quote([part], "y = f(x)\nx = 1", line=1) == (part, Span(10, 27))
    assert find_quote([part], "  y = f(x)", line=1) is not None
    assert find_quote([part], "z = 1", line=1) is None
    assert find_quote([part], "", line=1) is None
    assert find_quote([part], "  \n ", line=1) is None


@given(st.lists(texts, min_size=1, max_size=4), st.text(max_size=12), st.integers(-5, 20))
def test_a_quote_is_found_where_text_is_or_not_at_all(sources, quote, line):
    parts = [Part(str(index), "code", source) for index, source in enumerate(sources)]
    found = find_quote(parts, quote, line=line)
    if found is not None:
        part, span = found
        assert part in parts
        assert span.of(part.source).strip()


def finding(line, category=Category.BUG, source="ruff", rule="F821", fix=None, cell_id=None):
    return Finding(
        category,
        Severity.ERROR,
        "t",
        "e",
        at(line, 1, line, 2, cell_id),
        source,
        1.0 if source != "model" else 0.5,
        rule,
        fix=fix,
    )


def test_a_fault_that_two_sources_found_is_told_once():
    fix = Fix("d", (Edit(at(1, 1), "x"),), verified=True)
    facts = [finding(1), finding(2), finding(9)]
    others = [
        finding(2, source="model", fix=fix),
        finding(10, source="model"),
        finding(5, source="model"),
        finding(9, Category.SECURITY, source="model"),
        finding(9, source="model", cell_id="other"),
    ]
    merged = merge(facts, others)
    assert [item.location.start.line for item in merged] == [1, 2, 9, 5, 9, 9]
    assert [item.id for item in merged[:3]] == [item.id for item in facts]
    assert merged[0].fix == fix or merged[1].fix == fix
    assert len(merge(facts, [])) == 3
    assert same_fault(facts[0], facts[1])


def test_findings_become_json_and_back():
    fix = Fix("d", (Edit(at(1, 1), "x"),), verified=True)
    for one in (finding(1), finding(2, fix=fix, cell_id="c")):
        assert Finding.from_json(one.as_json()) == one


def test_findings_are_told_once_and_in_the_order_of_the_document():
    one, two = finding(3, cell_id="b"), finding(9, cell_id="a")
    assert in_order(unique([one, one, two]), ["a", "b"]) == [two, one]


def test_the_language_follows_from_the_name_or_the_kernel():
    assert language_of_path("a/b.PY") == "python"
    assert language_of_path("a/Makefile") == "text"
    assert language_of_notebook({}) == "python"
    assert language_of_notebook({"kernelspec": {"language": "R"}}) == "r"
    assert language_of_notebook({"language_info": {"name": "ipython"}}) == "python"
    assert language_of_notebook({"language_info": 3, "kernelspec": {"language": ""}}) == "python"


def test_a_snapshot_knows_its_parts():
    notebook = DocumentSnapshot(
        "a.ipynb",
        "python",
        (Part("a", "code", "x = 1"), Part("b", "markdown", "# t")),
        is_notebook=True,
    )
    assert notebook.cell_ids == ["a", "b"]
    assert [part.cell_id for part in notebook.code()] == ["a"]
    assert notebook.text_at(notebook.whole("b")) == "# t"
    assert not notebook.is_blank
    assert notebook.with_source("a", "").part("a").source == ""
    with pytest.raises(NoSuchPlace, match="cell_id"):
        notebook.part(None)
