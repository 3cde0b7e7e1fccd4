"""What a model writes in place of code that it leaves out. Pure.

Only what can hardly mean anything else counts, since it keeps code from being written: a comment
that says nothing but that there is more (``# ... rest of the code unchanged ...``), or one that
asks for code, in a body that has none.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

_COMMENTS = ("#", "//", "--", "%", "/*", "<!--", ";")
#: Characters of such a comment at most, and of one that asks for code.
_LONGEST = 160
_SHORT = 60


def _words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


_WORD = re.compile(r"[^\W\d_]+(?:['’][a-z]+)?")
#: What the comment is about, what it says of that, and what joins the two.
_THINGS = _words(
    "code function functions method methods class classes implementation implementations logic "
    "imports import definitions definition helpers helper file script module cell cells tests "
    "body content contents lines statements parts part document program notebook section"
)
_MORE = _words("rest remainder existing remaining previous other original")
_SAID = _words("unchanged same omitted remains remain stays stay here goes go continues before")
_JOINING = _words(
    "the of your this that and or is are as above below for brevity all any from with no changes "
    "keep exactly it in to be not shown etc"
)
_LEFT = _words("unchanged omitted")
_ALL = _THINGS | _MORE | _SAID | _JOINING
#: Comments that ask somebody else for code.
_ASKS = re.compile(
    r"\b(?:your|add|insert|write|put|more|actual)(?: \w+){0,3}? (?:code|implementation|logic)\b"
    r"|^(?:todo:? )?implement (?:it|this|me)\b"
    r"|\b(?:code|implementation|logic)(?: \w+){0,2} (?:here|omitted|unchanged|remains?|stays?)\b"
    r"|\b(?:rest|remainder) of (?:the|your|this|that) "
    r"(?:code|function|method|class|implementation|logic|file|script|module|body)\b"
    r"|\b(?:existing|previous|remaining|original) (?:code|functions?|methods?|logic)\b",
    re.IGNORECASE,
)
#: What stands in a body that has nothing in it.
_NOTHING = re.compile(
    r"(?:pass|\.\.\.|…|return(?: None| null)?|raise NotImplementedError\b.{0,100}|\}|\)|end)[;,]?"
    r"\s*(?:#.*)?$"
)
#: Where a handler or another way does nothing, a comment says why.
_DEFINES = re.compile(r"(?:async def|def|class|function|func|fn|public|private|export|static)\b")
_BRANCHES = re.compile(r"(?:\}\s*)?(?:if|else|elif|for|while|do|try|catch|finally|switch|case)\b")
_QUOTES = ('"""', "'''")
#: Lines above and below a comment that are looked at.
_NEAR = 60


def left_out(code: str, known: Container[str], *, headings: bool = False) -> str:
    """Return the first comment that stands for code that is not there; empty where none does.

    Args:
        code: What was written.
        known: Lines that stood in the document before.
        headings: Whether ``#`` begins a heading and no comment.
    """
    lines = code.split("\n")
    for index, line in enumerate(lines):
        comment = _comment(line, headings)
        if not comment or line in known:
            continue
        if _says_nothing_else(comment) or (_asks(comment) and _alone(lines, index)):
            return line.strip()
    return ""


def _comment(line: str, headings: bool) -> str:
    """Return what a line says that is a comment and not too long."""
    text = line.strip()
    if not text.startswith(_COMMENTS) or len(text) > _LONGEST:
        return ""
    if headings and not text.startswith("<!--"):
        return ""
    return text.lstrip("#/-%*<!; \t").rstrip("-*/> \t")


def _says_nothing_else(comment: str) -> bool:
    words = {word.lower() for word in _WORD.findall(comment)}
    if not words <= _ALL:
        return False
    if "..." in comment or "…" in comment:
        return bool(words & (_MORE | _LEFT | {"same"}))
    # “The rest is the same” may be said of anything.
    return bool(words & _THINGS) and bool((words & _MORE and words & _SAID) or words & _LEFT)


def _asks(comment: str) -> bool:
    if len(comment) > _SHORT:
        return False
    dots = "..." in comment or "…" in comment
    return _ASKS.search(comment) is not None or (
        dots and not _MORE.isdisjoint(_WORD.findall(comment.lower()))
    )


def _alone(lines: Sequence[str], index: int) -> bool:
    """Tell whether a comment is all that there is in a definition, or in the text."""
    indent = _indent(lines[index])
    below = [line for line in lines[index + 1 : index + 1 + _NEAR] if _is_code(line)][:2]
    inside = [line for line in below[:1] if _indent(line) >= indent]
    if inside and not (
        _NOTHING.match(inside[0].strip())
        and all(_indent(line) < indent or indent == 0 for line in below[1:])
    ):
        return False
    above: list[str] = []
    for line in reversed(lines[max(0, index - _NEAR) : index]):
        if not line.strip():
            continue
        if _indent(line) < indent:
            return _defines(line.strip()) and _is_docstring(above[::-1])
        if _is_code(line):
            above.append(line.strip())
    return index <= _NEAR and not above and len(below) == len(inside)


def _is_code(line: str) -> bool:
    text = line.strip()
    return bool(text) and not text.startswith(_COMMENTS)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _defines(header: str) -> bool:
    if header.endswith("{"):
        return not _BRANCHES.match(header)
    return _DEFINES.match(header) is not None


def _is_docstring(lines: Sequence[str]) -> bool:
    text = "\n".join(lines)
    quotes = text[:3]
    return not text or (quotes in _QUOTES and text.find(quotes, 3) in (-1, len(text) - 3))
