"""The page half of the product, by three people in three browsers: every step of the story."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.story.model import ModelServer
from tests.support.server import LabServer
from tests.ui.people import People
from tests.ui.story import Story, no_camera


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
