"""The walk through the page half of the product, step by step, by three people.

A test walks it; ``python -m tests.ui.screenshots`` walks it twice, to take the pictures of the
documentation in both themes.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from playwright.async_api import expect

from examples.story.model import ModelServer
from examples.story.model_answers import debugger_answer, generator_answer
from tests.support.server import LabServer
from tests.ui.people import PATIENCE, People, Person

DATA = Path(__file__).parents[2] / "examples" / "data"
#: Takes a picture of what a person sees, under a name.
Camera = Callable[[str, Person], Awaitable[None]]


async def no_camera(name: str, person: Person) -> None:
    """Take no picture."""
    del name, person


def answer(request: dict[str, Any]) -> str:
    """Answer as a model does that is asked for findings or for code."""
    asked = json.dumps(request["messages"])
    return debugger_answer(request) if "findings" in asked else generator_answer(request)


def settings(theme: str) -> dict[str, Any]:
    """Return the settings that all people begin with."""
    return {
        "@jupyterlab/apputils-extension:notification": {
            "fetchNews": "false",
            "checkForUpdates": False,
        },
        "@jupyterlab/apputils-extension:themes": {"theme": theme},
    }


def prepare(server: LabServer, theme: str = "JupyterLab Light") -> None:
    """Lay a realistic file and a realistic notebook into the server's root."""
    defaults = server.folder / "config" / "labconfig"
    defaults.mkdir(parents=True, exist_ok=True)
    (defaults / "default_setting_overrides.json").write_text(json.dumps(settings(theme)))
    shop = server.root / "shop"
    shop.mkdir(exist_ok=True)
    shutil.copy(DATA / "inventory.py", shop)
    notebook = json.loads((DATA / "sales.ipynb").read_text())
    notebook["cells"][4:4] = [
        _code(
            "debugger",
            "from jupyter_collab_ai import AIDebugger\n\ndebugger = AIDebugger()\ndebugger",
        ),
        _code(
            "best-days",
            "def best_days(sales, seen=[]):\n    for sale in sales:\n"
            "        if sale['shop'] is 'Köln':\n            seen.append(sale['day'])\n"
            "    return seen",
        ),
        _code("count", "len(debugger.findings)"),
    ]
    (shop / "sales.ipynb").write_text(json.dumps(notebook))


def _code(cell_id: str, source: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": cell_id,
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": source,
    }


