"""Bringing the schema up to date when a server starts, whoever else starts at the same time."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, text

VERSION_TABLE = "collab_ai_version"
#: Any number that nobody else takes an advisory lock on.
_ADVISORY_LOCK = 0x6A63_6169
#: Milliseconds that a server waits for another one that is migrating.
_LOCK_TIMEOUT = 60_000


class SchemaTooNew(RuntimeError):
    """The database was changed by a newer version of this package."""


def migrate(engine: Engine) -> None:
    """Apply the migrations that the database lacks, all in one transaction, or none.

    Raises:
        SchemaTooNew: The database is at a revision that this version does not know.
    """
    config = _config()
    script = ScriptDirectory.from_config(config)
    head = script.get_current_head()
    with engine.connect() as connection:
        if _current(connection) == head:
            return
    with engine.connect().execution_options(collab_write=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            # Held until the transaction ends, however it ends.
            connection.execute(text(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT}"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        current = _current(connection)
        if current == head:
            return
        if current is not None:
            _require_known(script, current)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "jupyter_collab_ai.storage:migrations")
    return config


def _current(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _require_known(script: ScriptDirectory, revision: str) -> None:
    try:
        script.get_revision(revision)
    except CommandError:
        raise SchemaTooNew(
            f"The database is at revision {revision}, which this version of jupyter-collab-ai "
            "does not know; install the version that was used with it before, or a newer one."
        ) from None
