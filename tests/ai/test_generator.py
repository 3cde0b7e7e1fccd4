"""The generator on live documents: where code goes, what is checked, and what is written."""

from __future__ import annotations

import asyncio
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pycrdt import Array

from jupyter_collab_ai.ai import generating
from jupyter_collab_ai.ai.placing import Mode, Target
from jupyter_collab_ai.errors import (
    DocumentTooLarge,
    InvalidRequest,
    Locked,
    ModelFailed,
    OperationCancelled,
    StaleDocument,
)
from tests.ai.house import AiHouse, at, replace
from tests.rooms.engine import SESSION, person, until
from tests.support import fake_model as say

BASE = "import os\n\n\ndef one(a):\n    return a + 1\n\n\ndef two(b):\n    return b + 2\n"
CODE = "def three(c):\n    return c + 3\n"


def fenced(code: str, language: str = "python") -> str:
    return f"```{language}\n{code}```\n"


def checks_of(made: dict) -> dict[str, bool]:
    return {check["name"]: check["ok"] for check in made["checks"]}


@pytest.mark.parametrize("answer", [CODE, fenced(CODE), f"Here it is:\n\n{fenced(CODE)}\nIt adds."])
async def test_bare_code_and_one_block_are_code(house: AiHouse, answer: str) -> None:
    house.write("a.py", BASE)
    house.fake.reply(say.says(answer))
    made = await house.generate()
    assert (made["applied"], made["code"]) == (True, CODE)
    assert await house.text() == f"{BASE}\n\n{CODE}"
    done = dict.fromkeys(("parses", "imports", "analyzers", "complete"), True)
    assert checks_of(made) == {**done, "runs": False}, "what was not tried is not claimed"
    (runs,) = [check for check in made["checks"] if check["name"] == "runs"]
    # The page knows it from a failure by how it begins.
    assert runs["detail"] == "Not tried: code is not run on this server."
    assert await house.locks() == 0


@pytest.mark.parametrize(
    ("target", "answer", "expected"),
    [
        (None, CODE, f"{BASE}\n\n{CODE}"),
        (Target(Mode.INSERT, at(4, 1)), "x = 1\n", BASE.replace("def one", "x = 1\ndef one")),
        (replace(5, 6), "    return a + 10\n", BASE.replace("a + 1\n", "a + 10\n")),
        (replace(5, 6), "return a + 10\n", BASE.replace("a + 1\n", "a + 10\n")),
        (Target(Mode.REPLACE_DOCUMENT), CODE, CODE),
    ],
)
async def test_where_code_goes(house: AiHouse, target, answer: str, expected: str) -> None:
    house.write("a.py", BASE)
    house.fake.reply(say.says(fenced(answer)))
    assert (await house.generate(target=target))["applied"] is True
    assert await house.text() == expected


async def test_it_is_few_small_edits_and_cursors_stay(house: AiHouse) -> None:
    house.write("a.py", BASE)
    ada = await house.client("ada", "a.py")
    cursor = str(ada.text).index("b + 2")
    anchor = ada.text.sticky_index(cursor)
    house.fake.reply(say.says(fenced(BASE.replace("a + 1", "a + 100"))))
    updates = ada.updates
    made = await house.generate(target=Target(Mode.REPLACE_DOCUMENT))
    await until(lambda: "100" in str(ada.text))
    assert ada.updates == updates + 1, "one change"
    assert made["edits"] == [
        {
            "location": {"start": {"line": 5, "column": 17}, "end": {"line": 5, "column": 17}},
            "new_text": "00",
        }
    ]
    assert str(ada.text)[anchor.get_index() :].startswith("b + 2")


