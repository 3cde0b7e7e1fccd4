"""Running an analyzer as a process of its own: few at a time, not for long, not too loud."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jupyter_collab_ai.ai.analyzers.base import AnalyzerFailed
from jupyter_collab_ai.ai.starting import end, start

#: Seconds that one run may take.
TIME_LIMIT = 10.0
#: Bytes that one run may write.
OUTPUT_LIMIT = 8 * 1024 * 1024
#: Runs at the same time, on one server.
AT_ONCE = max(2, (os.cpu_count() or 2) // 2)

_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Output:
    """What a process said."""

    status: int
    stdout: bytes


class Processes:
    """Starts processes in an empty folder, with an environment that holds no secrets."""

    def __init__(
        self,
        *,
        at_once: int = AT_ONCE,
        time_limit: float = TIME_LIMIT,
        output_limit: int = OUTPUT_LIMIT,
    ) -> None:
        self._turn = asyncio.Semaphore(at_once)
        self._time_limit = time_limit
        self._output_limit = output_limit

    async def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        files: Mapping[str, str] | None = None,
        name: str | None = None,
    ) -> Output:
        """Run ``command`` to its end and return what it wrote to standard output.

        The process is killed where it takes too long or writes too much, and where the
        caller is cancelled.

        Args:
            command: The program and its arguments.
            stdin: What it reads.
            files: Names and contents of files that it finds in its folder.
            name: What it is called in messages; by default, the name of the program.

        Raises:
            AnalyzerFailed: It can't be started, took too long or wrote too much.
        """
        async with self._turn:
            folder = await asyncio.to_thread(_make_folder, files or {})
            try:
                return await self._run(command, stdin, folder, name or Path(command[0]).name)
            finally:
                # Also where the caller is cancelled at this very moment.
                await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))

    async def _run(self, command: Sequence[str], stdin: bytes, folder: Path, name: str) -> Output:
        try:
            process = await start(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                cwd=folder,
                env=environment(folder),
                start_new_session=True,
            )
        except OSError as error:
            raise AnalyzerFailed(f"{name} can't be started: {error.strerror}.") from error
        try:
            async with asyncio.timeout(self._time_limit):
                _, stdout = await asyncio.gather(_feed(process, stdin), self._drain(process, name))
                status = await process.wait()
        except TimeoutError:
            raise AnalyzerFailed(
                f"{name} took more than {self._time_limit:g} s; the text may be too long for it."
            ) from None
        finally:
            await asyncio.shield(end(process))
        return Output(status, stdout)

    async def _drain(self, process: asyncio.subprocess.Process, name: str) -> bytes:
        assert process.stdout is not None
        pieces = bytearray()
        while piece := await process.stdout.read(_CHUNK):
            pieces += piece
            if len(pieces) > self._output_limit:
                raise AnalyzerFailed(f"{name} found more than can be shown.")
        return bytes(pieces)


def _make_folder(files: Mapping[str, str]) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="collab-ai-"))
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8", errors="replace", newline="")
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Return an environment without secrets for a program that works in ``folder``."""
    kept = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT") if key in os.environ}
    return {**kept, "HOME": str(folder), "TMPDIR": str(folder), "LC_ALL": "C.UTF-8"}


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    assert process.stdin is not None
    # One that ends without reading all of it has its reasons.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(data)
        await process.stdin.drain()
        process.stdin.close()
