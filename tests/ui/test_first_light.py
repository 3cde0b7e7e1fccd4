"""The page half of the product, by three people in three browsers: every step of the story."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from examples.story.model import ModelServer
from tests.support.server import LabServer
from tests.ui.people import People
from tests.ui.story import Story, no_camera, prepare


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    """A model server that the test holds back and lets go."""
    server = ModelServer()
    yield server
    await server.close()


@pytest.fixture
async def lab(tmp_path: Path, model: ModelServer) -> AsyncIterator[LabServer]:
    """A real JupyterLab with a realistic file and notebook, and a model."""
    env = {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
    with LabServer(tmp_path, env=env) as server:
        prepare(server)
        yield server.start()


@pytest.fixture
async def people(browser: Browser, lab: LabServer) -> AsyncIterator[People]:
    """Opens a browser profile for each person."""
    people = People(browser, lab)
    yield people
    await people.leave()


@pytest.mark.timeout(300)
async def test_the_whole_story(
    lab: LabServer, people: People, model: ModelServer, tmp_path: Path
) -> None:
    try:
        await Story(lab, people, model, no_camera).walk()
    except BaseException:
        await people.shoot(tmp_path)
        raise
    assert not people.faults
