"""The gate: nothing happens before it, and nothing passes beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from jupyter_server.base.handlers import APIHandler, AuthenticatedFileHandler, JupyterHandler
from prometheus_client import REGISTRY
from tornado.httputil import HTTPServerRequest
from tornado.routing import PathMatches, Rule
from tornado.web import RequestHandler
from tornado.websocket import WebSocketClientConnection

from jupyter_collab_ai.access.authorizer import GateAuthorizer
from jupyter_collab_ai.access.gate import GuardMixin
from jupyter_collab_ai.errors import TokenExpired
from jupyter_collab_ai.sessions.roles import Policy, Role
from tests.access.conftest import Server
from tests.access.extension import NamedProvider, World

FILE = "users/owner/project/main.py"
BOOK = "users/owner/project/book.ipynb"
LOBBY = "api/collaboration/room/JupyterLab:globalAwareness"


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that comes soon."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0.01)


async def room_of(server: Server, path: str) -> str:
    """Return the address of JupyterLab's room for a file."""
    file_id = server.app.web_app.settings["file_id_manager"].index(path)
    assert file_id
    return f"api/collaboration/room/text:file:{file_id}"


# ---------------------------------------------------------------- WebSockets


async def test_nothing_is_built_for_a_handshake_that_is_refused(server: Server) -> None:
    room = await room_of(server, FILE)
    for who, path, status in [
        (None, room, 401),
        (None, "api/collaboration/room/made-up", 401),
        ("stranger", room, 404),
        ("stranger", "api/collaboration/room/made-up", 404),
        ("root", "api/collaboration/room/text:file:made-up", 404),
    ]:
        assert await server.shake_hands(who, path) == status
    assert server.world.rooms == []
    for who in ("viewer", "root"):
        socket = await server.shake_hands(who, room)
        assert isinstance(socket, WebSocketClientConnection)
        assert await socket.read_message()
        socket.close()
    assert len(server.world.rooms) == 2


async def test_the_lobby_is_for_every_account(server: Server) -> None:
    lobby = "api/collaboration/room/JupyterLab:globalAwareness"
    assert await server.shake_hands(None, lobby) == 401
    socket = await server.shake_hands("stranger", lobby)
    assert isinstance(socket, WebSocketClientConnection)
    socket.close()


@pytest.mark.parametrize("by", ["cookie", "header"])
async def test_a_page_of_another_site_opens_no_websocket(server: Server, by: str) -> None:
    room = await room_of(server, FILE)
    who, headers = ("owner", {}) if by == "header" else (None, {"Cookie": "name=owner"})
    server.world.side_rooms["a-fork"] = FILE
    rooms = ("JupyterLab:globalAwareness", "a-fork")
    for path in (room, "collab-ai/ws/none", *(f"api/collaboration/room/{one}" for one in rooms)):
        for origin in ("http://evil.example", "null", "http://127.0.0.1:1"):
            status = await server.shake_hands(who, path, **headers, Origin=origin)
            assert status == 403, (path, origin)
    assert server.world.rooms == []
    socket = await server.shake_hands(who, room, **headers, Origin=f"http://{server.origin}")
    assert isinstance(socket, WebSocketClientConnection)
    socket.close()


async def test_one_account_has_so_many_connections_and_no_more(server: Server) -> None:
    open_ = []
    for _ in range(server.world.max_connections):
        socket = await server.shake_hands("viewer", LOBBY)
        assert not isinstance(socket, int)
        open_.append(socket)
    assert await server.shake_hands("viewer", LOBBY) == 429
    other = await server.shake_hands("editor", LOBBY)
    assert not isinstance(other, int)
    other.close()
    open_.pop().close()
    assert server.world.gate is not None
    seats = server.world.gate.seats
    await until(lambda: seats.taken("id-viewer") < server.world.max_connections)
    again = await server.shake_hands("viewer", LOBBY)
    assert not isinstance(again, int)
    for socket in (*open_, again):
        socket.close()
    await until(lambda: not seats.taken("id-viewer"))
    # What is refused takes no seat.
    assert await server.shake_hands("viewer", "api/events/subscribe") == 403
    assert not seats.taken("id-viewer")


