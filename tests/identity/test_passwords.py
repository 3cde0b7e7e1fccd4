"""Passwords are hashed well, in threads of their own, and no more at a time than can be."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_collab_ai.errors import RateLimited
from jupyter_collab_ai.identity import passwords
from jupyter_collab_ai.identity.passwords import MAX_LENGTH, Hasher

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def hasher() -> Iterator[Hasher]:
    hasher = Hasher(CHEAP)
    yield hasher
    hasher.close()


async def test_what_is_hashed_in_production_is_argon2id_with_the_recommended_parameters():
    hasher = Hasher()
    stored = await hasher.hash("correct horse battery staple")
    hasher.close()
    parameters = extract_parameters(stored)
    assert parameters.type is Type.ID
    assert parameters.memory_cost >= 64 * 1024
    assert parameters.time_cost >= 3
    assert "correct" not in stored


@settings(max_examples=25)
@given(password=st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_a_password_is_the_right_one_and_no_other_is(password):
    async def check() -> None:
        hasher = Hasher(CHEAP)
        try:
            stored = await hasher.hash(password)
            assert await hasher.verify(stored, password)
            assert not await hasher.verify(stored, password + "x")
            assert not await hasher.verify(None, password)
        finally:
            hasher.close()

    asyncio.run(check())


async def test_two_keyboards_type_the_same_password(hasher):
    stored = await hasher.hash("Cafe\u0301 parole")
    assert await hasher.verify(stored, "Caf\u00e9 parole")


async def test_what_can_be_no_password_is_nobodys(hasher):
    stored = await hasher.hash("")
    for wrong in ("x" * (MAX_LENGTH + 1), "\ud800"):
        assert not await hasher.verify(stored, wrong)
    assert not await hasher.verify("not a hash", "whatever")


async def test_an_old_hash_is_outdated(hasher):
    old = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash("x")
    assert hasher.outdated(old)
    assert not hasher.outdated(await hasher.hash("x"))


async def test_as_many_wait_as_can_be_served(hasher, monkeypatch):
    monkeypatch.setattr(passwords, "MAX_WAITING", 3)
    gate = threading.Event()
    running = [asyncio.ensure_future(hasher.run(gate.wait)) for _ in range(passwords.AT_ONCE + 3)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited) as caught:
        await hasher.verify(None, "x")
    assert caught.value.retry_after >= 1
    gate.set()
    await asyncio.gather(*running)
    assert not await hasher.verify(None, "x")
