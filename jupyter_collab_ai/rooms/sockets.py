"""The WebSocket ``/ws/{session_id}``, for any Yjs client, and what both endpoints share.

Who may not come in is told why by a close code, since a browser can't see the status of a
refused handshake: the handshake is accepted, the check is made, and the connection is closed
before a room is built or a frame is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import ensure_async
from tornado import web
from tornado.websocket import WebSocketHandler, WebSocketProtocol

from jupyter_collab_ai.errors import CollabError, InvalidRequest, NotAuthenticated, NotFound
from jupyter_collab_ai.ids import DocumentId, SessionId
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.rooms import protocol
from jupyter_collab_ai.rooms.close_codes import CloseFrame, Ending, ending_of, for_ws
from jupyter_collab_ai.rooms.connection import Connection, Frame
from jupyter_collab_ai.rooms.following import Following
from jupyter_collab_ai.rooms.ports import Logins, Rights
from jupyter_collab_ai.rooms.registry import Rooms
from jupyter_collab_ai.rooms.room import LiveRoom
from jupyter_collab_ai.rooms.wire import MAX_BACKLOG, Outbox, reading_ahead
from jupyter_collab_ai.web import metrics
from jupyter_collab_ai.web.metrics import Endpoint, Transport
from jupyter_collab_ai.web.seats import Seats

log = logging.getLogger(__name__)

#: The subprotocol that is selected where a client offers it.
SUBPROTOCOL = "collab-ai"
#: Bytes that a message may have.
MAX_MESSAGE = 16 * 1024 * 1024
#: Messages that are taken from a connection before everything else has its turn.
AT_ONCE = 100
#: Seconds between two pings.
PING_INTERVAL = 30.0


class Socket(WebSocketHandler, JupyterHandler):
    """A WebSocket into a room; subclasses say which room, and how it ends."""

    auth_resource = "contents"

    #: What this endpoint is called in the metrics.
    endpoint = Endpoint.WS

    def initialize(
        self,
        rooms: Rooms,
        rights: Rights,
        logins: Logins,
        *,
        max_message: int = MAX_MESSAGE,
        max_backlog: int = MAX_BACKLOG,
    ) -> None:
        """Get what the handler works with."""
        self.rooms = rooms
        self.rights = rights
        self.logins = logins
        self._max_message = max_message
        self._max_backlog = max_backlog
        self.connection: Connection | None = None
        self.room: LiveRoom | None = None
        self._over = False
        #: Messages that came.
        self._messages = 0
        self._cleanup = contextlib.ExitStack()

    # ------------------------------------------------------------ Tornado's questions

    @property
    def max_message_size(self) -> int:
        """What Tornado reads at the most; what is over our own limit gets a proper goodbye."""
        return 2 * self._max_message

    @property
    def ping_interval(self) -> float | None:
        """Seconds between two pings, which find out who has gone without a word."""
        configured = self.settings.get("websocket_ping_interval")
        return float(configured) if configured else PING_INTERVAL

    def check_origin(self, origin_to_satisfy_tornado: str = "") -> bool:
        """Let pages of other sites in only as Jupyter's own settings do."""
        return bool(JupyterHandler.check_origin(self, origin_to_satisfy_tornado))

    def get_compression_options(self) -> None:
        """Don't compress: a frame is encoded once for all."""

    def get_websocket_protocol(self) -> WebSocketProtocol | None:
        """Return what speaks the protocol on this connection."""
        return reading_ahead(super().get_websocket_protocol())

    # ------------------------------------------------------------ who is it

    def principal(self) -> Principal:
        """Return who has connected.

        Raises:
            NotAuthenticated, TokenExpired, TokenRevoked: Nobody known.
        """
        principal = getattr(self.current_user, "principal", None)
        if isinstance(principal, Principal):
            return principal
        error = getattr(self, "collab_auth_error", None)
        if isinstance(error, CollabError):
            raise error
        raise NotAuthenticated("Sign in first, or send a valid access token.")

    # ------------------------------------------------------------ the connection

    async def enter(
        self, path: str, *, epoch: str = "", document_id: DocumentId | None = None
    ) -> None:
        """Join the room of ``path``, as the query of the request wants it.

        With ``ack=1`` the client is told of each update that was recorded, with ``events=1``
        of what happens in the session.

        Args:
            path: The canonical path of the document.
            epoch: Which history the client has, if it names one.
            document_id: Which fork of the document is meant; None for itself.

        Raises:
            CollabError: It is not possible; nothing was sent.
        """
        # Else a frame waits until the client has confirmed the one before, for up to 40 ms.
        self.set_nodelay(True)
        principal = self.principal()
        right = await self.rights.right(principal, path)
        if not right.may_read:
            raise NotFound("There is no such document, or it is not shared with you.")
        if document_id is None:
            room = await self.rooms.acquire(path, outside=principal.is_admin)
        else:
            room = await self.rooms.acquire_by_id(document_id)
        self._cleanup.callback(self.rooms.release, room)
        if self._over:
            self._cleanup.close()
            return
        outbox = Outbox(self, self.finish_with, self._max_backlog)
        connection = Connection(
            principal,
            right,
            outbox,
            acknowledge=self._asked("ack"),
            max_message=self._max_message,
        )
        outbox.on_overflow = lambda: connection.end(Ending.BEHIND)
        # From here on changes are heard; one that came before would have been missed.
        self._cleanup.callback(
            self.logins.watch(principal, lambda: connection.end(Ending.SIGNED_OUT))
        )
        self._cleanup.callback(self.logins.follow(principal, connection.set_looks))
        connection.set_right(await self.rights.right(principal, path))
        if not connection.right.may_read:
            raise NotFound("There is no such document, or it is not shared with you.")
        if self._over or connection.ended:
            return
        if epoch and epoch != room.epoch:
            metrics.refused(Transport.HANDSHAKE, "unknown_history")
            outbox.send(Frame(protocol.raw({"type": "reset", "reason": "unknown_history"})))
            self.finish_with(Ending.RESET)
            return
        self.room = room
        self.connect(connection)
        self._cleanup.callback(room.leave, connection)
        room.join(connection)
        events = self.rooms.events
        if events is not None and self._asked("events"):
            self._cleanup.callback(Following(events, connection, lambda: room.path).close)

    def connect(self, connection: Connection, endpoint: Endpoint | None = None) -> None:
        """Go on with a connection that was let in."""
        self.connection = connection
        at = endpoint or self.endpoint
        metrics.connected(at)
        self._cleanup.callback(metrics.disconnected, at)

    def _asked(self, option: str) -> bool:
        return bool(self.get_query_argument(option, "") == "1")

    def on_message(self, message: str | bytes) -> Awaitable[None] | None:
        """Hand a message to the room; while the room is full, the client has to wait.

        Returns:
            What the next message has to wait for; nearly always nothing. (To be a coroutine
            would cost each message a task and two turns of the event loop.)
        """
        self._messages += 1
        waiting = self._take_in(message)
        if waiting is None and self._messages % AT_ONCE == 0:
            # Not every Tornado does so by itself while there is more to be read.
            return asyncio.sleep(0)
        return waiting

    def _take_in(self, message: str | bytes) -> Awaitable[None] | None:
        if self.connection is None or self.connection.ended:
            return None
        if isinstance(message, str):
            metrics.refused(Transport.MESSAGE, "malformed")
            self.connection.end(Ending.UNREADABLE)
            return None
        try:
            parsed = protocol.parse_frame(message, limit=self._max_message)
        except protocol.FrameTooLarge:
            metrics.refused(Transport.MESSAGE, "too_large")
            self.connection.end(Ending.TOO_LARGE)
        except protocol.MalformedFrame:
            metrics.refused(Transport.MESSAGE, "malformed")
            self.connection.end(Ending.UNREADABLE)
        else:
            return self.handle(parsed)
        return None

    def handle(self, message: protocol.Message) -> Awaitable[None] | None:
        """Do what a message asks for; return what the next one has to wait for, if anything."""
        assert self.room is not None
        assert self.connection is not None
        return self.room.receive(self.connection, message)

    def on_close(self) -> None:
        """Leave the room, whoever ended the connection."""
        self._over = True
        self._cleanup.close()

    def finish_with(self, ending: Ending, sentence: str | None = None) -> None:
        """Close with the code of ``ending``."""
        frame = self.close_frame(ending, sentence)
        self.close(frame.code, frame.reason)

    def close_frame(self, ending: Ending, sentence: str | None) -> CloseFrame:
        """Return how this endpoint says it."""
        return for_ws(ending, sentence)


