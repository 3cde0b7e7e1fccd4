"""Fixtures of the random plans."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.plans.world import World


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A real server on each kind of database, with people and a place for their files."""
    with World.made(request.param) as world:
        yield world
