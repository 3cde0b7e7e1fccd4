"""What the program ruff answers, for whoever asks it something."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from ruff import find_ruff_bin  # type: ignore[import-untyped]

from jupyter_collab_ai.ai.analyzers.base import AnalyzerFailed
from jupyter_collab_ai.ai.analyzers.process import Processes
from jupyter_collab_ai.ai.analyzers.python_text import for_ruff
from jupyter_collab_ai.ai.locations import Span
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part

#: One thing that ruff says; see https://docs.astral.sh/ruff/settings/#output-format.
Diagnostic = dict[str, Any]


async def ask(
    processes: Processes, parts: list[Part], snapshot: DocumentSnapshot, options: Sequence[str]
) -> list[tuple[Part, Diagnostic]]:
    """Return what ruff says of parts of a document, and of which part it says it.

    Args:
        processes: Runs programs.
        parts: Those of the document that are Python.
        snapshot: The document.
        options: Which rules, and how.

    Raises:
        AnalyzerFailed: It did not come to an end.
    """
    name, text = for_ruff(parts, snapshot)
    command = [
        *(find_ruff_bin(), "check", "--isolated", "--no-cache", "--quiet", "--exit-zero"),
        *("--output-format=json", f"--target-version=py3{sys.version_info.minor}"),
        *(*options, f"--stdin-filename={name}", "-"),
    ]
    output = await processes.run(command, stdin=text.encode("utf-8", "replace"))
    if output.status != 0:
        raise AnalyzerFailed("ruff could not read the document.")
    try:
        diagnostics: list[Diagnostic] = json.loads(output.stdout)
    except ValueError:
        raise AnalyzerFailed("ruff answered something that can't be understood.") from None
    return [
        (parts[(one["cell"] or 1) - 1] if snapshot.is_notebook else parts[0], one)
        for one in diagnostics
    ]


def span_of(part: Part, diagnostic: Diagnostic) -> Span:
    """Return where it is, as offsets in the part."""
    start, end = diagnostic["location"], diagnostic["end_location"]
    first = part.lines.clamped(start["row"], start["column"])
    return Span(first, max(first, part.lines.clamped(end["row"], end["column"])))
