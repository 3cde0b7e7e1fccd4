"""The calls about sessions, members and invitations."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

from jupyter_server.utils import url_path_join
from pydantic import Field, StringConstraints, field_validator

from jupyter_collab_ai.ids import SessionId
from jupyter_collab_ai.sessions.contents import MAX_CONTENT
from jupyter_collab_ai.sessions.feed import Feed
from jupyter_collab_ai.sessions.roles import Role
from jupyter_collab_ai.sessions.service import MAX_EXPIRY, Sessions
from jupyter_collab_ai.web.events import open_stream, stream
from jupyter_collab_ai.web.handlers import ApiHandler
from jupyter_collab_ai.web.requests import Body, Query

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Username = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]
Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("This has characters that can't be shown")
    return text


class CreateBody(Body):
    """What is to be shared."""

    name: Name
    path: str | None = None
    type: Literal["file", "directory", "notebook"] | None = None
    content: str | dict[str, Any] | None = None

    _name = field_validator("name")(_printable)


class UpdateBody(Body):
    """What is to change of a session."""

    name: Name | None = None
    path: str | None = None

    @field_validator("name")
    @classmethod
    def _name(cls, name: str | None) -> str | None:
        return None if name is None else _printable(name)


class InviteBody(Body):
    """Who is invited to what, and for how long."""

    session_id: Id
    role: Role
    username: Username | None = None
    email: (
        Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")] | None
    ) = None
    #: Seconds.
    expires_in: Annotated[int, Field(ge=1, le=int(MAX_EXPIRY.total_seconds()))] | None = None
    max_uses: Annotated[int, Field(ge=1, le=1000)] | None = None


class AcceptBody(Body):
    """The secret of an invitation."""

    invitation: Annotated[str, StringConstraints(min_length=1, max_length=256)]


class AccessBody(Body):
    """Who gets which role."""

    session_id: Id
    username: Username
    role: Role


class PageQuery(Query):
    """Where a list begins, and how much of it is wanted."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    after: Annotated[str, StringConstraints(max_length=200)] | None = None


class ListQuery(PageQuery):
    """Which sessions are wanted."""

    query: Annotated[str, StringConstraints(max_length=200)] | None = None
    all: bool = False


class DeleteQuery(Query):
    """Whether the files go too."""

    delete_files: bool = False


class NoQuery(Query):
    """A call that takes no parameters."""


class SessionsHandler(ApiHandler):
    """Base: gives the service."""

    def initialize(self, sessions: Sessions) -> None:
        """Get what the handler works with."""
        self.sessions = sessions

    def public_url(self, *parts: str) -> str:
        """Return an address under which this server is reached by whoever is asking."""
        return f"{self.request.protocol}://{self.request.host}" + url_path_join(
            self.base_url, "collab-ai", *parts
        )


class SessionListHandler(SessionsHandler):
    """``/sessions``."""

    max_body = 2 * MAX_CONTENT

    async def post(self) -> None:
        """Share a file or folder."""
        body = self.read_body(CreateBody)
        session = await self.sessions.create(
            self.principal,
            name=body.name,
            path=body.path,
            type_=body.type,
            content=body.content,
            address=self.address,
        )
        self.set_header(
            "Location", url_path_join(self.base_url, "collab-ai", "sessions", session["id"])
        )
        self.write_json(session, 201)

    async def get(self) -> None:
        """List sessions."""
        query = self.read_query(ListQuery)
        self.write_json(
            await self.sessions.page(
                self.principal,
                limit=query.limit,
                after=query.after,
                query=query.query,
                everybody=query.all,
            )
        )


class SessionHandler(SessionsHandler):
    """``/sessions/{session_id}``."""

    async def get(self, session_id: str) -> None:
        """Show a session."""
        self.read_query(NoQuery)
        session, _ = await self.sessions.standing_in(self.principal, session_id)
        self.write_json(await self.sessions.describe(self.principal, session))

    async def put(self, session_id: str) -> None:
        """Rename or move a session."""
        body = self.read_body(UpdateBody)
        self.write_json(
            await self.sessions.update(
                self.principal, session_id, name=body.name, path=body.path, address=self.address
            )
        )

    async def delete(self, session_id: str) -> None:
        """End a session."""
        query = self.read_query(DeleteQuery)
        await self.sessions.delete(
            self.principal, session_id, delete_files=query.delete_files, address=self.address
        )
        self.no_content()


