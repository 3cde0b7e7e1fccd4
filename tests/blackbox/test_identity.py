"""Contract, "Who you are": accounts, logins, tokens, admins."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.blackbox.client import PASSWORD, Answer, Api, Person

USER = {"id", "username", "display_name", "color", "is_admin", "is_active", "created_at"}


def check_user(user: dict[str, Any]) -> None:
    assert user.keys() - {"email"} == USER
    assert datetime.fromisoformat(user["created_at"]).utcoffset() == timedelta(0)


def claims_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the claims of a JWT."""

    def decode(part: str) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return data

    header, claims, _ = token.split(".")
    return decode(header), decode(claims)


# ---------------------------------------------------------------- registration


def test_an_account_is_a_user(api: Api) -> None:
    person = api.register("new", display_name="Zoë Ünicode", email="zoe@example.org")
    check_user(person.user)
    assert person.user["display_name"] == "Zoë Ünicode"
    assert person.user["email"] == "zoe@example.org"
    assert (person.user["is_admin"], person.user["is_active"]) == (False, True)
    assert person("GET", "me").ok() == person.user


def test_a_name_is_folded(api: Api) -> None:
    person = api.register("MiXed.Case")
    assert person.username == person.username.casefold()
    assert api.login(person.username.upper()).user["id"] == person.user["id"]
    body = {"username": person.username.upper(), "password": PASSWORD}
    api("POST", "register", body=body).refused(409, "username_taken")


@pytest.mark.parametrize(
    "username",
    ["", "a", "a" * 65, "-ab", ".ab", "_ab", "a b", "a/b", "a\x00b", "ädа", "a@b", "..", "a\n"],
)
def test_a_name_has_rules(api: Api, username: str) -> None:
    body = {"username": username, "password": PASSWORD}
    error = api("POST", "register", body=body).refused(400, "invalid_request")
    assert [item["field"] for item in error["errors"]] == ["username"]


@pytest.mark.parametrize("password", ["", "seven77", "x" * 1025, "password", "12345678"])
def test_a_password_has_rules(api: Api, password: str) -> None:
    body = {"username": "never-made", "password": password}
    answer = api("POST", "register", body=body)
    error = answer.refused(400, "invalid_request")
    assert [item["field"] for item in error["errors"]] == ["password"]
    if len(password) > 8:
        assert password.encode() not in answer.body


@pytest.mark.parametrize(
    "password", ["eight888", "x" * 1024, "пароль и ещё", "🔑" * 8, " spaces  "]
)
def test_other_passwords_are_fine(api: Api, password: str) -> None:
    username = api.register("base").username + "-2"
    body = {"username": username, "password": password}
    api("POST", "register", body=body).ok(201)
    assert api.login(username, password).username == username


def test_the_name_of_who_started_the_server_is_reserved(api: Api) -> None:
    name = api.admin()("GET", "me").ok()["username"]
    body = {"username": name, "password": PASSWORD}
    api("POST", "register", body=body).refused(409, "username_taken")


def test_two_at_once_do_not_get_the_same_name(api: Api) -> None:
    body = {"username": api.register("base").username + "-x", "password": PASSWORD}

    def register(_: int) -> Answer:
        return api("POST", "register", body=body)

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(answer.status for answer in pool.map(register, range(4)))
    assert statuses == [201, 409, 409, 409]


def test_registration_by_invitation_is_an_invitation_accepted(ada: Person, api: Api) -> None:
    session = ada.share()
    guest = api.register("guest", invitation=ada.link(session, "editor"))
    assert guest("GET", f"sessions/{session['id']}").ok()["role"] == "editor"


def test_an_invitation_that_is_none_makes_no_account(api: Api) -> None:
    username = api.register("base").username + "-y"
    body = {"username": username, "password": PASSWORD, "invitation": "nonsense"}
    api("POST", "register", body=body).refused(404, "not_found")
    login = {"username": username, "password": PASSWORD}
    api("POST", "login", body=login).refused(401, "invalid_credentials")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "collab.example.org"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"X-Real-IP": "203.0.113.9"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_who_comes_from_elsewhere_needs_an_invitation(api: Api, headers: dict[str, str]) -> None:
    body = {"username": "from-elsewhere", "password": PASSWORD}
    answer = api("POST", "register", body=body, headers=headers)
    assert answer.status == 403, answer
    if "Host" not in headers:  # Jupyter itself refuses a foreign Host
        answer.refused(403, "registration_closed")


