"""No route without a rule: on a server with every extension that JupyterLab comes with."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

import pytest
from jupyter_server.base.handlers import JupyterHandler
from tornado.web import RequestHandler

import jupyter_collab_ai as package
from jupyter_collab_ai.access.linking import REPLACEMENTS
from jupyter_collab_ai.access.report import route_report
from jupyter_collab_ai.access.resolve import RESOLVERS
from jupyter_collab_ai.access.routes import TABLE, name_of, rule_of, rules_of
from jupyter_collab_ai.access.rules import ADMIN, Target, Who
from tests.access.conftest import EXTENSIONS, Server

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
#: Answer where upstream's rules apply, because other rooms bring them as replacements.
INSTEAD_OF_UPSTREAM = {
    "jupyter_collab_ai.identity.profile.ProfileHandler",
    "jupyter_collab_ai.rooms.jupyterlab.RoomSocket",
    "jupyter_collab_ai.rooms.jupyterlab.DocumentSession",
    "jupyter_collab_ai.rooms.side_handlers.ForkCall",
    "jupyter_collab_ai.rooms.side_handlers.MoveCall",
    "jupyter_collab_ai.rooms.side_handlers.TimelineCall",
}
#: Packages that are no requirement of this one.
OPTIONAL = ("notebook.", "jupyter_resource_usage.")


async def test_every_route_has_a_rule(server: Server) -> None:
    loaded = server.app.extension_manager.extensions
    assert set(EXTENSIONS) <= loaded.keys()
    assert server.world.gate is not None
    report = route_report(server.app, server.world.gate)
    assert [verdict for verdict in report if not verdict.known] == []
    patterns = {verdict.pattern for verdict in report}
    for part in ("/api/contents", "/lab/api/extensions", "/terminals/websocket", "/lsp/ws"):
        assert any(part in pattern for pattern in patterns), f"{part} is not served at all"


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_handler_of_the_table_exists(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    if name.startswith(OPTIONAL):
        pytest.importorskip(module)
    handler = getattr(import_module(module), attribute)
    assert issubclass(handler, RequestHandler)
    assert rules_of(handler) is TABLE[name]
    for method in TABLE[name]:
        assert method == "*" or hasattr(handler, method.lower())


def our_handlers() -> Iterator[type[RequestHandler]]:
    """Return every class of this package that answers to some HTTP method."""
    names = [module.name for module in walk_packages(package.__path__, f"{package.__name__}.")]
    for name in names:
        if ".migrations." in name or name.endswith((".env", "__main__")):
            continue
        for handler in vars(import_module(name)).values():
            if not isinstance(handler, type) or handler.__module__ != name:
                continue
            if issubclass(handler, RequestHandler) and set(METHODS) & vars(handler).keys():
                yield handler


def test_every_handler_of_ours_has_a_rule_for_each_of_its_methods() -> None:
    handlers = {handler: name_of(handler) for handler in our_handlers()}
    assert len(handlers) > 20
    instead = {replacement for replacement, _ in REPLACEMENTS.values()}
    for handler, name in handlers.items():
        if name in INSTEAD_OF_UPSTREAM or handler in instead:
            continue
        rules = TABLE.get(name)
        assert rules is not None, f"{name} has no rule"
        for method in METHODS:
            implemented = getattr(handler, method) is not getattr(RequestHandler, method)
            if implemented and method != "options":
                # (What may be read may be asked for by HEAD.)
                asked = "GET" if method == "head" else method.upper()
                assert {asked, "*"} & rules.keys(), f"{method} of {name} has no rule"


def test_what_is_not_known_is_for_admins() -> None:
    class Unheard(JupyterHandler):
        pass

    assert rules_of(Unheard) is None
    assert rule_of(None, "GET") is ADMIN
    known = TABLE["jupyter_server.services.contents.handlers.ContentsHandler"]
    assert rule_of(known, "BREW") is ADMIN


def test_a_subclass_is_not_known_by_its_base() -> None:
    base = import_module("jupyter_server.services.contents.handlers").ContentsHandler
    assert rules_of(type("Other", (base,), {})) is None


def test_every_target_can_be_resolved() -> None:
    assert RESOLVERS.keys() == set(Target)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_whoever_is_asked_for_something_is_asked_where(name: str) -> None:
    for rule in TABLE[name].values():
        assert (rule.who is Who.MEMBER) == bool(rule.needs)
        assert rule.describe()
