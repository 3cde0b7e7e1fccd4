"""Oxlint: syntax errors, bugs, slow code and insecure code in JavaScript and TypeScript."""

from __future__ import annotations

import json
import re
import shutil
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from jupyter_collab_ai.ai.analyzers.base import AnalyzerFailed
from jupyter_collab_ai.ai.analyzers.process import Processes
from jupyter_collab_ai.ai.findings import Category, Finding, Severity
from jupyter_collab_ai.ai.languages import JAVASCRIPT, TYPESCRIPT
from jupyter_collab_ai.ai.locations import Span, visible
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part

_SECURITY = {
    "no-eval": "CWE-95",
    "no-implied-eval": "CWE-95",
    "no-new-func": "CWE-95",
    "no-script-url": "CWE-79",
    "no-danger": "CWE-79",
    "jsx-no-script-url": "CWE-79",
    "jsx-no-target-blank": "CWE-1022",
}
_PERFORMANCE = frozenset(
    {"no-await-in-loop", "no-accumulating-spread", "no-map-spread", "no-useless-call"}
)
#: Off: matters of style, and what is used by files that the analyzer can't see.
_OFF = ("no-unused-vars", "no-unused-expressions", "no-useless-escape", "no-empty-file", "no-new")
_CONFIG = {
    "plugins": ["eslint", "oxc", "typescript", "unicorn", "promise", "react"],
    "categories": {"correctness": "error"},
    "rules": {
        **dict.fromkeys((name for name in _SECURITY if name.startswith("no-")), "error"),
        "react/no-danger": "error",
        "react/jsx-no-target-blank": "error",
        "no-await-in-loop": "warn",
        "oxc/no-accumulating-spread": "warn",
        "oxc/no-map-spread": "warn",
        **dict.fromkeys(_OFF, "off"),
    },
}
_SUFFIXES = frozenset(
    {".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"},
)
_RULE = re.compile(r"^[\w@-]+\((?P<name>[\w/-]+)\)$")


def find_oxlint() -> str | None:
    """Return the program of the ``oxlint`` package, or one on the path."""
    name = "oxlint.exe" if sys.platform == "win32" else "oxlint"
    own = Path(sysconfig.get_path("scripts")) / name
    return str(own) if own.exists() else shutil.which(name)


class Oxlint:
    """The analyzer for JavaScript and TypeScript."""

    name = "oxlint"
    languages = frozenset({JAVASCRIPT, TYPESCRIPT})
    checks_syntax = True

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self.version = version("oxlint")

    async def analyze(self, snapshot: DocumentSnapshot) -> list[Finding]:
        """Return what oxlint finds; each cell of a notebook is looked at by itself.

        Raises:
            AnalyzerFailed: It did not come to an end.
        """
        program = find_oxlint()
        if program is None:
            raise AnalyzerFailed("oxlint is not installed.")
        parts = [part for part in snapshot.code() if part.source.strip()]
        if not parts:
            return []
        suffix = PurePosixPath(snapshot.path).suffix.lower()
        if suffix not in _SUFFIXES:
            suffix = ".ts" if snapshot.language == TYPESCRIPT else ".js"
        named = {f"part{index}{suffix}": part for index, part in enumerate(parts)}
        output = await self._processes.run(
            [
                program,
                "--config=config.json",
                "--disable-nested-config",
                "--no-ignore",
                "--threads=1",
                "--format=json",
                *named,
            ],
            files={
                "config.json": json.dumps(_CONFIG),
                **{name: part.source for name, part in named.items()},
            },
        )
        try:
            diagnostics = json.loads(output.stdout)["diagnostics"]
        except (ValueError, KeyError, TypeError):
            raise AnalyzerFailed("oxlint answered something that can't be understood.") from None
        return [
            finding
            for diagnostic in diagnostics
            if (part := named.get(PurePosixPath(diagnostic["filename"]).name)) is not None
            and (finding := _finding(part, diagnostic)) is not None
        ]


def _finding(part: Part, diagnostic: dict[str, Any]) -> Finding | None:
    labels = diagnostic.get("labels") or [{"span": {"offset": 0, "length": 0}}]
    encoded = part.source.encode("utf-8", "replace")
    span = labels[0]["span"]
    start = _characters(encoded, span["offset"])
    end = _characters(encoded, span["offset"] + span["length"])
    place = visible(part.source, Span(start, max(start, end)))
    message = str(diagnostic["message"])
    code = diagnostic.get("code")
    match = _RULE.match(code) if isinstance(code, str) else None
    name = match["name"] if match else None
    explanation = str(diagnostic.get("help") or message)
    if name is None:
        category, severity, confidence = Category.SYNTAX, Severity.ERROR, 1.0
        explanation = (
            f"JavaScript can't make sense of the text at this place. {explanation} Often the "
            "cause stands just before it: a missing bracket, comma or quote. Until then "
            "nothing of this file can run."
        )
    elif name in _SECURITY:
        category, severity, confidence = Category.SECURITY, Severity.WARNING, 0.7
    elif name in _PERFORMANCE:
        category, severity, confidence = Category.PERFORMANCE, Severity.INFO, 0.7
    else:
        category, severity, confidence = Category.BUG, Severity.WARNING, 0.9
    return Finding(
        category,
        severity,
        message,
        explanation if explanation.endswith(".") else f"{explanation}.",
        part.lines.location(place, part.cell_id),
        Oxlint.name,
        confidence,
        rule=name,
        cwe=_SECURITY.get(name or ""),
    )


def _characters(encoded: bytes, offset: int) -> int:
    return len(encoded[:offset].decode("utf-8", "ignore"))
