"""The whole extension on a real server in this process, and everybody who may try something.

In this process, so that a test can see what the server holds: its handler table, its rooms.
"""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jwt
import pytest
from jupyter_server.serverapp import ServerApp
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.websocket import WebSocketClientConnection, websocket_connect

from jupyter_collab_ai.app import CollabAI
from jupyter_collab_ai.identity.tokens import Audience
from jupyter_collab_ai.storage.database import Database
from tests.access.conftest import EXTENSIONS, NOTEBOOK, Answer

PASSWORD = "correct horse battery staple"
JUPYTERS_TOKEN = "jupyters-own-token-of-the-test"
#: What is shared, and what is not.
FOLDER = "users/owner/project"
FILE = f"{FOLDER}/main.py"
BOOK = f"{FOLDER}/book.ipynb"
SECRET = "users/owner/private.py"
#: What stands in files that nobody but their owner may read.
MARK = "TOP-SECRET-CONTENT"

#: Everybody of the matrix, by what they are where ``FOLDER`` is concerned.
MEMBERS = ("owner", "editor", "viewer")
ACCOUNTS = ("admin", *MEMBERS, "former", "stranger")
#: Those whom nothing lets in.
NOBODIES = ("deactivated", "anonymous", "forged", "expired")
EVERYBODY = (*ACCOUNTS, *NOBODIES)


@dataclass
class Live:
    """The server, and what each of :data:`EVERYBODY` sends to say who they are."""

    app: ServerApp
    extension: CollabAI
    root: Path
    origin: str
    tokens: dict[str, str]
    session: str = ""

    @property
    def base(self) -> str:
        """The base URL, without the origin."""
        return str(self.app.base_url)

    def headers_of(self, who: str) -> dict[str, str]:
        """Return what ``who`` sends with each request."""
        if who == "root":
            return {"Authorization": f"token {JUPYTERS_TOKEN}"}
        token = self.tokens.get(who)
        return {} if token is None else {"Authorization": f"Bearer {token}"}

    async def __call__(
        self,
        who: str,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        within: float = 30,
    ) -> Answer:
        """Make a request; ``path`` is what follows the base URL, and is quoted already."""
        sent = {**self.headers_of(who), **(headers or {})}
        data = raw
        if data is None and method in ("POST", "PUT", "PATCH"):
            data = b"" if body is None else json.dumps(body).encode()
        if data:
            sent.setdefault("Content-Type", "application/json")
        response = await AsyncHTTPClient().fetch(
            HTTPRequest(
                f"http://{self.origin}{self.base}{path}",
                method=method,
                headers=sent,
                body=data,
                follow_redirects=False,
                allow_nonstandard_methods=True,
                request_timeout=within,
            ),
            raise_error=False,
        )
        return Answer(response.code, response.body or b"", response)

    async def own(self, who: str, method: str, path: str, body: object = None) -> Answer:
        """Make one of this package's own calls."""
        return await self(who, method, f"collab-ai/{path}", body)

    async def shake_hands(
        self, who: str, path: str, **headers: str
    ) -> WebSocketClientConnection | int:
        """Open a WebSocket; returns the status where the handshake is refused."""
        request = HTTPRequest(
            f"ws://{self.origin}{self.base}{path}", headers={**self.headers_of(who), **headers}
        )
        try:
            return await websocket_connect(request, max_message_size=2**30)
        except HTTPClientError as error:
            return int(error.code)

    # ------------------------------------------------------------ documents

    def ws(self, path: str = "main.py", **query: str) -> str:
        """Return the address of our own WebSocket for a file of the shared folder."""
        return f"collab-ai/ws/{self.session}?{urlencode({'path': path, **query})}"

    async def room(self, path: str = FILE, kind: str = "file", **query: str) -> str:
        """Return the address of JupyterLab's WebSocket, asked for as JupyterLab does."""
        body = {"format": "json" if kind == "notebook" else "text", "type": kind}
        answer = await self("owner", "PUT", f"api/collaboration/session/{quote(path)}", body)
        assert answer.status in (200, 201), answer.body
        told = answer.json
        name = f"{told['format']}:{told['type']}:{told['fileId']}"
        more = urlencode({"sessionId": told["sessionId"], **query})
        return f"api/collaboration/room/{name}?{more}"

    # ------------------------------------------------------------ people

    async def add_account(self, name: str) -> str:
        """Register an account and sign it in; returns its user id."""
        body: dict[str, Any] = {"username": name, "password": PASSWORD}
        made = await self.own("anonymous", "POST", "register", body)
        assert made.status == 201, made.body
        await self.sign_in(name)
        return str(made.json["id"])

    async def sign_in(self, name: str) -> None:
        """Sign an account in anew."""
        body = {"username": name, "password": PASSWORD}
        answer = await self.own("anonymous", "POST", "login", body)
        assert answer.status == 200, answer.body
        self.tokens[name] = answer.json["access_token"]

    async def add_member(self, name: str, role: str, session: str | None = None) -> None:
        """Make an account a member."""
        body = {"session_id": session or self.session, "username": name, "role": role}
        answer = await self.own("owner", "POST", "sessions/invite", body)
        assert answer.status == 201, answer.body

    async def set_role(self, name: str, role: str) -> None:
        """Change the role of a member."""
        body = {"session_id": self.session, "username": name, "role": role}
        answer = await self.own("owner", "PUT", "sessions/access", body)
        assert answer.status == 200, answer.body

    def forged(self, token: str) -> str:
        """Return the token as somebody would sign it who does not have the key."""
        claims = jwt.decode(token, options={"verify_signature": False})
        head = jwt.get_unverified_header(token)
        return jwt.encode(claims, secrets.token_bytes(32), "HS256", headers={"kid": head["kid"]})

    def expired(self, token: str) -> str:
        """Return a token of the same login that was good an hour ago."""
        claims = jwt.decode(token, options={"verify_signature": False})
        return self.extension._identity._tokens.mint(
            claims["sub"],
            claims["sid"],
            Audience.ACCESS,
            -timedelta(hours=1),
            version=claims["ver"],
        )


