"""Jupyter's identity provider: tells for each request of the whole server whose it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from jupyter_server.auth import IdentityProvider, PasswordIdentityProvider, User
from jupyter_server.auth.security import passwd_check
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler
from traitlets import default

from jupyter_collab_ai.errors import (
    CollabError,
    DatabaseUnavailable,
    NotAuthenticated,
    RateLimited,
)
from jupyter_collab_ai.identity import store
from jupyter_collab_ai.identity.names import initials_of
from jupyter_collab_ai.identity.pages import LoginPage, LogoutPage, Page, RegisterPage
from jupyter_collab_ai.identity.service import Identity, same_token
from jupyter_collab_ai.identity.tokens import LOGIN_LIFETIME
from jupyter_collab_ai.principal import Credential, Principal

#: The prefix of the WebSocket subprotocol that carries an access token.
SUBPROTOCOL_PREFIX = "bearer."
_ATTRIBUTE = "_collab_user"


@dataclass
class CollabUser(User):
    """A user as Jupyter knows them, with who they are to us."""

    principal: Principal | None = None


class CollabProvider(IdentityProvider):
    """What any identity provider of ours does: it finds out the account behind a request."""

    #: Set by ``app.py`` before the server listens; until then nobody is anybody.
    identity: Identity | None = None

    async def get_user(self, handler: RequestHandler) -> CollabUser | None:
        """Return who sent a request, or None.

        Where a credential came that is no good, ``handler.collab_auth_error`` says why. One
        that is no good never falls back to another: a client has to know.
        """
        if not hasattr(handler, _ATTRIBUTE):
            user = None
            try:
                principal = await self._principal(handler)
            except DatabaseUnavailable:
                # Nothing is wrong with the credential; who it belongs to is not known now.
                raise
            except CollabError as error:
                handler.collab_auth_error = error  # type: ignore[attr-defined]
            else:
                user = None if principal is None else as_user(principal)
            setattr(handler, _ATTRIBUTE, user)
        found: CollabUser | None = getattr(handler, _ATTRIBUTE)
        return found

    async def _principal(self, handler: RequestHandler) -> Principal | None:
        raise NotImplementedError

    def may_be_known(self, request: HTTPServerRequest) -> bool:
        """Tell whether a request carries a credential that could be good, without waiting.

        Of those that could, :meth:`get_user` finds out whether they are.
        """
        raise NotImplementedError

    def is_token_authenticated(self, handler: RequestHandler) -> bool:
        """Return whether a request carries a credential that no other site can make it send."""
        user = getattr(handler, _ATTRIBUTE, None)
        principal = None if user is None else user.principal
        return principal is not None and principal.credential is not Credential.COOKIE

    def should_check_origin(self, handler: RequestHandler) -> bool:
        """Return whether the origin of a request matters: where a cookie may have come along."""
        return not self.is_token_authenticated(handler)

    def identity_model(self, user: User) -> dict[str, Any]:
        """Return what ``/api/me`` says of a user."""
        return {
            "username": user.username,
            "name": user.name,
            "display_name": user.display_name,
            "initials": user.initials,
            "avatar_url": user.avatar_url,
            "color": user.color,
        }

    @default("updatable_fields")
    def _default_updatable_fields(self) -> list[str]:
        return ["display_name", "color"]


class CollabIdentityProvider(CollabProvider, PasswordIdentityProvider):
    """Accounts of our own, by access token, login cookie or Jupyter's own token.

    Jupyter's token, and a password that was set with ``jupyter server password``, are those of
    whoever starts the server, and of nobody else.
    """

    async def _principal(self, handler: RequestHandler) -> Principal | None:
        identity = self.identity
        if identity is None:
            return None
        authorization = handler.request.headers.get("Authorization")
        if authorization is not None:
            scheme, _, credential = authorization.strip().partition(" ")
            credential = credential.strip()
            if scheme.lower() == "bearer":
                return await identity.authenticate(credential, Credential.BEARER)
            if scheme.lower() == "token":
                right = same_token(credential, self.token)
                await identity.count_token(_address(handler), right=right, token=self.token)
                if right:
                    return await identity.authenticate_starter()
                raise NotAuthenticated("This is not the token of this server.")
        subprotocol = _bearer_of(handler)
        if subprotocol is not None:
            return await identity.authenticate(subprotocol, Credential.BEARER)
        given = _token_in_query(handler)
        if given is not None:
            return await self._exchange(handler, identity, given)
        return await self._by_cookie(handler, identity)

    def may_be_known(self, request: HTTPServerRequest) -> bool:
        """Tell whether a request has Jupyter's token, or what was signed here."""
        if self.identity is None:
            return False
        scheme, _, given = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() == "token":
            return same_token(given.strip(), self.token)
        if scheme.lower() == "bearer":
            return self.identity.was_signed(given.strip(), Credential.BEARER)
        cookie = request.cookies.get(self._cookie_name_at(request.host))
        return cookie is not None and self.identity.was_signed(cookie.value, Credential.COOKIE)

    async def _by_cookie(self, handler: RequestHandler, identity: Identity) -> Principal | None:
        cookie = handler.get_cookie(self.get_cookie_name(handler))
        return await identity.authenticate(cookie, Credential.COOKIE) if cookie else None

    async def _exchange(
        self, handler: RequestHandler, identity: Identity, given: str
    ) -> Principal | None:
        """Exchange ``?token=`` for the login cookie, and redirect to the URL without it.

        A wrong one is taken off the URL, too, and whoever has no login is asked to sign in.
        """
        try:
            principal = await self._by_cookie(handler, identity)
        except DatabaseUnavailable:
            raise
        except CollabError:
            principal = None
        here = without_token(handler.request.path, handler.request.query)
        right = same_token(given, self.token)
        try:
            await identity.count_token(_address(handler), right=right, token=self.token)
        except RateLimited:
            # The redirect has to be made all the same: the URL must not keep the token.
            right = False
        if right:
            if principal is None or principal.user_id != identity.starter_id:
                user, login = await identity.login_starter(
                    address=_address(handler),
                    user_agent=handler.request.headers.get("User-Agent"),
                )
                self.remember(handler, user, login)
                principal = await identity.authenticate_starter()
        elif principal is None and not isinstance(handler, Page):
            here = f"{handler.get_login_url()}?{urlencode({'next': here})}"
        # The page that one came from is none of the next one's business: it has the token.
        handler.set_header("Referrer-Policy", "no-referrer")
        handler.set_header("Cache-Control", "no-store")
        handler.redirect(here)
        return principal

    def is_secret(self, given: str) -> bool:
        """Return whether ``given`` is Jupyter's token or password; takes as long as a hash."""
        if same_token(given.strip(), self.token):
            return True
        return bool(self.hashed_password) and bool(
            passwd_check(self.hashed_password, given)  # type: ignore[no-untyped-call]
        )

    # ------------------------------------------------------------ cookies

    def remember(self, handler: RequestHandler, user: store.User, login: store.Login) -> None:
        """Set the login cookie."""
        assert self.identity is not None
        handler.set_cookie(
            self.get_cookie_name(handler),
            self.identity.cookie(user, login),
            expires_days=LOGIN_LIFETIME.days,
            **self._cookie_options(handler),
        )

    def forget(self, handler: RequestHandler) -> None:
        """Clear the login cookie."""
        handler.clear_cookie(self.get_cookie_name(handler), path=self._cookie_path(handler))

    def get_cookie_name(self, handler: RequestHandler) -> str:
        """Return the name of the login cookie, another one for each port of a host."""
        return self._cookie_name_at(handler.request.host)

    def _cookie_name_at(self, host: str) -> str:
        return str(self.cookie_name or "collab-ai-" + re.sub(r"[^A-Za-z0-9]", "-", host))

    def _cookie_options(self, handler: RequestHandler) -> dict[str, Any]:
        secure = self.secure_cookie
        if secure is None:
            secure = handler.request.protocol == "https"
        options = {"httponly": True, "samesite": "Lax", "path": self._cookie_path(handler)}
        options.update(self.cookie_options)
        if secure:
            options["secure"] = True
        return options

    @staticmethod
    def _cookie_path(handler: RequestHandler) -> str:
        return str(handler.settings.get("base_url", "/"))

    # ------------------------------------------------------------ what Jupyter asks

    def process_login_form(self, handler: RequestHandler) -> None:
        """Let nobody in by the form of Jupyter's own, which is not shown."""
        del handler

    @property
    def auth_enabled(self) -> bool:
        """Always: there is no server of ours without accounts."""
        return True

    @property
    def login_available(self) -> bool:
        """Always."""
        return True

    @property
    def logout_available(self) -> bool:
        """Always."""
        return True

    def get_handlers(self) -> list[tuple[str, object]]:
        """Return the pages where people sign in and out."""
        return [("/login", LoginPage), ("/logout", LogoutPage), ("/register", RegisterPage)]

    def validate_security(self, app: Any, ssl_options: dict[str, Any] | None = None) -> None:
        """Warn where passwords would go over a network in the clear, and of no way in."""
        super().validate_security(app, ssl_options)
        if ssl_options is None and app.ip in ("0.0.0.0", "::"):  # noqa: S104
            self.log.warning(
                "The server listens on all addresses without TLS; "
                "put it behind a proxy that encrypts, or set ServerApp.certfile."
            )
        if not self.token and not self.hashed_password:
            self.log.warning(
                "There is neither a token nor a password of Jupyter's, so whoever starts this "
                "server can't sign in as its admin; leave IdentityProvider.token unset."
            )


