"""All that leans on the inside of ``jupyter_server_ydoc``, written for its versions 3.0.x.

What it would do with its own rooms is done with ours: its WebSocket, its session handler and
``YDocExtension.get_document``, by which other extensions reach live documents. So it never
makes a room of its own, which would write the same file.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import weakref
from collections.abc import Mapping
from typing import Any

import jupyter_server_ydoc
from jupyter_server_fileid.manager import LocalFileIdManager
from jupyter_server_ydoc.app import YDocExtension
from jupyter_server_ydoc.handlers import (
    DocForkHandler,
    DocSessionHandler,
    TimelineHandler,
    UndoRedoHandler,
    YDocWebSocketHandler,
)
from jupyter_ydoc.ybasedoc import YBaseDoc
from pycrdt import Doc

from jupyter_collab_ai.rooms.content import model_of
from jupyter_collab_ai.rooms.documents import require_kind
from jupyter_collab_ai.rooms.jupyterlab import DocumentSession, FileIds, RoomSocket
from jupyter_collab_ai.rooms.lobby import Lobby
from jupyter_collab_ai.rooms.ports import Logins, Rights
from jupyter_collab_ai.rooms.registry import Rooms
from jupyter_collab_ai.rooms.room import LiveRoom
from jupyter_collab_ai.rooms.side_handlers import ForkCall, MoveCall, TimelineCall
from jupyter_collab_ai.rooms.side_rooms import SideRooms
from jupyter_collab_ai.rooms.ystore import Backing, LogYStore

#: The versions of jupyter_server_ydoc that this module was written for.
VERSIONS = "3.0."

_GET_DOCUMENT = ("self", "path", "content_type", "file_format", "room_id", "copy", "create")


class UpstreamChanged(RuntimeError):
    """The installed jupyter_server_ydoc is not one that this package knows."""


def check() -> None:
    """Make sure that upstream is as this module expects it.

    Raises:
        UpstreamChanged: It is not; the server must not start, for it might run unguarded.
    """
    version = jupyter_server_ydoc.__version__
    if not version.startswith(VERSIONS):
        raise UpstreamChanged(
            f"jupyter-server-ydoc {version} is installed; this version of jupyter-collab-ai "
            f"works with {VERSIONS}x."
        )
    parameters = tuple(inspect.signature(YDocExtension.get_document).parameters)
    if parameters != _GET_DOCUMENT or not hasattr(YDocExtension, "ystore_class"):
        raise UpstreamChanged(
            f"jupyter-server-ydoc {version} differs from what jupyter-collab-ai expects; "
            "install the version that it names in its requirements."
        )


def goes_by_inode(settings: Mapping[str, Any]) -> bool:
    """Tell whether files of the server have their ids by their inodes."""
    return isinstance(settings.get("file_id_manager"), LocalFileIdManager)


def replacements(
    rooms: Rooms,
    rights: Rights,
    logins: Logins,
    lobby: Lobby,
    side_rooms: SideRooms,
    file_ids: FileIds,
    **limits: int,
) -> Mapping[type, tuple[type, dict[str, Any]]]:
    """Return for each handler of upstream's the one that takes its place, with its services."""
    socket = {
        "rooms": rooms,
        "rights": rights,
        "logins": logins,
        "lobby": lobby,
        "side_rooms": side_rooms,
        "file_ids": file_ids,
        **limits,
    }
    session = {"rooms": rooms, "rights": rights, "file_ids": file_ids}
    aside = {"side_rooms": side_rooms, "rights": rights, "file_ids": file_ids}
    return {
        YDocWebSocketHandler: (RoomSocket, socket),
        DocSessionHandler: (DocumentSession, session),
        TimelineHandler: (TimelineCall, aside),
        UndoRedoHandler: (MoveCall, aside),
        DocForkHandler: (ForkCall, aside),
    }


def adopt(extension: YDocExtension, rooms: Rooms, file_ids: FileIds) -> None:
    """Let the running extension serve documents from our rooms and our log."""
    LogYStore.backing = Backing(rooms, file_ids)
    extension.ystore_class = LogYStore
    documents = LiveModels(rooms, file_ids)
    extension.get_document = documents.get_document
    # It complains at the end of the server that its own rooms were never started.
    extension.ywebsocket_server.clean = _nothing


async def _nothing() -> None:
    """Do what there is to do at the end about rooms that are never used."""


class LiveModels:
    """Gives other extensions the models of live documents."""

    def __init__(self, rooms: Rooms, file_ids: FileIds) -> None:
        self._rooms = rooms
        self._file_ids = file_ids

    async def get_document(
        self,
        *,
        path: str | None = None,
        content_type: str | None = None,
        file_format: str | None = None,
        room_id: str | None = None,
        copy: bool = True,
        create: bool = False,
    ) -> YBaseDoc | None:
        """Do what ``YDocExtension.get_document`` does, with a room of ours.

        What is written to a model that is no copy is recorded and shown like any other edit.
        The room stays open as long as somebody keeps the model.
        """
        given = (path, content_type, file_format)
        if (room_id is None) == all(value is None for value in given) or (
            room_id is None and None in given
        ):
            raise ValueError(
                "Name either the room_id, or the path, the content_type and the file_format."
            )
        if room_id is not None:
            path = self._file_ids.path_of_room(room_id)
        else:
            assert path is not None
            assert file_format is not None
            assert content_type is not None
            path = await self._rooms.plain(path)
            require_kind(path, file_format, content_type)
        if not create and await self._find(path) is None:
            return None
        room = await self._rooms.acquire(path, outside=True)
        if copy:
            try:
                doc: Doc[Any] = Doc()
                doc.apply_update(await room.look(lambda live: live.get_update()))
            finally:
                self._rooms.release(room)
            return model_of(room.kind, doc)
        model = model_of(room.kind, room.doc)
        loop = asyncio.get_running_loop()
        # Whichever thread collects the model, rooms are for the event loop's thread alone.
        kept = weakref.finalize(model, _release, loop, self._rooms, room)
        kept.atexit = False
        return model

    async def _find(self, path: str) -> object | None:
        document = await self._rooms.documents.by_path(path)
        return None if document is None else self._rooms.find(document.id)


def _release(loop: asyncio.AbstractEventLoop, rooms: Rooms, room: LiveRoom) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed already
        loop.call_soon_threadsafe(rooms.release, room)
