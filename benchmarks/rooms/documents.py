"""Documents of a given size, always the same."""

from __future__ import annotations

import json

TEXTS = (("10 kB", 10_000), ("1 MB", 1_000_000), ("5 MB", 5_000_000))
NOTEBOOKS = (10, 200, 2000)


def text(size: int) -> str:
    """Return a program of so many characters."""
    line = "total = sum(value * weight for value, weight in measured)  # {:08}\n"
    lines = (line.format(number) for number in range(size // len(line.format(0)) + 1))
    return "".join(lines)[: size - 1] + "\n"


def notebook(cells: int) -> str:
    """Return a notebook of so many cells of ten lines, in JSON."""
    source = text(700)
    made: list[dict[str, object]] = [
        {
            "cell_type": "code",
            "id": f"cell-{number:06}",
            "execution_count": None,
            "metadata": {},
            "outputs": [],
            "source": source,
        }
        for number in range(cells)
    ]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)
