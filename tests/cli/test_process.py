"""The installed command as a process of its own: at a terminal, in a pipe, beside a server."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from examples.story.clients import PycrdtClient
from tests.blackbox.client import Answer, Api, Person
from tests.cli.terminal import BIN, TIMEOUT, Done, environment, run, run_at_terminal
from tests.support.server import LabServer, ServerFactory

PASSWORD = "correct horse battery"
USER = ["jupyter", "collab-ai", "user"]
FIRST, SECOND = "New password: ", "The same again: "
#: Seconds in which a change has to hold. Shorter than anything is remembered by the server, so
#: that only what it is told can make it hold.
AT_ONCE = 2.0


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of an admin who has set nothing."""
    return environment(tmp_path)


# ---------------------------------------------------------------- finding it


def test_jupyter_finds_the_command(env: dict[str, str]) -> None:
    assert (BIN / "jupyter-collab-ai").exists(), "Install the package: pip install -e '.[test]'."
    shown = run(["jupyter", "collab-ai", "--help"], env)
    module = run([sys.executable, "-m", "jupyter_collab_ai.cli", "--help"], env)
    assert shown.status == module.status == 0
    assert shown.out == module.out
    assert shown.out.startswith("usage: jupyter collab-ai ")


# ---------------------------------------------------------------- passwords


def test_a_typed_password_is_not_shown(env: dict[str, str]) -> None:
    typed = [(FIRST, PASSWORD), (SECOND, PASSWORD)]
    done = run_at_terminal([*USER, "create", "ada"], env, typed)
    assert done.status == 0
    assert done.out == f"{FIRST}\n{SECOND}\nada has an account.\n"


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        ([(FIRST, PASSWORD), (SECOND, "correct house")], "The two passwords differ"),
        ([(FIRST, "short")], "A password has at least 8 characters"),
        ([(FIRST, "\x04")], "No password was typed"),
    ],
)
def test_a_password_that_is_not_taken(
    env: dict[str, str], answers: list[tuple[str, str]], sentence: str
) -> None:
    done = run_at_terminal([*USER, "create", "ada"], env, answers)
    assert done.status == 1
    assert sentence in done.out.splitlines()[-1]
    assert "ada" not in run([*USER, "list"], env).out


def test_an_account_that_can_not_be_is_refused_before_a_password_is_typed(
    env: dict[str, str],
) -> None:
    done = run_at_terminal([*USER, "set-password", "nobody"], env)
    assert done.status == 1
    assert done.out.startswith("There is no account called nobody in ")


def test_without_a_terminal_nothing_is_read_in_the_open(env: dict[str, str]) -> None:
    done = run([*USER, "create", "ada"], env, f"{PASSWORD}\n{PASSWORD}\n")
    assert done.status == 1
    assert done.err.endswith("pass the password through a pipe with --password-stdin.\n")
    assert done.err.count("\n") == 1


def test_the_pipe_is_no_terminal(env: dict[str, str]) -> None:
    done = run_at_terminal([*USER, "create", "ada", "--password-stdin"], env)
    assert (done.status, done.out[:28]) == (1, "--password-stdin is for pipe")


# ---------------------------------------------------------------- pipes


def test_a_reader_that_has_enough_is_no_error(env: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*USER, "list", "--json"],
            env=env,
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
            timeout=TIMEOUT,
        )
    finally:
        os.close(writing)
    assert done.stderr == b""


def test_a_terminal_that_lacks_a_letter_shows_the_others(env: dict[str, str]) -> None:
    given = ["create", "ada", "--display-name", "Zoë 漢", "--password-stdin"]
    assert run([*USER, *given], env, PASSWORD).status == 0
    done = run([*USER, "list"], {**env, "PYTHONIOENCODING": "ascii"})
    assert done.status == 0
    assert "Zo\\xeb \\u6f22" in done.out


# ---------------------------------------------------------------- beside a server


