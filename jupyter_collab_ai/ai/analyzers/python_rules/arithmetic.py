"""Sums, remainders and roots that can't give what they are computed for."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .known import known
from .local_names import Names, functions
from .model import At, bug
from .module import Module, argument, bound_in, constant, inside, is_pure, names_in, same

_ROOTS = frozenset({"math.sqrt", "math.isqrt", "numpy.sqrt", "math.cbrt"})
_ROUNDING = frozenset({"int", "round", "math.floor", "math.ceil", "abs"})


def _is_root(module: Module, node: ast.expr) -> ast.expr | None:
    """Return of what an expression is a root, rounded or not; None where it is none."""
    if isinstance(node, ast.Call) and len(node.args) == 1:
        name = module.name_of(node.func)
        if name in _ROOTS:
            return node.args[0]
        return _is_root(module, node.args[0]) if name in _ROUNDING else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        power = node.right
        value = constant(power)
        if isinstance(value, float) and 0 < value < 1:
            return node.left
        if isinstance(power, ast.BinOp) and isinstance(power.op, ast.Div):
            top, bottom = constant(power.left), constant(power.right)
            if top in (1, 1.0) and isinstance(bottom, int | float) and bottom > 1:
                return node.left
    return None


@bug(
    "root-not-tried",
    "The range ends before the root itself",
    "A range leaves its end out, so the root is never tried as a divisor: 9, 25 and 49 have no "
    "smaller divisor and are taken for primes. Add 1 to the end of the range.",
    severity="error",
    confidence=0.9,
    cwe="CWE-193",
)
def root_not_tried(module: Module) -> Iterator[ast.AST]:
    for loop in module.nodes:
        if not isinstance(loop, ast.For | ast.comprehension):
            continue
        call, target = loop.iter, loop.target
        if not isinstance(call, ast.Call) or module.name_of(call.func) != "range":
            continue
        if len(call.args) < 2 or not isinstance(target, ast.Name):
            continue
        end: ast.expr | None = call.args[1]
        if isinstance(end, ast.Call) and module.name_of(end.func) == "min":
            end = next((one for one in end.args if _is_root(module, one) is not None), None)
        if isinstance(end, ast.Name):
            end = _value_of(module, end)
        root = None if end is None else _is_root(module, end)
        if root is None or (isinstance(end, ast.Call) and module.name_of(end.func) == "math.ceil"):
            continue
        around = loop if isinstance(loop, ast.For) else module.parent(loop)
        divided = around is not None and any(
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Mod)
            and isinstance(node.right, ast.Name)
            and node.right.id == target.id
            for node in ast.walk(around)
        )
        if divided:
            yield call


def _value_of(module: Module, name: ast.Name) -> ast.expr | None:
    for names in functions(module):
        if names.function is module.scope_of(name):
            return names.only_value(name.id)
    return None


@bug(
    "root-compared-with-number",
    "A root is compared with the number itself",
    "The root of n is n only for 0 and 1. To see whether n is a square or a cube, the rounded "
    "root has to be raised again: round(n ** 0.5) ** 2 == n.",
    severity="error",
    confidence=0.9,
)
def root_compared_with_number(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.Compare):
        if len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
            continue
        for one, other in ((node.left, node.comparators[0]), (node.comparators[0], node.left)):
            root = _is_root(module, one)
            if root is not None and is_pure(root) and same(root, other):
                yield node
    for loop in module.all(ast.While):
        step = _newton(loop)
        if step is None:
            continue
        for part in ast.walk(loop.test):
            if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Sub):
                pair = {ast.unparse(part.left), ast.unparse(part.right)}
                if pair == step:
                    yield part


def _newton(loop: ast.While) -> set[str] | None:
    """Return the names of a number and of what a loop brings nearer to its root."""
    for node in inside(loop.body):
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        guess = node.targets[0].id
        for part in ast.walk(node.value):
            if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Div):
                number, divisor = part.left, part.right
                if isinstance(number, ast.Name) and isinstance(divisor, ast.Name):
                    added = f"{guess} + {number.id} / {guess}" in ast.unparse(node.value)
                    if divisor.id == guess and added:
                        return {guess, number.id}
    return None


@bug(
    "remainder-of-smaller",
    "The number that is divided is the smaller one",
    "The inner loop stays below the other number, and a smaller number divided by a larger one "
    "leaves itself: j % i is j. So the comparison has the same answer at every step. The two "
    "were exchanged: i % j.",
    severity="error",
    confidence=0.95,
)
def remainder_of_smaller(module: Module) -> Iterator[ast.AST]:
    for loop in module.all(ast.For):
        call = loop.iter
        if not isinstance(call, ast.Call) or module.name_of(call.func) != "range":
            continue
        if len(call.args) not in (1, 2) or not isinstance(loop.target, ast.Name):
            continue
        start = constant(call.args[0]) if len(call.args) == 2 else 0
        end = call.args[-1]
        if not isinstance(end, ast.Name) or not isinstance(start, int) or start < 0:
            continue
        if end.id in bound_in(loop.body) or loop.target.id in bound_in(loop.body):
            continue
        for node in inside(loop.body):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
                left, right = node.left, node.right
                if isinstance(left, ast.Name) and left.id == loop.target.id:
                    if isinstance(right, ast.Name) and right.id == end.id:
                        yield node


@bug(
    "divisors-begin-late",
    "The smallest divisors are not tried",
    "The loop looks for a divisor and begins above 2. Without a test of the ones before, 4, or "
    "any other power of 2, has no divisor here. Begin at 2.",
    confidence=0.85,
    cwe="CWE-193",
)
def divisors_begin_late(module: Module) -> Iterator[ast.AST]:
    for loop in module.all(ast.For):
        call = loop.iter
        if not isinstance(call, ast.Call) or module.name_of(call.func) != "range":
            continue
        if len(call.args) != 2 or not isinstance(loop.target, ast.Name):
            continue
        start = constant(call.args[0])
        if type(start) is not int or not 2 < start < 10:
            continue
        first = loop.body[0]
        if not isinstance(first, ast.If) or not leaves_early(first):
            continue
        test = first.test
        if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], ast.Eq):
            continue
        rest = test.left
        if not isinstance(rest, ast.BinOp) or not isinstance(rest.op, ast.Mod):
            continue
        if not isinstance(rest.right, ast.Name) or rest.right.id != loop.target.id:
            continue
        scope = module.scope_of(loop)
        tried = any(
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Mod | ast.BitAnd)
            and isinstance(constant(node.right), int)
            for node in ast.walk(scope)
        )
        if not tried:
            yield call


def leaves_early(node: ast.If) -> bool:
    """Tell whether a branch ends the loop or the function."""
    return isinstance(node.body[-1], ast.Return | ast.Break)


@bug(
    "remainder-minus-first",
    "The remainder is taken first, then 1 is subtracted",
    "% binds tighter than + and -: n % i - 1 == 0 asks whether the remainder is 1. For a test of "
    "divisibility leave the - 1 out; otherwise write brackets, or == 1.",
    confidence=0.75,
    cwe="CWE-783",
)
def remainder_minus_first(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.Compare):
        left = node.left
        if len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
            continue
        if constant(node.comparators[0]) != 0 or not isinstance(left, ast.BinOp):
            continue
        if isinstance(left.op, ast.Sub | ast.Add) and isinstance(constant(left.right), int):
            rest = left.left
            if isinstance(rest, ast.BinOp) and isinstance(rest.op, ast.Mod):
                if not isinstance(rest.left, ast.Constant):
                    yield node


@bug(
    "fixed-power",
    "This power is always the same number",
    "** binds tighter than *: in (-1) ** 2 * n, Python computes (-1) ** 2 = 1 first, so the sign "
    "never changes. Put brackets around the exponent: (-1) ** (2 * n).",
    severity="error",
    confidence=0.9,
    cwe="CWE-783",
)
def fixed_power(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.BinOp):
        if isinstance(node.op, ast.Pow) and isinstance(node.left, ast.UnaryOp):
            base, power = constant(node.left.operand), constant(node.right)
            if base == 1 and isinstance(node.left.op, ast.USub) and isinstance(power, int):
                yield node


@bug(
    "modulo-not-length",
    "The remainder does not go with the length of what is indexed",
    "The index is taken modulo a number that is not how many elements there are. Where it is "
    "smaller, the last ones are never reached; where it is larger, IndexError is raised. Use "
    "% len(x).",
    severity="error",
    confidence=0.85,
)
def modulo_not_length(module: Module) -> Iterator[ast.AST | At]:
    for names in functions(module):
        for node in inside(names.function.body):
            if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Name):
                continue
            index = node.slice
            if not isinstance(index, ast.BinOp) or not isinstance(index.op, ast.Mod):
                continue
            value, divisor = names.only_value(node.value.id), constant(index.right)
            size = _length(value)
            if size is None or type(divisor) is not int or size == divisor or size < 3:
                continue
            if divisor > size or (isinstance(value, ast.Constant) and divisor > size // 2):
                yield At(
                    node, f"`{node.value.id}` has {size} elements, and this is modulo {divisor}"
                )


def _length(node: ast.expr | None) -> int | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return len(node.value)
    if isinstance(node, ast.List | ast.Tuple):
        starred = any(isinstance(one, ast.Starred) for one in node.elts)
        return None if starred else len(node.elts)
    return None


@bug(
    "range-divided-by-sum",
    "The range of values is their difference, and here is their sum",
    "To bring values to 0…1, the smallest is subtracted and the result divided by the largest "
    "minus the smallest. With + the largest value gives 1 only where the smallest is 0.",
    confidence=0.85,
)
def range_divided_by_sum(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.BinOp):
        top, bottom = node.left, node.right
        if not isinstance(node.op, ast.Div) or not isinstance(top, ast.BinOp):
            continue
        if not isinstance(bottom, ast.BinOp) or not isinstance(bottom.op, ast.Add):
            continue
        low, high = top.right, bottom.left
        # (high - low) / (high + low) is a contrast, and meant so.
        if isinstance(top.op, ast.Sub) and isinstance(low, ast.Name) and same(low, bottom.right):
            named = any(word in low.id.lower() for word in ("min", "low"))
            if named and isinstance(high, ast.Name) and not same(top.left, high):
                yield node


@bug(
    "counted-twice",
    "The same value is added twice",
    "Both terms have the same value for every input — |a - b| is |b - a| — so the result is "
    "twice as large as it should be. One of the two was meant, or another one.",
    confidence=0.8,
)
def counted_twice(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.BinOp):
        parent = module.parent(node)
        if not isinstance(node.op, ast.Add) or _is_sum(parent):
            continue
        terms = list(_terms(node))
        names = [one.id for one in terms if isinstance(one, ast.Name)]
        if len(names) == len(terms) > 2 and all(names.count(one) == 2 for one in names):
            yield node
            continue
        for index, one in enumerate(terms):
            for other in terms[index + 1 :]:
                if _turned(module, one, other):
                    yield node


def _is_sum(node: ast.AST | None) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)


def _terms(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from _terms(node.left)
        yield from _terms(node.right)
    else:
        yield node


def _turned(module: Module, one: ast.expr, other: ast.expr) -> bool:
    """Tell whether two terms are |a - b| and |b - a|."""
    if not isinstance(one, ast.Call) or not isinstance(other, ast.Call):
        return False
    if module.name_of(one.func) != "abs" or module.name_of(other.func) != "abs":
        return False
    first, second = argument(one, 0), argument(other, 0)
    if not isinstance(first, ast.BinOp) or not isinstance(second, ast.BinOp):
        return False
    if not isinstance(first.op, ast.Sub) or not isinstance(second.op, ast.Sub):
        return False
    return same(first.left, second.right) and same(first.right, second.left)


@bug(
    "bit-stays-set",
    "This keeps a bit set, so the loop never ends",
    "n ^ (n - 1) is at least 1 for every n, so n is never 0. To remove the lowest bit that is "
    "set, write n &= n - 1.",
    severity="error",
    confidence=0.95,
    cwe="CWE-835",
)
def bit_stays_set(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.AugAssign):
        loop = module.loop_of(node)
        if not isinstance(node.target, ast.Name) or not isinstance(loop, ast.While):
            continue
        minus_one = ast.unparse(node.value) == f"{node.target.id} - 1"
        kept = isinstance(node.op, ast.BitXor | ast.BitOr)
        if minus_one and kept and node.target.id in names_in(loop.test):
            yield node


@bug(
    "lowest-in-sorted",
    "In a sorted list, the smallest element is always the first",
    "index(min(x)) of the sorted list is 0 for every input. The position in the original list "
    "was meant.",
    severity="error",
    confidence=0.9,
)
def lowest_in_sorted(module: Module) -> Iterator[ast.AST]:
    for names in functions(module):
        for node in inside(names.function.body):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            owner = node.func.value
            if node.func.attr != "index" or len(node.args) != 1 or not isinstance(owner, ast.Name):
                continue
            made = names.only_value(owner.id)
            if not isinstance(made, ast.Call) or module.name_of(made.func) != "sorted":
                continue
            if len(made.args) != 1 or made.keywords:
                continue
            if _is_extreme(module, names, node.args[0], made.args[0]):
                yield node


def _is_extreme(module: Module, names: Names, node: ast.expr, of: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        node = names.only_value(node.id) or node
    return (
        isinstance(node, ast.Call)
        and module.name_of(node.func) in {"min", "max"}
        and len(node.args) == 1
        and not node.keywords
        and same(node.args[0], of)
    )


@bug(
    "number-and-text",
    "A number can't be joined to a text",
    "For every input this raises TypeError: + joins text to text and adds numbers to numbers. "
    "Write f'… {number}', or str(number).",
    severity="error",
    confidence=0.95,
)
def number_and_text(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.BinOp):
        if isinstance(node.op, ast.Add):
            sides = (node.left, node.right)
            # In a chain, the left side is as a whole what its last term is.
            left = node.left.right if _is_sum(node.left) else node.left  # type: ignore[attr-defined]
            kinds = {_plain_kind(module, left), _plain_kind(module, sides[1])}
            if kinds == {"text", "number"}:
                yield node


def _plain_kind(module: Module, node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        value = known(module).only_value(node)
        return "" if value is None or isinstance(value, ast.Name) else _plain_kind(module, value)
    if isinstance(node, ast.JoinedStr):
        return "text"
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return "text"
        return "number" if type(node.value) in (int, float) else ""
    if isinstance(node, ast.Call):
        name = module.name_of(node.func)
        if name in {"len", "int", "float", "ord"}:
            return "number"
        return "text" if name in {"str", "input", "chr", "repr", "bin", "hex"} else ""
    return ""


@bug(
    "typed-number-is-text",
    "What was typed is a text, and is used as a number",
    "input() returns text, always: '18' > 5 raises TypeError, '5' * 2 is '55', and '5' == 5 is "
    "false. Convert it first: int(input(…)).",
    severity="error",
    confidence=0.9,
)
def typed_number_is_text(module: Module) -> Iterator[ast.AST]:
    for scope_names in (_at_top(module), *_in_functions(module)):
        for load in scope_names:
            parent = module.parent(load)
            if isinstance(parent, ast.Compare) and len(parent.ops) == 1:
                other = parent.comparators[0] if parent.left is load else parent.left
                ordered = not isinstance(parent.ops[0], ast.In | ast.NotIn | ast.Is | ast.IsNot)
                if ordered and type(constant(other)) in (int, float):
                    yield parent
            elif isinstance(parent, ast.BinOp):
                other = parent.right if parent.left is load else parent.left
                number = type(constant(other)) in (int, float)
                if number and not isinstance(parent.op, ast.Mod | ast.Mult):
                    yield parent


def _in_functions(module: Module) -> Iterator[list[ast.Name]]:
    for names in functions(module):
        found: list[ast.Name] = []
        for name, loads in names.loads.items():
            value = names.only_value(name)
            if isinstance(value, ast.Call) and module.name_of(value.func) == "input":
                found += loads
        yield found


def _at_top(module: Module) -> list[ast.Name]:
    """Return where the top level uses names that are only ever given what was typed."""
    stores: dict[str, list[ast.AST | None]] = {}
    loads: list[ast.Name] = []
    for node in module.all(ast.Name):
        if module.scope_of(node) is not module.tree:
            continue
        if isinstance(node.ctx, ast.Load):
            loads.append(node)
        else:
            parent = module.parent(node)
            stores.setdefault(node.id, []).append(
                parent.value if isinstance(parent, ast.Assign) else None
            )
    typed = {
        name
        for name, values in stores.items()
        if all(isinstance(one, ast.Call) and module.name_of(one.func) == "input" for one in values)
    }
    return [load for load in loads if load.id in typed]


@bug(
    "float-as-index",
    "/ gives a float, and this needs a whole number",
    "4 / 2 is 2.0, and range(2.0) or x[2.0] raises TypeError for every input. Use //.",
    severity="error",
    confidence=0.9,
)
def float_as_index(module: Module) -> Iterator[ast.AST]:
    for names in functions(module):
        for node in inside(names.function.body):
            if isinstance(node, ast.Call) and module.name_of(node.func) == "range":
                for arg in node.args:
                    if _divided(names, arg):
                        yield arg
            elif isinstance(node, ast.Subscript):
                index = node.slice
                parts = [index.lower, index.upper] if isinstance(index, ast.Slice) else [index]
                for part in parts:
                    counted = part is not None and _divided(names, part, counted=True)
                    if counted and part is not None:
                        yield part


def _divided(names: Names, node: ast.expr, *, counted: bool = False) -> bool:
    if isinstance(node, ast.Name):
        value = names.only_value(node.id)
        return (
            value is not None
            and not isinstance(value, ast.Name)
            and _divided(names, value, counted=counted)
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        return any(_divided(names, one, counted=counted) for one in (node.left, node.right))
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Div):
        return False
    # A path is joined by / too, and a dictionary may have floats for keys.
    return not counted or "len(" in ast.unparse(node)


@bug(
    "floats-compared-exactly",
    "Floats are compared exactly",
    "Most decimal fractions can't be kept exactly: 0.1 + 0.2 is 0.30000000000000004, so this is "
    "false where it should be true. Use math.isclose(a, b).",
    confidence=0.75,
    cwe="CWE-1077",
)
def floats_compared_exactly(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.Compare):
        if len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
            continue
        sides = [node.left, node.comparators[0]]
        computed = any(
            isinstance(one, ast.BinOp) and isinstance(one.op, ast.Add | ast.Sub | ast.Mult)
            for one in sides
        )
        inexact = any(
            isinstance(part, ast.Constant)
            and isinstance(part.value, float)
            and not (part.value * 1024).is_integer()
            for one in sides
            for part in ast.walk(one)
        )
        if computed and inexact:
            yield node
