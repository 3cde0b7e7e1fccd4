"""Small decisions: names, passwords, who may register, where a page may lead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_collab_ai.errors import InvalidRequest
from jupyter_collab_ai.identity.names import (
    check_display_name,
    check_email,
    check_username,
    color_of,
    initials_of,
    starter_name,
)
from jupyter_collab_ai.identity.pages import local_url
from jupyter_collab_ai.identity.passwords import check_password, common_passwords
from jupyter_collab_ai.identity.provider import without_token
from jupyter_collab_ai.identity.registration import (
    Registration,
    is_loopback,
    registration_for,
    who_may_register,
)
from jupyter_collab_ai.identity.service import same_token


@pytest.mark.parametrize("name", ["ab", "Ada", "0x", "a.b_c-d", "x" * 64, "ab."])
def test_usernames(name):
    assert check_username(name) == name.casefold()


@pytest.mark.parametrize("name", ["", "a", "-a", ".a", "_a", "a b", "a/b", "ä1", "x" * 65, "a\n"])
def test_what_is_no_username(name):
    with pytest.raises(InvalidRequest):
        check_username(name)


@given(st.text(max_size=80))
def test_everybody_who_starts_a_server_gets_a_username(name):
    made = starter_name(name)
    assert check_username(made) == made


@given(st.text(min_size=1, max_size=30))
def test_looks_are_the_same_each_time(name):
    assert color_of(name) == color_of(name)
    assert len(initials_of(name)) <= 6


def test_common_passwords_are_refused_whatever_their_case():
    assert len(common_passwords()) > 5000
    for password in ("password1", "PassWord1", "qwertyuiop"):
        with pytest.raises(InvalidRequest):
            check_password(password)
    check_password("x" * 8 + "y")
    check_password("correct horse battery")


LOCAL = {
    "listens_on": "127.0.0.1",
    "peer": "127.0.0.1",
    "host": "localhost:8888",
    "headers": ["Host"],
    "version": "HTTP/1.1",
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Registration.OPEN),
        ({"host": "[::1]:8888", "listens_on": "::1", "peer": "::1"}, Registration.OPEN),
        ({"listens_on": "0.0.0.0"}, Registration.INVITE),
        ({"listens_on": ""}, Registration.INVITE),
        ({"peer": "10.0.0.5"}, Registration.INVITE),
        ({"headers": ["Host", "x-forwarded-proto"]}, Registration.INVITE),
        ({"headers": ["Host", "CF-Connecting-IP"]}, Registration.INVITE),
        ({"host": "lab.example.org"}, Registration.INVITE),
        ({"host": "localhost.example.org"}, Registration.INVITE),
        ({"headers": ["X-Forwarded-For"]}, Registration.INVITE),
        ({"headers": ["forwarded"]}, Registration.INVITE),
        ({"headers": ["X-Real-IP"]}, Registration.INVITE),
        ({"headers": ["X-Original-Forwarded-For"]}, Registration.INVITE),
        # What nginx sends where it is told nothing but where to.
        ({"host": "127.0.0.1:8888", "version": "HTTP/1.0"}, Registration.INVITE),
    ],
)
def test_who_may_register_by_default(changes, expected):
    assert registration_for(None, **{**LOCAL, **changes}) is expected


def test_what_was_configured_holds():
    for configured in Registration:
        assert registration_for(configured, **LOCAL) is configured


@pytest.mark.parametrize(
    ("configured", "listens_on", "who"),
    [
        (None, "localhost", "whoever is on this machine"),
        (None, "", "whoever is invited"),
        (Registration.OPEN, "0.0.0.0", "everybody"),
        (Registration.INVITE, "localhost", "whoever is invited"),
        (Registration.CLOSED, "localhost", "nobody"),
    ],
)
def test_who_may_register_in_words(configured, listens_on, who):
    assert who_may_register(configured, listens_on=listens_on) == who


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "javascript:alert(1)",
        "/\t/evil.example/",
        " //evil.example",
        "evil",
        "",
        None,
    ],
)
def test_no_page_leads_away(url):
    assert local_url(url, "/") is None


def test_pages_lead_to_places_on_this_server():
    assert local_url("/lab/tree/a.py?x=1#y", "/") == "/lab/tree/a.py?x=1#y"
    assert local_url("/base/lab", "/base/") == "/base/lab"
    assert local_url("/other/lab", "/base/") is None


@given(st.text(max_size=40))
def test_whatever_a_page_leads_to_begins_with_one_slash(text):
    url = local_url(text, "/")
    assert url is None or (url.startswith("/") and not url.startswith(("//", "/\\")))


def test_the_token_goes_from_the_address_and_the_rest_stays():
    assert without_token("/lab", "token=x&reset=1&a=") == "/lab?reset=1&a="
    assert without_token("/lab", "token=x") == "/lab"
    assert without_token("//evil.example/", "token=x") == "/evil.example/"


def test_no_token_is_nobodys():
    assert same_token("abc", "abc")
    assert not same_token("", "")
    assert not same_token("abc", "")
    assert not same_token("abd", "abc")
    assert not same_token("\ud800", "abc")


@pytest.mark.parametrize("name", ["Ada", "Zoë Ünicode", "مينا‌کاربر", "👨‍👩‍👧", "Ada ✨"])
def test_display_names(name):
    assert check_display_name(f"  {name} ") == name


@pytest.mark.parametrize(
    "name", ["", "  ", "x" * 101, "\u202eadA", "a\nb", "\u200d", "a\x00", "\ud800"]
)
def test_what_is_no_display_name(name):
    with pytest.raises(InvalidRequest) as caught:
        check_display_name(name)
    assert caught.value.errors[0].field == "display_name"


@pytest.mark.parametrize("email", ["", "ada", "a@", "@b", "a b@c", "a@b@c", "a@" + "b" * 260])
def test_what_is_no_address(email):
    with pytest.raises(InvalidRequest):
        check_email(email)
    assert check_email(" ada@example.org ") == "ada@example.org"
