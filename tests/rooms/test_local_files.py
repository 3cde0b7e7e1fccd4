"""Files of documents: nobody waits for the file of another one, however large or slow it is."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_server.services.contents.filemanager import FileContentsManager
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from jupyter_server.utils import ensure_async
from nbformat.sign import NotebookNotary
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pycrdt import Array

from jupyter_collab_ai.errors import DocumentTooLarge
from jupyter_collab_ai.rooms import local_files
from jupyter_collab_ai.rooms.content import content_of, first_update, make_cell
from jupyter_collab_ai.rooms.documents import Kind
from jupyter_collab_ai.rooms.files import Files
from jupyter_collab_ai.rooms.heavy import Heavy, HelperLost
from jupyter_collab_ai.rooms.lastknown import LastKnown, Merged, MergedElsewhere
from jupyter_collab_ai.rooms.local_files import (
    KNOWN,
    ChangedOnDisk,
    DoubledIds,
    LocalFile,
    Save,
    Unreadable,
)
from jupyter_collab_ai.rooms.whole_files import write_whole
from tests.rooms.engine import Client, House, until
from tests.support.processes import wait_until

LINE = "value = 'naïve 漢字 😀'  # a line of a text that is large because of its many lines\n"
TEXT = LINE * (local_files.LARGE[Kind.TEXT] // len(LINE.encode()) + 1)


def notebook(cells: int = 300) -> Any:
    """Return a notebook that counts as large, with outputs of each kind."""
    outputs = [
        new_output("stream", text="a line\nand one more\n"),
        new_output("display_data", data={"text/html": "<b>bold</b>", "text/plain": "x" * 400}),
        new_output("error", ename="E", evalue="no", traceback=["a", "b"]),
    ]
    code = [
        new_code_cell(f"x = {number}\ny", id=f"code-{number}", outputs=outputs, execution_count=3)
        for number in range(cells)
    ]
    made = new_notebook(cells=[new_markdown_cell("# é\n", id="title"), *code])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    return made


def write_notebook(house: House, path: str = "n.ipynb") -> Any:
    made = notebook()
    house.write(path, nbformat.writes(made) + "\n")
    assert (house.root / path).stat().st_size > local_files.LARGE[Kind.NOTEBOOK]
    return made


def source(client: Client, cell: int = 1) -> Any:
    return client.doc.get("cells", type=Array)[cell]["source"]


async def type_in(client: Client, text: str, cell: int = 1) -> None:
    source(client, cell).insert(0, text)
    await client.flush()


@pytest.fixture
def database_backend() -> str:
    """Files know no databases, and rooms are tried on both elsewhere."""
    return "sqlite"


class Shared(Heavy):
    """One process for all houses, as it takes a second to start."""

    async def close(self) -> None:
        """Let the next house have it."""


@pytest.fixture(scope="module")
def heavy() -> Iterator[Heavy]:
    shared = Shared()
    yield shared
    shared._end()


@pytest.fixture
def house(house: House, heavy: Heavy) -> House:
    """Rooms whose contents manager replaces files, as that of a real server does."""
    write_whole(house.manager, lambda: False)
    house.rooms._files.heavy = heavy
    return house


def helper_of(house: House) -> Heavy:
    return house.rooms._files.heavy


# ---------------------------------------------------------------- in the other process


def wait_for(path: str) -> None:
    Path(f"{path}.begun").touch()
    wait_until(Path(path).exists, timeout=30, interval=0.01, what=path)


def fail() -> None:
    raise KeyError("as it was")


def fail_strangely() -> None:
    class Local(Exception):
        pass

    raise Local("can't be handed over")


def shout() -> int:
    print("in between")
    return 3


async def test_results_and_errors_come_back() -> None:
    heavy = Heavy()
    assert await heavy.run(sorted, [3, 1, 2]) == [1, 2, 3]
    with pytest.raises(KeyError, match="as it was"):
        await heavy.run(fail)
    with pytest.raises(RuntimeError, match="can't be handed over"):
        await heavy.run(fail_strangely)
    assert await heavy.run(shout) == 3
    pid = heavy.pid
    assert pid is not None
    assert await heavy.run(os.getpid) == pid, "it is the same process each time"
    await heavy.close()
    assert heavy.pid is None


async def test_what_is_small_stays_here() -> None:
    heavy = Heavy()
    assert await heavy.run_sized(10, os.getpid) == os.getpid()
    assert heavy.pid is None
    assert await heavy.run_sized(10**6, os.getpid) == heavy.pid
    await heavy.close()


async def test_a_process_that_was_killed_is_told_and_replaced(tmp_path: Path) -> None:
    heavy = Heavy()
    assert await heavy.run(abs, -1) == 1
    waiting = asyncio.create_task(heavy.run(wait_for, str(tmp_path / "never")))
    # Killed before it was given anything it would only be replaced.
    await until((tmp_path / "never.begun").exists)
    assert heavy.pid is not None
    os.kill(heavy.pid, signal.SIGKILL)
    with pytest.raises(HelperLost):
        await waiting
    assert await heavy.run(abs, -2) == 2
    await heavy.close()


async def test_one_that_hangs_is_given_up(tmp_path: Path) -> None:
    heavy = Heavy(patience=0.5)
    with pytest.raises(HelperLost):
        await heavy.run(wait_for, str(tmp_path / "never"))
    await heavy.close()


async def test_one_that_is_not_needed_is_ended() -> None:
    heavy = Heavy(idle=0.05)
    await heavy.run(abs, -1)
    await until(lambda: heavy.pid is None)
    assert await heavy.run(abs, -1) == 1
    await heavy.close()


async def test_work_is_brought_to_its_end_though_nobody_waits(tmp_path: Path) -> None:
    heavy = Heavy()
    await heavy.run(abs, -1)
    waiting = asyncio.create_task(heavy.run(wait_for, str(tmp_path / "go")))
    after = asyncio.create_task(heavy.run(abs, -3))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not after.done()
    (tmp_path / "go").touch()
    assert await after == 3
    await heavy.close()


@pytest.mark.skipif(os.name != "posix", reason="There is no such signal elsewhere.")
def test_it_ends_with_a_server_that_is_killed() -> None:
    program = """
        import asyncio, os
        from jupyter_collab_ai.rooms.heavy import Heavy

        async def main():
            heavy = Heavy()
            await heavy.run(abs, -1)
            print(heavy.pid, flush=True)
            await asyncio.sleep(60)

        asyncio.run(main())
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        server.kill()
    wait_until(lambda: not _runs(pid), timeout=10, interval=0.02, what="the end of the helper")


