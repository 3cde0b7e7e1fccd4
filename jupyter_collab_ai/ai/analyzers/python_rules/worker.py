"""Applies all rules to Python texts; runs behind :mod:`..worker`.

Nothing is executed: texts are parsed, and their trees are looked at.
"""

from __future__ import annotations

import ast
import time
from collections.abc import Iterator
from typing import Any

from . import engine

#: Seconds after which no further rule is tried.
PATIENCE = 6.0
#: Findings of one rule in one text.
MOST_OF_A_RULE = 100


def trees(texts: list[str], *, notebook: bool) -> Iterator[tuple[ast.Module, list[int]]]:
    """Return what is to be looked at: all cells as one, or each that parses by itself.

    Yields:
        A tree whose lines count through all texts, and the line before each text.
    """
    flags = ast.PyCF_ONLY_AST | (ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if notebook else 0)
    before, count = [], 0
    for text in texts:
        before.append(count)
        count += text.count("\n") + 1
    try:
        yield compile("\n".join(texts), "<text>", "exec", flags, dont_inherit=True), before
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        pass
    else:
        return
    for text, offset in zip(texts, before, strict=True):
        try:
            tree = compile(text, "<text>", "exec", flags, dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        yield ast.increment_lineno(tree, offset), before


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return what all rules find, and the names of rules that are at fault."""
    ends = time.monotonic() + PATIENCE
    texts: list[str] = request["texts"]
    lines = [line for text in texts for line in text.split("\n")]
    found: list[dict[str, Any]] = []
    failed: list[str] = []
    for tree, before in trees(texts, notebook=request["notebook"]):
        found += engine.apply(tree, lines, before, ends=ends, most=MOST_OF_A_RULE, failed=failed)
    return {"found": found, "failed": failed}
