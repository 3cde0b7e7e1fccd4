"""Quantiles, medians and ratios: what the tables are made of."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import median


def quantile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that at least ``share`` of all are not above.

    Raises:
        ValueError: There are no values.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("There is no quantile of nothing.")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def typical(values: Iterable[float | None]) -> float | None:
    """Return the median of what was measured; None where nothing was."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def ratio(value: float | None, of: float | None) -> float | None:
    """Return how many times ``of`` a value is; None where either is unknown or ``of`` is 0."""
    return None if value is None or not of else value / of


def written(value: float | None) -> str:
    """Write a figure with as many digits as it deserves."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
