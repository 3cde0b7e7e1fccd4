"""Signing in, registering, joining and signing out as a browser does it, without JavaScript."""

from __future__ import annotations

import asyncio
import html
import re
import time
from collections.abc import Iterator
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from jupyter_server.auth import passwd
from tornado.httpclient import HTTPClientError
from tornado.websocket import websocket_connect

from tests.support.server import LabServer, ServerFactory

PASSWORD = "correct horse battery staple"
JUPYTERS_PASSWORD = "jupyter's own password"
_numbers = count(1)


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerFactory]:
    factory = ServerFactory(tmp_path_factory.mktemp("pages"))
    yield factory
    factory.close()


@pytest.fixture(scope="module")
def server(factory: ServerFactory) -> LabServer:
    return factory(args=("--ServerApp.base_url=/base/",), ready="base/collab-ai/health")


@pytest.fixture(scope="module")
def server_with_password(factory: ServerFactory) -> LabServer:
    hashed = passwd(JUPYTERS_PASSWORD, algorithm="argon2")
    config = {"PasswordIdentityProvider": {"hashed_password": hashed}}
    return factory(config=config, env={"JUPYTER_TOKEN": ""})


class Person(httpx.Client):
    """A browser: it keeps cookies, and follows nothing by itself."""

    def __init__(self, server: LabServer, path: str = "base/") -> None:
        super().__init__(base_url=server.base_url + path, timeout=30)
        self.server = server

    def send_form(self, url: str, page: httpx.Response | None = None, **fields: str):
        """Fill in the form of a page and send it."""
        page = page or self.get(url)
        action, hidden = form_of(page)
        origin = f"http://127.0.0.1:{self.server.port}"
        return self.post(f"{origin}{action}", data={**hidden, **fields}, headers={"Origin": origin})

    @property
    def login_cookie(self) -> str | None:
        return next((c.value for c in self.cookies.jar if c.name.startswith("collab-ai-")), None)

    def me(self) -> httpx.Response:
        return self.get("collab-ai/me")


def form_of(page: httpx.Response) -> tuple[str, dict[str, str]]:
    (form,) = re.findall(r"<form method=\"post\" action=\"([^\"]*)\"", page.text)
    hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page.text)
    return html.unescape(form), {name: html.unescape(value) for name, value in hidden}


@pytest.fixture
def person(server: LabServer) -> Iterator[Person]:
    with Person(server) as person:
        yield person


@pytest.fixture
def other(server: LabServer) -> Iterator[Person]:
    with Person(server) as person:
        yield person


def new_name() -> str:
    return f"user{next(_numbers)}"


def register(person: Person, url: str = "register", **changes: str) -> httpx.Response:
    fields = {"username": new_name(), "password": PASSWORD, "password_again": PASSWORD}
    return person.send_form(url, **{**fields, **changes})


def place_of(response: httpx.Response) -> str:
    """Return where a redirect leads."""
    assert response.status_code in (302, 303), response.text
    return response.headers["Location"]


def share(person: Person) -> tuple[dict[str, Any], str]:
    """Share a file, and return the session and the secret of a link to it."""
    person.get("login")
    xsrf = {"X-XSRFToken": person.cookies["_xsrf"]}
    made = person.post(
        "collab-ai/sessions", json={"name": "notes & more.py", "content": "x = 1\n"}, headers=xsrf
    )
    assert made.status_code == 201, made.text
    session = made.json()
    invited = person.post(
        "collab-ai/sessions/invite",
        json={"session_id": session["id"], "role": "editor", "max_uses": 5},
        headers=xsrf,
    )
    assert invited.status_code == 201, invited.text
    return session, parse_qs(urlsplit(invited.json()["url"]).query)["invitation"][0]


# ---------------------------------------------------------------- registering and signing in


def test_a_stranger_is_led_to_the_login_and_back(person):
    assert place_of(person.get("lab")) == "/base/login?next=%2Fbase%2Flab"
    page = person.get("login?next=%2Fbase%2Flab")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=UTF-8")
    register_url = html.unescape(re.search(r'No account yet\? <a href="([^"]*)"', page.text)[1])
    name = new_name()
    response = register(person, register_url.removeprefix("/base/"), username=name)
    assert place_of(response) == "/base/lab"
    assert person.me().json()["username"] == name
    assert person.get("lab").status_code == 200


