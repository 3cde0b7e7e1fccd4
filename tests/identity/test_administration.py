"""What the calls and the terminal share, as far as a running server sees it."""

from __future__ import annotations

import asyncio

import pytest
from argon2 import PasswordHasher

from jupyter_collab_ai.errors import InvalidRequest, NotFound
from jupyter_collab_ai.identity import store
from jupyter_collab_ai.identity.administration import Administration
from jupyter_collab_ai.identity.passwords import Hasher
from jupyter_collab_ai.storage.audit import By

PASSWORD = "correct horse battery"


@pytest.fixture
def terminal(database):
    """An admin at a terminal, who shares nothing but the database with the server."""
    hasher = Hasher(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    yield Administration(database, hasher, starters=())
    hasher.close()


async def test_an_account_from_elsewhere_gets_its_folder_with_its_first_login(
    identity, others, terminal
):
    await terminal.create("ada", PASSWORD, by=By())
    assert others.homes == []
    await identity.login("ada", PASSWORD, address="127.0.0.1", user_agent=None)
    assert others.homes == ["ada"]


async def test_who_can_have_no_folder_signs_in_all_the_same(
    identity, others, terminal, monkeypatch
):
    async def fail(username: str) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(others, "make_home", fail)
    await terminal.create("ada", PASSWORD, by=By())
    user, _ = await identity.login("ada", PASSWORD, address="127.0.0.1", user_agent=None)
    assert user.username == "ada"


async def test_two_admins_do_not_take_each_others_right_away(database, terminal):
    for name in ("ada", "ben"):
        await terminal.create(name, PASSWORD, is_admin=True, by=By())
    results = await asyncio.gather(
        terminal.change("ada", is_admin=False, by=By()),
        terminal.change("ben", is_active=False, by=By()),
        return_exceptions=True,
    )
    assert sorted(isinstance(result, InvalidRequest) for result in results) == [False, True]
    users, _ = await terminal.page(limit=10)
    assert [user.is_admin and user.is_active for user in users].count(True) == 1


async def test_a_deleted_account_is_not_changed_in_silence(database, terminal, monkeypatch):
    user = await terminal.create("ada", PASSWORD, by=By())
    hash_ = terminal._hasher.hash

    async def slowly(password: str) -> str:
        await database.write(lambda tx: store.delete_user(tx, user.id))
        return await hash_(password)

    monkeypatch.setattr(terminal._hasher, "hash", slowly)
    with pytest.raises(NotFound, match="There is no account of this name"):
        await terminal.set_password("ada", "another one 1", by=By())