def _runs(pid: int) -> bool:
    try:
        # One that has ended and that nobody has asked about runs no more.
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


# ---------------------------------------------------------------- as the contents manager does it


@pytest.mark.parametrize("kind", KNOWN)
@pytest.mark.parametrize("what", ["notebook", "text", "small notebook", "small text"])
async def test_a_save_is_that_of_the_contents_manager(
    kind: type[FileContentsManager], what: str, tmp_path: Path
) -> None:
    """Fails where upstream comes to write, sign, note or tell anything else."""
    told: list[tuple[str, Any]] = []

    def made(folder: str) -> FileContentsManager:
        (tmp_path / folder).mkdir()
        manager = kind(root_dir=str(tmp_path / folder))
        # Each notes for itself what is trusted.
        manager.notary = NotebookNotary(db_file=str(tmp_path / f"{folder}.db"), secret=b"secret")
        write_whole(manager, lambda: False)
        manager.register_post_save_hook(
            lambda model, os_path, **_: told.append((folder, {**model, "hook": Path(os_path).name}))
        )
        manager.event_logger.emit = lambda *, schema_id, data: told.append((folder, data))
        return manager

    small = what.startswith("small")
    what = what.removeprefix("small ")
    name, type_ = ("n.ipynb", Kind.NOTEBOOK) if what == "notebook" else ("a.py", Kind.TEXT)
    before = notebook(3 if small else 300) if what == "notebook" else LINE if small else TEXT
    after = notebook(4 if small else 301) if what == "notebook" else before + "more\n"
    theirs, ours = made("theirs"), made("ours")
    for manager in (theirs, ours):
        model = {"type": type_.type, "format": type_.format, "content": before}
        await ensure_async(manager.save(model, name))
    told.clear()
    if what == "notebook":
        for cell in after.cells[1:]:
            cell["metadata"]["trusted"] = True
    state = first_update(type_, after, name, None)
    content = content_of(type_, [state])
    model = {"type": type_.type, "format": type_.format, "content": content}
    await ensure_async(theirs.save(model, name))
    large = LocalFile.find(ours, name, type_)
    assert large is not None
    assert large.may_be_written()
    assert large.large is not small
    digest = local_files.digest_of_file(large.os_path)
    heavy = Heavy()
    saved = await heavy.run(
        local_files.save, Save(str(large.os_path), type_, state, "\n", digest, large.signing, 7)
    )
    await large.was_saved()
    assert (tmp_path / "ours" / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()
    known = await ensure_async(ours.get(name, require_hash=True))
    assert known["hash"] == saved.digest
    assert known["content"] == (await ensure_async(theirs.get(name)))["content"]
    if what == "notebook":
        read, digest = await heavy.run(local_files.read_notebook, large.os_path, large.signing)
        assert digest == saved.digest
        assert read == json.loads(json.dumps(known["content"])), "with the marks of trust"
        assert all(cell["metadata"]["trusted"] for cell in read["cells"][1:])
        assert len(await ensure_async(ours.list_checkpoints(name))) == 1
    else:
        assert local_files.read_text(large.os_path) == (known["content"], saved.digest)
    await heavy.close()
    times = {"created", "last_modified"}
    seen = {
        folder: [
            {key: value for key, value in data.items() if key not in times}
            for where, data in told
            if where == folder and data.get("action") != "get"
        ]
        for folder in ("ours", "theirs")
    }
    assert seen["ours"] == seen["theirs"] != []


def test_what_is_left_to_the_contents_manager(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(TEXT)
    (tmp_path / ".hidden.py").write_text("x\n")

    class Own(AsyncLargeFileManager):
        pass

    def find(manager: Any, name: str = "a.py") -> LocalFile | None:
        return LocalFile.find(manager, name, Kind.TEXT)

    def written_here(manager: Any) -> bool:
        found = find(manager)
        return found is not None and found.may_be_written()

    root = str(tmp_path)
    manager = AsyncLargeFileManager(root_dir=root)
    assert not written_here(manager), "it does not replace files"
    write_whole(manager, lambda: False)
    assert written_here(manager)
    assert find(manager, "none.py") is None
    assert find(manager, ".") is None
    assert find(manager, ".hidden.py") is None, "whether it is to be seen is the manager's to say"
    assert find(manager, "../a.py") is None
    assert find(Own(root_dir=root)) is None
    assert find(AsyncLargeFileManager(root_dir=root, hash_algorithm="md5")) is None
    manager.use_atomic_writing = False
    assert not written_here(manager)
    manager.use_atomic_writing = True
    manager.register_pre_save_hook(lambda **_: None)
    assert not written_here(manager), "the hook wants to see the content"
    by_inode = AsyncLargeFileManager(root_dir=root)
    write_whole(by_inode, lambda: True)
    assert not written_here(by_inode)
    os.link(tmp_path / "a.py", tmp_path / "b.py")
    linked = AsyncLargeFileManager(root_dir=root)
    write_whole(linked, lambda: False)
    assert not written_here(linked)


def test_a_file_that_somebody_else_has_changed_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("theirs\n")
    state = first_update(Kind.TEXT, "ours\n", "a.py", None)
    order = Save(str(path), Kind.TEXT, state, "\n", "another", None, 7)
    with pytest.raises(ChangedOnDisk):
        local_files.save(order)
    path.unlink()
    with pytest.raises(ChangedOnDisk):
        local_files.save(order)
    assert not list(tmp_path.iterdir()), "neither the file nor a part of another"


def test_cells_of_one_id_are_not_written(tmp_path: Path) -> None:
    made = notebook(2)
    made.cells[1]["id"] = made.cells[2]["id"]
    state = first_update(Kind.NOTEBOOK, made, "n.ipynb", None)
    order = Save(str(tmp_path / "n.ipynb"), Kind.NOTEBOOK, state, "\n", None, None, 7)
    with pytest.raises(DoubledIds):
        local_files.save(order)


@pytest.mark.parametrize("data", [b"\xff", b"no notebook", b""])
def test_what_can_not_be_read_is_the_contents_managers(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "n.ipynb"
    path.write_bytes(data)
    with pytest.raises(Unreadable):
        local_files.read_notebook(path, None)


def test_the_secret_of_signatures_is_not_shown() -> None:
    assert "key" not in repr(local_files.Signing("file", "sha256", b"key"))


# ---------------------------------------------------------------- in a room


async def test_people_type_while_a_large_notebook_is_saved(house: House, tmp_path: Path) -> None:
    write_notebook(house)
    ada, bob = [await house.client(name, "n.ipynb") for name in ("ada", "bob")]
    held = asyncio.create_task(helper_of(house).run(wait_for, str(tmp_path / "go")))
    await type_in(ada, "first = 1\n")
    room = ada.room
    await until(lambda: room.changed_at is None, "the save to begin")
    for number in range(20):
        await type_in(ada, f"while_it_is_saved_{number} = 1\n")
        wanted = str(source(ada))
        await until(lambda wanted=wanted: str(source(bob)) == wanted, "bob to see it")
    assert "first" not in house.read("n.ipynb"), "the save has waited all the time"
    (tmp_path / "go").touch()
    await held
    await until(lambda: "while_it_is_saved_19" in house.read("n.ipynb"), "the save")
    await until(lambda: ada.state.get("dirty") is False)
    await until(lambda: room.changed_at is None)
    digest = local_files.digest_of_file(house.root / "n.ipynb")
    await until(lambda: ada.state.get("hash") == digest)


async def test_saves_of_a_large_notebook_go_by_the_other_process(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_notebook(house)
    orders: list[str] = []
    run = Heavy.run

    async def note(self: Heavy, function: Any, *arguments: Any) -> Any:
        orders.append(function.__name__)
        return await run(self, function, *arguments)

    monkeypatch.setattr(Heavy, "run", note)
    ada = await house.client("ada", "n.ipynb")
    assert orders[:2] == ["read_notebook", "first_update"]
    for word in ("first_word", "second_word"):
        await type_in(ada, f"{word}\n")
        await until(lambda word=word: word in house.read("n.ipynb"))
        await until(lambda: ada.room.changed_at is None)
        await ada.room.settle(5)
    assert orders.count("save") >= 2
    # Hers, that of the first load, and one for all marks that the document is saved.
    assert len(ada.room._state.owners) == 3


async def test_a_change_that_others_keep_merging_is_never_written_over(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A room that had not come to merge the file saved itself over it."""
    house.write("a.py", "x\n")
    await (await house.client("ada", "a.py")).type("y\n")
    await until(lambda: house.read("a.py") == "x\ny\n")
    await house.rooms.close_all()
    house.rooms = house.build()
    house.write("a.py", "X\ny\n")
    merging, left = LastKnown.merging, 20

    async def lose_at_first(self: LastKnown, merged: Merged) -> Any:
        fence = await merging(self, merged)

        def other_was_faster(tx: Any) -> None:
            nonlocal left
            left -= 1
            if left >= 0:
                raise MergedElsewhere
            fence(tx)

        return other_was_faster

    monkeypatch.setattr(LastKnown, "merging", lose_at_first)
    bob = await house.client("bob", "a.py")
    await bob.type("z\n")
    await house.rooms.save(bob.room)
    await until(lambda: house.read("a.py") == str(bob.text) == "X\ny\nz\n")


@pytest.mark.parametrize("path", ["a.py", "n.ipynb"])
async def test_people_type_while_the_disk_is_slow(
    house: House, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contents manager syncs files on the event loop: 50 rooms that save stop it for 50 ms."""
    house.write(path, "x\n" if path == "a.py" else nbformat.writes(notebook(1)) + "\n")
    ada, bob = [await house.client(name, path) for name in ("ada", "bob")]
    text, seen = [one.text if path == "a.py" else source(one) for one in (ada, bob)]
    begun, go, sync = threading.Event(), threading.Event(), os.fsync

    def slow(descriptor: int) -> None:
        begun.set()
        assert go.wait(20), "nobody could type until the disk was done"
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", slow)
    text.insert(0, "first\n")
    await ada.flush()
    await until(begun.is_set, "the save to begin")
    text.insert(0, "second\n")
    await ada.flush()
    await until(lambda: str(seen).startswith("second"), "bob to see it")
    assert "first" not in house.read(path)
    go.set()
    await until(lambda: "second" in house.read(path))


async def test_a_change_on_disk_of_a_large_notebook_is_merged(house: House) -> None:
    made = write_notebook(house)
    ada = await house.client("ada", "n.ipynb")
    await type_in(ada, "mine\n")
    made.cells[200]["source"] = "changed_on_disk = 1"
    house.write("n.ipynb", nbformat.writes(made) + "\n")
    await until(lambda: str(source(ada, 200)) == "changed_on_disk = 1", within=20)
    assert str(source(ada)).startswith("mine\n")
    await until(lambda: "mine" in house.read("n.ipynb"), within=20)
    assert "changed_on_disk" in house.read("n.ipynb")


async def test_a_change_on_disk_in_the_middle_of_a_large_save(house: House, tmp_path: Path) -> None:
    made = write_notebook(house)
    ada = await house.client("ada", "n.ipynb")
    held = asyncio.create_task(helper_of(house).run(wait_for, str(tmp_path / "go")))
    await type_in(ada, "mine\n")
    await until(lambda: ada.room.changed_at is None, "the save to begin")
    made.cells[200]["source"] = "changed_on_disk = 1"
    house.write("n.ipynb", nbformat.writes(made) + "\n")
    (tmp_path / "go").touch()
    await held
    await until(lambda: str(source(ada, 200)) == "changed_on_disk = 1", within=20)
    await until(lambda: "mine" in house.read("n.ipynb"), within=20)
    assert "changed_on_disk" in house.read("n.ipynb")


async def test_a_cell_of_a_large_notebook_that_two_people_moved_at_once(house: House) -> None:
    write_notebook(house)
    ada = await house.client("ada", "n.ipynb")
    cells = ada.doc.get("cells", type=Array)
    cells.append(make_cell({**cells[1].to_py(), "source": "the same id"}))
    await ada.flush()
    await until(lambda: "the same id" in house.read("n.ipynb"), within=20)
    ids = [cell["id"] for cell in json.loads(house.read("n.ipynb"))["cells"]]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
async def test_a_large_text(house: House, newline: str) -> None:
    text = "\ufeff" + TEXT.replace("\n", newline) + "no end"
    house.write("a.py", text)
    ada = await house.client("ada", "a.py")
    entry = house.rooms._open[ada.room.document.id]
    await until(lambda: entry.projection._checked is not None, "a look at the file")
    assert house.read("a.py") == text, "to open it changes nothing"
    await ada.type("\nnow\n")
    await until(lambda: house.read("a.py") == f"{text}{newline}now{newline}", within=20)


async def test_a_save_that_fails_leaves_the_file_and_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write("a.py", TEXT)
    ada = await house.client("ada", "a.py")
    run, full = Heavy.run, True

    async def run_or_fail(self: Heavy, function: Any, *arguments: Any) -> Any:
        if full and function is local_files.save:
            raise OSError(28, "No space left on device")
        return await run(self, function, *arguments)

    monkeypatch.setattr(Heavy, "run", run_or_fail)
    await ada.type("more\n")
    await until(lambda: any(data.get("saved") is False for _, data in house.events.published))
    assert house.read("a.py") == TEXT
    full = False
    await until(lambda: house.read("a.py") == TEXT + "more\n")
    await until(lambda: house.events.published[-1][1].get("saved") is True)


async def test_a_helper_that_is_killed_again_and_again_tears_nothing(house: House) -> None:
    house.write("a.py", TEXT)
    ada = await house.client("ada", "a.py")
    heavy = helper_of(house)
    whole = {TEXT}
    for number in range(6):
        await ada.type(f"{number}\n")
        whole.add(str(ada.text))
        await until(lambda: heavy.pid is not None)
        # At any moment: while it reads, works, writes, or has nothing to do.
        await asyncio.sleep(0.03 * number)
        if heavy.pid is not None:
            os.kill(heavy.pid, signal.SIGKILL)
        assert house.read("a.py") in whole
    await until(lambda: house.read("a.py") == str(ada.text), within=30)


# ---------------------------------------------------------------- what is too large


async def test_what_is_too_large_is_refused_and_may_grow(house: House) -> None:
    async def restart() -> None:
        await house.rooms.close_all()
        house.rooms = house.build()
        house.rooms._files = Files(lambda: house.manager, max_file=1000)

    await restart()
    house.write("a.py", "x" * 1001)
    with pytest.raises(DocumentTooLarge, match=r"clear the outputs") as error:
        await house.client("ada", "a.py")
    assert error.value.message.startswith("The file has 0.0 MiB")
    house.write("b.py", "x" * 990)
    ada = await house.client("ada", "b.py")
    await ada.type("y" * 990)
    await until(lambda: "y" in house.read("b.py"), "what has grown to be saved")
    await restart()
    again = await house.client("bob", "b.py")
    await again.type("z" * 990)
    await until(lambda: "z" in house.read("b.py"), "what has grown to be saved")
    await restart()
    with pytest.raises(DocumentTooLarge):
        await house.client("bob", "b.py")
