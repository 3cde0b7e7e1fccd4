"""Timelines: copies that go through what was recorded, and hold nothing of their own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.serverapp import ServerApp
from pycrdt import Array, Doc, Text
from tornado.httpclient import HTTPClientError

from jupyter_collab_ai.errors import RateLimited
from jupyter_collab_ai.rooms import replaying
from jupyter_collab_ai.rooms.log import Origin, Recorded
from jupyter_collab_ai.rooms.timelines import Timelines
from jupyter_collab_ai.storage.database import Database
from tests.rooms.engine import EDITOR, NOBODY, VIEWER, person, until
from tests.rooms.net import NetClient, Server
from tests.rooms.test_sockets import jp_server_config  # noqa: F401  # a fixture
from tests.support.node import Node


@pytest.fixture
async def server(
    jp_serverapp: ServerApp, jp_root_dir: Path, database: Database
) -> AsyncIterator[Server]:
    (jp_root_dir / "a.py").write_text("x = 1\n")
    (jp_root_dir / "b.py").write_text("b\n")
    server = Server(jp_serverapp, database)
    server.people.rights |= {"ada": EDITOR, "bob": EDITOR, "eve": VIEWER, "stranger": NOBODY}
    yield server
    await server.close()


class Film:
    """A timeline, as its opener's page has it."""

    def __init__(self, server: Server, name: str, told: dict[str, Any]) -> None:
        self.server = server
        self.name = name
        self.room: str = told["roomId"]
        self.id: str = told["forkRoom"]
        self.session: str = told["sessionId"]
        self.times: list[float] = told["timestamps"]

    @classmethod
    async def open(cls, server: Server, name: str, path: str = "a.py", kind: str = "") -> Film:
        query = kind or "format=text&&type=file"
        status, told = await server.call(name, "GET", f"timeline/{path}?{query}")
        assert status == 200, told
        return cls(server, name, told)

    async def ask(
        self, action: str, steps: int = 0, *, by: str = "", room: str = "", fork: str = ""
    ) -> tuple[int, Any]:
        query = f"action={action}&&steps={steps}&&forkRoom={fork or self.id}"
        return await self.server.call(
            by or self.name, "PUT", f"undo_redo/{room or self.room}?{query}"
        )

    async def watch(self, doc: Doc[Any] | None = None) -> NetClient:
        return await self.server.lab(self.name, self.id, f"?sessionId={self.session}", doc=doc)


async def typed(server: Server, name: str, *pieces: str) -> NetClient:
    """Write into the document, each piece as an update of its own."""
    client = await server.ws(name, "a.py", "&ack=1")
    for piece in pieces:
        client.type(piece)
        await client.recorded()
    return client


async def log_of(server: Server, path: str = "a.py") -> list[Recorded]:
    document = await server.rooms.documents.by_path(path)
    assert document is not None
    return await server.rooms.log.after(document.id, document.epoch, 0)


async def status_of(server: Server, name: str | None, room: str) -> int:
    try:
        client = await server.lab(name, room)
    except HTTPClientError as error:
        return int(error.code)
    await client.close()
    return 101


async def test_it_goes_through_what_was_recorded(server: Server) -> None:
    client = await typed(server, "ada", "one\n", "two\n", "three\n")
    film = await Film.open(server, "eve")
    assert len(film.times) == 4
    assert film.times == sorted(film.times)
    shown = await film.watch()
    assert str(shown.text) == "x = 1\none\ntwo\nthree\n"
    assert await film.ask("undo", 2) == (200, {"status": "undone"})
    await until(lambda: str(shown.text) == "x = 1\none\n")
    assert await film.ask("redo", 1) == (200, {"status": "redone"})
    await until(lambda: str(shown.text) == "x = 1\none\ntwo\n")
    # The first step is where it begins.
    assert await film.ask("undo", 100) == (200, {"status": "undone"})
    await until(lambda: str(shown.text) == "x = 1\n")
    status, told = await film.ask("undo", 1)
    assert (status, list(told)) == (200, ["error"])
    assert await film.ask("redo", 100) == (200, {"status": "redone"})
    await until(lambda: str(shown.text) == "x = 1\none\ntwo\nthree\n")
    status, told = await film.ask("redo", 1)
    assert (status, list(told)) == (200, ["error"])
    # Who comes later is shown where it is now; the document has seen nothing of all this.
    assert str((await film.watch()).text) == "x = 1\none\ntwo\nthree\n"
    assert str(client.text) == "x = 1\none\ntwo\nthree\n"


