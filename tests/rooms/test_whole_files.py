"""A file on disk is the old one or the new one, whatever happens while it is written."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_server.services.contents.fileio import FileManagerMixin, atomic_writing
from jupyter_server.services.contents.filemanager import AsyncFileContentsManager
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from jupyter_server.utils import ensure_async

from jupyter_collab_ai.rooms.whole_files import may_replace, replacing, write_whole
from tests.blackbox.client import Api
from tests.blackbox.test_events import Stream
from tests.support.processes import wait_until
from tests.support.server import ServerFactory

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Elsewhere files are written in place.")


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".~")]


@pytest.fixture(params=[AsyncFileContentsManager, AsyncLargeFileManager])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> FileManagerMixin:
    made = request.param(root_dir=str(tmp_path))
    assert write_whole(made, lambda: False)
    return made


async def save(manager: FileManagerMixin, text: str, path: str = "a.txt") -> None:
    model = {"type": "file", "format": "text", "content": text}
    await ensure_async(manager.save(model, path))


async def test_saves_replace_the_file(manager: FileManagerMixin, tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    await save(manager, "one\n")
    file.chmod(0o640)
    before = file.stat().st_ino
    opened = file.open()
    await save(manager, "two\n")
    assert file.read_text() == "two\n"
    assert opened.read() == "one\n", "who reads the old one reads all of it"
    assert file.stat().st_ino != before
    assert file.stat().st_mode & 0o777 == 0o640
    assert leftovers(tmp_path) == []


async def test_a_new_file_has_the_rights_that_any_new_file_has(
    manager: FileManagerMixin, tmp_path: Path
) -> None:
    (tmp_path / "other").touch()
    await save(manager, "one\n")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "other").stat().st_mode


async def test_links_stay_links(manager: FileManagerMixin, tmp_path: Path) -> None:
    real = tmp_path / "real.txt"
    real.write_text("one\n")
    (tmp_path / "a.txt").symlink_to(real)
    await save(manager, "two\n")
    assert (tmp_path / "a.txt").is_symlink()
    assert real.read_text() == "two\n"
    (tmp_path / "hard.txt").hardlink_to(real)
    await save(manager, "three\n", "hard.txt")
    assert real.read_text() == "three\n", "a hard link is written in place"


async def test_where_files_are_known_by_their_inodes_they_keep_them(tmp_path: Path) -> None:
    manager = AsyncFileContentsManager(root_dir=str(tmp_path))
    write_whole(manager, lambda: True)
    await save(manager, "one\n")
    before = (tmp_path / "a.txt").stat().st_ino
    await save(manager, "two\n")
    assert (tmp_path / "a.txt").stat().st_ino == before


async def test_jupyters_own_setting_is_kept(manager: FileManagerMixin, tmp_path: Path) -> None:
    manager.use_atomic_writing = False
    await save(manager, "one\n")
    before = (tmp_path / "a.txt").stat().st_ino
    await save(manager, "two\n")
    assert (tmp_path / "a.txt").stat().st_ino == before


def test_what_fails_on_the_way_has_changed_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("one\n")
    with pytest.raises(KeyboardInterrupt), replacing(file) as new:
        new.write("two")
        new.flush()
        assert file.read_text() == "one\n"
        raise KeyboardInterrupt
    assert file.read_text() == "one\n"
    assert leftovers(tmp_path) == []


def test_two_may_write_the_same_file(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    with replacing(file) as one, replacing(file) as two:
        one.write("one\n")
        two.write("two\n")
    assert file.read_text() in ("one\n", "two\n")
    assert leftovers(tmp_path) == []


def test_what_a_killed_server_left_is_cleared_away(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    with contextlib.suppress(KeyboardInterrupt), replacing(file):
        (left,) = leftovers(tmp_path)
        raise KeyboardInterrupt
    (tmp_path / left).write_text("half")
    os.utime(tmp_path / left, (time.time() - 3600,) * 2)
    with replacing(file) as new:
        new.write("whole")
    assert file.read_text() == "whole"
    assert leftovers(tmp_path) == []


def test_what_may_not_be_replaced(tmp_path: Path) -> None:
    assert may_replace(tmp_path / "new.txt")
    assert not may_replace(tmp_path / "none" / "new.txt")
    assert not may_replace(tmp_path)
    os.mkfifo(tmp_path / "fifo")
    assert not may_replace(tmp_path / "fifo")


def test_a_file_of_a_group_that_one_is_not_in_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.txt"
    file.touch()
    assert may_replace(file)
    monkeypatch.setattr(os, "getegid", lambda: file.stat().st_gid + 1)
    monkeypatch.setattr(os, "getgroups", list)
    assert not may_replace(file)


def test_upstream_is_as_it_was() -> None:
    """Else what takes its place would be called otherwise, or not at all."""
    assert tuple(inspect.signature(atomic_writing).parameters) == (
        *("path", "text", "encoding", "log", "kwargs"),
    )
    assert tuple(inspect.signature(FileManagerMixin.atomic_writing).parameters) == (
        *("self", "os_path", "args", "kwargs"),
    )
    for name in ("_save_file", "_save_notebook"):
        assert "self.atomic_writing(os_path" in inspect.getsource(getattr(FileManagerMixin, name))


def test_a_manager_of_others_is_left_alone(tmp_path: Path) -> None:
    class Own(AsyncFileContentsManager):
        def atomic_writing(self, os_path, *args, **kwargs):  # type: ignore[no-untyped-def]
            return super().atomic_writing(os_path, *args, **kwargs)

    assert not write_whole(Own(root_dir=str(tmp_path)), lambda: False)
    assert not write_whole(object(), lambda: False)


def test_a_file_that_is_a_mount_is_written_in_place(tmp_path: Path) -> None:
    file, real = tmp_path / "a.txt", tmp_path / "real.txt"
    file.touch()
    real.write_text("one\n")
    command = ["mount", "--bind", str(real), str(file)]
    if shutil.which("mount") is None or subprocess.run(command, check=False).returncode != 0:
        pytest.skip("Only who may mount can try this.")
    try:
        with replacing(file) as new:
            new.write("two\n")
        assert real.read_text() == "two\n"
        assert leftovers(tmp_path) == []
    finally:
        subprocess.run(["umount", str(file)], check=True)


# ---------------------------------------------------------------- kills and full disks

WRITER = """
    import asyncio, resource, signal, sys
    from jupyter_server.services.contents.filemanager import FileContentsManager
    from jupyter_collab_ai.rooms.whole_files import write_whole
    manager = FileContentsManager(root_dir=sys.argv[1])
    assert write_whole(manager, lambda: False)
    limit = int(sys.argv[2])
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    for n in range(1, 100_000 if not limit else 2):
        content = (chr(97 + n % 26)) * 3_000_000
        manager.save({"type": "file", "format": "text", "content": content}, "a.txt")
        print(n, flush=True)
