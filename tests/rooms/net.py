"""A real Jupyter server with our endpoints on it, and Yjs clients that come over the network.

The gate of ``access`` is not there: the handlers have to hold by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any
from urllib.parse import quote

from jupyter_server.auth import IdentityProvider, User
from jupyter_server.serverapp import ServerApp
from pycrdt import Doc, Map, Text, YMessageType, YSyncMessageType, read_message
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.websocket import WebSocketClientConnection, WebSocketClosedError, websocket_connect

from jupyter_collab_ai.errors import InvalidRequest, Locked
from jupyter_collab_ai.ids import DocumentId
from jupyter_collab_ai.rooms import protocol, sockets, upstream
from jupyter_collab_ai.rooms.files import Files
from jupyter_collab_ai.rooms.forks import Forks
from jupyter_collab_ai.rooms.jupyterlab import FileIds
from jupyter_collab_ai.rooms.lobby import Lobby
from jupyter_collab_ai.rooms.registry import Rooms
from jupyter_collab_ai.rooms.side_rooms import SideRooms
from jupyter_collab_ai.rooms.timelines import Timelines
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.web.seats import Seats
from tests.rooms.engine import Events, People, person, until


class NamedUsers(IdentityProvider):
    """Takes ``Authorization: Bearer <name>`` for who it says."""

    def get_user(self, handler: Any) -> User | None:
        header = handler.request.headers.get("Authorization", "")
        name = header.removeprefix("Bearer ")
        if not name or name == header:
            return None
        user = User(username=name)
        user.principal = person(name)  # type: ignore[attr-defined]
        return user


def canonical(path: str) -> str:
    if not path or path.startswith("/") or "." in path.split("/") or ".." in path.split("/"):
        raise InvalidRequest("That is not a plain path.")
    return path


class Locks:
    """Where an operation is writing, until a test changes it; implements ``WriteLocks``."""

    def __init__(self) -> None:
        self.locked = False

    async def refuse(self, path: str) -> None:
        if self.locked:
            raise Locked("The AI is writing there.", extra={"lock": {"id": "lock"}})

    def stands(self, tx: Tx, document_id: DocumentId) -> bool:
        return self.locked


class Server:
    """The endpoints on a server that runs already."""

    def __init__(self, app: ServerApp, database: Database, **limits: int) -> None:
        self.app = app
        self.people = People()
        self.events = Events()
        self.closed = False
        self.rooms = Rooms(
            database, Files(lambda: app.contents_manager), self.people, events=self.events
        )
        self.lobby = Lobby()
        settings = app.web_app.settings
        self.file_ids = FileIds(lambda: settings["file_id_manager"], canonical)
        self.extension = next(iter(app.extension_manager.extension_apps["jupyter_server_ydoc"]))
        upstream.adopt(self.extension, self.rooms, self.file_ids)
        services = (self.rooms, self.people, self.people)
        self.locks = Locks()
        self.side_rooms = SideRooms(
            Timelines(database, self.rooms, self.people, self.locks),
            Forks(database, self.rooms, self.people, self.locks, most_of_document=5),
        )
        replaced = dict(
            upstream.replacements(*services, self.lobby, self.side_rooms, self.file_ids, **limits)
        )
        rules = sockets.handlers(
            lambda path: f"{app.base_url}collab-ai/{path}", *services, Seats(), **limits
        )
        app.web_app.add_handlers(".*$", rules)
        # Where the same application was used before, its old rule is found first.
        replaced |= {target: (target, kwargs) for _, target, kwargs in rules}
        delegate = app.web_app.get_handler_delegate

        def get_handler_delegate(
            request: Any, target_class: Any, target_kwargs: Any = None, **options: Any
        ) -> Any:
            if target_class in replaced and not self.closed:
                target_class, target_kwargs = replaced[target_class]
            return delegate(request, target_class, target_kwargs, **options)

        app.web_app.get_handler_delegate = get_handler_delegate
        self._http = HTTPServer(app.web_app)
        (listening,) = bind_sockets(0, "127.0.0.1")
        self._http.add_socket(listening)
        self.port = listening.getsockname()[1]

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}{self.app.base_url}"

    async def ws(
        self, name: str | None, path: str, query: str = "", doc: Doc[Any] | None = None, **more: Any
    ) -> NetClient:
        """Connect to our own endpoint."""
        url = f"ws://{self.url}collab-ai/ws/session?path={quote(path)}{query}"
        return await NetClient.connect(url, name, doc=doc, **more)

    async def lab(
        self, name: str | None, room: str, query: str = "", doc: Doc[Any] | None = None, **more: Any
    ) -> NetClient:
        """Connect to JupyterLab's endpoint."""
        url = f"ws://{self.url}api/collaboration/room/{room}{query}"
        return await NetClient.connect(url, name, doc=doc, **more)

    async def call(
        self, name: str | None, method: str, path: str, body: object = None
    ) -> tuple[int, Any]:
        """Make a call of upstream's; returns its status and the JSON that came back."""
        response = await AsyncHTTPClient().fetch(
            HTTPRequest(
                f"http://{self.url}api/collaboration/{path}",
                method=method,
                headers={} if name is None else {"Authorization": f"Bearer {name}"},
                body=None if method in ("GET", "DELETE") else json.dumps(body or {}),
            ),
            raise_error=False,
        )
        return response.code, json.loads(response.body) if response.body else None

    async def close(self) -> None:
        self.closed = True
        self.lobby.close()
        self.side_rooms.close()
        await self.rooms.close_all(within=5)
        self._http.stop()
        await self._http.close_all_connections()


