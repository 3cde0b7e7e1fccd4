"""Both WebSocket endpoints on a real Jupyter server."""

from __future__ import annotations

import asyncio
import gc
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.serverapp import ServerApp
from pycrdt import Doc, Text
from pycrdt.store import YDocNotFound
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.iostream import IOStream

from jupyter_collab_ai.errors import InvalidRequest
from jupyter_collab_ai.rooms import protocol
from jupyter_collab_ai.rooms.awareness import encode_awareness, parse_awareness
from jupyter_collab_ai.rooms.close_codes import Ending
from jupyter_collab_ai.rooms.connection import Connection
from jupyter_collab_ai.rooms.ports import Right
from jupyter_collab_ai.rooms.room import LiveRoom
from jupyter_collab_ai.rooms.sockets import AT_ONCE, Socket
from jupyter_collab_ai.rooms.upstream import check
from jupyter_collab_ai.rooms.ystore import LogYStore
from jupyter_collab_ai.storage.database import Database
from tests.rooms.engine import EDITOR, NOBODY, VIEWER, until
from tests.rooms.net import NamedUsers, NetClient, Server


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    return {
        "ServerApp": {
            "jpserver_extensions": {"jupyter_server_fileid": True, "jupyter_server_ydoc": True},
            "identity_provider_class": NamedUsers,
            "allow_unauthenticated_access": False,
            "disable_check_xsrf": True,
        },
        "BaseFileIdManager": {"db_path": ":memory:"},
    }


@pytest.fixture
async def server(jp_serverapp: ServerApp, database: Database) -> AsyncIterator[Server]:
    server = Server(jp_serverapp, database, max_message=256 * 1024, max_backlog=512 * 1024)
    server.people.rights |= {"ada": EDITOR, "bob": EDITOR, "eve": VIEWER}
    yield server
    await server.close()


@pytest.fixture
def root(jp_root_dir: Path) -> Path:
    (jp_root_dir / "a.py").write_text("x = 1\n")
    return jp_root_dir


async def _session(server: Server, name: str, path: str, **body: str) -> dict[str, Any]:
    body = body or {"format": "text", "type": "file"}
    answer = await AsyncHTTPClient().fetch(
        HTTPRequest(
            f"http://{server.url}api/collaboration/session/{path}",
            method="PUT",
            headers={"Authorization": f"Bearer {name}", "Content-Type": "application/json"},
            body=json.dumps(body),
        )
    )
    result: dict[str, Any] = json.loads(answer.body)
    return result


async def _room(server: Server, path: str = "a.py") -> str:
    return f"text:file:{(await _session(server, 'ada', path))['fileId']}"


async def test_both_endpoints_reach_the_same_room(server: Server, root: Path) -> None:
    ada = await server.ws("ada", "a.py", "&ack=1")
    bob = await server.lab("bob", await _room(server))
    eve = await server.ws("eve", "a.py")
    ada.type("y = 2\n")
    await until(lambda: str(bob.text) == str(eve.text) == "x = 1\ny = 2\n")
    bob.type("z = 3\n")
    await until(lambda: str(ada.text) == str(eve.text) == "x = 1\ny = 2\nz = 3\n")
    assert [one["seq"] for one in ada.of_type("saved")] == [1, 2]
    assert not bob.of_type("saved")
    assert len(server.rooms.all()) == 1
    eve.type("EVIL")
    await until(lambda: eve.of_type("refused"))
    await until(lambda: (root / "a.py").read_text() == "x = 1\ny = 2\nz = 3\n")
    for client in (ada, bob, eve):
        await client.close()


async def test_the_first_frame_is_raw_and_tells_the_epoch(server: Server, root: Path) -> None:
    ada = await server.ws("ada", "a.py")
    epoch = (await _session(server, "ada", "a.py"))["sessionId"]
    assert ada.frames[0][0] == 2
    assert ada.raw[0]["epoch"] == epoch
    again = await server.ws("ada", "a.py", f"&epoch={epoch}")
    assert again.synced
    other = await server.ws("ada", "a.py", "&epoch=another")
    await until(lambda: other.closed)
    assert other.code == 4409
    assert [frame[0] for frame in other.frames] == [2]
    assert other.raw == [{"type": "reset", "reason": "unknown_history"}]


