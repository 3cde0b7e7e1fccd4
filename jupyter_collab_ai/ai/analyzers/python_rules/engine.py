"""Applies every rule to a tree, and says where in which text each finding is."""

from __future__ import annotations

import ast
import bisect
import time
from collections import Counter
from typing import Any

from . import (
    accumulators,
    arithmetic,
    bugs,
    classes,
    conditions,
    examples,
    failing,
    hardening,
    injection,
    loops,
    naming,
    performance,
    ranges,
    recursion,
    resources,
    settings,
    statements,
    supply,
    tables,
    usage,
    values,
)
from .model import CHECKS, Hit
from .module import Module

#: The modules whose rules are applied; importing them adds their rules to the list.
ROOMS = (
    accumulators,
    arithmetic,
    bugs,
    classes,
    conditions,
    examples,
    failing,
    hardening,
    injection,
    loops,
    naming,
    performance,
    ranges,
    recursion,
    resources,
    settings,
    statements,
    supply,
    tables,
    usage,
    values,
)


def apply(
    tree: ast.Module,
    lines: list[str],
    before: list[int],
    *,
    ends: float,
    most: int,
    failed: list[str] | None = None,
) -> list[dict[str, Any]]:
    """Return what all rules find.

    Args:
        tree: What to look at; its lines count through all texts.
        lines: The lines of all texts.
        before: For each text, how many lines are before it.
        ends: When, on the monotonic clock, to stop trying further rules.
        most: How many findings of one rule are told.
        failed: Takes the names of rules that are at fault, so that the others still count;
            without it, the exception is raised.
    """
    module = Module(tree)
    found: list[dict[str, Any]] = []
    count: Counter[str] = Counter()
    for check in CHECKS:
        if time.monotonic() > ends:
            break
        try:
            hits = list(check(module))
        except RecursionError:
            # A text that is nested as deeply as this is no reason to lose the other rules.
            continue
        except Exception as error:
            if failed is None:
                raise
            failed.append(f"{check.__module__}.{check.__qualname__}: {type(error).__name__}")
            continue
        for hit in hits:
            count[hit.rule.id] += 1
            if count[hit.rule.id] <= most:
                found.append(_described(hit, lines, before))
    return found


def _described(hit: Hit, lines: list[str], before: list[int]) -> dict[str, Any]:
    rule = hit.rule
    line, column, end_line, end_column = _place(hit.node, lines)
    text = max(bisect.bisect_right(before, line - 1) - 1, 0)
    return {
        "text": text,
        "line": line - before[text],
        "column": column,
        "end_line": end_line - before[text],
        "end_column": end_column,
        "rule": rule.id,
        "category": rule.category,
        "severity": rule.severity,
        "confidence": rule.confidence,
        "title": hit.title or rule.title,
        "explanation": rule.explanation,
        "cwe": rule.cwe,
    }


def _place(node: ast.AST, lines: list[str]) -> tuple[int, int, int, int]:
    """Return where a node stands, of a block its first line only; columns from 1."""
    line: int = getattr(node, "lineno", 1)
    end_line: int = getattr(node, "end_lineno", None) or line
    start: int = getattr(node, "col_offset", 0)
    end: int = getattr(node, "end_col_offset", None) or start
    if end_line > line and (getattr(node, "body", None) or getattr(node, "handlers", None)):
        end_line, end = line, len(lines[line - 1].encode("utf-8", "replace"))
    return line, _column(lines, line, start), end_line, _column(lines, end_line, end)


def _column(lines: list[str], line: int, offset: int) -> int:
    """Return a column, in characters from 1, for an offset in bytes."""
    text = lines[line - 1].encode("utf-8", "surrogatepass")
    return len(text[:offset].decode("utf-8", "replace")) + 1