@pytest.fixture
def server(
    request: pytest.FixtureRequest, tmp_path: Path, database_url: str
) -> Iterator[LabServer]:
    """A running server, on each database."""
    factory = ServerFactory(tmp_path)
    yield factory(database_url=database_url)
    factory.close()


Open = Callable[[Person, Mapping[str, Any]], Awaitable[PycrdtClient]]


@pytest.fixture
async def open_live() -> AsyncIterator[Open]:
    """Opens the document of a session."""
    clients: list[PycrdtClient] = []

    async def open_(person: Person, session: Mapping[str, Any]) -> PycrdtClient:
        clients.append(PycrdtClient(person.username))
        return await clients[-1].connect(person.socket_of(session), person.token)

    yield open_
    for client in clients:
        await client.close()


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for what has to hold at once."""
    start = time.monotonic()
    while not await asyncio.to_thread(condition):
        assert time.monotonic() - start < AT_ONCE, f"In vain: {what}"


def token_is_refused(person: Person) -> bool:
    """Whether a token is refused, and for the right reason."""
    answer: Answer = person("GET", "me")
    if answer.status == 200:
        return False
    answer.refused(401, "token_revoked")
    return True


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "database_backend", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
)
async def test_changes_hold_at_once_on_a_running_server(
    server: LabServer, database_url: str, tmp_path: Path, open_live: Open
) -> None:
    api = Api(server)
    env = environment(tmp_path / "terminal", database_url)

    async def user(*arguments: str, given: str = PASSWORD) -> Done:
        done = await asyncio.to_thread(run, [*USER, *arguments], env, given)
        assert (done.status, done.err) == (0, ""), done
        return done

    # An account from the terminal is as good as one from the browser.
    await user("create", "Ada", "--password-stdin")
    ada = await asyncio.to_thread(api.login, "ada", PASSWORD)
    assert (server.root / "users" / "ada").is_dir()
    session: dict[str, Any] = await asyncio.to_thread(ada.share)
    listed = json.loads((await user("list", "--json")).out)
    assert ada("GET", "me").ok() in listed
    (starter,) = [account for account in listed if account["username"] != "ada"]
    assert starter == api.admin()("GET", "me").ok()

    # An admin at once, and at once no longer.
    ada("GET", "users").refused(403, "admin_required")
    await user("promote", "ada")
    await until(lambda: ada("GET", "users").status == 200, "an admin's rights")
    await user("demote", "ada")
    await until(lambda: ada("GET", "users").status == 403, "their end")

    # Another password ends what the old one opened.
    live = await open_live(ada, session)
    assert live.text == "x = 1\n"
    await user("set-password", "ada", "--password-stdin", given="another password 1")
    await until(lambda: token_is_refused(ada), "the end of a token")
    await live.is_closed_with(4401)
    body = {"username": "ada", "password": PASSWORD}
    api("POST", "login", body=body).refused(401, "invalid_credentials")

    # So does a deactivated account, on open documents too; nothing is lost with it.
    ada = await asyncio.to_thread(api.login, "ada", "another password 1")
    live = await open_live(ada, session)
    ada("GET", "me").ok()
    await user("deactivate", "ada")
    await until(lambda: token_is_refused(ada), "the end of a token")
    await live.is_closed_with(4401)
    refresh = {"refresh_token": ada.tokens["refresh_token"]}
    api("POST", "token/refresh", body=refresh).refused(401, "token_revoked")
    body = {"username": "ada", "password": "another password 1"}
    api("POST", "login", body=body).refused(401, "invalid_credentials")
    await user("activate", "ada")
    assert token_is_refused(ada)
    ada = await asyncio.to_thread(api.login, "ada", "another password 1")
    assert ada("GET", f"sessions/{session['id']}").ok()["role"] == "owner"

    # Whoever started the server keeps what Jupyter's token gives.
    for command in ("demote", "deactivate"):
        done = await asyncio.to_thread(run, [*USER, command, starter["username"]], env)
        assert (done.status, done.out) == (1, "")
    assert api.admin()("GET", "users").status == 200

    for secret in (PASSWORD, "another password 1", ada.token, server.token):
        assert secret not in server.log
