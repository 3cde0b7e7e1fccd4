"""A parsed text with what all rules ask of it: parents, names, calls."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TypeVar

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef
Loop = ast.For | ast.AsyncFor | ast.While

#: What opens a scope of its own for the names in it.
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
LOOPS = (ast.For, ast.AsyncFor, ast.While)

#: What may give a name a value besides assignments.
_NAMING = (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)

_Node = TypeVar("_Node", bound=ast.AST)


class Module:
    """A parsed text."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.parents: dict[ast.AST, ast.AST] = {}
        self.nodes: list[ast.AST] = [tree]
        for node in self.nodes:
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
                self.nodes.append(child)

    def all(self, *kinds: type[_Node]) -> Iterator[_Node]:
        """Return all nodes of some kinds."""
        return (node for node in self.nodes if isinstance(node, kinds))

    @cached_property
    def imports(self) -> dict[str, str]:
        """What each imported name stands for, with dots."""
        names: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.asname:
                        names[alias.asname] = alias.name
                    else:
                        top = alias.name.partition(".")[0]
                        names[top] = top
            elif isinstance(node, ast.ImportFrom):
                source = "." * node.level + (node.module or "")
                for alias in node.names:
                    names[alias.asname or alias.name] = f"{source}.{alias.name}"
        return names

    def name_of(self, node: ast.AST | None) -> str:
        """Return what an expression names, with dots, imports resolved; else an empty text."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        parts.append(self.imports.get(node.id, node.id))
        return ".".join(reversed(parts))

    @cached_property
    def calls(self) -> list[tuple[ast.Call, str]]:
        """All calls, with the name of what is called."""
        return [(node, self.name_of(node.func)) for node in self.all(ast.Call)]

    @cached_property
    def functions(self) -> list[Function]:
        """All functions and methods."""
        return [node for node in self.nodes if isinstance(node, FUNCTIONS)]

    def parent(self, node: ast.AST) -> ast.AST | None:
        """Return what a node is a part of."""
        return self.parents.get(node)

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """Return everything that a node is in, the nearest first."""
        parent = self.parents.get(node)
        while parent is not None:
            yield parent
            parent = self.parents.get(parent)

    def scope_of(self, node: ast.AST) -> ast.AST:
        """Return the function, class or module in which a node stands."""
        for ancestor in self.ancestors(node):
            if isinstance(ancestor, SCOPES):
                return ancestor
        return self.tree

    def loop_of(self, node: ast.AST) -> Loop | None:
        """Return the innermost loop whose body holds a node, in the same function."""
        inner = node
        for ancestor in self.ancestors(node):
            if isinstance(ancestor, SCOPES):
                return None
            if isinstance(ancestor, LOOPS) and any(inner is part for part in ancestor.body):
                return ancestor
            inner = ancestor
        return None

    def block_of(self, statement: ast.AST) -> list[ast.stmt]:
        """Return the list of statements in which a statement stands."""
        parent = self.parents.get(statement)
        for field in ("body", "orelse", "finalbody"):
            block = getattr(parent, field, None)
            if isinstance(block, list) and any(one is statement for one in block):
                return block
        return []


def inside(nodes: Iterable[ast.AST] | ast.AST) -> Iterator[ast.AST]:
    """Return nodes and all in them that runs with them: not what nested functions hold."""
    todo = [nodes] if isinstance(nodes, ast.AST) else list(nodes)
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, SCOPES):
            todo.extend(ast.iter_child_nodes(node))


def body_of(scope: ast.AST) -> Iterator[ast.AST]:
    """Return everything in the body of a function or module that runs with it."""
    return inside(getattr(scope, "body", []))


def names_in(node: ast.AST | Iterable[ast.AST]) -> set[str]:
    """Return all names that an expression or block mentions, in nested functions too."""
    nodes = [node] if isinstance(node, ast.AST) else node
    return {one.id for start in nodes for one in ast.walk(start) if isinstance(one, ast.Name)}


def bound_in(node: ast.AST | Iterable[ast.AST]) -> set[str]:
    """Return all names that are given a value in a block."""
    found: set[str] = set()
    for one in inside(node):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store | ast.Del):
            found.add(one.id)
        elif isinstance(one, (*FUNCTIONS, ast.ClassDef)):
            found.add(one.name)
        elif isinstance(one, ast.alias):
            found.add((one.asname or one.name).partition(".")[0])
        elif isinstance(one, _NAMING) and one.name:
            found.add(one.name)
    return found


def same(one: ast.AST | None, other: ast.AST | None) -> bool:
    """Tell whether two expressions are written alike."""
    if one is None or other is None:
        return one is other
    return ast.dump(one) == ast.dump(other)


def parameters(function: Function | ast.Lambda) -> list[ast.arg]:
    """Return all parameters of a function, also ``*args`` and ``**kwargs``."""
    spec = function.args
    extra = [arg for arg in (spec.vararg, spec.kwarg) if arg is not None]
    return [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *extra]


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return what a call passes by a name."""
    return next((item.value for item in call.keywords if item.arg == name), None)


def argument(call: ast.Call, index: int, name: str | None = None) -> ast.expr | None:
    """Return what a call passes at a place or by a name."""
    if len(call.args) > index and not any(
        isinstance(arg, ast.Starred) for arg in call.args[: index + 1]
    ):
        return call.args[index]
    return keyword(call, name) if name else None


def constant(node: ast.AST | None) -> object:
    """Return the value of a literal; None where it is none."""
    return node.value if isinstance(node, ast.Constant) else None


def is_pure(node: ast.AST) -> bool:
    """Tell whether evaluating an expression twice gives the same: it calls nothing."""
    return not any(
        isinstance(one, ast.Call | ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr)
        for one in ast.walk(node)
    )


def leaves(block: list[ast.stmt]) -> bool:
    """Tell whether a block never goes on to what follows it."""
    if not block:
        return False
    last = block[-1]
    if isinstance(last, ast.Return | ast.Raise | ast.Continue | ast.Break):
        return True
    if isinstance(last, ast.If):
        return leaves(last.body) and leaves(last.orelse)
    if isinstance(last, ast.With | ast.AsyncWith):
        return leaves(last.body)
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
        func = last.value.func
        name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
        return name in {"abort", "exit", "_exit"}
    return False


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


def enclosing(module: Module, node: ast.AST) -> Function | None:
    """Return the function in which a node stands, however deep."""
    return next((one for one in module.ancestors(node) if isinstance(one, FUNCTIONS)), None)
