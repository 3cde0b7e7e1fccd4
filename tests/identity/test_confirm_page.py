"""Grave actions as browsers ask for them: by cookie, on a real server, on both databases."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from jupyter_collab_ai.storage.engine import make_engine, parse_url
from tests.support.chromium import find_chromium
from tests.support.postgres import PostgresCluster
from tests.support.server import LabServer, ServerFactory
from tests.ui.people import Chromium

PASSWORD = "correct horse battery staple"
BASE = "base/"
_numbers = count(1)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabServer]:
    folder = tmp_path_factory.mktemp("confirm")
    url = f"sqlite:///{folder / 'collab.db'}"
    if request.param == "postgresql":
        cluster: PostgresCluster = request.getfixturevalue("postgres")
        url = cluster.create_database(f"confirm_{next(_numbers)}")
    factory = ServerFactory(folder)
    server = factory(
        database_url=url,
        args=(f"--ServerApp.base_url=/{BASE}",),
        ready=f"{BASE}collab-ai/health",
    )
    server.env["THE_DATABASE"] = url
    yield server
    factory.close()


class Browser(httpx.Client):
    """A browser in which somebody is signed in: it keeps cookies, and sends the XSRF token."""

    def __init__(self, server: LabServer) -> None:
        super().__init__(base_url=f"{server.base_url}{BASE}", timeout=30)
        self.server = server
        self.username = ""

    @property
    def login_cookies(self) -> list[str]:
        return [cookie.name for cookie in self.cookies.jar if cookie.name != "_xsrf"]

    def fill_in(self, page: str, **fields: str) -> None:
        self.get("login")
        form = {"_xsrf": self.cookies["_xsrf"], **fields}
        answer = self.post(page, data=form)
        assert answer.status_code == 302, answer.text
        assert self.login_cookies

    def register(self) -> Browser:
        self.username = f"user{next(_numbers)}"
        self.fill_in(
            "register",
            username=self.username,
            display_name=f"Mx {self.username}",
            password=PASSWORD,
            password_again=PASSWORD,
        )
        return self

    def sign_in(self, username: str, password: str = PASSWORD) -> Browser:
        self.username = username
        self.fill_in("login", username=username, password=password)
        return self

    def call(
        self, method: str, path: str, body: Any = None, confirmed: str | None = None
    ) -> httpx.Response:
        headers = {"X-XSRFToken": self.cookies["_xsrf"]}
        if confirmed is not None:
            headers["X-Collab-Confirmation"] = confirmed
        return self.request(method, f"collab-ai/{path}", json=body, headers=headers)

    def asked(self, *call: Any, confirmed: str | None = None) -> dict[str, str]:
        """Make a call that has to be confirmed, and return what is to be confirmed."""
        answer = self.call(*call, confirmed=confirmed)
        assert answer.status_code == 403, answer.text
        error = answer.json()
        assert error.keys() == {"message", "reason", "confirmation"}
        assert error["reason"] == "confirmation_required"
        confirmation = error["confirmation"]
        assert confirmation["url"] == f"/{BASE}collab-ai/confirm/{confirmation['id']}"
        return confirmation

    def open(self, confirmation: dict[str, str]) -> httpx.Response:
        return self.get(f"{self.server.base_url.rstrip('/')}{confirmation['url']}")

    def submit(
        self, confirmation: dict[str, str], page: httpx.Response, password: str
    ) -> httpx.Response:
        """Send the form as a sandboxed page does: without cookies, from nowhere."""
        (action,) = re.findall(r'<form method="post" action="([^"]*)"', page.text)
        assert html.unescape(action) == confirmation["url"]
        with httpx.Client(timeout=30) as bare:
            return bare.post(
                f"{self.server.base_url.rstrip('/')}{confirmation['url']}",
                data={"nonce": nonce_of(page), "password": password},
                headers={"Origin": "null", "Sec-Fetch-Site": "cross-site"},
            )

    def confirm(self, confirmation: dict[str, str], password: str = PASSWORD) -> None:
        page = self.open(confirmation)
        assert page.status_code == 200
        answer = self.submit(confirmation, page, password)
        assert answer.status_code == 200, answer.text
        assert "<h1>Confirmed</h1>" in answer.text
        assert "go back" in answer.text

    def share(self, name: str = "notes.py") -> dict[str, Any]:
        made = self.call("POST", "sessions", {"name": name, "content": "x = 1\n"})
        assert made.status_code == 201, made.text
        return made.json()

    def bearer(self) -> dict[str, str]:
        body = {"username": self.username, "password": PASSWORD}
        token = self.post("collab-ai/login", json=body).json()["access_token"]
        return {"Authorization": f"Bearer {token}"}


def nonce_of(page: httpx.Response) -> str:
    (nonce,) = re.findall(r'<input type="hidden" name="nonce" value="([^"]+)">', page.text)
    return html.unescape(nonce)


def words_of(page: httpx.Response) -> str:
    """Return what a person reads."""
    (main,) = re.findall(r"<main>(.*)</main>", page.text, re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", main)).split())


@pytest.fixture
def ann(server: LabServer) -> Iterator[Browser]:
    with Browser(server) as browser:
        yield browser.register()


@pytest.fixture
def ben(server: LabServer) -> Iterator[Browser]:
    with Browser(server) as browser:
        yield browser.register()


@pytest.fixture
def boss(server: LabServer) -> Iterator[Browser]:
    """Whoever holds Jupyter's token."""
    with Browser(server) as browser:
        browser.get("login")
        browser.get("lab", params={"token": server.token})
        browser.username = browser.get("collab-ai/me").json()["username"]
        yield browser


