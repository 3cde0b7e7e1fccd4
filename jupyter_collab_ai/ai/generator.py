"""The generator: asks for code, checks it where it is to stand, and repairs it once."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from jupyter_collab_ai.ai import prompts
from jupyter_collab_ai.ai.analyzers.service import Analysis, Analyzers
from jupyter_collab_ai.ai.answers import Code, Unusable, parse_cells, parse_code
from jupyter_collab_ai.ai.cells import Unclear, missing_in, show, split
from jupyter_collab_ai.ai.debugger import Emit
from jupyter_collab_ai.ai.execution.service import Execution, Outcome
from jupyter_collab_ai.ai.findings import Category, Edit, Finding, Severity
from jupyter_collab_ai.ai.imports import modules_of, not_installed
from jupyter_collab_ai.ai.languages import PYTHON
from jupyter_collab_ai.ai.left_out import left_out
from jupyter_collab_ai.ai.model import Model, Usage
from jupyter_collab_ai.ai.placing import (
    Mode,
    NothingToDo,
    Place,
    SnapshotView,
    changed,
    work_out,
)
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot
from jupyter_collab_ai.errors import DocumentTooLarge, ModelFailed, ModelTimeout
from jupyter_collab_ai.locks.scopes import ScopeKind

T = TypeVar("T")

#: Characters before and after the place that a model is shown.
MOST_AROUND = 60_000
#: Characters that can be replaced at once; an answer could not hold more.
MOST_INSIDE = 60_000
MOST_TOKENS = 8000


#: Checks that keep nothing from being written: analyzers may be wrong, what is not installed
#: where the server runs may be so where a kernel does.
OPINIONS = frozenset({"analyzers", "imports"})
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)

#: Tells whether a module lies among the files of the session.
IsLocal = Callable[[str], Awaitable[bool]]


@contextlib.asynccontextmanager
async def meanwhile(work: Coroutine[Any, Any, T]) -> AsyncIterator[asyncio.Task[T]]:
    """Let some work be done beside a block; it ends with it, whoever waits for it or not."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def nothing_local(name: str) -> bool:
    """Say that there are no other files."""
    del name
    return False


@dataclass(frozen=True)
class Check:
    """Something that was looked at, and how it was."""

    name: str
    ok: bool
    detail: str | None = None
    #: Whether anything was looked at; what was not tried neither speaks for nor against.
    tried: bool = True

    def as_json(self) -> dict[str, Any]:
        """Return it as the contract has it."""
        data: dict[str, Any] = {"name": self.name, "ok": self.ok}
        return data if self.detail is None else {**data, "detail": self.detail}


@dataclass(frozen=True)
class Draft:
    """Code that was written for a place, and how the document would be with it."""

    code: str
    explanation: str
    edits: tuple[Edit, ...]
    checks: tuple[Check, ...]
    model: str
    usage: Usage | None

    @property
    def sound(self) -> bool:
        """Whether it may be written by itself: nothing would be broken that was not before."""
        return all(check.ok for check in self.checks if check.tried and check.name not in OPINIONS)


