"""Seats: how many lasting connections one account may have."""

from __future__ import annotations

import pytest

from jupyter_collab_ai.errors import RateLimited
from jupyter_collab_ai.web.seats import Seats


def test_one_too_many_is_refused_until_one_is_given_back() -> None:
    seats = Seats(2)
    first, _second = seats.take("ada"), seats.take("ada")
    with pytest.raises(RateLimited, match="2 connections") as refusal:
        seats.take("ada")
    assert refusal.value.retry_after
    seats.take("ben")()
    first()
    first()
    assert seats.taken("ada") == 1
    seats.take("ada")
    with pytest.raises(RateLimited):
        seats.take("ada")


def test_who_has_gone_is_forgotten() -> None:
    seats = Seats(2)
    for number in range(1000):
        seats.take(f"user-{number}")()
    assert not seats._taken
