"""What the model may be asked for in a day, by whom, and what it was asked for.

A budget is so many tokens, or so much money, in a day (UTC), of one account, of one session, or of
the whole server. Before each call of the model its likely size is set aside, so that many calls at
once don't overspend together; afterwards the real size is written down. What a server doesn't
count, or did not come to tell, is estimated.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from jupyter_collab_ai.ai.model import Message, Usage, estimate_tokens
from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import BudgetExceeded, CollabError
from jupyter_collab_ai.ids import SessionId, UserId, new_id
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.tables import ai_reservations, ai_usage, users

log = logging.getLogger(__name__)

#: The part of the longest answer that is set aside for one: most are much shorter.
LIKELY = 0.25
#: Seconds after which what a server that died has set aside counts no more.
FORGOTTEN = 900.0
#: How far back usage is told, in days.
USAGE_DAYS = 92
_MILLION = 1_000_000


class Of(Enum):
    """Whose budget one is."""

    USER = "user"
    SESSION = "session"
    SERVER = "server"


@dataclass(frozen=True)
class Amount:
    """So many tokens, and so much money."""

    tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.tokens + other.tokens, self.cost + other.cost)


@dataclass(frozen=True)
class Budget:
    """The most for one day; None where there is no bound."""

    tokens: int | None = None
    cost: float | None = None

    def allows(self, amount: Amount) -> bool:
        """Tell whether an amount is within it."""
        return (self.tokens is None or amount.tokens <= self.tokens) and (
            self.cost is None or amount.cost <= self.cost
        )


@dataclass(frozen=True)
class Price:
    """What a model costs, in money for a million tokens."""

    prompt: float
    completion: float

    def of(self, usage: Usage) -> float:
        """Return what an answer has cost."""
        return (
            usage.prompt_tokens * self.prompt + usage.completion_tokens * self.completion
        ) / _MILLION


@dataclass(frozen=True)
class Terms:
    """What the administrator has set."""

    budgets: Mapping[Of, Budget] = field(default_factory=dict)
    #: By the names of the models.
    prices: Mapping[str, Price] = field(default_factory=dict)

    @classmethod
    def of(
        cls, budgets: Mapping[str, Mapping[str, float]], prices: Mapping[str, Sequence[float]]
    ) -> Terms:
        """Read the traits.

        Raises:
            ValueError: They say something that has no meaning; the message names it.
        """
        read: dict[Of, Budget] = {}
        for whose, values in budgets.items():
            if whose not in {of.value for of in Of}:
                raise ValueError(f"There is no budget of “{whose}”: use user, session or server.")
            unknown = set(values) - {"tokens", "cost"}
            if unknown or any(not _is_amount(value) for value in values.values()):
                raise ValueError(
                    f"The budget of {whose} may have “tokens” and “cost”, each a number from 0 on."
                )
            tokens = values.get("tokens")
            read[Of(whose)] = Budget(None if tokens is None else int(tokens), values.get("cost"))
        for model, price in prices.items():
            if len(price) != 2 or any(not _is_amount(value) for value in price):
                raise ValueError(
                    f"The price of {model} is two numbers: of a million tokens of what is asked, "
                    "and of what is answered."
                )
        if any(budget.cost is not None for budget in read.values()) and not prices:
            raise ValueError("A budget in money needs model_prices.")
        return cls(read, {model: Price(*price) for model, price in prices.items()})


def _is_amount(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value >= 0
    )


def exceeded(terms: Terms, spent: Mapping[Of, Amount], more: Amount) -> Of | None:
    """Return whose budget does not allow more; None where all do."""
    for of, budget in terms.budgets.items():
        if not budget.allows(spent.get(of, Amount()) + more):
            return of
    return None


# ---------------------------------------------------------------- who pays


@dataclass
class Payer:
    """For whom the model is asked, and what it came to so far."""

    user_id: UserId
    session_id: SessionId
    usage: Usage = field(default_factory=Usage)
    model: str | None = None
    calls: int = 0


_payer: ContextVar[Payer | None] = ContextVar("collab_ai_payer", default=None)


@contextlib.contextmanager
def paid_by(payer: Payer) -> Iterator[Payer]:
    """Let all calls of the model in here, and in tasks that begin here, be a payer's."""
    token = _payer.set(payer)
    try:
        yield payer
    finally:
        _payer.reset(token)


