"""A short random plan each time, long ones now and then; ``python -m tests.aiplans`` plays more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aiplans.__main__ import attempt
from tests.aiplans.generate import generate
from tests.plans.world import World
from tests.support.server import free_port


@pytest.fixture(scope="module")
def port() -> int:
    """Where the model of each plan listens."""
    return free_port()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, port: int) -> Iterator[World]:
    """A real server on each kind of database."""
    model = {"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"}
    with World.made(request.param, env=model) as world:
        yield world


def test_a_seed_always_makes_the_same_plan() -> None:
    assert generate(7, 20) == generate(7, 20)
    assert generate(7, 20) != generate(8, 20)


@pytest.mark.timeout(200)
async def test_a_short_plan(world: World, port: int) -> None:
    kill = world.name == "sqlite"
    wrong, outcomes, freed = await attempt(11, 4, world, port, kill=kill)
    assert not wrong, "\n".join(wrong)
    assert outcomes.total() == 4
    assert [seconds <= 30 for seconds in freed] == [True] * kill


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", range(100, 108))
async def test_a_long_plan(world: World, port: int, seed: int) -> None:
    wrong, _, _ = await attempt(seed, 12, world, port)
    assert not wrong, "\n".join(wrong)
