"""The engine: what it keeps out of errors, which reach the log."""

from __future__ import annotations

import traceback

import pytest
from sqlalchemy import text

from jupyter_collab_ai.ids import new_id
from jupyter_collab_ai.storage.database import Database


async def test_an_error_tells_no_parameters(database: Database) -> None:
    secret = new_id()
    statement = text("SELECT * FROM there_is_no_such_table WHERE secret = :secret")
    with pytest.raises(Exception) as raised:  # each database has its own
        await database.read(lambda tx: tx.execute(statement, {"secret": secret}))
    told = "".join(traceback.format_exception(raised.value))
    assert "there_is_no_such_table" in told
    assert secret not in told
