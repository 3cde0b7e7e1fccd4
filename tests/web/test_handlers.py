"""What every handler of ours does, whatever it is about."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator

import pytest
from jupyter_server.auth.decorator import allow_unauthenticated
from tornado.httpclient import HTTPClientError

import jupyter_collab_ai.ai.handlers
import jupyter_collab_ai.identity.handlers
import jupyter_collab_ai.rooms.history_handlers
import jupyter_collab_ai.rooms.jupyterlab
import jupyter_collab_ai.rooms.side_handlers
import jupyter_collab_ai.sessions.handlers
from jupyter_collab_ai.web.handlers import ApiHandler, takes, what_it_takes
from jupyter_collab_ai.web.requests import Body, Query

MODULES = (
    jupyter_collab_ai.ai.handlers,
    jupyter_collab_ai.identity.handlers,
    jupyter_collab_ai.rooms.history_handlers,
    jupyter_collab_ai.rooms.jupyterlab,
    jupyter_collab_ai.rooms.side_handlers,
    jupyter_collab_ai.sessions.handlers,
)
METHODS = ("get", "head", "post", "put", "patch", "delete")


class Some(Body):
    member: int


class Asked(Query):
    parameter: int = 0


class Silent(ApiHandler):
    """Reads nothing, and says nothing of it, as a new handler may."""

    @allow_unauthenticated
    def get(self) -> None:
        self.write_json({})

    @allow_unauthenticated
    def post(self) -> None:
        self.write_json({})

    @takes("query")
    @allow_unauthenticated
    def delete(self) -> None:
        self.write_json({"parameter": self.read_query(Asked).parameter})

    @allow_unauthenticated
    @takes("body")
    def put(self) -> None:
        self.write_json({"member": self.read_body(Some).member})


@pytest.fixture
def call(jp_fetch, jp_serverapp, jp_base_url):
    jp_serverapp.web_app.add_handlers(".*$", [(f"{jp_base_url}collab-ai/silent", Silent)])

    async def call(method, raw=None, **query):
        raw = b"" if raw is None and method in ("POST", "PUT") else raw
        try:
            response = await jp_fetch(
                "collab-ai",
                "silent",
                method=method,
                body=raw,
                params=query,
                headers={"Content-Type": "application/json"},
                allow_nonstandard_methods=True,
            )
        except HTTPClientError as error:
            response = error.response
        return response.code, json.loads(response.body) if response.body else None

    return call


def fields(answer):
    status, error = answer
    assert (status, error["reason"]) == (400, "invalid_request"), answer
    return [item["field"] for item in error["errors"]]


async def test_what_nobody_reads_is_refused_by_itself(call):
    for method in ("GET", "POST"):
        assert await call(method) == (200, {})
        assert fields(await call(method, more="1")) == ["more"]
        assert fields(await call(method, b'{"more": 1}')) == ["more"]
        assert fields(await call(method, b"garbage")) == [""]
        assert await call(method, b"{}") == (200, {})
    assert fields(await call("DELETE", more="1")) == ["more"]
    assert fields(await call("DELETE", b'{"more": 1}')) == ["more"]
    assert await call("DELETE", parameter="7") == (200, {"parameter": 7})
    assert fields(await call("PUT", b'{"member": 1}', more="1")) == ["more"]
    assert await call("PUT", b'{"member": 1}') == (200, {"member": 1})


async def test_what_other_layers_read_is_let_pass(call):
    for query in ({"1732390000000": ""}, {"token": "x"}, {"_xsrf": "x"}):
        assert await call("GET", **query) == (200, {})


async def test_a_method_that_is_not_there_is_told_first(call):
    status, error = await call("PATCH", b"garbage", more="1")
    assert (status, error["reason"]) == (405, "method_not_allowed")


def ways() -> Iterator[tuple[type[ApiHandler], str, str]]:
    """Yield the handlers that there are: class, method, and the code of all its own methods."""
    for module in MODULES:
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if cls.__module__ == module.__name__ and issubclass(cls, ApiHandler):
                for method in METHODS:
                    if method in vars(cls):
                        yield cls, method, inspect.getsource(inspect.unwrap(vars(cls)[method]))


def test_what_is_said_to_be_taken_is_what_is_read():
    found = list(ways())
    assert len(found) > 40
    for cls, method, source in found:
        calls = {
            node.func.attr
            for node in ast.walk(ast.parse(textwrap.dedent(source)))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        read = {part for part in ("query", "body") if f"read_{part}" in calls}
        if "path_of" in calls and "HistoryHandler" in {base.__name__ for base in cls.__mro__}:
            read.add("query")
        assert what_it_takes(vars(cls)[method]) == read, f"{cls.__name__}.{method}"
