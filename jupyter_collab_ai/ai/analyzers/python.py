"""Does this Python parse? CPython itself is asked, in another process."""

from __future__ import annotations

import logging
import platform
from dataclasses import dataclass, field, replace
from typing import Any

from jupyter_collab_ai.ai.analyzers.base import AnalyzerFailed
from jupyter_collab_ai.ai.analyzers.newer_python import (
    NewerPython,
    in_older_words,
    lines_of,
    names_on,
    told,
)
from jupyter_collab_ai.ai.analyzers.process import Processes
from jupyter_collab_ai.ai.analyzers.python_text import in_python, one_line_end
from jupyter_collab_ai.ai.analyzers.syntax_fixes import propose
from jupyter_collab_ai.ai.analyzers.workers import PYTHON_COMPILER, PYTHON_READER, Workers
from jupyter_collab_ai.ai.findings import Category, Finding, Severity
from jupyter_collab_ai.ai.languages import PYTHON
from jupyter_collab_ai.ai.locations import Span, visible
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part

log = logging.getLogger(__name__)

NAME = "cpython"
VERSION = platform.python_version()


@dataclass(frozen=True)
class Syntax:
    """What does not parse, and a copy of the document in which everything does."""

    findings: tuple[Finding, ...]
    #: Of as many lines as the document, cell by cell; None where nothing of it parses.
    readable: DocumentSnapshot | None
    #: The lines, from 1, of each cell that are not what the document has.
    replaced: dict[str | None, frozenset[int]] = field(default_factory=dict)
    #: For each cell, a digest of what it means; equal for texts that do the same.
    meaning: dict[str | None, str | None] = field(default_factory=dict)
    #: The functions and classes that the document defines at its top level.
    names: frozenset[str] = frozenset()
    #: For each cell, all names that get a value when it runs.
    bound: dict[str | None, frozenset[str]] = field(default_factory=dict)


class PythonSyntax:
    """Asks CPython, and where it refuses something, whether a newer one would take it."""

    def __init__(self, workers: Workers, processes: Processes) -> None:
        self._workers = workers
        self._newer = NewerPython(processes)

    async def check(self, snapshot: DocumentSnapshot) -> Syntax:
        """Return what does not parse.

        Raises:
            AnalyzerFailed: It can't be told.
        """
        parts = [part for part in snapshot.code() if in_python(part, snapshot)]
        texts = [one_line_end(part.source) for part in parts]
        answers = await self._ask(texts, snapshot)
        findings: list[Finding] = []
        if any(answer["mistakes"] for answer in answers):
            findings = await self._forgive(parts, texts, answers, snapshot)
        sources: dict[str | None, str] = {}
        replaced: dict[str | None, frozenset[int]] = {}
        hidden: set[str] = set()
        for part, answer in zip(parts, answers, strict=True):
            findings += [_finding(part, mistake) for mistake in answer["mistakes"]]
            hidden.update(answer["hidden"])
            if answer["readable"] is None:
                sources[part.cell_id] = "\n" * part.source.count("\n")
                replaced[part.cell_id] = frozenset(range(1, len(part.lines) + 1))
            else:
                sources[part.cell_id] = answer["readable"]
                replaced[part.cell_id] = frozenset(answer["touched"])
        readable = replace(
            snapshot,
            parts=tuple(
                replace(part, source=sources[part.cell_id]) if part.cell_id in sources else part
                for part in snapshot.parts
            ),
            hidden_names=snapshot.hidden_names | hidden,
        )
        return Syntax(
            tuple(findings),
            readable,
            replaced,
            {part.cell_id: answer["meaning"] for part, answer in zip(parts, answers, strict=True)},
            frozenset(name for answer in answers for name in answer["names"]),
            {
                part.cell_id: frozenset(answer["bound"])
                for part, answer in zip(parts, answers, strict=True)
            },
        )

    async def _forgive(
        self,
        parts: list[Part],
        texts: list[str],
        answers: list[dict[str, Any]],
        snapshot: DocumentSnapshot,
    ) -> list[Finding]:
        """Take back what is no mistake for a newer Python, and tell that it needs one."""
        try:
            opinions = await self._newer.look_at(parts, snapshot)
        except AnalyzerFailed as error:
            log.warning("Whether a newer Python reads it can't be told: %s", error)
            return []
        concerned = [
            index
            for index, (answer, opinion) in enumerate(zip(answers, opinions, strict=True))
            if answer["mistakes"] and opinion.newer
        ]
        older = [in_older_words(texts[index], opinions[index].newer) for index in concerned]
        findings: list[Finding] = []
        for index, again in zip(concerned, await self._ask(older, snapshot), strict=True):
            part, opinion = parts[index], opinions[index]
            lines = lines_of(part, opinion.newer)
            again["mistakes"] = [
                mistake
                for mistake in again["mistakes"]
                if opinion.wrong and mistake["line"] not in lines
            ]
            if opinion.wrong and not again["mistakes"]:
                # Both on one line: the mistake is the one that matters.
                again["mistakes"] = answers[index]["mistakes"]
            again["touched"] = sorted(lines | set(again["touched"]))
            again["hidden"] = [*again["hidden"], *names_on(texts[index], lines)]
            again["meaning"] = None
            answers[index] = again
            findings += told(part, opinion.newer, snapshot, NAME)
        return findings

    async def _ask(self, texts: list[str], snapshot: DocumentSnapshot) -> list[dict[str, Any]]:
        if not texts:
            return []
        request = {"texts": texts, "notebook": snapshot.is_notebook}
        answers = await self._workers.ask(
            PYTHON_READER, request, module=PYTHON_COMPILER, name="Python"
        )
        if not isinstance(answers, list) or len(answers) != len(texts):
            raise AnalyzerFailed("Python could not read the text; it may be nested too deeply.")
        return answers


