"""What a page hears on a document's own socket besides the document: rights, events, endings."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_collab_ai.ids import SessionId
from tests.rooms.engine import EDITOR, NOBODY, SESSION, VIEWER, until
from tests.rooms.net import NetClient, Server
from tests.rooms.test_sockets import _room, jp_server_config, root, server

__all__ = ["jp_server_config", "root", "server"]


def _events(client: NetClient) -> list[tuple[str, dict[str, Any]]]:
    return [(one["event"], one["data"]) for one in client.of_type("event")]


async def test_a_right_is_told_first_and_whenever_it_changes(server: Server, root: Path) -> None:
    may = frozenset({"see", "read", "write"})
    server.people.rights["bob"] = replace(EDITOR, role="editor", capabilities=may)
    bob = await server.lab("bob", await _room(server), "?ack=1&events=1")
    hello = bob.raw[0]
    assert hello["type"] == "hello"
    assert (hello["read_only"], hello["session"], hello["role"]) == (False, SESSION, "editor")
    assert hello["capabilities"] == ["read", "see", "write"]
    assert hello["user"] == "id-bob"
    assert hello["max_message"] == 256 * 1024

    server.people.set("bob", replace(VIEWER, role="viewer", capabilities=frozenset({"read"})))
    await until(lambda: bob.of_type("role"))
    assert bob.of_type("role") == [
        {
            "type": "role",
            "read_only": True,
            "session": SESSION,
            "role": "viewer",
            "capabilities": ["read"],
        }
    ]
    await bob.close()


async def test_an_acknowledgement_also_comes_on_jupyterlabs_endpoint(
    server: Server, root: Path
) -> None:
    bob = await server.lab("bob", await _room(server), "?ack=1")
    bob.type("y = 2\n")
    await until(lambda: [one["seq"] for one in bob.of_type("saved")] == [1, 2])
    await bob.close()


async def test_events_of_the_document_come_to_those_who_ask(server: Server, root: Path) -> None:
    room = await _room(server)
    asks = await server.lab("ada", room, "?events=1")
    silent = await server.lab("bob", room)
    await until(lambda: ("resync", {}) in _events(asks))
    server.events.publish(SESSION, "lock", {"id": "1", "path": "a.py"})
    server.events.publish(SESSION, "lock", {"id": "2", "path": "another.py"})
    server.events.publish(SessionId("another"), "unlock", {"id": "3"})
    server.events.publish(SESSION, "unlock", {"id": "1"})
    await until(lambda: ("unlock", {"id": "1"}) in _events(asks))
    told = [one for one in _events(asks) if one[0] in ("lock", "unlock")]
    assert told == [("lock", {"id": "1", "path": "a.py"}), ("unlock", {"id": "1"})]
    assert not _events(silent)
    await asks.close()
    await silent.close()


async def test_events_begin_once_the_document_is_shared(server: Server, root: Path) -> None:
    server.people.rights["ada"] = replace(EDITOR, session_id=None)
    ada = await server.lab("ada", await _room(server), "?events=1")
    assert not _events(ada)
    server.people.set("ada", EDITOR)
    await until(lambda: ("resync", {}) in _events(ada))
    server.events.publish(SESSION, "unlock", {"id": "1"})
    await until(lambda: ("unlock", {"id": "1"}) in _events(ada))
    await ada.close()


async def test_one_too_far_behind_is_told_to_look_again(server: Server, root: Path) -> None:
    ada = await server.lab("ada", await _room(server), "?events=1")
    await until(lambda: ("resync", {}) in _events(ada))
    for number in range(1000):
        server.events.publish(SESSION, "preview", {"number": number})
    await until(lambda: _events(ada).count(("resync", {})) == 2)
    server.events.publish(SESSION, "unlock", {"id": "1"})
    await until(lambda: ("unlock", {"id": "1"}) in _events(ada))
    await ada.close()


async def test_an_ending_says_why_before_the_socket_closes(server: Server, root: Path) -> None:
    room = await _room(server)
    removed, signed_out = await server.lab("bob", room), await server.lab("eve", room)
    server.people.set("bob", NOBODY)
    server.people.sign_out("eve")
    await until(lambda: removed.closed and signed_out.closed)
    for client, code in ((removed, 4403), (signed_out, 4401)):
        (end,) = client.of_type("end")
        assert (end["code"], end["reconnect"]) == (code, False)
        assert end["message"]
        assert client.code == 1003
        assert json.loads(client.reason or "")["reason"] == "unknown_session"
