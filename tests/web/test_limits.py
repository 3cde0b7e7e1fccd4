"""Limits bite when they are passed, for the key that passed them, and say when to come back."""

from __future__ import annotations

import pytest
from limits import RateLimitItemPerMinute

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
    assert limits.FAILED_LOGINS.item.amount == 10
