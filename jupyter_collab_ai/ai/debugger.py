"""The debugger: analyzers first, model second, verification last."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jupyter_collab_ai.ai import prompts
from jupyter_collab_ai.ai.analyzers.service import Analysis, Analyzers
from jupyter_collab_ai.ai.answers import (
    Assessment,
    Review,
    Unusable,
    hide_secrets,
    parse_review,
    place_finding,
)
from jupyter_collab_ai.ai.findings import Category, Finding, Severity, in_order, merge
from jupyter_collab_ai.ai.locations import Location
from jupyter_collab_ai.ai.model import AnswerCut, Model, TooLong, Usage
from jupyter_collab_ai.ai.portions import Sheet, chosen, in_words, sheets
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot
from jupyter_collab_ai.ai.tracebacks import finding_of, join
from jupyter_collab_ai.ai.verify import verify_all
from jupyter_collab_ai.errors import ModelFailed, ModelTimeout
from jupyter_collab_ai.ids import FindingId

log = logging.getLogger(__name__)

#: Told of what happens while an operation runs: the name of an event, and what goes with it.
Emit = Callable[[str, dict[str, Any]], None]

#: Characters of a document that a model is shown at once; fewer where it says that it is too much.
MOST_SHOWN = 120_000
LEAST_SHOWN = 2_000
#: Portions of a longer one that are shown, one after the other; what is left out is told.
MOST_SHEETS = 8
MOST_TOKENS = 6000
#: Below this, the model may talk a finding of an analyzer away.
WEAK = 0.5
DISMISSED_CONFIDENCE = 0.4


@dataclass(frozen=True)
class Focus:
    """The part of a document that is to be looked at; all of it where nothing is said."""

    cell_id: str | None = None
    location: Location | None = None

    def holds(self, finding: Finding) -> bool:
        """Tell whether a finding is about this part."""
        place = finding.location
        if self.cell_id is not None and place.cell_id != self.cell_id:
            return False
        if self.location is None:
            return True
        return (
            place.cell_id == self.location.cell_id
            and place.start.line <= self.location.end.line
            and self.location.start.line <= place.end.line
        )


@dataclass(frozen=True)
class Report:
    """What the debugger found."""

    summary: str
    findings: tuple[Finding, ...]
    analyzers: tuple[str, ...]
    model: str | None = None
    usage: Usage | None = None


@dataclass(frozen=True)
class _Heard:
    """What came of asking the model."""

    review: Review | None = None
    model: str | None = None
    usage: Usage | None = None
    #: Why there is no review, as a sentence.
    problem: str | None = None


class Debugger:
    """Looks for faults in a snapshot; knows nothing of live documents."""

    def __init__(self, analyzers: Analyzers, model: Model) -> None:
        self._analyzers = analyzers
        self._model = model
        #: Characters that the model is known, or hoped, to take.
        self._most = MOST_SHOWN

    async def run(
        self, snapshot: DocumentSnapshot, focus: Focus, error: str | None, emit: Emit
    ) -> Report:
        """Return what is wrong with a document.

        Args:
            snapshot: The document.
            focus: The part to be looked at.
            error: What went wrong when it ran.
            emit: Told of each finding and step.

        Raises:
            ModelFailed, ModelTimeout: A model is configured but can't be asked.
        """
        emit("progress", {"stage": "analyzers"})
        analysis = await self._analyzers.analyze(snapshot)
        failure = None
        if error:
            failure = await asyncio.to_thread(finding_of, snapshot, error, focus.cell_id)
        facts = join([one for one in analysis.findings if focus.holds(one)], failure)
        asking = asyncio.ensure_future(self._ask(snapshot, facts, focus, error, emit))
        try:
            facts = await verify_all(snapshot, facts, analysis, self._analyzers)
            for finding in facts:
                emit("finding", finding.as_json())
            heard = await asking
        finally:
            asking.cancel()
            await asyncio.wait({asking})
        findings = facts
        if heard.review is not None:
            emit("progress", {"stage": "verification"})
            findings = await self._judge(snapshot, facts, analysis, focus, heard.review)
            known = {finding.id for finding in facts}
            for finding in findings:
                if finding.id not in known:
                    emit("finding", finding.as_json())
        findings = in_order(findings, snapshot.cell_ids)
        return Report(
            _summary(findings, heard, analysis, error=error, failure=failure),
            tuple(findings),
            analysis.analyzers,
            heard.model,
            heard.usage,
        )

    async def _ask(
        self,
        snapshot: DocumentSnapshot,
        facts: Sequence[Finding],
        focus: Focus,
        error: str | None,
        emit: Emit,
    ) -> _Heard:
        if not self._model.configured or (snapshot.is_blank and not error):
            return _Heard()
        emit("progress", {"stage": "model"})
        part = _part(snapshot, focus)
        while True:
            most = max(LEAST_SHOWN, self._most - len(error or ""))
            made = await asyncio.to_thread(sheets, snapshot, most)
            shown = chosen(made, MOST_SHEETS, part, facts) if len(made) > 1 else made
            try:
                heard = await self._ask_all(snapshot, facts, part, error, shown, len(made), emit)
            except TooLong:
                # How much it takes, no server says beforehand.
                if self._most <= LEAST_SHOWN or len(error or "") > self._most:
                    raise
                self._most = max(LEAST_SHOWN, min(self._most, snapshot.size) // 3)
                continue
            if len(shown) < len(made):
                looked = in_words(snapshot, shown)
                note = (
                    f"The document is long: the model was shown {looked}; analyzers looked at all."
                )
                heard = replace(heard, problem=" ".join(filter(None, (note, heard.problem))))
            return heard

    async def _ask_all(
        self,
        snapshot: DocumentSnapshot,
        facts: Sequence[Finding],
        part: Location | None,
        error: str | None,
        shown: Sequence[Sheet],
        of: int,
        emit: Emit,
    ) -> _Heard:
        """Ask about each sheet in turn, and join what is heard."""
        heard: list[_Heard] = []
        for number, sheet in enumerate(shown, 1):
            if of > 1:
                emit("progress", {"stage": "model", "portion": number, "of": len(shown)})
            messages = prompts.review(
                snapshot, facts, focus=part, error=error, sheet=sheet if of > 1 else None
            )
            try:
                heard.append(await self._ask_once(messages, emit))
            except TooLong:
                raise
            except (ModelFailed, ModelTimeout) as failed:
                if not any(one.review for one in heard):
                    raise
                # What was paid for is not thrown away.
                last = in_words(snapshot, shown[number - 1 :])
                problem = f"The model did not come to {last}: {failed.message}"
                heard.append(_Heard(problem=problem))
                break
        return _together(heard)

    async def _ask_once(self, messages: prompts.Messages, emit: Emit) -> _Heard:
        usage = Usage()
        problem = ""
        name: str | None = None
        for _ in range(2):
            try:
                answer = await self._model.ask(
                    messages,
                    max_tokens=MOST_TOKENS,
                    form=prompts.REVIEW_FORM,
                    on_delta=lambda piece: emit("delta", {"text": piece}),
                )
            except AnswerCut as cut:
                problem = cut.message
                break
            usage, name = usage + (answer.usage or Usage()), answer.model
            try:
                review = hide_secrets(parse_review(answer.text), answer.masks)
                return _Heard(review, answer.model, usage)
            except Unusable as error_:
                problem = "What the model answered could not be used."
                messages = prompts.once_more(messages, answer.text, str(error_), json=True)
        name = name or await self._model.name()
        return _Heard(None, name, usage, problem)

    async def _judge(
        self,
        snapshot: DocumentSnapshot,
        facts: Sequence[Finding],
        analysis: Analysis,
        focus: Focus,
        review: Review,
    ) -> list[Finding]:
        """Join what the model says with what the analyzers found, and try what it proposes."""
        told = [
            finding
            for one in review.findings
            if (finding := place_finding(snapshot, one)) is not None
            and focus.holds(finding)
            # Whether it parses is no matter of opinion.
            and not (finding.category is Category.SYNTAX and analysis.parses is not None)
        ]
        assessed = {one.finding.strip().upper(): one for one in review.assessments}
        named = [(f"A{number}", finding) for number, finding in enumerate(facts, 1)]
        confirmed = {
            finding.id
            for name, finding in named
            if (one := assessed.get(name)) is not None
            and one.verdict == "confirm"
            and one.fix_is_right is True
        }
        kept = [
            after
            for name, finding in named
            if (after := _assessed(finding, assessed.get(name))) is not None
        ]
        merged = merge(kept, told)
        # Those that were tried before and did not change need not be tried again.
        settled = {finding.id: finding.fix for finding in facts}
        open_: list[Finding] = [
            finding
            for finding in merged
            if finding.id in confirmed or settled.get(finding.id, _NOTHING) != finding.fix
        ]
        tried = await verify_all(
            snapshot, open_, analysis, self._analyzers, confirmed=frozenset(confirmed)
        )
        results: dict[FindingId, Finding] = {finding.id: finding for finding in tried}
        return [results.get(finding.id, finding) for finding in merged]


def _together(heard: Sequence[_Heard]) -> _Heard:
    """Join what was heard of several portions."""
    if len(heard) == 1:
        return heard[0]
    reviews = [one.review for one in heard if one.review is not None]
    usage = sum((one.usage for one in heard if one.usage is not None), Usage())
    problems = dict.fromkeys(one.problem for one in heard if one.problem)
    return _Heard(
        Review(
            " ".join(dict.fromkeys(one.summary for one in reviews if one.summary))[:1000],
            tuple(finding for one in reviews for finding in one.findings),
            tuple(said for one in reviews for said in one.assessments),
        )
        if reviews
        else None,
        next((one.model for one in heard if one.model), None),
        usage,
        " ".join(problems) or None,
    )


_NOTHING = object()


def _assessed(finding: Finding, assessment: Assessment | None) -> Finding | None:
    """Return a finding after the model has spoken about it; what is certain stays as it is.

    The text under review could tell the model to dismiss findings, so that only those go that
    are weak by themselves; the others are shown with less confidence.
    """
    if assessment is None:
        return finding
    reason = " ".join(assessment.reason.split())[:600]
    if assessment.verdict == "confirm":
        explanation = f"{finding.explanation} Here: {reason}" if reason else finding.explanation
        return replace(finding, explanation=explanation)
    if assessment.verdict != "dismiss" or finding.certain:
        return finding
    if finding.confidence < WEAK:
        return None
    note = f" The model thinks that it does no harm here: {reason}" if reason else ""
    return replace(
        finding,
        severity=Severity.INFO,
        confidence=DISMISSED_CONFIDENCE,
        explanation=f"{finding.explanation}{note}",
    )


def _part(snapshot: DocumentSnapshot, focus: Focus) -> Location | None:
    if focus.location is not None:
        return focus.location
    return None if focus.cell_id is None else snapshot.whole(focus.cell_id)


def _summary(
    findings: Sequence[Finding],
    heard: _Heard,
    analysis: Analysis,
    *,
    error: str | None,
    failure: Finding | None,
) -> str:
    sentences = []
    if failure is not None:
        sentences.append(f"It fails at line {failure.location.start.line}: {failure.title}.")
    elif error:
        sentences.append("The error names no line of this document.")
    if heard.review is not None and heard.review.summary:
        sentences.append(heard.review.summary)
    else:
        sentences.append(_count(findings))
    if heard.problem:
        sentences.append(heard.problem)
    sentences += analysis.failures
    if not analysis.analyzers and not analysis.failures:
        sentences.append("There is no analyzer for this language.")
    return " ".join(sentences)


def _count(findings: Sequence[Finding]) -> str:
    if not findings:
        return "Nothing was found."
    counts = Counter(finding.category for finding in findings)
    parts = [f"{counts[category]} {category.value}" for category in Category if counts[category]]
    noun = "finding" if len(findings) == 1 else "findings"
    return f"{len(findings)} {noun}: {', '.join(parts)}."
