"""The room: record, acknowledge, show; refuse; survive."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pycrdt import Doc, Text
from sqlalchemy import update

from jupyter_collab_ai.errors import (
    DatabaseUnavailable,
    InvalidRequest,
    NotFound,
    OperationCancelled,
    StaleDocument,
)
from jupyter_collab_ai.ids import DocumentId
from jupyter_collab_ai.rooms import protocol, recorder
from jupyter_collab_ai.rooms.awareness import encode_awareness, parse_awareness
from jupyter_collab_ai.rooms.close_codes import Ending
from jupyter_collab_ai.rooms.content import model_of
from jupyter_collab_ai.rooms.documents import Documents
from jupyter_collab_ai.rooms.gate import NotIntegrable
from jupyter_collab_ai.rooms.log import Origin, UpdateLog
from jupyter_collab_ai.rooms.panics import DocumentPanic
from jupyter_collab_ai.storage.database import Tx
from jupyter_collab_ai.storage.tables import documents
from tests.rooms.engine import EDITOR, NOBODY, VIEWER, Client, House, person, until


async def test_opens_a_file_and_carries_edits(house: House) -> None:
    house.write("a.py", "x = 1\n")
    ada = await house.client("ada", "a.py")
    bob = await house.client("bob", "a.py")
    assert str(ada.text) == str(bob.text) == "x = 1\n"
    await ada.type("y = 2\n")
    await until(lambda: str(bob.text) == "x = 1\ny = 2\n")
    await bob.type("z = «3»\n")
    await until(lambda: str(ada.text) == str(bob.text) == "x = 1\ny = 2\nz = «3»\n")
    assert ada.room is bob.room


async def test_acknowledges_each_frame_by_its_number(house: House) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    await until(lambda: ada.saved == [1], "its answer to our step 1")
    for letter in "abc":
        await ada.type(letter)
    await until(lambda: ada.saved == [1, 2, 3, 4])


async def test_tells_the_epoch_first(house: House) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    assert (
        ada.raw[0].items() >= {"type": "hello", "epoch": ada.room.epoch, "read_only": False}.items()
    )
    ben = await house.client("ben", "a.py", VIEWER)
    assert ben.raw[0]["read_only"] is True


async def test_the_file_follows_while_people_type(house: House) -> None:
    house.write("a.py", "x\r\n")
    ada = await house.client("ada", "a.py")
    assert str(ada.text) == "x\n"
    loop = asyncio.get_running_loop()
    began = loop.time()
    typed = 0
    while "é" not in house.read("a.py"):
        await ada.type("é")
        typed += 1
        await until(lambda: len(ada.saved) == ada.connection.frames)
        assert loop.time() - began < 5, "it is saved although typing goes on"
    await until(lambda: house.read("a.py") == "x\r\n" + typed * "é", "the rest")
    await until(lambda: ada.state.get("dirty") is False, "the mark that all is saved")
    told = ("saved", {"path": "a.py", "saved": True})
    await until(lambda: told in house.events.published)


async def test_a_crash_loses_nothing_that_was_acknowledged(house: House) -> None:
    house.write("a.py", "start\n")
    ada = await house.client("ada", "a.py")
    for number in range(30):
        await ada.type(f"{number}\n")
    await until(lambda: len(ada.saved) == 31)
    text = str(ada.text)
    house.crash()
    bob = await house.client("bob", "a.py")
    assert str(bob.text) == text
    await until(lambda: house.read("a.py") == text)
    again = await house.client("ada", "a.py", doc=ada.doc)
    assert str(again.text) == text, "once, and in one copy"
    assert again.room.epoch == ada.room.epoch


async def test_what_was_not_acknowledged_comes_with_the_reconnection(house: House) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    house.crash()
    ada.text += "offline"
    again = await house.client("ada", "a.py", doc=ada.doc)
    bob = await house.client("bob", "a.py")
    await until(lambda: str(bob.text) == str(again.text) == "offline")


async def test_a_viewer_changes_nothing_and_hears_so(house: House) -> None:
    house.write("a.py", "one\n")
    ada = await house.client("ada", "a.py")
    eve = await house.client("eve", "a.py", VIEWER)
    before = ada.updates
    await eve.type("EVIL")
    await until(lambda: eve.refused)
    assert eve.refused == [
        {"type": "refused", "reason": "role_required", "client": eve.doc.client_id, "from_clock": 0}
    ]
    await ada.type("two\n")
    await until(lambda: "two" in str(eve.text))
    assert eve.closed is None
    late = await house.client("late", "a.py")
    assert str(late.text) == str(ada.text) == "one\ntwo\n"
    assert ada.updates == before
    assert eve.saved == [1]


async def test_who_is_refused_again_and_again_fills_no_log(house: House) -> None:
    house.write("a.py", "one\n")
    eve = await house.client("eve", "a.py", VIEWER)
    await eve.room.settle(5)
    before = eve.room.seq
    for number in range(1, 6):
        await eve.type("EVIL")
        await until(lambda number=number: len(eve.refused) == number)
    # Other servers are told once; each time they would build what they know of it anew.
    assert eve.room.seq == before + 1


async def test_what_a_viewer_wrote_does_not_slip_in_later(house: House) -> None:
    house.write("a.py", "one\n")
    eve = await house.client("eve", "a.py", VIEWER)
    await eve.type("EVIL")
    await until(lambda: eve.refused)
    house.people.set("eve", EDITOR)
    await until(lambda: eve.closed is Ending.RESET)
    assert eve.resets == ["role_changed"]
    await house.restart()
    again = await house.client("eve", "a.py", doc=eve.doc)
    await until(lambda: again.closed is Ending.RESET)
    late = await house.client("late", "a.py")
    assert str(late.text) == "one\n"


async def test_a_deletion_that_was_refused_does_not_slip_in_after_a_crash(house: House) -> None:
    """Deletions have no clock that could be barred, and eve shows no id of hers."""
    house.write("a.py", "one two\n")
    eve = await house.client("eve", "a.py", VIEWER)
    for start in (4, 0):
        del eve.text[start : start + 3]
        await eve.flush()
    await until(lambda: len(eve.refused) == 2)
    house.crash()
    again = await house.client("eve", "a.py", EDITOR, doc=eve.doc)
    await until(lambda: again.closed is Ending.RESET)
    ada = await house.client("ada", "a.py")
    assert str(ada.text) == "one two\n"
    fresh = await house.client("eve", "a.py", EDITOR)
    del fresh.text[0:4]
    await fresh.flush()
    await until(lambda: str(ada.text) == "two\n", "the same as a new act")


async def test_a_viewers_state_is_dropped_without_notice(house: House) -> None:
    house.write("a.py", "")
    eve = await house.client("eve", "a.py", VIEWER)
    eve.state["document_id"] = "text:file:1"
    await eve.flush()
    await eve.room.settle(5)
    assert not eve.refused
    assert eve.closed is None
    house.people.set("eve", EDITOR)
    await until(lambda: eve.closed is Ending.RESET)


async def test_promotion_lifts_who_has_dropped_nothing(house: House) -> None:
    house.write("a.py", "")
    eve = await house.client("eve", "a.py", VIEWER)
    ada = await house.client("ada", "a.py")
    house.people.set("eve", EDITOR)
    await eve.room.settle(5)
    await eve.type("now I may")
    await until(lambda: str(ada.text) == "now I may")


async def test_demotion_keeps_the_socket_and_bites_at_once(house: House) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    bob = await house.client("bob", "a.py")
    house.people.set("ada", VIEWER)
    await ada.type("too late")
    await until(lambda: ada.refused)
    await bob.type("x")
    await until(lambda: "x" in str(ada.text))
    assert str(bob.text) == "x"
    assert ada.closed is None


async def test_who_leaves_and_is_demoted_while_others_are_asked_for_writes_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    bob = await house.client("bob", "a.py")
    room = ada.room
    await room.settle(5)
    asked, answered = asyncio.Event(), asyncio.Event()
    rights_of = house.people.rights_of

    async def slow(principals: Any, path: str) -> Any:
        rights = await rights_of(principals, path)
        asked.set()
        await answered.wait()
        return rights

    monkeypatch.setattr(house.people, "rights_of", slow)
    # What ada may do is asked for when bob's frame is taken.
    ada.connection.checked_at -= 60
    room._rechecking._due = 0
    await bob.type("too late")
    await asked.wait()
    house.people.set("bob", VIEWER)
    await bob.leave()
    answered.set()
    await room.settle(5)
    assert str(ada.text) == ""


async def test_removal_ends_the_connection_before_more_is_shown(house: House) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    bob = await house.client("bob", "a.py")
    before = bob.updates
    house.people.set("bob", NOBODY)
    await ada.type("secret")
    await until(lambda: len(ada.saved) == 2)
    assert bob.closed is Ending.REMOVED
    assert bob.updates == before


async def test_nothing_is_shown_or_acknowledged_before_it_is_recorded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    bob = await house.client("bob", "a.py")
    await until(lambda: len(ada.saved) == 1)
    write = house.database.write
    down = True

    async def fail(function: Any, **options: Any) -> Any:
        if down:
            raise DatabaseUnavailable("The database can't be reached.")
        return await write(function, **options)

    monkeypatch.setattr(house.database, "write", fail)
    await ada.type("kept")
    await until(
        lambda: ("saved", False) in [(t, d.get("saved")) for t, d in house.events.published],
        "people to be told",
        within=2,
    )
    assert str(bob.text) == ""
    assert len(ada.saved) == 1
    down = False
    await until(lambda: str(bob.text) == "kept" and len(ada.saved) == 2)
    assert house.events.published[-1][0] in {"saved", "presence"}


async def test_a_commit_whose_answer_was_lost_is_not_recorded_twice(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    bob = await house.client("bob", "a.py")
    await until(lambda: len(ada.saved) == 1)
    append = house.rooms.log.append
    lost = 2

    async def lose(*args: Any, **options: Any) -> int:
        nonlocal lost
        seq = await append(*args, **options)
        if lost:
            lost -= 1
            raise DatabaseUnavailable("The connection was lost.")
        return seq

    monkeypatch.setattr(house.rooms.log, "append", lose)
    await ada.type("once")
    await until(lambda: str(bob.text) == "once" and len(ada.saved) == 2)
    await ada.room.edit(lambda doc: _append(doc, "!"), origin=Origin.AI)
    await until(lambda: str(bob.text) == str(ada.text) == "once!")
    history = await house.rooms.log.load(ada.room.document.id, ada.room.epoch)
    assert str(history.replay().get("source", type=Text)) == "once!"


def _append(doc: Doc[Any], text: str) -> None:
    target = doc.get("source", type=Text)
    target += text


async def test_another_servers_updates_are_taken_over(house: House) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    here = house.rooms
    house.rooms = house.build()
    bob = await house.client("bob", "a.py")
    await bob.type("there ")
    await until(lambda: len(bob.saved) == 2)
    await ada.type("here")
    await until(lambda: "there" in str(ada.text) and "here" in str(ada.text))
    await bob.type(".")
    await until(lambda: str(bob.text) == str(ada.text))
    await here.close_all(within=5)


async def test_a_server_edit_is_one_change(house: House) -> None:
    house.write("a.py", "one\n")
    ada = await house.client("ada", "a.py")
    before = ada.updates

    def change(doc: Doc[Any]) -> str:
        text = doc.get("source", type=Text)
        del text[0:3]
        text.insert(0, "two")
        return "done"

    seq, result = await ada.room.edit(change, origin=Origin.AI, user_id=person("ada").user_id)
    assert result == "done"
    assert seq == ada.room.seq
    await until(lambda: str(ada.text) == "two\n")
    assert ada.updates == before + 1


async def test_a_server_edit_that_raises_changes_nothing(house: House) -> None:
    house.write("a.py", "one\n")
    ada = await house.client("ada", "a.py")

    def change(doc: Doc[Any]) -> None:
        _append(doc, "half")
        raise StaleDocument("The text is another one by now.")

    with pytest.raises(StaleDocument):
        await ada.room.edit(change)
    assert str(ada.room.doc.get("source", type=Text)) == "one\n"


async def test_a_fence_stops_an_edit_in_its_transaction(house: House) -> None:
    house.write("a.py", "one\n")
    ada = await house.client("ada", "a.py")
    seq = ada.room.seq

    def fence(_tx: object) -> None:
        raise OperationCancelled("The lock was broken.")

    with pytest.raises(OperationCancelled):
        await ada.room.edit(lambda doc: _append(doc, "x"), fence=fence)
    assert ada.room.seq == seq
    await ada.room.edit(lambda doc: _append(doc, "y"))
    await until(lambda: str(ada.text) == "one\ny")
    await ada.type("z")
    await until(lambda: str(ada.room.doc.get("source", type=Text)) == "one\nyz")


async def test_what_other_extensions_write_is_recorded_and_shown(house: House) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    model_of(ada.room.kind, ada.room.doc).set("by an extension")
    await until(lambda: str(ada.text) == "by an extension")
    house.crash()
    bob = await house.client("bob", "a.py")
    assert str(bob.text) == "by an extension"


async def test_a_frame_that_is_no_update_ends_the_connection(house: House) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    await ada.send(protocol.update(b"\xff\xff\xff"))
    await until(lambda: ada.closed is Ending.UNREADABLE)
    bob = await house.client("bob", "a.py")
    await bob.type("still works")
    await until(lambda: len(bob.saved) == 2)


async def test_a_client_of_an_unknown_history_is_reset(house: House) -> None:
    house.write("a.py", "text\n")
    foreign: Doc[Any] = Doc(client_id=0)
    foreign.get("source", type=Text).insert(0, "another past, which is longer")
    ada = await house.client("ada", "a.py", doc=foreign)
    await until(lambda: ada.closed is Ending.RESET)
    bob = await house.client("bob", "a.py")
    assert str(bob.text) == "text\n"


async def test_refuses_what_is_no_document(house: House) -> None:
    (house.root / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    (house.root / "folder").mkdir()
    with pytest.raises(InvalidRequest, match="not text"):
        await house.rooms.acquire("picture.png")
    with pytest.raises(NotFound):
        await house.rooms.acquire("none.py")
    with pytest.raises(NotFound, match="folder"):
        await house.rooms.acquire("folder")
    assert house.rooms.all() == ()


async def test_a_room_is_freed_when_it_is_empty_and_saved(house: House) -> None:
    house.rooms._idle = 0.05
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    await ada.type("last words")
    await ada.leave()
    house.rooms.release(ada.room)
    await until(lambda: house.rooms.all() == ())
    assert house.read("a.py") == "last words"
    bob = await house.client("bob", "a.py")
    assert str(bob.text) == "last words"


async def test_a_notebook(house: House) -> None:
    import nbformat
    from nbformat.v4 import new_code_cell, new_notebook

    notebook = new_notebook(cells=[new_code_cell("a = 1"), new_code_cell("b = 2")])
    house.write("n.ipynb", nbformat.writes(notebook))
    ada = await house.client("ada", "n.ipynb")
    from pycrdt import Array

    cells = ada.doc.get("cells", type=Array)
    assert [str(cell["source"]) for cell in cells] == ["a = 1", "b = 2"]
    source = cells[1]["source"]
    source += "\nc = 3"
    await ada.flush()
    await until(lambda: "c = 3" in house.read("n.ipynb"), "the save")
    saved = nbformat.reads(house.read("n.ipynb"), as_version=4)
    assert [cell.id for cell in saved.cells] == [cell.id for cell in notebook.cells]


async def test_presence_events(house: House) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    assert ("presence", {"username": "ada", "online": True}) in house.events.published
    assert house.rooms.online(EDITOR.session_id) == {person("ada").user_id}  # type: ignore[arg-type]
    await ada.leave()
    assert ("presence", {"username": "ada", "online": False}) in house.events.published


async def test_rename_and_delete(house: House) -> None:
    house.write("a.py", "x\n")
    ada = await house.client("ada", "a.py")
    (house.root / "a.py").rename(house.root / "b.py")
    await house.rooms.renamed("a.py", "b.py")
    await until(lambda: ada.state.get("path") == "b.py")
    await ada.type("y\n")
    await until(lambda: house.read("b.py") == "x\ny\n")
    assert not (house.root / "a.py").exists()
    (house.root / "b.py").unlink()
    await house.rooms.deleted("b.py")
    assert ada.closed is Ending.NOT_FOUND
    house.write("b.py", "new\n")
    bob = await house.client("bob", "b.py")
    assert str(bob.text) == "new\n"
    assert bob.room.epoch != ada.room.epoch


async def test_a_file_that_is_renamed_while_its_room_opens(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room is not among those that follow yet; it looked for the old file and ended."""
    house.write("a.py", "x\n")
    load = UpdateLog.load

    async def rename_first(self: UpdateLog, *args: Any) -> Any:
        history = await load(self, *args)
        (house.root / "a.py").rename(house.root / "b.py")
        await house.rooms.renamed("a.py", "b.py")
        return history

    monkeypatch.setattr(UpdateLog, "load", rename_first)
    ada = await house.client("ada", "a.py")
    assert ada.room.path == "b.py"
    await ada.type("y\n")
    await until(lambda: house.read("b.py") == "x\ny\n")
    assert not (house.root / "a.py").exists()


