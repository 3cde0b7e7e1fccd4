"""Alembic's entry: runs the migrations on the connection that it is given."""

from __future__ import annotations

from alembic import context

from jupyter_collab_ai.storage.migrate import VERSION_TABLE
from jupyter_collab_ai.storage.tables import metadata


def run() -> None:
    """Run within the caller's transaction, so that a failure leaves nothing behind."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=False,
        compare_type=True,
    )
    context.run_migrations()


run()
