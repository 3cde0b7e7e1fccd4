"""A sign-in service of somebody else's, small, and of the form that JupyterHub's has."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

from jupyter_server.auth import IdentityProvider, User
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler

COOKIE = "elsewhere"
#: What its tokens begin with; the name follows.
TOKEN = "elsewhere-token-of-"


class Member(User):
    """A user with more to them than Jupyter knows, as JupyterHub's have."""


class Callback(JupyterHandler):
    """Where a browser comes back to after it signed in: knows nobody yet."""

    @allow_unauthenticated
    def get(self) -> None:
        self.set_cookie(COOKIE, quote(self.get_argument("name")), httponly=True, samesite="Lax")
        self.redirect(self.get_argument("next", self.base_url))


class SignIn(JupyterHandler):
    """Sends browsers to the service."""

    @allow_unauthenticated
    def get(self) -> None:
        self.finish("Sign in elsewhere.")


class SignOut(JupyterHandler):
    """Ends the login there."""

    @allow_unauthenticated
    def get(self) -> None:
        self.clear_cookie(COOKIE)
        self.finish("Signed out elsewhere.")


class Elsewhere(IdentityProvider):
    """Believes its cookie and its tokens."""

    async def get_user(self, handler: Any) -> User | None:  # type: ignore[override]
        authorization = handler.request.headers.get("Authorization", "")
        _, _, token = authorization.partition(" ")
        if token.startswith(TOKEN):
            handler._token_authenticated = True
            return self._user(unquote(token[len(TOKEN) :]))
        cookie = handler.get_cookie(COOKIE)
        return self._user(unquote(cookie)) if cookie else None

    def _user(self, name: str) -> User:
        return Member(username=name, display_name=f"{name} of elsewhere")

    def get_handlers(self) -> list[tuple[str, object]]:
        return [("/login", SignIn), ("/logout", SignOut), ("/elsewhere/callback", Callback)]


class Everybody(Elsewhere):
    """Asks nobody for a name."""

    @property
    def auth_enabled(self) -> bool:
        return False
