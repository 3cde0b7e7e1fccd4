"""Who guesses passwords is slowed down, however many guesses come at once; nobody else is."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_collab_ai.errors import InvalidCredentials, RateLimited
from jupyter_collab_ai.identity import throttle
from jupyter_collab_ai.identity.throttle import Throttle, network_of
from jupyter_collab_ai.web.limits import RateLimiter


@pytest.fixture
def guard() -> Throttle:
    return Throttle(RateLimiter())


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
        ("/run/socket", "/run/socket"),
    ],
)
def test_a_host_counts_as_one_address(address, network):
    assert network_of(address) == network


async def guess(guard, *, wrong=True, account="ada", address="192.0.2.7"):
    async with guard.attempt(account, address):
        await asyncio.sleep(0)
        if wrong:
            raise InvalidCredentials("Wrong.")


async def outcomes(*guesses):
    results = await asyncio.gather(*guesses, return_exceptions=True)
    return [type(result) for result in results]


async def test_of_many_guesses_at_once_no_more_count_than_of_as_many_in_a_row(guard):
    found = await outcomes(*(guess(guard) for _ in range(30)))
    assert (found.count(InvalidCredentials), found.count(RateLimited)) == (10, 20)
    with pytest.raises(RateLimited) as caught:
        await guess(guard, wrong=False)
    assert caught.value.retry_after >= 1


async def test_who_guesses_locks_out_nobody_else(guard):
    await outcomes(*(guess(guard) for _ in range(11)))
    await guess(guard, wrong=False, account="ben")
    await guess(guard, wrong=False, address="192.0.2.8")


async def test_good_passwords_do_not_count(guard):
    assert await outcomes(*(guess(guard, wrong=False) for _ in range(40))) == [type(None)] * 40


async def test_those_who_wait_are_bounded(guard, monkeypatch):
    monkeypatch.setattr(throttle, "MAX_WAITING", 3)
    found = await outcomes(*(guess(guard, wrong=False) for _ in range(5)))
    assert (found.count(type(None)), found.count(RateLimited)) == (3, 2)


async def test_nothing_is_kept_of_tries_that_are_over(guard):
    await outcomes(guess(guard), guess(guard, wrong=False, account="ben"))
    assert not guard._turns


def test_thirty_registrations_and_sixty_logins_a_minute_are_fine(guard):
    for _ in range(30):
        guard.registration("192.0.2.7")
    for _ in range(60):
        guard.login("192.0.2.7")
    with pytest.raises(RateLimited):
        for _ in range(1000):
            guard.registration("192.0.2.7")
    guard.registration("192.0.2.8")
