"""Loops that never end, never begin, or go one step too far."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

from .local_names import functions
from .model import At, bug
from .module import (
    FUNCTIONS,
    Module,
    argument,
    body_of,
    bound_in,
    constant,
    inside,
    is_pure,
    leaves,
    names_in,
    parameters,
    same,
    words,
)

_PURE = words("len abs min max sum int float str bool ord chr isinstance any all round sorted set")


@bug(
    "endless-loop",
    "The loop never ends: nothing in it changes what it asks",
    "The condition depends on names that no line of the loop changes. As soon as it is true "
    "once, it stays true and the loop runs for ever. A step is missing, or changes another name.",
    severity="error",
    confidence=0.9,
    cwe="CWE-835",
)
def endless_loop(module: Module) -> Iterator[ast.AST]:
    for loop in module.all(ast.While):
        asked = names_in(loop.test)
        if not asked or isinstance(loop.test, ast.Constant) or not _depends_on_names(module, loop):
            continue
        scope = module.scope_of(loop)
        if isinstance(scope, ast.ClassDef | ast.Lambda):
            continue
        if _left(loop.body) or asked & bound_in(loop.body) or _elsewhere(module, scope, asked):
            continue
        if _set_outside(module, scope, asked):
            continue
        if not any(_may_change(module, node, asked) for node in inside(loop.body)):
            yield loop


def _depends_on_names(module: Module, loop: ast.While) -> bool:
    """Tell whether the condition asks local values only, nothing that changes by itself."""
    local = {function.name: function for function in module.functions}
    for node in ast.walk(loop.test):
        if isinstance(node, ast.Attribute | ast.Subscript | ast.Await):
            return False
        if isinstance(node, ast.Call):
            name = module.name_of(node.func)
            if name in _PURE:
                continue
            function = local.get(name)
            if function is None or not node.args:
                return False
            inner = {arg.arg for arg in function.args.args} | bound_in(function.body)
            free = names_in(function.body) - inner - _PURE - {"range", "reversed", "enumerate"}
            if free - {name}:
                return False
    return True


def _left(body: list[ast.stmt]) -> bool:
    for node in inside(body):
        if isinstance(node, ast.Return | ast.Raise | ast.Break | ast.Yield | ast.YieldFrom):
            return True
        if isinstance(node, ast.Await | ast.Try | ast.AsyncFor | ast.AsyncWith | ast.Delete):
            return True
    return False


def _elsewhere(module: Module, scope: ast.AST, asked: set[str]) -> bool:
    """Tell whether another function, or another name, may change one of the names."""
    for node in ast.walk(scope):
        if isinstance(node, ast.Global | ast.Nonlocal) and asked & set(node.names):
            return True
        if not isinstance(node, ast.Name) or node.id not in asked:
            continue
        inner = module.scope_of(node)
        if inner is not scope:
            if isinstance(scope, ast.Module) and _is_own(inner, node.id):
                continue
            return True
        parent = module.parent(node)
        if isinstance(parent, ast.Attribute) and not isinstance(module.parent(parent), ast.Call):
            return True
    return False


def _set_outside(module: Module, scope: ast.AST, asked: set[str]) -> bool:
    """Tell whether the function around a function may give one of the names another value."""
    if not isinstance(scope, FUNCTIONS):
        return False
    free = {name for name in asked if not _is_own(scope, name)}
    stores = [node.id for node in module.all(ast.Name) if isinstance(node.ctx, ast.Store)]
    return any(stores.count(name) > 1 for name in free)


def _is_own(scope: ast.AST, name: str) -> bool:
    """Tell whether a name in a function is the function's own: a global one is handled before."""
    if not isinstance(scope, (*FUNCTIONS, ast.Lambda)):
        return False
    if name in {arg.arg for arg in parameters(scope)}:
        return True
    return isinstance(scope, FUNCTIONS) and name in bound_in(scope.body)


def _may_change(module: Module, node: ast.AST, asked: set[str]) -> bool:
    if not isinstance(node, ast.Name) or node.id not in asked:
        return False
    parent = module.parent(node)
    if isinstance(parent, ast.Attribute):
        return True
    if isinstance(parent, ast.Subscript):
        return not isinstance(parent.ctx, ast.Load)
    if isinstance(parent, ast.Call):
        # What is given away may be changed there.
        return module.name_of(parent.func) not in _PURE | {"print", "range"}
    return False


