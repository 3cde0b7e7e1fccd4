"""The calls about the history of documents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from jupyter_collab_ai.errors import FieldError, InvalidRequest
from jupyter_collab_ai.rooms.history import History
from jupyter_collab_ai.rooms.linediff import Lines
from jupyter_collab_ai.rooms.restoring import Wish, wish_of
from jupyter_collab_ai.web.handlers import ApiHandler, takes
from jupyter_collab_ai.web.requests import Body, Query
from jupyter_collab_ai.web.texts import Name

Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Path = Annotated[str, StringConstraints(max_length=1000)]
HunkId = Annotated[str, StringConstraints(min_length=1, max_length=80)]


class LinesBody(Body):
    """Some lines of a text, from 1; ``to`` is the line after the last."""

    from_: Annotated[int, Field(alias="from", ge=1)]
    to: Annotated[int, Field(ge=1)]


class HunkBody(Body):
    """Which lines of the version take the place of which lines of the one it is compared with."""

    cell_id: Id | None = None
    old: LinesBody
    new: LinesBody

    def named(self) -> Lines:
        """Return them as what they mean."""
        return Lines(self.cell_id, (self.old.from_, self.old.to), (self.new.from_, self.new.to))


Hunks = Annotated[list[HunkId | HunkBody], Field(min_length=1, max_length=2000)]


class PathQuery(Query):
    """Which document, in a session of a folder."""

    path: Path | None = None


class ListQuery(PathQuery):
    """Which part of a history is wanted."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    after: Annotated[str, StringConstraints(max_length=200)] | None = None
    named: bool = False


class VersionQuery(PathQuery):
    """With what a version is to be compared."""

    against: Id | None = None


class NameBody(Body):
    """How a version is to be called."""

    name: Name
    version: Id | None = None
    path: Path | None = None


class RestoreBody(Body):
    """What of which version is to be restored."""

    version: Id
    path: Path | None = None
    cell_id: Id | None = None
    hunks: Hunks | None = None
    against: Id | None = None

    def wish(self) -> Wish:
        """Return what is to be restored.

        Raises:
            InvalidRequest: It does not say clearly what.
        """
        if self.hunks is None:
            return wish_of(self.cell_id, None)
        hunks = [one if isinstance(one, str) else one.named() for one in self.hunks]
        if self.against is None and any(isinstance(one, Lines) for one in hunks):
            sentence = "Say by this with which version the lines were compared."
            raise InvalidRequest(sentence, errors=[FieldError("against", sentence)])
        return wish_of(self.cell_id, hunks)


class HistoryHandler(ApiHandler):
    """Base of what is about history."""

    def initialize(self, history: History) -> None:
        """Get what the handler works with."""
        self.history = history

    def path_of(self, in_body: str | None) -> str | None:
        """Return which document is meant, which a body may say as well as the query.

        Raises:
            InvalidRequest: They say two different ones.
        """
        path = self.read_query(PathQuery).path
        if path is None or in_body is None or path == in_body:
            return in_body if path is None else path
        sentence = "The query and the body name two different files; say it once."
        raise InvalidRequest(sentence, errors=[FieldError("path", sentence)])

    def write_encoded(self, data: bytes) -> None:
        """Answer with JSON that a worker thread has made, as it may be large."""
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.write(data)


class HistoryListHandler(HistoryHandler):
    """``/sessions/{session_id}/history``."""

    @takes("query")
    async def get(self, session_id: str) -> None:
        """Show what was done, the newest first."""
        query = self.read_query(ListQuery)
        self.write_json(
            await self.history.items(
                self.principal,
                session_id,
                query.path,
                limit=query.limit,
                after=query.after,
                named=query.named,
            )
        )


class VersionHandler(HistoryHandler):
    """``/sessions/{session_id}/history/{version}``."""

    @takes("query")
    async def get(self, session_id: str, version: str) -> None:
        """Show a version, and what differs from another one."""
        query = self.read_query(VersionQuery)
        self.write_encoded(
            await self.history.version(
                self.principal, session_id, version, query.path, against=query.against
            )
        )


class BlameHandler(HistoryHandler):
    """``/sessions/{session_id}/blame``."""

    @takes("query")
    async def get(self, session_id: str) -> None:
        """Show who wrote each line."""
        query = self.read_query(PathQuery)
        self.write_encoded(await self.history.blame(self.principal, session_id, query.path))


class VersionListHandler(HistoryHandler):
    """``/sessions/{session_id}/versions``."""

    @takes("query", "body")
    async def post(self, session_id: str) -> None:
        """Name a version."""
        body = self.read_body(NameBody)
        path = self.path_of(body.path)
        named = await self.history.name(
            self.principal,
            session_id,
            body.name,
            version=body.version,
            path=path,
            address=self.address,
        )
        self.write_json(named, 201)


class NamedVersionHandler(HistoryHandler):
    """``/sessions/{session_id}/versions/{version}``."""

    @takes("query")
    async def delete(self, session_id: str, version: str) -> None:
        """Take a name away."""
        query = self.read_query(PathQuery)
        await self.history.unname(
            self.principal, session_id, version, path=query.path, address=self.address
        )
        self.no_content()


class RestoreHandler(HistoryHandler):
    """``/sessions/{session_id}/restore``."""

    @takes("query", "body")
    async def post(self, session_id: str) -> None:
        """Restore a document, a cell or hunks."""
        body = self.read_body(RestoreBody)
        path = self.path_of(body.path)
        self.write_json(
            await self.history.restore(
                self.principal,
                session_id,
                body.version,
                path=path,
                wish=body.wish(),
                against=body.against,
                address=self.address,
            )
        )


def handlers(
    url: Callable[[str], str], history: History
) -> list[tuple[str, type[ApiHandler], dict[str, Any]]]:
    """Return the rules of these calls."""
    services = {"history": history}
    return [
        (url("sessions/([^/]+)/history"), HistoryListHandler, services),
        (url("sessions/([^/]+)/history/([^/]+)"), VersionHandler, services),
        (url("sessions/([^/]+)/blame"), BlameHandler, services),
        (url("sessions/([^/]+)/versions"), VersionListHandler, services),
        (url("sessions/([^/]+)/versions/([^/]+)"), NamedVersionHandler, services),
        (url("sessions/([^/]+)/restore"), RestoreHandler, services),
    ]
