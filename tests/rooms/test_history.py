"""People see what was done to a document, name moments of it and go back to them."""

from __future__ import annotations

import asyncio
import gc
import json
import tracemalloc
from datetime import timedelta
from typing import Any

import pytest
from pycrdt import Array, Doc, Map, Text
from sqlalchemy import select

from jupyter_collab_ai.errors import Locked, NotFound, RoleRequired, StaleDocument
from jupyter_collab_ai.rooms.content import make_cell
from jupyter_collab_ai.rooms.log import Origin
from jupyter_collab_ai.rooms.ystore import Backing, LogYStore
from jupyter_collab_ai.storage.tables import activity
from tests.rooms.engine import SESSION, VIEWER, Client, House, person, until
from tests.rooms.past import Desk, names


async def written(house: House, *turns: tuple[str, str], path: str = "a.py") -> dict[str, Client]:
    """Let people type at the end, in turns."""
    clients: dict[str, Client] = {}
    for name, text in turns:
        if name not in clients:
            clients[name] = await house.client(name, path)
        await clients[name].type(text)
        await until(lambda name=name: clients[name].saved, "the edit to be recorded")
        seen = clients[name].text
        for other in clients.values():
            await until(lambda other=other, seen=seen: str(other.text) == str(seen))
    return clients


async def saved(house: House, path: str = "a.py") -> None:
    """Wait until the file has everything."""
    async with house.rooms.hold(path) as room:
        await house.rooms.save(room)
        await room.settle(5)


# ---------------------------------------------------------------- what was done


async def test_a_document_that_nobody_has_opened_has_its_first_version(house: House) -> None:
    house.write("a.py", "print(1)\n")
    desk = Desk(house)
    (first,) = await desk.items()
    assert first["origin"] == "load" and first["authors"] == []
    assert (first["added"], first["removed"]) == (9, 0)
    assert await desk.content(first["version"]) == "print(1)\n"


async def test_each_author_has_a_span(house: House) -> None:
    house.write("a.py", "zero\n")
    desk = Desk(house)
    await written(house, ("alice", "one\n"), ("alice", "more\n"), ("bob", "two😀\n"))
    await saved(house)
    newest, before, first = await desk.items()
    assert [names(item) for item in (newest, before, first)] == [["bob"], ["alice"], []]
    assert (before["added"], newest["added"], newest["removed"]) == (9, 5, 0)
    assert await desk.content(newest["version"]) == "zero\none\nmore\ntwo😀\n"
    assert await desk.content(before["version"]) == "zero\none\nmore\n"
    assert await desk.content("current") == "zero\none\nmore\ntwo😀\n"


async def test_people_who_type_together_share_a_span(house: House) -> None:
    house.write("a.py", "")
    desk = Desk(house)
    await written(house, *[("alice", "a"), ("bob", "b")] * 5)
    newest, _ = await desk.items()
    assert sorted(names(newest)) == ["alice", "bob"]
    assert newest["added"] == 10


async def test_a_pause_begins_a_new_span(house: House) -> None:
    house.write("a.py", "")
    desk = Desk(house)
    await written(house, ("alice", "early "))
    await desk.age(timedelta(minutes=6))
    await written(house, ("alice", "late"))
    newest, before, _ = await desk.items()
    assert names(newest) == names(before) == ["alice"]
    assert await desk.content(before["version"]) == "early "


async def test_what_the_server_and_pages_note_for_themselves_is_no_change(house: House) -> None:
    house.write("a.py", "text")
    desk = Desk(house)
    alice = await house.client("alice", "a.py")
    alice.state["document_id"] = "json:notebook:1"
    await alice.flush()
    await saved(house)
    assert [item["origin"] for item in await desk.items()] == ["load"]


async def test_pages_of_a_history_are_all_of_it_once(house: House) -> None:
    house.write("a.py", "")
    desk = Desk(house)
    for number in range(7):
        await written(house, ("alice", f"{number}\n"))
        await desk.age(timedelta(minutes=6))
        if number == 3:
            await saved(house)
            await desk.compact()
    whole = await desk.items()
    assert len(whole) == 8
    found, after = [], None
    while True:
        page = await desk.list(limit=3, after=after)
        found += page["items"]
        after = page["next"]
        if after is None:
            break
    assert found == whole


