"""What does not parse as R: its tokens are read and what can't stand side by side is told.

There is no R in Python. This is no grammar: it knows text, comments, brackets and which two
tokens can never follow each other, and says nothing where it is not sure.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from jupyter_collab_ai.ai.analyzers.brackets import Token, mismatches

_RAW = re.compile(r"[rR](['\"])(-*)([(\[{])")
_TOKEN = re.compile(
    r"""(?P<space>[ \t\f\r\xa0]+)|(?P<comment>\#[^\n]*)|(?P<line>\n)
    |(?P<number>(?:0[xX][\da-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[Li]?)
    |(?P<name>(?:[^\W\d]|\.(?!\d))[\w.]*)
    |(?P<operator>%[^%\n]*%|<<-|->>|\|>|<-|->|:::|::|:=|<=|>=|==|!=|&&|\|\||\\|[-+*/^<>=!&|~?:$@])
    |(?P<comma>[,;])|(?P<open>[\[({])|(?P<close>[\])}])""",
    re.VERBOSE,
)
_CLOSED_BY = {"(": ")", "[": "]", "{": "}"}
_BEFORE = frozenset({"else", "repeat", "in", "function", "if", "for", "while"})
#: After these a new expression may begin without an operator.
_PREFIX = frozenset({"-", "+", "!", "~", "?", "\\"})
_MOST = 5


class _Piece(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


class _Unended(Exception):
    def __init__(self, start: int, what: str) -> None:
        self.start = start
        self.what = what


def answer(request: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Return the mistakes of each text."""
    return [_examine(text) for text in request["texts"]]


def _examine(text: str) -> list[dict[str, Any]]:
    try:
        pieces = _pieces(text)
    except _Unended as error:
        return [_at(text, error.start, error.start + 1, error.what)]
    starts = [0]
    for index, character in enumerate(text):
        if character == "\n":
            starts.append(index + 1)
    lines = text.split("\n")
    tokens = []
    row = 0
    for piece in pieces:
        while row + 1 < len(starts) and starts[row + 1] <= piece.start:
            row += 1
        if piece.kind in ("open", "close"):
            tokens.append(Token(piece.text, row, piece.start - starts[row]))
    wrong = mismatches(tokens, lines, _CLOSED_BY)
    if wrong:
        return [
            {
                "line": one.line + 1,
                "column": one.token.column + 1 if one.line == one.token.line else 1,
                "end_line": one.line + 1,
                "end_column": one.token.column + 2
                if one.line == one.token.line
                else len(lines[one.line]) + 1,
                "kind": one.kind,
                "what": one.token.text,
                "of": one.token.line + 1,
            }
            for one in wrong
        ]
    return _neighbours(text, pieces)


def _pieces(text: str) -> list[_Piece]:
    pieces: list[_Piece] = []
    at = 0
    while at < len(text):
        raw = _RAW.match(text, at)
        if raw:
            end = text.find(f"{_CLOSED_BY[raw[3]]}{raw[2]}{raw[1]}", raw.end())
            if end < 0:
                raise _Unended(at, "This raw text is never closed")
            end += len(raw[2]) + 2
            pieces.append(_Piece("text", "", at, end))
            at = end
            continue
        if text[at] in "'\"`":
            end = _text_end(text, at)
            pieces.append(_Piece("name" if text[at] == "`" else "text", "`", at, end))
            at = end
            continue
        match = _TOKEN.match(text, at)
        if match is None:
            pieces.append(_Piece("odd", text[at], at, at + 1))
            at += 1
            continue
        kind = str(match.lastgroup)
        if kind not in ("space", "comment"):
            pieces.append(_Piece(kind, match[0], at, match.end()))
        at = match.end()
    return pieces


def _text_end(text: str, start: int) -> int:
    quote, at = text[start], start + 1
    while at < len(text):
        if text[at] == "\\":
            at += 2
        elif text[at] == quote:
            return at + 1
        else:
            at += 1
    raise _Unended(start, "A quote is opened here and never closed")


def _neighbours(text: str, pieces: list[_Piece]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    #: For each open bracket, its kind, and whether it belongs to if, for, while or function.
    depth: list[tuple[str, bool]] = []
    before: _Piece | None = None
    #: Whether what stands before is a value, so that another one can't follow.
    value = False
    condition = False
    for piece in pieces:
        if len(found) >= _MOST:
            break
        if piece.kind == "line":
            if not depth or depth[-1][0] == "{":
                if before is not None and before.kind not in ("operator", "comma"):
                    before = None
                value = False
            continue
        if before is not None and before.text in ("if", "for", "while") and piece.kind != "open":
            message = f"After {before.text}, brackets have to stand around the condition"
            found.append(_at(text, piece.start, piece.end, message))
            break
        begins = piece.kind in ("number", "name", "text") and piece.text != "in"
        if begins and value and piece.text != "else":
            found.append(_at(text, piece.start, piece.end, "Something is missing before this"))
            break
        if piece.text == "else" and not depth and before is None:
            message = "At the top level, else can't begin a line: the if before it has ended"
            found.append(_at(text, piece.start, piece.end, message))
            break
        if (
            piece.kind == "close"
            and before is not None
            and before.kind == "operator"
            # These stand at the end in formulas and pipes of lambdas.
            and before.text not in ("=", "?", "~")
        ):
            found.append(
                _at(text, before.start, before.end, f"After {before.text} something is missing")
            )
            break
        if piece.kind == "open":
            header = before is not None and before.text in ("if", "for", "while", "function", "\\")
            depth.append((piece.text, header))
            value = False
        elif piece.kind == "close":
            condition = depth.pop()[1] if depth else False
            value = not condition and piece.text != "}"
            before = piece
            if condition:
                before = _Piece("operator", "=", piece.start, piece.end)
            continue
        else:
            value = begins and piece.text not in _BEFORE and piece.text != "else"
        before = piece
    return found


def _at(text: str, start: int, end: int, message: str) -> dict[str, Any]:
    line = text.count("\n", 0, start)
    return {
        "line": line + 1,
        "column": start - text.rfind("\n", 0, start),
        "end_line": line + 1,
        "end_column": end - text.rfind("\n", 0, start),
        "kind": "message",
        "what": message,
    }
