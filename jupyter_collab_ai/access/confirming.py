"""What ends sessions by the way of Jupyter's own calls is confirmed, as ending them by ours is.

JupyterLab's file browser shows the sentence of an error, and knows nothing of confirmations. So
the sentence names the page, and the request that comes after it need not name the confirmation:
the browser does, by a cookie.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from jupyter_server.utils import url_path_join
from tornado.httputil import HTTPServerRequest
from tornado.web import RequestHandler

from jupyter_collab_ai.access.ports import Shared
from jupyter_collab_ai.access.rules import Need
from jupyter_collab_ai.errors import ConfirmationRequired
from jupyter_collab_ai.grave import About, Action, Kind, needs_confirmation
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.web.confirming import HEADER, Confirmations, same_request

#: Holds the id of what was asked to be confirmed last. Like the header it proves nothing: the
#: confirmation is bound to the login and to the very request.
COOKIE = "collab-ai-confirmation"
#: Seconds that the browser keeps it; the confirmation itself ends by itself.
_COOKIE_AGE = 600
#: Names of sessions that are shown to the person.
_SHOWN = 5


class Confirming:
    """Asks for a confirmation where a request would end sessions."""

    def __init__(self, confirmations: Confirmations) -> None:
        """Ask by ``confirmations``."""
        self._confirmations = confirmations

    def needed(self, principal: Principal, need: Need) -> bool:
        """Return whether a need may have to be confirmed, should sessions end by it."""
        return need.becomes is not None and needs_confirmation(
            principal.credential, Action(need.becomes)
        )

    async def require(
        self,
        handler: RequestHandler,
        principal: Principal,
        kind: Kind,
        path: str,
        ending: Sequence[Shared],
    ) -> None:
        """Go on only if the person has confirmed this very request.

        Args:
            handler: Of the request.
            principal: Who asks; may end all of ``ending``.
            kind: What becomes of these sessions.
            path: What is deleted.
            ending: The sessions.

        Raises:
            ConfirmationRequired: It has to be confirmed; the error says where.
            RateLimited: Too many confirmations were asked for.
        """
        request = handler.request
        wanted = await self._confirmations.ask(
            principal,
            _same(request, ending),
            Action(kind, _about(path, ending), delete_files=True, sessions=len(ending)),
            given=request.headers.get(HEADER) or handler.get_cookie(COOKIE),
            address=request.remote_ip or "",
        )
        base_url = handler.settings.get("base_url", "/")
        here = url_path_join(base_url, "api", "contents")
        if wanted is None:
            handler.clear_cookie(COOKIE, path=here)
            return
        page = url_path_join(base_url, "collab-ai", "confirm", wanted)
        handler.set_cookie(
            COOKIE,
            wanted,
            path=here,
            max_age=_COOKIE_AGE,
            httponly=True,
            samesite="Strict",
            secure=request.protocol == "https",
        )
        what = "a session" if len(ending) == 1 else f"{len(ending)} sessions"
        raise ConfirmationRequired(
            f"This ends {what} for all members, so confirm it with your password: open "
            f"{request.protocol}://{request.host}{page} in a new tab, and then delete it again.",
            extra={"confirmation": {"id": wanted, "url": page}},
        )


def _same(request: HTTPServerRequest, ending: Sequence[Shared]) -> bytes:
    """Return what two requests have in common only if the same sessions end by both.

    Between the asking and the doing a script could move another session's files to the path.
    """
    asked = same_request(request.method or "", request.path, request.query_arguments, request.body)
    return asked + json.dumps(sorted(each.id for each in ending)).encode()


def _about(path: str, ending: Sequence[Shared]) -> About:
    names = [each.name for each in ending[:_SHOWN]]
    if len(ending) > _SHOWN:
        names.append(f"{len(ending) - _SHOWN} more")
    (first, *others) = ending
    return About(session_id=None if others else first.id, session_name=", ".join(names), path=path)


__all__ = ["COOKIE", "Confirming"]