# ---------------------------------------------------------------- each grave action


def once(browser: Browser, call: tuple[Any, ...], status: int, password: str = PASSWORD) -> str:
    """Ask, be refused, confirm, do it; return what the page said."""
    confirmation = browser.asked(*call)
    said = words_of(browser.open(confirmation))
    assert browser.asked(*call, confirmed=confirmation["id"]) == confirmation
    browser.confirm(confirmation, password)
    done = browser.call(*call, confirmed=confirmation["id"])
    assert done.status_code == status, done.text
    return said


def test_a_password_is_changed_after_it_was_confirmed(ann):
    new = "an entirely different one"
    call = ("PUT", "me/password", {"current_password": PASSWORD, "new_password": new})
    said = once(ann, call, 204)
    assert said.startswith("Change your password?")
    assert new not in said
    again = ann.asked(*call, confirmed="x")
    assert ann.submit(again, ann.open(again), PASSWORD).status_code == 401
    with Browser(ann.server) as other:
        other.sign_in(ann.username, new)


def test_what_can_not_be_a_password_is_said_at_once(ann):
    body = {"current_password": PASSWORD, "new_password": "short"}
    answer = ann.call("PUT", "me/password", body)
    assert (answer.status_code, answer.json()["reason"]) == (400, "invalid_request")


def test_an_admin_is_made_after_it_was_confirmed(boss, ann):
    token = boss.server.token
    call = ("PATCH", f"users/{ann.username}", {"is_admin": True})
    said = once(boss, call, 200, token)
    assert said.startswith("Change an account?")
    assert f"{ann.username} (“Mx {ann.username}”) becomes an admin of this server" in said
    assert ann.get("collab-ai/me").json()["is_admin"] is True
    boss.asked(*call, confirmed="x")
    call = ("PATCH", f"users/{ann.username}", {"is_admin": False, "is_active": False})
    said = once(boss, call, 200, token)
    assert "is no admin of this server any more. The account of" in said
    assert "is deactivated and signed out everywhere." in said
    call = ("PATCH", f"users/{ann.username}", {"is_active": True})
    said = once(boss, call, 200, token)
    assert "is activated, and can be signed in to." in said
    assert "admin of this server" not in said


def test_an_account_is_deleted_after_it_was_confirmed(boss, ann):
    said = once(boss, ("DELETE", f"users/{ann.username}"), 204, boss.server.token)
    assert f"The account of {ann.username} (“Mx {ann.username}”) is deleted." in said
    assert boss.get(f"collab-ai/users/{ann.username}").status_code == 404


