"""Statements that never run, or never do what they stand for."""

from __future__ import annotations

import ast
import builtins
import itertools
import re
from collections.abc import Iterator

from .known import known
from .model import At, bug, insecure
from .module import Module, body_of, constant, inside


@bug(
    "unreachable",
    "This line is never reached",
    "The statement before it always leaves the block — return, raise, break or continue — so for "
    "no input does this line run. It stands too far to the right, or the line before is too many.",
    severity="error",
    confidence=0.9,
    cwe="CWE-561",
)
def unreachable(module: Module) -> Iterator[ast.AST]:
    for node in module.nodes:
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if not isinstance(block, list):
                continue
            for one, after in itertools.pairwise(block):
                if not isinstance(one, ast.Return | ast.Raise | ast.Break | ast.Continue):
                    continue
                # `return; yield` makes a generator of a function that yields nothing, and
                # `raise …; return` and `assert False` keep type checkers quiet.
                quiet = isinstance(after, ast.Return | ast.Pass | ast.Break | ast.Assert) or (
                    isinstance(after, ast.Expr)
                    and isinstance(after.value, ast.Yield | ast.Constant | ast.YieldFrom)
                )
                if not quiet and isinstance(after, ast.stmt):
                    yield after
                break


@bug(
    "handler-never-reached",
    "An earlier `except` catches this error already",
    "Handlers are tried from above, and the first that fits wins. A wider one stands before this "
    "one, so it never runs. Put the narrower exception first.",
    severity="error",
    confidence=0.95,
    cwe="CWE-561",
)
def handler_never_reached(module: Module) -> Iterator[ast.AST]:
    for node in module.nodes:
        if not isinstance(node, ast.Try | ast.TryStar):
            continue
        before: list[type[BaseException]] = []
        for handler in node.handlers:
            kinds = _exceptions(handler.type)
            if kinds and all(any(issubclass(one, wide) for wide in before) for one in kinds):
                yield handler
            before += kinds


