"""The authorizer: upstream's second question, answered by what the gate has decided."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth import Authorizer
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.services.api.handlers import IdentityHandler

from jupyter_collab_ai.access.gate import GuardMixin, principal_of


class GateAuthorizer(Authorizer):
    """Says yes to a request that has passed the gate, and to no other.

    It does not look at ``action`` and ``resource``: upstream's decorator keeps those of the
    first call of a method for all later ones (``jupyter_server/auth/decorator.py``), so they
    may belong to another request. The gate has decided by handler and method.
    """

    def is_authorized(self, handler: JupyterHandler, user: Any, action: str, resource: str) -> bool:
        """Return whether the gate has let this request of this user through."""
        del action, resource
        if not isinstance(handler, GuardMixin) or handler.collab_admission is None:
            return False
        admitted = handler.collab_admission.principal
        principal = principal_of(user)
        if principal is None or principal.user_id != admitted.user_id:
            return False
        if isinstance(handler, IdentityHandler):
            # `/api/me?permissions=` asks about whatever the client names, at no path.
            return admitted.is_admin
        return True
