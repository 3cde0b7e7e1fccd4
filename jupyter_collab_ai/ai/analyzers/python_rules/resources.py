"""What is opened and not closed, and errors that are lost."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from .local_names import functions
from .model import At, bug
from .module import Module, inside, leaves, words

_OPENED = words(
    "open io.open codecs.open gzip.open bz2.open lzma.open socket.socket sqlite3.connect "
    "tarfile.open zipfile.ZipFile urllib.request.urlopen tempfile.NamedTemporaryFile "
    "socket.create_connection"
)
#: What is done to a file that nobody keeps: CPython closes it at once, others later.
_WHOLE = words("read readlines write readline writelines")
_READERS = words(
    "json.load json.dump pickle.load pickle.dump yaml.safe_load yaml.load yaml.safe_dump yaml.dump "
    "csv.reader csv.DictReader csv.writer csv.DictWriter tomllib.load marshal.load plistlib.load"
)
_CLOSING = words("close __exit__ detach terminate shutdown server_close")


@bug(
    "never-closed",
    "This is opened and never closed",
    "Nothing closes it when the work is done or fails half-way. What was written may stay in the "
    "buffer and be lost, and after some thousand of them the system refuses to open more. Write "
    "`with open(…) as f:`.",
    severity="info",
    confidence=0.6,
    cwe="CWE-772",
)
def never_closed(module: Module) -> Iterator[ast.AST | At]:
    for names in functions(module):
        for name in list(names.stores):
            value = names.only_value(name)
            if not isinstance(value, ast.Call) or module.name_of(value.func) not in _OPENED:
                continue
            loads = names.loads.get(name, [])
            if not any(_given_away(module, load) for load in loads):
                yield At(value, f"`{name}` is opened and never closed")
    for call, name in module.calls:
        if name not in {"open", "io.open"}:
            continue
        parent = module.parent(call)
        method = parent.attr if isinstance(parent, ast.Attribute) else ""
        reader = module.name_of(parent.func) if isinstance(parent, ast.Call) else ""
        if method in _WHOLE or reader in _READERS:
            yield call


def _given_away(module: Module, load: ast.Name) -> bool:
    """Tell whether a use closes something, or hands it to somebody who may."""
    parent = module.parent(load)
    if isinstance(parent, ast.Attribute):
        # A method that is kept, as f.close is by addCleanup, may be called by others.
        called = isinstance(module.parent(parent), ast.Call) and (
            module.parent(parent).func is parent  # type: ignore[union-attr]
        )
        return parent.attr in _CLOSING or not called
    if isinstance(parent, ast.For | ast.comprehension):
        return False
    return not isinstance(parent, ast.Compare | ast.UnaryOp | ast.BoolOp | ast.If | ast.While)


@bug(
    "lock-not-released",
    "After an error, nobody gets this lock any more",
    "Where something between acquire() and release() raises, release() never runs and everybody "
    "else waits for ever. Write `with lock:`.",
    confidence=0.6,
    cwe="CWE-667",
)
def lock_not_released(module: Module) -> Iterator[ast.AST]:
    for node in module.nodes:
        for field in ("body", "orelse"):
            block = getattr(node, field, None)
            if not isinstance(block, list):
                continue
            for index, one in enumerate(block):
                owner = _method_of(one, "acquire")
                if not owner or "lock" not in owner.lower():
                    continue
                between: list[ast.stmt] = []
                for after in block[index + 1 :]:
                    if _method_of(after, "release") == owner:
                        risky = any(
                            isinstance(part, ast.Call | ast.Subscript)
                            for statement in between
                            for part in inside(statement)
                        )
                        if risky and not any(isinstance(part, ast.Try) for part in between):
                            yield one
                        break
                    between.append(after)


def _method_of(node: ast.AST, method: str) -> str:
    """Return on what a statement calls a method, without arguments."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and not node.value.args:
        func = node.value.func
        if isinstance(func, ast.Attribute) and func.attr == method:
            return ast.unparse(func.value)
    return ""


@bug(
    "lock-of-ones-own",
    "Each call makes a lock of its own, which keeps nobody out",
    "A lock protects only where all threads ask for the same one. This one is made in the "
    "function, so no two calls ever share it. Make it once, outside.",
    severity="error",
    confidence=0.85,
    cwe="CWE-414",
)
def lock_of_ones_own(module: Module) -> Iterator[ast.AST]:
    kinds = words("threading.Lock threading.RLock multiprocessing.Lock asyncio.Lock")
    for names in functions(module):
        for name in list(names.stores):
            value = names.only_value(name)
            if not isinstance(value, ast.Call) or module.name_of(value.func) not in kinds:
                continue
            loads = names.loads.get(name, [])
            here = all(module.scope_of(load) is names.function for load in loads)
            own = all(
                (
                    isinstance(module.parent(load), ast.Attribute)
                    and module.parent(load).attr in {"acquire", "release"}  # type: ignore[union-attr]
                )
                or isinstance(module.parent(load), ast.withitem)
                for load in loads
            )
            if loads and here and own:
                yield value


@bug(
    "possibly-unset",
    "After an error the name may have no value",
    "The name gets its value in the try block, and the handler goes on without giving it one. "
    "Where the line raises, the next use raises UnboundLocalError and hides what went wrong.",
    confidence=0.7,
    cwe="CWE-457",
)
def possibly_unset(module: Module) -> Iterator[ast.AST | At]:
    for names in functions(module):
        for node in inside(names.function.body):
            if not isinstance(node, ast.Try) or node.finalbody or len(node.body) != 1:
                continue
            statement = node.body[0]
            if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
                continue
            target = statement.targets[0]
            if not isinstance(target, ast.Name) or len(names.stores[target.id]) != 1:
                continue
            if target.id in names.parameters | names.shared or module.loop_of(node) is not None:
                continue
            block = module.block_of(node)
            after = block[block.index(node) + 1 :]
            goes_on = [one for one in node.handlers if not leaves(one.body)]
            ends = any(_may_end(one) for handler in goes_on for one in handler.body)
            if goes_on and not ends and after and _read_first(after[0], target.id):
                yield At(statement, f"`{target.id}` has no value after an error")


def _may_end(node: ast.stmt) -> bool:
    """Tell whether a statement may leave the function in a way that can't be told."""
    return not isinstance(node, ast.Pass | ast.Assign) and not (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "print"
    )


def _read_first(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.Return | ast.Assign | ast.Expr | ast.AugAssign) and any(
        isinstance(one, ast.Name) and one.id == name and isinstance(one.ctx, ast.Load)
        for one in inside(node)
    )
