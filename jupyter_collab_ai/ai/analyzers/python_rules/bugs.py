"""Statements that can't mean what they say."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .model import At, bug
from .module import (
    LOOPS,
    Module,
    body_of,
    bound_in,
    constant,
    enclosing,
    inside,
    is_pure,
    names_in,
    parameters,
    same,
    words,
)

_IN_PLACE = frozenset({"sort", "reverse", "append", "extend", "insert", "clear"})
#: Packages whose sequences give back a sorted copy.
_SORTED_COPIES = words("polars torch jax ibis dask cudf cupy tensorflow pyspark xarray pymongo")
_STRING_METHODS = words(
    "replace strip lstrip rstrip lower upper title capitalize swapcase casefold format join "
    "zfill removeprefix removesuffix encode decode translate expandtabs center ljust rjust"
)


@bug(
    "none-from-in-place",
    "This is always None: the method changes the list itself and returns nothing",
    "Methods such as sort(), reverse(), append() and extend() change the list in place and "
    "return None. So this line hands on None for every input, and whoever uses it as a list "
    "gets a TypeError. Call the method on a line of its own, or use sorted() or + instead.",
    severity="error",
    confidence=0.95,
    cwe="CWE-252",
)
def none_from_in_place(module: Module) -> Iterator[ast.AST]:
    lists = _lists(module)
    for call, _ in module.calls:
        func = call.func
        if not isinstance(func, ast.Attribute) or func.attr not in _IN_PLACE:
            continue
        parent = module.parent(call)
        used = isinstance(parent, ast.Return | ast.Assign | ast.AugAssign | ast.For)
        if not used or (isinstance(parent, ast.For) and parent.iter is not call):
            continue
        owner = func.value
        if func.attr == "sort" and not call.args and isinstance(owner, ast.Name | ast.List):
            # numpy's and polars' sort() take arguments by place or are not called on lists.
            known = isinstance(owner, ast.List) or (module.scope_of(call), owner.id) in lists
            usual = {"reverse", "key"} >= {item.arg for item in call.keywords}
            back = isinstance(parent, ast.Return) or (
                _given_back(parent, call) and not _sorts_otherwise(module)
            )
            if known or (usual and back):
                yield call
        elif isinstance(owner, ast.List | ast.ListComp) or (
            isinstance(owner, ast.Name) and (module.scope_of(call), owner.id) in lists
        ):
            yield call


def _given_back(statement: ast.AST | None, call: ast.expr) -> bool:
    """Tell whether the result of a method becomes the value of the name it was called on."""
    return (
        isinstance(statement, ast.Assign)
        and statement.value is call
        and isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and [getattr(target, "id", "") for target in statement.targets] == [call.func.value.id]
    )


def _sorts_otherwise(module: Module) -> bool:
    """Tell whether there may be things whose sort() makes a sorted copy."""
    tops = {name.partition(".")[0] for name in module.imports.values()}
    return bool(tops & _SORTED_COPIES)


def _lists(module: Module) -> set[tuple[ast.AST, str]]:
    """Return which names are lists, in which function: those that are only ever given lists."""
    lists: set[tuple[ast.AST, str]] = set()
    others: set[tuple[ast.AST, str]] = set()
    for node in module.all(ast.Name):
        if not isinstance(node.ctx, ast.Store):
            continue
        parent = module.parent(node)
        value = parent.value if isinstance(parent, ast.Assign | ast.AnnAssign) else None
        makes = isinstance(value, ast.List | ast.ListComp) or (
            isinstance(value, ast.Call) and module.name_of(value.func) in {"list", "sorted"}
        )
        key = (module.scope_of(node), node.id)
        changed = (
            isinstance(value, ast.Call)
            and isinstance(value.func, ast.Attribute)
            and value.func.attr in _IN_PLACE
            and _given_back(parent, value)
        )
        if not changed:
            (lists if makes else others).add(key)
    for arg in module.all(ast.arg):
        key = (module.scope_of(arg), arg.arg)
        annotation = arg.annotation
        if isinstance(annotation, ast.Subscript):
            annotation = annotation.value
        if module.name_of(annotation) in {"list", "typing.List"}:
            lists.add(key)
    return lists - others


@bug(
    "result-discarded",
    "The result of this call is thrown away",
    "Texts and numbers never change in place: replace(), strip(), upper(), sorted() and the "
    "like return a new value. This line computes it and drops it, so for every input the "
    "code goes on with the old value. Assign the result: x = x.replace(…).",
    severity="error",
    confidence=0.9,
    cwe="CWE-252",
)
def result_discarded(module: Module) -> Iterator[ast.AST | At]:
    for node in module.all(ast.Expr):
        call = node.value
        if not isinstance(call, ast.Call):
            continue
        if any(isinstance(one, ast.Try) for one in module.ancestors(node)):
            # Called for the exception that it may raise.
            continue
        func = call.func
        if (
            _makes_text(module, call)
            or (
                isinstance(func, ast.Name) and func.id in {"sorted", "reversed", "zip", "enumerate"}
            )
            or (
                isinstance(func, ast.Attribute)
                and func.attr in _STRING_METHODS
                and _is_text(module, func.value)
                and is_pure(func.value)
                and not isinstance(func.value, ast.Constant)
            )
        ):
            yield call
    yield from _sums_dropped(module)


def _makes_text(module: Module, call: ast.Call) -> bool:
    """Tell whether a call gives back a changed text, whoever it is called on."""
    func = call.func
    if not isinstance(func, ast.Attribute) or not isinstance(func.value, ast.Name):
        return False
    if func.value.id in module.imports or func.value.id in {"self", "cls"} or call.keywords:
        return False
    # Other objects have a replace() or lower(), too, that does something.
    strips = func.attr in {"strip", "lstrip", "rstrip"}
    return strips and all(isinstance(constant(arg), str) for arg in call.args)


def _sums_dropped(module: Module) -> Iterator[At]:
    """Find functions that reckon in their last line and give nothing back."""
    for function in module.functions:
        last = function.body[-1]
        if function.decorator_list or enclosing(module, function) is not None:
            # A helper of a test, made to fail.
            continue
        if not isinstance(last, ast.Expr) or not isinstance(last.value, ast.BinOp):
            continue
        if not isinstance(
            last.value.op, ast.Add | ast.Sub | ast.Mult | ast.Div | ast.Mod | ast.Pow
        ):
            continue
        given = {arg.arg for arg in parameters(function)}
        leaf = (ast.BinOp, ast.Name, ast.Constant, ast.operator, ast.expr_context)
        plain = all(isinstance(one, leaf) for one in ast.walk(last.value))
        returned = any(
            isinstance(one, ast.Return | ast.Yield | ast.YieldFrom) for one in body_of(function)
        )
        if plain and not returned and names_in(last) & given:
            yield At(last, "The result is thrown away: `return` is missing")


def _is_text(module: Module, node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr):
        return True
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str | bytes)
    if not isinstance(node, ast.Name):
        return False
    scope = module.scope_of(node)
    values = []
    for one in inside(getattr(scope, "body", [])):
        if isinstance(one, ast.Name) and one.id == node.id and isinstance(one.ctx, ast.Store):
            parent = module.parent(one)
            values.append(parent.value if isinstance(parent, ast.Assign) else None)
    if not values:
        annotation = next(
            (
                arg.annotation
                for arg in module.all(ast.arg)
                if arg.arg == node.id and module.scope_of(arg) is scope
            ),
            None,
        )
        return isinstance(annotation, ast.Name) and annotation.id == "str"
    return all(
        value is not None
        and (
            isinstance(value, ast.JoinedStr)
            or (isinstance(value, ast.Constant) and isinstance(value.value, str))
            or (isinstance(value, ast.Call) and module.name_of(value.func) in {"str", "input"})
        )
        for value in values
    )


@bug(
    "changed-while-iterating",
    "The collection is changed while the loop goes through it",
    "While a for loop goes through a list, removing or inserting an element moves the others: "
    "the next one is skipped (with [1, 1, 2], removing every 1 leaves one behind) or the loop "
    "never ends. A dict or set raises RuntimeError. Go through a copy — for x in list(items) — "
    "or build a new collection.",
    severity="error",
    confidence=0.9,
)
def changed_while_iterating(module: Module) -> Iterator[ast.AST]:
    changes = {"remove", "pop", "insert", "clear", "popitem", "discard", "append", "add", "update"}
    changes |= {"sort", "reverse", "extend", "difference_update", "intersection_update"}
    for loop in module.all(ast.For):
        target = loop.iter
        if isinstance(target, ast.Call) and isinstance(target.func, ast.Attribute):
            if target.func.attr not in {"items", "keys", "values"} or target.args:
                continue
            target = target.func.value
            kinds = {"pop", "popitem", "clear", "setdefault", "update"}
            if target_names := _names(loop.target):
                for node in inside(loop.body):
                    if _new_key(node, target, target_names) and not _ends_loop(module, node, loop):
                        yield node
        else:
            # A list that grows while it is gone through is a queue, and meant so.
            kinds = changes - {"append"}
        if not isinstance(target, ast.Name | ast.Attribute):
            continue
        if _names(target) & bound_in(loop.body):
            continue
        for node in inside(loop.body):
            place = _changed(node, target, kinds)
            if place is not None and not _ends_loop(module, node, loop):
                yield place


def _new_key(node: ast.AST, target: ast.expr, known: set[str]) -> bool:
    """Tell whether a dictionary gets a key that the loop did not take from it."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.ctx, ast.Store):
        return False
    key = node.slice
    made = isinstance(key, ast.BinOp | ast.JoinedStr | ast.Call) and bool(names_in(key) & known)
    return made and same_name(node.value, target)


