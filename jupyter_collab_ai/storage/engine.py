"""How the two databases are reached, and the settings without which they misbehave."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, Connection, Dialect, make_url
from sqlalchemy.exc import ArgumentError, InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from jupyter_collab_ai.storage.checkpoints import LAST_RESORT
from jupyter_collab_ai.storage.driver import driver_errors

#: Milliseconds that a SQLite writer waits for another one.
BUSY_TIMEOUT = 10_000
#: The execution option of a connection whose transactions are begun by :func:`begin_writing`.
BEGUN = "collab_begun"
#: Seconds to wait for a PostgreSQL server to answer a new connection.
CONNECT_TIMEOUT = 5
#: Seconds after which a connection to PostgreSQL that was not used is asked whether it lives.
IDLE = 1.0
_USED_AT = "collab_used_at"


_ENCODE = "In a password write @ as %40, / as %2F, : as %3A and % as %25."


class InvalidDatabaseUrl(ValueError):
    """The database URL can't be used; the message says why, without the password."""


def parse_url(text: str) -> URL:
    """Turn what an administrator wrote into the URL of a supported database and driver.

    ``postgres://`` and ``postgresql://`` mean PostgreSQL through psycopg2; SQLAlchemy 2.1
    would take the second for psycopg 3 and does not know the first.

    Raises:
        InvalidDatabaseUrl: The text is no URL, or names another kind of database.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # what should be the port may be no number
        raise InvalidDatabaseUrl(
            "COLLAB_AI_DATABASE_URL is not a database URL; write it like "
            f"postgresql://user:password@host/database. {_ENCODE}"
        ) from None
    if url.drivername in {"postgres", "postgresql", "postgresql+psycopg2"}:
        if _splits_password(url, text):
            raise InvalidDatabaseUrl(
                f"COLLAB_AI_DATABASE_URL has an @ where none can be. {_ENCODE}"
            )
        return url.set(drivername="postgresql+psycopg2")
    if url.drivername in {"sqlite", "sqlite+pysqlite"}:
        if not url.database or url.database == ":memory:":
            raise InvalidDatabaseUrl(
                "A SQLite database for jupyter-collab-ai has to be a file; "
                "write it like sqlite:////home/me/collab.db."
            )
        return url.set(drivername="sqlite+pysqlite")
    raise InvalidDatabaseUrl(
        f"COLLAB_AI_DATABASE_URL names {url.drivername!r}; PostgreSQL and SQLite are supported."
    )


def _splits_password(url: URL, text: str) -> bool:
    """Tell whether the end of a password was taken for the host, which errors would name."""
    before_value = text.partition("?")[2].partition("=")[0]
    return (
        "@" in (url.host or "")
        or (url.username is not None and "@" in (url.database or ""))
        or (url.database is None and "@" in before_value)
    )


def sqlite_url(path: Path) -> URL:
    """Return the URL of the SQLite database in the file ``path``."""
    return URL.create("sqlite+pysqlite", database=str(path))


def make_engine(url: URL, *, pool_size: int) -> Engine:
    """Create the engine for ``url`` with ``pool_size`` connections at the most."""
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, pool_size=pool_size, max_overflow=0, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        # Errors reach the log, and parameters may be secrets.
        hide_parameters=True,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "application_name": "jupyter-collab-ai",
        },
    )
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", partial(_ask_whether_it_lives, engine.dialect))
    return engine


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info[_USED_AT] = time.monotonic()


def _ask_whether_it_lives(
    dialect: Dialect, connection: Any, record: ConnectionPoolEntry, _proxy: object
) -> None:
    # (``pool_pre_ping`` asks each time, which while people type is a trip to the server for
    # each keystroke.)
    used_at = record.info.get(_USED_AT)
    if used_at is None or time.monotonic() - used_at < IDLE:
        return
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        # The pool opens a new one instead, and gives up all others that are as old.
        raise InvalidatePoolError from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver begins late and commits behind one's back unless it is told to keep out.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"PRAGMA busy_timeout={BUSY_TIMEOUT}",
        "PRAGMA journal_mode=WAL",
        # An acknowledged edit has to survive the loss of power, not only of the process.
        "PRAGMA synchronous=FULL",
        "PRAGMA foreign_keys=ON",
        f"PRAGMA wal_autocheckpoint={LAST_RESORT}",
    ):
        cursor.execute(pragma)
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once when another one wrote
    # in between, and no time-out helps; so those that will write take the lock first.
    options = connection.get_execution_options()
    if options.get(BEGUN, False):
        return
    write = options.get("collab_write", False)
    driver = connection.connection.dbapi_connection
    assert driver is not None
    with driver_errors(connection):
        driver.cursor().execute("BEGIN IMMEDIATE" if write else "BEGIN")


@contextlib.contextmanager
def begin_writing(connection: Connection) -> Iterator[None]:
    """Begin a transaction on SQLite that may write, and commit it when the block ends.

    SQLAlchemy is told of it when it is needed in it. To begin and to commit by it alone takes
    longer than what SQLite does between the two for a keystroke.

    Args:
        connection: Has the execution option :data:`BEGUN`, and is to be closed where this raises.

    Raises:
        DBAPIError: As SQLAlchemy raises it.
    """
    driver: Any = connection.connection.dbapi_connection
    try:
        with driver_errors(connection):
            driver.execute("BEGIN IMMEDIATE")
        yield
        if connection.in_transaction():
            connection.commit()
        else:
            with driver_errors(connection):
                driver.commit()
    except BaseException:
        # SQLAlchemy takes nothing back after a commit of its own has failed, not even when it
        # puts the connection back.
        with contextlib.suppress(sqlite3.Error):
            driver.rollback()
        raise
