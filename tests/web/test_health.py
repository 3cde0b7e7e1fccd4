"""The health check tells whether the database answers, and nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError

from jupyter_collab_ai.errors import DatabaseUnavailable
from jupyter_collab_ai.storage.database import Database
from jupyter_collab_ai.web.health import HealthHandler, handlers

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


async def test_a_database_that_hangs_does_not_hang_the_check(serve, jp_fetch) -> None:
    serve([("health", HealthHandler, {"database": SilentDatabase(), "patience": 0.05})])
    status, body, _ = await asyncio.wait_for(answer_of(jp_fetch), 10)
    assert (status, body["reason"]) == (503, DatabaseUnavailable.reason)
