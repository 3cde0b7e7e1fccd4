"""A process that can reach nothing: how bubblewrap is asked for it, and how it is run.

See bwrap(1). The process has namespaces of its own (user, network, processes, IPC, host name,
cgroups), no capabilities, no way to gain privileges or make further namespaces, a file system
that is read-only but for a small ``/tmp``, and of the machine's files only what Python needs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_collab_ai.ai.execution import driver
from jupyter_collab_ai.ai.starting import start

#: Who code runs as where the server is root: the kernel counts no processes of root.
NOBODY = 65533
#: Seconds between two looks at the memory that is used, and that killed processes may take.
_GLANCE = 0.1
_LAST_WORDS = 5.0
_CHUNK = 64 * 1024
_MOST_VERDICT = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """What one run may use."""

    #: Seconds by the clock, and of the processor in each process.
    seconds: float = 10.0
    cpu_seconds: int = 10
    #: Bytes of address space of each process, and of memory of all together.
    memory: int = 1024**3
    memory_of_all: int = 1536 * 1024**2
    processes: int = 32
    #: Bytes of a file, files that a process has open, and bytes of ``/tmp``.
    file_size: int = 8 * 1024**2
    open_files: int = 64
    scratch: int = 64 * 1024**2
    #: Bytes that it may write to its output.
    output: int = 1024**2

    def of_process(self) -> dict[str, int]:
        """Return them by the names of ``RLIMIT_*``, for the driver."""
        return {
            "CORE": 0,
            "CPU": self.cpu_seconds,
            "AS": self.memory,
            "FSIZE": self.file_size,
            "NOFILE": self.open_files,
            "NPROC": self.processes,
        }


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    #: What the driver said; None where it said nothing.
    verdict: dict[str, Any] | None
    #: Why it was killed, as a sentence's end; empty where it was not.
    killed: str
    #: Whether nothing of it was left at the end.
    gone: bool


def needed() -> list[Path]:
    """Return what of the machine's files Python needs: programs and libraries, never settings."""
    places = [Path("/usr") / name for name in ("bin", "lib", "lib32", "lib64", "share/zoneinfo")]
    places += [Path("/usr/local/lib"), Path("/etc/ld.so.cache"), Path("/etc/alternatives")]
    prefixes = {Path(prefix) for prefix in (sys.prefix, sys.exec_prefix, sys.base_prefix)}
    for prefix in sorted(prefixes | {prefix.resolve() for prefix in prefixes}):
        places += [prefix / name for name in ("bin", "lib", "lib64", "pyvenv.cfg")]
    places += [place for place in map(Path, ("/bin", "/lib", "/lib64")) if not place.is_symlink()]
    return [place for place in dict.fromkeys(places) if place.exists()]