class NetClient:
    """A Yjs client on pycrdt, over a WebSocket."""

    def __init__(self, socket: WebSocketClientConnection, doc: Doc[Any] | None) -> None:
        self.socket = socket
        self.doc: Doc[Any] = doc if doc is not None else Doc()
        self.text = self.doc.get("source", type=Text)
        self.state = self.doc.get("state", type=Map)
        self.frames: list[bytes] = []
        self.raw: list[dict[str, Any]] = []
        self.awareness: list[bytes] = []
        self.synced = False
        self.closed = False
        #: Updates and step 2 frames that it has sent, which the server counts too.
        self.sent = 0
        #: Those of them that are step 2 frames.
        self.answers = 0
        self._applying = False
        self.doc.observe(self._changed)
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def connect(
        cls,
        url: str,
        name: str | None,
        *,
        doc: Doc[Any] | None = None,
        headers: dict[str, str] | None = None,
        subprotocols: list[str] | None = None,
        sync: bool = True,
    ) -> NetClient:
        headers = dict(headers or {})
        if name is not None:
            headers["Authorization"] = f"Bearer {name}"
        socket = await websocket_connect(
            HTTPRequest(url, headers=headers),
            max_message_size=2**30,
            subprotocols=subprotocols,
        )
        client = cls(socket, doc)
        if sync:
            client.send(protocol.sync_step1(client.doc.get_state()))
            await until(lambda: client.synced or client.closed, "the client to be in sync")
        return client

    async def _read(self) -> None:
        while True:
            data = await self.socket.read_message()
            if data is None:
                self.closed = True
                return
            assert isinstance(data, bytes)
            self.frames.append(data)
            if data[0] == YMessageType.SYNC:
                self._sync(data)
            elif data[0] == YMessageType.AWARENESS:
                self.awareness.append(read_message(data[1:]))
            else:
                self.raw.append(json.loads(read_message(data[1:])))

    def _sync(self, data: bytes) -> None:
        payload = read_message(data[2:])
        if data[1] == YSyncMessageType.SYNC_STEP1:
            self.sent += 1
            self.answers += 1
            self.send(protocol.sync_step2(self.doc.get_update(payload)))
            return
        self._applying = True
        self.doc.apply_update(payload)
        self._applying = False
        if data[1] == YSyncMessageType.SYNC_STEP2:
            self.synced = True

    def _changed(self, event: Any) -> None:
        if not self._applying:
            self.sent += 1
            self.send(protocol.update(event.update))

    def send(self, data: bytes) -> None:
        # The server may have ended it, and this not have heard of it yet.
        with contextlib.suppress(WebSocketClosedError):
            if not self.closed:
                self.socket.write_message(data, binary=True)

    def type(self, text: str) -> None:
        self.text.insert(len(self.text), text)

    async def recorded(self) -> None:
        """Wait until all that it has sent is recorded; it has to have asked to hear of that."""
        await until(
            lambda: any(one["seq"] >= self.sent for one in self.of_type("saved")),
            "all of it to be recorded",
        )

    @property
    def code(self) -> int | None:
        return self.socket.close_code

    @property
    def reason(self) -> str | None:
        return self.socket.close_reason

    def of_type(self, type_: str) -> list[dict[str, Any]]:
        return [one for one in self.raw if one["type"] == type_]

    async def close(self) -> None:
        self.socket.close()
        await until(lambda: self.closed)