def test_the_cookie_is_kept_from_scripts_and_other_sites(person):
    response = register(person)
    (cookie,) = [c for c in response.headers.get_list("Set-Cookie") if "collab-ai" in c]
    assert cookie.startswith(f"collab-ai-127-0-0-1-{person.server.port}=")
    flags = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "samesite=lax", "path=/base/"} <= flags
    assert "secure" not in flags


def test_pages_hold_to_a_strict_policy(person):
    for path in ("login", "register", "logout", "collab-ai/join?invitation=x"):
        headers = person.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script" not in policy
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_errors_stand_beside_their_fields(person):
    page = register(person, username="-", password="short", password_again="short")
    assert page.status_code == 400
    assert re.search(r'id="username".*aria-invalid="true"', page.text, re.DOTALL)
    assert '<p class="problem" id="username-note">A username has 2 to 64' in page.text
    page = register(person, password_again="another")
    assert '<p class="problem" id="password_again-note">The two passwords differ.' in page.text
    page = register(person, password="password", password_again="password")
    assert '<p class="problem" id="password-note">This is one of the most common' in page.text
    assert person.login_cookie is None


def test_what_was_typed_is_shown_again_as_text_and_never_the_password(person):
    page = register(person, username='"><script>x</script>', password="only-I-know-this")
    assert "<script>" not in page.text
    assert "&lt;script&gt;" in page.text
    assert "only-I-know-this" not in page.text


def test_a_wrong_password_is_told_in_a_sentence(person, other):
    name = new_name()
    register(other, username=name)
    page = person.send_form("login", username=name, password="wrong")
    assert page.status_code == 401
    assert '<p role="alert">The username or the password is wrong.</p>' in page.text
    assert f'value="{name}"' in page.text
    response = person.send_form("login", page, username=name, password=PASSWORD)
    assert place_of(response) == f"/base/lab/workspaces/{name}"
    assert person.me().json()["username"] == name


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/",
        "//evil.example/base/",
        "/\\evil.example/base/",
        "/base/\\evil.example",
        "javascript:alert(1)",
        "/elsewhere",
        "/base/\tlab",
        "http:/base/lab",
        "/base/logout",
    ],
)
def test_nobody_is_led_elsewhere(person, other, wanted):
    name = new_name()
    register(other, username=name)
    page = person.get("login", params={"next": wanted})
    response = person.send_form("login", page, username=name, password=PASSWORD)
    assert place_of(response) == f"/base/lab/workspaces/{name}"
    again = person.get("login", params={"next": wanted})
    assert again.status_code == 200


def test_who_is_signed_in_goes_on(person):
    register(person)
    wanted = "/base/lab/tree/x%20y?reset"
    assert place_of(person.get("login", params={"next": wanted})) == wanted


def test_a_form_without_its_xsrf_token_is_shown_again(person, other):
    name = new_name()
    register(other, username=name)
    page = person.get("login")
    person.cookies.clear()
    refused = person.send_form("login", page, username=name, password=PASSWORD)
    assert refused.status_code == 403
    assert "This form was too old; please send it again." in refused.text
    assert person.login_cookie is None
    assert place_of(person.send_form("login", refused, username=name, password=PASSWORD))
    forged = person.post("register", data={"username": "x1", "password": PASSWORD})
    assert forged.status_code == 403


def test_a_form_of_another_site_is_refused(person):
    page = person.get("login")
    _, hidden = form_of(page)
    response = person.post("login", data=hidden, headers={"Origin": "http://evil.example"})
    assert response.status_code == 404


def test_registration_by_page_needs_what_registration_needs(person):
    elsewhere = {"X-Forwarded-For": "203.0.113.9"}
    page = person.get("register", headers=elsewhere)
    assert page.status_code == 403
    assert "You need an invitation to register here" in page.text
    assert "<form" not in page.text


# ---------------------------------------------------------------- Jupyter's own token


def test_the_token_opens_the_page_and_is_gone_from_it(person):
    response = person.get("lab", params={"token": person.server.token, "reset": ""})
    assert place_of(response) == "/base/lab?reset="
    assert person.me().json()["is_admin"] is True
    logins = person.get("collab-ai/me/logins").json()["items"]
    # Who opens the link again has a login already.
    assert place_of(person.get("lab", params={"token": person.server.token})) == "/base/lab"
    assert len(person.get("collab-ai/me/logins").json()["items"]) == len(logins)
    for path in ("lab", "tree", "login", "logout"):
        assert person.server.token not in person.get(path).text


