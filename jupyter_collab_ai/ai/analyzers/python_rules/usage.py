"""Things of Python's own that are used in a way that can't work."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .local_names import functions
from .model import At, bug
from .module import (
    FUNCTIONS,
    LOOPS,
    Module,
    argument,
    body_of,
    bound_in,
    constant,
    enclosing,
    inside,
    keyword,
    names_in,
    same,
    words,
)


@bug(
    "average-rounded",
    "The average loses what comes after the point",
    "// rounds down: the average of [1, 2] becomes 1 instead of 1.5. Use /.",
    confidence=0.8,
)
def average_rounded(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.BinOp):
        if not isinstance(node.op, ast.FloorDiv) or "len(" not in ast.unparse(node.right):
            continue
        function, parent = enclosing(module, node), module.parent(node)
        names = [function.name] if function and isinstance(parent, ast.Return) else []
        if isinstance(parent, ast.Assign):
            names += [module.name_of(target) for target in parent.targets]
        if any(re.search(r"(^|_)(avg|average|mean)(_|$)", name.lower()) for name in names):
            yield node


@bug(
    "extreme-begins-at-zero",
    "The search for the largest or smallest value begins at 0",
    "A largest value that begins at 0 stays 0 where all values are negative, as for [-3, -1]; a "
    "smallest one stays 0 where all are positive. Begin with the first element.",
    confidence=0.7,
)
def extreme_begins_at_zero(module: Module) -> Iterator[ast.AST | At]:
    for names in functions(module):
        for name, stores in names.stores.items():
            wanted = re.search(r"(^|_)(max|largest|biggest|highest|min|smallest|lowest)", name)
            if not wanted or len(stores) != 2 or name in names.shared:
                continue
            first, second = sorted(stores, key=lambda one: one.lineno)
            start, step = names.value(first), module.parent(second)
            loop = module.loop_of(second)
            if type(constant(start)) is not int or constant(start) != 0:
                continue
            if not isinstance(loop, ast.For) or not isinstance(step, ast.Assign):
                continue
            smallest = wanted.group(2) in {"min", "smallest", "lowest"}
            if _is_element(module, loop, step, name, smallest):
                yield At(module.parent(first) or first, f"`{name}` begins at 0")


def _is_element(module: Module, loop: ast.For, step: ast.Assign, name: str, smallest: bool) -> bool:
    """Tell whether a loop compares its own elements, which may be any numbers."""
    function = enclosing(module, loop)
    if function is None or not isinstance(loop.target, ast.Name):
        return False
    given = {arg.arg for arg in function.args.args}
    if not isinstance(loop.iter, ast.Name) or loop.iter.id not in given:
        return False
    value = step.value
    if isinstance(value, ast.Call) and len(value.args) == 2:
        called = module.name_of(value.func) == ("min" if smallest else "max")
        return called and {ast.unparse(arg) for arg in value.args} == {name, loop.target.id}
    branch = module.parent(step)
    return (
        isinstance(value, ast.Name)
        and value.id == loop.target.id
        and isinstance(branch, ast.If)
        and isinstance(branch.test, ast.Compare)
        and {name, loop.target.id} == names_in(branch.test)
    )


@bug(
    "arguments-exchanged",
    "The arguments stand in the wrong order",
    "The variables have the same names as the parameters, in another order: each arrives where "
    "the other belongs. Exchange them, or pass them by name.",
    confidence=0.75,
    cwe="CWE-683",
)
def arguments_exchanged(module: Module) -> Iterator[ast.AST]:
    known = {one.name: one for one in module.functions if not one.decorator_list}
    for call, name in module.calls:
        function = known.get(name.removeprefix("self."))
        if function is None or sum(one.name == function.name for one in module.functions) != 1:
            continue
        around = enclosing(module, call)
        if around is function:
            continue
        method = isinstance(module.parent(function), ast.ClassDef)
        if method != name.startswith("self."):
            continue
        wanted = [arg.arg for arg in function.args.args][1 if method else 0 :]
        given = [arg.id if isinstance(arg, ast.Name) else "" for arg in call.args]
        for index, (one, other) in enumerate(zip(given, wanted, strict=False)):
            if one == other or one not in wanted:
                continue
            place = wanted.index(one)
            if place < len(given) and given[place] == other and index < place and len(one) > 1:
                yield call
                break


@bug(
    "and-of-bits",
    "& and | bind tighter than comparisons",
    "a > 1 & b > 2 means a > (1 & b) > 2. Write `and` or `or`, or brackets around both sides.",
    severity="error",
    confidence=0.9,
    cwe="CWE-783",
)
def and_of_bits(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.Compare):
        if len(node.ops) != 2:
            continue
        middle = node.comparators[0]
        if isinstance(middle, ast.BinOp) and isinstance(middle.op, ast.BitAnd | ast.BitOr):
            # Where both sides are meant to be compared, a value stands on the left of the &.
            equal = all(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops)
            if isinstance(middle.left, ast.Constant) or equal:
                yield node


_READS = words("read readline readlines")
_WRITES = words("write writelines")


@bug(
    "opened-for-the-other",
    "The file was opened for the other direction",
    "open() reads unless told otherwise, and 'w' only writes: this line raises "
    "io.UnsupportedOperation. Give the mode that fits: 'r', 'w', 'a' or 'r+'.",
    severity="error",
    confidence=0.9,
)
def opened_for_the_other(module: Module) -> Iterator[ast.AST]:
    for block in module.all(ast.With):
        for item in block.items:
            call, name = item.context_expr, item.optional_vars
            if not isinstance(call, ast.Call) or module.name_of(call.func) != "open":
                continue
            mode = constant(argument(call, 1, "mode") or ast.Constant("r"))
            if not isinstance(name, ast.Name) or not isinstance(mode, str) or "+" in mode:
                continue
            if name.id in bound_in(block.body):
                continue
            wrong = _WRITES if "r" in mode or mode in {"", "t", "b"} else _READS
            for node in inside(block.body):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    owner = node.func.value
                    if isinstance(owner, ast.Name) and owner.id == name.id:
                        if node.func.attr in wrong:
                            yield node


@bug(
    "called-instead-of-passed",
    "The function is called here, and its result is passed on",
    "A thread gets what it shall run without brackets. With them, the function runs at once, in "
    "this thread, and the new thread has nothing to do. Pass arguments by args=(…).",
    severity="error",
    confidence=0.85,
)
def called_instead_of_passed(module: Module) -> Iterator[ast.AST]:
    known = {one.name: one for one in module.functions}
    for call, name in module.calls:
        if name not in {"threading.Thread", "multiprocessing.Process"}:
            continue
        target = keyword(call, "target")
        if isinstance(target, ast.Call):
            function = known.get(module.name_of(target.func).removeprefix("self."))
            returns = function is None or any(
                isinstance(node, ast.Return) and node.value is not None
                for node in body_of(function)
            )
            if not returns:
                yield target


@bug(
    "joined-to-absolute",
    "A path that begins with / throws away what is before it",
    "os.path.join('/data', '/x') is '/x'. Leave the slash out.",
    severity="error",
    confidence=0.9,
)
def joined_to_absolute(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        if name == "os.path.join":
            for arg in call.args[1:]:
                text = constant(arg)
                if isinstance(text, str) and text.startswith("/") and len(text) > 1:
                    yield arg


@bug(
    "text-changed-in-place",
    "Texts and tuples can't be changed in place",
    "Giving a single element of a text or tuple a new value raises TypeError, always. Make a list "
    "of it first, or put a new one together.",
    severity="error",
    confidence=0.95,
)
def text_changed_in_place(module: Module) -> Iterator[ast.AST]:
    for names in functions(module):
        texts = {
            arg.arg
            for arg in names.function.args.args
            if isinstance(arg.annotation, ast.Name) and arg.annotation.id in {"str", "tuple"}
        } - set(names.stores)
        for name in names.stores:
            value = names.only_value(name)
            text = isinstance(value, ast.JoinedStr | ast.Tuple) or isinstance(constant(value), str)
            if text or (isinstance(value, ast.Call) and module.name_of(value.func) == "str"):
                texts.add(name)
        for node in inside(names.function.body):
            if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
                if isinstance(node.value, ast.Name) and node.value.id in texts:
                    yield node


@bug(
    "keys-taken-apart",
    "Going through a dictionary gives its keys only",
    "`for key, value in d` takes each key apart: 'ab' becomes 'a' and 'b', other keys raise "
    "ValueError or TypeError. Write d.items().",
    severity="error",
    confidence=0.85,
)
def keys_taken_apart(module: Module) -> Iterator[ast.AST]:
    for names in functions(module):
        for loop in inside(names.function.body):
            if not isinstance(loop, ast.For | ast.comprehension):
                continue
            target, source = loop.target, loop.iter
            if not isinstance(target, ast.Tuple) or not isinstance(source, ast.Name):
                continue
            value = names.only_value(source.id)
            if not isinstance(value, ast.Dict) or len(target.elts) != 2:
                continue
            keyed_by_tuples = any(not isinstance(key, ast.Constant) for key in value.keys)
            filled = [
                load
                for load in names.loads[source.id]
                if isinstance(module.parent(load), ast.Subscript)
                and not isinstance(module.parent(load).ctx, ast.Load)  # type: ignore[union-attr]
            ]
            if value.keys and not keyed_by_tuples and not filled:
                yield source


@bug(
    "global-missing",
    "The name is a local one here, and has no value yet",
    "A function that gives a name a value makes it a local name. So `counter += 1` reads a local "
    "`counter` that does not exist yet and raises UnboundLocalError. Write `global counter` in "
    "the first line, or better pass the value and return it.",
    severity="error",
    confidence=0.92,
    cwe="CWE-457",
)
def global_missing(module: Module) -> Iterator[ast.AST | At]:
    top = {
        node.id
        for node in module.all(ast.Name)
        if isinstance(node.ctx, ast.Store) and module.scope_of(node) is module.tree
    }
    for names in functions(module):
        for name, stores in names.stores.items():
            if name in names.shared or name in names.parameters or name not in top:
                continue
            if stores and all(isinstance(module.parent(one), ast.AugAssign) for one in stores):
                other = bound_in(names.function.body) - set(names.stores)
                nested = any(isinstance(one, FUNCTIONS) for one in module.ancestors(names.function))
                if name not in other and not nested:
                    yield At(module.parent(stores[0]) or stores[0], f"`{name}` is local here")


@bug(
    "after-endless-loop",
    "This line is never reached: the loop before it never ends",
    "`while True` without a break that belongs to it goes on for ever or leaves the function. "
    "What stands after it never runs. A break is missing, or the line belongs into the loop.",
    severity="error",
    confidence=0.9,
    cwe="CWE-561",
)
def after_endless_loop(module: Module) -> Iterator[ast.AST]:
    for loop in module.all(ast.While):
        if constant(loop.test) not in (True, 1) or loop.orelse:
            continue
        block = module.block_of(loop)
        after = block[block.index(loop) + 1 :] if loop in block else []
        breaks = any(
            isinstance(node, ast.Break) and module.loop_of(node) is loop
            for node in inside(loop.body)
        ) or any(
            isinstance(node, ast.Break)
            for inner in inside(loop.body)
            if isinstance(inner, LOOPS)
            for part in inner.orelse
            for node in ast.walk(part)
        )
        quiet = after and isinstance(after[0], ast.Pass | ast.Raise | ast.Assert)
        if after and not breaks and not quiet:
            # A yield that only makes a generator of the function, or an answer for type checkers.
            if not isinstance(after[0], ast.Return) or after[0].value is not None:
                yield after[0]


@bug(
    "parameter-unused",
    "The function never looks at this parameter",
    "Whatever the caller passes here makes no difference. Usually another name was written where "
    "this one was meant, or a line is missing.",
    severity="info",
    confidence=0.55,
)
def parameter_unused(module: Module) -> Iterator[ast.AST | At]:
    handed_on = {
        node.id
        for node in module.all(ast.Name)
        if not (isinstance(module.parent(node), ast.Call) and _is_callee(module, node))
    }
    for names in functions(module):
        function = names.function
        if module.parent(function) is not module.tree or function.decorator_list:
            continue
        spec = function.args
        if function.name in handed_on or spec.vararg or spec.kwarg or len(spec.args) < 2:
            continue
        called = [call for call, name in module.calls if name == function.name]
        body = [one for one in function.body if not _is_text(one)]
        if len(body) < 2 or not called or isinstance(body[-1], ast.Raise):
            continue
        for arg in spec.args:
            used = any(
                isinstance(node, ast.Name) and node.id == arg.arg for node in ast.walk(function)
            )
            quiet = arg.arg.startswith(("_", "unused", "dummy")) or arg.arg in {"self", "cls"}
            if not used and not quiet:
                yield At(arg, f"`{arg.arg}` is never used")


def _is_callee(module: Module, node: ast.Name) -> bool:
    parent = module.parent(node)
    return isinstance(parent, ast.Call) and parent.func is node


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@bug(
    "wrong-collection",
    "The loop goes through another collection than its variable is named after",
    "A collection was filled and is never read, and the loop variable has the name of one of its "
    "elements. So it is probably the one that was to be gone through.",
    confidence=0.8,
)
def wrong_collection(module: Module) -> Iterator[ast.AST | At]:
    for names in functions(module):
        for loop in inside(names.function.body):
            if not isinstance(loop, ast.For):
                continue
            targets = [node for node in ast.walk(loop.target) if isinstance(node, ast.Name)]
            for target in targets:
                for plural in (f"{target.id}s", f"{target.id}_list"):
                    if not names.stores.get(plural) or plural in names_in(loop.iter):
                        continue
                    before = min(store.lineno for store in names.stores[plural]) < loop.lineno
                    loads = names.loads.get(plural, [])
                    read = any(not _filled(module, load) for load in loads)
                    inside_loop = any(loop in module.ancestors(load) for load in loads)
                    if before and loads and not read and not inside_loop:
                        yield At(loop.iter, f"`{plural}` was filled and is not gone through")


def _filled(module: Module, load: ast.Name) -> bool:
    """Tell whether a use only puts something into a collection."""
    parent = module.parent(load)
    if isinstance(parent, ast.Subscript):
        return not isinstance(parent.ctx, ast.Load) and parent.value is load
    return isinstance(parent, ast.Attribute) and parent.attr in {"append", "add", "extend"}


@bug(
    "same-lines-for-all",
    "Different conditions lead to the same line",
    "Three or more conditions in a row, and the same line under each of them. It was copied, and "
    "what should differ — an index, a sign — was not changed.",
    confidence=0.65,
)
def same_lines_for_all(module: Module) -> Iterator[ast.AST]:
    for node in module.nodes:
        for field in ("body", "orelse"):
            block = getattr(node, field, None)
            if not isinstance(block, list):
                continue
            ifs = [one for one in block if isinstance(one, ast.If) and not one.orelse]
            if len(ifs) < 3:
                continue
            first = ifs[0].body
            alike = [one for one in ifs if _same_block(one.body, first)]
            if len(alike) < 3 or len(first) != 1:
                continue
            text = ast.unparse(first[0])
            if "[" in text and isinstance(first[0], ast.Expr | ast.Assign | ast.AugAssign):
                for one in alike:
                    yield one.body[0]


def _same_block(one: list[ast.stmt], other: list[ast.stmt]) -> bool:
    return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))


@bug(
    "default-computed-once",
    "The default is computed once, when the function is defined",
    "Python evaluates defaults when it reads the `def` line, not at each call. So every call gets "
    "the same time, number or id. Write None as the default and compute the value inside.",
    severity="error",
    confidence=0.9,
    cwe="CWE-665",
)
def default_computed_once(module: Module) -> Iterator[ast.AST]:
    fresh = words(
        "time.time time.time_ns time.monotonic time.perf_counter datetime.datetime.now "
        "datetime.datetime.utcnow datetime.datetime.today datetime.date.today datetime.now "
        "uuid.uuid4 uuid.uuid1 random.random random.randint random.choice os.urandom "
        "secrets.token_hex secrets.token_urlsafe time.strftime time.ctime time.localtime "
        "django.utils.timezone.now"
    )
    for function in module.functions:
        for value in [*function.args.defaults, *function.args.kw_defaults]:
            for node in ast.walk(value) if value is not None else ():
                if isinstance(node, ast.Call) and module.name_of(node.func) in fresh:
                    yield node
