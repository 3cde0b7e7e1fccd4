"""Contract, "The AI lock": who holds it, what it keeps out, how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest

from examples.story.model import ModelServer
from tests.blackbox.client import PASSWORD, Answer, Api, Person
from tests.blackbox.conftest import Opener

CODE = "def made():\n    return True\n"
TEXT = "a = 1\nb = 2\nc = 3\n"


@pytest.fixture
def shared(ada: Person, ben: Person, cleo: Person) -> dict[str, Any]:
    """A file of Ada, with Ben as editor and Cléo as viewer."""
    session: dict[str, Any] = ada.share(content=TEXT)
    ada.add(session, ben, "editor")
    ada.add(session, cleo, "viewer")
    return session


class Waiting:
    """A generation that waits for its model, and the lock that it holds meanwhile."""

    def __init__(self, model: ModelServer) -> None:
        self._model = model
        self._tasks: list[asyncio.Task[Answer]] = []

    async def __call__(
        self, person: Person, session: dict[str, Any], **more: Any
    ) -> tuple[asyncio.Task[Answer], dict[str, Any]]:
        """Start one, and return it with its lock."""
        self._model.asked.clear()
        before = {lock["id"] for lock in locks_of(person, session)}
        headers = more.pop("headers", {})
        body = {"session_id": session["id"], "instructions": "Write made().", **more}
        task = asyncio.create_task(
            asyncio.to_thread(
                person, "POST", "ai/code-generator", body=body, headers=headers, timeout=60
            )
        )
        self._tasks.append(task)
        asked = asyncio.create_task(self._model.asked.wait())
        await asyncio.wait({asked, task}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        assert not task.done(), task.result()
        (lock,) = [lock for lock in locks_of(person, session) if lock["id"] not in before]
        return task, lock

    async def close(self) -> None:
        """Let all end."""
        self._model.gate.set()
        await asyncio.gather(*self._tasks)


@pytest.fixture
async def waiting(model: ModelServer) -> AsyncIterator[Waiting]:
    """Starts generations whose model waits until ``model.gate`` is opened."""
    model.answer = lambda _: CODE
    model.gate.clear()
    waiting = Waiting(model)
    yield waiting
    await waiting.close()


def locks_of(person: Person, session: dict[str, Any]) -> list[dict[str, Any]]:
    return list(person("GET", f"sessions/{session['id']}/locks").ok()["items"])


def place(line: int) -> dict[str, Any]:
    """Return a target that is one whole line."""
    return {
        "mode": "replace",
        "location": {
            "start": {"line": line, "column": 1},
            "end": {"line": line + 1, "column": 1},
        },
    }


def generate(person: Person, session: dict[str, Any], **more: Any) -> Answer:
    body = {"session_id": session["id"], "instructions": "Write made().", **more}
    return person("POST", "ai/code-generator", body=body)


async def test_a_lock_is_shown_to_everybody(
    waiting: Waiting, ada: Person, ben: Person, cleo: Person, shared: dict[str, Any]
) -> None:
    _, lock = await waiting(ben, shared)
    assert lock.keys() - {"location"} == {
        "id",
        "scope",
        "holder",
        "operation",
        "since",
        "expires_at",
    }
    assert lock["holder"] == ben.user
    assert lock["scope"] in ("document", "cell", "range")
    assert datetime.fromisoformat(lock["since"]) < datetime.fromisoformat(lock["expires_at"])
    for person in (ada, cleo):
        (seen,) = locks_of(person, shared)
        assert seen["id"] == lock["id"]
        of_session = person("GET", f"sessions/{shared['id']}").ok()["lock"]
        assert of_session["id"] == lock["id"]


async def test_of_a_folder_the_locks_of_one_file_can_be_asked_for(
    waiting: Waiting, ada: Person
) -> None:
    session = ada("POST", "sessions", body={"name": "lib", "type": "directory"}).ok(201)
    for name in ("one.py", "two.py"):
        model = {"type": "file", "format": "text", "content": TEXT}
        ada.jupyter("PUT", f"api/contents/{session['path']}/{name}", body=model).ok(201)
    _, lock = await waiting(ada, session, path="one.py")
    url = f"sessions/{session['id']}/locks"
    (found,) = ada("GET", url, query={"path": "one.py"}).ok()["items"]
    assert found["id"] == lock["id"]
    assert ada("GET", url, query={"path": "two.py"}).ok()["items"] == []
    assert ada("GET", url, query={"path": "../one.py"}).status == 400


async def test_what_overlaps_is_locked(
    waiting: Waiting, ada: Person, ben: Person, shared: dict[str, Any]
) -> None:
    _, lock = await waiting(ben, shared, target=place(2))
    assert lock["location"]["start"] == {"line": 2, "column": 1}
    attempts = [
        generate(ada, shared, target=place(2)),
        generate(ada, shared, target=place(1)),  # touches
        generate(ada, shared, target={"mode": "replace_document"}),
        ada("PUT", f"sessions/{shared['id']}", body={"path": shared["path"] + "x.py"}),
        ada("DELETE", f"sessions/{shared['id']}", query={"delete_files": "true"}),
        ada.jupyter(
            "PUT",
            f"api/contents/{shared['path']}",
            body={"type": "file", "format": "text", "content": "gone\n"},
        ),
        ada.jupyter(
            "PATCH", f"api/contents/{shared['path']}", body={"path": shared["path"] + "y.py"}
        ),
        ada.jupyter("DELETE", f"api/contents/{shared['path']}"),
    ]
    for answer in attempts:
        assert answer.status == 423, answer
        body = answer.json
        assert body["reason"] == "locked"
        assert body["lock"]["id"] == lock["id"]
        assert body["lock"]["holder"]["username"] == ben.username


async def test_what_does_not_overlap_is_free(
    waiting: Waiting, model: ModelServer, open_live: Opener, ada: Person, ben: Person
) -> None:
    session = ada.share("far.py", "a = 1\n\n\n\n\n\nb = 2\n")
    ada.add(session, ben, "editor")
    hers = await open_live(ada, session)
    first, one = await waiting(ben, session, target=place(1))
    second, two = await waiting(ada, session, target=place(7))
    assert one["id"] != two["id"]
    model.gate.set()
    for task in (first, second):
        assert (await task).ok()["applied"] is True
    await hers.until(lambda: hers.text.count("def made()") == 2, "both")


async def test_people_type_on_elsewhere(
    waiting: Waiting,
    model: ModelServer,
    open_live: Opener,
    ada: Person,
    ben: Person,
    shared: dict[str, Any],
) -> None:
    hers = await open_live(ada, shared)
    his = await open_live(ben, ben.labs_socket_of(shared["path"]))
    task, _ = await waiting(ben, shared)
    await hers.insert(0, "# typed meanwhile\n")
    await his.sees("# typed meanwhile\n")
    assert "made" not in his.text
    before = his.text_changes
    model.gate.set()
    assert (await task).ok()["applied"] is True
    await his.sees("def made()")
    assert his.text_changes == before + 1
    assert his.text.startswith("# typed meanwhile\na = 1\n")
    assert locks_of(ada, shared) == []


async def test_the_person_wins(
    waiting: Waiting,
    model: ModelServer,
    open_live: Opener,
    ada: Person,
    ben: Person,
    shared: dict[str, Any],
) -> None:
    hers = await open_live(ada, shared)
    task, _ = await waiting(ben, shared, target=place(2))
    index = hers.text.index("b = 2") + 5
    await hers.insert(index, "00  # hers")
    await hers.is_recorded()
    model.gate.set()
    made = (await task).ok()
    assert "b = 200  # hers" in hers.text or made["applied"], hers.text
    if not made["applied"]:
        assert made["reason"] == "stale_document"
        assert made["code"].strip() == CODE.strip(), "the result is kept"
    assert "hers" in hers.text or "made" in hers.text


@pytest.mark.parametrize("who", ["the holder", "an owner"])
@pytest.mark.parametrize("how", ["cancel", "break"])
async def test_a_cancelled_operation_changes_nothing(
    waiting: Waiting,
    open_live: Opener,
    ada: Person,
    ben: Person,
    shared: dict[str, Any],
    who: str,
    how: str,
) -> None:
    hers = await open_live(ada, shared)
    task, lock = await waiting(ben, shared)
    person = ben if who == "the holder" else ada
    path = (
        f"ai/operations/{lock['operation']}"
        if how == "cancel"
        else f"sessions/{shared['id']}/locks/{lock['id']}"
    )
    person("DELETE", path).ok(204)
    (await task).refused(409, "operation_cancelled")
    assert locks_of(ada, shared) == []
    assert hers.text == TEXT
    assert ben("GET", f"ai/operations/{lock['operation']}").ok()["state"] == "cancelled"


async def test_others_may_not_break_it(
    waiting: Waiting, api: Api, ada: Person, ben: Person, cleo: Person, shared: dict[str, Any]
) -> None:
    dora = api.register("dora")
    ada.add(shared, dora, "editor")
    _, lock = await waiting(ben, shared)
    path = f"sessions/{shared['id']}/locks/{lock['id']}"
    for person in (cleo, dora):
        person("DELETE", path).refused(403, "role_required")
        person("DELETE", f"ai/operations/{lock['operation']}").refused(403, "role_required")
    api.register("stranger")("DELETE", path).refused(404, "not_found")
    ada("DELETE", f"sessions/{shared['id']}/locks/none").refused(404, "not_found")
    assert [item["id"] for item in locks_of(ada, shared)] == [lock["id"]]


def signed_out(api: Api, ada: Person, ben: Person, shared: dict[str, Any]) -> None:
    ben("POST", "logout").ok(204)


def deactivated(api: Api, ada: Person, ben: Person, shared: dict[str, Any]) -> None:
    api.admin()("PATCH", f"users/{ben.username}", body={"is_active": False}).ok()


def new_password(api: Api, ada: Person, ben: Person, shared: dict[str, Any]) -> None:
    body = {"current_password": PASSWORD, "new_password": PASSWORD + " anew"}
    api.login(ben.username)("PUT", "me/password", body=body).ok(204)


def demoted(api: Api, ada: Person, ben: Person, shared: dict[str, Any]) -> None:
    ada.set_role(shared, ben, "viewer").ok()


def removed(api: Api, ada: Person, ben: Person, shared: dict[str, Any]) -> None:
    ada("DELETE", f"sessions/{shared['id']}/members/{ben.username}").ok(204)


LOSSES = [
    (signed_out, 401, "token_revoked"),
    (deactivated, 401, "token_revoked"),
    (new_password, 401, "token_revoked"),
    (demoted, 403, "role_required"),
    (removed, 404, "not_found"),
]


@pytest.mark.parametrize("lose, status, reason", LOSSES)
async def test_who_loses_the_right_loses_lock_and_result_at_once(
    waiting: Waiting,
    open_live: Opener,
    api: Api,
    ada: Person,
    ben: Person,
    shared: dict[str, Any],
    lose: Any,
    status: int,
    reason: str,
) -> None:
    hers = await open_live(ada, shared)
    task, lock = await waiting(ben, shared)
    await asyncio.to_thread(lose, api, ada, ben, shared)
    # The model has not answered yet.
    answer = await asyncio.wait_for(task, 5)
    answer.refused(status, reason)
    seen = ada("GET", f"ai/operations/{lock['operation']}").ok()
    assert (seen["state"], seen["reason"]) == ("failed", reason)
    fence = await open_live(ada, shared)
    await fence.insert(0, "# fence\n")
    await hers.sees("# fence")
    assert "made" not in hers.text
    assert locks_of(ada, shared) == []


@pytest.mark.parametrize("lose, status, reason", [LOSSES[0], LOSSES[3], LOSSES[4]])
async def test_a_stream_ends_with_what_the_plain_answer_would_say(
    waiting: Waiting,
    api: Api,
    ada: Person,
    ben: Person,
    shared: dict[str, Any],
    lose: Any,
    status: int,
    reason: str,
) -> None:
    task, _ = await waiting(ben, shared, headers={"Accept": "text/event-stream"})
    await asyncio.to_thread(lose, api, ada, ben, shared)
    answer = await asyncio.wait_for(task, 5)
    last = answer.body.decode().strip().split("\n\n")[-1]
    assert last.startswith("event: error\ndata: ")
    assert json.loads(last.partition("data: ")[2])["reason"] == reason


async def test_an_admin_who_is_none_any_more_writes_nothing(
    waiting: Waiting, open_live: Opener, api: Api, ada: Person, shared: dict[str, Any]
) -> None:
    chief = api.register("chief")
    api.admin()("PATCH", f"users/{chief.username}", body={"is_admin": True}).ok()
    hers = await open_live(ada, shared)
    task, _ = await waiting(chief, shared)
    api.admin()("PATCH", f"users/{chief.username}", body={"is_admin": False}).ok()
    (await asyncio.wait_for(task, 5)).refused(404, "not_found")
    assert locks_of(ada, shared) == []
    assert hers.text == TEXT
