"""Examples that stand in a text and do not hold: `>>> f(2)`, `f(2) == 4`, `assert f(2) == 4`."""

from __future__ import annotations

import ast
import contextlib
import copy
import re
import time
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from .model import Hit, Rule, check
from .module import Module, inside
from .reckoning import Endless, Reckoner, Unknown, Wrong, bounded

#: Seconds for all examples of a text, and for looking for the line that is at fault.
PATIENCE = 1.0
MOST_EXAMPLES = 12
MOST_CHANGES = 600

RULE = Rule(
    "example-does-not-hold",
    "bug",
    "error",
    0.85,
    "An example that stands in the text does not hold",
    "The example tells what the function should give, and worked out by hand the code gives "
    "something else. One of the two is wrong. Where a single small change makes all examples "
    "true, its line is named.",
)


@dataclass(frozen=True)
class Example:
    """What a function should give."""

    name: str
    arguments: tuple[Any, ...]
    wanted: Any

    @property
    def text(self) -> str:
        """The call as it is written."""
        return f"{self.name}({', '.join(map(repr, self.arguments))})"


_CALL = r"(\w+\(.*\))[ \t]*"
_PROMPT = re.compile(rf"^[ \t]*>>>[ \t]*{_CALL}\n[ \t]*(?!>>>)(\S.*)$", re.MULTILINE)
_BEFORE = r"(?:>>>[ \t]*|[-*#][ \t]+|assert[ \t]+|[Ff]or |e\.g\. |[Ee]xamples?:[ \t]*)?"
_INLINE = re.compile(
    rf"^[ \t]*{_BEFORE}{_CALL}"
    r"(?:==>|==|=>|->|=|➞|→|returns?|should return)[ \t]*(\S.*)$",
    re.MULTILINE,
)
#: How other languages write these.
_OTHERS = {"true": "True", "false": "False", "null": "None"}


def examples_in(module: Module, names: set[str], ends: float) -> list[Example]:
    """Return the examples for some functions: from texts, and from assertions.

    Those that are not found by the time ``ends`` are left out.
    """
    found: list[Example] = []
    for node in module.nodes:
        if time.monotonic() > ends:
            return found
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            text = node.value.value
            if isinstance(text, str) and len(text) < 10_000:
                for pattern in (_PROMPT, _INLINE):
                    for match in pattern.finditer(text):
                        found += _example(match.group(1), match.group(2), names)
    for call, wanted in _claims(module):
        if time.monotonic() > ends:
            break
        # What is nested too deeply, or a number with too many digits, can't be written out.
        with contextlib.suppress(ValueError, RecursionError):
            found += _example(ast.unparse(call), ast.unparse(wanted), names)
    return found


