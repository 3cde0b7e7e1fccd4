"""Where JupyterLab's settings and workspaces of each account are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jupyter_collab_ai.principal import Principal


@dataclass(frozen=True)
class Folders:
    """A folder for each account but one: the server's own belong to whoever starts it."""

    #: Where the folders of all accounts are.
    base: Path
    #: The name of the account that keeps using JupyterLab's own folders.
    starter: str

    def of(self, principal: Principal) -> Path | None:
        """Return the folder of an account, or None for JupyterLab's own."""
        if principal.username == self.starter:
            return None
        # Ids are random and URL-safe, and unlike names are never given to somebody else.
        return self.base / principal.user_id
