"""Take the pictures of the documentation: ``python -m tests.ui.screenshots [folder]``."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from examples.story.model import ModelServer
from tests.support.chromium import find_chromium
from tests.support.server import LabServer
from tests.ui.people import Chromium, People, Person
from tests.ui.story import Story, answer, prepare

THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
FOLDER = Path(__file__).parents[2] / "docs" / "images"


async def take(folder: Path) -> None:
    """Walk once in each theme and keep what is seen on the way."""
    for name, theme in THEMES.items():

        async def shoot(step: str, person: Person, name: str = name) -> None:
            await person.page.wait_for_timeout(400)  # for animations to end
            await person.page.screenshot(path=folder / f"{step}-{name}.png")

        model = ModelServer()
        model.answer = answer
        with tempfile.TemporaryDirectory() as scratch:
            server = LabServer(
                Path(scratch), env={"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}
            )
            prepare(server, theme)
            with server:
                server.start()
                async with Chromium(find_chromium()) as browser:
                    people = People(browser, server)
                    scheme = "dark" if name == "dark" else "light"
                    people.options = {"color_scheme": scheme}
                    await Story(server, people, model, shoot).walk()
                    await people.leave()
        await model.close()


if __name__ == "__main__":
    wanted = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    wanted.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(wanted))
