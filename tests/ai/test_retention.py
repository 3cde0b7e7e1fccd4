"""What operations read and wrote is forgotten; that they were, and how they ended, is not."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, select, update

from jupyter_collab_ai.ai import store
from jupyter_collab_ai.ai.retention import ContentRetention, Keeping
from jupyter_collab_ai.ai.store import Kind, State
from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.ids import DocumentId, OperationId, SessionId
from jupyter_collab_ai.storage.tables import findings, operations
from tests.rooms.engine import person


def begin(tx, name, state=None, *, hours=0.0):
    store.begin(
        tx,
        OperationId(name),
        Kind.GENERATOR,
        person("ada"),
        session_id=SessionId("s"),
        document_id=DocumentId("d"),
        path="a.py",
        request={"instructions": "secret plans"},
    )
    if state is not None:
        store.finish(
            tx, OperationId(name), state, result={"code": "x = 1"}, inside={"seq": 3}, model="m"
        )
        tx.execute(
            update(operations)
            .where(operations.c.id == name)
            .values(finished_at=utcnow() - timedelta(hours=hours))
        )
        tx.execute(
            insert(findings).values(
                id=f"f-{name}",
                operation_id=name,
                session_id="s",
                document_id="d",
                path="a.py",
                data={"finding": {"quote": "x"}},
                created_at=utcnow(),
            )
        )


async def test_old_content_goes_and_the_row_stays(database):
    def write(tx):
        begin(tx, "old", State.DONE, hours=30)
        begin(tx, "new", State.DONE, hours=2)
        begin(tx, "running")

    await database.write(write)
    retention = ContentRetention(database, Keeping())
    assert await retention.forget() == 1
    assert await retention.forget() == 0
    old, new = await database.read(
        lambda tx: [store.find(tx, OperationId(name)) for name in ("old", "new")]
    )
    assert (old.state, old.result, old.inside) == (State.DONE, None, {})
    assert new.result == {"code": "x = 1"}
    rows = await database.read(
        lambda tx: (
            tx.execute(select(findings.c.id)).scalars().all(),
            tx.execute(select(operations.c.request).where(operations.c.id == "old")).scalar_one(),
        )
    )
    assert rows == (["f-new"], {})


@pytest.mark.parametrize("all_", [True, False])
async def test_everything_is_kept_where_the_admin_says_so(database, all_):
    retention = ContentRetention(database, Keeping(all=all_))
    retention.start()
    assert (retention._task is None) == all_
    await retention.close()


async def test_operations_of_a_dead_server_have_failed(database):
    def write(tx):
        begin(tx, "dead")
        begin(tx, "alive")
        begin(tx, "done", State.DONE)
        tx.execute(
            update(operations)
            .where(operations.c.id.in_(["dead", "done"]))
            .values(alive_until=tx.now() - 1)
        )

    await database.write(write)
    assert await database.read(store.any_dead)
    assert await database.write(store.bury) == 1
    assert not await database.read(store.any_dead)
    await database.write(lambda tx: store.keep_alive(tx, [OperationId("alive")]))
    states = await database.read(
        lambda tx: store.states(tx, [OperationId(name) for name in ("dead", "alive", "done")])
    )
    assert states == {"dead": State.FAILED, "alive": State.RUNNING, "done": State.DONE}