async def test_strangers_find_nothing_and_ids_of_others_neither(house: House) -> None:
    house.write("a.py", "a")
    house.write("b.py", "b")
    desk, other = Desk(house), Desk(house, "b.py")
    (first,) = await desk.items()
    await other.items()
    with pytest.raises(NotFound):
        await desk.history.items(person("eve"), SESSION, "a.py", limit=5)
    for version in ("99-" + first["version"].split("-")[1], "nonsense", "1-00000000", "kept-x"):
        with pytest.raises(NotFound):
            await desk.version(version)
    with pytest.raises(NotFound):
        await other.version(first["version"])


async def test_a_history_follows_its_file_and_ends_with_it(house: House) -> None:
    house.write("a.py", "old\n")
    desk = Desk(house)
    await written(house, ("alice", "more\n"))
    before = await desk.items()
    (house.root / "a.py").rename(house.root / "b.py")
    await house.rooms.renamed("a.py", "b.py")
    moved = Desk(house, "b.py")
    assert (await moved.items())[-1] == before[-1]
    assert await moved.content(before[0]["version"]) == "old\nmore\n"
    await house.rooms.deleted("b.py")
    house.write("b.py", "new\n")
    (only,) = await moved.items()
    assert await moved.content(only["version"]) == "new\n"
    with pytest.raises(NotFound):
        await moved.version(before[-1]["version"])


# ---------------------------------------------------------------- comparing


async def test_two_versions_are_compared_line_by_line(house: House) -> None:
    house.write("a.py", "one\ntwo\nthree\n")
    desk = Desk(house)
    alice = (await written(house, ("alice", "four\n")))["alice"]
    del alice.text[4:8]
    await alice.flush()
    await desk.settle()
    newest, first = await desk.items()
    answer = await desk.version(newest["version"], against=first["version"])
    assert answer["diff"]["against"] == first["version"]
    assert [
        (one["old"]["from"], one["old"]["lines"], one["new"]["from"], one["new"]["lines"])
        for one in answer["diff"]["hunks"]
    ] == [(2, ["two"], 2, []), (4, [], 3, ["four"])]


# ---------------------------------------------------------------- names


async def test_a_named_version_stays_though_people_type_on(house: House) -> None:
    house.write("a.py", "")
    desk = Desk(house)
    await written(house, ("alice", "draft "))
    named = await desk.name("First draft", by="bob")
    assert named["name"] == "First draft"
    assert named["named_by"] == {"username": "bob"}
    await written(house, ("alice", "and more"))
    await saved(house)
    await desk.compact()
    assert await desk.content(named["version"]) == "draft "
    assert [item["version"] for item in await desk.items(named=True)] == [named["version"]]
    assert named["version"] in [item["version"] for item in await desk.items()]
    # Another name for the same moment replaces the first.
    again = await desk.name("Draft", version=named["version"])
    assert (again["version"], again["name"]) == (named["version"], "Draft")
    await desk.history.unname(desk.as_("alice"), "session", named["version"], path="a.py")
    assert await desk.items(named=True) == []
    with pytest.raises(NotFound):
        await desk.history.unname(desk.as_("alice"), "session", named["version"], path="a.py")


async def test_an_older_version_can_be_named(house: House) -> None:
    house.write("a.py", "zero ")
    desk = Desk(house)
    await written(house, ("alice", "one "), ("bob", "two "))
    _, before, _ = await desk.items()
    await desk.name("Alice's", version=before["version"])
    assert [item["name"] for item in await desk.items()] == [None, "Alice's", None]


async def test_viewers_look_and_do_not_touch(house: House) -> None:
    house.write("a.py", "text")
    desk = Desk(house)
    (first,) = await desk.items()
    house.people.rights["victor"] = VIEWER
    assert (await desk.list("victor"))["items"] == [first]
    with pytest.raises(RoleRequired):
        await desk.name("Mine", by="victor")
    with pytest.raises(RoleRequired):
        await desk.restore(first["version"], by="victor")


