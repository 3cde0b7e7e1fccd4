"""Ruff: bugs, slow code and insecure code in Python, in a few milliseconds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

from jupyter_collab_ai.ai.analyzers.explanations import explain
from jupyter_collab_ai.ai.analyzers.process import Processes
from jupyter_collab_ai.ai.analyzers.python_text import in_python
from jupyter_collab_ai.ai.analyzers.ruff_answers import Diagnostic, ask, span_of
from jupyter_collab_ai.ai.analyzers.rules import (
    HINTS,
    IGNORED,
    SELECTED,
    rule_for,
)
from jupyter_collab_ai.ai.findings import Category, Edit, Finding, Fix, Severity
from jupyter_collab_ai.ai.languages import PYTHON
from jupyter_collab_ai.ai.locations import Location, NoSuchPlace, Position, Span, visible
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part

#: What IPython puts into every notebook's namespace besides what ruff knows of.
_NOTEBOOK_NAMES = frozenset(
    {"display", "get_ipython", "In", "Out", "_", "__", "___", "exit", "quit"}
)
#: Magics after which any name may exist.
_DEFINING_MAGICS = ("%run", "%load", "%pylab", "%%cython", "%autocall", "%store", "%pull")
#: Calls after which the same is so.
_DEFINING_CALLS = ("globals().update(", "globals()[")
_UNDEFINED, _NOT_EXPORTED = "F821", "F822"
#: Fixes that ruff calls unsafe for the only reason that they may take a comment away.
_MAY_DROP_COMMENTS = frozenset(
    {"C400", "C401", "C402", "C403", "C404", "C405", "C406", "C409", "C410", "C411", "C416"}
)


#: Findings of one rule in one document; more of them help nobody.
MOST_OF_A_RULE = 100


class Ruff:
    """The analyzer for Python."""

    name = "ruff"
    languages = frozenset({PYTHON})
    checks_syntax = False

    def __init__(self, processes: Processes, *, hints: bool = False) -> None:
        """Run it by ``processes``.

        Args:
            processes: Runs programs.
            hints: Whether to tell, too, what is right and saves next to nothing.
        """
        self._processes = processes
        self._hints = hints
        self.version = version("ruff")

    async def analyze(self, snapshot: DocumentSnapshot) -> list[Finding]:
        """Return what ruff finds by our profile.

        Raises:
            AnalyzerFailed: It did not come to an end.
        """
        parts = [part for part in snapshot.code() if in_python(part, snapshot)]
        if not parts:
            return []
        findings = [
            finding
            for part, diagnostic in await ask(
                self._processes, parts, snapshot, self._options(snapshot)
            )
            if (finding := _finding(part, diagnostic)) is not None
        ]
        defines = (*_DEFINING_MAGICS, *_DEFINING_CALLS)
        if any(way in part.source for part in parts for way in defines):
            findings = [one for one in findings if one.rule not in (_UNDEFINED, _NOT_EXPORTED)]
        return _first_ones(findings)

    def _options(self, snapshot: DocumentSnapshot) -> list[str]:
        names = snapshot.hidden_names | (_NOTEBOOK_NAMES if snapshot.is_notebook else frozenset())
        known = [name for name in sorted(names) if name.isidentifier()]
        return [
            f"--select={','.join((*SELECTED, *(HINTS if self._hints else ())))}",
            f"--ignore={','.join(IGNORED)}",
            f"--config=builtins={json.dumps(known)}",
        ]


def defined_below(
    finding: Finding, snapshot: DocumentSnapshot, bound: Mapping[str | None, frozenset[str]]
) -> Finding:
    """Say of a name without a value that a later cell of the notebook gives it one.

    Cells may be run in any order, so that it is there for whoever ran that cell first.
    """
    if finding.rule != _UNDEFINED or not snapshot.is_notebook:
        return finding
    name = snapshot.text_at(finding.location)
    ids = snapshot.cell_ids
    later = ids[ids.index(finding.location.cell_id) + 1 :]
    if not any(name in bound.get(cell_id, ()) for cell_id in later):
        return finding
    return replace(
        finding,
        severity=Severity.WARNING,
        confidence=0.8,
        title=f"`{name}` gets its value in a cell below",
        explanation="In a kernel that has just started, and wherever all cells are run from the "
        "top, the name has no value yet and Python raises NameError. It works only after the cell "
        "below was run. Move that cell up.",
        fix=None,
    )


def _first_ones(findings: list[Finding]) -> list[Finding]:
    """Leave out what would fill a report with one rule: a table may break it in every line."""
    count: Counter[str | None] = Counter()
    kept = []
    for finding in findings:
        count[finding.rule] += 1
        if count[finding.rule] <= MOST_OF_A_RULE:
            kept.append(finding)
    return kept


def _finding(part: Part, diagnostic: Diagnostic) -> Finding | None:
    code = diagnostic.get("code")
    if not isinstance(code, str) or code == "invalid-syntax":
        # What does not parse was left out before: this is another opinion about the version.
        return None
    span = visible(part.source, span_of(part, diagnostic))
    rule = rule_for(code)
    message = str(diagnostic["message"])
    if code == _UNDEFINED and _quoted(part.source, span):
        # A type in quotes may be a value: of a Literal that comes by another name, say.
        rule = replace(rule, severity=Severity.WARNING, confidence=0.6)
    return Finding(
        rule.category,
        rule.severity,
        message,
        explain(code, message),
        part.lines.location(span, part.cell_id),
        Ruff.name,
        rule.confidence,
        rule=code,
        cwe=rule.cwe,
        fix=_fix(part, diagnostic, rule.category),
    )


def _quoted(source: str, span: Span) -> bool:
    """Tell whether a name stands in quotes, alone."""
    before, after = source[: span.start][-1:], source[span.end :][:1]
    return before == after and before in {"'", '"'}


def _edit(part: Part, edit: dict[str, Any]) -> Edit:
    start, end = edit["location"], edit["end_location"]
    location = Location(
        Position(start["row"], start["column"]), Position(end["row"], end["column"]), part.cell_id
    )
    part.lines.span_of(location)
    return Edit(location, edit["content"])


def _fix(part: Part, diagnostic: Diagnostic, category: Category) -> Fix | None:
    fix = diagnostic.get("fix")
    if not fix or category is Category.SYNTAX or fix["applicability"] not in ("safe", "unsafe"):
        return None
    try:
        edits = tuple(_edit(part, edit) for edit in fix["edits"])
    except NoSuchPlace:
        return None
    message = str(fix["message"] or "Apply what ruff proposes")
    safe = fix["applicability"] == "safe" or (
        diagnostic["code"] in _MAY_DROP_COMMENTS
        and not any("#" in part.lines.span_of(edit.location).of(part.source) for edit in edits)
    )
    return Fix(message, edits, safe=safe) if edits else None
