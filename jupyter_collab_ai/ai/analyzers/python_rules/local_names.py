"""What a function does with its own names."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from .module import FUNCTIONS, SCOPES, Function, Module, inside, parameters, words

#: Methods that change a container or object in place.
CHANGING = words(
    "append extend insert add update setdefault pop popitem popleft appendleft extendleft remove "
    "discard clear sort reverse push put rotate subtract write intersection_update "
    "difference_update symmetric_difference_update __setitem__"
)
#: Those of them that put something in.
FILLING = CHANGING - words(
    "pop popitem popleft remove discard clear sort reverse rotate intersection_update "
    "difference_update"
)


class Names:
    """The names of one function."""

    def __init__(self, module: Module, function: Function) -> None:
        self.function = function
        self.stores: dict[str, list[ast.Name]] = defaultdict(list)
        self.loads: dict[str, list[ast.Name]] = defaultdict(list)
        #: Names that mean something outside of the function, or are changed in an inner one.
        self.shared: set[str] = set()
        self.parameters = {arg.arg for arg in parameters(function)}
        self.dynamic = False
        for node in inside(function.body):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                self.stores[node.id].append(node)
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                self.loads[node.id].append(node)
                self.dynamic |= node.id in {"locals", "vars", "exec", "eval", "globals"}
            elif isinstance(node, ast.Global | ast.Nonlocal):
                self.shared.update(node.names)
        self._module = module

    def only_value(self, name: str) -> ast.expr | None:
        """Return what a name is given, where that happens once and by a plain assignment."""
        if len(self.stores.get(name, ())) != 1 or name in self.shared or name in self.parameters:
            return None
        return self.value(self.stores[name][0])

    def value(self, store: ast.Name) -> ast.expr | None:
        """Return what a plain assignment gives to a name; None where it is no such."""
        parent = self._module.parent(store)
        if isinstance(parent, ast.Assign) and store in parent.targets:
            return parent.value
        if isinstance(parent, ast.AnnAssign) and parent.target is store:
            return parent.value
        if isinstance(parent, ast.Tuple) and isinstance(self._module.parent(parent), ast.Assign):
            whole = self._module.parent(parent)
            assert isinstance(whole, ast.Assign)
            if isinstance(whole.value, ast.Tuple) and len(whole.value.elts) == len(parent.elts):
                return whole.value.elts[parent.elts.index(store)]
        return None


def functions(module: Module) -> Iterator[Names]:
    """Return the names of each function, where they can be told from the text."""
    known = getattr(module, "_names", None)
    if known is None:
        known = [Names(module, function) for function in module.functions]
        module._names = known  # type: ignore[attr-defined]
    return (names for names in known if not names.dynamic)


def is_empty_container(module: Module, node: ast.expr | None) -> bool:
    """Tell whether an expression makes a container that holds nothing."""
    if isinstance(node, ast.List | ast.Set):
        return not node.elts
    if isinstance(node, ast.Dict):
        return not node.keys
    if isinstance(node, ast.Call) and not node.args and not node.keywords:
        return module.name_of(node.func) in words("list dict set collections.deque")
    return False


def only_changed(module: Module, load: ast.Name) -> bool:
    """Tell whether a use of a container changes it and tells nothing about it."""
    parent = module.parent(load)
    if isinstance(parent, ast.Subscript) and parent.value is load:
        return isinstance(parent.ctx, ast.Store | ast.Del)
    if isinstance(parent, ast.Attribute) and parent.attr in FILLING:
        call = module.parent(parent)
        return (
            isinstance(call, ast.Call)
            and call.func is parent
            and isinstance(module.parent(call), ast.Expr)
        )
    return False


def fills(module: Module, load: ast.Name) -> bool:
    """Tell whether a use of a container may put something into it, or gives it away."""
    parent = module.parent(load)
    if isinstance(parent, ast.Subscript) and parent.value is load:
        return not isinstance(parent.ctx, ast.Load)
    if isinstance(parent, ast.Attribute):
        return parent.attr in FILLING
    if isinstance(parent, ast.Call):
        name = module.name_of(parent.func)
        return name not in words("len sorted sum min max any all reversed enumerate bool print str")
    if isinstance(parent, ast.Compare | ast.While | ast.If | ast.UnaryOp | ast.For):
        return False
    return not isinstance(parent, ast.comprehension | ast.BoolOp | ast.FormattedValue)


def enclosing_function(module: Module, node: ast.AST) -> Function | None:
    """Return the function in which a node stands."""
    for ancestor in module.ancestors(node):
        if isinstance(ancestor, FUNCTIONS):
            return ancestor
        if isinstance(ancestor, SCOPES):
            return None
    return None
