"""Works out by hand what small functions give: numbers, texts and collections, nothing else.

This runs no code of the document. It walks through the tree as a person with a pencil would,
knows a few dozen functions of Python's own, and gives up on all else, on anything large and
after a number of steps. Nothing that it knows can reach a file, a module or an attribute.
"""

from __future__ import annotations

import ast
import copy
import math
import operator
import time
from collections.abc import Callable, Iterable
from typing import Any

from .module import body_of, words

#: Steps that may be taken for one call.
MOST_STEPS = 20_000
MOST_DEPTH = 40
MOST_ITEMS = 5_000
MOST_BITS = 4_000
MOST_DIGITS = 400
MOST_FACTORIAL = 300


class Unknown(Exception):
    """It can't be told: something is not known here, or takes too long."""


class Endless(Exception):
    """It takes so many steps that it may never end."""


class Wrong(Exception):
    """The program raises an error."""

    def __init__(self, kind: str, line: int) -> None:
        super().__init__(kind)
        self.kind = kind
        self.line = line


class _Return(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda one, other: one in other,
    ast.NotIn: lambda one, other: one not in other,
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
}
_BUILTINS: dict[str, Any] = {
    one.__name__: one
    for one in (
        *(len, sum, min, max, abs, sorted, any, all, ord, chr, bin, divmod, isinstance),
        *(int, float, str, bool, list, tuple, set, dict, range, frozenset, hex, oct, repr),
    )
}


def _round(number: Any, digits: Any = None) -> Any:
    # Ten to the power of that many digits is worked out in one go.
    if isinstance(digits, int) and abs(digits) > MOST_DIGITS:
        raise Unknown
    return round(number, digits)


def _factorial(number: Any) -> Any:
    if isinstance(number, int) and number > MOST_FACTORIAL:
        raise Unknown
    return math.factorial(number)


def _prod(items: Iterable[Any], *, start: Any = 1) -> Any:
    for one in items:
        if not isinstance(one, int | float) or not isinstance(start, int | float):
            raise Unknown
        start = bounded(start * one)
    return start


#: Stand for functions of the same names that take long for some numbers, wherever these come from.
_CAREFUL: dict[str, Callable[..., Any]] = {"factorial": _factorial, "prod": _prod}
_LAZY: dict[str, Callable[..., Any]] = {
    "reversed": lambda items: list(reversed(items)),
    "enumerate": lambda items, start=0: list(enumerate(items, start)),
    "zip": lambda *items: list(zip(*items, strict=False)),
    "map": lambda function, *items: [function(*one) for one in zip(*items, strict=False)],
    "filter": lambda function, items: [
        one for one in items if (function(one) if function is not None else one)
    ],
    "print": lambda *_: None,
    "round": _round,
}
_MATH = words("sqrt floor ceil gcd pi log log2 log10 factorial prod fabs isqrt inf pow")
_METHODS: dict[type, frozenset[str]] = {
    list: words("append extend insert pop remove index count sort reverse copy clear"),
    str: words(
        "upper lower split join strip lstrip rstrip startswith endswith replace find index count "
        "isupper islower isalpha isdigit isalnum isspace swapcase title capitalize isnumeric"
    ),
    dict: words("get keys values items pop setdefault update copy"),
    set: words("add remove discard union intersection difference update copy pop"),
    tuple: words("index count"),
}
_Names = dict[str, Any]


