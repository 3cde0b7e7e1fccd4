"""Forks: documents with a log and without a file, merged into their root as one recorded step."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.serverapp import ServerApp
from pycrdt import Array, Doc
from sqlalchemy import func, select
from tornado.httpclient import HTTPClientError

from jupyter_collab_ai.errors import NotFound
from jupyter_collab_ai.rooms import protocol
from jupyter_collab_ai.rooms.awareness import encode_awareness, parse_awareness
from jupyter_collab_ai.rooms.blame import blame
from jupyter_collab_ai.rooms.close_codes import Ending
from jupyter_collab_ai.rooms.compaction import Compactor
from jupyter_collab_ai.rooms.documents import Kind
from jupyter_collab_ai.rooms.forks import Forks
from jupyter_collab_ai.rooms.log import Origin, Recorded
from jupyter_collab_ai.rooms.timeline import read_recent, recent_spans
from jupyter_collab_ai.storage.database import Database
from jupyter_collab_ai.storage.tables import activity, document_updates, documents, forks
from tests.rooms.engine import EDITOR, NOBODY, VIEWER, Client, House, person, until
from tests.rooms.net import Locks, NetClient, Server
from tests.rooms.test_sockets import jp_server_config  # noqa: F401  # a fixture


@pytest.fixture
async def server(
    jp_serverapp: ServerApp, jp_root_dir: Path, database: Database
) -> AsyncIterator[Server]:
    (jp_root_dir / "a.py").write_text("x = 1\n")
    server = Server(jp_serverapp, database)
    server.people.rights |= {"ada": EDITOR, "bob": EDITOR, "eve": VIEWER, "stranger": NOBODY}
    yield server
    await server.close()


class Branch:
    """A fork, as clients know it."""

    def __init__(self, server: Server, told: dict[str, Any]) -> None:
        self.server = server
        self.id: str = told["fork_roomid"]
        self.session: str = told["sessionId"]
        self.root: str = told["fork_info"]["root_roomid"]

    @classmethod
    async def make(
        cls, server: Server, name: str = "ada", path: str = "a.py", **about: Any
    ) -> Branch:
        status, told = await server.call(name, "PUT", f"fork/{server_room(server, path)}", about)
        assert status == 201, told
        return cls(server, told)

    async def open(self, name: str, doc: Doc[Any] | None = None) -> NetClient:
        return await self.server.lab(name, self.id, f"?ack=1&sessionId={self.session}", doc=doc)

    async def end(self, name: str = "ada", merge: str = "true") -> tuple[int, Any]:
        return await self.server.call(name, "DELETE", f"fork/{self.id}?merge={merge}")


def server_room(server: Server, path: str = "a.py") -> str:
    form = "json:notebook" if path.endswith(".ipynb") else "text:file"
    return f"{form}:{server.file_ids.id_of(path)}"


async def root_of(server: Server, name: str = "bob", path: str = "a.py") -> NetClient:
    return await server.ws(name, path, "&ack=1")


async def write(client: NetClient, text: str, at: int | None = None) -> None:
    """Insert, and wait until it is recorded."""
    client.text.insert(len(client.text) if at is None else at, text)
    await client.recorded()


async def status_of(server: Server, name: str, room: str) -> int:
    try:
        client = await server.lab(name, room)
    except HTTPClientError as error:
        return int(error.code)
    await client.close()
    return 101


async def log_of(server: Server, path: str = "a.py") -> list[Recorded]:
    document = await server.rooms.documents.by_path(path)
    assert document is not None
    return await server.rooms.log.after(document.id, document.epoch, 0)


async def count_of(database: Database, table: Any) -> int:
    return int(
        await database.read(
            lambda tx: tx.execute(select(func.count()).select_from(table)).scalar_one()
        )
    )


# ---------------------------------------------------------------- from the beginning to the end


async def test_from_the_beginning_to_the_merge(server: Server, database: Database) -> None:
    root = await root_of(server)
    fork = await Branch.make(server, title="An idea", description="Perhaps.")
    about = {
        "root_roomid": server_room(server),
        "synchronize": False,
        "title": "An idea",
        "description": "Perhaps.",
    }
    assert await server.call("eve", "GET", f"fork/{server_room(server)}") == (200, {fork.id: about})
    ada, bob, eve = [await fork.open(name) for name in ("ada", "bob", "eve")]
    await write(ada, "by ada\n")
    await write(bob, "by bob\n")
    await until(lambda: str(eve.text) == str(ada.text) == "x = 1\nby ada\nby bob\n")
    await write(root, "meanwhile\n")
    assert str(root.text) == "x = 1\nmeanwhile\n", "what is in the fork is not in the root"
    assert "meanwhile" not in str(ada.text)
    before = await log_of(server)
    assert await fork.end("ada") == (200, None)
    await until(lambda: "by bob" in str(root.text))
    lines = str(root.text).splitlines()
    assert sorted(lines) == ["by ada", "by bob", "meanwhile", "x = 1"]
    made = [one for one in (await log_of(server))[len(before) :] if one.origin is not Origin.SERVER]
    assert [(one.origin, one.user_id) for one in made] == [(Origin.MERGE, person("ada").user_id)]
    # Then it is gone, with all that belonged to it.
    for client in (ada, bob, eve):
        await until(lambda client=client: client.closed)  # type: ignore[misc]
    assert await server.call("ada", "GET", f"fork/{server_room(server)}") == (200, {})
    assert (await fork.end())[0] == 404
    assert await status_of(server, "ada", fork.id) == 404
    assert await count_of(database, forks) == 0
    assert await count_of(database, documents) == 1
    acts = await database.read(lambda tx: tx.execute(select(activity.c.action)).scalars().all())
    assert acts == ["fork_created", "fork_merged"]


async def test_whoever_wrote_in_the_fork_wrote_it(server: Server, database: Database) -> None:
    fork = await Branch.make(server)
    ada, bob = await fork.open("ada"), await fork.open("bob")
    await write(bob, "by bob\n")
    await until(lambda: "bob" in str(ada.text))
    del ada.text[0:6]
    await until(lambda: str(bob.text) == "by bob\n")
    assert (await fork.end("ada"))[0] == 200
    root = await root_of(server)
    assert str(root.text) == "by bob\n"
    document = await server.rooms.documents.by_path("a.py")
    assert document is not None
    compactor = Compactor(database)
    for compacted in (False, True):
        if compacted:
            await compactor.compact(document.id)
        rows = await log_of(server)
        recent = await database.read(lambda tx: read_recent(tx, document.id, document.epoch))
        owners = {
            one.client_id: one.user_id
            for one in (await server.rooms.log.known(document.id)).clients
        }
        spans = recent_spans(recent)
        (text,) = blame(Kind.TEXT, rows, spans, owners)
        assert text.lines[0].authors == (person("bob").user_id,)
        # What was deleted is told as the work of whoever merged.
        (merged,) = [span for span in spans if span.origin is Origin.MERGE]
        assert (merged.authors, merged.deleted) == ((person("ada").user_id,), 6)
    # Nobody else can go on under the id.
    stolen: Doc[Any] = Doc(client_id=bob.doc.client_id)
    thief = await server.ws("ada", "a.py", doc=stolen)
    thief.type("as bob")
    await until(lambda: thief.closed or thief.of_type("refused"))
    assert "as bob" not in str(root.text)


async def test_a_fork_that_is_not_merged_leaves_nothing(server: Server) -> None:
    root = await root_of(server)
    fork = await Branch.make(server)
    await write(await fork.open("ada"), "never\n")
    for merge in ("false", "undefined", ""):
        assert (await fork.end("bob", merge))[0] == 200
        assert str(root.text) == "x = 1\n"
        fork = await Branch.make(server)
    status, told = await fork.end("ada", "perhaps")
    assert (status, told["reason"]) == (400, "invalid_request")


async def test_a_notebook_is_forked_and_merged(server: Server, jp_root_dir: Path) -> None:
    def cell(name: str) -> dict[str, Any]:
        made = {"cell_type": "code", "id": name, "source": name, "metadata": {}}
        return made | {"outputs": [], "execution_count": None}

    book = {"cells": [cell("a"), cell("b")], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (jp_root_dir / "n.ipynb").write_text(json.dumps(book))
    root = await root_of(server, path="n.ipynb")
    fork = await Branch.make(server, path="n.ipynb")
    ada = await fork.open("ada")
    cells = ada.doc.get("cells", type=Array)
    cells[0]["source"].insert(1, "!")
    del cells[1]
    await ada.recorded()
    assert (await fork.end())[0] == 200
    there = root.doc.get("cells", type=Array)
    await until(lambda: [str(one["source"]) for one in there] == ["a!"])


async def test_what_pages_note_in_the_fork_stays_there(server: Server) -> None:
    root = await root_of(server)
    root.state["document_id"] = "root"
    await root.recorded()
    fork = await Branch.make(server)
    ada = await fork.open("ada")
    ada.state["document_id"] = fork.id
    ada.state["more"] = 1
    await write(ada, "text\n")
    assert (await fork.end())[0] == 200
    await until(lambda: "text" in str(root.text))
    assert root.state["document_id"] == "root"
    assert "more" not in root.state


# ---------------------------------------------------------------- who may do what


async def test_the_roles_are_those_of_the_root(server: Server) -> None:
    fork = await Branch.make(server)
    room = server_room(server)
    for name, status in (("eve", 403), ("stranger", 404)):
        assert (await server.call(name, "PUT", f"fork/{room}", {}))[0] == status
        assert (await fork.end(name))[0] == status
        assert (await fork.end(name, "false"))[0] == status
    assert (await server.call("stranger", "GET", f"fork/{room}"))[0] == 404
    assert await status_of(server, "stranger", fork.id) == 404
    assert (await server.call("ada", "GET", "fork/text:file:none"))[0] == 404
    assert (await server.call("ada", "GET", "fork/JupyterLab:globalAwareness"))[0] == 404
    assert (await server.call("ada", "PUT", f"fork/{fork.id}", {}))[0] == 404, "no fork of a fork"
    assert (await server.call("ada", "DELETE", f"fork/{room}?merge=true"))[0] == 404
    eve, ada = await fork.open("eve"), await fork.open("ada")
    eve.type("by eve\n")
    await until(lambda: eve.of_type("refused"))
    assert eve.of_type("refused")[0]["reason"] == "role_required"
    await write(ada, "by ada\n")
    await until(lambda: "by ada" in str(eve.text))
    assert "by eve" not in str(ada.text)
    # Nobody edits the fork's own row as if it were a file.
    for path in (f"a.py/{fork.id}", fork.id):
        other = await server.ws("ada", path, sync=False)
        await until(lambda other=other: other.closed)  # type: ignore[misc]
        assert other.code == 4404


async def test_rights_that_end_bite_on_open_sockets(server: Server) -> None:
    fork = await Branch.make(server)
    ada, bob, eve = [await fork.open(name) for name in ("ada", "bob", "eve")]
    server.people.set("bob", VIEWER)
    await until(lambda: bob.of_type("role"))
    bob.type("too late\n")
    await until(lambda: bob.of_type("refused"))
    server.people.set("eve", NOBODY)
    await until(lambda: eve.closed)
    assert "no longer a member" in str(eve.reason)
    server.people.sign_out("ada")
    await until(lambda: ada.closed)
    assert (await fork.end("bob"))[0] == 403
    again = await fork.open("ada")
    assert "too late" not in str(again.text)


@pytest.mark.parametrize(
    "body",
    [
        {"title": "x" * 201},
        {"description": "x" * 2001},
        {"synchronize": "yes"},
        {"more": 1},
        {"title": None},
    ],
)
async def test_nonsense_is_refused(server: Server, body: dict[str, Any]) -> None:
    status, told = await server.call("ada", "PUT", f"fork/{server_room(server)}", body)
    assert (status, told["reason"]) == (400, "invalid_request")


async def test_there_are_only_so_many(server: Server, database: Database) -> None:
    made = [await Branch.make(server) for _ in range(5)]
    status, told = await server.call("bob", "PUT", f"fork/{server_room(server)}", {})
    assert (status, told["reason"]) == (400, "invalid_request")
    assert "5 forks" in told["message"]
    await made[0].end(merge="false")
    await Branch.make(server)
    few = Forks(database, server.rooms, server.people, server.locks, most_of_one=2)
    with pytest.raises(Exception, match="You have made 2 forks"):
        await few.create(person("ada"), "a.py")


async def test_nothing_is_merged_while_an_operation_writes(server: Server) -> None:
    root = await root_of(server)
    fork = await Branch.make(server)
    await write(await fork.open("ada"), "text\n")
    server.locks.locked = True
    status, told = await fork.end()
    assert (status, told["reason"], told["lock"]) == (423, "locked", {"id": "lock"})
    assert "text" not in str(root.text)
    server.locks.locked = False
    assert (await fork.end())[0] == 200
    await until(lambda: "text" in str(root.text))


# ---------------------------------------------------------------- what must not come together


async def test_an_id_that_is_somebody_elses_in_the_root_is_not_merged(server: Server) -> None:
    root = await root_of(server, "bob")
    fork = await Branch.make(server)
    stolen: Doc[Any] = Doc(client_id=root.doc.client_id)
    ada = await fork.open("ada", stolen)
    await write(ada, "as bob\n")
    await write(root, "by bob\n")
    status, told = await fork.end()
    assert (status, told["reason"]) == (409, "stale_document")
    assert told["message"].endswith("nothing was merged.")
    assert str(root.text) == "x = 1\nby bob\n"
    assert await status_of(server, "ada", fork.id) == 101, "the fork is still there"


async def test_what_was_refused_in_the_root_does_not_come_by_a_fork(server: Server) -> None:
    server.people.set("ada", VIEWER)
    viewer = await server.ws("ada", "a.py")
    viewer.type("refused\n")
    await until(lambda: viewer.of_type("refused"))
    server.people.set("ada", EDITOR)
    # Made after the refusal, the fork knows of it.
    late = await Branch.make(server)
    page = await late.open("ada", viewer.doc)
    await until(lambda: page.closed)
    assert page.of_type("reset")
    assert (await late.end("bob"))[0] == 200


async def test_what_was_refused_after_the_fork_was_made_is_not_merged(server: Server) -> None:
    fork = await Branch.make(server)
    server.people.set("ada", VIEWER)
    viewer = await server.ws("ada", "a.py")
    viewer.type("refused\n")
    await until(lambda: viewer.of_type("refused"))
    await viewer.close()
    server.people.set("ada", EDITOR)
    page = await fork.open("ada", viewer.doc)
    await page.recorded()
    status, told = await fork.end("bob")
    assert (status, told["reason"]) == (409, "stale_document")
    assert str((await root_of(server)).text) == "x = 1\n"


async def test_a_page_that_was_in_both_doubles_nothing(server: Server) -> None:
    """Upstream's page takes one and the same Yjs document into the fork and back."""
    bob = await root_of(server)
    room = server_room(server)
    page = await server.lab("ada", room, "?ack=1")
    await write(page, "in the root\n")
    doc = page.doc
    await page.close()
    fork = await Branch.make(server)
    page = await fork.open("ada", doc)
    await write(page, "in the fork\n")
    await page.close()
    page = await server.lab("ada", room, "?ack=1", doc=doc)
    await write(page, "back\n")
    assert (await fork.end("bob"))[0] == 200
    await write(page, "after\n")
    wanted = "x = 1\nin the root\nin the fork\nback\nafter\n"
    await until(lambda: str(page.text) == str(bob.text) == wanted)


