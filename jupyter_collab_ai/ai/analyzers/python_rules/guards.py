"""What a check tells about the values that it looks at."""

from __future__ import annotations

import ast

from .module import Module, constant
from .trust import CHECKING, KINDS, PLAIN, PLAIN_TEXT, Taint

Env = dict[str, Taint | None]

_URLS = frozenset({"url", "redirect"})
_PATHS = frozenset({"path"})
_MATCHES = frozenset({"match", "fullmatch", "search"})


def after_check(module: Module, test: ast.expr, truth: bool, env: Env) -> Env:
    """Return what is known where a condition came out as ``truth``."""
    known = dict(env)
    _apply(module, test, truth, known)
    return known


def settled_by(module: Module, call: ast.expr, env: Env) -> Env:
    """Return what is known after a call that raises where it does not like what it gets."""
    if isinstance(call, ast.Await):
        call = call.value
    if not isinstance(call, ast.Call):
        return {}
    known = dict(env)
    if isinstance(call.func, ast.Attribute) and call.func.attr == "relative_to":
        _clean(call.func.value, _PATHS, known)
    elif CHECKING.search(_last(module.name_of(call.func))):
        for arg in call.args:
            _clean(arg, KINDS, known)
    return known


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _apply(module: Module, test: ast.expr, truth: bool, env: Env) -> None:
    match test:
        case ast.UnaryOp(op=ast.Not()):
            _apply(module, test.operand, not truth, env)
        case ast.BoolOp():
            # All parts of a true "and" are true, all of a false "or" false.
            if isinstance(test.op, ast.And) is truth:
                for part in test.values:
                    _apply(module, part, truth, env)
        case ast.Compare() if len(test.ops) == 1:
            _compare(module, test, truth, env)
        case ast.Call():
            _call(module, test, truth, env)
        case ast.NamedExpr():
            _apply(module, test.value, truth, env)
        case _:
            pass


def _compare(module: Module, test: ast.Compare, truth: bool, env: Env) -> None:
    left, right, op = test.left, test.comparators[0], test.ops[0]
    if isinstance(op, ast.In | ast.NotIn):
        member = isinstance(op, ast.In) is truth
        text = constant(left)
        if isinstance(text, str):
            if (not member and ".." in text) or (not member and text in {"/", "\\"}):
                _clean(right, _PATHS, env)
            elif not member and text in {"\n", "\r"}:
                _clean(right, frozenset({"log", "header"}), env)
        elif member and not _tainted(right, env):
            _clean(left, KINDS, env)
    elif isinstance(op, ast.Eq | ast.NotEq | ast.Is | ast.IsNot):
        equal = isinstance(op, ast.Eq | ast.Is) is truth
        empty = isinstance(right, ast.Constant) and right.value in (None, "", b"", 0)
        for one, other in ((left, right), (right, left)):
            if _tainted(one, env) and not _tainted(other, env):
                if equal and not empty:
                    _clean(one, KINDS, env)
                elif not equal and empty and isinstance(one, ast.Call) and one.args:
                    # re.match(…) is not None
                    _call(module, one, True, env)
                elif equal and empty and _netloc(one):
                    _clean(one, _URLS, env)
        if isinstance(left, ast.Call) and isinstance(op, ast.Is | ast.IsNot) and not equal:
            _call(module, left, True, env)


def _netloc(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in {"netloc", "scheme", "hostname"}


def _call(module: Module, test: ast.Call, truth: bool, env: Env) -> None:
    func = test.func
    name = module.name_of(func)
    method = func.attr if isinstance(func, ast.Attribute) else name
    if not truth:
        if isinstance(func, ast.Attribute) and method in {"startswith", "is_absolute"}:
            return
        if name in {"os.path.isabs"}:
            return
        if name == "any":
            for arg in test.args:
                _clean(arg, KINDS, env)
        return
    if isinstance(func, ast.Attribute) and method in PLAIN_TEXT:
        _clean(func.value, KINDS, env)
    elif isinstance(func, ast.Attribute) and method in {"startswith", "is_relative_to"}:
        _begins(test, func, method, env)
    elif method in _MATCHES or name in {"isinstance", "all"} or CHECKING.search(_last(method)):
        for arg in test.args:
            _clean(arg, KINDS, env)


def _begins(test: ast.Call, func: ast.Attribute, method: str, env: Env) -> None:
    taint = _of(func.value, env)
    if taint is None:
        return
    if method == "is_relative_to" or PLAIN in taint.clean:
        _clean(func.value, _PATHS, env)
    prefix = constant(test.args[0]) if test.args else None
    if isinstance(prefix, str):
        if prefix.startswith(("http://", "https://")) and prefix.count("/") > 2:
            _clean(func.value, _URLS, env)
        elif prefix == "/":
            _clean(func.value, frozenset({"redirect"}), env)


def _of(node: ast.expr, env: Env) -> Taint | None:
    names = [one for one in map(_key, _parts(node)) if one is not None]
    return next((taint for name in names if (taint := env.get(name)) is not None), None)


def _parts(node: ast.expr) -> list[ast.expr]:
    return [one for one in ast.walk(node) if isinstance(one, ast.Name | ast.Attribute)]


def _tainted(node: ast.expr, env: Env) -> bool:
    return _of(node, env) is not None


def _key(node: ast.expr) -> str | None:
    try:
        return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else None
    except RecursionError:
        return None


def _clean(node: ast.expr, kinds: frozenset[str], env: Env) -> None:
    """Hold what an expression mentions for harmless, and all that was made of it alike."""
    if isinstance(node, ast.Constant):
        return
    names = {name for part in _parts(node) if (name := _key(part)) is not None}
    for name in list(names):
        taint = env.get(name)
        if taint is not None:
            names |= taint.roots
    for name, taint in list(env.items()):
        if taint is not None and (name in names or taint.roots & names):
            env[name] = taint.cleaned(kinds)
