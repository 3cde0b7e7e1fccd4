"""Statements that go to the driver by themselves do as SQLAlchemy's do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError

from jupyter_collab_ai.ids import new_id
from jupyter_collab_ai.storage.columns import UtcDateTime
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.driver import Prepared
from jupyter_collab_ai.storage.tables import document_updates, documents

DIALECT = sqlite.dialect()
NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
_ROW = ("document_id", "seq", "data", "origin", "user_id", "created_at")
INSERT = Prepared(insert(document_updates).inline(), _ROW)
MOVE = Prepared(
    update(documents)
    .where(documents.c.id == bindparam("of"))
    .values(updated_at=bindparam("at"), seq=bindparam("to"))
)


def _document(tx: Tx) -> str:
    made = new_id()
    tx.execute(
        insert(documents).values(
            id=made,
            path=f"{made}.py",
            format="text",
            type="file",
            epoch=new_id(),
            created_at=NOW,
            updated_at=NOW,
        )
    )
    return made


def _row(document: str, seq: int, data: bytes = b"\x00\xff%s'") -> dict[str, object]:
    return dict(zip(_ROW, (document, seq, data, "client", None, NOW), strict=True))


async def test_values_are_kept_as_sqlalchemy_keeps_them(database: Database) -> None:
    def write(tx: Tx) -> str:
        document = _document(tx)
        assert tx.run(INSERT, [_row(document, 1)]) == 1
        assert tx.run(INSERT, [_row(document, 2), _row(document, 3)]) == 2
        tx.execute(insert(document_updates).values(_row(document, 4)))
        assert tx.run(MOVE, {"of": document, "at": NOW, "to": 7}) == 1
        assert tx.run(MOVE, {"of": "nobody", "at": NOW, "to": 7}) == 0
        return document

    document = await database.write(write)
    rows = await database.read(
        lambda tx: tx.execute(
            select(document_updates)
            .where(document_updates.c.document_id == document)
            .order_by(document_updates.c.seq)
        ).all()
    )
    assert [row.seq for row in rows] == [1, 2, 3, 4]
    assert {(bytes(row.data), row.created_at) for row in rows} == {(b"\x00\xff%s'", NOW)}
    moved = await database.read(
        lambda tx: tx.execute(select(documents).where(documents.c.id == document)).one()
    )
    assert (moved.seq, moved.updated_at) == (7, NOW)


async def test_errors_are_those_of_sqlalchemy_and_tell_no_values(database: Database) -> None:
    def write(tx: Tx) -> None:
        document = _document(tx)
        for _ in range(2):
            tx.run(INSERT, [_row(document, 1, b"secret")])

    with pytest.raises(IntegrityError) as failed:
        await database.write(write)
    assert "secret" not in str(failed.value)
    # Nothing of it is there, and the next one has a connection that works.
    assert await database.write(lambda tx: tx.run(MOVE, {"of": "x", "at": NOW, "to": 1})) == 0


async def test_what_a_failed_transaction_ran_is_gone(database: Database) -> None:
    document = await database.write(_document)

    def fail(tx: Tx) -> None:
        tx.run(INSERT, [_row(document, 1)])
        raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            await database.write(fail)
    # Alone, and together with what SQLAlchemy does in the same transaction.
    await database.write(lambda tx: tx.run(INSERT, [_row(document, 2)]))

    def both(tx: Tx) -> None:
        tx.run(INSERT, [_row(document, 3)])
        tx.execute(insert(document_updates).values(_row(document, 4)))
        tx.run(INSERT, [_row(document, 5)])

    await database.write(both)
    found = select(document_updates.c.seq).order_by(document_updates.c.seq)
    assert await database.read(lambda tx: list(tx.execute(found).scalars())) == [2, 3, 4, 5]


@given(
    moment=st.datetimes(timezones=st.timezones() | st.just(UTC), allow_imaginary=False),
)
def test_a_moment_is_kept_in_the_form_that_sqlalchemy_gives_it(moment: datetime) -> None:
    try:
        naive = moment.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        return  # before the first year
    theirs = sqlite.DATETIME().bind_processor(DIALECT)
    ours = UtcDateTime().bind_processor(DIALECT)
    assert theirs is not None
    assert ours is not None
    assert ours(moment) == theirs(naive)
    assert ours(None) is None


async def test_a_naive_moment_is_refused(database: Database) -> None:
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        await database.write(lambda tx: tx.run(MOVE, {"of": "x", "at": naive, "to": 1}))


async def test_a_statement_that_the_database_does_not_take_fails(database: Database) -> None:
    with pytest.raises(DBAPIError):
        await database.write(
            lambda tx: tx.run(INSERT, [_row("no such document", 1), {**_row("x", 2), "seq": None}])
        )


async def test_several_rows_go_to_a_server_together(database: Database) -> None:
    if database.is_sqlite:
        pytest.skip("it is no server")

    def write(tx: Tx) -> str:
        document = _document(tx)
        backend = tx.execute(text("SELECT pg_backend_pid()")).scalar_one()
        assert tx.run(INSERT, [_row(document, number) for number in range(1, 51)]) == 50
        last = text("SELECT query FROM pg_stat_activity WHERE pid = :pid")
        return database.read_now(lambda own: own.execute(last, {"pid": backend}).scalar_one())

    # Each that went alone would cost the time to the server and back.
    assert (await database.write(write)).count("'client'") > 1
