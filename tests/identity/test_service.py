"""Accounts and logins, on both databases."""

from __future__ import annotations

import asyncio
import time

import pytest
from sqlalchemy import select, update

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import (
    InvalidCredentials,
    InvalidRequest,
    InvitationUsed,
    NotAuthenticated,
    NotFound,
    RateLimited,
    RegistrationClosed,
    TokenExpired,
    TokenRevoked,
    UsernameTaken,
)
from jupyter_collab_ai.identity import store
from jupyter_collab_ai.identity.registration import Registration
from jupyter_collab_ai.identity.service import ensure_starter
from jupyter_collab_ai.principal import Credential
from jupyter_collab_ai.storage.tables import logins, refresh_tokens, users

PASSWORD = "correct horse battery"


async def register(identity, username="ada", **changes):
    given = {
        "username": username,
        "password": PASSWORD,
        "display_name": None,
        "email": None,
        "invitation": None,
        "registration": Registration.OPEN,
        "address": "127.0.0.1",
    }
    return await identity.register(**{**given, **changes})


async def login(identity, username="ada", password=PASSWORD, address="127.0.0.1"):
    user, made = await identity.login(username, password, address=address, user_agent="test")
    return await identity.issue(user, made)


async def who(identity, answer):
    return await identity.authenticate(answer["access_token"], Credential.BEARER)


async def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def test_register_and_sign_in(identity, others):
    user = await register(identity, "Ada")
    assert (user.username, user.display_name, user.is_admin) == ("ada", "ada", False)
    assert others.homes == ["ada"]
    answer = await login(identity, "ADA")
    assert answer["token_type"] == "bearer"
    assert answer["expires_in"] >= 1
    principal = await who(identity, answer)
    assert (principal.username, principal.is_admin) == ("ada", False)


async def test_the_password_is_kept_as_an_argon2id_hash(identity, database):
    await register(identity)
    stored = await database.read(
        lambda tx: tx.execute(
            select(users.c.password_hash).where(users.c.username == "ada")
        ).scalar_one()
    )
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in stored


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"username": "a"}, InvalidRequest),
        ({"username": "_a"}, InvalidRequest),
        ({"username": "ä-b"}, InvalidRequest),
        ({"username": "../x"}, InvalidRequest),
        ({"username": "boss"}, UsernameTaken),
        ({"username": "BOSS"}, UsernameTaken),
        ({"password": "short"}, InvalidRequest),
        ({"password": "x" * 1025}, InvalidRequest),
        ({"password": "Password1"}, InvalidRequest),
        ({"registration": Registration.CLOSED}, RegistrationClosed),
        ({"registration": Registration.CLOSED, "invitation": "good"}, RegistrationClosed),
        ({"registration": Registration.INVITE}, RegistrationClosed),
        ({"invitation": "none"}, NotFound),
        ({"invitation": "used"}, InvitationUsed),
    ],
)
async def test_what_is_no_registration_leaves_no_account(identity, database, changes, error):
    with pytest.raises(error):
        await register(identity, **changes)
    names = await database.read(lambda tx: tx.execute(select(users.c.username)).scalars().all())
    assert names == ["boss"]


async def test_an_invitation_lets_in_and_is_accepted(identity, others):
    await register(identity, registration=Registration.INVITE, invitation="good")
    assert others.accepted == [("ada", "good")]


async def test_of_many_who_want_a_name_at_once_one_gets_it(identity):
    results = await asyncio.gather(*(register(identity) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, store.User) for result in results) == 1
    assert sum(isinstance(result, UsernameTaken) for result in results) == 7


async def test_wrong_names_and_passwords_are_told_apart_by_nobody(identity):
    await register(identity)
    sentences = set()
    for username, password in (("ada", "wrong"), ("nobody", PASSWORD), ("ada", "x" * 5000)):
        with pytest.raises(InvalidCredentials) as caught:
            await login(identity, username, password)
        sentences.add(caught.value.message)
    assert len(sentences) == 1


async def test_failures_are_throttled_and_lock_nobody_else_out(identity):
    await register(identity)
    for _ in range(10):
        with pytest.raises(InvalidCredentials):
            await login(identity, password="wrong", address="10.0.0.1")
    with pytest.raises(RateLimited):
        await login(identity, address="10.0.0.1")
    await login(identity, address="10.0.0.2")


async def test_sixty_good_logins_a_minute_are_fine(identity):
    await register(identity)
    for _ in range(60):
        await login(identity)


async def test_a_refresh_token_is_good_for_once(identity):
    await register(identity)
    first = await login(identity)
    second = await identity.refresh(first["refresh_token"])
    assert (await who(identity, second)).username == "ada"
    with pytest.raises(TokenRevoked):
        await identity.refresh(first["refresh_token"])
    # Within the grace of two tabs the family lives on.
    await identity.refresh(second["refresh_token"])


async def test_a_refresh_token_that_comes_again_later_ends_the_login(identity, database):
    await register(identity)
    first = await login(identity)
    second = await identity.refresh(first["refresh_token"])
    await database.write(
        lambda tx: tx.execute(
            update(refresh_tokens)
            .where(refresh_tokens.c.used_at.is_not(None))
            .values(used_at=utcnow() - 2 * store.GRACE)
        )
    )
    with pytest.raises(TokenRevoked):
        await identity.refresh(first["refresh_token"])
    with pytest.raises(TokenRevoked):
        await identity.refresh(second["refresh_token"])
    with pytest.raises(TokenRevoked):
        await who(identity, second)


