"""Indenting code as deep as its place, without changing what it does.

A line that begins within a string is a part of that string, so it stays as it is. Pure.
"""

from __future__ import annotations

import io
import re
import tokenize

from jupyter_collab_ai.ai.languages import PYTHON

#: What may begin a text of several lines in languages that are not Python.
_TEXTS = ("`", '"""', "'''")
_TEXTS_OF = {
    "bash": ("<<",),
    "c": ("\\\n",),
    "cpp": ('R"', "\\\n"),
    "csharp": ('"""', '@"'),
    "lua": ("[[", "[="),
    "perl": ("<<",),
    "php": ("<<",),
    "ruby": ("<<",),
}
#: Where a text is told by its depth, or all is text.
_BY_DEPTH = frozenset({"yaml", "markdown", "text"})
_ODD = re.compile(r'^[^"\n]*(?:"[^"\n]*"[^"\n]*)*"[^"\n]*$', re.MULTILINE)


def indented(code: str, indent: str, language: str) -> str:
    """Return code at another depth, whatever its own is: each line but what is of a string."""
    lines = code.split("\n")
    strings = within_strings(code, language)
    widths = [
        len(line) - len(line.lstrip())
        for row, line in enumerate(lines)
        if line.strip() and row not in strings
    ]
    common = min(widths, default=0)
    return _moved(lines, strings, indent, common)


def deeper(code: str, indent: str, language: str) -> str:
    """Return code with an indent before each line but what is of a string."""
    return _moved(code.split("\n"), within_strings(code, language), indent, 0)


def _moved(lines: list[str], strings: frozenset[int], indent: str, less: int) -> str:
    return "\n".join(
        line if row in strings else f"{indent}{line[less:]}" if line.strip() else ""
        for row, line in enumerate(lines)
    )


def within_strings(code: str, language: str) -> frozenset[int]:
    """Return the lines, from 0, that begin within a string, or may.

    A docstring's do not count: its indent is that of its code, and is taken off by whoever shows
    it (:pep:`257`).
    """
    if language in _BY_DEPTH:
        return frozenset()
    if language == PYTHON:
        try:
            return _strings(code)
        except (tokenize.TokenError, SyntaxError):
            doubtful = any(mark in code for mark in ('"""', "'''", "\\\n"))
    else:
        marks = _TEXTS_OF.get(language, _TEXTS)
        doubtful = any(mark in code for mark in marks) or _ODD.search(code) is not None
    # In doubt they stay where they are: that is seen at once, and a changed string is not.
    return frozenset(range(1, code.count("\n") + 1)) if doubtful else frozenset()


def _strings(code: str) -> frozenset[int]:
    rows: set[int] = set()
    tokens = list(tokenize.generate_tokens(io.StringIO(code).readline))
    for index, token in enumerate(tokens):
        first, last = token.start[0], token.end[0]
        if first == last:
            continue
        begins_block = index > 0 and tokens[index - 1].type == tokenize.INDENT
        if begins_block and tokens[index + 1].type == tokenize.NEWLINE:
            continue
        rows.update(range(first, last))
    return frozenset(rows)
