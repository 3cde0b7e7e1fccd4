"""The account of whoever starts the server, and so holds Jupyter's own token."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

from jupyter_collab_ai.identity import store
from jupyter_collab_ai.storage.database import Database, Tx


class NoStarterName(RuntimeError):
    """Both names that the account could have belong to others."""


def take_charge(database: Database, username: str) -> store.User:
    """Return what :func:`ensure_starter` does, also where several servers start at once.

    Blocks; for use before the event loop runs.

    Raises:
        NoStarterName: Others have the names that it could have.
        DatabaseUnavailable: The database can't be reached.
    """
    return database.write_now(lambda tx: ensure_starter(tx, username), lock="starter")


def ensure_starter(tx: Tx, username: str) -> store.User:
    """Return the admin account of whoever starts the server, made at the first start.

    Raises:
        NoStarterName: Others have the names that it could have.
    """
    name, found = find_starter(tx, username)
    if found is None:
        found = store.add_user(tx, name, is_admin=True)
    if not (found.is_active and found.starts_server):
        store.change_user(tx, found.id, is_active=True, starts_server=True)
    return found


def find_starter(tx: Tx, username: str) -> tuple[str, store.User | None]:
    """Return the name that the starter's account has or will get, and the account.

    An account of the same name that somebody registered on another server, or that another
    identity provider brought, stays theirs: the starter's is called differently then.

    Raises:
        NoStarterName: Others have the names that it could have.
    """
    for name in (username, f"{username[:58]}-admin"):
        found = store.find_user_named(tx, name)
        if found is None or (found.is_admin and found.issuer is None):
            return name, found
    raise NoStarterName(
        f"There are accounts called {username} and {username}-admin, and neither is an admin; "
        "make one of them an admin first."
    )


def system_name() -> str:
    """Return the operating system's name of who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in some containers
        return _nameless(os.getuid()) if hasattr(os, "getuid") else "admin"


def owner_name(path: Path) -> str | None:
    """Return the operating system's name of who owns a file, where it knows owners."""
    try:
        return path.owner()
    except KeyError:
        return _nameless(path.stat().st_uid)
    except (NotImplementedError, OSError):
        return None


def _nameless(user_id: int) -> str:
    return f"user-{user_id}"
