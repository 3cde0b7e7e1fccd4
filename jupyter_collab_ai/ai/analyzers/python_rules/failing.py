"""Lines that fail, or do nothing, whatever comes in."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

from .known import known
from .local_names import is_empty_container
from .model import At, bug
from .module import (
    Function,
    Module,
    argument,
    body_of,
    constant,
    enclosing,
    inside,
    is_pure,
    names_in,
    same,
)


def _tried(module: Module, node: ast.AST) -> bool:
    """Tell whether an error at a place is expected: in a try, or a block that waits for it."""
    return any(
        isinstance(one, ast.Try | ast.With | ast.AsyncWith) for one in module.ancestors(node)
    )


@bug(
    "divided-by-nothing",
    "The divisor is 0",
    "Whatever stands before it, dividing by 0 raises ZeroDivisionError.",
    severity="error",
    confidence=0.9,
    cwe="CWE-369",
)
def divided_by_nothing(module: Module) -> Iterator[ast.AST | At]:
    for node in module.all(ast.BinOp):
        if not isinstance(node.op, ast.Div | ast.FloorDiv | ast.Mod):
            continue
        number = type(constant(node.left)) in (int, float)
        if not number and (isinstance(node.op, ast.Mod) or isinstance(node.left, ast.Constant)):
            # A text with a place for a number.
            continue
        if _tried(module, node):
            continue
        right = node.right
        if type(constant(right)) in (int, float) and constant(right) == 0:
            # A line that does nothing else is meant to fail.
            meant = any(isinstance(one, ast.Lambda) for one in module.ancestors(node))
            if not meant and not isinstance(module.parent(node), ast.Expr):
                yield node
        elif isinstance(right, ast.Call) and module.name_of(right.func) == "len":
            given = argument(right, 0)
            if isinstance(given, ast.Name) and _stays_empty(module, given):
                yield At(node, f"`{given.id}` is empty here: its length is 0")


def _stays_empty(module: Module, name: ast.Name) -> bool:
    """Tell whether a name stands for a container that is made empty and never filled."""
    names = known(module)
    if not is_empty_container(module, names.only_value(name)):
        return False
    for load in names.loads(name):
        parent = module.parent(load)
        harmless = isinstance(parent, ast.Call) and module.name_of(parent.func) in {
            "len", "sum", "min", "max", "sorted", "print",
        }  # fmt: skip
        if not harmless:
            return False
    return True


@bug(
    "mean-of-nothing",
    "An empty list has no mean: its length is 0",
    "The list holds what a condition has left over, which may be nothing: then this divides by 0 "
    "and raises ZeroDivisionError. Say what the answer is then, or check before: if not xs: …",
    severity="info",
    confidence=0.5,
    cwe="CWE-369",
)
def mean_of_nothing(module: Module) -> Iterator[ast.AST | At]:
    for node in module.all(ast.BinOp):
        right = node.right
        if not isinstance(node.op, ast.Div) or not isinstance(right, ast.Call):
            continue
        given = argument(right, 0)
        if module.name_of(right.func) != "len" or not isinstance(given, ast.Name):
            continue
        function = enclosing(module, node)
        if function is None or module.scope_of(node) is not function or _tried(module, node):
            continue
        if not _is_total(module, function, node.left, given.id):
            continue
        if not _may_be_empty(module, given) or _is_checked(function, given.id):
            continue
        yield At(node, f"Where `{given.id}` is empty, this divides by 0")


def _is_total(module: Module, function: Function, node: ast.expr, name: str) -> bool:
    """Tell whether a value is the sum of what a name holds."""
    if isinstance(node, ast.Call) and module.name_of(node.func) == "sum":
        return name in names_in(node)
    if not isinstance(node, ast.Name):
        return False
    return any(
        isinstance(one, ast.AugAssign)
        and isinstance(one.target, ast.Name)
        and one.target.id == node.id
        and isinstance(loop := module.loop_of(one), ast.For)
        and isinstance(loop.iter, ast.Name)
        and loop.iter.id == name
        for one in body_of(function)
    )


def _may_be_empty(module: Module, name: ast.Name) -> bool:
    """Tell whether a list holds what a condition has left over.

    Of a parameter nothing is said: nearly every mean in the world would be a finding, and whoever
    calls it may well know that there is something.
    """
    values = known(module).values(name)
    return (
        values is not None
        and len(values) == 1
        and isinstance(values[0], ast.ListComp)
        and any(part.ifs for part in values[0].generators)
    )


def _is_checked(function: Function, name: str) -> bool:
    """Tell whether a function asks anything about a name, or of what is made of it."""
    for node in body_of(function):
        test = getattr(node, "test", None)
        if isinstance(test, ast.AST) and name in names_in(test):
            return True
        if isinstance(node, ast.BoolOp) and name in names_in(node):
            return True
        if isinstance(node, ast.Match) and name in names_in(node.subject):
            return True
    return False


@bug(
    "index-is-length",
    "The last element has the number len(x) - 1",
    "Elements are numbered from 0, so the number len(x) is one past the last: this raises "
    "IndexError for every x. Write x[-1].",
    severity="error",
    confidence=0.9,
    cwe="CWE-193",
)
def index_is_length(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.Subscript):
        if not isinstance(node.ctx, ast.Load) or not is_pure(node.value):
            continue
        index = node.slice
        if isinstance(index, ast.Call) and module.name_of(index.func) == "len":
            if len(index.args) == 1 and same(index.args[0], node.value):
                if not _tried(module, node) and not _is_table(module, node.value):
                    yield node
    for loop in module.all(ast.For):
        owner = _counted_down(module, loop)
        if owner is None or not isinstance(loop.target, ast.Name):
            continue
        for node in _first_reads(loop):
            if isinstance(node.slice, ast.Name) and node.slice.id == loop.target.id:
                if same(node.value, owner) and not _is_table(module, node.value):
                    yield node


def _counted_down(module: Module, loop: ast.For) -> ast.expr | None:
    """Return of what a loop counts down from the length."""
    call = loop.iter
    if not isinstance(call, ast.Call) or module.name_of(call.func) != "range":
        return None
    if len(call.args) != 3 or not isinstance(call.args[0], ast.Call):
        return None
    step, start = call.args[2], call.args[0]
    down = isinstance(step, ast.UnaryOp) and isinstance(step.op, ast.USub)
    if not down or module.name_of(start.func) != "len" or len(start.args) != 1:
        return None
    return start.args[0]


def _first_reads(loop: ast.For) -> Iterator[ast.Subscript]:
    """Return what the first statement of a loop reads in any case."""
    first = loop.body[0]
    if isinstance(first, ast.Assign | ast.AugAssign | ast.Expr | ast.Return):
        parts = inside(first)
        if any(
            isinstance(one, ast.BoolOp | ast.IfExp | ast.comprehension) for one in inside(first)
        ):
            return
        for one in parts:
            if isinstance(one, ast.Subscript) and isinstance(one.ctx, ast.Load):
                yield one


def _is_table(module: Module, node: ast.expr) -> bool:
    """Tell whether something may be a dictionary, which may have its length as a key."""
    if not isinstance(node, ast.Name):
        return True
    names = known(module)
    givers = names.givers(node)
    if len(givers) == 1 and isinstance(givers[0], ast.arg):
        annotation = givers[0].annotation
        text = ast.unparse(annotation).lower() if annotation else ""
        return any(word in text for word in ("dict", "map", "any", "table"))
    values = names.values(node) or []
    kinds = (ast.List, ast.ListComp, ast.Constant, ast.JoinedStr, ast.Tuple)
    return not values or not all(
        isinstance(value, kinds)
        or (isinstance(value, ast.Call) and module.name_of(value.func) in {"list", "sorted", "str"})
        for value in values
    )


@bug(
    "not-exchanged",
    "The second line gives back what the first has just put there",
    "After a = b both are the same, so b = a changes nothing and the old value of a is lost. To "
    "exchange two values, write a, b = b, a.",
    severity="error",
    confidence=0.85,
)
def not_exchanged(module: Module) -> Iterator[ast.AST]:
    for node in module.nodes:
        for field in ("body", "orelse"):
            block = getattr(node, field, None)
            if not isinstance(block, list):
                continue
            for one, other in itertools.pairwise(block):
                if _mirrors(one, other):
                    yield other


def _mirrors(one: ast.stmt, other: ast.stmt) -> bool:
    if not isinstance(one, ast.Assign) or not isinstance(other, ast.Assign):
        return False
    if len(one.targets) != 1 or len(other.targets) != 1:
        return False
    kinds = (ast.Name, ast.Subscript)
    target, value = one.targets[0], one.value
    if not isinstance(target, kinds) or type(target) is not type(value):
        return False
    texts = [ast.unparse(part) for part in (target, value, other.targets[0], other.value)]
    return texts[:2] == texts[:1:-1] and texts[0] != texts[1] and is_pure(one)


@bug(
    "counted-without-start",
    "The first time each key comes up, it isn't there yet",
    "The dictionary begins empty and += reads the old value first, so the very first key raises "
    "KeyError. Write d[key] = d.get(key, 0) + 1, or begin with collections.defaultdict(int) or "
    "Counter().",
    severity="error",
    confidence=0.9,
)
def counted_without_start(module: Module) -> Iterator[ast.AST]:
    names = known(module)
    for node in module.all(ast.AugAssign):
        target = node.target
        if not isinstance(target, ast.Subscript) or not isinstance(target.value, ast.Name):
            continue
        value = names.only_value(target.value)
        plain = isinstance(value, ast.Dict) and not value.keys
        plain |= (
            isinstance(value, ast.Call)
            and module.name_of(value.func) == "dict"
            and not value.args
            and not value.keywords
        )
        if not plain or _tried(module, node):
            continue
        if names.owner(target.value) is not module.scope_of(node):
            continue
        if all(_only_counts(module, load, node) for load in names.loads(target.value)):
            yield node


def _only_counts(module: Module, load: ast.Name, node: ast.AugAssign) -> bool:
    """Tell whether a use of a dictionary can't have given it its first keys."""
    parent = module.parent(load)
    if isinstance(parent, ast.Subscript) and parent.value is load:
        place = module.parent(parent)
        return not isinstance(parent.ctx, ast.Store) or place is node
    after = (load.lineno, load.col_offset) > (node.lineno, node.col_offset)
    out = module.loop_of(load) is None
    return after and out and module.scope_of(load) is module.scope_of(node)


