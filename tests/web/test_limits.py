"""Limits bite when they are passed, for the key that passed them, and say when to come back."""

from __future__ import annotations

import time

import pytest
from limits import RateLimitItemPerMinute, RateLimitItemPerSecond

from jupyter_collab_ai.errors import RateLimited
from jupyter_collab_ai.web import limits
from jupyter_collab_ai.web.limits import Limit, RateLimiter

THREE = Limit("three", RateLimitItemPerMinute(3), "Wait a minute.")


def test_it_bites_on_the_fourth_and_only_for_that_key():
    limiter = RateLimiter()
    for _ in range(3):
        limiter.hit(THREE, "a")
    with pytest.raises(RateLimited) as caught:
        limiter.hit(THREE, "a")
    assert 1 <= caught.value.retry_after <= 61
    limiter.hit(THREE, "b")


def test_to_check_does_not_count():
    limiter = RateLimiter()
    for _ in range(10):
        limiter.check(THREE, "a")
    limiter.hit(THREE, "a")
    limiter.hit(THREE, "a")
    limiter.hit(THREE, "a")
    with pytest.raises(RateLimited):
        limiter.check(THREE, "a")


def test_the_promised_minimums():
    assert limits.REGISTRATIONS.item.amount >= 30
    assert limits.LOGINS.item.amount >= 60
    assert limits.CALLS.item.amount >= 50
    assert limits.CALLS.item.get_expiry() == 1
    assert limits.SHARING.item.amount >= 50 * limits.SHARING.item.get_expiry()
    assert limits.FAILED_LOGINS.item.amount == 10


def test_keys_of_the_past_are_forgotten(monkeypatch):
    monkeypatch.setattr(limits, "SWEEP_EVERY", 1)
    limiter = RateLimiter()
    brief = Limit("brief", RateLimitItemPerSecond(1), "Wait a second.")
    for number in range(50):
        limiter.hit(brief, str(number))
    deadline = time.monotonic() + 10
    while len(limiter._storage.events) > 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        limiter.passes(brief, "the one that looks")


def test_what_passes_is_counted():
    limiter = RateLimiter()
    assert [limiter.passes(THREE, "a") for _ in range(4)] == [True, True, True, False]
    assert limiter.passes(THREE, "b")
