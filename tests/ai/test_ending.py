"""How an operation ended is in the audit once, whatever disturbed its end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from sqlalchemy import select

from jupyter_collab_ai.ai import store
from jupyter_collab_ai.ai.runner import MOST_OF_ONE, Run
from jupyter_collab_ai.ai.store import Kind, State
from jupyter_collab_ai.errors import OperationCancelled, RateLimited, StaleDocument
from jupyter_collab_ai.storage.tables import activity
from tests.ai.house import FILE, AiHouse
from tests.rooms.engine import person
from tests.support import fake_model as say


async def outcomes(house: AiHouse) -> list[str]:
    def read(tx: Any) -> list[str]:
        rows = tx.execute(
            select(activity.c.detail).where(activity.c.action == "operation_ended")
        ).scalars()
        return [detail["outcome"] for detail in rows]

    return await house.database.read(read)


async def run(house: AiHouse, disturb: Any, *, rolled_back: bool = False) -> Any:
    """Run an operation that ends well, and is disturbed then."""
    house.write(FILE, "x = 1\n")
    async with house.documents.hold(FILE) as document:
        one = Run(person("ben"), house.sessions.session, FILE, document)

        def write(tx: Any) -> None:
            assert store.finish(tx, one.id, State.DONE, result={})
            one.note_end(tx)
            if rolled_back:
                raise StaleDocument("It is gone.")

        async def work() -> dict[str, Any]:
            await house.database.write(write)
            await disturb()
            return {}

        working: Coroutine[Any, Any, dict[str, Any]] = work()
        runner = house.operations._runner
        return await runner.run(one, Kind.DEBUGGER, {}, lambda *_: None, working)


async def nothing() -> None:
    pass


async def cancelled() -> None:
    raise asyncio.CancelledError


async def test_a_good_end(house: AiHouse) -> None:
    await run(house, nothing)
    assert await outcomes(house) == ["done"]


async def test_one_that_is_disturbed_after_its_end(house: AiHouse) -> None:
    with pytest.raises(OperationCancelled):
        await run(house, cancelled)
    assert await outcomes(house) == ["done"]


async def test_an_end_that_was_not_recorded(house: AiHouse) -> None:
    with pytest.raises(StaleDocument):
        await run(house, nothing, rolled_back=True)
    assert await outcomes(house) == ["stale_document"]


async def test_the_debugger_and_the_generator_say_it_once(house: AiHouse) -> None:
    house.write(FILE, "x = 1\n")
    house.fake.reply(say.says("y = 2\n"))
    await house.generate()
    await house.generate(apply=False)
    assert await outcomes(house) == ["done", "done"]


async def test_no_more_run_at_once_than_may(house: AiHouse) -> None:
    """Also where all of them begin while the first is being noted."""
    house.write(FILE, "x = 1\n")
    runner = house.operations._runner
    gate = asyncio.Event()

    async def work() -> dict[str, Any]:
        await gate.wait()
        return {}

    async with house.documents.hold(FILE) as document:

        def begin(name: str) -> asyncio.Task[dict[str, Any]]:
            one = Run(person(name), house.sessions.session, FILE, document)
            return asyncio.create_task(runner.run(one, Kind.DEBUGGER, {}, lambda *_: None, work()))

        tasks = [begin("ben") for _ in range(20)] + [begin("ada")]
        refused, _ = await asyncio.wait(tasks[4:20], timeout=20)
        assert len(refused) == 16
        assert all(isinstance(one.exception(), RateLimited) for one in refused)
        gate.set()
        assert await asyncio.gather(*tasks[:4], tasks[20]) == [{}] * 5
        # What could not be noted takes no place.
        for _ in range(MOST_OF_ONE + 1):
            same = Run(person("ben"), house.sessions.session, FILE, document)
            object.__setattr__(same, "session", None)
            with pytest.raises(AttributeError):
                await runner.run(same, Kind.DEBUGGER, {}, lambda *_: None, work())
        assert await begin("ben") == {}
