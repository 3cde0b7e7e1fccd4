"""Another identity provider in charge of who somebody is; roles and rights are ours."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_server.auth import IdentityProvider
from sqlalchemy import text
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from jupyter_collab_ai.errors import NotAuthenticated, TokenRevoked
from jupyter_collab_ai.identity import store
from jupyter_collab_ai.identity.external import external_provider
from jupyter_collab_ai.identity.names import check_username, external_names
from jupyter_collab_ai.identity.registration import Registration
from jupyter_collab_ai.identity.store import External
from jupyter_collab_ai.opening import name_of
from jupyter_collab_ai.principal import Credential
from jupyter_collab_ai.storage.audit import By
from tests.cli.terminal import run
from tests.identity.elsewhere import COOKIE, TOKEN
from tests.support.server import LabServer, ServerFactory

ROOT = Path(__file__).parents[2]
ISSUER = "tests.Hub"
HERE = "192.0.2.1"
SUBJECTS = st.text(min_size=1, max_size=255)


# ---------------------------------------------------------------- names


@given(SUBJECTS)
def test_everybody_gets_names_that_can_be_usernames(subject: str) -> None:
    names = list(external_names(ISSUER, subject))
    assert len(names) == len(set(names)) >= 16
    for name in names:
        assert check_username(name) == name


@given(SUBJECTS, SUBJECTS)
def test_no_two_people_are_led_to_one_name(one: str, other: str) -> None:
    if one != other:
        # But for a subject that is spelled like another one's name: who comes first has it.
        first, second = set(external_names(ISSUER, one)), set(external_names(ISSUER, other))
        assert first & second <= {one, other}
    assert not set(external_names("a", one)) & set(external_names("b", one)) - {one}


@pytest.mark.parametrize(
    ("subject", "first"),
    [
        ("ada", r"ada"),
        ("Ada", r"ada-[0-9a-f]{8}"),
        ("ada@example.org", r"ada-example.org-[0-9a-f]{8}"),
        ("../../etc", r"etc-[0-9a-f]{8}"),
        ("李雷", r"user-[0-9a-f]{8}"),
        ("a", r"a-[0-9a-f]{8}"),
        ("x" * 200, r"x{40}-[0-9a-f]{8}"),
    ],
)
def test_names_stay_readable(subject: str, first: str) -> None:
    assert re.fullmatch(first, next(external_names(ISSUER, subject)))


# ---------------------------------------------------------------- accounts


async def enter(identity, subject: str, *, issuer: str = ISSUER, name: str = ""):
    return await identity.authenticate_external(
        External(issuer, subject), name, Credential.COOKIE, address=HERE
    )


async def test_an_account_is_made_at_first_sight_and_once(identity, others, database):
    first = await enter(identity, "ada", name="Ada L")
    assert (first.username, first.display_name, first.is_admin) == ("ada", "Ada L", False)
    assert (first.login_id, first.credential) == (None, Credential.COOKIE)
    identity._known.clear()
    assert (await enter(identity, "ada")).user_id == first.user_id
    assert others.homes == ["ada"]
    user = await identity.user("ada")
    assert (user.issuer, user.has_password) == (ISSUER, False)


async def test_at_once_it_is_one_account_too(identity):
    people = await asyncio.gather(*(enter(identity, "ada") for _ in range(12)))
    assert len({person.user_id for person in people}) == 1


async def test_the_database_holds_nobody_twice(identity, database):
    await enter(identity, "ada")
    twice = External(ISSUER, "ada")
    with pytest.raises(store.UsernameTaken):
        await database.write(lambda tx: store.add_user(tx, "other", external=twice))


async def test_nobody_gets_what_is_somebody_elses(identity, others, database):
    await identity.register(
        username="local",
        password="correct horse battery",
        display_name=None,
        email=None,
        invitation=None,
        registration=Registration.OPEN,
        address=HERE,
    )
    await database.write(lambda tx: store.remember_username(tx, "former"))
    others.full.add("files")
    await enter(identity, "namesake", issuer="another.Hub")
    taken = {}
    for subject in ("local", "boss", "former", "files", "namesake"):
        found = await enter(identity, subject)
        assert re.fullmatch(rf"{subject}-[0-9a-f]{{8}}", found.username)
        assert not found.is_admin
        taken[subject] = found.user_id
    assert len(set(taken.values())) == 5
    assert (await enter(identity, "Ada")).user_id != (await enter(identity, "ada")).user_id


async def test_whoever_comes_back_after_a_deletion_is_somebody_new(identity):
    first = await enter(identity, "ada")
    await identity.delete_user("ada", by=By())
    second = await enter(identity, "ada")
    assert second.user_id != first.user_id
    assert second.username != "ada"


async def test_a_deactivated_account_is_refused_at_once(identity):
    await enter(identity, "ada")
    await identity.change_user("ada", is_admin=None, is_active=False, by=By())
    with pytest.raises(TokenRevoked, match="deactivated"):
        await enter(identity, "ada")


async def test_an_admin_is_who_is_one_here(identity):
    await enter(identity, "ada")
    await identity.change_user("ada", is_admin=True, is_active=None, by=By())
    assert (await enter(identity, "ada")).is_admin


@pytest.mark.parametrize("subject", ["a\0b", "a\ud800b"])
async def test_what_no_database_holds_is_nobody(identity, subject):
    with pytest.raises(NotAuthenticated):
        await enter(identity, subject)


@pytest.mark.parametrize("name", ["", " ", "a\u202eb", "x" * 500])
async def test_a_name_that_can_not_be_shown_is_replaced(identity, name):
    found = await enter(identity, "ada", name=name)
    assert found.display_name in ("ada", "x" * 100)


async def test_how_many_are_remembered_is_bounded(identity, monkeypatch):
    from jupyter_collab_ai.identity import service

    monkeypatch.setattr(service, "_KNOWN", 3)
    for number in range(6):
        await enter(identity, f"user{number}")
    assert len(identity._known) == 3


async def test_its_account_is_no_starters(identity, database):
    from jupyter_collab_ai.identity.starter import ensure_starter

    await enter(identity, "maria")
    await identity.change_user("maria", is_admin=True, is_active=None, by=By())
    starter = await database.write(lambda tx: ensure_starter(tx, "maria"))
    assert starter.username == "maria-admin"


def test_a_token_of_the_providers_own_is_not_jupyters() -> None:
    class Hub(IdentityProvider):
        """As JupyterHub's, whose token is that by which the server asks the hub."""

        @property
        def token(self) -> str:  # type: ignore[override]
            return "t" * 48

    class Plain(IdentityProvider):
        pass

    assert external_provider(Hub)()._jupyters_token() == ""
    assert external_provider(Plain)(token="t" * 48)._jupyters_token() == "t" * 48
    assert external_provider(Plain)(token="short")._jupyters_token() == ""
    assert external_provider(Plain) is external_provider(external_provider(Plain))


