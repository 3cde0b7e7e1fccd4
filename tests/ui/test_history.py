"""The history of a document in the page: who changed what, names, and going back."""

from __future__ import annotations

import json

import pytest
from playwright.async_api import Locator, expect

from tests.support.server import LabServer
from tests.ui.people import PATIENCE, People, Person
from tests.ui.test_changes import call, come_tapped, share

pytestmark = pytest.mark.timeout(240)

TEXT = "".join(f"line_{number} = {number}\n" for number in range(20))


async def open_history(person: Person) -> Locator:
    """Open the history of the document in front, and return its versions."""
    await person.press("history")
    versions = person.page.locator(".jp-CollabAI-version")
    await expect(versions.first).to_be_visible(timeout=PATIENCE)
    return versions


async def back_to(person: Person, name: str) -> None:
    """Bring a document's tab to the front."""
    await person.page.locator(".lm-TabBar-tab", has_text=name).first.click()


async def test_parts_and_whole_versions_come_back(people: People, lab: LabServer) -> None:
    """An editor names a version, brings one part of it back, then all; a viewer looks."""
    session, link = share(lab, "a.py", "editor", TEXT)
    owner, ben, cleo = [await people.come(name) for name in ("owner", "ben", "cleo")]
    await owner.start_jupyterlab("a.py")
    await ben.follow(link)
    await ben.type_at("Home", "# Ben was here\n")
    await owner.sees("# Ben was here")
    await owner.type_at("End", "# The owner was here\n")
    await ben.sees("# The owner was here")

    versions = await open_history(ben)
    await expect(versions).to_have_count(3, timeout=PATIENCE)
    await expect(versions.nth(0)).to_contain_text("+21")
    await expect(versions.nth(1)).to_contain_text("Ben")
    await expect(versions.nth(2)).to_contain_text("Read from the file")
    await expect(ben.button("Restore this version")).to_be_disabled()

    await versions.nth(2).click()
    await ben.button("Name this version…").click()
    await ben.page.locator(".jp-Dialog input").fill("Before the meeting")
    await ben.accept()
    await expect(versions.nth(2)).to_contain_text("Before the meeting", timeout=PATIENCE)

    # Against what is now there are two differences; the first comes back alone.
    await ben.page.get_by_label("Compare").select_option("now")
    parts = ben.page.locator(".jp-CollabAI-restorePart")
    await expect(parts).to_have_count(2, timeout=PATIENCE)
    await parts.first.click()
    await expect(versions).to_have_count(4, timeout=PATIENCE)
    await expect(versions.nth(0)).to_contain_text("Restored by Ben")
    await owner.page.wait_for_function(
        "() => !document.querySelector('.cm-content').textContent.includes('Ben was here')"
    )
    assert await owner.text() == TEXT + "# The owner was here\n"

    await ben.button("Restore this version").click()
    await expect(versions).to_have_count(5, timeout=PATIENCE)
    await ben.appears("There is no difference.")
    assert await owner.text() == TEXT

    await ben.page.get_by_label("Named versions only").check()
    await expect(versions).to_have_count(1, timeout=PATIENCE)

    invitation = {"session_id": session, "role": "viewer"}
    await cleo.follow(call(lab, "POST", "sessions/invite", invitation)["url"])
    seen = await open_history(cleo)
    await expect(seen).to_have_count(5, timeout=PATIENCE)
    await expect(cleo.button("Restore this version")).to_have_count(0)
    await expect(cleo.button("Name this version…")).to_have_count(0)
    assert people.faults == []


