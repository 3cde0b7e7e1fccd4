"""People in front of browsers: what they see and do, and what their consoles say."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Playwright,
    async_playwright,
    expect,
)

from tests.support.server import LabServer

#: Milliseconds for anything to appear; on two busy cores a page takes up to twelve seconds.
PATIENCE = 60_000
PASSWORD = "correct horse battery"

#: The text of the n-th editor on the page, all of it, also what is not on the screen.
_TEXT = """n => {
  const content = document.querySelectorAll('.cm-content')[n];
  const view = content?.cmTile?.view ?? content?.cmView?.view;
  return view ? view.state.doc.toString() : '';
}"""


@dataclass
class Person:
    """One person: a browser profile of their own, with one page."""

    name: str
    page: Page
    server: LabServer
    #: What their console says that is a fault of ours.
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", self._on_error)

    def _on_console(self, message: ConsoleMessage) -> None:
        url = message.location.get("url", "")
        # That nobody answers is the browser's word, not ours.
        if "net::ERR_" in message.text:
            return
        if message.type == "error" and "jupyter-collab-ai/" in url:
            self.faults.append(message.text)

    def _on_error(self, error: Error) -> None:
        if "jupyter-collab-ai/" in (error.stack or ""):
            self.faults.append(error.message)

    # ------------------------------------------------------------ coming in

    async def start_jupyterlab(self, path: str) -> None:
        """Open a file as the one who started the server."""
        await self.page.goto(f"{self.server.base_url}lab/tree/{path}?token={self.server.token}")
        await self.ready()

    async def follow(self, link: str) -> None:
        """Open an invitation and register."""
        await self.page.goto(link)
        await self.page.get_by_text("Register and join").click()
        await self.register()

    async def register(self) -> None:
        """Fill the form in."""
        await self.page.fill("#username", self.name)
        await self.page.fill("#display_name", self.name.capitalize())
        await self.page.fill("#password", PASSWORD)
        await self.page.fill("#password_again", PASSWORD)
        await self.page.get_by_role("button").first.click()
        await self.ready()

    async def sign_in(self) -> None:
        """Fill the login form in."""
        await self.page.fill("#username", self.name)
        await self.page.fill("#password", PASSWORD)
        await self.page.get_by_role("button").first.click()
        await self.ready()

    async def ready(self) -> None:
        """Wait until a document is on the screen."""
        await self.page.wait_for_selector(".jp-FileEditor .cm-content, .jp-Notebook .jp-Cell")
        await self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    async def is_at(self, name: str) -> None:
        """Wait until a file's tab is the one in front."""
        tab = self.page.locator(".lm-TabBar-tab.jp-mod-current", has_text=name)
        await expect(tab.first).to_be_visible(timeout=PATIENCE)

    # ------------------------------------------------------------ texts

    async def text(self, editor: int = 0) -> str:
        """Return the text of an editor."""
        return str(await self.page.evaluate(_TEXT, editor))

    async def sees(self, text: str, editor: int = 0) -> None:
        """Wait until a text is in an editor."""
        await self.page.wait_for_function(
            f"([text, n]) => ({_TEXT})(n).includes(text)", arg=[text, editor]
        )

    async def type_at(self, place: str, text: str, editor: int = 0) -> None:
        """Type at the ``Home`` or the ``End`` of an editor."""
        await self.page.locator(".cm-content").nth(editor).click()
        await self.page.keyboard.press(f"Control+{place}")
        await self.page.keyboard.type(text)

    # ------------------------------------------------------------ things on the screen

    async def press(self, item: str) -> None:
        """Press one of our buttons in the toolbar: ``share``, ``debug`` or ``generate``."""
        await expect(self.tool(item)).to_have_attribute("aria-disabled", "false", timeout=PATIENCE)
        await self.tool(item).click()

    def tool(self, item: str) -> Locator:
        """Return one of our buttons in the toolbar."""
        return self.page.locator(f"[data-jp-item-name='collab-ai-{item}'] jp-button:visible").first

    def button(self, name: str) -> Locator:
        """Return a button by its whole name."""
        return self.page.get_by_role("button", name=name, exact=True)

    async def appears(self, text: str) -> None:
        """Wait until a sentence is on the screen."""
        found = self.page.get_by_text(text).locator("visible=true")
        await expect(found.first).to_be_visible(timeout=PATIENCE)

    async def disappears(self, text: str) -> None:
        """Wait until a sentence is gone from the screen."""
        await expect(self.page.get_by_text(text)).to_have_count(0, timeout=PATIENCE)

    async def accept(self) -> None:
        """Press the button of the dialog that is open."""
        await self.page.locator(".jp-Dialog-button.jp-mod-accept").click()


class People:
    """Opens browser profiles, and closes them."""

    def __init__(self, browser: Browser, server: LabServer) -> None:
        self._browser = browser
        self._server = server
        self._contexts: list[BrowserContext] = []
        #: Options of every profile, as of Playwright's ``new_context``.
        self.options: dict[str, Any] = {}
        self.all: list[Person] = []

    async def come(self, name: str, **options: Any) -> Person:
        """Return somebody new, in a browser profile of their own."""
        context = await self._browser.new_context(
            **{"viewport": {"width": 1280, "height": 800}, **self.options, **options}
        )
        await context.grant_permissions(["clipboard-read", "clipboard-write"])
        self._contexts.append(context)
        person = Person(name, await context.new_page(), self._server)
        self.all.append(person)
        return person

    @property
    def faults(self) -> list[str]:
        """What all consoles say that is a fault of ours."""
        return [f"{person.name}: {fault}" for person in self.all for fault in person.faults]

    async def shoot(self, folder: Path) -> None:
        """Take a picture of what each sees, for whoever looks into a failure."""
        for person in self.all:
            await person.page.screenshot(path=folder / f"{person.name}.png")

    async def leave(self) -> None:
        """Close all profiles."""
        for context in self._contexts:
            await context.close()


class Chromium:
    """A real browser, for the length of a block."""

    def __init__(self, executable: Path) -> None:
        self._executable = executable
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None

    async def __aenter__(self) -> Browser:
        # Chromium's sandbox needs rights that root and many containers do not have.
        sandbox = hasattr(os, "geteuid") and os.geteuid() != 0 and not os.environ.get("CI")
        self._playwright = await async_playwright().start()
        self._browser = await self._playwright.chromium.launch(
            executable_path=self._executable,
            args=["--disable-gpu", "--disable-dev-shm-usage"],
            chromium_sandbox=sandbox,
        )
        return self._browser

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._browser is not None:
            await self._browser.close()
        if self._playwright is not None:
            await self._playwright.stop()