@pytest.mark.parametrize("path", ["register", "login", "token/refresh"])
def test_credentials_that_come_along_are_ignored(api: Api, ada: Person, path: str) -> None:
    bodies = {
        "register": {"username": ada.username + "-z", "password": PASSWORD},
        "login": {"username": ada.username, "password": PASSWORD},
        "token/refresh": {"refresh_token": ada.tokens["refresh_token"]},
    }
    answer = api("POST", path, body=bodies[path], token="nonsense")
    assert answer.status in (200, 201), answer
    # A page of another site can't send application/json unasked, so no XSRF token is needed.
    assert b"nonsense" not in answer.body


# ---------------------------------------------------------------- login and tokens


def test_a_login_is_what_the_contract_says(api: Api, ada: Person) -> None:
    assert ada.tokens.keys() == {
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "user",
    }
    assert ada.tokens["token_type"] == "bearer"
    header, claims = claims_of(ada.token)
    assert header["alg"] == "HS256"
    assert ada.tokens["expires_in"] >= 1
    assert abs(claims["exp"] - time.time() - ada.tokens["expires_in"]) < 60
    assert "role" not in claims
    check_user(ada.user)


@pytest.mark.parametrize("password", ["", "wrong", PASSWORD.upper(), PASSWORD + " ", "x" * 1024])
def test_a_wrong_password_is_refused(api: Api, ada: Person, password: str) -> None:
    body = {"username": ada.username, "password": password}
    api("POST", "login", body=body).refused(401, "invalid_credentials")


def test_nobody_learns_who_has_an_account(api: Api, ada: Person) -> None:
    there = api("POST", "login", body={"username": ada.username, "password": "wrong one"})
    not_there = api("POST", "login", body={"username": "nobody.here", "password": "wrong one"})
    assert there.refused(401, "invalid_credentials") == not_there.json


def test_ten_failures_a_minute_and_no_more(api: Api, ada: Person, ben: Person) -> None:
    wrong = {"username": ada.username, "password": "wrong one"}
    for _ in range(10):
        api("POST", "login", body=wrong).refused(401, "invalid_credentials")
    api("POST", "login", body=wrong).refused(429, "rate_limited")
    right = {"username": ada.username, "password": PASSWORD}
    api("POST", "login", body=right).refused(429, "rate_limited")
    api.login(ben.username)


def test_only_failures_count(api: Api, ada: Person) -> None:
    for _ in range(12):
        api.login(ada.username)


def forged(token: str) -> dict[str, str]:
    head, claims, signature = token.split(".")

    def encode(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    header, content = claims_of(token)
    flipped = ("B" if signature[0] != "B" else "C") + signature[1:]
    return {
        "no signature": f"{head}.{claims}.",
        "alg none": f"{encode({**header, 'alg': 'none'})}.{claims}.",
        "alg None": f"{encode({**header, 'alg': 'None'})}.{claims}.{signature}",
        "other algorithm": f"{encode({**header, 'alg': 'HS512'})}.{claims}.{signature}",
        "other claims": f"{head}.{encode({**content, 'sub': 'admin'})}.{signature}",
        "other key": f"{encode({**header, 'kid': '../../dev/null'})}.{claims}.{signature}",
        "flipped": f"{head}.{claims}.{flipped}",
        "cut": token[:-5],
        "two parts": f"{head}.{claims}",
        "empty": "",
        "long": "x" * 20_000,
    }


def test_a_forged_token_is_refused(api: Api, ada: Person) -> None:
    for name, token in forged(ada.token).items():
        answer = api("GET", "me", token=token)
        assert answer.status in (400, 401, 431), name
        if answer.status == 401:
            answer.refused(401, "not_authenticated")


def test_a_token_in_the_query_is_none(api: Api, ada: Person) -> None:
    for name in ("token", "access_token", "jwt", "bearer"):
        answer = api("GET", "me", query={name: ada.token})
        assert answer.status != 200, name
    assert api.jupyter("GET", "api/contents", query={"token": ada.token}).status != 200


def test_a_refresh_token_is_good_for_once(api: Api, ada: Person) -> None:
    old = {"refresh_token": ada.tokens["refresh_token"]}
    new = api("POST", "token/refresh", body=old).ok()
    assert new.keys() == ada.tokens.keys()
    assert new["refresh_token"] != old["refresh_token"]
    assert new["user"] == ada.user
    api("POST", "token/refresh", body=old).refused(401, "token_revoked")
    # Two tabs did it at once: within five seconds nobody is thrown out for that.
    api("GET", "me", token=new["access_token"]).ok()
    api("POST", "token/refresh", body={"refresh_token": new["refresh_token"]}).ok()


def test_twenty_tabs_get_one_token(api: Api, ada: Person) -> None:
    body = {"refresh_token": ada.tokens["refresh_token"]}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api("POST", "token/refresh", body=body), range(20)))
    assert sorted(answer.status for answer in answers) == [200] + [401] * 19


