"""The health check tells whether the database answers and takes changes, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from tornado.httpclient import HTTPClientError

from jupyter_collab_ai.errors import DatabaseUnavailable
from jupyter_collab_ai.storage.database import Database
from jupyter_collab_ai.web.health import Check, HealthHandler, handlers

NOBODY = {"Authorization": ""}


@pytest.fixture
def serve(jp_serverapp, jp_base_url: str) -> Callable[[Any], None]:
    """Serve the health check of a database."""

    def add(rules: list[tuple[Any, ...]]) -> None:
        jp_serverapp.web_app.add_handlers(
            ".*$",
            [(f"{jp_base_url}collab-ai/{path}", *rest) for path, *rest in rules],
        )

    return add


async def answer_of(jp_fetch) -> tuple[int, dict[str, Any], str | None]:
    try:
        response = await jp_fetch("collab-ai", "health", headers=NOBODY)
    except HTTPClientError as error:
        assert error.response is not None
        response = error.response
    return response.code, json.loads(response.body), response.headers.get("Retry-After")


async def test_it_is_well_while_the_database_answers(serve, jp_fetch, database: Database) -> None:
    serve(handlers(str, database))
    assert await answer_of(jp_fetch) == (200, {"status": "ok", "database": "ok"}, None)


async def test_a_database_that_is_away_is_told_without_its_address(
    serve, jp_fetch, tmp_path: Path
) -> None:
    nowhere = Database(f"postgresql://ada:secret-word@/collab?host={tmp_path}/nowhere")
    serve(handlers(str, nowhere))
    try:
        status, body, retry_after = await answer_of(jp_fetch)
    finally:
        await nowhere.close()
    assert status == 503
    assert body.keys() == {"status", "database", "message", "reason"}
    assert (body["status"], body["database"]) == ("unavailable", "unavailable")
    assert body["reason"] == DatabaseUnavailable.reason
    assert retry_after is not None
    assert "secret-word" not in json.dumps(body)
    assert str(tmp_path) not in json.dumps(body)


class SilentDatabase:
    """Takes every question and never answers."""

    async def read(self, function: object) -> object:
        return await asyncio.get_running_loop().create_future()

    async def try_writing(self) -> None:
        raise AssertionError("it did not answer before")


class ReadOnlyDatabase:
    """Answers, and takes changes where and when the test says so."""

    def __init__(self) -> None:
        self.trouble: Exception | None = DatabaseUnavailable("It takes no changes.", retry_after=5)
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.writes = 0

    async def read(self, function: object) -> object:
        return None

    async def try_writing(self) -> None:
        self.writes += 1
        await self.may_end.wait()
        if self.trouble is not None:
            raise self.trouble


async def test_a_database_that_hangs_does_not_hang_the_check(serve, jp_fetch) -> None:
    serve([("health", HealthHandler, {"check": Check(SilentDatabase()), "patience": 0.05})])
    status, body, _ = await asyncio.wait_for(answer_of(jp_fetch), 10)
    assert (status, body["reason"]) == (503, DatabaseUnavailable.reason)


async def test_a_database_that_takes_no_changes_is_not_well(serve, jp_fetch) -> None:
    database = ReadOnlyDatabase()
    serve([("health", HealthHandler, {"check": Check(database, every=0)})])
    status, body, retry_after = await answer_of(jp_fetch)
    assert (status, retry_after) == (503, "5")
    assert body == {
        "status": "unavailable",
        "database": "unavailable",
        "message": "It takes no changes.",
        "reason": "database_unavailable",
    }
    database.trouble = None
    assert (await answer_of(jp_fetch))[0] == 200


@pytest.mark.parametrize("database_backend", ["sqlite"])
async def test_that_is_found_out_by_writing(serve, jp_fetch, database: Database) -> None:
    serve(handlers(str, database))
    event.listen(database._engine, "connect", lambda one, _: one.execute("PRAGMA query_only=ON"))
    database._engine.dispose()
    assert (await answer_of(jp_fetch))[0] == 503


async def test_however_many_ask_it_is_written_once_in_a_while() -> None:
    database = ReadOnlyDatabase()
    check = Check(database, every=3600)
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable):
            await check.run()
    assert database.writes == 1


async def test_one_that_hangs_at_writing_is_waited_for_once(serve, jp_fetch) -> None:
    database = ReadOnlyDatabase()
    database.trouble = None
    database.may_end.clear()
    serve([("health", HealthHandler, {"check": Check(database, every=0), "patience": 0.05})])
    for _ in range(2):
        assert (await answer_of(jp_fetch))[0] == 503
    assert database.writes == 1
    database.may_end.set()
    assert (await answer_of(jp_fetch))[0] == 200