def _claims(module: Module) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Return what is said to be equal: by assertions and by the methods of unittest."""
    for statement in module.all(ast.Assert):
        test = statement.test
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            if isinstance(test.ops[0], ast.Eq | ast.Is):
                yield test.left, test.comparators[0]
    for call in module.all(ast.Call):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "assertEqual":
            if len(call.args) >= 2:
                yield call.args[0], call.args[1]


def _example(call: str, wanted: str, names: set[str]) -> list[Example]:
    try:
        node = ast.parse(call, mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            return []
        if node.func.id not in names or node.keywords:
            return []
        values = tuple(ast.literal_eval(arg) for arg in node.args)
        wanted = wanted.rstrip().rstrip(".;,")
        result = ast.literal_eval(_OTHERS.get(wanted, wanted))
        bounded((values, result))
        return [Example(node.func.id, values, result)]
    except (Unknown, SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return []


@check
def examples(module: Module) -> Iterator[Hit]:
    """Work out each example, and look for the line at fault where it does not hold."""
    functions = {
        node.name: node
        for node in module.tree.body
        if isinstance(node, ast.FunctionDef) and not node.decorator_list
    }
    modules = {name for name, full in module.imports.items() if name == full == "math"}
    known = _Known(functions, frozenset(modules), _constants(module))
    ends = time.monotonic() + PATIENCE
    wanted = examples_in(module, set(functions), ends)
    for name, function in functions.items():
        if time.monotonic() > ends:
            return
        own = [one for one in wanted if one.name == name][:MOST_EXAMPLES]
        if not own:
            continue
        answers = [_ask(known, one, ends) for one in own]
        failed = [
            (one, answer)
            for one, answer in zip(own, answers, strict=True)
            if not isinstance(answer, Unknown) and not _holds(one, answer)
        ]
        if not failed or any(isinstance(answer, Unknown) for answer in answers):
            continue
        example, answer = failed[0]
        given = f"gives {answer!r}"
        if isinstance(answer, Wrong):
            given = f"raises {answer.kind}"
        elif isinstance(answer, Endless):
            given = "does not come to an end"
        title = f"`{example.text}` should be {example.wanted!r} and {given}"
        place = _at_fault(known, function, own, ends)
        if place is None and isinstance(answer, Endless):
            # It may only take long.
            continue
        node: ast.AST = function
        if place is not None:
            node, change = place
            title += f"; it would be with `{change}` here"
        if place is None:
            # The statement that gave the wrong answer, or raised.
            node = _statement_at(function, _last_line(known, example, ends)) or function
        # Where no change helps, the example may be what is wrong.
        sure = place is not None or len(failed) < len(own)
        rule = RULE if sure else Rule(**{**RULE.__dict__, "confidence": 0.6, "severity": "warning"})
        yield Hit(rule, node, title[:300])


@dataclass(frozen=True)
class _Known:
    """What a module defines at its top."""

    functions: dict[str, ast.FunctionDef]
    modules: frozenset[str]
    constants: dict[str, Any]


def _constants(module: Module) -> dict[str, Any]:
    """Return the values that stand at the top of a module and are never changed."""
    found: dict[str, Any] = {}
    names = module.all(ast.Name)
    stores = Counter(node.id for node in names if not isinstance(node.ctx, ast.Load))
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if stores[name] == 1 and len(node.targets) == 1:
                with contextlib.suppress(ValueError, TypeError, MemoryError, RecursionError):
                    found[name] = ast.literal_eval(node.value)
    return found


def _ask(known: _Known, example: Example, ends: float) -> Any:
    if time.monotonic() > ends:
        return Unknown()
    try:
        reckoner = Reckoner(known.functions, set(known.modules), ends, known.constants)
        return reckoner.call(example.name, [copy.deepcopy(one) for one in example.arguments])
    except (Unknown, Endless) as unknown:
        return unknown
    except Wrong as wrong:
        return wrong


def _last_line(known: _Known, example: Example, ends: float) -> int:
    """Return the line at which a call ended."""
    reckoner = Reckoner(known.functions, set(known.modules), ends, known.constants)
    with contextlib.suppress(Unknown, Wrong, Endless):
        reckoner.call(example.name, [copy.deepcopy(one) for one in example.arguments])
    return reckoner.line


def _holds(example: Example, answer: Any) -> bool:
    return not isinstance(answer, Wrong | Unknown | Endless) and _alike(answer, example.wanted)


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, float) or isinstance(other, float):
        numbers = isinstance(one, int | float) and isinstance(other, int | float)
        return numbers and abs(one - other) <= 1e-6 * max(1.0, abs(one), abs(other))
    return bool(one == other)


def _statement_at(function: ast.FunctionDef, line: int) -> ast.AST | None:
    return next(
        (
            node
            for node in ast.walk(function)
            if isinstance(node, ast.stmt) and node.lineno == line and node is not function
        ),
        None,
    )


def _at_fault(
    known: _Known, function: ast.FunctionDef, own: list[Example], ends: float
) -> tuple[ast.AST, str] | None:
    """Return where one small change makes all examples true, and what would stand there."""
    used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    helpers = sorted(used & set(known.functions) - {function.name})
    tried = 0
    for suspect in [function, *(known.functions[name] for name in helpers)]:
        with contextlib.closing(_changes(suspect)) as changes:
            for node in changes:
                tried += 1
                if tried > MOST_CHANGES or time.monotonic() > ends:
                    return None
                if all(_holds(one, _ask(known, one, ends)) for one in own):
                    return node, ast.unparse(node).split("\n")[0]
    return None


def _changes(function: ast.FunctionDef) -> Generator[ast.AST, None, None]:
    """Change one thing after the other; each is changed back before the next."""
    nodes = [node for statement in function.body for node in ast.walk(statement)]
    local = sorted(
        {
            node.id
            for node in nodes
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        | {arg.arg for arg in function.args.args}
    )
    for attempt in (_operators, _words, _orders, _numbers, _steps, _halves, _statements):
        for node in nodes:
            for _ in attempt(node):
                yield node
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in local:
            old = node.id
            for other in local[:10]:
                if other != old:
                    node.id = other
                    try:
                        yield node
                    finally:
                        node.id = old


def _tried(owner: Any, field: str, values: list[Any]) -> Iterator[None]:
    """Put values into a field in turn, and the old one back."""
    old = getattr(owner, field)
    try:
        for value in values:
            setattr(owner, field, value)
            yield
    finally:
        setattr(owner, field, old)


_ORDER: tuple[type[ast.cmpop], ...] = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
_SUMS: tuple[type[ast.operator], ...] = (ast.Add, ast.Sub, ast.Mult, ast.FloorDiv, ast.Mod, ast.Div)
_BITS: tuple[type[ast.operator], ...] = (ast.BitAnd, ast.BitOr, ast.BitXor)


def _operators(node: ast.AST) -> Iterator[None]:
    if isinstance(node, ast.Compare):
        for index, op in enumerate(node.ops):
            turned: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
                ast.In: [ast.NotIn],
                ast.NotIn: [ast.In],
                ast.Is: [ast.IsNot],
                ast.IsNot: [ast.Is],
            }
            kinds = turned.get(type(op), [one for one in _ORDER if one is not type(op)])
            others = [[*node.ops[:index], kind(), *node.ops[index + 1 :]] for kind in kinds]
            yield from _tried(node, "ops", others)
    elif isinstance(node, ast.BoolOp):
        yield from _tried(node, "op", [ast.And() if isinstance(node.op, ast.Or) else ast.Or()])
    elif isinstance(node, ast.BinOp | ast.AugAssign):
        kinds_of = _BITS if isinstance(node.op, _BITS) else (*_SUMS, ast.Pow)
        others_of = [kind() for kind in kinds_of if kind is not type(node.op)]
        yield from _tried(node, "op", others_of)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield from _tried(node, "op", [ast.UAdd()])


_TWINS = (
    *(("min", "max"), ("any", "all"), ("floor", "ceil"), ("upper", "lower"), ("find", "rfind")),
    *(("isupper", "islower"), ("append", "extend"), ("isalpha", "isdigit"), ("lstrip", "rstrip")),
    *(("startswith", "endswith"), ("index", "count"), ("sum", "max"), ("sum", "len")),
)


def _words(node: ast.AST) -> Iterator[None]:
    field = (
        "id" if isinstance(node, ast.Name) else "attr" if isinstance(node, ast.Attribute) else ""
    )
    if field:
        name = getattr(node, field)
        twins = [b for a, b in _TWINS if a == name] + [a for a, b in _TWINS if b == name]
        yield from _tried(node, field, twins)


def _orders(node: ast.AST) -> Iterator[None]:
    if isinstance(node, ast.Call) and len(node.args) == 2:
        yield from _tried(node, "args", [node.args[::-1]])
    elif isinstance(node, ast.Tuple | ast.List) and len(node.elts) == 2:
        yield from _tried(node, "elts", [node.elts[::-1]])
    elif isinstance(node, ast.BinOp):
        turned = ast.copy_location(ast.BinOp(node.right, node.op, node.left), node)
        yield from _as_other(node, turned)


def _as_other(node: ast.BinOp, other: ast.BinOp) -> Iterator[None]:
    left, right = node.left, node.right
    node.left, node.right = other.left, other.right
    try:
        yield
    finally:
        node.left, node.right = left, right


def _numbers(node: ast.AST) -> Iterator[None]:
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, bool):
            yield from _tried(node, "value", [not value])
        elif isinstance(value, int):
            near = [value + 1, value - 1, 0, 1, 2, -value]
            yield from _tried(node, "value", [one for one in dict.fromkeys(near) if one != value])
        elif isinstance(value, str):
            yield from _tried(node, "value", [one for one in ("", " ", ",") if one != value])
    elif isinstance(node, ast.List) and not node.elts and isinstance(node.ctx, ast.Load):
        yield from _tried(node, "elts", [[ast.copy_location(ast.List([], ast.Load()), node)]])


def _steps(node: ast.AST) -> Iterator[None]:
    """Put one more or less to the ends of ranges and pieces, and to what is returned."""
    for field in ("slice", "lower", "upper", "value"):
        part = getattr(node, field, None)
        ends = isinstance(node, ast.Slice | ast.Subscript | ast.Return)
        if ends and isinstance(part, ast.Name | ast.Call | ast.BinOp) and field != "ctx":
            if field == "value" and not isinstance(node, ast.Return):
                continue
            yield from _tried(node, field, [_plus(part, 1), _plus(part, -1)])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        for index, arg in enumerate(node.args):
            if node.func.id == "range" or isinstance(arg, ast.Name):
                others = [
                    [*node.args[:index], _plus(arg, step), *node.args[index + 1 :]]
                    for step in (1, -1)
                ]
                yield from _tried(node, "args", others)
        if node.func.id == "range" and len(node.args) == 1:
            for start in (1, 2):
                first = ast.copy_location(ast.Constant(start), node)
                yield from _tried(node, "args", [[first, *node.args]])


def _plus(node: ast.expr, step: int) -> ast.expr:
    op: ast.operator = ast.Add() if step > 0 else ast.Sub()
    one = ast.copy_location(ast.Constant(abs(step)), node)
    return ast.copy_location(ast.BinOp(node, op, one), node)


def _halves(node: ast.AST) -> Iterator[None]:
    """Leave out one half of a sum, one part of a condition, or turn a condition around."""
    for field in ("test", "value", "left", "right", "elt"):
        part = getattr(node, field, None)
        if isinstance(part, ast.BinOp):
            yield from _tried(node, field, [part.left, part.right])
        elif isinstance(part, ast.Call) and len(part.args) == 1 and not part.keywords:
            yield from _tried(node, field, [part.args[0]])
    if isinstance(node, ast.BoolOp):
        rest = [[*node.values[:i], *node.values[i + 1 :]] for i in range(len(node.values))]
        yield from _tried(node, "values", [one for one in rest if one])
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        turned = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
        yield from _tried(node, "test", [turned])


def _statements(node: ast.AST) -> Iterator[None]:
    """Leave out a statement, or add to a name instead of replacing it."""
    if isinstance(node, ast.If):
        always = ast.copy_location(ast.Constant(False), node.test)
        yield from _tried(node, "test", [always])
    if isinstance(node, ast.Return) and node.value is not None:
        inner = next((one for one in inside(node.value) if isinstance(one, ast.Name)), None)
        if inner is not None and not isinstance(node.value, ast.Name):
            yield from _tried(node, "value", [inner])
