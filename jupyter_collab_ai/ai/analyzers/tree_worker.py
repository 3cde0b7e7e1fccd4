"""What does not parse, by a grammar of tree-sitter; runs behind :mod:`.worker`."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any

from jupyter_collab_ai.ai.analyzers.brackets import MOST, Mismatch, Token, mismatches

#: Words that open and close a block, for languages that have them.
_WORDS: dict[str, dict[str, str]] = {
    "bash": {"if": "fi", "do": "done", "case": "esac"},
    "julia": dict.fromkeys(
        (
            *("function", "if", "for", "while", "begin", "let", "try", "struct", "module"),
            *("macro", "quote", "do", "baremodule"),
        ),
        "end",
    ),
}
_BRACKETS = {"{": "}", "(": ")", "[": "]"}
#: In bash a pattern of ``case`` ends with a bracket that was never opened.
_PAIRS = {"bash": {"{": "}", **_WORDS["bash"]}, "julia": {**_BRACKETS, **_WORDS["julia"]}}
#: Where brackets are no part of the grammar.
_WITHOUT_BRACKETS = frozenset({"bash"})
#: Where new words come faster into the language than into the grammar: brackets alone count.
_BRACKETS_ALONE = frozenset({"css"})
_C = frozenset({"c", "cpp"})
_DIRECTIVE = re.compile(r"[ \t]*#[ \t]*(if|ifdef|ifndef|elif|else|endif)\b(.*)")
#: What the preprocessor may turn into anything: a name in capitals, that a header defines.
_MACRO = re.compile(r"\b_*[A-Z][A-Z0-9]*_?[A-Z0-9_]{2,}\b|\btypeid\b|\b__\w+")
#: Such names that are values, in every C library; and those that the text itself defines.
_CONSTANTS = frozenset(
    (
        *("NULL", "EOF", "FILE", "TRUE", "FALSE", "BUFSIZ", "INT_MAX", "INT_MIN", "UINT_MAX"),
        *("LONG_MAX", "LONG_MIN", "LLONG_MAX", "LLONG_MIN", "CHAR_MAX", "CHAR_MIN", "SIZE_MAX"),
        *("RAND_MAX", "EXIT_SUCCESS", "EXIT_FAILURE", "SEEK_SET", "SEEK_END", "SEEK_CUR"),
        *("DBL_MAX", "DBL_MIN", "FLT_MAX", "FLT_MIN", "M_PI", "CLOCKS_PER_SEC", "PATH_MAX"),
        *("INFINITY", "NAN", "ULONG_MAX"),
    )
)
_DEFINED = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+[-+(\w\"']", re.MULTILINE)
_CPP = re.compile(r"\btemplate\s*<|\bnamespace\s|\bclass\s+\w+\s*[:{;]|\bstd::")
#: Characters of what is quoted in a message.
_QUOTED = 30


def grammar(language: str) -> Any:
    """Return the parser of a language.

    Raises:
        ImportError: It isn't installed.
    """
    import tree_sitter

    module = importlib.import_module(f"tree_sitter_{MODULES.get(language, language)}")
    made = getattr(module, FUNCTIONS.get(language, "language"))()
    return tree_sitter.Parser(tree_sitter.Language(made))


#: Names of modules and of their functions that are not the language's own.
MODULES = {"csharp": "c_sharp"}
FUNCTIONS = {"php": "language_php"}


def answer(request: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Return the mistakes of each text.

    A text that parses by any one of the languages has none; those of the first are told.
    """
    parsers = [(name, grammar(name)) for name in request["languages"]]
    return [_examine(text, parsers) for text in request["texts"]]


