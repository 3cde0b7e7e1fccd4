"""Texts that make a regular expression with much backtracking slow, derived from itself.

Such an expression can be matched in several ways against the same characters, so that a repetition
of its own pieces, with an end that fits none of them, shows it. The parser of :mod:`re` tells the
pieces.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import math
import pkgutil
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any

import jupyter_collab_ai

_METHODS = ("match", "fullmatch", "search", "finditer", "findall", "sub", "subn", "split")
#: What stands for a class of characters.
_LIKELY = "aA0_ .-/:=\"'\n\t#<>$%&;,!?*+~@x\x00é€"
_CATEGORIES = {
    "CATEGORY_DIGIT": "0",
    "CATEGORY_NOT_DIGIT": "a",
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_SPACE": "a",
    "CATEGORY_WORD": "a",
    "CATEGORY_NOT_WORD": "-",
}
#: Seconds of the processor from which on it is asked how the time grows, after which nobody waits
#: any longer, and which are too many in any case.
SUSPICIOUS = 0.03
TOO_LONG = 2.0
TOO_BAD = 0.8
#: A text four times as long takes four times as long, and sixteen times where it is quadratic.
MOST_GROWTH = 8.0


@dataclass(frozen=True)
class Used:
    """A pattern of the package, and how it is used."""

    name: str
    pattern: re.Pattern[Any]
    methods: frozenset[str]


def modules() -> Iterator[ModuleType]:
    """Return all modules of the package."""
    found = pkgutil.walk_packages(jupyter_collab_ai.__path__, "jupyter_collab_ai.")
    for info in found:
        if not info.name.endswith("__main__") and ".migrations" not in info.name:
            yield importlib.import_module(info.name)


def patterns() -> Iterator[Used]:
    """Return all patterns that stand in the package, at the top of modules and within functions."""
    for module in modules():
        tree = ast.parse(inspect.getsource(module))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        methods: dict[str, set[str]] = {}
        for call in calls:
            function = call.func
            if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
                methods.setdefault(function.value.id, set()).add(function.attr)
        for name, value in vars(module).items():
            if isinstance(value, re.Pattern) and _is_made_in(tree, name):
                used = methods.get(name, set()) & set(_METHODS)
                yield Used(f"{module.__name__}.{name}", value, frozenset(used or {"finditer"}))
        names = _names(tree)
        top = {id(node.value) for node in tree.body if isinstance(node, ast.Assign)}
        for call in calls:
            pattern = _within(call)
            if pattern is not None and id(call) not in top:
                used = {call.func.attr} if isinstance(call.func, ast.Attribute) else set()
                used = (used | methods.get(names.get(id(call), ""), set())) & set(_METHODS)
                yield Used(
                    f"{module.__name__}:{call.lineno}", pattern, frozenset(used or {"finditer"})
                )


def _is_made_in(tree: ast.Module, name: str) -> bool:
    return any(
        isinstance(target, ast.Name) and target.id == name
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    )


def _names(tree: ast.Module) -> dict[int, str]:
    """Return by which names the values of assignments are known."""
    return {
        id(node.value): target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _within(call: ast.Call) -> re.Pattern[Any] | None:
    """Return the pattern of ``re.search("…", …)`` and the like."""
    if not (
        isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "re"
        and call.func.attr in ("compile", *_METHODS)
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str | bytes)
    ):
        return None
    flags = 0
    for node in ast.walk(call):
        if isinstance(node, ast.Attribute) and node.attr.isupper():
            flags |= getattr(re, node.attr, 0)
    return re.compile(call.args[0].value, flags)


# ---------------------------------------------------------------- texts


def pieces(pattern: re.Pattern[Any]) -> list[list[str]]:
    """Return the ways through a pattern, each as the pieces that it asks for one by one."""
    text = pattern.pattern
    if isinstance(text, bytes):
        text = text.decode("latin-1")
    parsed = parser.parse(text, pattern.flags & ~(re.DEBUG | re.LOCALE))
    ways = _ways(parsed)
    return ways[:: max(1, len(ways) // 60)]


def _ways(parsed: Any) -> list[list[str]]:
    ways: list[list[str]] = [[]]
    for code, argument in parsed:
        more = _ways_of(code, argument)
        # Not all ways through all branches, but each branch once.
        longest = max(len(ways), len(more))
        ways = [ways[i % len(ways)] + more[i % len(more)] for i in range(longest)]
    return ways


def _ways_of(code: Any, argument: Any) -> list[list[str]]:
    if code is op.LITERAL:
        return [[chr(argument)]]
    if code is op.NOT_LITERAL:
        return [[next(one for one in _LIKELY if ord(one) != argument)]]
    if code is op.ANY:
        return [["a"]]
    if code is op.IN:
        return [[one] for one in _members(argument)]
    if code is op.BRANCH:
        return [way for branch in argument[1] for way in _ways(branch)]
    if code is op.SUBPATTERN:
        return _ways(argument[3])
    if code is op.ATOMIC_GROUP:
        return _ways(argument)
    if code in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        least, _, inner = argument
        return [way * max(1, min(least, 40)) for way in _ways(inner)]
    return [[]]


def _members(argument: Any) -> list[str]:
    """Return some characters of a class: what it names, and what it shares with others."""
    negated = argument[0][0] is op.NEGATE
    named: list[str] = []
    ranges: list[tuple[int, int]] = []
    for code, value in argument:
        if code is op.LITERAL:
            named.append(chr(value))
            ranges.append((value, value))
        elif code is op.RANGE:
            named.append(chr(value[0]))
            ranges.append(value)
        elif code is op.CATEGORY:
            named.append(_CATEGORIES[str(value)])
            ranges.append((ord(named[-1]), ord(named[-1])))
    if not negated:
        return named[:6]

    def held(one: str) -> bool:
        return any(low <= ord(one) <= high for low, high in ranges)

    return [one for one in _LIKELY if not held(one)][:3] or ["\u2603"]


def texts(pattern: re.Pattern[Any], size: int, most: int = 200) -> Iterator[str]:
    """Return texts of about so many characters that may be hard for a pattern."""
    seen: set[tuple[str, str]] = set()
    for head, pump in _pumps(pieces(pattern)):
        if pump and (head, pump) not in seen:
            seen.add((head, pump))
            yield head + pump * (size // len(pump)) + "\x00"
            if len(seen) >= most:
                return


def _pumps(ways: list[list[str]]) -> Iterator[tuple[str, str]]:
    """Return beginnings and what is repeated after them."""
    for way in ways:
        yield "", "".join(way)
    # One of each way in turn: a way that has many takes no place from the others.
    turns = [_pumps_of(way) for way in ways]
    while turns:
        for turn in list(turns):
            found = next(turn, None)
            if found is None:
                turns.remove(turn)
            else:
                yield found


def _pumps_of(way: list[str]) -> Iterator[tuple[str, str]]:
    merged = _merged(way)
    for index, piece in enumerate(merged):
        head = "".join(merged[:index])
        yield "", piece
        yield head, piece
        yield "", head + piece
        if index:
            yield "".join(merged[: index - 1]), merged[index - 1] + piece
        yield "", piece + "\n"
    for one in dict.fromkeys(way):
        for other in dict.fromkeys(way):
            yield "", one + other


def _merged(way: list[str]) -> list[str]:
    """Join what is repeated or spelled, so that a word is one piece."""
    merged: list[str] = []
    for piece in way:
        last = merged[-1] if merged else ""
        if last and ((piece.isalnum() and last.isalnum()) or set(last) == {piece}):
            merged[-1] = (last + piece)[:40]
        else:
            merged.append(piece)
    return merged[:14]


# ---------------------------------------------------------------- time


def uses(used: Used) -> Iterator[Callable[[Any], object]]:
    """Return what is done with a pattern."""
    pattern = used.pattern
    for method in sorted(used.methods):
        if method in ("match", "fullmatch", "search"):
            yield getattr(pattern, method)
        elif method in ("sub", "subn"):
            yield lambda text: pattern.sub("", text)
        else:
            yield lambda text: sum(1 for _ in pattern.finditer(text))


def seconds(do: Callable[[Any], object], text: Any) -> float:
    """Return how long the processor works on something; without end, where nobody waits for it."""
    begun = time.thread_time()
    try:
        with _patience():
            do(text)
    except TooSlow:
        return math.inf
    return time.thread_time() - begun


class TooSlow(Exception):
    """It took too long to wait for its end."""


@contextmanager
def _patience() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooSlow

    # Expressions look for signals as they work.
    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, TOO_LONG)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def grows_too_fast(do: Callable[[Any], object], text: Any) -> bool:
    """Tell whether the time grows faster than the text does."""
    whole = seconds(do, text)
    if whole < SUSPICIOUS:
        return False
    if whole >= TOO_BAD:
        return True
    # Less by chance than it is: the least of some attempts.
    part = text[: len(text) // 4] + text[-1:]
    whole = min(whole, *(seconds(do, text) for _ in range(2)))
    quarter = min(seconds(do, part) for _ in range(3))
    return whole >= SUSPICIOUS and whole / max(quarter, 1e-6) > MOST_GROWTH


def slow_text(used: Used, size: int) -> str | None:
    """Return a text on which the time of a pattern grows faster than the text, shortened."""
    is_bytes = isinstance(used.pattern.pattern, bytes)
    for text in texts(used.pattern, size):
        given: Any = text.encode("latin-1", "replace") if is_bytes else text
        for do in uses(used):
            if grows_too_fast(do, given):
                return text[:60]
    return None
