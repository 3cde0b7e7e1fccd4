"""Code that does the opposite of what its names say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .model import At, bug
from .module import LOOPS, Function, Module, body_of, constant, enclosing, inside, same

_MOST = frozenset(
    {"max", "maximum", "largest", "biggest", "highest", "longest", "greatest", "latest", "farthest"}
)
_LEAST = frozenset(
    {"min", "minimum", "smallest", "lowest", "shortest", "least", "closest", "nearest", "earliest"}
    | {"cheapest"}
)
#: Words that say the opposite of each other.
_PAIRS = (
    ("even", "odd"),
    ("evens", "odds"),
    ("positive", "negative"),
    ("positives", "negatives"),
    ("upper", "lower"),
    ("uppercase", "lowercase"),
    ("vowel", "consonant"),
    ("vowels", "consonants"),
)


#: Words that turn a name around: what `remove_vowels` hands back are the consonants.
_WITHOUT = frozenset(
    {"remove", "removed", "without", "non", "not", "no", "except", "exclude", "excluding", "drop"}
    | {"skip", "strip", "delete", "filter", "reject", "discard", "clear", "to", "swap", "count"}
)


def _words(name: str) -> set[str]:
    """Return the words of a name: ``maxDepth`` and ``max_depth`` have the same."""
    return set(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().split("_"))


def _direction(name: str) -> str:
    words = _words(name)
    most, least = bool(words & _MOST), bool(words & _LEAST)
    return "" if most is least else "most" if most else "least"


@bug(
    "wrong-direction",
    "The smaller one is kept where the name says the larger, or the other way round",
    "The comparison decides which of two values is remembered, and it points against the name: "
    "for [1, 3, 2], a function called max… gives 1 that way. Turn < and > around.",
    severity="error",
    confidence=0.8,
)
def wrong_direction(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.If):
        test = node.test
        if not isinstance(test, ast.Compare) or len(test.ops) != 1:
            continue
        if not isinstance(test.ops[0], ast.Lt | ast.Gt | ast.LtE | ast.GtE):
            continue
        if module.loop_of(node) is None:
            continue
        kept = _kept(node.body, test)
        if kept is None:
            continue
        best, larger_wins = kept
        function = enclosing(module, node)
        wanted = _direction(best) or (_direction(function.name) if function else "")
        if not wanted or (wanted == "most") is larger_wins:
            continue
        # A minimum of maxima has both words around it.
        told = {_direction(name) for name in _stored(function or module.tree)}
        opposite = "least" if wanted == "most" else "most"
        if opposite not in told and not _negated(node):
            yield test


def _negated(node: ast.If) -> bool:
    return bool(node.orelse) and not isinstance(node.orelse[0], ast.If)


def _kept(body: list[ast.stmt], test: ast.Compare) -> tuple[str, bool] | None:
    """Return what remembers the winner, and whether the larger value wins."""
    left, right = test.left, test.comparators[0]
    greater = isinstance(test.ops[0], ast.Gt | ast.GtE)
    for statement in body:
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            continue
        target = statement.targets[0]
        if not isinstance(target, ast.Name):
            continue
        if _named(right, target.id) and same(statement.value, left):
            return target.id, greater
        if _named(left, target.id) and same(statement.value, right):
            return target.id, not greater
    return None


def _named(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _stored(scope: ast.AST) -> set[str]:
    return {
        node.id
        for node in body_of(scope)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    } | {arg.arg for arg in ast.walk(scope) if isinstance(arg, ast.arg)}


@bug(
    "maximum-changed-otherwise",
    "The largest value so far is counted up or down",
    "The name holds the maximum (or minimum) of what was seen, by x = max(x, …). Here the same "
    "name is counted like an ordinary counter, so that it is no maximum any more. Another name "
    "was meant.",
    severity="error",
    confidence=0.85,
)
def maximum_changed_otherwise(module: Module) -> Iterator[ast.AST | At]:
    for function in module.functions:
        for loop in body_of(function):
            if not isinstance(loop, LOOPS):
                continue
            kept: set[str] = set()
            for node in inside(loop.body):
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                    name = module.name_of(node.targets[0])
                    called = module.name_of(node.value.func)
                    if called in {"max", "min"} and any(
                        _named(arg, name) for arg in node.value.args
                    ):
                        kept.add(name)
            counted: dict[str, list[ast.AugAssign]] = {}
            for node in inside(loop.body):
                if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                    if type(constant(node.value)) in (int, float):
                        counted.setdefault(node.target.id, []).append(node)
            for name, places in counted.items():
                if name in kept and _direction(name) and module.loop_of(places[0]) is loop:
                    yield At(places[0], f"`{name}` is the largest or smallest so far, and counted")


def _parity(test: ast.expr) -> str:
    """Return what a condition says of a number: even, odd, positive, negative, or nothing."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        said = {_parity(part) for part in test.values} - {""}
        return said.pop() if len(said) == 1 else ""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _parity(test.operand)
        return _opposite(inner) if inner in {"even", "odd"} else ""
    if isinstance(test, ast.Call) and isinstance(test.func, ast.Attribute) and not test.args:
        return {"isupper": "upper", "islower": "lower"}.get(test.func.attr, "")
    if _is_remainder(test):
        return "odd"
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return ""
    left, right, op = test.left, test.comparators[0], test.ops[0]
    value = constant(right)
    if _is_remainder(left) and value in (0, 1) and isinstance(op, ast.Eq | ast.NotEq):
        return "even" if (value == 0) is isinstance(op, ast.Eq) else "odd"
    if value == 0 and type(value) is int and not isinstance(left, ast.BinOp | ast.Call):
        if isinstance(op, ast.Gt):
            return "positive"
        if isinstance(op, ast.Lt):
            return "negative"
    letters = value.lower() if isinstance(value, str) else ""
    if isinstance(right, ast.List | ast.Tuple | ast.Set):
        letters = "".join(str(constant(one)) for one in right.elts).lower()
    if letters and set(letters) == set("aeiou") and isinstance(op, ast.In | ast.NotIn):
        return "vowel" if isinstance(op, ast.In) else "consonant"
    return ""