def _finding(part: Part, mistake: dict[str, Any]) -> Finding:
    lines = part.lines
    start = lines.clamped(mistake["line"], mistake["column"])
    end = max(start, lines.clamped(mistake["end_line"], mistake["end_column"]))
    span = visible(part.source, Span(start, end))
    message = str(mistake["message"])
    title = message[0].upper() + message[1:]
    return Finding(
        Category.SYNTAX,
        Severity.ERROR,
        title,
        explain(message),
        lines.location(span, part.cell_id),
        NAME,
        1.0,
        rule="SyntaxError",
        fix=propose(part, lines.position(span.start).line, message),
    )


_EXPLANATIONS = (
    (
        "was never closed",
        "A bracket is opened here and closed nowhere, so Python reads everything after it as "
        "a part of the same expression. Put the closing bracket where the expression ends.",
    ),
    (
        "unmatched",
        "This bracket closes nothing: either the opening one is missing, or this one is too many.",
    ),
    (
        "does not match opening",
        "Brackets have to be closed by their own kind, the innermost first. One of the two is "
        "of the wrong kind, or one is missing between them.",
    ),
    (
        "expected ':'",
        "A line that begins a block (def, class, if, for, while, with, try …) has to end with a "
        "colon. Without it Python can't tell where the block begins.",
    ),
    (
        "expected an indented block",
        "After a line that ends with a colon, at least one line has to be indented farther. "
        "Indent the body, or write pass if there is nothing to do yet.",
    ),
    (
        "unexpected indent",
        "This line is indented farther than the one before, which opens no block. Take the "
        "extra spaces away, or check whether a colon is missing above.",
    ),
    (
        "unindent does not match",
        "This line is indented less than the one before, but to a depth at which no block "
        "began. Line it up with the block to which it belongs.",
    ),
    (
        "inconsistent use of tabs",
        "Tabs and spaces are mixed, so what looks aligned may not be for Python. Use four "
        "spaces for each level.",
    ),
    (
        "unterminated",
        "A piece of text is opened with a quote and not closed by the same quote. On one line "
        "it has to end on that line; with three quotes it may go on over several.",
    ),
    (
        "cannot assign",
        "What stands left of the equals sign can't be given a value. To compare two values, "
        "write == instead of =.",
    ),
    (
        "maybe you meant '=='",
        "A single = gives a name a value and can't be used as a condition. To compare two "
        "values, write ==.",
    ),
    (
        "outside function",
        "This word means something inside a function only. Check how the line is indented: it "
        "may have slipped out of its function.",
    ),
    (
        "outside loop",
        "This word means something inside a loop only. Check how the line is indented: it may "
        "have slipped out of its loop.",
    ),
    (
        "not properly in loop",
        "This word means something inside a loop only. Check how the line is indented: it may "
        "have slipped out of its loop.",
    ),
    (
        "missing parentheses in call to 'print'",
        "In Python 3 print is a function: what is printed stands in brackets after it.",
    ),
    (
        "perhaps you forgot a comma",
        "Two values stand side by side with nothing between them. A comma, an operator or a "
        "closing bracket may be missing.",
    ),
    (
        "expected 'except' or 'finally'",
        "A try block has to be followed by an except or a finally block at the same depth.",
    ),
    (
        "f-string",
        "What stands between the braces of this f-string is no valid expression. To show a "
        "brace itself, write it twice.",
    ),
    (
        "nested too deeply",
        "Brackets or operators are nested deeper than Python can read. Take the expression "
        "apart with names for its parts.",
    ),
    (
        "too many nested",
        "Brackets are nested deeper than Python can read; closing ones are probably missing.",
    ),
    (
        "null byte",
        "The text holds a byte of value zero, which Python does not allow in a program. It is "
        "probably no Python file, or was damaged.",
    ),
    (
        "duplicate argument",
        "Two parameters of one function have the same name, so one of them could never be "
        "reached. Rename one.",
    ),
    (
        "follows keyword argument",
        "Arguments by position have to come before those by name. Move this one to the front, "
        "or give it its name.",
    ),
    (
        "follows default argument",
        "Parameters without a default have to come before those with one.",
    ),
    (
        "await",
        "await can be used inside an async function only.",
    ),
)


def explain(message: str) -> str:
    """Return what a mistake that CPython names is about, for somebody who is learning."""
    lower = message.lower()
    for part, text in _EXPLANATIONS:
        if part in lower:
            return f"{text} Until then nothing of this file can run."
    return (
        "Python can't make sense of the text at this place. Often the cause stands just before "
        "it: a missing bracket, comma, colon or quote. Until then nothing of this file can run."
    )


LANGUAGES = frozenset({PYTHON})