async def test_a_document_that_is_replaced_waits_for_what_people_have(house: AiHouse) -> None:
    house.write("a.py", BASE)
    ada = await house.client("ada", "a.py")
    gate = asyncio.Event()
    house.fake.reply(
        say.waits_for(gate, say.says(fenced(CODE))), say.says(fenced(f"# hers\n{CODE}"))
    )
    running = asyncio.create_task(house.generate(target=Target(Mode.REPLACE_DOCUMENT)))
    await house.fake.asked()
    ada.text.insert(0, "# hers\n")  # typed, and on its way
    gate.set()
    await until(lambda: any(one["type"] == "freeze" for one in ada.raw))
    await ada.flush()
    # The answer came before the write, so the model was asked once more.
    await house.fake.asked(2)
    await until(lambda: sum(one["type"] == "freeze" for one in ada.raw) == 2)
    await ada.flush()
    assert (await running)["applied"] is True
    assert "# hers" in house.fake.seen[1].prompt
    assert await house.text() == f"# hers\n{CODE}"
    assert [one["type"] for one in ada.raw if one["type"] == "thaw"] == ["thaw", "thaw"]


async def test_the_model_is_asked_once_more_and_then_it_is_a_suggestion(house: AiHouse) -> None:
    house.write("a.py", BASE)
    ada = await house.client("ada", "a.py")

    async def meddles(chat: say.Chat) -> None:
        await ada.type("#", at=str(ada.text).index("return a"))
        await until(lambda: house.rooms.all()[0].seq > before)
        await say.says(fenced("    return 7\n"))(chat)

    before = house.rooms.all()[0].seq
    house.fake.reply(meddles)
    made = await house.generate(target=replace(5, 6))
    assert len(house.fake.seen) == 2
    assert (made["applied"], made["reason"]) == (False, "stale_document")
    assert "return 7" not in await house.text()
    assert await house.locks() == 0


async def test_only_some_edits_are_taken(house: AiHouse) -> None:
    house.write("a.py", BASE)
    new = BASE.replace("a + 1", "a + 10").replace("b + 2", "b + 20")
    house.fake.reply(say.says(fenced(new)))
    made = await house.generate(target=Target(Mode.REPLACE_DOCUMENT), apply=False)
    assert len(made["edits"]) == 2
    ben, identity = person("ben"), made["operation_id"]
    for wrong in ([2], [0, 5]):
        with pytest.raises(InvalidRequest):
            await house.operations.apply(ben, identity, wrong)
    applied = await house.operations.apply(ben, identity, [1])
    assert applied["applied"] is True
    assert len(applied["edits"]) == 1
    assert await house.text() == BASE.replace("b + 2", "b + 20")
    await house.operations.undo(ben, identity)
    assert await house.text() == BASE


async def test_of_many_requests_one_writes_a_suggestion_and_one_takes_it_back(
    house: AiHouse,
) -> None:
    house.write("a.py", BASE)
    house.fake.reply(say.says(fenced(CODE)))
    identity = (await house.generate(apply=False))["operation_id"]
    for call, left in ((house.operations.apply, 1), (house.operations.undo, 0)):
        asked = [call(person("ben"), identity) for _ in range(6)]
        done = await asyncio.gather(*asked, return_exceptions=True)
        assert [one["applied"] for one in done if isinstance(one, dict)] == [bool(left)]
        assert all(isinstance(one, dict | StaleDocument | Locked) for one in done), done
        assert (await house.text()).count("three") == left


async def test_undo_keeps_what_people_wrote_since(house: AiHouse) -> None:
    house.write("a.py", BASE)
    ada = await house.client("ada", "a.py")
    house.fake.reply(say.says(fenced(CODE)))
    made = await house.generate()
    await until(lambda: "three" in str(ada.text))
    await ada.type("# mine\n", at=0)
    await until(lambda: ada.saved)
    undone = await house.operations.undo(person("ben"), made["operation_id"])
    assert undone["applied"] is False
    await until(lambda: "three" not in str(ada.text))
    assert str(ada.text) == f"# mine\n{BASE}"
    with pytest.raises(StaleDocument):
        await house.operations.undo(person("ben"), made["operation_id"])


