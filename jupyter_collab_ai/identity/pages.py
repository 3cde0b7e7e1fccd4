"""The pages where people sign in, register, join and sign out. They need no JavaScript."""

from __future__ import annotations

from functools import cache
from typing import Any, Protocol, cast
from urllib.parse import quote, urlencode, urlsplit

import jinja2
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_escape, url_path_join
from tornado.web import HTTPError, RequestHandler

from jupyter_collab_ai.errors import (
    CollabError,
    FieldError,
    InvalidRequest,
    NotAuthenticated,
    RegistrationClosed,
)
from jupyter_collab_ai.identity.ports import Invitations
from jupyter_collab_ai.identity.registration import Registration, registration_for
from jupyter_collab_ai.identity.service import Identity
from jupyter_collab_ai.identity.store import Login, User
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.web.errors import headers_of, status_of

#: Nothing but the page itself and its own style; forms go to this server only.
CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@cache
def environment() -> jinja2.Environment:
    """Return the environment of this package's own pages; everything in them is escaped."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("jupyter_collab_ai.identity"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )


def local_url(text: str | None, base_url: str) -> str | None:
    """Return ``text`` if it is a place on this server, else None.

    Browsers take a backslash for a slash and skip control characters, so whatever has one
    is no place on this server.
    """
    if not text or "\\" in text or any(ord(character) <= 0x20 for character in text):
        return None
    parts = urlsplit(text)
    if parts.scheme or parts.netloc or not parts.path.startswith(base_url):
        return None
    return None if parts.path.startswith("//") else text


class Provider(Protocol):
    """What the pages ask of the identity provider."""

    identity: Identity | None

    def is_secret(self, given: str) -> bool:
        """Return whether this is Jupyter's own token or password; takes as long as a hash."""
        ...

    def remember(self, handler: RequestHandler, user: User, login: Login) -> None:
        """Set the login cookie."""
        ...

    def forget(self, handler: RequestHandler) -> None:
        """Clear the login cookie."""
        ...


class Page(JupyterHandler):
    """Base of the pages."""

    #: What the page may do.
    policy = CSP
    #: Set where a form came without the XSRF token that belongs to the browser's cookie.
    stale: CollabError | None = None

    @property
    def provider(self) -> Provider:
        """What sets the cookies."""
        return cast(Provider, self.identity_provider)

    @property
    def identity(self) -> Identity:
        """Accounts and logins."""
        identity = self.provider.identity
        if identity is None:
            raise NotAuthenticated("The server is starting; try again in a moment.")
        return identity

    @property
    def principal(self) -> Principal | None:
        """Who is signed in already."""
        found = getattr(self.current_user, "principal", None)
        return found if isinstance(found, Principal) else None

    @property
    def next_url(self) -> str | None:
        """Where the person wanted to go."""
        found = local_url(self.get_argument("next", ""), self.base_url)
        # Whoever has just signed in does not want to be signed out.
        return None if found is None or urlsplit(found).path == self.page_url("logout") else found

    def home_url(self, username: str) -> str:
        """Return where somebody goes who wanted nothing in particular: their own workspace."""
        return url_path_join(self.base_url, "lab", "workspaces", url_escape(username))

    def page_url(self, name: str, **query: str | None) -> str:
        """Return the URL of another page."""
        given = {key: value for key, value in query.items() if value}
        return url_path_join(self.base_url, name) + ("?" + urlencode(given) if given else "")

    def registration(self) -> Registration:
        """Return who may register by this request."""
        return registration_of(self)

    def show(self, template: str, *, error: CollabError | None = None, **values: Any) -> None:
        """Show a page, with what went wrong beside the fields that it is about."""
        if error is not None:
            self.set_status(403 if error is self.stale else status_of(error))
            for name, value in headers_of(error).items():
                if name != "WWW-Authenticate":  # would make the browser ask by itself
                    self.set_header(name, value)
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("X-Content-Type-Options", "nosniff")
        fields = {} if error is None else {item.field: item.message for item in error.errors}
        page = environment().get_template(template)
        self.finish(
            page.render(
                xsrf=self.xsrf_field(),
                next=self.next_url or "",
                message="" if error is None or fields else error.message,
                fields=fields,
                **values,
            )
        )

    def xsrf_field(self) -> str:
        """Return what a form of the page has to send back; sets the cookie that goes with it."""
        return str(self.xsrf_token.decode())

    def check_xsrf_cookie(self) -> None:
        """Take note of a form that is not this browser's, to show it again instead.

        Most often the cookies were deleted, or blocked, while it was open.
        """
        try:
            super().check_xsrf_cookie()
        except HTTPError as error:
            if self.request.method != "POST" or error.status_code != 403:
                raise
            self.stale = InvalidRequest(
                "This form was too old; please send it again. Cookies have to be allowed here."
            )

    def require_fresh(self) -> None:
        """Refuse a form that is not this browser's.

        Raises:
            CollabError: It is not.
        """
        if self.stale is not None:
            raise self.stale

    def set_default_headers(self) -> None:
        """Set the policy of these pages in place of Jupyter's."""
        super().set_default_headers()
        self.set_header("Content-Security-Policy", self.policy)

    def user_agent(self) -> str | None:
        """Return what the browser calls itself."""
        agent = self.request.headers.get("User-Agent")
        return None if agent is None else str(agent)


