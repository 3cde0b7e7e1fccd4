"""Which database a server, or a command, works on."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from jupyter_collab_ai.errors import InvalidRequest
from jupyter_collab_ai.settings import Settings
from jupyter_collab_ai.storage import roots
from jupyter_collab_ai.storage.database import Database
from jupyter_collab_ai.storage.engine import sqlite_url

log = logging.getLogger(__name__)


class OtherRoot(RuntimeError):
    """The database belongs to what is below another folder."""


def name_of(folder: str) -> str:
    """Return what tells a root from others unless an administrator says so."""
    # (A name that is no Unicode is none of the database's either.)
    return os.fsencode(Path(folder).resolve()).decode(errors="backslashreplace")


def open_for(settings: Settings, name: str) -> Database:
    """Return the database of a root, its schema up to date.

    An embedded one is made for each root. One that an administrator has named belongs to the
    first root for which it is opened.

    Args:
        settings: The environment.
        name: What tells the root from others: its real path, or what an administrator calls it.

    Raises:
        OtherRoot: The database that is named belongs to another root.
        InvalidDatabaseUrl, SchemaTooNew, DatabaseUnavailable: It can't be used.
    """
    if settings.database_url is not None:
        database = Database(settings.database_url)
        owner = _claimed(database, name)
        if owner != name:
            database.close_now()
            raise OtherRoot(
                f"The database belongs to the files below {owner}; give those below {name} "
                f'another database, or set CollabAI.root_name = "{owner}" if they are the same.'
            )
        return database
    first = roots.first_file(settings.data_dir)
    for path in (first, roots.own_file(settings.data_dir, name)):
        database = _embedded(path)
        if _claimed(database, name) == name:
            if path != first:
                log.info("What is below %s has a database of its own: %s", name, path)
            return database
        database.close_now()
    raise OtherRoot(f"{path} does not belong to the files below {name}; move it away.")


def open_known(settings: Settings, folder: str | None) -> Database:
    """Return the database that an administrator at a terminal means, its schema up to date.

    Args:
        settings: The environment.
        folder: In which folder the server is started; None where there is one only.

    Raises:
        InvalidRequest: There are several, or none of this folder.
        InvalidDatabaseUrl, SchemaTooNew, DatabaseUnavailable: It can't be used.
    """
    if settings.database_url is not None:
        database = Database(settings.database_url)
    else:
        known = roots.known_files(settings.data_dir)
        database = _embedded(_meant(known, settings, folder))
    database.migrate()
    return database


def _meant(known: dict[Path, str | None], settings: Settings, folder: str | None) -> Path:
    names = ", ".join(sorted(filter(None, known.values()))) or "none"
    if folder is not None:
        wanted = {folder, name_of(folder)}
        for path, name in known.items():
            if name in wanted:
                return path
        raise InvalidRequest(
            f"No server has been started in {folder} yet; those in which one was are: {names}."
        )
    if len(known) > 1:
        raise InvalidRequest(
            "Servers in several folders have a database each; name the folder by --root, one of: "
            f"{names}."
        )
    return next(iter(known), roots.first_file(settings.data_dir))


def _embedded(path: Path) -> Database:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # What people write, and the hashes of their passwords, are for nobody else on this machine.
    # (What SQLite keeps beside it gets the same mode.)
    path.touch(mode=0o600, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return Database(sqlite_url(path))


def _claimed(database: Database, name: str) -> str:
    database.migrate()
    with database.explained():
        return database.write_now(lambda tx: roots.claim(tx, name), lock="root")