def command(
    bwrap: str, inside: Sequence[str], hidden: Iterable[Path], limits: Limits, *, root: bool
) -> list[str]:
    """Return the command line that runs ``inside`` where it reaches nothing.

    Args:
        bwrap: The program bubblewrap.
        inside: The command to be run.
        hidden: Folders of which nothing may be seen, should they lie in what is shown.
        limits: How much may be written.
        root: Whether the server runs as root. Then the files are laid out by root, who may read
            Python wherever it lies, and the code runs in a second sandbox within as nobody.
    """
    shown = [*needed(), Path(bwrap)]
    line = [bwrap, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    line += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--clearenv"]
    line += ["--hostname", "sandbox", "--cap-drop", "ALL"]
    no_more = ["--unshare-user", "--disable-userns", "--cap-drop", "ALL"]
    if root:
        line += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        who = str(NOBODY)
        setpriv = shutil.which("setpriv") or "/usr/bin/setpriv"
        drop = [setpriv, "--reuid", who, "--regid", who, "--clear-groups", "--"]
        inside = [*drop, bwrap, *no_more, "--bind", "/", "/", "--chdir", "/tmp", *inside]  # noqa: S108 (its own)
    else:
        line += [*no_more, "--uid", str(NOBODY), "--gid", str(NOBODY)]
    # First, for what is needed may lie in the machine's own /tmp.
    line += ["--proc", "/proc", "--dev", "/dev"]
    for scratch, size in (("/dev/shm", limits.scratch // 4), ("/tmp", limits.scratch)):  # noqa: S108
        line += ["--perms", "1777", "--size", str(size), "--tmpfs", scratch]
    for folder in dict.fromkeys(
        parent for place in shown for parent in reversed(place.parents) if parent != Path("/")
    ):
        if not any(folder.is_relative_to(place) for place in shown):
            line += ["--perms", "0755", "--dir", str(folder)]
    for place in shown:
        line += ["--ro-bind", str(place), str(place)]
    for name in ("bin", "lib", "lib64"):
        if (Path("/") / name).is_symlink():
            line += ["--symlink", f"usr/{name}", f"/{name}"]
    for folder in hidden:
        if any(folder.is_relative_to(place) for place in shown):
            line += ["--tmpfs", str(folder), "--remount-ro", str(folder)]
    line += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]  # noqa: S108
    for name, value in _ENVIRONMENT.items():
        line += ["--setenv", name, value]
    return [*line, "--", *inside]


_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/tmp",  # noqa: S108 (its own)
    "LANG": "C.UTF-8",
    "MPLBACKEND": "agg",
    # Each thread counts as a process.
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
}


async def run(bwrap: str, job: dict[str, Any], hidden: Iterable[Path], limits: Limits) -> Ended:
    """Run the driver on a job; it is killed with all that it started, also when cancelled.

    Raises:
        OSError: It can't be started.
    """
    reading, writing = os.pipe()
    try:
        program = await asyncio.to_thread(Path(driver.__file__).read_text, "utf-8")
        inside = [sys.executable, "-I", "-B", "-X", "utf8", "-c", program, str(writing)]
        process = await start(
            *command(bwrap, inside, hidden, limits, root=os.geteuid() == 0),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=(writing,),
            # What bubblewrap itself is given could be read in its /proc/1/environ.
            env={},
            cwd="/",
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return await _Watched(process, reading, limits).end(
        json.dumps({**job, "limits": limits.of_process()}).encode()
    )


class _Watched:
    """A run, from its start to the moment when nothing of it is left."""

    def __init__(self, process: asyncio.subprocess.Process, reading: int, limits: Limits) -> None:
        self._process = process
        self._reading = reading
        self._limits = limits
        self._killed = ""

    async def end(self, stdin: bytes) -> Ended:
        """Wait for the end, or bring it about."""
        verdict = asyncio.create_task(_read(self._reading))
        output = asyncio.create_task(self._drain())
        memory = asyncio.create_task(self._watch_memory())
        try:
            async with asyncio.timeout(self._limits.seconds):
                await self._give(stdin)
                await self._process.wait()
        except TimeoutError:
            self._kill(f"took longer than {self._limits.seconds:g} seconds")
        finally:
            self._kill("")
            memory.cancel()
            gone = await asyncio.shield(self._wait_until_gone(verdict, output))
        return Ended(_parsed(verdict.result()) if gone else None, self._killed, gone)

    def _kill(self, reason: str) -> None:
        self._killed = self._killed or reason
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _give(self, stdin: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._process.stdin.write(stdin)
            await self._process.stdin.drain()
        self._process.stdin.close()

    async def _drain(self) -> None:
        """Read what is written, so that nothing waits, and kill what does not stop."""
        assert self._process.stdout is not None
        size = 0
        while chunk := await self._process.stdout.read(_CHUNK):
            size += len(chunk)
            if size > self._limits.output:
                self._kill(f"wrote more than {self._limits.output:,} bytes")

    async def _watch_memory(self) -> None:
        """Kill where all processes together take too much: a limit of one is none of many."""
        while True:
            await asyncio.sleep(_GLANCE)
            if await asyncio.to_thread(memory_of, self._process.pid) > self._limits.memory_of_all:
                self._kill("took too much memory")

    async def _wait_until_gone(
        self, verdict: asyncio.Task[bytes], output: asyncio.Task[None]
    ) -> bool:
        # Whoever is left holds one of the two open.
        assert self._process.stdin is not None
        waiting = asyncio.gather(self._process.wait(), verdict, output)
        try:
            async with asyncio.timeout(_LAST_WORDS):
                await waiting  # cancels what it waits for, where time is over
                with contextlib.suppress(OSError):
                    await self._process.stdin.wait_closed()
        except TimeoutError:
            return False
        return True


async def _read(descriptor: int) -> bytes:
    """Read a pipe to its end; what is beyond a verdict's length is dropped."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    data = b""
    try:
        while chunk := await reader.read(_CHUNK):
            data = (data + chunk)[: _MOST_VERDICT + 1]
    finally:
        transport.close()
    return data


def _parsed(data: bytes) -> dict[str, Any] | None:
    try:
        verdict = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return verdict if isinstance(verdict, dict) else None


def memory_of(pid: int) -> int:
    """Return the bytes that a process and all below it have in memory, but for mapped files."""
    total, todo, ends = 0, [pid], time.monotonic() + 1
    while todo and time.monotonic() < ends:
        one = Path("/proc") / str(todo.pop())
        with contextlib.suppress(OSError, ValueError):
            for line in (one / "status").read_text().splitlines():
                if line.startswith(("RssAnon:", "RssShmem:")):
                    total += int(line.split()[1]) * 1024
            for thread in (one / "task").iterdir():
                todo += map(int, (thread / "children").read_text().split())
    return total