def _place_files(root: Path) -> None:
    folder = root / FOLDER
    folder.mkdir()
    (folder / "main.py").write_text("x = 1\n")
    (folder / "other.py").write_text("y = 2\n")
    (folder / "book.ipynb").write_text(json.dumps(NOTEBOOK))
    (root / SECRET).write_text(f"# {MARK}\n")
    (root / "secret.py").write_text(f"# {MARK}\n")


async def _seat_everybody(live: Live) -> None:
    for name in (*ACCOUNTS, "deactivated"):
        await live.add_account(name)
    promoted = await live.own("root", "PATCH", "users/admin", {"is_admin": True})
    assert promoted.status == 200, promoted.body
    _place_files(live.root)
    body = {"name": "project", "path": FOLDER, "type": "directory"}
    made = await live.own("owner", "POST", "sessions", body)
    assert made.status == 201, made.body
    live.session = made.json["id"]
    for name, role in [
        ("editor", "editor"),
        ("viewer", "viewer"),
        ("former", "editor"),
        ("deactivated", "owner"),
    ]:
        await live.add_member(name, role)
    gone = await live.own("owner", "DELETE", f"sessions/{live.session}/members/former")
    assert gone.status == 204
    stopped = await live.own("root", "PATCH", "users/deactivated", {"is_active": False})
    assert stopped.status == 200
    live.tokens["forged"] = live.forged(live.tokens["owner"])
    live.tokens["expired"] = live.expired(live.tokens["owner"])


@pytest.fixture
async def live(
    database: Database,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    jp_configurable_serverapp: Any,
    http_server_port: tuple[socket.socket, int],
    jp_root_dir: Path,
) -> AsyncIterator[Live]:
    """A server on which ``FOLDER`` is shared, with everybody."""
    monkeypatch.setenv("COLLAB_AI_DATABASE_URL", database_url)
    monkeypatch.setenv("COLLAB_AI_DATA_DIR", str(tmp_path / "data"))
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "COLLAB_AI_MODEL"):
        monkeypatch.delenv(name, raising=False)
    app: ServerApp = jp_configurable_serverapp(
        config={
            "ServerApp": {
                "jpserver_extensions": {
                    **dict.fromkeys(EXTENSIONS, True),
                    "jupyter_collab_ai": True,
                }
            },
            "IdentityProvider": {"token": JUPYTERS_TOKEN},
            "CollabAI": {"registration": "open"},
            "ArbitraryFileIdManager": {"db_path": str(tmp_path / "file_ids.db")},
        }
    )
    (extension,) = app.extension_manager.extension_apps["jupyter_collab_ai"]
    assert isinstance(extension, CollabAI)
    await extension._start_jupyter_server_extension(app)
    listening, port = http_server_port
    server = HTTPServer(app.web_app)
    server.add_socket(listening)
    live = Live(app, extension, jp_root_dir, f"127.0.0.1:{port}", {})
    await _seat_everybody(live)
    yield live
    server.stop()
    await server.close_all_connections()
