"""The tools that are compared, each as a function from texts to findings."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ruff import find_ruff_bin  # type: ignore[import-untyped]

from jupyter_collab_ai.ai.analyzers.bandit import SKIPPED
from jupyter_collab_ai.ai.analyzers.service import Analyzers
from jupyter_collab_ai.ai.debugger import Debugger, Focus
from jupyter_collab_ai.ai.findings import Category, Finding
from jupyter_collab_ai.ai.model import DEADLINE, Model, ModelSettings
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot
from jupyter_collab_ai.errors import ModelFailed, ModelTimeout

OURS, RUFF, BANDIT = "this, analyzers alone", "ruff", "bandit"
WITH_MODEL = "this, with a model"
#: Texts that are looked at at the same time.
AT_ONCE = 4
#: What somebody who wants to find faults, and not matters of style, asks of ruff.
RUFF_RULES = "F,B,S,PLE,PLW,PERF,ASYNC,RUF"
#: The families whose examples are a set, and what of them is a matter of style or of imports.
RUFF_CLAIMED = "B,S,PERF"
RUFF_STYLE = (
    "B007,B009,B010,B011,B013,B014,B024,B027,B028,B033,B034,B043,B903,B904,B905,B911,B912,"
    "S101,S4,S603,S607"
)


@dataclass(frozen=True)
class Told:
    """One finding of a tool."""

    line: int
    rule: str
    category: str
    #: For example ``CWE-89``; None where the tool names none.
    cwe: str | None = None


#: Says of each text what it finds there.
Tool = Callable[[list[str]], list[list[Told]]]


def ours(texts: list[str]) -> list[list[Told]]:
    """Ask the debugger without a model."""

    async def ask() -> list[list[Told]]:
        analyzers = Analyzers(extra=[])

        async def one(text: str) -> list[Told]:
            analysis = await analyzers.analyze(DocumentSnapshot.of_text("a.py", text))
            if analysis.failures:
                raise RuntimeError("; ".join(analysis.failures))
            return _told(analysis.findings)

        return await _each(one, texts)

    return asyncio.run(ask())


class WithModel:
    """The debugger with a model behind an OpenAI-compatible server."""

    def __init__(
        self, settings: ModelSettings, *, at_once: int = AT_ONCE, patience: float = DEADLINE
    ) -> None:
        """Prepare to ask.

        Args:
            settings: Where the model is.
            at_once: Texts that are looked at at the same time.
            patience: Seconds that an answer may take.
        """
        self._settings = settings
        self._at_once = at_once
        self._patience = patience
        #: Texts that were looked at, and the sentences about those of which no review came.
        self.asked = 0
        self.failures: Counter[str] = Counter()

    def __call__(self, texts: list[str]) -> list[list[Told]]:
        """Return what is found in each text; where the model fails, what analyzers find."""
        return asyncio.run(self._ask(texts))

    async def _ask(self, texts: list[str]) -> list[list[Told]]:
        model = Model(self._settings, deadline=self._patience, silence=self._patience)
        analyzers = Analyzers(extra=[])
        debugger = Debugger(analyzers, model)

        async def one(text: str) -> list[Told]:
            self.asked += 1
            snapshot = DocumentSnapshot.of_text("a.py", text)
            try:
                report = await debugger.run(snapshot, Focus(), None, lambda *_: None)
            except (ModelFailed, ModelTimeout) as failed:
                self.failures[failed.message] += 1
                return _told((await analyzers.analyze(snapshot)).findings)
            return _told(report.findings)

        try:
            return await _each(one, texts, self._at_once)
        finally:
            await model.close()


async def _each(
    ask: Callable[[str], Awaitable[list[Told]]], texts: list[str], at_once: int = AT_ONCE
) -> list[list[Told]]:
    free = asyncio.Semaphore(at_once)

    async def one(text: str) -> list[Told]:
        async with free:
            return await ask(text)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(text)) for text in texts]
    return [task.result() for task in tasks]


def _told(findings: Iterable[Finding]) -> list[Told]:
    return [
        Told(found.location.start.line, str(found.rule), found.category.value, found.cwe)
        for found in findings
        if found.category is not Category.SYNTAX
    ]


def ruff(texts: list[str]) -> list[list[Told]]:
    """Ask ruff alone."""
    command = [find_ruff_bin(), "check", "--isolated", "--no-cache", "--exit-zero", "-q"]
    command += ["--output-format=json", f"--select={RUFF_RULES}", "."]
    found = json.loads(_run(command, texts))
    return _by_text(
        texts,
        [
            (item["filename"], item["location"]["row"], item["code"])
            for item in found
            if item["code"] not in (None, "invalid-syntax")
        ],
    )


def bandit(texts: list[str]) -> list[list[Told]]:
    """Ask bandit alone."""
    command = [sys.executable, "-m", "bandit", "-q", "-f", "json", "-r", "."]
    found = json.loads(_run(command, texts))["results"]
    return _by_text(
        texts, [(item["filename"], item["line_number"], item["test_id"]) for item in found]
    )


def expected(name: str, texts: list[str]) -> list[list[Told]]:
    """Return what the tool that a set of examples comes from says of them.

    Its own tests hold it to that. Left out is what this product leaves out on purpose: what is
    imported, assert, and programs that are started without a shell.
    """
    if name == "bandit":
        skipped = frozenset(SKIPPED.split(","))
        return [[one for one in told if one.rule not in skipped] for told in bandit(texts)]
    command = [find_ruff_bin(), "check", "--isolated", "--no-cache", "--exit-zero", "-q"]
    command += ["--output-format=json", "--preview", f"--select={RUFF_CLAIMED}"]
    command += [f"--ignore={RUFF_STYLE}", "."]
    found = json.loads(_run(command, texts))
    return _by_text(
        texts,
        [
            (item["filename"], item["location"]["row"], item["code"])
            for item in found
            if item["code"] not in (None, "invalid-syntax")
        ],
    )


def _run(command: list[str], texts: list[str]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        for index, text in enumerate(texts):
            (Path(folder) / f"t{index}.py").write_text(text, "utf-8")
        return subprocess.run(command, cwd=folder, capture_output=True, check=False).stdout


def _by_text(texts: list[str], found: list[tuple[str, int, str]]) -> list[list[Told]]:
    answers: list[list[Told]] = [[] for _ in texts]
    for name, line, rule in found:
        category = "security" if rule[0] in "SB" and rule[1:].isdecimal() else "bug"
        answers[int(Path(name).stem[1:])].append(Told(line, rule, category))
    return answers


TOOLS: dict[str, Tool] = {OURS: ours, RUFF: ruff, BANDIT: bandit}
