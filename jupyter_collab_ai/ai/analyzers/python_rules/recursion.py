"""Functions that call themselves and never come back, and calls that can't do what they say."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .model import At, bug
from .module import (
    FUNCTIONS,
    Function,
    Module,
    argument,
    body_of,
    constant,
    inside,
    is_pure,
    keyword,
    leaves,
    names_in,
    parameters,
    same,
)

_ENDLESS = (
    "The function calls itself with what decides about its end unchanged. As soon as it gets "
    "that far, it never returns: Python raises RecursionError."
)


@bug(
    "endless-recursion",
    "The recursion never reaches its end",
    _ENDLESS,
    severity="error",
    confidence=0.9,
    cwe="CWE-674",
)
def endless_recursion(module: Module) -> Iterator[ast.AST]:
    for function in module.functions:
        if isinstance(module.parent(function), ast.ClassDef) or function.decorator_list:
            continue
        names = [arg.arg for arg in function.args.args]
        own = _own_calls(function)
        asked = _decides(function)
        changed = {
            node.id
            for node in body_of(function)
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
        }
        if not names or not asked or not asked <= set(names) or asked & changed:
            continue
        if any(isinstance(node, ast.Attribute | ast.Global) for node in body_of(function)):
            continue
        for call in own:
            kept = {
                name
                for name, arg in zip(names, call.args, strict=False)
                if isinstance(arg, ast.Name) and arg.id == name
            }
            if len(call.args) == len(names) and asked <= kept:
                yield call


def _own_calls(function: Function) -> list[ast.Call]:
    return [
        node
        for node in body_of(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == function.name
        and not node.keywords
    ]


def _decides(function: Function) -> set[str]:
    """Return all names on which any condition of a function depends."""
    found: set[str] = set()
    for node in body_of(function):
        test = getattr(node, "test", None)
        if isinstance(test, ast.expr):
            found |= names_in(test)
        elif isinstance(node, ast.For):
            found |= names_in(node.iter)
        elif isinstance(node, ast.BoolOp | ast.comprehension | ast.Match | ast.Try):
            found |= names_in(node)
    return found - {"len", "isinstance", "not", "int", "str", "abs"}


@bug(
    "generator-not-run",
    "A generator is handed on instead of its values",
    "Calling a function that has `yield` runs nothing: it makes a generator. `yield f(x)` in f "
    "itself gives the caller that object where a value was meant — for flatten([[1, 2]]), a "
    "generator instead of 1 and 2. Write `yield from f(x)`, or yield the value itself.",
    severity="error",
    confidence=0.85,
)
def generator_not_run(module: Module) -> Iterator[ast.AST]:
    for function in module.functions:
        for node in body_of(function):
            if not isinstance(node, ast.Yield) or not isinstance(node.value, ast.Call):
                continue
            if isinstance(module.parent(function), ast.ClassDef):
                continue
            call = node.value
            if isinstance(call.func, ast.Name) and call.func.id == function.name:
                generates = any(
                    isinstance(one, ast.Yield | ast.YieldFrom) for one in body_of(function)
                )
                if generates and isinstance(function, ast.FunctionDef):
                    yield node


@bug(
    "halving-never-ends",
    "A list of one element is halved for ever",
    "Half of one element, rounded down, is none: the right half of [x] is [x] again. Only the "
    "empty list ends the recursion, so every other input raises RecursionError. Stop at "
    "len(x) <= 1.",
    severity="error",
    confidence=0.9,
    cwe="CWE-674",
)
def halving_never_ends(module: Module) -> Iterator[ast.AST]:
    for function in module.functions:
        calls = _own_calls(function)
        for name in [arg.arg for arg in function.args.args]:
            halves = [
                call for call in calls for arg in call.args if _is_right_half(function, arg, name)
            ]
            tests = [
                node
                for node in body_of(function)
                if isinstance(node, ast.If | ast.IfExp) and name in names_in(node.test)
            ]
            if not halves or len(tests) != 1:
                continue
            text = ast.unparse(tests[0].test)
            if text in {f"len({name}) == 0", f"not {name}", f"{name} == []", f"len({name}) < 1"}:
                yield tests[0]


def _is_right_half(function: Function, node: ast.expr, name: str) -> bool:
    for assign in body_of(function):
        if isinstance(node, ast.Name) and isinstance(assign, ast.Assign):
            if ast.unparse(assign.targets[0]) == node.id:
                node = assign.value
    if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Slice):
        return False
    if ast.unparse(node.value) != name or node.slice.lower is None or node.slice.upper:
        return False
    middle = ast.unparse(node.slice.lower)
    for assign in body_of(function):
        if isinstance(assign, ast.Assign) and ast.unparse(assign.targets[0]) == middle:
            middle = ast.unparse(assign.value)
    return middle == f"len({name}) // 2"


@bug(
    "taken-from-empty",
    "The recursion takes an element even when none is left",
    "Each call goes on with what is left of the list, and nothing asks whether that is empty. "
    "For every input that does not end before, the last call raises an error. Return early where "
    "the list is empty.",
    severity="error",
    confidence=0.85,
    cwe="CWE-754",
)
def taken_from_empty(module: Module) -> Iterator[ast.AST]:
    for function in module.functions:
        calls = _own_calls(function)
        names = [arg.arg for arg in function.args.args]
        for node in body_of(function):
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Name):
                continue
            target, name = node.targets[0], node.value.id
            if not isinstance(target, ast.Tuple) or name not in names or len(target.elts) != 2:
                continue
            rest = target.elts[1]
            if not isinstance(rest, ast.Starred) or not isinstance(rest.value, ast.Name):
                continue
            place = names.index(name)
            smaller = any(
                len(call.args) > place
                and isinstance(call.args[place], ast.Name)
                and ast.unparse(call.args[place]) == rest.value.id
                for call in calls
            )
            asked = any(
                name in names_in(one.test)
                for one in body_of(function)
                if isinstance(one, ast.If | ast.IfExp | ast.While)
            )
            tried = any(isinstance(one, ast.Try) for one in body_of(function))
            if smaller and not asked and not tried:
                yield node


@bug(
    "key-ignores-element",
    "All elements get the same key, so this sorts nothing",
    "The key is computed for each element, and this one does not look at the element: it is "
    "the same for all, so the order stays as it was. Use the lambda's own parameter.",
    severity="error",
    confidence=0.9,
)
def key_ignores_element(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        if name in {"sorted", "min", "max"} or name.endswith(".sort"):
            key = keyword(call, "key")
            if isinstance(key, ast.Lambda) and len(key.args.args) == 1:
                if key.args.args[0].arg not in names_in(key.body) and is_pure_key(key.body):
                    yield key


def is_pure_key(node: ast.expr) -> bool:
    """Tell whether an expression gives the same each time: it draws no lots."""
    return "random" not in ast.unparse(node) and "next(" not in ast.unparse(node)


@bug(
    "text-where-bytes-belong",
    "A hash is made of bytes, and this is text",
    "hashlib raises TypeError for a str, always. Write b'…' or text.encode().",
    severity="error",
    confidence=0.95,
)
def text_where_bytes_belong(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        if name.startswith("hashlib.") and name[8:] in {"md5", "sha1", "sha256", "sha512"}:
            if isinstance(constant(argument(call, 0)), str):
                yield call


@bug(
    "cut-and-joined-again",
    "The parts are put together as they were",
    "x[:k] + x[k:] is x again for every k: nothing is moved. To rotate, the second part comes "
    "first.",
    severity="error",
    confidence=0.95,
)
def cut_and_joined_again(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.BinOp):
        one, other = node.left, node.right
        if not isinstance(node.op, ast.Add):
            continue
        if not isinstance(one, ast.Subscript) or not isinstance(other, ast.Subscript):
            continue
        first, second = one.slice, other.slice
        if not isinstance(first, ast.Slice) or not isinstance(second, ast.Slice):
            continue
        plain = not (first.lower or second.upper or first.step or second.step)
        if plain and first.upper and same(first.upper, second.lower):
            if same(one.value, other.value) and is_pure(one):
                yield node


@bug(
    "replaced-and-split-on-it",
    "What was replaced is what is looked for next",
    "After x.replace(' ', ',') there is no space left: split() finds nothing to split at and "
    "returns one piece, whatever the input. The two arguments are swapped.",
    confidence=0.9,
)
def replaced_and_split_on_it(module: Module) -> Iterator[ast.AST | At]:
    for call, _ in module.calls:
        inner = call.func.value if isinstance(call.func, ast.Attribute) else None
        if not isinstance(inner, ast.Call) or not isinstance(inner.func, ast.Attribute):
            continue
        if inner.func.attr != "replace" or len(inner.args) != 2:
            continue
        old, new = (constant(arg) for arg in inner.args)
        assert isinstance(call.func, ast.Attribute)
        if call.func.attr == "split" and old == (constant(argument(call, 0)) or " ") != new:
            if isinstance(old, str) and not call.keywords:
                yield call
        elif call.func.attr == "replace" and len(call.args) == 2 and isinstance(old, str):
            back = [constant(arg) for arg in call.args]
            if back == [new, old] and old and new and len(old) == len(str(new)) == 1:
                yield At(call, "The second replace undoes the first, and more")


@bug(
    "inner-function-unused",
    "This function is defined here and never called",
    "An inner function is of use only where the outer one calls or returns it. This one does "
    "neither: the step that it was written for is missing, for every input.",
    confidence=0.85,
    cwe="CWE-561",
)
def inner_function_unused(module: Module) -> Iterator[ast.AST]:
    for function in module.functions:
        for node in inside(function.body):
            if not isinstance(node, FUNCTIONS) or node.decorator_list:
                continue
            inner = set(ast.walk(node))
            used = any(
                isinstance(one, ast.Name) and one.id == node.name and one not in inner
                for one in ast.walk(function)
            )
            shared = any(
                isinstance(one, ast.Global | ast.Nonlocal) and node.name in one.names
                for one in ast.walk(function)
            )
            dynamic = {"locals", "exec", "eval"} & names_in(function)
            if not used and not shared and not dynamic and not node.name.startswith("_"):
                yield node


@bug(
    "result-missing",
    "The recursive call's result is dropped",
    "All other ways out of the function return a value, and this one calls the function again "
    "and forgets what it says: the caller gets None. Write `return` before it.",
    confidence=0.85,
    cwe="CWE-252",
)
def result_missing(module: Module) -> Iterator[ast.AST]:
    for function in module.functions:
        last = function.body[-1]
        while isinstance(last, ast.If) and last.orelse:
            if leaves(last.body) and last.orelse:
                last = last.orelse[-1]
            else:
                break
        if not isinstance(last, ast.Expr) or not isinstance(last.value, ast.Call):
            continue
        call = last.value
        if not isinstance(call.func, ast.Name) or call.func.id != function.name:
            continue
        returns = [node for node in body_of(function) if isinstance(node, ast.Return)]
        if returns and all(
            node.value is not None and ast.unparse(node.value) != "None" for node in returns
        ):
            if not any(isinstance(node, ast.Yield) for node in body_of(function)):
                yield last


@bug(
    "parameter-shadowed",
    "The parameter is overwritten before it is read",
    "The function gets a value and replaces it in its first line: whatever the caller passes has "
    "no effect.",
    confidence=0.7,
)
def parameter_shadowed(module: Module) -> Iterator[ast.AST]:
    for function in module.functions:
        names = {arg.arg for arg in parameters(function)} - {"self", "cls"}
        start = 1 if ast.get_docstring(function) else 0
        first = function.body[start] if len(function.body) > start else None
        if isinstance(first, ast.Assign) and len(first.targets) == 1:
            target = first.targets[0]
            if isinstance(target, ast.Name) and target.id in names:
                plain = isinstance(first.value, ast.Constant | ast.List | ast.Dict)
                if plain and target.id not in names_in(first.value):
                    yield first
