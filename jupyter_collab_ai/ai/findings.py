"""What can be found in a document, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from jupyter_collab_ai.ai.locations import Location
from jupyter_collab_ai.ids import FindingId, new_id

#: The source of what a model found.
MODEL = "model"
#: From here on a finding of an analyzer is a fact that no model can talk away.
CERTAIN = 0.9


class Category(Enum):
    """What kind of fault it is."""

    SYNTAX = "syntax"
    BUG = "bug"
    PERFORMANCE = "performance"
    SECURITY = "security"


class Severity(Enum):
    """How bad it is."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


_BY_SEVERITY = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True)
class Edit:
    """Put ``new_text`` in place of what is at ``location``."""

    location: Location
    new_text: str

    def as_json(self) -> dict[str, Any]:
        """Return it as the contract has it."""
        return {"location": self.location.as_json(), "new_text": self.new_text}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Edit:
        """Return what :meth:`as_json` made JSON of."""
        return cls(Location.from_json(data["location"]), data["new_text"])


@dataclass(frozen=True)
class Fix:
    """A change that is said to make a finding go away."""

    description: str
    edits: tuple[Edit, ...]
    #: It was applied to a copy, which then parsed, lacked the finding and had no new one.
    verified: bool = False
    #: Whoever offers it says that it keeps the meaning of the code.
    safe: bool = False
    #: A model wrote it, not the analyzer whose finding it may belong to.
    by_model: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as the contract has it."""
        return {
            "description": self.description,
            "edits": [edit.as_json() for edit in self.edits],
            "verified": self.verified,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Fix:
        """Return what :meth:`as_json` made JSON of."""
        return cls(data["description"], tuple(map(Edit.from_json, data["edits"])), data["verified"])


@dataclass(frozen=True)
class Finding:
    """One fault, at a place where text is."""

    category: Category
    severity: Severity
    title: str
    explanation: str
    location: Location
    source: str
    #: From 0 to 1.
    confidence: float
    rule: str | None = None
    #: For example ``CWE-89``.
    cwe: str | None = None
    fix: Fix | None = None
    id: FindingId = field(default_factory=lambda: FindingId(new_id()))

    @property
    def certain(self) -> bool:
        """Whether it is a fact, not an opinion."""
        return self.source != MODEL and self.confidence >= CERTAIN

    def as_json(self) -> dict[str, Any]:
        """Return it as the contract has it; what is unknown is left out."""
        data: dict[str, Any] = {
            "id": self.id,
            "category": self.category.value,
            "severity": self.severity.value,
            "title": self.title,
            "explanation": self.explanation,
            "location": self.location.as_json(),
            "source": self.source,
            "confidence": self.confidence,
        }
        if self.rule is not None:
            data["rule"] = self.rule
        if self.cwe is not None:
            data["cwe"] = self.cwe
        if self.fix is not None:
            data["fix"] = self.fix.as_json()
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Finding:
        """Return what :meth:`as_json` made JSON of."""
        fix = data.get("fix")
        return cls(
            Category(data["category"]),
            Severity(data["severity"]),
            data["title"],
            data["explanation"],
            Location.from_json(data["location"]),
            data["source"],
            data["confidence"],
            data.get("rule"),
            data.get("cwe"),
            None if fix is None else Fix.from_json(fix),
            FindingId(data["id"]),
        )


def same_fault(one: Finding, other: Finding) -> bool:
    """Tell whether two sources mean the same fault: one category, at most a line apart."""
    return (
        one.category is other.category
        and one.location.cell_id == other.location.cell_id
        and abs(one.location.start.line - other.location.start.line) <= 1
    )


def merge(
    facts: Sequence[Finding],
    others: Iterable[Finding],
    same: Callable[[Finding, Finding], bool] = same_fault,
) -> list[Finding]:
    """Join what two sources found, each fault once.

    A fault that both found is kept as the first source has it; where only the other knows a
    fix, that fix is taken over. What one source alone found more than once stays.
    """
    merged = list(facts)
    taken: set[int] = set()
    for other in others:
        twin = next(
            (index for index, fact in enumerate(facts) if index not in taken and same(fact, other)),
            None,
        )
        if twin is None:
            # All facts at this place have been paired: it is told again only if it is new.
            if not any(same(fact, other) for fact in facts):
                merged.append(other)
            continue
        taken.add(twin)
        fact = merged[twin]
        if other.fix is not None and (fact.fix is None or not fact.fix.verified):
            merged[twin] = replace(fact, fix=other.fix)
    return merged


def unique(findings: Iterable[Finding]) -> list[Finding]:
    """Leave out what is said twice: one rule at one place."""
    seen: set[tuple[object, ...]] = set()
    kept = []
    for finding in findings:
        key = (finding.source, finding.rule, finding.category, finding.location, finding.title)
        if key not in seen:
            seen.add(key)
            kept.append(finding)
    return kept


def in_order(findings: Iterable[Finding], cells: Sequence[str | None]) -> list[Finding]:
    """Sort by where they are, then by how bad they are.

    Args:
        findings: What was found.
        cells: The ids of all cells in the order of the document.
    """
    rank = {cell: index for index, cell in enumerate(cells)}
    return sorted(
        findings,
        key=lambda finding: (
            rank.get(finding.location.cell_id, len(rank)),
            finding.location.start,
            _BY_SEVERITY[finding.severity],
            finding.rule or "",
        ),
    )
