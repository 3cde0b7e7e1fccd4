"""JupyterLab's own endpoints into the same rooms.

They take the place of those of ``jupyter_server_ydoc``: the same paths, messages and answers,
as its front end (``@jupyter/docprovider``) has them, on our rooms. See :mod:`.upstream`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from tornado import web
from tornado.websocket import WebSocketClosedError

from jupyter_collab_ai.errors import CollabError, InvalidRequest, NotFound
from jupyter_collab_ai.ids import DocumentId
from jupyter_collab_ai.logs import cause_of
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.rooms import protocol
from jupyter_collab_ai.rooms.close_codes import (
    CloseFrame,
    Ending,
    end_frame,
    ending_of,
    for_jupyterlab,
)
from jupyter_collab_ai.rooms.connection import Connection, Frame
from jupyter_collab_ai.rooms.documents import require_kind
from jupyter_collab_ai.rooms.lobby import LOBBY_ID, Lobby
from jupyter_collab_ai.rooms.ports import Right, Rights
from jupyter_collab_ai.rooms.registry import Rooms
from jupyter_collab_ai.rooms.side_rooms import SideRooms
from jupyter_collab_ai.rooms.sockets import Socket
from jupyter_collab_ai.rooms.timelines import Timeline
from jupyter_collab_ai.rooms.wire import Outbox, retrieve
from jupyter_collab_ai.web import metrics
from jupyter_collab_ai.web.errors import status_of
from jupyter_collab_ai.web.handlers import ApiHandler, takes
from jupyter_collab_ai.web.metrics import Endpoint, Transport
from jupyter_collab_ai.web.requests import Body

log = logging.getLogger(__name__)


class FileIds:
    """JupyterLab's ids of files, as ``jupyter_server_fileid`` keeps them."""

    def __init__(self, manager: Callable[[], Any], canonical: Callable[[str], str]) -> None:
        """Use the manager that ``manager`` returns, which may be set up later than this is.

        Args:
            manager: Returns the file id manager.
            canonical: Returns a path in its one form, or raises InvalidRequest.
        """
        self._manager = manager
        self._canonical = canonical

    def id_of(self, path: str) -> str:
        """Return the id of the file at ``path``.

        Raises:
            NotFound: There is no such file.
            InvalidRequest: The path is not in its one form, so it would get a second id.
        """
        if self._canonical(path) != path:
            raise InvalidRequest("Name the file by its plain path, relative to the server's root.")
        found = self._manager().index(path)
        if found is None:
            raise NotFound("There is no such file.")
        return str(found)

    def path_of(self, file_id: str) -> str:
        """Return where the file of this id is.

        Raises:
            NotFound: There is no such file, or its path is an alias of another.
        """
        path = self._manager().get_path(file_id)
        if path is None:
            raise NotFound("There is no such document, or it is not shared with you.")
        try:
            canonical = self._canonical(path)
        except InvalidRequest:
            canonical = ""
        if canonical != path:
            raise NotFound("There is no such document, or it is not shared with you.")
        return str(path)

    def path_of_room(self, room_id: str) -> str:
        """Return the path of the document that a room id (``format:type:file id``) means.

        Raises:
            NotFound: There is none, or this file is not edited in that format.
        """
        parts = room_id.split(":", 2)
        if len(parts) != 3:
            raise NotFound("There is no such document, or it is not shared with you.")
        path = self.path_of(parts[2])
        try:
            require_kind(path, parts[0], parts[1])
        except InvalidRequest as error:
            raise NotFound(error.message) from None
        return path


