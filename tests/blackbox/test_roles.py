"""Contract, "What a role may do": the table, on every way in that speaks HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from tests.blackbox.client import Answer, Api, Person

ROLES = ("owner", "editor", "viewer", "nobody")
NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "id": "a",
            "metadata": {},
            "source": "x = 1",
            "outputs": [],
            "execution_count": None,
        }
    ],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@dataclass
class Cast:
    """A folder that is shared, with a file and a notebook in it, and someone in each role."""

    root: Path
    session: dict[str, Any]
    owner: Person
    editor: Person
    viewer: Person
    nobody: Person

    @property
    def folder(self) -> str:
        return str(self.session["path"])

    def make(self, name: str, content: str = "x = 1\n") -> str:
        """Put a new file into the folder, and return its path."""
        (self.root / self.folder / name).write_text(content)
        return f"{self.folder}/{name}"

    def person(self, role: str) -> Person:
        return getattr(self, role)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def cast(api: Api, root: Path) -> Cast:
    people = {role: api.register(role) for role in ROLES}
    owner = people["owner"]
    session = owner("POST", "sessions", body={"name": "project", "type": "directory"}).ok(201)
    owner.add(session, people["editor"], "editor")
    owner.add(session, people["viewer"], "viewer")
    made = Cast(root, session, *people.values())
    made.make("main.py")
    made.make("book.ipynb", json.dumps(NOTEBOOK))
    return made


def text(content: str = "y = 2\n") -> dict[str, str]:
    return {"type": "file", "format": "text", "content": content}


Act = Callable[[Cast, Person], Answer]


def session_act(method: str, path: str = "", **options: Any) -> Act:
    def act(cast: Cast, person: Person) -> Answer:
        return person(method, f"sessions/{cast.session['id']}{path}", **options)

    return act


def contents(method: str, name: str = "", **options: Any) -> Act:
    def act(cast: Cast, person: Person) -> Answer:
        path = quote(f"{cast.folder}/{name}" if name else cast.folder)
        return person.jupyter(method, f"api/contents/{path}", **options)

    return act


def other(method: str, path: str, **options: Any) -> Act:
    def act(cast: Cast, person: Person) -> Answer:
        where = path.format(folder=quote(cast.folder), id=cast.session["id"])
        return person.jupyter(method, where, **options)

    return act


#: Name of the act, how it is done, and the statuses for owner, editor, viewer, non-member.
READ = [
    ("see the session", session_act("GET"), (200, 200, 200, 404)),
    ("see its members", session_act("GET", "/members"), (200, 200, 200, 404)),
    ("see its locks", session_act("GET", "/locks"), (200, 200, 200, 404)),
    (
        "see what was found",
        session_act("GET", "/findings", query={"path": "main.py"}),
        (200, 200, 200, 404),
    ),
    ("list the folder", contents("GET"), (200, 200, 200, 404)),
    ("read a file", contents("GET", "main.py"), (200, 200, 200, 404)),
    ("read a notebook", contents("GET", "book.ipynb"), (200, 200, 200, 404)),
    ("list checkpoints", contents("GET", "main.py/checkpoints"), (200, 200, 200, 404)),
    ("download", other("GET", "files/{folder}/main.py"), (200, 200, 200, 404)),
    ("download, HEAD", other("HEAD", "files/{folder}/main.py"), (200, 200, 200, 404)),
    ("convert", other("GET", "nbconvert/html/{folder}/book.ipynb"), (200, 200, 200, 404)),
    (
        "open the document",
        other(
            "PUT",
            "api/collaboration/session/{folder}/main.py",
            body={"format": "text", "type": "file"},
        ),
        (200, 200, 200, 404),
    ),
]
MANAGE = [
    ("see the activity", session_act("GET", "/activity"), (200, 403, 403, 404)),
    ("see invitations", session_act("GET", "/invitations"), (200, 403, 403, 404)),
    ("rename the session", session_act("PUT", body={"name": "project"}), (200, 403, 403, 404)),
    ("end the session", session_act("DELETE"), (None, 403, 403, 404)),
]
DEBUG = [
    (
        "debug",
        lambda cast, person: person(
            "POST", "ai/code-debugger", body={"session_id": cast.session["id"], "path": "main.py"}
        ),
        (200, 200, 403, 404),
    ),
]


def matrix(*tables: Sequence[tuple[str, Act, tuple[int | None, ...]]]) -> list[Any]:
    return [
        pytest.param(act, role, status, id=f"{role}: {name}")
        for table in tables
        for name, act, statuses in table
        for role, status in zip(ROLES, statuses, strict=True)
        if status is not None
    ]


@pytest.mark.parametrize(("act", "role", "status"), matrix(READ, MANAGE, DEBUG))
def test_the_table(cast: Cast, act: Act, role: str, status: int) -> None:
    answer = act(cast, cast.person(role))
    # 502: may ask the model, which does not answer here
    assert answer.status in ((200, 201, 502) if status == 200 else (status,)), answer


# ---------------------------------------------------------------- changing files

WRITES: list[tuple[str, str, Callable[[str], Act]]] = [
    ("save", "main.py", lambda name: contents("PUT", name, body=text())),
    ("create", "", lambda name: contents("PUT", f"new-{name}", body=text())),
    ("create untitled", "", lambda _: contents("POST", body={"type": "file", "ext": ".py"})),
    ("create a folder", "", lambda name: contents("PUT", f"d-{name}", body={"type": "directory"})),
    ("upload", "", lambda name: contents("PUT", f"up-{name}", body={**text(), "chunk": -1})),
    ("check", "main.py", lambda name: contents("POST", f"{name}/checkpoints")),
    ("delete", "main.py", lambda name: contents("DELETE", name)),
]


@pytest.mark.parametrize(("name", "existing", "make"), WRITES, ids=[write[0] for write in WRITES])
@pytest.mark.parametrize("role", ROLES)
def test_writes(
    cast: Cast, role: str, name: str, existing: str, make: Callable[[str], Act]
) -> None:
    file = f"{role}-{name.replace(' ', '-')}.py"
    path = cast.make(file, "x = 1\n") if existing else f"{cast.folder}/none"
    before = sorted(item.name for item in (cast.root / cast.folder).iterdir())
    answer = make(file)(cast, cast.person(role))
    if role in ("owner", "editor"):
        assert answer.status in (200, 201, 204), answer
        return
    assert answer.status == (403 if role == "viewer" else 404), answer
    assert sorted(item.name for item in (cast.root / cast.folder).iterdir()) == before
    if existing:
        assert (cast.root / path).read_text() == "x = 1\n"


@pytest.mark.parametrize("role", ROLES)
def test_renames(cast: Cast, role: str) -> None:
    path = cast.make(f"{role}-old.py")
    target = path.replace("-old", "-new")
    answer = cast.person(role).jupyter("PATCH", f"api/contents/{path}", body={"path": target})
    if role in ("owner", "editor"):
        assert answer.status == 200, answer
        assert (cast.root / target).exists()
    else:
        assert answer.status == (403 if role == "viewer" else 404), answer
        assert (cast.root / path).exists()
        assert not (cast.root / target).exists()


@pytest.mark.parametrize("role", ["editor", "viewer", "nobody"])
def test_nothing_leaves_or_enters_by_a_rename(cast: Cast, role: str) -> None:
    person = cast.person(role)
    inside = cast.make(f"{role}-inside.py")
    home = f"users/{person.username}"
    (cast.root / home / "mine.py").write_text("")
    out = person.jupyter("PATCH", f"api/contents/{inside}", body={"path": f"{home}/out.py"})
    into = person.jupyter(
        "PATCH", f"api/contents/{home}/mine.py", body={"path": f"{cast.folder}/{role}-into.py"}
    )
    if role == "editor":
        # an editor may write in both places
        assert {out.status, into.status} <= {200, 403}
        return
    assert out.status == (403 if role == "viewer" else 404), out
    assert into.status == (403 if role == "viewer" else 404), into
    assert (cast.root / inside).exists()
    assert (cast.root / home / "mine.py").exists()


def test_nobody_copies_what_they_may_not_read(cast: Cast) -> None:
    home = f"users/{cast.nobody.username}"
    body = {"copy_from": f"{cast.folder}/main.py"}
    answer = cast.nobody.jupyter("POST", f"api/contents/{home}", body=body)
    assert answer.status == 404, answer
    assert not (cast.root / home / "main.py").exists()
    copied = cast.viewer.jupyter("POST", f"api/contents/users/{cast.viewer.username}", body=body)
    assert copied.status == 201, "whoever may read may keep a copy"


@pytest.mark.parametrize("role", ["viewer", "nobody"])
def test_a_checkpoint_is_not_brought_back_by_who_may_not_write(cast: Cast, role: str) -> None:
    path = cast.make(f"{role}-check.py", "old\n")
    checkpoint = cast.owner.jupyter("POST", f"api/contents/{path}/checkpoints").json["id"]
    (cast.root / path).write_text("new\n")
    where = f"api/contents/{path}/checkpoints/{checkpoint}"
    for method in ("POST", "DELETE"):
        answer = cast.person(role).jupyter(method, where)
        assert answer.status == (403 if role == "viewer" else 404), answer
    assert (cast.root / path).read_text() == "new\n"


# ---------------------------------------------------------------- other ways to a file


@pytest.mark.parametrize(
    "path",
    [
        "{folder}/../{name}/main.py",
        "{folder}/./main.py",
        "./{folder}/main.py",
        "%2e/{folder}/main.py",
        "{folder}%2Fmain.py",
        "{folder}//main.py",
        "users/x/../../{folder}/main.py",
    ],
)
@pytest.mark.parametrize("how", ["api/contents/", "files/", "nbconvert/html/", "view/"])
def test_no_spelling_of_a_path_helps(cast: Cast, how: str, path: str) -> None:
    spelled = path.format(folder=cast.folder, name=cast.folder.rpartition("/")[2])
    answer = cast.nobody.jupyter("GET", f"{how}{spelled}")
    assert answer.status in (400, 403, 404), answer
    assert b"x = 1" not in answer.body


@pytest.mark.parametrize(
    "path",
    ["", "users", "users/{owner}", "users/{owner}/private.py", ".jupyter", "users/{owner}/.ssh/id"],
)
def test_others_folders_are_closed(cast: Cast, path: str) -> None:
    home = cast.root / "users" / cast.owner.username
    (home / "private.py").write_text("secret = 1\n")
    where = path.format(owner=cast.owner.username)
    for person in (cast.editor, cast.nobody):
        answer = person.jupyter("GET", f"api/contents/{where}")
        assert b"secret" not in answer.body
        assert b"private.py" not in answer.body
        if path in ("", "users"):
            # one sees the way to what one may see, and nothing beside it
            assert answer.status == 200, answer
            names = {item["name"] for item in answer.json["content"]}
            if person is cast.nobody:
                assert names <= {"users", person.username}
        elif path == "users/{owner}" and person is cast.editor:
            assert answer.status in (200, 404), answer
        else:
            assert answer.status == (400 if "/." in f"/{path}" else 404), answer


def test_a_file_id_tells_nothing(cast: Cast) -> None:
    path = f"{cast.folder}/main.py"
    body = {"format": "text", "type": "file"}
    made = cast.owner.jupyter("PUT", f"api/collaboration/session/{path}", body=body)
    file_id = made.json["fileId"]
    for query in ({"path": path}, {"id": file_id}):
        for name in ("id", "path"):
            answer = cast.nobody.jupyter("GET", f"api/fileid/{name}", query=query)
            assert answer.status in (400, 403, 404), answer
            assert cast.folder.encode() not in answer.body


# ---------------------------------------------------------------- what is for admins alone

FOR_ADMINS = [
    ("GET", "api/kernels", None),
    ("POST", "api/kernels", {"name": "python3"}),
    ("GET", "api/sessions", None),
    (
        "POST",
        "api/sessions",
        {"name": "x", "path": "x.ipynb", "type": "notebook", "kernel": {"name": "python3"}},
    ),
    ("GET", "api/terminals", None),
    ("POST", "api/terminals", {}),
    ("POST", "api/shutdown", None),
    ("GET", "lab/api/extensions", None),
    ("POST", "lab/api/extensions", {"cmd": "install", "extension_name": "x"}),
    ("POST", "lab/api/plugins", {"cmd": "disable", "plugin_name": "x"}),
    ("POST", "lab/api/build", None),
    ("POST", "api/events", {"schema_id": "x", "version": "1", "data": {}}),
    ("GET", "metrics", None),
    ("PUT", "api/config/notebook", {"x": 1}),
]


@pytest.mark.parametrize("role", ["owner", "viewer"])
@pytest.mark.parametrize(
    ("method", "path", "body"), FOR_ADMINS, ids=[f"{item[0]} {item[1]}" for item in FOR_ADMINS]
)
def test_what_is_for_admins(
    cast: Cast, role: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answer = cast.person(role).jupyter(method, path, body=body)
    # JupyterLab asks for running kernels and terminals; an empty list tells nothing.
    if method == "GET" and answer.status == 200 and path.startswith("api/"):
        assert answer.json == [], answer
        return
    assert answer.status in (403, 404), answer


#: Owner, editor, viewer, nobody.
READS, WRITES = (200, 200, 200, 404), (200, 200, 403, 404)


@pytest.mark.parametrize("role", ROLES)
def test_forks_and_timelines_go_by_role(cast: Cast, role: str) -> None:
    file = f"{cast.folder}/main.py"
    made = cast.owner.jupyter(
        "PUT", f"api/collaboration/session/{file}", body={"format": "text", "type": "file"}
    ).json
    room = f"text:file:{made['fileId']}"
    timeline = f"api/collaboration/timeline/{file}?format=text&type=file"
    by_owner = cast.owner.jupyter("GET", timeline).json["forkRoom"]
    fork = cast.owner.jupyter("PUT", f"api/collaboration/fork/{room}", body={}).json["fork_roomid"]
    person, at = cast.person(role), ROLES.index(role)

    def status(method: str, path: str, body: dict[str, str] | None = None) -> int:
        return person.jupyter(method, f"api/collaboration/{path}", body=body).status

    def move(action: str, copy: str) -> int:
        return status("PUT", f"undo_redo/{room}?action={action}&steps=1&forkRoom={copy}")

    assert status("GET", f"fork/{room}") == READS[at]
    put = person.jupyter("PUT", f"api/collaboration/fork/{room}", body={"title": "x"})
    assert put.status == {200: 201}.get(WRITES[at], WRITES[at])
    if put.status == 201:
        assert status("DELETE", f"fork/{put.json['fork_roomid']}?merge=true") == 200
    # A timeline is its opener's alone.
    assert move("undo", by_owner) == (200 if role == "owner" else 404)
    got = person.jupyter("GET", timeline)
    assert got.status == READS[at]
    if got.status == 200:
        mine = got.json["forkRoom"]
        assert move("undo", mine) == 200
        assert move("restore", mine) == WRITES[at]
    assert status("DELETE", f"fork/{fork}?merge=true") == WRITES[at]
    again = cast.owner.jupyter("DELETE", f"api/collaboration/fork/{fork}?merge=false")
    assert again.status == (404 if WRITES[at] == 200 else 200)


async def test_rooms_beside_a_document_open_by_its_role(cast: Cast) -> None:
    file = f"{cast.folder}/main.py"
    made = cast.owner.jupyter(
        "PUT", f"api/collaboration/session/{file}", body={"format": "text", "type": "file"}
    ).json
    room = f"text:file:{made['fileId']}"
    timeline = cast.viewer.jupyter(
        "GET", f"api/collaboration/timeline/{file}?format=text&type=file"
    ).json["forkRoom"]
    fork = cast.owner.jupyter("PUT", f"api/collaboration/fork/{room}", body={}).json["fork_roomid"]
    for role, of_fork, of_timeline in [
        ("owner", 101, 404),
        ("editor", 101, 404),
        ("viewer", 101, 101),
        ("nobody", 404, 404),
    ]:
        person = cast.person(role)
        path = "api/collaboration/room"
        assert await status_of_handshake(person, f"{path}/{fork}") == of_fork, role
        assert await status_of_handshake(person, f"{path}/{timeline}") == of_timeline, role
        for name in (fork, timeline):
            foreign = await status_of_handshake(
                person, f"{path}/{name}", Origin="http://evil.example"
            )
            assert foreign == 403, role
    assert cast.owner.jupyter("DELETE", f"api/collaboration/fork/{fork}?merge=false").status == 200


async def status_of_handshake(person: Person, path: str, **headers: str) -> int:
    url = f"{person.api.server.ws_url}{path}"
    authorization = {"Authorization": f"Bearer {person.token}"}
    try:
        socket = await websocket_connect(HTTPRequest(url, headers={**authorization, **headers}))
    except HTTPClientError as error:
        return int(error.code)
    socket.close()
    return 101


@pytest.mark.parametrize(
    "path",
    [
        "api/kernels/none/channels",
        "terminals/websocket/1",
        "api/events/subscribe",
        "lsp/ws/pylsp",
        "api/collaboration/room/made-up",
        "api/collaboration/room/text:file:made-up",
    ],
)
async def test_no_other_websocket_opens(cast: Cast, path: str) -> None:
    for person in (cast.owner, cast.nobody):
        status = await status_of_handshake(person, path)
        assert status in (400, 403, 404), (path, status)


async def test_a_page_of_another_site_opens_no_room(cast: Cast) -> None:
    url = cast.owner.labs_socket_of(f"{cast.folder}/main.py")
    path = url.removeprefix(cast.owner.api.server.ws_url)
    assert await status_of_handshake(cast.owner, path) == 101
    status = await status_of_handshake(cast.owner, path, Origin="http://evil.example")
    assert status == 403


# ---------------------------------------------------------------- settings of one's own


def test_nobody_changes_the_settings_of_others(cast: Cast) -> None:
    name = "lab/api/settings/@jupyterlab/apputils-extension:themes"
    before = cast.owner.jupyter("GET", name)
    changed = cast.viewer.jupyter("PUT", name, body={"raw": '{"theme": "JupyterLab Dark"}'})
    assert changed.status in (200, 204, 403, 404), changed
    after = cast.owner.jupyter("GET", name)
    assert (before.status, before.body) == (after.status, after.body)


def test_nobody_reads_the_workspaces_of_others(cast: Cast) -> None:
    body = {
        "data": {"layout-restorer:data": {"secret-path": f"{cast.folder}/main.py"}},
        "metadata": {"id": "default"},
    }
    cast.owner.jupyter("PUT", "lab/api/workspaces/default", body=body)
    for path in ("lab/api/workspaces", "lab/api/workspaces/default"):
        answer = cast.nobody.jupyter("GET", path)
        assert b"secret-path" not in answer.body, answer
