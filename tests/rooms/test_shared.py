"""Server code in a live document: looking, anchoring, changing, taking back."""

from __future__ import annotations

import asyncio
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pycrdt import Array, Doc, Text

from jupyter_collab_ai.errors import StaleDocument
from jupyter_collab_ai.rooms.documents import Kind
from jupyter_collab_ai.rooms.shared import SharedDocuments, SharedEditor
from tests.rooms.engine import House, person, until

AI = person("ada").user_id
#: One, two, three and four bytes in UTF-8; the last takes two units in UTF-16.
TEXTS = st.text(alphabet="aé€😀\n", max_size=12)


def _editor(text: str) -> SharedEditor:
    doc: Doc[Any] = Doc()
    doc.get("source", type=Text).insert(0, text)
    return SharedEditor(doc, Kind.TEXT, "a.py", 1)


@given(TEXTS, st.data())
def test_offsets_are_characters(text: str, data: st.DataObject) -> None:
    editor = _editor(text)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    new = data.draw(TEXTS)
    editor.replace(None, start, end, new)
    assert editor.cells()[0].source == text[:start] + new + text[end:]


@given(TEXTS, st.booleans(), st.data())
def test_an_anchor_moves_with_the_text(text: str, after: bool, data: st.DataObject) -> None:
    editor = _editor(text)
    offset = data.draw(st.integers(0, len(text)))
    anchor = editor.anchor(None, offset, after=after)
    assert editor.locate(anchor) == (None, offset)
    editor.replace(None, 0, 0, "é😀")
    stays = not after and offset == 0
    assert editor.locate(anchor) == (None, 0 if stays else offset + 2)
    end = len(editor.cells()[0].source)
    editor.replace(None, end, end, "€")
    at_end = after and offset == len(text)
    found = editor.locate(anchor)
    assert found == (None, end + 1 if at_end else (0 if stays else offset + 2))


@given(TEXTS.filter(bool), st.booleans(), st.data())
def test_an_anchor_outlives_its_character(text: str, after: bool, data: st.DataObject) -> None:
    editor = _editor(text)
    offset = data.draw(st.integers(0 if after else 1, len(text) - (1 if after else 0)))
    anchor = editor.anchor(None, offset, after=after)
    index = offset if after else offset - 1
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    editor.replace(None, start, end, "")
    gone = end - start if index >= end else 0
    expected = start if start <= index < end else offset - gone
    assert editor.locate(anchor) == (None, expected)
    editor.replace(None, 0, 0, "😀")
    # What comes to stand right where the character was may be before it or after.
    beside = start <= index < end and expected == 0
    assert editor.locate(anchor) in {(None, expected + 1), (None, 0 if beside else expected + 1)}


@given(TEXTS, st.data())
def test_many_places_are_anchored_and_found_as_one_by_one(text: str, data: st.DataObject) -> None:
    editor = _editor(text)
    places = st.tuples(st.none(), st.integers(0, len(text)), st.booleans())
    wanted = data.draw(st.lists(places, max_size=12))
    anchors = editor.anchors(wanted)
    assert anchors == [editor.anchor(None, offset, after=after) for _, offset, after in wanted]
    for _ in range(2):
        length = len(editor.cells()[0].source)
        start = data.draw(st.integers(0, length))
        editor.replace(None, start, data.draw(st.integers(start, length)), data.draw(TEXTS))
    assert editor.locate_all(anchors) == [editor.locate(anchor) for anchor in anchors]


def test_an_offset_beyond_the_text_is_an_error() -> None:
    editor = _editor("abc")
    with pytest.raises(IndexError):
        editor.replace(None, 2, 4, "")
    with pytest.raises(IndexError):
        editor.anchor(None, 4, after=True)
    with pytest.raises(KeyError):
        editor.replace("cell", 0, 0, "")


async def test_an_edit_is_one_update_with_its_number(house: House) -> None:
    house.write("a.py", "def f():\n    pass\n")
    ada = await house.client("ada", "a.py")
    async with SharedDocuments(house.rooms).hold("a.py") as shared:
        before = ada.updates
        seq, found = await shared.edit(_replace("pass", "return 1"), user_id=AI)
        assert found == 13
        assert seq == await shared.look(lambda view: view.seq)
    await until(lambda: str(ada.text) == "def f():\n    return 1\n")
    assert ada.updates == before + 1


def _replace(old: str, new: str) -> Any:
    def change(editor: SharedEditor) -> int:
        source = editor.cells()[0].source
        at = source.find(old)
        if at < 0:
            raise StaleDocument("The text is another one by now.")
        editor.replace(None, at, at + len(old), new)
        return at

    return change