# ---------------------------------------------------------------- at the same time


async def test_one_that_follows_takes_over_what_the_root_records(server: Server) -> None:
    root = await root_of(server)
    follows, stays = await Branch.make(server, synchronize=True), await Branch.make(server)
    one, other = await follows.open("ada"), await stays.open("ada")
    await write(root, "first\n")
    await until(lambda: "first" in str(one.text))
    await write(one, "in the fork\n")
    del root.text[0:6]
    await until(lambda: "x = 1" not in str(one.text))
    assert str(other.text) == "x = 1\n"
    await one.close()
    # Where nobody is there to see it, it comes with the next opening.
    document = await server.side_rooms.forks.find(follows.id)
    assert document is not None
    room = server.rooms.find(document.id)
    assert room is not None
    await server.rooms._end(server.rooms._open[document.id], Ending.STOPPING)
    await write(root, "second\n")
    one = await follows.open("ada")
    await until(lambda: "second" in str(one.text))
    assert (await follows.end())[0] == 200
    await until(lambda: sorted(str(root.text).split()) == ["first", "fork", "in", "second", "the"])


async def test_people_type_everywhere_while_it_is_merged(server: Server) -> None:
    fork = await Branch.make(server, synchronize=True)
    root, page = await root_of(server, "bob"), await fork.open("ada")
    typed: dict[str, int] = {"r": 0, "f": 0}
    random_ = random.Random(20)
    going = True

    async def type_on(client: NetClient, mark: str) -> None:
        while going and not client.closed:
            client.text.insert(random_.randint(0, len(client.text)), f"<{mark}{typed[mark]}>")
            typed[mark] += 1
            await asyncio.sleep(0.005)

    tasks = [asyncio.create_task(type_on(root, "r")), asyncio.create_task(type_on(page, "f"))]
    await until(lambda: typed["f"] > 30)
    status, told = await fork.end("bob")
    # Who never holds still may keep it from being merged; else it is merged whole.
    assert status in (200, 409), told
    merged = status == 200
    await until(lambda: typed["r"] > 60)
    going = False
    await asyncio.gather(*tasks)
    if not merged:
        assert (await fork.end("bob"))[0] == 200
    await root.recorded()
    fresh = await root_of(server, "eve")
    await until(lambda: str(fresh.text) == str(root.text))
    # A mark may be torn by another in it, its letters are there once.
    letters = re.sub(r"[^rf]", "", str(fresh.text))
    assert letters.count("r") == typed["r"]
    # Of the frames that were acknowledged, so many at least are updates.
    acknowledged = max(one["seq"] for one in page.of_type("saved")) - page.answers
    # What was acknowledged is there; what was not may have come too late.
    assert acknowledged <= letters.count("f") <= typed["f"]
    assert str(fresh.text).count("x = 1") <= 1