async def test_opening_again_and_again_records_nothing_and_leaves_the_file_alone(
    house: House,
) -> None:
    house.write("a.py", "x\n")
    await house.client("ada", "a.py")
    await house.restart()
    stat = (house.root / "a.py").stat()
    seqs = set()
    for _ in range(3):
        ada = await house.client("ada", "a.py")
        await ada.room.settle(5)
        seqs.add(ada.room.seq)
        await house.restart()
    assert len(seqs) == 1
    assert (house.root / "a.py").stat().st_mtime_ns == stat.st_mtime_ns


def _awareness(client: int, clock: int, state: dict[str, Any] | None) -> bytes:
    return protocol.awareness(encode_awareness([(client, clock, state)]))


def _seen(client: Client) -> dict[int, dict[str, Any] | None]:
    return {
        entry.client: json.loads(entry.json)
        for payload in client.awareness
        for entry in parse_awareness(payload)
    }


async def test_presence_shows_the_account_behind_the_connection(house: House) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    bob = await house.client("bob", "a.py")
    lie = {"user": {"name": "Mallory", "username": "mallory"}, "cursor": 1}
    await ada.send(_awareness(ada.doc.client_id, 1, lie))
    await until(lambda: ada.doc.client_id in _seen(bob))
    seen = _seen(bob)[ada.doc.client_id]
    assert seen is not None
    assert seen["user"]["username"] == "ada"
    assert seen["cursor"] == 1
    assert ada.doc.client_id in _seen(ada), "the echo that keeps its connection alive"
    late = await house.client("late", "a.py")
    assert _seen(late)[ada.doc.client_id] == seen
    await bob.send(_awareness(ada.doc.client_id, 99, {"user": {"name": "Mallory"}}))
    assert [one["reason"] for one in bob.refused] == ["not_yours"]
    await ada.leave()
    await until(lambda: _seen(late)[ada.doc.client_id] is None)
    assert "Mallory" not in str([_seen(one) for one in (bob, late)])