async def test_an_undo_takes_one_edit_back_and_keeps_what_people_wrote_since(
    house: House,
) -> None:
    house.write("a.py", "one two three\n")
    ada = await house.client("ada", "a.py")
    async with SharedDocuments(house.rooms).hold("a.py") as shared:
        seq, _ = await shared.edit(_replace("two", "TWO-AND-MORE"), user_id=AI)
        await until(lambda: "TWO" in str(ada.text))
        # In the middle of what was written, before it and after it.
        await ada.type("[mine]", at=str(ada.text).index("AND"))
        await ada.type("start ", at=0)
        await ada.type("end\n")
        await until(lambda: len(ada.saved) == 4)
        assert await shared.undo(seq, user_id=AI)
        await until(lambda: "TWO" not in str(ada.text))
        assert str(ada.text) in {
            "start one two[mine] three\nend\n",
            "start one [mine]two three\nend\n",
        }
        assert not await shared.undo(seq, user_id=AI), "once"


async def test_an_undo_works_after_a_restart(house: House) -> None:
    house.write("a.py", "one two three\n")
    await house.client("ada", "a.py")
    async with SharedDocuments(house.rooms).hold("a.py") as shared:
        seq, _ = await shared.edit(_replace("two", "2"), user_id=AI)
    await house.restart()
    ada = await house.client("ada", "a.py")
    assert str(ada.text) == "one 2 three\n"
    async with SharedDocuments(house.rooms).hold("a.py") as shared:
        assert await shared.undo(seq, user_id=AI)
    await until(lambda: str(ada.text) == "one two three\n")


async def test_an_undo_of_someone_elses_or_no_update(house: House) -> None:
    house.write("a.py", "x\n")
    await house.client("ada", "a.py")
    async with SharedDocuments(house.rooms).hold("a.py") as shared:
        assert not await shared.undo(999, user_id=AI)


async def test_waits_for_a_change(house: House) -> None:
    house.write("a.py", "x\n")
    ada = await house.client("ada", "a.py")
    async with SharedDocuments(house.rooms).hold("a.py") as shared:
        seq = await shared.look(lambda view: view.seq)
        waiting = asyncio.create_task(shared.changed(seq))
        await ada.type("y")
        assert await asyncio.wait_for(waiting, 5) > seq
        waiting = asyncio.create_task(shared.changed(10_000))
        await asyncio.sleep(0)
        await house.rooms.close_all(within=5)
        with pytest.raises(StaleDocument):
            await asyncio.wait_for(waiting, 5)


async def test_cells_of_a_notebook(house: House) -> None:
    notebook = new_notebook(
        cells=[new_code_cell("a = 1", id="first"), new_markdown_cell("# «T»", id="second")],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    house.write("n.ipynb", nbformat.writes(notebook))
    ada = await house.client("ada", "n.ipynb")
    cells = ada.doc.get("cells", type=Array)
    async with SharedDocuments(house.rooms).hold("n.ipynb") as shared:
        assert await shared.look(
            lambda view: [(one.id, one.type, one.source) for one in view.cells()]
        ) == [("first", "code", "a = 1"), ("second", "markdown", "# «T»")]
        metadata = await shared.look(lambda view: view.metadata)
        assert metadata["kernelspec"]["name"] == "python3"

        def change(editor: SharedEditor) -> bytes:
            editor.replace("second", 3, 4, "Title")
            editor.insert_cell(1, "new", "code", "b = 2")
            return editor.anchor("second", 3, after=True)

        seq, anchor = await shared.edit(change, user_id=AI)
        await until(lambda: len(cells) == 3)
        assert [str(cell["source"]) for cell in cells] == ["a = 1", "b = 2", "# «Title»"]
        assert await shared.look(lambda view: view.locate(anchor)) == ("second", 3)
        cells[1]["source"].insert(0, "# mine\n")
        await ada.flush()
        await until(lambda: len(ada.saved) == 2)
        assert await shared.undo(seq, user_id=AI)
        await until(lambda: str(cells[len(cells) - 1]["source"]) == "# «T»")
        await shared.edit(lambda editor: editor.delete_cell("second"), user_id=AI)
        await until(lambda: all(cell["id"] != "second" for cell in cells))
        assert await shared.look(lambda view: view.locate(anchor)) is None
    await until(lambda: "second" not in house.read("n.ipynb"))


async def test_undoing_a_deleted_cell_brings_it_back(house: House) -> None:
    notebook = new_notebook(cells=[new_code_cell("a = 1", id="one"), new_code_cell("b", id="two")])
    house.write("n.ipynb", nbformat.writes(notebook))
    ada = await house.client("ada", "n.ipynb")
    cells = ada.doc.get("cells", type=Array)
    async with SharedDocuments(house.rooms).hold("n.ipynb") as shared:
        seq, _ = await shared.edit(lambda editor: editor.delete_cell("one"), user_id=AI)
        await until(lambda: len(cells) == 1)
        assert await shared.undo(seq, user_id=AI)
        await until(lambda: len(cells) == 2)
        assert [(cell["id"], str(cell["source"])) for cell in cells] == [
            ("one", "a = 1"),
            ("two", "b"),
        ]
