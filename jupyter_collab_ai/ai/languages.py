"""In which language a document is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

PYTHON = "python"
JAVASCRIPT = "javascript"
TYPESCRIPT = "typescript"
PLAIN = "text"

_BY_SUFFIX = {
    ".py": PYTHON,
    ".pyi": PYTHON,
    ".pyw": PYTHON,
    ".js": JAVASCRIPT,
    ".mjs": JAVASCRIPT,
    ".cjs": JAVASCRIPT,
    ".jsx": JAVASCRIPT,
    ".ts": TYPESCRIPT,
    ".mts": TYPESCRIPT,
    ".cts": TYPESCRIPT,
    ".tsx": TYPESCRIPT,
    ".json": "json",
    ".c": "c",
    ".h": "c",
    ".cc": "cpp",
    ".cpp": "cpp",
    ".cxx": "cpp",
    ".hpp": "cpp",
    ".hh": "cpp",
    ".hxx": "cpp",
    ".java": "java",
    ".go": "go",
    ".rs": "rust",
    ".r": "r",
    ".jl": "julia",
    ".sql": "sql",
    ".sh": "bash",
    ".bash": "bash",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".toml": "toml",
    ".md": "markdown",
    ".html": "html",
    ".css": "css",
    ".rb": "ruby",
    ".php": "php",
    ".cs": "csharp",
    ".kt": "kotlin",
    ".swift": "swift",
    ".scala": "scala",
    ".lua": "lua",
    ".pl": "perl",
}
#: What kernels call themselves, where it is not the name used here.
_ALIASES = {
    "ipython": PYTHON,
    "python3": PYTHON,
    "node": JAVASCRIPT,
    "c++": "cpp",
    "sh": "bash",
    "cpp11": "cpp",
}


def language_of_path(path: str) -> str:
    """Return the language of a text file by its name; ``text`` where it is not known."""
    return _BY_SUFFIX.get(PurePosixPath(path).suffix.lower(), PLAIN)


def language_of_notebook(metadata: Mapping[str, Any]) -> str:
    """Return the language of a notebook's code cells, by nbformat's metadata.

    A notebook that says nothing is taken for Python, as Jupyter itself does.
    """
    for member, key in (("language_info", "name"), ("kernelspec", "language")):
        section = metadata.get(member)
        name = section.get(key) if isinstance(section, Mapping) else None
        if isinstance(name, str) and name.strip():
            name = name.strip().lower()
            return _ALIASES.get(name, name)
    return PYTHON


def version_of_notebook(metadata: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the version of the language that a notebook's kernel ran last; empty if unknown."""
    section = metadata.get("language_info")
    version = section.get("version") if isinstance(section, Mapping) else None
    match = re.match(r"(\d{1,4})\.(\d{1,4})", version) if isinstance(version, str) else None
    return (int(match[1]), int(match[2])) if match else ()
