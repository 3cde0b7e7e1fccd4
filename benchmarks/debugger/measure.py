"""Counts what a tool finds of a set: on the faulty line, and on the repaired twin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.debugger.sets import Case
from benchmarks.debugger.tools import Told

#: How far from a changed line a finding may stand to be about it.
NEAR = 1


@dataclass
class Score:
    """What a tool found of some cases."""

    cases: int = 0
    #: Cases with any finding at all.
    flagged: int = 0
    #: Cases with a finding at a line that the repair changes, which the repair removes.
    on_line: int = 0
    #: Cases with a finding anywhere, which the repair removes.
    removed: int = 0
    #: Cases that have a repaired twin.
    twins: int = 0
    #: Twins with any finding.
    twins_flagged: int = 0

    def add(self, case: Case, faulty: Sequence[Told], fixed: Sequence[Told]) -> None:
        """Count one case."""
        self.cases += 1
        self.flagged += bool(faulty)
        if case.fixed is None:
            return
        self.twins += 1
        self.twins_flagged += bool(fixed)
        still = {(told.rule, _line(case.fixed, told.line)) for told in fixed}
        gone = [told for told in faulty if (told.rule, _line(case.faulty, told.line)) not in still]
        self.removed += bool(gone)
        changed = case.faulty_lines or frozenset()
        self.on_line += any(abs(told.line - line) <= NEAR for told in gone for line in changed)


def _line(text: str, number: int) -> str:
    lines = text.split("\n")
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def score(
    cases: Sequence[Case], faulty: Sequence[Sequence[Told]], fixed: Sequence[Sequence[Told]]
) -> Score:
    """Count all cases."""
    total = Score()
    for case, before, after in zip(cases, faulty, fixed, strict=True):
        total.add(case, before, after)
    return total
