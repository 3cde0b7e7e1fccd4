"""Links in a shared folder: a role ends at its edge, and a file has one room by all its names."""

from __future__ import annotations

import pytest

from jupyter_collab_ai.rooms import protocol
from tests.attack.conftest import FILE, FOLDER, MARK, SECRET, Live
from tests.attack.line import Line
from tests.rooms.engine import until

#: From the shared folder to what is not shared.
AWAY = ("secret.py", "out.py", "out/secret.py", "up/private.py")
#: What an editor may ask of a document of a session, beside its live text.
CALLS = (
    ("GET", "sessions/{session}/history?path={path}", None),
    ("GET", "sessions/{session}/history/current?path={path}", None),
    ("GET", "sessions/{session}/blame?path={path}", None),
    ("GET", "sessions/{session}/findings?path={path}", None),
    ("GET", "sessions/{session}/locks?path={path}", None),
    ("POST", "sessions/{session}/versions", {"name": "mine", "path": "{path}"}),
    ("POST", "sessions/{session}/restore", {"version": "current", "path": "{path}"}),
    ("POST", "ai/code-debugger", {"session_id": "{session}", "path": "{path}"}),
    (
        "POST",
        "ai/code-generator",
        {"session_id": "{session}", "path": "{path}", "instructions": "Add a docstring."},
    ),
)


@pytest.fixture
def linked(live: Live) -> Live:
    """The server, with links in the shared folder."""
    folder, outside = live.root / FOLDER, live.root.parent / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text(f"# {MARK}\n")
    (folder / "secret.py").symlink_to(live.root / SECRET)
    (folder / "out.py").symlink_to(outside / "secret.py")
    (folder / "out").symlink_to(outside, target_is_directory=True)
    (folder / "up").symlink_to("..", target_is_directory=True)
    (folder / "alias.py").symlink_to("main.py")
    return live


@pytest.mark.parametrize("path", AWAY)
async def test_no_call_follows_a_link_out_of_the_session(linked: Live, path: str) -> None:
    before = {each: each.read_bytes() for each in linked.root.parent.rglob("secret.py")}
    for who in ("editor", "root"):
        for method, where, body in CALLS:
            sent = body and {
                key: each.format(session=linked.session, path=path) for key, each in body.items()
            }
            asked = where.format(session=linked.session, path=path)
            answer = await linked.own(who, method, asked, sent)
            assert answer.status == 404, (who, method, where, answer.body)
            assert MARK.encode() not in answer.body
        line = await Line.open(linked, who, linked.ws(path))
        assert (line.closed, line.code, str(line.text)) == (True, 4404, "")
    assert before == {each: each.read_bytes() for each in before}


async def test_a_file_that_became_a_link_is_no_document_of_its_session(linked: Live) -> None:
    made = await linked.own(
        "owner", "POST", "sessions", {"name": "one", "path": "users/owner/one.py"}
    )
    await linked.add_member("editor", "editor", made.json["id"])
    (linked.root / "users/owner/one.py").unlink()
    (linked.root / "users/owner/one.py").symlink_to(linked.root / "secret.py")
    line = await Line.open(linked, "editor", f"collab-ai/ws/{made.json['id']}")
    assert (line.closed, line.code, str(line.text)) == (True, 4404, "")


async def test_a_link_within_the_folder_is_another_name_of_the_same_document(linked: Live) -> None:
    one = await Line.open(linked, "editor", linked.ws("main.py"))
    other = await Line.open(linked, "owner", linked.ws("alias.py"))
    room = await linked.room(FILE)
    assert await linked.room(f"{FOLDER}/alias.py") == room
    before = one.doc.get_state()
    one.text += "z = 3\n"
    one.send(protocol.update(one.doc.get_update(before)))
    await until(lambda: str(other.text) == "x = 1\nz = 3\n")
    assert len(linked.extension._rooms.all()) == 1
    await until(lambda: (linked.root / FILE).read_text() == "x = 1\nz = 3\n")
    assert (linked.root / FOLDER / "alias.py").is_symlink()
    listed = await linked.own("viewer", "GET", f"sessions/{linked.session}/history?path=alias.py")
    assert listed.status == 200
    assert listed.json["items"]
    await one.close()
    await other.close()


async def test_jupyters_own_way_gives_no_more(linked: Live) -> None:
    body = {"format": "text", "type": "file"}
    for path in AWAY:
        where = f"api/collaboration/session/{FOLDER}/{path}"
        assert (await linked("editor", "PUT", where, body)).status == 404
    # An administrator has links to other disks below the root, and works there.
    where = f"api/collaboration/session/{FOLDER}/out/secret.py"
    told = (await linked("root", "PUT", where, body)).json
    room = f"api/collaboration/room/text:file:{told['fileId']}?sessionId={told['sessionId']}"
    socket = await linked.shake_hands("root", room)
    assert not isinstance(socket, int)
    socket.close()
    assert await linked.shake_hands("editor", room) == 404
