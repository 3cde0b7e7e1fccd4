"""Bandit: a second, slower opinion about insecure Python; off unless asked for."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from typing import Any

from jupyter_collab_ai.ai.analyzers.base import AnalyzerFailed
from jupyter_collab_ai.ai.analyzers.explanations import explain
from jupyter_collab_ai.ai.analyzers.process import Processes
from jupyter_collab_ai.ai.analyzers.python_text import in_python, one_line_end
from jupyter_collab_ai.ai.findings import Category, Finding, Severity
from jupyter_collab_ai.ai.languages import PYTHON
from jupyter_collab_ai.ai.locations import Span, visible
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part

_SEVERITY = {"HIGH": Severity.ERROR, "MEDIUM": Severity.WARNING}
_CONFIDENCE = {"HIGH": 0.8, "MEDIUM": 0.6}
#: As in ruff's profile: assert, what is imported, and programs started without a shell.
SKIPPED = "B101,B401,B402,B403,B404,B405,B406,B407,B408,B409,B410,B411,B412,B413,B415,B603,B607"


class Bandit:
    """The deep check for Python."""

    name = "bandit"
    languages = frozenset({PYTHON})
    checks_syntax = False

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self.version = version("bandit")

    async def analyze(self, snapshot: DocumentSnapshot) -> list[Finding]:
        """Return what bandit finds; cells that hold magics are left out.

        Raises:
            AnalyzerFailed: It did not come to an end.
        """
        parts = [part for part in snapshot.code() if in_python(part, snapshot)]
        named = {f"part{index}.py": part for index, part in enumerate(parts)}
        if not named:
            return []
        output = await self._processes.run(
            [sys.executable, "-I", "-m", "bandit", "-q", "-f", "json", "-s", SKIPPED, *named],
            files={name: one_line_end(part.source) for name, part in named.items()},
        )
        try:
            results = json.loads(output.stdout)["results"]
        except (ValueError, KeyError, TypeError):
            raise AnalyzerFailed("bandit answered something that can't be understood.") from None
        return [
            _finding(part, result)
            for result in results
            if (part := named.get(str(result["filename"]).removeprefix("./"))) is not None
        ]


def _finding(part: Part, result: dict[str, Any]) -> Finding:
    line = part.lines.span(min(max(int(result["line_number"]), 1), len(part.lines)))
    start = min(line.start + int(result.get("col_offset") or 0), line.end)
    place = visible(part.source, Span(start, line.end))
    cwe = (result.get("issue_cwe") or {}).get("id")
    rule = str(result["test_id"])
    message = str(result["issue_text"])
    return Finding(
        Category.SECURITY,
        _SEVERITY.get(result["issue_severity"], Severity.INFO),
        message,
        # Ruff took over bandit's rules, by the same numbers.
        explain(f"S{rule[1:]}", message),
        part.lines.location(place, part.cell_id),
        Bandit.name,
        _CONFIDENCE.get(result["issue_confidence"], 0.4),
        rule=rule,
        cwe=f"CWE-{cwe}" if cwe else None,
    )
