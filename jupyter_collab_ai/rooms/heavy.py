"""Work that would hold up everybody, done in another process.

A worker thread is no help with large documents: to parse or write 30 MB of JSON is one call that
holds the interpreter's lock from beginning to end, and a thread of pure Python delays each step
of the event loop. So what takes long goes over a pipe, to a process that is started when it is
needed first, and ended when it was not for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

from jupyter_collab_ai.rooms import helper_process

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

#: Bytes from which on work on a document is given away.
LARGE = 128 * 1024
#: Seconds without work after which the process is ended.
IDLE = 300.0
#: Seconds after which work counts as hung. It takes about a second for each 10 MB.
PATIENCE = 120.0


class HelperLost(OSError):
    """The process has ended before it was done; what it did may be given to another one."""


class Heavy:
    """Does work in another process, one piece after another."""

    def __init__(self, *, idle: float = IDLE, patience: float = PATIENCE) -> None:
        """Prepare; nothing is started yet.

        Args:
            idle: Seconds without work after which the process is ended.
            patience: Seconds after which work counts as hung, and is given up.
        """
        self._idle = idle
        self._patience = patience
        self._lock = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def pid(self) -> int | None:
        """The id of the process, where there is one."""
        return None if self._process is None else self._process.pid

    async def run(self, function: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Return what a function makes of its arguments; all of them have to be picklable.

        What has begun is brought to its end, also where nobody waits for it any more.

        Raises:
            HelperLost: The process ended, or hung; nothing is known of what it did.
            Exception: Whatever the function raised.
        """
        task = asyncio.ensure_future(self._in_turn(function, arguments))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def run_sized(self, size: int, function: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Do what :meth:`run` does, in a worker thread where ``size`` bytes are few.

        Args:
            size: About so many bytes are worked on.
            function: As of :meth:`run`.
            arguments: As of :meth:`run`.
        """
        return await self.run_if(size >= LARGE, function, *arguments)

    async def run_if(self, large: bool, function: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Do what :meth:`run` does, in a worker thread where the work is not ``large``."""
        if large:
            return await self.run(function, *arguments)
        return await asyncio.shield(asyncio.ensure_future(asyncio.to_thread(function, *arguments)))

    async def close(self) -> None:
        """End the process when it has done what it was given."""
        async with self._lock:
            self._end()

    async def _in_turn(self, function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        async with self._lock:
            if self._rest is not None:
                self._rest.cancel()
            try:
                done, result = await asyncio.to_thread(self._ask, (function, arguments))
            except OSError as error:
                self._end()
                raise HelperLost("A helper process has ended early.") from error
            finally:
                loop = asyncio.get_running_loop()
                self._rest = loop.call_later(self._idle, self._end_if_idle)
        if not done:
            raise result
        return result  # type: ignore[no-any-return]

    def _ask(self, message: tuple[Any, ...]) -> Any:
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = _start()
        assert process.stdin is not None
        assert process.stdout is not None
        watch = threading.Timer(self._patience, process.kill)
        watch.daemon = True
        watch.start()
        try:
            helper_process.write(process.stdin, message)
            return helper_process.read(process.stdout)
        except EOFError as error:
            raise HelperLost("A helper process has ended early.") from error
        finally:
            watch.cancel()

    def _end_if_idle(self) -> None:
        if not self._lock.locked():
            self._end()

    def _end(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        # It waits for nothing but its pipe, so it ends at once; its status is picked up aside.
        threading.Thread(target=process.wait, daemon=True).start()


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 (nothing in it is anybody else's)
        [sys.executable, "-m", helper_process.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # With -m this folder comes first where modules are looked for; it must not be one
        # where people put their files.
        cwd=Path(helper_process.__file__).parents[2],
        env=dict(os.environ),
        close_fds=True,
    )
