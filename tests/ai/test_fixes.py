"""Fixes of one click: each by itself, and all verified ones of a category in turn."""

from __future__ import annotations

import ast
import asyncio
import random
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest

from jupyter_collab_ai.ai import verify
from jupyter_collab_ai.ai.analyzers.service import Analyzers
from jupyter_collab_ai.ai.edits import Conflict, apply_edits
from jupyter_collab_ai.ai.findings import Edit, Finding, Fix
from jupyter_collab_ai.ai.locations import Span
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot
from jupyter_collab_ai.ai.verify import verify_all
from jupyter_collab_ai.errors import StaleDocument
from tests.ai.house import FILE, AiHouse
from tests.rooms.engine import person
from tests.support import fake_model as say

SEVERAL = """\
def f(x):
    return list(sorted(x))


def g(x, y):
    a = list(sorted(x)); b = list(sorted(y))
    return a, b, set([1, 2]), list(map(str, list(sorted(x))))


def h(x):
    return dict((k, 1) for k in x.keys() if k in x.keys())


def i(x):
    return list(sorted(x))
"""


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ("def f(x)\n    return x\n", "def f(x):\n    return x\n"),
        ("class A\n    pass\n", "class A:\n    pass\n"),
        ("x = 1\nif x = 1:\n    x = 2\n", "x = 1\nif x == 1:\n    x = 2\n"),
        ("x = 1\nprint 'a', x\n", "x = 1\nprint('a', x)\n"),
    ],
)
async def test_what_is_plainly_missing_is_put_in(broken: str, mended: str) -> None:
    (finding,) = await after_trial(broken)
    assert finding.fix is not None
    assert finding.fix.verified
    snapshot = DocumentSnapshot.of_text("a.py", broken)
    assert apply_edits(snapshot, finding.fix.edits).parts[0].source == mended


@pytest.mark.parametrize(
    "broken",
    [
        "x = (1 + 2\ny = 3\n",
        "print(1\n",
        "def f(x) # why\n    return x\n",
        "def f(x)\nreturn x\n",
        "if x = y == 1:\n    pass\n",
        "x = 'a\n",
        "def f(\n",
    ],
)
async def test_a_guess_is_not_called_verified(broken: str) -> None:
    assert not any(one.fix and one.fix.verified for one in await after_trial(broken))


@pytest.mark.parametrize(("new", "kept"), [("x == 1", True), ("x == (1", False), ("x is 1", None)])
async def test_an_unsafe_fix_is_offered_only_where_it_can_be_read(
    new: str, kept: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "x = 2\nprint(x is 1)\n"
    analyzers = Analyzers(extra=[])
    snapshot = DocumentSnapshot.of_text("a.py", source)
    analysis = await analyzers.analyze(snapshot)
    finding = next(one for one in analysis.findings if one.rule == "F632")
    edit = Edit(snapshot.location(None, Span(12, 18)), new)
    guess = replace(finding, fix=Fix("d", (edit,)))
    # What can't be verified is not worth all analyzers.
    monkeypatch.setattr(analyzers, "analyze", None)
    (tried,) = await verify_all(snapshot, [guess], analysis, analyzers)
    assert (tried.fix is not None) is bool(kept)
    assert tried.fix is None or not tried.fix.verified


@pytest.mark.parametrize(("second", "kept"), [("y == 1", True), ("y == (1", False)])
async def test_unsafe_fixes_are_read_together_and_alone_where_that_fails(
    second: str, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "x = 2\ny = 3\nprint(x is 1)\nprint(y is 1)\n"
    analyzers = Analyzers(extra=[])
    snapshot = DocumentSnapshot.of_text("a.py", source)
    analysis = await analyzers.analyze(snapshot)
    guesses = [
        replace(
            finding,
            fix=Fix("d", (Edit(snapshot.location(None, Span(start, start + 6)), new),)),
        )
        for finding, start, new in zip(
            [one for one in analysis.findings if one.rule == "F632"],
            (18, 32),
            ("x == 1", second),
            strict=True,
        )
    ]
    asked = []
    parses = analyzers.parses

    async def counted(copy: DocumentSnapshot) -> bool | None:
        asked.append(copy)
        return await parses(copy)

    monkeypatch.setattr(analyzers, "parses", counted)
    one, other = await verify_all(snapshot, guesses, analysis, analyzers)
    assert one.fix is not None
    assert not one.fix.verified
    assert (other.fix is not None) is kept
    assert len(asked) == (1 if kept else 3)


async def test_trying_fixes_comes_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "PATIENCE", -1.0)
    assert not any(one.fix and one.fix.verified for one in await after_trial(SEVERAL))


async def after_trial(source: str) -> list[Finding]:
    analyzers = Analyzers(extra=[])
    snapshot = DocumentSnapshot.of_text("a.py", source)
    analysis = await analyzers.analyze(snapshot)
    return await verify_all(snapshot, analysis.findings, analysis, analyzers)


def calls(source: str) -> int:
    return sum(source.count(call) for call in ("list(sorted(", "set([", ".keys()", "dict("))


async def test_all_verified_fixes_can_be_applied_in_turn(house: AiHouse) -> None:
    answer = {"summary": "s", "findings": [], "assessments": []}
    house.fake.reply(say.says_json(answer))
    house.write(FILE, SEVERAL)
    report = await house.debug()
    fixable = [one["id"] for one in report["findings"] if one.get("fix") and one["fix"]["verified"]]
    assert len(fixable) >= 5
    stale = 0
    for finding in fixable:
        before = await house.text()
        try:
            await house.operations.apply_fix(person("ben"), finding)
        except StaleDocument:
            # Only where another one has changed the very text.
            stale += 1
            assert await house.text() == before
        else:
            assert await house.text() != before
        ast.parse(await house.text())
    assert stale <= 2
    left = await house.debug()
    assert calls(await house.text()) < calls(SEVERAL)
    assert len(left["findings"]) <= len(report["findings"]) - len(fixable) + stale


async def check(file: Path, analyzers: Analyzers) -> int:
    """Apply every verified fix of a file, one by one and together; return how many there were."""
    source = await asyncio.to_thread(file.read_text, encoding="utf-8", errors="replace")
    snapshot = DocumentSnapshot.of_text("a.py", source)
    analysis = await analyzers.analyze(snapshot)
    if analysis.parses is not True:
        return 0
    offered = [one for one in analysis.findings if one.fix is not None]
    tried = await verify_all(snapshot, offered, analysis, analyzers)
    verified = [one.fix for one in tried if one.fix is not None and one.fix.verified]
    for fix in verified:
        ast.parse(apply_edits(snapshot, fix.edits).parts[0].source)
    together = snapshot
    edits = []
    for fix in verified:
        try:
            together = apply_edits(snapshot, [*edits, *fix.edits])
        except Conflict:
            continue
        edits += fix.edits
    ast.parse(together.parts[0].source)
    return len(verified)


def library() -> list[Path]:
    """Return files of the standard library, in an order that is always the same."""
    files = [
        file
        for file in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py"))
        if "site-packages" not in file.parts and file.stat().st_size < 60_000
    ]
    random.Random(6).shuffle(files)
    return files


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
async def test_no_verified_fix_breaks_a_file_of_the_standard_library() -> None:
    files = library()
    analyzers = Analyzers(extra=[])
    verified = 0
    for at in range(0, 160, 4):
        counts = await asyncio.gather(*(check(file, analyzers) for file in files[at : at + 4]))
        verified += sum(counts)
    assert verified >= 5
