"""What pages do when rights, logins and documents change under them."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.async_api import Route, WebSocketRoute, expect

from examples.story.model import ModelServer
from tests.support.server import LabServer
from tests.ui.people import PASSWORD, PATIENCE, People, Person

pytestmark = pytest.mark.timeout(240)

TEXT = "import os\n" + "".join(f"line_{number} = {number}\n" for number in range(60))


def call(
    server: LabServer, method: str, path: str, body: object = None, token: str | None = None
) -> Any:
    """Call the API as the admin, or with an access token."""
    authorization = f"token {server.token}" if token is None else f"Bearer {token}"
    request = Request(
        server.api_url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": authorization, "Content-Type": "application/json"},
    )
    with urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def share(server: LabServer, path: str, role: str, content: str | None = TEXT) -> tuple[str, str]:
    """Share a file; return its session and a link."""
    wanted = {"name": path, "path": path}
    session = call(server, "POST", "sessions", wanted | ({"content": content} if content else {}))
    invitation = {"session_id": session["id"], "role": role, "max_uses": 10}
    return session["id"], call(server, "POST", "sessions/invite", invitation)["url"]


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a deadline."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + 20
    while not condition():
        assert loop.time() < ends
        await asyncio.sleep(0.02)


class Wire:
    """The document's socket of one page, from which a test keeps frames back."""

    def __init__(self) -> None:
        self.hold = ""
        #: Whether nobody answers.
        self.dead = False
        #: What the page has sent.
        self.sent: list[bytes] = []
        #: What the server has said, also what was kept back.
        self.said: list[bytes] = []
        self._page: WebSocketRoute | None = None
        self._server: WebSocketRoute | None = None

    async def tap(self, person: Person) -> None:
        """Sit on the sockets that the page opens from now on."""
        rooms = re.compile("/api/collaboration/room/(text|json)")
        await person.page.route_web_socket(rooms, self._route)

    async def _route(self, page: WebSocketRoute) -> None:
        if self.dead:
            await page.close(code=1001)
            return
        self._page = page
        self._server = server = page.connect_to_server()

        def to_page(message: str | bytes) -> None:
            self.said.append(message if isinstance(message, bytes) else message.encode())
            held = isinstance(message, bytes) and message[:1] == b"\x02"
            if not (self.hold and held and f'"type":"{self.hold}"'.encode() in bytes(message)):
                page.send(message)

        def to_server(message: str | bytes) -> None:
            self.sent.append(message if isinstance(message, bytes) else message.encode())
            server.send(message)

        server.on_message(to_page)
        page.on_message(to_server)

    async def cut(self) -> None:
        """Let both ends lose the connection."""
        assert self._page is not None
        assert self._server is not None
        await self._server.close(code=1001)
        await self._page.close(code=1001)

    async def lose(self, person: Person) -> None:
        """Let a person be offline."""
        self.dead = True
        await person.page.context.set_offline(True)
        await self.cut()

    async def find(self, person: Person) -> None:
        """Let a person be online again."""
        self.dead = False
        await person.page.context.set_offline(False)

    def tell(self, frame: dict[str, Any]) -> None:
        """Say something to the page in the server's name."""
        assert self._page is not None
        text = json.dumps(frame).encode()
        assert len(text) < 2**14
        size = bytes([len(text) & 127 | 128, len(text) >> 7])
        self._page.send(b"\x02" + size + text)


async def come_tapped(people: People, name: str, link: str) -> tuple[Person, Wire]:
    """Let somebody new open an invitation, and return the document's socket of their page, too."""
    person, wire = await people.come(name), Wire()
    await wire.tap(person)
    await person.follow(link)
    return person, wire


async def type_line(person: Person, file: Path, line: str) -> None:
    """Let somebody type a line below :data:`TEXT`, and wait until it is in the file."""
    await person.type_at("End", f"{line}\n")
    await eventually(lambda: file.read_text() == f"{TEXT}{line}\n")


