"""What AI edits of other tools get wrong (A1 to A7 of the list of upstream failures)."""

from __future__ import annotations

import asyncio
import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from pycrdt import Array
from sqlalchemy import select

from jupyter_collab_ai.ai.placing import Mode, Target
from jupyter_collab_ai.storage.tables import document_updates
from tests.ai.house import AiHouse, at, replace
from tests.rooms.engine import SESSION, until
from tests.support import fake_model as say

BASE = "def one(a):\n    return a + 1\n\n\ndef two(b):\n    return b + 2\n"


def fenced(code: str) -> str:
    return f"```python\n{code}```\n"


@pytest.mark.parametrize("where", ["b + 2", "a + 1", "def one"])
async def test_a1_what_is_typed_while_all_is_rewritten_stays(house: AiHouse, where: str) -> None:
    """Others clear the whole file and write it anew: what was typed meanwhile is gone."""
    house.write("a.py", BASE)
    ada = await house.client("ada", "a.py")
    house.fake.reply(say.says(fenced(BASE.replace("a + 1", "a * 10").replace("two", "second"))))
    running = asyncio.create_task(house.generate(target=Target(Mode.REPLACE_DOCUMENT)))
    await house.fake.asked()
    # On its way at the commit: this client answers nothing before it is written.
    ada.text.insert(str(ada.text).index(where), "# hers\n" if where == "def one" else "0 or ")
    await running
    await ada.flush()
    await house.quiet()
    text = await house.text()
    assert ("# hers\n" if where == "def one" else "0 or ") in text
    compile(text, "a.py", "exec")


async def test_a2_an_insert_meanwhile_garbles_nothing(house: AiHouse) -> None:
    """Others write slowly at fixed offsets: one insert garbles all, and success is reported."""
    house.write("a.py", BASE)
    ada = await house.client("ada", "a.py")
    gate = asyncio.Event()
    house.fake.reply(say.waits_for(gate, say.says(fenced("def three():\n    return 3\n"))))
    running = asyncio.create_task(house.generate(target=Target(Mode.INSERT, at(5, 1))))
    await house.fake.asked()
    await ada.type("# above\n", at=0)
    await until(lambda: ada.saved)
    before = ada.updates
    gate.set()
    assert (await running)["applied"] is True
    expected = "# above\n" + BASE.replace("def two", "def three():\n    return 3\ndef two")
    await until(lambda: str(ada.text) == expected)
    assert ada.updates == before + 1, "nobody ever saw a part of it"


@pytest.fixture
async def notebook(folder: AiHouse) -> AiHouse:
    output = new_output("stream", name="stdout", text="1")
    cells = [
        new_code_cell("a = 1", id="one", outputs=[output], execution_count=3),
        new_code_cell("b = a + 1", id="two", outputs=[output], execution_count=4),
    ]
    folder.write("p/n.ipynb", nbformat.writes(new_notebook(cells=cells)))
    return folder


async def test_a3_a_cell_that_is_rewritten_is_the_same_cell(notebook: AiHouse) -> None:
    """Others delete the cell and make a new one: its id, its outputs and cursors are lost."""
    ada = await notebook.client("ada", "p/n.ipynb")
    cells = ada.doc.get("cells", type=Array)
    cursor = cells[1]["source"].sticky_index(4)
    notebook.fake.reply(say.says(fenced("b = a + 100\n")))
    target = Target(Mode.REPLACE, at(1, 1, 1, 10, cell_id="two"))
    assert (await notebook.generate(path="n.ipynb", target=target))["applied"] is True
    await until(lambda: "100" in str(cells[1]["source"]))
    assert [(cell["id"], cell["execution_count"]) for cell in cells] == [("one", 3), ("two", 4)]
    assert len(cells[1]["outputs"]) == 1
    assert str(cells[1]["source"])[cursor.get_index() :].startswith("a + 100")


