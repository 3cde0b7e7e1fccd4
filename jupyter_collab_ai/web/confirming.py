"""Asking for a confirmation before a grave action is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Protocol

from jupyter_server.utils import url_path_join

from jupyter_collab_ai.errors import ConfirmationRequired
from jupyter_collab_ai.grave import About, Action, needs_confirmation
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.web.handlers import ApiHandler
from jupyter_collab_ai.web.requests import is_cache_buster

#: The header by which a repeated request says that it is confirmed.
HEADER = "X-Collab-Confirmation"

#: In place of an id, where nothing can be confirmed: another identity provider keeps the
#: passwords, so that there is none to ask for.
UNAVAILABLE = "unavailable"
CANNOT_CONFIRM = (
    "This can't be confirmed in a browser here, as the password is kept by another sign-in "
    "service; do it with an access token of that service, or ask whoever runs the server."
)

_SENTENCE = "This has to be confirmed with your password, on the page that `confirmation` names."


class Confirmations(Protocol):
    """Who keeps the confirmations."""

    async def ask(
        self,
        principal: Principal,
        request: bytes,
        action: Action,
        *,
        given: str | None,
        address: str,
    ) -> str | None:
        """Return the id of the confirmation that has to be given first.

        None means that the one which was ``given`` holds, and is used up now;
        :data:`UNAVAILABLE` that none can be given.

        Raises:
            RateLimited: Too many were asked for.
        """
        ...


def same_request(method: str, path: str, query: Mapping[str, list[bytes]], body: bytes) -> bytes:
    """Return what two requests have in common only if they ask for the same.

    Args:
        method: The HTTP method.
        path: The path as it is written in the URL.
        query: The parameters; those that only keep caches away don't count.
        body: The body as it was sent.
    """
    parameters = sorted(
        (name, [value.hex() for value in values])
        for name, values in query.items()
        if not is_cache_buster(name, values)
    )
    return json.dumps([method, path, parameters, hashlib.sha256(body).hexdigest()]).encode()


async def confirm(
    handler: ApiHandler,
    confirmations: Confirmations,
    action: Action,
    describe: Callable[[], Awaitable[About]] | None = None,
) -> None:
    """Go on only if an action is not grave, or the person has confirmed this very request.

    Args:
        handler: Of the request.
        confirmations: Who keeps them.
        action: What is asked for.
        describe: Returns whom and what it is about, and raises where who asks may not know of
            it or may not do it. Asked only where there is something to confirm.

    Raises:
        ConfirmationRequired: It has to be confirmed; the error says where.
        RateLimited: Too many confirmations were asked for.
    """
    principal = handler.principal
    if not needs_confirmation(principal.credential, action):
        return
    if describe is not None:
        action = replace(action, about=await describe())
    request = handler.request
    wanted = await confirmations.ask(
        principal,
        same_request(request.method or "", request.path, request.query_arguments, request.body),
        action,
        given=request.headers.get(HEADER),
        address=handler.address,
    )
    if wanted is not None:
        page = url_path_join(handler.base_url, "collab-ai", "confirm", wanted)
        sentence = CANNOT_CONFIRM if wanted == UNAVAILABLE else _SENTENCE
        raise ConfirmationRequired(sentence, extra={"confirmation": {"id": wanted, "url": page}})
