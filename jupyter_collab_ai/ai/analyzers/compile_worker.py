"""Does this Python parse, and if not, which of it does; runs behind :mod:`.worker`.

Nothing is executed: texts are compiled and the result is thrown away.

What does not parse is replaced, line by line, by something that does, until all of the rest
parses. So one mistake does not hide the others, nor what other analyzers find elsewhere.
"""

from __future__ import annotations

import ast
import hashlib
import io
import keyword
import re
import time
import tokenize
from typing import Any, NamedTuple

#: Seconds after which no further mistake is looked for.
PATIENCE = 4.0
#: Mistakes that are looked for in one text.
MOST_MISTAKES = 20
#: Lines, and the part of all, beyond which what was replaced says more about the guess than
#: about the text; only the first mistake is told then.
MOST_TOUCHED = 40
MOST_TOUCHED_PART = 0.25

_NAME = re.compile(r"[^\W\d]\w*")
_HEADER = re.compile(
    r"(async\s|def\b|class\b|if\b|elif\b|else\b|for\b|while\b|try\b|except\b|finally\b|with\b"
    r"|match\b|case\b)|.*:\s*(#.*)?$"
)
_HEADERS = ("if True:", "else:", "except Exception:", "finally:", "try:")
#: Cell magics whose cell is Python all the same (IPython's own).
PYTHON_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")
_ASSIGNED_MAGIC = re.compile(r"^([\w.,\s\[\]'\"]*=\s*)[!%][^=]")
#: IPython's `/f x`, `,f a b` and `;f a b`: calls of f.
_CALLED_WITHOUT_BRACKETS = re.compile(r"[,;/][^\W\d]")


class Mistake(NamedTuple):
    """Where and why a text does not parse; lines and columns count from 1."""

    line: int
    column: int
    end_line: int
    end_column: int
    message: str


class Masked(NamedTuple):
    """A way to replace some lines by others, of the same number."""

    first: int
    lines: list[str]

    @property
    def last(self) -> int:
        return self.first + len(self.lines) - 1


def mistake_in(source: str, flags: int) -> Mistake | None:
    """Return why ``source`` does not compile with these flags, or None."""
    rows = source.count("\n") + 1
    try:
        compile(source, "<text>", "exec", flags, dont_inherit=True)
    except SyntaxError as error:
        line = min(max(error.lineno or 1, 1), rows)
        column = max(error.offset or 1, 1) if line == error.lineno else 1
        end_line = min(max(error.end_lineno or line, line), rows)
        end_column = max(error.end_offset or column, 1)
        if (end_line, end_column) < (line, column):
            end_line, end_column = line, column
        return Mistake(line, column, end_line, end_column, error.msg or "invalid syntax")
    except ValueError:
        before = source.partition("\0")[0]
        line = before.count("\n") + 1
        column = len(before) - before.rfind("\n")
        return Mistake(line, column, line, column + 1, "it holds a null byte")
    except (RecursionError, MemoryError, OverflowError):
        return Mistake(1, 1, 1, 1, "it is nested too deeply for Python to read")
    return None


def unclosed(source: str, mistake: Mistake) -> Mistake:
    """Return the bracket that was left open, where that is why a later line makes no sense.

    Python says so by itself only where the bracket stays open to the end of the text.
    """
    lines = source.split("\n")
    words = lines[mistake.line - 1].split()
    first = words[0].rstrip(":(") if words else ""
    # These can't stand in brackets at the beginning of a line, other keywords can.
    inner = {"for", "if", "else", "in", "is", "and", "or", "not", "lambda", "await", "async"}
    values = {"None", "True", "False", "yield"}
    if mistake.message.startswith("'") or not keyword.iskeyword(first) or first in inner | values:
        return mistake
    stack: list[tuple[str, int, int]] = []
    reader = io.StringIO("\n".join(lines[: mistake.line - 1])).readline
    try:
        for token in tokenize.generate_tokens(reader):
            if token.type == tokenize.OP and token.string in "([{":
                stack.append((token.string, *token.start))
            elif token.type == tokenize.OP and token.string in ")]}" and stack:
                stack.pop()
    except (tokenize.TokenError, SyntaxError):
        pass
    if not stack:
        return mistake
    bracket, line, column = stack[-1]
    return Mistake(line, column + 1, line, column + 2, f"'{bracket}' was never closed")