async def test_of_twenty_that_refresh_at_once_one_does(identity):
    await register(identity)
    token = (await login(identity))["refresh_token"]
    results = await asyncio.gather(
        *(identity.refresh(token) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(result, dict) for result in results) == 1
    assert sum(isinstance(result, TokenRevoked) for result in results) == 19


async def test_what_is_no_refresh_token(identity):
    with pytest.raises(NotAuthenticated):
        await identity.refresh("nonsense \ud800")


async def test_no_token_is_kept_in_the_database(identity, database):
    await register(identity)
    answer = await login(identity)
    rows = await database.read(lambda tx: tx.execute(select(refresh_tokens)).all())
    assert answer["refresh_token"] not in repr(rows)


async def test_logout_bites_at_once_and_for_this_login_alone(identity):
    await register(identity)
    one, other = await login(identity), await login(identity)
    await identity.logout(await who(identity, one))
    with pytest.raises(TokenRevoked):
        await who(identity, one)
    with pytest.raises(TokenRevoked):
        await identity.refresh(one["refresh_token"])
    assert (await who(identity, other)).username == "ada"


async def test_a_new_password_ends_every_other_login(identity):
    await register(identity)
    one, other = await login(identity), await login(identity)
    principal = await who(identity, one)
    with pytest.raises(InvalidCredentials):
        await identity.change_password(principal, "wrong", "another good one", address="x")
    await identity.change_password(principal, PASSWORD, "another good one", address="x")
    assert (await who(identity, one)).username == "ada"
    with pytest.raises(TokenRevoked):
        await who(identity, other)
    with pytest.raises(InvalidCredentials):
        await login(identity)
    await login(identity, password="another good one")


async def test_a_deactivated_account_is_out_at_once(identity):
    await register(identity)
    answer = await login(identity)
    await identity.change_user("ada", is_admin=None, is_active=False)
    with pytest.raises(TokenRevoked):
        await who(identity, answer)
    with pytest.raises(InvalidCredentials):
        await login(identity)


async def test_logins_are_listed_and_ended_one_by_one(identity):
    await register(identity)
    one, other = await login(identity), await login(identity)
    principal = await who(identity, one)
    listed = await identity.logins(principal)
    assert [item["current"] for item in listed].count(True) == 1
    (elsewhere,) = [item["id"] for item in listed if not item["current"]]
    await identity.end_login(principal, elsewhere)
    with pytest.raises(TokenRevoked):
        await who(identity, other)
    with pytest.raises(NotFound):
        await identity.end_login(principal, elsewhere)


async def test_nobody_ends_the_login_of_somebody_else(identity):
    await register(identity)
    await register(identity, "ben")
    adas = await who(identity, await login(identity))
    bens = await who(identity, await login(identity, "ben"))
    with pytest.raises(NotFound):
        await identity.end_login(bens, adas.login_id)
    assert await identity.is_live(adas)


async def test_a_login_that_has_expired(identity, database):
    await register(identity)
    answer = await login(identity)

    def expire(tx):
        tx.execute(update(logins).values(expires_at=utcnow()))
        for login_id in tx.execute(select(logins.c.id)).scalars():
            tx.notify(store.LOGIN, login_id)

    await database.write(expire)
    with pytest.raises(TokenExpired):
        await who(identity, answer)


async def test_whoever_watches_hears_of_the_end(identity):
    await register(identity)
    principal = await who(identity, await login(identity))
    other = await who(identity, await login(identity))
    ended, spared, stopped = [], [], []
    identity.watch(principal, lambda: ended.append(1))
    identity.watch(other, lambda: spared.append(1))
    identity.watch(principal, lambda: stopped.append(1))()
    await identity.logout(principal)
    await until(lambda: ended)
    await identity.change_user("ada", is_admin=None, is_active=False)
    await until(lambda: spared)
    assert (ended, stopped) == ([1], [])


async def test_whoever_watches_hears_that_an_admin_is_none_any_more(identity):
    await register(identity)
    await identity.change_user("ada", is_admin=True, is_active=None)
    principal = await who(identity, await login(identity))
    assert principal.is_admin
    ended = []
    identity.watch(principal, lambda: ended.append(1))
    await identity.change_user("ada", is_admin=False, is_active=None)
    await until(lambda: ended)


async def test_the_account_of_the_starter_stays_an_admin(identity):
    for change in ({"is_admin": False, "is_active": None}, {"is_admin": None, "is_active": False}):
        with pytest.raises(InvalidRequest):
            await identity.change_user("boss", **change)
    with pytest.raises(InvalidRequest):
        await identity.delete_user("boss")
    assert (await identity.authenticate_starter()).is_admin


async def test_a_deleted_account_is_gone(identity):
    await register(identity)
    answer = await login(identity)
    await identity.delete_user("ada")
    with pytest.raises(TokenRevoked):
        await who(identity, answer)
    with pytest.raises(NotFound):
        await identity.user("ada")


async def test_the_starter_gets_an_account_once_and_takes_nobodys(database):
    first = await database.write(lambda tx: ensure_starter(tx, "boss"))
    again = await database.write(lambda tx: ensure_starter(tx, "boss"))
    assert first.id == again.id
    await database.write(lambda tx: store.add_user(tx, "ada"))
    other = await database.write(lambda tx: ensure_starter(tx, "ada"))
    assert (other.username, other.is_admin) == ("ada-admin", True)
    assert not (await database.read(lambda tx: store.find_user_named(tx, "ada"))).is_admin


async def test_an_account_is_changed_by_its_owner(identity):
    await register(identity)
    principal = await who(identity, await login(identity))
    changed = await identity.change_me(
        principal, {"display_name": "Ada L.", "color": "#AABBCC", "email": "ada@example.org"}
    )
    assert (changed.display_name, changed.color) == ("Ada L.", "#aabbcc")
    with pytest.raises(InvalidRequest):
        await identity.change_me(principal, {"color": "red"})
