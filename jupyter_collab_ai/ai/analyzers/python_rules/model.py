"""What a rule is, what it finds, and the list of all checks."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from .module import Module

Category = Literal["bug", "performance", "security"]
Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Rule:
    """One kind of fault."""

    id: str
    category: Category
    severity: Severity
    #: From 0 to 1: how often the code really is at fault where this is found.
    confidence: float
    title: str
    #: What is wrong, and which input triggers it, for somebody who is learning.
    explanation: str
    #: For example ``CWE-89``.
    cwe: str | None = None


class Hit(NamedTuple):
    """One place at which a rule applies."""

    rule: Rule
    node: ast.AST
    #: Said instead of the rule's title, where more is known.
    title: str | None = None


class At(NamedTuple):
    """A place, with what is to be said of it in particular."""

    node: ast.AST
    title: str


Check = Callable[["Module"], Iterable[Hit]]
Finder = Callable[["Module"], Iterable["ast.AST | At"]]

#: Each of them looks at a module once.
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    """Add a check that applies several rules."""
    CHECKS.append(function)
    return function


def finds(rule: Rule) -> Callable[[Finder], Finder]:
    """Add a function that yields the places at which one rule applies."""

    def add(finder: Finder) -> Finder:
        @functools.wraps(finder)
        def run(module: Module) -> Iterable[Hit]:
            for found in finder(module):
                if isinstance(found, At):
                    yield Hit(rule, found.node, found.title)
                else:
                    yield Hit(rule, found)

        CHECKS.append(run)
        return finder

    return add


def bug(
    id: str,  # noqa: A002 - the standard name
    title: str,
    explanation: str,
    *,
    severity: Severity = "warning",
    confidence: float = 0.9,
    cwe: str | None = None,
) -> Callable[[Finder], Finder]:
    """Add a finder of bugs."""
    return finds(Rule(id, "bug", severity, confidence, title, explanation, cwe))


def slow(
    id: str,  # noqa: A002 - the standard name
    title: str,
    explanation: str,
    *,
    severity: Severity = "info",
    confidence: float = 0.7,
) -> Callable[[Finder], Finder]:
    """Add a finder of slow code."""
    return finds(Rule(id, "performance", severity, confidence, title, explanation, "CWE-1050"))


def insecure(
    id: str,  # noqa: A002 - the standard name
    cwe: str,
    title: str,
    explanation: str,
    *,
    severity: Severity = "warning",
    confidence: float = 0.7,
) -> Callable[[Finder], Finder]:
    """Add a finder of insecure code."""
    return finds(Rule(id, "security", severity, confidence, title, explanation, cwe))