def test_an_owner_is_made_after_it_was_confirmed(ann, ben):
    session = ann.share()
    body = {"session_id": session["id"], "username": ben.username, "role": "viewer"}
    assert ann.call("POST", "sessions/invite", body).status_code == 201
    assert ann.call("PUT", "sessions/access", {**body, "role": "editor"}).status_code == 200
    said = once(ann, ("PUT", "sessions/access", {**body, "role": "owner"}), 200)
    assert said.startswith("Make somebody an owner?")
    assert f"{ben.username} (“Mx {ben.username}”) becomes an owner" in said
    assert f"Session notes.py What it shares users/{ann.username}/notes.py" in said
    activity = ann.get(f"collab-ai/sessions/{session['id']}/activity").json()["items"]
    assert [item["action"] for item in activity][:3] == [
        "role_changed",
        "confirmation_given",
        "confirmation_asked",
    ]
    assert activity[1]["detail"] == {"action": "change_role"}
    assert (activity[1]["actor"], activity[1]["target"]) == (ann.username, ben.username)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"username": "BEN"}, "{ben} (“Mx {ben}”) becomes an owner"),
        ({"username": "nobody.yet"}, "Whoever registers as nobody.yet with the link becomes"),
        ({"max_uses": 7}, "Whoever has the link, up to 7 people, becomes an owner"),
        ({}, "Whoever has the link becomes an owner"),
    ],
)
def test_an_owner_is_invited_after_it_was_confirmed(ann, ben, more, expected):
    if more.get("username") == "BEN":
        more = {"username": ben.username.upper()}
    body = {"session_id": ann.share()["id"], "role": "owner", **more}
    said = once(ann, ("POST", "sessions/invite", body), 201)
    assert expected.format(ben=ben.username) in said


@pytest.mark.parametrize("delete_files", [False, True])
def test_a_session_is_ended_after_it_was_confirmed(ann, delete_files):
    session = ann.share()
    path = f"sessions/{session['id']}?delete_files={str(delete_files).lower()}"
    said = once(ann, ("DELETE", path), 204)
    assert ("its files are deleted. This can't be undone." in said) == delete_files
    assert ("its files stay." in said) == (not delete_files)
    file = ann.get(f"api/contents/users/{ann.username}/notes.py", params={"content": 0})
    assert file.status_code == (404 if delete_files else 200)


def test_who_may_not_do_it_is_not_asked(ann, ben):
    session = ann.share()
    access = {"session_id": session["id"], "username": ann.username, "role": "owner"}
    invite = {"session_id": session["id"], "role": "owner"}

    def refusals():
        for call in (
            ("DELETE", f"sessions/{session['id']}"),
            ("PUT", "sessions/access", access),
            ("POST", "sessions/invite", invite),
        ):
            answer = ben.call(*call)
            yield answer.status_code, answer.json()["reason"]

    assert set(refusals()) == {(404, "not_found")}
    body = {"session_id": session["id"], "username": ben.username, "role": "editor"}
    assert ann.call("POST", "sessions/invite", body).status_code == 201
    assert set(refusals()) == {(403, "role_required")}
    for call in (
        ("DELETE", f"users/{ann.username}"),
        ("PATCH", f"users/{ann.username}", {"is_admin": True}),
    ):
        assert ben.call(*call).json()["reason"] == "admin_required"
    stranger = {**access, "username": "nobody.of.this.name"}
    assert ann.call("PUT", "sessions/access", stranger).status_code == 404
    # Nothing that people read comes from the request as it is.
    odd = {**invite, "username": "anybody: just type your password"}
    assert ann.call("POST", "sessions/invite", odd).status_code == 400


def test_programs_are_not_asked(server, ann, ben):
    headers = ann.bearer()
    made = httpx.post(
        f"{server.base_url}{BASE}collab-ai/sessions", json={"name": "a.py"}, headers=headers
    ).json()
    with httpx.Client(base_url=f"{server.base_url}{BASE}collab-ai/", timeout=30) as program:
        program.headers.update(headers)
        body = {"session_id": made["id"], "role": "owner", "username": ben.username}
        assert program.post("sessions/invite", json=body).status_code == 201
        assert program.put("sessions/access", json=body).status_code == 200
        assert program.delete(f"sessions/{made['id']}").status_code == 204
        passwords = {"current_password": PASSWORD, "new_password": "an entirely different one"}
        assert program.put("me/password", json=passwords).status_code == 204
        program.headers["Authorization"] = f"token {server.token}"
        user = f"users/{ann.username}"
        assert program.patch(user, json={"is_admin": True}).status_code == 200
        assert program.delete(user).status_code == 204


# ---------------------------------------------------------------- what it is bound to


