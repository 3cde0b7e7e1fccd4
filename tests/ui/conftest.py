"""A real browser on a real JupyterLab."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from examples.story.model import ModelServer
from tests.support.server import LabServer
from tests.ui.people import Chromium, People
from tests.ui.story import answer, prepare

#: Milliseconds for JupyterLab to be on the screen; on two busy cores it takes up to twelve
#: seconds.
LAB_TIMEOUT = 60_000


@pytest.fixture
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    """A browser of this test alone; one ``new_context()`` stands for one person."""
    async with Chromium(chromium) as browser:
        yield browser


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    """A model server that the test holds back and lets go."""
    server = ModelServer()
    server.answer = answer
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


@pytest.fixture(scope="session")
def lab_without_server_part(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """JupyterLab with our JupyterLab extension, the answers of the server left to the test."""
    folder = tmp_path_factory.mktemp("lab")
    server = LabServer(
        folder,
        config={"ServerApp": {"jpserver_extensions": {"jupyter_collab_ai": False}}},
        ready="api",
    )
    settings = folder / "config" / "lab" / "user-settings"
    notifications = (
        settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    )
    notifications.parent.mkdir(parents=True)
    notifications.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    with server:
        yield server.start()


async def open_lab(page: Page, server: LabServer) -> None:
    """Open JupyterLab as the holder of the server's token and wait until it is usable."""
    await page.goto(f"{server.base_url}lab?token={server.token}&reset")
    await page.wait_for_selector("#jp-main-dock-panel", timeout=LAB_TIMEOUT)
    await page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=LAB_TIMEOUT)
