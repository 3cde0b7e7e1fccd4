"""Asking workers of this package: a question in JSON, an answer in JSON, in another process.

To start Python and to import what reads a text takes ten times as long as to read it. So a few
processes that have imported it wait for the next question, and fork a child for each: see
:mod:`.worker`. What holds for any program that reads untrusted text holds for these: an
environment without secrets, no handle but the one to talk by, bounds on time, memory and output,
and few at a time. They are started when they are first needed, and end when they have waited for
long, have answered many times, went wrong, or with the server (also by ``kill -9``).
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_collab_ai.ai.analyzers import worker
from jupyter_collab_ai.ai.analyzers.base import AnalyzerFailed
from jupyter_collab_ai.ai.analyzers.process import (
    AT_ONCE,
    OUTPUT_LIMIT,
    TIME_LIMIT,
    Processes,
    environment,
)

#: Questions after which a process makes room for a new one.
QUESTIONS = 500
#: Seconds after which a process that waits in vain ends.
PATIENCE = 900.0

_WORKER = Path(worker.__file__)
_CHUNK = 64 * 1024
#: Seconds that a killed process may take to be gone.
_LAST_WORDS = 5.0


@dataclass(frozen=True)
class Trade:
    """What a process has learned: which questions it can be asked without delay."""

    #: Modules with a function ``answer``, by their full names.
    modules: tuple[str, ...]
    #: Packages of others that these import.
    packages: tuple[str, ...] = ()

    def command(self) -> list[str]:
        """Return how such a process is started."""
        folders = dict.fromkeys(folder for name in self.packages for folder in folders_of(name))
        lists = (list(folders), [*self.packages, *self.modules])
        return [sys.executable, "-I", "-S", "-B", str(_WORKER), *map(json.dumps, lists)]


_OURS = "jupyter_collab_ai.ai.analyzers"
PYTHON_COMPILER = f"{_OURS}.compile_worker"
PYTHON_RULES = f"{_OURS}.python_rules.worker"
#: What is asked of each Python text: kept together, so that any of the processes can do either.
PYTHON_READER = Trade((PYTHON_COMPILER, PYTHON_RULES))


def trade_of(module: str, *packages: str) -> Trade:
    """Return the trade of one module of this package.

    Args:
        module: Its name within the package.
        packages: Packages of others that it imports.
    """
    return Trade((f"{_OURS}.{module}",), packages)


class Workers:
    """The processes of this server that read texts."""

    def __init__(
        self,
        *,
        at_once: int = AT_ONCE,
        time_limit: float = TIME_LIMIT,
        output_limit: int = OUTPUT_LIMIT,
        questions: int = QUESTIONS,
        patience: float = PATIENCE,
        warm: bool = hasattr(os, "fork"),
    ) -> None:
        """Prepare to ask; nothing is started yet.

        Args:
            at_once: Questions that are worked on at the same time.
            time_limit: Seconds that one question may take.
            output_limit: Bytes that one answer may have.
            questions: Questions that one process is asked.
            patience: Seconds that one waits for the next question.
            warm: Whether processes wait for further questions; they have to be able to fork.
        """
        self._turn = asyncio.Semaphore(at_once)
        self._most_idle = 2 * at_once
        self._time_limit = time_limit
        self._output_limit = output_limit
        self._questions = questions
        self._patience = patience
        self._cold = (
            None
            if warm
            else Processes(at_once=at_once, time_limit=time_limit, output_limit=output_limit)
        )
        #: Those that wait, the one that has waited for longest first.
        self._idle: list[_Process] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False

    async def ask(self, trade: Trade, request: Any, *, name: str, module: str | None = None) -> Any:
        """Return what the function ``answer`` of a module says.

        The process is killed where it takes too long or writes too much, and where the caller
        is cancelled.

        Args:
            trade: What the process has to know.
            request: What it is asked; JSON.
            name: What it is called in messages.
            module: Which of its modules is asked; by default the first.

        Raises:
            AnalyzerFailed: It can't be started, took too long, or broke down.
        """
        question = json.dumps({"module": module or trade.modules[0], "request": request}).encode()
        if self._cold is not None:
            output = await self._cold.run([*trade.command(), "--once"], stdin=question, name=name)
            data = output.stdout if output.status == 0 else b""
        else:
            async with self._turn:
                data = await self._ask(trade, question, name)
        try:
            return json.loads(data)
        except ValueError:
            raise AnalyzerFailed(
                f"{name} could not read the text; it may be nested too deeply."
            ) from None

    async def close(self) -> None:
        """End all processes; nothing can be asked any more."""
        self._closed = True
        idle, self._idle = self._idle, []
        for process in idle:
            self._leave(process)
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def _ask(self, trade: Trade, question: bytes, name: str) -> bytes:
        process = self._take(trade) or await self._start(trade, name)
        answered = False
        try:
            async with asyncio.timeout(self._time_limit):
                await process.send(question)
                data = await process.receive(self._output_limit)
            answered = data is not None
        except TimeoutError:
            raise AnalyzerFailed(
                f"{name} took more than {self._time_limit:g} s; the text may be too long for it."
            ) from None
        except _TooMuch:
            raise AnalyzerFailed(f"{name} found more than can be shown.") from None
        finally:
            if answered:
                self._give_back(process)
            else:
                await asyncio.shield(self._leave(process))
        return data or b""

    # ------------------------------------------------------------ who waits

    def _take(self, trade: Trade) -> _Process | None:
        """Return a process that waits: of those that know how, the one that came last."""
        for process in reversed(self._idle):
            if process.trade == trade:
                self._idle.remove(process)
                process.waits_until(None)
                if process.alive:
                    return process
                self._leave(process)
        return None

    async def _start(self, trade: Trade, name: str) -> _Process:
        if self._closed:
            raise AnalyzerFailed(f"{name} can't be started: the server is about to end.")
        starting = asyncio.ensure_future(asyncio.to_thread(_Process, trade))
        try:
            return await asyncio.shield(starting)
        except OSError as error:
            raise AnalyzerFailed(f"{name} can't be started: {error.strerror}.") from error
        except asyncio.CancelledError:
            # The thread goes on, and what it makes is not left behind.
            starting.add_done_callback(self._unwanted)
            raise

    def _unwanted(self, started: asyncio.Future[_Process]) -> None:
        if not started.cancelled() and started.exception() is None:
            self._leave(started.result())

    def _give_back(self, process: _Process) -> None:
        if self._closed or process.asked >= self._questions:
            self._leave(process)
            return
        self._idle.append(process)
        while len(self._idle) > self._most_idle:
            self._leave(self._idle.pop(0))
        loop = asyncio.get_running_loop()
        process.waits_until(loop.call_later(self._patience, self._dismiss, process))

    def _dismiss(self, process: _Process) -> None:
        """End a process that was not asked again."""
        if process in self._idle:
            self._idle.remove(process)
            self._leave(process)

    def _leave(self, process: _Process) -> asyncio.Task[None]:
        process.waits_until(None)
        task = asyncio.ensure_future(process.end())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        return task


class _TooMuch(Exception):
    """An answer is longer than it may be."""


class _Process:
    """One process that answers questions, one after the other."""

    def __init__(self, trade: Trade) -> None:
        """Start it; blocks.

        Raises:
            OSError: It can't be started.
        """
        self.trade = trade
        self.asked = 0
        ours, theirs = socket.socketpair()
        folder = tempfile.mkdtemp(prefix="collab-ai-")
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 (our own program)
                    trade.command(),
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.DEVNULL,
                    cwd=folder,
                    env=environment(Path(folder)),
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        ours.setblocking(False)
        self._socket = ours
        self._timer: asyncio.TimerHandle | None = None
        # Also where nobody has ended it.
        self._end = weakref.finalize(self, _end, self._process, ours, folder)

    @property
    def alive(self) -> bool:
        """Whether it has not ended by itself."""
        return self._process.poll() is None

    def waits_until(self, timer: asyncio.TimerHandle | None) -> None:
        """Take note of what ends it if it is not asked again, in place of what did before."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer

    async def send(self, question: bytes) -> None:
        """Ask; a process that has ended is found out by :meth:`receive`."""
        self.asked += 1
        data = worker.WAKE + worker.HEADER.pack(len(question)) + question
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def receive(self, most: int) -> bytes | None:
        """Return the answer, or None where the process has broken down.

        Raises:
            _TooMuch: It has more than ``most`` bytes.
        """
        header = await self._read(worker.HEADER.size)
        if header is None:
            return None
        (size,) = worker.HEADER.unpack(header)
        if size > most:
            raise _TooMuch
        return await self._read(size)

    async def _read(self, size: int) -> bytes | None:
        loop = asyncio.get_running_loop()
        data = bytearray()
        while len(data) < size:
            try:
                piece = await loop.sock_recv(self._socket, min(size - len(data), _CHUNK))
            except ConnectionResetError:
                return None
            if not piece:
                return None
            data += piece
        return bytes(data)

    async def end(self) -> None:
        """Kill it, and wait until it is gone."""
        await asyncio.to_thread(self._end)


def _end(process: subprocess.Popen[bytes], ours: socket.socket, folder: str) -> None:
    ours.close()
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # Its child too: it was started as the leader of a group.
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_LAST_WORDS)
    shutil.rmtree(folder, ignore_errors=True)


def folders_of(package: str) -> Iterable[str]:
    """Return the folders from which a package is imported; none where it isn't installed."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return []
    return [] if spec is None or spec.origin is None else [str(Path(spec.origin).parents[1])]