class Generator:
    """Writes code for a place in a snapshot; knows nothing of live documents."""

    def __init__(
        self, analyzers: Analyzers, model: Model, execution: Execution | None = None
    ) -> None:
        self._analyzers = analyzers
        self._model = model
        self._execution = execution or Execution()

    def require(self) -> None:
        """Refuse where no model is configured.

        Raises:
            ModelNotConfigured: There is none.
        """
        self._model.require()

    async def run(
        self,
        snapshot: DocumentSnapshot,
        view: SnapshotView,
        place: Place,
        *,
        instructions: str,
        context: str | None,
        tests: str | None = None,
        emit: Emit,
        on_text: Callable[[str], None],
        is_local: IsLocal = nothing_local,
    ) -> Draft:
        """Return code for a place.

        Args:
            snapshot: The document that the model is shown.
            view: The same with the anchors of ``place``.
            place: Where the code is to go.
            instructions: What is asked for.
            context: More for the model to know.
            tests: What the code has to pass, which is run where code can be isolated.
            emit: Told of each step.
            on_text: Called with the text so far as it grows.
            is_local: Tells which modules are files of the session.

        Raises:
            ModelNotConfigured, ModelFailed, ModelTimeout: There is no code.
        """
        messages = prompts.generation(
            snapshot,
            instructions=instructions,
            place=_in_words(snapshot, place),
            context=context,
            key=place.key,
            **_around(snapshot, view, place),
        )
        # What was wrong before need not be known before there is something to compare it with.
        async with meanwhile(self._analyzers.analyze(snapshot)) as analyzing:
            return await self._ask(
                snapshot,
                view,
                place,
                messages,
                analyzing,
                asked=f"{instructions}\n{context or ''}",
                tests=tests,
                emit=emit,
                on_text=on_text,
                is_local=is_local,
            )

    async def _ask(
        self,
        snapshot: DocumentSnapshot,
        view: SnapshotView,
        place: Place,
        messages: prompts.Messages,
        analyzing: Awaitable[Analysis],
        *,
        asked: str,
        tests: str | None,
        emit: Emit,
        on_text: Callable[[str], None],
        is_local: IsLocal,
    ) -> Draft:
        """Ask the model, look at what it answers, and let it repair that once."""
        usage: Usage | None = None
        first: Draft | None = None
        problem = ""
        for attempt in ("first", "second"):
            emit("progress", {"stage": "model" if attempt == "first" else "repair"})
            grown: list[str] = []

            def hear(piece: str, grown: list[str] = grown) -> None:
                grown.append(piece)
                emit("delta", {"text": piece})
                on_text("".join(grown))

            try:
                answer = await self._model.ask(messages, max_tokens=MOST_TOKENS, on_delta=hear)
            except (ModelFailed, ModelTimeout):
                if first is None:
                    raise
                break  # what there is can still be offered, with what is wrong with it
            usage = answer.usage if usage is None else usage + (answer.usage or Usage())
            emit("progress", {"stage": "checks"})
            try:
                code = _read(snapshot, place, answer.text)
                code = replace(code, explanation=answer.masks.hide(code.explanation))
                draft, problem = await self._check(
                    snapshot, view, place, code, await analyzing, answer.model, usage, tests
                )
                draft, problem = await _with_imports(
                    snapshot, view, place, draft, problem, asked, is_local
                )
            except Unusable as error:
                problem = str(error)
            else:
                if not problem:
                    return draft
                if first is None or not first.sound:
                    first = draft
            messages = prompts.once_more(messages, answer.text, problem, json=False)
        if first is not None:
            return replace(first, usage=usage)
        raise ModelFailed(
            f"The model at {self._model.settings.host} did not answer with code that can be "
            "used; try again, or put it in other words."
        )

    async def _check(
        self,
        snapshot: DocumentSnapshot,
        view: SnapshotView,
        place: Place,
        code: Code,
        before: Analysis,
        model: str,
        usage: Usage | None,
        tests: str | None,
    ) -> tuple[Draft, str]:
        """Look at the document as it would be; returns what to ask to be repaired too."""
        try:
            change = work_out(view, place, code.code, snapshot.language)
            edits, after_text = change.edits, changed(snapshot, change)
        except NothingToDo:
            edits, after_text = (), snapshot
        after = await self._analyzers.analyze(after_text)
        checks, problem = _compare(before, after, snapshot.language)
        left = _left_over(snapshot, code.code, after.parses) or _cells_left_out(place, code.code)
        if left:
            checks.append(Check("complete", False, left))
            problem = "; ".join(filter(None, (problem, left)))
        else:
            checks.append(Check("complete", True))
        broken = any(check.name == "parses" and not check.ok for check in checks)
        if broken and not code.fenced:
            # Prose, most likely: bare text counts as code only if it can be read as such.
            raise Unusable("it is no code, or code that does not parse.")
        if broken:
            outcome = Outcome(False, False, "Not tried: it does not parse.")
        else:
            outcome = await self._execution.try_out(after_text, tests)
        checks.append(Check("runs", outcome.ok, outcome.detail, outcome.tried))
        if outcome.tried and not outcome.ok:
            told = f"the tests that were given for it fail:\n{outcome.detail}"
            problem = "; ".join(filter(None, (problem, told)))
        draft = Draft(code.code, code.explanation, edits, tuple(checks), model, usage)
        return draft, problem


def _compare(before: Analysis, after: Analysis, language: str) -> tuple[list[Check], str]:
    checks: list[Check] = []
    problems: list[str] = []
    broken = [finding for finding in after.findings if finding.category is Category.SYNTAX]
    was_broken = sum(finding.category is Category.SYNTAX for finding in before.findings)
    if after.parses is None:
        detail = f"There is no parser for {language} here; nobody has checked it."
        checks.append(Check("parses", True, detail))
    else:
        ok = len(broken) <= was_broken
        detail = "" if ok else "; ".join(map(_told, broken))
        if ok and broken and not after.parses:
            detail = "The document did not parse before, elsewhere."
        checks.append(Check("parses", ok, detail or None))
        if not ok:
            problems.append(f"the document does not parse with it: {detail}")
    new = Counter(map(_kind, after.findings)) - Counter(map(_kind, before.findings))
    serious = [
        finding
        for finding in after.findings
        if _kind(finding) in new
        and finding.category is not Category.SYNTAX
        and finding.severity is not Severity.INFO
    ]
    told = "; ".join(dict.fromkeys(map(_told, serious)))[:1000]
    ran = ", ".join(after.analyzers)
    if after.analyzers:
        checks.append(Check("analyzers", not serious, told or f"Nothing new was found by {ran}."))
    if serious:
        problems.append(f"analyzers find new faults: {told}")
    return checks, "; ".join(problems)


def _left_over(snapshot: DocumentSnapshot, code: str, parses: bool | None) -> str:
    """Return what stands in the code that is none; empty where all is."""
    known = set(_all(snapshot, 0, len(snapshot.parts)).split("\n"))
    prose = snapshot.language in ("markdown", "text")
    left = left_out(code, known, headings=prose)
    if left:
        return f"“{left[:100]}” stands for code that was left out"
    # Where something parses, a fence is within a string or a comment.
    if parses is None and not prose and _FENCE.search(code):
        return "the mark of a code block is left in it"
    return ""


