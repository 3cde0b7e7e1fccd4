"""What a name stands for, wherever it is read: in a function, or at the top of a module or cell."""

from __future__ import annotations

import ast
from collections import defaultdict

from .module import FUNCTIONS, Module

_NAMING = (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)


class Known:
    """The names of a module, by the scope that gives them values."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._givers: dict[tuple[ast.AST, str], list[ast.AST]] = defaultdict(list)
        self._loads: dict[tuple[ast.AST, str], list[ast.Name]] = defaultdict(list)
        #: Names that another scope may change, or nobody knows who does.
        self._shared: set[str] = set()
        loads: list[ast.Name] = []
        for node in module.nodes:
            if isinstance(node, ast.Name):
                if isinstance(node.ctx, ast.Load):
                    loads.append(node)
                else:
                    self._givers[module.scope_of(node), node.id].append(node)
            elif isinstance(node, ast.arg):
                self._givers[module.scope_of(node), node.arg].append(node)
            elif isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                self._givers[module.scope_of(node), node.name].append(node)
            elif isinstance(node, ast.alias):
                name = (node.asname or node.name).partition(".")[0]
                self._givers[module.scope_of(node), name].append(node)
            elif isinstance(node, ast.Global | ast.Nonlocal):
                self._shared.update(node.names)
            elif isinstance(node, _NAMING) and node.name:
                self._givers[module.scope_of(node), node.name].append(node)
        for load in loads:
            owner = self.owner(load)
            if owner is not None:
                self._loads[owner, load.id].append(load)

    def owner(self, name: ast.Name) -> ast.AST | None:
        """Return the scope whose name this is; None where it can't be told."""
        if name.id in self._shared:
            return None
        scope: ast.AST = self._module.scope_of(name)
        first = True
        while True:
            inner_class = isinstance(scope, ast.ClassDef) and not first
            if (scope, name.id) in self._givers and not inner_class:
                return scope
            if scope is self._module.tree:
                return None
            scope, first = self._module.scope_of(scope), False

    def givers(self, name: ast.Name) -> list[ast.AST]:
        """Return everything that gives a name its value."""
        owner = self.owner(name)
        return [] if owner is None else self._givers[owner, name.id]

    def loads(self, name: ast.Name) -> list[ast.Name]:
        """Return all places where the same name is read."""
        owner = self.owner(name)
        return [] if owner is None else self._loads[owner, name.id]

    def values(self, name: ast.Name) -> list[ast.expr] | None:
        """Return all that a name is given, where all of it is given by plain assignments."""
        found = []
        for giver in self.givers(name):
            parent = self._module.parent(giver)
            value = parent.value if isinstance(parent, ast.Assign | ast.AnnAssign) else None
            if isinstance(parent, ast.Assign) and giver not in parent.targets:
                return None
            if value is None:
                return None
            found.append(value)
        return found or None

    def only_value(self, name: ast.Name) -> ast.expr | None:
        """Return what a name is given, where that happens once and by a plain assignment."""
        values = self.values(name)
        return values[0] if values is not None and len(values) == 1 else None


def known(module: Module) -> Known:
    """Return what is known of a module's names."""
    made: Known | None = getattr(module, "_known", None)
    if made is None:
        made = module._known = Known(module)  # type: ignore[attr-defined]
    return made
