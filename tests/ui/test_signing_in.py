"""What open pages do while people sign out and in again in other tabs of their browser."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from tests.support.server import LabServer
from tests.ui.people import PASSWORD, PATIENCE, People, Person
from tests.ui.test_changes import TEXT, call, come_tapped, eventually, share, type_line

pytestmark = pytest.mark.timeout(240)


async def _sign_in(person: Person, name: str, *, out: bool = False, page: str = "lab") -> None:
    """Sign in under a name in another tab, which comes to a page and is closed then."""
    base = person.server.base_url
    tab = await person.page.context.new_page()
    if out:
        await tab.goto(base + "logout")
    here = urlsplit(base).path + page
    await tab.goto(f"{base}login?next={here}")
    await tab.fill("#username", name)
    await tab.fill("#password", PASSWORD)
    await tab.get_by_role("button").first.click()
    await tab.wait_for_url(lambda url: urlsplit(url).path.startswith(here))
    if page == "lab":
        await tab.wait_for_selector("#jp-main-dock-panel")
        await tab.wait_for_selector("#jupyterlab-splash", state="detached")
    await tab.close()


def _end_logins(lab: LabServer, name: str) -> None:
    """End all logins of an account, as its person can from anywhere."""
    login = {"username": name, "password": PASSWORD}
    token = call(lab, "POST", "login", login)["access_token"]
    for other in call(lab, "GET", "me/logins", token=token)["items"]:
        if not other["current"]:
            call(lab, "DELETE", f"me/logins/{other['id']}", token=token)


# Either way the page finds out by itself: JupyterLab's pages tell each other that they are loaded,
# and the socket says whose it is.
@pytest.mark.parametrize("page", ["lab", pytest.param("collab-ai/account", marks=pytest.mark.slow)])
async def test_what_one_has_typed_does_not_become_that_of_who_signs_in_next(
    lab: LabServer, people: People, page: str
) -> None:
    """Tabs share a login; nothing of one person is sent, or shown, as another's."""
    _, link = share(lab, "shop/demo.py", "editor")
    file = lab.root / "shop" / "demo.py"
    cleo = await people.come("cleo")
    await cleo.follow(link)
    await cleo.page.close()
    ben, wire = await come_tapped(people, "ben", link)
    await ben.sees("line_59")
    wire.dead = True
    await wire.cut()
    await ben.appears("The connection is lost.")
    # Nothing of this document is Ben's yet, so the server would take it from anybody.
    await ben.type_at("End", "# Ben's draft")
    await _sign_in(ben, "cleo", out=True, page=page)
    wire.dead = False
    await ben.appears("Now Cleo is signed in in this browser; reload the page.")
    await expect(ben.page.get_by_text("Now Cleo is signed in")).to_have_count(1)
    # No more of it is taken either.
    await ben.type_at("End", "NOTHING")
    assert (await ben.text()).endswith("# Ben's draft")

    async with ben.page.expect_event("load"):
        await ben.button("Reload").click()
    await ben.page.goto(lab.base_url + "lab/tree/shop/demo.py")
    await ben.ready()
    await ben.sees("line_59")
    await type_line(ben, file, "# Cleo")
    await expect(ben.page.locator(".jp-Dialog")).to_have_count(0)
    # Who typed it gets it back.
    await _sign_in(ben, "ben", out=True)
    await ben.page.goto(lab.base_url + "lab/tree/shop/demo.py")
    await ben.ready()
    offered = ben.page.get_by_label("What you typed")
    await expect(offered).to_have_value("# Ben's draft", timeout=PATIENCE)
    await ben.accept()
    assert not people.faults


async def test_nothing_is_sent_before_the_socket_says_whose_it_is(
    lab: LabServer, people: People
) -> None:
    _, link = share(lab, "shop/demo.py", "editor")
    file = lab.root / "shop" / "demo.py"
    ben, wire = await come_tapped(people, "ben", link)
    await type_line(ben, file, "# before")
    wire.hold = "hello"
    wire.sent.clear()
    wire.said.clear()
    await wire.cut()
    # The server's step 1 asks for all that the page has, and the page's step 1 is answered.
    await eventually(lambda: {b"\0\0", b"\0\1"} <= {frame[:2] for frame in wire.said})
    await ben.page.keyboard.type("# draft\n")
    await ben.sees("# draft")
    await ben.appears("The server has not recorded your last changes yet.")
    assert not {b"\0\1", b"\0\2"} & {frame[:2] for frame in wire.sent}
    wire.hold = ""
    await wire.cut()
    await eventually(lambda: file.read_text() == TEXT + "# before\n# draft\n")
    assert not people.faults


async def test_all_documents_go_on_when_one_signs_in_again_in_another_tab(
    lab: LabServer, people: People
) -> None:
    _, link = share(lab, "shop/one.py", "editor")
    ben = await people.come("ben")
    await ben.follow(link)
    await ben.sees("line_59")
    other, _ = share(lab, "shop/two.py", "editor")
    invitation = {"session_id": other, "role": "editor", "username": "ben"}
    call(lab, "POST", "sessions/invite", invitation)
    await ben.page.get_by_role("tab", name="Shared Sessions").click()
    await ben.page.locator(".jp-CollabAI-session", has_text="two.py").click()
    await ben.is_at("two.py")
    await expect(ben.page.locator(".jp-FileEditor")).to_have_count(2, timeout=PATIENCE)
    await ben.sees("line_59", 1)
    _end_logins(lab, "ben")
    await ben.appears("You are no longer signed in.")
    await _sign_in(ben, "ben")
    await ben.disappears("You are no longer signed in.")
    await ben.disappears("Disconnected")
    for number, name in enumerate(("one.py", "two.py")):
        await ben.page.locator(".lm-TabBar-tab", has_text=name).first.click()
        await ben.type_at("End", "# goes on\n", number)
        file = lab.root / "shop" / name
        await eventually(lambda file=file: file.read_text() == TEXT + "# goes on\n")  # type: ignore[misc]
    assert not people.faults