class RoomSocket(Socket):
    """``/api/collaboration/room/{id}``: a document, or one of the rooms beside them.

    Those are JupyterLab's list of who is online, and the forks and timelines of documents.
    """

    endpoint = Endpoint.JUPYTERLAB

    def initialize(  # type: ignore[override]
        self, *, lobby: Lobby, side_rooms: SideRooms, file_ids: FileIds, **services: Any
    ) -> None:
        """Get what the handler works with."""
        super().initialize(**services)
        self._lobby = lobby
        self._side_rooms = side_rooms
        self._file_ids = file_ids
        self._path: str | None = None
        self._timeline: Timeline | None = None
        self._fork: DocumentId | None = None
        self._saves: list[int] = []
        self._saving: asyncio.Task[None] | None = None

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse with the HTTP status before anything is built."""
        await super().prepare(_redirect_to_login=False)
        try:
            principal = self.principal()
            room_id = self.path_args[0]
            if room_id == LOBBY_ID:
                return
            path = await self._path_of(room_id, principal)
            right = await self.rights.right(principal, path)
            if not right.may_read:
                raise NotFound("There is no such document, or it is not shared with you.")
        except CollabError as error:
            raise web.HTTPError(status_of(error), error.message) from None
        self._path = path

    async def _path_of(self, room_id: str, principal: Principal) -> str:
        """Return the path of the document that a room is of, by which the role goes."""
        if ":" in room_id:
            return self._file_ids.path_of_room(room_id)
        self._timeline = self._side_rooms.timelines.find(room_id, principal)
        if self._timeline is not None:
            path = await self._side_rooms.timelines.path_of(room_id)
        else:
            path = await self._side_rooms.forks.path_of(room_id)
            self._fork = DocumentId(room_id)
        if path is None:
            raise NotFound("There is no such document, or it is not shared with you.")
        return path

    async def get(self, *args: str, **kwargs: str) -> None:
        """Shake hands; :meth:`prepare` has let the client pass."""
        await super().get(*args, **kwargs)

    async def open(self, room_id: str) -> None:
        """Join the room."""
        del room_id
        if self._path is None:
            self._enter_lobby()
            return
        try:
            if self._timeline is not None:
                await self._enter_timeline(self._timeline, self._path)
                return
            await self.enter(
                self._path,
                epoch=self.get_query_argument("sessionId", ""),
                document_id=self._fork,
            )
        except CollabError as error:
            metrics.refused(Transport.HANDSHAKE, error.reason)
            self.finish_with(ending_of(error), error.message)
        except Exception:
            log.exception("A document could not be opened: %r", self._path)
            self.finish_with(Ending.UNAVAILABLE)

    def _enter_lobby(self) -> None:
        connection = self._connect_aside(Endpoint.LOBBY)
        self._cleanup.callback(self._lobby.leave, connection)
        self._lobby.join(connection)

    async def _enter_timeline(self, timeline: Timeline, path: str) -> None:
        connection = self._connect_aside(Endpoint.TIMELINE)
        timelines = self._side_rooms.timelines
        self._cleanup.callback(timelines.leave, timeline, connection)
        # From here on it is heard when the right ends; before, it would have been missed.
        timelines.join(timeline, connection)
        right = await self.rights.right(connection.principal, path)
        if not right.may_read or timelines.find(timeline.id, connection.principal) is None:
            connection.end(Ending.NOT_FOUND)

    def _connect_aside(self, endpoint: Endpoint) -> Connection:
        """Return a connection to a room that is no live document; it ends with the login."""
        self.set_nodelay(True)
        principal = self.principal()
        outbox = Outbox(self, self.finish_with, self._max_backlog)
        connection = Connection(principal, Right(may_read=True, may_write=False), outbox)
        outbox.on_overflow = lambda: connection.end(Ending.BEHIND)
        self.connect(connection, endpoint)
        self._cleanup.callback(
            self.logins.watch(principal, lambda: connection.end(Ending.SIGNED_OUT))
        )
        self._cleanup.callback(self.logins.follow(principal, connection.set_looks))
        return connection

    def handle(self, message: protocol.Message) -> Awaitable[None] | None:
        """Do what a message asks for; return what the next one has to wait for, if anything."""
        assert self.connection is not None
        if self._timeline is not None:
            if isinstance(message, protocol.SaveRequest):
                self._answer_save(message.request_id, "skipped")
            else:
                return self._side_rooms.timelines.receive(self._timeline, self.connection, message)
        elif self.room is None:
            self._lobby.receive(self.connection, message)
        elif isinstance(message, protocol.SaveRequest):
            self._save(message.request_id)
        else:
            return super().handle(message)
        return None

    def _save(self, request_id: int) -> None:
        assert self.connection is not None
        if not self.connection.right.may_write:
            # A viewer's page asks too, on a timer; an error would trouble its user.
            self._answer_save(request_id, "success")
            return
        if len(self._saves) >= MAX_SAVES:
            self._answer_save(request_id, "skipped")
            return
        self._saves.append(request_id)
        if self._saving is None:
            self._saving = asyncio.create_task(self._save_all())

    async def _save_all(self) -> None:
        assert self.room is not None
        try:
            while self._saves:
                asked, self._saves = self._saves, []
                status = "success"
                try:
                    await self.rooms.save(self.room)
                except Exception as error:
                    log.warning(
                        "The document %s could not be saved when somebody asked for it: %s",
                        self.room.log_name,
                        cause_of(error),
                    )
                    status = "failed"
                for request_id in asked:
                    self._answer_save(request_id, status)
        finally:
            self._saving = None

    def _answer_save(self, request_id: int, status: str) -> None:
        assert self.connection is not None
        answer = {"type": "save", "responseTo": request_id, "status": status}
        self.connection.send(Frame(protocol.raw(answer)))

    def finish_with(self, ending: Ending, sentence: str | None = None) -> None:
        """Close; the page is told why first, as its close codes are too few to say it."""
        with contextlib.suppress(WebSocketClosedError):
            told = self.write_message(protocol.raw(end_frame(ending, sentence)), binary=True)
            # Where the page has gone already, that is found out later.
            told.add_done_callback(retrieve)
        super().finish_with(ending, sentence)

    def close_frame(self, ending: Ending, sentence: str | None) -> CloseFrame:
        """Return the close frame in words that JupyterLab understands."""
        return for_jupyterlab(ending, sentence)


#: Requests to save that may wait for one connection.
MAX_SAVES = 16


class SessionBody(Body):
    """What JupyterLab wants to open a document as."""

    format: str
    type: str


class DocumentSession(ApiHandler):
    """``PUT /api/collaboration/session/{path}``: how to open a document.

    JupyterLab asks this before it opens the socket. For all that it is a PUT, a viewer may.
    """

    auth_resource = "contents"

    def initialize(self, rooms: Rooms, rights: Rights, file_ids: FileIds) -> None:
        """Get what the handler works with."""
        self._rooms = rooms
        self._rights = rights
        self._file_ids = file_ids

    @web.authenticated
    @takes("body")
    async def put(self, path: str) -> None:
        """Answer with the file's id, and the document's epoch as the session's id."""
        path = path.strip("/")
        body = self.read_body(SessionBody)
        # (Who may not come to the link itself was not let through to here.)
        path = await self._rooms.plain(path)
        right = await self._rights.right(self.principal, path)
        if not right.may_read:
            raise NotFound("There is no such document, or it is not shared with you.")
        kind = require_kind(path, body.format, body.type)
        document = await self._rooms.describe(path, outside=self.principal.is_admin)
        self.write_json(
            {
                "format": kind.format,
                "type": kind.type,
                "fileId": self._file_ids.id_of(path),
                "sessionId": document.epoch,
            }
        )
