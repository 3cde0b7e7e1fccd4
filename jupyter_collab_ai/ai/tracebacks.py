"""Why does this fail? What a traceback says, mapped to the lines of the document. Pure.

The text decides, not the number: a line that a traceback shows is looked for in the document, so
that cells are found although nobody kept the count of executions, and lines although they moved.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from jupyter_collab_ai.ai.errors_explained import explain_error
from jupyter_collab_ai.ai.findings import Category, Finding, Severity
from jupyter_collab_ai.ai.locations import NoSuchPlace, visible
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part

SOURCE = "traceback"
#: Characters of an error that are read; the last ones, for there the cause stands.
MOST_READ = 100_000
#: Frames that are looked for in the document, the innermost ones.
MOST_PLACES = 200
#: Frames that are told of.
MOST_FRAMES = 5

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
#: ``File "a.py", line 3, in f``, as CPython and IPython write it.
_FILE = re.compile(r'^\s*File (?:"(?P<q>[^"\n]+)"|(?P<p>[^\s,:]+)):?(?:, line |:)(?P<line>\d{1,9})')
#: ``Cell In[3], line 2`` and what older versions wrote.
_CELL = re.compile(
    r"^\s*(?:Cell In ?|Input In ?|<ipython-input-)\[?(?P<n>\d{1,9})\]?[^\n]*?"
    r"line:? (?P<line>\d{1,9})"
)
_OLD_CELL = re.compile(r"^\s*(?:Input In \[\d+\]|<ipython-input-\d+-\w+>)")
_ARROW = re.compile(r"^-*> ?(?P<line>\d{1,9})(?: (?P<text>.*))?$")
#: ``a.js:3:5``, ``a.go:3``, as most other languages do.
_OTHER = re.compile(
    r"(?<![\w./\\-])(?P<file>[\w./\\-]{1,500}\.\w{1,20}):(?P<line>\d{1,9})(?!\d)(?::\d+)?"
)
_MESSAGE = re.compile(
    r"^(?:Uncaught )?(?P<type>(?:[A-Za-z_]\w*\.)*[A-Z]\w*"
    r"(?:Error|Exception|Warning|Interrupt|Exit|Iteration|Group|Fault|Found|Timeout))"
    r"(?:: ?(?P<text>.*))?$"
)
_COMPILER = re.compile(r"\b(?:fatal )?error(?:\[\w{1,20}\])?: (?P<text>.+)$")
_PANIC = re.compile(r"^(?:panic: |thread '.*' panicked at |Error in .*?: |ERROR: )(?P<text>.+)$")
_NOWHERE = frozenset({"<stdin>", "<string>", "<text>", "<module>"})


@dataclass(frozen=True)
class Frame:
    """A place that an error names."""

    #: The file's name, or None where it is a cell.
    file: str | None
    line: int
    #: What stands there, where the error says so.
    text: str = ""


@dataclass(frozen=True)
class Failure:
    """What an error says."""

    #: For example ``ZeroDivisionError``; empty where no kind is told.
    type: str
    message: str
    #: From the outermost to the innermost, where the failure is.
    frames: tuple[Frame, ...]

    @property
    def title(self) -> str:
        """Say in one line what happened."""
        return f"{self.type}: {self.message}".strip(": ") if self.type else self.message


def read_error(error: str) -> Failure:
    """Return what an error says, whichever program wrote it."""
    text = _ANSI.sub("", error[-MOST_READ:]).replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    kind, message = _what(lines)
    return Failure(kind, message, tuple(_frames(lines))[-MOST_PLACES:])


def _what(lines: Sequence[str]) -> tuple[str, str]:
    # The last one is the one that ended it; it was perhaps raised while another was handled.
    for line in reversed(lines):
        match = _MESSAGE.match(line.strip())
        if match:
            return match["type"].rpartition(".")[2], _short(match["text"] or "")
    for pattern in (_COMPILER, _PANIC):
        for line in lines:
            match = pattern.search(line.strip())
            if match:
                return "", _short(match["text"])
    said = next((line.strip() for line in lines if line.strip()), "It failed")
    return "", _short(said)


def _short(text: str) -> str:
    return " ".join(text.split())[:300]


def _frames(lines: Sequence[str]) -> Iterator[Frame]:
    python = False
    #: A cell whose line only an arrow tells.
    waiting = False
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        file, cell = _FILE.match(line), _CELL.match(line)
        if cell:
            python, waiting = True, False
            yield Frame(None, int(cell["line"]), _shown(lines, index, int(cell["line"])))
        elif file:
            python, waiting = True, False
            name = file["q"] or file["p"]
            number = int(file["line"])
            inside = "ipykernel" in name or name.startswith("<ipython")
            yield Frame(None if inside else name, number, _shown(lines, index, number))
        elif _OLD_CELL.match(line):
            python = waiting = True
        elif waiting and (arrow := _ARROW.match(line)):
            waiting = False
            yield Frame(None, int(arrow["line"]), (arrow["text"] or "").strip())
    if not python:
        # Here the innermost comes first.
        found = [
            Frame(match["file"], int(match["line"]))
            for line in lines
            for match in _OTHER.finditer(line)
        ]
        yield from reversed(found)


def _shown(lines: Sequence[str], index: int, number: int) -> str:
    """Return the line of code that a traceback shows below a frame."""
    for line in lines[index : index + 12]:
        arrow = _ARROW.match(line)
        if arrow and int(arrow["line"]) == number:
            return (arrow["text"] or "").strip()
        if _FILE.match(line) or _CELL.match(line):
            return ""
    below = lines[index] if index < len(lines) else ""
    if below.startswith("    ") and not re.match(r"^\s*(?:\d+ |[~^]+\s*$|\^)", below):
        return below.strip()
    return ""


@dataclass(frozen=True)
class Place:
    """A line of the document."""

    part: Part
    line: int


def places(snapshot: DocumentSnapshot, failure: Failure, cell_id: str | None) -> list[Place]:
    """Return the lines of the document that an error names, the innermost last.

    Args:
        snapshot: The document.
        failure: The error.
        cell_id: The cell that failed, where it is known.
    """
    found: list[Place] = []
    for frame in failure.frames:
        place = _place(snapshot, frame, cell_id)
        if place is not None:
            found.append(place)
    return found


def _place(snapshot: DocumentSnapshot, frame: Frame, cell_id: str | None) -> Place | None:
    if frame.file is not None and frame.file not in _NOWHERE:
        name = PurePosixPath(frame.file.replace("\\", "/")).name
        if name != PurePosixPath(snapshot.path).name:
            return None
    candidates = [part for part in snapshot.parts if part.is_code]
    if frame.text:
        by_text = [
            Place(part, number)
            for part in candidates
            if frame.text in part.source
            for number, line in enumerate(part.source.split("\n"), 1)
            if line.strip() == frame.text
        ]
        # The cell that failed first, then the line of that number, then any one like it.
        by_text.sort(
            key=lambda place: (
                place.line != frame.line,
                place.part.cell_id != cell_id,
                abs(place.line - frame.line),
            )
        )
        return by_text[0] if by_text else None
    if snapshot.is_notebook:
        candidates = [part for part in candidates if part.cell_id == cell_id or cell_id is None]
    if len(candidates) != 1 or not 1 <= frame.line <= len(candidates[0].lines):
        return None
    return Place(candidates[0], frame.line)


def finding_of(
    snapshot: DocumentSnapshot, error: str, cell_id: str | None = None
) -> Finding | None:
    """Return why it fails as a finding, at the innermost line of the document that is named.

    None where the error names no line of this document.
    """
    failure = read_error(error)
    found = places(snapshot, failure, cell_id)
    if not found:
        return None
    place = found[-1]
    try:
        span = place.part.lines.span(place.line)
    except NoSuchPlace:
        return None
    if not span.of(place.part.source).strip():
        return None
    text = span.of(place.part.source).strip()
    explanation = explain_error(failure.type, failure.message, text)
    way = _way(snapshot, found[:-1])
    return Finding(
        Category.SYNTAX if failure.type in _SYNTAX else Category.BUG,
        Severity.ERROR,
        failure.title[:200] or "It fails here",
        f"{explanation}{way}",
        place.part.lines.location(visible(place.part.source, span), place.part.cell_id),
        SOURCE,
        0.95,
        rule=failure.type or None,
    )


_SYNTAX = frozenset({"SyntaxError", "IndentationError", "TabError"})
#: What an analyzer calls the same.
_SAME: dict[str, tuple[str, ...]] = {
    "NameError": ("F821", "F823"),
    "UnboundLocalError": ("F821", "F823", "F841"),
    "TypeError": ("F50", "F52", "PLE", "RUF016", "B016", "B030"),
    "ValueError": ("F50", "F52", "PLE", "PLW1501"),
    "IndexError": ("PLE0643",),
    "KeyError": ("F52",),
}


def _way(snapshot: DocumentSnapshot, outer: Sequence[Place]) -> str:
    named = list(dict.fromkeys(_named(snapshot, place) for place in outer))[-MOST_FRAMES:]
    return f" It was reached from {', then '.join(named)}." if named else ""


def _named(snapshot: DocumentSnapshot, place: Place) -> str:
    if not snapshot.is_notebook:
        return f"line {place.line}"
    number = snapshot.cell_ids.index(place.part.cell_id) + 1
    return f"line {place.line} of cell {number}"


def join(facts: Sequence[Finding], failure: Finding | None) -> list[Finding]:
    """Put why it failed first, or into the finding of an analyzer that says the same."""
    if failure is None:
        return list(facts)
    at = failure.location
    for index, fact in enumerate(facts):
        if (
            fact.location.cell_id == at.cell_id
            and fact.location.start.line == at.start.line
            and (
                fact.category is failure.category is Category.SYNTAX
                or (fact.rule or "").startswith(_SAME.get(failure.rule or "", ("\0",)))
            )
        ):
            told = f"{fact.explanation} This is why it failed: {failure.title}."
            joined = replace(fact, explanation=told, severity=Severity.ERROR)
            return [joined, *facts[:index], *facts[index + 1 :]]
    return [failure, *facts]
