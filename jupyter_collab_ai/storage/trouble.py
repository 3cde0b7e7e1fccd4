"""What is wrong with the database: for who waits for it, and for who has to mend it.

Whoever waits learns that it does not answer, or that it takes no changes. The log, and whoever
starts a server, get the sentence of the database's driver: it names no values, no password and no
URL, and it is all that tells a full disk from a wrong password.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any, Final

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from jupyter_collab_ai.errors import DatabaseUnavailable
from jupyter_collab_ai.logs import Rarely
from jupyter_collab_ai.storage.writer import Undone

log = logging.getLogger(__name__)

#: Seconds without trouble after which it is over.
OVER_AFTER = 5.0

UNREACHABLE: Final = "The database can't be reached at the moment; try again in a few seconds."
UNWRITABLE: Final = (
    "The database takes no changes at the moment; try again later, and tell whoever runs the "
    "server if it stays so."
)

#: Errors of PostgreSQL that nothing but its administrator ends: it is read-only (a standby), a
#: right is missing, the disk is full.
#: (https://www.postgresql.org/docs/current/errcodes-appendix.html)
_UNWRITABLE_STATES: Final = frozenset({"25006", "42501", "53100"})
#: The same of SQLite, by its primary result codes.
_UNWRITABLE_CODES: Final = frozenset(
    {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_PERM}
)
#: Its file is damaged, or is something else.
_DAMAGED_CODES: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def unavailable(error: Exception) -> DatabaseUnavailable | None:
    """Return what to tell those who wait; None where it is a fault of what was asked."""
    if isinstance(error, Undone) and isinstance(error.__cause__, DBAPIError):
        return unavailable(error.__cause__) or DatabaseUnavailable(UNREACHABLE, retry_after=2)
    if isinstance(error, PoolTimeout | Undone):
        return DatabaseUnavailable(UNREACHABLE, retry_after=2)
    if not isinstance(error, DBAPIError):
        return None
    code = _sqlite_code(error.orig)
    if code in _UNWRITABLE_CODES or getattr(error.orig, "pgcode", None) in _UNWRITABLE_STATES:
        return DatabaseUnavailable(UNWRITABLE, retry_after=5)
    if (
        isinstance(error, OperationalError)
        or error.connection_invalidated
        or code in _DAMAGED_CODES
    ):
        return DatabaseUnavailable(UNREACHABLE, retry_after=2)
    return None


def words_of(error: BaseException | None) -> str:
    """Return what the driver says of an error, in one line and without the values of a statement.

    Args:
        error: The driver's, or that of SQLAlchemy about it.
    """
    if isinstance(error, Undone) and error.__cause__ is not None:
        return words_of(error.__cause__)
    if isinstance(error, PoolTimeout):
        return "no connection became free in time"
    if isinstance(error, DBAPIError):
        return words_of(error.orig)
    # The whole text of PostgreSQL's may quote the statement, values and all.
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    lines = [line for line in str(primary or error).splitlines() if not line.startswith("\t")]
    said = "; ".join(" ".join(line.split()) for line in lines if line.strip())
    return said.rstrip(".") or type(error).__name__


def place_of(url: URL) -> str:
    """Return which database a URL means, in words that give no secret away."""
    if url.get_backend_name() == "sqlite":
        return f"the SQLite file {Path(url.database or '').absolute()}"
    given = url.query.get("host")
    host = url.host or (given if isinstance(given, str) else None) or "the local socket"
    port = f":{url.port}" if url.port else ""
    return f"the PostgreSQL database {url.database or url.username or ''} at {host}{port}"


def explained(url: URL, error: BaseException | None) -> DatabaseUnavailable:
    """Return what to tell whoever starts a server, or works at a terminal.

    Args:
        url: Which database it is.
        error: What is wrong with it.
    """
    place, said = place_of(url), words_of(error)
    hint = ""
    if url.get_backend_name() == "sqlite":
        hint = _hint(Path(url.database or "").absolute())
    elif "password authentication failed" in said:
        hint = (
            "look at the user and the password in COLLAB_AI_DATABASE_URL, where the password "
            "has to be percent-encoded"
        )
    return DatabaseUnavailable(
        f"{place[0].upper()}{place[1:]} can't be used: {said}{'; ' if hint else ''}{hint}."
    )


class TroubleLog:
    """Says in the log that the database fails, and that it is well again; neither too often."""

    def __init__(self, place: str) -> None:
        """Prepare to tell of one database.

        Args:
            place: Which one it is; see :func:`place_of`.
        """
        self._place = place
        self._lock = threading.Lock()
        self._rarely = Rarely()
        self._since = 0.0
        self._last = 0.0
        #: Whether it fails, and whether it does so at writing.
        self._ailing = self._at_writing = False

    def met(self, error: Exception, *, writing: bool) -> None:
        """Note that something failed; can be called in any thread."""
        said = words_of(error)
        with self._lock:
            self._last = time.monotonic()
            if not self._ailing:
                self._since = self._last
            self._ailing = True
            self._at_writing |= writing
            due = self._rarely.is_due(said)
        if due:
            log.warning("There is trouble with %s: %s", self._place, said)

    def worked(self, *, writing: bool) -> None:
        """Note that something worked; can be called in any thread."""
        if not self._ailing or (self._at_writing and not writing):
            return
        with self._lock:
            now = time.monotonic()
            if not self._ailing or now - self._last < OVER_AFTER:
                return
            self._ailing = self._at_writing = False
            self._rarely.forget()
            lasted = self._last - self._since
        log.info("The trouble with %s is over; it lasted %.0f s.", self._place, lasted)


def _sqlite_code(error: Any) -> int | None:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    # The bits above say more precisely what it is.
    return None if code is None else code & 0xFF


def _hint(file: Path) -> str:
    """Return what is the matter with the place of an SQLite file, if anything is."""
    folder = file.parent
    if not folder.is_dir():
        return f"there is no folder {folder}"
    if file.is_dir():
        return "it is a folder"
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        return "this user may not read and write it"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"this user may not write into the folder {folder}"
    return ""