async def test_a_notebook_goes_back_too(server: Server, jp_root_dir: Path) -> None:
    cell = {"cell_type": "code", "id": "c1", "source": "1", "metadata": {}}
    cell |= {"outputs": [], "execution_count": None}
    book = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (jp_root_dir / "n.ipynb").write_text(json.dumps(book))
    writer = await server.ws("ada", "n.ipynb", "&ack=1")
    cells = writer.doc.get("cells", type=Array)
    cells[0]["source"].insert(1, " + 1")
    await writer.recorded()
    del cells[0]
    await writer.recorded()
    film = await Film.open(server, "ada", "n.ipynb", "format=json&type=notebook")
    shown = await film.watch()
    there = shown.doc.get("cells", type=Array)
    assert len(there) == 0
    await film.ask("undo", 1)
    await until(lambda: len(there) == 1 and str(there[0]["source"]) == "1 + 1")
    await film.ask("undo", 1)
    await until(lambda: len(there) == 1 and str(there[0]["source"]) == "1")
    assert (await film.ask("restore"))[0] == 200
    await until(lambda: len(cells) == 1 and str(cells[0]["source"]) == "1")


async def test_all_together_take_only_so_many_bytes(server: Server, database: Database) -> None:
    await typed(server, "ada", "one\n")
    about = (database, server.rooms, server.people, server.locks)
    one = Timelines(*about)
    size = (await one.open(person("ada"), "a.py")).most_bytes
    one.close()
    few = Timelines(*about, most_bytes=2 * size)
    first, second, third = [await few.open(person(name), "a.py") for name in ("ada", "bob", "eve")]
    assert few.find(first.id, person("ada")) is None
    looked_at: list[Any] = [second, third]
    for timeline in looked_at:
        assert timeline.id in [one.id for one in few._open.values()]
        timeline.connections.add(object())
    with pytest.raises(RateLimited):
        await few.open(person("ada"), "a.py")
    for timeline in looked_at:
        timeline.connections.clear()
    few.close()


async def test_it_belongs_to_its_opener_and_one_document(server: Server) -> None:
    await typed(server, "ada", "one\n")
    film = await Film.open(server, "ada")
    other = await Film.open(server, "ada", "b.py")
    for name in ("bob", "eve", "stranger"):
        assert await status_of(server, name, film.id) == 404, name
        assert (await film.ask("undo", 1, by=name))[0] == 404, name
        assert (await film.ask("restore", by=name))[0] == 404, name
    assert await status_of(server, None, film.id) == 403  # the gate, which is not here, says 401
    assert (await film.ask("undo", 1, room=other.room))[0] == 404
    assert (await film.ask("undo", 1, fork="made-up"))[0] == 404
    assert (await film.ask("undo", 1, room="text:file:made-up"))[0] == 404
    assert (await server.call("stranger", "GET", "timeline/a.py?format=text&type=file"))[0] == 404
    assert (await server.call("ada", "GET", "timeline/none.py?format=text&type=file"))[0] == 404
    assert server.side_rooms.timelines.count() == 2


@pytest.mark.parametrize(
    "query",
    [
        "",
        "action=undo&steps=1",
        "action=sideways&steps=1&forkRoom={id}",
        "action=undo&steps=-1&forkRoom={id}",
        "action=undo&steps=many&forkRoom={id}",
        "action=undo&steps=1000000000&forkRoom={id}",
        "action=undo&steps=1&steps=2&forkRoom={id}",
        "action=undo&steps=1&forkRoom={id}&more=1",
    ],
)
async def test_nonsense_is_refused(server: Server, query: str) -> None:
    film = await Film.open(server, "ada")
    status, told = await server.call(
        "ada", "PUT", f"undo_redo/{film.room}?{query.format(id=film.id)}"
    )
    assert (status, told["reason"]) == (400, "invalid_request")


@pytest.mark.parametrize("query", ["", "?format=text", "?format=json&type=notebook"])
async def test_a_document_is_one_thing_only(server: Server, query: str) -> None:
    status, told = await server.call("ada", "GET", f"timeline/a.py{query}")
    assert (status, told["reason"]) == (400, "invalid_request")


async def test_nothing_that_is_sent_into_it_is_taken(server: Server) -> None:
    client = await typed(server, "ada", "one\n")
    film = await Film.open(server, "ada")
    one, two = await film.watch(), await film.watch()
    one.type("never\n")
    await film.ask("undo", 1)
    await until(lambda: str(two.text) == "x = 1\n")
    three = await film.watch()
    assert [str(each.text) for each in (two, three, client)] == ["x = 1\n"] * 2 + ["x = 1\none\n"]
    assert one.of_type("saved") == []
    assert not two.awareness


