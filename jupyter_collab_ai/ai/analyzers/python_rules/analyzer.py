"""Our own rules for Python, which see what the flow of values tells and linters don't."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from jupyter_collab_ai.ai.analyzers.compile_worker import without_magics
from jupyter_collab_ai.ai.analyzers.python_text import in_python, one_line_end
from jupyter_collab_ai.ai.analyzers.workers import PYTHON_READER, PYTHON_RULES, Workers
from jupyter_collab_ai.ai.findings import Category, Finding, Severity
from jupyter_collab_ai.ai.languages import PYTHON
from jupyter_collab_ai.ai.locations import Span, visible
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part

log = logging.getLogger(__name__)


class PythonRules:
    """The analyzer that applies our rules."""

    name = "rules"
    version = "1"
    languages = frozenset({PYTHON})
    checks_syntax = False

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def analyze(self, snapshot: DocumentSnapshot) -> list[Finding]:
        """Return what our rules find; in a notebook, over all of its cells.

        Raises:
            AnalyzerFailed: It did not come to an end.
        """
        parts = [part for part in snapshot.code() if in_python(part, snapshot)]
        if not parts:
            return []
        request = await asyncio.to_thread(_request, parts, notebook=snapshot.is_notebook)
        answer = await self._workers.ask(
            PYTHON_READER, request, module=PYTHON_RULES, name="The analyzer of our rules"
        )
        if answer["failed"]:
            log.error("Rules for Python are at fault: %s", ", ".join(answer["failed"]))
        return [_finding(parts[item["text"]], item) for item in answer["found"]]


def _request(parts: list[Part], *, notebook: bool) -> dict[str, Any]:
    texts = [one_line_end(part.source) for part in parts]
    if notebook:
        texts = [without_magics(text)[0] for text in texts]
    return {"texts": texts, "notebook": notebook}


def _finding(part: Part, item: dict[str, Any]) -> Finding:
    lines = part.lines
    start = lines.clamped(item["line"], item["column"])
    end = max(start, lines.clamped(item["end_line"], item["end_column"]))
    return Finding(
        Category(item["category"]),
        Severity(item["severity"]),
        item["title"],
        item["explanation"],
        lines.location(visible(part.source, Span(start, end)), part.cell_id),
        PythonRules.name,
        item["confidence"],
        rule=item["rule"],
        cwe=item["cwe"],
    )
