"""Values that are collected and never used, or used and never collected."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .local_names import Names, fills, functions, is_empty_container, only_changed
from .model import At, bug
from .module import FUNCTIONS, LOOPS, Module, constant, inside, leaves, names_in


@bug(
    "product-of-zero",
    "The product starts at 0, so it stays 0",
    "0 times anything is 0: whatever the input, multiplying never leads away from the first "
    "value. A product has to start at 1.",
    severity="error",
    confidence=0.95,
)
def product_of_zero(module: Module) -> Iterator[ast.AST]:
    for names in functions(module):
        for name, stores in names.stores.items():
            if name in names.parameters | names.shared or len(stores) < 2:
                continue
            first, *others = stores_in_order(stores)
            value = constant(names.value(first))
            if type(value) not in (int, float) or value != 0:
                continue
            if all(_stays_zero(module, names, store, name) for store in others) and any(
                module.loop_of(store) for store in others
            ):
                yield module.parent(first) or first


def stores_in_order(stores: list[ast.Name]) -> list[ast.Name]:
    """Sort the places at which a name is given a value by where they stand."""
    return sorted(stores, key=lambda store: (store.lineno, store.col_offset))


def _stays_zero(module: Module, names: Names, store: ast.Name, name: str) -> bool:
    parent = module.parent(store)
    if isinstance(parent, ast.AugAssign):
        return isinstance(parent.op, ast.Mult | ast.LShift | ast.RShift | ast.Mod | ast.BitAnd)
    value = names.value(store)
    return value is not None and _is_multiple(value, name)


def _is_multiple(node: ast.expr, name: str) -> bool:
    """Tell whether an expression is 0 wherever ``name`` is."""
    if isinstance(node, ast.Name):
        return node.id == name
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Mult):
            return _is_multiple(node.left, name) or _is_multiple(node.right, name)
        if isinstance(node.op, ast.Mod | ast.FloorDiv | ast.Div | ast.LShift):
            return _is_multiple(node.left, name)
    return False


@bug(
    "always-empty",
    "This stays empty: nothing is ever put into it",
    "The collection is asked what it holds, but no line puts anything in. So the question has "
    "the same answer for every input: nothing is found, the loop over it does not run. A line "
    "such as .append() or .add() is missing, or was meant for it.",
    severity="error",
    confidence=0.9,
)
def always_empty(module: Module) -> Iterator[ast.AST]:
    for names in functions(module):
        for name, loads in names.loads.items():
            value = names.only_value(name)
            if value is None or not is_empty_container(module, value):
                continue
            if any(fills(module, load) for load in loads):
                continue
            asked = [load for load in loads if _asks(module, load)]
            if asked:
                yield module.parent(names.stores[name][0]) or asked[0]


def _asks(module: Module, load: ast.Name) -> bool:
    parent = module.parent(load)
    if isinstance(parent, ast.Compare):
        return load in parent.comparators and isinstance(parent.ops[0], ast.In | ast.NotIn)
    if isinstance(parent, ast.Attribute):
        return parent.attr in {"pop", "popleft", "remove", "get"}
    return isinstance(parent, ast.While)


@bug(
    "never-read",
    "This is computed and never used",
    "The name is given a value here, and nothing reads it afterwards. Usually another name was "
    "meant in the lines below, or the line that should use it is missing — the result is the "
    "same for every input as if this line were not there.",
    confidence=0.75,
    cwe="CWE-563",
)
def never_read(module: Module) -> Iterator[ast.AST | At]:
    for names in functions(module):
        for name, stores in names.stores.items():
            if name.startswith("_") or name in names.shared or name in names.parameters:
                continue
            loads = names.loads.get(name, [])
            if any(not only_changed(module, load) for load in loads):
                continue
            for store in stores_in_order(stores)[:1]:
                value = names.value(store)
                statement = module.parent(store)
                if value is None or not isinstance(statement, ast.Assign):
                    continue
                if len(statement.targets) > 1:
                    continue
                if _worth_telling(module, value, used=bool(loads)):
                    yield At(statement, f"`{name}` is computed and never used")


def _worth_telling(module: Module, value: ast.expr, *, used: bool) -> bool:
    if used:
        return is_empty_container(module, value) or isinstance(value, ast.List | ast.BinOp)
    if isinstance(value, ast.ListComp | ast.DictComp | ast.SetComp):
        return True
    # Big tables that are written down and then forgotten.
    return isinstance(value, ast.Dict | ast.List | ast.Set) and len(list(ast.walk(value))) > 6


@bug(
    "never-changed",
    "This never gets another value",
    "The name is given a first value and read later, but no line in between changes it. So for "
    "every input it is what it was at the beginning: a line that counts or remembers is "
    "missing, or changes another name.",
    confidence=0.8,
)
def never_changed(module: Module) -> Iterator[ast.AST | At]:
    for names in functions(module):
        if not any(isinstance(node, LOOPS) for node in inside(names.function.body)):
            continue
        for name, loads in names.loads.items():
            value = names.only_value(name)
            if not isinstance(value, ast.Constant) or not _is_start(value.value):
                continue
            store = names.stores[name][0]
            statement = module.parent(store)
            if name.isupper() or statement not in names.function.body:
                continue
            if not all(_result(module, load, names) for load in loads) or not loads:
                continue
            yield At(
                statement or store, f"`{name}` is {value.value!r} for ever: nothing changes it"
            )


def _is_start(value: object) -> bool:
    return value is None or (type(value) is int and value == 0)


def _is_start_value(module: Module, node: ast.expr) -> bool:
    """Tell whether a value is what one begins with, to be on the safe side."""
    return isinstance(node, ast.Constant) or is_empty_container(module, node)


def _result(module: Module, load: ast.Name, names: Names) -> bool:
    """Tell whether a value is handed back after a loop that should have changed it."""
    node: ast.AST = load
    for ancestor in module.ancestors(load):
        if isinstance(ancestor, ast.Return):
            if not isinstance(node, ast.Tuple | ast.Name):
                return False
            body = names.function.body
            loops = [one for one in body if isinstance(one, LOOPS)]
            return ancestor in body and any(
                body.index(loop) < body.index(ancestor) for loop in loops
            )
        if isinstance(ancestor, ast.Assign) and names.stores.get(load.id):
            # It takes part in what a loop does, and keeps its first value there.
            return module.loop_of(ancestor) is not None and ancestor.value is load
        node = ancestor
    return False


@bug(
    "overwritten-before-use",
    "This value is replaced before anybody has read it",
    "The line gives a value to a name, and another one follows that replaces it unread. So the "
    "first line has no effect, whatever the input: one of the two names is probably wrong.",
    confidence=0.8,
    cwe="CWE-563",
)
def overwritten_before_use(module: Module) -> Iterator[ast.AST | At]:
    for names in functions(module):
        for block in _blocks(names.function):
            yield from _overwritten(module, block, names)


def _blocks(function: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(function):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list) and len(block) > 1:
                yield block


def _overwritten(module: Module, block: list[ast.stmt], names: Names) -> Iterator[At]:
    waiting: dict[str, ast.Assign] = {}
    for statement in block:
        read = (
            names_in(statement)
            if not isinstance(statement, ast.Assign)
            else {
                node.id
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
            }
        )
        if not isinstance(statement, ast.Assign) or any(
            isinstance(node, ast.Call) and module.name_of(node.func) in names.stores
            for node in ast.walk(statement)
        ):
            read |= names_in(statement)
        for name in read:
            waiting.pop(name, None)
        if isinstance(statement, (*FUNCTIONS, ast.ClassDef, *LOOPS, ast.Try, ast.If, ast.With)):
            waiting.clear()
            continue
        if leaves([statement]) or not isinstance(statement, ast.Assign):
            continue
        single = len(statement.targets) == 1
        for target in statement.targets:
            parts = target.elts if isinstance(target, ast.Tuple) else [target]
            for part in parts:
                if not isinstance(part, ast.Name) or part.id in names.shared:
                    continue
                before = waiting.pop(part.id, None)
                if before is not None:
                    yield At(before, f"`{part.id}` is replaced before anybody has read it")
                inner = any(
                    one is not names.function
                    and isinstance(one, FUNCTIONS)
                    and part.id in names_in(one)
                    for one in ast.walk(names.function)
                )
                told = single and not _is_start_value(module, statement.value) and not inner
                if told and part.id != "_" and isinstance(target, ast.Name):
                    waiting[part.id] = statement