async def test_a4_a_cell_is_found_by_its_id(notebook: AiHouse) -> None:
    """Others count cells: after an insert above, the wrong cell is edited."""
    ada = await notebook.client("ada", "p/n.ipynb")
    cells = ada.doc.get("cells", type=Array)
    gate = asyncio.Event()
    notebook.fake.reply(say.waits_for(gate, say.says(fenced("b = a + 7\n"))))
    target = Target(Mode.REPLACE, at(1, 1, 1, 10, cell_id="two"))
    running = asyncio.create_task(notebook.generate(path="n.ipynb", target=target))
    await notebook.fake.asked()
    async with notebook.documents.hold("p/n.ipynb") as document:
        for number in range(2):
            await document.edit(
                lambda editor, number=number: editor.insert_cell(0, f"new{number}", "code", "x"),
                user_id=ada.connection.principal.user_id,
            )
    gate.set()
    assert (await running)["applied"] is True
    await until(lambda: len(cells) == 4 and "7" in str(cells[3]["source"]))
    assert [str(cell["source"]) for cell in cells] == ["x", "x", "a = 1", "b = a + 7"]


async def test_a5_nothing_is_written_to_the_file_behind_the_room(house: AiHouse) -> None:
    """Others write the file on disk, under an open room, which then loads it over the people."""
    house.write("a.py", BASE)
    ada = await house.client("ada", "a.py")
    house.fake.reply(say.says(fenced("def three():\n    return 3\n")))
    await house.generate()
    await until(lambda: "three" in str(ada.text))
    await until(lambda: house.read("a.py") == str(ada.text), within=20)
    origins = await house.database.read(
        lambda tx: tx.execute(select(document_updates.c.origin)).scalars().all()
    )
    assert set(origins) <= {"load", "ai", "client", "server"}, "nothing came from the disk"


async def test_a6_each_operation_is_shown_for_itself(house: AiHouse) -> None:
    """Others show all agents in one presence slot of the server."""
    house.write("a.py", BASE)
    await house.client("ada", "a.py")
    gate = asyncio.Event()
    house.fake.reply(say.waits_for(gate, say.says(fenced("    return 5\n"))))
    one = asyncio.create_task(house.generate(name="ada", target=replace(2, 3)))
    other = asyncio.create_task(house.generate(name="ben", target=replace(6, 7)))
    await house.fake.asked(2)
    locks = await house.board.of_session(SESSION)
    assert {(lock["holder"]["username"], lock["location"]["start"]["line"]) for lock in locks} == {
        ("ada", 2),
        ("ben", 6),
    }
    assert len({lock["operation"] for lock in locks}) == 2
    gate.set()
    assert [(await task)["applied"] for task in (one, other)] == [True, True]
    assert await house.text() == BASE.replace("a + 1", "5").replace("b + 2", "5")


async def test_a7_lines_and_fixes_of_a_model_are_not_believed(house: AiHouse) -> None:
    """Others offer what the model says: wrong lines, fixes that break the code, JSON in code."""
    text = (
        "def find(items, key):\n"
        "    for item in items:\n"
        "        if item == key:\n"
        "            return item\n"
        "    return item\n"
    )
    house.write("a.py", text)

    def finding(line: int, quote: str, search: str, new: str) -> dict:
        return {
            "category": "bug",
            "severity": "error",
            "title": f"About {quote.strip()}",
            "explanation": "It is wrong.",
            "line": line,
            "quote": quote,
            "confidence": 1.0,
            "fix": {"description": "Mend it", "search": search, "replace": new},
        }

    findings = [
        finding(900, "    return item\n", "    return item\n", "    return (\n"),
        finding(1, "no such text", "no such text", "x"),
        finding(3, "if item == key:", "if item == key:", "if item == key"),
        finding(2, "for item in items:", "item", "x"),
    ]
    house.fake.reply(say.says(json.dumps({"summary": "s", "findings": findings})))
    report = await house.debug()
    lines = text.split("\n")
    told = [one for one in report["findings"] if one["source"] == "model"]
    assert {one["title"] for one in told} <= {
        "About return item",
        "About if item == key:",
        "About for item in items:",
    }
    for one in told:
        place = one["location"]["start"]
        quoted = one["title"].removeprefix("About ")
        assert lines[place["line"] - 1][place["column"] - 1 :].startswith(quoted)
        assert not one.get("fix") or one["fix"]["verified"] is False, "none of them parses"
    assert await house.text() == text