def test_a_confirmation_is_for_one_request_of_one_login(ann):
    first, second = ann.share("first.py"), ann.share("second.py")
    confirmation = ann.asked("DELETE", f"sessions/{first['id']}")
    ann.confirm(confirmation)
    given = confirmation["id"]
    others = (
        ("DELETE", f"sessions/{second['id']}"),
        ("DELETE", f"sessions/{first['id']}?delete_files=true"),
        ("POST", "sessions/invite", {"session_id": first["id"], "role": "owner"}),
    )
    for other in others:
        assert ann.asked(*other, confirmed=given)["id"] != given
    with Browser(ann.server) as elsewhere:
        elsewhere.sign_in(ann.username)
        assert elsewhere.open(confirmation).status_code == 404
        call = ("DELETE", f"sessions/{first['id']}")
        assert elsewhere.asked(*call, confirmed=given)["id"] != given
    # JupyterLab adds the time.
    assert ann.call("DELETE", f"sessions/{first['id']}?17", confirmed=given).status_code == 204
    assert ann.call("DELETE", f"sessions/{first['id']}?17", confirmed=given).status_code == 404
    assert ann.get(f"collab-ai/sessions/{second['id']}").status_code == 200


def test_it_is_used_up_by_the_first_use(ann, ben):
    session = ann.share()
    body = {"session_id": session["id"], "username": ben.username, "role": "owner"}
    ann.call("POST", "sessions/invite", {**body, "role": "viewer"})
    confirmation = ann.asked("PUT", "sessions/access", body)
    ann.confirm(confirmation)
    given = confirmation["id"]
    assert ann.call("PUT", "sessions/access", body, confirmed=given).status_code == 200
    assert ann.asked("PUT", "sessions/access", body, confirmed=given)["id"] != given
    assert ann.open(confirmation).status_code == 404


def test_an_expired_one_does_nothing(ann):
    call = ("DELETE", f"sessions/{ann.share()['id']}")
    confirmation = ann.asked(*call)
    page = ann.open(confirmation)
    given = ann.asked(*call)
    ann.confirm(given)
    engine = make_engine(parse_url(ann.server.env["THE_DATABASE"]), pool_size=1)
    with engine.begin() as connection:
        connection.execute(text("UPDATE confirmations SET expires_at = 0"))
    engine.dispose()
    answer = ann.submit(confirmation, page, PASSWORD)
    assert answer.status_code == 404
    assert "nothing to confirm here any more" in words_of(answer)
    assert ann.asked(*call, confirmed=given["id"])["id"] != given["id"]


# ---------------------------------------------------------------- the page


def test_the_page_has_no_scripts_and_an_origin_of_its_own(ann):
    confirmation = ann.asked("DELETE", f"sessions/{ann.share()['id']}")
    page = ann.open(confirmation)
    sent = ann.submit(confirmation, page, "not it")
    gone = ann.open({"url": confirmation["url"] + "x"})
    assert [page.status_code, sent.status_code, gone.status_code] == [200, 401, 404]
    for answer in (page, sent, gone):
        assert answer.headers["Content-Type"] == "text/html; charset=UTF-8"
        policy = answer.headers["Content-Security-Policy"].split("; ")
        assert sorted(policy) == [
            "base-uri 'none'",
            "default-src 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "sandbox allow-forms",
            "style-src 'unsafe-inline'",
        ]
        assert answer.headers["Cache-Control"] == "no-store"
        assert "<script" not in answer.text
    # It came without cookies; those that the browser has are not to be replaced.
    assert "Set-Cookie" not in sent.headers
    assert "WWW-Authenticate" not in sent.headers


def test_a_wrong_password_is_said_beside_the_field(ann):
    confirmation = ann.asked("DELETE", f"sessions/{ann.share()['id']}")
    page = ann.open(confirmation)
    answer = ann.submit(confirmation, page, "not it")
    assert '<p class="problem" id="password-note">This is not your password.</p>' in answer.text
    assert 'aria-invalid="true" aria-describedby="password-note"' in answer.text
    assert nonce_of(answer) != nonce_of(page)
    assert words_of(answer).startswith("End a session?")
    old = ann.submit(confirmation, page, PASSWORD)
    assert old.status_code == 400
    assert f'<a class="button" href="{confirmation["url"]}">' in old.text
    assert ann.submit(confirmation, answer, PASSWORD).status_code == 200


