"""The calls, made to a real Jupyter server."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from jupyter_server.auth import IdentityProvider, User
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from jupyter_collab_ai.sessions.handlers import AcceptBody, handlers
from jupyter_collab_ai.sessions.roles import Role
from tests.sessions.conftest import until

PEOPLE = {}


class NamedUser(User):
    """A user with a principal, as the real provider gives."""

    principal = None


class ByName(IdentityProvider):
    """Believes whoever says who they are."""

    def get_user(self, handler):
        principal = PEOPLE.get(handler.request.headers.get("X-Person"))
        if principal is None:
            return None
        user = NamedUser(username=principal.username)
        user.principal = principal
        return user

    def is_token_authenticated(self, handler):
        return True


@pytest.fixture
def jp_server_config():
    return {"ServerApp": {"identity_provider_class": ByName}}


@pytest.fixture
async def serve(house, jp_serverapp, jp_base_url):
    def url(pattern):
        return f"{jp_base_url}collab-ai/{pattern}"

    jp_serverapp.web_app.add_handlers(
        ".*$",
        handlers(
            url, house.sessions, house.members, house.invitations, house.feed, house.confirmations
        ),
    )
    PEOPLE.clear()
    for name in ("ada", "ben", "cleo"):
        PEOPLE[name] = await house.person(name)
    PEOPLE["root"] = await house.person("root", admin=True)
    yield
    await house.feed.close()


class Answer:
    """What the server answered."""

    def __init__(self, response):
        self.status = response.code
        self.headers = response.headers
        self.body = response.body or b""
        self.json = json.loads(self.body) if self.body else None

    def refused(self, status, reason, field=None):
        assert (self.status, self.json["reason"]) == (status, reason), self.body
        assert self.json.keys() <= {"message", "reason", "errors", "lock"}
        assert self.json["message"][-1] in ".!?"
        if field is not None:
            assert [error["field"].split(".")[0] for error in self.json["errors"]] == [field]


@pytest.fixture
def call(serve, jp_fetch):
    async def call(person, method, *path, raw=None, body=None, headers=None, **query):
        if body is not None:
            raw = json.dumps(body)
        if raw is None and method in ("POST", "PUT"):
            raw = ""
        sent = {"X-Person": person or "", "Content-Type": "application/json", **(headers or {})}
        try:
            response = await jp_fetch(
                "collab-ai", *path, method=method, body=raw, headers=sent, params=query
            )
        except HTTPClientError as error:
            assert error.response is not None
            response = error.response
        return Answer(response)

    return call


@pytest.fixture
async def session(call):
    answer = await call("ada", "POST", "sessions", body={"name": "notes", "content": "x = 1\n"})
    assert answer.status == 201
    return answer.json


async def invite(call, session, **more):
    body = {"session_id": session["id"], "role": "viewer", **more}
    return await call("ada", "POST", "sessions", "invite", body=body)


async def test_from_making_to_ending(call, house, session, jp_base_url):
    id_ = session["id"]
    again = await call("ada", "GET", "sessions", id_)
    assert (again.status, again.json) == (200, session)
    assert again.headers["Content-Type"] == "application/json"

    invited = await invite(call, session, username="ben", role="editor")
    assert (invited.status, invited.json.keys()) == (201, {"invitation"})
    link = await invite(call, session, expires_in=60, max_uses=2)
    assert link.json.keys() == {"invitation", "url"}
    host = link.json["url"].partition(jp_base_url)[0]
    assert re.fullmatch(r"http://(localhost|127\.0\.0\.1):\d+", host)
    secret = re.fullmatch(
        re.escape(f"{host}{jp_base_url}collab-ai/join?invitation=") + r"([\w-]{43})",
        link.json["url"],
    ).group(1)
    joined = await call("cleo", "POST", "invitations", "accept", body={"invitation": secret})
    assert (joined.status, joined.json["id"], joined.json["role"]) == (200, id_, "viewer")

    members = (await call("cleo", "GET", "sessions", id_, "members")).json["items"]
    assert {item["user"]["username"]: item["role"] for item in members} == {
        "ada": "owner",
        "ben": "editor",
        "cleo": "viewer",
    }
    body = {"session_id": id_, "username": "cleo", "role": "editor"}
    changed = await call("ada", "PUT", "sessions", "access", body=body)
    assert (changed.status, changed.json["role"]) == (200, "editor")
    assert changed.json["user"]["username"] == "cleo"
    assert (await call("ada", "DELETE", "sessions", id_, "members", "cleo")).status == 204
    (open_,) = (await call("ada", "GET", "sessions", id_, "invitations")).json["items"]
    assert secret not in json.dumps(open_)
    revoked = await call("ada", "DELETE", "sessions", id_, "invitations", open_["id"])
    assert (revoked.status, revoked.body) == (204, b"")
    answer = await call("cleo", "POST", "invitations", "accept", body={"invitation": secret})
    answer.refused(410, "invitation_revoked")

    moved = await call(
        "ada", "PUT", "sessions", id_, body={"name": "New", "path": "users/ada/new.py"}
    )
    assert (moved.json["name"], moved.json["path"]) == ("New", "users/ada/new.py")
    activity = (await call("ada", "GET", "sessions", id_, "activity")).json
    assert activity.keys() == {"items", "next"}
    assert [item["action"] for item in activity["items"]][::-1] == [
        "session_created",
        "member_added",
        "invited",
        "invitation_accepted",
        "role_changed",
        "member_removed",
        "invitation_revoked",
        "session_moved",
        "session_renamed",
    ]
    assert secret not in json.dumps(activity)
    ended = await call("ada", "DELETE", "sessions", id_, delete_files="true")
    assert (ended.status, ended.body) == (204, b"")
    assert not (house.root / "users/ada/new.py").exists()


async def test_where_it_is_made(call, jp_base_url):
    answer = await call("ada", "POST", "sessions", body={"name": "n", "type": "notebook"})
    assert answer.status == 201
    assert answer.headers["Location"] == f"{jp_base_url}collab-ai/sessions/{answer.json['id']}"
    assert answer.json["type"] == "notebook"


async def test_lists(call, session):
    await call("ada", "POST", "sessions", body={"name": "second"})
    first = await call("ada", "GET", "sessions", limit="1")
    assert [item["name"] for item in first.json["items"]] == ["second"]
    rest = await call("ada", "GET", "sessions", limit="1", after=first.json["next"])
    assert ([item["name"] for item in rest.json["items"]], rest.json["next"]) == (["notes"], None)
    assert (await call("ben", "GET", "sessions")).json == {"items": [], "next": None}
    found = await call("ada", "GET", "sessions", query="SEC")
    assert [item["name"] for item in found.json["items"]] == ["second"]
    everybody = await call("root", "GET", "sessions", all="true")
    assert len(everybody.json["items"]) == 2
    (await call("ada", "GET", "sessions", all="true")).refused(403, "admin_required")
    # as JupyterLab calls
    assert (await call("ada", "GET", "sessions", **{"1732390000000": ""})).status == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"after": "x"}, "after"),
        ({"all": "maybe"}, "all"),
        ({"qury": "x"}, "qury"),
    ],
)
async def test_lists_say_what_is_wrong(call, query, field):
    (await call("ada", "GET", "sessions", **query)).refused(400, "invalid_request", field)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": 1}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"name": "..."}, "name"),
        ({"name": "x", "paht": "x.py"}, "paht"),
        ({"name": "x", "path": ""}, "path"),
        ({"name": "x", "path": "/etc/passwd"}, "path"),
        ({"name": "x", "path": "users/ada/\0"}, "path"),
        ({"name": "x", "path": 1}, "path"),
        ({"name": "x", "type": "socket"}, "type"),
        ({"name": "x", "content": ["x"]}, "content"),
        ({"name": "x", "type": "notebook", "content": {"cells": []}}, "content"),
        ({"name": "x", "content": {"a": 1}}, "content"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_can_not_be_shared(call, body, field):
    (await call("ada", "POST", "sessions", body=body)).refused(400, "invalid_request", field)


@pytest.mark.parametrize("name", ["می‌خواهم", "👩‍🔬 lab", "Übung", "a/b"])
async def test_names_of_all_kinds(call, name):
    answer = await call("ada", "POST", "sessions", body={"name": name})
    assert (answer.status, answer.json["name"]) == (201, name)


@pytest.mark.parametrize("raw", ["", "{", "[]", "null", '"x"', "{}x"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "sessions"),
        ("POST", "sessions/invite"),
        ("PUT", "sessions/access"),
        ("POST", "invitations/accept"),
    ],
)
async def test_a_body_that_is_none(call, method, path, raw):
    (await call("ada", method, path, raw=raw)).refused(400, "invalid_request")


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"role": "admin"}, "role"),
        ({"role": 1}, "role"),
        ({"expires_in": 0}, "expires_in"),
        ({"expires_in": 1.5}, "expires_in"),
        ({"expires_in": True}, "expires_in"),
        ({"expires_in": 10**12}, "expires_in"),
        ({"max_uses": 0}, "max_uses"),
        ({"max_uses": 1001}, "max_uses"),
        ({"username": "no name"}, "username"),
        ({"username": "b\0n"}, "username"),
        ({"email": "nobody"}, "email"),
        ({"email": "a\0b@example.org"}, "email"),
        ({"expires": 5}, "expires"),
    ],
    ids=str,
)
async def test_what_can_not_be_invited(call, session, more, field):
    (await invite(call, session, **more)).refused(400, "invalid_request", field)
    assert (await call("ada", "GET", "sessions", session["id"], "invitations")).json["items"] == []


async def test_a_stranger_gets_the_same_answer_for_what_is_and_what_is_not(call, session):
    async def answers(person, id_):
        member = {"session_id": id_, "username": "ada", "role": "viewer"}
        return [
            await call(person, "GET", "sessions", id_),
            await call(person, "PUT", "sessions", id_, body={"name": "mine"}),
            await call(person, "DELETE", "sessions", id_),
            await call(person, "GET", "sessions", id_, "members"),
            await call(person, "DELETE", "sessions", id_, "members", "ada"),
            await call(person, "DELETE", "sessions", id_, "members", person),
            await call(person, "GET", "sessions", id_, "invitations"),
            await call(person, "DELETE", "sessions", id_, "invitations", "x"),
            await call(person, "GET", "sessions", id_, "activity"),
            await call(person, "GET", "sessions", id_, "events"),
            await call(
                person, "POST", "sessions", "invite", body={"session_id": id_, "role": "viewer"}
            ),
            await call(person, "PUT", "sessions", "access", body=member),
        ]

    real = await answers("ben", session["id"])
    unreal = await answers("ben", "none")
    for answer in real + unreal:
        answer.refused(404, "not_found")
        assert answer.json == unreal[0].json


@pytest.mark.parametrize(
    "text", ["none", "%00", "a%00b", "%2e%2e", "%2F", "x" * 5000, "%C3%A9", "%FF", "%27%20or%201=1"]
)
async def test_path_parameters_may_hold_anything(call, session, text, jp_http_port, jp_base_url):
    id_ = session["id"]
    for method, path in (
        ("GET", f"sessions/{text}"),
        ("DELETE", f"sessions/{text}"),
        ("GET", f"sessions/{text}/members"),
        ("GET", f"sessions/{text}/events"),
        ("DELETE", f"sessions/{id_}/members/{text}"),
        ("DELETE", f"sessions/{id_}/invitations/{text}"),
    ):
        # Not by `call`, which would encode it again.
        response = await AsyncHTTPClient().fetch(
            f"http://127.0.0.1:{jp_http_port}{jp_base_url}collab-ai/{path}",
            method=method,
            headers={"X-Person": "ada"},
            raise_error=False,
        )
        # What is not UTF-8 never gets as far as we are.
        assert response.code == (400 if text == "%FF" else 404), (path, response.body)
        if text != "%FF":
            assert json.loads(response.body)["reason"] == "not_found"
    body = {"session_id": "a\0b", "role": "viewer"}
    (await call("ada", "POST", "sessions", "invite", body=body)).refused(404, "not_found")


async def test_roles_are_refused_in_words(call, house, session):
    await house.add(session, PEOPLE["ben"], Role.EDITOR)
    answer = await call("ben", "DELETE", "sessions", session["id"])
    answer.refused(403, "role_required")
    assert "owner" in answer.json["message"]
    assert (await call("root", "GET", "sessions", session["id"])).json["role"] is None


async def test_conflicts_are_told_apart(call, house, session):
    body = {"name": "notes", "path": session["path"]}
    (await call("ada", "POST", "sessions", body=body)).refused(409, "path_shared")
    (house.root / "users/ada/there.py").write_text("")
    body = {"name": "there", "content": "x"}
    (await call("ada", "POST", "sessions", body=body)).refused(409, "path_exists")
    leave = await call("ada", "DELETE", "sessions", session["id"], "members", "ada")
    leave.refused(409, "last_owner")
    (await invite(call, session, username="ada")).refused(409, "already_member")
    house.locks.of_path[session["path"]] = {"id": "l"}
    answer = await call("ada", "DELETE", "sessions", session["id"], delete_files="true")
    answer.refused(423, "locked")
    assert answer.json["lock"] == {"id": "l"}


async def test_limits_of_size(call):
    body = {"name": "x", "content": "x" * (10 * 1024 * 1024 + 1)}
    (await call("ada", "POST", "sessions", body=body)).refused(413, "document_too_large")
    raw = json.dumps({"name": "x", "content": "x" * (20 * 1024 * 1024)})
    (await call("ada", "POST", "sessions", raw=raw)).refused(413, "request_too_large")


async def test_nobody_is_nobody(call):
    (await call(None, "GET", "sessions")).refused(401, "not_authenticated")


async def test_other_methods_are_refused(call, session):
    answer = await call("ada", "GET", "sessions", "invite")
    assert (answer.status, answer.json["reason"]) == (405, "method_not_allowed")


def test_secrets_stay_out_of_logs():
    assert "s3cret" not in repr(AcceptBody(invitation="s3cret"))


# ---------------------------------------------------------------- events


class Stream:
    """An event stream, read as it comes."""

    def __init__(self, base, person, session):
        self.text = ""
        request = HTTPRequest(
            f"{base}collab-ai/sessions/{session['id']}/events",
            headers={"X-Person": person},
            streaming_callback=self._take,
            header_callback=self._head,
            request_timeout=60,
        )
        self.headers = ""
        self.answer = asyncio.ensure_future(AsyncHTTPClient(force_instance=True).fetch(request))

    def _take(self, chunk):
        self.text += chunk.decode()

    def _head(self, line):
        self.headers += line


async def test_a_stream_tells_what_happens_until_one_is_removed(
    call, house, session, jp_http_port, jp_base_url
):
    await house.add(session, PEOPLE["ben"], Role.VIEWER)
    stream = Stream(f"http://127.0.0.1:{jp_http_port}{jp_base_url}", "ben", session)
    await until(lambda: stream.text.startswith(":"))
    assert "200 OK" in stream.headers
    assert "Content-Type: text/event-stream" in stream.headers
    assert "Cache-Control: no-store" in stream.headers
    await invite(call, session, username="cleo")
    await until(lambda: "event: role" in stream.text)
    event, data = stream.text.split("\n\n")[1].split("\n")
    assert event == "event: member"
    told = json.loads(data.removeprefix("data: "))
    assert (told["username"], told["role"], told["user"]["id"]) == (
        "cleo",
        "viewer",
        PEOPLE["cleo"].user_id,
    )
    await call("ada", "DELETE", "sessions", session["id"], "members", "ben")
    await asyncio.wait_for(stream.answer, 10)