# ---------------------------------------------------------------- a server


def configured(provider: str = "Elsewhere", **settings: Any) -> dict[str, Any]:
    return {
        "ServerApp": {"identity_provider_class": f"tests.identity.elsewhere.{provider}"},
        "CollabAI": {"external_accounts": True, **settings},
    }


ENV = {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}", "LOGNAME": "boss"}


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerFactory]:
    factory = ServerFactory(tmp_path_factory.mktemp("external"))
    yield factory
    factory.close()


@pytest.fixture(scope="module")
def server(factory: ServerFactory) -> LabServer:
    return factory(config=configured(), env=ENV)


class Person(httpx.Client):
    """A browser that is signed in elsewhere."""

    def __init__(self, server: LabServer, name: str | None) -> None:
        super().__init__(base_url=server.base_url, timeout=30)
        self.server = server
        self.name = name

    def __enter__(self) -> Person:
        super().__enter__()
        if self.name is not None:
            came = self.get("elsewhere/callback", params={"name": self.name})
            assert came.status_code == 302
        return self

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        if "_xsrf" not in self.cookies:
            self.get("lab")
        xsrf = {"X-XSRFToken": self.cookies.get("_xsrf", "")}
        return self.request(method, f"collab-ai/{path}", json=body, headers=xsrf)


def program(server: LabServer, name: str) -> httpx.Client:
    headers = {"Authorization": f"token {TOKEN}{quote(name)}"}
    return httpx.Client(base_url=server.api_url, headers=headers, timeout=30)


def starter(server: LabServer) -> httpx.Client:
    headers = {"Authorization": f"token {server.token}"}
    return httpx.Client(base_url=server.api_url, headers=headers, timeout=30)


@pytest.fixture
def ada(server: LabServer) -> Iterator[Person]:
    with Person(server, "ada@example.org") as ada:
        yield ada


@pytest.fixture
def ben(server: LabServer) -> Iterator[Person]:
    with Person(server, "ben") as ben:
        yield ben


def test_a_stranger_is_sent_to_the_sign_in_of_the_other_provider(server):
    with Person(server, None) as nobody:
        led = nobody.get("lab")
        assert (led.status_code, urlsplit(led.headers["Location"]).path) == (302, "/login")
        assert nobody.get(led.headers["Location"]).text == "Sign in elsewhere."
        assert nobody.get("collab-ai/me").status_code == 401
        assert nobody.get("api/contents").status_code in (401, 403)
        assert urlsplit(nobody.get("register").headers["Location"]).path == "/login"