def test_wrong_passwords_are_throttled_as_at_the_login(ann):
    confirmation = ann.asked("DELETE", f"sessions/{ann.share()['id']}")
    page = ann.open(confirmation)
    for _ in range(10):
        page = ann.submit(confirmation, page, "not it")
        assert page.status_code == 401
    page = ann.submit(confirmation, page, PASSWORD)
    assert page.status_code == 429
    assert int(page.headers["Retry-After"]) >= 1
    assert "Too many" in words_of(page)
    login = ann.post("collab-ai/login", json={"username": ann.username, "password": PASSWORD})
    assert login.status_code == 429


def test_asking_is_limited(ann):
    session = ann.share()
    for _ in range(30):
        ann.asked("DELETE", f"sessions/{session['id']}")
    answer = ann.call("DELETE", f"sessions/{session['id']}")
    assert (answer.status_code, answer.json()["reason"]) == (429, "rate_limited")
    assert int(answer.headers["Retry-After"]) >= 1


def test_nobody_else_sees_the_page(ann, ben):
    confirmation = ann.asked("DELETE", f"sessions/{ann.share()['id']}")
    other = ben.open(confirmation)
    assert other.status_code == 404
    assert "notes.py" not in other.text
    assert "nonce" not in other.text
    stranger = httpx.get(f"{ann.server.base_url.rstrip('/')}{confirmation['url']}")
    assert stranger.status_code == 302
    assert "/login?next=" in stranger.headers["Location"]
    # A form without what only that login's page holds says nothing of it.
    forged = httpx.post(
        f"{ann.server.base_url.rstrip('/')}{confirmation['url']}",
        data={"nonce": "guessed", "password": PASSWORD},
    )
    assert forged.status_code == 400
    assert "notes.py" not in forged.text
    with_bens_cookie = ben.post(
        f"{ann.server.base_url.rstrip('/')}{confirmation['url']}",
        data={"nonce": nonce_of(ann.open(confirmation)), "password": PASSWORD},
    )
    assert with_bens_cookie.status_code == 404


def test_what_people_chose_is_shown_as_text(ann, ben):
    name = "<b>notes</b> & more"
    me = {"display_name": "<script>alert(1)</script>"}
    assert ben.call("PATCH", "me", me).status_code == 200
    made = ann.call("POST", "sessions", {"name": name, "path": f"users/{ann.username}/a.py"})
    body = {"session_id": made.json()["id"], "role": "owner", "username": ben.username}
    page = ann.open(ann.asked("POST", "sessions/invite", body))
    assert "<script" not in page.text
    assert "<dd>&lt;b&gt;notes&lt;/b&gt; &amp; more</dd>" in page.text


def test_the_holder_of_the_token_is_asked_for_it(boss, ann):
    page = boss.open(boss.asked("DELETE", f"users/{ann.username}"))
    assert '<label for="password">Password or token</label>' in page.text
    page = ann.open(ann.asked("DELETE", f"sessions/{ann.share()['id']}"))
    assert '<label for="password">Password</label>' in page.text


def test_no_password_stands_in_the_log(ann):
    passwords = {"current_password": PASSWORD, "new_password": "an entirely different one"}
    confirmation = ann.asked("PUT", "me/password", passwords)
    ann.submit(confirmation, ann.open(confirmation), "a wrong password")
    for secret in (*passwords.values(), "a wrong password"):
        assert secret not in ann.server.log


# ---------------------------------------------------------------- in a real browser