async def test_what_an_edit_in_flight_tears_is_taken_back(house: AiHouse) -> None:
    base = "def one(a):\n    x = a + 1\n    return x\n"
    house.write("a.py", base)
    ada = await house.client("ada", "a.py")
    deeper = "    if a:\n        x = a + 1\n        return x\n"
    house.fake.reply(say.says(fenced(deeper)))
    # Typed before she sees what is written, and sent after: a line between the two.
    ada.text.insert(str(ada.text).index("    return x"), "    b = 1\n")
    made = await house.generate(target=replace(2, 4))
    assert made["applied"] is True
    await ada.flush()
    await until(lambda: "if a:" not in str(ada.text), within=6)
    await house.quiet()
    assert str(ada.text) == base.replace("    return x", "    b = 1\n    return x")
    told = await house.operations.get(person("ben"), made["operation_id"])
    assert (told["result"]["applied"], told["result"]["reason"]) == (False, "stale_document")
    assert ("preview", "taken_back") in [
        (type_, data.get("state")) for type_, data in house.events.published
    ]


@pytest.mark.parametrize("where", [None, "below"])
async def test_what_is_half_typed_takes_nothing_back(house: AiHouse, where: str | None) -> None:
    """It was right below what was written, and does not parse without that either."""
    house.write("a.py", BASE)
    ada = await house.client("ada", "a.py")
    house.fake.reply(say.says(fenced("print('ai')\n")))
    target = None if where is None else Target(Mode.INSERT, at(4, 1))
    made = await house.generate(target=target)
    await until(lambda: "print('ai')" in str(ada.text))
    after = str(ada.text).index("print('ai')\n") + len("print('ai')\n")
    await ada.type("\nfor i in range(", at=after)
    await house.quiet()
    told = await house.operations.get(person("ben"), made["operation_id"])
    assert (told["result"]["applied"], told["result"]["reason"]) == (True, None)
    assert "print('ai')\n\nfor i in range(" in await house.text()


async def test_nothing_is_taken_back_where_another_operation_writes(house: AiHouse) -> None:
    house.write("a.py", BASE)
    house.fake.reply(say.says(fenced("    return a + 10\n")))
    made = await house.generate(target=replace(5, 6))
    gate = asyncio.Event()
    house.fake.reply(say.waits_for(gate, say.says(fenced("    return a + 100\n"))))
    running = asyncio.create_task(house.generate(name="ada", target=replace(5, 6)))
    await house.fake.asked(2)
    with pytest.raises(Locked) as refused:
        await house.operations.undo(person("ben"), made["operation_id"])
    assert refused.value.extra["lock"]["holder"]["username"] == "ada"
    assert "a + 10\n" in await house.text()
    gate.set()
    assert (await running)["applied"] is True
    assert "a + 100\n" in await house.text()
    assert await house.locks() == 0


async def test_taking_back_needs_only_its_own_place(house: AiHouse) -> None:
    house.write("a.py", BASE)
    house.fake.reply(say.says(fenced("    return a + 10\n")))
    made = await house.generate(target=replace(5, 6))
    gate = asyncio.Event()
    house.fake.reply(say.waits_for(gate, say.says(fenced(CODE))))
    running = asyncio.create_task(house.generate(name="ada"))
    await house.fake.asked(2)
    undone = await house.operations.undo(person("ben"), made["operation_id"])
    assert undone["applied"] is False
    assert await house.text() == BASE
    gate.set()
    assert (await running)["applied"] is True
    assert await house.text() == f"{BASE}\n\n{CODE}"


async def test_what_is_torn_waits_for_its_turn_to_be_taken_back(
    house: AiHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generating, "PATIENCE", 0.05)
    base = "def one(a):\n    x = a + 1\n    return x\n"
    house.write("a.py", base)
    ada = await house.client("ada", "a.py")
    deeper = "    if a:\n        x = a + 1\n        return x\n"
    house.fake.reply(say.says(fenced(deeper)))
    ada.text.insert(str(ada.text).index("    return x"), "    b = 1\n")
    assert (await house.generate(target=replace(2, 4)))["applied"] is True
    await ada.flush()
    gate = asyncio.Event()
    house.fake.reply(say.waits_for(gate, say.says(fenced(CODE))))
    running = asyncio.create_task(house.generate(name="ada", target=Target(Mode.REPLACE_DOCUMENT)))
    await house.fake.asked(2)
    tried: list[str] = []
    take_back = house.operations._generating._take_back

    async def counted(*args: Any, **more: Any) -> Any:
        tried.append(await house.text())
        return await take_back(*args, **more)

    monkeypatch.setattr(house.operations._generating, "_take_back", counted)
    await until(lambda: len(tried) > 1, within=10)
    assert "if a:" in tried[0]
    assert tried[0] == tried[1], "nothing was written under somebody else's lock"
    (lock,) = await house.operations.locks(person("ada"), SESSION)
    await house.operations.cancel(person("ada"), lock["operation"])
    with pytest.raises(OperationCancelled):
        await running
    await until(lambda: "if a:" not in str(ada.text), within=6)
    assert str(ada.text) == base.replace("    return x", "    b = 1\n    return x")
    assert await house.locks() == 0