class Bill:
    """One call of the model, as it goes on."""

    def __init__(self, prompt_tokens: int) -> None:
        self._prompt_tokens = prompt_tokens
        self._characters = 0
        self._counted: Usage | None = None

    def heard(self, piece: str) -> None:
        """Note a piece of the answer."""
        self._characters += len(piece)

    def counted(self, usage: Usage | None) -> None:
        """Note what the server has counted."""
        self._counted = usage

    @property
    def usage(self) -> Usage:
        """What it came to: as counted, else as estimated."""
        return self._counted or Usage(
            self._prompt_tokens, estimate_tokens(self._characters), estimated=True
        )


class Meter:
    """Asks before each call of the model, and writes down what it came to."""

    def __init__(self, database: Database, terms: Terms) -> None:
        self._database = database
        self._terms = terms

    @contextlib.asynccontextmanager
    async def call(
        self, model: str, messages: Sequence[Message], max_tokens: int
    ) -> AsyncIterator[Bill]:
        """Let one call happen, for whoever :func:`paid_by` names.

        Raises:
            BudgetExceeded: There is not enough left of a budget.
        """
        payer = _payer.get()
        bill = Bill(estimate_tokens(sum(len(one["content"]) for one in messages)))
        if payer is None:
            yield bill
            return
        price = self._terms.prices.get(model)
        likely = Usage(bill.usage.prompt_tokens, math.ceil(max_tokens * LIKELY))
        reserved = await self._reserve(payer, _amount(likely, price))
        try:
            yield bill
        finally:
            # Also where whoever asked has gone: what was asked has to be paid.
            await asyncio.shield(self._settle(payer, reserved, model, bill.usage, price))

    async def _reserve(self, payer: Payer, likely: Amount) -> str | None:
        if not self._terms.budgets:
            return None
        reserved = new_id()

        def write(tx: Tx) -> Of | None:
            now = tx.now()
            tx.execute(delete(ai_reservations).where(ai_reservations.c.expires_at <= now))
            spent = {of: _spent(tx, of, payer) for of in self._terms.budgets}
            refused = exceeded(self._terms, spent, likely)
            if refused is None:
                tx.execute(
                    insert(ai_reservations).values(
                        id=reserved,
                        user_id=payer.user_id,
                        session_id=payer.session_id,
                        tokens=likely.tokens,
                        cost=likely.cost,
                        expires_at=now + FORGOTTEN,
                    )
                )
            return refused

        refused = await self._database.write(write, lock="ai-budget")
        if refused is not None:
            raise _refusal(refused)
        return reserved

    async def _settle(
        self, payer: Payer, reserved: str | None, model: str, usage: Usage, price: Price | None
    ) -> None:
        first = payer.calls == 0
        payer.calls += 1
        payer.usage += usage
        payer.model = model

        def write(tx: Tx) -> None:
            if reserved is not None:
                tx.execute(delete(ai_reservations).where(ai_reservations.c.id == reserved))
            _add(tx, payer, model, usage, price, operations=int(first))

        try:
            await self._database.write(write)
        except CollabError:
            log.warning(
                "What a call of the AI model came to could not be written down: %s asked, %s "
                "answered.",
                usage.prompt_tokens,
                usage.completion_tokens,
            )


def _amount(usage: Usage, price: Price | None) -> Amount:
    return Amount(
        usage.prompt_tokens + usage.completion_tokens, 0.0 if price is None else price.of(usage)
    )