def _read(snapshot: DocumentSnapshot, place: Place, answer: str) -> Code:
    """Read an answer for a place.

    Raises:
        Unusable: It can't be understood.
    """
    if not place.cells:
        return parse_code(answer, snapshot.language)
    shown = show(place.key, place.shown)
    code = parse_cells(answer, snapshot.language, place.key, shown)
    try:
        split(code.code, place.key, place.shown)
    except Unclear as error:
        raise Unusable(str(error)) from None
    return code


def _cells_left_out(place: Place, code: str) -> str:
    return missing_in(code, place.key, place.shown) if place.cells else ""


async def _with_imports(
    snapshot: DocumentSnapshot,
    view: SnapshotView,
    place: Place,
    draft: Draft,
    problem: str,
    asked: str,
    is_local: IsLocal,
) -> tuple[Draft, str]:
    """Add whether the modules are found that the code imports and the document did not."""
    if snapshot.language != PYTHON:
        return draft, problem
    try:
        after = changed(snapshot, work_out(view, place, draft.code, snapshot.language))
    except NothingToDo:
        return draft, problem
    new = modules_of(after) - modules_of(snapshot)
    missing = [
        name for name in await asyncio.to_thread(not_installed, new) if not await is_local(name)
    ]
    detail = None
    if missing:
        detail = f"Not installed where the server runs: {', '.join(missing)}."
        # What somebody asks for by its name they may well have where their code runs.
        unasked = [name for name in missing if not re.search(rf"\b{re.escape(name)}\b", asked)]
        if unasked:
            told = f"these modules can't be found: {', '.join(unasked)}"
            problem = "; ".join(filter(None, (problem, told)))
    check = Check("imports", not missing, detail)
    return replace(draft, checks=(*draft.checks[:1], check, *draft.checks[1:])), problem


def _kind(finding: Finding) -> tuple[object, ...]:
    return finding.source, finding.rule, finding.category, finding.title


def _told(finding: Finding) -> str:
    return f"{finding.title} (line {finding.location.start.line})"


def _around(snapshot: DocumentSnapshot, view: SnapshotView, place: Place) -> dict[str, str]:
    """Return the text before, in and after a place, with other cells parted by marks."""
    if place.scope is ScopeKind.DOCUMENT:
        if snapshot.size > MOST_INSIDE:
            raise _too_long()
        inside = show(place.key, place.shown) if snapshot.is_notebook else snapshot.parts[0].source
        return {"before": "", "inside": inside, "after": ""}
    index = snapshot.cell_ids.index(place.cell_id)
    source = snapshot.parts[index].source
    if place.mode is Mode.NEW_CELL:
        before = _all(snapshot, 0, index + 1)
        return _bounded(before, "", _all(snapshot, index + 1, len(snapshot.parts)))
    start = _offset(view, place.start)
    end = _offset(view, place.end)
    if end - start > MOST_INSIDE:
        raise _too_long()
    above = _all(snapshot, 0, index)
    below = _all(snapshot, index + 1, len(snapshot.parts))
    mark = "\n# %%\n" if snapshot.is_notebook else ""
    return _bounded(
        f"{above}{mark if above else ''}{source[:start]}",
        source[start:end],
        f"{source[end:]}{mark if below else ''}{below}",
    )


def _too_long() -> DocumentTooLarge:
    return DocumentTooLarge(
        f"This is too long to be written anew at once: more than {MOST_INSIDE} characters. "
        "Choose a smaller part."
    )


def _offset(view: SnapshotView, anchor: bytes | None) -> int:
    found = None if anchor is None else view.locate(anchor)
    return 0 if found is None else found[1]


def _all(snapshot: DocumentSnapshot, first: int, last: int) -> str:
    pieces = []
    for part in snapshot.parts[first:last]:
        if snapshot.is_notebook:
            pieces.append("# %%" if part.is_code else f"# %% [{part.type}]")
        pieces.append(part.source)
    return "\n".join(pieces)


def _bounded(before: str, inside: str, after: str) -> dict[str, str]:
    if len(before) > MOST_AROUND:
        before = f"[left out: {len(before) - MOST_AROUND} characters]\n{before[-MOST_AROUND:]}"
    if len(after) > MOST_AROUND:
        after = f"{after[:MOST_AROUND]}\n[left out: {len(after) - MOST_AROUND} characters]"
    return {"before": before, "inside": inside, "after": after}


def _in_words(snapshot: DocumentSnapshot, place: Place) -> str:
    if place.scope is ScopeKind.DOCUMENT and place.mode is not Mode.NEW_CELL:
        return "the whole document, which your code replaces"
    if place.mode is Mode.NEW_CELL:
        return "a new cell at that place of the notebook"
    if place.mode is Mode.REPLACE:
        return "the text between the two, which your code replaces"
    if place.mode is Mode.INSERT:
        return "between the two texts, where your code is inserted"
    end = "cell" if snapshot.is_notebook else "document"
    return f"the end of the {end}, after which your code is added"