def _is_remainder(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Mod)
        and constant(node.right) == 2
        and type(constant(node.right)) is int
    )


def _opposite(word: str) -> str:
    for one, other in _PAIRS:
        if word in (one, other):
            return other if word == one else one
    return ""


def _says(name: str) -> set[str]:
    """Return which of the words with an opposite a name has, each in its shortest form."""
    found = set()
    for word in _words(name):
        for one, other in _PAIRS:
            if word in (one, other):
                found.add(word.removesuffix("case").removesuffix("s"))
    return found


@bug(
    "name-says-opposite",
    "The name says the opposite of the condition",
    "What is counted or collected here is chosen by a condition, and the name tells of the other "
    "half: `even` is counted where the number is odd. For [1, 3, 4] the results are exchanged.",
    severity="error",
    confidence=0.8,
)
def name_says_opposite(module: Module) -> Iterator[ast.AST | At]:
    for node in module.all(ast.If):
        said = _parity(node.test)
        if said and len(node.body) == 1 and module.loop_of(node) is not None:
            name = _changes(node.body[0])
            if _words(name) & _WITHOUT:
                continue
            if _opposite(said) in _says(name) and said not in _says(name):
                yield At(node.test, f"`{name}` is changed where the value is {said}")
    for function in module.functions:
        words = set() if _words(function.name) & _WITHOUT else _says(function.name)
        returned = function.body[-1]
        if len(words) == 1 and isinstance(returned, ast.Return) and len(function.body) <= 2:
            yield from _returned(returned, words.pop())
    for assign in module.all(ast.Assign):
        name = module.name_of(assign.targets[0])
        words = set() if _words(name) & _WITHOUT else _says(name)
        if len(words) == 1:
            yield from _collected(assign.value, words.pop(), name)


def _changes(node: ast.stmt) -> str:
    """Return the name of what a statement counts or fills."""
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        func = node.value.func
        if isinstance(func, ast.Attribute) and func.attr in {"append", "add"}:
            return func.value.id if isinstance(func.value, ast.Name) else ""
    return ""


