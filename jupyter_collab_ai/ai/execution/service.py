"""Whether code does what its tests say: tried in isolation, or not at all."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Any

from jupyter_collab_ai.ai.analyzers.compile_worker import without_magics
from jupyter_collab_ai.ai.execution import probe, sandbox
from jupyter_collab_ai.ai.languages import PYTHON
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot

log = logging.getLogger(__name__)

#: Runs at the same time, and runs that may wait for them.
AT_ONCE = 2
MOST_WAITING = 8
#: Seconds after which a sandbox that did not hold is tried once more.
TRY_AGAIN = 60.0
#: Characters of a failure that are told.
MOST_TOLD = 600


class Isolation(StrEnum):
    """What isolates."""

    NONE = "none"
    BUBBLEWRAP = "bubblewrap"


@dataclass(frozen=True)
class Outcome:
    """What came of trying: it works, it does not, or it was not tried."""

    tried: bool
    ok: bool
    detail: str


class Execution:
    """Runs tests of documents in a sandbox that has been attacked before, and has held."""

    def __init__(
        self,
        isolation: Isolation = Isolation.NONE,
        hidden: Iterable[Path] = (),
        limits: sandbox.Limits | None = None,
    ) -> None:
        """Take what is wanted.

        Args:
            isolation: What isolates; nothing is ever run without.
            hidden: Folders of which code may see nothing, such as the server's root.
            limits: What one run may use.
        """
        self._isolation = isolation
        self._hidden = tuple(dict.fromkeys(path.resolve() for path in hidden))
        self._limits = limits or sandbox.Limits()
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self._probing = asyncio.Lock()
        self._doubt: str | None = None
        self._probed = -1.0

    async def try_out(self, snapshot: DocumentSnapshot, tests: str | None) -> Outcome:
        """Run a document, and the tests that were given for it."""
        if self._isolation is Isolation.NONE:
            return _not_tried("code is not run on this server")
        if tests is None or not tests.strip():
            return _not_tried("no tests were given")
        if snapshot.language != PYTHON:
            return _not_tried("only Python is run here")
        if self._waiting >= AT_ONCE + MOST_WAITING:
            return _not_tried("too much is being run at this moment")
        self._waiting += 1
        try:
            doubt = await self._why_not()
            if doubt:
                return _not_tried(f"code can't be isolated on this server ({doubt})")
            async with self._turn:
                return await self._try(snapshot, tests)
        finally:
            self._waiting -= 1

    async def _why_not(self) -> str:
        """Return why the sandbox is not to be trusted; empty where it is."""
        async with self._probing:
            again = self._doubt and time.monotonic() > self._probed + TRY_AGAIN
            if self._doubt is None or again:
                self._doubt = await self._probe()
                self._probed = time.monotonic()
                if self._doubt:
                    log.warning("Code of the generator is not run: %s.", self._doubt)
            return self._doubt

    async def _probe(self) -> str:
        bwrap = shutil.which("bwrap")
        if sys.platform != "linux" or bwrap is None:
            return "bubblewrap is not installed"
        self._bwrap = bwrap
        try:
            await probe.check(bwrap, self._hidden, self._limits)
        except probe.NotIsolated as error:
            return str(error)
        return ""

    async def _try(self, snapshot: DocumentSnapshot, tests: str) -> Outcome:
        parts, skipped = _parts(snapshot)
        file = PurePosixPath(snapshot.path).name
        job = {
            "parts": parts,
            "file": file,
            "name": PurePosixPath(file).stem,
            "notebook": snapshot.is_notebook,
            "tests": tests,
        }
        try:
            ended = await sandbox.run(self._bwrap, job, self._hidden, self._limits)
        except OSError as error:
            return _not_tried(f"bubblewrap can't be started ({error.strerror})")
        if not ended.gone:
            self._doubt, self._probed = "a run did not end when it was killed", time.monotonic()
            log.error("Code of the generator did not end when it was killed; no more is run.")
            return _not_tried(self._doubt)
        if ended.killed:
            return Outcome(True, False, f"It was stopped: it {ended.killed}.")
        return _outcome(ended.verdict, skipped)


def _outcome(verdict: dict[str, Any] | None, skipped: bool) -> Outcome:
    if verdict is None:
        return Outcome(True, False, "It ended before its tests did.")
    kind, detail = verdict.get("kind"), str(verdict.get("detail", ""))
    if kind == "passed":
        count = verdict.get("tests")
        told = f"{count} of {count} tests passed" if count else "The tests ran to their end"
        note = "; lines for IPython alone were left out" if skipped else ""
        return Outcome(True, True, f"{told}{note}.")
    if kind == "unusable":
        return _not_tried(detail)
    module = str(verdict.get("module", "")).partition(".")[0]
    if kind == "missing" and not _is_installed(module):
        return _not_tried(f"there is no module {module[:100]} where code is run")
    return Outcome(True, False, _last(detail) or "It failed.")


def _is_installed(module: str) -> bool:
    """Tell whether a module that was not found is there, so that something else is wrong."""
    try:
        return module.isidentifier() and importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _last(text: str) -> str:
    """Return the last lines of a failure, as many as are told."""
    if len(text) <= MOST_TOLD:
        return text
    return f"…{text[-MOST_TOLD:].partition(chr(10))[2] or text[-MOST_TOLD:]}"


def _not_tried(why: str) -> Outcome:
    return Outcome(False, False, f"Not tried: {why}.")


def _parts(snapshot: DocumentSnapshot) -> tuple[list[list[str]], bool]:
    """Return a document's parts, each in the forms of it that may be Python.

    And whether lines of IPython's own are left out of one.
    """
    if not snapshot.is_notebook:
        return [[part.source] for part in snapshot.code()], False
    parts, skipped = [], False
    for part in snapshot.code():
        # A cell that is all magic may be another language.
        foreign = part.source.lstrip().startswith("%%")
        plain, found = ("", True) if foreign else without_magics(part.source)
        parts.append([part.source, plain])
        skipped = skipped or found
    return parts, skipped