# ---------------------------------------------------------------- files, rooms and ends


async def test_it_goes_where_its_root_goes(server: Server, jp_root_dir: Path) -> None:
    fork = await Branch.make(server)
    ada = await fork.open("ada")
    await write(ada, "text\n")
    (jp_root_dir / "a.py").rename(jp_root_dir / "b.py")
    await server.rooms.renamed("a.py", "b.py")
    assert await server.side_rooms.path_of(fork.id) == "b.py"
    await until(lambda: ada.state.get("path") == "b.py")
    await write(ada, "more\n")
    assert [one.id for one in await server.side_rooms.forks.of(person("eve"), "b.py")] == [fork.id]
    assert (await fork.end())[0] == 200
    assert str((await root_of(server, path="b.py")).text) == "x = 1\ntext\nmore\n"


@pytest.mark.parametrize("how", ["deleted", "overwritten", "another kind"])
async def test_it_ends_with_its_root(
    server: Server, jp_root_dir: Path, database: Database, how: str
) -> None:
    (jp_root_dir / "z.py").write_text("z\n")
    await (await root_of(server, path="z.py")).close()
    fork = await Branch.make(server)
    ada = await fork.open("ada")
    if how == "deleted":
        await server.rooms.deleted("a.py")
    elif how == "overwritten":
        await server.rooms.renamed("z.py", "a.py")
    else:
        await server.rooms.renamed("a.py", "a.ipynb")
    await until(lambda: ada.closed)
    assert await status_of(server, "ada", fork.id) == 404
    assert await count_of(database, forks) == 0
    left = 0 if how == "another kind" else 1
    assert await count_of(database, documents) <= left + 1
    rows = await database.read(
        lambda tx: tx.execute(
            select(document_updates.c.seq).where(document_updates.c.document_id == fork.id)
        ).all()
    )
    assert rows == []