async def test_text_that_was_refused_is_offered_back_and_never_slips_in(
    lab: LabServer, people: People
) -> None:
    session, link = share(lab, "shop/demo.py", "editor")
    ben, wire = await come_tapped(people, "ben", link)
    file = lab.root / "shop" / "demo.py"
    await type_line(ben, file, "# taken")
    # The page does not know yet that it may no longer write, and goes on typing.
    wire.hold = "role"
    role = {"session_id": session, "username": "ben", "role": "viewer"}
    call(lab, "PUT", "sessions/access", role)
    await ben.page.keyboard.type("# too late")
    await ben.appears("because you may no longer edit it")
    wire.hold = ""
    offered = ben.page.get_by_label("What you typed")
    # What is typed after the refusal is not taken by the page either.
    await expect(offered).to_have_value(re.compile(r"^# ?t?o?o?"))
    text = await offered.input_value()
    await expect(ben.page.get_by_text("What you had deleted")).to_have_count(0)
    await ben.accept()
    assert await ben.page.evaluate("navigator.clipboard.readText()") == text
    await ben.appears("View only")
    assert await ben.text() == TEXT + "# taken\n"
    await expect(ben.page.locator(".lm-TabBar-tab", has_text="demo.py")).to_have_count(1)

    call(lab, "PUT", "sessions/access", {**role, "role": "editor"})
    await ben.disappears("View only")
    await ben.type_at("End", "# an editor again")
    async with ben.page.expect_response("**/collab-ai/sessions/*/locks*") as _:
        await ben.page.reload()
    await ben.ready()
    await ben.sees("# an editor again")
    assert await ben.text() == TEXT + "# taken\n# an editor again"
    assert not people.faults


async def test_a_document_is_opened_anew_in_its_place(lab: LabServer, people: People) -> None:
    _, link = share(lab, "shop/demo.py", "editor")
    ben, wire = await come_tapped(people, "ben", link)
    await ben.page.evaluate("window.notReloaded = true")
    await ben.page.locator(".cm-content").click()
    await ben.page.keyboard.press("Control+End")
    wire.tell({"type": "reset", "reason": "unknown_history"})
    await expect(ben.page.locator(".jp-FileEditor")).to_have_count(1, timeout=PATIENCE)
    await ben.sees("line_59")
    # The cursor is where it was, and what is typed goes on there.
    await expect(ben.page.get_by_text("Ln 62, Col 1")).to_be_visible(timeout=PATIENCE)
    await ben.page.keyboard.type("# goes on")
    await ben.sees("# goes on")
    assert await ben.text() == TEXT + "# goes on"
    await expect(ben.page.locator(".jp-Dialog")).to_have_count(0)
    assert await ben.page.evaluate("window.notReloaded")


async def test_an_ended_login_asks_to_sign_in_again_and_brings_one_back(
    lab: LabServer, people: People
) -> None:
    _, link = share(lab, "shop/demo.py", "editor")
    ben = await people.come("ben")
    await ben.follow(link)
    login = {"username": "ben", "password": PASSWORD}
    token = call(lab, "POST", "login", login)["access_token"]
    for other in call(lab, "GET", "me/logins", token=token)["items"]:
        if not other["current"]:
            call(lab, "DELETE", f"me/logins/{other['id']}", token=token)
    await ben.appears("You are no longer signed in.")
    before = await ben.text()
    await ben.type_at("End", "NOTHING OF THIS")
    assert await ben.text() == before
    await expect(ben.button("Sign in again")).to_have_count(1)
    await ben.button("Sign in again").click()
    await ben.sign_in()
    assert "/lab/workspaces/ben/" in ben.page.url
    await ben.sees("line_59")
    await ben.type_at("End", "# back")
    await ben.page.reload()
    await ben.ready()
    await ben.sees("# back")

    await ben.page.locator("#jp-UserMenu").click()
    await ben.page.get_by_role("menuitem", name="Sign Out").click()
    await ben.appears("You are signed out")
    await ben.page.goto(lab.base_url + "lab")
    assert "/login" in ben.page.url


async def test_share_is_about_the_document_whose_button_was_pressed(
    lab: LabServer, people: People
) -> None:
    (lab.root / "shop" / "notes.py").write_text("# notes\n")
    owner = await people.come("owner")
    await owner.start_jupyterlab("shop/inventory.py")
    await owner.page.get_by_role("listitem", name="notes.py").dblclick()
    await owner.is_at("notes.py")
    dock = owner.page.locator("#jp-main-dock-panel")
    area = await dock.bounding_box()
    assert area is not None
    side = {"x": area["width"] - 20, "y": area["height"] / 2}
    tab = owner.page.locator(".lm-TabBar-tab", has_text="notes.py")
    await tab.drag_to(dock, target_position=side)  # type: ignore[arg-type]
    editors = owner.page.locator(".jp-FileEditor:visible")
    await expect(editors).to_have_count(2)
    buttons = owner.page.locator("[data-jp-item-name='collab-ai-share'] jp-button:visible")
    await expect(buttons).to_have_count(2)
    for number, name in ((0, "inventory.py"), (1, "notes.py"), (0, "inventory.py")):
        await buttons.nth(number).click()
        await owner.appears(f"Share “{name}”")
        await owner.accept()