async def test_cursors_of_many_come_in_one_frame(house: House) -> None:
    house.write("a.py", "")
    people = [await house.client(f"p{number}", "a.py") for number in range(5)]
    for clock in range(1, 20):
        for one in people:
            await one.send(_awareness(one.doc.client_id, clock, {"cursor": clock}))
    others = {one.doc.client_id for one in people[1:]}
    await until(lambda: others <= _seen(people[0]).keys())
    assert {_seen(people[0])[client]["cursor"] for client in others} == {19}  # type: ignore[index]
    assert len(people[0].awareness) <= 19 + 3, "19 echoes, and what others did at once"


async def test_what_another_server_moves_or_forgets_is_followed(house: House) -> None:
    house.write("a.py", "x\n")
    ada = await house.client("ada", "a.py")
    (house.root / "a.py").rename(house.root / "b.py")
    await Documents(house.database).rename("a.py", "b.py")
    await until(lambda: ada.room.path == "b.py")
    await ada.type("y\n")
    await until(lambda: house.read("b.py") == "x\ny\n")
    await Documents(house.database).forget("b.py")
    await until(lambda: ada.closed is Ending.NOT_FOUND)


async def test_an_update_whose_past_is_on_its_way_is_acknowledged_when_that_has_come(
    house: House,
) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    await until(lambda: ada.saved == [1])
    ada.text += "one "
    ada.text += "two "
    lost, late = ada._sending
    ada._sending.clear()
    await ada.send(late)
    await ada.room.settle(5)
    assert ada.saved == [1]
    # It is asked for all that it has, and answers.
    await until(lambda: ada._sending)
    await ada.flush()
    await until(lambda: ada.saved == [1, 2, 3])
    bob = await house.client("bob", "a.py")
    assert str(bob.text) == "one two "
    assert lost


