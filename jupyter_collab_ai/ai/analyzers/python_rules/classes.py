"""Classes whose parts do not fit together."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator

from .local_names import CHANGING, is_empty_container
from .model import At, bug
from .module import FUNCTIONS, Function, Module, body_of, inside, words

_SPECIAL = words("__getattr__ __getattribute__ __slots__ __dict__ __setattr__")
#: What every object has.
_GIVEN = frozenset(dir(object)) | words("__dict__ __name__ __qualname__ __module__ __slots__")


def _methods(owner: ast.ClassDef) -> list[Function]:
    return [one for one in owner.body if isinstance(one, FUNCTIONS)]


def _self_name(method: Function) -> str:
    plain = [*method.args.posonlyargs, *method.args.args]
    static = any(
        isinstance(one, ast.Name) and one.id in {"staticmethod", "classmethod"}
        for one in method.decorator_list
    )
    return plain[0].arg if plain and not static else ""


def _own(method: Function) -> Iterator[ast.Attribute]:
    """Return the uses of attributes of the object itself in a method."""
    name = _self_name(method)
    for node in ast.walk(method):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if name and node.value.id == name:
                yield node


@bug(
    "attribute-never-set",
    "No line of the class ever sets this attribute",
    "The object has no attribute of this name, so the line raises AttributeError whenever it "
    "runs. The name is misspelt, or __init__ forgets to set it.",
    severity="error",
    confidence=0.85,
)
def attribute_never_set(module: Module) -> Iterator[ast.AST | At]:
    stored = {node.attr for node in module.all(ast.Attribute) if not isinstance(node.ctx, ast.Load)}
    texts = {
        node.value
        for node in module.all(ast.Constant)
        if isinstance(node.value, str) and node.value.isidentifier()
    }
    dynamic = {"setattr", "vars", "exec", "__dict__"} & {
        *(node.id for node in module.all(ast.Name)),
        *(node.attr for node in module.all(ast.Attribute)),
    }
    if dynamic:
        return
    subclassed = {module.name_of(base) for one in module.all(ast.ClassDef) for base in one.bases}
    for owner in module.all(ast.ClassDef):
        bases = [module.name_of(base) for base in owner.bases]
        if any(base != "object" for base in bases) or owner.keywords or owner.decorator_list:
            continue
        if owner.name in subclassed or owner.name.endswith(("Mixin", "Base")):
            continue
        # Without a method that prepares its objects, a class is a part of others.
        if not any(method.name in {"__init__", "__new__"} for method in _methods(owner)):
            continue
        names = {getattr(one, "name", "") for one in inside(owner.body)} | _GIVEN | stored | texts
        names |= {
            node.id
            for node in inside(owner.body)
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
        }
        if names & (_SPECIAL - _GIVEN) or any("import *" in ast.unparse(n) for n in owner.body):
            continue
        missing: dict[str, ast.Attribute] = {}
        for method in _methods(owner):
            if method.decorator_list and not _is_property(method):
                continue
            for node in _own(method):
                if node.attr not in names:
                    missing.setdefault(node.attr, node)
        # Where several are missing, a class to which it is joined elsewhere has them; so may one
        # that derives from it have a method.
        alone = len(missing) == 1
        made = any(called == owner.name for _, called in module.calls)
        for name, node in missing.items():
            parent = module.parent(node)
            asked = isinstance(parent, ast.Call) and parent.func is node
            likely = alone and (made or not asked)
            if likely or difflib.get_close_matches(name, names - _GIVEN, 1, 0.8):
                yield At(node, f"`{owner.name}` never sets `{name}`")


def _is_property(method: Function) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "property" for one in method.decorator_list)


@bug(
    "property-calls-itself",
    "The property asks itself",
    "Reading the attribute calls this method, which reads the attribute again, for ever: Python "
    "raises RecursionError. The value is kept under another name, as self._name.",
    severity="error",
    confidence=0.95,
    cwe="CWE-674",
)
def property_calls_itself(module: Module) -> Iterator[ast.AST]:
    for owner in module.all(ast.ClassDef):
        for method in _methods(owner):
            setter = any(
                isinstance(one, ast.Attribute) and one.attr == "setter"
                for one in method.decorator_list
            )
            if not _is_property(method) and not setter:
                continue
            wanted = ast.Store if setter else ast.Load
            for node in _own(method):
                if node.attr == method.name and isinstance(node.ctx, wanted):
                    if module.scope_of(node) is method:
                        yield node


@bug(
    "method-without-self",
    "The method takes no argument, and is always given the object",
    "Calling a method passes the object as the first argument, so obj.method() raises TypeError: "
    "it takes 0 arguments and gets 1. Write `self` as its first parameter, or @staticmethod.",
    severity="error",
    confidence=0.85,
)
def method_without_self(module: Module) -> Iterator[ast.AST]:
    for owner in module.all(ast.ClassDef):
        bases = " ".join(module.name_of(base) for base in owner.bases)
        if "Interface" in bases or "Protocol" in bases or "Enum" in bases:
            continue
        if isinstance(module.parent(owner), FUNCTIONS):
            # Made for one test, with whatever its decorators and bases do.
            continue
        used_inside = {
            node.id
            for one in owner.body
            if not isinstance(one, FUNCTIONS)
            for node in ast.walk(one)
            if isinstance(node, ast.Name)
        }
        if any(isinstance(node, ast.Name) and node.id == "getattr" for node in ast.walk(owner)):
            continue
        for method in _methods(owner):
            spec = method.args
            none = not (spec.posonlyargs or spec.args or spec.vararg or spec.kwonlyargs)
            if none and not method.decorator_list and method.name not in used_inside:
                yield method


@bug(
    "list-shared-by-all",
    "All objects of the class share this list",
    "A list or dictionary that is made in the class body exists once: what one object puts into "
    "it, all others see. Make it in __init__: self.items = [].",
    severity="error",
    confidence=0.8,
)
def list_shared_by_all(module: Module) -> Iterator[ast.AST | At]:
    for owner in module.all(ast.ClassDef):
        if owner.decorator_list or any("Enum" in module.name_of(one) for one in owner.bases):
            continue
        made = {
            one.targets[0].id: one
            for one in owner.body
            if isinstance(one, ast.Assign)
            and isinstance(one.targets[0], ast.Name)
            and is_empty_container(module, one.value)
        }
        if not made or not any(method.name == "__init__" for method in _methods(owner)):
            continue
        set_later: set[str] = set()
        changed: dict[str, ast.AST] = {}
        for method in _methods(owner):
            for node in _own(method):
                if isinstance(node.ctx, ast.Store):
                    set_later.add(node.attr)
                parent = module.parent(node)
                grows = isinstance(parent, ast.Attribute) and parent.attr in CHANGING
                if grows and isinstance(module.parent(parent), ast.Call):  # type: ignore[arg-type]
                    changed.setdefault(node.attr, node)
        for name, statement in made.items():
            # What is written in capitals, or with _cache in its name, is meant to be shared.
            shared = name.isupper() or any(
                word in name.lower() for word in ("cache", "registry", "instances", "known", "all")
            )
            if name in changed and name not in set_later and not shared:
                yield At(statement, f"`{name}` is one for all objects of `{owner.name}`")


@bug(
    "init-misspelt",
    "Python does not call this when an object is made",
    "The method that prepares an object is called __init__, with two underscores on each side. "
    "Under this name it never runs, and the attributes that it sets are missing.",
    severity="error",
    confidence=0.9,
)
def init_misspelt(module: Module) -> Iterator[ast.AST]:
    wrong = words("_init_ __int__ __intit__ __innit__ __inti__ __init _init__ __init_ __ini__")
    for owner in module.all(ast.ClassDef):
        for method in _methods(owner):
            several = len(method.args.args) > 1
            sets = any(isinstance(node.ctx, ast.Store) for node in _own(method))
            if method.name in wrong and sets and (several or method.name != "__int__"):
                if not any(one.name == "__init__" for one in _methods(owner)):
                    yield method


@bug(
    "recursion-without-end",
    "The function always calls itself",
    "Every way through the function calls it again, and no condition comes before. Whatever the "
    "input, Python raises RecursionError. Begin with the case that has an answer of its own.",
    severity="error",
    confidence=0.9,
    cwe="CWE-674",
)
def recursion_without_end(module: Module) -> Iterator[ast.AST]:
    choosing = (ast.If, ast.IfExp, ast.BoolOp, ast.While, ast.For, ast.Try, ast.Match, ast.With)
    lazy = (ast.comprehension, ast.Yield, ast.YieldFrom, ast.Raise, ast.AsyncFor, ast.Lambda)
    for function in module.functions:
        if isinstance(module.parent(function), ast.ClassDef) or function.decorator_list:
            continue
        if isinstance(function, ast.AsyncFunctionDef):
            continue
        again = {
            node.id
            for node in body_of(function)
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
        }
        imported = any(isinstance(node, ast.ImportFrom | ast.Import) for node in body_of(function))
        if any(isinstance(node, choosing + lazy) for node in body_of(function)) or imported:
            continue
        if function.name in again or function.name in {arg.arg for arg in function.args.args}:
            continue
        if sum(one.name == function.name for one in module.functions) > 1:
            continue
        for node in body_of(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id == function.name:
                    yield node
