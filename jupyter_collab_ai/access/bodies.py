"""How large a body may be, decided before any of it is read.

Tornado reads the whole of a body into memory before a handler hears of the request, up to
``ServerApp.max_body_size``. So whoever has no credential that could be good gets no further than
what a form takes, and a call that says how much it takes gets no more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler, stream_request_body

from jupyter_collab_ai.errors import RequestTooLarge

#: Bytes of a body of somebody who has not signed in.
MOST_OF_STRANGERS = 1024 * 1024
#: Bytes beyond a limit that are read all the same where a request does not say how many will come,
#: so that the call itself can refuse them with a sentence.
_SLACK = 64 * 1024
#: Bytes of a body that is too large which are let pass, so that its sender hears why.
_MOST_UNREAD = 64 * 1024 * 1024


def bounded(
    request: HTTPServerRequest, handler: type[RequestHandler], is_known: Callable[[], bool]
) -> type[RequestHandler]:
    """Bound what is kept of a request's body; return who answers the request.

    Args:
        request: The request, of which only the headers have come.
        handler: Who answers where the body is not too large; ours say in ``max_body`` how many
            bytes they take, others take as many as the server does.
        is_known: Tells whether the request carries a credential that could be good.
    """
    headers = request.headers
    if "Content-Length" not in headers and "Transfer-Encoding" not in headers:
        return handler
    declared = _declared(headers.get("Content-Length", ""))
    if declared is not None and declared <= _SLACK:
        return handler
    known = is_known()
    limit: int | None = getattr(handler, "max_body", None)
    if not known:
        limit = min(limit or MOST_OF_STRANGERS, MOST_OF_STRANGERS)
    if limit is None:
        return handler
    if declared is not None and declared > limit:
        error = RequestTooLarge(
            f"The request is larger than {limit // 1024} KiB; "
            + ("send less at a time." if known else "sign in first, or send less.")
        )
        return refusing(handler, error, at_once=declared > _MOST_UNREAD)
    if isinstance(request.connection, HTTP1Connection):
        request.connection.set_max_body_size(limit + _SLACK)
    return handler


def _declared(length: str) -> int | None:
    """Return the number of bytes that will come, None if it is not said plainly."""
    length = length.strip()
    return int(length) if length.isascii() and length.isdigit() else None


def refusing(
    handler: type[RequestHandler], error: RequestTooLarge, *, at_once: bool
) -> type[RequestHandler]:
    """Return a handler that keeps nothing of a body and answers with an error.

    Args:
        handler: A guarded one, whose way to write errors is kept.
        error: What it answers with.
        at_once: Whether to answer before the body has come. The connection is closed then, so
            that a client which reads no answer before it has sent all may never see it.
    """

    async def refuse(*_: Any, **__: Any) -> None:
        raise error

    def ignore(*_: Any) -> None:
        """Take no notice."""

    members: dict[str, Any] = {
        "__module__": handler.__module__,
        "data_received": ignore,
        # The answer is the same whoever asks, and from wherever.
        "check_xsrf_cookie": ignore,
        "prepare": refuse if at_once else ignore,
        **{method.lower(): refuse for method in handler.SUPPORTED_METHODS},
    }
    return stream_request_body(type(f"Refusing{handler.__name__}", (handler,), members))


__all__ = ["MOST_OF_STRANGERS", "bounded", "refusing"]