async def test_an_update_of_the_servers_that_hangs_on_nothing_is_not_recorded(
    house: House,
) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    doc: Doc[Any] = Doc()
    text = doc.get("source", type=Text)
    text += "one "
    state = doc.get_state()
    text += "two"
    with pytest.raises(NotIntegrable):
        await ada.room.add(doc.get_update(state), origin=Origin.SERVER)
    await ada.type("fine")
    await until(lambda: len(ada.saved) == 2)
    history = await house.rooms.log.load(ada.room.document.id, ada.room.epoch)
    assert str(history.replay().get("source", type=Text)) == "fine"


async def test_a_panic_ends_an_edit_and_nothing_else(house: House) -> None:
    house.write("a.py", "abc")
    ada = await house.client("ada", "a.py")

    def panic(doc: Doc[Any]) -> None:
        text = doc.get("source", type=Text)
        text.sticky_index(len(text))

    with pytest.raises(DocumentPanic):
        await ada.room.edit(panic)
    with pytest.raises(DocumentPanic):
        await ada.room.look(panic)
    await ada.type("d")
    await until(lambda: len(ada.saved) == 2)


async def test_a_history_that_was_given_up_resets_who_is_in_it(house: House) -> None:
    house.write("a.py", "x\n")
    ada = await house.client("ada", "a.py")
    document_id = ada.room.document.id

    def give_up(tx: Tx) -> None:
        tx.execute(update(documents).where(documents.c.id == document_id).values(epoch="new"))

    await house.database.write(give_up)
    await ada.type("y")
    await until(lambda: ada.closed is Ending.RESET)
    assert ada.resets == ["unknown_history"]