def indent_of(line: str) -> str:
    """Return the space at the beginning of a line."""
    return line[: len(line) - len(line.lstrip())]


def is_blank(line: str) -> bool:
    """Tell whether a line says nothing."""
    stripped = line.strip()
    return not stripped or stripped.startswith("#")


def block_end(lines: list[str], first: int) -> int:
    """Return the last line of the block that begins at the line ``first`` (indices from 0)."""
    depth = len(indent_of(lines[first]))
    last = first
    for index in range(first + 1, len(lines)):
        if is_blank(lines[index]):
            continue
        if len(indent_of(lines[index])) <= depth:
            break
        last = index
    return last


def chunk(lines: list[str], at: int) -> tuple[int, int]:
    """Return the first and the last line of the top-level statement around a line."""

    def begins(index: int) -> bool:
        line = lines[index]
        return not is_blank(line) and not line[0].isspace() and line[0] not in ")]}"

    first = at
    while first > 0 and not begins(first):
        first -= 1
    last = at
    while last + 1 < len(lines) and not begins(last + 1):
        last += 1
    return first, last


def next_line(lines: list[str], at: int) -> int:
    """Return the number, from 1, of the first line after ``at`` that says something."""
    return next((i + 1 for i in range(at + 1, len(lines)) if not is_blank(lines[i])), at + 1)


def candidates(lines: list[str], at: int) -> list[Masked]:
    """Return ways to get rid of a mistake at the line of index ``at``, the smallest first."""
    found: list[Masked] = []
    line = lines[at]
    before = next((i for i in range(at - 1, -1, -1) if not is_blank(lines[i])), None)
    indents = [indent_of(line)]
    if before is not None and indent_of(lines[before]) not in indents:
        indents.append(indent_of(lines[before]))
    if before is not None and lines[before].rstrip().endswith(":"):
        # "expected an indented block" is told of the line after the one that lacks it
        body = [f"{lines[before]} pass", *lines[before + 1 : at + 1]]
        found.append(Masked(before, body))
    found += [Masked(at, [f"{indent}pass"]) for indent in indents]
    if _HEADER.match(line.strip()):
        found += [Masked(at, [f"{indents[0]}{header}"]) for header in _HEADERS]
        found += [Masked(at, [f"{indents[0]}{header} pass"]) for header in _HEADERS]
    end = block_end(lines, at)
    if end > at:
        found += [Masked(at, [f"{indent}pass", *[""] * (end - at)]) for indent in indents]
    if before is not None:
        found.append(Masked(before, [f"{indent_of(lines[before])}pass", *[""] * (at - before)]))
    first, last = chunk(lines, at)
    found.append(Masked(first, ["pass", *[""] * (last - first)]))
    found.append(Masked(at, [f"{indents[-1]}pass", *[""] * (len(lines) - at - 1)]))
    return found


def mask(source: str, flags: int, ends: float) -> tuple[list[Mistake], str | None, list[int]]:
    """Return all mistakes, a text of as many lines that parses, and which lines were replaced."""
    lines = source.split("\n")
    mistakes: list[Mistake] = []
    touched: set[int] = set()
    only_parse = flags | ast.PyCF_ONLY_AST
    border = 0
    while len(mistakes) < MOST_MISTAKES:
        text = "\n".join(lines)
        mistake = mistake_in(text, flags)
        if mistake is None:
            return trusted(mistakes, len(touched), len(lines)), text, sorted(touched)
        mistake = unclosed(text, mistake)
        if mistake.line > border + 1 or not mistakes:
            mistakes.append(mistake)
        best: tuple[int, float, Masked] | None = None
        for masked in candidates(lines, mistake.line - 1):
            if time.monotonic() > ends:
                return mistakes[:1], None, []
            trial = [*lines[: masked.first], *masked.lines, *lines[masked.last + 1 :]]
            after = mistake_in("\n".join(trial), only_parse)
            # The fewer lines are lost, the better; then the farther the next mistake is.
            reach = float("inf") if after is None else after.line
            rank = (-len(masked.lines), reach)
            if reach > next_line(trial, masked.last) and (best is None or rank > best[:2]):
                best = (*rank, masked)
        if best is None:
            return mistakes[:1], None, []
        masked = best[2]
        for offset, new in enumerate(masked.lines):
            if lines[masked.first + offset] != new:
                touched.add(masked.first + offset + 1)
        lines[masked.first : masked.last + 1] = masked.lines
        border = max(border, masked.last + 1)
    return mistakes[:1], None, []