class Reckoner:
    """Works out calls of the functions of one module."""

    def __init__(
        self,
        functions: dict[str, ast.FunctionDef],
        modules: set[str],
        ends: float,
        constants: dict[str, Any] | None = None,
    ) -> None:
        """Get ready.

        Args:
            functions: What may be called.
            modules: The names of modules that are imported; of these, math is known.
            ends: When, on the monotonic clock, to give up.
            constants: Values that stand at the top of the module.
        """
        self._modules = modules
        self._ends = ends
        self._steps = 0
        self._depth = 0
        #: The line that was looked at last.
        self.line = 0
        #: What the function that is worked out has yielded: a generator gives all at once here.
        self._yielded: list[Any] = []
        self._top: _Names = copy.deepcopy(constants or {})
        try:
            for name, function in functions.items():
                self._top[name] = self._closure(function, self._top)
        except Exception:
            # What stands as a default can't be told, or is an error of the program's.
            raise Unknown from None

    def call(self, name: str, arguments: list[Any]) -> Any:
        """Return what a function gives.

        Raises:
            Unknown: It can't be told.
            Endless: It does not come to an end soon.
            Wrong: It raises an error.
        """
        self._steps = self._depth = 0
        if name not in self._top:
            raise Unknown
        try:
            # What was changed after it was put into something else may be any size by now.
            return bounded(self._top[name](*arguments))
        except (Unknown, Wrong, Endless):
            raise
        except (RecursionError, MemoryError, OverflowError):
            raise Unknown from None
        except Exception as error:
            raise Wrong(type(error).__name__, self.line) from None

    def _closure(self, node: ast.FunctionDef | ast.Lambda, around: _Names) -> Callable[..., Any]:
        spec = node.args
        if spec.vararg or spec.kwarg or spec.kwonlyargs or spec.posonlyargs:
            raise Unknown
        names = [arg.arg for arg in spec.args]
        defaults = [self._value(one, around) for one in spec.defaults]

        generates = any(isinstance(one, ast.Yield | ast.YieldFrom) for one in body_of(node))

        def function(*given: Any) -> Any:
            missing = len(names) - len(given)
            if missing < 0 or missing > len(defaults):
                raise TypeError
            values = [*given, *(defaults[len(defaults) - missing :] if missing else [])]
            inner = _Scope(around, dict(zip(names, values, strict=True)))
            if isinstance(node, ast.Lambda):
                return self._value(node.body, inner)
            self._depth += 1
            if self._depth > MOST_DEPTH:
                raise Endless
            outer, self._yielded = self._yielded, []
            try:
                self._block(node.body, inner)
            except _Return as result:
                return self._yielded if generates else result.value
            finally:
                self._depth -= 1
                own, self._yielded = self._yielded, outer
            return own if generates else None

        return function

    # ------------------------------------------------------------------ statements

    def _block(self, block: list[ast.stmt], names: _Names) -> None:
        for statement in block:
            self._step(statement)
            self._statement(statement, names)

    def _step(self, node: ast.AST) -> None:
        self._steps += 1
        self.line = getattr(node, "lineno", self.line)
        if self._steps > MOST_STEPS:
            raise Endless
        if self._steps % 256 == 0:
            self._hurry()

    def _hurry(self) -> None:
        if time.monotonic() > self._ends:
            raise Unknown

    def _statement(self, node: ast.stmt, names: _Names) -> None:
        match node:
            case ast.Return():
                raise _Return(None if node.value is None else self._value(node.value, names))
            case ast.Assign():
                value = self._value(node.value, names)
                for target in node.targets:
                    self._bind(target, value, names)
            case ast.AnnAssign():
                if node.value is not None:
                    self._bind(node.target, self._value(node.value, names), names)
            case ast.AugAssign():
                self._augment(node, names)
            case ast.If():
                self._block(node.body if self._value(node.test, names) else node.orelse, names)
            case ast.While():
                self._while(node, names)
            case ast.For():
                self._for(node, names)
            case ast.Expr():
                self._value(node.value, names)
            case ast.Break():
                raise _Break
            case ast.Continue():
                raise _Continue
            case ast.Assert():
                if not self._value(node.test, names):
                    raise Wrong("AssertionError", node.lineno)
            case ast.Raise():
                raise Wrong("an error of its own", node.lineno)
            case ast.FunctionDef() if not node.decorator_list:
                names[node.name] = self._closure(node, names)
            case ast.Import() | ast.ImportFrom() if _only_types(node):
                pass
            case ast.Import() if all(one.name == "math" and not one.asname for one in node.names):
                self._modules.add("math")
            case ast.Pass():
                pass
            case ast.Try() if not node.finalbody:
                self._try(node, names)
            case _:
                raise Unknown

    def _try(self, node: ast.Try, names: _Names) -> None:
        try:
            self._block(node.body, names)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            for handler in node.handlers:
                if handler.name:
                    raise Unknown from None
                if handler.type is None or _catches(handler.type, error):
                    self._block(handler.body, names)
                    return
            raise
        self._block(node.orelse, names)

    def _augment(self, node: ast.AugAssign, names: _Names) -> None:
        target = node.target
        load = ast.copy_location(
            ast.Name(target.id, ast.Load())
            if isinstance(target, ast.Name)
            else ast.Subscript(target.value, target.slice, ast.Load())
            if isinstance(target, ast.Subscript)
            else target,
            target,
        )
        old, value = self._value(load, names), self._value(node.value, names)
        if isinstance(old, list) and isinstance(node.op, ast.Add):
            old.extend(value)
            bounded(old)
            return
        self._bind(target, self._binary(node.op, old, value), names)

    def _while(self, node: ast.While, names: _Names) -> None:
        while self._value(node.test, names):
            self._step(node)
            try:
                self._block(node.body, names)
            except _Break:
                return
            except _Continue:
                continue
        self._block(node.orelse, names)

    def _for(self, node: ast.For, names: _Names) -> None:
        for item in self._items(node.iter, names):
            self._step(node)
            self._bind(node.target, item, names)
            try:
                self._block(node.body, names)
            except _Break:
                return
            except _Continue:
                continue
        self._block(node.orelse, names)

    def _items(self, node: ast.expr, names: _Names) -> Iterable[Any]:
        items = self._value(node, names)
        if not isinstance(items, list | tuple | str | dict | set | frozenset | range):
            if isinstance(items, int | float | bool) or items is None:
                raise TypeError
            items = list(items)
        return bounded(items)  # type: ignore[no-any-return]

    def _bind(self, target: ast.expr, value: Any, names: _Names) -> None:
        match target:
            case ast.Name():
                names[target.id] = value
            case ast.Tuple() | ast.List():
                parts = list(value)
                stars = [i for i, one in enumerate(target.elts) if isinstance(one, ast.Starred)]
                if stars:
                    rest = len(target.elts) - stars[0] - 1
                    if len(parts) < len(target.elts) - 1:
                        raise ValueError
                    end = len(parts) - rest
                    parts[stars[0] : end] = [parts[stars[0] : end]]
                if len(parts) != len(target.elts):
                    raise ValueError
                for part, item in zip(target.elts, parts, strict=True):
                    self._bind(part, item, names)
            case ast.Starred():
                self._bind(target.value, value, names)
            case ast.Subscript():
                owner = self._value(target.value, names)
                if not isinstance(owner, list | dict):
                    raise TypeError
                owner[self._value(target.slice, names)] = value
                bounded(owner)
            case _:
                raise Unknown

    # ------------------------------------------------------------------ expressions

    def _value(self, node: ast.expr, names: _Names) -> Any:
        self._step(node)
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return self._name(node.id, names)
            case ast.BinOp():
                left, right = self._value(node.left, names), self._value(node.right, names)
                return self._binary(node.op, left, right)
            case ast.UnaryOp():
                return _UNARY[type(node.op)](self._value(node.operand, names))
            case ast.BoolOp():
                value = None
                for part in node.values:
                    value = self._value(part, names)
                    if bool(value) is isinstance(node.op, ast.Or):
                        break
                return value
            case ast.Compare():
                return self._compare(node, names)
            case ast.IfExp():
                chosen = node.body if self._value(node.test, names) else node.orelse
                return self._value(chosen, names)
            case ast.Subscript():
                owner = self._value(node.value, names)
                if not isinstance(owner, list | tuple | str | dict | range):
                    raise TypeError
                return owner[self._value(node.slice, names)]
            case ast.Slice():
                ends = (node.lower, node.upper, node.step)
                return slice(*(None if end is None else self._value(end, names) for end in ends))
            case ast.List():
                return bounded([self._value(one, names) for one in node.elts])
            case ast.Tuple():
                return bounded(tuple(self._value(one, names) for one in node.elts))
            case ast.Set():
                return bounded({self._value(one, names) for one in node.elts})
            case ast.Dict():
                if None in node.keys:
                    raise Unknown
                pairs = zip(node.keys, node.values, strict=True)
                return bounded(
                    {
                        self._value(key, names): self._value(value, names)
                        for key, value in pairs
                        if key is not None
                    }
                )
            case ast.ListComp() | ast.GeneratorExp():
                return self._gathered(node.generators, node.elt, names)
            case ast.SetComp():
                return set(self._gathered(node.generators, node.elt, names))
            case ast.DictComp():
                pair = ast.copy_location(ast.Tuple([node.key, node.value], ast.Load()), node)
                return dict(self._gathered(node.generators, pair, names))
            case ast.Lambda():
                return self._closure(node, names)
            case ast.Yield():
                self._yielded.append(None if node.value is None else self._value(node.value, names))
                return bounded(self._yielded) and None
            case ast.YieldFrom():
                self._yielded.extend(self._items(node.value, names))
                return bounded(self._yielded) and None
            case ast.JoinedStr():
                return bounded("".join(str(self._value(one, names)) for one in node.values))
            case ast.FormattedValue() if node.format_spec is None and node.conversion == -1:
                return str(bounded(self._value(node.value, names)))
            case ast.Call():
                return self._call(node, names)
            case ast.Attribute():
                return self._attribute(node, names)
            case _:
                raise Unknown

    def _name(self, name: str, names: _Names) -> Any:
        if name in names:
            return names[name]
        if name in self._top:
            return self._top[name]
        if name in _BUILTINS:
            return _BUILTINS[name]
        if name in _LAZY:
            return _LAZY[name]
        raise Unknown

    def _attribute(self, node: ast.Attribute, names: _Names) -> Any:
        if isinstance(node.value, ast.Name) and node.value.id == "math":
            if "math" in self._modules and "math" not in names and node.attr in _MATH:
                return _CAREFUL.get(node.attr) or getattr(math, node.attr)
        raise Unknown

    def _compare(self, node: ast.Compare, names: _Names) -> Any:
        left = self._value(node.left, names)
        result: Any = True
        for op, other in zip(node.ops, node.comparators, strict=True):
            right = self._value(other, names)
            bounded([left, right])
            result = _COMPARE[type(op)](left, right)
            if not result:
                break
            left = right
        return result

    def _gathered(
        self, parts: list[ast.comprehension], element: ast.expr, names: _Names
    ) -> list[Any]:
        found: list[Any] = []

        def go(index: int, inner: _Names) -> None:
            if index == len(parts):
                found.append(self._value(element, inner))
                bounded(found)
                return
            part = parts[index]
            for item in self._items(part.iter, inner):
                within = _Scope(inner, {})
                self._bind(part.target, item, within)
                if all(self._value(test, within) for test in part.ifs):
                    go(index + 1, within)

        go(0, _Scope(names, {}))
        return found

    def _call(self, node: ast.Call, names: _Names) -> Any:
        given = []
        for arg in node.args:
            if isinstance(arg, ast.Starred):
                given += list(self._value(arg.value, names))
            else:
                given.append(self._value(arg, names))
        named = {}
        for item in node.keywords:
            if item.arg not in {"key", "reverse", "default", "start", "sep"}:
                raise Unknown
            named[item.arg] = self._value(item.value, names)
        if isinstance(node.func, ast.Attribute) and not (
            isinstance(node.func.value, ast.Name) and node.func.value.id == "math"
        ):
            owner = bounded(self._value(node.func.value, names))
            known = _METHODS.get(type(owner))
            if known is None or node.func.attr not in known:
                raise Unknown
            function = getattr(owner, node.func.attr)
        else:
            function = self._value(node.func, names)
        for value in (*given, *named.values()):
            bounded(value)
        if not callable(function):
            raise Unknown
        # One call may take as long as thousands of steps.
        self._hurry()
        result = function(*given, **named)
        self.line = node.lineno
        if isinstance(result, type({}.keys()) | type({}.values()) | type({}.items())):
            return list(result)
        return bounded(result)

    def _binary(self, op: ast.operator, left: Any, right: Any) -> Any:
        if isinstance(op, ast.Pow | ast.LShift) and isinstance(right, int | float):
            if abs(right) > MOST_BITS or (isinstance(left, int) and left.bit_length() > 64):
                raise Unknown
        if isinstance(op, ast.Mult):
            for one, other in ((left, right), (right, left)):
                if isinstance(one, str | bytes | list | tuple) and isinstance(other, int):
                    if len(one) * max(other, 0) > MOST_ITEMS:
                        raise Unknown
        if isinstance(op, ast.Mod) and isinstance(left, str | bytes):
            raise Unknown
        return bounded(_BINARY[type(op)](left, right))


