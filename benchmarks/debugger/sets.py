"""Reads public sets of faulty Python from a folder; nothing of them is part of this project."""

from __future__ import annotations

import ast
import difflib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One faulty text and, where the set has one, the same without the fault."""

    set: str
    name: str
    #: What kind of fault it is, by the set.
    kind: str
    faulty: str
    fixed: str | None = None

    @property
    def half(self) -> str:
        """Which half it is in: rules may be tuned on ``a``; ``b`` tells whether they hold.

        With its description or without, a case is in the same half.
        """
        name = f"{self.set.partition(',')[0]}/{self.name}"
        return "ab"[sha256(name.encode()).digest()[0] & 1]

    @property
    def faulty_lines(self) -> frozenset[int] | None:
        """The lines, from 1, that the repair changes; None where there is no repair."""
        if self.fixed is None:
            return None
        lines: set[int] = set()
        matcher = difflib.SequenceMatcher(None, _bare(self.faulty), _bare(self.fixed), False)
        for tag, first, last, _, _ in matcher.get_opcodes():
            if tag == "insert":
                lines |= {first, first + 1}
            elif tag != "equal":
                lines |= set(range(first + 1, last + 1))
        return frozenset(lines)


def _bare(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n")]


def quixbugs(folder: Path) -> Iterator[Case]:
    """Read QuixBugs: forty small algorithms, each with a fault in one line.

    Each comes twice: bare, and with the description and its examples.
    """
    for path in sorted((folder / "python_programs").glob("*.py")):
        twin = folder / "correct_python_programs" / path.name
        if path.stem.endswith("_test") or path.stem == "node" or not twin.exists():
            continue
        faulty, fixed = (_first_part(file.read_text("utf-8")) for file in (path, twin))
        if faulty != fixed:
            yield Case("QuixBugs", path.stem, "bug", faulty, fixed)
            whole = [file.read_text("utf-8") for file in (path, twin)]
            yield Case("QuixBugs, described", path.stem, "bug", *whole)


def _first_part(text: str) -> str:
    """Leave out the description, and other solutions that some files have in it."""
    lines = ast.unparse(_without_texts(ast.parse(text)))
    return f"{lines}\n"


def _without_texts(tree: ast.Module) -> ast.Module:
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
    ]
    return tree


def humanevalfix(file: Path) -> Iterator[Case]:
    """Read HumanEvalFix: 164 functions with a fault that somebody put there.

    Each comes twice: bare, and with the description and its examples.
    """
    for line in file.read_text("utf-8").splitlines():
        row = json.loads(line)
        for name, field in (("HumanEvalFix", "declaration"), ("HumanEvalFix, described", "prompt")):
            if head := row.get(field):
                yield Case(
                    name,
                    row["task_id"],
                    row["bug_type"],
                    head + row["buggy_solution"],
                    head + row["canonical_solution"],
                )


def securityeval(folder: Path) -> Iterator[Case]:
    """Read SecurityEval: insecure files by the number of their weakness; without repairs."""
    for path in sorted((folder / "Testcases_Insecure_Code").glob("*/*.py")):
        name = f"{path.parent.name}/{path.stem}"
        yield Case("SecurityEval", name, path.parent.name, path.read_text("utf-8"))


def bandit_examples(folder: Path) -> Iterator[Case]:
    """Read bandit's own examples, also those that are meant to be fine."""
    for path in sorted((folder / "examples").glob("*.py")):
        text = path.read_text("utf-8", errors="replace")
        if _parses(text):
            yield Case("bandit", path.stem, "security", text)


def ruff_examples(folder: Path) -> Iterator[Case]:
    """Read the files with which ruff tests rules about bugs, speed and security."""
    kinds = {"flake8_bandit": "security", "perflint": "performance", "flake8_bugbear": "bug"}
    fixtures = folder / "crates/ruff_linter/resources/test/fixtures"
    for room, kind in kinds.items():
        for path in sorted((fixtures / room).rglob("*.py")):
            text = path.read_text("utf-8", errors="replace")
            if _parses(text):
                yield Case("ruff", f"{room}/{path.stem}", kind, text)


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


def read(folder: Path) -> list[Case]:
    """Read all sets that are in a folder, each under the name of its repository."""
    cases: list[Case] = []
    readers = {
        "QuixBugs": quixbugs,
        "humanevalpack.jsonl": humanevalfix,
        "SecurityEval": securityeval,
        "bandit": bandit_examples,
        "ruff": ruff_examples,
    }
    for name, reader in readers.items():
        if (folder / name).exists():
            cases += reader(folder / name)
    return cases