async def test_what_waits_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    await until(lambda: ada.saved == [1])
    ada.room._inbox._max_waiting = 1000
    write = house.database.write
    go_on = asyncio.Event()

    async def wait(function: Any, **options: Any) -> Any:
        await go_on.wait()
        return await write(function, **options)

    monkeypatch.setattr(house.database, "write", wait)
    typing = asyncio.create_task(_type_much(ada))
    await until(lambda: len(ada.room._inbox) >= 5)
    await asyncio.sleep(0.1)
    assert not typing.done(), "the sender has to wait"
    assert ada.room._inbox._bytes < 1300
    go_on.set()
    await typing
    await until(lambda: len(ada.saved) == 101)


async def _type_much(client: Client) -> None:
    for _ in range(100):
        await client.type("x" * 100)


async def test_a_path_that_is_too_long_is_refused(house: House) -> None:
    """PostgreSQL refuses to keep it, which was a failure without a sentence."""
    with pytest.raises(InvalidRequest, match="longer than 1000 characters"):
        await house.rooms.documents.ensure("x" * 1100 + ".py")


async def test_the_file_is_known_to_lack_what_comes_after_a_save(house: House) -> None:
    """While it has to be written anyway, nobody listens to each change."""
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    room = ada.room
    told = 0

    def tell() -> None:
        nonlocal told
        told += 1

    room.on_change = tell
    for round_ in (1, 2, 3):
        for _ in range(3):
            before = room.edited_at
            await ada.type("x")
            await ada.room.settle(5)
            assert room.changed_at is not None
            assert room.edited_at > before
        assert told == round_
        assert not room._content_subscriptions
        room.changed_at = None
        # What is no content needs no file.
        ada.state["note"] = round_
        await ada.flush()
        await ada.room.settle(5)
        assert room.changed_at is None
        assert room._content_subscriptions


async def test_people_hear_of_a_question_that_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "SLOW", 0.5)
    loop = asyncio.get_running_loop()
    one = recorder.Recorder(None, DocumentId("d"), "e")  # type: ignore[arg-type]
    heard: list[str | None] = []
    one.on_trouble = heard.append

    async def quick() -> int:
        await asyncio.sleep(0)
        return 1

    # Those that were answered leave one timer behind, which has nothing to tell.
    timers = set()
    for _ in range(20):
        assert await one.insist(quick) == 1
        timers.add(one._timer)
    assert len(timers) == 1
    one._look()
    assert heard == []
    answer: asyncio.Future[int] = loop.create_future()
    began = loop.time()
    asking = asyncio.create_task(one.insist(lambda: answer))
    await until(lambda: heard)
    assert 0.45 < loop.time() - began < 5
    answer.set_result(2)
    assert await asking == 2
    assert [why is None for why in heard] == [False, True]