class SessionSocket(Socket):
    """``/ws/{session_id}``: the live document of a session, or one of those in its folder."""

    def initialize(  # type: ignore[override]
        self, *, seats: Seats, **services: Any
    ) -> None:
        """Get what the handler works with, and where the account's connections are counted."""
        super().initialize(**services)
        self._seats = seats

    async def prepare(self) -> None:  # type: ignore[override]
        """Find out who it is; who can't come in is told after the handshake."""
        if not self.check_host():
            raise web.HTTPError(403)
        if getattr(self, "_current_user", None) is None:
            # Unless a gate before this has found it out already.
            user = await ensure_async(self.identity_provider.get_user(self))
            self.current_user = self._jupyter_current_user = user

    @allow_unauthenticated
    async def get(self, *args: str, **kwargs: str) -> None:
        """Shake hands; :meth:`open` does the rest.

        Raises:
            InvalidRequest: It is a plain request.
        """
        headers = self.request.headers
        upgrades = {word.strip().lower() for word in headers.get("Connection", "").split(",")}
        if headers.get("Upgrade", "").lower() != "websocket" or "upgrade" not in upgrades:
            raise InvalidRequest("This is a WebSocket; open it with a client that speaks that.")
        await WebSocketHandler.get(self, *args, **kwargs)

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Select ours where it is offered; a ``bearer.`` one is a credential and never sent."""
        return SUBPROTOCOL if SUBPROTOCOL in subprotocols else None

    async def open(self, session_id: str) -> None:
        """Check, and join the room; a client that may not is closed with its code."""
        try:
            principal = self.principal()
            self._cleanup.callback(self._seats.take(principal.user_id))
            path = await self.rights.document_path(
                principal, SessionId(session_id), self.get_query_argument("path", None)
            )
            await self.enter(
                path,
                epoch=self.get_query_argument("epoch", ""),
            )
        except CollabError as error:
            metrics.refused(Transport.HANDSHAKE, error.reason)
            self.finish_with(ending_of(error), error.message)
        except Exception:
            log.exception("A document could not be opened, of the session %r.", session_id)
            self.finish_with(Ending.UNAVAILABLE)


def handlers(
    url: Callable[[str], str],
    rooms: Rooms,
    rights: Rights,
    logins: Logins,
    seats: Seats,
    **limits: int,
) -> list[tuple[Any, ...]]:
    """Return the rules of this endpoint."""
    services = {"rooms": rooms, "rights": rights, "logins": logins, "seats": seats, **limits}
    return [(url("ws/([^/]+)"), SessionSocket, services)]
