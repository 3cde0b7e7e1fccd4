"""jupyter-collaboration's calls about forks and timelines, on documents and a log of ours.

They take the place of those of ``jupyter_server_ydoc``: the same paths and answers. What it
allows whoever knows a room's name is asked for by the role in the document behind it.
"""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints
from tornado import web

from jupyter_collab_ai.errors import NotFound
from jupyter_collab_ai.rooms.documents import require_kind
from jupyter_collab_ai.rooms.jupyterlab import FileIds
from jupyter_collab_ai.rooms.ports import Rights
from jupyter_collab_ai.rooms.side_rooms import SideRooms
from jupyter_collab_ai.web.handlers import ApiHandler, takes
from jupyter_collab_ai.web.requests import Body, Query

RoomId = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class TimelineQuery(Query):
    """As what the document is opened."""

    format: Annotated[str, StringConstraints(max_length=20)]
    type: Annotated[str, StringConstraints(max_length=40)]


class Action(Enum):
    """What is to be done with a timeline."""

    UNDO = "undo"
    REDO = "redo"
    RESTORE = "restore"


class MoveQuery(Query):
    """How a timeline is to be moved."""

    action: Action
    steps: Annotated[int, Field(ge=0, le=100_000)] = 0
    forkRoom: RoomId  # noqa: N815 - as upstream's page has it


class ForkBody(Body):
    """What is to be known of a fork."""

    title: Annotated[str, StringConstraints(max_length=200)] = ""
    description: Annotated[str, StringConstraints(max_length=2000)] = ""
    synchronize: bool = False


class EndQuery(Query):
    """Whether a fork's text goes into the document before it is deleted."""

    #: Upstream's page writes what nobody has told it as JavaScript does.
    merge: Literal["true", "false", "undefined", ""] = ""


class SideHandler(ApiHandler):
    """What these calls have in common."""

    auth_resource = "contents"

    def initialize(self, side_rooms: SideRooms, rights: Rights, file_ids: FileIds) -> None:
        """Get what the handler works with."""
        self._side_rooms = side_rooms
        self._rights = rights
        self._file_ids = file_ids

    async def readable(self, path: str) -> str:
        """Return ``path`` if whoever asks may read it.

        Raises:
            NotFound: They may not.
        """
        right = await self._rights.right(self.principal, path)
        if not right.may_read:
            raise NotFound("There is no such document, or it is not shared with you.")
        return path


class TimelineCall(SideHandler):
    """``GET /api/collaboration/timeline/{path}``: a copy that goes through what was recorded."""

    @web.authenticated
    @takes("query")
    async def get(self, path: str) -> None:
        """Open a timeline, and say when each of its steps was recorded."""
        query = self.read_query(TimelineQuery)
        path = await self.readable(path.strip("/"))
        kind = require_kind(path, query.format, query.type)
        file_id = self._file_ids.id_of(path)
        timeline = await self._side_rooms.timelines.open(self.principal, path)
        self.write_json(
            {
                "roomId": f"{kind.format}:{kind.type}:{file_id}",
                "timestamps": timeline.times,
                "forkRoom": timeline.id,
                "sessionId": timeline.document.epoch,
            }
        )


class MoveCall(SideHandler):
    """``PUT /api/collaboration/undo_redo/{room id}``: move a timeline, or restore what it shows."""

    @web.authenticated
    @takes("query")
    async def put(self, room_id: str) -> None:
        """Do what the query says."""
        query = self.read_query(MoveQuery)
        path = await self.readable(self._file_ids.path_of_room(room_id))
        self.write_json(await self._answer(query, path))

    async def _answer(self, query: MoveQuery, path: str) -> dict[str, Any]:
        timelines = self._side_rooms.timelines
        if query.action is Action.RESTORE:
            await timelines.restore(self.principal, query.forkRoom, path, address=self.address)
            return {"code": 200, "status": "Document restored successfully"}
        back = query.action is Action.UNDO
        steps = -query.steps if back else query.steps
        if await timelines.go(self.principal, query.forkRoom, path, steps):
            return {"status": "undone" if back else "redone"}
        return {"error": f"No more {query.action.value} operations available"}


class ForkCall(SideHandler):
    """``/api/collaboration/fork/{id}``: the forks of a document, and the end of one of them."""

    @web.authenticated
    async def get(self, room_id: str) -> None:
        """Answer with the forks of a document, by their ids."""
        path = self._file_ids.path_of_room(room_id)
        found = await self._side_rooms.forks.of(self.principal, path)
        self.write_json({fork.id: fork.info(room_id) for fork in found})

    @web.authenticated
    @takes("body")
    async def put(self, room_id: str) -> None:
        """Make a fork of a document."""
        path = self._file_ids.path_of_room(room_id)
        body = self.read_body(ForkBody)
        fork = await self._side_rooms.forks.create(
            self.principal,
            path,
            title=body.title,
            description=body.description,
            synchronize=body.synchronize,
            address=self.address,
        )
        self.write_json(
            {
                "sessionId": fork.epoch,
                "fork_roomid": fork.id,
                "fork_info": fork.info(room_id),
            },
            201,
        )

    @web.authenticated
    @takes("query")
    async def delete(self, fork_id: str) -> None:
        """Merge a fork if that is asked for, and delete it."""
        query = self.read_query(EndQuery)
        forks = self._side_rooms.forks
        end = forks.merge if query.merge == "true" else forks.delete
        await end(self.principal, fork_id, address=self.address)
        self.set_status(200)
        self.finish()