async def test_refusals_are_counted(server: Server) -> None:
    def count(transport: str, reason: str) -> float:
        labels = {"transport": transport, "reason": reason}
        return REGISTRY.get_sample_value("collab_ai_refusals_total", labels) or 0.0

    wanted = {
        ("http", "not_found"): ("stranger", "GET", f"api/contents/{FILE}"),
        ("http", "role_required"): ("viewer", "DELETE", f"api/contents/{FILE}"),
        ("http", "admin_required"): ("viewer", "POST", "api/shutdown"),
        ("http", "not_authenticated"): (None, "GET", "lab"),
        ("http", "method_not_allowed"): ("viewer", "DELETE", "api/status"),
    }
    for (transport, reason), (who, method, path) in wanted.items():
        before = count(transport, reason)
        await server(who, method, path)
        assert count(transport, reason) == before + 1, reason
    before = count("handshake", "admin_required")
    assert await server.shake_hands("viewer", "api/events/subscribe") == 403
    assert count("handshake", "admin_required") == before + 1
    shown = (await server("root", "GET", "metrics")).body.decode()
    assert 'collab_ai_refusals_total{reason="role_required",transport="http"}' in shown


async def test_an_open_websocket_ends_with_the_login(server: Server) -> None:
    socket = await server.shake_hands("root", "api/events/subscribe")
    assert isinstance(socket, WebSocketClientConnection)
    (ended,) = server.world.watches["root"]
    ended()
    assert await socket.read_message() is None
    assert socket.close_code == 1008
    assert server.world.watches["root"] == []


async def test_a_websocket_that_closes_is_watched_no_longer(server: Server) -> None:
    socket = await server.shake_hands("root", "api/events/subscribe")
    assert isinstance(socket, WebSocketClientConnection)
    socket.close()
    assert await socket.read_message() is None
    assert await server.shake_hands("root", "terminals/websocket/none") == 404
    assert server.world.watches["root"] == []


# ---------------------------------------------------------------- around the gate


async def test_what_is_no_handler_is_refused(server: Server) -> None:
    def function(request: HTTPServerRequest) -> None:
        raise AssertionError("This must never be called.")

    server.app.web_app.default_router.rules.insert(
        0, Rule(PathMatches(f"{server.app.base_url}function"), function)
    )
    for who in (None, "owner", "root"):
        assert (await server(who, "GET", "function")).status == 404


class LateHandler(APIHandler):
    def get(self) -> None:
        self.finish("{}")


async def test_routes_that_come_later_are_guarded_too(server: Server) -> None:
    server.app.web_app.add_handlers(".*$", [(f"{server.app.base_url}late", LateHandler)])
    assert (await server(None, "GET", "late")).status == 401
    refused = await server("owner", "GET", "late")
    assert (refused.status, refused.reason) == (403, "admin_required")
    assert (await server("root", "GET", "late")).status == 200


async def test_the_administrator_may_open_handlers_of_others(
    world: World, start: Callable[[], Awaitable[Server]]
) -> None:
    world.allowed = (f"{LateHandler.__module__}.LateHandler",)
    server = await start()
    server.app.web_app.add_handlers(".*$", [(f"{server.app.base_url}late", LateHandler)])
    assert (await server(None, "GET", "late")).status == 401
    assert (await server("stranger", "GET", "late")).status == 200


class PlainHandler(RequestHandler):
    def get(self) -> None:
        self.finish("open")


async def test_a_handler_that_knows_nothing_of_jupyter_is_guarded(server: Server) -> None:
    server.app.web_app.add_handlers(".*$", [(f"{server.app.base_url}plain", PlainHandler)])
    for who, status in ((None, 401), ("owner", 403), ("root", 200)):
        assert (await server(who, "GET", "plain")).status == status


