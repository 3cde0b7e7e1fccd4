"""Every spelling of a path that chance comes up with, against the real file system.

Whatever the spelling, by whatever call: nobody reads or changes what their role does not let
them, and a file of one's own is never another one by another name.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jupyter_server.services.contents.filemanager import FileContentsManager

from jupyter_collab_ai.access.files import Files
from jupyter_collab_ai.errors import InvalidRequest
from jupyter_collab_ai.sessions.paths import canonical, is_canonical
from tests.attack.conftest import FOLDER, MARK, SECRET, Live

#: What is aimed at, and what a spelling is made of.
AIMS = (SECRET, "secret.py", f"{FOLDER}/main.py", f"{FOLDER}/link.py", f"{FOLDER}/.hidden.py")
PARTS = (
    *(
        "..",
        ".",
        "",
        "...",
        "~",
        "%2e%2e",
        "%2E",
        "..%2f",
        "%2f",
        "%252e%252e",
        "%5c",
        "\\",
        "..\\",
    ),
    *("users", "owner", "project", "private.py", "secret.py", "main.py", "link.py", "out", "loop"),
    *(
        ".hidden.py",
        ".ipynb_checkpoints",
        "private-checkpoint.py",
        "main.py/",
        "café.py",
        "C:",
        "\0",
    ),
)


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """Return something that a path might be mistaken for."""
    if draw(st.booleans()):
        return "/".join(draw(st.lists(st.sampled_from(PARTS), min_size=1, max_size=7)))
    path = draw(st.sampled_from(AIMS))
    for change in draw(st.lists(st.sampled_from(CHANGES), max_size=3)):
        path = change(path)
    return path


CHANGES = (
    lambda path: path.replace("/", "//"),
    lambda path: path.replace("/", "/./"),
    lambda path: path.replace("/", "\\"),
    lambda path: path.replace("/", "%2f"),
    lambda path: path.replace("/", "%252f"),
    lambda path: path.replace("users", "users/../users"),
    lambda path: f"{FOLDER}/../../../{path}",
    lambda path: f"{FOLDER}/out/{path}",
    lambda path: f"users/viewer/../../{path}",
    lambda path: f"/{path}",
    lambda path: f"{path}/",
    lambda path: f"{path}\0",
    lambda path: f"{path}%00.py",
    lambda path: path.upper(),
    lambda path: path.title(),
    lambda path: unicodedata.normalize("NFD", path),
    lambda path: quote(path, safe=""),
    lambda path: "".join(f"%{byte:02x}" for byte in path.encode()),
    lambda path: path.replace("owner", "ow\u200bner"),
    lambda path: path.replace(".py", ".py."),
    lambda path: path.replace(".py", ".py "),
)


def fill(root: Path) -> None:
    """Make links, hidden files and checkpoints, as people and programs leave them."""
    folder = root / FOLDER
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text(f"# {MARK}\n")
    (folder / "link.py").symlink_to(root / SECRET)
    (folder / "out").symlink_to(outside, target_is_directory=True)
    (folder / "up").symlink_to("../../..", target_is_directory=True)
    (folder / "loop").symlink_to("loop")
    (folder / ".hidden.py").write_text(f"# {MARK}\n")
    (folder / "café.py").write_text("x = 1\n")
    kept = root / "users" / "owner" / ".ipynb_checkpoints"
    kept.mkdir()
    (kept / "private-checkpoint.py").write_text(f"# {MARK}\n")


def state_of(root: Path) -> str:
    """Return a digest of all that is on the disk, names, targets and contents."""
    digest = hashlib.sha256()
    for folder, names, files in os.walk(root.parent / "outside"):
        digest.update(repr((folder, sorted(names), sorted(files))).encode())
    for folder, names, files in os.walk(root):
        names.sort()
        digest.update(repr((folder, names, sorted(files))).encode())
        for name in sorted(files):
            path = Path(folder, name)
            if not path.is_symlink():
                digest.update(path.read_bytes())
    return digest.hexdigest()


READS = (
    ("GET", "api/contents/{path}", None),
    ("GET", "files/{path}", None),
    ("GET", "view/{path}", None),
    ("GET", "nbconvert/html/{path}", None),
    ("GET", "api/contents/{path}/checkpoints", None),
    ("GET", "api/fileid/id?path={path}", None),
    ("GET", "api/resolvePath?path={path}", None),
    ("PUT", "api/collaboration/session/{path}", {"format": "text", "type": "file"}),
)
WRITES = (
    ("PUT", "api/contents/{path}", {"type": "file", "format": "text", "content": "changed"}),
    ("DELETE", "api/contents/{path}", None),
    ("PATCH", "api/contents/{path}", {"path": "users/viewer/mine.py"}),
    ("POST", "api/contents/{path}", {"type": "file", "ext": ".py"}),
    ("POST", "api/contents/{path}/checkpoints", None),
    ("POST", "api/contents/{path}/checkpoints/checkpoint", None),
    ("POST", "api/contents/users/viewer", {"copy_from": "{path}"}),
    ("PATCH", "api/contents/users/viewer/own.py", {"path": "{path}"}),
    ("POST", "collab-ai/sessions", {"name": "x", "path": "{path}"}),
)


async def ask(
    live: Live, who: str, call: tuple[str, str, dict[str, str] | None], path: str, *, quoted: bool
) -> tuple[int, bytes]:
    method, url, body = call
    # As it is where that can be sent at all, and quoted, so that it arrives as it is.
    where = quote(path, safe="/" if quoted else "/%.\\~:")
    sent = (
        None if body is None else {key: each.replace("{path}", path) for key, each in body.items()}
    )
    answer = await live(who, method, url.replace("{path}", where), sent)
    return answer.status, answer.body


async def try_all(live: Live, tries: int) -> int:
    """Try chance's spellings at each call; returns how many requests there were."""
    fill(live.root)
    (live.root / "users/viewer/own.py").write_text("mine\n")
    before = state_of(live.root)
    requests = 0
    wanted: list[str] = []

    @settings(
        max_examples=tries,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(spellings())
    @example(f"{FOLDER}/out/secret.py")
    @example(f"{FOLDER}/up/secret.py")
    @example(f"{FOLDER}/link.py")
    def collect(path: str) -> None:
        wanted.append(path)

    collect()
    wrong = []
    for at, path in enumerate(dict.fromkeys(wanted)):
        for who in ("viewer", "stranger", "anonymous"):
            for number, call in enumerate((*READS, *WRITES)):
                if (at + number) % 4 and who != "viewer":
                    continue
                status, body = await ask(live, who, call, path, quoted=bool((at + number) % 2))
                requests += 1
                if MARK.encode() in body:
                    wrong.append(f"{who} reads by {call[:2]} {path!r}")
                if status >= 500:
                    wrong.append(f"{who}: {status} for {call[:2]} {path!r}")
        now = state_of(live.root)
        if now != before:
            # The viewer may do in its own folder what it likes.
            before = now
            unharmed(live.root)
            (live.root / "users/viewer/own.py").write_text("mine\n")
    unharmed(live.root)
    assert wrong == [], "; ".join(wrong[:10])
    return requests


def unharmed(root: Path) -> None:
    """Make sure that nothing has changed but in the viewer's own folder."""
    folder, home = root / FOLDER, root / "users" / "owner"
    assert (folder / "main.py").read_text() == "x = 1\n"
    assert (root / SECRET).read_text() == f"# {MARK}\n"
    # Upstream makes the folder of checkpoints for who asks which there are.
    assert {each.name for each in folder.iterdir()} - {".ipynb_checkpoints"} == {
        *("main.py", "other.py", "book.ipynb", "link.py", "out", "up", "loop", ".hidden.py"),
        "café.py",
    }
    assert list(folder.glob(".ipynb_checkpoints/*")) == []
    assert {each.name for each in home.iterdir()} == {".ipynb_checkpoints", "private.py", "project"}
    assert {each.name for each in (root.parent / "outside").iterdir()} == {"secret.py"}
    own = root / "users" / "viewer"
    assert not any(MARK in each.read_text() for each in own.rglob("*.py"))


@pytest.mark.timeout(300)
async def test_no_spelling_helps(live: Live) -> None:
    print(f"\n{await try_all(live, 12)} requests with strange paths")


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_no_spelling_of_many_helps(live: Live) -> None:
    print(f"\n{await try_all(live, 600)} requests with strange paths")


async def test_an_id_stays_with_a_file_that_moves(live: Live) -> None:
    """Where a file goes its id and its room go, and so do the roles of where it is."""
    room = await live.room()
    moved = await live("owner", "PATCH", f"api/contents/{FOLDER}/main.py", {"path": SECRET + ".py"})
    assert moved.status == 200
    assert await live.shake_hands("viewer", room) == 404
    socket = await live.shake_hands("owner", room)
    assert not isinstance(socket, int)
    socket.close()
    back = await live("owner", "PATCH", f"api/contents/{SECRET}.py", {"path": f"{FOLDER}/main.py"})
    assert back.status == 200
    assert await live.room() == room
    socket = await live.shake_hands("viewer", room)
    assert not isinstance(socket, int)
    socket.close()


async def test_a_file_has_one_room_whatever_format_is_asked_for(live: Live) -> None:
    room = await live.room()
    file_id = room.partition("?")[0].rpartition(":")[2]
    for kind in (
        "json:notebook",
        "text:markdown",
        "base64:file",
        "text:notebook",
        "text:",
        ":file",
    ):
        refused = await live.shake_hands("owner", f"api/collaboration/room/{kind}:{file_id}")
        assert refused == 404, kind
    for body in ({"format": "json", "type": "notebook"}, {"format": "base64", "type": "file"}):
        answer = await live("owner", "PUT", f"api/collaboration/session/{FOLDER}/main.py", body)
        assert answer.status == 400, body


async def test_lists_show_only_what_lies_on_the_way(live: Live) -> None:
    for who, wanted in {
        "viewer": {"users": ["users/owner", "users/viewer"], "users/owner": [FOLDER]},
        "stranger": {"users": ["users/stranger"]},
        "former": {"users": ["users/former"]},
    }.items():
        for path, shown in wanted.items():
            listed = (await live(who, "GET", f"api/contents/{path}")).json["content"]
            assert sorted(each["path"] for each in listed) == shown, who
        root = (await live(who, "GET", "api/contents")).json["content"]
        assert [each["path"] for each in root] == ["users"]
        sessions = (await live.own(who, "GET", "sessions?query=project")).json["items"]
        assert len(sessions) == (who == "viewer")
        for running in ("api/sessions", "api/kernels", "api/terminals"):
            assert (await live(who, "GET", running)).json == []


# ---------------------------------------------------------------- the pure part


@given(st.text(max_size=40) | st.lists(st.sampled_from(PARTS), max_size=6).map("/".join))
def test_a_canonical_path_is_its_own_one_form(text: str) -> None:
    try:
        found = canonical(text)
    except InvalidRequest:
        assert not is_canonical(text)
        return
    assert canonical(found) == found
    assert is_canonical(found)
    parts = found.split("/")
    assert not any(part in ("", ".", "..") or part.startswith(".") for part in parts)
    assert not found.startswith("/")
    assert "\\" not in found
    assert "\0" not in found
    assert unicodedata.normalize("NFC", found) == found


NAMES = st.sampled_from(("a", "b", "c", "d"))
LINKS = st.tuples(NAMES, NAMES, st.sampled_from(("a", "../b", "c/d", "..", "/", "x")))


@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=60)
@given(links=st.lists(LINKS, max_size=6), asked=st.lists(NAMES, min_size=1, max_size=4))
def test_where_links_lead_is_what_the_system_says(
    tmp_path_factory: pytest.TempPathFactory, links: list[tuple[str, str, str]], asked: list[str]
) -> None:
    root = tmp_path_factory.mktemp("root")
    for name in "abcd":
        (root / name).mkdir()
    for folder, name, target in links:
        place = root / folder / name
        if not place.exists() and not place.is_symlink():
            place.symlink_to(target)
    manager = FileContentsManager(root_dir=str(root))
    path = "/".join(asked)
    told = asyncio.run(Files(lambda: manager).real(path))
    top, real = os.path.realpath(root), os.path.realpath(root / path)
    if real == top or not real.startswith(top + os.sep):
        assert told is None
    else:
        assert told == os.path.relpath(real, top)
