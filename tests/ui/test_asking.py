"""What people ask for in dialogs: by keyboard, while others type, and when it can't be had."""

from __future__ import annotations

import asyncio
import json

import pytest
from playwright.async_api import Route, expect

from examples.story.model import ModelServer
from tests.support.server import LabServer
from tests.ui.people import PASSWORD, PATIENCE, People, Person
from tests.ui.test_changes import call, come_tapped, share

pytestmark = pytest.mark.timeout(240)

FUNCTIONS = "".join(f"def f{number}():\n    return {number}\n" for number in range(6))
NEW = "def f3():\n    return 333\n"


async def select_lines(person: Person, first: int, count: int) -> None:
    """Select whole lines of the editor by the keyboard, counting from 0."""
    await person.page.locator(".cm-content").first.click()
    await person.page.keyboard.press("Control+Home")
    for _ in range(first):
        await person.page.keyboard.press("ArrowDown")
    for _ in range(count):
        await person.page.keyboard.press("Shift+ArrowDown")


async def toasts(person: Person) -> list[str]:
    """Return what is said in the corner of the screen."""
    return await person.page.locator(".Toastify__toast").all_inner_texts()


async def says(person: Person, text: str) -> None:
    """Wait until something is said in the corner of the screen."""
    toast = person.page.locator(".Toastify__toast", has_text=text)
    await expect(toast.first).to_be_visible(timeout=PATIENCE)


@pytest.mark.slow
async def test_the_selection_is_replaced_wherever_it_has_moved(
    lab: LabServer, people: People, model: ModelServer
) -> None:
    """While one person thinks of the wish, another one types above, and then in the selection."""
    model.answer = lambda _: NEW
    _, link = share(lab, "moved.py", "editor", FUNCTIONS)
    ben, ann = await people.come("ben"), await people.come("ann")
    await asyncio.gather(ben.follow(link), ann.start_jupyterlab("moved.py"))
    await select_lines(ben, 6, 2)
    await ben.press("generate")
    await ben.page.fill("#jp-collab-ai-wish", "Return 333 instead.")
    await ben.page.get_by_label("selection").check()
    await ann.type_at("Home", "# Ann wrote this\n# and this\n")
    await ben.sees("# and this")
    await ben.accept()
    await ben.sees("return 333")
    wanted = "# Ann wrote this\n# and this\n" + FUNCTIONS.replace("return 3\n", "return 333\n")
    assert await ben.text() == wanted

    # What is no longer what was selected is not replaced, and the wish need not be typed again.
    await select_lines(ben, 4, 2)
    await ben.press("generate")
    await ben.page.fill("#jp-collab-ai-wish", "Return 333 instead.")
    await ann.page.locator(".cm-line", has_text="return 1").click()
    await ann.page.keyboard.press("End")
    await ann.page.keyboard.type("  # Ann's")
    await ben.sees("# Ann's")
    asked = len(model.requests)
    await ben.accept()
    await ben.appears("the text there has changed meanwhile")
    await expect(ben.page.locator("#jp-collab-ai-wish")).to_have_value("Return 333 instead.")
    assert len(model.requests) == asked
    assert await ben.text() == wanted.replace("return 1\n", "return 1  # Ann's\n")
    await ben.page.keyboard.press("Escape")
    assert people.faults == []


@pytest.mark.slow
async def test_what_is_taken_back_before_the_answer_comes_is_offered(
    lab: LabServer, people: People, model: ModelServer
) -> None:
    """The socket may be quicker than the answer to the call."""
    model.answer = lambda _: "x = 1\n"
    _, link = share(lab, "early.py", "editor", "y = 2\n")
    ben, wire = await come_tapped(people, "ben", link)
    await ben.sees("y = 2")

    async def late(route: Route) -> None:
        answer = await route.fetch()
        body = await answer.text()
        done = json.loads(body.rpartition("data: ")[2].strip())
        data = {"state": "taken_back", "operation": done["operation_id"]}
        wire.tell({"type": "event", "event": "preview", "data": data})
        # Round trips of the page: the frame is there before the answer.
        await ben.page.evaluate("new Promise(done => setTimeout(done, 200))")
        await route.fulfill(response=answer, body=body)

    await ben.page.route("**/ai/code-generator*", late)
    await ben.press("generate")
    await ben.page.fill("#jp-collab-ai-wish", "One.")
    await ben.accept()
    await ben.appears("It was taken back")
    await ben.appears("Suggested code")
    assert "The code is written." not in " ".join(await toasts(ben))
    await ben.page.keyboard.press("Escape")
    assert people.faults == []


