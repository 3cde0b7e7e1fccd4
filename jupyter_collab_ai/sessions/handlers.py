"""The calls about sessions, members and invitations."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

from jupyter_server.utils import url_path_join
from pydantic import AfterValidator, Field, StringConstraints

from jupyter_collab_ai.grave import Action, Kind
from jupyter_collab_ai.ids import SessionId
from jupyter_collab_ai.sessions.contents import MAX_CONTENT
from jupyter_collab_ai.sessions.feed import Feed
from jupyter_collab_ai.sessions.invitations import MAX_EXPIRY, Invitations
from jupyter_collab_ai.sessions.members import Members
from jupyter_collab_ai.sessions.roles import Role
from jupyter_collab_ai.sessions.service import Sessions
from jupyter_collab_ai.web.confirming import Confirmations, confirm
from jupyter_collab_ai.web.events import open_stream, stream
from jupyter_collab_ai.web.handlers import ApiHandler, takes
from jupyter_collab_ai.web.requests import Body, Query
from jupyter_collab_ai.web.texts import Email, Name


def _text_or_object(content: object) -> object:
    if content is not None and not isinstance(content, str | dict):
        raise ValueError("This has to be text, or a notebook as an object")
    return content


Username = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class CreateBody(Body):
    """What is to be shared."""

    name: Name
    path: str | None = None
    type: Literal["file", "directory", "notebook"] | None = None
    #: A notebook may be an object as well as its text.
    content: Annotated[Any, AfterValidator(_text_or_object)] = None


class UpdateBody(Body):
    """What is to change of a session."""

    name: Name | None = None
    path: str | None = None


class InviteBody(Body):
    """Who is invited to what, and for how long."""

    session_id: Id
    role: Role
    username: Username | None = None
    email: Email | None = None
    #: Seconds.
    expires_in: Annotated[int, Field(ge=1, le=int(MAX_EXPIRY.total_seconds()))] | None = None
    max_uses: Annotated[int, Field(ge=1, le=1000)] | None = None


class AcceptBody(Body):
    """The secret of an invitation."""

    invitation: Annotated[str, StringConstraints(min_length=1, max_length=256), Field(repr=False)]


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


class SessionsHandler(ApiHandler):
    """Base of what is about sessions."""

    def initialize(self, sessions: Sessions, confirmations: Confirmations) -> None:
        """Get what the handler works with."""
        self.sessions = sessions
        self.confirmations = confirmations


class MembersHandler(ApiHandler):
    """Base of what is about members."""

    def initialize(self, members: Members, confirmations: Confirmations) -> None:
        """Get what the handler works with."""
        self.members = members
        self.confirmations = confirmations


class InvitationsHandler(ApiHandler):
    """Base of what is about invitations."""

    def initialize(self, invitations: Invitations, confirmations: Confirmations) -> None:
        """Get what the handler works with."""
        self.invitations = invitations
        self.confirmations = confirmations


class SessionListHandler(SessionsHandler):
    """``/sessions``."""

    max_body = 2 * MAX_CONTENT

    @takes("body")
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

    @takes("query")
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
        session, _ = await self.sessions.standing_in(self.principal, session_id)
        self.write_json(await self.sessions.describe(self.principal, session))

    @takes("body")
    async def put(self, session_id: str) -> None:
        """Rename or move a session."""
        body = self.read_body(UpdateBody)
        self.write_json(
            await self.sessions.update(
                self.principal, session_id, name=body.name, path=body.path, address=self.address
            )
        )

    @takes("query")
    async def delete(self, session_id: str) -> None:
        """End a session."""
        query = self.read_query(DeleteQuery)
        await confirm(
            self,
            self.confirmations,
            Action(Kind.DELETE_SESSION, delete_files=query.delete_files),
            lambda: self.sessions.about(self.principal, session_id),
        )
        await self.sessions.delete(
            self.principal, session_id, delete_files=query.delete_files, address=self.address
        )
        self.no_content()


class MemberListHandler(MembersHandler):
    """``/sessions/{session_id}/members``."""

    async def get(self, session_id: str) -> None:
        """List members."""
        self.write_json({"items": await self.members.all(self.principal, session_id)})


class MemberHandler(MembersHandler):
    """``/sessions/{session_id}/members/{username}``."""

    async def delete(self, session_id: str, username: str) -> None:
        """Remove a member, or leave."""
        self.count_sharing()
        await self.members.remove(self.principal, session_id, username, address=self.address)
        self.no_content()


class InviteHandler(InvitationsHandler):
    """``/sessions/invite``."""

    @takes("body")
    async def post(self) -> None:
        """Invite by name or by link."""
        body = self.read_body(InviteBody)
        self.count_sharing()
        await confirm(
            self,
            self.confirmations,
            Action(Kind.INVITE, role=body.role.value, max_uses=body.max_uses),
            lambda: self.invitations.about(self.principal, body.session_id, body.username),
        )
        invited = await self.invitations.invite(
            self.principal,
            body.session_id,
            body.role,
            username=body.username,
            email=body.email,
            expires_in=body.expires_in,
            max_uses=body.max_uses,
            address=self.address,
        )
        answer: dict[str, Any] = {"invitation": invited.invitation.as_json()}
        if invited.secret is not None:
            # Under the name by which this server was reached by whoever invites.
            host = f"{self.request.protocol}://{self.request.host}"
            page = url_path_join(self.base_url, "collab-ai", "join")
            answer["url"] = f"{host}{page}?invitation={invited.secret}"
        self.write_json(answer, 201)


class InvitationListHandler(InvitationsHandler):
    """``/sessions/{session_id}/invitations``."""

    async def get(self, session_id: str) -> None:
        """List invitations, without their secrets."""
        self.write_json({"items": await self.invitations.open(self.principal, session_id)})


class InvitationHandler(InvitationsHandler):
    """``/sessions/{session_id}/invitations/{id}``."""

    async def delete(self, session_id: str, invitation_id: str) -> None:
        """Revoke an invitation."""
        self.count_sharing()
        await self.invitations.revoke(
            self.principal, session_id, invitation_id, address=self.address
        )
        self.no_content()


class AcceptHandler(InvitationsHandler):
    """``/invitations/accept``."""

    @takes("body")
    async def post(self) -> None:
        """Become a member."""
        body = self.read_body(AcceptBody)
        self.write_json(
            await self.invitations.accept(self.principal, body.invitation, address=self.address)
        )


class AccessHandler(MembersHandler):
    """``/sessions/access``."""

    @takes("body")
    async def put(self) -> None:
        """Change a role."""
        body = self.read_body(AccessBody)
        self.count_sharing()
        await confirm(
            self,
            self.confirmations,
            Action(Kind.CHANGE_ROLE, role=body.role.value),
            lambda: self.members.about(self.principal, body.session_id, body.username),
        )
        self.write_json(
            await self.members.set_role(
                self.principal, body.session_id, body.username, body.role, address=self.address
            )
        )


class ActivityHandler(SessionsHandler):
    """``/sessions/{session_id}/activity``."""

    @takes("query")
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
        session, _ = await self.sessions.standing_in(self.principal, session_id)
        open_stream(self)
        # The headers go out at once, so that the reader knows that it is heard from now on.
        with self.feed.follow(self.principal, SessionId(session.id)) as reader:
            self.write(b": " + json.dumps(session.id).encode() + b"\n\n")
            await self.flush()
            await stream(self, reader)


def handlers(
    url: Callable[[str], str],
    sessions: Sessions,
    members: Members,
    invitations: Invitations,
    feed: Feed,
    confirmations: Confirmations,
) -> list[tuple[str, type[ApiHandler], dict[str, Any]]]:
    """Return the rules of these calls; the fixed names come before the ids."""
    to_sessions = {"sessions": sessions, "confirmations": confirmations}
    to_members = {"members": members, "confirmations": confirmations}
    to_invitations = {"invitations": invitations, "confirmations": confirmations}
    return [
        (url("sessions"), SessionListHandler, to_sessions),
        (url("sessions/invite"), InviteHandler, to_invitations),
        (url("sessions/access"), AccessHandler, to_members),
        (url("invitations/accept"), AcceptHandler, to_invitations),
        (url("sessions/([^/]+)"), SessionHandler, to_sessions),
        (url("sessions/([^/]+)/members"), MemberListHandler, to_members),
        (url("sessions/([^/]+)/members/([^/]+)"), MemberHandler, to_members),
        (url("sessions/([^/]+)/invitations"), InvitationListHandler, to_invitations),
        (url("sessions/([^/]+)/invitations/([^/]+)"), InvitationHandler, to_invitations),
        (url("sessions/([^/]+)/activity"), ActivityHandler, to_sessions),
        (url("sessions/([^/]+)/events"), EventsHandler, {"sessions": sessions, "feed": feed}),
    ]
