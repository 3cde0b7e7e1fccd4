"""The schema comes by migrations, whoever starts at the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text

from jupyter_collab_ai.storage.database import Database
from jupyter_collab_ai.storage.engine import make_engine, parse_url
from jupyter_collab_ai.storage.migrate import VERSION_TABLE, SchemaTooNew, migrate
from jupyter_collab_ai.storage.tables import metadata


@pytest.fixture
def engine(database_url):
    engine = make_engine(parse_url(database_url), pool_size=2)
    yield engine
    engine.dispose()


def test_migrations_make_the_tables_that_the_code_speaks_of(engine):
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []


def test_a_second_start_changes_nothing(engine):
    migrate(engine)
    migrate(engine)
    assert "users" in inspect(engine).get_table_names()


def test_eight_servers_that_start_at_once_agree(database_url):
    program = (
        "import sys; from jupyter_collab_ai.storage.database import Database; "
        "Database(sys.argv[1]).migrate(); print('ready')"
    )
    servers = [
        subprocess.Popen(
            [sys.executable, "-c", program, database_url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    results = [server.communicate(timeout=100) for server in servers]
    assert [out.strip() for out, _ in results] == ["ready"] * 8, results
    engine = make_engine(parse_url(database_url), pool_size=1)
    with engine.connect() as connection:
        versions = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).all()
    engine.dispose()
    assert len(versions) == 1


def test_a_database_of_a_newer_version_is_refused(engine, database_url):
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = 'from-the-future'"))
    with pytest.raises(SchemaTooNew, match="from-the-future"):
        Database(database_url).migrate()


def test_a_migration_that_fails_leaves_nothing_behind(engine, monkeypatch):
    from jupyter_collab_ai.storage.migrations.versions import (
        __path__ as versions,  # the real revisions, of which the first is made to fail
    )

    revision = next(iter(Path(versions[0]).glob("0001_*.py")))
    real = revision.read_text()
    assert "def downgrade" in real

    from alembic import op

    calls = []
    original = op.create_table

    def fail_late(*args, **kwargs):
        calls.append(args[0])
        if len(calls) == 5:
            raise RuntimeError("the disk is on fire")
        return original(*args, **kwargs)

    monkeypatch.setattr(op, "create_table", fail_late)
    with pytest.raises(RuntimeError, match="on fire"):
        migrate(engine)
    assert inspect(engine).get_table_names() == []
    monkeypatch.undo()
    migrate(engine)
    assert "users" in inspect(engine).get_table_names()


def test_the_first_migration_can_be_taken_back(engine, monkeypatch):
    from alembic import command

    from jupyter_collab_ai.storage import migrate as module

    migrate(engine)
    config = module._config()
    with engine.connect().execution_options(collab_write=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert set(inspect(engine).get_table_names()) <= {VERSION_TABLE}


def test_a_database_of_the_first_schema_keeps_what_it_has(engine):
    from alembic import command

    from jupyter_collab_ai.storage import migrate as module

    config = module._config()
    with engine.connect().execution_options(collab_write=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO users (id, username, display_name, color, created_at) "
                "VALUES ('u1', 'ada', 'Ada', '#000000', '2026-01-01 00:00:00')"
            )
        )
    assert "confirmations" not in inspect(engine).get_table_names()
    migrate(engine)
    assert "confirmations" in inspect(engine).get_table_names()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT username FROM users")).scalars().all() == ["ada"]


def test_a_first_schema_without_former_usernames_is_completed(engine):
    from alembic import command

    from jupyter_collab_ai.storage import migrate as module

    config = module._config()
    with engine.connect().execution_options(collab_write=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        # That table came into the first schema when databases of it were in use already.
        connection.execute(text("DROP TABLE former_usernames"))
    migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []


def test_the_migrations_are_in_the_package():
    from importlib.resources import files

    names = {item.name for item in files("jupyter_collab_ai.storage.migrations").iterdir()}
    assert {"env.py", "versions"} <= names
    assert create_engine("sqlite://") is not None