@bug(
    "search-without-progress",
    "The search does not get smaller: it can go on for ever",
    "Where the interval has one or two elements left, the middle is its lower end, so the next "
    "step looks at the same interval again. With x larger than all elements, for instance, the "
    "loop or recursion never ends. Go on behind the middle (mid + 1), or stop while lo < hi.",
    severity="error",
    confidence=0.85,
    cwe="CWE-835",
)
def search_without_progress(module: Module) -> Iterator[ast.AST]:
    for loop in module.all(ast.While):
        test = loop.test
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            continue
        low, high = module.name_of(test.left), module.name_of(test.comparators[0])
        middle = _middle(loop.body, low, high)
        if not middle or not low or not high:
            continue
        for node in inside(loop.body):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
                target = module.name_of(node.targets[0])
                if node.value.id == middle and target == low and isinstance(test.ops[0], ast.Lt):
                    yield node
                elif node.value.id == middle and isinstance(test.ops[0], ast.LtE):
                    if target == low:
                        yield node
                    elif target == high:
                        yield loop
    for function in module.functions:
        names = [arg.arg for arg in function.args.args]
        for low, high in itertools.pairwise(names):
            middle = _middle(function.body, low, high)
            if not middle:
                continue
            place = names.index(low)
            for node in body_of(function):
                if isinstance(node, ast.Call) and module.name_of(node.func) == function.name:
                    given = [module.name_of(arg) for arg in node.args[place : place + 2]]
                    if given == [middle, high] and not _stops_at_one(function, low, high):
                        yield node


def _stops_at_one(function: ast.AST, low: str, high: str) -> bool:
    """Tell whether a function stops where one element is left."""
    for node in ast.walk(function):
        if isinstance(node, ast.Compare):
            text = ast.unparse(node)
            if f"{high} - {low}" in text or f"{low} + 1" in text or f"{high} - 1" in text:
                return True
    return False


def _middle(body: list[ast.stmt], low: str, high: str) -> str:
    """Return the name of the middle of two others, rounded down."""
    for node in inside(body):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.BinOp):
            continue
        text = ast.unparse(node.value)
        ways = {
            f"({low} + {high}) // 2",
            f"({high} + {low}) // 2",
            f"{low} + ({high} - {low}) // 2",
            f"({low} + {high}) >> 1",
        }
        if text in ways and isinstance(node.targets[0], ast.Name):
            return node.targets[0].id
    return ""


@bug(
    "falsy-after-loop",
    "After this loop the value is always 0, None or empty",
    "`while x` goes on until x is 0, None or empty. What is returned right after it can be "
    "nothing else, whatever the input. Another name was meant.",
    severity="error",
    confidence=0.9,
)
def falsy_after_loop(module: Module) -> Iterator[ast.AST]:
    for loop in module.all(ast.While):
        block = module.block_of(loop)
        after = block[block.index(loop) + 1 :]
        if not isinstance(loop.test, ast.Name) or not after or loop.orelse:
            continue
        ends = any(isinstance(node, ast.Break) for node in inside(loop.body))
        last = after[0]
        if not ends and isinstance(last, ast.Return) and isinstance(last.value, ast.Name):
            if last.value.id == loop.test.id:
                yield last


def _range_of(loop: ast.For) -> tuple[ast.expr | None, ast.expr] | None:
    """Return where a range begins and ends; the beginning is None where it is 0."""
    call = loop.iter
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        return None
    if call.func.id != "range" or not call.args or call.keywords or len(call.args) > 2:
        return None
    if len(call.args) == 1:
        return None, call.args[0]
    start = None if constant(call.args[0]) == 0 else call.args[0]
    return start, call.args[1]


@bug(
    "index-past-end",
    "The last step reads past the end",
    "The elements of x have the numbers 0 to len(x) - 1. Here the last step asks for one more, "
    "which raises IndexError for every x that is not left before. Let the range end earlier.",
    severity="error",
    confidence=0.85,
    cwe="CWE-193",
)
def index_past_end(module: Module) -> Iterator[ast.AST]:
    for loop in module.all(ast.For):
        bounds = _range_of(loop)
        if bounds is None or not isinstance(loop.target, ast.Name):
            continue
        start, end = bounds
        text, index = ast.unparse(end), loop.target.id
        for node in inside(loop.body):
            if not isinstance(node, ast.Subscript) or isinstance(node.slice, ast.Slice):
                continue
            owner, place = ast.unparse(node.value), ast.unparse(node.slice)
            size = f"len({owner})"
            past = (
                (text == f"{size} + 1" and place == index)
                or (text == size and place in {f"{index} + 1", f"1 + {index}"})
                or (text == size and start is None and place == f"{size} - {index}")
            )
            if past and not _guarded(module, node, loop) and not bound_in(loop.body) & {index}:
                yield node
    for repeat in module.all(ast.While):
        test = repeat.test
        if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.LtE):
            index, size = ast.unparse(test.left), ast.unparse(test.comparators[0])
            for node in inside(repeat.body):
                if isinstance(node, ast.Subscript) and size == f"len({ast.unparse(node.value)})":
                    if ast.unparse(node.slice) == index and not _guarded(module, node, repeat):
                        yield repeat
                        break