@pytest.mark.parametrize(
    ("name", "path", "code"),
    [(None, "a.py", 4401), ("mallory", "a.py", 4404), ("ada", "none.py", 4404)],
)
async def test_a_refused_handshake_is_closed_before_anything_is_built_or_sent(
    server: Server, root: Path, name: str | None, path: str, code: int
) -> None:
    client = await server.ws(name, path, sync=False)
    await until(lambda: client.closed)
    assert client.code == code
    assert client.frames == []
    assert server.rooms.all() == ()
    assert await server.rooms.documents.by_path(path) is None


async def test_who_sends_without_end_leaves_others_their_turn(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    eve = await server.ws("eve", "a.py")
    turn, turns = 0, Counter[int]()
    take = Socket.on_message

    def counted(self: Socket, message: str | bytes) -> Any:
        turns[turn] += 1
        return take(self, message)

    monkeypatch.setattr(Socket, "on_message", counted)
    nothing = bytes([0x82, 0x81]) + bytes(4) + b"\x03"
    eve.socket.protocol.stream.write(10 * AT_ONCE * nothing)
    async with asyncio.timeout(10):
        while turns.total() < 10 * AT_ONCE:
            turn += 1
            await asyncio.sleep(0)
    assert max(turns.values()) <= AT_ONCE


async def test_the_subprotocol_is_selected_and_the_token_is_not(server: Server, root: Path) -> None:
    ada = await server.ws("ada", "a.py", subprotocols=["collab-ai", "bearer.secret"])
    assert ada.socket.selected_subprotocol == "collab-ai"


async def test_another_site_is_not_let_in(server: Server, root: Path) -> None:
    for connect in (
        server.ws("ada", "a.py", headers={"Origin": "http://evil.example"}),
        server.lab("ada", await _room(server), headers={"Origin": "http://evil.example"}),
    ):
        with pytest.raises(HTTPClientError) as error:
            await connect
        assert error.value.code == 403


async def test_jupyterlabs_endpoint_refuses_with_the_status(server: Server, root: Path) -> None:
    room = await _room(server)
    file_id = room.split(":")[2]
    for name, id_, status in [
        (None, room, {401, 403}),
        ("mallory", room, {404}),
        ("ada", "text:file:unknown", {404}),
        ("ada", f"json:notebook:{file_id}", {404}),
        ("ada", f"text:markdownish:{file_id}", {404}),
        ("ada", "anything", {404}),
    ]:
        with pytest.raises(HTTPClientError) as error:
            await server.lab(name, id_)
        assert error.value.code in status, (name, id_)
    assert server.rooms.all() == ()


async def test_how_a_document_is_opened(server: Server, root: Path) -> None:
    one = await _session(server, "ada", "a.py")
    assert one | {"fileId": "", "sessionId": ""} == {
        "format": "text",
        "type": "file",
        "fileId": "",
        "sessionId": "",
    }
    assert await _session(server, "eve", "a.py") == one, "a viewer may"
    for name, path, body, status in [
        ("mallory", "a.py", {}, 404),
        ("ada", "none.py", {}, 404),
        ("ada", "a.py", {"format": "json", "type": "notebook"}, 400),
        ("ada", "a.py", {"format": "text", "type": "other"}, 400),
    ]:
        with pytest.raises(HTTPClientError) as error:
            await _session(server, name, path, **body)
        assert error.value.code == status
        assert set(json.loads(error.value.response.body)) >= {"message", "reason"}
    # An HTTP client would tidy this up.
    with pytest.raises(InvalidRequest):
        server.file_ids.id_of("./a.py")


async def test_another_session_is_told_to_start_afresh(server: Server, root: Path) -> None:
    room = await _room(server)
    old = await server.lab("ada", room, "?sessionId=old")
    await until(lambda: old.closed)
    assert old.code == 1003
    answer = json.loads(old.reason or "")
    assert (answer["reason"], answer["reloadable"]) == ("unknown_session", True)
    epoch = (await _session(server, "ada", "a.py"))["sessionId"]
    assert (await server.lab("ada", room, f"?sessionId={epoch}")).synced


async def test_removal_and_sign_out_end_both_sockets(server: Server, root: Path) -> None:
    ada = await server.ws("ada", "a.py")
    lab = await server.lab("ada", await _room(server))
    server.people.set("ada", NOBODY)
    await until(lambda: ada.closed and lab.closed)
    assert ada.code == 4403
    assert lab.code == 1003
    assert json.loads(lab.reason or "") == {
        "reason": "unknown_session",
        "sessionId": "",
        "reloadable": False,
        "errorReason": "You are no longer a member.",
    }
    bob = await server.ws("bob", "a.py")
    lab = await server.lab("bob", await _room_of(server, "bob"))
    server.people.sign_out("bob")
    await until(lambda: bob.closed and lab.closed)
    assert (bob.code, lab.code) == (4401, 1003)


async def _room_of(server: Server, name: str) -> str:
    return f"text:file:{(await _session(server, name, 'a.py'))['fileId']}"


async def test_promotion_resets_who_was_refused(server: Server, root: Path) -> None:
    eve = await server.ws("eve", "a.py")
    lab = await server.lab("eve", await _room(server))
    for client in (eve, lab):
        client.type("EVIL")
        await until(lambda client=client: client.of_type("refused"))
    server.people.set("eve", EDITOR)
    await until(lambda: eve.closed and lab.closed)
    assert (eve.code, lab.code) == (4409, 1003)
    assert json.loads(lab.reason or "")["reloadable"] is True
    for client in (eve, lab):
        assert client.of_type("reset") == [{"type": "reset", "reason": "role_changed"}]
    ada = await server.ws("ada", "a.py")
    assert str(ada.text) == "x = 1\n"


async def test_a_message_over_the_limit(server: Server, root: Path) -> None:
    ada = await server.ws("ada", "a.py")
    ada.send(protocol.update(b"x" * 300 * 1024))
    await until(lambda: ada.closed)
    assert ada.code == 1009
    bob = await server.ws("bob", "a.py")
    bob.send(protocol.update(b"x" * 3 * 1024 * 1024))
    await until(lambda: bob.closed)


async def test_text_frames_and_garbage(server: Server, root: Path) -> None:
    ada = await server.ws("ada", "a.py")
    ada.socket.write_message("hello")
    await until(lambda: ada.closed)
    assert ada.code == 1003
    for garbage in (b"", b"\x00", b"\x00\x02\xff", b"\x02\x05ab"):
        bob = await server.ws("bob", "a.py")
        bob.send(garbage)
        await until(lambda bob=bob: bob.closed)
        assert bob.code == 1003
    eve = await server.ws("eve", "a.py")
    eve.send(b"\x7d\x01x")
    eve.send(b"\x02\x04save\x07")
    await asyncio.sleep(0)
    assert (await server.ws("ada", "a.py")).synced
    assert not eve.closed


async def test_an_end_that_a_page_can_not_be_told_of_any_more(server: Server, root: Path) -> None:
    (root / "a.py").write_text("x\n")
    server.people.rights["ada"] = EDITOR
    room = f"text:file:{server.file_ids.id_of('a.py')}"
    ada = await server.lab("ada", room)
    (connection,) = server.rooms.all()[0].connections
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, said: complaints.append(said))
    handler = connection._transport._handler  # type: ignore[attr-defined]
    stream = handler.ws_connection.stream
    # More than the kernel takes at once, so that what follows has to wait.
    stream.write(bytes(64 * 2**20)).add_done_callback(lambda written: written.exception())
    handler.finish_with(Ending.STOPPING)
    stream.close()
    await until(lambda: ada.closed)
    await asyncio.sleep(0)
    gc.collect()
    assert not complaints