async def test_presence_in_a_fork_is_verified_and_stays_there(server: Server) -> None:
    fork = await Branch.make(server)
    root, ada, bob = await root_of(server), await fork.open("ada"), await fork.open("bob")
    claimed = json.dumps({"user": {"name": "Somebody else", "username": "root"}})
    ada.send(protocol.awareness(encode_awareness([(ada.doc.client_id, 1, json.loads(claimed))])))
    await until(lambda: bob.awareness)
    (entry,) = parse_awareness(bob.awareness[-1])
    assert json.loads(entry.json)["user"]["username"] == "ada"
    assert not root.awareness


# ---------------------------------------------------------------- rooms without a network


def side(house: House) -> Forks:
    return Forks(house.database, house.rooms, house.people, Locks())


async def join(house: House, name: str, fork_id: Any, **options: Any) -> Client:
    room = await house.rooms.acquire_by_id(fork_id)
    right = house.people.rights[name]
    return await Client(room, person(name), right, **options).join()


async def recorded(client: Client) -> None:
    """Wait until all that it has sent is recorded."""
    await until(lambda: client.connection.frames in client.saved, "all of it to be recorded")


@pytest.fixture
def studio(house: House) -> House:
    house.write("a.py", "x = 1\n")
    house.people.rights |= {"ada": EDITOR, "bob": EDITOR}
    return house