@pytest.mark.slow
async def test_share_is_in_all_places_where_people_look_for_it(
    lab: LabServer, people: People
) -> None:
    owner = await people.come("owner")
    await owner.start_jupyterlab("shop/inventory.py")
    page = owner.page

    await page.locator(".lm-TabBar-tab", has_text="inventory.py").click(button="right")
    await page.get_by_role("menuitem", name="Share…").click()
    await owner.appears("Share “inventory.py”")
    await owner.accept()

    listed = page.get_by_role("listitem", name="sales.ipynb")
    await listed.click(button="right")
    await page.get_by_role("menuitem", name="Share…").click()
    await owner.appears("Share “sales.ipynb”")
    await page.get_by_label("for one person").check()
    await owner.button("Copy new link").click()
    await owner.appears("The first person who opens it becomes editor.")
    await owner.accept()

    await page.get_by_role("tab", name="Shared Sessions").click()
    await page.get_by_role("button", name="Share “sales.ipynb”").click()
    await owner.appears("Open invitations")
    await owner.button("Revoke").click()
    await owner.disappears("Open invitations")
    await owner.accept()
    await page.get_by_role("button", name="Share the document in front").click()
    await owner.appears("Share “inventory.py”")
    await owner.accept()

    await page.get_by_role("menuitem", name="File").click()
    await page.get_by_role("menuitem", name="Share…").click()
    await owner.appears("Share “inventory.py”")
    await owner.page.keyboard.press("Escape")
    assert not people.faults


@pytest.mark.slow
async def test_who_makes_somebody_an_owner_confirms_it_on_a_page_without_scripts(
    lab: LabServer, people: People
) -> None:
    _, link = share(lab, "shop/demo.py", "editor")
    owner, ben = await people.come("owner"), await people.come("ben")
    await ben.follow(link)
    await owner.start_jupyterlab("shop/demo.py")
    await owner.press("share")
    await owner.page.get_by_label("Role of Ben").select_option("owner")
    await owner.appears("This has to be confirmed with your password")
    # Without the password nothing happens.
    await owner.button("I have confirmed it").click()
    await owner.appears("This has to be confirmed with your password")
    await expect(owner.page.get_by_label("Role of Ben")).to_have_value("editor")

    async with owner.page.context.expect_page() as opened:
        await owner.page.get_by_text("Confirm with my password").click()
    page = await opened.value
    await expect(page.get_by_text("Ben").first).to_be_visible()
    await page.locator("input[type=password]").fill(lab.token)
    await page.get_by_role("button").first.click()
    await expect(page.get_by_text(re.compile("confirmed", re.I)).first).to_be_visible()
    await page.close()
    await owner.button("I have confirmed it").click()
    await expect(owner.page.get_by_label("Role of Ben")).to_have_value("owner", timeout=PATIENCE)
    await owner.disappears("This has to be confirmed")
    await owner.accept()
    assert not people.faults


@pytest.mark.slow
async def test_notebook_7_shows_the_same(lab: LabServer, people: People) -> None:
    session, link = share(lab, "shop/sales.ipynb", "editor", None)
    ben = await people.come("ben")
    await ben.follow(link)
    await ben.page.goto(lab.base_url + "notebooks/shop/sales.ipynb")
    await ben.page.wait_for_selector(".jp-Notebook .jp-Cell")
    await ben.appears("No Kernel")
    await ben.press("debug")
    await ben.appears("2 findings. They are marked in the text.")
    await expect(ben.page.locator(".cm-lint-marker").first).to_be_visible(timeout=PATIENCE)
    role = {"session_id": session, "username": "ben", "role": "viewer"}
    call(lab, "PUT", "sessions/access", role)
    await ben.appears("View only")
    await expect(ben.tool("debug")).to_have_attribute("aria-disabled", "true")

    share(lab, "shop/notes.md", "editor")
    await ben.page.goto(lab.base_url + "notebooks/shop/sales.ipynb")
    await ben.appears("View only")
    await ben.press("share")
    await ben.appears("Only its owners can invite others")
    assert not people.faults


