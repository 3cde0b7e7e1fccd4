"""Leases, on both databases: one holder at a time, tokens that rise, nothing left behind."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import threading
import time

import pytest
from sqlalchemy import insert, select, update

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import NotFound
from jupyter_collab_ai.ids import DocumentId, OperationId, SessionId, UserId, new_id
from jupyter_collab_ai.locks.leases import LeaseLost, Leases, LeaseTaken, Wanted
from jupyter_collab_ai.locks.scopes import Scope
from jupyter_collab_ai.storage.database import Database
from jupyter_collab_ai.storage.tables import activity, documents, locks, users
from tests.support.processes import start

SESSION = SessionId("session")


@pytest.fixture
async def document(database):
    return await database.write(make_document)


def make_document(tx, path="a/b.py"):
    document_id, user_id = new_id(), new_id()
    tx.execute(
        insert(users).values(
            id=user_id,
            username=user_id.lower(),
            display_name="U",
            color="#000",
            created_at=utcnow(),
        )
    )
    tx.execute(
        insert(documents).values(
            id=document_id,
            path=path,
            format="text",
            type="file",
            epoch="e",
            created_at=utcnow(),
            updated_at=utcnow(),
        )
    )
    return DocumentId(document_id), UserId(user_id)


def wanted(document, scope=None, session_id=SESSION):
    document_id, user_id = document
    return Wanted(
        document_id,
        session_id,
        scope or Scope.document(),
        OperationId(new_id()),
        "test",
        user_id,
        b"start",
        b"end",
    )


def by(scopes, mine):
    """Locate leases by what the test knows of them; all others cover everything."""

    async def locate(standing):
        return mine, {lease.id: scopes.get(lease.id, Scope.document()) for lease in standing}

    return locate


async def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


whole = by({}, Scope.document())


async def test_a_lease_is_one_persons_until_it_ends(database, document):
    leases = Leases(database)
    async with leases.hold(wanted(document), whole) as held:
        assert [lease.id for lease in await leases.live(document[0])] == [held.lease.id]
        assert [lease.id for lease in await leases.of_session(SESSION)] == [held.lease.id]
        assert held.lease.start_anchor == b"start"
        assert 0 < (held.lease.expires_at - held.lease.since).total_seconds() <= 30
        with pytest.raises(LeaseTaken) as taken:
            await leases.acquire(wanted(document), whole)
        assert taken.value.lease.id == held.lease.id
    assert await leases.live(document[0]) == []
    async with leases.hold(wanted(document), whole) as again:
        assert again.lease.token > held.lease.token


async def test_scopes_that_do_not_overlap_are_held_together(database, document):
    leases = Leases(database)
    one, two = Scope.range(None, 0, 5), Scope.range(None, 9, 12)
    first = await leases.acquire(wanted(document, one), by({}, one))
    second = await leases.acquire(wanted(document, two), by({first.id: one}, two))
    assert second.token > first.token
    with pytest.raises(LeaseTaken):
        # The text has moved: what was apart now touches.
        moved = {first.id: one, second.id: Scope.range(None, 20, 23)}
        await leases.acquire(wanted(document), by(moved, Scope.range(None, 13, 20)))
    # A lease whose cell is gone is nowhere, and in nobody's way.
    third = Scope.cell("c")

    async def locate(standing):
        return third, {}

    assert await leases.acquire(wanted(document, third), locate)


async def test_a_lease_is_spent_by_what_is_written_under_it(database, document):
    leases = Leases(database)

    def write(tx, held):
        tx.execute(update(documents).values(saved_hash="written"))
        held.spend(tx)

    async with leases.hold(wanted(document), whole) as held:
        await database.write(lambda tx: write(tx, held))
        assert await leases.live(document[0]) == []
        with pytest.raises(LeaseLost):
            await database.write(lambda tx: write(tx, held))


async def test_nothing_is_written_under_a_lease_that_is_lost(database, document):
    leases = Leases(database)

    def write(tx, held):
        tx.execute(update(documents).values(saved_hash="written"))
        held.spend(tx)

    async with leases.hold(wanted(document), whole) as held:
        broken = await leases.break_(held.lease.id, SESSION)
        assert broken.operation_id == held.lease.operation_id
        await asyncio.wait_for(held.lost.wait(), 5)
        with pytest.raises(LeaseLost):
            await database.write(lambda tx: write(tx, held))
        with pytest.raises(NotFound):
            await leases.break_(held.lease.id, SESSION)
    row = await database.read(lambda tx: tx.execute(select(documents.c.saved_hash)).scalar_one())
    assert row is None


async def test_a_lease_is_broken_in_its_own_session_only(database, document):
    leases = Leases(database)
    async with leases.hold(wanted(document), whole) as held:
        with pytest.raises(NotFound):
            await leases.break_(held.lease.id, SessionId("other"))
        assert not held.lost.is_set()


async def test_another_server_may_break_it(database, database_url, document):
    other = Database(database_url)
    await other.open()
    try:
        leases = Leases(database)
        async with leases.hold(wanted(document), whole) as held:
            await Leases(other).break_(held.lease.id, SESSION)
            await asyncio.wait_for(held.lost.wait(), 10)
    finally:
        await other.close()


async def test_a_lease_that_is_renewed_does_not_end(database, document):
    leases = Leases(database, ttl=0.6)
    async with leases.hold(wanted(document), whole) as held:
        first = held.lease.expires_at

        async def renewed():
            (lease,) = await leases.live(document[0])
            return (lease.expires_at - first).total_seconds() > 1

        await until(renewed)
        assert not held.lost.is_set()


async def test_a_lease_that_nobody_renews_ends(database, document):
    leases = Leases(database, ttl=0.3)
    lease = await leases.acquire(wanted(document), whole)
    took_over = []

    async def free():
        try:
            took_over.append(await leases.acquire(wanted(document), whole))
        except LeaseTaken:
            return False
        return True

    await until(free)
    assert took_over[0].token > lease.token
    assert await leases.renew(lease) is False, "it was somebody else's by then"
    assert await leases.release(lease) is False


async def test_what_the_dead_have_left_is_swept(database, document):
    leases = Leases(database, ttl=0.2)
    heard = []
    database.changes.subscribe("lock", heard.append)
    lease = await leases.acquire(wanted(document), whole)

    async def swept():
        return await leases.sweep() == 1

    await until(swept)
    assert heard[-1] == f"{document[0]}:{lease.id}"
    rows = await database.read(lambda tx: tx.execute(select(locks)).all())
    assert rows == []


async def test_leases_are_found_by_path(database, document):
    leases = Leases(database)
    async with leases.hold(wanted(document), whole) as held:
        for path, there in (
            ("a/b.py", 1),
            ("a", 1),
            ("", 1),
            ("a/b", 0),
            ("b", 0),
            ("a/b.py/c", 0),
        ):
            assert [lease.id for lease in await leases.at(path)] == [held.lease.id] * there, path


async def test_a_lease_of_a_document_that_is_gone_can_not_be_had(database, document):
    with pytest.raises(NotFound):
        await Leases(database).acquire(wanted((DocumentId("gone"), document[1])), whole)


async def test_many_ask_at_once_and_one_gets_it(database, document):
    leases = Leases(database)
    inside, most, served = 0, 0, 0

    async def worker():
        nonlocal inside, most, served
        mine = 0
        while mine < 2:
            try:
                async with leases.hold(wanted(document), whole):
                    inside += 1
                    most = max(most, inside)
                    await asyncio.sleep(0.001)
                    inside -= 1
                    mine += 1
                    served += 1
            except LeaseTaken:
                await asyncio.sleep(0.001)

    async with asyncio.timeout(90):
        await asyncio.gather(*(worker() for _ in range(8)))
    assert most == 1
    assert served == 16


async def test_a_cancelled_operation_leaves_no_lease(database, document):
    leases = Leases(database)
    begun = asyncio.Event()

    async def operation():
        async with leases.hold(wanted(document), whole):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(operation())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await leases.live(document[0]) == []


async def test_killed_processes_leave_a_free_document_and_never_share_it(
    database, database_url, document, tmp_path
):
    ttl = 1.5
    mark = tmp_path / "mark"
    tokens: list[int] = []

    def launch():
        process = start(
            [
                sys.executable,
                "-m",
                "tests.locks.worker",
                database_url,
                *document,
                str(mark),
                str(ttl),
            ],
            stdout=-1,
            stderr=-1,
        )

        def listen():
            tokens.extend(int(line.split()[1]) for line in process.stdout)

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        return process, thread

    processes = [launch() for _ in range(3)]
    try:
        for _ in range(4):
            seen = len(tokens)

            async def more(seen=seen):
                return len(tokens) >= seen + 5

            await until(more, 40)
            victim, thread = processes.pop(0)
            os.kill(victim.pid, signal.SIGKILL)
            await asyncio.to_thread(victim.wait)
            await asyncio.to_thread(thread.join)
            assert victim.stderr.read() == b"", "it found somebody else inside"
            processes.append(launch())
    finally:
        for process, _ in processes:
            process.kill()
            process.wait()
    assert tokens == sorted(set(tokens)), "tokens only ever rise"


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_processes_that_stand_still_or_die_write_nothing_late(
    database, database_url, document
):
    """In random rounds one is stopped for longer than its lease lasts, or killed."""
    ttl, chance = 0.6, random.Random(1)
    said: list[str] = []

    def launch():
        process = start(
            [sys.executable, "-m", "tests.locks.writer", database_url, *document, str(ttl)],
            stdout=-1,
            stderr=-1,
        )
        thread = threading.Thread(
            target=lambda: said.extend(line.decode() for line in process.stdout), daemon=True
        )
        thread.start()
        return process

    async def grown(by):
        before = len(said)

        async def more():
            return len(said) >= before + by

        await until(more, 60)

    processes = [launch() for _ in range(4)]
    waited: list[float] = []
    try:
        await grown(5)
        for number in range(24):
            victim = chance.randrange(len(processes))
            if number % 2:
                processes[victim].kill()
                killed = time.monotonic()
                await grown(1)
                waited.append(time.monotonic() - killed)
                await asyncio.to_thread(processes[victim].wait)
                processes[victim] = launch()
            else:
                os.kill(processes[victim].pid, signal.SIGSTOP)
                await asyncio.sleep(chance.random() * 3 * ttl)
                os.kill(processes[victim].pid, signal.SIGCONT)
            await grown(2)
    finally:
        for process in processes:
            process.kill()
            process.wait()

    def read(tx):
        rows = tx.execute(
            select(activity.c.detail)
            .where(activity.c.action == "test_write")
            .order_by(activity.c.id)
        )
        return [row.detail["token"] for row in rows]

    written = await database.read(read)
    held = [int(line.split()[1]) for line in said if line.startswith("holds")]
    lost = {int(line.split()[1]) for line in said if line.startswith("lost")}
    print(
        f"{len(held)} leases, {len(written)} writes, {len(lost)} too late, "
        f"taken over after {max(waited):.2f} s at the most"
    )
    assert len(held) == len(set(held)), "no token twice"
    assert written == sorted(set(written)), "each write is by a later holder than the one before"
    assert not lost & set(written), "what came too late was not written"

    async def swept():
        return not await Leases(database, ttl=ttl).live(document[0])

    await until(swept, 5)