def registration_of(handler: JupyterHandler) -> Registration:
    """Return who may register by the request of ``handler``."""
    request = handler.request
    configured = handler.settings.get("collab_registration")
    return registration_for(
        None if configured is None else Registration(configured),
        listens_on=str(handler.settings.get("collab_listens_on", "")),
        peer=str(request.remote_ip or ""),
        host=str(request.host or ""),
        headers=list(request.headers),
        version=str(request.version),
    )


class LoginPage(Page):
    """``/login``."""

    @allow_unauthenticated
    async def get(self) -> None:
        """Show the form, or go on where somebody is signed in already."""
        principal = self.principal
        if principal is not None and self.next_url:
            self.redirect(self.next_url)
            return
        self._show("")

    @allow_unauthenticated
    async def post(self) -> None:
        """Sign in with a password, or with Jupyter's own token."""
        username = self.get_body_argument("username", "")
        password = self.get_body_argument("password", "", strip=False)
        address = self.request.remote_ip or ""
        identity = self.identity
        try:
            self.require_fresh()
            if not username or await identity.signs_in_by_token(username):
                user, login = await identity.login_starter_by(
                    lambda: self.provider.is_secret(password),
                    address=address,
                    user_agent=self.user_agent(),
                )
            else:
                user, login = await identity.login(
                    username, password, address=address, user_agent=self.user_agent()
                )
        except CollabError as error:
            self._show(username, error)
            return
        self.provider.remember(self, user, login)
        self.redirect(self.next_url or self.home_url(user.username))

    def _show(self, username: str, error: CollabError | None = None) -> None:
        self.show(
            "login.html",
            error=error,
            username=username,
            action=self.page_url("login", next=self.next_url),
            register_url=(
                None
                if self.registration() is Registration.CLOSED
                else self.page_url("register", next=self.next_url)
            ),
        )


class RegisterPage(Page):
    """``/register``."""

    @allow_unauthenticated
    async def get(self) -> None:
        """Show the form."""
        self._show()

    @allow_unauthenticated
    async def post(self) -> None:
        """Register, and sign in."""
        password = self.get_body_argument("password", "", strip=False)
        address = self.request.remote_ip or ""
        identity = self.identity
        try:
            self.require_fresh()
            if password != self.get_body_argument("password_again", "", strip=False):
                raise _differ()
            user = await identity.register(
                username=self.get_body_argument("username", ""),
                password=password,
                display_name=self.get_body_argument("display_name", "")[:128] or None,
                email=None,
                invitation=self._invitation() or None,
                registration=self.registration(),
                address=address,
            )
            user, login = await identity.login(
                user.username, password, address=address, user_agent=self.user_agent()
            )
        except CollabError as error:
            self._show(error)
            return
        self.provider.remember(self, user, login)
        self.redirect(self.next_url or self.home_url(user.username))

    def _invitation(self) -> str:
        """Return the secret of the link by which the person came."""
        query = urlsplit(self.next_url or "").query
        for item in query.split("&"):
            name, _, value = item.partition("=")
            if name == "invitation":
                return value
        return ""

    def _show(self, error: CollabError | None = None) -> None:
        closed = self.registration() is Registration.CLOSED or (
            self.registration() is Registration.INVITE and not self._invitation()
        )
        if closed and error is None:
            error = RegistrationClosed(
                "You need an invitation to register here; ask whoever shares with you for a link."
            )
        self.show(
            "register.html",
            error=error,
            closed=closed,
            username=self.get_body_argument("username", ""),
            display_name=self.get_body_argument("display_name", ""),
            action=self.page_url("register", next=self.next_url),
            login_url=self.page_url("login", next=self.next_url),
        )


