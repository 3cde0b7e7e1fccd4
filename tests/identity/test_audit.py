"""What stands in the audit log about accounts, and who may read it."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select, update

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import (
    InvalidCredentials,
    InvalidRequest,
    InvitationUsed,
    RateLimited,
    TokenRevoked,
)
from jupyter_collab_ai.identity.registration import Registration
from jupyter_collab_ai.principal import Credential
from jupyter_collab_ai.storage import audit
from jupyter_collab_ai.storage.audit import By, Operator
from jupyter_collab_ai.storage.retention import BATCH, AuditRetention
from jupyter_collab_ai.storage.tables import activity, refresh_tokens

PASSWORD = "correct horse battery"
HERE, THERE = "192.0.2.1", "192.0.2.2"


async def register(identity, username: str, **changes):
    given = {
        "username": username,
        "password": PASSWORD,
        "display_name": None,
        "email": None,
        "invitation": None,
        "registration": Registration.OPEN,
        "address": HERE,
    }
    return await identity.register(**{**given, **changes})


async def login(identity, username: str, address: str = HERE):
    user, made = await identity.login(username, PASSWORD, address=address, user_agent=None)
    answer = await identity.issue(user, made)
    return await identity.authenticate(answer["access_token"], Credential.BEARER), answer


async def told(identity, **wanted):
    """Return the log as admins read it, the oldest first."""
    asked = {"limit": 200, "after": None, "session_id": None, "actor": None, "action": None}
    page = await identity.activity(**{**asked, **wanted})
    return page["items"][::-1]


def brief(entries):
    return [(item["actor"], item["action"], item["target"], item["address"]) for item in entries]


async def test_what_somebody_does_with_their_account(identity):
    await register(identity, "ada")
    one, _ = await login(identity, "ada")
    other, _ = await login(identity, "ada", THERE)
    await identity.end_login(one, str(other.login_id), address=HERE)
    await identity.change_password(one, PASSWORD, "another horse battery", address=HERE)
    await identity.logout(one, address=HERE)
    assert brief(await told(identity)) == [
        ("ada", "account_registered", "ada", HERE),
        ("ada", "signed_in", "ada", HERE),
        ("ada", "signed_in", "ada", THERE),
        ("ada", "login_ended", "ada", HERE),
        ("ada", "password_changed", "ada", HERE),
        ("ada", "signed_out", "ada", HERE),
    ]


async def test_what_admins_do_with_accounts(identity, database):
    await register(identity, "ada")
    boss = await identity.authenticate_starter()
    by = By(boss, THERE)
    await identity.change_user("ada", is_admin=True, is_active=None, by=by)
    await identity.change_user("ada", is_admin=None, is_active=False, by=by)
    await identity.delete_user("ada", by=by)
    entries = (await told(identity))[1:]
    assert brief(entries) == [
        ("boss", "account_changed", "ada", THERE),
        ("boss", "account_changed", "ada", THERE),
        ("boss", "account_deleted", "ada", THERE),
    ]
    assert [item["detail"] for item in entries] == [{"is_admin": True}, {"is_active": False}, None]


async def test_what_was_refused_is_not_noted_as_done(identity):
    with pytest.raises(InvalidRequest):
        await identity.change_user("boss", is_admin=False, is_active=None, by=By())
    with pytest.raises(InvalidRequest):
        await identity.delete_user("boss", by=By())
    assert await told(identity) == []


async def test_a_registration_that_came_to_nothing(identity, others):
    async def late(*args, **kwargs):
        raise InvitationUsed("This invitation was used already.")

    others.accept = late
    with pytest.raises(InvitationUsed):
        await register(identity, "ada", invitation="good")
    assert [item["action"] for item in await told(identity)] == [
        "account_registered",
        "account_deleted",
    ]


async def test_a_throttled_account_is_noted_once_a_minute(identity):
    await register(identity, "ada")
    for name in ("ada", "hunter2-my-password"):
        for _ in range(15):
            with pytest.raises((InvalidCredentials, RateLimited)):
                await identity.login(name, "wrong", address=THERE, user_agent=None)
    entries = [item for item in await told(identity) if item["action"] == "sign_in_throttled"]
    # What is nobody's name may be a password in the wrong field.
    assert brief(entries) == [
        (None, "sign_in_throttled", "ada", THERE),
        (None, "sign_in_throttled", None, THERE),
    ]


async def test_wrong_tokens_are_throttled_and_noted(identity):
    token = "0123456789abcdef" * 3
    for _ in range(60):
        await identity.count_token(THERE, right=False, token=token)
    for _ in range(3):
        with pytest.raises(RateLimited) as caught:
            await identity.count_token(THERE, right=False, token=token)
    assert caught.value.retry_after >= 1
    # Who has the right one is not shut out by what others try from their address...
    await identity.count_token(THERE, right=True, token=token)
    # ... unless it is so short that the limit is what keeps it from being guessed.
    with pytest.raises(RateLimited):
        await identity.count_token(THERE, right=True, token="1234")
    await identity.count_token(HERE, right=True, token="1234")
    assert brief(await told(identity)) == [(None, "token_throttled", None, THERE)]


async def test_a_stolen_refresh_token_is_noted(identity, database):
    await register(identity, "ada")
    _, answer = await login(identity, "ada")
    await identity.refresh(answer["refresh_token"], address=HERE)
    earlier = utcnow() - timedelta(seconds=6)
    await database.write(
        lambda tx: tx.execute(
            update(refresh_tokens)
            .where(refresh_tokens.c.used_at.is_not(None))
            .values(used_at=earlier)
        )
    )
    for _ in range(2):
        with pytest.raises(TokenRevoked):
            await identity.refresh(answer["refresh_token"], address=THERE)
    assert brief(await told(identity))[2:] == [(None, "refresh_token_reused", "ada", THERE)]


async def test_the_log_is_read_in_pages_and_by_what_one_looks_for(identity):
    for name in ("ada", "ben"):
        await register(identity, name)
        await login(identity, name)
    assert brief(await told(identity, actor="ADA", action="signed_in")) == [
        ("ada", "signed_in", "ada", HERE)
    ]
    assert await told(identity, session_id="none") == []
    asked = {"session_id": None, "actor": None, "action": None}
    seen, after = [], None
    while True:
        page = await identity.activity(limit=3, after=after, **asked)
        seen += page["items"]
        after = page["next"]
        if after is None:
            break
    assert seen[::-1] == await told(identity)
    for after in ("x", "-1", "9" * 19, "٣"):
        with pytest.raises(InvalidRequest):
            await identity.activity(limit=3, after=after, **asked)


async def test_long_words_are_cut_off(database):
    def write(tx):
        audit.note(
            tx,
            Operator("o" * 300),
            "tested",
            session_id=None,
            target="t" * 300,
            address="a" * 300,
        )

    await database.write(write)
    rows, _ = await database.read(lambda tx: audit.page(tx, limit=1))
    assert (rows[0].actor, rows[0].target, rows[0].address) == ("o" * 64, "t" * 256, "a" * 64)


# ---------------------------------------------------------------- age


async def fill(database, ages: list[timedelta]) -> None:
    now = utcnow()
    await database.write(
        lambda tx: tx.execute(
            insert(activity), [{"at": now - age, "action": "tested"} for age in ages]
        )
    )


async def left(database) -> int:
    return await database.read(
        lambda tx: tx.execute(select(func.count()).select_from(activity)).scalar_one()
    )


async def until_empty(database) -> None:
    deadline = time.monotonic() + 10
    while await left(database):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_old_entries_go_in_batches_and_others_stay(database):
    day = timedelta(days=1)
    await fill(database, [31 * day] * (BATCH + 5) + [29 * day] * 3)
    assert await database.write(lambda tx: audit.prune(tx, utcnow() - 30 * day, limit=10)) == 10
    assert await AuditRetention(database, 30).prune() == BATCH - 5
    assert await left(database) == 3
    assert await AuditRetention(database, 30).prune() == 0


async def test_it_is_looked_at_again_and_again_until_it_is_closed(database):
    await fill(database, [timedelta(days=2)])
    retention = AuditRetention(database, 1, every=0.01)
    retention.start()
    for _ in range(2):
        await until_empty(database)
        await fill(database, [timedelta(days=2)])
    await retention.close()
    await retention.close()


async def test_for_ever_is_for_ever(database):
    await fill(database, [timedelta(days=3650)])
    retention = AuditRetention(database, 0, every=0.01)
    retention.start()
    assert retention._task is None
    await retention.close()
    assert await left(database) == 1


async def test_a_fault_ends_nothing(database, monkeypatch):
    await fill(database, [timedelta(days=2)])
    prune, failures = audit.prune, iter([ValueError("odd")])

    def fail_once(*args, **kwargs):
        for error in failures:
            raise error
        return prune(*args, **kwargs)

    monkeypatch.setattr(audit, "prune", fail_once)
    retention = AuditRetention(database, 1, every=0.01)
    retention.start()
    await until_empty(database)
    await retention.close()
