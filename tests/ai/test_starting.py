"""Programs are started whole or ended, at whatever moment those who want them are cancelled."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from jupyter_collab_ai.ai.starting import start
from tests.rooms.engine import until

#: It leaves a child that waits for input, as a sandbox does that is killed before it has told its
#: child to die with it.
LEAVES_A_CHILD = """
import os, sys
child = os.fork()
if child:
    open(sys.argv[1], "w").write(str(child))
    os.kill(os.getpid(), 9)
sys.stdin.read()
"""


@pytest.fixture
async def connecting(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Events: the pipes of a process are about to be connected; they may be."""
    began, may = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    connect = loop.connect_write_pipe

    async def slowly(*args: Any) -> Any:
        began.set()
        await may.wait()
        return await connect(*args)

    monkeypatch.setattr(loop, "connect_write_pipe", slowly)
    return began, may


@pytest.mark.parametrize("times", [1, 3])
async def test_who_is_cancelled_while_a_program_starts_does_not_wait_for_ever(
    connecting: tuple[asyncio.Event, asyncio.Event], tmp_path: Path, times: int
) -> None:
    began, may = connecting
    note = tmp_path / "child"
    command = [sys.executable, "-I", "-S", "-c", LEAVES_A_CHILD, str(note)]
    task = asyncio.create_task(start(*command, stdin=PIPE, stdout=PIPE))
    await began.wait()
    await until(lambda: note.exists() and note.read_text())
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    may.set()
    done, _ = await asyncio.wait({task}, timeout=20)
    assert done
    assert task.cancelled()
    child = int(note.read_text())
    await until(lambda: not _runs(child))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return b"Z" not in Path(f"/proc/{pid}/stat").read_bytes().split()[2]
    except (ProcessLookupError, FileNotFoundError):
        return False


async def test_who_is_not_cancelled_gets_it() -> None:
    process = await start(
        sys.executable, "-I", "-S", "-c", "print(input())", stdin=PIPE, stdout=PIPE
    )
    out, _ = await process.communicate(b"hello\n")
    assert (process.returncode, out.strip()) == (0, b"hello")


async def test_what_cannot_be_started_says_so() -> None:
    with pytest.raises(FileNotFoundError):
        await start("/no/such/program")


async def test_who_is_cancelled_while_a_program_fails_to_start_stays_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began, may = asyncio.Event(), asyncio.Event()

    async def fail(*_command: str) -> None:
        began.set()
        await may.wait()
        raise ValueError("embedded null byte")

    monkeypatch.setattr(asyncio, "create_subprocess_exec", fail)
    task = asyncio.create_task(start("program"))
    await began.wait()
    task.cancel()
    may.set()
    await asyncio.wait({task}, timeout=20)
    assert task.cancelled()