async def test_upstream_finds_the_same_account_or_nothing_happens(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = NamedProvider.get_user
    calls = 0

    async def changing(self: NamedProvider, handler: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls % 2 == 0:
            handler.request.headers["Authorization"] = "Bearer owner"
        return await found(self, handler)

    monkeypatch.setattr(NamedProvider, "get_user", changing)
    answer = await server("stranger", "GET", "api/me")
    assert answer.status == 401
    assert b"owner" not in answer.body


async def test_the_authorizer_says_yes_to_what_passed_the_gate_alone(server: Server) -> None:
    authorizer = server.app.web_app.settings["authorizer"]
    assert type(authorizer) is GateAuthorizer

    class Unguarded(JupyterHandler):
        def __init__(self) -> None:
            pass

    class Guarded(GuardMixin, Unguarded):
        pass

    user = object()
    assert not authorizer.is_authorized(Unguarded(), user, "read", "contents")
    assert not authorizer.is_authorized(Guarded(), user, "read", "contents")


async def test_preflights_are_answered(server: Server) -> None:
    answer = await server(None, "OPTIONS", "api/contents")
    assert answer.status == 200
    assert answer.body == b""


async def test_an_error_of_the_credential_is_told(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def expired(self: NamedProvider, handler: Any) -> None:
        handler.collab_auth_error = TokenExpired("The access token has expired; refresh it.")

    monkeypatch.setattr(NamedProvider, "get_user", expired)
    for path in ("api/contents", "lab", f"files/{FILE}"):
        answer = await server("owner", "GET", path)
        assert (answer.status, answer.reason) == (401, "token_expired")
    assert (await server(None, "GET", "lab")).status == 302


async def test_a_page_comes_back_after_the_login(server: Server) -> None:
    answer = await server(None, "GET", "lab/tree/a%20b?reset&x=1")
    base = server.app.base_url.replace("%", "%25").replace("/", "%2F")
    assert answer.response.headers["Location"].endswith(
        f"/login?next={base}lab%2Ftree%2Fa%2520b%3Freset%26x%3D1"
    )


async def test_a_refused_page_is_a_page_for_people(server: Server) -> None:
    for path, status in (("files/secret.py", 404), ("nbconvert/script/" + BOOK, 403)):
        answer = await server(None, "GET", path, headers={"Cookie": "name=viewer"})
        assert answer.status == status
        assert answer.response.headers["Content-Type"].startswith("text/html")
        assert b"secret = 1" not in answer.body


async def test_a_cookie_alone_changes_nothing(server: Server) -> None:
    """Upstream checks that whoever writes by cookie has read a page of this server."""
    body = {"type": "file", "format": "text", "content": "y = 2\n"}
    cookie = {"Cookie": "name=owner"}
    answer = await server(None, "PUT", f"api/contents/{FILE}", body, headers=cookie)
    assert answer.status == 403
    assert (server.root / FILE).read_text() == "x = 1\n"
    page = await server(None, "GET", "lab", headers=cookie)
    (xsrf,) = (
        value.partition(";")[0]
        for value in page.response.headers.get_list("Set-Cookie")
        if value.startswith("_xsrf=")
    )
    headers = {"Cookie": f"name=owner; {xsrf}", "X-XSRFToken": xsrf.partition("=")[2]}
    answer = await server(None, "PUT", f"api/contents/{FILE}", body, headers=headers)
    assert answer.status == 200


# ---------------------------------------------------------------- what upstream would tell


async def test_permissions_are_not_to_be_asked_for(server: Server) -> None:
    asked = {"contents": ["read", "write"], "kernels": ["execute"], "server": ["write"]}
    query = {"permissions": json.dumps(asked)}
    told = (await server("owner", "GET", "api/me", query=query)).json["permissions"]
    assert {name: told[name] for name in asked} == {name: [] for name in asked}
    told = (await server("root", "GET", "api/me", query=query)).json["permissions"]
    assert {name: told[name] for name in asked} == asked


PAGES = ("lab", "lab/tree/x", "tree", f"notebooks/{BOOK}", f"edit/{FILE}", "consoles/x", "login")


async def test_no_page_holds_jupyters_token_or_folders_of_the_server(server: Server) -> None:
    for path in PAGES:
        for who in ("viewer", "root"):
            answer = await server(None, "GET", path, headers={"Cookie": f"name={who}"})
            assert answer.status in (200, 302)
            assert b"jupyters-own-token" not in answer.body, path
            if who == "viewer":
                assert str(server.root).encode() not in answer.body, path
                assert str(server.root.parent).encode() not in answer.body, path


async def test_a_file_id_is_told_to_who_may_read_the_file(server: Server) -> None:
    await room_of(server, FILE)
    made = await server("viewer", "GET", "api/fileid/id", query={"path": FILE})
    assert made.status == 200
    found = await server("viewer", "GET", "api/fileid/path", query={"id": made.json["id"]})
    assert found.json["path"] == FILE
    for query in ({"id": made.json["id"]}, {"path": FILE}, {"id": "none"}, {}):
        for call in ("api/fileid/id", "api/fileid/path"):
            answer = await server("stranger", "GET", call, query=query)
            assert answer.status == 404
            assert FILE.encode() not in answer.body
    for call in ("api/resolvePath", "api/fileid/id"):
        # One of them stands in a form, which a GET has no use for.
        hidden = await server(
            "stranger",
            "GET",
            call,
            query={"path": FILE},
            form={"path": "users/stranger"},
        )
        assert hidden.status == 404
    twice = await server("stranger", "GET", f"api/fileid/id?path=users/stranger/x&path={FILE}")
    assert twice.status == 404


async def test_files_of_another_folder_are_no_contents(server: Server) -> None:
    """Another extension may serve a folder of its own by upstream's handler."""
    (server.root.parent / "other/users/stranger").mkdir(parents=True)
    (server.root.parent / "other/users/stranger/a.py").write_text("other = 1\n")
    folder = {"path": str(server.root.parent / "other")}
    server.app.web_app.add_handlers(
        ".*$", [(f"{server.app.base_url}other/(.*)", AuthenticatedFileHandler, folder)]
    )
    assert (await server("stranger", "GET", "other/users/stranger/a.py")).status == 403
    assert (await server("root", "GET", "other/users/stranger/a.py")).status == 200


# ---------------------------------------------------------------- kernels


async def test_whoever_may_execute_uses_the_kernels_of_their_documents(
    world: World, start: Callable[[], Awaitable[Server]]
) -> None:
    world.policy = Policy.of(execution_roles=(Role.OWNER, Role.EDITOR))
    server = await start()
    folder = server.root / "users/owner/project"
    folder.mkdir()
    session = await server.share(
        "users/owner/project", "directory", owner=Role.OWNER, editor=Role.EDITOR, viewer=Role.VIEWER
    )
    body = {"path": BOOK, "type": "notebook", "name": "", "kernel": {"name": "python3"}}
    assert (await server("viewer", "POST", "api/sessions", body)).status == 403
    made = await server("editor", "POST", "api/sessions", body)
    assert made.status == 201
    kernel = made.json["kernel"]["id"]
    mine = {"path": "users/stranger/x.ipynb", "type": "notebook", "kernel": {"id": kernel}}
    assert (await server("stranger", "POST", "api/sessions", mine)).status == 404
    listed = {}
    for who in ("stranger", "viewer", "editor", "owner"):
        listed[who] = [
            len((await server(who, "GET", f"api/{call}")).json) for call in ("kernels", "sessions")
        ]
        status = (await server(who, "GET", f"api/kernels/{kernel}")).status
        assert status == {"stranger": 404, "viewer": 403}.get(who, 200)
    assert listed == {"stranger": [0, 0], "viewer": [0, 0], "editor": [1, 1], "owner": [1, 1]}
    channels = f"api/kernels/{kernel}/channels"
    assert await server.shake_hands("stranger", channels) == 404
    assert await server.shake_hands("viewer", channels) == 403
    socket = await server.shake_hands("editor", channels)
    assert isinstance(socket, WebSocketClientConnection)
    await server.set_role(session, "editor", Role.VIEWER)
    while await socket.read_message() is not None:
        pass
    assert socket.close_code == 1008
    assert (await server("owner", "DELETE", f"api/sessions/{made.json['id']}")).status == 204


# ---------------------------------------------------------------- answers of the gate itself


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("PUT", "collab-ai/ws/x", 405, "method_not_allowed"),
        ("OPTIONS", "collab-ai/ws/x", 405, "method_not_allowed"),
        ("PUT", "lab", 405, None),
        ("DELETE", "api/contents/x/checkpoints", 405, None),
    ],
)
@pytest.mark.parametrize("who", [None, "owner"])
async def test_a_method_that_is_not_there_is_told_without_a_complaint(
    server: Server,
    caplog: pytest.LogCaptureFixture,
    who: str | None,
    method: str,
    path: str,
    status: int,
    reason: str | None,
) -> None:
    answer = await server(who, method, path)
    assert answer.status == status
    if reason is not None:
        assert answer.response.headers["Content-Type"] == "application/json"
        assert answer.json.keys() <= {"message", "reason", "errors"}
        assert answer.reason == reason
    else:
        assert answer.body
    if status == 405:
        allowed = answer.response.headers["Allow"].split(", ")
        assert allowed == sorted(allowed) and method not in allowed
        assert "GET" in allowed or "POST" in allowed
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


@pytest.mark.parametrize("path", ["lab", "api/contents", "collab-ai/ws/x", "collab-ai/sessions"])
async def test_another_name_of_the_host_is_refused_without_a_complaint(
    server: Server, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    answer = await server(None, "GET", path, headers={"Host": "evil.example"})
    assert answer.status == 403
    assert answer.body
    if path.startswith("collab-ai"):
        assert answer.reason == "forbidden"
        assert answer.json.keys() == {"message", "reason"}
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
