"""The calls that the server has and those that its description names are the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

import pytest
from tornado.routing import PathMatches, RuleRouter
from tornado.web import RequestHandler

from jupyter_collab_ai.web.openapi import description

METHODS = ("get", "head", "post", "put", "patch", "delete")


def routes(router: RuleRouter) -> Iterator[tuple[str, type[RequestHandler]]]:
    """Yield the pattern and the handler of each rule, also of routers within routers."""
    for rule in router.rules:
        if isinstance(rule.target, RuleRouter):
            yield from routes(rule.target)
        elif isinstance(rule.matcher, PathMatches) and isinstance(rule.target, type):
            yield rule.matcher.regex.pattern, rule.target


@pytest.fixture
def calls(jp_configurable_serverapp) -> set[tuple[str, str]]:
    """(path, method) of each call that the server has, parameters without their names."""
    app = jp_configurable_serverapp(
        config={"ServerApp": {"jpserver_extensions": {"jupyter_collab_ai": True}}}
    )
    found = set()
    for pattern, handler in routes(app.web_app.default_router):
        # a base URL may stand in a pattern as it is or encoded
        _, here, path = unquote(pattern).partition("/collab-ai/")
        if not here:
            continue
        path = re.sub(r"\([^()]*\)", "{}", path.removesuffix("$").removesuffix("/?"))
        found |= {
            ("/" + path.replace("\\", ""), method)
            for method in METHODS
            if getattr(handler, method) is not RequestHandler._unimplemented_method
        }
    return found


def test_the_calls_that_there_are_and_those_described_are_the_same(
    calls: set[tuple[str, str]],
) -> None:
    paths = description()["paths"]
    described = {
        (re.sub(r"{\w+}", "{}", path), method) for path, item in paths.items() for method in item
    }
    assert calls - described == set(), "not described"
    assert described - calls == set(), "described, but not there"
