"""Accounts and logins, on both databases."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, update

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import (
    DatabaseUnavailable,
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
from jupyter_collab_ai.identity import starter, store
from jupyter_collab_ai.identity.registration import Registration
from jupyter_collab_ai.identity.starter import ensure_starter
from jupyter_collab_ai.principal import Credential
from jupyter_collab_ai.storage.audit import By
from jupyter_collab_ai.storage.database import Database
from jupyter_collab_ai.storage.tables import logins, refresh_tokens, users

PASSWORD = "correct horse battery"
HOME = "127.0.0.1"


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
    second = await identity.refresh(first["refresh_token"], address=HOME)
    assert (await who(identity, second)).username == "ada"
    with pytest.raises(TokenRevoked) as caught:
        await identity.refresh(first["refresh_token"], address=HOME)
    assert "goes on" in caught.value.message and "ended" not in caught.value.message
    # Within the grace of two tabs the family lives on.
    await identity.refresh(second["refresh_token"], address=HOME)


async def test_a_refresh_token_that_comes_again_later_ends_the_login(identity, database):
    await register(identity)
    first = await login(identity)
    second = await identity.refresh(first["refresh_token"], address=HOME)
    await database.write(
        lambda tx: tx.execute(
            update(refresh_tokens)
            .where(refresh_tokens.c.used_at.is_not(None))
            .values(used_at=utcnow() - 2 * store.GRACE)
        )
    )
    with pytest.raises(TokenRevoked):
        await identity.refresh(first["refresh_token"], address=HOME)
    with pytest.raises(TokenRevoked):
        await identity.refresh(second["refresh_token"], address=HOME)
    with pytest.raises(TokenRevoked):
        await who(identity, second)


async def test_of_twenty_that_refresh_at_once_one_does(identity):
    await register(identity)
    token = (await login(identity))["refresh_token"]
    results = await asyncio.gather(
        *(identity.refresh(token, address=HOME) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(result, dict) for result in results) == 1
    assert sum(isinstance(result, TokenRevoked) for result in results) == 19


async def test_what_is_no_refresh_token(identity):
    with pytest.raises(NotAuthenticated):
        await identity.refresh("nonsense \ud800", address=HOME)


async def test_no_token_is_kept_in_the_database(identity, database):
    await register(identity)
    answer = await login(identity)
    rows = await database.read(lambda tx: tx.execute(select(refresh_tokens)).all())
    assert answer["refresh_token"] not in repr(rows)


async def test_logout_bites_at_once_and_for_this_login_alone(identity):
    await register(identity)
    one, other = await login(identity), await login(identity)
    await identity.logout(await who(identity, one), address=HOME)
    with pytest.raises(TokenRevoked):
        await who(identity, one)
    with pytest.raises(TokenRevoked):
        await identity.refresh(one["refresh_token"], address=HOME)
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
    await identity.change_user("ada", is_admin=None, is_active=False, by=By())
    with pytest.raises(TokenRevoked) as revoked:
        await who(identity, answer)
    assert "deactivated" in revoked.value.message
    with pytest.raises(InvalidCredentials) as refused:
        await login(identity)
    assert "deactivated" in refused.value.message
    # Whoever does not know the password learns nothing of it.
    with pytest.raises(InvalidCredentials) as wrong:
        await login(identity, password="wrong")
    with pytest.raises(InvalidCredentials) as unknown:
        await login(identity, "nobody")
    assert wrong.value.message == unknown.value.message != refused.value.message


async def test_who_has_no_password_is_told_who_can_set_one(identity):
    boss = await identity.authenticate_starter()
    with pytest.raises(InvalidRequest) as caught:
        await identity.change_password(boss, "whatever", "a long enough one", address=HOME)
    assert "set-password boss" in caught.value.message
    assert [error.field for error in caught.value.errors] == ["current_password"]


async def test_logins_are_listed_and_ended_one_by_one(identity):
    await register(identity)
    one, other = await login(identity), await login(identity)
    principal = await who(identity, one)
    listed = await identity.logins(principal)
    assert [item["current"] for item in listed].count(True) == 1
    (elsewhere,) = [item["id"] for item in listed if not item["current"]]
    await identity.end_login(principal, elsewhere, address=HOME)
    with pytest.raises(TokenRevoked):
        await who(identity, other)
    with pytest.raises(NotFound):
        await identity.end_login(principal, elsewhere, address=HOME)


async def test_nobody_ends_the_login_of_somebody_else(identity):
    await register(identity)
    await register(identity, "ben")
    adas = await who(identity, await login(identity))
    bens = await who(identity, await login(identity, "ben"))
    with pytest.raises(NotFound):
        await identity.end_login(bens, adas.login_id, address=HOME)
    assert await identity.is_live(adas)


async def test_a_principal_in_a_transaction(identity, database):
    user = await register(identity)
    principal = await who(identity, await login(identity))

    async def now():
        return await database.write(lambda tx: identity.as_of(tx, principal, keep=True))

    assert await now() == principal
    by = By(None, HOME)
    await identity.change_user("ada", is_admin=True, is_active=None, by=by)
    await identity.change_me(principal, {"display_name": "Ada L."})
    seen = await now()
    assert (seen.is_admin, seen.display_name, seen.login_id) == (True, "Ada L.", principal.login_id)
    await identity.logout(principal, address=HOME)
    with pytest.raises(TokenRevoked):
        await now()
    principal = await who(identity, await login(identity))
    await database.write(lambda tx: tx.execute(update(logins).values(expires_at=utcnow())))
    with pytest.raises(TokenExpired):
        await now()
    principal = await identity.authenticate_external(
        store.External("elsewhere", "zoe"), "Zoe", Credential.COOKIE, address=HOME
    )
    assert await now() == principal
    await identity.change_user(principal.username, is_admin=None, is_active=False, by=by)
    with pytest.raises(TokenRevoked):
        await now()
    await database.write(lambda tx: store.delete_user(tx, principal.user_id))
    with pytest.raises(TokenRevoked):
        await now()
    assert user.id != principal.user_id


@pytest.mark.parametrize("what", ["sign out", "deactivate", "demote"])
async def test_what_is_asked_in_a_transaction_holds_until_its_end(identity, database, what):
    await register(identity)
    principal = await who(identity, await login(identity))
    by = By(None, HOME)
    order = []
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def record(tx):
        identity.as_of(tx, principal, keep=True)
        loop.call_soon_threadsafe(asked.set)
        time.sleep(0.2)  # for the other one to come in between
        order.append("recorded")

    async def lose():
        await asked.wait()
        if what == "sign out":
            await identity.logout(principal, address=HOME)
        elif what == "deactivate":
            await identity.change_user("ada", is_admin=None, is_active=False, by=by)
        else:
            await identity.change_user("ada", is_admin=False, is_active=None, by=by)
        order.append("lost")

    await asyncio.gather(database.write(record), lose())
    assert order == ["recorded", "lost"]


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


async def test_whoever_follows_hears_of_another_name(identity, database):
    await register(identity)
    await register(identity, "ben")
    principal = await who(identity, await login(identity))
    told, stopped = [], []
    stop = identity.follow(principal, lambda *looks: told.append(looks))
    identity.follow(principal, lambda *looks: stopped.append(looks))()
    bens = await who(identity, await login(identity, "ben"))
    await identity.change_me(bens, {"display_name": "Ben"})
    await identity.change_me(principal, {"email": "ada@example.org"})
    for number in range(5):
        await identity.change_me(principal, {"display_name": f"Ada {number}"})
    await identity.change_me(principal, {"display_name": "Ada L.", "color": "#abcdef"})
    await until(lambda: told and told[-1] == ("Ada L.", "#abcdef"))
    assert all(name.startswith("Ada ") for name, _ in told)
    stop()
    assert identity._followers == {}
    # What was changed before it began is told, too.
    late = []
    stop = identity.follow(principal, lambda *looks: late.append(looks))
    await until(lambda: late)
    assert late == [("Ada L.", "#abcdef")]
    stop()
    assert stopped == []


async def test_a_name_is_told_once_the_database_answers(identity, database, monkeypatch):
    await register(identity)
    principal = await who(identity, await login(identity))
    told = []
    stop = identity.follow(principal, lambda *looks: told.append(looks))
    await until(lambda: not identity._tasks)
    monkeypatch.setattr("jupyter_collab_ai.identity.service._PATIENCE", 0.01)
    user, failures = identity._user, iter(range(3))

    async def fail(user_id):
        if next(failures, None) is not None:
            raise DatabaseUnavailable("It can't be reached.")
        return await user(user_id)

    monkeypatch.setattr(identity, "_user", fail)
    await identity.change_me(principal, {"display_name": "Ada L."})
    await until(lambda: told)
    assert [name for name, _ in told] == ["Ada L."]
    stop()


async def test_whoever_watches_hears_of_the_end(identity):
    await register(identity)
    principal = await who(identity, await login(identity))
    other = await who(identity, await login(identity))
    ended, spared, stopped = [], [], []
    identity.watch(principal, lambda: ended.append(1))
    identity.watch(other, lambda: spared.append(1))
    identity.watch(principal, lambda: stopped.append(1))()
    await identity.logout(principal, address=HOME)
    await until(lambda: ended)
    await identity.change_user("ada", is_admin=None, is_active=False, by=By())
    await until(lambda: spared)
    assert (ended, stopped) == ([1], [])


async def test_whoever_watches_hears_that_an_admin_is_none_any_more(identity):
    await register(identity)
    await identity.change_user("ada", is_admin=True, is_active=None, by=By())
    principal = await who(identity, await login(identity))
    assert principal.is_admin
    ended = []
    identity.watch(principal, lambda: ended.append(1))
    await identity.change_user("ada", is_admin=False, is_active=None, by=By())
    await until(lambda: ended)


async def test_the_account_of_the_starter_stays_an_admin(identity):
    for change in ({"is_admin": False, "is_active": None}, {"is_admin": None, "is_active": False}):
        with pytest.raises(InvalidRequest):
            await identity.change_user("boss", **change, by=By())
    with pytest.raises(InvalidRequest):
        await identity.delete_user("boss", by=By())
    assert (await identity.authenticate_starter()).is_admin


async def test_a_deleted_account_is_gone(identity):
    await register(identity)
    answer = await login(identity)
    await identity.delete_user("ada", by=By())
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


async def test_servers_that_start_at_once_make_the_starters_account_once(
    database, database_url, monkeypatch
):
    found_both = threading.Barrier(2)
    find = starter.find_starter

    def find_together(tx, username):
        found = find(tx, username)
        # Who is kept from looking at the same moment is not waited for for ever.
        with contextlib.suppress(threading.BrokenBarrierError):
            found_both.wait(0.5)
        return found

    monkeypatch.setattr(starter, "find_starter", find_together)
    second = Database(database_url)
    try:
        one, other = await asyncio.gather(
            *(asyncio.to_thread(starter.take_charge, each, "boss") for each in (database, second))
        )
    finally:
        await second.close()
    assert one.id == other.id


async def test_nobody_gets_what_lies_where_their_folder_would_be(identity, others):
    others.full.add("migrations")
    with pytest.raises(UsernameTaken) as caught:
        await register(identity, "Migrations")
    # Nothing tells whether it is an account or a folder.
    assert caught.value.message == "This username is taken; choose another."
    assert others.homes == []


async def test_an_account_is_changed_by_its_owner(identity):
    await register(identity)
    principal = await who(identity, await login(identity))
    changed = await identity.change_me(
        principal, {"display_name": "Ada L.", "color": "#AABBCC", "email": "ada@example.org"}
    )
    assert (changed.display_name, changed.color) == ("Ada L.", "#aabbcc")
    with pytest.raises(InvalidRequest):
        await identity.change_me(principal, {"color": "red"})


async def test_guesses_at_once_are_throttled_too(identity):
    await register(identity)
    results = await asyncio.gather(
        *(login(identity, password=f"wrong {number}") for number in range(25)),
        return_exceptions=True,
    )
    kinds = [type(result) for result in results]
    assert (kinds.count(InvalidCredentials), kinds.count(RateLimited)) == (10, 15)


async def test_a_sign_in_with_the_old_password_does_not_outlive_its_change(
    identity, database, monkeypatch
):
    await register(identity)
    principal = await who(identity, await login(identity))
    verify = identity._hasher.verify

    async def slowly(stored, password):
        matches = await verify(stored, password)
        # Just after the old password was found to be right, it is changed.
        monkeypatch.setattr(identity._hasher, "verify", verify)
        await identity.change_password(principal, PASSWORD, "another good one", address="other")
        return matches

    monkeypatch.setattr(identity._hasher, "verify", slowly)
    with pytest.raises(InvalidCredentials):
        await login(identity)
    assert len(await identity.logins(principal)) == 1
    await login(identity, password="another good one")


async def test_a_hash_of_old_parameters_is_renewed_at_sign_in(identity, database):
    await register(identity)
    old = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
    await database.write(lambda tx: tx.execute(update(users).values(password_hash=old)))
    await login(identity)
    stored = await database.read(
        lambda tx: store.password_hash(tx, store.find_user_named(tx, "ada").id)
    )
    assert stored != old
    assert not identity._hasher.outdated(stored)
    await login(identity)


async def test_who_comes_too_late_with_an_invitation_does_not_come_in(identity, others, database):
    async def too_late(principal, secret, *, address=None):
        raise InvitationUsed("Somebody else was faster.")

    others.accept = too_late
    with pytest.raises(InvitationUsed):
        await register(identity, registration=Registration.INVITE, invitation="good")
    assert await database.read(lambda tx: store.find_user_named(tx, "ada")) is None
    assert others.homes == []


async def test_an_account_without_its_folder_is_none(identity, others, database):
    async def full(username):
        raise OSError("No space left on device")

    others.make_home = full
    with pytest.raises(OSError, match="No space"):
        await register(identity)
    assert await database.read(lambda tx: store.find_user_named(tx, "ada")) is None


async def test_a_promotion_ends_no_connection(identity):
    await register(identity)
    principal = await who(identity, await login(identity))
    ended = []
    identity.watch(principal, lambda: ended.append(1))
    await identity.change_user("ada", is_admin=True, is_active=None, by=By())
    assert await identity.is_live(principal)
    await identity.logout(principal, address=HOME)
    await until(lambda: ended)


async def test_whoever_comes_back_does_not_bring_old_tokens(identity, database):
    await register(identity)
    answer = await login(identity)
    await identity.change_user("ada", is_admin=None, is_active=False, by=By())
    await identity.change_user("ada", is_admin=None, is_active=True, by=By())

    def revive(tx):
        # Even if the logins themselves were brought back, say from a backup.
        tx.execute(update(logins).values(revoked_at=None))
        for login_id in tx.execute(select(logins.c.id)).scalars():
            tx.notify(store.LOGIN, login_id)

    await database.write(revive)
    with pytest.raises(TokenRevoked):
        await who(identity, answer)


async def test_an_account_has_no_more_logins_than_it_may(identity, monkeypatch):
    monkeypatch.setattr(store, "MAX_LOGINS", 3)
    await register(identity)
    first, *others = [await login(identity) for _ in range(4)]
    with pytest.raises(TokenRevoked):
        await who(identity, first)
    for answer in others:
        await who(identity, answer)


async def test_the_last_use_of_a_login_is_noted(identity, database):
    await register(identity)
    answer = await login(identity)
    principal = await who(identity, answer)
    long_ago = utcnow() - 3 * store.USE

    def age(tx):
        tx.execute(update(logins).values(last_used_at=long_ago))
        tx.notify(store.LOGIN, principal.login_id)

    await database.write(age)
    await who(identity, answer)

    async def used():
        found = await database.read(lambda tx: store.find_login(tx, principal.login_id))
        return found.last_used_at

    deadline = asyncio.get_running_loop().time() + 10
    while await used() == long_ago:
        assert asyncio.get_running_loop().time() < deadline
    assert utcnow() - await used() < store.USE


async def test_what_was_mistyped_does_not_count_as_a_registration(identity):
    for _ in range(100):
        with pytest.raises(InvalidRequest):
            await register(identity, password="short")
    await register(identity)


async def test_nobody_gets_the_files_of_a_deleted_account_with_its_name(identity, others):
    await register(identity)
    others.full.add("ada")
    await identity.delete_user("ada", by=By())
    assert others.swept == 1
    with pytest.raises(UsernameTaken):
        await register(identity, "Ada")
    # Once they are gone, the name is free.
    others.full.clear()
    await register(identity)
    await identity.delete_user("ada", by=By())
