"""Everybody × every way into the server, and what comes of it."""

from __future__ import annotations

import json
from typing import Any

from tornado.websocket import WebSocketClientConnection

from tests.access.conftest import NOTEBOOK, Server

#: Anonymous, stranger, viewer, editor, owner, admin.
WHO = (None, "stranger", "viewer", "editor", "owner", "root")
OK = 200
FOLDER = "users/owner/project"
FILE = f"{FOLDER}/main.py"
BOOK = f"{FOLDER}/book.ipynb"
TEXT = {"type": "file", "format": "text", "content": "y = 2\n"}

MEMBERS = (401, 404, OK, OK, OK, OK)
MEMBERS_PAGE = (302, 404, OK, OK, OK, OK)
WRITERS = (401, 404, 403, OK, OK, OK)
ADMINS = (401, 403, 403, 403, 403, OK)
#: Only admins, and here not tried as one: it would run something.
ADMINS_UNTRIED = (401, 403, 403, 403, 403, None)
ACCOUNTS = (401, OK, OK, OK, OK, OK)
ACCOUNTS_PAGE = (302, OK, OK, OK, OK, OK)
ALL = (OK, OK, OK, OK, OK, OK)
NONE = (404, 404, 404, 404, 404, 404)
#: There is no such thing; who has not signed in is told to do that first.
NOT_THERE = (401, 404, 404, 404, 404, 404)

Row = tuple[str, str, Any, tuple[int | None, ...]]

