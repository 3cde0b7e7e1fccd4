"""Applies all rules to Python texts: runs in a process of its own.

Reads JSON from standard input and writes JSON to standard output. Nothing is executed: texts
are parsed, and their trees are looked at. It is run with ``-I -S`` as the compile worker is,
so it loads this package by its place and not by its name.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Seconds after which no further rule is tried.
PATIENCE = 6.0
#: Findings of one rule in one text.
MOST_OF_A_RULE = 100
MEMORY = 2 * 1024**3
CPU_SECONDS = 20
_PACKAGE = "python_rules"


def limit_resources() -> None:
    """Bound what a hostile text can cost, where the system can."""
    try:
        import resource
    except ImportError:
        return
    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


def load_rules() -> Any:
    """Load this package from its folder and return the module that applies its rules."""
    folder = Path(__file__).parent
    spec = importlib.util.spec_from_file_location(
        _PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = package
    spec.loader.exec_module(package)
    return importlib.import_module(f"{_PACKAGE}.engine")


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


def main() -> None:
    """Answer one request."""
    limit_resources()
    warnings.simplefilter("ignore")
    request = json.load(sys.stdin)
    ends = time.monotonic() + PATIENCE
    engine = load_rules()
    texts: list[str] = request["texts"]
    lines = [line for text in texts for line in text.split("\n")]
    found: list[dict[str, Any]] = []
    failed: list[str] = []
    for tree, before in trees(texts, notebook=request["notebook"]):
        found += engine.apply(tree, lines, before, ends=ends, most=MOST_OF_A_RULE, failed=failed)
    json.dump({"found": found, "failed": failed}, sys.stdout)


if __name__ == "__main__":
    main()