@pytest.mark.slow
async def test_what_is_shared_is_deleted_in_the_file_browser_after_a_confirmation(
    people: People, lab: LabServer
) -> None:
    """JupyterLab shows the sentence; the page that it names takes the password."""
    _, link = share(lab, "plan.py", "owner")
    ada = await people.come("ada")
    await ada.follow(link)
    await ada.sees("import os")

    async def delete() -> None:
        item = ada.page.locator(".jp-DirListing-item", has_text="plan.py")
        await item.click(button="right")
        await ada.page.locator(".lm-Menu-itemLabel", has_text="Move to Trash").click()
        await ada.accept()

    await delete()
    refusal = ada.page.locator(".jp-Dialog", has_text="confirm it with your password")
    await expect(refusal).to_be_visible(timeout=PATIENCE)
    found = re.search(r"https?://\S+/collab-ai/confirm/\S+", await refusal.inner_text())
    assert found is not None
    assert (lab.root / "plan.py").exists(), "nothing is gone before"
    await ada.button("Close").click()

    page = await ada.page.context.new_page()
    await page.goto(found[0])
    await expect(page.get_by_text("plan.py").first).to_be_visible(timeout=PATIENCE)
    await page.fill("input[type=password]", PASSWORD)
    await page.get_by_role("button").first.click()
    await expect(page.locator("input[type=password]")).to_have_count(0, timeout=PATIENCE)
    await page.close()

    await delete()
    await eventually(lambda: not (lab.root / "plan.py").exists())
    assert people.faults == []


async def test_a_suggestion_is_taken_in_parts_or_made_anew(
    people: People, lab: LabServer, model: ModelServer
) -> None:
    """Each change of a replacement may be left out; another try asks the model once more."""
    source = "".join(f"line_{number} = {number}\n" for number in range(12))
    first = source.replace("line_1 = 1\n", "line_1 = 100\n").replace("= 9\n", "= 900\n")
    answers = ["line_0 = 0\n", first]
    model.answer = lambda _: answers.pop(0)
    _, link = share(lab, "parts.py", "editor", source)
    ada = await people.come("ada")
    await ada.follow(link)
    await ada.sees("line_11")
    await ada.page.locator(".cm-content").click()
    await ada.page.keyboard.press("Control+A")
    await ada.press("generate")
    await ada.page.fill("#jp-collab-ai-wish", "Other numbers.")
    await ada.page.get_by_label("selection").check()
    await ada.page.get_by_label("Show it to me first").check()
    await ada.accept()
    await ada.appears("Suggested code")
    await ada.button("Try again").click()
    hunks = ada.page.locator(".jp-CollabAI-suggestion section")
    await expect(hunks).to_have_count(2, timeout=PATIENCE)
    assert await ada.text() == source, "nothing is written before"
    await hunks.nth(1).get_by_role("checkbox").uncheck()
    if folder := os.environ.get("SCREENSHOTS"):
        await ada.page.screenshot(path=Path(folder) / "hunks.png")
    await ada.accept()
    await ada.sees("line_1 = 100")
    await ada.appears("The code is written.")
    assert await ada.text() == source.replace("line_1 = 1\n", "line_1 = 100\n")
    assert people.faults == []


async def test_deletions_that_were_refused_are_told_of(lab: LabServer, people: People) -> None:
    session, link = share(lab, "shop/demo.py", "editor")
    ben, wire = await come_tapped(people, "ben", link)
    await ben.sees("line_59")
    wire.hold = "role"
    role = {"session_id": session, "username": "ben", "role": "viewer"}
    call(lab, "PUT", "sessions/access", role)
    await ben.page.locator(".cm-content").click()
    await ben.page.keyboard.press("Control+A")
    await ben.page.keyboard.press("Delete")
    await ben.appears("What you had deleted or replaced is back.")
    await ben.appears("because you may no longer edit it")
    await ben.accept()
    assert await ben.text() == TEXT
    assert not people.faults


async def test_what_is_too_large_is_not_taken_and_the_document_goes_on(
    lab: LabServer, people: People
) -> None:
    _, link = share(lab, "shop/demo.py", "editor")
    ben, wire = await come_tapped(people, "ben", link)
    file = lab.root / "shop" / "demo.py"
    await type_line(ben, file, "# before")
    hello = next(frame for frame in wire.said if b'"hello"' in frame)
    wire.tell({**json.loads(hello[hello.index(b"{") :]), "max_message": 2**20})
    large = "y" * (2**20 + 1)
    await ben.page.keyboard.insert_text(large)
    await ben.appears("was not taken: at most 1 MB can be put in at once.")
    await ben.accept()
    # It is offered back whole, though not shown whole.
    assert await ben.page.evaluate("navigator.clipboard.readText()") == large
    await ben.type_at("End", "# after\n")
    await eventually(lambda: file.read_text() == TEXT + "# before\n# after\n")
    assert not people.faults