READING: list[Row] = [
    ("GET", "api/contents", None, ACCOUNTS),
    ("GET", f"api/contents/{FOLDER}", None, MEMBERS),
    ("GET", f"api/contents/{FILE}", None, MEMBERS),
    ("GET", f"api/contents/{FILE}?content=0", None, MEMBERS),
    ("GET", f"api/contents/{FILE}/checkpoints", None, MEMBERS),
    ("GET", "api/contents/secret.py", None, (401, 404, 404, 404, 404, OK)),
    ("GET", f"files/{FILE}", None, MEMBERS_PAGE),
    ("HEAD", f"files/{FILE}", None, MEMBERS_PAGE),
    ("GET", "files/secret.py", None, (302, 404, 404, 404, 404, OK)),
    ("GET", f"view/{FOLDER}/page.html", None, MEMBERS_PAGE),
    ("GET", f"nbconvert/html/{BOOK}", None, MEMBERS_PAGE),
    ("GET", f"nbconvert/script/{BOOK}", None, (302, 404, 403, 403, 403, OK)),
    ("GET", f"nbconvert/latex/{BOOK}", None, (302, 404, 403, 403, 403, None)),
    ("GET", f"api/resolvePath?path={FILE}", None, MEMBERS),
    ("GET", f"tree/{FOLDER}", None, MEMBERS_PAGE),
    ("GET", f"notebooks/{BOOK}", None, MEMBERS_PAGE),
    ("PUT", f"api/collaboration/session/{FILE}", {}, MEMBERS),
]
#: Each of these is done once for each person, at a path of its own.
WRITING: list[Row] = [
    ("PUT", f"api/contents/{FOLDER}/new-{{who}}.py", TEXT, WRITERS),
    ("POST", f"api/contents/{FOLDER}", {"type": "file", "ext": ".py"}, WRITERS),
    ("POST", f"api/contents/{FOLDER}", {"copy_from": FILE}, WRITERS),
    ("PATCH", f"api/contents/{FOLDER}/{{who}}.py", {"path": f"{FOLDER}/to-{{who}}.py"}, WRITERS),
    ("POST", f"api/contents/{FILE}/checkpoints", None, WRITERS),
    ("POST", f"api/contents/{FILE}/checkpoints/checkpoint", None, WRITERS),
    ("POST", f"api/contents/{BOOK}/trust", None, WRITERS),
    ("DELETE", f"api/contents/{FOLDER}/gone-{{who}}.py", None, WRITERS),
]
SERVER: list[Row] = [
    ("GET", "api", None, ALL),
    ("GET", "static/favicon.ico", None, ALL),
    ("GET", "login", None, (OK, None, None, None, None, None)),
    ("GET", "lab", None, ACCOUNTS_PAGE),
    ("GET", "lab/tree/secret.py", None, ACCOUNTS_PAGE),
    ("GET", "lab/nonsense", None, ACCOUNTS_PAGE),
    ("GET", "edit/secret.py", None, ACCOUNTS_PAGE),
    ("GET", "lab/api/settings", None, ACCOUNTS),
    ("GET", "lab/api/translations", None, ACCOUNTS),
    ("GET", "lab/api/workspaces", None, ACCOUNTS),
    (
        "GET",
        "lab/api/listings/@jupyterlab/extensionmanager-extension/listings.json",
        None,
        ACCOUNTS,
    ),
    ("GET", "lab/api/licenses/", None, ACCOUNTS),
    ("GET", "lab/api/build", None, (401, OK, OK, OK, OK, None)),
    ("GET", "lsp/status", None, (401, OK, OK, OK, OK, None)),
    ("GET", "api/me", None, ACCOUNTS),
    ("GET", "api/status", None, ACCOUNTS),
    ("GET", "api/spec.yaml", None, ACCOUNTS),
    ("GET", "api/kernelspecs", None, ACCOUNTS),
    ("GET", "api/nbconvert", None, ACCOUNTS),
    ("GET", "api/config/notebook", None, ACCOUNTS),
    ("PUT", "api/config/notebook", {"x": 1}, ADMINS),
    ("PATCH", "api/config/notebook", {"x": 1}, ADMINS),
    ("POST", "api/security/csp-report", {}, ACCOUNTS),
    ("GET", "metrics", None, ADMINS),
    ("GET", "api/kernels", None, ACCOUNTS),
    ("GET", "api/sessions", None, ACCOUNTS),
    ("GET", "api/terminals", None, ACCOUNTS),
    ("POST", "api/kernels", {}, ADMINS_UNTRIED),
    ("POST", "api/terminals", {}, ADMINS_UNTRIED),
    ("GET", "api/terminals/1", None, ADMINS_UNTRIED),
    ("DELETE", "api/terminals/1", None, ADMINS_UNTRIED),
    (
        "POST",
        "api/sessions",
        {"path": BOOK, "type": "notebook", "name": "x", "kernel": {}},
        (401, 404, 403, 403, 403, None),
    ),
    ("POST", "api/sessions", {"path": "", "type": "notebook"}, (401, 404, 404, 404, 404, None)),
    ("POST", "api/sessions", {"path": None, "type": "notebook"}, (401, 400, 400, 400, 400, 400)),
    (
        "POST",
        "api/sessions",
        {"notebook": {"path": "secret.ipynb"}},
        (401, 400, 400, 400, 400, None),
    ),
    ("GET", "api/kernels/1-1-1-1-1", None, (401, 403, 403, 403, 403, 404)),
    ("POST", "api/kernels/1-1-1-1-1/restart", None, (401, 403, 403, 403, 403, None)),
    ("DELETE", "api/sessions/1-1-1-1-1", None, (401, 404, 404, 404, 404, 404)),
    ("POST", "api/shutdown", None, ADMINS_UNTRIED),
    ("POST", "api/events", {}, ADMINS_UNTRIED),
    ("POST", "nbconvert/html", {"content": NOTEBOOK}, ADMINS),
    ("GET", "lab/api/extensions", None, ADMINS_UNTRIED),
    ("POST", "lab/api/extensions", {"cmd": "install", "extension_name": "x"}, ADMINS_UNTRIED),
    ("POST", "lab/api/plugins", {"cmd": "disable", "plugin_name": "x"}, ADMINS_UNTRIED),
    ("POST", "lab/api/build", None, ADMINS_UNTRIED),
    ("DELETE", "lab/api/build", None, ADMINS_UNTRIED),
    ("GET", "api/collaboration/fork/x", None, NOT_THERE),
    ("GET", "api/collaboration/fork/{room}", None, MEMBERS),
    ("GET", "api/collaboration/fork/a-fork", None, NOT_THERE),
    ("GET", "api/collaboration/fork/JupyterLab:globalAwareness", None, NOT_THERE),
    ("PUT", "api/collaboration/fork/{room}", {}, WRITERS),
    ("PUT", "api/collaboration/fork/a-fork", {}, NOT_THERE),
    ("DELETE", "api/collaboration/fork/a-fork?merge=true", None, WRITERS),
    ("DELETE", "api/collaboration/fork/{room}?merge=true", None, NOT_THERE),
    ("DELETE", "api/collaboration/fork/x?merge=true", None, NOT_THERE),
    ("POST", "api/collaboration/fork/{room}", {}, (405,) * 6),
    ("GET", f"api/collaboration/timeline/{FILE}?format=text&type=file", None, MEMBERS),
    ("GET", "api/collaboration/timeline/secret.py", None, (401, 404, 404, 404, 404, OK)),
    ("PUT", "api/collaboration/undo_redo/{room}?action=undo&forkRoom=y&steps=1", {}, MEMBERS),
    ("PUT", "api/collaboration/undo_redo/a-fork?action=undo&forkRoom=y", {}, NOT_THERE),
    ("PUT", "api/collaboration/undo_redo/x?action=undo&forkRoom=y&steps=1", {}, NOT_THERE),
    ("GET", "api/collaboration/room/x", None, NOT_THERE),
    ("POST", "api/collaboration/room/x", None, (405,) * 6),
    ("DELETE", "api/contents/x/checkpoints", None, (405,) * 6),
    ("GET", "collab-ai/sessions", None, ACCOUNTS),
    ("POST", "collab-ai/sessions", {"nonsense": 1}, (401, 400, 400, 400, 400, 400)),
    ("GET", "collab-ai/nonsense", None, NONE),
]


