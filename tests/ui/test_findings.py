"""What was found is shown to whoever opens the document later, too."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Locator, expect

from tests.support.server import LabServer
from tests.ui.people import PATIENCE, People, Person
from tests.ui.test_changes import call, come_tapped, share

pytestmark = pytest.mark.timeout(240)

FAULTY = """\
def stock(orders, seen=[]):
    seen.append(len(orders))
    return list(sorted(orders))


def is_open(order):
    return order.state is "open"
"""


def titles(person: Person) -> Locator:
    return person.page.locator(".jp-CollabAI-findingTitle")


async def open_panel(person: Person) -> None:
    await person.page.locator(".jp-SideBar .lm-TabBar-tab[data-id=jp-collab-ai-findings]").click()


async def test_who_comes_later_sees_what_was_found(lab: LabServer, people: People) -> None:
    session, link = share(lab, "later.py", "viewer", FAULTY)
    # The model is of this event loop.
    body = {"session_id": session}
    report = await asyncio.to_thread(call, lab, "POST", "ai/code-debugger", body)
    assert len(report["findings"]) >= 3
    count = len(report["findings"])

    cleo = await people.come("cleo")
    await cleo.follow(link)
    await cleo.is_at("later.py")
    await cleo.sees("def is_open")
    await expect(cleo.page.locator(".cm-lint-marker").first).to_be_visible(timeout=PATIENCE)
    await open_panel(cleo)
    await expect(titles(cleo)).to_have_count(count, timeout=PATIENCE)
    await expect(titles(cleo).first).to_be_visible()
    await cleo.appears(f"{count} findings")
    # A viewer sees what was found, and changes nothing.
    await expect(cleo.page.get_by_role("button", name="Apply", exact=False)).to_have_count(0)
    sorting = titles(cleo).filter(has_text="sorted")
    await expect(sorting).to_contain_text("line 3")

    # The places move with the text, and a page that is loaded anew is told where they are.
    role = {"session_id": session, "username": "cleo", "role": "editor"}
    call(lab, "PUT", "sessions/access", role)
    await cleo.disappears("View only")
    await cleo.type_at("Home", "# Moved down\n")
    await expect(sorting).to_contain_text("line 4", timeout=PATIENCE)
    await cleo.page.reload()
    await cleo.ready()
    await cleo.sees("# Moved down")
    await open_panel(cleo)
    await expect(sorting).to_contain_text("line 4", timeout=PATIENCE)
    await expect(titles(cleo)).to_have_count(count)
    assert not people.faults


@pytest.mark.slow
async def test_what_was_found_while_the_connection_was_lost_is_shown(
    lab: LabServer, people: People
) -> None:
    session, link = share(lab, "lost.py", "viewer", FAULTY)
    cleo, wire = await come_tapped(people, "cleo", link)
    await cleo.sees("def is_open")
    await open_panel(cleo)
    await cleo.appears("Not looked at yet.")
    wire.hold = "event"
    body = {"session_id": session}
    report = await asyncio.to_thread(call, lab, "POST", "ai/code-debugger", body)
    await expect(titles(cleo)).to_have_count(0)
    wire.hold = ""
    await wire.cut()
    await expect(titles(cleo)).to_have_count(len(report["findings"]), timeout=PATIENCE)
    assert not people.faults
