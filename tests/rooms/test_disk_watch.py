"""The files of open documents are looked at together."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

from jupyter_collab_ai.rooms import projection
from jupyter_collab_ai.rooms.disk_watch import DiskWatch
from jupyter_collab_ai.rooms.files import Files, Stamp
from tests.rooms.engine import Client, House, until

SOON = 0.01


class Followed:
    def __init__(self, path: str) -> None:
        self.path = path
        self.stamps: list[Stamp | None] = []

    def seen(self, stamp: Stamp | None) -> None:
        self.stamps.append(stamp)


async def test_each_is_told_what_its_own_file_is_like(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("a\n")
    (tmp_path / "b.py").write_text("bb\n")
    (tmp_path / ".hidden").write_text("only the contents manager may tell of it\n")
    (tmp_path / "folder").mkdir()
    manager = AsyncLargeFileManager(root_dir=str(tmp_path))
    watch = DiskWatch(Files(lambda: manager), every=SOON)
    followed = [Followed(name) for name in ("a.py", "b.py", "none.py", ".hidden", "folder")]
    ends = [watch.follow(one) for one in followed]
    await until(lambda: len(followed[-1].stamps) >= 2)
    last = [one.stamps[-1] for one in followed]
    assert [one and one.size for one in last] == [2, 3, None, None, None]
    assert last[0] is not None
    modified = (tmp_path / "a.py").stat().st_mtime
    assert last[0].last_modified is not None
    assert last[0].last_modified.timestamp() == pytest.approx(modified)
    for end in ends:
        end()
    # Without anything to look at nothing is done.
    name = "collab-ai looks at files"
    await until(lambda: name not in [task.get_name() for task in asyncio.all_tasks()])


async def test_where_looking_fails_each_has_to_look_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = AsyncLargeFileManager(root_dir=str(tmp_path))
    files = Files(lambda: manager)

    async def fail(_paths: object) -> list[Stamp | None]:
        raise OSError("The disk is gone.")

    monkeypatch.setattr(files, "stamps", fail)
    watch = DiskWatch(files, every=SOON)
    one = Followed("a.py")
    end = watch.follow(one)
    await until(lambda: len(one.stamps) >= 2)
    assert set(one.stamps) == {None}
    end()


async def test_a_file_that_nobody_touches_is_not_read_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write("a.py", "one\n")
    os.utime(house.root / "a.py", (1, 1))
    ada = await house.client("ada", "a.py")
    looks = 0
    digest = Files.digest

    async def counted(self: Files, *args: object) -> str:
        nonlocal looks
        looks += 1
        return await digest(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Files, "digest", counted)
    stamps = Files.stamps
    rounds = 0

    async def rounded(self: Files, paths: list[str]) -> list[Stamp | None]:
        nonlocal rounds
        rounds += 1
        return await stamps(self, paths)

    monkeypatch.setattr(Files, "stamps", rounded)
    await until(lambda: rounds >= 4)
    assert looks <= 1  # once for all, as it might have been changed while it was opened
    (house.root / "a.py").write_text("two\n")
    await until(lambda: str(ada.text) == "two\n")


async def _changed_within_the_tick(house: House, text: str) -> Client:
    """Let somebody write "one" and "x", and another program ``text``, with the time of the save."""
    house.write("a.py", "one\n")
    ada = await house.client("ada", "a.py")
    await ada.type("x")
    await until(lambda: house.read("a.py") == "one\nx")
    await until(lambda: ada.room.changed_at is None)
    await ada.room.settle(5)
    path = house.root / "a.py"
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return ada


async def test_a_change_within_the_tick_of_the_last_save_is_found(house: House) -> None:
    """The file has another content, and the same size and time as when it was saved."""
    ada = await _changed_within_the_tick(house, "two\nx")
    await until(lambda: str(ada.text) == "two\nx")


async def test_a_disk_that_does_not_answer_leaves_the_other_files_in_sight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file on a network drive that hangs, and nobody's file was looked at any more."""
    manager = AsyncLargeFileManager(root_dir=str(tmp_path))
    files = Files(lambda: manager)
    stamps, looks, answers = files.stamps, 0, asyncio.Event()

    async def hang(paths: list[str]) -> list[Stamp | None]:
        nonlocal looks
        looks += 1
        await answers.wait()
        return await stamps(paths)

    monkeypatch.setattr(files, "stamps", hang)
    (tmp_path / "a.py").write_text("a\n")
    watch = DiskWatch(files, every=SOON, patience=SOON)
    one = Followed("a.py")
    end = watch.follow(one)
    await until(lambda: len(one.stamps) >= 3)
    assert set(one.stamps) == {None}
    assert looks == 1  # each other one would take a thread for good
    answers.set()
    await until(lambda: one.stamps[-1] is not None)
    end()


async def test_one_file_that_cannot_be_looked_at_is_no_matter_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = AsyncLargeFileManager(root_dir=str(tmp_path))
    stat = Path.stat

    def odd(self: Path, **options: bool) -> os.stat_result:
        if self.name == "odd.py":
            raise OverflowError("timestamp out of range for platform time_t")
        return stat(self, **options)

    for name in ("a.py", "odd.py"):
        (tmp_path / name).write_text("a\n")
    monkeypatch.setattr(Path, "stat", odd)
    found = await Files(lambda: manager).stamps(["a.py", "odd.py"])
    assert [one is not None for one in found] == [True, False]


async def test_a_change_within_the_tick_of_the_last_save_that_shows_is_found_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was found only when the time could prove something, seconds later."""
    monkeypatch.setattr(projection, "COARSE", timedelta(days=1))
    ada = await _changed_within_the_tick(house, "one\nx\nlonger\n")
    await until(lambda: str(ada.text) == "one\nx\nlonger\n")