def _names(node: ast.expr) -> set[str]:
    return names_in(node)


def _changed(node: ast.AST, target: ast.expr, kinds: set[str]) -> ast.AST | None:
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in kinds
        and same_name(node.func.value, target)
    ):
        return node
    if isinstance(node, ast.Delete):
        for one in node.targets:
            if isinstance(one, ast.Subscript) and same_name(one.value, target):
                return node
    return None


def same_name(one: ast.expr, other: ast.expr) -> bool:
    """Tell whether two expressions name the same thing, be it read or written."""
    return ast.unparse(one) == ast.unparse(other)


def _ends_loop(module: Module, node: ast.AST, loop: ast.For) -> bool:
    """Tell whether the loop is left after ``node``, in its block or one around it."""
    statement: ast.AST | None = node
    while statement is not None and statement is not loop:
        if isinstance(statement, ast.stmt):
            block = module.block_of(statement)
            after = block[block.index(statement) :] if statement in block else []
            if any(isinstance(one, ast.Break | ast.Return | ast.Raise) for one in after):
                return True
        if isinstance(statement, LOOPS):
            return False
        statement = module.parent(statement)
    return False


@bug(
    "grows-by-itself",
    "The name stands on both sides: what is added holds the old value already",
    "x += y is short for x = x + y. With x on the right side too, the old value counts twice: "
    "after x += x + 1 a 5 has become 11. Remove one of the two.",
    confidence=0.75,
)
def grows_by_itself(module: Module) -> Iterator[ast.AST | At]:
    for node in module.all(ast.AugAssign):
        value = node.value
        while isinstance(value, ast.BinOp) and isinstance(value.left, ast.BinOp):
            value = value.left
        if (
            isinstance(node.op, ast.Add | ast.Mult)
            and isinstance(value, ast.BinOp)
            and type(value.op) is type(node.op)
            and isinstance(node.target, ast.Name)
            and isinstance(value.left, ast.Name)
            and value.left.id == node.target.id
            and not same(value.right, value.left)
        ):
            yield At(node, f"`{node.target.id}` is counted twice: it stands on both sides")