def _exceptions(node: ast.expr | None) -> list[type[BaseException]]:
    """Return the built-in exceptions that an expression names; none where there are others."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    found: list[type[BaseException]] = []
    for part in parts:
        kind = getattr(builtins, part.id, None) if isinstance(part, ast.Name) else None
        if not isinstance(kind, type) or not issubclass(kind, BaseException):
            return []
        found.append(kind)
    return found


@bug(
    "not-awaited",
    "The coroutine is made and never run",
    "Calling an async function runs nothing: it makes a coroutine, which somebody has to await. "
    "This line does nothing but warn. Write `await` before it.",
    severity="error",
    confidence=0.95,
    cwe="CWE-252",
)
def not_awaited(module: Module) -> Iterator[ast.AST | At]:
    top = {
        one.name
        for one in module.tree.body
        if isinstance(one, ast.AsyncFunctionDef)
        and not one.decorator_list
        and not _is_generator(one)
    }
    others = {one.name for one in module.functions if isinstance(one, ast.FunctionDef)}
    others |= {one.name for one in module.all(ast.ClassDef)}
    others |= {arg.arg for arg in module.all(ast.arg)}
    others |= {
        node.id
        for node in module.all(ast.Name)
        if isinstance(node.ctx, ast.Store) and node.id in top
    }
    for call, name in module.calls:
        own = name in top - others or _own_coroutine(module, call, name)
        if isinstance(module.parent(call), ast.Expr):
            if own or name in {"asyncio.sleep", "asyncio.wait", "asyncio.wait_for"}:
                yield call
        elif own and _used_as_result(module, call):
            yield At(call, "The coroutine is used as if it were the result: `await` is missing")


def _is_generator(function: ast.AsyncFunctionDef) -> bool:
    """Tell whether calling a function makes something to go through, not something to await."""
    return any(isinstance(node, ast.Yield) for node in body_of(function))


def _own_coroutine(module: Module, call: ast.Call, name: str) -> bool:
    """Tell whether a call is one of an async method of the same object."""
    if not name.startswith("self.") or name.count(".") != 1:
        return False
    owner = next((a for a in module.ancestors(call) if isinstance(a, ast.ClassDef)), None)
    return owner is not None and any(
        isinstance(one, ast.AsyncFunctionDef)
        and one.name == name[5:]
        and not one.decorator_list
        and not _is_generator(one)
        for one in owner.body
    )


def _used_as_result(module: Module, call: ast.Call) -> bool:
    """Tell whether somebody reckons with what a call makes, or takes a part of it."""
    if _reckoned(module, call):
        return True
    parent = module.parent(call)
    target = parent.targets[0] if isinstance(parent, ast.Assign) else None
    if not isinstance(target, ast.Name) or known(module).only_value(target) is not call:
        return False
    loads = known(module).loads(target)
    return bool(loads) and all(_reckoned(module, load) for load in loads)


def _reckoned(module: Module, node: ast.expr) -> bool:
    parent = module.parent(node)
    if isinstance(parent, ast.BinOp):
        # `a | b` may be of anything.
        return not isinstance(parent.op, ast.BitOr)
    if isinstance(parent, ast.Compare):
        return all(
            isinstance(op, ast.Lt | ast.Gt | ast.LtE | ast.GtE | ast.In | ast.NotIn)
            for op in parent.ops
        )
    if isinstance(parent, ast.For):
        return parent.iter is node
    if isinstance(parent, ast.comprehension):
        return parent.iter is node and not parent.is_async
    return isinstance(parent, ast.Subscript) and parent.value is node


_QUANTIFIED = r"(?:[^()\\\[\]|]|\\.|\[[^\]]{0,100}\])"
_NESTED = re.compile(
    rf"\((?:\?:|\?P<\w+>)?(?:\\[wdsWDS]|\.|{_QUANTIFIED})[+*]\)(?:[+*]|\{{\d+,\d*\}})"
)


@insecure(
    "slow-pattern",
    "CWE-1333",
    "The pattern can take for ever on some texts",
    "A repeated group that repeats by itself, as in (a+)+, can match the same text in a huge "
    "number of ways. Where the whole does not match, all are tried: thirty characters such as "
    "`aaaa…!` keep the program busy for minutes. Remove one of the two repetitions.",
    confidence=0.75,
)
def slow_pattern(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        if name.startswith("re.") and call.args:
            text = constant(call.args[0])
            if isinstance(call.args[0], ast.Name):
                scope = module.scope_of(call)
                texts = [
                    constant(node.value)
                    for node in inside(getattr(scope, "body", []))
                    if isinstance(node, ast.Assign)
                    and isinstance(node.targets[0], ast.Name)
                    and node.targets[0].id == call.args[0].id
                ]
                text = texts[0] if len(texts) == 1 else None
            if isinstance(text, str) and len(text) < 2000 and _NESTED.search(text):
                yield call


@bug(
    "slashes-in-pattern",
    "The slashes and anchors of another language stand in the pattern",
    "In Python a pattern has no slashes around it: `/^a$/` asks for a slash before the beginning "
    "of the text, so it matches nothing, whatever the input. Remove the slashes.",
    severity="error",
    confidence=0.95,
    cwe="CWE-185",
)
def slashes_in_pattern(module: Module) -> Iterator[ast.AST]:
    for text in module.all(ast.Constant):
        if isinstance(text.value, str) and re.fullmatch(r"/\^.*\$/\w*", text.value):
            if "re" in module.imports:
                yield text


@bug(
    "removed-from-python",
    "This function no longer exists",
    "It was removed from Python, so the line raises AttributeError whenever it runs. Use the "
    "function that took its place: time.perf_counter() for time.clock(), for instance.",
    severity="error",
    confidence=0.95,
    cwe="CWE-477",
)
def removed_from_python(module: Module) -> Iterator[ast.AST]:
    gone = {
        "time.clock",
        "platform.linux_distribution",
        "platform.dist",
        "inspect.getargspec",
        "collections.Mapping",
        "collections.Iterable",
        "collections.Callable",
        "collections.MutableMapping",
        "cgi.escape",
        "fractions.gcd",
        "base64.decodestring",
        "base64.encodestring",
        "os.getcwdu",
        "string.maketrans",
        "string.join",
        "asyncio.async",
        "math.product",
    }
    for call, name in module.calls:
        if name in gone and name.partition(".")[0] in module.imports.values():
            if not any(isinstance(one, ast.Try | ast.If) for one in module.ancestors(call)):
                yield call
