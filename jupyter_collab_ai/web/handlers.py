"""The base of this package's own HTTP handlers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal, NoReturn, TypeVar

from jupyter_server.base.handlers import APIHandler
from pydantic import BaseModel
from tornado import web

from jupyter_collab_ai.errors import (
    CollabError,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    RequestTooLarge,
)
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.web.errors import bare_body, body_of, headers_of, status_of
from jupyter_collab_ai.web.limits import CALLS, SHARING, network_of
from jupyter_collab_ai.web.requests import Body, Query, parse_body, parse_query

M = TypeVar("M", bound=BaseModel)
F = TypeVar("F", bound=Callable[..., Any])
Part = Literal["query", "body"]

#: Under which name the web application has the limiter.
LIMITER = "collab_limiter"
#: Bytes that a request body may have, where a handler does not say otherwise.
MAX_BODY = 1024 * 1024
#: What is certainly no JSON.
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


#: Under which name a method has what it takes.
_TAKES = "__collab_takes__"


def takes(*parts: Part) -> Callable[[F], F]:
    """Mark a method that reads the query or the body; of any other, either has to be empty.

    So what a call does not know passes in silence nowhere, not even where a handler does not
    think of it.
    """

    def mark(method: F) -> F:
        setattr(method, _TAKES, frozenset(parts))
        return method

    return mark


def what_it_takes(method: Callable[..., Any]) -> frozenset[Part]:
    """Return what a method of a handler says that it reads."""
    taken: frozenset[Part] = getattr(method, _TAKES, frozenset())
    return taken


class _NoQuery(Query):
    """A call that takes no parameters."""


class _NoBody(Body):
    """A call that takes no body: one without members is none."""


class ApiHandler(APIHandler):
    """JSON in, JSON out, and every error in the one shape that the contract gives it.

    The gate (:mod:`jupyter_collab_ai.access.gate`) has authenticated and authorised a
    request before a method of a subclass runs.
    """

    max_body = MAX_BODY
    #: Whether a body has to be declared as JSON. Where it is not, an XSRF token or an access
    #: token keeps the forms of other sites out; JupyterLab sends its JSON as text/plain.
    json_only = False

    async def prepare(self) -> None:  # type: ignore[override]
        """Do what upstream does first, count the call, and see that all of it will be read.

        Raises:
            NotFound: An id in the URL can be nobody's.
            CollabError: It is refused.
        """
        await super().prepare()
        if any("\0" in (part or "") for part in self.path_args):
            # PostgreSQL can't even be asked for it.
            raise NotFound("There is no such thing, or it is not shared with you.")
        principal = getattr(self.current_user, "principal", None)
        self.count_call(principal if isinstance(principal, Principal) else None)
        self.refuse_unread()

    def refuse_unread(self) -> None:
        """Refuse parameters and members that the method would not read (see :func:`takes`).

        Raises:
            InvalidRequest: There are some.
        """
        name = (self.request.method or "").lower()
        method = getattr(self, name, None)
        if self._finished or name == "options" or method == self._unimplemented_method:
            return
        taken = what_it_takes(method) if method is not None else frozenset()
        if "query" not in taken:
            self.read_query(_NoQuery)
        if "body" not in taken and self.request.body:
            self.read_body(_NoBody)

    def count_call(self, principal: Principal | None) -> None:
        """Count a call of an account, or of this address where nobody is signed in.

        Raises:
            RateLimited: It is one too many.
        """
        limiter = self.settings.get(LIMITER)
        if limiter is not None and not self._finished:
            limiter.hit(CALLS, network_of(self.address) if principal is None else principal.user_id)

    def count_sharing(self) -> None:
        """Count an invitation, or a change of somebody's role.

        Raises:
            RateLimited: It is one too many.
        """
        limiter = self.settings.get(LIMITER)
        if limiter is not None:
            limiter.hit(SHARING, self.principal.user_id)

    @property
    def principal(self) -> Principal:
        """Who is asking.

        Raises:
            NotAuthenticated: Nobody known is.
        """
        principal = getattr(self.current_user, "principal", None)
        if not isinstance(principal, Principal):
            raise NotAuthenticated("Sign in first, or send a valid access token.")
        return principal

    @property
    def address(self) -> str:
        """The address of the client, after Jupyter's own setting about proxies."""
        return self.request.remote_ip or ""

    def read_body(self, model: type[M]) -> M:
        """Return the request's body as ``model``.

        Raises:
            InvalidRequest: The body is not what ``model`` asks for.
            RequestTooLarge: The body is larger than :attr:`max_body`.
        """
        if len(self.request.body) > self.max_body:
            raise RequestTooLarge(
                f"The request is larger than {self.max_body // 1024} KiB; send less at a time."
            )
        media_type = self.request.headers.get("Content-Type", "").split(";")[0].strip().lower()
        if media_type in _FORMS or (self.json_only and media_type != "application/json"):
            # Keeps forms of other sites out, which can't send JSON's type unasked.
            raise InvalidRequest("Send the request with Content-Type: application/json.")
        return parse_body(model, self.request.body)

    def read_query(self, model: type[M]) -> M:
        """Return the request's query as ``model``.

        Raises:
            InvalidRequest: The query is not what ``model`` asks for.
        """
        return parse_query(model, self.request.query_arguments)

    def write_json(self, value: object, status: int = 200) -> None:
        """Answer with ``value`` as JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())

    def no_content(self) -> None:
        """Answer that it is done and that there is nothing to say."""
        self.set_status(204)
        self.finish()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer an error; what is unexpected stays in the log."""
        exc_info = kwargs.get("exc_info")
        error = exc_info[1] if exc_info else None
        if isinstance(error, CollabError):
            status_code = status_of(error)
            body = body_of(error)
            for name, value in headers_of(error).items():
                self.set_header(name, value)
        else:
            body = bare_body(status_code, error)
            if status_code == 401:
                self.set_header("WWW-Authenticate", "Bearer")
        if self.request.method == "HEAD":
            self.set_status(status_code)
            self.finish()
            return
        self.write_json(body, status_code)
        self.finish()

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log what is unexpected; an error that the client is told about is no event."""
        if isinstance(value, CollabError):
            return
        super().log_exception(typ, value, tb)

    def get_login_url(self) -> NoReturn:
        """Refuse instead of redirecting: a program can't fill in a form."""
        raise NotAuthenticated("Sign in first, or send a valid access token.")


class UnknownHandler(ApiHandler):
    """Answers 404 for whatever lies under our prefix and does not exist."""

    async def prepare(self) -> NoReturn:  # type: ignore[override]
        """Refuse before anything else happens."""
        raise web.HTTPError(404)
