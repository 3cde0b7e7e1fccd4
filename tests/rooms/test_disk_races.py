"""What others do to a file in the very moments in which it is looked at, saved or let go of."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from pycrdt import Array

from jupyter_collab_ai.rooms import projection as projection_module
from jupyter_collab_ai.rooms.content import make_cell
from jupyter_collab_ai.rooms.documents import Kind
from jupyter_collab_ai.rooms.files import Files, OnDisk
from jupyter_collab_ai.rooms.lastknown import LastKnown
from jupyter_collab_ai.rooms.local_files import ChangedOnDisk
from jupyter_collab_ai.rooms.projection import Projection
from jupyter_collab_ai.rooms.room import LiveRoom
from jupyter_collab_ai.rooms.whole_files import write_whole
from tests.rooms.engine import Client, House, until

LINES = "one\ntwo\nthree\n"


def _projection(house: House, client: Client) -> Projection:
    projection = house.rooms._open[client.room.document.id].projection
    assert isinstance(projection, Projection)
    return projection


@pytest.mark.parametrize("replaced", [False, True])
async def test_who_shortens_a_file_that_is_about_to_be_saved(
    house: House, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    """It was taken for our own save, cut off: what others had deleted came back."""
    if replaced:
        write_whole(house.manager, lambda: False)
    house.write("a.py", LINES)
    ada = await house.client("ada", "a.py")
    saving = LastKnown.saving
    shortened = False

    async def shorten(self: LastKnown, seq: int) -> None:
        nonlocal shortened
        await saving(self, seq)
        if not shortened:
            shortened = True
            house.write("a.py", "one\n")

    monkeypatch.setattr(LastKnown, "saving", shorten)
    await ada.type("mine\n")
    await until(lambda: shortened and house.read("a.py") == str(ada.text), "the merge")
    assert str(ada.text) == "one\nmine\n"


async def test_who_shortens_a_file_within_the_tick_of_the_last_save(house: House) -> None:
    write_whole(house.manager, lambda: False)
    house.write("a.py", "one\n")
    ada = await house.client("ada", "a.py")
    await ada.type("two\n")
    await until(lambda: house.read("a.py") == "one\ntwo\n")
    await until(lambda: ada.room.changed_at is None)
    path = house.root / "a.py"
    before = path.stat()
    path.write_text("one\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    await ada.type("three\n")
    await house.rooms.save(ada.room)
    await until(lambda: house.read("a.py") == str(ada.text) == "one\nthree\n")


async def _open(house: House) -> Client:
    """Open a file that is replaced as a whole."""
    write_whole(house.manager, lambda: False)
    house.write("a.py", "x\n")
    return await house.client("ada", "a.py")


def _be_late(monkeypatch: pytest.MonkeyPatch, house: House, times: int = 1) -> None:
    """Let another program write the file right before it is replaced."""
    write_local = Files.write_local
    left = times

    async def late(self: Files, *args: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            house.write("a.py", f"disk {left}\n" + house.read("a.py"))
            raise ChangedOnDisk
        return await write_local(self, *args)

    monkeypatch.setattr(Files, "write_local", late)


async def test_cells_of_one_id_do_not_keep_the_file_from_following_who_types_on(
    house: House,
) -> None:
    """The time since which it lacked something was forgotten: it took twice as long."""
    write_whole(house.manager, lambda: False)
    notebook = new_notebook(cells=[new_code_cell("1", id="a"), new_code_cell("2", id="b")])
    house.write("n.ipynb", nbformat.writes(notebook))
    ada = await house.client("ada", "n.ipynb")
    cells = ada.doc.get("cells", type=Array)
    copy = {"id": "a", "cell_type": "code", "source": "moved", "metadata": {}, "outputs": []}
    cells.append(make_cell(copy))
    await ada.flush()
    loop = asyncio.get_running_loop()
    began = loop.time()
    while "moved" not in house.read("n.ipynb"):
        cells[1]["source"].insert(0, "y")
        await ada.flush()
        await until(lambda: len(ada.saved) == ada.connection.frames)
        assert loop.time() - began < 5, "it is saved although typing goes on"


async def test_who_asks_for_a_save_gets_one_though_the_file_changes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were told that it was saved, when it was only to be tried once more."""
    ada = await _open(house)
    _be_late(monkeypatch, house)
    await ada.type("mine\n")
    await ada.room.settle(5)
    await house.rooms.save(ada.room)
    assert house.read("a.py") == "disk 0\nx\nmine\n"


async def test_a_server_that_stops_saves_though_the_file_changes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await _open(house)
    await ada.type("mine\n")
    await until(lambda: len(ada.saved) == ada.connection.frames)
    _be_late(monkeypatch, house)
    await house.rooms.close_all()
    assert house.read("a.py") == "disk 0\nx\nmine\n"


async def test_a_change_that_is_seen_while_one_is_merged_is_looked_at(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was found by the next look only, a second later."""
    house.rooms._disk._every = 3600  # it hears of its file from this test alone
    monkeypatch.setattr(projection_module, "SAVE_AFTER", 3600.0)  # saving looks, too
    house.write("a.py", LINES)
    ada = await house.client("ada", "a.py")
    read = Files.read
    reading, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(self: Files, path: str, kind: Kind) -> OnDisk:
        disk = await read(self, path, kind)
        reading.set()
        await go_on.wait()
        return disk

    monkeypatch.setattr(Files, "read", slowly)
    projection = _projection(house, ada)
    house.write("a.py", LINES + "first\n")
    projection.seen(None)
    await reading.wait()
    house.write("a.py", LINES + "first\nsecond\n")
    projection.seen(None)
    go_on.set()
    await until(lambda: str(ada.text) == LINES + "first\nsecond\n", "the second change", within=3)


async def test_a_save_that_was_not_noted_yet_is_noted_when_a_room_ends(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write("a.py", "x\n")
    ada = await house.client("ada", "a.py")
    append = ada.room._recorder.append
    noting, go_on = asyncio.Event(), asyncio.Event()

    async def wait(*args: Any, **more: Any) -> None:
        if more.get("fence") is not None:
            noting.set()
            await go_on.wait()
        await append(*args, **more)

    monkeypatch.setattr(ada.room._recorder, "append", wait)
    await ada.type("mine\n")
    await noting.wait()
    assert house.read("a.py") == "x\nmine\n"
    assert await _projection(house, ada).stop()
    document = await house.rooms.documents.by_path("a.py")
    go_on.set()
    assert document is not None
    assert document.saving_seq is None
    assert document.saved_seq > 1


async def test_nothing_is_left_of_a_room_that_could_not_be_opened(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What keeps its file in step lived on, and looked at the file for ever."""
    house.write("a.py", "x\n")
    await house.client("ada", "a.py")
    await house.restart()
    (house.root / "a.py").rename(house.root / "b.py")
    await house.rooms.documents.rename("a.py", "b.py")

    async def fail(_self: LiveRoom, _path: str) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(LiveRoom, "move", fail)
    with pytest.raises(asyncio.CancelledError):
        await house.rooms.acquire("b.py")
    assert not house.rooms._disk._watched
    assert not [one for one in asyncio.all_tasks() if one.get_name().startswith("collab-ai file")]