async def test_what_lost_a_conflict_is_kept_beside_the_history(house: House) -> None:
    house.write("a.py", "one\n")
    desk = Desk(house)
    await written(house, ("alice", "two\n"))
    versions = desk.history._versions
    kept = await versions.keep(await desk.document(), "other\n", "On disk", origin=Origin.DISK)
    assert kept == await versions.keep(await desk.document(), "other\n", "On disk")
    newest = (await desk.items())[0]
    assert (newest["version"], newest["name"], newest["origin"]) == (kept, "On disk", "disk")
    assert newest["beside"]
    assert [item["version"] for item in await desk.items(named=True)] == [kept]
    assert await desk.content(kept) == "other\n"
    assert (await desk.version(kept, against="current"))["diff"]["hunks"]
    done = await desk.restore(kept)
    assert done["changed"]
    assert await desk.content("current") == "other\n"
    await desk.history.unname(desk.as_("alice"), "session", kept, path="a.py")
    with pytest.raises(NotFound):
        await desk.version(kept)


# ---------------------------------------------------------------- who wrote what


async def test_each_line_has_its_author(house: House) -> None:
    house.write("a.py", "from disk\n")
    desk = Desk(house)
    clients = await written(house, ("alice", "älice 😀\n"), ("bob", "bob\n"))
    await clients["bob"].type("X", at=len("from disk\nälice".encode()))
    await until(lambda: "äliceX" in str(clients["alice"].text))
    for _ in range(2):
        answer = await desk.blame()
        lines = answer["lines"]
        assert [line["line"] for line in lines] == [1, 2, 3]
        assert [line["origin"] for line in lines] == ["load", "client", "client"]
        assert [(line["author"] or {}).get("username") for line in lines] == [None, "bob", "bob"]
        assert names(lines[1]) == ["alice", "bob"]
        await saved(house)
        await desk.compact()


async def test_a_line_after_somebody_elses_does_not_take_that_one(house: House) -> None:
    house.write("a.py", "")
    desk = Desk(house)
    clients = await written(house, ("alice", "one\nthree\n"))
    bob = await house.client("bob", "a.py")
    await bob.type("\ntwo", at=3)
    await until(lambda: "two" in str(clients["alice"].text))
    lines = (await desk.blame())["lines"]
    assert [line["author"]["username"] for line in lines] == ["alice", "bob", "alice"]


async def test_what_an_ai_wrote_is_marked(house: House) -> None:
    house.write("a.py", "zero\n")
    desk = Desk(house)
    async with house.rooms.hold("a.py") as room:
        await room.edit(
            lambda doc: _insert(doc, 5, "made\n"),
            origin=Origin.AI,
            user_id=desk.as_("alice").user_id,
        )
    await written(house, ("alice", "typed\n"))
    assert [item["origin"] for item in await desk.items()] == ["client", "ai", "load"]
    lines = (await desk.blame())["lines"]
    assert [line["origin"] for line in lines] == ["load", "ai", "client"]
    assert lines[1]["author"] == {"username": "alice"}


def _insert(doc: Any, at: int, text: str) -> None:
    doc.get("source", type=Text).insert(at, text)


# ---------------------------------------------------------------- going back


async def test_a_restored_document_is_a_new_change_and_cursors_stay(house: House) -> None:
    house.write("a.py", "one\ntwo\nthree\n")
    desk = Desk(house)
    clients = await written(house, ("alice", "four\n"))
    alice = clients["alice"]
    cursor = alice.text.sticky_index(9)
    del alice.text[0:4]
    await alice.flush()
    await desk.settle()
    first = (await desk.items())[-1]
    done = await desk.restore(first["version"], by="bob")
    assert done["changed"]
    await until(lambda: str(alice.text) == "one\ntwo\nthree\n")
    with alice.doc.transaction() as transaction:
        assert cursor.get_index(transaction) == 9
    newest = (await desk.items())[0]
    assert (newest["origin"], names(newest), newest["version"]) == (
        "restore",
        ["bob"],
        done["version"],
    )
    # And back again: nothing is lost by it.
    before = (await desk.items())[1]
    await desk.restore(before["version"])
    await until(lambda: str(alice.text) == "two\nthree\nfour\n")
    assert not (await desk.restore(before["version"]))["changed"]
    rows = await house.database.read(
        lambda tx: tx.execute(select(activity).order_by(activity.c.id)).all()
    )
    assert [(row.action, row.actor, row.target) for row in rows] == [
        ("version_restored", "bob", "a.py"),
        ("version_restored", "alice", "a.py"),
    ]
    assert rows[0].detail == {"version": first["version"]}


