"""Contract, "Live editing": frames, refusals, roles that change, records, authorship."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pycrdt import (
    Doc,
    Map,
    Text,
    create_awareness_message,
    create_sync_message,
    create_update_message,
    write_message,
    write_var_uint,
)
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from examples.story.clients import RAW, STEP2, SYNC, PycrdtClient
from tests.blackbox.client import Api, Person
from tests.blackbox.conftest import Opener


def step2(update: bytes) -> bytes:
    """Return a frame that answers a sync request."""
    return bytes([SYNC, STEP2]) + write_message(update)


def copy_of(client: PycrdtClient) -> Doc[Any]:
    """Return a document of its own that holds what ``client`` holds."""
    doc: Doc[Any] = Doc()
    doc.apply_update(client.doc.get_update())
    return doc


def change(doc: Doc[Any], edit: Callable[[Text], None]) -> bytes:
    """Change the text of ``doc``, and return the update that says how."""
    state = doc.get_state()
    edit(doc.get("source", type=Text))
    return doc.get_update(state)


def prepend(text: str) -> Callable[[Text], None]:
    """Return an edit that types ``text`` at the start."""
    return lambda source: source.insert(0, text)


def entry(client_id: int, clock: int, state: object) -> bytes:
    """Return an awareness frame with one entry."""
    head = write_var_uint(1) + write_var_uint(client_id) + write_var_uint(clock)
    return create_awareness_message(head + write_message(json.dumps(state).encode()))


async def in_step(writer: PycrdtClient, *readers: PycrdtClient) -> None:
    """Wait until all have seen one more edit of ``writer``, who then takes it back."""
    mark = f"⟨{random.randrange(10**9)}⟩"
    await writer.insert(0, mark)
    for reader in readers:
        await reader.sees(mark)
    await writer.delete(0, len(mark))
    for reader in readers:
        await reader.until(lambda reader=reader: mark not in reader.text, "the deletion")  # type: ignore[misc]


@pytest.fixture
def shared(ada: Person, ben: Person, cleo: Person) -> dict[str, Any]:
    """A file of Ada, with Ben as editor and Cléo as viewer."""
    session: dict[str, Any] = ada.share(content="first\nsecond\n")
    ada.add(session, ben, "editor")
    ada.add(session, cleo, "viewer")
    return session


# ---------------------------------------------------------------- to and fro


async def test_edits_reach_everybody_by_both_endpoints(
    open_live: Opener, ada: Person, ben: Person, cleo: Person, shared: dict[str, Any], root: Path
) -> None:
    hers = await open_live(ada, shared)
    his = await open_live(ben, ben.labs_socket_of(shared["path"]))
    cleos = await open_live(cleo, shared)
    page = await open_live.node(cleo, cleo.labs_socket_of(shared["path"]), by="header")
    assert hers.text == his.text == cleos.text == page.text == "first\nsecond\n"
    await hers.insert(0, "from ada 🦉\n")
    await his.sees("from ada 🦉\n")
    await his.type_after("🦉\n", "from ben\n")
    expected = "from ada 🦉\nfrom ben\nfirst\nsecond\n"
    for client in (hers, cleos, page):
        await client.until(lambda client=client: client.text == expected, "both")  # type: ignore[misc]
    file = root / shared["path"]
    await hers.until(lambda: file.read_text(encoding="utf-8") == expected, "the file", 5.5)


async def test_the_file_follows_while_people_type_on(
    open_live: Opener, ada: Person, shared: dict[str, Any], root: Path
) -> None:
    hers = await open_live(ada, shared)
    file = root / shared["path"]
    for number in range(200):
        await hers.insert(0, f"{number} ")
        await hers.is_recorded()
        if "0 first" in file.read_text():
            break
        await hers.until(lambda: True, "nothing")
    await hers.until(lambda: "0 first" in file.read_text(), "the file", 5.5)


async def test_a_browser_sends_its_token_as_a_subprotocol(
    open_live: Opener, ada: Person, shared: dict[str, Any]
) -> None:
    protocols = ["collab-ai", f"bearer.{ada.token}"]
    socket = await websocket_connect(ada.socket_of(shared), subprotocols=protocols)
    try:
        assert socket.selected_subprotocol == "collab-ai"
    finally:
        socket.close()
    page = await open_live.node(ada, shared, by="subprotocol")
    assert page.text == "first\nsecond\n"


async def test_a_query_never_carries_the_token(ada: Person, shared: dict[str, Any]) -> None:
    for name in ("token", "access_token"):
        socket = await websocket_connect(f"{ada.socket_of(shared)}?{name}={ada.token}")
        assert await socket.read_message() is None
        assert socket.close_code == 4401


async def test_a_file_of_a_folder(open_live: Opener, ada: Person, ben: Person, root: Path) -> None:
    session = ada("POST", "sessions", body={"name": "lib", "type": "directory"}).ok(201)
    (root / session["path"] / "deep").mkdir()
    (root / session["path"] / "deep" / "a b.py").write_text("inside\n")
    ada.add(session, ben, "editor")
    hers = await open_live(ada, ada.socket_of(session, path="deep/a b.py"))
    his = await open_live(ben, ben.labs_socket_of(f"{session['path']}/deep/a b.py"))
    assert hers.text == his.text == "inside\n"
    await his.insert(0, "# ben\n")
    await hers.sees("# ben")
    for path in ("", "nothing.py", "../x.py", "deep", "./deep/a b.py", "deep//a b.py"):
        gone = await open_live(ada, ada.socket_of(session, path=path))
        assert gone.close_code == 4404, path


# ---------------------------------------------------------------- who may not come in


@pytest.mark.parametrize(
    ("who", "code"),
    [("nobody", 4401), ("nonsense", 4401), ("logged out", 4401), ("stranger", 4404)],
)
async def test_a_refused_handshake_is_closed_with_its_code(
    api: Api, shared: dict[str, Any], ada: Person, who: str, code: int
) -> None:
    headers = {}
    if who == "nonsense":
        headers = {"Authorization": "Bearer nonsense"}
    elif who == "logged out":
        ada("POST", "logout").ok(204)
        headers = {"Authorization": f"Bearer {ada.token}"}
    elif who == "stranger":
        headers = {"Authorization": f"Bearer {api.register('stranger').token}"}
    socket = await websocket_connect(HTTPRequest(ada.socket_of(shared), headers=headers))
    assert await socket.read_message() is None, "closed before any frame"
    assert socket.close_code == code


async def test_what_is_not_there_is_closed_with_4404(open_live: Opener, ada: Person) -> None:
    for session_id in ("none", "%2e%2e", "x" * 5000):
        client = await open_live(ada, ada.socket_of({"id": session_id}))
        assert client.close_code == 4404
        assert not client.notices


async def test_jupyterlabs_room_refuses_with_a_status(
    api: Api, ada: Person, shared: dict[str, Any]
) -> None:
    url = ada.labs_socket_of(shared["path"])
    stranger = api.register("stranger")
    cases = {"": {401, 403}, stranger.token: {403, 404}, "nonsense": {401, 403}}
    for token, statuses in cases.items():
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with pytest.raises(HTTPClientError) as refused:
            await websocket_connect(HTTPRequest(url, headers=headers))
        assert refused.value.code in statuses


# ---------------------------------------------------------------- the viewer


def an_update(client: PycrdtClient) -> bytes:
    return create_update_message(change(copy_of(client), prepend("SPOILT ")))


def a_step2(client: PycrdtClient) -> bytes:
    doc = copy_of(client)
    change(doc, prepend("SPOILT "))
    return step2(doc.get_update())


def a_deletion(client: PycrdtClient) -> bytes:
    def delete(source: Text) -> None:
        del source[0:5]

    return create_update_message(change(copy_of(client), delete))


def other_state(client: PycrdtClient) -> bytes:
    doc = copy_of(client)
    state = doc.get_state()
    doc.get("meta", type=Map)["spoilt"] = True
    return create_update_message(doc.get_update(state))


@pytest.mark.parametrize("attack", [an_update, a_step2, a_deletion, other_state])
async def test_a_viewers_edit_is_refused(
    open_live: Opener,
    ada: Person,
    ben: Person,
    cleo: Person,
    shared: dict[str, Any],
    attack: Callable[[PycrdtClient], bytes],
    root: Path,
) -> None:
    hers = await open_live(ada, shared)
    cleos = await open_live(cleo, shared)
    cleos.send(attack(cleos))
    refused = await cleos.is_told("refused")
    assert refused["reason"] == "role_required"
    assert {"type", "reason", "client", "from_clock"} <= refused.keys()
    his = await open_live(ben, shared)
    await in_step(hers, his, cleos)
    assert hers.text == his.text == cleos.text == "first\nsecond\n"
    assert not hers.doc.get("meta", type=Map).to_py()
    assert cleos.close_code is None
    assert "SPOILT" not in (root / shared["path"]).read_text()


async def test_a_viewer_hears_what_was_refused(
    open_live: Opener, cleo: Person, shared: dict[str, Any]
) -> None:
    cleos = await open_live(cleo, shared)
    await cleos.insert(0, "one ")
    refused = await cleos.is_told("refused")
    assert (refused["client"], refused["from_clock"]) == (cleos.doc.client_id, 0)
    await cleos.insert(0, "two ")
    await cleos.insert(0, "three ")
    assert cleos.close_code is None


async def test_a_viewer_may_say_again_what_is_known(
    open_live: Opener, ada: Person, cleo: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, shared)
    await hers.insert(0, "typed ")
    await hers.delete(0, 3)
    cleos = await open_live(cleo, shared)
    await cleos.sees("ed first")
    cleos.send(step2(cleos.doc.get_update()))
    cleos.send(create_update_message(cleos.doc.get_update()))
    await in_step(hers, cleos)
    assert cleos.told("refused") == []


async def test_what_jupyterlab_writes_by_itself_is_dropped_without_notice(
    open_live: Opener, ada: Person, cleo: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, shared)
    cleos = await open_live(cleo, shared)
    cleos.doc.get("state", type=Map)["document_id"] = "text:file:made-up"
    await in_step(hers, cleos)
    assert cleos.told("refused") == []
    assert hers.doc.get("state", type=Map).to_py().get("document_id") != "text:file:made-up"


async def test_what_was_refused_is_never_accepted_from_anyone(
    open_live: Opener, ada: Person, ben: Person, cleo: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, shared)
    cleos = await open_live(cleo, shared)
    await cleos.insert(0, "BARRED ")
    await cleos.is_told("refused")
    barred = cleos.doc.get_update(hers.doc.get_state())
    assert ada.set_role(shared, cleo, "editor").status == 200
    again = await open_live(cleo, shared, doc=copy_of(cleos))
    await again.until(lambda: bool(again.told("reset") or again.told("refused")), "a refusal")
    his = await open_live(ben, shared)
    his.send(create_update_message(barred))
    await his.is_told("reset")
    fresh = await open_live(cleo, shared)
    await fresh.insert(0, "fine ")
    await hers.sees("fine ")
    await in_step(hers, fresh)
    assert "BARRED" not in hers.text
    back = await open_live(ben, shared)
    await back.insert(0, "ben is not barred ")
    await hers.sees("ben is not barred ")


async def test_a_save_of_a_viewer_is_answered_and_does_nothing(
    open_live: Opener, cleo: Person, shared: dict[str, Any], root: Path
) -> None:
    file = root / shared["path"]
    before = file.stat().st_mtime_ns
    room = await open_live(cleo, cleo.labs_socket_of(shared["path"]))
    room.send(bytes([RAW]) + write_message(b"save") + write_var_uint(9))
    answer = await room.is_told("save")
    assert (answer["responseTo"], answer["status"]) == (9, "success")
    assert file.stat().st_mtime_ns == before


# ---------------------------------------------------------------- presence


async def test_names_and_colours_are_the_accounts(
    open_live: Opener, ada: Person, ben: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, shared)
    his = await open_live(ben, ben.labs_socket_of(shared["path"]))
    hers.show(
        {
            "user": {"username": "boss", "name": "Boss", "display_name": "Boss", "color": "#000"},
            "cursors": [1],
        }
    )
    await his.until(lambda: ada.username in his.shown(), "Ada")
    user = his.shown()[ada.username]["user"]
    assert user["username"] == ada.username
    assert user["display_name"] == user["name"] == ada.user["display_name"]
    assert user["color"] == ada.user["color"]
    assert his.shown()[ada.username]["cursors"] == [1]
    assert "boss" not in his.shown()


async def test_nobody_speaks_for_another(
    open_live: Opener, ada: Person, ben: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, shared)
    his = await open_live(ben, shared)
    await hers.insert(0, "typed ")
    await his.sees("typed ")
    hers.show({"user": {"username": ada.username}, "cursors": [1]})
    await his.until(lambda: ada.username in his.shown(), "Ada")
    his.send(entry(hers.doc.client_id, 1000, {"user": {"username": "mallory"}, "cursors": [9]}))
    his.send(entry(hers.doc.client_id, 1001, None))
    late = await open_live(ben, ben.labs_socket_of(shared["path"]))
    hers.show({"user": {"username": ada.username}, "cursors": [2]})
    await late.until(lambda: late.shown().get(ada.username, {}).get("cursors") == [2], "Ada")
    assert "mallory" not in late.shown()
    assert hers.awareness.get_local_state() is not None


async def test_another_name_is_seen_at_once(
    open_live: Opener, ada: Person, ben: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, ada.labs_socket_of(shared["path"]))
    his = await open_live(ben, shared)
    hers.show({"user": {"name": "Mallory"}, "cursors": [1]})
    await his.until(lambda: ada.username in his.shown(), "Ada")
    new = {"display_name": "Ada Lovelace", "color": "#abcdef"}
    await asyncio.to_thread(ada, "PATCH", "me", body=new)

    def shown() -> tuple[str, str]:
        user = his.shown()[ada.username]["user"]
        return user["name"], user["color"]

    await his.until(lambda: shown() == ("Ada Lovelace", "#abcdef"), "her new name")
    hers.show({"user": {"name": "Mallory"}, "cursors": [2]})
    await his.until(lambda: his.shown()[ada.username]["cursors"] == [2], "her cursor")
    assert shown() == ("Ada Lovelace", "#abcdef")


async def test_who_leaves_is_seen_to_leave(
    open_live: Opener, ada: Person, ben: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, shared)
    his = await open_live(ben, shared)
    hers.show({"cursors": [1]})
    await his.until(lambda: ada.username in his.shown(), "Ada")
    items = ben("GET", f"sessions/{shared['id']}/members").ok()["items"]
    assert {item["user"]["username"] for item in items if item["online"]} == {
        ada.username,
        ben.username,
    }
    await hers.close()
    await his.until(lambda: ada.username not in his.shown(), "Ada to be gone")


async def test_a_newcomer_sees_who_is_there(
    open_live: Opener, ada: Person, ben: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, shared)
    hers.show({"cursors": [7]})
    await hers.is_recorded()
    his = await open_live(ben, shared)
    await his.until(lambda: his.shown().get(ada.username, {}).get("cursors") == [7], "Ada", 5)


# ---------------------------------------------------------------- roles that change


async def test_a_demotion_bites_at_once_and_keeps_the_socket(
    open_live: Opener, ada: Person, ben: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, shared)
    his = await open_live(ben, shared)
    room = await open_live(ben, ben.labs_socket_of(shared["path"]))
    assert ada.set_role(shared, ben, "viewer").status == 200
    for client in (his, room):
        await client.insert(0, "TOO LATE ")
        refused = await client.is_told("refused")
        assert refused["reason"] == "role_required"
    await hers.insert(0, "for all ")
    for client in (his, room):
        await client.sees("for all ")
        assert client.close_code is None
    assert "TOO LATE" not in hers.text


async def test_a_promotion_lifts_who_tried_nothing(
    open_live: Opener, ada: Person, cleo: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, shared)
    cleos = await open_live(cleo, shared)
    assert ada.set_role(shared, cleo, "editor").status == 200
    await cleos.insert(0, "at last ")
    await hers.sees("at last ")
    assert cleos.notices == [] or not (cleos.told("reset") or cleos.told("refused"))


async def test_a_promotion_resets_who_was_refused(
    open_live: Opener, ada: Person, cleo: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, shared)
    cleos = await open_live(cleo, shared)
    await cleos.insert(0, "REFUSED ")
    await cleos.is_told("refused")
    assert ada.set_role(shared, cleo, "editor").status == 200
    reset = await cleos.is_told("reset")
    assert reset["reason"] == "role_changed"
    await cleos.is_closed_with(4409)
    fresh = await open_live(cleo, shared)
    await fresh.insert(0, "accepted ")
    await hers.sees("accepted ")
    assert "REFUSED" not in hers.text


async def test_a_removal_closes(
    open_live: Opener, ada: Person, ben: Person, shared: dict[str, Any]
) -> None:
    his = await open_live(ben, shared)
    room = await open_live(ben, ben.labs_socket_of(shared["path"]))
    page = await open_live.node(ben, shared)
    ada("DELETE", f"sessions/{shared['id']}/members/{ben.username}").ok(204)
    await his.is_closed_with(4403)
    await room.is_closed_with(1003)
    await page.is_closed_with(4403)
    assert (await open_live(ben, shared)).close_code == 4404


async def test_jupyterlab_is_told_why_in_its_own_words(
    ada: Person, ben: Person, shared: dict[str, Any]
) -> None:
    headers = {"Authorization": f"Bearer {ben.token}"}
    socket = await websocket_connect(
        HTTPRequest(ben.labs_socket_of(shared["path"]), headers=headers)
    )
    ada("DELETE", f"sessions/{shared['id']}/members/{ben.username}").ok(204)
    while await socket.read_message() is not None:
        pass
    assert socket.close_code == 1003
    reason = json.loads(socket.close_reason or "")
    assert reason.keys() == {"reason", "sessionId", "reloadable", "errorReason"}
    assert (reason["reason"], reason["sessionId"]) == ("unknown_session", "")
    assert reason["reloadable"] is False
    assert reason["errorReason"]


@pytest.mark.parametrize("ending", ["logout", "stopped", "password", "login ended"])
async def test_an_open_socket_ends_with_its_login(
    open_live: Opener, api: Api, ben: Person, shared: dict[str, Any], ending: str
) -> None:
    other = api.login(ben.username)
    his = await open_live(ben, shared)
    if ending == "logout":
        ben("POST", "logout").ok(204)
    elif ending == "stopped":
        stopped = {"is_active": False}
        api.admin()("PATCH", f"users/{ben.username}", body=stopped).ok()
    elif ending == "password":
        body = {"current_password": "correct horse battery staple", "new_password": "a new one ✓"}
        other("PUT", "me/password", body=body).ok(204)
    else:
        logins = other("GET", "me/logins").ok()["items"]
        (first,) = [login["id"] for login in logins if not login["current"]]
        other("DELETE", f"me/logins/{first}").ok(204)
    await his.is_closed_with(4401)


async def test_a_session_that_ends_ends_its_sockets(
    open_live: Opener, ada: Person, ben: Person, shared: dict[str, Any]
) -> None:
    his = await open_live(ben, shared)
    ada("DELETE", f"sessions/{shared['id']}").ok(204)
    await his.until(lambda: his.close_code is not None, "the end")
    assert his.close_code in (4403, 4404)


# ---------------------------------------------------------------- records


async def test_each_update_and_step_2_is_acknowledged_in_order(
    open_live: Opener, ada: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, shared)
    for number in range(5):
        await hers.insert(0, f"{number}")
    hers.send(step2(hers.doc.get_update()))
    await hers.is_recorded()
    numbers = [notice["seq"] for notice in hers.told("saved")]
    assert numbers == sorted(numbers)
    assert numbers[-1] == hers.sent


async def test_who_does_not_ask_is_told_nothing(
    open_live: Opener, ada: Person, ben: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, ada.socket_of(shared))
    his = await open_live(ben, shared)
    await hers.insert(0, "quiet ")
    await his.sees("quiet ")
    await in_step(his, hers)
    assert hers.told("saved") == []


# ---------------------------------------------------------------- authorship


async def test_nobody_writes_under_anothers_client_id(
    open_live: Opener, ada: Person, ben: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, shared)
    await hers.insert(0, "mine ")
    await hers.is_recorded()
    his = await open_live(ben, shared)
    forged: Doc[Any] = Doc(client_id=hers.doc.client_id)
    forged.apply_update(his.doc.get_update())
    his.send(create_update_message(change(forged, prepend("FORGED "))))
    await his.until(lambda: bool(his.told("refused") or his.told("reset")), "a refusal")
    await hers.insert(0, "still ")
    reader = await open_live(ben, shared)
    await reader.sees("still mine ")
    assert "FORGED" not in reader.text


async def test_others_structs_and_deletions_are_normal(
    open_live: Opener, ada: Person, ben: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, shared)
    his = await open_live(ben, shared)
    await hers.insert(0, "to be deleted ")
    await his.sees("to be deleted ")
    his.send(create_update_message(his.doc.get_update()))
    await his.delete(0, len("to be deleted "))
    await hers.until(lambda: "deleted" not in hers.text, "the deletion")
    await in_step(hers, his)
    assert his.told("refused") == his.told("reset") == []


async def test_a_client_of_another_history_is_reset(
    open_live: Opener, ada: Person, ben: Person, shared: dict[str, Any]
) -> None:
    other = await open_live(ben, ben.share("other.py", "other\n"))
    hers = await open_live(ada, shared)
    his = await open_live(ben, shared, doc=copy_of(other))
    await his.is_told("reset")
    await his.is_closed_with(4409)
    await in_step(hers)
    assert hers.text == "first\nsecond\n"


async def test_what_was_typed_before_the_first_connection_is_kept(
    open_live: Opener, ada: Person, ben: Person, shared: dict[str, Any]
) -> None:
    offline: Doc[Any] = Doc()
    offline.get("source", type=Text).insert(0, "typed offline ")
    hers = await open_live(ada, shared)
    his = await open_live(ben, shared, doc=offline)
    await hers.sees("typed offline ")
    assert his.told("reset") == his.told("refused") == []


async def test_the_first_raw_frame_names_the_epoch(
    open_live: Opener, ada: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, shared)
    await hers.until(lambda: any("epoch" in notice for notice in hers.notices), "the epoch")
    assert "epoch" in hers.notices[0]
    epoch = hers.notices[0]["epoch"]
    same = await open_live(ada, ada.socket_of(shared, epoch=epoch))
    assert same.close_code is None
    wrong = await open_live(ada, ada.socket_of(shared, epoch="another"))
    await wrong.is_closed_with(4409)
    assert wrong.told("reset")


# ---------------------------------------------------------------- hostile frames


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x00",
        b"\x00\x02",
        b"\x00\x02\x05\x01",
        b"\x00\x07\x00",
        b"\x07\x00",
        b"\x01\xff\xff\xff\xff\x0f",
        b"\x00\x02" + write_message(b"\xff" * 40),
        b"\x02\xff\xff\xff\x7f",
        b"\xff" * 30,
        b"\x00\x00\x05\x01",
        b"\x7d\x01a",
    ],
    ids=lambda frame: frame[:8].hex() or "empty",
)
async def test_nonsense_harms_nobody(
    open_live: Opener, ada: Person, ben: Person, shared: dict[str, Any], frame: bytes
) -> None:
    hers = await open_live(ada, shared)
    his = await open_live(ben, shared)
    his.send(frame)
    await hers.insert(0, "unharmed ")
    late = await open_live(ben, shared)
    await late.sees("unharmed ")
    if his.close_code is not None:
        assert his.close_code in (1002, 1003, 1007, 1008, 1009)


async def test_a_text_frame_is_not_of_the_protocol(ada: Person, shared: dict[str, Any]) -> None:
    headers = {"Authorization": f"Bearer {ada.token}"}
    socket = await websocket_connect(HTTPRequest(ada.socket_of(shared), headers=headers))
    await socket.write_message("hello")
    while await socket.read_message() is not None:
        pass
    assert socket.close_code == 1003


async def test_a_message_over_the_limit_is_closed_with_1009(
    open_live: Opener, ada: Person, ben: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, shared)
    his = await open_live(ben, shared)
    his.send(b"\x00\x02" + write_message(b"\x01" * (17 * 2**20)))
    await his.is_closed_with(1009)
    await in_step(hers)


async def test_a_sync_request_is_answered_any_time(
    open_live: Opener, cleo: Person, shared: dict[str, Any]
) -> None:
    cleos = await open_live(cleo, shared)
    cleos.synced = False
    cleos.send(create_sync_message(Doc()))
    await cleos.until(lambda: cleos.synced, "the answer")


# ---------------------------------------------------------------- renames and deletions


async def test_a_rename_keeps_the_document(
    open_live: Opener, ada: Person, ben: Person, shared: dict[str, Any], root: Path
) -> None:
    hers = await open_live(ada, shared)
    await hers.insert(0, "before ")
    await hers.is_recorded()
    path = shared["path"].replace("notes", "renamed")
    ada("PUT", f"sessions/{shared['id']}", body={"path": path}).ok()
    his = await open_live(ben, shared)
    await his.insert(0, "after ")
    if hers.close_code is None:
        await hers.sees("after ")
    file = root / path
    await his.until(lambda: file.read_text().startswith("after before "), "the file", 5.5)
    assert not (root / shared["path"]).exists()


async def test_one_file_is_one_document(
    open_live: Opener, ada: Person, shared: dict[str, Any]
) -> None:
    hers = await open_live(ada, shared)
    bodies = [
        {"format": "text", "type": "markdownish"},
        {"format": "json", "type": "notebook"},
        {"format": "base64", "type": "file"},
    ]
    for body in bodies:
        answer = ada.jupyter("PUT", f"api/collaboration/session/{shared['path']}", body=body)
        if answer.status not in (200, 201):
            assert 400 <= answer.status < 500
            continue
        room = answer.json
        name = f"{room['format']}:{room['type']}:{room['fileId']}"
        url = f"{ada.api.server.ws_url}api/collaboration/room/{name}?sessionId={room['sessionId']}"
        try:
            second = await open_live(ada, url)
        except HTTPClientError as refused:
            assert 400 <= refused.code < 500
            continue
        if second.close_code is None:
            await hers.insert(0, "same room ")
            await second.sees("same room ")
