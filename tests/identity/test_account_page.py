"""The page of one's own account, as a browser without JavaScript uses it."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Iterator
from itertools import count

import httpx
import pytest

from tests.identity.test_confirm_page import BASE, PASSWORD, Browser, nonce_of, words_of
from tests.support.postgres import PostgresCluster
from tests.support.server import LabServer, ServerFactory

NEW = "another horse battery staple"
PAGE = "collab-ai/account/password"
_numbers = count(1)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabServer]:
    folder = tmp_path_factory.mktemp("account")
    url = f"sqlite:///{folder / 'collab.db'}"
    if request.param == "postgresql":
        cluster: PostgresCluster = request.getfixturevalue("postgres")
        url = cluster.create_database(f"account_{next(_numbers)}")
    factory = ServerFactory(folder)
    yield factory(
        database_url=url,
        args=(f"--ServerApp.base_url=/{BASE}",),
        ready=f"{BASE}collab-ai/health",
    )
    factory.close()


@pytest.fixture
def ann(server: LabServer) -> Iterator[Browser]:
    with Browser(server) as browser:
        yield browser.register()


@contextlib.contextmanager
def elsewhere(browser: Browser) -> Iterator[Browser]:
    """Another browser of the same person."""
    with Browser(browser.server) as other:
        yield other.sign_in(browser.username)


def send(browser: Browser, page: httpx.Response, **fields: str) -> httpx.Response:
    """Send the form of the password as a sandboxed page does: without cookies, from nowhere."""
    (action,) = re.findall(r'<form method="post" action="([^"]*)"', page.text)
    assert action == f"/{BASE}{PAGE}"
    (asked,) = re.findall(r'name="confirmation" value="([^"]+)"', page.text)
    given = {
        "confirmation": html.unescape(asked),
        "nonce": nonce_of(page),
        "current_password": PASSWORD,
        "new_password": NEW,
        "new_password_again": NEW,
    }
    with httpx.Client(timeout=30) as bare:
        return bare.post(
            f"{browser.server.base_url}{BASE}{PAGE}",
            data={**given, **fields},
            headers={"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        )


def end(browser: Browser, login: str) -> httpx.Response:
    xsrf = browser.cookies["_xsrf"]
    return browser.post("collab-ai/account", data={"_xsrf": xsrf, "login": login})


def test_a_stranger_is_led_to_the_login_and_back(server):
    with httpx.Client(base_url=f"{server.base_url}{BASE}") as nobody:
        for page in ("collab-ai/account", PAGE):
            led = nobody.get(page).headers["Location"]
            assert led.startswith(f"/{BASE}login?next=")
        assert nobody.post("collab-ai/account", data={"login": "others"}).status_code in (401, 403)


def test_it_shows_who_one_is_and_where_one_is_signed_in(ann):
    with elsewhere(ann):
        page = ann.get("collab-ai/account")
        assert page.status_code == 200
        said = words_of(page)
        assert f"Username {ann.username}" in said
        assert said.count("from 127.0.0.1, since 20") == 2
        assert said.count("(this one)") == 1
        assert page.text.count('name="login"') == 1
        assert "script" not in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


def test_logins_are_ended_one_by_one_or_all_others_at_once(ann):
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(elsewhere(ann)) for _ in range(3)]
        page = ann.get("collab-ai/account")
        ids = re.findall(r'name="login" value="([^"]+)"', page.text)
        assert (len(ids), ids[-1]) == (4, "others")
        done = end(ann, ids[0])
        assert (done.status_code, done.headers["Location"]) == (302, f"/{BASE}collab-ai/account")
        assert [o.get("collab-ai/me").status_code for o in others].count(401) == 1
        assert end(ann, ids[0]).status_code == 404
        end(ann, "others")
        assert [o.get("collab-ai/me").status_code for o in others] == [401] * 3
        assert ann.get("collab-ai/me").status_code == 200
        assert 'name="login"' not in ann.get("collab-ai/account").text


def test_it_takes_this_browsers_form_alone(ann, server):
    with elsewhere(ann) as other, Browser(server) as stranger:
        (login, *_) = re.findall(r'name="login" value="([^"]+)"', ann.get("collab-ai/account").text)
        refused = ann.post("collab-ai/account", data={"login": login})
        assert refused.status_code == 403
        assert "too old" in words_of(refused)
        # Nor does anybody end somebody else's.
        assert end(stranger.register(), login).status_code == 404
        assert other.get("collab-ai/me").status_code == 200


def test_the_password_is_changed_on_a_page_of_its_own(ann):
    with elsewhere(ann) as other:
        page = ann.get(PAGE)
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("sandbox allow-forms;")
        assert "default-src 'none'" in policy
        assert page.headers["Cache-Control"] == "no-store"
        done = send(ann, page)
        assert (done.status_code, "Your password is changed" in done.text) == (200, True)
        assert "Set-Cookie" not in done.headers
        assert ann.get("collab-ai/me").status_code == 200
        assert other.get("collab-ai/me").status_code == 401
    credentials = {"username": ann.username, "password": NEW}
    assert ann.post("collab-ai/login", json=credentials).status_code == 200
    credentials["password"] = PASSWORD
    assert ann.post("collab-ai/login", json=credentials).status_code == 401
    # The form is used up.
    assert send(ann, page, current_password=NEW).status_code == 404


@pytest.mark.parametrize(
    ("fields", "status", "field", "said"),
    [
        ({"current_password": "wrong"}, 401, "current_password", "current password is wrong"),
        ({"new_password_again": "x"}, 400, "new_password_again", "The two passwords differ"),
        (
            {"new_password": "short", "new_password_again": "short"},
            400,
            "new_password",
            "at least 8 characters",
        ),
    ],
)
def test_errors_stand_beside_their_fields_and_the_form_can_be_sent_again(
    ann, fields, status, field, said
):
    page = ann.get(PAGE)
    again = send(ann, page, **fields)
    assert again.status_code == status
    (note,) = re.findall(rf'class="problem" id="{field}-note">([^<]*)<', again.text)
    assert said in note
    for secret in (PASSWORD, NEW, "wrong"):
        assert f'value="{secret}"' not in again.text
    # The one before can't be sent any more; this one can.
    assert send(ann, page).status_code in (400, 404)
    assert send(ann, again).status_code == 200


def test_wrong_passwords_are_throttled(ann):
    page = ann.get(PAGE)
    for _ in range(10):
        page = send(ann, page, current_password="wrong")
        assert page.status_code == 401
    throttled = send(ann, page)
    assert throttled.status_code == 429
    assert int(throttled.headers["Retry-After"]) >= 1


def test_the_form_is_nothing_without_what_the_page_holds(ann):
    page = ann.get(PAGE)
    for fields in (
        {"nonce": ""},
        {"nonce": "x"},
        {"confirmation": ""},
        {"confirmation": "unavailable"},
        {"nonce": "x", "new_password_again": "differs"},
    ):
        refused = send(ann, page, **fields)
        assert refused.status_code in (400, 404)
        assert "nonce" not in refused.text
    # What is to be confirmed for a call changes no password here, nor the other way round.
    body = {"current_password": PASSWORD, "new_password": NEW}
    confirmation = ann.asked("PUT", "me/password", body)
    shown = ann.open(confirmation)
    refused = send(ann, page, confirmation=confirmation["id"], nonce=nonce_of(shown))
    assert refused.status_code == 404
    credentials = {"username": ann.username, "password": PASSWORD}
    assert ann.post("collab-ai/login", json=credentials).status_code == 200


def test_whoever_signs_in_with_the_token_has_no_password_to_change(server):
    with Browser(server) as boss:
        boss.get("lab", params={"token": server.token})
        assert "sign in with the token" in words_of(boss.get("collab-ai/account"))
        refused = boss.get(PAGE)
        assert refused.status_code == 400
        assert "There is no password of this account" in words_of(refused)