@bug(
    "possibly-never-set",
    "Where the condition does not hold, the name has no value",
    "The name gets its value in the if alone, and is read after it whatever the condition was. "
    "Where it did not hold, Python raises UnboundLocalError. Give it a value before or in an else.",
    severity="warning",
    confidence=0.75,
    cwe="CWE-457",
)
def possibly_never_set(module: Module) -> Iterator[ast.AST | At]:
    names = known(module)
    for function in module.functions:
        for node in body_of(function):
            if not isinstance(node, ast.If) or node.orelse or module.loop_of(node) is not None:
                continue
            if isinstance(node.test, ast.Constant | ast.Attribute):
                continue
            block = module.block_of(node)
            after = block[block.index(node) + 1 :] if node in block else []
            for statement in node.body:
                if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
                    continue
                target = statement.targets[0]
                if not isinstance(target, ast.Name) or len(names.givers(target)) != 1:
                    continue
                read = _read_after(after, target.id)
                if read is not None and module.scope_of(node) is function:
                    yield At(read, f"`{target.id}` has no value where the condition does not hold")


def _read_after(after: list[ast.stmt], name: str) -> ast.stmt | None:
    """Return the first statement that reads a name in any case."""
    for statement in after:
        reads = any(
            isinstance(one, ast.Name) and one.id == name and isinstance(one.ctx, ast.Load)
            for one in ast.walk(statement)
        )
        simple = isinstance(
            statement, ast.Return | ast.Assign | ast.Expr | ast.AugAssign | ast.AnnAssign
        )
        chosen = any(
            isinstance(one, ast.IfExp | ast.BoolOp | ast.Lambda | ast.comprehension)
            for one in ast.walk(statement)
        )
        if reads:
            return statement if simple and not chosen else None
        if not simple or any(isinstance(one, ast.Call) for one in ast.walk(statement)):
            # It may leave the function, or ask the same once more.
            return None
    return None
