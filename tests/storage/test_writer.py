"""All that writes to SQLite stands in one line, and those who wait share a commit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import IntegrityError, OperationalError

from jupyter_collab_ai.errors import DatabaseUnavailable
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.engine import make_engine, sqlite_url
from jupyter_collab_ai.storage.writer import MAX_GROUP, Undone, Writer


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = make_engine(sqlite_url(tmp_path / "a.db"), pool_size=2)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE t (n INTEGER PRIMARY KEY)"))
    yield engine
    engine.dispose()


class Line:
    """A writer whose first job holds up those behind it until told otherwise."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.commits = 0
        self.broken: Exception | None = None
        self.writer = Writer(self._begin)
        self._go, self._held = threading.Event(), threading.Event()
        self.first = self.writer.submit(self._hold)
        assert self._held.wait(10)

    def _hold(self, connection: Connection) -> None:
        self._held.set()
        assert self._go.wait(10)

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with (
            self.engine.connect().execution_options(collab_write=True) as connection,
            connection.begin(),
        ):
            yield connection
            if self.broken is not None and self._go.is_set() and self.first.done():
                raise self.broken
        self.commits += 1

    def put(self, number: int) -> Future[int]:
        return self.writer.submit(lambda connection: _put(connection, number))

    def go(self) -> None:
        self._go.set()
        self.writer.close()

    def rows(self) -> list[int]:
        with self.engine.connect() as connection:
            return list(connection.execute(text("SELECT n FROM t ORDER BY n")).scalars())


def _put(connection: Connection, number: int) -> int:
    connection.execute(text("INSERT INTO t VALUES (:n)"), {"n": number})
    return number


def test_those_who_wait_share_a_commit(engine: Engine) -> None:
    line = Line(engine)
    waiting = [line.put(number) for number in range(MAX_GROUP + 5)]
    line.go()
    assert [one.result(0) for one in waiting] == list(range(MAX_GROUP + 5))
    assert line.rows() == list(range(MAX_GROUP + 5))
    assert line.commits == 3


def test_one_that_fails_takes_nobody_along(engine: Engine) -> None:
    line = Line(engine)
    waiting = [line.put(number) for number in (1, 2, 1, 3)]
    line.go()
    assert isinstance(waiting[2].exception(0), IntegrityError)
    assert [waiting[index].result(0) for index in (0, 1, 3)] == [1, 2, 3]
    assert line.rows() == [1, 2, 3]


def test_what_a_function_did_before_it_failed_is_gone(engine: Engine) -> None:
    def half(connection: Connection) -> None:
        _put(connection, 7)
        raise KeyError("half")

    line = Line(engine)
    waiting = [line.put(1), line.writer.submit(half), line.put(2)]
    line.go()
    assert isinstance(waiting[1].exception(0), KeyError)
    assert line.rows() == [1, 2]


def test_nobody_is_told_of_success_before_the_commit(engine: Engine) -> None:
    line = Line(engine)
    line.broken = OperationalError("COMMIT", None, Exception("disk I/O error"))
    waiting = [line.put(1), line.put(1), line.put(2)]
    line.go()
    assert waiting[0].exception(0) is line.broken
    assert isinstance(waiting[1].exception(0), IntegrityError)
    assert waiting[2].exception(0) is line.broken
    assert line.rows() == []


def test_a_lost_transaction_fails_those_before_and_not_those_after(engine: Engine) -> None:
    def lose(connection: Connection) -> None:
        # As SQLite itself does where the disk is full.
        raw = connection.connection.dbapi_connection
        assert raw is not None
        raw.rollback()
        raise OperationalError("INSERT", None, Exception("database or disk is full"))

    line = Line(engine)
    waiting = [line.put(1), line.writer.submit(lose), line.put(2), line.put(3)]
    line.go()
    assert isinstance(waiting[0].exception(0), Undone)
    assert isinstance(waiting[1].exception(0), OperationalError)
    assert [waiting[2].result(0), waiting[3].result(0)] == [2, 3]
    assert line.rows() == [2, 3]


def test_a_database_that_cannot_be_written_to_fails_all(tmp_path: Path) -> None:
    engine = create_engine(sqlite_url(tmp_path / "b.db"))

    gate = threading.Event()

    @contextmanager
    def begin() -> Iterator[Connection]:
        gate.wait(10)
        raise OperationalError("BEGIN IMMEDIATE", None, Exception("database is locked"))
        yield  # pragma: no cover

    writer = Writer(begin)
    waiting = [writer.submit(lambda connection: _put(connection, 1)) for _ in range(3)]
    gate.set()
    writer.close()
    assert all(isinstance(one.exception(0), OperationalError) for one in waiting)
    with pytest.raises(RuntimeError):
        writer.submit(lambda connection: _put(connection, 2))
    engine.dispose()


def test_who_has_gone_before_the_turn_came_is_passed_over(engine: Engine) -> None:
    line = Line(engine)
    waiting = [line.put(1), line.put(2), line.put(3)]
    assert waiting[1].cancel()
    line.go()
    assert line.rows() == [1, 3]


async def test_many_documents_at_once_wait_for_few_commits(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "c.db"))
    await database.open()
    commits = 0

    def count(_: object) -> None:
        nonlocal commits
        commits += 1

    event.listen(database._engine, "commit", count)

    def write(tx: Tx) -> None:
        tx.notify("bench", "x")

    try:
        await asyncio.gather(*(database.write(write) for _ in range(200)))
        assert commits < 100
        # What waited for the lost transaction of another is told to try again.
        writer = database._writer
        assert writer is not None
        lost: Future[None] = Future()
        lost.set_exception(Undone())
        writer.submit = lambda _: lost  # type: ignore[method-assign,assignment,return-value]
        with pytest.raises(DatabaseUnavailable):
            await database.write(write)
    finally:
        await database.close()


async def test_a_commit_that_fails_leaves_no_transaction_behind(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "d.db"))
    await database.open()

    def make(tx: Tx) -> None:
        tx.execute(text("CREATE TABLE p (id INTEGER PRIMARY KEY)"))
        tx.execute(
            text("CREATE TABLE c (p INTEGER REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)")
        )

    def put(number: int | None) -> Callable[[Tx], None]:
        return lambda tx: tx.execute(text("INSERT INTO c VALUES (:n)"), {"n": number}) and None

    try:
        await database.write(make)
        with pytest.raises(IntegrityError):
            await database.write(put(99))
        # Nobody waits for it, and nobody takes it over.
        async with asyncio.timeout(5):
            for _ in range(3):
                await database.write(put(None))
        row = await database.read(
            lambda tx: tx.execute(text("SELECT count(*), count(p) FROM c")).one()
        )
        assert tuple(row) == (3, 0)
        database.write_now(put(None))
    finally:
        await database.close()