async def test_the_share_dialog_is_used_by_keyboard(lab: LabServer, people: People) -> None:
    """Enter belongs to the field, and Tab goes round in the dialog."""
    call(lab, "POST", "register", {"username": "cleo", "password": PASSWORD})
    owner = await people.come("owner")
    await owner.start_jupyterlab("shop/inventory.py")
    page, keys = owner.page, owner.page.keyboard
    await owner.press("share")
    await expect(page.get_by_label("Role that the link gives")).to_be_focused(timeout=PATIENCE)
    await keys.press("Shift+Tab")
    await keys.press("Shift+Tab")
    await expect(owner.button("Done")).to_be_focused()
    await keys.press("Tab")
    await keys.press("Tab")
    await expect(page.get_by_label("Role that the link gives")).to_be_focused()
    await keys.press("Tab")
    await expect(page.get_by_label("for one person")).to_be_focused()
    await keys.press("Space")
    await keys.press("Enter")
    await keys.press("Tab")
    await keys.press("Enter")
    await owner.appears("The first person who opens it becomes editor.")
    name = page.get_by_label("Username")
    for _ in range(6):
        await keys.press("Tab")
        if await name.evaluate("node => node === document.activeElement"):
            break
    await keys.type("cleo")
    await keys.press("Enter")
    await owner.appears("cleo can open it now.")
    await expect(page.locator(".jp-Dialog")).to_have_count(1)
    await expect(page.get_by_label("Link", exact=True)).to_be_visible()
    await keys.press("Escape")
    await expect(page.locator(".jp-Dialog")).to_have_count(0)
    assert people.faults == []


async def test_what_fails_is_said_on_the_screen(lab: LabServer, people: People) -> None:
    """In sentences that tell what to do, whoever answers and whether anybody does."""
    _, link = share(lab, "failing.py", "editor", FUNCTIONS)
    ben = await people.come("ben")
    await ben.follow(link)
    await ben.sees("def f5")
    down = {"message": "The database does not answer; try again.", "reason": "database_unavailable"}
    answers = {
        "ours": lambda route: route.fulfill(status=503, json=down),
        "a proxy's": lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"),
        "nobody's": lambda route: route.abort("connectionrefused"),
    }
    sentences = {
        "ours": "The database does not answer; try again.",
        "a proxy's": "The server does not answer at the moment; try again in a minute.",
        "nobody's": "The server can’t be reached; try again when you are online.",
    }
    for whose, answer in answers.items():
        await ben.page.route("**/collab-ai/**", answer)
        await ben.press("debug")
        await says(ben, sentences[whose])
        await ben.press("share")
        await says(ben, f"It can’t be shared now: {sentences[whose]}")
        await ben.press("history")
        await says(ben, f"The history can’t be shown: {sentences[whose]}")
        await expect(ben.page.locator(".Toastify__toast", has_text="Looking for")).to_have_count(0)
        for text in await toasts(ben):
            assert "Error" not in text
            assert "fetch" not in text
        await ben.page.unroute("**/collab-ai/**")
        for close in await ben.page.locator(".Toastify__close-button, .jp-Toast-close").all():
            if await close.is_visible():
                await close.click()
    assert people.faults == []


async def offered(person: Person) -> dict[str, bool]:
    """Return what the menu that is open offers, and whether it can be chosen."""
    items = await person.page.evaluate(
        "[...document.querySelectorAll('.lm-Menu-item')].map(item => ["
        "  item.querySelector('.lm-Menu-itemLabel').textContent,"
        "  !item.classList.contains('lm-mod-disabled')"
        "])"
    )
    await person.page.keyboard.press("Escape")
    return dict(items)


@pytest.mark.slow
async def test_viewers_are_offered_no_change_of_files_and_texts(
    lab: LabServer, people: People
) -> None:
    session = call(lab, "POST", "sessions", {"name": "shop", "path": "shop"})["id"]
    invitation = {"session_id": session, "role": "viewer", "max_uses": 1}
    cleo = await people.come("cleo")
    page = cleo.page
    await page.goto(call(lab, "POST", "sessions/invite", invitation)["url"])
    await page.get_by_text("Register and join").click()
    for field in ("password", "password_again"):
        await page.fill(f"#{field}", PASSWORD)
    await page.fill("#username", "cleo")
    await page.get_by_role("button").first.click()
    await page.wait_for_selector("#jupyterlab-splash", state="detached")
    listed = page.get_by_role("listitem", name="sales.ipynb")
    await listed.dblclick()
    await cleo.appears("View only")

    kind = page.locator("[data-jp-item-name=cellType]")
    await expect(kind).to_have_attribute("inert", "", timeout=PATIENCE)
    await page.locator(".cm-content:visible").first.click()
    await page.keyboard.press("Control+f")
    await expect(page.get_by_placeholder("Find")).to_be_visible(timeout=PATIENCE)
    await expect(page.locator(".jp-DocumentSearch-toggle-wrapper")).to_be_hidden()
    await page.keyboard.press("Escape")

    files = ("Rename", "Move to Trash", "New File", "New Notebook", "New Folder", "Duplicate")
    await listed.click(button="right")
    menu = await offered(cleo)
    assert [menu[name] for name in files] == [False] * len(files)
    assert menu["Download"]
    tab = page.locator("#jp-main-dock-panel .lm-TabBar-tab", has_text="sales.ipynb")
    await tab.click(button="right")
    menu = await offered(cleo)
    assert not menu["Rename Notebook…"]
    assert not menu["Delete Notebook"]

    # A role that changes holds at once, here as well.
    role = {"session_id": session, "username": "cleo", "role": "editor"}
    async with page.expect_response("**/api/contents/shop?content=0*"):
        call(lab, "PUT", "sessions/access", role)
    await cleo.disappears("View only")
    await expect(kind).not_to_have_attribute("inert", "")
    await tab.click(button="right")
    assert (await offered(cleo))["Rename Notebook…"]
    await page.locator(".jp-DirListing-content").click(button="right", position={"x": 60, "y": 300})
    assert (await offered(cleo))["New File"]
    assert people.faults == []