@pytest.mark.slow
async def test_a_cell_comes_back_with_its_id(people: People, lab: LabServer) -> None:
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "outputs": [], "source": f"x = {n}"}
        | {"execution_count": None}
        for n in range(3)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    notebook = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (lab.root / "n.ipynb").write_text(json.dumps(notebook))
    share(lab, "n.ipynb", "editor", None)
    owner = await people.come("owner")
    await owner.start_jupyterlab("n.ipynb")
    await owner.page.locator(".jp-Cell").nth(1).locator(".jp-InputPrompt").click()
    await owner.page.keyboard.press("d")
    await owner.page.keyboard.press("d")
    await expect(owner.page.locator(".jp-Cell")).to_have_count(2, timeout=PATIENCE)

    versions = await open_history(owner)
    await versions.last.click()
    await owner.page.get_by_label("Compare").select_option("now")
    await owner.appears("Cell 2: removed")
    await owner.button("Bring this cell back").click()
    await owner.appears("There is no difference.")
    await back_to(owner, "n.ipynb")
    await expect(owner.page.locator(".jp-Cell")).to_have_count(3, timeout=PATIENCE)
    saved = call(lab, "GET", "sessions")["items"][0]["id"]
    content = call(lab, "GET", f"sessions/{saved}/history/current")["content"]
    assert [cell["id"] for cell in content["cells"]] == ["c0", "c1", "c2"]
    assert people.faults == []


async def test_who_wrote_each_line_is_shown_beside_it(people: People, lab: LabServer) -> None:
    _, link = share(lab, "a.py", "editor", TEXT)
    owner, ben = await people.come("owner"), await people.come("ben")
    await owner.start_jupyterlab("a.py")
    await ben.follow(link)
    await ben.type_at("Home", "# Ben was here\n")
    await owner.sees("# Ben was here")
    await owner.page.locator(".lm-MenuBar-itemLabel", has_text="View").click()
    await owner.page.get_by_text("Show Who Wrote Each Line").click()
    authors = owner.page.locator(".jp-CollabAI-author")
    await expect(authors.filter(has_text="Ben")).to_have_count(1, timeout=PATIENCE)
    title = await authors.filter(has_text="Ben").get_attribute("title")
    assert title is not None
    assert title.startswith("Ben · Today, ")
    await expect(authors.filter(has_text="File")).to_have_count(1)
    await ben.type_at("End", "# and here\n")
    await owner.sees("# and here")
    await expect(authors.filter(has_text="Ben")).to_have_count(2, timeout=PATIENCE)
    await owner.page.locator(".lm-MenuBar-itemLabel", has_text="View").click()
    await owner.page.get_by_text("Show Who Wrote Each Line").click()
    await expect(authors).to_have_count(0, timeout=PATIENCE)
    assert people.faults == []


@pytest.mark.slow
async def test_the_history_goes_on_when_the_document_is_opened_anew(
    people: People, lab: LabServer
) -> None:
    session, link = share(lab, "a.py", "editor", TEXT)
    ben, wire = await come_tapped(people, "ben", link)
    await ben.sees("line_19")
    versions = await open_history(ben)
    restore = ben.button("Restore this version")
    await expect(restore).to_be_visible(timeout=PATIENCE)
    async with ben.page.expect_response("**/locks*"):
        wire.tell({"type": "reset", "reason": "role_changed"})
    # What one may do now is offered, not what one could when it was opened.
    role = {"session_id": session, "username": "ben", "role": "viewer"}
    call(lab, "PUT", "sessions/access", role)
    await expect(restore).to_have_count(0, timeout=PATIENCE)
    call(lab, "PUT", "sessions/access", {**role, "role": "editor"})
    await expect(restore).to_be_visible(timeout=PATIENCE)
    # What is written now comes into it.
    await back_to(ben, "a.py")
    await ben.page.locator(".jp-FileEditor .cm-content").click()
    await ben.page.keyboard.press("Control+End")
    await ben.page.keyboard.type("# goes on\n")
    await ben.page.locator(".lm-TabBar-tab", has_text="History").first.click()
    await expect(versions).to_have_count(2, timeout=PATIENCE)
    # It stays when the document is closed.
    await back_to(ben, "a.py")
    close = ben.page.locator(".lm-TabBar-tab.jp-mod-current .lm-TabBar-tabCloseIcon")
    await close.last.click()
    await expect(restore).to_have_count(0)
    await expect(restore).to_be_visible(timeout=PATIENCE)
    assert people.faults == []
