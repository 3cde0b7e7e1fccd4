"""Another identity provider in charge: who somebody is, it says; what they may do, we do."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from jupyter_server.auth import IdentityProvider, User
from jupyter_server.utils import ensure_async
from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler
from traitlets import TraitType

from jupyter_collab_ai.errors import NotAuthenticated
from jupyter_collab_ai.identity.provider import CollabProvider
from jupyter_collab_ai.identity.service import is_unguessable, same_token
from jupyter_collab_ai.identity.store import MAX_EXTERNAL, External
from jupyter_collab_ai.principal import Credential, Principal


class ExternalProvider(CollabProvider):
    """Takes people as another identity provider names them, and finds their accounts.

    Stands in front of that provider's class, see :func:`external_provider`. Its tokens and
    cookies alone are good here; ours are not, but for Jupyter's own token, whose holder starts
    the server.
    """

    #: Which provider it is, in the accounts.
    issuer = ""

    async def _principal(self, handler: RequestHandler) -> Principal | None:
        identity = self.identity
        if identity is None:
            return None
        scheme, _, given = handler.request.headers.get("Authorization", "").strip().partition(" ")
        token = self._jupyters_token()
        if scheme.lower() == "token" and same_token(given.strip(), token):
            return await identity.authenticate_starter()
        user = await self._named(handler)
        if user is None:
            return None
        subject = str(user.username or "")
        if not subject or len(subject) > MAX_EXTERNAL:
            raise NotAuthenticated("Your sign-in service gives no name that could be used here.")
        by_token = self._came_by_token(handler, user)
        # From here on they are signed in there: to send them there again would lead nowhere.
        handler.collab_signed_in = True  # type: ignore[attr-defined]
        return await identity.authenticate_external(
            External(self.issuer, subject),
            str(user.display_name or user.name or ""),
            # What is not known to be a token may be a cookie, which other sites make it send.
            Credential.BEARER if by_token else Credential.COOKIE,
            address=handler.request.remote_ip or "",
        )

    def may_be_known(self, request: HTTPServerRequest) -> bool:
        """Tell whether a request has any credential: what is good, the other provider knows."""
        return bool({"Authorization", "Cookie"} & set(request.headers)) or "token" in request.query

    def _jupyters_token(self) -> str:
        """Return Jupyter's own token, or nothing where it is none that anybody may come by.

        A provider may have another one in its place, as JupyterHub's has that by which the
        server asks the hub.
        """
        is_jupyters = isinstance(inspect.getattr_static(type(self), "token"), TraitType)
        # No limit keeps anybody from guessing here, so one that could be guessed is none.
        return self.token if is_jupyters and is_unguessable(self.token) else ""

    async def _named(self, handler: RequestHandler) -> User | None:
        """Return who the other provider says it is."""
        found = await ensure_async(super(CollabProvider, self).get_user(handler))
        return found if isinstance(found, User) else None

    def _came_by_token(self, handler: RequestHandler, user: User) -> bool:
        handler.current_user = user  # where upstream's own answer looks
        return bool(super(CollabProvider, self).is_token_authenticated(handler))

    def remember(self, handler: RequestHandler, user: Any, login: Any) -> None:
        """Set no cookie: that is the other provider's."""

    def forget(self, handler: RequestHandler) -> None:
        """Clear no cookie: that is the other provider's."""

    def is_secret(self, given: str) -> bool:
        """Return that nothing typed is a secret of ours: none is asked for."""
        del given
        return False


def sign_in_handlers(provider: object) -> tuple[type[RequestHandler], ...]:
    """Return the handlers by which another identity provider signs people in and out.

    Raises:
        RuntimeError: There is no other one, or it lets everybody in, whoever they are.
    """
    if not isinstance(provider, ExternalProvider):
        raise RuntimeError(  # noqa: TRY004  # a setting is wrong, not the program
            "CollabAI.external_accounts is set, but ServerApp.identity_provider_class names no "
            "other sign-in service; set it, or remove the former."
        )
    if not provider.auth_enabled:
        raise RuntimeError(
            "the sign-in service lets everybody in without a name; configure it to ask for one"
        )
    return tuple(
        rule[1]
        for rule in provider.get_handlers()
        if isinstance(rule[1], type) and issubclass(rule[1], RequestHandler)
    )


@cache
def external_provider(
    configured: type[IdentityProvider], issuer: str = ""
) -> type[ExternalProvider]:
    """Return the provider that leaves it to ``configured`` who somebody is.

    One that does so already is returned as it is.

    Args:
        configured: What the administrator has configured; its own settings hold.
        issuer: What it is called in the accounts; the path of its class where it is empty.
    """
    if issubclass(configured, ExternalProvider):
        return configured
    name = issuer or f"{configured.__module__}.{configured.__qualname__}"
    return type(
        f"Collab{configured.__name__}",
        (ExternalProvider, configured),
        {"__module__": __name__, "issuer": name[:MAX_EXTERNAL]},
    )