class LogoutPage(Page):
    """``/logout``."""

    @allow_unauthenticated
    async def get(self) -> None:
        """End the login, if a page of this server asks for it; else ask first."""
        if self.principal is not None and not self._asked_for_here():
            self._show(done=False)
            return
        await self._end()

    @allow_unauthenticated
    async def post(self) -> None:
        """End the login."""
        if self.stale is not None:
            self._show(done=False, error=self.stale)
            return
        await self._end()

    async def _end(self) -> None:
        principal = self.principal
        if principal is not None:
            await self.identity.logout(principal, address=self.request.remote_ip)
        self.provider.forget(self)
        self._show(done=True)

    def _asked_for_here(self) -> bool:
        """Return whether the person followed a link of this server, or typed the address."""
        headers = self.request.headers
        site = headers.get("Sec-Fetch-Site")
        if site is not None:
            return site in ("same-origin", "none")
        referrer = urlsplit(headers.get("Referer", "")).netloc
        return referrer == self.request.host

    def _show(self, *, done: bool, error: CollabError | None = None) -> None:
        self.show(
            "logout.html",
            error=error,
            done=done,
            account_url=self.page_url("collab-ai/account"),
            action=self.page_url("logout", next=self.next_url),
            login_url=self.page_url("login", next=self.next_url),
        )


class JoinPage(Page):
    """``/collab-ai/join``: an invitation, for a person in a browser."""

    def initialize(self, invitations: Invitations) -> None:
        """Get what the handler works with."""
        self.invitations = invitations

    @allow_unauthenticated
    async def get(self) -> None:
        """Show who invites to what; who is not signed in does that first."""
        secret = self.get_query_argument("invitation", "")
        principal = self.principal
        if principal is not None:
            path = await self.invitations.joined(principal, secret)
            if path is not None:
                self._go_to(principal, path)
                return
        try:
            found = await self.invitations.check(secret)
        except CollabError as error:
            self.show("join.html", error=error, found=None, me=None, **self._links(secret))
            return
        me = None if principal is None else principal.display_name
        self.show("join.html", found=found, me=me, **self._links(secret))

    @allow_unauthenticated
    async def post(self) -> None:
        """Become a member, and go to what is shared."""
        secret = self.get_query_argument("invitation", "")
        principal = self.principal
        if principal is None:
            self.redirect(self._links(secret)["login_url"])
            return
        try:
            self.require_fresh()
            session = await self.invitations.accept(
                principal, secret, address=self.request.remote_ip
            )
        except CollabError as error:
            self.show("join.html", error=error, found=None, me=None, **self._links(secret))
            return
        self._go_to(principal, str(session["path"]))

    def _login_url(self, here: str) -> str:
        if not self.identity.external:
            return self.page_url("login", next=here)
        login = self.get_login_url()
        # One with a query says there where to come back to: to this page.
        return login if "?" in login else f"{login}?{urlencode({'next': here})}"

    def _go_to(self, principal: Principal, path: str) -> None:
        place = quote(path, safe="/")
        self.redirect(url_path_join(self.home_url(principal.username), "tree", place))

    def _links(self, secret: str) -> dict[str, Any]:
        here = self.page_url("collab-ai/join", invitation=secret)
        return {
            "action": here,
            "login_url": self._login_url(here),
            "logout_url": self.page_url("logout", next=here),
            "register_url": (
                None if self.identity.external else self.page_url("register", next=here)
            ),
            "home": self.base_url,
        }


def _differ() -> CollabError:
    sentence = "The two passwords differ."
    return InvalidRequest(sentence, errors=[FieldError("password_again", sentence)])