async def test_all_views_of_a_document_come_back(lab: LabServer, people: People) -> None:
    _, link = share(lab, "shop/notes.md", "editor", "# Notes\n")
    ben, wire = await come_tapped(people, "ben", link)
    await ben.sees("# Notes")
    page = ben.page
    await page.locator(".jp-FileEditor .cm-content").click(button="right")
    await page.get_by_role("menuitem", name="Show Markdown Preview").click()
    previews = page.locator(".jp-MarkdownViewer")
    await expect(previews).to_have_count(1, timeout=PATIENCE)
    await page.locator(".jp-FileEditor .cm-content").click()
    await page.get_by_role("menuitem", name="File").click()
    await page.get_by_role("menuitem", name="New View for").click()
    editors = page.locator(".jp-FileEditor")
    await expect(editors).to_have_count(2, timeout=PATIENCE)
    await page.evaluate("document.querySelectorAll('.jp-Document').forEach(n => { n.was = true })")
    wire.tell({"type": "reset", "reason": "role_changed"})
    await page.wait_for_function(
        "[...document.querySelectorAll('.jp-Document')].filter(n => !n.was).length === 3"
    )
    await expect(previews).to_have_count(1)
    await expect(editors).to_have_count(2)
    # What is told of a document is told once, however many views it has.
    message = {"path": "shop/notes.md", "version": "1", "message": "Told once."}
    wire.tell({"type": "conflict", **message})
    await ben.appears("Told once.")
    await expect(page.locator(".Toastify__toast", has_text="Told once.")).to_have_count(1)
    assert not people.faults


@pytest.mark.slow
async def test_a_document_that_cannot_be_opened_for_now_says_why(
    lab: LabServer, people: People
) -> None:
    _, link = share(lab, "shop/demo.py", "editor")
    ben = await people.come("ben")
    down = {"message": "The database does not answer.", "reason": "database_unavailable"}
    many = {"message": "Too many calls.", "reason": "rate_limited"}
    answers: list[tuple[int, str]] = [
        (503, json.dumps(down)),
        (404, "404 page not found"),
        (429, json.dumps(many)),
    ]

    async def answer(route: Route) -> None:
        if not answers:
            await route.fallback()
            return
        status, body = answers[0] if len(answers) == 3 else answers.pop(0)
        if status == 503 and told.done():
            answers.pop(0)
        await route.fulfill(status=status, body=body, headers={"Retry-After": "0"})

    told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    await ben.page.route("**/api/collaboration/session/**", answer)
    await ben.page.goto(link)
    await ben.page.get_by_text("Register and join").click()
    registering = asyncio.ensure_future(ben.register())
    await ben.appears("shop/demo.py: The database does not answer. Trying again…")
    told.set_result(None)
    await registering
    await ben.sees("line_59")
    await ben.disappears("Trying again…")
    await expect(ben.page.locator(".jp-Dialog")).to_have_count(0)
    assert not people.faults


@pytest.mark.slow
async def test_a_document_outlives_what_a_proxy_says_while_the_server_starts_anew(
    lab: LabServer, people: People
) -> None:
    _, link = share(lab, "shop/demo.py", "editor")
    ben = await people.come("ben")
    await ben.follow(link)
    file = lab.root / "shop" / "demo.py"
    await type_line(ben, file, "# before")
    await asyncio.to_thread(lab.stop)
    asked: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n"))
        writer.write(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\ngone")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", lab.port):
        await ben.appears("The connection is lost.")
        await ben.page.keyboard.type("# during\n")
        await eventually(lambda: sum(b"collaboration/session" in one for one in asked) > 1)
    await asyncio.to_thread(lab.start)
    await ben.disappears("The connection is lost.")
    await eventually(lambda: file.read_text() == TEXT + "# before\n# during\n")
    # JupyterLab's file browser may say that it has not found its folder; no more is said.
    told = await ben.page.locator(".jp-Dialog-header").all_inner_texts()
    assert set(told) <= {"Directory not found"}
    # (The browser says of each socket that it was refused.)
    assert not [fault for fault in people.faults if "WebSocket connection" not in fault]