async def test_jupyterlabs_request_to_save(server: Server, root: Path) -> None:
    room = await _room(server)
    ada = await server.lab("ada", room)
    eve = await server.lab("eve", room)
    ada.type("y = 2\n")
    ada.send(b"\x02\x04save\x07")
    await until(lambda: ada.of_type("save"))
    assert ada.of_type("save") == [{"type": "save", "responseTo": 7, "status": "success"}]
    assert (root / "a.py").read_text() == "x = 1\ny = 2\n"
    before = (root / "a.py").stat().st_mtime_ns
    eve.send(b"\x02\x04save\x08")
    await until(lambda: eve.of_type("save"))
    assert eve.of_type("save") == [{"type": "save", "responseTo": 8, "status": "success"}]
    assert (root / "a.py").stat().st_mtime_ns == before


async def test_a_slow_reader_is_let_go_and_slows_nobody(server: Server, root: Path) -> None:
    ada = await server.ws("ada", "a.py")
    bob = await server.ws("bob", "a.py")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(
        f"GET {server.app.base_url}collab-ai/ws/session?path=a.py HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\nAuthorization: Bearer eve\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    assert b"101" in await reader.readline()
    room = server.rooms.all()[0]
    await until(lambda: len(room.connections) == 3)
    # From here on it reads nothing.
    for number in range(200):
        ada.text.clear()
        ada.type(f"{number}" + "x" * 100_000 + "\n")
        await until(lambda: str(bob.text) == str(ada.text))
        if len(room.connections) == 2:
            break
    assert len(room.connections) == 2, "the slow one is let go"
    ada.type("still quick")
    await until(lambda: str(bob.text).endswith("still quick"))
    writer.close()


async def test_the_lobby_shows_who_is_online_and_nothing_else(server: Server, root: Path) -> None:
    lobby = "JupyterLab:globalAwareness"
    ada = await server.lab("ada", lobby, sync=False)
    eve = await server.lab("eve", lobby, sync=False)
    state = {"user": {"name": "Mallory"}, "documents": ["secret.py"], "current": "secret.py"}
    ada.send(protocol.awareness(encode_awareness([(7, 1, state)])))
    ada.send(protocol.update(b"\x00\x00"))
    await until(lambda: eve.awareness)
    (entry,) = parse_awareness(eve.awareness[0])
    assert entry.client == 7
    assert json.loads(entry.json)["user"]["username"] == "ada"
    assert "secret" not in entry.json
    await ada.close()
    await until(lambda: parse_awareness(eve.awareness[-1])[0].json == "null")
    assert all(frame[0] == 1 for frame in eve.frames)
    server.people.sign_out("eve")
    await until(lambda: eve.closed)


async def test_another_name_is_shown_at_once(server: Server, root: Path) -> None:
    room = await _room(server)
    ways: list[Callable[[str], Awaitable[NetClient]]] = [
        lambda name: server.ws(name, "a.py"),
        lambda name: server.lab(name, room),
        lambda name: server.lab(name, "JupyterLab:globalAwareness", sync=False),
    ]
    for number, way in enumerate(ways):
        ada, eve = await way("ada"), await way("eve")

        def shown(client: NetClient = eve) -> list[dict[str, Any]]:
            return [
                json.loads(entry.json)["user"]
                for payload in client.awareness
                for entry in parse_awareness(payload)
                if entry.json != "null"
            ]

        await until(lambda: len(server.people._followers) == 2)
        server.people.rename("ada", "Ada", "#123456")
        ada.send(protocol.awareness(encode_awareness([(70 + number, 1, {"user": {}})])))
        await until(lambda: shown() and shown()[-1]["name"] == "Ada")
        server.people.rename("ada", "Ada Lovelace", "#abcdef")
        await until(lambda: shown()[-1]["name"] == "Ada Lovelace")
        assert shown()[-1]["color"] == "#abcdef"
        assert shown()[-1]["initials"] == "AL"
        # Also by what she says next.
        ada.send(protocol.awareness(encode_awareness([(70 + number, 2, {"user": {}, "x": 1})])))
        seen = len(shown())
        await until(lambda seen=seen: len(shown()) > seen)
        assert {"Ada Lovelace"} == {one["name"] for one in shown()[seen:]}
        await ada.close()
        await eve.close()
        await until(lambda: not server.people._followers)


async def test_the_lobby_holds_nobody_who_has_gone(server: Server, root: Path) -> None:
    lobby = "JupyterLab:globalAwareness"
    people = [await server.lab(name, lobby, sync=False) for name in ("ada", "eve", "ada")]
    for number, one in enumerate(people, start=1):
        one.send(protocol.awareness(encode_awareness([(number, 1, {"user": {}})])))
    await until(lambda: len(server.lobby._gathering.claims()) == 3)
    for one in people:
        await one.close()
    await until(lambda: not server.lobby._connections)
    assert server.lobby._gathering.claims() == {}
    assert server.rooms.all() == ()


async def test_other_extensions_get_the_live_document(server: Server, root: Path) -> None:
    get = server.extension.get_document
    options = {"path": "a.py", "content_type": "file", "file_format": "text"}
    assert await get(**options) is None, "no room is made unasked"
    model = await get(**options, copy=False, create=True)
    ada = await server.ws("ada", "a.py")
    model.set("by an extension\n")
    await until(lambda: str(ada.text) == "by an extension\n")
    copy = await get(room_id=await _room(server))
    copy.set("only a copy\n")
    ada.type("!")
    await until(lambda: model.get() == "by an extension\n!")
    assert len(server.rooms.all()) == 1
    assert server.extension.ywebsocket_server.rooms == {}
    with pytest.raises(InvalidRequest):
        await get(path="a.py", content_type="notebook", file_format="json", create=True)
    with pytest.raises(ValueError, match="room_id"):
        await get(path="a.py")


async def test_the_log_is_a_store_of_upstreams_kind(server: Server, root: Path) -> None:
    ada = await server.ws("ada", "a.py", "&ack=1")
    ada.type("y = 2\n")
    await until(lambda: len(ada.of_type("saved")) == 2)
    file_id = (await _room(server)).split(":")[2]
    assert server.extension.ystore_class is LogYStore
    store = LogYStore(path=f".file:{file_id}.y", config=server.app.config)
    doc: Doc[Any] = Doc()
    await store.apply_updates(doc)
    text = doc.get("source", type=Text)
    assert str(text) == "x = 1\ny = 2\n"
    state = doc.get_state()
    text.insert(0, "# by the store\n")
    await store.write(doc.get_update(state))
    await until(lambda: str(ada.text).startswith("# by the store\n"))
    with pytest.raises(YDocNotFound):
        await LogYStore(path=".file:unknown.y").apply_updates(Doc())


async def test_the_server_stops_without_a_complaint_of_upstreams(server: Server) -> None:
    """Its own rooms were never started, which it fails to stop."""
    await server.extension.ywebsocket_server.clean()


def test_upstream_is_the_one_that_this_was_written_for() -> None:
    check()


async def test_a_room_that_fails_lets_everyone_connect_again(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await server.ws("ada", "a.py")
    (room,) = server.rooms.all()

    def fail(*_args: object) -> None:
        raise AssertionError("something unforeseen")

    monkeypatch.setattr(room, "_show", fail)
    ada.type("y = 2\n")
    await until(lambda: ada.closed)
    assert ada.code == 1013
    again = await server.ws("ada", "a.py", doc=ada.doc)
    assert str(again.text) == "x = 1\ny = 2\n"
    assert server.rooms.all()[0] is not room


async def test_no_frame_waits_for_the_one_before_to_be_confirmed(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to: list[bool] = []
    monkeypatch.setattr(
        IOStream, "set_nodelay", lambda self, value: set_to.append(value), raising=True
    )
    for connect in (
        lambda: server.ws("ada", "a.py"),
        lambda: server.lab("ada", "JupyterLab:globalAwareness", sync=False),
    ):
        set_to.clear()
        await connect()
        await until(lambda: True in set_to)
        # Handshakes and clients of Tornado set it as well; what counts is how it stays.
        assert set_to[-1] is True


async def test_who_is_demoted_while_the_room_opens_comes_in_as_a_viewer(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing it leaves unanswered makes it an editor, and nothing has to heal it."""
    joined: list[tuple[Right, bool]] = []
    acquire, join = server.rooms.acquire, LiveRoom.join

    async def demoted_meanwhile(path: str, *, outside: bool) -> LiveRoom:
        room = await acquire(path, outside=outside)
        server.people.set("ada", VIEWER)
        return room

    def note(room: LiveRoom, connection: Connection) -> None:
        joined.append((connection.right, connection.standing.may_edit))
        join(room, connection)

    monkeypatch.setattr(server.rooms, "acquire", demoted_meanwhile)
    monkeypatch.setattr(LiveRoom, "join", note)
    await server.ws("ada", "a.py")
    # The handshake is answered before the room has opened.
    await until(lambda: joined)
    assert joined == [(VIEWER, False)]