async def verdicts(server: Server, rows: list[Row]) -> list[str]:
    """Return what came out otherwise than expected."""
    wrong = []
    file_id = server.app.web_app.settings["file_id_manager"].index(FILE)
    server.world.side_rooms["a-fork"] = FILE
    for method, path, body, expected in rows:
        for who, status in zip(WHO, expected, strict=True):
            if status is None:
                continue
            named = path.replace("{who}", str(who)).replace("{room}", f"text:file:{file_id}")
            sent = json.loads(json.dumps(body).replace("{who}", str(who)))
            answer = await server(who, method, named, sent)
            got = OK if answer.status in (200, 201, 204) else answer.status
            if got != status:
                wrong.append(f"{who} {method} {named}: {answer.status}, not {status}")
            if answer.status in (401, 404) and method != "HEAD":
                assert str(server.root).encode() not in answer.body
            if answer.status == 401:
                assert answer.response.headers["WWW-Authenticate"] == "Bearer"
                assert answer.reason == "not_authenticated"
                assert answer.json["message"]
            if answer.status == 302:
                assert "/login?next=" in answer.response.headers["Location"]
    return wrong


async def test_reading(server: Server) -> None:
    await server("root", "POST", f"api/contents/{FILE}/checkpoints")
    # a file has an id once somebody has opened it
    assert await verdicts(server, READING) == []


async def test_writing(server: Server) -> None:
    for who in WHO:
        for name in (f"{who}.py", f"gone-{who}.py"):
            (server.root / FOLDER / name).write_text("")
    await server("root", "POST", f"api/contents/{FILE}/checkpoints")
    assert await verdicts(server, WRITING) == []
    for who in (None, "stranger", "viewer"):
        assert (server.root / FOLDER / f"gone-{who}.py").exists()
        assert (server.root / FOLDER / f"{who}.py").exists()
        assert not (server.root / FOLDER / f"new-{who}.py").exists()


async def test_the_server_itself(server: Server) -> None:
    assert await verdicts(server, SERVER) == []
    assert (await server("editor", "GET", "api/kernels")).json == []
    assert (await server("editor", "GET", "api/sessions")).json == []
    assert (await server("editor", "GET", "api/terminals")).json == []


SOCKETS = [
    "api/events/subscribe",
    "terminals/websocket/1",
    "lsp/ws/pylsp",
    "api/kernels/1-1-1-1-1/channels",
]


async def test_websockets(server: Server) -> None:
    for path in SOCKETS:
        assert await server.shake_hands(None, path) == 401
        for who in ("stranger", "viewer", "editor", "owner"):
            assert await server.shake_hands(who, path) == 403, (who, path)
    socket = await server.shake_hands("root", "api/events/subscribe")
    assert isinstance(socket, WebSocketClientConnection)
    socket.close()


async def test_anybody_may_knock_at_the_room_and_is_told(server: Server) -> None:
    for who, code in ((None, 4401), ("stranger", 4404)):
        socket = await server.shake_hands(who, "collab-ai/ws/none")
        assert isinstance(socket, WebSocketClientConnection)
        assert await socket.read_message() is None
        assert socket.close_code == code
