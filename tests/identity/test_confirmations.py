"""Confirmations: to what they are bound, and that they are good for once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import func, select, update

from jupyter_collab_ai.errors import InvalidCredentials, NotFound, RateLimited
from jupyter_collab_ai.grave import About, Action, Kind
from jupyter_collab_ai.identity import confirmation_store
from jupyter_collab_ai.identity.confirmation_store import MAX_OPEN
from jupyter_collab_ai.identity.confirmations import Confirmations, PageOutdated
from jupyter_collab_ai.identity.registration import Registration
from jupyter_collab_ai.principal import Credential
from jupyter_collab_ai.storage.audit import By
from jupyter_collab_ai.storage.tables import activity, confirmations
from jupyter_collab_ai.web.limits import CONFIRMATIONS, FAILED_LOGINS, RateLimiter

PASSWORD = "correct horse battery"
HOME = "127.0.0.1"
REQUEST = b'PUT /me/password {"new_password": "another one"}'
ACTION = Action(
    Kind.CHANGE_ROLE,
    About("ben", "Ben", "session-1", "Notes", "users/ada/notes.py"),
    role="owner",
)


class Unlimited(RateLimiter):
    """Counts nothing."""

    def hit(self, limit, *key):
        pass

    def check(self, limit, *key):
        pass

    def passes(self, limit, *key):
        return True


class Browser:
    """Somebody with a login cookie."""

    def __init__(self, service, principal):
        self.service = service
        self.principal = principal

    async def ask(self, given=None, request=REQUEST, action=ACTION):
        return await self.service.ask(
            self.principal, request, action, given=given, address="127.0.0.1"
        )

    async def open(self, asked):
        return (await self.service.show(asked, self.principal)).nonce

    async def send(self, asked, nonce, password=PASSWORD, *, cookie=False):
        await self.service.give(
            asked,
            nonce=nonce,
            password=password,
            is_secret=lambda given: given == "the token",
            principal=self.principal if cookie else None,
            address="127.0.0.1",
        )

    async def confirm(self, asked, password=PASSWORD):
        await self.send(asked, await self.open(asked), password)


@pytest.fixture
def service(database, identity):
    return Confirmations(database, identity, RateLimiter())


@pytest.fixture
def enter(identity, service):
    async def enter(username="ada"):
        user, login = await identity.login(username, PASSWORD, address="127.0.0.1", user_agent=None)
        cookie = identity.cookie(user, login)
        return Browser(service, await identity.authenticate(cookie, Credential.COOKIE))

    return enter


@pytest.fixture
async def ada(identity, enter):
    for name in ("ada", "ben"):
        await identity.register(
            username=name,
            password=PASSWORD,
            display_name=None,
            email=None,
            invitation=None,
            registration=Registration.OPEN,
            address="127.0.0.1",
        )
    return await enter()


async def expire(database):
    await database.write(
        lambda tx: tx.execute(update(confirmations).values(expires_at=tx.now() - 0.001))
    )


async def count(database):
    return await database.read(
        lambda tx: tx.execute(select(func.count()).select_from(confirmations)).scalar_one()
    )


async def test_what_is_confirmed_is_done_once(ada, database):
    asked = await ada.ask()
    assert await ada.ask(asked) == asked  # nobody has confirmed it yet
    await ada.confirm(asked)
    assert await ada.ask(asked) is None
    again = await ada.ask(asked)
    assert again not in (None, asked)
    assert await count(database) == 1


async def test_of_many_at_once_one_is_let_through(ada):
    asked = await ada.ask()
    await ada.confirm(asked)
    answers = await asyncio.gather(*(ada.ask(asked) for _ in range(10)))
    assert answers.count(None) == 1
    assert asked not in answers


async def test_another_request_is_not_confirmed(ada):
    asked = await ada.ask()
    await ada.confirm(asked)
    other = await ada.ask(asked, request=REQUEST + b" ")
    assert other not in (None, asked)
    assert await ada.ask(asked) is None  # and the right one still is


async def test_another_login_is_not_confirmed(ada, enter):
    asked = await ada.ask()
    for other in (await enter("ada"), await enter("ben")):
        with pytest.raises(NotFound):
            await other.open(asked)
        nonce = await ada.open(asked)
        with pytest.raises(NotFound):
            await other.send(asked, nonce, cookie=True)
        await ada.confirm(asked)
        assert await other.ask(asked) not in (None, asked)
    assert await ada.ask(asked) is None


async def test_a_forged_one_is_not_confirmed(ada):
    for given in ("", "nonsense", "é\ud800", "x" * 10_000):
        assert await ada.ask(given) not in (None, given)
        with pytest.raises(NotFound):
            await ada.open(given)
        with pytest.raises(NotFound):
            await ada.send(given, "nonce")


@pytest.mark.parametrize("confirmed", [False, True])
async def test_it_expires(ada, database, confirmed):
    asked = await ada.ask()
    nonce = await ada.open(asked)
    if confirmed:
        await ada.send(asked, nonce)
    await expire(database)
    with pytest.raises(NotFound):
        await ada.send(asked, nonce)
    with pytest.raises(NotFound):
        await ada.open(asked)
    assert await ada.ask(asked) not in (None, asked)
    assert await count(database) == 1  # what has expired is swept


async def test_it_lives_five_minutes(ada, database):
    await ada.ask()
    left = await database.read(
        lambda tx: tx.execute(select(confirmations.c.expires_at)).scalar_one() - tx.now()
    )
    assert 295 < left <= 300


async def test_the_page_that_was_shown_last_is_the_one_that_counts(ada):
    asked = await ada.ask()
    first, second = await ada.open(asked), await ada.open(asked)
    for wrong in (first, "", "é\ud800"):
        with pytest.raises(PageOutdated):
            await ada.send(asked, wrong)
    await ada.send(asked, second)
    await ada.send(asked, second)  # a form that is sent twice says the same
    assert await ada.ask(asked) is None


async def test_a_page_that_nobody_opened_can_not_be_sent(ada):
    asked = await ada.ask()
    with pytest.raises(PageOutdated):
        await ada.send(asked, "")


async def test_wrong_passwords_confirm_nothing_and_are_throttled(ada, identity):
    asked = await ada.ask()
    for _ in range(FAILED_LOGINS.item.amount):
        with pytest.raises(InvalidCredentials) as caught:
            await ada.confirm(asked, "not it")
        assert [error.field for error in caught.value.errors] == ["password"]
    with pytest.raises(RateLimited):
        await ada.confirm(asked)
    assert await ada.ask(asked) == asked
    # They count as those of the login page do.
    with pytest.raises(RateLimited):
        await identity.login("ada", PASSWORD, address="127.0.0.1", user_agent=None)


async def test_the_password_of_somebody_else_is_wrong(ada, identity):
    principal = ada.principal
    await identity.change_password(principal, PASSWORD, "another long one", address="127.0.0.1")
    asked = await ada.ask()
    with pytest.raises(InvalidCredentials):
        await ada.confirm(asked)
    with pytest.raises(InvalidCredentials):
        await ada.confirm(asked, "the token")
    await ada.confirm(asked, "another long one")
    assert await ada.ask(asked) is None


async def test_the_starter_confirms_with_the_token(identity, service):
    user, login = await identity.login_starter(address="127.0.0.1", user_agent=None)
    boss = Browser(
        service, await identity.authenticate(identity.cookie(user, login), Credential.COOKIE)
    )
    asked = await boss.ask()
    shown = await service.show(asked, boss.principal)
    assert (shown.by_token, shown.action) == (True, ACTION)
    with pytest.raises(InvalidCredentials):
        await boss.confirm(asked, PASSWORD)
    await boss.confirm(asked, "the token")
    assert await boss.ask(asked) is None


async def test_it_ends_with_the_login(ada, identity, enter):
    asked = await ada.ask()
    nonce = await ada.open(asked)
    await identity.logout(ada.principal, address=HOME)
    with pytest.raises(NotFound):
        await ada.send(asked, nonce)


async def test_it_ends_with_the_account(ada, identity, database):
    asked = await ada.ask()
    nonce = await ada.open(asked)
    await identity.change_user("ada", is_admin=None, is_active=False, by=By())
    with pytest.raises(NotFound):
        await ada.send(asked, nonce)
    await identity.delete_user("ada", by=By())
    assert await count(database) == 0


async def test_an_account_has_so_many_and_no_more(ada, identity, database):
    service = Confirmations(database, identity, Unlimited())
    browser = Browser(service, ada.principal)
    kept = await browser.ask()
    await browser.confirm(kept)
    asked = [await browser.ask() for _ in range(MAX_OPEN + 5)]
    assert await count(database) == MAX_OPEN
    assert await browser.ask(kept) is None  # what the person confirmed goes last
    assert await browser.ask(asked[-1]) == asked[-1]
    with pytest.raises(NotFound):
        await browser.open(asked[0])


async def test_so_many_a_minute_and_no_more(ada, enter):
    for _ in range(CONFIRMATIONS.item.amount):
        asked = await ada.ask()
    with pytest.raises(RateLimited):
        await ada.ask()
    assert await ada.ask(asked) == asked  # to wait for the person costs nothing
    with pytest.raises(RateLimited):
        await (await enter("ada")).ask()
    await (await enter("ben")).ask()


async def test_another_server_knows_what_was_confirmed_here(ada, identity, database):
    asked = await ada.ask()
    await ada.confirm(asked)
    elsewhere = Browser(Confirmations(database, identity, RateLimiter()), ada.principal)
    assert await elsewhere.ask(asked) is None


async def test_neither_the_id_nor_the_request_can_be_told_from_the_database(ada, database):
    asked = await ada.ask()
    nonce = await ada.open(asked)
    row = await database.read(lambda tx: tx.execute(select(confirmations)).one())
    stored = repr(tuple(row))
    for secret in (asked, nonce, "another one"):
        assert secret not in stored
    assert row.digest != confirmation_store._digest("", REQUEST)
    shown = await ada.service.show(asked, ada.principal)
    assert shown.nonce not in repr(shown)


async def test_the_audit_log_notes_it(ada, database):
    asked = await ada.ask()
    with pytest.raises(InvalidCredentials):
        await ada.confirm(asked, "not it")
    await ada.confirm(asked)
    rows = await database.read(
        lambda tx: tx.execute(
            select(activity)
            .where(activity.c.action.startswith("confirmation"))
            .order_by(activity.c.id)
        ).all()
    )
    expected = ["confirmation_asked", "confirmation_failed", "confirmation_given"]
    assert [row.action for row in rows] == expected
    for row in rows:
        assert (row.actor, row.actor_id) == ("ada", ada.principal.user_id)
        assert (row.session_id, row.target) == ("session-1", "ben")
        assert row.detail == {"action": "change_role"}
        assert row.address == "127.0.0.1"


async def test_what_is_about_no_session_is_noted_too(ada, database):
    await ada.ask(action=replace(ACTION, kind=Kind.CHANGE_PASSWORD, about=About()))
    asked = select(activity).where(activity.c.action.startswith("confirmation"))
    row = await database.read(lambda tx: tx.execute(asked).one())
    assert (row.action, row.session_id, row.target) == ("confirmation_asked", None, None)