def test_the_link_that_was_printed_works(person, server):
    first = person.get("", params={"token": server.token})
    second = person.get(f"http://127.0.0.1:{server.port}{place_of(first)}")
    assert "token" not in place_of(second)
    assert person.me().json()["is_admin"] is True


def test_a_wrong_token_leads_to_the_login(person):
    response = person.get("lab/tree/x", params={"token": "wrong", "reset": "1"})
    assert place_of(response) == "/base/login?next=%2Fbase%2Flab%2Ftree%2Fx%3Freset%3D1"
    assert place_of(person.get("login", params={"token": "wrong"})) == "/base/login"
    assert person.login_cookie is None


def test_a_wrong_token_is_taken_from_who_is_signed_in(person):
    name = new_name()
    register(person, username=name)
    assert place_of(person.get("lab", params={"token": "old"})) == "/base/lab"
    assert person.me().json()["username"] == name


def test_the_token_takes_the_place_of_somebody_elses_login(person):
    register(person)
    assert person.me().json()["is_admin"] is False
    person.get("lab", params={"token": person.server.token})
    assert person.me().json()["is_admin"] is True


def test_a_redirect_leads_to_no_other_host(person, server):
    register(person)
    response = httpx.get(
        f"http://127.0.0.1:{server.port}//evil.example/base/?token=x", cookies=person.cookies
    )
    assert not response.headers.get("Location", "/").startswith("//")


def test_calls_take_no_token_from_the_query(person, server):
    for path in ("collab-ai/me", "api/contents"):
        response = person.get(path, params={"token": server.token})
        assert response.status_code == 401
        assert person.login_cookie is None


def test_the_token_can_be_typed(person, server):
    wrong = person.send_form("login", username="", password="wrong")
    assert (wrong.status_code, person.login_cookie) == (401, None)
    person.send_form("login", username="", password=server.token)
    admin = person.me().json()
    assert admin["is_admin"] is True
    with Person(server) as other:
        # They need not know that they have no password.
        other.send_form("login", username=admin["username"], password=server.token)
        assert other.me().json() == admin


def test_a_typed_token_is_nobody_elses_password(person, other, server):
    name = new_name()
    register(other, username=name)
    assert person.send_form("login", username=name, password=server.token).status_code == 401


def test_jupyters_password_is_the_starters(server_with_password):
    with Person(server_with_password, "") as person:
        wrong = person.send_form("login", username="", password="wrong")
        assert wrong.status_code == 401
        assert place_of(person.get("lab", params={"token": ""})).startswith("/login")
        assert person.get("api/contents", headers={"Authorization": "token"}).status_code == 401
        person.send_form("login", username="", password=JUPYTERS_PASSWORD)
        assert person.me().json()["is_admin"] is True


# ---------------------------------------------------------------- credentials


def test_a_bad_credential_falls_back_to_no_other(person, server):
    register(person)
    assert person.me().status_code == 200
    for header in ("Bearer nonsense", "Bearer", "bearer x.y.z", "token nonsense", "TOKEN"):
        response = person.get("collab-ai/me", headers={"Authorization": header})
        assert response.status_code == 401, header
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.json()["reason"] == "not_authenticated"


def test_a_proxys_own_credential_is_not_ours(person):
    register(person)
    assert person.get("collab-ai/me", headers={"Authorization": "Basic eDp5"}).status_code == 200


def test_the_cookie_is_no_access_token_and_the_other_way_round(person, server):
    register(person)
    cookie = person.login_cookie
    name = next(c.name for c in person.cookies.jar if c.value == cookie)
    with Person(server) as plain:
        bearer = {"Authorization": f"Bearer {cookie}"}
        assert plain.get("collab-ai/me", headers=bearer).status_code == 401
        body = {"username": person.me().json()["username"], "password": PASSWORD}
        token = plain.post("collab-ai/login", json=body).json()["access_token"]
        answer = plain.get("collab-ai/me", headers={"Cookie": f"{name}={token}"})
        assert answer.json()["reason"] == "not_authenticated"