def test_an_access_token_does_not_refresh(api: Api, ada: Person) -> None:
    body = {"refresh_token": ada.token}
    assert api("POST", "token/refresh", body=body).status in (400, 401)
    assert api("GET", "me", token=ada.tokens["refresh_token"]).status == 401


def test_logout_kills_the_tokens_of_this_login_alone(api: Api, ada: Person) -> None:
    other = api.login(ada.username)
    ada("POST", "logout").ok(204)
    ada("GET", "me").refused(401, "token_revoked")
    body = {"refresh_token": ada.tokens["refresh_token"]}
    api("POST", "token/refresh", body=body).refused(401, "token_revoked")
    other("GET", "me").ok()


def test_every_way_in_takes_the_token(ada: Person) -> None:
    home = f"users/{ada.username}"
    assert ada.jupyter("GET", "lab").status == 200
    assert ada.jupyter("GET", f"api/contents/{home}").status == 200
    assert ada.jupyter("GET", "api/me").status == 200


# ---------------------------------------------------------------- /me


def test_me_can_be_changed(ada: Person) -> None:
    changed = ada("PATCH", "me", body={"display_name": "Ada ✨", "color": "#336699"}).ok()
    assert (changed["display_name"], changed["color"]) == ("Ada ✨", "#336699")
    assert changed == ada("GET", "me").ok()
    assert changed["username"] == ada.username
    assert ada("PATCH", "me", body={"email": "a@example.org"}).ok()["email"] == "a@example.org"
    assert ada("PATCH", "me", body={}).ok()["display_name"] == "Ada ✨"


@pytest.mark.parametrize(
    "body",
    [
        {"is_admin": True},
        {"username": "root"},
        {"is_active": False},
        {"id": "x"},
        {"color": "url(javascript:1)"},
        {"color": "red; background: blue"},
        {"display_name": ""},
        {"display_name": "x" * 10_000},
        {"display_name": "\u202eadA"},
        {"email": "no address"},
    ],
    ids=json.dumps,
)
def test_not_everything_of_me_can_be_changed(ada: Person, body: dict[str, Any]) -> None:
    if len(str(body)) > 1000 or "\u202e" in str(body):
        body = dict(body)
    ada("PATCH", "me", body=body).refused(400, "invalid_request")
    assert ada("GET", "me").ok() == ada.user


def test_a_new_password_ends_every_other_login(api: Api, ada: Person) -> None:
    other = api.login(ada.username)
    new = "quite another password"
    wrong = {"current_password": "not the one", "new_password": new}
    ada("PUT", "me/password", body=wrong).refused(401, "invalid_credentials")
    weak = {"current_password": PASSWORD, "new_password": "password"}
    ada("PUT", "me/password", body=weak).refused(400, "invalid_request")
    body = {"current_password": PASSWORD, "new_password": new}
    ada("PUT", "me/password", body=body).ok(204)
    ada("GET", "me").ok()
    other("GET", "me").refused(401, "token_revoked")
    refresh = {"refresh_token": other.tokens["refresh_token"]}
    api("POST", "token/refresh", body=refresh).refused(401, "token_revoked")
    old = {"username": ada.username, "password": PASSWORD}
    api("POST", "login", body=old).refused(401, "invalid_credentials")
    api.login(ada.username, new)


def test_logins_are_listed_and_ended(api: Api, ada: Person, ben: Person) -> None:
    other = api.login(ada.username)
    logins = ada("GET", "me/logins").ok()["items"]
    assert len(logins) == 2
    mine = next(login["id"] for login in logins if login.get("current"))
    (theirs,) = {login["id"] for login in logins} - {mine}
    ben("DELETE", f"me/logins/{theirs}").refused(404, "not_found")
    ada("DELETE", f"me/logins/{theirs}").ok(204)
    other("GET", "me").refused(401, "token_revoked")
    ada("GET", "me").ok()
    assert [login["id"] for login in ada("GET", "me/logins").ok()["items"]] == [mine]


# ---------------------------------------------------------------- admins


def test_the_holder_of_jupyters_token_is_admin(api: Api) -> None:
    me = api.admin()("GET", "me").ok()
    check_user(me)
    assert me["is_admin"] is True


