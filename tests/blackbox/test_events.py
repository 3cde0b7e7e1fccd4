"""Contract: the event stream of a session, what a page needs to stay true."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from examples.story.model import ModelServer
from tests.blackbox.client import Person
from tests.blackbox.conftest import Opener
from tests.support.processes import wait_until

TYPES = {"member", "role", "presence", "lock", "unlock", "preview", "finding", "saved"}


class Stream:
    """An event stream, read in a thread."""

    def __init__(self, person: Person, session: dict[str, Any]) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.ended = threading.Event()
        self._connection = http.client.HTTPConnection("127.0.0.1", person.api.server.port)
        headers = {"Authorization": f"Bearer {person.token}", "Accept": "text/event-stream"}
        path = f"/collab-ai/sessions/{session['id']}/events"
        self._connection.request("GET", path, headers=headers)
        self._response = self._connection.getresponse()
        assert self._response.status == 200
        assert self._response.headers.get_content_type() == "text/event-stream"
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        fields: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            for raw in self._response:
                line = raw.decode().rstrip("\n")
                if not line and "event" in fields:
                    self.events.append((fields["event"], json.loads(fields["data"])))
                if not line:
                    fields = {}
                elif not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    fields[name] = value
        self.ended.set()

    def waits_for(self, type_: str, text: str = "") -> dict[str, Any]:
        """Wait for an event of this type that holds ``text``, and return it."""

        def found() -> list[dict[str, Any]]:
            return [
                data
                for name, data in tuple(self.events)
                if name == type_ and text in json.dumps(data, ensure_ascii=False)
            ]

        wait_until(lambda: bool(found()), timeout=10, what=f"{type_} {text}: {self.events}")
        assert {name for name, _ in self.events} <= TYPES
        return found()[0]

    def close(self) -> None:
        """Stop reading."""
        sock = self._connection.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(2)
        self._connection.close()
        self._thread.join(5)


@pytest.fixture
def shared(ada: Person, ben: Person) -> dict[str, Any]:
    """A file of Ada, with Ben as editor."""
    session: dict[str, Any] = ada.share(content="first\n")
    ada.add(session, ben, "editor")
    return session


@pytest.fixture
def stream(ben: Person, shared: dict[str, Any]) -> Iterator[Stream]:
    """Ben follows the session."""
    stream = Stream(ben, shared)
    yield stream
    stream.close()


def test_members_and_roles_are_told(
    stream: Stream, ada: Person, cleo: Person, shared: dict[str, Any]
) -> None:
    ada.add(shared, cleo, "viewer")
    stream.waits_for("member", cleo.username)
    assert ada.set_role(shared, cleo, "editor").status == 200
    stream.waits_for("role", "editor")


def test_other_names_are_told(stream: Stream, ada: Person, shared: dict[str, Any]) -> None:
    ada("PATCH", "me", body={"display_name": "Ada Lovelace", "color": "#abcdef"}).ok()
    told = stream.waits_for("member", "Ada Lovelace")
    assert told["user"]["color"] == "#abcdef"
    ada("PUT", f"sessions/{shared['id']}", body={"name": "Lecture 2"}).ok()
    told = stream.waits_for("member", "Lecture 2")
    assert told["session"]["id"] == shared["id"]
    assert told["username"] == ada.username
    assert told["role"] == "owner"


async def test_who_is_there_is_told(
    stream: Stream, open_live: Opener, ada: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, shared)
    await asyncio.to_thread(stream.waits_for, "presence", ada.username)
    await hers.insert(0, "typed ")
    await asyncio.to_thread(stream.waits_for, "saved")


async def test_locks_and_findings_are_told(
    stream: Stream, model: ModelServer, ada: Person, shared: dict[str, Any]
) -> None:
    model.answer = lambda _: "def made():\n    return True\n"
    body = {"session_id": shared["id"], "instructions": "Write made()."}
    await asyncio.to_thread(ada, "POST", "ai/code-generator", body=body)
    await asyncio.to_thread(stream.waits_for, "lock", ada.username)
    await asyncio.to_thread(stream.waits_for, "preview")
    await asyncio.to_thread(stream.waits_for, "unlock")


def test_who_is_removed_hears_no_more(
    stream: Stream, ada: Person, ben: Person, shared: dict[str, Any]
) -> None:
    ada("DELETE", f"sessions/{shared['id']}/members/{ben.username}").ok(204)
    assert stream.ended.wait(10)
    ben("GET", f"sessions/{shared['id']}/events").refused(404, "not_found")


def test_who_logs_out_hears_no_more(stream: Stream, ben: Person) -> None:
    ben("POST", "logout").ok(204)
    assert stream.ended.wait(10)


def test_another_session_is_not_heard(
    stream: Stream, ada: Person, cleo: Person, shared: dict[str, Any]
) -> None:
    other = ada.share("other.py")
    ada.add(other, cleo, "viewer")
    ada.add(shared, cleo, "viewer")
    stream.waits_for("member", cleo.username)
    assert other["id"] not in json.dumps(stream.events)
