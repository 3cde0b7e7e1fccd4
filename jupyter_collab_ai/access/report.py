"""Every route of a running server with its rule: for the documentation, and for a test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jupyter_server.serverapp import ServerApp
from tornado.routing import Router, Rule, RuleRouter
from tornado.web import RequestHandler

from jupyter_collab_ai.access.gate import Gate, Route
from jupyter_collab_ai.access.routes import name_of

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Verdict:
    """One method of one route, and who may call it."""

    pattern: str
    handler: str
    method: str
    rule: str
    #: Whether the handler stands in the table; what does not is for admins alone.
    known: bool


def route_report(serverapp: ServerApp, gate: Gate) -> list[Verdict]:
    """Return each route of the server once for each of its methods, in the router's order."""
    found: dict[tuple[str, str, str], Verdict] = {}
    for pattern, target in _leaves(serverapp.web_app.default_router):
        for verdict in _verdicts(pattern, target, gate):
            found.setdefault((verdict.pattern, verdict.handler, verdict.method), verdict)
    return list(found.values())


def _leaves(router: RuleRouter) -> Iterator[tuple[str, Any]]:
    for rule in router.rules:
        if isinstance(rule.target, RuleRouter):
            yield from _leaves(rule.target)
        else:
            yield _pattern(rule), rule.target


def _pattern(rule: Rule) -> str:
    regex = getattr(rule.matcher, "regex", None)
    return repr(rule.matcher) if regex is None else str(regex.pattern)


def _verdicts(pattern: str, target: Any, gate: Gate) -> Iterator[Verdict]:
    if not (isinstance(target, type) and issubclass(target, RequestHandler)):
        kind = "a router" if isinstance(target, Router) else "a function"
        yield Verdict(pattern, kind, "*", "nobody: this can't be guarded", known=False)
        return
    route = gate.route_of(target)
    methods = [each for each in _METHODS if _reachable(route, each)]
    for method in methods or ["*"]:
        rule = route.rule(method)
        known = route.rules is not None and bool({method, "*"} & route.rules.keys())
        if method == "HEAD" and route.rules is not None:
            known = known or "GET" in route.rules
        yield Verdict(pattern, name_of(target), method, rule.describe(), known)


def _reachable(route: Route, method: str) -> bool:
    return route.implements(method) and method in route.handler.SUPPORTED_METHODS