def as_user(principal: Principal) -> CollabUser:
    """Return a principal as Jupyter knows users."""
    return CollabUser(
        username=principal.username,
        name=principal.display_name,
        display_name=principal.display_name,
        initials=initials_of(principal.display_name),
        color=principal.color,
        principal=principal,
    )


def without_token(path: str, query: str) -> str:
    """Return a local URL without the parameter ``token``."""
    kept = [
        (name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != "token"
    ]
    # Two slashes at the front would name another host.
    local = "/" + path.lstrip("/\\")
    return local + ("?" + urlencode(kept) if kept else "")


def _address(handler: RequestHandler) -> str:
    return handler.request.remote_ip or ""


def _token_in_query(handler: RequestHandler) -> str | None:
    """Return what the URL of a page says is Jupyter's token."""
    if handler.request.method != "GET" or isinstance(handler, APIHandler | WebSocketHandler):
        return None
    if not isinstance(handler, JupyterHandler):
        return None
    given = [value for name, value in parse_qsl(handler.request.query) if name == "token"]
    return given[-1] if given else None


def _bearer_of(handler: RequestHandler) -> str | None:
    """Return the access token that a browser's WebSocket offers as a subprotocol."""
    if not isinstance(handler, WebSocketHandler):
        return None
    offered = handler.request.headers.get("Sec-WebSocket-Protocol", "")
    for item in offered.split(","):
        name = item.strip()
        if name.startswith(SUBPROTOCOL_PREFIX):
            return name[len(SUBPROTOCOL_PREFIX) :]
    return None
