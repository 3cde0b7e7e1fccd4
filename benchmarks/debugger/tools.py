"""The tools that are compared, each as a function from texts to findings."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ruff import find_ruff_bin  # type: ignore[import-untyped]

from jupyter_collab_ai.ai.analyzers.service import Analyzers
from jupyter_collab_ai.ai.findings import Category
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot

OURS, RUFF, BANDIT = "this, analyzers alone", "ruff", "bandit"
#: What somebody who wants to find faults, and not matters of style, asks of ruff.
RUFF_RULES = "F,B,S,PLE,PLW,PERF,ASYNC,RUF"


@dataclass(frozen=True)
class Told:
    """One finding of a tool."""

    line: int
    rule: str
    category: str


def ours(texts: list[str]) -> list[list[Told]]:
    """Ask the debugger without a model."""

    async def ask() -> list[list[Told]]:
        analyzers = Analyzers(extra=[])
        answers = []
        for text in texts:
            analysis = await analyzers.analyze(DocumentSnapshot.of_text("a.py", text))
            if analysis.failures:
                raise RuntimeError("; ".join(analysis.failures))
            answers.append(
                [
                    Told(found.location.start.line, str(found.rule), found.category.value)
                    for found in analysis.findings
                    if found.category is not Category.SYNTAX
                ]
            )
        return answers

    return asyncio.run(ask())


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


TOOLS = {OURS: ours, RUFF: ruff, BANDIT: bandit}
