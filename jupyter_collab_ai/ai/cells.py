"""A notebook as one text, and the cells of what a model has made of it.

Each cell begins with a mark: a line of the percent format with a word that nobody can guess, that
no cell contains, and with the number of the cell. So nothing that people wrote is taken for a
mark, and what comes back is known to be the cell that it was. Models also answer in the plain
percent format; that is read where no line of the document could be meant by it. Pure.
"""

from __future__ import annotations

import re
import secrets
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from jupyter_collab_ai.ai.snapshot import CODE

MARKDOWN = "markdown"
RAW = "raw"

#: Type and source of each cell that was shown.
Cells = Sequence[tuple[str, str]]

_PERCENT = re.compile(r"# ?%%(?:\s.*|\[.*)?\Z")
_TYPE = re.compile(r"\[(markdown|md|raw)\]")
_COMMENTED = re.compile(r"#(?: |\Z)")


class Unclear(ValueError):
    """It can't be told which lines begin cells; the message tells the model what to do."""


@dataclass(frozen=True)
class Cell:
    """A cell as it came back."""

    type: str
    source: str
    #: Which of the cells that were shown it is, from 0; None for a new one.
    index: int | None = None


def new_key(cells: Cells) -> str:
    """Return a word for the marks of some cells; empty where there is nothing to be marked."""
    if not any(source.strip() for _, source in cells):
        return ""
    key = secrets.token_hex(4)
    while any(key in source for _, source in cells):
        key = secrets.token_hex(4)
    return key


def mark(key: str, name: str, type_: str = CODE) -> str:
    """Return the line that begins a cell."""
    return f"# %% {key}-{name}" + ("" if type_ == CODE else f" [{type_}]")


def show(key: str, cells: Cells) -> str:
    """Return cells as one text."""
    if not key:
        return ""
    return "\n".join(
        f"{mark(key, str(number), type_)}\n{source}"
        for number, (type_, source) in enumerate(cells, 1)
    )


def split(text: str, key: str, cells: Cells) -> list[Cell]:
    """Return the cells of a text that was made of :func:`show`'s.

    Those that were shown come in the order in which they were; one that was moved is a new one.

    Args:
        text: The text.
        key: The word in its marks.
        cells: What was shown.

    Raises:
        Unclear: It is in the plain percent format, and what was shown has such lines as text.
    """
    text = text.removesuffix("\n")
    marked = bool(key) and key in text
    made = _marked(text, key, cells) if marked else _percent(text, cells)
    kept = _in_order([cell.index for cell in made if cell.index is not None])
    return [
        replace(cell, index=None) if cell.index is not None and cell.index not in kept else cell
        for cell in made
    ]


def missing_in(text: str, key: str, cells: Cells) -> str:
    """Say what is missing in a text as :func:`split` reads it; empty where all may be meant.

    Raises:
        Unclear: As :func:`split`.
    """
    made = split(text, key, cells)
    for cell in made:
        if cell.index is not None and not cell.source.strip() and cells[cell.index][1].strip():
            return f"cell {cell.index + 1} has lost its text"
    if key and key in text:
        return ""
    known = {cell.index for cell in made}
    bare = not any(_is_percent(line) for line in text.split("\n"))
    texts = sum(type_ != CODE and bool(source.strip()) for type_, source in cells)
    fewer = sum(cell.type != CODE for cell in made) < texts
    for index, (type_, source) in enumerate(cells):
        # Without the marks nobody knows whether a cell was left out on purpose.
        if source.strip() and index not in known and (bare or (fewer and type_ != CODE)):
            return f"cell {index + 1} is gone, and the lines that begin cells are not as shown"
    return ""


