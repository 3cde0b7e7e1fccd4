"""Transactions, notifications and caches, on both databases."""

from __future__ import annotations

import asyncio
import threading
import time
import traceback

import pytest
from sqlalchemy import func, insert, select, update

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import DatabaseUnavailable
from jupyter_collab_ai.ids import new_id
from jupyter_collab_ai.storage.changes import ChangeBus, ChangeCache
from jupyter_collab_ai.storage.database import Database
from jupyter_collab_ai.storage.engine import InvalidDatabaseUrl, parse_url
from jupyter_collab_ai.storage.tables import users


def add_user(tx, name, *, notify=False):
    user_id = new_id()
    tx.execute(
        insert(users).values(
            id=user_id, username=name, display_name=name, color="#000000", created_at=utcnow()
        )
    )
    if notify:
        tx.notify("user", user_id)
    return user_id


async def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


async def test_what_is_written_can_be_read(database):
    user_id = await database.write(lambda tx: add_user(tx, "ada"))
    row = await database.read(
        lambda tx: tx.execute(select(users).where(users.c.id == user_id)).one()
    )
    assert row.username == "ada"
    assert row.is_active is True
    assert row.created_at.tzinfo is not None


async def test_a_function_that_raises_changes_nothing(database):
    def fail(tx):
        add_user(tx, "ada", notify=True)
        raise LookupError

    heard = []
    database.changes.subscribe("user", heard.append)
    with pytest.raises(LookupError):
        await database.write(fail)
    assert await database.read(lambda tx: tx.execute(select(func.count(users.c.id))).scalar()) == 0
    assert heard == []


async def test_a_read_cannot_change_anything(database):
    await database.read(lambda tx: add_user(tx, "ada"))
    assert await database.read(lambda tx: tx.execute(select(func.count(users.c.id))).scalar()) == 0


async def test_transactions_of_one_name_run_one_after_the_other(database):
    user_id = await database.write(lambda tx: add_user(tx, "ada"))

    def count_up(tx):
        row = tx.execute(select(users).where(users.c.id == user_id)).one()
        time.sleep(0.002)  # room for others to come in between, were they let
        tx.execute(
            update(users).where(users.c.id == user_id).values(token_version=row.token_version + 1)
        )

    await asyncio.gather(*(database.write(count_up, lock="ada") for _ in range(40)))
    row = await database.read(lambda tx: tx.execute(select(users)).one())
    assert row.token_version == 41


async def test_the_event_loop_runs_on_while_the_database_is_busy(database):
    started, release = threading.Event(), threading.Event()

    def slow(tx):
        started.set()
        assert release.wait(10)

    task = asyncio.ensure_future(database.read(slow))
    await until(started.is_set)
    release.set()  # could not be reached if the loop were blocked
    await task


async def test_the_clock_is_the_databases(database):
    before = time.time()
    now = await database.read(lambda tx: tx.now())
    assert before - 5 < now < time.time() + 5


async def test_a_change_is_heard_here_and_by_another_server(database, database_url):
    other = Database(database_url)
    await other.open()
    try:
        here, there = [], []
        await until(lambda: other.changes.live and database.changes.live)
        database.changes.subscribe("user", here.append)
        other.changes.subscribe("user", there.append)
        first = await database.write(lambda tx: add_user(tx, "ada", notify=True))
        assert here == [first], "the own process hears before write() returns"
        await until(lambda: there == [first])
        second = await other.write(lambda tx: add_user(tx, "ben", notify=True))
        await until(lambda: here == [first, second])
        assert there == [first, second]
    finally:
        await other.close()


async def test_a_change_is_heard_here_though_nobody_waits_for_it_any_more(database):
    heard = asyncio.Event()
    database.changes.subscribe("user", lambda key: key == "u1" and heard.set())
    begun, go_on = threading.Event(), threading.Event()

    def write(tx):
        begun.set()
        assert go_on.wait(10)
        tx.notify("user", "u1")

    writing = asyncio.create_task(database.write(write))
    assert await asyncio.to_thread(begun.wait, 10)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    go_on.set()
    await asyncio.wait_for(heard.wait(), 10)


