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
    #: Cases of a weakness with a number, and those with a finding that names it.
    numbered: int = 0
    named: int = 0

    def add(self, case: Case, faulty: Sequence[Told], fixed: Sequence[Told]) -> None:
        """Count one case."""
        self.cases += 1
        self.flagged += bool(faulty)
        number = weakness(case.kind)
        if number is not None:
            self.numbered += 1
            self.named += any(related(number, weakness(told.cwe or "")) for told in faulty)
        if case.fixed is None:
            return
        self.twins += 1
        self.twins_flagged += bool(fixed)
        still = {(told.rule, _line(case.fixed, told.line)) for told in fixed}
        gone = [told for told in faulty if (told.rule, _line(case.faulty, told.line)) not in still]
        self.removed += bool(gone)
        changed = case.faulty_lines or frozenset()
        self.on_line += any(abs(told.line - line) <= NEAR for told in gone for line in changed)


#: Input that is not checked, and what that leads to.
_UNCHECKED, _LED_TO = 20, {22, 78, 79, 89, 94, 185, 502, 601, 611, 776, 918, 1333}
#: Numbers that stand for one weakness, seen from different sides.
_ALIKE = (
    {22, 99, 425, 434, 641, 23, 36, 73},
    {77, 78, 88},
    {79, 80, 116},
    {74, 89, 90, 643, 943, 564},
    {94, 95, 96, 1336, 454, 913},
    {113, 93, 601},
    {200, 209, 215, 489, 497, 11},
    {259, 321, 522, 798, 521, 255, 256, 257},
    {295, 297, 347},
    {326, 327, 328, 759, 760, 916, 522, 331},
    {329, 1204, 323},
    {330, 331, 338, 339, 335, 340},
    {377, 378, 379, 668, 367},
    {385, 208},
    {400, 730, 1333, 770, 776, 835},
    {406, 941, 605, 1327},
    {611, 776, 827},
    {250, 269, 732, 276, 703},
    {414, 667},
    {306, 285, 862, 863},
    {390, 391, 396, 703, 754, 755, 252},
)


def weakness(text: str) -> int | None:
    """Return the number in ``CWE-089``; None where there is none."""
    head, _, number = text.partition("-")
    return int(number) if head == "CWE" and number.isdecimal() else None


def related(one: int, other: int | None) -> bool:
    """Tell whether two numbers are the same weakness, or one seen from two sides."""
    if other is None:
        return False
    if _UNCHECKED in (one, other) and {one, other} & _LED_TO:
        return True
    return one == other or any({one, other} <= alike for alike in _ALIKE)


@dataclass
class Lines:
    """How many of the lines at which something was expected a tool names."""

    expected: int = 0
    found: int = 0
    #: Of those not expected, how many it names.
    others: int = 0


def by_rule(wanted: Sequence[Sequence[Told]], told: Sequence[Sequence[Told]]) -> dict[str, Lines]:
    """Count, for each rule of the tool whose examples they are, the lines that another names.

    What is named elsewhere is counted under ``others``.
    """
    rules: dict[str, Lines] = {}
    others = rules.setdefault("others", Lines())
    for expected, answers in zip(wanted, told, strict=True):
        lines = {one.line for one in answers}
        for want in {(one.rule, one.line) for one in expected}:
            row = rules.setdefault(want[0], Lines())
            row.expected += 1
            row.found += any(abs(line - want[1]) <= NEAR for line in lines)
        near = {line + step for one in expected for line in [one.line] for step in (-1, 0, 1)}
        others.others += len(lines - near)
    return rules


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
