"""Starting programs, and ending them with all that they have started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import Process
from typing import Any

#: Seconds that a killed process may take to be gone.
LAST_WORDS = 5.0
_CHUNK = 64 * 1024


async def start(*command: str, **options: Any) -> Process:
    """Start a program; see :func:`asyncio.create_subprocess_exec`.

    That one, cancelled before it has connected the pipes (``asyncio/unix_events.py`` of CPython
    3.11), kills what it has started but never closes them, and waits for
    their end: for ever, where a grandchild has them too.

    Raises:
        OSError: It can't be started.
    """
    starting = asyncio.ensure_future(asyncio.create_subprocess_exec(*command, **options))
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.shield(asyncio.ensure_future(_end_unwanted(starting)))
        raise


async def _end_unwanted(starting: asyncio.Future[Process]) -> None:
    # Why it could not be started is nobody's business any more.
    with contextlib.suppress(Exception):
        await end(await starting)


async def end(process: Process) -> None:
    """Kill a process, with its children where it leads a group; wait until it is gone."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            if _leads(process.pid):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(TimeoutError):
        # asyncio counts a process as ended only once its pipes are, and a pipe that was full
        # and is read by nobody never is. A grandchild may keep it open: then it is left.
        async with asyncio.timeout(LAST_WORDS):
            if process.stdout is not None:
                while await process.stdout.read(_CHUNK):
                    pass
            await process.wait()


def _leads(pid: int) -> bool:
    """Tell whether a process is the leader of a group, so that all in it can be killed."""
    try:
        return os.getpgid(pid) == pid
    except (AttributeError, ProcessLookupError):
        return False  # such groups are not known on Windows
