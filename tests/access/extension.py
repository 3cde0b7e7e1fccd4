"""A server extension that puts the gate into a server, with accounts that need no password."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jupyter_server.auth import IdentityProvider, User
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join
from jupyter_server_ydoc.handlers import (
    DocForkHandler,
    DocSessionHandler,
    TimelineHandler,
    UndoRedoHandler,
    YDocWebSocketHandler,
)
from tornado.websocket import WebSocketHandler

from jupyter_collab_ai.access.folders import Folders
from jupyter_collab_ai.access.gate import Gate
from jupyter_collab_ai.access.linking import install, link, verify_installed
from jupyter_collab_ai.grave import Action
from jupyter_collab_ai.principal import Credential, Principal
from jupyter_collab_ai.rooms.sockets import SessionSocket
from jupyter_collab_ai.sessions.contents import JupyterContents
from jupyter_collab_ai.sessions.handlers import SessionListHandler
from jupyter_collab_ai.sessions.roles import DEFAULT_POLICY, Policy
from jupyter_collab_ai.sessions.service import Sessions
from jupyter_collab_ai.storage.database import Database
from jupyter_collab_ai.web.handlers import ApiHandler, UnknownHandler, takes
from jupyter_collab_ai.web.requests import Body
from jupyter_collab_ai.web.seats import Seats

#: JupyterLab's own account in these tests.
STARTER = "root"


@dataclass
class World:
    """What the tests set up, and what the server tells them."""

    database: Database
    data: Path
    policy: Policy = DEFAULT_POLICY
    allowed: tuple[str, ...] = ()
    principals: dict[str, Principal] = field(default_factory=dict)
    locked: dict[str, dict[str, Any]] = field(default_factory=dict)
    moves: list[tuple[str, ...]] = field(default_factory=list)
    move_error: Exception | None = None
    #: Paths of the rooms' handshakes that came through the gate.
    max_connections: int = 50
    rooms: list[str] = field(default_factory=list)
    #: Of each room beside a document, the path of that one.
    side_rooms: dict[str, str] = field(default_factory=dict)
    watches: dict[str, list[Callable[[], None]]] = field(default_factory=dict)
    #: What was asked to be confirmed, by id, and which of it is.
    asked: dict[str, tuple[str, bytes, Action]] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)
    sessions: Sessions | None = None
    gate: Gate | None = None

    # ------------------------------------------------------------ ports

    async def current(self, session_id: object) -> None:
        return None

    async def blocking(self, path: str) -> dict[str, Any] | None:
        return self.locked.get(path)

    async def path_of(self, room_id: str) -> str | None:
        return self.side_rooms.get(room_id)

    async def renamed(self, old: str, new: str) -> None:
        if self.move_error is not None:
            raise self.move_error
        self.moves.append(("renamed", old, new))

    async def deleted(self, path: str) -> None:
        self.moves.append(("deleted", path))

    async def ask(
        self,
        principal: Principal,
        request: bytes,
        action: Action,
        *,
        given: str | None,
        address: str,
    ) -> str | None:
        if given is not None and self.asked.get(given, ("", b""))[:2] == (
            principal.username,
            request,
        ):
            if given not in self.confirmed:
                return given
            del self.asked[given]
            return None
        made = f"confirmation-{len(self.asked)}"
        self.asked[made] = (principal.username, request, action)
        return made

    def watch(self, principal: Principal, ended: Callable[[], None]) -> Callable[[], None]:
        watches = self.watches.setdefault(principal.username, [])
        watches.append(ended)
        return lambda: watches.remove(ended) if ended in watches else None


#: The world of the server that runs now; an extension is a module, so it is found here.
world: Any = None


class NamedUser(User):
    """A user, as our identity provider returns one."""

    principal: Principal


class NamedProvider(IdentityProvider):
    """Believes everybody who says their name, by header or by cookie."""

    async def get_user(self, handler: Any) -> NamedUser | None:
        scheme, _, name = handler.request.headers.get("Authorization", "").partition(" ")
        by_header = scheme == "Bearer"
        if not by_header:
            name = handler.get_cookie("name", "")
        principal = world.principals.get(name)
        if principal is None:
            return None
        if not by_header:
            principal = replace(principal, credential=Credential.COOKIE)
        handler._token_authenticated = by_header
        user = NamedUser(principal.username)
        user.principal = principal
        return user


class Room(WebSocketHandler, JupyterHandler):
    """Where a room would be built."""

    async def prepare(self) -> None:  # type: ignore[override]
        world.rooms.append(self.path_args[0])
        await super().prepare(_redirect_to_login=False)

    def check_origin(self, origin: str = "") -> bool:
        return True

    def on_message(self, message: object) -> None:
        pass

    def open(self, room_id: str) -> None:  # type: ignore[override]
        self.write_message(room_id)


class OpenDocument(ApiHandler):
    """Where a document would be opened."""

    def put(self, path: str) -> None:
        self.write_json({"path": path})


class Fork(ApiHandler):
    """Where forks would be made, listed and ended."""

    @takes("query", "body")
    def get(self, name: str) -> None:
        self.write_json({"name": name})

    put = delete = get


class Timeline(ApiHandler):
    """Where a timeline would be opened."""

    get = Fork.get


class Move(ApiHandler):
    """Where a timeline would be moved."""

    put = Fork.get


class Handshake(WebSocketHandler, JupyterHandler):
    """Passes for the room's own endpoint, which tells by itself who can't come in."""

    async def prepare(self) -> None:  # type: ignore[override]
        pass

    def open(self, session_id: str) -> None:  # type: ignore[override]
        world.rooms.append(session_id)
        self.close(4401 if self.current_user is None else 4404)


Handshake.__module__, Handshake.__qualname__ = SessionSocket.__module__, SessionSocket.__qualname__


class OwnCall(ApiHandler):
    """Passes for one of our own calls."""

    def get(self) -> None:
        self.write_json({"who": self.principal.username})

    def post(self) -> None:
        self.read_body(Body)
        self.no_content()


OwnCall.__module__, OwnCall.__qualname__ = (
    SessionListHandler.__module__,
    SessionListHandler.__qualname__,
)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "tests.access.extension"}]


def _link_jupyter_server_extension(serverapp: ServerApp) -> None:
    link(serverapp, NamedProvider)


def _load_jupyter_server_extension(serverapp: ServerApp) -> None:
    contents = JupyterContents(serverapp.contents_manager)
    world.sessions = Sessions(world.database, contents, world, world, policy=world.policy)
    world.gate = install(
        serverapp,
        standings=world.sessions,
        locks=world,
        moves=world.sessions,
        logins=world,
        folders=Folders(world.data, STARTER),
        confirmations=world,
        seats=Seats(world.max_connections),
        replacements={
            YDocWebSocketHandler: (Room, {}),
            DocSessionHandler: (OpenDocument, {}),
            DocForkHandler: (Fork, {}),
            TimelineHandler: (Timeline, {}),
            UndoRedoHandler: (Move, {}),
        },
        side_rooms=world,
        allowed=world.allowed,
    )

    def url(path: str) -> str:
        return url_path_join(serverapp.base_url, "collab-ai", path) + "$"

    serverapp.web_app.add_handlers(
        ".*$",
        [
            (url("sessions"), OwnCall),
            (url("ws/([^/]+)"), Handshake),
            (url("(.*)"), UnknownHandler),
        ],
    )
    verify_installed(serverapp, world.gate, NamedProvider)