async def test_what_others_type_elsewhere_takes_nothing_back(house: AiHouse) -> None:
    house.write("a.py", BASE)
    ada = await house.client("ada", "a.py")
    house.fake.reply(say.says(fenced("    return a + 10\n")))
    ada.text.insert(len(str(ada.text)), "x = (\n")  # does not parse, and is hers alone
    made = await house.generate(target=replace(5, 6))
    await ada.flush()
    await house.quiet()
    told = await house.operations.get(person("ben"), made["operation_id"])
    assert told["result"]["applied"] is True
    assert "a + 10" in await house.text()


# ---------------------------------------------------------------- what is checked


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("def f(:\n", "does not parse"),
        ("def f():\n    return undefined_name\n", "new faults"),
        ("import no_such_module_at_all\n", "no_such_module_at_all"),
        ("def f():\n    # ... rest of the code ...\n    pass\n", "left out"),
    ],
)
async def test_what_is_wrong_is_repaired_once(house: AiHouse, bad: str, words: str) -> None:
    house.write("a.py", BASE)
    house.fake.reply(say.says(fenced(bad)), say.says(fenced(CODE)))
    made = await house.generate()
    assert words in house.fake.seen[1].body["messages"][-1]["content"]
    assert len(house.fake.seen) == 2
    assert (made["applied"], made["code"]) == (True, CODE)


@pytest.mark.parametrize(
    ("bad", "check", "applied"),
    [
        ("def f(:\n", "parses", False),
        ("def f():\n    return undefined_name\n", "analyzers", True),
        ("import no_such_module_at_all\n", "imports", True),
        ("def f():\n    # your code here\n    pass\n", "complete", False),
    ],
)
async def test_what_stays_wrong_is_said(
    house: AiHouse, bad: str, check: str, applied: bool
) -> None:
    house.write("a.py", BASE)
    house.fake.reply(say.says(fenced(bad)))
    made = await house.generate()
    assert len(house.fake.seen) == 2, "repaired once, not more"
    assert checks_of(made)[check] is False
    assert made["applied"] is applied
    assert made["reason"] == (None if applied else "checks_failed")
    assert (await house.text() == BASE) is not applied


async def test_a_module_that_was_asked_for_by_name_is_left_alone(house: AiHouse) -> None:
    house.write("a.py", BASE)
    house.fake.reply(say.says(fenced("import no_such_module_at_all\n")))
    made = await house.generate("Use no_such_module_at_all.")
    assert len(house.fake.seen) == 1
    assert checks_of(made)["imports"] is False


async def test_prose_is_no_code(house: AiHouse) -> None:
    house.write("a.py", BASE)
    house.fake.reply(say.says("I would rather talk about the weather."))
    with pytest.raises(ModelFailed):
        await house.generate()
    assert await house.text() == BASE
    assert await house.locks() == 0


# ---------------------------------------------------------------- context


async def test_other_files_are_shown_as_they_are_now(folder: AiHouse) -> None:
    folder.write("p/a.py", BASE)
    folder.write("p/helper.py", "def help_me():\n    return 1\n")
    ada = await folder.client("ada", "p/helper.py")
    await ada.type("# not saved yet\n", at=0)
    await until(lambda: ada.saved)
    folder.fake.reply(say.says(fenced("import helper\n\nhelper.help_me()\n")))
    made = await folder.generate(path="a.py", files=("helper.py",), context="Be short.")
    prompt = folder.fake.seen[0].prompt
    assert "# not saved yet\ndef help_me" in prompt
    assert "Be short." in prompt
    assert checks_of(made)["imports"] is True, "it lies beside the document"