async def test_nothing_is_restored_while_an_operation_writes(house: House) -> None:
    house.write("a.py", "one\n")
    desk = Desk(house)
    await written(house, ("alice", "two\n"))
    first = (await desk.items())[-1]
    desk.locked = True
    with pytest.raises(Locked) as error:
        await desk.restore(first["version"])
    assert error.value.extra == {"lock": {"id": "lock"}}
    assert await desk.content("current") == "one\ntwo\n"


async def test_single_hunks_are_restored(house: House) -> None:
    house.write("a.py", "".join(f"line {number}\n" for number in range(10)))
    desk = Desk(house)
    alice = await house.client("alice", "a.py")
    for old, new in (("line 2\n", "CHANGED 2\n"), ("line 7\n", "CHANGED 7\n")):
        at = str(alice.text).index(old)
        with alice.doc.transaction():
            del alice.text[at : at + len(old)]
            alice.text.insert(at, new)
        await alice.flush()
    await desk.settle()
    newest, first = await desk.items()
    diff = (await desk.version(first["version"], against=newest["version"]))["diff"]
    assert len(diff["hunks"]) == 2
    # Somebody types elsewhere before it is restored.
    await alice.type("more\n")
    await desk.settle()
    second = diff["hunks"][1]["id"]
    await desk.restore(first["version"], hunks=[second], against=newest["version"])
    await until(lambda: "line 7" in str(alice.text))
    assert "CHANGED 2" in str(alice.text) and "more" in str(alice.text)
    with pytest.raises(StaleDocument):
        await desk.restore(first["version"], hunks=["nonsense"])
    # Where it was changed since, it is not touched.
    at = str(alice.text).index("CHANGED 2")
    await alice.type("...", at=at + 3)
    await desk.settle()
    with pytest.raises(StaleDocument):
        await desk.restore(
            first["version"], hunks=[diff["hunks"][0]["id"]], against=newest["version"]
        )
    assert "CHA...NGED 2" in str(alice.text)


async def test_editors_answer_with_what_they_have_before_a_document_is_restored(
    house: House,
) -> None:
    house.write("a.py", "one\n")
    desk = Desk(house)
    clients = await written(house, ("alice", "two\n"))
    alice = clients["alice"]
    first = (await desk.items())[-1]
    # Typed, but not sent yet when the others restore.
    alice.text.insert(0, "late ")
    restoring = asyncio.create_task(desk.restore(first["version"], by="bob"))
    await until(lambda: any(one["type"] == "freeze" for one in alice.raw))
    await alice.flush()
    done = await restoring
    await until(lambda: str(alice.text) == "one\n")
    assert done["changed"]
    assert [one["type"] for one in alice.raw if one["type"] in ("freeze", "thaw")] == [
        "freeze",
        "thaw",
    ]
    # What was typed late is in the history: it came before.
    assert "late " in await desk.content((await desk.items())[1]["version"])


async def test_who_does_not_answer_is_waited_for_less_than_a_second(house: House) -> None:
    house.write("a.py", "one\n")
    desk = Desk(house)
    clients = await written(house, ("alice", "two\n"))
    first = (await desk.items())[-1]
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await desk.restore(first["version"], by="bob")
    assert 0.5 < loop.time() - begun < 5
    await until(lambda: str(clients["alice"].text) == "one\n")


# ---------------------------------------------------------------- the disk


async def test_what_the_file_held_in_a_conflict_is_kept_and_people_are_told(house: House) -> None:
    house.write("a.py", "one\ntwo\nthree\n")
    desk = Desk(house)
    alice = await house.client("alice", "a.py")
    bob = await house.client("bob", "a.py", VIEWER)
    await saved(house)
    # Both before the next save.
    with alice.doc.transaction():
        del alice.text[4:7]
        alice.text.insert(4, "ALICE")
    await alice.flush()
    house.write("a.py", "one\nDISK\nthree\nfour\n")
    for client in (alice, bob):
        await until(lambda c=client: [o for o in c.raw if o["type"] == "conflict"], within=20)
    (told,) = [one for one in alice.raw if one["type"] == "conflict"]
    assert told["places"] == 1 and told["path"] == "a.py"
    await until(lambda: "four" in str(alice.text))
    assert str(alice.text) == "one\nALICE\nthree\nfour\n"
    assert await desk.content(told["version"]) == "one\nDISK\nthree\nfour\n"
    (kept,) = await desk.items(named=True)
    assert (kept["version"], kept["name"], kept["origin"]) == (
        told["version"],
        told["name"],
        "disk",
    )
    events = [data for type_, data in house.events.published if "conflict" in data]
    assert [(data["path"], data["conflict"]["version"]) for data in events] == [
        ("a.py", told["version"])
    ]
    await until(lambda: house.read("a.py") == "one\nALICE\nthree\nfour\n", within=20)


