"""What is committed reaches SQLite's file although no commit waits for it."""

from __future__ import annotations

import asyncio
import logging
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from sqlalchemy import insert

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.ids import new_id
from jupyter_collab_ai.storage import checkpoints
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.engine import sqlite_url
from jupyter_collab_ai.storage.tables import users


def _add(tx: Tx) -> None:
    name = new_id()
    tx.execute(
        insert(users).values(
            id=name, username=name, display_name=name, color="#000000", created_at=utcnow()
        )
    )


def _in_the_file(path: Path, copy: Path) -> int:
    """Return how many accounts the file has by itself, without its log."""
    shutil.copyfile(path, copy)
    try:
        with sqlite3.connect(f"file:{copy}?immutable=1", uri=True) as connection:
            (count,) = connection.execute("SELECT count(*) FROM users").fetchone()
    except sqlite3.DatabaseError:  # it was being written
        return -1
    finally:
        copy.unlink()
    return int(count)


async def test_the_log_is_carried_over_beside_the_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 5)
    path = tmp_path / "a.db"
    database = Database(sqlite_url(path))
    await database.open()
    try:
        deadline = time.monotonic() + 20
        written = 0
        while _in_the_file(path, tmp_path / "copy.db") < 20:
            await database.write(_add)
            written += 1
            assert time.monotonic() < deadline
        assert written >= 20
    finally:
        await database.close()
    assert _in_the_file(path, tmp_path / "copy.db") == written
    assert not path.with_name("a.db-wal").exists()


async def test_what_cannot_be_carried_over_waits_for_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 1)
    carry_over = checkpoints.Checkpointer._carry_over
    broken = True

    def fail(self: checkpoints.Checkpointer) -> None:
        if broken:
            raise sqlite3.OperationalError("disk I/O error")
        carry_over(self)

    monkeypatch.setattr(checkpoints.Checkpointer, "_carry_over", fail)
    path = tmp_path / "a.db"
    database = Database(sqlite_url(path))
    await database.open()
    try:
        with caplog.at_level(logging.WARNING):
            await database.write(_add)
            deadline = time.monotonic() + 10
            while "could not be carried over" not in caplog.text:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.005)
        broken = False
        await database.write(_add)
        while _in_the_file(path, tmp_path / "copy.db") != 2:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)
    finally:
        await database.close()


def test_it_ends_whenever_it_is_told_to(tmp_path: Path) -> None:
    checkpointer = checkpoints.Checkpointer(str(tmp_path / "a.db"))
    clear = checkpointer._due.clear

    def told_meanwhile() -> None:
        checkpointer._closed = True
        checkpointer._due.set()
        clear()

    checkpointer._due.clear = told_meanwhile  # type: ignore[method-assign]
    checkpointer._due.set()
    checkpointer._thread.join(10)
    assert not checkpointer._thread.is_alive()