def _only_types(node: ast.Import | ast.ImportFrom) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "typing"


def _catches(kinds: ast.expr, error: Exception) -> bool:
    """Tell whether a handler is for an error."""
    names = [one.id for one in ast.walk(kinds) if isinstance(one, ast.Name)]
    return any(one.__name__ in names for one in type(error).__mro__)


class _Scope(_Names):
    """Names of a function or comprehension, before those around it."""

    def __init__(self, around: _Names, own: _Names) -> None:
        super().__init__(own)
        self._around = around

    def __missing__(self, name: str) -> Any:
        return self._around[name]

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._around


def bounded(value: Any) -> Any:
    """Return a value, if it is not too large to go on with, with all that is in it."""
    count, todo = 0, [value]
    while todo:
        one = todo.pop()
        if isinstance(one, int):
            if one.bit_length() > MOST_BITS:
                raise Unknown
        elif isinstance(one, str | bytes | range):
            count += len(one)
        elif isinstance(one, list | tuple | set | frozenset):
            count += len(one) + 1
            if count <= MOST_ITEMS:
                todo.extend(one)
        elif isinstance(one, dict):
            count += len(one) + 1
            if count <= MOST_ITEMS:
                todo.extend(one.keys())
                todo.extend(one.values())
        if count > MOST_ITEMS:
            raise Unknown
    return value
