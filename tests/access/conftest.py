"""A real server behind the gate, with accounts in each role."""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from sqlalchemy import insert
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.websocket import WebSocketClientConnection, websocket_connect

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.principal import Credential, Principal
from jupyter_collab_ai.sessions import store
from jupyter_collab_ai.sessions.roles import Role
from jupyter_collab_ai.sessions.service import Sessions
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.tables import users
from tests.access import extension
from tests.access.extension import World

#: Everybody of the matrix; anonymous is who says no name.
PEOPLE = ("root", "owner", "editor", "viewer", "stranger")
EXTENSIONS = (
    "jupyterlab",
    "notebook",
    "notebook_shim",
    "jupyter_lsp",
    "jupyter_server_terminals",
    "jupyter_server_fileid",
    "jupyter_server_ydoc",
)
#: Served too where they are installed, which no test of ours needs.
OPTIONAL_EXTENSIONS = ("jupyter_resource_usage",)
NOTEBOOK = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def jp_server_config(tmp_path: Path) -> dict[str, Any]:
    """All extensions that JupyterLab comes with."""
    served = (*EXTENSIONS, *(name for name in OPTIONAL_EXTENSIONS if find_spec(name)))
    names = {"tests.access.extension": True, **dict.fromkeys(served, True)}
    return {
        "ServerApp": {"jpserver_extensions": names},
        "IdentityProvider": {"token": "jupyters-own-token"},
        # Its default is in the home folder, and fails where Jupyter was never used before.
        "ArbitraryFileIdManager": {"db_path": str(tmp_path / "file_ids.db")},
    }


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> World:
    """What the server of the test works with; to be changed before the server is started."""
    extension.world = World(database, tmp_path / "accounts")
    await add_people(extension.world, *PEOPLE)
    extension.world.principals["root"] = admin(extension.world.principals["root"])
    return extension.world


def admin(principal: Principal) -> Principal:
    """Return the principal as an admin."""
    return Principal(
        principal.user_id, principal.username, "", "#000000", True, principal.credential
    )


async def add_people(world: World, *names: str) -> None:
    """Make accounts."""

    def write(tx: Tx) -> None:
        for name in names:
            tx.execute(
                insert(users).values(
                    id=f"id-{name}",
                    username=name,
                    display_name=name,
                    color="#000000",
                    created_at=utcnow(),
                )
            )

    await world.database.write(write)
    for name in names:
        world.principals[name] = Principal(
            UserId(f"id-{name}"), name, name, "#000000", False, Credential.BEARER
        )


@dataclass(frozen=True)
class Answer:
    """What the server answered."""

    status: int
    body: bytes
    response: HTTPResponse

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def reason(self) -> Any:
        return self.json["reason"]


class Server:
    """The running server, as clients see it."""

    def __init__(self, app: ServerApp, port: int, world: World, root: Path) -> None:
        self.app = app
        self.world = world
        self.root = root
        self.origin = f"127.0.0.1:{port}"
        self._base = app.base_url

    @property
    def sessions(self) -> Sessions:
        assert self.world.sessions is not None
        return self.world.sessions

    async def __call__(
        self,
        who: str | None,
        method: str,
        path: str,
        body: object = None,
        *,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        form: dict[str, str] | None = None,
    ) -> Answer:
        """Make a request; the path has to be quoted already."""
        url = f"http://{self.origin}{self._base}{path}"
        if query:
            url += "?" + urlencode(query)
        sent = {"Authorization": f"Bearer {who}"} if who else {}
        sent.update(headers or {})
        data = None
        if method in ("POST", "PUT", "PATCH"):
            data = b"" if body is None else json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        if form is not None:
            data = urlencode(form).encode()
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        response = await AsyncHTTPClient().fetch(
            HTTPRequest(
                url,
                method=method,
                headers=sent,
                body=data,
                follow_redirects=False,
                allow_nonstandard_methods=True,
                request_timeout=30,
            ),
            raise_error=False,
        )
        return Answer(response.code, response.body or b"", response)

    async def shake_hands(
        self, who: str | None, path: str, **headers: str
    ) -> WebSocketClientConnection | int:
        """Open a WebSocket; returns the status where it is refused."""
        sent = {"Authorization": f"Bearer {who}"} if who else {}
        try:
            return await websocket_connect(
                HTTPRequest(f"ws://{self.origin}{self._base}{path}", headers={**sent, **headers})
            )
        except HTTPClientError as error:
            return int(error.code)

    async def share(self, path: str, kind: str | None, **members: Role) -> str:
        """Share a path with these members; the first one is its owner."""
        owner, *_ = members
        principal = self.world.principals["root"]
        made = await self.sessions.create(principal, name=path, path=path, type_=kind, content=None)
        session_id = made["id"]

        def write(tx: Tx) -> None:
            for name in PEOPLE:
                store.remove_member(tx, session_id, UserId(f"id-{name}"))
            for name, role in members.items():
                store.put_member(tx, session_id, UserId(f"id-{name}"), role)

        await self.world.database.write(write)
        assert members[owner] is Role.OWNER
        return str(session_id)

    async def set_role(self, session_id: str, name: str, role: Role) -> None:
        """Change the role of a member."""
        user_id = UserId(f"id-{name}")
        await self.world.database.write(
            lambda tx: store.put_member(tx, SessionId(session_id), user_id, role)
        )


@pytest.fixture
def start(
    world: World,
    jp_configurable_serverapp: Any,
    http_server_port: tuple[socket.socket, int],
    jp_root_dir: Path,
) -> Iterator[Callable[[], Awaitable[Server]]]:
    """Start the server of the test."""
    listening, port = http_server_port
    servers: list[HTTPServer] = []

    async def make() -> Server:
        server = Server(jp_configurable_serverapp(), port, world, jp_root_dir)
        http_server = HTTPServer(server.app.web_app)
        http_server.add_socket(listening)
        servers.append(http_server)
        for name in PEOPLE:
            (jp_root_dir / "users" / name).mkdir(parents=True)
        return server

    yield make
    for each in servers:
        each.stop()


@pytest.fixture
async def server(start: Callable[[], Awaitable[Server]]) -> Server:
    """A server on which ``users/owner/project`` is shared with an editor and a viewer."""
    server = await start()
    folder = server.root / "users" / "owner" / "project"
    folder.mkdir()
    (folder / "main.py").write_text("x = 1\n")
    (folder / "book.ipynb").write_text(json.dumps(NOTEBOOK))
    (folder / "page.html").write_text("<p>page</p>")
    (server.root / "secret.py").write_text("secret = 1\n")
    await server.share(
        "users/owner/project",
        "directory",
        owner=Role.OWNER,
        editor=Role.EDITOR,
        viewer=Role.VIEWER,
    )
    return server


__all__ = ["Answer", "Server", "url_path_join"]