"""


def start_writer(folder: Path, limit: int = 0) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(folder), str(limit)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def is_whole(file: Path) -> bool:
    text = file.read_text()
    return len(text) == 3_000_000 and len(set(text)) == 1


def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    chance = random.Random(5)
    for _ in range(6):
        writer = start_writer(tmp_path)
        assert writer.stdout is not None
        with writer:
            writer.stdout.readline()
            ends = time.monotonic() + chance.uniform(0, 0.2)
            while time.monotonic() < ends:
                assert is_whole(tmp_path / "a.txt"), "who looks meanwhile sees a whole file"
            writer.send_signal(signal.SIGKILL)
        assert is_whole(tmp_path / "a.txt")
    assert len(leftovers(tmp_path)) <= 7


def test_a_file_that_does_not_fit_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old\n")
    writer = start_writer(tmp_path, limit=1_000_000)
    _, errors = writer.communicate(timeout=60)
    assert writer.returncode != 0
    assert b"File too large" in errors or b"500" in errors, errors
    assert (tmp_path / "a.txt").read_text() == "old\n"
    assert leftovers(tmp_path) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    folder = tmp_path / "server1" / "root"
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, check=False).returncode != 0:
        pytest.skip("Only who may mount can make a small disk.")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_full_disk_is_told_and_heals(
    small_disk: Path, collab_server: ServerFactory
) -> None:
    from examples.story.clients import PycrdtClient

    server = await asyncio.to_thread(collab_server)
    api = Api(server)
    ada = api.register("ada")
    session = ada.share(content="old\n")
    file = small_disk / session["path"]
    stream = Stream(ada, session)
    client = PycrdtClient("ada")
    try:
        await client.connect(ada.socket_of(session, ack="1"), ada.token)
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as rest, contextlib.suppress(OSError):
            while True:
                rest.write(bytes(4096))
        await client.insert(0, "x" * 50_000)
        await client.is_recorded()
        await asyncio.to_thread(
            wait_until,
            lambda: any(name == "saved" and not data["saved"] for name, data in stream.events),
            timeout=15,
            what="people to hear that nothing is saved",
        )
        assert file.read_text() == "old\n"
        assert leftovers(file.parent) == []
        filler.unlink()
        await asyncio.to_thread(
            wait_until, lambda: file.read_text() == client.text, timeout=15, what="the file"
        )
    finally:
        stream.close()
        await client.close()
        server.stop()
