"""What was found is there for whoever opens the document later."""

from __future__ import annotations

import asyncio
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from sqlalchemy import insert

from jupyter_collab_ai.ai import store
from jupyter_collab_ai.ai.findings import Category, Finding, Severity
from jupyter_collab_ai.ai.following import MOST_KEPT, current_findings, follow_findings
from jupyter_collab_ai.ai.locations import Location, Position
from jupyter_collab_ai.ai.model import ModelSettings
from jupyter_collab_ai.ai.retention import Keeping
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot
from jupyter_collab_ai.ai.store import Kind, State
from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import InvalidRequest, NotFound
from jupyter_collab_ai.ids import DocumentId, SessionId
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.tables import operations
from tests.ai.house import FILE, AiHouse
from tests.rooms.engine import SESSION, person
from tests.rooms.test_shared import _editor
from tests.support.fake_model import FakeModel

#: Three faults, the second with a fix that is verified.
FAULTY = """\
def mean(values, seen=[]):
    seen.append(values)
    return list(sorted(values))


def check(value):
    if value == None:
        return eval(value)
    return value
"""


@pytest.fixture
def no_model(house: AiHouse) -> AiHouse:
    """A house without a model: analyzers alone tell."""
    house.model.settings = ModelSettings(None, None, None)
    return house


async def found(house: AiHouse, *, name: str = "cleo", **more: Any) -> dict[str, Any]:
    """Return the findings as somebody sees them; a viewer unless it is said otherwise."""
    options = {"path": None, "limit": 50, "after": None, **more}
    return await house.operations.findings(person(name), SESSION, **options)


async def edit(house: AiHouse, start: int, end: int, text: str, path: str = FILE) -> None:
    async with house.documents.hold(path) as document:
        await document.edit(
            lambda editor: editor.replace(editor.cells()[0].id, start, end, text),
            user_id=person("ada").user_id,
        )


def lines(answer: dict[str, Any]) -> dict[str, int]:
    return {item["rule"]: item["location"]["start"]["line"] for item in answer["items"]}


def quotes(answer: dict[str, Any], text: str) -> list[str]:
    """Return the text at each place that is told, those of the fixes included."""
    snapshot = DocumentSnapshot.of_text(FILE, text)
    places = [
        place
        for item in answer["items"]
        for place in (
            item["location"],
            *(edit["location"] for edit in (item.get("fix") or {"edits": []})["edits"]),
        )
    ]
    return [snapshot.text_at(Location.from_json(place)) for place in places]


async def test_every_member_sees_what_somebody_found(no_model: AiHouse) -> None:
    no_model.write(FILE, FAULTY)
    report = await no_model.debug(name="ben")
    assert len(report["findings"]) >= 3
    for name in ("ada", "ben", "cleo"):
        answer = await found(no_model, name=name)
        assert answer == {
            "operation_id": report["operation_id"],
            "items": report["findings"],
            "next": None,
        }
    with pytest.raises(NotFound):
        await found(no_model, name="dora")


async def test_operations_on_other_documents_are_not_looked_through(database: Database) -> None:
    if not database.is_sqlite:
        pytest.skip("it is SQLite that knows nothing of how often a value occurs")
    many = 2000
    row = {"session_id": "s", "path": FILE, "user_id": "u", "request": {}, "created_at": utcnow()}
    row |= {"kind": Kind.DEBUGGER.value, "state": State.DONE.value, "finished_at": utcnow()}
    rows = [{**row, "id": f"o{number}", "document_id": f"d{number}"} for number in range(many)]
    await database.write(lambda tx: tx.execute(insert(operations), rows))

    def steps(tx: Tx) -> int:
        driver = tx._connection.connection.dbapi_connection
        assert driver is not None
        counted: list[None] = []
        driver.set_progress_handler(lambda: counted.append(None), 1)
        try:
            assert store.last_review(tx, SessionId("s"), DocumentId("d7"), None) == "o7"
        finally:
            driver.set_progress_handler(None, 1)
        return len(counted)

    assert await database.read(steps) < many


async def test_nobody_has_looked_yet(no_model: AiHouse) -> None:
    no_model.write(FILE, FAULTY)
    assert await found(no_model) == {"operation_id": None, "items": [], "next": None}
    assert no_model.rooms.all() == ()


async def test_a_document_in_which_nothing_was_found_is_not_opened(
    no_model: AiHouse, database: Any, fake: FakeModel
) -> None:
    no_model.write(FILE, "x = 1\n")
    report = await no_model.debug()
    await no_model.close()
    again = AiHouse(database, no_model.root, fake)
    try:
        answer = await found(again)
        assert answer == {"operation_id": report["operation_id"], "items": [], "next": None}
        assert again.rooms.all() == ()
    finally:
        await again.close()


async def test_they_move_with_the_text_and_go_with_it(no_model: AiHouse) -> None:
    no_model.write(FILE, FAULTY)
    await no_model.debug()
    whole = await found(no_model)
    before = lines(whole)
    await edit(no_model, 0, 0, "# Fünf €uro 😀\n\n")
    after = await found(no_model)
    assert lines(after) == {rule: line + 2 for rule, line in before.items()}
    assert quotes(after, await no_model.text()) == quotes(whole, FAULTY)
    at = (await no_model.text()).index("eval")
    await edit(no_model, at, at + 4, "int")
    gone = {rule for rule in before if rule not in lines(await found(no_model))}
    assert gone
    assert gone < set(before)


