"""What the model may be asked for in a day, and what it was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_collab_ai.ai.budgets import (
    Amount,
    Budget,
    Meter,
    Of,
    Payer,
    Terms,
    exceeded,
    paid_by,
    usage_of,
)
from jupyter_collab_ai.ai.model import Model, ModelSettings, Usage, estimate_tokens
from jupyter_collab_ai.errors import BudgetExceeded, ModelFailed
from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.storage.database import Database
from tests.support import fake_model as say
from tests.support.fake_model import NAME, FakeModel

ADA = UserId("ada")
ASK = [{"role": "user", "content": "x" * 350}]

# ---------------------------------------------------------------- pure


@pytest.mark.parametrize(
    ("budgets", "prices"),
    [
        ({"everybody": {"tokens": 1}}, {}),
        ({"user": {"token": 1}}, {}),
        ({"user": {"tokens": -1}}, {}),
        ({"user": {"tokens": True}}, {}),
        ({"user": {"tokens": float("nan")}}, {}),
        ({"user": {"cost": 1}}, {}),
        ({}, {"m": [1.0]}),
        ({}, {"m": [1.0, -1.0]}),
    ],
)
def test_terms_that_mean_nothing_are_refused(budgets: Any, prices: Any) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Terms.of(budgets, prices)


def test_terms() -> None:
    terms = Terms.of({"user": {"tokens": 5}, "server": {"cost": 2}}, {"m": [1, 10]})
    assert terms.budgets == {Of.USER: Budget(tokens=5), Of.SERVER: Budget(cost=2)}
    assert terms.prices["m"].of(Usage(2_000_000, 100_000)) == pytest.approx(3.0)


amounts = st.builds(Amount, st.integers(0, 1000), st.floats(0, 100))
budgets = st.builds(
    Budget, st.none() | st.integers(0, 1000), st.none() | st.floats(0, 100, allow_nan=False)
)


@given(
    st.dictionaries(st.sampled_from(Of), budgets),
    st.dictionaries(st.sampled_from(Of), amounts),
    amounts,
)
def test_what_is_allowed_stays_within_every_budget(
    limits: dict[Of, Budget], spent: dict[Of, Amount], more: Amount
) -> None:
    refused = exceeded(Terms(limits), spent, more)
    within = [
        (budget.tokens is None or spent.get(of, Amount()).tokens + more.tokens <= budget.tokens)
        and (budget.cost is None or spent.get(of, Amount()).cost + more.cost <= budget.cost)
        for of, budget in limits.items()
    ]
    assert (refused is None) == all(within)


# ---------------------------------------------------------------- with a model


class Office:
    """A model that is metered."""

    def __init__(self, database: Database, fake: FakeModel, terms: Terms) -> None:
        self.database = database
        self.model = Model(
            ModelSettings("key", fake.url), max_retries=0, meter=Meter(database, terms)
        )

    async def ask(self, user: str = ADA, session: str = "s", max_tokens: int = 100) -> Payer:
        with paid_by(Payer(UserId(user), SessionId(session))) as payer:
            await self.model.ask(ASK, max_tokens=max_tokens)
        return payer

    async def used(self, user: str | None = None) -> list[dict[str, Any]]:
        wanted = None if user is None else UserId(user)
        return await self.database.read(lambda tx: usage_of(tx, wanted))


@pytest.fixture
def office(database: Database, fake: FakeModel) -> Callable[..., Office]:
    def make(budgets: Any = None, prices: Any = None) -> Office:
        return Office(database, fake, Terms.of(budgets or {}, prices or {}))

    return make


async def test_what_was_asked_is_written_down(
    office: Callable[..., Office], fake: FakeModel
) -> None:
    fake.reply(say.says("fine", usage=(1000, 500)))
    desk = office(prices={NAME: [2.0, 4.0]})
    payer = await desk.ask()
    await desk.ask()
    await desk.ask("ben", "t")
    assert payer.usage == Usage(1000, 500)
    assert payer.model == NAME
    today = datetime.now(UTC).date().isoformat()
    mine = {
        "day": today,
        "user": None,
        "session_id": "s",
        "operations": 2,
        "prompt_tokens": 2000,
        "completion_tokens": 1000,
        "cost": pytest.approx(0.008),
    }
    assert await desk.used(ADA) == [mine]
    assert len(await desk.used()) == 2


async def test_two_questions_of_one_operation_are_one_operation(
    office: Callable[..., Office], fake: FakeModel
) -> None:
    fake.reply(say.says("fine"))
    desk = office()
    with paid_by(Payer(ADA, SessionId("s"))):
        await desk.model.ask(ASK, max_tokens=10)
        await asyncio.create_task(desk.model.ask(ASK, max_tokens=10))
    (used,) = await desk.used()
    assert (used["operations"], used["prompt_tokens"]) == (1, 20)
    assert "cost" not in used


@pytest.mark.parametrize("of", ["user", "session", "server"])
async def test_a_budget_ends(office: Callable[..., Office], fake: FakeModel, of: str) -> None:
    fake.reply(say.says("fine", usage=(100, 100)))
    desk = office({of: {"tokens": 450}})
    await desk.ask()
    await desk.ask()
    with pytest.raises(BudgetExceeded) as refused:
        await desk.ask()
    assert 0 < (refused.value.retry_after or 0) <= 86_400
    assert "midnight UTC" in refused.value.message
    assert len(fake.seen) == 2, "nothing was sent"
    # Others have their own, unless it is the server's.
    if of == "server":
        with pytest.raises(BudgetExceeded):
            await desk.ask("ben", "t")
    else:
        await desk.ask("ben", "t")


async def test_a_budget_in_money_ends(office: Callable[..., Office], fake: FakeModel) -> None:
    fake.reply(say.says("fine", usage=(100_000, 0)))
    desk = office({"user": {"cost": 0.15}}, {NAME: [1.0, 1.0]})
    await desk.ask()
    await desk.ask()
    with pytest.raises(BudgetExceeded):
        await desk.ask()


async def test_many_at_once_do_not_overspend_together(
    office: Callable[..., Office], fake: FakeModel
) -> None:
    """Each is likely to come to 125 tokens, so that no more than two are let through."""
    gate = asyncio.Event()

    async def waits(chat: Any) -> None:
        await gate.wait()
        await say.says("fine", usage=(50, 50))(chat)

    fake.reply(waits)
    desk = office({"server": {"tokens": 350}})
    asked = [asyncio.create_task(desk.ask()) for _ in range(8)]
    await fake.asked(2)
    async with asyncio.timeout(20):
        while sum(task.done() for task in asked) < 6:
            waiting = [task for task in asked if not task.done()]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    gate.set()
    ends = await asyncio.gather(*asked, return_exceptions=True)
    refused = [one for one in ends if isinstance(one, BudgetExceeded)]
    assert len(refused) == 6
    assert len(fake.seen) == 2
    await desk.ask()  # what was set aside and not used is free again


async def test_what_is_not_counted_is_estimated(
    office: Callable[..., Office], fake: FakeModel
) -> None:
    fake.reply(say.says("y" * 70, usage=None))
    desk = office()
    payer = await desk.ask()
    assert payer.usage == Usage(estimate_tokens(350), estimate_tokens(70), estimated=True)


async def test_a_question_that_is_refused_costs_nothing(
    office: Callable[..., Office], fake: FakeModel
) -> None:
    fake.reply(say.refuses(401))
    desk = office({"user": {"tokens": 10_000}})
    with pytest.raises(ModelFailed):
        await desk.ask()
    assert all(used["prompt_tokens"] == 0 for used in await desk.used())


async def test_a_question_that_fails_costs_what_was_asked(
    office: Callable[..., Office], fake: FakeModel
) -> None:
    fake.reply(say.refuses(500))
    desk = office({"user": {"tokens": 10_000}})
    with pytest.raises(ModelFailed):
        await desk.ask()
    (used,) = await desk.used()
    assert used["prompt_tokens"] == estimate_tokens(350)


async def test_a_question_that_is_cancelled_is_paid(
    office: Callable[..., Office], fake: FakeModel
) -> None:
    fake.reply(say.is_silent())
    desk = office({"user": {"tokens": 10_000}})
    task = asyncio.create_task(desk.ask())
    await fake.asked()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (used,) = await desk.used()
    assert used["prompt_tokens"] == estimate_tokens(350)
    fake.reply(say.says("fine"))
    for _ in range(3):
        await desk.ask()
