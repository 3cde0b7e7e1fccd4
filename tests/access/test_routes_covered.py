"""No route without a rule: on a server with every extension that JupyterLab comes with."""

from __future__ import annotations

from importlib import import_module

import pytest
from jupyter_server.base.handlers import JupyterHandler
from tornado.web import RequestHandler

from jupyter_collab_ai.access.report import route_report
from jupyter_collab_ai.access.resolve import RESOLVERS
from jupyter_collab_ai.access.routes import TABLE, rule_of, rules_of
from jupyter_collab_ai.access.rules import ADMIN, Target, Who
from tests.access.conftest import EXTENSIONS, Server

#: Packages that are no requirement of this one.
OPTIONAL = ("notebook.",)


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