def _examine(text: str, parsers: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    null = text.find("\0")
    if null >= 0:
        lines = text.encode("utf-8", "replace").split(b"\n")
        row = text.count("\n", 0, null)
        column = len(lines[row].partition(b"\0")[0])
        return [_mistake(lines, row, column, row, column + 1, "message", _NULL)]
    if len(parsers) > 1 and _CPP.search(text):
        # A header says by its name only that it is one of the two.
        parsers = parsers[::-1]
    first: tuple[str, Any] | None = None
    encoded = text.encode("utf-8", "replace")
    for name, parser in parsers:
        tree = parser.parse(encoded)
        if tree.root_node.has_error and name in _C:
            encoded = _one_branch(text).encode("utf-8", "replace")
            tree = parser.parse(encoded)
        if not tree.root_node.has_error:
            return []
        if first is None:
            first = name, tree
    assert first is not None
    name, tree = first
    lines = encoded.split(b"\n")
    wrong = _mismatches(name, tree, lines)
    if wrong:
        found = [_told(one, lines) for one in wrong]
    elif name in _BRACKETS_ALONE:
        return []
    else:
        found = list(_errors(tree, encoded, lines))
    if name in _C and not wrong:
        defined = set(_DEFINED.findall(text))
        if any(_may_be_a_macro(lines, one["line"] - 1, defined) for one in found):
            return []
    return found


_NULL = "The text holds a null byte"


def _one_branch(text: str) -> str:
    """Leave out of C what its preprocessor chooses between: all branches but the first."""
    lines = text.split("\n")
    kept: list[bool] = []
    for index, line in enumerate(lines):
        match = _DIRECTIVE.match(line)
        if match:
            word, condition = match[1], match[2].strip()
            if word in ("if", "ifdef", "ifndef"):
                kept.append(condition not in ("0", "__cplusplus", "defined(__cplusplus)"))
            elif word in ("elif", "else") and kept:
                kept[-1] = False
            elif word == "endif" and kept:
                kept.pop()
        if match or not all(kept):
            lines[index] = ""
    return "\n".join(lines)


def _may_be_a_macro(lines: list[bytes], line: int, defined: set[str]) -> bool:
    around = b"\n".join(lines[max(0, line - 2) : line + 2]).decode("utf-8", "replace")
    return any(name not in defined | _CONSTANTS for name in _MACRO.findall(around))


def _mismatches(language: str, tree: Any, lines: list[bytes]) -> list[Mismatch]:
    if language in _WITHOUT_BRACKETS:
        return []
    pairs = _PAIRS.get(language, _BRACKETS)
    known = {*pairs, *pairs.values()}
    tokens = (
        Token(node.type, *node.start_point)
        for node in _leaves(tree)
        if node.type in known and not node.is_missing
    )
    return mismatches(tokens, [line.decode("utf-8", "replace") for line in lines], pairs)


def _leaves(tree: Any) -> Iterator[Any]:
    cursor = tree.walk()
    while True:
        if cursor.goto_first_child():
            continue
        yield cursor.node
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


def _errors(tree: Any, encoded: bytes, lines: list[bytes]) -> Iterator[dict[str, Any]]:
    """Return the places where the parser gave up, one for each top-level item."""
    cursor = tree.walk()
    told = 0
    last = -10
    while told < MOST:
        node = cursor.node
        if node.is_error or node.is_missing:
            line = node.start_point[0]
            if line > last + 3:
                yield _place(node, encoded, lines)
                told += 1
            last = max(last, node.end_point[0])
        elif node.has_error and cursor.goto_first_child():
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return


def _place(node: Any, encoded: bytes, lines: list[bytes]) -> dict[str, Any]:
    (line, column), (end_line, end_column) = node.start_point, node.end_point
    if node.is_missing:
        what = node.type if not node.is_named else node.type.replace("_", " ")
        return _mistake(lines, line, column, line, column, "missing", what)
    # What the parser could not use of the text is at the end of what it had to skip.
    worst = node
    while worst.child_count and not worst.is_missing:
        inner = [child for child in worst.children if child.is_error or child.is_missing]
        worst = inner[0] if inner else worst.children[-1]
        if not inner:
            break
    if not worst.is_missing and worst.start_point[0] <= line + 1:
        line, column = worst.start_point
        end_line, end_column = worst.end_point
    text = encoded[worst.start_byte : worst.end_byte].decode("utf-8", "replace")
    quoted = " ".join(text.split())[:_QUOTED]
    return _mistake(lines, line, column, end_line, end_column, "unexpected", quoted)


def _told(wrong: Mismatch, lines: list[bytes]) -> dict[str, Any]:
    token = wrong.token
    if wrong.line == token.line:
        end = token.column + len(token.text)
        place = (token.line, token.column, token.line, end)
    else:
        place = (wrong.line, 0, wrong.line, len(lines[wrong.line]))
    return {**_mistake(lines, *place, wrong.kind, token.text), "of": token.line + 1}


def _mistake(
    lines: list[bytes],
    line: int,
    column: int,
    end_line: int,
    end_column: int,
    kind: str,
    what: str,
) -> dict[str, Any]:
    def characters(row: int, byte: int) -> int:
        if row >= len(lines):
            return 1
        return len(lines[row][:byte].decode("utf-8", "ignore")) + 1

    return {
        "line": line + 1,
        "column": characters(line, column),
        "end_line": end_line + 1,
        "end_column": characters(end_line, end_column),
        "kind": kind,
        "what": what,
    }