#: What a script in the output of a trusted notebook can do: it has the cookie and the token.
CALL = """async ([method, path, body, id]) => {
  const xsrf = document.cookie.match(/_xsrf=([^;]*)/)[1];
  const headers = {'X-XSRFToken': xsrf, 'Content-Type': 'application/json'};
  if (id) headers['X-Collab-Confirmation'] = id;
  const init = {method, headers};
  if (body) init.body = JSON.stringify(body);
  const answer = await fetch('/base/collab-ai/' + path, init);
  const text = await answer.text();
  return [answer.status, text ? JSON.parse(text) : null];
}"""
#: Reads the page, and tries what it can with it.
STEAL = """async ([url, guess]) => {
  const text = await (await fetch(url)).text();
  const page = new DOMParser().parseFromString(text, 'text/html');
  const nonce = page.querySelector('[name=nonce]')?.value ?? '';
  const form = new URLSearchParams({nonce, password: guess});
  const answer = await fetch(url, {method: 'POST', body: form});
  return [nonce !== '', answer.status];
}"""
#: Opens the page, and tries to reach into it.
REACH = """async url => {
  const popup = window.open(url);
  const tried = [];
  const until = Date.now() + 20000;
  while (Date.now() < until && tried.at(-1) !== 'SecurityError') {
    await new Promise(resolve => setTimeout(resolve, 50));
    try { tried.push(popup.document.querySelector('#password') ? 'read' : 'empty'); }
    catch (error) { tried.push(error.name); }
  }
  return tried;
}"""


async def test_a_person_confirms_in_a_browser_and_a_script_does_not(server, ann, ben):
    session = ann.share()
    other = ann.share("other.py")
    base = f"{server.base_url}{BASE}"
    origin = server.base_url.rstrip("/")
    async with Chromium(find_chromium()) as browser:
        context = await browser.new_context(color_scheme="dark")
        home = await context.new_page()
        await home.goto(f"{base}login")
        await home.fill("#username", ann.username)
        await home.fill("#password", PASSWORD)
        await home.click("button")
        await home.goto(f"{base}no-such-page")  # of this server, with no policy against scripts

        # A script asks for what it likes, and the person for something else.
        evil = {"session_id": other["id"], "role": "owner", "username": ben.username}
        status, error = await home.evaluate(CALL, ["POST", "sessions/invite", evil, None])
        assert (status, error["reason"]) == (403, "confirmation_required")
        evils = error["confirmation"]
        call = ["DELETE", f"sessions/{session['id']}", None]
        status, error = await home.evaluate(CALL, [*call, None])
        assert (status, error["reason"]) == (403, "confirmation_required")
        confirmation = error["confirmation"]

        # It has the nonce, and not the password.
        assert await home.evaluate(STEAL, [evils["url"], "a guess"]) == [True, 401]
        assert (await home.evaluate(CALL, ["POST", "sessions/invite", evil, evils["id"]]))[0] == 403
        # Nor can it reach into the page that it opens, where a person would type it.
        async with context.expect_page() as opened:
            tried = await home.evaluate(REACH, evils["url"])
        assert "read" not in tried
        assert tried[-1] == "SecurityError"
        popup = await opened.value
        assert f"{ben.username} (“Mx {ben.username}”) becomes an owner" in (
            " ".join((await popup.inner_text("main")).split())
        )
        await popup.close()

        # The person confirms what they asked for.
        page = await context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        posts = []
        page.on("request", lambda request: posts.append(request) if request.method == "POST" else 0)
        await page.goto(f"{origin}{confirmation['url']}")
        assert await page.evaluate("window.origin") == "null"
        assert "End a session?" in await page.inner_text("main")
        dark = "getComputedStyle(document.body).backgroundColor"
        assert await page.evaluate(dark) == "rgb(17, 17, 17)"
        await page.get_by_label("Password", exact=True).fill("not it")
        await page.get_by_role("button", name="End the session").click()
        await page.wait_for_selector("text=This is not your password.")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("text=Confirmed")
        assert len(posts) == 2
        for request in posts:
            headers = await request.all_headers()
            assert headers["origin"] == "null"
            assert "collab-ai-" not in headers.get("cookie", "")  # the login's
        assert [text for text in said if "Content Security Policy" in text] == []

        # The script can't take it for what it asked for.
        asks = ["POST", "sessions/invite", evil]
        assert (await home.evaluate(CALL, [*asks, confirmation["id"]]))[0] == 403
        assert (await home.evaluate(CALL, [*asks, evils["id"]]))[0] == 403
        assert (await home.evaluate(CALL, [*call, confirmation["id"]]))[0] == 204
        assert (await home.evaluate(CALL, [*call, confirmation["id"]]))[0] == 404
        members = ann.get(f"collab-ai/sessions/{other['id']}/members").json()["items"]
        assert [item["user"]["username"] for item in members] == [ann.username]
        # The form that came without cookies has signed nobody out.
        assert (await home.evaluate(CALL, ["PATCH", "me", {"color": "#123456"}, None]))[0] == 200
