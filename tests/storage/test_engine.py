"""The engine: what it keeps out of errors, which reach the log, and connections that died."""

from __future__ import annotations

import traceback

import pytest
from sqlalchemy import text

from jupyter_collab_ai.errors import DatabaseUnavailable
from jupyter_collab_ai.ids import new_id
from jupyter_collab_ai.storage import engine
from jupyter_collab_ai.storage.database import Database
from tests.support.postgres import break_off


async def test_an_error_tells_no_parameters(database: Database) -> None:
    secret = new_id()
    statement = text("SELECT * FROM there_is_no_such_table WHERE secret = :secret")
    with pytest.raises(Exception) as raised:  # each database has its own
        await database.read(lambda tx: tx.execute(statement, {"secret": secret}))
    told = "".join(traceback.format_exception(raised.value))
    assert "there_is_no_such_table" in told
    assert secret not in told


@pytest.mark.parametrize("database_backend", ["postgresql"])
async def test_a_connection_that_died_while_nobody_used_it_is_replaced(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "IDLE", 0)
    assert await database.read(lambda tx: tx.now()) > 0
    break_off(database_url)
    assert await database.read(lambda tx: tx.now()) > 0


@pytest.mark.parametrize("database_backend", ["postgresql"])
async def test_one_that_died_in_use_costs_one_attempt(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "IDLE", 3600)
    backend = text("SELECT pg_backend_pid()")
    first = await database.read(lambda tx: tx.execute(backend).scalar_one())
    assert await database.read(lambda tx: tx.execute(backend).scalar_one()) == first
    break_off(database_url)
    with pytest.raises(DatabaseUnavailable):
        await database.read(lambda tx: tx.now())
    assert await database.read(lambda tx: tx.execute(backend).scalar_one()) != first


@pytest.mark.parametrize("database_backend", ["postgresql"])
async def test_while_it_is_used_nobody_asks_whether_it_lives(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    dialect = database._engine.dialect
    ping = dialect.do_ping
    monkeypatch.setattr(dialect, "do_ping", lambda one: asked.append(one) or ping(one))
    await database.read(lambda tx: tx.now())
    monkeypatch.setattr(engine, "IDLE", 3600)
    for _ in range(3):
        await database.read(lambda tx: tx.now())
    assert not asked
    monkeypatch.setattr(engine, "IDLE", 0)
    await database.read(lambda tx: tx.now())
    assert len(asked) == 1