def _marked(text: str, key: str, cells: Cells) -> list[Cell]:
    named = re.compile(rf"{re.escape(key)}-(\d+)")
    plain = not _has_percent(cells)
    made: list[Cell] = []
    known: set[int] = set()
    for line, lines in _pieces(text, lambda line: key in line or (plain and _is_percent(line))):
        name = None if line is None else named.search(line)
        index = int(name[1][:9]) - 1 if name else -1
        source = "\n".join(lines)
        type_ = _type_of(line)
        if 0 <= index < len(cells) and index not in known and type_ in (CODE, cells[index][0]):
            known.add(index)
            made.append(Cell(cells[index][0], _as_it_was(cells[index][1], source), index))
        elif source.strip():
            made.append(Cell(type_, source.strip("\n")))
    return made


def _percent(text: str, cells: Cells) -> list[Cell]:
    if _has_percent(cells):
        raise Unclear(
            "begin each cell with its line as it was shown; there are others like it in the text."
        )
    strips = not any(type_ == MARKDOWN and _is_commented(source) for type_, source in cells)
    made: list[Cell] = []
    for line, lines in _pieces(text, _is_percent):
        type_, source = _type_of(line), "\n".join(lines).strip("\n")
        known = (type_, source) in cells
        if type_ == MARKDOWN and strips and not known and _is_commented(source):
            source = re.sub("^# ?", "", source, flags=re.MULTILINE).strip("\n")
        if source.strip():
            made.append(Cell(type_, source))
    return _numbered(made, cells)


def _numbered(made: Sequence[Cell], cells: Cells) -> list[Cell]:
    """Find out which cell is which, where no numbers say so."""
    result: list[Cell] = []
    new = [(cell.type, cell.source) for cell in made]
    old = [(type_, source.strip("\n")) for type_, source in cells]
    for _, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        pairs = 0
        while pairs < min(i2 - i1, j2 - j1) and old[i1 + pairs][0] == new[j1 + pairs][0]:
            index = i1 + pairs
            source = _as_it_was(cells[index][1], new[j1 + pairs][1])
            result.append(Cell(old[index][0], source, index))
            pairs += 1
        result += made[j1 + pairs : j2]
    return result


def _pieces(text: str, begins: Callable[[str], bool]) -> list[tuple[str | None, list[str]]]:
    """Return the lines after each line that begins something, and those before the first."""
    pieces: list[tuple[str | None, list[str]]] = [(None, [])]
    for line in text.split("\n"):
        if begins(line):
            pieces.append((line, []))
        else:
            pieces[-1][1].append(line)
    return pieces


def _type_of(line: str | None) -> str:
    found = None if line is None else _TYPE.search(line)
    if found is None:
        return CODE
    return RAW if found[1] == RAW else MARKDOWN


def _is_percent(line: str) -> bool:
    return _PERCENT.match(line) is not None


def _has_percent(cells: Cells) -> bool:
    return any(_is_percent(line) for _, source in cells for line in source.split("\n"))


def _is_commented(source: str) -> bool:
    """Tell whether a text is Markdown commented out, which can't be meant as headings."""
    lines = [line.rstrip() for line in source.split("\n") if line.strip()]
    if not lines or not all(_COMMENTED.match(line) for line in lines):
        return False
    hints = any(line == "#" or line.startswith("# #") for line in lines)
    return hints or re.search(r"^# .*\n# ", source, re.MULTILINE) is not None


def _as_it_was(was: str, text: str) -> str:
    """Return a text with the space at its ends that it had before, which models don't keep."""
    core, old = text.lstrip("\n").rstrip(), was.lstrip("\n").rstrip()
    if core == old:
        return was
    if not core or not old:
        return core
    start = len(was) - len(was.lstrip("\n"))
    return was[:start] + core + was[start + len(old) :]


def _in_order(indices: Sequence[int]) -> frozenset[int]:
    """Return the longest run of numbers that rises, of numbers that are there once each."""
    ends: list[int] = []
    before: dict[int, int | None] = {}
    for index in indices:
        at = bisect_left(ends, index)
        before[index] = ends[at - 1] if at else None
        ends[at : at + 1] = [index]
    kept: set[int] = set()
    last = ends[-1] if ends else None
    while last is not None:
        kept.add(last)
        last = before[last]
    return frozenset(kept)
