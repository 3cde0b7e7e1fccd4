"""Follows untrusted values through the functions of one module."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from .guards import after_check, settled_by
from .module import FUNCTIONS, Function, Module, leaves, parameters, words
from .trust import (
    CARRIERS,
    METHOD_CLEANERS,
    Taint,
    cleaner,
    is_number,
    join,
    parameter_taints,
    source_of,
)

Env = dict[str, Taint | None]
#: How often all functions are gone through, so that what is passed on arrives.
ROUNDS = 3
_FILLS = frozenset(
    {"append", "extend", "add", "insert", "update", "setdefault", "write", "appendleft", "put"}
)
#: Methods of what is tainted whose result is something else.
_ENDS = words(
    "execute executemany fetchone fetchall commit close filter filter_by save count index find "
    "startswith endswith rfind tell seek fileno exists is_file is_dir stat mkdir unlink"
)


class Flow:
    """What is known of each expression of a module, once all was gone through."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._seen: dict[ast.AST, Taint | None] = {}
        self._returns: dict[ast.AST, Taint | None] = {}
        self._passed: dict[ast.AST, dict[str, Taint | None]] = {}
        self._local = {
            function.name: function
            for function in module.functions
            if not isinstance(module.parent(function), ast.ClassDef)
        }
        self._methods = {
            function.name: function
            for function in module.functions
            if isinstance(module.parent(function), ast.ClassDef)
        }
        self._function: ast.AST | None = None
        self._left: list[Env] = []
        for _ in range(ROUNDS):
            self._seen.clear()
            before = dict(self._returns), {k: dict(v) for k, v in self._passed.items()}
            self._pass()
            if before == (self._returns, self._passed):
                break

    def of(self, node: ast.AST | None) -> Taint | None:
        """Return what an expression may hold, when it is evaluated."""
        return self._seen.get(node) if node is not None else None

    def _pass(self) -> None:
        env: Env = {}
        self._block(self._module.tree.body, env)
        for function in self._module.functions:
            if not any(isinstance(one, FUNCTIONS) for one in self._module.ancestors(function)):
                self._enter(function, env)

    def _enter(self, function: Function, around: Env) -> None:
        env = {**around, **parameter_taints(self._module, function)}
        for name, taint in self._passed.get(function, {}).items():
            env[name] = join(env.get(name), taint) if taint is not None else env.get(name)
        outer, self._function = self._function, function
        left, self._left = self._left, []
        self._block(function.body, env)
        self._function, self._left = outer, left

    # ------------------------------------------------------------------ statements

    def _block(self, block: Sequence[ast.stmt], env: Env) -> bool:
        """Go through statements, changing ``env``; tell whether their end is reached."""
        return all(self._statement(statement, env) for statement in block)

    def _statement(self, node: ast.stmt, env: Env) -> bool:
        match node:
            case ast.Assign():
                taint = self._value(node.value, env)
                for target in node.targets:
                    self._bind(target, taint, env)
            case ast.AnnAssign():
                if node.value is not None:
                    self._bind(node.target, self._value(node.value, env), env)
            case ast.AugAssign():
                taint = join(self._value(node.target, env), self._value(node.value, env))
                self._bind(node.target, _built(taint), env)
            case ast.Return():
                taint = self._value(node.value, env) if node.value else None
                if self._function is not None:
                    known = self._returns.get(self._function)
                    self._returns[self._function] = join(known, taint)
                return False
            case ast.Raise():
                for part in (node.exc, node.cause):
                    if part is not None:
                        self._value(part, env)
                return False
            case ast.Break() | ast.Continue():
                self._left.append(dict(env))
                return False
            case ast.If():
                return self._if(node, env)
            case ast.For() | ast.AsyncFor():
                taint = self._value(node.iter, env)
                self._loop(node.body, env, node.target, taint)
                return self._block(node.orelse, env)
            case ast.While():
                self._value(node.test, env)
                inner = after_check(self._module, node.test, True, env)
                self._loop(node.body, inner, None, None)
                _merge(env, inner)
                return self._block(node.orelse, env)
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    taint = self._value(item.context_expr, env)
                    if item.optional_vars is not None:
                        self._bind(item.optional_vars, taint, env)
                return self._block(node.body, env)
            case ast.Try() | ast.TryStar():
                return self._try(node, env)
            case ast.Match():
                return self._match(node, env)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if self._function is not None:
                    self._enter(node, env)
            case ast.ClassDef():
                self._block(node.body, dict(env))
            case ast.Assert():
                self._value(node.test, env)
                env.update(after_check(self._module, node.test, True, env))
            case ast.Expr():
                self._value(node.value, env)
                env.update(settled_by(self._module, node.value, env))
                return not leaves([node])
            case ast.Delete():
                for target in node.targets:
                    self._value(target, env)
            case _:
                pass
        return True

    def _if(self, node: ast.If, env: Env) -> bool:
        self._value(node.test, env)
        yes = after_check(self._module, node.test, True, env)
        no = after_check(self._module, node.test, False, env)
        goes_on = [
            branch
            for branch, block in ((yes, node.body), (no, node.orelse))
            if self._block(block, branch)
        ]
        if not goes_on:
            return False
        env.clear()
        env.update(goes_on[0])
        for branch in goes_on[1:]:
            _merge(env, branch)
        return True

    def _loop(
        self, body: list[ast.stmt], env: Env, target: ast.expr | None, taint: Taint | None
    ) -> None:
        outer, self._left = self._left, []
        for _ in range(2):
            inner = dict(env)
            if target is not None:
                self._bind(target, taint, inner)
            ends = self._block(body, inner)
            for left in [*self._left, *([inner] if ends else [])]:
                _merge(env, left)
        self._left = outer

    def _try(self, node: ast.Try | ast.TryStar, env: Env) -> bool:
        before = dict(env)
        ends = True
        for statement in node.body:
            ends = self._statement(statement, env)
            if not ends:
                break
            _merge(before, env)
        if ends:
            ends = self._block(node.orelse, env)
        branches = [dict(env)] if ends else []
        for handler in node.handlers:
            inner = dict(before)
            _merge(inner, env)
            if handler.name:
                inner[handler.name] = None
            if self._block(handler.body, inner):
                branches.append(inner)
        for branch in branches:
            _merge(env, branch)
        if branches:
            env.clear()
            env.update(branches[0])
            for branch in branches[1:]:
                _merge(env, branch)
        return self._block(node.finalbody, env) and bool(branches)

    def _match(self, node: ast.Match, env: Env) -> bool:
        taint = self._value(node.subject, env)
        branches = [dict(env)]
        for case in node.cases:
            inner = dict(env)
            for part in ast.walk(case.pattern):
                if isinstance(part, ast.MatchAs | ast.MatchStar) and part.name:
                    inner[part.name] = taint
            if isinstance(case.pattern, ast.MatchValue) and isinstance(node.subject, ast.Name):
                inner[node.subject.id] = None
            if self._block(case.body, inner):
                branches.append(inner)
        for branch in branches:
            _merge(env, branch)
        return True

    def _bind(self, target: ast.expr, taint: Taint | None, env: Env) -> None:
        match target:
            case ast.Tuple() | ast.List():
                for part in target.elts:
                    self._bind(part, taint, env)
            case ast.Starred():
                self._bind(target.value, taint, env)
            case ast.Subscript():
                self._value(target.slice, env)
                owner = _key(target.value)
                self._value(target.value, env)
                if owner and taint is not None:
                    env[owner] = join(env.get(owner), taint)
            case _:
                key = _key(target)
                if key:
                    env[key] = taint

    # ------------------------------------------------------------------ expressions

    def _value(self, node: ast.expr, env: Env) -> Taint | None:
        taint = self._compute(node, env)
        known = self._seen.get(node)
        self._seen[node] = join(known, taint)
        return taint

    def _compute(self, node: ast.expr, env: Env) -> Taint | None:
        source = source_of(self._module, node, self._function)
        match node:
            case ast.Constant():
                return None
            case ast.Name():
                taint = env.get(node.id)
                return taint.read_from(node.id) if taint is not None else None
            case ast.Attribute():
                inner = self._value(node.value, env)
                key = _key(node)
                return source or (inner if key is None else env.get(key, inner))
            case ast.Call():
                return join(source, self._call(node, env)) if source else self._call(node, env)
            case ast.BinOp():
                left, right = self._value(node.left, env), self._value(node.right, env)
                taint = join(left, right)
                if isinstance(node.op, ast.Add | ast.Mod | ast.Div):
                    return _built(taint, prefixed=left is None and not _is_empty(node.left))
                return taint
            case ast.JoinedStr():
                taints = [self._value(part, env) for part in node.values]
                first = bool(taints) and taints[0] is None
                return _built(join(*taints), prefixed=first)
            case ast.FormattedValue():
                return self._value(node.value, env)
            case ast.IfExp():
                self._value(node.test, env)
                yes = after_check(self._module, node.test, True, env)
                no = after_check(self._module, node.test, False, env)
                return join(self._value(node.body, yes), self._value(node.orelse, no))
            case ast.NamedExpr():
                taint = self._value(node.value, env)
                self._bind(node.target, taint, env)
                return taint
            case ast.Subscript():
                self._value(node.slice, env)
                return self._value(node.value, env)
            case ast.Compare() | ast.UnaryOp():
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.expr):
                        self._value(child, env)
                return None
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return self._comprehension(node, env)
            case ast.Lambda():
                inner_env = {**env, **{arg.arg: None for arg in parameters(node)}}
                self._value(node.body, inner_env)
                return None
            case ast.Yield():
                if node.value is not None:
                    self._value(node.value, env)
                return None
            case _:
                children = [one for one in ast.iter_child_nodes(node) if isinstance(one, ast.expr)]
                return join(*[self._value(child, env) for child in children])

    def _comprehension(
        self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, env: Env
    ) -> Taint | None:
        inner = dict(env)
        for part in node.generators:
            self._bind(part.target, self._value(part.iter, inner), inner)
            for test in part.ifs:
                self._value(test, inner)
                inner = after_check(self._module, test, True, inner)
        if isinstance(node, ast.DictComp):
            return join(self._value(node.key, inner), self._value(node.value, inner))
        return self._value(node.elt, inner)

    def _call(self, node: ast.Call, env: Env) -> Taint | None:
        name = self._module.name_of(node.func)
        func = node.func
        receiver = None
        if isinstance(func, ast.Attribute):
            # The member itself may be the source: request.get_data().
            receiver = self._value(func, env)
        elif not isinstance(func, ast.Name):
            self._value(func, env)
        given = [self._value(arg, env) for arg in node.args]
        named = {item.arg: self._value(item.value, env) for item in node.keywords}
        everything = join(*given, *named.values())
        if isinstance(func, ast.Attribute) and func.attr in _FILLS and everything is not None:
            key = _key(func.value)
            if key:
                env[key] = join(env.get(key), everything)
        if is_number(name):
            return None
        kinds = cleaner(name)
        if kinds is not None:
            both = join(everything, receiver)
            return both.cleaned(kinds) if both is not None else None
        target = self._target(func, name)
        if target is not None:
            self._pass_on(target, node, given, named)
            return self._returns.get(target)
        if isinstance(func, ast.Attribute):
            return self._method(func.attr, node, receiver, everything, name)
        return everything if name in CARRIERS else None

    def _target(self, func: ast.expr, name: str) -> Function | None:
        if isinstance(func, ast.Name):
            return self._local.get(func.id)
        if name.startswith("self.") and name.count(".") == 1:
            return self._methods.get(name[5:])
        return None

    def _pass_on(
        self,
        target: Function,
        node: ast.Call,
        given: list[Taint | None],
        named: dict[str | None, Taint | None],
    ) -> None:
        names = [arg.arg for arg in parameters(target)]
        if isinstance(node.func, ast.Attribute) and names[:1] in (["self"], ["cls"]):
            names = names[1:]
        passed = self._passed.setdefault(target, {})
        for parameter, taint in [*zip(names, given, strict=False), *named.items()]:
            if parameter in names and taint is not None:
                passed[parameter] = join(passed.get(parameter), taint)

    def _method(
        self,
        method: str,
        node: ast.Call,
        receiver: Taint | None,
        everything: Taint | None,
        name: str,
    ) -> Taint | None:
        kinds = METHOD_CLEANERS.get(method)
        if name in CARRIERS:
            return join(receiver, everything)
        if method in {"format", "join", "format_map", "substitute", "safe_substitute"}:
            func = node.func
            assert isinstance(func, ast.Attribute)
            text = func.value.value if isinstance(func.value, ast.Constant) else None
            fixed = isinstance(text, str) and not text.startswith("{") and method == "format"
            return _built(join(receiver, everything), prefixed=fixed)
        if receiver is not None:
            if method in _ENDS:
                return None
            if method == "replace" and len(node.args) == 2:
                return _replaced(join(receiver, everything), node.args)
            return receiver.cleaned(kinds) if kinds else receiver
        if method == "replace" and everything is not None:
            # A text of our own, into which something is put.
            return _built(everything, prefixed=True)
        if method in {"joinpath", "with_name"} and everything is not None:
            return everything
        return None


def _replaced(taint: Taint | None, args: list[ast.expr]) -> Taint | None:
    first = args[0].value if isinstance(args[0], ast.Constant) else None
    if taint is None:
        return None
    if first in {"\n", "\r", "\r\n"}:
        return taint.cleaned(frozenset({"log", "header"}))
    if first in {"<", ">"}:
        return taint.cleaned(frozenset({"html"}))
    return taint


def _built(taint: Taint | None, *, prefixed: bool = False) -> Taint | None:
    if taint is None:
        return None
    return replace(taint, built=True, prefixed=prefixed or (taint.built and taint.prefixed))


def _is_empty(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in ("", b"")


def _merge(env: Env, other: Env) -> None:
    for name, taint in other.items():
        env[name] = join(env[name], taint) if name in env else taint


def _key(node: ast.expr) -> str | None:
    """Return under which name what an expression holds is remembered."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)])