def _collected(value: ast.expr, word: str, name: str) -> Iterator[At]:
    while isinstance(value, ast.Call) and len(value.args) == 1 and not value.keywords:
        value = value.args[0]
    test: ast.expr | None = None
    if isinstance(value, ast.ListComp | ast.SetComp | ast.GeneratorExp):
        tests = [one for part in value.generators for one in part.ifs]
        test = tests[0] if len(tests) == 1 else None
    elif isinstance(value, ast.Call) and len(value.args) == 2:
        chosen = isinstance(value.func, ast.Name) and value.func.id == "filter"
        first = value.args[0]
        test = first.body if chosen and isinstance(first, ast.Lambda) else None
    if test is not None and _parity(test) == _opposite(word) != "":
        yield At(test, f"`{name}` takes what is {_parity(test)}")


def _returned(node: ast.Return, word: str) -> Iterator[At]:
    value = node.value
    if isinstance(value, ast.Compare | ast.BinOp) and _parity(value) == _opposite(word) != "":
        yield At(value, f"The function asks for {word} and tells what is {_parity(value)}")
    elif value is not None:
        yield from _collected(value, word, "the result")


@bug(
    "mirror-test-reversed",
    "Equal ends are refused, different ones accepted",
    "The loop compares the first element with the last, the second with the last but one, and so "
    "on. It gives up where both are equal, which they are in every palindrome: 'aba' is refused "
    "and 'ab' is accepted. Use !=.",
    severity="error",
    confidence=0.85,
)
def mirror_test_reversed(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.If):
        test, loop = node.test, module.loop_of(node)
        if loop is None or not isinstance(test, ast.Compare) or len(test.ops) != 1:
            continue
        if not isinstance(test.ops[0], ast.Eq) or not _answers(node.body[0], False):
            continue
        one, other = test.left, test.comparators[0]
        if not isinstance(one, ast.Subscript) or not isinstance(other, ast.Subscript):
            continue
        if not same(one.value, other.value) or same(one.slice, other.slice):
            continue
        block = module.block_of(loop)
        after = block[block.index(loop) + 1 :]
        if after and _answers(after[0], True) and _from_both_ends(loop, one.slice, other.slice):
            yield test


def _answers(node: ast.stmt, value: bool) -> bool:
    return isinstance(node, ast.Return) and constant(node.value) is value


def _from_both_ends(loop: ast.AST, one: ast.expr, other: ast.expr) -> bool:
    text = ast.unparse(other)
    if isinstance(one, ast.Name) and (f"- {one.id}" in text or text == f"~{one.id}"):
        return True
    if not isinstance(one, ast.Name) or not isinstance(other, ast.Name):
        return False
    steps = {
        node.target.id: type(node.op)
        for node in ast.walk(loop)
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)
    }
    return {steps.get(one.id), steps.get(other.id)} == {ast.Add, ast.Sub}


@bug(
    "early-answer-contradicts-last",
    "The early answer contradicts the last one",
    "The loop answers as soon as the count has this value, and the last line would answer the "
    "opposite for the same value. For `)(`, brackets that do not match are said to match. Return "
    "the other answer.",
    severity="error",
    confidence=0.85,
)
def early_answer_contradicts_last(module: Module) -> Iterator[ast.AST]:
    for function in module.functions:
        last = function.body[-1]
        if not isinstance(last, ast.Return) or not isinstance(last.value, ast.Compare):
            continue
        final = last.value
        if len(final.ops) != 1 or not isinstance(final.ops[0], ast.Eq | ast.NotEq):
            continue
        if not isinstance(final.left, ast.Name) or constant(final.comparators[0]) != 0:
            continue
        yield from _contradicting(module, function, final, final.left.id)


def _contradicting(
    module: Module, function: Function, final: ast.Compare, name: str
) -> Iterator[ast.AST]:
    for node in body_of(function):
        if not isinstance(node, ast.If) or module.loop_of(node) is None:
            continue
        test = node.test
        if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not _named(test.left, name):
            continue
        beyond = isinstance(test.ops[0], ast.Lt | ast.Gt) and constant(test.comparators[0]) == 0
        if beyond and _answers(node.body[0], isinstance(final.ops[0], ast.Eq)):
            yield node.body[0]
