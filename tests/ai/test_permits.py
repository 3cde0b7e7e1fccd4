"""Who is signed out, demoted or removed gets nothing more written, and holds no lock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from jupyter_collab_ai.ai import permits, store
from jupyter_collab_ai.ai.store import State
from jupyter_collab_ai.errors import NotFound, RoleRequired, TokenRevoked
from jupyter_collab_ai.sessions.roles import Role
from jupyter_collab_ai.storage.tables import activity, operations
from tests.ai.house import FILE, AiHouse
from tests.rooms.engine import SESSION, person, until
from tests.support import fake_model as say

CODE = "def made():\n    return True\n"

Loss = Callable[..., None]


def signed_out(house: AiHouse, **how: bool) -> None:
    house.logins.sign_out("ben", **how)


def demoted(house: AiHouse, **how: bool) -> None:
    house.sessions.put("ben", Role.VIEWER, **how)


def removed(house: AiHouse, **how: bool) -> None:
    house.sessions.put("ben", None, **how)


LOSSES = [(signed_out, TokenRevoked), (demoted, RoleRequired), (removed, NotFound)]


async def states(house: AiHouse) -> list[tuple[str, str | None]]:
    def read(tx: Any) -> list[tuple[str, str | None]]:
        rows = tx.execute(select(operations.c.state, operations.c.reason)).all()
        return [(row.state, row.reason) for row in rows]

    return await house.database.read(read)


async def outcomes(house: AiHouse) -> list[str]:
    def read(tx: Any) -> list[str]:
        ended = select(activity.c.detail).where(activity.c.action == "operation_ended")
        return [detail["outcome"] for detail in tx.execute(ended).scalars()]

    return await house.database.read(read)


@pytest.mark.parametrize("lose, error", LOSSES)
async def test_the_lock_goes_before_the_model_has_answered(
    house: AiHouse, lose: Loss, error: type[Exception]
) -> None:
    house.write(FILE, "x = 1\n")
    house.fake.reply(say.is_silent())
    heard: list[Any] = []
    task = asyncio.create_task(house.generate(heard=heard))
    seen = await house.fake.asked()
    assert await house.locks() == 1
    lose(house)
    with pytest.raises(error):
        async with asyncio.timeout(3):
            await task
    assert await house.locks() == 0
    async with asyncio.timeout(3):
        await seen.gone.wait()
    assert await house.text() == "x = 1\n"
    reason = error.reason  # type: ignore[attr-defined]
    assert await states(house) == [(State.FAILED.value, reason)]
    assert await outcomes(house) == [reason]
    # The pages of the others hear of the end of what they were shown.
    assert ("preview", "ended") in [
        (type_, data.get("state")) for type_, data in house.events.published
    ]


@pytest.mark.parametrize("lose, error", LOSSES)
@pytest.mark.parametrize("apply", [True, False])
async def test_nothing_slips_in_where_it_is_not_heard_of(
    house: AiHouse, apply: bool, lose: Loss, error: type[Exception]
) -> None:
    house.write(FILE, "x = 1\n")
    gate = asyncio.Event()
    house.fake.reply(say.waits_for(gate, say.says(CODE)))
    task = asyncio.create_task(house.generate(apply=apply))
    await house.fake.asked()
    lose(house, told=False)
    gate.set()
    with pytest.raises(error):
        await task
    assert await house.locks() == 0
    assert await house.text() == "x = 1\n"
    assert [state for state, _ in await states(house)] == [State.FAILED.value]


async def test_what_is_not_heard_of_is_found_out(
    house: AiHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(permits, "RECHECK", 0.05)
    house.write(FILE, "x = 1\n")
    house.fake.reply(say.is_silent())
    task = asyncio.create_task(house.generate())
    await house.fake.asked()
    signed_out(house, told=False)
    with pytest.raises(TokenRevoked):
        async with asyncio.timeout(3):
            await task


@pytest.mark.parametrize("lose, error", LOSSES)
async def test_the_debugger_ends_too(house: AiHouse, lose: Loss, error: type[Exception]) -> None:
    house.write(FILE, "x = 1\n")
    house.fake.reply(say.is_silent())
    task = asyncio.create_task(house.debug())
    seen = await house.fake.asked()
    lose(house)
    with pytest.raises(error):
        async with asyncio.timeout(3):
            await task
    async with asyncio.timeout(3):
        await seen.gone.wait()
    assert [state for state, _ in await states(house)] == [State.FAILED.value]


async def test_an_admin_who_is_none_any_more_goes_on_as_the_member_they_are(
    house: AiHouse,
) -> None:
    house.write(FILE, "x = 1\n")
    house.logins.admins |= {"ben", "cleo"}
    gate = asyncio.Event()
    house.fake.reply(say.waits_for(gate, say.says(CODE)))
    task = asyncio.create_task(house.generate())
    await house.fake.asked()
    house.logins.demote("ben")
    gate.set()
    assert (await task)["applied"] is True
    text = await house.text()
    # A viewer is none who may do that.
    house.fake.reply(say.is_silent())
    task = asyncio.create_task(house.generate(name="cleo"))
    await house.fake.asked(2)
    house.logins.demote("cleo")
    with pytest.raises(RoleRequired):
        async with asyncio.timeout(3):
            await task
    assert await house.text() == text
    assert await house.locks() == 0


async def test_a_right_that_changes_to_another_that_is_enough_ends_nothing(
    house: AiHouse,
) -> None:
    house.write(FILE, "x = 1\n")
    gate = asyncio.Event()
    house.fake.reply(say.waits_for(gate, say.says(CODE)))
    task = asyncio.create_task(house.generate())
    await house.fake.asked()
    house.sessions.put("ben", Role.OWNER)
    house.sessions.put("cleo", None)
    house.sessions.put("ben", Role.EDITOR)
    gate.set()
    assert (await task)["applied"] is True


@pytest.mark.parametrize("lose, error", LOSSES)
async def test_results_and_fixes_are_not_written_any_more(
    house: AiHouse, monkeypatch: pytest.MonkeyPatch, lose: Loss, error: type[Exception]
) -> None:
    house.write(FILE, "x = 1\nif x = 1:\n    x = 2\n")
    house.fake.reply(say.says("def made():\n    return True\n"))
    suggested = await house.generate(apply=False)
    house.fake.reply(say.says_json({"summary": "", "findings": []}))
    report = await house.debug()
    (finding,) = [one for one in report["findings"] if "fix" in one]
    text = await house.text()
    ben = person("ben")
    run = house.operations
    shown = house.board.shown

    async def lose_then_show(lock_id: str) -> None:
        """Lose it when all was asked for, and nothing is written yet."""
        lose(house)
        await shown(lock_id)

    monkeypatch.setattr(house.board, "shown", lose_then_show)
    with pytest.raises(error):
        await run.apply(ben, suggested["operation_id"])
    house.logins.gone.clear()
    house.sessions.put("ben", Role.EDITOR)
    with pytest.raises(error):
        await run.apply_fix(ben, finding["id"])
    assert await house.text() == text
    assert await house.locks() == 0


async def test_who_is_signed_out_takes_nothing_back(house: AiHouse) -> None:
    house.write(FILE, "x = 1\n")
    house.fake.reply(say.says(CODE))
    made = await house.generate()
    text = await house.text()
    house.logins.sign_out("ben")
    with pytest.raises(TokenRevoked):
        await house.operations.undo(person("ben"), made["operation_id"])
    assert await house.text() == text
    house.logins.gone.clear()
    await house.operations.undo(person("ben"), made["operation_id"])
    assert await house.text() == "x = 1\n"


@pytest.mark.parametrize("round_", range(4))
@pytest.mark.parametrize("lose, error", LOSSES)
async def test_at_the_very_moment_it_is_whole_or_nothing(
    house: AiHouse, lose: Loss, error: type[Exception], round_: int
) -> None:
    house.write(FILE, "x = 1\n")
    house.fake.reply(say.says(CODE))
    heard: list[Any] = []
    task = asyncio.create_task(house.generate(heard=heard))
    await until(lambda: ("progress", {"stage": "writing"}) in heard)
    await asyncio.sleep(0.001 * round_)
    lose(house)
    try:
        result = await task
    except error:
        assert await house.text() == "x = 1\n"
        assert await states(house) == [(State.FAILED.value, error.reason)]  # type: ignore[attr-defined]
    else:
        assert result["applied"] is True
        assert CODE in await house.text()
        assert await states(house) == [(State.DONE.value, None)]
    assert await house.locks() == 0
    assert len(await outcomes(house)) == 1


async def test_what_has_ended_is_not_given_up(house: AiHouse) -> None:
    house.write(FILE, "x = 1\n")
    house.fake.reply(say.says(CODE))
    made = await house.generate()

    def give_up(tx: Any) -> bool:
        return store.give_up(tx, made["operation_id"], "role_required")

    assert await house.database.write(give_up) is False
    assert await states(house) == [(State.DONE.value, None)]
    assert await house.leases.of_session(SESSION) == []