def _guarded(module: Module, node: ast.AST, loop: ast.AST) -> bool:
    """Tell whether some condition or handler stands between a place and its loop."""
    for ancestor in module.ancestors(node):
        if ancestor is loop:
            break
        if isinstance(ancestor, ast.If | ast.IfExp | ast.Try | ast.BoolOp | ast.While):
            child = node
            for one in module.ancestors(node):
                if one is ancestor:
                    break
                child = one
            if child is not getattr(ancestor, "test", None):
                return True
    body = getattr(loop, "body", [])
    return any(
        isinstance(one, ast.If) and leaves(one.body) and node not in ast.walk(one) for one in body
    )


@bug(
    "window-misses-last",
    "The last window is left out",
    "A text of n characters has n - k + 1 pieces of length k. The range ends one too early, so "
    "the piece at the very end is never looked at: with `ab` in `xab`, nothing is found. Add 1.",
    confidence=0.85,
    cwe="CWE-193",
)
def window_misses_last(module: Module) -> Iterator[ast.AST]:
    for loop in module.all(ast.For):
        bounds = _range_of(loop)
        if bounds is None or not isinstance(loop.target, ast.Name):
            continue
        end, index = bounds[1], loop.target.id
        if not isinstance(end, ast.BinOp) or not isinstance(end.op, ast.Sub):
            continue
        for node in inside(loop.body):
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
                lower, upper = node.slice.lower, node.slice.upper
                if lower is None or upper is None or ast.unparse(lower) != index:
                    continue
                if ast.unparse(upper) == f"{index} + {ast.unparse(end.right)}" and (
                    ast.unparse(end.left) == f"len({ast.unparse(node.value)})"
                ):
                    yield loop
                    break


@bug(
    "divisor-one",
    "The divisor starts at 1, and everything can be divided by 1",
    "n % 1 is 0 for every whole number, so the very first step answers for all inputs. Begin at 2.",
    severity="error",
    confidence=0.9,
)
def divisor_one(module: Module) -> Iterator[ast.AST]:
    for loop in module.all(ast.For):
        bounds = _range_of(loop)
        if bounds is None or constant(bounds[0]) != 1 or not isinstance(loop.target, ast.Name):
            continue
        first = loop.body[0]
        if isinstance(first, ast.If) and _divides(first.test, loop.target.id):
            if isinstance(first.body[-1], ast.Return | ast.Break):
                yield loop


def _divides(test: ast.expr, index: str) -> bool:
    return (
        isinstance(test, ast.Compare)
        and isinstance(test.left, ast.BinOp)
        and isinstance(test.left.op, ast.Mod)
        and isinstance(test.left.right, ast.Name)
        and test.left.right.id == index
        and isinstance(test.ops[0], ast.Eq)
        and constant(test.comparators[0]) == 0
    )


@bug(
    "division-by-zero",
    "The first step divides by 0",
    "The divisor starts at 0, so the first step raises ZeroDivisionError for every input.",
    severity="error",
    confidence=0.9,
    cwe="CWE-369",
)
def division_by_zero(module: Module) -> Iterator[ast.AST]:
    loops: list[ast.For | ast.While] = [*module.all(ast.For), *module.all(ast.While)]
    for loop in loops:
        index = _starts_at_zero(module, loop)
        first: ast.stmt = loop.body[0]
        asked: ast.expr | None = None
        if isinstance(first, ast.If):
            asked = first.test
        elif isinstance(first, ast.Assign | ast.AugAssign | ast.Return):
            asked = first.value
        if not index or asked is None:
            continue
        for node in _always(asked):
            if not isinstance(node, ast.BinOp):
                continue
            divides = isinstance(node.op, ast.Mod | ast.Div | ast.FloorDiv)
            if divides and isinstance(node.right, ast.Name) and node.right.id == index:
                if not isinstance(node.left, ast.Constant | ast.JoinedStr):
                    yield node


def _starts_at_zero(module: Module, loop: ast.For | ast.While) -> str:
    """Return the name that is 0 at the first step of a loop."""
    if isinstance(loop, ast.For):
        bounds = _range_of(loop)
        if bounds is None or bounds[0] is not None or not isinstance(loop.target, ast.Name):
            return ""
        return loop.target.id
    block = module.block_of(loop)
    place = block.index(loop)
    before = block[place - 1] if place else None
    if not isinstance(before, ast.Assign) or not isinstance(before.targets[0], ast.Name):
        return ""
    value = constant(before.value)
    return before.targets[0].id if type(value) is int and value == 0 else ""


def _always(node: ast.AST) -> Iterator[ast.AST]:
    """Return the parts of an expression that are evaluated whatever the others are."""
    yield node
    if isinstance(node, ast.BoolOp):
        yield from _always(node.values[0])
    elif isinstance(node, ast.IfExp):
        yield from _always(node.test)
    elif not isinstance(node, ast.Lambda | ast.ListComp | ast.GeneratorExp | ast.SetComp):
        for child in ast.iter_child_nodes(node):
            yield from _always(child)


