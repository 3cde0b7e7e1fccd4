"""Conditions that have one answer for every input."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .model import At, bug
from .module import Module, constant, is_pure, same

_OPPOSITE = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


def _opposite(one: ast.expr, other: ast.expr) -> bool:
    """Tell whether one condition holds exactly where the other does not."""
    if isinstance(one, ast.UnaryOp) and isinstance(one.op, ast.Not):
        return same(one.operand, other)
    if isinstance(other, ast.UnaryOp) and isinstance(other.op, ast.Not):
        return same(other.operand, one)
    return (
        isinstance(one, ast.Compare)
        and isinstance(other, ast.Compare)
        and len(one.ops) == len(other.ops) == 1
        and _OPPOSITE.get(type(one.ops[0])) is type(other.ops[0])
        and same(one.left, other.left)
        and same(one.comparators[0], other.comparators[0])
    )


def _chain(node: ast.If) -> tuple[list[ast.If], list[ast.stmt]]:
    """Return an if with all its elifs, and what else there is."""
    links = [node]
    while len(links[-1].orelse) == 1 and isinstance(links[-1].orelse[0], ast.If):
        links.append(links[-1].orelse[0])
    return links, links[-1].orelse


def _covers(wide: ast.expr, narrow: ast.expr) -> bool:
    """Tell whether one condition is true wherever another is, and not the same."""
    first, second = _bound(wide), _bound(narrow)
    if first is not None and second is not None and same(first[0], second[0]):
        if same(wide, narrow):
            return False
        above, below = (ast.Gt, ast.GtE), (ast.Lt, ast.LtE)
        if first[1] in above and second[1] in (*above, ast.Eq):
            strict = first[1] is ast.Gt and second[1] is not ast.Gt
            return second[2] > first[2] or (second[2] == first[2] and not strict)
        if first[1] in below and second[1] in (*below, ast.Eq):
            strict = first[1] is ast.Lt and second[1] is not ast.Lt
            return second[2] < first[2] or (second[2] == first[2] and not strict)
    return _is_kind(wide, "int") and _is_kind(narrow, "bool") and same_subject(wide, narrow)


def _is_kind(node: ast.expr, *kinds: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "isinstance"
        and len(node.args) == 2
        and isinstance(node.args[0], ast.Name)
        and isinstance(node.args[1], ast.Name)
        and node.args[1].id in kinds
    )


def same_subject(one: ast.expr, other: ast.expr) -> bool:
    """Tell whether two calls of isinstance() ask about the same thing."""
    return (
        isinstance(one, ast.Call)
        and isinstance(other, ast.Call)
        and same(one.args[0], other.args[0])
    )


def _begins(module: Module, node: ast.If) -> bool:
    parent = module.parent(node)
    return not (isinstance(parent, ast.If) and parent.orelse == [node])


@bug(
    "branch-never-reached",
    "No input gets here: the conditions before it cover everything",
    "An if and an elif that are the opposite of each other leave nothing over, so what stands "
    "after them never runs. One of the conditions is wider than it should be.",
    severity="error",
    confidence=0.95,
    cwe="CWE-561",
)
def branch_never_reached(module: Module) -> Iterator[ast.AST | At]:
    for node in module.all(ast.If):
        if not _begins(module, node):
            continue
        links, rest = _chain(node)
        for index, link in enumerate(links):
            if not is_pure(link.test) and not _is_kind(link.test, "int", "bool"):
                break
            earlier = links[:index]
            if any(same(one.test, link.test) for one in earlier):
                yield At(link, "The same condition was asked before: this branch never runs")
            wider = next((one for one in earlier if _covers(one.test, link.test)), None)
            if wider is not None:
                yield At(
                    link, f"`{ast.unparse(wider.test)}` holds here, too, and comes first"[:200]
                )
            opposite = any(_opposite(one.test, link.test) for one in earlier)
            after = links[index + 1 :]
            if opposite and (after or rest):
                yield At(link, "This holds for all that is left: the branches below never run")


@bug(
    "contradiction",
    "No value makes this true",
    "The two halves exclude each other, so the condition is false for every input. One of the "
    "comparisons points the wrong way, or `or` was meant instead of `and`.",
    severity="error",
    confidence=0.95,
    cwe="CWE-570",
)
def contradiction(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.BoolOp):
        if isinstance(node.op, ast.And) and is_pure(node):
            if _is_and(module.parent(node)):
                continue
            parts = list(_parts(node))
            pairs = [(a, b) for index, a in enumerate(parts) for b in parts[index + 1 :]]
            if any(_opposite(a, b) or _apart(a, b) or _two_values(a, b) for a, b in pairs):
                yield node


def _is_and(node: ast.AST | None) -> bool:
    return isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And)


def _parts(node: ast.BoolOp) -> Iterator[ast.expr]:
    """Return what all has to be true for an `and` to be, also in brackets."""
    for part in node.values:
        if isinstance(part, ast.BoolOp) and isinstance(part.op, ast.And):
            yield from _parts(part)
        else:
            yield part


def _two_values(one: ast.expr, other: ast.expr) -> bool:
    """Tell whether one thing would have to be equal to two different values."""
    first, second = _side(one, ast.Eq), _side(other, ast.Eq)
    return (
        first is not None
        and second is not None
        and same(first[0], second[0])
        and first[1] != second[1]
    )


@bug(
    "tautology",
    "Every value makes this true",
    "Each value fulfils one half or the other: x != 1 or x != 2 holds for 1, too, as 1 is not 2. "
    "`and` was meant instead of `or`, or one of the comparisons points the wrong way.",
    severity="error",
    confidence=0.95,
    cwe="CWE-571",
)
def tautology(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.BoolOp):
        if isinstance(node.op, ast.Or) and is_pure(node):
            parts = node.values
            for index, one in enumerate(parts):
                for other in parts[index + 1 :]:
                    if _opposite(one, other) or _differs_from_both(one, other):
                        yield node
        if isinstance(node.op, ast.Or):
            for part in node.values[1:]:
                first = node.values[0]
                literal = isinstance(part, ast.Constant) and isinstance(part.value, str | int)
                if literal and constant(part) and isinstance(first, ast.Compare):
                    test = module.parent(node)
                    if isinstance(test, ast.If | ast.While) and isinstance(first.ops[0], ast.Eq):
                        yield node


def _differs_from_both(one: ast.expr, other: ast.expr) -> bool:
    pair = [_side(one, ast.NotEq), _side(other, ast.NotEq)]
    if pair[0] is None or pair[1] is None:
        return False
    return same(pair[0][0], pair[1][0]) and pair[0][1] != pair[1][1]


def _side(node: ast.expr, kind: type[ast.cmpop]) -> tuple[ast.expr, object] | None:
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], kind):
        right = node.comparators[0]
        if isinstance(right, ast.Constant):
            return node.left, right.value
    return None


def _bound(node: ast.expr) -> tuple[ast.expr, type[ast.cmpop], float] | None:
    """Return what is compared with which number, and how."""
    if not isinstance(node, ast.Compare) or len(node.ops) != 1:
        return None
    left, right, kind = node.left, node.comparators[0], type(node.ops[0])
    turned = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE}
    if isinstance(left, ast.Constant):
        left, right, kind = right, left, turned.get(kind, kind)
    value = constant(right)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return left, kind, value
    return None


def _apart(one: ast.expr, other: ast.expr) -> bool:
    """Tell whether two bounds leave no number between them."""
    first, second = _bound(one), _bound(other)
    if first is None or second is None or not same(first[0], second[0]):
        return False
    low, high = (first, second) if first[1] in (ast.Gt, ast.GtE) else (second, first)
    if low[1] in (ast.Gt, ast.GtE) and high[1] in (ast.Lt, ast.LtE):
        touching = low[2] == high[2] and not (low[1] is ast.GtE and high[1] is ast.LtE)
        return low[2] > high[2] or touching
    return first[1] is second[1] is ast.Eq and first[2] != second[2]


@bug(
    "range-of-one",
    "Only one number fulfils this",
    "With >= and <= of the same number, only that number is left: everything below and above is "
    "refused. One of the two comparisons is too many, or has the wrong number.",
    confidence=0.85,
)
def range_of_one(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.BoolOp):
        if not isinstance(node.op, ast.And):
            continue
        bounds = [bound for part in node.values if (bound := _bound(part)) is not None]
        for index, one in enumerate(bounds):
            for other in bounds[index + 1 :]:
                if {one[1], other[1]} == {ast.GtE, ast.LtE} and one[2] == other[2]:
                    if same(one[0], other[0]):
                        yield node


@bug(
    "same-on-both-sides",
    "Both sides are the same",
    "An expression compared with itself, subtracted from itself or joined with itself by and/or "
    "has one result whatever the input. On one side another name was meant.",
    confidence=0.85,
    cwe="CWE-1024",
)
def same_on_both_sides(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.BinOp):
        kinds = ast.Sub | ast.FloorDiv | ast.Mod | ast.BitXor | ast.BitAnd | ast.BitOr
        if isinstance(node.op, kinds) and not isinstance(node.left, ast.Constant):
            if is_pure(node) and same(node.left, node.right):
                yield node
    for bools in module.all(ast.BoolOp):
        if is_pure(bools):
            for index, one in enumerate(bools.values):
                if any(same(one, other) for other in bools.values[index + 1 :]):
                    yield bools
                    break
    for test in module.all(ast.IfExp):
        if same(test.body, test.orelse):
            yield test


@bug(
    "same-in-both-branches",
    "Both branches do the same",
    "Whatever the condition says, the same lines run. One of the branches was copied and not "
    "changed.",
    confidence=0.75,
)
def same_in_both_branches(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.If):
        if node.orelse and len(node.body) == len(node.orelse) and _begins(module, node):
            if not isinstance(node.body[0], ast.Pass | ast.If) and all(
                same(one, other) for one, other in zip(node.body, node.orelse, strict=True)
            ):
                yield node


@bug(
    "division-binds-first",
    "The numbers are divided first, which gives 0",
    "`//` binds tighter than + and -: in len(x) - 1 // 2, Python computes 1 // 2 = 0 first and "
    "subtracts that. Put brackets around what is to be divided: (len(x) - 1) // 2.",
    severity="error",
    confidence=0.95,
    cwe="CWE-783",
)
def division_binds_first(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.BinOp):
        if isinstance(node.op, ast.FloorDiv):
            top, bottom = constant(node.left), constant(node.right)
            if type(top) is int and type(bottom) is int and 0 < top < bottom:
                parent = module.parent(node)
                if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Add | ast.Sub):
                    yield parent


@bug(
    "upper-and-lower",
    "A text in one case is compared with one in the other",
    "upper() leaves no small letters and lower() no capitals, so a comparison with the other "
    "kind is never true, whatever the input.",
    severity="error",
    confidence=0.95,
)
def upper_and_lower(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.Compare):
        sides = [node.left, *node.comparators]
        for side in sides:
            if not isinstance(side, ast.Call) or not isinstance(side.func, ast.Attribute):
                continue
            case = side.func.attr
            if case not in {"upper", "lower"} or side.args:
                continue
            for other in sides:
                texts = [constant(other)]
                if isinstance(other, ast.List | ast.Tuple | ast.Set):
                    texts = [constant(one) for one in other.elts]
                known = [text for text in texts if isinstance(text, str) and text]
                if (
                    known
                    and len(known) == len(texts)
                    and all(text != getattr(text, case)() and text.isalpha() for text in known)
                ):
                    yield node