async def test_its_room_is_freed_and_it_stays(database: Database, tmp_path: Path) -> None:
    house = House(database, tmp_path, idle=0.05)
    house.write("a.py", "x = 1\n")
    house.people.rights["ada"] = EDITOR
    fork = await side(house).create(person("ada"), "a.py", synchronize=True)
    client = await join(house, "ada", fork.id)
    await client.type("text\n")
    await recorded(client)
    await client.leave()
    house.rooms.release(client.room)
    await until(lambda: not house.rooms.all(), "both rooms to be freed")
    assert house.read("a.py") == "x = 1\n"
    assert str((await join(house, "ada", fork.id)).text) == "x = 1\ntext\n"
    await house.rooms.close_all()


@pytest.mark.parametrize("how", ["restart", "crash"])
async def test_one_that_is_not_merged_outlives_the_server(studio: House, how: str) -> None:
    fork = await side(studio).create(person("ada"), "a.py", title="An idea")
    client = await join(studio, "ada", fork.id)
    await client.type("text\n")
    await recorded(client)
    if how == "restart":
        await studio.restart()
    else:
        studio.crash()
    (found,) = await side(studio).of(person("bob"), "a.py")
    assert (found.id, found.title) == (fork.id, "An idea")
    again = await join(studio, "ada", fork.id, doc=client.doc)
    await again.type("more\n")
    await recorded(again)
    assert not again.refused
    assert not again.resets
    await side(studio).merge(person("bob"), fork.id)
    root = await studio.client("bob", "a.py")
    assert str(root.text) == "x = 1\ntext\nmore\n"