async def test_a_fix_that_was_applied_takes_its_finding_along(no_model: AiHouse) -> None:
    no_model.write(FILE, FAULTY)
    report = await no_model.debug()
    fixable = next(one for one in report["findings"] if one.get("fix", {}).get("verified"))
    (seen,) = [one for one in (await found(no_model))["items"] if one["id"] == fixable["id"]]
    assert seen["fix"] == fixable["fix"]
    await no_model.operations.apply_fix(person("ben"), seen["id"])
    left = await found(no_model)
    assert fixable["id"] not in {one["id"] for one in left["items"]}
    assert left["items"]


async def test_the_last_report_counts(no_model: AiHouse) -> None:
    no_model.write(FILE, FAULTY)
    first = await no_model.debug()
    second = await no_model.debug()
    answer = await found(no_model)
    assert answer["operation_id"] == second["operation_id"] != first["operation_id"]
    assert [one["id"] for one in answer["items"]] == [one["id"] for one in second["findings"]]
    await edit(no_model, 0, len(FAULTY), "x = 1\n")
    await no_model.debug()
    assert (await found(no_model))["items"] == []


async def test_they_outlive_the_server(no_model: AiHouse, database: Any, fake: FakeModel) -> None:
    no_model.write(FILE, FAULTY)
    report = await no_model.debug()
    await edit(no_model, 0, 0, "\n")
    await no_model.close()
    again = AiHouse(database, no_model.root, fake)
    try:
        answer = await found(again)
        assert [one["id"] for one in answer["items"]] == [one["id"] for one in report["findings"]]
        assert lines(answer) == {
            one["rule"]: one["location"]["start"]["line"] + 1 for one in report["findings"]
        }
    finally:
        await again.close()


async def test_what_is_to_be_forgotten_is_not_told(
    no_model: AiHouse, database: Any, fake: FakeModel
) -> None:
    no_model.write(FILE, FAULTY)
    report = await no_model.debug()
    for keeping, kept in ((Keeping(hours=0.0), False), (Keeping(hours=0.0, all=True), True)):
        other = AiHouse(database, no_model.root, fake, keeping=keeping)
        try:
            answer = await found(other)
            assert bool(answer["items"]) is kept
            assert answer["operation_id"] == (report["operation_id"] if kept else None)
        finally:
            await other.close()


async def test_pages(no_model: AiHouse) -> None:
    no_model.write(FILE, FAULTY)
    report = await no_model.debug()
    ids: list[str] = []
    after = None
    while True:
        answer = await found(no_model, limit=1, after=after)
        ids += [one["id"] for one in answer["items"]]
        after = answer["next"]
        if after is None:
            break
    assert ids == [one["id"] for one in report["findings"]]
    first = await found(no_model, limit=1)
    for wrong in ("x", f"{report['operation_id']}~-1", f"{report['operation_id']}~x", "~1"):
        with pytest.raises(InvalidRequest):
            await found(no_model, after=wrong)
    await no_model.debug()
    with pytest.raises(InvalidRequest, match="begin with the first page"):
        await found(no_model, after=first["next"])


async def test_of_a_folder_a_file_is_named(folder: AiHouse) -> None:
    folder.model.settings = ModelSettings(None, None, None)
    folder.write("p/a.py", FAULTY)
    cells = [new_code_cell("import os\n\ndef f(x=[]):\n    return x", id="one")]
    folder.write("p/b.ipynb", nbformat.writes(new_notebook(cells=cells)))
    await folder.debug(path="a.py")
    await folder.debug(path="b.ipynb")
    assert "B006" in lines(await found(folder, path="a.py"))
    (first, *_) = (await found(folder, path="b.ipynb"))["items"]
    assert first["location"]["cell_id"] == "one"
    assert (await found(folder, path="c.py"))["items"] == []
    for wrong in (None, "../a.py", "/a.py"):
        with pytest.raises(InvalidRequest):
            await found(folder, path=wrong)


async def test_a_file_that_was_deleted_has_none(no_model: AiHouse) -> None:
    no_model.write(FILE, FAULTY)
    await no_model.debug()
    await no_model.rooms.deleted(FILE)
    await asyncio.to_thread((no_model.root / FILE).unlink)
    assert (await found(no_model))["items"] == []


def test_a_finding_about_a_long_text_is_known_by_its_digest() -> None:
    text = "a = [\n" + "    1,\n" * MOST_KEPT + "]\n"
    editor = _editor(text)
    end = Position(text.count("\n"), 2)
    place = Location(Position(1, 1), end, None)
    finding = Finding(Category.BUG, Severity.INFO, "t", "e", place, "s", 1.0)
    snapshot = DocumentSnapshot.of_view(editor)
    _, kept = follow_findings(editor, snapshot, [finding])
    assert len(str(kept)) < 2000
    editor.replace(None, 0, 0, "# more\n")
    (moved,) = current_findings(editor, kept)
    assert moved.location.start == Position(2, 1)
    editor.replace(None, 20, 21, "x")
    assert current_findings(editor, kept) == []
    # One of an older version, which did not say where it is.
    assert current_findings(editor, [{"finding": finding.as_json()}]) == []
