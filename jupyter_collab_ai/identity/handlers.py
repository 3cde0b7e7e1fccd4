"""The calls about accounts and logins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, cast

from jupyter_server.auth.decorator import allow_unauthenticated
from pydantic import Field, StringConstraints
from tornado.web import HTTPError

from jupyter_collab_ai.errors import AdminRequired
from jupyter_collab_ai.grave import About, Action, Kind
from jupyter_collab_ai.identity.account_page import AccountPage, PasswordPage
from jupyter_collab_ai.identity.confirm_page import ConfirmPage
from jupyter_collab_ai.identity.confirmations import Confirmations
from jupyter_collab_ai.identity.pages import JoinPage, Provider, registration_of
from jupyter_collab_ai.identity.passwords import check_password
from jupyter_collab_ai.identity.ports import Invitations
from jupyter_collab_ai.identity.service import Identity
from jupyter_collab_ai.principal import Credential
from jupyter_collab_ai.storage.audit import By
from jupyter_collab_ai.web.confirming import confirm
from jupyter_collab_ai.web.handlers import ApiHandler, takes
from jupyter_collab_ai.web.requests import Body, Query

#: Longer than any secret of ours. Of what has a limit of its own, the service tells it.
Secret = Annotated[str, StringConstraints(max_length=256)]
#: Both databases can hold it.
Word = Annotated[str, StringConstraints(max_length=64, pattern=r"^[^\x00]*$")]


class RegisterBody(Body):
    """A new account."""

    username: str
    password: str
    display_name: str | None = None
    email: str | None = None
    invitation: Secret | None = None


class LoginBody(Body):
    """A name and a password."""

    username: str
    password: str


class RefreshBody(Body):
    """A refresh token."""

    refresh_token: Secret


class MeBody(Body):
    """What is to change of one's own account."""

    # What is left out stays as it is; only an e-mail address can be taken back.
    display_name: str = ""
    email: str | None = None
    color: str = ""


class PasswordBody(Body):
    """The old password and the new one."""

    current_password: str
    new_password: str


class UserBody(Body):
    """What is to change of an account."""

    # What is left out stays as it is.
    is_admin: bool = False
    is_active: bool = False


class UsersQuery(Query):
    """Which accounts are wanted."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    after: Annotated[str, StringConstraints(max_length=64)] | None = None
    query: Annotated[str, StringConstraints(max_length=200)] | None = None


class ActivityQuery(Query):
    """Which entries of the audit log are wanted."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    after: Annotated[str, StringConstraints(max_length=200)] | None = None
    session_id: Word | None = None
    user: Word | None = None
    action: Word | None = None


class IdentityHandler(ApiHandler):
    """Base: gives the services."""

    max_body = 128 * 1024

    def initialize(self, identity: Identity, confirmations: Confirmations) -> None:
        """Get what the handler works with."""
        self.identity = identity
        self.confirmations = confirmations

    @property
    def user_agent(self) -> str | None:
        """What the client calls itself."""
        agent = self.request.headers.get("User-Agent")
        return None if agent is None else str(agent)


class PublicHandler(IdentityHandler):
    """Base of calls for who has no identity yet: credentials that come along are ignored.

    They need no XSRF token, since they act for nobody, and take JSON alone, which pages of
    other sites can't send unasked.
    """

    json_only = True

    async def prepare(self, *, _redirect_to_login: bool = True) -> None:
        """Check the host, and ask for nobody."""
        if not self.check_host():
            raise HTTPError(403)
        self.count_call(None)
        self.refuse_unread()

    def check_xsrf_cookie(self) -> None:
        """Ask for none."""


class RegisterHandler(PublicHandler):
    """``/register``."""

    @allow_unauthenticated
    @takes("body")
    async def post(self) -> None:
        """Make an account."""
        body = self.read_body(RegisterBody)
        user = await self.identity.register(
            username=body.username,
            password=body.password,
            display_name=body.display_name,
            email=body.email,
            invitation=body.invitation,
            registration=registration_of(self),
            address=self.address,
        )
        self.write_json(user.as_json(), 201)


class LoginHandler(PublicHandler):
    """``/login``."""

    @allow_unauthenticated
    @takes("body")
    async def post(self) -> None:
        """Sign in."""
        body = self.read_body(LoginBody)
        user, login = await self.identity.login(
            body.username, body.password, address=self.address, user_agent=self.user_agent
        )
        self.write_json(await self.identity.issue(user, login))


class RefreshHandler(PublicHandler):
    """``/token/refresh``."""

    @allow_unauthenticated
    @takes("body")
    async def post(self) -> None:
        """Give new tokens for old ones."""
        body = self.read_body(RefreshBody)
        self.write_json(await self.identity.refresh(body.refresh_token, address=self.address))


class LogoutHandler(IdentityHandler):
    """``/logout``."""

    async def post(self) -> None:
        """End this login."""
        principal = self.principal
        await self.identity.logout(principal, address=self.address)
        if principal.credential is Credential.COOKIE:
            cast(Provider, self.identity_provider).forget(self)
        self.no_content()