async def test_which_files_can_be_shown(folder: AiHouse) -> None:
    folder.write("p/a.py", BASE)
    folder.write("secret.py", "x = 1\n")
    for names in (("none.py",), ("../secret.py",), ("/etc/passwd",), (".hidden",)):
        with pytest.raises(InvalidRequest):
            await folder.generate(path="a.py", files=names)
    folder.write("p/large.py", "#" * 120_000)
    with pytest.raises(DocumentTooLarge):
        await folder.generate(path="a.py", files=("large.py",))
    assert folder.fake.seen == []


async def test_a_file_that_is_shared_alone_has_no_others(house: AiHouse) -> None:
    house.write("a.py", BASE)
    house.write("helper.py", "x = 1\n")
    with pytest.raises(InvalidRequest):
        await house.generate(files=("helper.py",))
    house.fake.reply(say.says(fenced("import helper\n")))
    assert checks_of(await house.generate())["imports"] is False, "nothing is told of it"


# ---------------------------------------------------------------- notebooks


@pytest.fixture
async def notebook(folder: AiHouse) -> AiHouse:
    cells = [
        new_code_cell("a = 1", id="one", outputs=[new_output("stream", name="stdout", text="1")]),
        new_markdown_cell("# Title", id="two"),
        new_code_cell("b = a + 1\nc = b", id="three", execution_count=7),
    ]
    folder.write("p/n.ipynb", nbformat.writes(new_notebook(cells=cells)))
    return folder


def cells_of(client) -> list[tuple[str, str]]:
    return [(str(cell["id"]), str(cell["source"])) for cell in client.doc.get("cells", type=Array)]


async def test_a_new_cell_comes_after_the_one_that_was_named(notebook: AiHouse) -> None:
    ada = await notebook.client("ada", "p/n.ipynb")
    notebook.fake.reply(say.says(fenced("d = a\n")))
    target = Target(Mode.NEW_CELL, at(1, 1, cell_id="one"))
    assert (await notebook.generate(path="n.ipynb", target=target))["applied"] is True
    await until(lambda: len(cells_of(ada)) == 4)
    assert [source for _, source in cells_of(ada)] == [
        "a = 1",
        "d = a",
        "# Title",
        "b = a + 1\nc = b",
    ]


async def test_a_replaced_notebook_keeps_ids_and_outputs(notebook: AiHouse) -> None:
    ada = await notebook.client("ada", "p/n.ipynb")
    answer = "# %%\na = 1\n# %% [markdown]\n# # Other\n# %%\nb = a + 2\nc = b\n"
    notebook.fake.reply(say.says(fenced(answer)))
    made = await notebook.generate(path="n.ipynb", target=Target(Mode.REPLACE_DOCUMENT))
    assert made["applied"] is True
    await until(lambda: ("three", "b = a + 2\nc = b") in cells_of(ada))
    assert cells_of(ada) == [("one", "a = 1"), ("two", "# Other"), ("three", "b = a + 2\nc = b")]
    first, _, last = ada.doc.get("cells", type=Array)
    assert first["outputs"].to_py()[0]["text"] in ("1", ["1"])
    assert last["execution_count"] == 7


async def test_people_are_told_of_a_lock_before_the_model_is_asked(
    house: AiHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page drops what it hears of a lock that it does not know: the first of a text was lost."""
    house.write("a.py", BASE)
    house.fake.reply(say.says(fenced(CODE)))
    told = house.board._tell
    asked: list[int] = []

    async def slowly(lock_id: str) -> None:
        for _ in range(100):
            await house.database.read(lambda tx: tx.now())
        asked.append(len(house.fake.seen))
        await told(lock_id)

    monkeypatch.setattr(house.board, "_tell", slowly)
    await house.generate()
    assert asked[0] == 0
    heard = [type_ for type_, _ in house.events.published]
    assert heard.index("lock") < heard.index("preview")
