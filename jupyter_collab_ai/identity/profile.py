"""Jupyter's own ``/api/me``, through which JupyterLab lets people change how they look."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

from jupyter_server.services.api.handlers import IdentityHandler
from tornado.web import HTTPError, authenticated

from jupyter_collab_ai.errors import CollabError
from jupyter_collab_ai.identity.provider import CollabIdentityProvider, as_user
from jupyter_collab_ai.identity.service import Identity
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.web.errors import status_of

#: What is kept of a user of Jupyter's; the rest follows from it.
KEPT = frozenset({"display_name", "color"})


class ProfileHandler(IdentityHandler):
    """Takes the place of upstream's handler, whose update can't wait for a database."""

    def initialize(self, identity: Identity) -> None:
        """Get what the handler works with."""
        self.identity = identity

    @authenticated
    async def patch(self) -> None:
        """Change the display name or the colour of one's own account."""
        given = self.get_json_body()
        if not isinstance(given, dict) or not all(isinstance(v, str) for v in given.values()):
            raise HTTPError(400, "Send a JSON object of texts.")
        provider = cast(CollabIdentityProvider, self.identity_provider)
        may = KEPT.intersection(provider.updatable_fields)
        if not given.keys() <= may:
            raise HTTPError(400, f"Here only these can be changed: {', '.join(sorted(may))}.")
        principal: Principal = self.current_user.principal
        try:
            user = await self.identity.change_me(principal, given)
        except CollabError as error:
            raise HTTPError(status_of(error), error.message) from error
        changed = as_user(replace(principal, display_name=user.display_name, color=user.color))
        model = {"status": "success", "identity": provider.identity_model(changed)}
        self.finish(json.dumps(model))


def replacements(identity: Identity) -> dict[type, tuple[type, dict[str, Any]]]:
    """Return which of upstream's handlers is replaced, by which, initialised with what."""
    return {IdentityHandler: (ProfileHandler, {"identity": identity})}