class Story:
    """Three people, one file, one notebook."""

    def __init__(
        self, server: LabServer, people: People, model: ModelServer, camera: Camera
    ) -> None:
        self.server = server
        self.people = people
        self.model = model
        self.shoot = camera

    async def walk(self) -> None:
        """Walk all steps."""
        owner = await self.people.come("owner")
        ben = await self.people.come("ben")
        cleo = await self.people.come("cleo")
        await owner.start_jupyterlab("shop/inventory.py")
        link = await self.share(owner, "editor")
        await self.join(owner, ben, link)
        await self.view(owner, cleo)
        await self.debug(ben)
        await self.generate(owner, ben)
        await self.look_back(owner)
        await self.change_roles(owner, ben)
        await self.survive(owner, ben)
        await self.use_the_notebook(owner, ben, cleo)
        await self.remove(owner, ben)

    # ------------------------------------------------------------ 1

    async def share(self, owner: Person, role: str) -> str:
        """The owner presses Share, picks a role and copies a link."""
        await owner.press("share")
        await owner.appears("Nobody else can open it yet.")
        await owner.page.get_by_label("Role that the link gives").select_option(role)
        await owner.button("Copy new link").click()
        link = await owner.page.get_by_label("Link", exact=True).input_value()
        assert await owner.page.evaluate("navigator.clipboard.readText()") == link
        await expect(owner.page.get_by_label("Role of", exact=False)).to_have_count(1)
        await self.shoot("share", owner)
        await owner.accept()
        return link

    # ------------------------------------------------------------ 2

    async def join(self, owner: Person, ben: Person, link: str) -> None:
        """A guest sees who invites them, registers, and lands in the document; both type."""
        await ben.page.goto(link)
        await ben.appears("invites you")
        await self.shoot("invitation", ben)
        await ben.page.get_by_text("Register and join").click()
        await ben.register()
        assert "/lab/workspaces/ben/" in ben.page.url, "each has a workspace of their own"
        await ben.type_at("Home", "# Ben was here\n")
        await owner.sees("# Ben was here")
        await owner.type_at("End", "# The owner was here\n")
        await ben.sees("# The owner was here")
        await ben.page.keyboard.press("Control+End")
        await expect(
            ben.page.locator(".jp-remote-userFlag, .jp-remote-cursor").first
        ).to_be_visible()
        await expect(owner.page.get_by_text("Ben", exact=True).first).to_be_attached()
        await owner.page.keyboard.type("# so are we all")
        await ben.sees("# so are we all")
        await self.shoot("together", ben)

    async def view(self, owner: Person, cleo: Person) -> None:
        """A third comes as a viewer: all live, nothing to be changed."""
        await owner.press("share")
        await owner.page.get_by_label("Role that the link gives").select_option("viewer")
        await owner.button("Copy new link").click()
        link = await owner.page.get_by_label("Link", exact=True).input_value()
        await owner.accept()
        await cleo.follow(link)
        await cleo.appears("View only")
        await cleo.sees("# so are we all")
        before = await cleo.text()
        await cleo.type_at("Home", "NOTHING OF THIS")
        await owner.type_at("Home", "# Cleo sees this\n")
        await cleo.sees("# Cleo sees this")
        assert await cleo.text() == "# Cleo sees this\n" + before
        await expect(cleo.tool("debug")).to_have_attribute("aria-disabled", "true")
        await self.shoot("viewer", cleo)

    # ------------------------------------------------------------ 3

    async def debug(self, ben: Person) -> None:
        """The editor presses Debug, jumps to a finding, reads it, and applies a verified fix."""
        await ben.press("debug")
        titles = ben.page.locator(".jp-CollabAI-findingTitle")
        await expect(titles.filter(has_text="The stock can be negative")).to_have_count(1)
        await titles.filter(has_text="SQL injection").click()
        await expect(ben.page.locator(".cm-lint-marker-error").first).to_be_visible()
        await ben.page.locator(".cm-lintRange-error").first.hover()
        await expect(ben.page.locator(".cm-tooltip-lint")).to_contain_text("SQL")
        await self.shoot("findings", ben)
        comparison = ben.page.locator(".jp-CollabAI-finding", has_text="Use `==`")
        await comparison.get_by_role("button", name="Apply verified fix").click()
        await ben.sees('elif options.command == "sell"')
        await expect(comparison).to_have_count(0)

    async def look_back(self, owner: Person) -> None:
        """The owner looks who has changed what."""
        await owner.press("history")
        versions = owner.page.locator(".jp-CollabAI-version")
        await expect(versions.filter(has_text="Ben").first).to_be_visible(timeout=PATIENCE)
        await versions.filter(has_text="AI").first.click()
        await expect(owner.page.locator(".cm-merge-b .cm-changedLine").first).to_be_visible()
        await self.shoot("history", owner)
        await owner.page.locator(".lm-TabBar-tab.jp-mod-current .lm-TabBar-tabCloseIcon").click()
        await owner.is_at("inventory.py")

    # ------------------------------------------------------------ 4

    async def generate(self, owner: Person, ben: Person) -> None:
        """The owner asks for code; everybody sees it come, and types on elsewhere."""
        self.model.gate.clear()
        await self._wish(owner)
        await ben.appears("The AI is writing for")
        await ben.button("Show").click()
        await expect(ben.page.locator(".jp-CollabAI-preview pre")).to_contain_text(
            "def parse_price"
        )
        before = await ben.text()
        await ben.page.keyboard.type("NOT HERE")
        await ben.type_at("Home", "# meanwhile\n")
        await owner.sees("# meanwhile")
        assert await ben.text() == "# meanwhile\n" + before
        await ben.button("Show").click()
        await self.shoot("generator", ben)
        await owner.button("Cancel").click()
        await ben.disappears("The AI is writing for")
        assert await ben.text() == "# meanwhile\n" + before, "nothing was written"

        await self._wish(owner)
        await ben.appears("The AI is writing for")
        self.model.gate.set()
        await ben.sees("def parse_price")
        await ben.disappears("The AI is writing for")

    async def _wish(self, owner: Person) -> None:
        await owner.press("generate")
        await owner.page.fill("#jp-collab-ai-wish", "parse_price(text): a price as people write it")
        await owner.page.get_by_label("At the end of the file").check()
        await owner.accept()

    # ------------------------------------------------------------ 5

    async def change_roles(self, owner: Person, ben: Person) -> None:
        """The owner makes the editor a viewer and back: live, without a reload."""
        await ben.page.evaluate("window.notReloaded = true")
        await owner.press("share")
        role = owner.page.get_by_label("Role of Ben")
        await role.select_option("viewer")
        await ben.appears("View only")
        before = await ben.text()
        await ben.type_at("Home", "NOTHING OF THIS")
        await self.shoot("roles", owner)
        await role.select_option("editor")
        await ben.disappears("View only")
        await owner.accept()
        assert await ben.text() == before
        await ben.type_at("Home", "# editor again\n")
        await owner.sees("# editor again")
        assert await ben.page.evaluate("window.notReloaded")

    # ------------------------------------------------------------ 6

    async def survive(self, owner: Person, ben: Person) -> None:
        """The server is killed under open pages, which reconnect and lose and double nothing."""
        self.server.kill()
        await ben.appears("The connection is lost.")
        await ben.type_at("Home", "# typed while it was dead\n")
        await self.shoot("offline", ben)
        self.server.start()
        await owner.sees("# typed while it was dead")
        await ben.disappears("The connection is lost.")
        await owner.type_at("Home", "# and after\n")
        await ben.sees("# and after")
        text = await owner.text()
        assert text == await ben.text()
        for mark in ("# typed while it was dead", "# and after", "# Ben was here"):
            assert text.count(mark) == 1

    # ------------------------------------------------------------ 7

    async def use_the_notebook(self, owner: Person, ben: Person, cleo: Person) -> None:
        """In a notebook an AIDebugger asks as who clicks; who has no kernel sees it as well."""
        await owner.page.goto(f"{self.server.base_url}lab/tree/shop/sales.ipynb")
        await owner.ready()
        await owner.is_at("sales.ipynb")
        await owner.press("share")
        for name, role in (("ben", "editor"), ("cleo", "viewer")):
            await owner.page.get_by_label("Role for this person").select_option(role)
            await owner.page.get_by_label("Username").fill(name)
            await owner.button("Invite").click()
            await owner.appears(f"{name} can open it now.")
        await owner.accept()
        for person in (ben, cleo):
            address = f"lab/workspaces/{person.name}/tree/shop/sales.ipynb"
            await person.page.goto(self.server.base_url + address)
            await person.page.wait_for_selector(".jp-Notebook .jp-Cell")
            await person.appears("No Kernel")
        await cleo.appears("View only")
        cells = await self._cells(cleo)
        await cleo.page.locator(".jp-Cell").nth(2).click()
        await cleo.page.keyboard.press("Escape")
        for key in ("a", "b", "d", "d", "x", "Shift+Enter"):
            await cleo.page.keyboard.press(key)
        await cleo.appears("You may not run code on this server.")
        assert await self._cells(cleo) == cells

        await owner.appears("Python 3 (ipykernel) | Idle")
        await self._run(owner, "debugger = AIDebugger()")
        for person in (owner, ben, cleo):
            await expect(person.page.locator(".jp-CollabAI-debuggerOutput")).to_be_visible(
                timeout=PATIENCE
            )
        output = owner.page.locator(".jp-CollabAI-debuggerOutput")
        await output.get_by_role("button", name="Debug").click()
        for person in (owner, ben, cleo):
            found = person.page.locator(".jp-CollabAI-debuggerOutput .jp-CollabAI-finding")
            await expect(found.filter(has_text="mutable")).to_have_count(1, timeout=PATIENCE)
        await self._run(owner, "len(debugger.findings)")
        await expect(
            owner.page.locator(".jp-Cell", has_text="len(debugger.findings)").locator(
                ".jp-OutputArea-output"
            )
        ).to_have_text("2", timeout=PATIENCE)
        mine = ben.page.locator(".jp-CollabAI-debuggerOutput")
        await mine.get_by_role("button", name="Debug").click()
        await expect(mine.get_by_role("button", name="Apply verified fix")).to_be_visible()
        await self.shoot("notebook", ben)
        await self.shoot("notebook-viewer", cleo)

    async def _cells(self, person: Person) -> str:
        """Return how many cells the status bar counts; not all of them are on the screen."""
        counter = person.page.get_by_text(re.compile(r"^Cell \d+/\d+$"))
        return (await counter.inner_text()).partition("/")[2]

    async def _run(self, person: Person, source: str) -> None:
        cell = person.page.locator(".jp-Cell", has_text=source).first
        await cell.locator(".cm-content").click()
        await person.page.keyboard.press("Control+Enter")

    # ------------------------------------------------------------ and at last

    async def remove(self, owner: Person, ben: Person) -> None:
        """The owner removes the editor, who gets one dialog that says so."""
        await owner.press("share")
        await owner.button("Remove Ben").click()
        await ben.appears("You were removed")
        await self.shoot("removed", ben)
        await expect(ben.page.locator(".jp-Dialog")).to_have_count(1)
        await ben.accept()
        await expect(ben.page.locator(".jp-Dialog")).to_have_count(0)
        await expect(ben.page.locator(".jp-Notebook")).to_have_count(0)
        await owner.accept()
