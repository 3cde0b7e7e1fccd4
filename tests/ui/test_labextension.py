"""The JupyterLab extension: the list of sessions, signing out, and a login that has ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.support.server import LabServer
from tests.ui.conftest import LAB_TIMEOUT, open_lab

ME = {
    "id": "u1",
    "username": "ada",
    "display_name": "Ada",
    "email": None,
    "color": "#336699",
    "is_admin": False,
    "is_active": True,
    "created_at": "2026-01-01T00:00:00Z",
}
SIGNED_OUT = {"message": "Sign in to go on.", "reason": "not_authenticated"}


def session(
    name: str, path: str, kind: str = "file", role: str | None = "editor"
) -> dict[str, Any]:
    """Return a session as the server describes it."""
    return {
        "id": f"s-{name}",
        "name": name,
        "path": path,
        "type": kind,
        "role": role,
        "owner": {"username": "bob"},
        "member_count": 2,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "lock": None,
    }


class Answers:
    """Answers the calls to our part of the server, as the test wants them."""

    def __init__(self) -> None:
        self.me: tuple[int, object] = (200, ME)
        self.sessions: Callable[[str | None], tuple[int, object]] = lambda after: (
            200,
            {"items": [], "next": None},
        )

    async def __call__(self, route: Route) -> None:
        url = urlsplit(route.request.url)
        if url.path.endswith("/me"):
            status, body = self.me
        elif url.path.endswith("/sessions"):
            status, body = self.sessions(parse_qs(url.query).get("after", [None])[0])
        else:
            status, body = 404, {"message": "There is no such call.", "reason": "not_found"}
        await route.fulfill(status=status, content_type="application/json", body=json.dumps(body))


@pytest.fixture
def answers() -> Answers:
    """What the server answers."""
    return Answers()


@pytest.fixture
async def page(browser: Browser, lab_without_server_part: LabServer, answers: Answers) -> Page:
    """A page with JupyterLab; the test opens it when its answers are set."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(LAB_TIMEOUT)
    page = await context.new_page()
    await page.route("**/collab-ai/**", answers)
    return page


async def open_panel(page: Page) -> None:
    """Open the panel with the sessions."""
    await page.get_by_role("tab", name="Shared Sessions").click()
    await page.get_by_role("region", name="Shared sessions").first.wait_for()


async def test_the_panel_lists_my_sessions_and_opens_them(
    page: Page, answers: Answers, lab_without_server_part: LabServer, tmp_path: Path
) -> None:
    root = lab_without_server_part.root
    (root / "analysis.py").write_text("print('the analysis')\n")
    (root / "course").mkdir(exist_ok=True)
    (root / "course" / "lesson.md").write_text("# Lesson\n")
    items = [
        session("Analysis", "analysis.py"),
        session("Course", "course", "directory", "viewer"),
        session("Somebody's", "else.ipynb", "notebook", None),
    ]
    answers.sessions = lambda after: (200, {"items": items, "next": None})
    await open_lab(page, lab_without_server_part)
    await open_panel(page)
    buttons = page.get_by_role("list", name="Sessions").locator(".jp-CollabAI-session")
    await expect(buttons).to_have_text(
        [
            "Analysis editor analysis.py",
            "Course viewer course",
            "Somebody's administrator else.ipynb",
        ]
    )
    await page.screenshot(path=tmp_path / "sessions.png")

    await buttons.nth(0).click()
    await expect(page.locator(".jp-FileEditor .cm-content")).to_contain_text("the analysis")

    await buttons.nth(1).focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("lesson.md")).to_be_visible()


async def test_more_than_a_page_of_sessions(
    page: Page, answers: Answers, lab_without_server_part: LabServer
) -> None:
    answers.sessions = lambda after: (
        (200, {"items": [session("First", "a.py")], "next": "s-First"})
        if after is None
        else (200, {"items": [session("Last", "z.py")], "next": None})
    )
    await open_lab(page, lab_without_server_part)
    await open_panel(page)
    buttons = page.get_by_role("list", name="Sessions").locator(".jp-CollabAI-session")
    await expect(buttons).to_have_count(1)
    await page.get_by_role("button", name="Show more").click()
    await expect(buttons).to_have_count(2)
    await expect(page.get_by_role("button", name="Show more")).to_have_count(0)


async def test_the_panel_says_why_it_is_empty_and_looks_again(
    page: Page, answers: Answers, lab_without_server_part: LabServer
) -> None:
    down = {"message": "The database can't be reached.", "reason": "database_unavailable"}
    answers.sessions = lambda after: (503, down)
    await open_lab(page, lab_without_server_part)
    await open_panel(page)
    await expect(page.get_by_role("alert")).to_have_text(
        "Your sessions can’t be listed: The database can't be reached."
    )
    answers.sessions = lambda after: (200, {"items": [], "next": None})
    await page.get_by_role("button", name="Look again").click()
    await expect(page.get_by_text("Nothing is shared with you yet.")).to_be_visible()
    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_sign_out_is_in_the_user_menu(page: Page, lab_without_server_part: LabServer) -> None:
    await open_lab(page, lab_without_server_part)
    await page.locator(".jp-MenuBar-anonymousIcon, .jp-UserMenu, #jp-UserMenu").first.click()
    await page.get_by_role("menuitem", name="Sign Out").click()
    await page.wait_for_url("**/logout**")


async def test_an_ended_login_is_told_once_and_taken_back(
    page: Page, answers: Answers, lab_without_server_part: LabServer
) -> None:
    await open_lab(page, lab_without_server_part)
    await open_panel(page)
    toast = page.get_by_text("You are no longer signed in.")
    await expect(toast).to_have_count(0)

    answers.me = (401, SIGNED_OUT)
    answers.sessions = lambda after: (401, SIGNED_OUT)
    again = page.get_by_role("button", name="Look again")
    await again.click()
    await expect(toast).to_be_visible()
    await again.click()
    await expect(page.get_by_role("alert").get_by_text("Sign in to go on.")).to_be_visible()
    await expect(toast).to_have_count(1)

    # Somebody is signed in again; it is the same person.
    answers.me = (200, ME)
    answers.sessions = lambda after: (200, {"items": [], "next": None})
    await again.click()
    await expect(toast).to_have_count(0)

    answers.me = (401, SIGNED_OUT)
    answers.sessions = lambda after: (401, SIGNED_OUT)
    await again.click()
    async with page.expect_request("**/login?next=**") as request:
        await page.get_by_role("button", name="Sign in again").click()
    query = parse_qs(urlsplit((await request.value).url).query)
    assert query["next"][0].startswith("/lab")


async def test_a_refusal_for_want_of_rights_does_not_end_the_login(
    page: Page, answers: Answers, lab_without_server_part: LabServer
) -> None:
    refusal = {"message": "Only administrators may.", "reason": "admin_required"}
    answers.sessions = lambda after: (403, refusal)
    await open_lab(page, lab_without_server_part)
    await open_panel(page)
    await expect(page.get_by_role("alert")).to_contain_text("Only administrators may.")
    await expect(page.get_by_text("You are no longer signed in.")).to_have_count(0)