def test_the_token_is_exchanged_for_a_cookie_and_no_page_holds_it(api: Api) -> None:
    secret = api.server.token
    answer = api.jupyter("GET", "lab", query={"token": secret, "reset": ""})
    assert answer.status == 302
    assert secret not in answer.headers["Location"]
    assert "reset" in answer.headers["Location"]
    cookies = answer.headers.get_all("Set-Cookie")
    assert cookies
    assert all(secret not in cookie for cookie in cookies)
    login = next(cookie for cookie in cookies if "xsrf" not in cookie)
    assert "httponly" in login.lower()
    assert "samesite" in login.lower()
    jar = "; ".join(cookie.partition(";")[0] for cookie in cookies)
    for path in ("lab", "lab/tree/users", "login", "collab-ai/me"):
        page = api.jupyter("GET", path, headers={"Cookie": jar})
        assert page.status in (200, 302), path
        assert secret.encode() not in page.body
        assert secret not in str(page.headers)


def test_a_wrong_token_gets_no_cookie(api: Api) -> None:
    answer = api.jupyter("GET", "lab", query={"token": "nonsense"})
    assert answer.status == 302
    assert "nonsense" not in answer.headers["Location"]
    jar = "; ".join(
        cookie.partition(";")[0] for cookie in answer.headers.get_all("Set-Cookie") or ()
    )
    api("GET", "me", headers={"Cookie": jar}).refused(401, "not_authenticated")


def cookie_of_admin(api: Api) -> dict[str, str]:
    answer = api.jupyter("GET", "lab", query={"token": api.server.token})
    jar = [cookie.partition(";")[0] for cookie in answer.headers.get_all("Set-Cookie") or ()]
    return {"Cookie": "; ".join(jar)}


def test_a_cookie_alone_changes_nothing(api: Api) -> None:
    cookie = cookie_of_admin(api)
    api("GET", "me", headers=cookie).ok()
    answer = api("PATCH", "me", headers=cookie, body={"display_name": "Mallory"})
    assert answer.status == 403
    assert answer.json.keys() >= {"message", "reason"}
    page = api.jupyter("GET", "lab", headers=cookie)
    made = [item.partition(";")[0] for item in page.headers.get_all("Set-Cookie") or ()]
    jar = "; ".join([cookie["Cookie"], *made])
    xsrf = jar.rpartition("_xsrf=")[2].partition(";")[0]
    headers = {"Cookie": jar, "X-XSRFToken": xsrf}
    api("PATCH", "me", headers=headers, body={"color": "#123456"}).ok()


def test_an_admin_lists_makes_and_stops_users(api: Api, ada: Person) -> None:
    admin = api.admin()
    names = set()
    after: dict[str, str] = {}
    while True:
        page = admin("GET", "users", query={"limit": "50", **after}).ok()
        names |= {user["username"] for user in page["items"]}
        if not page["next"]:
            break
        after = {"after": page["next"]}
    assert ada.username in names
    assert admin("GET", f"users/{ada.username}").ok() == ada.user
    changed = admin("PATCH", f"users/{ada.username}", body={"is_admin": True}).ok()
    assert changed["is_admin"] is True
    ada("GET", "users").ok()
    admin("PATCH", f"users/{ada.username}", body={"is_admin": False}).ok()
    ada("GET", "users").refused(403, "admin_required")


def test_who_is_stopped_is_out_at_once(api: Api, ada: Person) -> None:
    admin = api.admin()
    stopped = admin("PATCH", f"users/{ada.username}", body={"is_active": False}).ok()
    assert stopped["is_active"] is False
    ada("GET", "me").refused(401, "token_revoked")
    body = {"username": ada.username, "password": PASSWORD}
    api("POST", "login", body=body).refused(401, "invalid_credentials")
    refresh = {"refresh_token": ada.tokens["refresh_token"]}
    assert api("POST", "token/refresh", body=refresh).status == 401
    admin("PATCH", f"users/{ada.username}", body={"is_active": True}).ok()
    api.login(ada.username)


def test_an_account_that_is_deleted_is_gone(api: Api, ada: Person) -> None:
    admin = api.admin()
    admin("DELETE", f"users/{ada.username}").ok(204)
    assert ada("GET", "me").status == 401
    admin("GET", f"users/{ada.username}").refused(404, "not_found")
    admin("DELETE", f"users/{ada.username}").refused(404, "not_found")


# ---------------------------------------------------------------- limits


def test_fifty_calls_a_second_are_fine(ada: Person) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ada("GET", "me"), range(100)))
    assert {answer.status for answer in answers} == {200}
