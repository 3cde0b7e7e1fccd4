"""Python as documents hold it: which parts are Python, and as what tools get them."""

from __future__ import annotations

import json
import re
from typing import Any

from jupyter_collab_ai.ai.analyzers import compile_worker
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part

_OTHER_LANGUAGE = re.compile(r"\s*%%\w")


def one_line_end(source: str) -> str:
    """Make sure that a text has the lines that it seems to have, without moving a character.

    Python takes a lone carriage return for the end of a line; documents do not. A byte order
    mark is allowed in a file but not in a text; a form feed at the beginning means nothing.
    """
    if source.startswith("\ufeff"):
        source = f"\x0c{source[1:]}"
    return source.replace("\r", " ")


def in_python(part: Part, snapshot: DocumentSnapshot) -> bool:
    """Tell whether a part is Python: a cell may begin with a magic that makes it another."""
    if not snapshot.is_notebook or not _OTHER_LANGUAGE.match(part.source):
        return True
    return part.source.lstrip().startswith(compile_worker.PYTHON_MAGICS)


def for_ruff(parts: list[Part], snapshot: DocumentSnapshot) -> tuple[str, str]:
    """Return the name and the text under which ruff is shown a document.

    The name tells it what it reads: in a stub, a name may be used before its definition.
    """
    if snapshot.is_notebook:
        return "document.ipynb", _notebook(parts)
    stub = snapshot.path.lower().endswith(".pyi")
    return ("document.pyi" if stub else "document.py"), one_line_end(parts[0].source)


def _notebook(parts: list[Part]) -> str:
    cells: list[dict[str, Any]] = []
    for part in parts:
        source = one_line_end(part.source)
        first, _, rest = source.lstrip().partition("\n")
        if first.startswith("%%"):
            # The cell is Python; ruff would leave it out.
            before = source[: len(source) - len(source.lstrip())]
            source = f"{before}{'#' * len(first)}\n{rest}"
        cells.append(
            {
                "cell_type": "code",
                "execution_count": None,
                "metadata": {},
                "outputs": [],
                "source": source,
            }
        )
    return json.dumps(
        {
            "cells": cells,
            "metadata": {"language_info": {"name": "python"}},
            "nbformat": 4,
            "nbformat_minor": 4,
        }
    )