def trusted(mistakes: list[Mistake], touched: int, lines: int) -> list[Mistake]:
    """Leave out mistakes that come of a wrong guess about an earlier one."""
    if touched > max(MOST_TOUCHED, MOST_TOUCHED_PART * lines):
        return mistakes[:1]
    for index, mistake in enumerate(mistakes):
        if index and "unterminated" in mistake.message:
            # The quotes have come out of step: what follows is text taken for code.
            return mistakes[:index]
    return mistakes


def _complete(source: str) -> bool:
    """Tell whether a text is complete, so that the next line begins a statement."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return mistake_in(source, flags) is None


def without_magics(source: str) -> tuple[str, bool]:
    """Replace what IPython takes for itself, line by line; and tell whether any was there."""
    lines = source.split("\n")
    found = False
    first = next((i for i, line in enumerate(lines) if line.strip()), None)
    if first is not None and lines[first].lstrip().startswith(PYTHON_MAGICS):
        lines[first], found = "pass", True
    continued = False
    for index, line in enumerate(lines):
        stripped = line.strip()
        starts = stripped.startswith(("%", "!", "?")) or (
            stripped.endswith("?") and not stripped.startswith(("#", "'", '"'))
        )
        if not (continued or starts) and _CALLED_WITHOUT_BRACKETS.match(line):
            starts = _complete("\n".join(lines[:index]))
        if continued or starts:
            continued = line.rstrip().endswith("\\")
            lines[index], found = f"{indent_of(line)}pass", True
            continue
        assigned = _ASSIGNED_MAGIC.match(line)
        if assigned:
            continued = line.rstrip().endswith("\\")
            lines[index], found = f"{assigned.group(1)}None", True
    return "\n".join(lines), found


def meaning(source: str, flags: int) -> tuple[str | None, list[str], list[str]]:
    """Return a digest of what a text means to Python, and the names that it defines.

    The first names are those of functions and classes, the second all that get a value.
    """
    try:
        tree: ast.Module = compile(
            source, "<text>", "exec", flags | ast.PyCF_ONLY_AST, dont_inherit=True
        )
        digest = hashlib.sha256(ast.dump(tree).encode("utf-8", "replace")).hexdigest()
    except (RecursionError, MemoryError):
        return None, [], []
    names = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    return digest, names, sorted(bound(tree))


def bound(tree: ast.Module) -> set[str]:
    """Return the names that get a value when a text runs: not those of functions in it."""
    names: set[str] = set()
    todo: list[ast.AST] = [*tree.body]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Store):
                names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).partition(".")[0])
        elif not isinstance(node, ast.Lambda | ast.comprehension):
            todo.extend(ast.iter_child_nodes(node))
    return names


def examine(source: str, *, notebook: bool, ends: float) -> dict[str, Any]:
    """Return what is to be said of one text."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if notebook else 0
    text = source
    if mistake_in(text, flags) is not None and notebook:
        text, _ = without_magics(source)
    mistakes, readable, touched = mask(text, flags, ends)
    digest, names, given = (None, [], []) if readable is None else meaning(readable, flags)
    original = source.split("\n")
    hidden = {name for line in touched for name in _NAME.findall(original[line - 1])}
    if readable is None:
        hidden = set(_NAME.findall(source))
    return {
        "mistakes": [mistake._asdict() for mistake in mistakes],
        # Of a cell with magics the text itself is given on: other tools know them too.
        "readable": source if not mistakes else readable,
        "touched": touched,
        "hidden": sorted(hidden) if mistakes else [],
        "meaning": digest if not mistakes else None,
        "names": names,
        "bound": given,
    }


def answer(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is to be said of each text."""
    ends = time.monotonic() + PATIENCE
    return [examine(source, notebook=request["notebook"], ends=ends) for source in request["texts"]]