async def test_restoring_is_one_recorded_change_of_the_account(server: Server) -> None:
    bob = await typed(server, "bob", "one\n", "two\n")
    film = await Film.open(server, "ada")
    shown = await film.watch()
    await film.ask("undo", 1)
    await until(lambda: str(shown.text) == "x = 1\none\n")
    # What comes meanwhile is taken back as well: the document is what was shown.
    bob.type("three\n")
    await bob.recorded()
    before = await log_of(server)
    assert await film.ask("restore") == (
        200,
        {"code": 200, "status": "Document restored successfully"},
    )
    await until(lambda: str(bob.text) == "x = 1\none\n")
    made = [one for one in (await log_of(server))[len(before) :] if one.origin is Origin.RESTORE]
    assert [(one.origin, one.user_id) for one in made] == [(Origin.RESTORE, person("ada").user_id)]
    # It is over: the copy would go on under numbers that are used now.
    assert (await film.ask("undo", 1))[0] == 404
    assert (await film.ask("restore"))[0] == 404


@pytest.mark.parametrize("moves", [["undo"], ["undo", "redo"], ["undo", "undo", "redo", "undo"]])
async def test_a_page_that_goes_back_after_restoring_doubles_nothing(
    server: Server, moves: list[str]
) -> None:
    bob = await typed(server, "bob", "one\n", "two\n", "three\n")
    room = (await Film.open(server, "ada")).room
    page = await server.lab("ada", room)
    page.type("mine\n")
    await until(lambda: "mine" in str(bob.text))
    film = await Film.open(server, "ada")
    doc = page.doc
    await page.close()
    page = await film.watch(doc)
    for move in moves:
        await film.ask(move, 2)
    await film.ask("undo", 1)
    # Shown, or it would not come along.
    fresh = await film.watch()
    await until(lambda: str(page.text) == str(fresh.text))
    wanted = str(fresh.text)
    assert (await film.ask("restore"))[0] == 200
    await until(lambda: str(bob.text) == wanted)
    await page.close()
    count = len(await log_of(server))
    page = await server.lab("ada", room, "?ack=1", doc=doc)
    assert str(page.text) == wanted
    page.type("after\n")
    await until(lambda: str(bob.text) == wanted + "after\n")
    assert page.of_type("reset") == page.of_type("refused") == []
    own = [one for one in (await log_of(server))[count:] if one.origin is Origin.CLIENT]
    assert len(own) == 1, "nothing but what was typed then"
    await until(lambda: str(page.text) == str(bob.text))


@pytest.mark.parametrize("name", ["ada", "eve"])
async def test_a_page_that_goes_back_without_restoring_starts_afresh(
    server: Server, name: str
) -> None:
    bob = await typed(server, "bob", "one\n", "two\n")
    film = await Film.open(server, name)
    page = await server.lab(name, film.room)
    doc = page.doc
    await page.close()
    page = await film.watch(doc)
    await film.ask("undo", 1)
    await until(lambda: str(page.text) == "x = 1\none\n")
    await page.close()
    page = await server.lab(name, film.room, doc=doc)
    await until(lambda: page.closed)
    assert [one["reason"] for one in page.of_type("reset")] == ["unknown_history"]
    again = await server.lab(name, film.room)
    assert str(again.text) == str(bob.text) == "x = 1\none\ntwo\n"


async def test_viewers_look_and_restore_nothing(server: Server) -> None:
    client = await typed(server, "ada", "one\n")
    film = await Film.open(server, "eve")
    assert (await film.ask("undo", 1))[0] == 200
    status, told = await film.ask("restore")
    assert (status, told["reason"]) == (403, "role_required")
    assert str(client.text) == "x = 1\none\n"
    # Nor does somebody who was an editor when they moved it.
    film = await Film.open(server, "ada")
    await film.ask("undo", 1)
    server.people.set("ada", VIEWER)
    assert (await film.ask("restore"))[0] == 403
    assert (await film.ask("redo", 1))[0] == 200


async def test_nothing_is_restored_while_an_operation_writes(server: Server) -> None:
    client = await typed(server, "ada", "one\n")
    film = await Film.open(server, "ada")
    await film.ask("undo", 1)
    server.locks.locked = True
    status, told = await film.ask("restore")
    assert (status, told["reason"], told["lock"]) == (423, "locked", {"id": "lock"})
    server.locks.locked = False
    assert (await film.ask("restore"))[0] == 200
    await until(lambda: str(client.text) == "x = 1\n")


async def test_it_ends_with_the_right_and_with_the_login(server: Server) -> None:
    await typed(server, "ada", "one\n")
    film = await Film.open(server, "eve")
    shown = await film.watch()
    server.people.set("eve", NOBODY)
    await until(lambda: shown.closed)
    assert "no longer a member" in str(shown.reason)
    assert (await film.ask("undo", 1))[0] == 404
    assert await status_of(server, "eve", film.id) == 404
    film = await Film.open(server, "bob")
    shown = await film.watch()
    server.people.sign_out("bob")
    await until(lambda: shown.closed)


async def test_it_ends_with_its_document(server: Server) -> None:
    await typed(server, "ada", "one\n")
    film = await Film.open(server, "ada")
    await server.rooms.renamed("a.py", "c.py")
    assert await server.side_rooms.path_of(film.id) == "c.py"
    await server.rooms.deleted("c.py")
    assert await server.side_rooms.path_of(film.id) is None
    assert server.side_rooms.timelines.count() == 0


