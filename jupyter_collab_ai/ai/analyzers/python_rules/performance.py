"""Code whose time grows much faster than its input."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from .local_names import functions, is_empty_container
from .model import slow
from .module import (
    FUNCTIONS,
    Loop,
    Module,
    bound_in,
    constant,
    inside,
    keyword,
    names_in,
    parameters,
    words,
)


def _repeats(loop: Loop) -> bool:
    """Tell whether a loop may take many steps: not one over a few values that stand there."""
    if isinstance(loop, ast.For) and isinstance(loop.iter, ast.Tuple | ast.List):
        return len(loop.iter.elts) > 20
    if isinstance(loop, ast.For) and isinstance(loop.iter, ast.Call) and loop.iter.args:
        count = constant(loop.iter.args[-1])
        return not (isinstance(count, int) and count < 50)
    return True


@slow(
    "string-built-in-loop",
    "The text is copied anew at each step",
    "A text can't grow: += makes a new one and copies all that was there. For n pieces that is "
    "about n²/2 copies; 100,000 lines take minutes where the interpreter can't avoid it. Collect "
    "the pieces in a list and ''.join() them once.",
    confidence=0.6,
)
def string_built_in_loop(module: Module) -> Iterator[ast.AST]:
    for names in functions(module):
        told: set[tuple[str, ast.AST]] = set()
        texts = {
            name
            for name, stores in names.stores.items()
            if any(isinstance(constant(names.value(store)), str) for store in stores)
        }
        for node in inside(names.function.body):
            if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
                if isinstance(node.value, ast.Subscript | ast.Constant):
                    # Letter by letter: those texts are short.
                    continue
                if isinstance(node.value, ast.Name) and not _is_piece(module, node):
                    continue
                target: ast.expr | None = node.target
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
                left = node.value.left
                while isinstance(left, ast.BinOp):
                    left = left.left
                target = node.targets[0]
                grows = isinstance(node.value.op, ast.Add) and isinstance(left, ast.Name)
                if not grows or ast.unparse(left) != ast.unparse(target):
                    continue
            else:
                continue
            loop = module.loop_of(node)
            if not isinstance(target, ast.Name) or target.id not in texts or loop is None:
                continue
            started = any(
                isinstance(one, ast.Assign)
                and ast.unparse(one.targets[0]) == target.id
                and one is not node
                for one in inside(loop.body)
            )
            if _repeats(loop) and not started and (target.id, loop) not in told:
                told.add((target.id, loop))
                yield node


def _is_piece(module: Module, node: ast.AugAssign) -> bool:
    """Tell whether a name stands for a piece of text: its plural is what the loop goes through."""
    loop = module.loop_of(node)
    if not isinstance(loop, ast.For) or not isinstance(node.value, ast.Name):
        return False
    name, source = node.value.id, ast.unparse(loop.iter).rpartition(".")[2]
    return ast.unparse(loop.target) == name and len(name) > 1 and source.startswith(name[:3])


@slow(
    "list-shifted-in-loop",
    "All elements of the list move at each step",
    "pop(0) and insert(0, x) move every other element by one place: n of them take n²/2 moves. "
    "collections.deque does both ends at once, with popleft() and appendleft().",
    severity="warning",
    confidence=0.75,
)
def list_shifted_in_loop(module: Module) -> Iterator[ast.AST]:
    for call, _ in module.calls:
        func = call.func
        if not isinstance(func, ast.Attribute) or not call.args or constant(call.args[0]) != 0:
            continue
        if isinstance(constant(call.args[0]), bool):
            continue
        shifts = (func.attr == "pop" and len(call.args) == 1) or (
            func.attr == "insert" and len(call.args) == 2
        )
        loop = module.loop_of(call)
        if shifts and loop is not None and _repeats(loop) and isinstance(func.value, ast.Name):
            if func.value.id not in bound_in(loop.body) and not _as_long(loop, func.value.id):
                yield call


def _as_long(loop: Loop, name: str) -> bool:
    """Tell whether each step puts in as much as it takes out: the list stays as short as it is."""
    done = [
        node.value.func.attr
        for node in loop.body
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and isinstance(node.value.func.value, ast.Name)
        and node.value.func.value.id == name
    ]
    return isinstance(loop, ast.For) and sorted(done) == ["append", "pop"]


@slow(
    "list-searched-in-loop",
    "The whole list is searched at each step",
    "`in` looks at one element of a list after the other. In a loop over n values that makes n "
    "times the length of the list: 10,000 of each take seconds. Make a set before the loop.",
    severity="warning",
    confidence=0.65,
)
def list_searched_in_loop(module: Module) -> Iterator[ast.AST]:
    for names in functions(module):
        for node in inside(names.function.body):
            if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.In | ast.NotIn):
                continue
            where = node.comparators[0]
            loop = _loop_around(module, node)
            if loop is None or isinstance(node.left, ast.Constant):
                continue
            if isinstance(where, ast.Name) and where.id in names.stores:
                value = names.only_value(where.id)
                long = isinstance(value, ast.ListComp) or (
                    isinstance(value, ast.Call)
                    and module.name_of(value.func) in {"list", "sorted"}
                    and bool(value.args)
                )
                if long or _grows_there(module, names.loads[where.id], value, loop):
                    yield node
            elif isinstance(where, ast.Call) and module.name_of(where.func) in {"list", "sorted"}:
                if where.args and not names_in(where) & _bound_by(loop):
                    yield node


@slow(
    "list-parameter-searched",
    "The whole list is searched at each step",
    "`in` looks at one element of a list after the other, at each step of the loop. Where both "
    "are long, make a set of it before the loop, or ask for a set.",
    confidence=0.4,
)
def list_parameter_searched(module: Module) -> Iterator[ast.AST]:
    for names in functions(module):
        lists = {
            arg.arg for arg in parameters(names.function) if _is_list(module, arg.annotation)
        } - set(names.stores)
        for node in inside(names.function.body):
            if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.In | ast.NotIn):
                continue
            where = node.comparators[0]
            loop = _loop_around(module, node)
            if loop is None or not isinstance(where, ast.Name) or where.id not in lists:
                continue
            if isinstance(node.left, ast.Name) and node.left.id in _bound_by(loop) | (
                names_in(loop.target) if isinstance(loop, ast.For | ast.AsyncFor) else set()
            ):
                yield node


def _is_list(module: Module, annotation: ast.expr | None) -> bool:
    kind = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return module.name_of(kind) in {"list", "typing.List"}


def _loop_around(module: Module, node: ast.AST) -> ast.AST | None:
    loop = module.loop_of(node)
    if loop is not None:
        return loop if _repeats(loop) else None
    for ancestor in module.ancestors(node):
        if isinstance(ancestor, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            return ancestor
        if isinstance(ancestor, (*FUNCTIONS, ast.Lambda)):
            return None
    return None


def _bound_by(loop: ast.AST) -> set[str]:
    return bound_in(loop)


def _grows_there(
    module: Module, loads: list[ast.Name], value: ast.expr | None, loop: ast.AST
) -> bool:
    """Tell whether a list that began empty gets longer in the very loop that searches it."""
    if not is_empty_container(module, value) or not isinstance(value, ast.List | ast.Call):
        return False
    if isinstance(value, ast.Call) and module.name_of(value.func) != "list":
        return False
    for load in loads:
        parent = module.parent(load)
        if isinstance(parent, ast.Attribute) and parent.attr == "append":
            if loop in module.ancestors(load):
                return True
    return False


@slow(
    "compiled-in-loop",
    "The same pattern is compiled at each step",
    "re.compile() in the loop looks the pattern up again each time, or compiles it anew where "
    "there are many. Compile it once before.",
    confidence=0.7,
)
def compiled_in_loop(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        loop = module.loop_of(call)
        if name == "re.compile" and loop is not None and call.args and _repeats(loop):
            if isinstance(call.args[0], ast.Constant):
                yield call


@slow(
    "sorted-in-loop",
    "The same collection is sorted at each step",
    "Nothing in the loop changes what is sorted, so the result is the same each time; sorting "
    "n elements n times takes n² log n. Sort once before the loop.",
    severity="warning",
    confidence=0.75,
)
def sorted_in_loop(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        loop = module.loop_of(call)
        if name not in {"sorted", "sum", "max", "min"} or not call.args:
            continue
        if len(call.args) != 1 or call.keywords or not isinstance(call.args[0], ast.Name):
            continue
        if loop is None:
            if _of_the_whole(module, call, call.args[0].id):
                yield call
            continue
        given = call.args[0].id
        changed = bound_in(loop.body) | (
            names_in(loop.target) if isinstance(loop, ast.For | ast.AsyncFor) else set()
        )
        touched = any(
            isinstance(one, ast.Name)
            and one.id == given
            and not isinstance(module.parent(one), ast.Call | ast.Compare | ast.For)
            for one in inside(loop.body)
        )
        if given not in changed and not touched and _repeats(loop):
            yield call


def _of_the_whole(module: Module, call: ast.Call, name: str) -> bool:
    """Tell whether each element of a list is told from all of it: [x / sum(xs) for x in xs]."""
    for ancestor in module.ancestors(call):
        if isinstance(ancestor, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            if len(ancestor.generators) != 1:
                return False
            part = ancestor.generators[0]
            whole = isinstance(part.iter, ast.Name) and part.iter.id == name
            return whole and name not in names_in(part.target)
        if isinstance(ancestor, ast.stmt):
            return False
    return False


@slow(
    "rows-one-by-one",
    "A table is gone through row by row",
    "iterrows() makes an object for every row: a thousand times slower than an operation on "
    "whole columns. Work with columns, or itertuples() where rows are needed.",
    severity="warning",
    confidence=0.8,
)
def rows_one_by_one(module: Module) -> Iterator[ast.AST]:
    for call, _ in module.calls:
        if isinstance(call.func, ast.Attribute) and call.func.attr == "iterrows":
            yield call


@slow(
    "table-grown-in-loop",
    "The whole table is copied for each row that is added",
    "A DataFrame or array can't grow: each append or concat copies all rows. Collect them in a "
    "list and make the table once, after the loop.",
    severity="warning",
    confidence=0.8,
)
def table_grown_in_loop(module: Module) -> Iterator[ast.AST]:
    grows = words(
        "pandas.concat numpy.append numpy.concatenate numpy.vstack numpy.hstack pandas.append"
    )
    for node in module.all(ast.Assign):
        value = node.value
        loop = module.loop_of(node)
        if (
            loop is None
            or not isinstance(value, ast.Call)
            or not isinstance(node.targets[0], ast.Name)
        ):
            continue
        name, func = module.name_of(value.func), value.func
        target = node.targets[0].id
        if (name in grows and target in names_in(value)) or (
            isinstance(func, ast.Attribute) and func.attr == "append" and name == f"{target}.append"
        ):
            yield node


@slow(
    "awaited-one-by-one",
    "Each step waits for the one before, though they don't need each other",
    "The loop awaits one answer, then asks for the next: ten requests of a second take ten "
    "seconds. Start them together with asyncio.gather() or a TaskGroup.",
    confidence=0.5,
)
def awaited_one_by_one(module: Module) -> Iterator[ast.AST]:
    for loop in module.all(ast.For):
        if len(loop.body) != 1 or not isinstance(loop.body[0], ast.Expr):
            continue
        value = loop.body[0].value
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
            if value.func.attr == "append" and value.args and isinstance(value.args[0], ast.Await):
                yield loop


@slow(
    "read-in-loop",
    "The same file is opened and read at each step",
    "What the file holds does not depend on the step, so it is read again and again. Read it "
    "once before the loop.",
    confidence=0.7,
)
def read_in_loop(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        loop = module.loop_of(call)
        if name != "open" or loop is None or not isinstance(loop, ast.For) or not call.args:
            continue
        mode = constant(call.args[1]) if len(call.args) > 1 else "r"
        if isinstance(call.args[0], ast.Constant) and mode in {"r", "rb", "rt"} and _repeats(loop):
            yield call


@slow(
    "exponential-recursion",
    "The same values are computed again and again",
    "Each call makes two more, so that f(40) makes more than a hundred million calls. Keep what "
    "is known: put @functools.cache before the function, or use a loop.",
    severity="warning",
    confidence=0.75,
)
def exponential_recursion(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.Return):
        if not isinstance(node.value, ast.BinOp):
            continue
        function = next((one for one in module.ancestors(node) if isinstance(one, FUNCTIONS)), None)
        if function is None or function.decorator_list or len(function.args.args) != 1:
            continue
        name = function.args.args[0].arg
        steps = {
            ast.unparse(one.args[0])
            for one in ast.walk(node.value)
            if isinstance(one, ast.Call)
            and isinstance(one.func, ast.Name)
            and one.func.id == function.name
            and len(one.args) == 1
        }
        if {f"{name} - 1", f"{name} - 2"} <= steps:
            yield node


@slow(
    "searched-for-each",
    "The list is searched anew for each of its elements",
    "count() and index() look at the whole list. Done for every element, a list of n takes n² "
    "steps: 10,000 elements take seconds. Count once with collections.Counter, or number the "
    "elements with enumerate().",
    severity="warning",
    confidence=0.7,
)
def searched_for_each(module: Module) -> Iterator[ast.AST]:
    for call, _ in module.calls:
        func = call.func
        if not isinstance(func, ast.Attribute) or func.attr not in {"count", "index"}:
            continue
        if len(call.args) != 1 or not isinstance(func.value, ast.Name):
            continue
        for ancestor in module.ancestors(call):
            if isinstance(ancestor, (*FUNCTIONS, ast.Lambda)):
                break
            sources: list[tuple[ast.expr, ast.expr]] = []
            if isinstance(ancestor, ast.For) and call not in ast.walk(ancestor.iter):
                sources = [(ancestor.target, ancestor.iter)]
            elif isinstance(ancestor, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
                sources = [(part.target, part.iter) for part in ancestor.generators]
            if any(
                isinstance(source, ast.Name)
                and source.id == func.value.id
                and ast.unparse(target) == ast.unparse(call.args[0])
                for target, source in sources
            ):
                yield call
                break


@slow(
    "sorted-for-extreme",
    "All elements are sorted to take one of them",
    "The smallest or largest element is found in one pass by min() or max(). Sorting does far "
    "more: for a million elements twenty times as much.",
    confidence=0.7,
)
def sorted_for_extreme(module: Module) -> Iterator[ast.AST]:
    for node in module.all(ast.Subscript):
        call = node.value
        if isinstance(call, ast.Call) and module.name_of(call.func) == "sorted":
            if ast.unparse(node.slice) in {"0", "-1"}:
                yield node


@slow(
    "all-lines-at-once",
    "The whole file is read before the first line is looked at",
    "readlines() makes a list of all lines; a file of a gigabyte takes more than that of memory. "
    "Go through the file itself: `for line in f`.",
    confidence=0.6,
)
def all_lines_at_once(module: Module) -> Iterator[ast.AST]:
    for node in module.nodes:
        if isinstance(node, ast.For | ast.comprehension):
            call = node.iter
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                if call.func.attr == "readlines" and not call.args:
                    yield call


#: How Django asks for the rows that belong to one value.
_ROW_QUERIES = (".objects.get", ".objects.filter", ".objects.get_or_create")


@slow(
    "asked-one-by-one",
    "The database or another server is asked anew at each step",
    "Each question costs a way there and back: a thousand of a millisecond are a second. Ask once "
    "for all (WHERE id IN …, a JOIN, executemany()), or use one session.",
    confidence=0.55,
)
def asked_one_by_one(module: Module) -> Iterator[ast.AST]:
    asks = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
    for call, name in module.calls:
        loop = module.loop_of(call)
        if not isinstance(loop, ast.For) or not call.args or not _repeats(loop):
            continue
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        first = next((one for one in ast.walk(call.args[0]) if isinstance(one, ast.Constant)), None)
        text = constant(first)
        statement = method == "execute" and isinstance(text, str) and asks.match(text)
        opened = name in {"sqlite3.connect", "psycopg2.connect", "pymysql.connect"}
        if statement or opened:
            yield call
    if not any(name.startswith("django") for name in module.imports.values()):
        return
    for call, name in module.calls:
        loop = module.loop_of(call)
        if isinstance(loop, ast.For) and _repeats(loop) and name.endswith(_ROW_QUERIES):
            given = [*call.args, *(item.value for item in call.keywords)]
            if names_in(loop.target) & names_in(given):
                yield call


@slow(
    "copied-in-loop",
    "The same thing is copied as a whole at each step",
    "deepcopy() walks through everything that hangs on the object. Where the loop does not change "
    "it, one copy before the loop does; where one part changes, copy that part.",
    confidence=0.6,
)
def copied_in_loop(module: Module) -> Iterator[ast.AST]:
    for call, name in module.calls:
        loop = module.loop_of(call)
        if name == "copy.deepcopy" and loop is not None and call.args and _repeats(loop):
            given = call.args[0]
            targets = names_in(loop.target) if isinstance(loop, ast.For | ast.AsyncFor) else set()
            if isinstance(given, ast.Name) and given.id not in bound_in(loop.body) | targets:
                yield call


@slow(
    "rows-applied-one-by-one",
    "A Python function is called for each row of the table",
    "apply(…, axis=1) makes an object for every row. Operations on whole columns do the same "
    "about a hundred times faster.",
    confidence=0.7,
)
def rows_applied_one_by_one(module: Module) -> Iterator[ast.AST]:
    for call, _ in module.calls:
        if isinstance(call.func, ast.Attribute) and call.func.attr == "apply":
            if constant(keyword(call, "axis")) in (1, "columns"):
                yield call
