"""Loops that leave out the first or the last element, or never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .local_names import functions
from .model import At, bug
from .module import Module, bound_in, constant, inside, is_pure, names_in, same


def _counted(loop: ast.For) -> tuple[ast.expr | None, ast.expr, str] | None:
    """Return from where to where a loop counts by one, and the name of what counts."""
    call = loop.iter
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        return None
    if call.func.id != "range" or call.keywords or len(call.args) not in (1, 2):
        return None
    if not isinstance(loop.target, ast.Name) or loop.target.id in bound_in(loop.body):
        return None
    start = call.args[0] if len(call.args) == 2 else None
    return (None if constant(start) == 0 else start), call.args[-1], loop.target.id


def _size_of(node: ast.expr) -> ast.expr | None:
    """Return whose length an expression is."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len":
        return node.args[0] if len(node.args) == 1 else None
    return None


def _uses(module: Module, loop: ast.For, index: str) -> list[ast.AST]:
    """Return what a loop does with its counter: the subscript or call around each use."""
    return [
        module.parent(node) or node
        for node in inside(loop.body)
        if isinstance(node, ast.Name) and node.id == index
    ]


@bug(
    "last-left-out",
    "The last element is left out",
    "A range leaves its end out already: range(len(x)) goes to the last element. With - 1 the "
    "last one is never looked at, and nothing in the loop asks for the next one, for which the "
    "- 1 would be needed. For one element, the loop does nothing.",
    confidence=0.7,
    cwe="CWE-193",
)
def last_left_out(module: Module) -> Iterator[ast.AST]:
    for loop in module.all(ast.For):
        counted = _counted(loop)
        if counted is None or counted[0] is not None:
            continue
        _, end, index = counted
        if not isinstance(end, ast.BinOp) or not isinstance(end.op, ast.Sub):
            continue
        owner = _size_of(end.left)
        if constant(end.right) != 1 or not isinstance(owner, ast.Name):
            continue
        if owner.id in bound_in(loop.body) or _asks_elsewhere(module, loop, owner.id, index):
            continue
        if _ends_apart(module, loop, owner.id):
            continue
        yield loop.iter


def _asks_elsewhere(module: Module, loop: ast.For, owner: str, index: str) -> bool:
    """Tell whether a counter is used for more than the element itself or what is before it."""
    found = False
    for node in inside(loop.body):
        if isinstance(node, ast.Name) and node.id == index:
            parent = module.parent(node)
            if isinstance(parent, ast.Subscript) and parent.slice is node:
                if ast.unparse(parent.value) != owner:
                    return True
                found = True
            elif isinstance(parent, ast.BinOp) and _is_prefix(module, parent, owner, index):
                found = True
            else:
                return True
    return not found


def _is_prefix(module: Module, node: ast.BinOp, owner: str, index: str) -> bool:
    part = module.parent(node)
    whole = module.parent(part) if part is not None else None
    return (
        ast.unparse(node) == f"{index} + 1"
        and isinstance(part, ast.Slice)
        and part.upper is node
        and (part.lower is None or constant(part.lower) == 0)
        and isinstance(whole, ast.Subscript)
        and ast.unparse(whole.value) == owner
    )


def _ends_apart(module: Module, loop: ast.For, owner: str) -> bool:
    """Tell whether a function looks at the last element, or first, in another place."""
    for node in ast.walk(module.scope_of(loop)):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == owner:
            text = ast.unparse(node.slice)
            if text in {"-1", "-2", f"len({owner}) - 1", "0"} or "-1:" in text:
                return True
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in {"pop", "append", "insert"}:
                if ast.unparse(node.func.value) == owner:
                    return True
    return False


@bug(
    "first-left-out",
    "The first element is left out",
    "The elements are numbered from 0. This loop begins at 1, never looks back at the one before "
    "(x[i - 1]), and nothing else looks at x[0]. So the first element has no part in the result.",
    confidence=0.65,
    cwe="CWE-193",
)
def first_left_out(module: Module) -> Iterator[ast.AST]:
    for loop in module.all(ast.For):
        counted = _counted(loop)
        if counted is None or constant(counted[0]) != 1:
            continue
        _, end, index = counted
        owner = _size_of(end)
        if not isinstance(owner, ast.Name) or owner.id in bound_in(loop.body):
            continue
        if _begins_apart(module, loop, owner.id):
            continue
        pair = _pairs(loop, index)
        if pair or not _looks_around(module, loop, owner.id, index):
            yield loop.iter


def _pairs(loop: ast.For, index: str) -> bool:
    """Tell whether an inner loop goes on behind the counter: all pairs, or all but the first."""
    for node in inside(loop.body):
        if isinstance(node, ast.For):
            counted = _counted(node)
            if counted is not None and counted[0] is not None:
                if ast.unparse(counted[0]) == f"{index} + 1":
                    return True
    return False


