"""Which modules some Python imports, and whether they can be found. Nothing is ever imported."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterable

from jupyter_collab_ai.ai.snapshot import DocumentSnapshot

#: A line for IPython, which is no Python.
_MAGIC = re.compile(r"^([ \t\f]*)[%!?].*$", re.MULTILINE)


def modules_of(snapshot: DocumentSnapshot) -> set[str]:
    """Return the top names of all modules that a document imports, but for relative ones."""
    found: set[str] = set()
    for part in snapshot.parts:
        if part.is_code:
            found |= _modules(part.source)
    return found


def _modules(source: str) -> set[str]:
    try:
        tree = ast.parse(_MAGIC.sub(r"\1pass", source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    found: set[str] = set()
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.Try)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue  # whoever tries to import something has thought of its absence
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def not_installed(modules: Iterable[str]) -> list[str]:
    """Return those that Python does not find where this server runs, in order."""
    return sorted(name for name in set(modules) if not _is_installed(name))


def _is_installed(name: str) -> bool:
    if name in sys.builtin_module_names or name in sys.stdlib_module_names:
        return True
    try:
        # For a top name this looks for files, and runs none of them.
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False