async def test_whoever_comes_first_is_told_of_a_conflict(house: House) -> None:
    house.write("a.py", "one\ntwo\n")
    alice = await house.client("alice", "a.py")
    await saved(house)
    with alice.doc.transaction():
        del alice.text[0:3]
        alice.text.insert(0, "ALICE")
    await alice.flush()
    await Desk(house).settle()
    house.crash()
    house.write("a.py", "DISK\ntwo\n")
    bob = await house.client("bob", "a.py")
    await until(lambda: [one for one in bob.raw if one["type"] == "conflict"])
    carol = await house.client("carol", "a.py")
    assert str(carol.text) == "ALICE\ntwo\n"
    assert not [one for one in carol.raw if one["type"] == "conflict"]


# ---------------------------------------------------------------- notebooks


def notebook(*sources: str) -> dict[str, Any]:
    cells = [
        {
            "cell_type": "code",
            "id": f"cell{number}",
            "metadata": {},
            "source": source,
            "outputs": [{"output_type": "stream", "name": "stdout", "text": f"out {number}\n"}],
            "execution_count": number,
        }
        for number, source in enumerate(sources, start=1)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
async def book(house: House) -> Desk:
    house.write("a.ipynb", json.dumps(notebook("one = 1", "two = 2\n2 + 2", "three = 3")))
    desk = Desk(house, "a.ipynb")
    await desk.items()
    return desk


async def in_cells(desk: Desk, change: Any, name: str = "alice") -> None:
    """Let somebody change the cells of a notebook."""
    client = await desk.house.client(name, desk.path)
    with client.doc.transaction():
        change(client.doc.get("cells", type=Array))
    await client.flush()
    await desk.settle()
    await client.leave()


async def live_cells(desk: Desk) -> list[dict[str, Any]]:
    async with desk.house.rooms.hold(desk.path) as room:
        cells = await room.look(lambda doc: [cell.to_py() for cell in doc.get("cells", type=Array)])
    for cell in cells:
        # Whether it is trusted is no part of its history.
        cell["metadata"].pop("trusted", None)
    return cells


async def test_a_restored_notebook_keeps_ids_and_outputs(house: House, book: Desk) -> None:
    first = (await book.items())[-1]["version"]
    before = await live_cells(book)

    def change(cells: Any) -> None:
        cells[0]["source"].insert(0, "# changed\n")
        del cells[1]
        cells.append(make_cell({"id": "new", "cell_type": "code", "source": "new"}))

    await in_cells(book, change)
    watcher = await house.client("bob", book.path)
    watched = watcher.doc.get("cells", type=Array)
    seen: list[Any] = []
    watched.observe_deep(seen.extend)
    third = watched[1]["source"]
    cursor = third.sticky_index(2)
    diff = (await book.version(first, against="current"))["diff"]
    assert [(cell["cell_id"], cell["change"]) for cell in diff["cells"]] == [
        ("new", "deleted"),
        ("cell1", "changed"),
        ("cell2", "added"),
    ]
    await book.restore(first)
    assert await live_cells(book) == before
    await until(lambda: len(watched) == 3)
    # The cell that nobody changed is the same object still.
    with watcher.doc.transaction() as transaction:
        assert cursor.get_index(transaction) == 2
    assert (await book.content("current"))["cells"][1]["outputs"][0]["text"] == "out 2\n"


async def test_one_cell_is_restored(house: House, book: Desk) -> None:
    first = (await book.items())[-1]["version"]

    def change(cells: Any) -> None:
        cells[0]["source"].insert(0, "# changed\n")
        cells[2]["source"].insert(0, "# too\n")
        del cells[1]

    await in_cells(book, change)
    await book.restore(first, cell_id="cell2")
    await book.restore(first, cell_id="cell3")
    sources = [(cell["id"], cell["source"]) for cell in await live_cells(book)]
    assert sources == [
        ("cell1", "# changed\none = 1"),
        ("cell2", "two = 2\n2 + 2"),
        ("cell3", "three = 3"),
    ]
    with pytest.raises(NotFound):
        await book.restore(first, cell_id="nothing")


async def test_hunks_of_a_notebook_are_restored(house: House, book: Desk) -> None:
    first = (await book.items())[-1]["version"]

    def change(cells: Any) -> None:
        cells[1]["source"].insert(len("two = 2\n"), "# more\n")
        cells[2]["source"].insert(0, "# too\n")

    await in_cells(book, change)
    diff = (await book.version(first, against="current"))["diff"]
    (hunk,) = diff["cells"][0]["hunks"]
    assert (hunk["old"]["lines"], hunk["new"]["lines"]) == (["# more"], [])
    await book.restore(first, hunks=[hunk["id"]])
    assert [cell["source"] for cell in await live_cells(book)] == [
        "one = 1",
        "two = 2\n2 + 2",
        "# too\nthree = 3",
    ]
    await book.restore(first, hunks=["cell-cell3"])
    assert (await live_cells(book))[2]["source"] == "three = 3"


async def test_each_cell_has_its_author(house: House, book: Desk) -> None:
    def change(cells: Any) -> None:
        cells[1]["source"].insert(len("two = 2\n"), "# more\n")
        cells.append(make_cell({"id": "new", "cell_type": "markdown", "source": ""}))

    await in_cells(book, change)
    answer = await book.blame()
    assert [
        (cell["cell_id"], cell["type"], (cell["author"] or {}).get("username"), cell["origin"])
        for cell in answer["cells"]
    ] == [
        ("cell1", "code", None, "load"),
        ("cell2", "code", "alice", "client"),
        ("cell3", "code", None, "load"),
        ("new", "markdown", "alice", "client"),
    ]
    assert [line["origin"] for line in answer["cells"][1]["lines"]] == ["load", "client", "load"]


# ---------------------------------------------------------------- what it costs


async def test_sixty_requests_leave_nothing_behind(house: House) -> None:
    house.write("a.py", "".join(f"line {number}\n" for number in range(2000)))
    desk = Desk(house)
    await written(house, ("alice", "more\n"))
    newest, first = [item["version"] for item in await desk.items()]

    async def ask() -> None:
        await desk.items()
        await desk.version(first, against=newest)
        await desk.blame()

    async def look() -> tuple[int, int, int]:
        gc.collect()
        docs = sum(isinstance(one, Doc) for one in gc.get_objects())
        return docs, len(house.rooms.all()), len(asyncio.all_tasks())

    for _ in range(3):
        await ask()
    tracemalloc.start()
    before, memory = await look(), tracemalloc.get_traced_memory()[0]
    try:
        for _ in range(20):
            await ask()
        assert await look() == before
        assert tracemalloc.get_traced_memory()[0] - memory < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("path", ["a.py", "a.ipynb"])
async def test_rooms_that_have_ended_leave_no_document_behind(house: House, path: str) -> None:
    house.write("a.py", "text")
    house.write("a.ipynb", json.dumps(notebook("one")))
    house.rooms._idle = 0.0

    async def open_and_leave() -> int:
        # (A client of a test would hold it: that is watched to its end.)
        async with house.rooms.hold(path) as room:
            await room.edit(lambda doc: _note(doc, "x"))
        await until(lambda: not house.rooms.all())
        del room
        gc.collect()
        return sum(isinstance(one, Doc) for one in gc.get_objects())

    await open_and_leave()
    before = await open_and_leave()
    for _ in range(5):
        assert await open_and_leave() <= before


def _note(doc: Any, text: str) -> None:
    doc.get("state", type=Map)["note"] = text


async def test_a_store_of_upstreams_reads_a_compacted_log(house: House) -> None:
    house.write("a.py", "zero ")
    desk = Desk(house)
    await written(house, ("alice", "one "), ("bob", "two "))
    await saved(house)
    await desk.compact()

    class Ids:
        def path_of(self, file_id: str) -> str:
            return "a.py"

    class Store(LogYStore):
        backing = Backing(house.rooms, Ids())  # type: ignore[arg-type]

    doc: Doc[Any] = Doc()
    async for update, _, _ in Store(".file:1.y").read():
        doc.apply_update(update)
    assert str(doc.get("source", type=Text)) == "zero one two "