def _refusal(of: Of) -> BudgetExceeded:
    now = datetime.now(UTC)
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    whose = {Of.USER: "Your", Of.SESSION: "This session's", Of.SERVER: "This server's"}[of]
    return BudgetExceeded(
        f"{whose} AI budget for today is used up, or what is left is not enough for this; it "
        "begins anew at midnight UTC.",
        retry_after=(midnight - now).total_seconds(),
    )


# ---------------------------------------------------------------- the rows


def _day() -> str:
    return utcnow().astimezone(UTC).date().isoformat()


def _spent(tx: Tx, of: Of, payer: Payer) -> Amount:
    """Return what was spent today, and is set aside now."""
    used = select(
        func.coalesce(func.sum(ai_usage.c.prompt_tokens + ai_usage.c.completion_tokens), 0).label(
            "tokens"
        ),
        func.coalesce(func.sum(ai_usage.c.cost), 0.0).label("cost"),
    ).where(ai_usage.c.day == _day())
    aside = select(
        func.coalesce(func.sum(ai_reservations.c.tokens), 0).label("tokens"),
        func.coalesce(func.sum(ai_reservations.c.cost), 0.0).label("cost"),
    )
    if of is Of.USER:
        used = used.where(ai_usage.c.user_id == payer.user_id)
        aside = aside.where(ai_reservations.c.user_id == payer.user_id)
    elif of is Of.SESSION:
        used = used.where(ai_usage.c.session_id == payer.session_id)
        aside = aside.where(ai_reservations.c.session_id == payer.session_id)
    total = Amount()
    for statement in (used, aside):
        row = tx.execute(statement).one()
        total += Amount(int(row.tokens), float(row.cost))
    return total


def _add(
    tx: Tx, payer: Payer, model: str, usage: Usage, price: Price | None, *, operations: int
) -> None:
    dialect = sqlite if tx.is_sqlite else postgresql
    statement = dialect.insert(ai_usage).values(
        day=_day(),
        user_id=payer.user_id,
        session_id=payer.session_id,
        model=model[:128],
        operations=operations,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cost=None if price is None else price.of(usage),
    )
    new = statement.excluded
    tx.execute(
        statement.on_conflict_do_update(
            index_elements=["day", "user_id", "session_id", "model"],
            set_={
                "operations": ai_usage.c.operations + new.operations,
                "prompt_tokens": ai_usage.c.prompt_tokens + new.prompt_tokens,
                "completion_tokens": ai_usage.c.completion_tokens + new.completion_tokens,
                "cost": func.coalesce(ai_usage.c.cost + new.cost, new.cost, ai_usage.c.cost),
            },
        )
    )


def usage_of(tx: Tx, user_id: UserId | None) -> list[dict[str, Any]]:
    """Return what was used per account, session and day (UTC), the newest day first.

    Args:
        tx: The transaction.
        user_id: Whose; None for everybody's.
    """
    since = (utcnow().astimezone(UTC) - timedelta(days=USAGE_DAYS)).date().isoformat()
    key = (ai_usage.c.day, ai_usage.c.user_id, ai_usage.c.session_id, users.c.username)
    statement = (
        select(
            *key,
            func.sum(ai_usage.c.operations).label("operations"),
            func.sum(ai_usage.c.prompt_tokens).label("prompt_tokens"),
            func.sum(ai_usage.c.completion_tokens).label("completion_tokens"),
            func.sum(ai_usage.c.cost).label("cost"),
        )
        .join(users, users.c.id == ai_usage.c.user_id, isouter=True)
        .where(ai_usage.c.day > since)
        .group_by(*key)
        .order_by(ai_usage.c.day.desc(), ai_usage.c.user_id, ai_usage.c.session_id)
    )
    if user_id is not None:
        statement = statement.where(ai_usage.c.user_id == user_id)
    return [
        {
            "day": row.day,
            "user": row.username,
            "session_id": row.session_id,
            "operations": int(row.operations),
            "prompt_tokens": int(row.prompt_tokens),
            "completion_tokens": int(row.completion_tokens),
            **({} if row.cost is None else {"cost": float(row.cost)}),
        }
        for row in tx.execute(statement)
    ]