def test_jupyter_shows_who_one_is_and_takes_changes(person):
    name = new_name()
    register(person, username=name, display_name="Ada Lovelace")
    identity = person.get("api/me").json()["identity"]
    assert identity["username"] == name
    assert (identity["display_name"], identity["initials"]) == ("Ada Lovelace", "AL")
    assert re.fullmatch("#[0-9a-f]{6}", identity["color"])
    assert "principal" not in identity
    change = {"display_name": "Countess", "color": "#123456"}
    assert person.patch("api/me", json=change).status_code == 403
    xsrf = {"X-XSRFToken": person.cookies["_xsrf"]}
    answer = person.patch("api/me", json=change, headers=xsrf)
    assert answer.status_code == 200, answer.text
    assert answer.json()["identity"] == person.get("api/me").json()["identity"]
    assert person.me().json()["display_name"] == "Countess"
    for wrong in ({"username": "root"}, {"color": "red"}, {"display_name": ""}, {"color": 7}, []):
        assert person.patch("api/me", json=wrong, headers=xsrf).status_code == 400, wrong


async def test_a_browsers_socket_carries_the_access_token_and_ends_with_it(person, server):
    name = new_name()
    body = {"username": name, "password": PASSWORD}
    assert person.post("collab-ai/register", json=body).status_code == 201
    as_root = {"Authorization": f"token {server.token}"}
    url = f"collab-ai/users/{name}"
    assert person.patch(url, json={"is_admin": True}, headers=as_root).status_code == 200
    token = person.post("collab-ai/login", json=body).json()["access_token"]

    offered = ["collab-ai", f"bearer.{token}"]
    socket = await websocket_connect(
        f"{server.ws_url}base/api/events/subscribe", subprotocols=offered
    )
    # A browser would hang up if none were selected, and must never be sent the token.
    assert socket.selected_subprotocol == "collab-ai"
    header = {"Sec-WebSocket-Protocol": ", ".join(offered)}
    assert person.get("collab-ai/me", headers=header).status_code == 401
    for wrong in (["collab-ai", "bearer.x.y.z"], ["collab-ai"]):
        with pytest.raises(HTTPClientError, match="401"):
            await websocket_connect(f"{server.ws_url}base/api/events/subscribe", subprotocols=wrong)

    ended = asyncio.get_running_loop().time()
    await asyncio.to_thread(
        person.post, "collab-ai/logout", headers={"Authorization": f"Bearer {token}"}
    )
    async with asyncio.timeout(10):
        while await socket.read_message() is not None:
            pass
    assert socket.close_code == 1008
    assert asyncio.get_running_loop().time() - ended < 5


# ---------------------------------------------------------------- joining


def test_a_link_leads_a_stranger_through_registration_to_the_document(person, other):
    register(other, display_name="Ada <b>")
    session, secret = share(other)
    page = person.get("collab-ai/join", params={"invitation": secret})
    assert page.status_code == 200
    assert "Ada &lt;b&gt; invites you" in page.text
    assert "notes &amp; more.py" in page.text
    link = html.unescape(re.search(r'href="([^"]*)">Register and join', page.text)[1])
    response = register(person, link.removeprefix("/base/"))
    joined = person.get(f"http://127.0.0.1:{person.server.port}{place_of(response)}")
    name = person.me().json()["username"]
    path = session["path"].replace(" ", "%20").replace("&", "%26")
    assert place_of(joined) == f"/base/lab/workspaces/{name}/tree/{path}"
    assert person.get(f"collab-ai/sessions/{session['id']}").json()["role"] == "editor"


def test_who_is_signed_in_joins_by_a_button(person, other):
    register(other)
    session, secret = share(other)
    register(person)
    url = f"collab-ai/join?invitation={secret}"
    page = person.get(url)
    # Looking is not joining.
    assert person.get(f"collab-ai/sessions/{session['id']}").status_code == 404
    assert "/tree/" in place_of(person.send_form(url, page))
    assert person.get(f"collab-ai/sessions/{session['id']}").status_code == 200


def test_joining_needs_the_form_of_this_browser(person, other):
    register(other)
    session, secret = share(other)
    register(person)
    assert person.post(f"collab-ai/join?invitation={secret}").status_code == 403
    assert person.get(f"collab-ai/sessions/{session['id']}").status_code == 404


