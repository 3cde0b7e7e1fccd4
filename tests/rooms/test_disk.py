"""Files that others change: neither their change nor the people's is lost."""

from __future__ import annotations

import asyncio
import errno
import itertools
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from prometheus_client import REGISTRY
from pycrdt import Array, Text

from jupyter_collab_ai.errors import DatabaseUnavailable, InvalidRequest, NotFound
from jupyter_collab_ai.rooms import projection
from jupyter_collab_ai.rooms.close_codes import Ending
from jupyter_collab_ai.rooms.content import make_cell
from jupyter_collab_ai.rooms.documents import _NOTE_SAVED, _NOTE_SAVING
from jupyter_collab_ai.rooms.files import Files
from jupyter_collab_ai.rooms.log import Origin
from jupyter_collab_ai.storage.database import Tx
from jupyter_collab_ai.storage.driver import Prepared
from tests.rooms.engine import Client, House, until

LINES = "".join(f"line {number}\n" for number in range(20))


async def _saved(client: Client) -> None:
    await until(lambda: client.room.changed_at is None, "the save")
    await client.room.settle(5)


async def test_a_change_on_disk_reaches_everybody_and_keeps_what_people_write(
    house: House,
) -> None:
    house.write("a.py", LINES)
    ada = await house.client("ada", "a.py")
    await ada.type("mine ", at=0)
    house.write("a.py", LINES.replace("line 12\n", "line 12, changed on disk\n"))
    await until(lambda: "changed on disk" in str(ada.text))
    expected = "mine " + LINES.replace("line 12\n", "line 12, changed on disk\n")
    assert str(ada.text) == expected
    await until(lambda: house.read("a.py") == expected)


async def test_many_changes_on_disk_while_somebody_types(house: House) -> None:
    house.write("a.py", LINES)
    ada = await house.client("ada", "a.py")
    projection = house.rooms._open[ada.room.document.id].projection
    for number in range(6):
        # Against a program that writes in the very moment in which we do nothing helps.
        async with projection._lock:
            house.write("a.py", house.read("a.py") + f"disk {number}\n")
        for _ in range(10):
            await ada.type("x", at=0)
            await asyncio.sleep(0.02)
        await until(lambda number=number: f"disk {number}\n" in str(ada.text))
    await until(lambda: house.read("a.py") == str(ada.text))
    assert str(ada.text).count("x") == 60
    for number in range(6):
        assert str(ada.text).count(f"disk {number}\n") == 1


async def test_a_change_while_nobody_had_it_open(house: House) -> None:
    house.write("a.py", LINES)
    ada = await house.client("ada", "a.py")
    await ada.type("mine\n")
    await _saved(ada)
    await house.restart()
    house.write("a.py", house.read("a.py").replace("line 3\n", "line three\n"))
    again = await house.client("ada", "a.py", doc=ada.doc)
    assert str(again.text) == LINES.replace("line 3\n", "line three\n") + "mine\n"


async def test_a_file_that_was_not_touched_never_wins_over_the_log(house: House) -> None:
    house.write("a.py", "old\n")
    ada = await house.client("ada", "a.py")
    await ada.type("recorded, not saved\n")
    await until(lambda: len(ada.saved) == 2)
    house.crash()
    assert house.read("a.py") == "old\n"
    bob = await house.client("bob", "a.py")
    assert str(bob.text) == "old\nrecorded, not saved\n"
    await until(lambda: house.read("a.py") == "old\nrecorded, not saved\n")


