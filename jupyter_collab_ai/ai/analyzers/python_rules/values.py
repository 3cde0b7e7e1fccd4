"""Values that are taken for something else: functions for results, iterators for lists."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .local_names import Names, functions, is_empty_container
from .model import At, bug
from .module import (
    FUNCTIONS,
    Module,
    body_of,
    bound_in,
    constant,
    enclosing,
    inside,
    is_pure,
    leaves,
    names_in,
    parameters,
    same,
    words,
)

_ONE_SHOT = frozenset({"map", "filter", "zip", "reversed", "enumerate", "iter"})
_EATING = words(
    "list tuple set sum max min sorted any all dict frozenset len enumerate zip map filter"
)


@bug(
    "iterator-used-twice",
    "The iterator is used up when it is gone through again",
    "map(), filter(), zip() and generator expressions give each value once. The second time "
    "nothing is left: the loop does not run, sum() is 0. Make a list of it first.",
    severity="error",
    confidence=0.85,
)
def iterator_used_twice(module: Module) -> Iterator[ast.AST | At]:
    for names in functions(module):
        for name in list(names.loads):
            value = names.only_value(name)
            made = isinstance(value, ast.GeneratorExp) or (
                isinstance(value, ast.Call)
                and isinstance(value.func, ast.Name)
                and value.func.id in _ONE_SHOT
                and bool(value.args)
            )
            if not made:
                continue
            loads = names.loads[name]
            if not all(_eats(module, load) for load in loads) or len(loads) < 2:
                continue
            places = sorted(loads, key=lambda one: (one.lineno, one.col_offset))
            if _both_run(module, names, places[0], places[1]):
                yield At(places[1], f"`{name}` was used up before")


def _eats(module: Module, load: ast.Name) -> bool:
    """Tell whether a use goes through all there is."""
    parent = module.parent(load)
    if isinstance(parent, ast.For | ast.comprehension):
        return parent.iter is load
    return (
        isinstance(parent, ast.Call)
        and isinstance(parent.func, ast.Name)
        and parent.func.id in _EATING - {"zip", "enumerate", "map", "filter"}
        and load in parent.args
    )


def _both_run(module: Module, names: Names, one: ast.AST, other: ast.AST) -> bool:
    """Tell whether two places may run one after the other, and neither ends the function."""
    if module.scope_of(one) is not names.function or module.scope_of(other) is not names.function:
        return False
    others = [other, *module.ancestors(other)]
    child = one
    for ancestor in module.ancestors(one):
        if ancestor in others:
            if isinstance(ancestor, ast.If | ast.IfExp | ast.Try | ast.Match):
                return False
            if isinstance(ancestor, ast.For | ast.comprehension):
                # A loop in a loop over one iterator takes its pieces in turn.
                return False
            break
        child = ancestor
        if isinstance(ancestor, ast.Return | ast.Raise):
            return False
        if isinstance(ancestor, ast.For) and any(
            isinstance(node, ast.Break | ast.Return) for node in inside(ancestor.body)
        ):
            return False
        if isinstance(ancestor, ast.If) and leaves(ancestor.body):
            return False
    return child is not None


@bug(
    "function-not-called",
    "The function itself is asked, not its result",
    "Without brackets this is the function, which is always true and equal to nothing else. So "
    "the condition has the same answer for every input. Write () behind it.",
    severity="error",
    confidence=0.9,
)
def function_not_called(module: Module) -> Iterator[ast.AST]:
    top = {
        one.name
        for one in module.tree.body
        if isinstance(one, FUNCTIONS) and not one.decorator_list
    }
    stored = {
        node.id
        for node in module.all(ast.Name)
        if not isinstance(node.ctx, ast.Load) and node.id in top
    } | {arg.arg for arg in module.all(ast.arg)}
    for node in module.nodes:
        for part in _asked(node):
            if isinstance(part, ast.Name) and part.id in top - stored:
                if sum(one.name == part.id for one in module.functions) == 1:
                    yield part
            elif isinstance(part, ast.Attribute) and _is_method(module, part):
                yield part


def _asked(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        yield node.test
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.BoolOp):
        yield from node.values[:-1]
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        if isinstance(node.ops[0], ast.Lt | ast.Gt | ast.LtE | ast.GtE):
            yield from (node.left, node.comparators[0])


def _is_method(module: Module, node: ast.Attribute) -> bool:
    if not isinstance(node.value, ast.Name) or node.value.id != "self":
        return False
    owner = next((one for one in module.ancestors(node) if isinstance(one, ast.ClassDef)), None)
    if owner is None:
        return False
    methods = [one for one in owner.body if isinstance(one, FUNCTIONS) and one.name == node.attr]
    if len(methods) != 1 or methods[0].decorator_list:
        return False
    # A method that is replaced, or switched off by None, may be asked for.
    return not any(
        isinstance(one, ast.Attribute)
        and one.attr == node.attr
        and not isinstance(one.ctx, ast.Load)
        for one in module.nodes
    )


@bug(
    "equal-elements-lost",
    "Elements equal to the pivot get lost",
    "One half takes what is smaller, the other what is larger, and only the pivot itself is put "
    "between them. With [2, 1, 2] the second 2 disappears. Let one of the halves take equal "
    "ones, too: >=.",
    severity="error",
    confidence=0.85,
)
def equal_elements_lost(module: Module) -> Iterator[ast.AST]:
    for function in module.functions:
        found: list[tuple[str, str, type[ast.cmpop], ast.AST]] = []
        for node in body_of(function):
            if isinstance(node, ast.ListComp | ast.GeneratorExp) and len(node.generators) == 1:
                part = node.generators[0]
                test = part.ifs[0] if len(part.ifs) == 1 else None
                if isinstance(test, ast.Compare) and len(test.ops) == 1:
                    if same(test.left, node.elt) and isinstance(test.comparators[0], ast.Name):
                        key = ast.unparse(part.iter), test.comparators[0].id
                        found.append((*key, type(test.ops[0]), test))
        for one in found:
            if one[2] is not ast.Gt:
                continue
            pairs = [other[2] for other in found if other[:2] == one[:2]]
            recursive = any(
                isinstance(node, ast.Call) and module.name_of(node.func).endswith(function.name)
                for node in body_of(function)
            )
            if sorted(kind.__name__ for kind in pairs) == ["Gt", "Lt"] and recursive:
                pivot = f"{one[1]} = "
                whole = one[0]
                # Where the pivot stays in what is divided, equal ones are lost with it.
                if pivot in ast.unparse(function) and "[" in whole:
                    yield one[3]


@bug(
    "base-case-gives-nothing",
    "The recursion ends with nothing, so nothing is ever built",
    "Each step goes through the results of the step below and adds to each of them. The innermost "
    "step gives an empty list, so there is nothing to add to, at any step: the result is [] for "
    "every input. It has to give a list with one empty result: [[]].",
    severity="error",
    confidence=0.9,
)
def base_case_gives_nothing(module: Module) -> Iterator[ast.AST]:
    for function in module.functions:
        returns = [node for node in body_of(function) if isinstance(node, ast.Return)]
        ends = [node for node in returns if isinstance(node.value, ast.List)]
        if not ends or any(node.value.elts for node in ends if isinstance(node.value, ast.List)):
            continue
        if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in body_of(function)):
            continue
        grown = _grown_from_itself(module, function)
        if grown is None:
            continue
        others = [node for node in returns if node not in ends]
        if others and all(
            node.value is not None and ast.unparse(node.value) in grown for node in others
        ):
            yield ends[0]


def _grown_from_itself(module: Module, function: ast.AST) -> set[str] | None:
    """Return which results of a function are made of its own results only."""
    name = getattr(function, "name", "")
    grown: set[str] = set()
    for node in body_of(function):
        if isinstance(node, ast.ListComp | ast.GeneratorExp):
            first = node.generators[-1].iter
            own = isinstance(first, ast.Call) and module.name_of(first.func) == name
            if not own:
                return None
            grown.add(ast.unparse(node))
    fills = [
        node
        for node in body_of(function)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"append", "extend", "add", "insert"}
    ]
    for call in fills:
        assert isinstance(call.func, ast.Attribute)
        if len(call.args) != 1 or not isinstance(call.args[0], ast.ListComp | ast.GeneratorExp):
            return None
        grown.add(ast.unparse(call.func.value))
    starts = {
        ast.unparse(node.targets[0])
        for node in body_of(function)
        if isinstance(node, ast.Assign) and is_empty_container(module, node.value)
    }
    filled = {ast.unparse(call.func.value) for call in fills}  # type: ignore[attr-defined]
    return grown if grown and filled <= starts else None


@bug(
    "popped-in-wrong-order",
    "What is popped first is the second operand",
    "A stack gives back what was pushed last. For `7 2 -` the first pop gives 2 and the second 7, "
    "so the first one popped is the right operand: b - a, not a - b.",
    confidence=0.75,
)
def popped_in_wrong_order(module: Module) -> Iterator[ast.AST]:
    for names in functions(module):
        for first, second, block in _popped(module, names.function):
            for statement in block:
                for node in inside(statement):
                    if isinstance(node, ast.BinOp) and isinstance(
                        node.op, ast.Sub | ast.Div | ast.FloorDiv | ast.Pow | ast.Mod
                    ):
                        if _is(node.left, first) and _is(node.right, second):
                            yield node
                    elif isinstance(node, ast.Call) and len(node.args) >= 2:
                        last = node.args[-2:]
                        callee = module.name_of(node.func)
                        operates = isinstance(node.func, ast.Subscript) or callee.startswith(
                            ("op", "apply", "calc", "eval", "func", "fn")
                        )
                        if operates and _is(last[0], first) and _is(last[1], second):
                            yield node


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _popped(module: Module, function: ast.AST) -> Iterator[tuple[str, str, list[ast.stmt]]]:
    for node in (function, *body_of(function)):
        for field in ("body", "orelse"):
            block = getattr(node, field, None)
            if not isinstance(block, list):
                continue
            for index, one in enumerate(block[:-1]):
                other = block[index + 1]
                stack = _pop_of(one)
                if stack and stack == _pop_of(other):
                    names = [module.name_of(part.targets[0]) for part in (one, other)]
                    yield names[0], names[1], block[index + 2 :]


def _pop_of(node: ast.AST) -> str:
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and not call.args:
            if call.func.attr == "pop":
                return ast.unparse(call.func.value)
    return ""


@bug(
    "rows-are-one-list",
    "All rows are the same list",
    "[[0] * n] * m makes one inner list and names it m times. After grid[0][0] = 1 the first "
    "column is 1 in every row. Write [[0] * n for _ in range(m)].",
    severity="error",
    confidence=0.9,
)
def rows_are_one_list(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.BinOp):
        if not isinstance(node.op, ast.Mult) or constant(node.right) == 1:
            continue
        for side in (node.left, node.right):
            if isinstance(side, ast.List) and len(side.elts) == 1 and _is_list(side.elts[0]):
                parent = module.parent(node)
                if isinstance(parent, ast.Assign | ast.AnnAssign | ast.Return):
                    yield node


def _is_list(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return _is_list(node.left) or _is_list(node.right)
    return isinstance(node, ast.List | ast.ListComp | ast.Dict | ast.Set)


@bug(
    "missing-may-be-none",
    "Where the key is missing, this is None, and None can't be added to",
    "get() without a second argument gives None for a key that isn't there. The first time each "
    "key comes up, this raises TypeError. Write get(key, 0).",
    severity="error",
    confidence=0.85,
    cwe="CWE-476",
)
def missing_may_be_none(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.Assign):
        target, value = node.targets[0], node.value
        if not isinstance(target, ast.Subscript) or not isinstance(value, ast.BinOp):
            continue
        call = value.left
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            owner = ast.unparse(call.func.value) == ast.unparse(target.value)
            if call.func.attr == "get" and len(call.args) == 1 and not call.keywords and owner:
                yield value


@bug(
    "builtin-hidden",
    "The name of a built-in function was given to a value, and is called",
    "After `sum = 0`, sum is a number in the whole function: sum(x) raises TypeError, or "
    "UnboundLocalError before. Give the variable another name.",
    severity="error",
    confidence=0.9,
)
def builtin_hidden(module: Module) -> Iterator[ast.AST]:
    hidden = words("sum max min list dict set str int len sorted id type input range")
    for names in functions(module):
        for name in hidden & set(names.stores):
            value = names.only_value(name)
            plain = isinstance(value, ast.Constant | ast.List | ast.Dict | ast.ListComp | ast.Set)
            if plain and not (isinstance(value, ast.Constant) and value.value is None):
                for load in names.loads[name]:
                    parent = module.parent(load)
                    if isinstance(parent, ast.Call) and parent.func is load:
                        yield parent


@bug(
    "braces-without-f",
    "The name in braces is not replaced: the f before the text is missing",
    "Without f in front, {name} stays as it is: people see the braces. Write f'…'.",
    confidence=0.8,
)
def braces_without_f(module: Module) -> Iterator[ast.AST]:
    for names in functions(module):
        known = names.parameters | set(names.stores)
        for text in inside(names.function.body):
            if not isinstance(text, ast.Constant) or not isinstance(text.value, str):
                continue
            if "{" not in text.value or len(text.value) > 300:
                continue
            shown = _placeholders(text.value)
            if not shown or not shown <= known:
                continue
            parent = module.parent(text)
            while isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Add):
                parent = module.parent(parent)
            told = isinstance(parent, ast.Call) and (
                module.name_of(parent.func) == "print"
                or isinstance(module.parent(parent), ast.Raise)
            )
            if told or (isinstance(parent, ast.Return) and " " in text.value):
                yield text


def _placeholders(text: str) -> set[str]:
    """Return what stands in braces, where all of it is names; else nothing."""
    found: set[str] = set()
    for piece in text.replace("{{", "").split("{")[1:]:
        name = piece.partition("}")[0]
        if "}" not in piece or not name.isidentifier():
            return set()
        found.add(name)
    return found


@bug(
    "total-replaced",
    "Each step replaces the result of the one before",
    "The name begins as an empty total, and each step of the loop gives it a new value without "
    "looking at the old one. After the loop only the last step counts. += was meant, or the "
    "value belongs into a list.",
    confidence=0.75,
)
def total_replaced(module: Module) -> Iterator[ast.AST | At]:
    for names in functions(module):
        body = names.function.body
        for name, stores in names.stores.items():
            if len(stores) != 2 or name in names.shared or name in names.parameters:
                continue
            first, second = sorted(stores, key=lambda one: one.lineno)
            start, step = names.value(first), module.parent(second)
            empty = (
                type(constant(start)) in (int, float) and not constant(start)
            ) or is_empty_container(module, start)
            loop = module.loop_of(second)
            if not empty or not isinstance(step, ast.Assign) or not isinstance(loop, ast.For):
                continue
            if step not in loop.body or loop not in body or _left_early(loop):
                continue
            loads = names.loads.get(name, [])
            in_loop = any(loop in module.ancestors(load) for load in loads)
            asked = bound_in(loop.target) & names_in(step.value)
            after = body[body.index(loop) + 1 :]
            returned = bool(after) and isinstance(after[0], ast.Return)
            plain = returned and _is(getattr(after[0], "value", None) or ast.Constant(0), name)
            if loads and not in_loop and asked and plain and not _is_last(step.value):
                yield At(step, f"`{name}` is replaced at each step: only the last one counts")


def _left_early(loop: ast.For) -> bool:
    return any(isinstance(node, ast.Break | ast.Return) for node in inside(loop.body))


def _is_last(node: ast.expr) -> bool:
    """Tell whether a value is what a loop goes through itself: the last one is looked for."""
    return isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Constant)


@bug(
    "answers-in-first-step",
    "The loop never gets to its second step",
    "Every way through the body leaves the function, so only the first element is looked at: the "
    "answer for [2, 3] is that for [2]. The last return belongs behind the loop.",
    severity="error",
    confidence=0.85,
)
def answers_in_first_step(module: Module) -> Iterator[ast.AST]:
    for loop in module.all(ast.For):
        last = loop.body[-1]
        if not _returns(last) or any(isinstance(n, ast.Continue) for n in inside(loop.body)):
            continue
        if enclosing(module, loop) is None or loop.orelse:
            continue
        # `for x in y: return x` takes the first one there is.
        first_only = isinstance(last, ast.Return) and len(loop.body) == 1
        used = bound_in(loop.target) & names_in(loop.body)
        if first_only or not used or any(isinstance(n, ast.Yield) for n in inside(loop.body)):
            continue
        if isinstance(last, ast.If) and len(loop.body) == 1 and _both_constant(last):
            yield last.orelse[0]
        elif isinstance(last, ast.Return) and _follows_condition(loop, last):
            yield last


def _returns(node: ast.stmt) -> bool:
    if isinstance(node, ast.If):
        return bool(node.orelse) and _returns(node.body[-1]) and _returns(node.orelse[-1])
    return isinstance(node, ast.Return)


def _both_constant(node: ast.If) -> bool:
    answers = [node.body[-1], node.orelse[-1]]
    return all(
        isinstance(one, ast.Return) and isinstance(one.value, ast.Constant) for one in answers
    )


def _follows_condition(loop: ast.For, last: ast.Return) -> bool:
    """Tell whether a return after a condition answers for all elements, or ends a sum."""
    before = loop.body[-2]
    if isinstance(last.value, ast.Constant):
        return isinstance(before, ast.If) and isinstance(before.body[-1], ast.Return)
    if isinstance(last.value, ast.Name):
        return isinstance(before, ast.AugAssign | ast.If) and any(
            isinstance(node, ast.AugAssign) and _is(node.target, last.value.id)
            for node in ast.walk(before)
        )
    return False


@bug(
    "loop-variable-unused",
    "The inner loop does not look at its own elements",
    "What the inner loop goes through has no part in what it does, so each of its steps does the "
    "same. The condition that compares both elements is missing.",
    confidence=0.65,
)
def loop_variable_unused(module: Module) -> Iterator[ast.AST | At]:
    for loop in module.all(ast.For):
        if not isinstance(loop.target, ast.Name) or loop.target.id.startswith("_"):
            continue
        outer = module.loop_of(loop)
        if not isinstance(outer, ast.For) or not isinstance(loop.iter, ast.Name):
            continue
        function = enclosing(module, loop)
        if function is None or loop.target.id in names_in(loop.body):
            continue
        if not bound_in(outer.target) & names_in(loop.body) or len(loop.body) != 1:
            continue
        used = sum(
            isinstance(node, ast.Name) and node.id == loop.target.id for node in ast.walk(function)
        )
        if used == 1 and loop.target.id not in {"dummy", "unused", "ignored"}:
            yield At(loop.target, f"`{loop.target.id}` is never used in this loop")


@bug(
    "wrong-number-of-arguments",
    "The function does not take this many arguments",
    "Too many or too few values are passed, so this line raises TypeError for every input.",
    severity="error",
    confidence=0.92,
    cwe="CWE-628",
)
def wrong_number_of_arguments(module: Module) -> Iterator[ast.AST | At]:
    known = {
        one.name: one
        for one in module.tree.body
        if isinstance(one, FUNCTIONS) and not one.decorator_list
    }
    again = (
        {node.id for node in module.all(ast.Name) if not isinstance(node.ctx, ast.Load)}
        | {arg.arg for arg in module.all(ast.arg)}
        | set(module.imports)
    )
    names = [one.name for one in module.functions] + [one.name for one in module.all(ast.ClassDef)]
    for call in module.all(ast.Call):
        if not isinstance(call.func, ast.Name) or call.func.id in again:
            continue
        function = known.get(call.func.id)
        if function is None or names.count(function.name) != 1:
            continue
        problem = _misfit(call, function)
        if problem:
            yield At(call, problem)


def _misfit(call: ast.Call, function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    spec = function.args
    if any(isinstance(arg, ast.Starred) for arg in call.args):
        return ""
    if any(item.arg is None for item in call.keywords):
        return ""
    plain = [*spec.posonlyargs, *spec.args]
    if len(call.args) > len(plain) and spec.vararg is None:
        return f"`{function.name}` takes {len(plain)} arguments and gets {len(call.args)}"
    given = {item.arg for item in call.keywords}
    accepted = {arg.arg for arg in parameters(function)}
    if spec.kwarg is None and not given <= accepted:
        return f"`{function.name}` has no parameter called {sorted(map(str, given - accepted))[0]}"
    needed = plain[len(call.args) : len(plain) - len(spec.defaults)]
    missing = [arg.arg for arg in needed if arg.arg not in given]
    missing += [
        arg.arg
        for arg, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True)
        if default is None and arg.arg not in given
    ]
    return f"`{function.name}` also needs `{missing[0]}`" if missing else ""


@bug(
    "plus-after-equals",
    "=+ is not +=",
    "x =+ 1 gives x the value +1, whatever it was before. Write x += 1.",
    severity="error",
    confidence=0.92,
    cwe="CWE-480",
)
def plus_after_equals(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.Assign):
        value, target = node.value, node.targets[0]
        if not isinstance(value, ast.UnaryOp) or not isinstance(value.op, ast.UAdd | ast.USub):
            continue
        if target.end_lineno != value.lineno or target.end_col_offset is None:
            continue
        if value.col_offset - target.end_col_offset == 2:
            if value.operand.col_offset > value.col_offset + 1 and is_pure(value):
                yield node


@bug(
    "result-not-returned",
    "The result is computed in the last line and never handed back",
    "The last line gives a value to a local name, and nothing can read it afterwards: the "
    "function gives None to its caller. `return` is missing.",
    confidence=0.8,
    cwe="CWE-563",
)
def result_not_returned(module: Module) -> Iterator[ast.AST | At]:
    for names in functions(module):
        last = names.function.body[-1]
        if not isinstance(last, ast.Assign) or len(last.targets) != 1:
            continue
        target = last.targets[0]
        if not isinstance(target, ast.Name) or target.id in names.shared:
            continue
        if target.id.startswith("_") or isinstance(last.value, ast.Constant):
            continue
        returns = any(
            isinstance(node, ast.Return | ast.Yield | ast.YieldFrom)
            for node in body_of(names.function)
        )
        inner = any(
            isinstance(one, ast.Name) and one.id == target.id and isinstance(one.ctx, ast.Load)
            for function in ast.walk(names.function)
            if isinstance(function, (*FUNCTIONS, ast.Lambda)) and function is not names.function
            for one in ast.walk(function)
        )
        name = names.function.name
        if not returns and not inner and not name.startswith(("test", "_test", "__")):
            if not isinstance(last.value, ast.Call | ast.Await) or _reads(module, last.value):
                yield At(last, f"`{target.id}` is computed and not returned")


def _reads(module: Module, node: ast.expr) -> bool:
    """Tell whether a call is made for its result, and has no other effect."""
    return isinstance(node, ast.Call) and module.name_of(node.func) in _EATING | {"round", "abs"}