def test_its_people_have_accounts_by_cookie_and_by_token(server, ada):
    me = ada.get("collab-ai/me").json()
    assert re.fullmatch(r"ada-example.org-[0-9a-f]{8}", me["username"])
    assert (me["display_name"], me["is_admin"]) == ("ada@example.org of elsewhere", False)
    assert ada.get("lab").status_code == 200
    assert ada.get("api/me").json()["identity"]["username"] == me["username"]
    with program(server, "ada@example.org") as calls:
        assert calls.get("me").json() == me
        made = calls.post("sessions", json={"name": "by a program.py"})
        assert made.status_code == 201
        assert made.json()["path"].startswith(f"users/{me['username']}/")
    assert not [c for c in ada.cookies.jar if c.name.startswith("collab-ai-")]


def test_its_people_write_only_with_an_xsrf_token(ada):
    assert ada.post("collab-ai/sessions", json={"name": "x.py"}).status_code == 403
    assert ada.call("POST", "sessions", {"name": "x.py"}).status_code == 201


def test_there_are_no_passwords_and_tokens_of_ours(server, ada):
    credentials = {"username": "new-one", "password": "correct horse battery"}
    with httpx.Client(base_url=server.api_url) as calls:
        expected = [
            ("register", credentials, 403, "registration_closed"),
            ("login", credentials, 401, "invalid_credentials"),
            ("token/refresh", {"refresh_token": "x"}, 401, "token_revoked"),
        ]
        for path, body, status, reason in expected:
            answer = calls.post(path, json=body)
            assert (answer.status_code, answer.json()["reason"]) == (status, reason)
            assert "sign-in service" in answer.json()["message"]
    assert ada.get("collab-ai/me/logins").json() == {"items": []}
    refused = ada.call("POST", "logout")
    assert (refused.status_code, refused.json()["reason"]) == (400, "invalid_request")
    with program(server, "ada@example.org") as calls:
        body = {"current_password": "x", "new_password": "correct horse battery"}
        refused = calls.put("me/password", json=body)
        assert (refused.status_code, refused.json()["reason"]) == (400, "invalid_request")


def test_roles_are_ours(server, ada, ben):
    session = ada.call("POST", "sessions", {"name": "shared.py", "content": "x = 1\n"}).json()
    assert ben.get(f"collab-ai/sessions/{session['id']}").status_code == 404
    assert ben.get(f"api/contents/{session['path']}").status_code == 404
    name = ben.get("collab-ai/me").json()["username"]
    body = {"session_id": session["id"], "username": name, "role": "viewer"}
    assert ada.call("POST", "sessions/invite", body).status_code == 201
    assert ben.get(f"api/contents/{session['path']}").json()["content"] == "x = 1\n"
    invited = ada.call("POST", "sessions/invite", {"session_id": session["id"], "role": "editor"})
    link = invited.json()["url"]
    with Person(server, None) as stranger:
        page = stranger.get(link).text
        assert "Register" not in page
        assert re.search(r'href="/login\?next=[^"]+"', page)


def test_what_is_grave_is_refused_to_a_cookie_and_said_why(server, ada):
    session = ada.call("POST", "sessions", {"name": "grave.py"}).json()
    refused = ada.call("DELETE", f"sessions/{session['id']}")
    answer = refused.json()
    assert (refused.status_code, answer["reason"]) == (403, "confirmation_required")
    assert "sign-in service" in answer["message"]
    assert answer["confirmation"]["id"] == "unavailable"
    page = ada.get(answer["confirmation"]["url"])
    assert (page.status_code, "can&#39;t be confirmed" in page.text) == (404, True)
    assert "<form" not in page.text
    # To name it helps nobody, nor does deleting the file.
    xsrf = {"X-XSRFToken": ada.cookies["_xsrf"], "X-Collab-Confirmation": "unavailable"}
    again = ada.delete(f"collab-ai/sessions/{session['id']}", headers=xsrf)
    assert again.status_code == 403
    assert ada.delete(f"api/contents/{session['path']}", headers=xsrf).status_code == 403
    assert ada.get(f"collab-ai/sessions/{session['id']}").status_code == 200
    posted = ada.post(answer["confirmation"]["url"], data={"password": "x", "nonce": "x"})
    assert posted.status_code in (400, 404)
    with program(server, "ada@example.org") as calls:
        assert calls.delete(f"sessions/{session['id']}").status_code == 204


def test_the_holder_of_jupyters_token_is_the_admin(server):
    with starter(server) as boss:
        me = boss.get("me").json()
        assert (me["username"], me["is_admin"]) == ("boss", True)
        assert boss.get("users").status_code == 200
        # By a header alone: a page gets no cookie for it.
        page = httpx.get(server.base_url + "lab", params={"token": server.token})
        assert (page.status_code, server.token in page.text) == (302, False)
        assert not page.cookies.get("username")
    with httpx.Client(base_url=server.api_url) as calls:
        wrong = calls.get("me", headers={"Authorization": "token " + "0" * 48})
        assert wrong.status_code == 401


