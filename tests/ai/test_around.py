"""A text is found again where it is for certain, or it counts as gone; nothing is torn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_collab_ai.ai.around import Around
from jupyter_collab_ai.ai.locations import Span
from jupyter_collab_ai.ai.placing import (
    Mode,
    Moved,
    NothingToDo,
    Place,
    Target,
    find_place,
    found_again,
    scope_now,
    work_out,
)
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot
from jupyter_collab_ai.errors import StaleDocument
from jupyter_collab_ai.locks.scopes import Scope, covers
from tests.ai.house import FILE, AiHouse
from tests.rooms.engine import person
from tests.rooms.test_shared import _editor
from tests.support import fake_model as say

PRICE = "TIMEOUT = 10.25\n\ndef price(x):\n    return x * 0.2\n"
NAMES = "generated = 1\n\ndef price(x, rate, Rate):\n    return x * rate\n"
OPEN = "def price(x):\n    return x * 0.2\n\n\nprint(price(1))\n"

lines = st.sampled_from(["a = 1", "b = a", "a", "", "  a", "1", "10.25", "def a():"])
texts = st.lists(lines, max_size=8).map("\n".join)


async def change(house: AiHouse, start: int, end: int, text: str) -> None:
    async with house.documents.hold(FILE) as document:
        await document.edit(
            lambda editor: editor.replace(None, start, end, text), user_id=person("ada").user_id
        )


def place_of(text: str, piece: str) -> Target:
    location = DocumentSnapshot.of_text(FILE, text).location(
        None, Span(text.rindex(piece), text.rindex(piece) + len(piece))
    )
    return Target(Mode.REPLACE, location)


@pytest.mark.parametrize(
    ("text", "piece", "typed_over", "typed"),
    [
        (PRICE, "0.2", "0.2", "0.3"),
        (PRICE, "0.2", "0", "1"),
        (PRICE, "0.2", "", "1"),
        (NAMES, "rate", "rate", "vat"),
        (NAMES, "rate", "r", "R"),
        (NAMES, "    return x * rate\n", "    return x * rate\n", "    return x\n"),
        (NAMES, "    return x * rate\n", "", "  #"),
    ],
)
@pytest.mark.parametrize("kept", [False, True])
async def test_what_is_typed_over_is_not_sought_in_other_words(
    house: AiHouse, text: str, piece: str, typed_over: str, typed: str, kept: bool
) -> None:
    house.write(FILE, text)
    code = "    return tax_rate\n" if piece.endswith("\n") else "tax_rate"
    start = text.rindex(piece)
    # As JupyterLab does it where a selection is typed over.
    typing = (start, start + len(typed_over), typed)
    after = text[:start] + typed + text[start + len(typed_over) :]
    if kept:
        house.fake.reply(say.says(f"```python\n{code}\n```"))
        made = await house.generate(target=place_of(text, piece), apply=False)
        await change(house, *typing)
        with pytest.raises(StaleDocument):
            await house.operations.apply(person("ben"), made["operation_id"])
    else:
        gate = asyncio.Event()
        house.fake.reply(say.waits_for(gate, say.says(f"```python\n{code}\n```")))
        running = asyncio.create_task(house.generate(target=place_of(text, piece)))
        await house.fake.asked()
        await change(house, *typing)
        gate.set()
        made = await running
        if made["applied"]:
            # A part was typed over: the model was asked once more, with all of it.
            assert len(house.fake.seen) > 2
            after = text[:start] + code + text[start + len(piece) :]
        else:
            assert made["reason"] == "stale_document"
    assert await house.text() == after


async def test_a_kept_result_is_found_again_with_the_lines_around(house: AiHouse) -> None:
    house.write(FILE, PRICE)
    house.fake.reply(say.says("```python\ntax_rate\n```"))
    made = await house.generate(target=place_of(PRICE, "0.2"), apply=False)
    await change(house, 0, len(PRICE), f"import os\n{PRICE}")  # as where all is written anew
    done = await house.operations.apply(person("ben"), made["operation_id"])
    assert done["applied"] is True
    assert await house.text() == "import os\n" + PRICE.replace("0.2\n", "tax_rate\n")
    assert done["edits"][0]["location"]["start"]["line"] == 5


async def test_what_was_found_again_is_looked_at_once_more(house: AiHouse) -> None:
    house.write(FILE, OPEN)
    house.fake.reply(say.says('```python\n0.2 """\n```'))
    made = await house.generate(target=place_of(OPEN, "0.2"), apply=False)
    assert made["applied"] is False
    await change(house, 0, len(OPEN), OPEN)
    with pytest.raises(StaleDocument):
        await house.operations.apply(person("ben"), made["operation_id"])
    assert await house.text() == OPEN


@pytest.mark.parametrize("new", ["    return 2\n", "    return mylist(sorted(value))\n", ""])
async def test_a_fix_is_written_on_its_own_lines_alone(house: AiHouse, new: str) -> None:
    old = "    return list(sorted(value))\n"
    text = (
        f"def check(value):\n{old}\n\n"
        f"def other(value):\n    if value:\n    {old}    return []\n\n\n"
        "TEXT = 'list(sorted(value))'\n"
    )
    house.write(FILE, text)
    house.fake.reply(say.says_json({"summary": "s", "findings": [], "assessments": []}))
    report = await house.debug()
    found = next(one for one in report["findings"] if one["rule"] == "C413")
    assert found["location"]["start"]["line"] == 2
    start = text.index(old)
    await change(house, start, start + len(old), new)
    before = await house.text()
    with pytest.raises(StaleDocument):
        await house.operations.apply_fix(person("ben"), found["id"])
    assert await house.text() == before
    # It is there again, in new characters.
    await change(house, start, start + len(new), old)
    assert await house.text() == text
    await house.operations.apply_fix(person("ben"), found["id"])
    assert await house.text() == text.replace("list(sorted(value))", "sorted(value)", 1)


# ---------------------------------------------------------------- pure


@given(texts, st.data())
def test_a_piece_is_where_it_was_if_nothing_has_changed(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    span = Span(start, data.draw(st.integers(start, len(text))))
    around = Around.of(text, span)
    assert around.find(text, span.of(text)) in (span, None)
    assert (around.find(text, span.of(text)) is not None) == around.certain
    assert around.is_beside(text, span)
    assert not around.is_cut(text, span)
    assert around.is_on(text, span)
    assert Around.from_json(around.as_json()) == around


@given(texts, texts, st.data())
def test_a_piece_is_found_by_whole_lines_only(text: str, other: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    span = Span(start, data.draw(st.integers(start, len(text))))
    around = Around.of(text, span)
    piece = span.of(text)
    found = around.find(other, piece)
    if found is None:
        return
    whole = f"{around.before}{piece}{around.after}".split("\n")
    there = other.split("\n")
    runs = [row for row in range(len(there)) if there[row : row + len(whole)] == whole]
    assert len(runs) == 1
    assert found.of(other) == piece


def test_the_same_lines_elsewhere_are_not_the_same() -> None:
    twice = "def f():\n    return 1\n\n\ndef f():\n    return 1\n"
    span = Span(twice.index("1"), twice.index("1") + 1)
    assert not Around.of(f"a\n{twice}" * 3, Span(span.start + 25, span.end + 25)).certain
    around = Around.of(twice, span)
    assert around.find("def f():\n    return 1\n", "1") is None, "its lines below are gone"
    long = "x = 1\n" + "y" * 5000 + "\n"
    assert Around.of(long, Span(4, 5)).certain is False


@given(texts, texts, st.data())
def test_code_never_becomes_a_part_of_a_word(text: str, typed: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    mode = Mode.INSERT if start == end else Mode.REPLACE
    editor = _editor(text)
    snapshot = DocumentSnapshot.of_view(editor)
    target = Target(mode, snapshot.location(None, Span(start, end)))
    place = find_place(editor, snapshot, target)
    first = data.draw(st.integers(0, len(text)))
    last = data.draw(st.integers(first, len(text)))
    editor.replace(None, first, last, typed)
    now = editor.cells()[0].source
    try:
        found = found_again(editor, place)
        change_ = work_out(editor, found, "zz", "python")
    except (Moved, NothingToDo):
        return
    scope = scope_now(editor, found)
    ((_, pieces),) = change_.replaced
    for span, _ in pieces:
        assert covers(scope, Scope.range(None, span.start, span.end)), "it is what is leased"
    assert now[scope.start : scope.end] == place.expected
    outside = [(text[start - 1 : start], now[: scope.start][-1:])]
    outside.append((text[end : end + 1], now[scope.end :][:1]))
    on_own_line = mode is Mode.INSERT and not now[: scope.start].rpartition("\n")[2].strip()
    ends_line = place.expected.endswith("\n")
    for number, (then, there) in enumerate(outside):
        if (
            on_own_line
            or (number == 1 and ends_line)
            or (place.expected[:1] == "\n" and not number)
        ):
            continue
        assert there == then or not there.strip()


def test_places_that_were_kept_by_an_older_version_can_be_read() -> None:
    editor = _editor(PRICE)
    snapshot = DocumentSnapshot.of_view(editor)
    place = find_place(editor, snapshot, place_of(PRICE, "0.2"))
    data: dict[str, Any] = place.as_json()
    assert Place.from_json(data) == place
    del data["around"]
    old = Place.from_json(data)
    assert work_out(editor, old, "tax", "python").edits
    editor.replace(None, 0, len(PRICE), PRICE)
    with pytest.raises(Moved):
        found_again(editor, old)