async def test_a_listener_that_fails_does_not_keep_others_from_hearing(database):
    def broken(key):
        raise RuntimeError

    heard = []
    database.changes.subscribe("user", broken)
    database.changes.subscribe("user", heard.append)
    user_id = await database.write(lambda tx: add_user(tx, "ada", notify=True))
    assert heard == [user_id]


async def test_a_database_that_was_closed_is_unavailable(database):
    """A request that comes while the server stops is told so, instead of failing."""
    await database.close()
    with pytest.raises(DatabaseUnavailable):
        await database.read(lambda tx: tx.now())


async def test_an_unreachable_server_is_said_to_be_unavailable():
    database = Database("postgresql://nobody:secret@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable) as caught:
        await database.read(lambda tx: None)
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(database)
    await database.close()


@pytest.mark.parametrize(
    ("text", "driver"),
    [
        ("postgres://u:p@h/d", "postgresql+psycopg2"),
        ("postgresql://u:p@h/d", "postgresql+psycopg2"),
        ("postgresql+psycopg2://u:p@h/d", "postgresql+psycopg2"),
        ("sqlite:////var/lib/x.db", "sqlite+pysqlite"),
    ],
)
def test_urls_as_people_write_them(text, driver):
    assert parse_url(text).drivername == driver


@pytest.mark.parametrize("text", ["", "mysql://u:hunter2@h/d", "sqlite://", "not a url", "::"])
def test_urls_that_cannot_be_used_are_refused_without_their_password(text):
    with pytest.raises(InvalidDatabaseUrl) as caught:
        parse_url(text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:hunter2@hunter2@h/d",
        "postgresql://u:hunter2@hunter2/hunter2@h/d",
        "postgresql://u:hunter2@hunter2:hunter2@h:5432/d",
        "postgresql://u:hunter2@hunter2?hunter2@h/d",
        "postgresql://u:hunter2@hunter2:5432/hunter2@h/d",
    ],
)
def test_a_password_that_is_not_encoded_is_no_host(text):
    """The driver would be asked for a host that is the end of the password, and would name it."""
    with pytest.raises(InvalidDatabaseUrl, match="write @ as %40") as caught:
        parse_url(text)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("text", ["u%40h:p%40s%2F@h/d", "u:p/ss@h/d", "u@srv:pw@h/d", "u@h"])
def test_what_can_be_told_apart_is_taken(text):
    assert parse_url(f"postgresql://{text}").host == "h"


class TestCache:
    def cache(self, **kwargs):
        bus = ChangeBus()
        bus.set_live(True)
        return bus, ChangeCache(bus, "user", **kwargs)

    def test_it_remembers(self):
        _, cache = self.cache()
        cache.put("a", 1, cache.ticket())
        assert cache.get("a") == 1

    def test_it_forgets_what_changed_and_only_that(self):
        bus, cache = self.cache()
        cache.put("a", 1, cache.ticket())
        cache.put("b", 2, cache.ticket())
        bus.publish([("user", "a")])
        assert (cache.get("a"), cache.get("b")) == (None, 2)

    def test_it_forgets_all_when_changes_may_have_been_missed(self):
        bus, cache = self.cache()
        cache.put("a", 1, cache.ticket())
        bus.publish([("user", None)])
        assert cache.get("a") is None

    def test_what_was_read_before_a_change_is_not_remembered_after_it(self):
        bus, cache = self.cache()
        ticket = cache.ticket()
        bus.publish([("user", "a")])
        cache.put("a", "stale", ticket)
        assert cache.get("a") is None

    def test_it_remembers_nothing_while_changes_cannot_be_heard(self):
        bus, cache = self.cache()
        cache.put("a", 1, cache.ticket())
        bus.set_live(False)
        assert cache.get("a") is None
        cache.put("a", 1, cache.ticket())
        bus.set_live(True)
        assert cache.get("a") is None

    def test_it_forgets_after_a_while(self, monkeypatch):
        now = [1000.0]
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        _, cache = self.cache(ttl=5)
        cache.put("a", 1, cache.ticket())
        now[0] += 4.9
        assert cache.get("a") == 1
        now[0] += 0.2
        assert cache.get("a") is None

    def test_it_has_a_size(self):
        _, cache = self.cache(size=2)
        for key in "abc":
            cache.put(key, key, cache.ticket())
        assert [cache.get(key) for key in "abc"] == [None, "b", "c"]
