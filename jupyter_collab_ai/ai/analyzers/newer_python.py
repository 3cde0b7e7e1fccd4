"""Code that only a newer Python than the server's can read: no mistake where a newer one runs it.

Ruff's parser knows the grammars of all versions, also of those that came after the server's own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from jupyter_collab_ai.ai.analyzers.process import Processes
from jupyter_collab_ai.ai.analyzers.ruff_answers import ask, span_of
from jupyter_collab_ai.ai.findings import Category, Finding, Severity
from jupyter_collab_ai.ai.locations import Span, visible
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part

_ADDED = re.compile(r"(.*?) on Python [\d.]+ \(syntax was added in Python (\d+)\.(\d+)\)$")
_NAME = re.compile(r"[^\W\d]\w*")
_TYPE_STATEMENT, _TYPE_PARAMETERS = "`type` alias", "type parameter list"


@dataclass(frozen=True)
class Newer:
    """One place that needs a newer Python."""

    needs: tuple[int, int]
    #: What ruff says that it is.
    what: str
    #: Offsets in the part.
    span: Span


@dataclass
class Opinion:
    """What ruff says of a part that the server's own Python refuses."""

    newer: list[Newer] = field(default_factory=list)
    #: Whether something in it is wrong in every version.
    wrong: bool = False


class NewerPython:
    """Asks ruff."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    async def look_at(self, parts: list[Part], snapshot: DocumentSnapshot) -> list[Opinion]:
        """Return what is to be said of each part.

        Raises:
            AnalyzerFailed: It can't be told.
        """
        opinions = {id(part): Opinion() for part in parts}
        for part, diagnostic in await ask(self._processes, parts, snapshot, ["--select=T100"]):
            if diagnostic["code"] not in (None, "invalid-syntax"):
                continue
            opinion = opinions[id(part)]
            added = _ADDED.match(str(diagnostic["message"]))
            if added is None:
                opinion.wrong = True
                continue
            needs = int(added[2]), int(added[3])
            opinion.newer.append(Newer(needs, added[1], span_of(part, diagnostic)))
        return list(opinions.values())


def in_older_words(source: str, newer: Sequence[Newer]) -> str:
    """Return a text of the same lines and columns that the server's Python can read.

    What has no older words (a string within a string, say) stays as it is.
    """
    for one in newer:
        old = one.span.of(source)
        if _TYPE_PARAMETERS in one.what and "\n" not in old:
            new = " " * len(old)
        elif _TYPE_STATEMENT in one.what and old == "type" and source[one.span.end] == " ":
            # `type A[T] = …` would be an assignment to an element, which is no matter here.
            source = _replaced(source, Span(one.span.start, one.span.end + 1), "pass;")
            continue
        else:
            continue
        source = _replaced(source, one.span, new)
    return source


def _replaced(source: str, span: Span, new: str) -> str:
    return source[: span.start] + new + source[span.end :]


def lines_of(part: Part, newer: Sequence[Newer]) -> set[int]:
    """Return the lines, from 1, on which something newer stands."""
    return {
        line
        for one in newer
        for line in range(
            part.lines.position(one.span.start).line, part.lines.position(one.span.end).line + 1
        )
    }


def names_on(source: str, lines: set[int]) -> list[str]:
    """Return all words on some lines: names of types among them, which the older words lack."""
    rows = source.split("\n")
    return [name for line in sorted(lines) for name in _NAME.findall(rows[line - 1])]


def told(
    part: Part, newer: Sequence[Newer], snapshot: DocumentSnapshot, name: str
) -> list[Finding]:
    """Return what to say of a part: nothing where the kernel is new enough."""
    first = max(newer, key=lambda one: (one.needs, -one.span.start))
    known = snapshot.language_version
    if known >= first.needs:
        return []
    version = ".".join(map(str, first.needs))
    title = f"This needs Python {version} or newer"
    explanation = (
        f"The syntax was added in Python {version}: an older one reads none of this text and says "
        "SyntaxError. "
    )
    if known:
        title += f"; this notebook's kernel is Python {'.'.join(map(str, known))}"
        explanation += "Choose a newer kernel, or write it as older versions do."
    else:
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        explanation += (
            f"Where it runs with that version, it is right; the server's own Python is {here}."
        )
    return [
        Finding(
            Category.SYNTAX,
            Severity.ERROR if known else Severity.INFO,
            title,
            explanation,
            part.lines.location(visible(part.source, first.span), part.cell_id),
            name,
            0.9,
            rule="newer-python",
        )
    ]