def test_somebody_else_can_join_from_the_same_browser(person, other):
    register(other)
    _, secret = share(other)
    register(person)
    page = person.get("collab-ai/join", params={"invitation": secret})
    link = html.unescape(re.search(r'href="([^"]*)">Sign in as somebody else', page.text)[1])
    out = person.get(link.removeprefix("/base/"), headers={"Sec-Fetch-Site": "same-origin"})
    assert person.me().status_code == 401
    again = html.unescape(re.search(r'href="([^"]*)">Sign in again', out.text)[1])
    assert parse_qs(urlsplit(again).query)["next"] == [f"/base/collab-ai/join?invitation={secret}"]


def test_a_link_to_nothing_says_so(person):
    page = person.get("collab-ai/join", params={"invitation": "nonsense"})
    assert page.status_code == 404
    assert "There is no such invitation" in page.text


# ---------------------------------------------------------------- deleted accounts


def test_a_deleted_account_leaves_no_session_that_nobody_is_in(person, other, server):
    name = new_name()
    register(person, username=name)
    session, _ = share(person)
    as_root = {"Authorization": f"token {server.token}"}
    url = f"collab-ai/users/{name}"
    assert other.delete(url, headers=as_root).status_code == 204
    assert person.me().json()["reason"] == "token_revoked"
    gone = other.get(f"collab-ai/sessions/{session['id']}", headers=as_root)
    assert gone.status_code == 404
    page = register(other, username=name)
    assert (page.status_code, other.login_cookie) == (409, None)
    assert "This username is taken" in page.text
    path = f"api/contents/users/{name}"
    assert other.delete(f"{path}/notes & more.py", headers=as_root).status_code == 204
    assert place_of(register(other, username=name))


def test_files_of_a_project_are_not_given_to_who_registers_their_name(person, server):
    name = new_name()
    as_root = {"Authorization": f"token {server.token}"}
    (server.root / "users" / name).mkdir(parents=True)
    (server.root / "users" / name / "0001_initial.py").write_text("import django\n")
    (server.root / "users" / f"{name}.py").write_text("class User: ...\n")
    for taken in (name, f"{name}.py"):
        page = register(person, username=taken)
        assert (page.status_code, person.login_cookie) == (409, None)
        assert "This username is taken" in page.text
        body = {"username": taken, "password": "correct horse battery"}
        answer = person.post("collab-ai/register", json=body)
        assert (answer.status_code, answer.json()["reason"]) == (409, "username_taken")
        known = person.get(f"collab-ai/users/{taken}", headers=as_root)
        assert known.status_code == 404


# ---------------------------------------------------------------- signing out


def test_signing_out_ends_the_login_itself(person):
    register(person)
    kept = dict(person.cookies)
    page = person.get("logout", headers={"Sec-Fetch-Site": "same-origin"})
    assert "You are signed out" in page.text
    assert person.login_cookie is None
    stolen = httpx.get(f"{person.base_url}collab-ai/me", cookies=kept)
    assert stolen.json()["reason"] == "token_revoked"


def test_a_link_of_another_site_signs_nobody_out(person):
    register(person)
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Referer": "http://evil.example/"}, {}):
        page = person.get("logout", headers=headers)
        assert "Sign out?" in page.text
        assert person.me().status_code == 200
    assert "You are signed out" in person.send_form("logout", page).text
    assert person.me().status_code == 401
    assert "You are signed out" in person.get("logout").text


def test_a_program_that_signs_out_loses_its_cookie(person):
    register(person)
    xsrf = {"X-XSRFToken": person.cookies["_xsrf"]}
    assert person.post("collab-ai/logout").status_code == 403
    assert person.post("collab-ai/logout", headers=xsrf).status_code == 204
    assert person.login_cookie is None


def test_nothing_secret_is_in_the_servers_log(person, other, server):
    register(other)
    _, secret = share(other)
    person.get("lab", params={"token": server.token})
    link = f"/base/collab-ai/join?invitation={secret}"
    person.get("login", params={"next": link}, headers={"Referer": link})
    person.post(link.removeprefix("/base/"))
    person.get("collab-ai/join", params={"invitation": secret + "x"})
    person.get("nowhere/marked-as-the-last")
    deadline = time.monotonic() + 10
    while "marked-as-the-last" not in server.log:
        assert time.monotonic() < deadline
    assert "collab-ai/join?invitation=" in server.log
    for hidden in (PASSWORD, server.token, secret, other.login_cookie, person.login_cookie):
        assert hidden not in server.log