class MeHandler(IdentityHandler):
    """``/me``."""

    async def get(self) -> None:
        """Show one's account."""
        self.write_json((await self.identity.me(self.principal)).as_json())

    @takes("body")
    async def patch(self) -> None:
        """Change one's account."""
        body = self.read_body(MeBody)
        changes = body.model_dump(exclude_unset=True)
        self.write_json((await self.identity.change_me(self.principal, changes)).as_json())


class PasswordHandler(IdentityHandler):
    """``/me/password``."""

    @takes("body")
    async def put(self) -> None:
        """Change one's password."""
        body = self.read_body(PasswordBody)
        check_password(body.new_password, field="new_password")
        await confirm(self, self.confirmations, Action(Kind.CHANGE_PASSWORD))
        await self.identity.change_password(
            self.principal, body.current_password, body.new_password, address=self.address
        )
        self.no_content()


class LoginListHandler(IdentityHandler):
    """``/me/logins``."""

    async def get(self) -> None:
        """List one's logins."""
        self.write_json({"items": await self.identity.logins(self.principal)})


class LoginEndHandler(IdentityHandler):
    """``/me/logins/{id}``."""

    async def delete(self, login_id: str) -> None:
        """End one of them."""
        await self.identity.end_login(self.principal, login_id, address=self.address)
        self.no_content()


class AdminHandler(IdentityHandler):
    """Base of what admins do with accounts."""

    def require_admin(self) -> None:
        """Refuse who is no admin; the gate does, too.

        Raises:
            AdminRequired: They are not.
        """
        if not self.principal.is_admin:
            raise AdminRequired("Only an admin of this server may do this.")


class UserListHandler(AdminHandler):
    """``/users``."""

    @takes("query")
    async def get(self) -> None:
        """List accounts."""
        self.require_admin()
        query = self.read_query(UsersQuery)
        self.write_json(
            await self.identity.users(limit=query.limit, after=query.after, query=query.query)
        )


class UserHandler(AdminHandler):
    """``/users/{username}``."""

    async def get(self, username: str) -> None:
        """Show an account."""
        self.require_admin()
        self.write_json((await self.identity.user(username)).as_json())

    @takes("body")
    async def patch(self, username: str) -> None:
        """Change an account."""
        self.require_admin()
        body = self.read_body(UserBody)
        given = body.model_dump(exclude_unset=True)
        is_admin, is_active = given.get("is_admin"), given.get("is_active")
        await confirm(
            self,
            self.confirmations,
            Action(Kind.CHANGE_ACCOUNT, is_admin=is_admin, is_active=is_active),
            lambda: self._about(username),
        )
        user = await self.identity.change_user(
            username, is_admin=is_admin, is_active=is_active, by=By(self.principal, self.address)
        )
        self.write_json(user.as_json())

    async def delete(self, username: str) -> None:
        """Delete an account."""
        self.require_admin()
        await confirm(
            self,
            self.confirmations,
            Action(Kind.DELETE_ACCOUNT),
            lambda: self._about(username),
        )
        await self.identity.delete_user(username, by=By(self.principal, self.address))
        self.no_content()

    async def _about(self, username: str) -> About:
        user = await self.identity.user(username)
        return About(username=user.username, display_name=user.display_name)


class ServerActivityHandler(AdminHandler):
    """``/activity``."""

    @takes("query")
    async def get(self) -> None:
        """Show who did what on the whole server."""
        self.require_admin()
        query = self.read_query(ActivityQuery)
        self.write_json(
            await self.identity.activity(
                limit=query.limit,
                after=query.after,
                session_id=query.session_id,
                actor=query.user,
                action=query.action,
            )
        )


def handlers(
    url: Callable[[str], str],
    identity: Identity,
    invitations: Invitations,
    confirmations: Confirmations,
) -> list[tuple[Any, ...]]:
    """Return the rules of these calls."""
    services = {"identity": identity, "confirmations": confirmations}
    return [
        (url("register"), RegisterHandler, services),
        (url("login"), LoginHandler, services),
        (url("token/refresh"), RefreshHandler, services),
        (url("logout"), LogoutHandler, services),
        (url("me"), MeHandler, services),
        (url("me/password"), PasswordHandler, services),
        (url("me/logins"), LoginListHandler, services),
        (url("me/logins/([^/]+)"), LoginEndHandler, services),
        (url("users"), UserListHandler, services),
        (url("users/([^/]+)"), UserHandler, services),
        (url("activity"), ServerActivityHandler, services),
        (url("join"), JoinPage, {"invitations": invitations}),
        (url("account"), AccountPage),
        (url("account/password"), PasswordPage, {"confirmations": confirmations}),
        (url("confirm/([^/]+)"), ConfirmPage, {"confirmations": confirmations}),
    ]