def test_nobody_comes_by_the_starters_name(server):
    with Person(server, "boss") as imposter:
        me = imposter.get("collab-ai/me").json()
        assert re.fullmatch(r"boss-[0-9a-f]{8}", me["username"])
        assert imposter.get("collab-ai/users").status_code == 403


def test_the_terminal_makes_an_admin_of_whom_the_other_provider_names(server, tmp_path):
    with Person(server, "carla") as carla:
        name = carla.get("collab-ai/me").json()["username"]
        assert name == "carla"
        assert carla.get("collab-ai/users").status_code == 403
        env = {**os.environ, **ENV, "JUPYTER_DATA_DIR": str(server.folder / "data")}
        env.pop("COLLAB_AI_DATABASE_URL", None)
        done = run(["jupyter-collab-ai", "user", "promote", name], env)
        assert (done.status, done.err) == (0, "")
        deadline = 100
        while carla.get("collab-ai/users").status_code != 200:
            deadline -= 1
            assert deadline, "It was not heard of."


def test_a_deactivated_person_is_told_and_not_sent_round(server):
    with Person(server, "dora") as dora, starter(server) as boss:
        name = dora.get("collab-ai/me").json()["username"]
        assert boss.patch(f"users/{name}", json={"is_active": False}).status_code == 200
        refused = dora.get("collab-ai/me")
        assert (refused.status_code, refused.json()["reason"]) == (401, "token_revoked")
        page = dora.get("lab")
        assert page.status_code == 401
        assert "deactivated" in page.text
        assert dora.get("logout").text == "Signed out elsewhere."


async def test_sockets_take_who_it_is_and_end_with_the_account(server):
    with Person(server, "eva") as eva, starter(server) as boss:
        session = eva.call("POST", "sessions", {"name": "live.py", "content": "x"}).json()
        name = eva.get("collab-ai/me").json()["username"]

        async def connect(cookie: str | None) -> WebSocketClientConnection:
            headers = {} if cookie is None else {"Cookie": f"{COOKIE}={cookie}"}
            url = f"{server.ws_url}collab-ai/ws/{session['id']}"
            return await websocket_connect(HTTPRequest(url, headers=headers))

        async def code_of(socket: WebSocketClientConnection) -> int | None:
            async with asyncio.timeout(20):
                while await socket.read_message() is not None:
                    pass
            return socket.close_code

        assert await code_of(await connect(None)) == 4401
        assert await code_of(await connect("ben")) == 4404
        mine = await connect("eva")
        async with asyncio.timeout(20):
            assert await mine.read_message() is not None
        answer = await asyncio.to_thread(boss.patch, f"users/{name}", json={"is_active": False})
        assert answer.status_code == 200
        assert await code_of(mine) == 4401


def test_who_was_admitted_stands_in_the_audit_log(server, ben):
    ben.get("collab-ai/me")
    with starter(server) as boss:
        entries = boss.get("activity", params={"action": "account_admitted"}).json()["items"]
    assert {"ben"} <= {entry["target"] for entry in entries}
    assert {entry["address"] for entry in entries} == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"ServerApp": configured()["ServerApp"]},
            "set CollabAI.external_accounts = True",
        ),
        ({"CollabAI": {"external_accounts": True}}, "names no other sign-in service"),
        (configured("Everybody"), "lets everybody in without a name"),
    ],
)
def test_a_server_that_can_not_know_who_somebody_is_does_not_start(factory, config, said):
    server = factory(config=config, env=ENV, start=False)
    server.launch()
    assert server.wait(90) != 0
    assert said in server.log


def test_another_issuer_makes_other_accounts(factory, server):
    other = factory(
        # On the same database, which belongs to the folder of the first one.
        config=configured(external_issuer="another", root_name=name_of(str(server.root))),
        env={**ENV, "COLLAB_AI_DATA_DIR": str(server.folder / "data" / "collab-ai")},
    )
    with Person(server, "frida") as one, Person(other, "frida") as namesake:
        mine, theirs = one.get("collab-ai/me").json(), namesake.get("collab-ai/me").json()
    assert mine["username"] == "frida"
    assert re.fullmatch(r"frida-[0-9a-f]{8}", theirs["username"])


async def test_the_migration_holds_both_columns_together(database):
    def write(tx: Any) -> None:
        tx.execute(
            text(
                "INSERT INTO users (id, username, display_name, color, created_at, issuer, subject)"
                " VALUES ('1', 'one', 'One', '#000000', '2026-01-01', 'i', 's')"
            )
        )

    await database.write(write)
    found = await database.read(lambda tx: store.find_external(tx, External("i", "s")))
    assert found is not None
    assert json.loads(json.dumps(found.as_json()))["username"] == "one"
    assert "issuer" not in found.as_json()
