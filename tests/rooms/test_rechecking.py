"""What people may do is asked again in time, and no keystroke waits for that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_collab_ai.errors import DatabaseUnavailable
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.rooms import rechecking as rechecking_module
from jupyter_collab_ai.rooms.rechecking import EARLY, RECHECK
from tests.rooms.engine import VIEWER, Client, House, until


class Questions:
    """Holds back the answers about rights until told to give them."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.answered = 0
        self.go = asyncio.Event()
        self.fails = False
        self._rights_of = house.people.rights_of
        monkeypatch.setattr(house.people, "rights_of", self._ask)

    async def _ask(self, principals: Sequence[Principal], path: str) -> Any:
        self.asked += 1
        rights = await self._rights_of(principals, path)
        await self.go.wait()
        self.answered += 1
        if self.fails:
            raise DatabaseUnavailable("no answer")
        return rights


async def _pair(house: House) -> tuple[Client, Client]:
    house.write("a.py", "")
    return await house.client("ada", "a.py"), await house.client("bob", "a.py")


def _age(seconds: float, *clients: Client) -> None:
    """Let it be longer ago that the rights of some in one room were asked for."""
    for client in clients:
        client.connection.checked_at -= seconds
        client.room._rechecking._due = 0


async def test_a_keystroke_does_not_wait_for_what_is_asked_in_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = await _pair(house)
    questions = Questions(house, monkeypatch)
    _age(RECHECK - EARLY, ada, bob)
    for letter in "abc":
        await ada.type(letter)
        await until(lambda: str(bob.text) == str(ada.text))
    # One question for both, while all of that was recorded and shown.
    assert (questions.asked, questions.answered) == (1, 0)
    questions.go.set()
    await until(lambda: questions.answered)
    await until(lambda: ada.connection.checked_at > time.monotonic() - 1)
    await ada.type("d")
    await until(lambda: str(bob.text) == "abcd")
    assert questions.asked == 1


async def test_what_was_lost_is_found_by_the_question_beside(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = await _pair(house)
    # Nobody is told of it.
    house.people.rights["bob"] = VIEWER
    _age(RECHECK - EARLY, bob)
    await ada.type("a")
    await until(lambda: not bob.connection.right.may_write)
    await bob.type("too late")
    await until(lambda: bob.refused)
    assert str(ada.text) == "a"


async def test_without_an_answer_in_time_the_next_keystroke_waits(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, bob = await _pair(house)
    questions = Questions(house, monkeypatch)
    _age(RECHECK - EARLY, ada)
    questions.fails = True
    questions.go.set()
    await ada.type("a")
    await until(lambda: questions.answered == 1)
    await until(lambda: str(bob.text) == "a")
    questions.go.clear()
    questions.fails = False
    # By now it is too old.
    _age(EARLY, ada)
    await ada.type("b")
    await until(lambda: questions.asked == 2)
    assert str(bob.text) == "a"
    questions.go.set()
    await until(lambda: str(bob.text) == "ab")


async def test_old_answers_are_noticed_without_help(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock alone: the next look is due before any answer is too old."""
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    rechecking = ada.room._rechecking
    now = time.monotonic()
    asked: list[Sequence[Principal]] = []

    async def ask(principals: Sequence[Principal]) -> Any:
        asked.append(principals)
        return [ada.connection.right]

    monkeypatch.setattr(rechecking, "_ask", ask)
    for step in range(1, 40):
        at = now + step / 2
        monkeypatch.setattr(rechecking_module, "time", SimpleNamespace(monotonic=lambda at=at: at))
        assert rechecking.too_old() == set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert at - ada.connection.checked_at <= RECHECK
    assert 3 <= len(asked) <= 6


async def test_a_room_that_ends_asks_no_more(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    questions = Questions(house, monkeypatch)
    _age(RECHECK - EARLY, ada)
    await ada.type("a")
    await until(lambda: questions.asked)
    asking = ada.room._rechecking._asking
    assert asking is not None
    await house.rooms.close_all()
    await until(asking.done)