class MemberListHandler(SessionsHandler):
    """``/sessions/{session_id}/members``."""

    async def get(self, session_id: str) -> None:
        """List members."""
        self.read_query(NoQuery)
        self.write_json({"items": await self.sessions.members(self.principal, session_id)})


class MemberHandler(SessionsHandler):
    """``/sessions/{session_id}/members/{username}``."""

    async def delete(self, session_id: str, username: str) -> None:
        """Remove a member, or leave."""
        await self.sessions.remove_member(
            self.principal, session_id, username, address=self.address
        )
        self.no_content()


class InviteHandler(SessionsHandler):
    """``/sessions/invite``."""

    async def post(self) -> None:
        """Invite by name or by link."""
        body = self.read_body(InviteBody)
        invited = await self.sessions.invite(
            self.principal,
            body.session_id,
            body.role,
            username=body.username,
            email=body.email,
            expires_in=body.expires_in,
            max_uses=1 if body.max_uses is None else body.max_uses,
            address=self.address,
        )
        answer: dict[str, Any] = {"invitation": invited.invitation.as_json()}
        if invited.secret is not None:
            answer["url"] = self.public_url("join") + "?invitation=" + invited.secret
        self.write_json(answer, 201)


class InvitationListHandler(SessionsHandler):
    """``/sessions/{session_id}/invitations``."""

    async def get(self, session_id: str) -> None:
        """List invitations, without their secrets."""
        self.read_query(NoQuery)
        self.write_json({"items": await self.sessions.invitations(self.principal, session_id)})


class InvitationHandler(SessionsHandler):
    """``/sessions/{session_id}/invitations/{id}``."""

    async def delete(self, session_id: str, invitation_id: str) -> None:
        """Revoke an invitation."""
        await self.sessions.revoke(self.principal, session_id, invitation_id, address=self.address)
        self.no_content()


class AcceptHandler(SessionsHandler):
    """``/invitations/accept``."""

    async def post(self) -> None:
        """Become a member."""
        body = self.read_body(AcceptBody)
        self.write_json(
            await self.sessions.accept(self.principal, body.invitation, address=self.address)
        )


class AccessHandler(SessionsHandler):
    """``/sessions/access``."""

    async def put(self) -> None:
        """Change a role."""
        body = self.read_body(AccessBody)
        self.write_json(
            await self.sessions.set_role(
                self.principal, body.session_id, body.username, body.role, address=self.address
            )
        )


class ActivityHandler(SessionsHandler):
    """``/sessions/{session_id}/activity``."""

    async def get(self, session_id: str) -> None:
        """Show who did what."""
        query = self.read_query(PageQuery)
        self.write_json(
            await self.sessions.activity(
                self.principal, session_id, limit=query.limit, after=query.after
            )
        )


class EventsHandler(ApiHandler):
    """``/sessions/{session_id}/events``."""

    def initialize(self, sessions: Sessions, feed: Feed) -> None:
        """Get what the handler works with."""
        self.sessions = sessions
        self.feed = feed

    async def get(self, session_id: str) -> None:
        """Stream what happens, until who asks may no longer see it."""
        self.read_query(NoQuery)
        session, _ = await self.sessions.standing_in(self.principal, session_id)
        open_stream(self)
        # The headers go out at once, so that the reader knows that it is heard from now on.
        with self.feed.follow(self.principal, SessionId(session.id)) as reader:
            self.write(b": " + json.dumps(session.id).encode() + b"\n\n")
            await self.flush()
            await stream(self, reader)


def handlers(
    url: Callable[[str], str], sessions: Sessions, feed: Feed
) -> list[tuple[str, type[ApiHandler], dict[str, Any]]]:
    """Return the rules of these calls; the fixed names come before the ids."""
    services = {"sessions": sessions}
    return [
        (url("sessions"), SessionListHandler, services),
        (url("sessions/invite"), InviteHandler, services),
        (url("sessions/access"), AccessHandler, services),
        (url("invitations/accept"), AcceptHandler, services),
        (url("sessions/([^/]+)"), SessionHandler, services),
        (url("sessions/([^/]+)/members"), MemberListHandler, services),
        (url("sessions/([^/]+)/members/([^/]+)"), MemberHandler, services),
        (url("sessions/([^/]+)/invitations"), InvitationListHandler, services),
        (url("sessions/([^/]+)/invitations/([^/]+)"), InvitationHandler, services),
        (url("sessions/([^/]+)/activity"), ActivityHandler, services),
        (url("sessions/([^/]+)/events"), EventsHandler, {"sessions": sessions, "feed": feed}),
    ]