async def test_many_looks_leave_a_few_copies_and_then_none(server: Server) -> None:
    writer = await typed(server, "ada", "one\n")
    rooms = len(server.rooms.all())
    server.side_rooms.timelines._idle = 0.2
    films = [await Film.open(server, "eve") for _ in range(60)]
    timelines = server.side_rooms.timelines
    assert timelines.count() <= 3
    assert len(server.rooms.all()) == rooms
    assert await status_of(server, "eve", films[0].id) == 404, "the oldest have gone"
    shown = await films[-1].watch()
    await until(lambda: timelines.count() == 1, "those that nobody looks at to be freed")
    await shown.close()
    await until(lambda: timelines.count() == 0, "the last one to be freed")
    assert not writer.closed


async def test_a_copy_that_is_looked_at_stays_longest(server: Server) -> None:
    first = await Film.open(server, "ada")
    shown = await first.watch()
    for _ in range(5):
        await Film.open(server, "ada")
    assert not shown.closed
    assert await server.side_rooms.path_of(first.id) == "a.py"


async def test_only_the_newest_rows_of_a_long_log_are_steps(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    await typed(server, "ada", "one\n", "two\n", "three\n")
    for name, value, steps in [("MOST_STEPS", 2, 3), ("MOST_BYTES", 1, 2)]:
        with monkeypatch.context() as patch:
            patch.setattr(replaying, name, value)
            film = await Film.open(server, "ada")
        assert len(film.times) == steps, name
        shown = await film.watch()
        await film.ask("undo", 100)
        first = "x = 1\none\ntwo\nthree\n".splitlines()[: 5 - steps]
        await until(lambda shown=shown, first=first: str(shown.text).splitlines() == first)  # type: ignore[misc]
    monkeypatch.setattr(replaying, "MOST_BASE", 1)
    status, told = await server.call("ada", "GET", "timeline/a.py?format=text&type=file")
    assert (status, told["reason"]) == (413, "document_too_large")


async def test_going_to_and_fro_has_an_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    await typed(server, "ada", "a line that is not short\n" * 20)
    monkeypatch.setattr(replaying, "MOST_GROWTH", 0)
    film = await Film.open(server, "ada")
    shown = await film.watch()
    status = 200
    for _ in range(50):
        for action in ("undo", "redo"):
            status, told = await film.ask(action, 1)
            if status != 200:
                break
        if status != 200:
            break
    assert (status, told["reason"]) == (413, "document_too_large")
    # What it shows is what it was moved to last.
    fresh = await film.watch()
    assert str(fresh.text) == str(shown.text)
    assert (await film.ask("restore"))[0] == 200


async def test_moves_at_once_go_one_after_the_other(server: Server) -> None:
    await typed(server, "ada", *(f"{number}\n" for number in range(6)))
    film = await Film.open(server, "ada")
    shown = await film.watch()
    await asyncio.gather(*(film.ask(action, 1) for action in ("undo", "redo", "undo") * 4))
    fresh = await film.watch()
    await until(lambda: str(shown.text) == str(fresh.text))
    await film.ask("redo", 100)
    await until(lambda: str(shown.text) == "x = 1\n0\n1\n2\n3\n4\n5\n")


async def test_it_tells_a_text_that_is_not_in_the_copy_nothing(server: Server) -> None:
    """A page with more than the copy has is answered like any other."""
    await typed(server, "ada", "one\n")
    film = await Film.open(server, "ada")
    doc: Doc[Any] = Doc()
    doc.get("source", type=Text).insert(0, "own ")
    shown = await film.watch(doc)
    assert "one" in str(shown.text)
    assert "own" in str(shown.text)


async def test_jupyter_collaborations_page_goes_aside_and_back(
    server: Server, jp_root_dir: Path, node: Node
) -> None:
    """One Yjs document through a timeline, a restore, a fork and its merge, with real yjs."""
    (jp_root_dir / "page.py").write_text("# start\n")
    room = f"text:file:{server.file_ids.id_of('page.py')}"
    out = await asyncio.to_thread(
        node.run, "aside.mjs", f"http://{server.url}", room, "page.py", "ada"
    )
    seen = json.loads(out)
    assert seen["whole"] == seen["before"] == "# start\none\ntwo\nthree 🦉\n"
    assert seen["restored"] == {"code": 200, "status": "Document restored successfully"}
    assert seen["steps"] == 4
    assert seen["apart"] == "# start\none\ntwo\nafter\nin the root\n"
    assert seen["text"] == "in the fork\n# start\none\ntwo\nafter\nin the root\n"
    assert seen["fresh"] == seen["text"]
    assert not seen["pending"]
