"""What is wrong with the database is said where it can be mended, and nowhere too often."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import DatabaseUnavailable
from jupyter_collab_ai.ids import new_id
from jupyter_collab_ai.storage import changes as listening
from jupyter_collab_ai.storage import trouble
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.tables import changes, users
from jupyter_collab_ai.storage.trouble import TroubleLog
from tests.rooms.engine import until
from tests.support.postgres import PostgresCluster


def add_many(tx: Tx) -> None:
    names = [new_id() for _ in range(100)]
    tx.execute(insert(users), [somebody(name) for name in names])


def somebody(name: str) -> dict[str, Any]:
    more = {"display_name": "x" * 100, "color": "#000000", "created_at": utcnow()}
    return {"id": name, "username": name, **more}


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == trouble.__name__]


# ---------------------------------------------------------------- while a server runs


def set_on_all(database: Database, *pragmas: str) -> None:
    """Set something on each connection to SQLite from now on."""

    def connected(connection: Any, _record: object) -> None:
        for pragma in pragmas:
            connection.execute(pragma)

    event.listen(database._engine, "connect", connected)
    database._engine.dispose()
    # The thread that writes keeps its own.
    database._kept = None


@pytest.mark.parametrize("database_backend", ["sqlite"])
@pytest.mark.parametrize(
    ("pragma", "words"),
    [
        ("PRAGMA query_only=ON", "attempt to write a readonly database"),
        ("PRAGMA max_page_count=1", "database or disk is full"),
    ],
)
async def test_sqlite_that_takes_no_changes(
    database: Database, caplog: pytest.LogCaptureFixture, pragma: str, words: str
) -> None:
    set_on_all(database, pragma)
    with pytest.raises(DatabaseUnavailable, match="takes no changes"):
        for _ in range(50):
            await database.write(add_many)
    await database.read(lambda tx: tx.now())
    assert said(caplog) == [f"There is trouble with {database.place}: {words}"]


@pytest.mark.parametrize("database_backend", ["postgresql"])
async def test_postgresql_that_became_read_only(
    database: Database,
    database_url: str,
    postgres: PostgresCluster,
    caplog: pytest.LogCaptureFixture,
) -> None:
    name = database.url.database
    postgres.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    database._engine.dispose()
    for _ in range(3):
        with pytest.raises(DatabaseUnavailable, match="takes no changes"):
            await database.write(add_many)
    with pytest.raises(DatabaseUnavailable, match="takes no changes"):
        await database.try_writing()
    words = "cannot execute INSERT in a read-only transaction"
    assert f"There is trouble with {database.place}: {words}" in said(caplog)
    assert len(said(caplog)) == 2  # the other one is of a DELETE


@pytest.mark.parametrize("database_backend", ["postgresql"])
async def test_a_right_that_was_taken_away_is_no_fault_of_the_server(
    database: Database, postgres: PostgresCluster, caplog: pytest.LogCaptureFixture
) -> None:
    user = f"weak_{new_id()}"
    postgres.execute(f'CREATE USER "{user}"')
    weak = Database(database.url.set(username=user))
    try:
        with pytest.raises(DatabaseUnavailable, match="takes no changes"):
            await weak.write(add_many)
    finally:
        await weak.close()
    assert said(caplog) == [
        f"There is trouble with {weak.place}: permission denied for table users"
    ]


async def test_a_fault_of_ours_is_no_trouble_of_the_database(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def clash(tx: Tx) -> None:
        tx.execute(insert(users), somebody("ada"))

    await database.write(clash)
    with pytest.raises(DBAPIError):
        await database.write(clash)
    assert not said(caplog)


async def test_a_trial_leaves_one_row(database: Database) -> None:
    for _ in range(3):
        await database.try_writing()
    rows = await database.read(lambda tx: tx.execute(changes.select()).all())
    assert [row.source for row in rows] == [database.server_id]


async def test_changes_that_can_not_be_heard_are_told_once_and_when_they_are_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(listening, "RECONNECT", 0.01)
    tries = 0
    connect = sqlite3.connect

    def count(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        nonlocal tries
        tries += 1
        return connect(*args, **kwargs)

    monkeypatch.setattr(listening.sqlite3, "connect", count)
    bus = listening.ChangeBus()
    file = tmp_path / "later" / "a.db"
    listener = listening.SqliteListener(str(file), "me", asyncio.get_running_loop(), bus)
    listener.start()
    try:
        await until(lambda: tries >= 5)
        file.parent.mkdir()
        database = Database(f"sqlite:///{file}")
        await asyncio.to_thread(database.migrate)
        await until(lambda: bus.live)
        await database.close()
    finally:
        await asyncio.to_thread(listener.stop)
    told = [one.getMessage() for one in caplog.records if one.name == listening.__name__]
    lost = "Lost the database's notifications; it is tried again: "
    # (Between the two there may be a file without tables.)
    assert told[0] == f"{lost}unable to open database file"
    assert told[-1] == "The database's notifications are heard again."
    assert len(told) == len(set(told)) <= 3


def of_driver(words: str) -> ProgrammingError:
    return ProgrammingError("INSERT", {"secret": "hush"}, sqlite3.ProgrammingError(words))


def test_it_is_told_once_in_a_while_and_when_it_is_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    now = 0.0
    monkeypatch.setattr(trouble.time, "monotonic", lambda: now)
    told = TroubleLog("the PostgreSQL database d at h")
    told.worked(writing=True)
    for seconds in (1.0, 2.0, 60.0):
        now = seconds
        told.met(of_driver("full"), writing=True)
    told.met(of_driver("gone"), writing=False)
    told.met(of_driver("full"), writing=True)
    assert [line.rpartition(": ")[2] for line in said(caplog)] == ["full", "gone"]
    now = 61.5
    told.met(of_driver("full"), writing=True)
    # It is not over while some things still fail, nor where only reading works.
    told.worked(writing=True)
    now = 80.0
    told.worked(writing=False)
    assert len(said(caplog)) == 3
    told.worked(writing=True)
    told.worked(writing=True)
    assert said(caplog)[3:] == [
        "The trouble with the PostgreSQL database d at h is over; it lasted 60 s."
    ]
    told.met(of_driver("full"), writing=True)
    assert len(said(caplog)) == 5
    assert "hush" not in caplog.text


# ---------------------------------------------------------------- at the start


def of_no_folder(folder: Path) -> tuple[str, str]:
    return f"{folder}/none/a.db", f"there is no folder {folder}/none"


def of_a_folder(folder: Path) -> tuple[str, str]:
    (folder / "a.db").mkdir()
    return f"{folder}/a.db", "it is a folder"


def of_another_file(folder: Path) -> tuple[str, str]:
    (folder / "a.db").write_text("This is not a database, but it is long enough to be one.\n" * 99)
    return f"{folder}/a.db", "file is not a database"


@pytest.mark.parametrize("make", [of_no_folder, of_a_folder, of_another_file])
def test_who_starts_a_server_hears_which_file_it_is_and_why(
    make: Callable[[Path], tuple[str, str]], tmp_path: Path
) -> None:
    path, why = make(tmp_path)
    with pytest.raises(DatabaseUnavailable) as caught:
        Database(f"sqlite:///{path}").migrate()
    assert caught.value.message.startswith(f"The SQLite file {path} can't be used: ")
    assert caught.value.message.endswith(f"{why}.")


@pytest.mark.parametrize(
    ("forbidden", "why"),
    [
        ("a.db", "this user may not read and write it"),
        ("", "this user may not write into the folder {folder}"),
    ],
)
def test_what_the_systems_user_may_not(
    forbidden: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.db").touch()
    # (Nothing is forbidden to root, who may run this.)
    monkeypatch.setattr(trouble.os, "access", lambda path, _: path != tmp_path / forbidden)
    error = sqlite3.OperationalError("unable to open database file")
    told = trouble.explained(Database(f"sqlite:///{tmp_path}/a.db").url, error)
    assert told.message.endswith(f"unable to open database file; {why.format(folder=tmp_path)}.")


def test_who_starts_a_server_hears_which_postgresql_it_is_and_why(
    postgres: PostgresCluster,
) -> None:
    socket = postgres.url("x").partition("?host=")[2]
    for url, place, why in [
        (postgres.url("none"), f"none at {socket}", 'database "none" does not exist'),
        ("postgresql://ada:hush@127.0.0.1:1/d", "d at 127.0.0.1:1", "Connection refused"),
        ("postgresql://ada:hush@no.such.host.invalid/d", "d at no.such.host.invalid", "no.such"),
    ]:
        with pytest.raises(DatabaseUnavailable) as caught:
            Database(url).migrate()
        message = caught.value.message
        assert message.startswith(f"The PostgreSQL database {place} can't be used: ")
        assert why in message
        assert "hush" not in message
        assert "\n" not in message


def test_a_wrong_password_is_told_as_such(postgres: PostgresCluster) -> None:
    error = trouble.explained(
        Database("postgresql://ada:hush@h/d").url,
        Exception(
            'connection to server at "h" (127.0.0.1), port 5432 failed: '
            'FATAL:  password authentication failed for user "ada"\n'
        ),
    )
    assert error.message == (
        'The PostgreSQL database d at h can\'t be used: connection to server at "h" (127.0.0.1), '
        'port 5432 failed: FATAL: password authentication failed for user "ada"; look at the user '
        "and the password in COLLAB_AI_DATABASE_URL, where the password has to be percent-encoded."
    )


async def test_a_statement_with_its_values_is_not_quoted(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    statement = text("SELECT 1 FROM there_is_none WHERE '' = 'hush'")
    with pytest.raises(DatabaseUnavailable, match="there_is_none") as caught, database.explained():
        await database.read(lambda tx: tx.execute(statement))
    assert "hush" not in caught.value.message + caplog.text