async def test_a_merge_that_can_not_be_recorded_leaves_both_as_they_are(
    studio: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fork goes in the transaction that records its text, or not at all."""
    made = side(studio)
    fork = await made.create(person("ada"), "a.py")
    client = await join(studio, "ada", fork.id)
    await client.type("text\n")
    await recorded(client)

    def fail(*args: Any) -> None:
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(made, "_note", fail)
    with pytest.raises(RuntimeError, match="on fire"):
        await made.merge(person("ada"), fork.id)
    monkeypatch.undo()
    root = await studio.client("bob", "a.py")
    assert str(root.text) == "x = 1\n"
    await client.type("more\n")
    await recorded(client)
    await made.merge(person("ada"), fork.id)
    await until(lambda: str(root.text) == "x = 1\ntext\nmore\n")


async def test_a_fork_that_says_nothing_new_is_merged_too(studio: House) -> None:
    fork = await side(studio).create(person("ada"), "a.py")
    root = await studio.client("bob", "a.py")
    seq = root.room.seq
    await side(studio).merge(person("ada"), fork.id)
    assert root.room.seq == seq
    assert await side(studio).of(person("ada"), "a.py") == []


async def test_two_who_merge_at_once_do_it_once(studio: House) -> None:
    fork = await side(studio).create(person("ada"), "a.py")
    client = await join(studio, "ada", fork.id)
    await client.type("text\n")
    await recorded(client)
    outcomes = await asyncio.gather(
        *(side(studio).merge(person(name), fork.id) for name in ("ada", "bob", "ada")),
        return_exceptions=True,
    )
    assert sum(one is None for one in outcomes) == 1, outcomes
    root = await studio.client("bob", "a.py")
    assert str(root.text) == "x = 1\ntext\n"


async def test_two_servers_follow_one_fork(studio: House, tmp_path: Path) -> None:
    fork = await side(studio).create(person("ada"), "a.py", synchronize=True)
    second = Database(studio.database.url)
    await second.open()
    other = House(second, studio.root)
    try:
        other.people.rights |= studio.people.rights
        one, two = await join(studio, "ada", fork.id), await join(other, "bob", fork.id)
        await one.type("one\n")
        await until(lambda: "one" in str(two.text))
        await two.type("two\n")
        await until(lambda: "two" in str(one.text))
        # The one that merges does not lose what was recorded by way of the other.
        await side(studio).merge(person("ada"), fork.id)
        root = await studio.client("ada", "a.py")
        assert sorted(str(root.text).split()) == ["1", "=", "one", "two", "x"]
        await until(lambda: two.closed, "the other server to hear of it")
        with pytest.raises(NotFound):
            await other.rooms.acquire_by_id(fork.id)
    finally:
        await other.rooms.close_all(within=5)
        await second.close()


# ---------------------------------------------------------------- who is in the way


async def test_a_viewer_can_not_keep_a_fork_from_being_merged(server: Server) -> None:
    """Nor bar in the root the id under which somebody writes in the fork."""
    root = await root_of(server)
    fork = await Branch.make(server)
    ada = await fork.open("ada")
    await write(ada, "by ada\n")
    forged: Doc[Any] = Doc(client_id=ada.doc.client_id)
    eve = await server.ws("eve", "a.py", doc=forged)
    eve.type("by eve\n")
    await until(lambda: eve.of_type("refused"))
    assert (await fork.end())[0] == 200
    await until(lambda: "by ada" in str(root.text))
    # It is ada's now, for good, and she goes on under it.
    page = await server.lab("ada", server_room(server), "?ack=1", doc=ada.doc)
    await write(page, "more\n")
    await until(lambda: str(root.text) == "x = 1\nby ada\nmore\n")
    assert not page.of_type("reset")


async def test_a_viewer_can_not_keep_a_fork_from_following(server: Server) -> None:
    fork = await Branch.make(server, synchronize=True)
    ada = await fork.open("ada")
    root = await root_of(server)
    forged: Doc[Any] = Doc(client_id=root.doc.client_id)
    eve = await fork.open("eve", forged)
    eve.type("by eve\n")
    await until(lambda: eve.of_type("refused"))
    await write(root, "in the root\n")
    await until(lambda: "in the root" in str(ada.text))


async def test_a_merge_takes_nobodys_id_who_is_about_to_write(server: Server) -> None:
    fork = await Branch.make(server)
    bob = await root_of(server, "bob")
    bob.send(protocol.awareness(encode_awareness([(bob.doc.client_id, 1, {"user": {}})])))
    other = await root_of(server, "ada")
    await until(lambda: other.awareness)
    forged: Doc[Any] = Doc(client_id=bob.doc.client_id)
    ada = await fork.open("ada", forged)
    await write(ada, "as bob\n")
    status, told = await fork.end()
    assert (status, told["reason"]) == (409, "stale_document")
    await write(bob, "by bob\n")
    await until(lambda: "by bob" in str(other.text))


@pytest.mark.parametrize("room", ["a%00b", "%00", "x" * 500, "%F0%9F%8D%B4", "%25"])
async def test_a_room_that_can_not_be_is_none(server: Server, room: str) -> None:
    assert (await server.call("ada", "DELETE", f"fork/{room}"))[0] in (400, 404)
    assert await status_of(server, "ada", room) in (400, 404)


async def test_a_fork_whose_root_can_not_be_opened_ends_all_the_same(
    studio: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    fork = await side(studio).create(person("ada"), "a.py", synchronize=True)
    asked = asyncio.Event()
    acquire = studio.rooms.acquire_by_id

    async def fail(document_id: Any) -> Any:
        if document_id == fork.id:
            return await acquire(document_id)
        asked.set()
        raise RuntimeError("the disk is on fire")

    monkeypatch.setattr(studio.rooms, "acquire_by_id", fail)
    client = await join(studio, "ada", fork.id)
    await asyncio.wait_for(asked.wait(), 10)
    await side(studio).delete(person("ada"), fork.id)
    await until(lambda: client.closed)


async def test_what_others_wrote_in_a_fork_is_nobodys_own_in_the_root(server: Server) -> None:
    """Nor is the merge in the way of whoever went from the fork to the root."""
    fork = await Branch.make(server)
    ada, bob = await fork.open("ada"), await fork.open("bob")
    await write(bob, "by bob\n")
    await until(lambda: "by bob" in str(ada.text))
    page = await server.ws("ada", "a.py", "&ack=1", doc=ada.doc)
    await until(lambda: page.closed)
    assert page.of_type("reset")
    root = await root_of(server)
    assert str(root.text) == "x = 1\n"
    assert (await fork.end())[0] == 200
    await until(lambda: str(root.text) == "x = 1\nby bob\n")


async def test_a_viewer_who_comes_from_a_fork_takes_nobodys_id_along(server: Server) -> None:
    fork = await Branch.make(server)
    ada, eve = await fork.open("ada"), await fork.open("eve")
    await write(ada, "by ada\n")
    await until(lambda: "by ada" in str(eve.text))
    page = await server.ws("eve", "a.py", "&ack=1", doc=eve.doc)
    await until(lambda: page.closed)
    assert page.of_type("reset")
    page = await server.ws("ada", "a.py", "&ack=1", doc=ada.doc)
    await write(page, "more\n")
    assert str((await root_of(server)).text) == "x = 1\nby ada\nmore\n"


async def test_no_file_has_the_place_of_a_fork(server: Server, jp_root_dir: Path) -> None:
    fork = await Branch.make(server)
    (jp_root_dir / "a.py").unlink()
    (jp_root_dir / "a.py").mkdir()
    (jp_root_dir / "a.py" / fork.id).write_text("other\n")
    other = await server.ws("ada", f"a.py/{fork.id}")
    assert str(other.text) == "other\n"
    assert await server.side_rooms.path_of(fork.id) == "a.py"