async def test_a_crash_between_the_save_and_its_note(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write("a.py", "one\n")
    ada = await house.client("ada", "a.py")
    before = house.rooms
    entry = before._open[ada.room.document.id]

    async def crash(*_args: Any) -> None:
        house.crash()

    monkeypatch.setattr(entry.projection, "_note", crash)
    await ada.type("two\n")
    await until(lambda: house.rooms is not before, "the crash")
    assert house.read("a.py") == "one\ntwo\n"
    await ada.type("three\n")
    again = await house.client("ada", "a.py", doc=ada.doc)
    await until(lambda: house.read("a.py") == str(again.text) == "one\ntwo\nthree\n")


@pytest.mark.parametrize("torn", [b"", b"one\ntw", b"one\ntwo\n\xc3"])
async def test_a_crash_in_the_middle_of_a_save(
    house: House, monkeypatch: pytest.MonkeyPatch, torn: bytes
) -> None:
    house.write("a.py", "one\n")
    ada = await house.client("ada", "a.py")

    async def crash(*_args: Any) -> None:
        (house.root / "a.py").write_bytes(torn)
        house.crash()

    before = house.rooms
    with monkeypatch.context() as patch:
        patch.setattr(house.manager, "save", crash)
        await ada.type("two\né\n")
        await until(lambda: house.rooms is not before, "the crash")
    again = await house.client("ada", "a.py", doc=ada.doc)
    await until(lambda: house.read("a.py") == str(again.text) == "one\ntwo\né\n")


async def test_where_both_changed_the_same_the_live_text_stands(house: House) -> None:
    house.write("a.py", f"value = 1\n{LINES}other = 1\n")
    ada = await house.client("ada", "a.py")
    await _saved(ada)
    house.write("a.py", f"value = 300\n{LINES}other = 2\n")
    del ada.text[8:9]
    ada.text.insert(8, "200")
    await ada.flush()
    await until(lambda: "other = 2" in str(ada.text))
    assert str(ada.text) == f"value = 200\n{LINES}other = 2\n"


async def test_the_same_bytes_written_again_change_nothing(house: House) -> None:
    house.write("a.py", LINES)
    ada = await house.client("ada", "a.py")
    seq = ada.room.seq
    os.utime(house.root / "a.py", (1, 1))
    entry = house.rooms._open[ada.room.document.id]
    await until(lambda: entry.projection._stamp.last_modified.year == 1970)  # type: ignore[union-attr]
    assert ada.room.seq == seq


async def test_a_change_within_the_same_tick_of_the_clock_as_our_save(house: House) -> None:
    """A program that is woken by our save may write so soon that the time is still the same."""
    house.write("a.py", LINES)
    ada = await house.client("ada", "a.py")
    await ada.type("mine\n")
    await _saved(ada)
    await until(lambda: house.read("a.py") == LINES + "mine\n")
    file = house.root / "a.py"
    projection = house.rooms._open[ada.room.document.id].projection
    async with projection._lock:
        tick = file.stat().st_mtime_ns
        house.write("a.py", LINES.replace("line 3\n", "LINE 3\n") + "mine\n")
        os.utime(file, ns=(tick, tick))
    await until(lambda: "LINE 3\n" in str(ada.text))


@pytest.mark.parametrize("kind", ["a.py", "n.ipynb"])
async def test_a_change_in_the_middle_of_our_save(
    house: House, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    notebook = kind == "n.ipynb"
    house.write(kind, nbformat.writes(_notebook(("a", "one"))) if notebook else "one\n")
    ada = await house.client("ada", kind)
    save = house.manager.save
    file = house.root / kind

    async def meet(model: Any, path: str) -> Any:
        saved = await save(model, path)
        monkeypatch.setattr(house.manager, "save", save)
        tick = file.stat().st_mtime_ns
        house.write(kind, house.read(kind).replace("one", "ONE"))
        os.utime(file, ns=(tick, tick))
        return saved

    monkeypatch.setattr(house.manager, "save", meet)
    if notebook:
        await _type_in(ada, 0, " more")
        await until(lambda: _cells(ada) == [("a", "ONE more")])
    else:
        await ada.type("more\n")
        await until(lambda: str(ada.text) == "ONE\nmore\n")


async def test_a_file_that_is_gone_ends_the_room_and_keeps_its_history(house: House) -> None:
    house.write("a.py", "x\n")
    ada = await house.client("ada", "a.py")
    (house.root / "a.py").unlink()
    await until(lambda: ada.closed is Ending.NOT_FOUND)
    assert not (house.root / "a.py").exists(), "saving never makes it again"
    house.write("a.py", "x\nback\n")
    bob = await house.client("bob", "a.py", doc=ada.doc)
    assert str(bob.text) == "x\nback\n"
    assert bob.room.epoch == ada.room.epoch


def _unsaved() -> float:
    return REGISTRY.get_sample_value("collab_ai_unsaved_documents") or 0.0


def _logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == projection.__name__]


def _fill_the_disk(house: House, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let no file be saved until what is returned is called."""
    save = house.manager.save
    tries = itertools.count()
    full = True

    async def fail(*args: Any) -> Any:
        if full:
            next(tries)
            raise OSError(28, "No space left on device")
        return await save(*args)

    def end() -> None:
        nonlocal full
        full = False
        assert next(tries) > 1, "it was tried again"

    monkeypatch.setattr(house.manager, "save", fail)
    return end


async def _types_on_a_full_disk(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> tuple[Client, Callable[[], None]]:
    """Let somebody add a line that can't be saved until what is returned is called."""
    monkeypatch.setattr(projection, "LAST_RETRY", 0.1)
    house.write("a.py", "x\n")
    ada = await house.client("ada", "a.py")
    end = _fill_the_disk(house, monkeypatch)
    await ada.type("y\n")
    return ada, end


async def test_a_save_that_fails_is_told_and_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    before = _unsaved()
    ada, end = await _types_on_a_full_disk(house, monkeypatch)
    told = house.events.published
    await until(lambda: [data.get("saved") for _, data in told].count(False) > 2)
    name = f"{ada.room.document.id} ('a.py')"
    assert _logged(caplog) == [
        f"The document {name} can't be saved to its file; it is tried again: "
        "[Errno 28] No space left on device"
    ]
    assert _unsaved() == before + 1
    end()
    await until(lambda: house.read("a.py") == "x\ny\n")
    await until(lambda: told[-1][1].get("saved") is True)
    assert _logged(caplog)[1:] == [f"The document {name} is saved to its file again."]
    assert _unsaved() == before


async def test_what_could_not_be_saved_at_the_end_is_named(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = _unsaved()
    ada, end = await _types_on_a_full_disk(house, monkeypatch)
    await until(lambda: _unsaved() == before + 1)
    await until(lambda: len(house.events.published) > 2)
    await house.rooms.close_all(within=5)
    end()
    assert _logged(caplog)[1:] == [
        f"The document {ada.room.document.id} ('a.py') could not be saved at the end; what its "
        "file lacks is in the database: [Errno 28] No space left on device"
    ]
    assert _unsaved() == before


async def test_a_file_that_could_not_be_looked_at_is_in_step_again(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is to be saved then, so no save tells that it is over."""
    caplog.set_level("INFO")
    house.write("a.py", "x\n")
    ada = await house.client("ada", "a.py")
    before = _unsaved()
    with monkeypatch.context() as patch:

        async def fail(*args: Any, **kwargs: Any) -> Any:
            raise PermissionError(errno.EACCES, "Permission denied")

        patch.setattr(Files, "stat", fail)
        entry = house.rooms._open[ada.room.document.id]
        entry.projection.seen(None)
        await until(lambda: _unsaved() == before + 1)
    await until(lambda: _unsaved() == before)
    assert [line.partition(") ")[2] for line in _logged(caplog)] == [
        "can't be saved to its file; it is tried again: [Errno 13] Permission denied",
        "is in step with its file again.",
    ]
    assert house.events.published[-1][1].get("saved") is True


@pytest.mark.parametrize(
    "text", ["x\r\ny\r\n", "\ufeffx\n", "no end", "", "😀 漢字\n", "mixed\r\nends\n\r\n"]
)
async def test_what_a_save_leaves_alone(house: House, text: str) -> None:
    house.write("a.py", text)
    ada = await house.client("ada", "a.py")
    assert "\r" not in str(ada.text)
    await ada.type("end\n")
    ends = "\r\n" if "\r\n" in text else "\n"
    expected = text.replace("\r\n", "\n").replace("\n", ends) + "end" + ends
    await until(lambda: house.read("a.py") == expected)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "cp932"])
async def test_a_file_in_another_encoding_is_refused_and_left_alone(
    house: House, encoding: str
) -> None:
    data = ("naïve = 'café'\n" if encoding == "latin-1" else "x = '漢字'\n").encode(encoding)
    (house.root / "a.py").write_bytes(data)
    with pytest.raises(InvalidRequest, match="UTF-8"):
        await house.client("ada", "a.py")
    assert (house.root / "a.py").read_bytes() == data


# ---------------------------------------------------------------- what is merged is merged once

ADDED = "added on disk\n"
TYPED = "typed into what was added there, and long enough to make another line of it"


def _fail_to_save(
    monkeypatch: pytest.MonkeyPatch, statement: Prepared = _NOTE_SAVING, times: float = math.inf
) -> list[Prepared]:
    """Let what is noted before or after the file is written fail, and only that.

    Returns:
        What failed so far.
    """
    run = Tx.run
    failed: list[Prepared] = []

    def fail(tx: Tx, wanted: Prepared, rows: Any) -> int:
        if wanted is statement and len(failed) < times:
            failed.append(wanted)
            if times < math.inf:
                raise DatabaseUnavailable("The database can't be reached.")
            raise InvalidRequest("This is not noted.")
        return run(tx, wanted, rows)

    monkeypatch.setattr(Tx, "run", fail)
    return failed


async def _type_into_added(ada: Client) -> None:
    await ada.type(TYPED, at=len(str(ada.text).split(ADDED, maxsplit=1)[0].encode()) + 6)
    await until(lambda: len(ada.saved) == ada.connection.frames, "all to be recorded")


async def _crashed_after_a_merge(house: House, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Let a change on disk be merged and edited, and the server end before the next save."""
    house.write("a.py", LINES)
    ada = await house.client("ada", "a.py")
    with monkeypatch.context() as patch:
        _fail_to_save(patch)
        await ada.type("mine\n", at=0)
        house.write("a.py", LINES + ADDED)
        await until(lambda: str(ada.text) == "mine\n" + LINES + ADDED)
        await _type_into_added(ada)
        house.crash()
    return ada


async def test_what_was_merged_is_not_merged_again_after_a_crash(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text that was added on disk was doubled where the server ended before the next save."""
    ada = await _crashed_after_a_merge(house, monkeypatch)
    again = await house.client("ada", "a.py", doc=ada.doc)
    expected = "mine\n" + LINES + ADDED[:6] + TYPED + ADDED[6:]
    await until(lambda: house.read("a.py") == expected, "the file")
    assert str(again.text) == expected


async def test_a_file_that_changes_again_after_what_was_merged_and_a_crash(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await _crashed_after_a_merge(house, monkeypatch)
    changed = LINES.replace("line 3\n", "line three\n")
    house.write("a.py", changed + ADDED)
    again = await house.client("ada", "a.py", doc=ada.doc)
    expected = "mine\n" + changed + ADDED[:6] + TYPED + ADDED[6:]
    await until(lambda: house.read("a.py") == expected, "the file")
    assert str(again.text) == expected


async def test_a_merge_that_is_being_recorded_when_the_server_stops(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write("a.py", LINES)
    ada = await house.client("ada", "a.py")
    room = ada.room
    append = room._recorder.append
    recording, go_on = asyncio.Event(), asyncio.Event()

    async def wait(expected: int, entries: Any, *args: Any, **more: Any) -> None:
        if any(entry.origin is Origin.DISK for entry in entries):
            recording.set()
            await go_on.wait()
        await append(expected, entries, *args, **more)

    monkeypatch.setattr(room._recorder, "append", wait)
    house.write("a.py", LINES + ADDED)
    await recording.wait()
    stopping = asyncio.create_task(house.restart())
    await until(lambda: ada.closed is not None, "the server to begin to stop")
    loop = asyncio.get_running_loop()
    loop.call_later(0.2, go_on.set)
    await stopping
    bob = await house.client("bob", "a.py")
    await until(lambda: house.read("a.py") == str(bob.text) == LINES + ADDED)


async def test_a_save_that_could_not_be_noted_is_the_base_of_what_comes_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write("a.py", LINES)
    ada = await house.client("ada", "a.py")
    with monkeypatch.context() as patch:
        _fail_to_save(patch, _NOTE_SAVED)
        await ada.type(ADDED)
        await until(lambda: house.read("a.py") == LINES + ADDED, "the file")
        await _type_into_added(ada)
        house.crash()
    house.write("a.py", LINES.replace("line 3\n", "line three\n") + ADDED)
    again = await house.client("ada", "a.py", doc=ada.doc)
    expected = LINES.replace("line 3\n", "line three\n") + ADDED[:6] + TYPED + ADDED[6:]
    await until(lambda: house.read("a.py") == expected, "the file")
    assert str(again.text) == expected


async def test_a_save_is_noted_as_soon_as_it_can_be(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write("a.py", LINES)
    ada = await house.client("ada", "a.py")
    failed = _fail_to_save(monkeypatch, _NOTE_SAVED, times=2)
    await ada.type(ADDED)
    await until(lambda: house.read("a.py") == LINES + ADDED, "the file")
    before = ada.room.seq

    await until(lambda: len(failed) == 2, "the second failure")
    known = house.rooms._open[ada.room.document.id].projection._known
    await until(lambda: not known._unnoted, "the note")
    document = await house.rooms.documents.by_path("a.py")
    assert document is not None
    assert document.saved_seq >= before
    assert document.saving_seq is None


async def test_a_file_that_is_set_back_to_what_was_saved_last(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write("a.py", LINES)
    ada = await house.client("ada", "a.py")
    with monkeypatch.context() as patch:
        _fail_to_save(patch)
        await ada.type("mine\n", at=0)
        house.write("a.py", LINES + ADDED)
        await until(lambda: str(ada.text) == "mine\n" + LINES + ADDED)
        house.write("a.py", LINES)
        await until(lambda: str(ada.text) == "mine\n" + LINES)
    await until(lambda: house.read("a.py") == "mine\n" + LINES)


async def test_a_merge_that_was_recorded_although_the_database_seemed_to_fail(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write("a.py", LINES)
    ada = await house.client("ada", "a.py")
    append = ada.room._recorder.append
    failed = []

    async def fail_after(expected: int, entries: Any, *args: Any, **more: Any) -> None:
        await append(expected, entries, *args, **more)
        if not failed and any(entry.origin is Origin.DISK for entry in entries):
            failed.append(expected)
            raise DatabaseUnavailable("The connection broke before the answer came.")

    monkeypatch.setattr(ada.room._recorder, "append", fail_after)
    house.write("a.py", LINES + ADDED)
    await until(lambda: ADDED in str(ada.text), "the merge")
    await _type_into_added(ada)
    expected = LINES + ADDED[:6] + TYPED + ADDED[6:]
    await until(lambda: house.read("a.py") == expected, "the file")
    assert failed
    assert str(ada.text) == expected


# ---------------------------------------------------------------- notebooks


def _notebook(*cells: tuple[str, str]) -> Any:
    return new_notebook(cells=[new_code_cell(source, id=id_) for id_, source in cells])


def _cells(client: Client) -> list[tuple[str, str]]:
    return [(cell["id"], str(cell["source"])) for cell in client.doc.get("cells", type=Array)]


async def _open(house: House, notebook: Any) -> Client:
    house.write("n.ipynb", nbformat.writes(notebook))
    return await house.client("ada", "n.ipynb")


async def _change(house: House, change: Any) -> None:
    (entry,) = house.rooms._open.values()
    async with entry.projection._lock:  # not while we write it ourselves
        notebook = nbformat.reads(house.read("n.ipynb"), as_version=4)
        change(notebook)
        house.write("n.ipynb", nbformat.writes(notebook))


async def _type_in(client: Client, index: int, text: str) -> None:
    source: Text = client.doc.get("cells", type=Array)[index]["source"]
    source.insert(len(source), text)
    await client.flush()


async def test_cells_are_merged_one_by_one(house: House) -> None:
    ada = await _open(house, _notebook(("a", "1"), ("b", "first\nsecond\n"), ("c", "3")))
    await _type_in(ada, 1, "mine\n")

    def change(notebook: Any) -> None:
        notebook.cells[0].source = "one"
        notebook.cells[1].source = "FIRST\nsecond\n"
        notebook.cells[0].outputs = [new_output("stream", text="out\n")]
        notebook.cells[0].execution_count = 7
        notebook.cells.insert(2, new_code_cell("new", id="n"))
        del notebook.cells[3]

    await _change(house, change)
    expected = [("a", "one"), ("b", "FIRST\nsecond\nmine\n"), ("n", "new")]
    await until(lambda: _cells(ada) == expected)
    cell = ada.doc.get("cells", type=Array)[0].to_py()
    assert cell["outputs"] == [{"output_type": "stream", "name": "stdout", "text": "out\n"}]
    assert cell["execution_count"] == 7

    def saved() -> bool:
        if not house.read("n.ipynb"):
            return False  # it is being written
        notebook = nbformat.reads(house.read("n.ipynb"), as_version=4)
        nbformat.validate(notebook)
        return [(one.id, one.source) for one in notebook.cells] == expected

    await until(saved)


async def test_cells_that_move_on_disk(house: House) -> None:
    ada = await _open(house, _notebook(("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")))
    await _change(house, lambda notebook: notebook.cells.insert(0, notebook.cells.pop(2)))
    await until(lambda: [id_ for id_, _ in _cells(ada)] == ["c", "a", "b", "d"])


async def test_a_cell_that_people_changed_is_not_deleted(house: House) -> None:
    ada = await _open(house, _notebook(("a", "1"), ("b", "2"), ("c", "3")))
    await _type_in(ada, 1, " + mine")
    await _change(house, lambda notebook: notebook.cells.__delitem__(slice(1, 3)))
    await until(lambda: _cells(ada) == [("a", "1"), ("b", "2 + mine")])


@pytest.mark.parametrize("source", ["1", "1, where it was moved to"])
async def test_a_cell_that_two_people_moved_at_once(house: House, source: str) -> None:
    """Then there are two of it, of one id; the file and the document must not differ in that."""
    ada = await _open(house, _notebook(("a", "1"), ("b", "2")))
    copy = {"id": "a", "cell_type": "code", "source": source, "metadata": {}, "outputs": []}
    ada.doc.get("cells", type=Array).append(make_cell(copy))
    await ada.flush()
    await until(lambda: len({id_ for id_, _ in _cells(ada)}) == 3)
    assert [id_ for id_, _ in _cells(ada)][:2] == ["a", "b"]

    def saved() -> bool:
        if not house.read("n.ipynb"):
            return False  # it is being written
        notebook = nbformat.reads(house.read("n.ipynb"), as_version=4)
        return [(one.id, one.source) for one in notebook.cells] == _cells(ada)

    await until(saved)
    await _change(house, lambda notebook: notebook.cells[1].update(source="two"))
    await until(lambda: [text for _, text in _cells(ada)] == ["1", "two", source])


async def test_a_notebook_without_cell_ids(house: House) -> None:
    notebook = _notebook(("a", "1"), ("b", "2"))
    notebook.nbformat_minor = 4
    for cell in notebook.cells:
        del cell["id"]
    ada = await _open(house, notebook)
    ids = [id_ for id_, _ in _cells(ada)]
    await _type_in(ada, 0, " + mine")

    def change(notebook: Any) -> None:
        notebook.cells[1].source = "two"
        notebook.cells.append(new_code_cell("three"))
        del notebook.cells[2]["id"]

    await _change(house, change)
    await until(lambda: [source for _, source in _cells(ada)] == ["1 + mine", "two", "three"])
    assert [id_ for id_, _ in _cells(ada)][:2] == ids
    await until(lambda: "mine" in house.read("n.ipynb"))
    assert '"id"' not in house.read("n.ipynb")


async def test_metadata_of_a_notebook(house: House) -> None:
    ada = await _open(house, _notebook(("a", "1")))

    def change(notebook: Any) -> None:
        notebook.metadata["title"] = "T"
        notebook.cells[0].metadata["tags"] = ["x"]

    await _change(house, change)
    cells = ada.doc.get("cells", type=Array)
    await until(lambda: cells[0]["metadata"].to_py().get("tags") == ["x"])
    await ada.room.settle(5)
    from pycrdt import Map

    assert ada.doc.get("meta", type=Map)["metadata"].to_py()["title"] == "T"


async def test_a_notebook_without_cell_ids_that_changes_twice_before_a_save(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its cells have ids in the document alone, and those must be known at the second merge."""
    notebook = _notebook(("a", "1"), ("b", "2"))
    notebook.nbformat_minor = 4
    for cell in notebook.cells:
        del cell["id"]
    ada = await _open(house, notebook)
    ids = [id_ for id_, _ in _cells(ada)]

    def change(notebook: Any, source: str) -> None:
        notebook.cells[1].source = source

    with monkeypatch.context() as patch:
        _fail_to_save(patch)
        await _type_in(ada, 0, " + mine")
        for source in ("two", "three"):
            await _change(house, lambda notebook, source=source: change(notebook, source))
            expected = list(zip(ids, ["1 + mine", source], strict=True))
            await until(lambda expected=expected: _cells(ada) == expected)
        house.crash()
    again = await house.client("ada", "n.ipynb", doc=ada.doc)
    await until(lambda: "mine" in house.read("n.ipynb"))
    assert _cells(again) == list(zip(ids, ["1 + mine", "three"], strict=True))


async def test_a_disk_that_fails_for_a_while_ends_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three errors in a row, of whatever kind, counted as the end of the file."""
    house.write("a.py", LINES)
    ada = await house.client("ada", "a.py")
    look = Path.stat
    failed = 0

    def fail(self: Path, **options: Any) -> os.stat_result:
        nonlocal failed
        if self.name == "a.py":
            failed += 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return look(self, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", fail)
        await until(lambda: failed >= 8, "looks that fail", within=30)
        with pytest.raises(NotFound, match="can't be read"):
            await house.rooms.describe("a.py")
    assert not ada.connection.ended
    house.write("a.py", LINES + ADDED)
    await until(lambda: str(ada.text) == LINES + ADDED)