def _looks_around(module: Module, loop: ast.For, owner: str, index: str) -> bool:
    read = False
    for use in _uses(module, loop, index):
        if isinstance(use, ast.Subscript) and ast.unparse(use.value) == owner:
            read = True
            continue
        return True
    return not read


def _begins_apart(module: Module, loop: ast.For, owner: str) -> bool:
    """Tell whether a function looks at the first element, or at some, in another place."""
    scope = module.scope_of(loop)
    for node in ast.walk(scope):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == owner:
            if isinstance(node.slice, ast.Slice | ast.Constant):
                return True
        if isinstance(node, ast.Call | ast.Assign) and not isinstance(node, ast.Assign):
            if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == owner:
                return True
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            if ast.unparse(node.value) == owner:
                return True
    # What a program was called with, or a line cut into fields, has a name in front.
    return owner in {"argv", "args", "parts", "fields", "lines", "tokens", "rows", "words"}


@bug(
    "range-never-runs",
    "This range is empty",
    "A range counts upwards unless it is told a negative step. It begins where it should end, so "
    "the loop never runs. Write range(start, end, -1) to count down.",
    severity="error",
    confidence=0.9,
)
def range_never_runs(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        if name != "range" or len(call.args) not in (2, 3) or call.keywords:
            continue
        if len(call.args) == 3 and not _is_positive(call.args[2]):
            if _number(call.args[2]) is not None and _number(call.args[2]) != 0:
                start, end = _number(call.args[0]), _number(call.args[1])
                if start is not None and end is not None and start < end:
                    yield call
            continue
        start, end = _number(call.args[0]), _number(call.args[1])
        if start is not None and end is not None:
            # Where both are the same, somebody left a place for more.
            if start > end:
                yield call
        elif end is not None and end <= 0 and "len(" in ast.unparse(call.args[0]):
            yield call


def _number(node: ast.expr) -> int | None:
    sign = 1
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1, node.operand
    value = constant(node)
    return sign * value if type(value) is int else None


def _is_positive(node: ast.expr) -> bool:
    value = _number(node)
    return value is not None and value > 0


@bug(
    "search-misses-last",
    "The last candidate is never looked at",
    "The interval includes both ends, and the loop stops as soon as one element is left, without "
    "looking at it. Searching [5] for 5 finds nothing. Go on while lo <= hi.",
    severity="error",
    confidence=0.85,
    cwe="CWE-193",
)
def search_misses_last(module: Module) -> Iterator[ast.AST]:
    for loop, low, high, ends in _searches(module):
        test = loop.test
        assert isinstance(test, ast.Compare)
        if not isinstance(test.ops[0], ast.Lt) or not ends.endswith(" - 1"):
            continue
        steps = {
            ast.unparse(node)
            for node in inside(loop.body)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        shrinks = any(
            one.startswith(f"{high} = ") and one.endswith(" - 1") for one in steps
        ) and any(one.startswith(f"{low} = ") and one.endswith(" + 1") for one in steps)
        block = module.block_of(loop)
        after = block[block.index(loop) + 1 :]
        found = any(isinstance(node, ast.Return) for node in inside(loop.body))
        gives_up = after and isinstance(after[0], ast.Return) and _nothing(after[0].value)
        if shrinks and found and gives_up:
            yield loop


@bug(
    "search-past-end",
    "The search can look behind the last element",
    "The upper end is len(x), which has no element, and the loop goes on while lo <= hi. For a "
    "value larger than all others, the middle becomes len(x), and x[mid] raises IndexError. "
    "Begin with len(x) - 1, or stop while lo < hi.",
    severity="error",
    confidence=0.85,
    cwe="CWE-193",
)
def search_past_end(module: Module) -> Iterator[ast.AST]:
    for loop, _, _, ends in _searches(module):
        test = loop.test
        assert isinstance(test, ast.Compare)
        if not isinstance(test.ops[0], ast.LtE) or not ends.startswith("len("):
            continue
        if ends.endswith(")") and f"{ends[4:-1]}[" in ast.unparse(loop):
            yield loop


def _nothing(node: ast.expr | None) -> bool:
    return node is None or ast.unparse(node) in {"-1", "False", "None"}


def _searches(module: Module) -> Iterator[tuple[ast.While, str, str, str]]:
    """Return loops that halve an interval: the names of its ends, and where it ends at first."""
    for names in functions(module):
        for loop in inside(names.function.body):
            if not isinstance(loop, ast.While) or not isinstance(loop.test, ast.Compare):
                continue
            test = loop.test
            low, high = test.left, test.comparators[0]
            if len(test.ops) != 1 or not isinstance(low, ast.Name):
                continue
            if not isinstance(high, ast.Name) or f"{low.id} + {high.id}" not in ast.unparse(loop):
                continue
            stores = sorted(names.stores.get(high.id, []), key=lambda one: one.lineno)
            first = names.value(stores[0]) if stores else None
            if first is not None and stores[0].lineno < loop.lineno:
                yield loop, low.id, high.id, ast.unparse(first)


@bug(
    "last-dropped",
    "The last element never arrives in the result",
    "The loop goes through all elements but the last and puts them into the result; nothing puts "
    "the last one there afterwards. For one element the result is empty.",
    confidence=0.65,
    cwe="CWE-193",
)
def last_dropped(module: Module) -> Iterator[ast.AST | At]:
    for names in functions(module):
        for loop in inside(names.function.body):
            if not isinstance(loop, ast.For) or not isinstance(loop.target, ast.Name):
                continue
            cut = loop.iter
            if not isinstance(cut, ast.Subscript) or ast.unparse(cut.slice) != ":-1":
                continue
            if not isinstance(cut.value, ast.Name) or loop not in names.function.body:
                continue
            filled = {
                ast.unparse(node.func.value)
                for node in inside(loop.body)
                if isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "append"
                and loop.target.id in names_in(node)
            }
            body = names.function.body
            after = body[body.index(loop) + 1 :]
            if not after or not isinstance(after[0], ast.Return) or after[0].value is None:
                continue
            if ast.unparse(after[0].value) in filled and cut.value.id not in names_in(after):
                if not any(
                    isinstance(node, ast.Subscript)
                    and ast.unparse(node.value) == cut.value.id
                    and node is not cut
                    for node in ast.walk(names.function)
                ):
                    yield At(after[0], f"The last element of `{cut.value.id}` is not in the result")


@bug(
    "length-minus-itself",
    "This difference is always 0",
    "The name holds the length of the same thing that is measured here, so the difference is 0 "
    "for every input. The length of something else was meant.",
    confidence=0.85,
)
def length_minus_itself(module: Module) -> Iterator[ast.AST]:
    for names in functions(module):
        for node in inside(names.function.body):
            if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Sub):
                continue
            if not isinstance(node.right, ast.Name):
                continue
            owner = _size_of(node.left)
            value = names.only_value(node.right.id)
            if not isinstance(owner, ast.Name) or not same(value, node.left):
                continue
            changed = any(
                isinstance(one, ast.Attribute)
                and isinstance(one.value, ast.Name)
                and one.value.id == owner.id
                for one in inside(names.function.body)
            )
            if not changed and not names.stores.get(owner.id) and is_pure(owner):
                yield node


@bug(
    "boundary-left-out",
    "Where both are equal, there is a place too",
    "The difference is used as an index. Where both values are equal it is 0, which is the first "
    "place and a valid one; < leaves this case out. Use <=.",
    confidence=0.6,
    cwe="CWE-193",
)
def boundary_left_out(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.If):
        test = node.test
        if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], ast.Lt | ast.Gt):
            continue
        one, other = test.left, test.comparators[0]
        if len(test.ops) != 1 or not isinstance(one, ast.Name) or not isinstance(other, ast.Name):
            continue
        if isinstance(test.ops[0], ast.Gt):
            one, other = other, one
        wanted = f"{other.id} - {one.id}"
        for part in inside(node.body):
            if isinstance(part, ast.Subscript):
                index = part.slice
                parts = index.elts if isinstance(index, ast.Tuple) else [index]
                if any(ast.unparse(place) == wanted for place in parts):
                    yield test
                    break


@bug(
    "random-index-past-end",
    "The random index can be one too large",
    "randint(a, b) includes b. With b = len(x), now and then x[len(x)] is read, which raises "
    "IndexError. Use random.randrange(len(x)), or random.choice(x).",
    severity="error",
    confidence=0.9,
    cwe="CWE-193",
)
def random_index_past_end(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        if name != "random.randint" or len(call.args) != 2:
            continue
        owner = _size_of(call.args[1])
        if owner is None:
            continue
        parent = module.parent(call)
        if isinstance(parent, ast.Subscript) and same_text(parent.value, owner):
            yield call
        elif isinstance(parent, ast.Assign) and isinstance(parent.targets[0], ast.Name):
            wanted = f"{ast.unparse(owner)}[{parent.targets[0].id}]"
            if wanted in ast.unparse(module.scope_of(call)):
                yield call


def same_text(one: ast.AST, other: ast.AST) -> bool:
    """Tell whether two expressions are written alike, be they read or written to."""
    return ast.unparse(one) == ast.unparse(other)