@bug(
    "pop-without-end",
    "Nothing stops this loop when the queue is empty",
    "`while True` goes on until something leaves it, and nothing here asks whether elements are "
    "left. Where what is looked for isn't there, the last pop raises IndexError. Write "
    "`while queue:`.",
    severity="error",
    confidence=0.85,
    cwe="CWE-754",
)
def pop_without_end(module: Module) -> Iterator[ast.AST]:
    for names in functions(module):
        for loop in inside(names.function.body):
            if not isinstance(loop, ast.While) or constant(loop.test) is not True:
                continue
            for node in inside(loop.body):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                    continue
                owner = node.func.value
                if node.func.attr not in {"pop", "popleft"} or not isinstance(owner, ast.Name):
                    continue
                if owner.id not in names.stores or len(node.args) > 1:
                    continue
                tried = any(isinstance(one, ast.Try) for one in module.ancestors(node))
                first = any(one is node for one in ast.walk(loop.body[0]))
                if first and not tried and not _asked(loop, owner.id):
                    yield loop


def _asked(loop: ast.While, name: str) -> bool:
    for node in inside(loop.body):
        test = getattr(node, "test", None)
        if isinstance(test, ast.AST) and name in names_in(test):
            return True
    return False


@bug(
    "inner-loop-reuses-name",
    "The inner loop overwrites the variable of the outer one",
    "Both loops count with the same name. After the inner loop the outer one goes on with the "
    "inner one's last value for the rest of the step. Give the inner one another name.",
    confidence=0.8,
)
def inner_loop_reuses_name(module: Module) -> Iterator[ast.AST]:
    for loop in module.all(ast.For):
        if not isinstance(loop.target, ast.Name) or loop.target.id == "_":
            continue
        for node in inside(loop.body):
            if isinstance(node, ast.For) and same(node.target, loop.target):
                block = module.block_of(node)
                after = block[block.index(node) + 1 :] if node in block else []
                if loop.target.id in names_in(after):
                    yield node


@bug(
    "step-lost",
    "The next step of the loop forgets this change",
    "A for loop gives its variable the next value at each step, whatever was done to it. So "
    "`i += 1` skips nothing. Use while, or another name.",
    confidence=0.7,
)
def step_lost(module: Module) -> Iterator[ast.AST | At]:
    for loop in module.all(ast.For):
        bounds = _range_of(loop)
        if bounds is None or not isinstance(loop.target, ast.Name):
            continue
        for node in inside(loop.body):
            if isinstance(node, ast.AugAssign) and same_name(node.target, loop.target):
                if module.loop_of(node) is loop and is_pure(node.value):
                    yield node


def same_name(one: ast.expr, other: ast.expr) -> bool:
    """Tell whether two expressions are the same name."""
    return isinstance(one, ast.Name) and isinstance(other, ast.Name) and one.id == other.id


@bug(
    "greater-than-maximum",
    "Nothing is greater than the maximum",
    "The value that is compared with is the maximum (or minimum) of just these elements, so none "
    "of them is beyond it and the condition is false for every input. Use == or >=.",
    severity="error",
    confidence=0.9,
    cwe="CWE-570",
)
def greater_than_maximum(module: Module) -> Iterator[ast.AST]:
    for names in functions(module):
        for loop in inside(names.function.body):
            if not isinstance(loop, ast.For) or not isinstance(loop.target, ast.Name):
                continue
            for node in inside(loop.body):
                if not isinstance(node, ast.Compare) or len(node.ops) != 1:
                    continue
                best = node.comparators[0]
                if not isinstance(best, ast.Name) or not isinstance(node.ops[0], ast.Gt | ast.Lt):
                    continue
                value = names.only_value(best.id)
                wanted = "max" if isinstance(node.ops[0], ast.Gt) else "min"
                if _is_best(module, value, wanted, node.left, loop):
                    yield node


def _is_best(
    module: Module, value: ast.expr | None, wanted: str, asked: ast.expr, loop: ast.For
) -> bool:
    if not isinstance(value, ast.Call) or module.name_of(value.func) != wanted:
        return False
    given = argument(value, 0)
    if len(value.args) != 1 or value.keywords or given is None:
        return False
    assert isinstance(loop.target, ast.Name)
    if isinstance(given, ast.GeneratorExp | ast.ListComp) and len(given.generators) == 1:
        part = given.generators[0]
        if part.ifs or not isinstance(part.target, ast.Name) or not same(part.iter, loop.iter):
            return False
        ours = ast.unparse(asked).replace(loop.target.id, "·")
        return ours == ast.unparse(given.elt).replace(part.target.id, "·")
    return same(given, loop.iter) and same_name(asked, loop.target)
