"""Which bracket is wrong: pairs of them, with the indentation as a witness. Pure.

A parser notices a missing bracket where the text stops making sense, often far below. People
indent what they mean, so the lines tell where the bracket should have been.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

#: Mistakes that are told of one text.
MOST = 5


class Token(NamedTuple):
    """A bracket, or a word that opens or closes a block; line and column count from 0."""

    text: str
    line: int
    column: int


@dataclass(frozen=True)
class Mismatch:
    """A bracket without its other half, and where the other half seems to be missing."""

    token: Token
    #: ``unclosed`` or ``unopened``.
    kind: str
    #: The line, from 0, that the indentation names.
    line: int


def indent(line: str) -> int:
    """Return how deep a line is indented, a tab counted up to the next eighth column."""
    expanded = line.expandtabs()
    return len(expanded) - len(expanded.lstrip())


class _Matcher:
    def __init__(self, lines: Sequence[str], pairs: Mapping[str, str]) -> None:
        self.lines = lines
        self.pairs = pairs
        self.stack: list[Token] = []
        self.found: list[Mismatch] = []
        #: A closing bracket that stands deeper than what it closes: something may lack above.
        self.suspect: Token | None = None

    def run(self, tokens: Iterable[Token]) -> list[Mismatch]:
        closers = set(self.pairs.values())
        for token in tokens:
            if token.text in self.pairs:
                self.stack.append(token)
            elif token.text in closers:
                self._close(token)
            if len(self.found) >= MOST:
                return self.found
        for token in self.stack[: MOST - len(self.found)]:
            self._unclosed(token, len(self.lines))
        return self.found

    def _first(self, token: Token) -> bool:
        return not self.lines[token.line][: token.column].strip()

    def _depth(self, token: Token) -> int:
        return indent(self.lines[token.line])

    def _close(self, token: Token) -> None:
        fits = [i for i, open_ in enumerate(self.stack) if self.pairs[open_.text] == token.text]
        if not fits:
            self._unopened(token)
            return
        best = fits[-1]
        top = self.stack[best]
        if self._first(token) and top.line != token.line and best == len(self.stack) - 1:
            depth = self._depth(token)
            if self._depth(top) > depth:
                # It is less deep than what it would close: that one was left open.
                exact = [i for i in fits if self._depth(self.stack[i]) == depth]
                if exact and self._first_is_deeper(exact[-1], depth):
                    best = exact[-1]
            elif self._depth(top) < depth and self.suspect is None:
                self.suspect = token
        for left in self.stack[best + 1 :]:
            self._unclosed(left, token.line)
        del self.stack[best:]

    def _first_is_deeper(self, index: int, depth: int) -> bool:
        return all(self._depth(token) > depth for token in self.stack[index + 1 :])

    def _unclosed(self, token: Token, before: int) -> None:
        line = token.line
        if token.text not in "([" and self._opens_block(token):
            depth = self._depth(token)
            for at in range(token.line + 1, before):
                text = self.lines[at]
                if not text.strip():
                    continue
                if indent(text) <= depth:
                    break
                line = at
        self.found.append(Mismatch(token, "unclosed", line))

    def _opens_block(self, token: Token) -> bool:
        return not self.lines[token.line][token.column + len(token.text) :].strip(" \t;")

    def _unopened(self, token: Token) -> None:
        culprit, self.suspect = self.suspect or token, None
        line = culprit.line
        if self._first(culprit):
            depth = self._depth(culprit)
            for at in range(culprit.line - 1, -1, -1):
                text = self.lines[at]
                if not text.strip() or indent(text) > depth:
                    continue
                if indent(text) == depth and not set(text) & set("{}"):
                    line = at
                break
        self.found.append(Mismatch(culprit, "unopened", line))


def mismatches(
    tokens: Iterable[Token], lines: Sequence[str], pairs: Mapping[str, str]
) -> list[Mismatch]:
    """Return the brackets that have no other half, in the order in which they are noticed.

    Args:
        tokens: All of them, in order, without those in text and comments.
        lines: The lines of the text.
        pairs: What opens, and what closes it.
    """
    tokens = list(tokens)
    # Indentation is a witness of where a fault is, never of whether there is one.
    return [] if _balanced(tokens, pairs) else _Matcher(lines, pairs).run(tokens)


def _balanced(tokens: Iterable[Token], pairs: Mapping[str, str]) -> bool:
    closers = set(pairs.values())
    stack: list[str] = []
    for token in tokens:
        if token.text in pairs:
            stack.append(pairs[token.text])
        elif token.text in closers and (not stack or stack.pop() != token.text):
            return False
    return not stack
