"""Contract, "Errors": one shape for every call, strict requests, nothing given away."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from jupyter_collab_ai.web.openapi import description
from tests.blackbox.client import PASSWORD, Api, Person


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in description()["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path.removeprefix("/"), operation


def schema_of(operation: dict[str, Any]) -> dict[str, Any]:
    name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    return dict(description()["components"]["schemas"][name.rpartition("/")[2]])


def named(calls: list[tuple[Any, ...]]) -> list[Any]:
    return [pytest.param(*call, id=f"{call[0]} {call[1]}") for call in calls]


#: Every call that takes a body, with a body that is right as far as its form goes.
EXAMPLES: dict[str, dict[str, Any]] = {
    "POST register": {"username": "somebody", "password": "a long password"},
    "POST login": {"username": "somebody", "password": "a long password"},
    "POST token/refresh": {"refresh_token": "none"},
    "PATCH me": {"display_name": "Somebody"},
    "PUT me/password": {"current_password": "a long one", "new_password": "a longer one"},
    "PATCH users/{username}": {"is_active": True},
    "POST sessions": {"name": "never made"},
    "PUT sessions/{session_id}": {"name": "never seen"},
    "POST sessions/invite": {"session_id": "none", "role": "viewer"},
    "POST invitations/accept": {"invitation": "none"},
    "PUT sessions/access": {"session_id": "none", "username": "nobody", "role": "viewer"},
    "POST ai/code-debugger": {"session_id": "none"},
    "POST ai/code-generator": {"session_id": "none", "instructions": "Write it."},
    "POST ai/operations/{id}/apply": {"edits": [0]},
    "POST sessions/{session_id}/versions": {"name": "A name"},
    "POST sessions/{session_id}/restore": {"version": "1-none"},
}
#: Calls whose body may be left out.
OPTIONAL = {
    f"{method} {path}"
    for method, path, operation in operations()
    if not operation.get("requestBody", {}).get("required", True)
}
WITH_BODY = [
    (method, path, schema_of(operation), "security" in operation)
    for method, path, operation in operations()
    if "requestBody" in operation
]
GUARDED = [
    (method, path)
    for method, path, operation in operations()
    # Neither WebSockets, which tell by a close code, nor pages, which lead to the login.
    if operation.get("security") != [] and not {"101", "302"} & operation["responses"].keys()
]


def test_there_is_an_example_of_each_body() -> None:
    assert {f"{method} {path}" for method, path, _, _ in WITH_BODY} == EXAMPLES.keys()


@pytest.fixture(scope="session")
def caller(api: Api) -> Person:
    return api.admin()


def call(caller: Person, method: str, path: str, **options: Any) -> Any:
    return caller(method, re.sub(r"{\w+}", "none", path), **options)


@pytest.mark.parametrize(("method", "path", "schema", "public"), named(WITH_BODY))
def test_an_unknown_member_is_refused(
    caller: Person, method: str, path: str, schema: dict[str, Any], public: bool
) -> None:
    body = {**EXAMPLES[f"{method} {path}"], "tpyo": 1}
    error = call(caller, method, path, body=body).refused(400, "invalid_request")
    assert [item["field"] for item in error["errors"]] == ["tpyo"]


@pytest.mark.parametrize(("method", "path", "schema", "public"), named(WITH_BODY))
def test_each_member_of_a_wrong_type_is_named(
    caller: Person, method: str, path: str, schema: dict[str, Any], public: bool
) -> None:
    for member in schema["properties"]:
        body = {**EXAMPLES[f"{method} {path}"], member: [[]]}
        error = call(caller, method, path, body=body).refused(400, "invalid_request")
        fields = {item["field"].partition(".")[0] for item in error["errors"]}
        assert fields == {member}, error


@pytest.mark.parametrize(("method", "path", "schema", "public"), named(WITH_BODY))
def test_each_member_that_is_missing_is_named(
    caller: Person, method: str, path: str, schema: dict[str, Any], public: bool
) -> None:
    for member in schema.get("required", ()):
        body = {k: v for k, v in EXAMPLES[f"{method} {path}"].items() if k != member}
        error = call(caller, method, path, body=body).refused(400, "invalid_request")
        assert [item["field"] for item in error["errors"]] == [member]


@pytest.mark.parametrize(("method", "path", "schema", "public"), named(WITH_BODY))
@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b'"text"', b"null", b'{"a": NaN}', b"\xff", b"[" * 100_000],
    ids=["empty", "cut", "list", "text", "null", "NaN", "no UTF-8", "deep"],
)
def test_what_is_no_json_object_is_refused(
    caller: Person, method: str, path: str, schema: dict[str, Any], public: bool, raw: bytes
) -> None:
    if not raw and f"{method} {path}" in OPTIONAL:
        # Without a body it is the call itself, about an operation that does not exist.
        call(caller, method, path, raw=raw).refused(404, "not_found")
        return
    call(caller, method, path, raw=raw).refused(400, "invalid_request")


@pytest.mark.parametrize(("method", "path", "schema", "public"), named(WITH_BODY))
def test_a_form_is_refused(
    caller: Person, method: str, path: str, schema: dict[str, Any], public: bool
) -> None:
    raw = json.dumps(EXAMPLES[f"{method} {path}"]).encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    call(caller, method, path, raw=raw, headers=kind).refused(400, "invalid_request")


def test_an_unknown_parameter_is_refused(caller: Person) -> None:
    error = caller("GET", "sessions", query={"limti": "3"}).refused(400, "invalid_request")
    assert [item["field"] for item in error["errors"]] == ["limti"]


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1e9", "100000"])
def test_a_limit_has_limits(caller: Person, limit: str) -> None:
    error = caller("GET", "sessions", query={"limit": limit}).refused(400, "invalid_request")
    assert [item["field"] for item in error["errors"]] == ["limit"]


def test_each_member_that_is_wrong_is_named(api: Api, ada: Person) -> None:
    body = {"username": "a", "password": "x", "email": "no", "display_name": ""}
    error = api("POST", "register", body=body).refused(400, "invalid_request")
    assert {item["field"] for item in error["errors"]} == body.keys()
    body = {"display_name": "", "email": "no", "color": "blue"}
    error = ada("PATCH", "me", body=body).refused(400, "invalid_request")
    assert {item["field"] for item in error["errors"]} == body.keys()


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({"username": "x" * 300}, "username", "2 to 64"),
        ({"password": "x" * 20_000}, "password", "at most 1024"),
        ({"display_name": "x" * 5_000}, "display_name", "at most 100"),
        ({"display_name": "e\u0301" * 5_000}, "display_name", "at most 100"),
        ({"email": "x" * 5_000}, "email", "not an e-mail address"),
        ({"username": "\ud800x"}, "username", "Unicode"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_the_limit_that_is_told_is_the_one_that_holds(
    api: Api, body: dict[str, Any], field: str, said: str
) -> None:
    body = {"username": "someone", "password": "a long password", **body}
    error = api("POST", "register", body=body).refused(400, "invalid_request")
    assert [item["field"] for item in error["errors"]] == [field]
    assert said in error["errors"][0]["message"]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "ai/code-generator", {"instructions": "  "}, "instructions"),
        ("POST", "ai/code-generator", {"instructions": "x", "context": 5}, "context"),
        ("POST", "sessions/invite", {"role": "viewer", "email": "x"}, "email"),
        ("POST", "sessions/{id}/restore", {"version": "current", "hunks": [5]}, "hunks.0"),
        ("POST", "sessions/{id}/restore", {"version": "current", "cell_id": "x"}, "cell_id"),
        ("PUT", "sessions/{id}", {"path": "{folder}/new.ipynb"}, "path"),
    ],
)
def test_sentences_are_for_people_and_fields_exist(
    ada: Person, session: dict[str, Any], method: str, path: str, body: dict[str, Any], field: str
) -> None:
    if "{id}" not in path:
        body = {"session_id": session["id"], **body}
    if "path" in body:
        body = {"path": body["path"].format(folder=session["path"].rpartition("/")[0])}
    answer = ada(method, path.format(id=session["id"]), body=body)
    error = answer.refused(400, "invalid_request")
    assert [item["field"] for item in error["errors"]] == [field]
    assert not re.search(r"pattern|regex|[\\^$]|String|Input", error["message"])


def test_a_file_that_is_no_text_is_the_fault_of_its_path(ada: Person, root: Path) -> None:
    folder = ada.share(name="pictures", content=None, type="directory")
    (root / folder["path"] / "bin.png").write_bytes(b"\x89PNG\xff\x00")
    body = {"session_id": folder["id"], "path": "bin.png"}
    for answer in (
        ada("POST", "ai/code-debugger", body=body),
        ada("GET", f"sessions/{folder['id']}/blame", query={"path": "bin.png"}),
    ):
        error = answer.refused(400, "invalid_request")
        assert [item["field"] for item in error["errors"]] == ["path"]


def test_a_large_body_is_refused(ada: Person) -> None:
    body = {"display_name": "x" * 3_000_000}
    ada("PATCH", "me", body=body).refused(413, "request_too_large")


@pytest.mark.parametrize(("method", "path"), named(GUARDED))
def test_nobody_gets_in_without_an_identity(api: Api, method: str, path: str) -> None:
    body = EXAMPLES.get(f"{method} {path}")
    where = re.sub(r"{\w+}", "none", path)
    api(method, where, body=body).refused(401, "not_authenticated")
    api(method, where, body=body, token="nonsense").refused(401, "not_authenticated")


@pytest.mark.parametrize(
    "path",
    ["nothing", "sessions/none", "users/nobody", "ai/operations/none", "sessions/none/locks"],
)
def test_what_is_not_there_is_not_found(caller: Person, path: str) -> None:
    caller("GET", path).refused(404, "not_found")


def test_a_method_that_is_not_there_is_an_error_of_the_same_shape(ada: Person) -> None:
    answer = ada("DELETE", "me")
    assert answer.status == 405
    assert answer.json.keys() == {"message", "reason"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "users"),
        ("GET", "users/nobody"),
        ("PATCH", "users/nobody"),
        ("DELETE", "users/nobody"),
    ],
)
def test_accounts_are_for_admins(ada: Person, method: str, path: str) -> None:
    body = {"is_active": False} if method == "PATCH" else None
    ada(method, path, body=body).refused(403, "admin_required")


def test_an_answer_names_no_file_of_the_machine(ada: Person, api: Api) -> None:
    attempts = [
        ada("POST", "sessions", body={"name": "x", "path": "../../etc/passwd"}),
        ada("POST", "sessions", body={"name": "x", "path": "/etc/passwd"}),
        ada("GET", "sessions/%00"),
        ada.jupyter("GET", "api/contents/../../etc"),
    ]
    for answer in attempts:
        assert 400 <= answer.status < 500, answer
        assert str(api.server.root).encode() not in answer.body
        assert b"Traceback" not in answer.body


def test_what_no_call_knows_passes_nowhere(api: Api, ada: Person, caller: Person) -> None:
    login = {"username": ada.username, "password": PASSWORD}
    for answer, field in (
        (api("POST", "login", body=login, query={"debug": "1"}), "debug"),
        (api("POST", "register", body=login, query={"x": "1"}), "x"),
        (ada("PATCH", "me", body={"display_name": "A"}, query={"x": "1"}), "x"),
        (ada("POST", "ai/fixes/none/apply", body={"bogus": 1}), "bogus"),
        (ada("POST", "ai/operations/none/undo", body={"x": 1}), "x"),
        (ada("POST", "logout", query={"x": "1"}, raw=b"garbage"), "x"),
        (ada("POST", "logout", raw=b"garbage"), ""),
        (caller("GET", f"users/{ada.username}", query={"x": "1"}), "x"),
        (caller("DELETE", f"users/{ada.username}", query={"x": "1"}), "x"),
        (ada("PATCH", "me", raw=b'{"display_name": "A", "display_name": "B"}'), "display_name"),
    ):
        error = answer.refused(400, "invalid_request")
        assert [item["field"] for item in error["errors"]] == [field]
    assert ada("GET", "me").ok()["display_name"] == ada.username


def test_who_is_named_uses_an_invitation_once(ada: Person, session: dict[str, Any]) -> None:
    body = {"session_id": session["id"], "role": "viewer", "username": "somebody.new"}
    error = ada("POST", "sessions/invite", body={**body, "max_uses": 5}).refused(
        400, "invalid_request"
    )
    assert [item["field"] for item in error["errors"]] == ["max_uses"]
    ada("POST", "sessions/invite", body={**body, "max_uses": 1}).ok(201)


@pytest.mark.parametrize("path", ["users", "sessions", "ai/operations", "activity"])
@pytest.mark.parametrize("name", ["query", "after", "session_id"])
def test_a_nul_in_a_query_is_the_callers_fault(caller: Person, path: str, name: str) -> None:
    # Whether it is one of the call's parameters or not.
    error = caller("GET", path, query={name: "\0"}).refused(400, "invalid_request")
    assert [item["field"] for item in error["errors"]] == [name]


@pytest.mark.parametrize("path", ["health", "openapi.json"])
def test_load_balancers_ask_with_head(api: Api, path: str) -> None:
    answer = api("HEAD", path)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers.get_content_type() == "application/json"


def test_a_method_that_is_not_there_names_those_that_are(api: Api, ada: Person) -> None:
    answer = ada("DELETE", "me")
    answer.refused(405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, OPTIONS, PATCH"
    answer = api("PUT", "health")
    answer.refused(405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("method", ["PUT", "OPTIONS"])
def test_strangers_do_not_fill_the_log(api: Api, method: str) -> None:
    api(method, "ws/x").refused(405, "method_not_allowed")
    assert api.jupyter("DELETE", "collab-ai/account").status == 405
    assert api.jupyter("PUT", "lab").status == 405
    assert api.jupyter("GET", "lab", headers={"Host": "evil.example"}).status == 403
    assert "Uncaught exception" not in api.server.log


def test_a_websocket_is_no_page(api: Api, ada: Person) -> None:
    for call in (api, ada):
        assert "WebSocket" in call("GET", "ws/x").refused(400, "invalid_request")["message"]


def test_a_program_with_a_cookie_is_told_what_it_lacks(api: Api, ada: Person) -> None:
    page = api.jupyter("GET", "login")
    cookies = {
        morsel.partition("=")[0]: morsel.partition(";")[0].partition("=")[2]
        for morsel in page.headers.get_all("Set-Cookie", [])
    }
    form = urlencode({"username": ada.username, "password": PASSWORD, "_xsrf": cookies["_xsrf"]})
    signed_in = api.jupyter(
        "POST",
        "login",
        raw=form.encode(),
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": f"_xsrf={cookies['_xsrf']}",
        },
    )
    assert signed_in.status == 302
    login = next(
        cookie.partition(";")[0]
        for cookie in signed_in.headers.get_all("Set-Cookie", [])
        if cookie.startswith("collab-ai-")
    )
    answer = api("PATCH", "me", body={"display_name": "A"}, headers={"Cookie": login})
    assert "X-XSRFToken" in answer.refused(403, "forbidden")["message"]


def test_nothing_has_an_id_with_a_nul(ada: Person, caller: Person, session: dict[str, Any]) -> None:
    for person, method, path in (
        (caller, "GET", "users/%00"),
        (ada, "DELETE", "me/logins/%00"),
        (ada, "GET", "sessions/%00"),
        (ada, "GET", f"sessions/{session['id']}/history/%00"),
        (ada, "DELETE", f"sessions/{session['id']}/versions/%00"),
        (ada, "DELETE", f"sessions/{session['id']}/locks/%00"),
        (ada, "DELETE", f"sessions/{session['id']}/members/%00"),
        (ada, "DELETE", f"sessions/{session['id']}/invitations/%00"),
        (ada, "GET", "ai/operations/%00"),
        (ada, "DELETE", "ai/operations/%00"),
        (ada, "POST", "ai/operations/%00/undo"),
        (ada, "POST", "ai/fixes/%00/apply"),
    ):
        person(method, path).refused(404, "not_found")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("sessions/invite", {"role": "viewer", "username": "a\0b"}),
        ("sessions/invite", {"role": "viewer", "email": "a\0b@c"}),
        ("ai/code-debugger", {"path": "a\0b"}),
        ("ai/code-debugger", {"cell_id": "a\0b"}),
        ("ai/code-debugger", {"session_id": "a\0b"}),
        ("ai/code-generator", {"instructions": "x", "path": "a\0b"}),
        ("ai/code-generator", {"instructions": "x", "context": {"files": ["a\0b"]}}),
        ("sessions/{id}/restore", {"version": "a\0b"}),
        ("sessions/{id}/versions", {"name": "a", "version": "a\0b"}),
        ("sessions/{id}/versions", {"name": "a\0b"}),
        ("invitations/accept", {"invitation": "a\0b"}),
    ],
    ids=str,
)
def test_a_nul_in_a_body_is_the_callers_fault(
    ada: Person, session: dict[str, Any], path: str, body: dict[str, Any]
) -> None:
    if path.startswith(("ai/", "sessions/invite")):
        body = {"session_id": session["id"], **body}
    answer = ada("POST", path.format(id=session["id"]), body=body)
    assert answer.status in (400, 404), answer
