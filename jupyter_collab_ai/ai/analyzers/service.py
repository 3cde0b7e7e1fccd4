"""All analyzers together: which of them look at a document, and what they say of it."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace

from jupyter_collab_ai.ai.analyzers import python
from jupyter_collab_ai.ai.analyzers.bandit import Bandit
from jupyter_collab_ai.ai.analyzers.base import Analyzer, AnalyzerFailed, installed_analyzers
from jupyter_collab_ai.ai.analyzers.json_syntax import JsonSyntax
from jupyter_collab_ai.ai.analyzers.oxlint import Oxlint
from jupyter_collab_ai.ai.analyzers.process import Processes
from jupyter_collab_ai.ai.analyzers.python import PythonSyntax, Syntax
from jupyter_collab_ai.ai.analyzers.python_rules.analyzer import PythonRules
from jupyter_collab_ai.ai.analyzers.ruff import Ruff, defined_below
from jupyter_collab_ai.ai.analyzers.trees import Data, R, Sql, TreeSitter
from jupyter_collab_ai.ai.analyzers.workers import Workers
from jupyter_collab_ai.ai.findings import (
    Category,
    Finding,
    Fix,
    Severity,
    in_order,
    merge,
    unique,
)
from jupyter_collab_ai.ai.locations import NoSuchPlace
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot

log = logging.getLogger(__name__)

#: Below this, a finding says only that something is worth a look.
_GUESS = 0.5
#: With this, people say of a line of Python that they know what they do there; tools for security
#: leave it alone.
_KNOWN = re.compile(r"\bnosec\b")


@dataclass(frozen=True)
class Analysis:
    """What all analyzers together say of a document."""

    findings: tuple[Finding, ...]
    #: Name and version of each analyzer that came to an end.
    analyzers: tuple[str, ...]
    #: Whether all of it parses; None where there is no parser for the language.
    parses: bool | None
    #: Sentences about analyzers that did not come to an end.
    failures: tuple[str, ...] = ()
    #: For each cell, a digest of what it means; equal for texts that do the same.
    meaning: dict[str | None, str | None] = field(default_factory=dict)
    #: The functions and classes that are defined at the top level.
    names: frozenset[str] = frozenset()


class Analyzers:
    """The analyzers of this server."""

    def __init__(
        self,
        *,
        processes: Processes | None = None,
        workers: Workers | None = None,
        deep: bool = False,
        hints: bool = False,
        extra: Iterable[Analyzer] | None = None,
    ) -> None:
        """Use the analyzers of this package and those that others have installed.

        Args:
            processes: Runs those that are programs.
            workers: Does the work of those that are ours.
            deep: Whether to ask the slow ones too.
            hints: Whether to tell, too, what is right and saves next to nothing.
            extra: Those of others; by default, what entry points name.
        """
        processes = processes or Processes()
        self._workers = workers = workers or Workers()
        self._python = PythonSyntax(workers, processes)
        own: list[Analyzer] = [
            *(
                Ruff(processes, hints=hints),
                PythonRules(workers),
                Oxlint(processes),
                JsonSyntax(),
            ),
            *(TreeSitter(workers, processes), Sql(workers), R(workers), Data(workers)),
        ]
        if deep:
            own.append(Bandit(processes))
        self._analyzers = [*own, *(installed_analyzers() if extra is None else extra)]

    async def close(self) -> None:
        """End the processes that wait for work; nothing can be analyzed any more."""
        await self._workers.close()

    async def analyze(self, snapshot: DocumentSnapshot) -> Analysis:
        """Return what all analyzers that know the language say of a document.

        An analyzer that fails is left out and named; the others stand.
        """
        failures: list[str] = []
        ran: list[str] = []
        syntax = await self._syntax(snapshot, ran, failures)
        readable = snapshot if syntax is None or syntax.readable is None else syntax.readable
        chosen = [one for one in self._analyzers if snapshot.language in one.languages]
        # In a text that can't be read at all there is nothing more to be found.
        if syntax is not None and syntax.readable is None:
            chosen = []
        answers = await _all(lambda one: _ask(one, readable, failures), chosen)
        ran += [
            f"{one.name} {one.version}"
            for one, answer in zip(chosen, answers, strict=True)
            if answer is not None
        ]
        own = [finding for answer in answers[:1] for finding in answer or ()]
        others = [finding for answer in answers[1:] for finding in answer or ()]
        found = [
            kept
            for finding in merge(_outspoken(own, others), others, same=_same_line)
            if (kept := _in_document(finding, snapshot, syntax)) is not None
        ]
        found = [item for item in found if not _accepted(item, snapshot)]
        if syntax is not None:
            found = [defined_below(item, readable, syntax.bound) for item in found]
            # What the parser says of the syntax is the last word about it.
            found = [item for item in found if item.category is not Category.SYNTAX]
            found = [*syntax.findings, *found]
        checked = syntax is not None or any(
            one.checks_syntax and answer is not None
            for one, answer in zip(chosen, answers, strict=True)
        )
        broken = any(map(_does_not_parse, found))
        return Analysis(
            tuple(in_order(unique(found), snapshot.cell_ids)),
            tuple(ran),
            False if broken else True if checked else None,
            tuple(failures),
            syntax.meaning if syntax else {},
            syntax.names if syntax else frozenset(),
        )

    async def parses(self, snapshot: DocumentSnapshot) -> bool | None:
        """Tell whether all of a document parses; None where nobody can tell."""
        if snapshot.language in python.LANGUAGES:
            syntax = await self._syntax(snapshot, [], [])
            return None if syntax is None else not any(map(_does_not_parse, syntax.findings))
        chosen = [
            one
            for one in self._analyzers
            if snapshot.language in one.languages and one.checks_syntax
        ]
        answers = await _all(lambda one: _ask(one, snapshot, []), chosen)
        known = [answer for answer in answers if answer is not None]
        if not known:
            return None
        return not any(
            finding.category is Category.SYNTAX for answer in known for finding in answer
        )

    async def _syntax(
        self, snapshot: DocumentSnapshot, ran: list[str], failures: list[str]
    ) -> Syntax | None:
        if snapshot.language not in python.LANGUAGES:
            return None
        try:
            syntax = await self._python.check(snapshot)
        except AnalyzerFailed as error:
            log.warning("An analyzer failed: %s", error)
            failures.append(str(error))
            return None
        ran.append(f"{python.NAME} {python.VERSION}")
        return syntax


def _does_not_parse(finding: Finding) -> bool:
    """Tell whether a finding says so; that a newer version is needed is told as information."""
    return finding.category is Category.SYNTAX and finding.severity is Severity.ERROR


def _same_line(one: Finding, other: Finding) -> bool:
    """Tell whether two analyzers mean the same: unlike a model, they can count lines."""
    return (
        one.category is other.category
        and one.location.cell_id == other.location.cell_id
        and one.location.start.line == other.location.start.line
    )


def _outspoken(own: list[Finding], others: list[Finding]) -> list[Finding]:
    """Leave out guesses where another analyzer knows more about the same line."""
    return [
        finding
        for finding in own
        if finding.confidence >= _GUESS
        or not any(
            _same_line(finding, other) and other.confidence > finding.confidence for other in others
        )
    ]


def _accepted(finding: Finding, snapshot: DocumentSnapshot) -> bool:
    """Tell whether a comment in the code says that this danger is known."""
    if finding.category is not Category.SECURITY or snapshot.language not in python.LANGUAGES:
        return False
    part = next(part for part in snapshot.code() if part.cell_id == finding.location.cell_id)
    if "nosec" not in part.source:
        return False
    lines = part.source.split("\n")[finding.location.start.line - 1 : finding.location.end.line]
    return any(_KNOWN.search(line.partition("#")[2]) for line in lines)


async def _all(
    ask: Callable[[Analyzer], Awaitable[list[Finding] | None]], analyzers: list[Analyzer]
) -> list[list[Finding] | None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_coroutine(ask(one))) for one in analyzers]
    return [task.result() for task in tasks]


async def _coroutine(
    awaitable: Awaitable[list[Finding] | None],
) -> list[Finding] | None:
    return await awaitable


async def _ask(
    analyzer: Analyzer, snapshot: DocumentSnapshot, failures: list[str]
) -> list[Finding] | None:
    try:
        return await analyzer.analyze(snapshot)
    except AnalyzerFailed as error:
        log.warning("An analyzer failed: %s", error)
        failures.append(str(error))
    except Exception:
        # Analyzers may come from other packages; a mistake there must not cost a report.
        log.exception("The analyzer %s is at fault.", analyzer.name)
        failures.append(f"{analyzer.name} failed.")
    return None


def _in_document(
    finding: Finding, snapshot: DocumentSnapshot, syntax: Syntax | None
) -> Finding | None:
    """Leave out what is about text that only the copy has, and check what others say."""
    try:
        snapshot.span_of(finding.location)
    except NoSuchPlace:
        log.warning("%s points at a place that isn't there.", finding.source)
        return None
    if syntax is None:
        return finding
    replaced = syntax.replaced.get(finding.location.cell_id, frozenset())
    if any(
        line in replaced
        for line in range(finding.location.start.line, finding.location.end.line + 1)
    ):
        return None
    if finding.fix is not None and _touches(finding.fix, syntax):
        return replace(finding, fix=None)
    return finding


def _touches(fix: Fix, syntax: Syntax) -> bool:
    return any(
        line in syntax.replaced.get(edit.location.cell_id, frozenset())
        for edit in fix.edits
        for line in range(edit.location.start.line, edit.location.end.line + 1)
    )
