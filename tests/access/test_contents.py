"""Contents: every spelling, both ends of each move, and nothing beside what is shared."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jupyter_collab_ai.access.confirming import COOKIE
from jupyter_collab_ai.errors import DatabaseUnavailable
from jupyter_collab_ai.grave import Kind
from jupyter_collab_ai.sessions.roles import Role
from tests.access.conftest import NOTEBOOK, Server

FOLDER = "users/owner/project"
FILE = f"{FOLDER}/main.py"
TEXT = {"type": "file", "format": "text", "content": "y = 2\n"}
LOCK = {"id": "1", "scope": "document"}


async def names(server: Server, who: str, path: str) -> dict[str, bool]:
    """Return the names in a folder as somebody sees them, and whether they may change them."""
    answer = await server(who, "GET", f"api/contents/{path}")
    assert answer.status == 200, answer.body
    return {entry["name"]: entry["writable"] for entry in answer.json["content"]}


# ---------------------------------------------------------------- what is seen


async def test_a_listing_shows_the_way_to_what_is_shared_and_nothing_beside(
    server: Server,
) -> None:
    (server.root / "users/owner/private.py").write_text("")
    assert await names(server, "stranger", "") == {"users": False}
    assert await names(server, "stranger", "users") == {"stranger": True}
    assert await names(server, "viewer", "users") == {"owner": False, "viewer": True}
    assert await names(server, "viewer", "users/owner") == {"project": False}
    assert await names(server, "editor", "users/owner") == {"project": True}
    assert await names(server, "owner", "users/owner") == {"project": True, "private.py": True}
    everything = {"main.py", "book.ipynb", "page.html"}
    assert (await names(server, "viewer", FOLDER)).keys() == everything
    assert set((await names(server, "viewer", FOLDER)).values()) == {False}
    assert set((await names(server, "editor", FOLDER)).values()) == {True}
    assert {"secret.py", "users"} <= (await names(server, "root", "")).keys()


async def test_a_viewers_file_is_not_writable(server: Server) -> None:
    for who, writable in (("viewer", False), ("editor", True), ("root", True)):
        for query in ({}, {"content": "0"}):
            answer = await server(who, "GET", f"api/contents/{FILE}", query=query)
            assert answer.json["writable"] is writable
        answer = await server(who, "GET", f"api/contents/{FOLDER}")
        assert answer.json["writable"] is writable


async def test_a_shared_file_shows_no_neighbours(server: Server) -> None:
    folder = server.root / "users/owner/other"
    folder.mkdir()
    for name in ("shared.py", "private.py"):
        (folder / name).write_text("")
    await server.share("users/owner/other/shared.py", None, owner=Role.OWNER, viewer=Role.VIEWER)
    assert await names(server, "viewer", "users/owner") == {"project": False, "other": False}
    assert await names(server, "viewer", "users/owner/other") == {"shared.py": False}
    for path, status in (("shared.py", 200), ("private.py", 404)):
        answer = await server("viewer", "GET", f"api/contents/users/owner/other/{path}")
        assert answer.status == status


async def test_ones_own_folder_hides_what_one_is_no_member_of(server: Server) -> None:
    """Whoever gave a session away and was removed sees it no more, wherever it lies."""
    (server.root / "users/stranger/given").mkdir()
    (server.root / "users/stranger/given/a.py").write_text("secret = 1\n")
    (server.root / "users/stranger/mine.py").write_text("")
    await server.share("users/stranger/given", "directory", owner=Role.OWNER)
    assert await names(server, "stranger", "users/stranger") == {"mine.py": True}
    for path in ("users/stranger/given", "users/stranger/given/a.py"):
        assert (await server("stranger", "GET", f"api/contents/{path}")).status == 404
    taken = {"copy_from": "users/stranger"}
    answer = await server("stranger", "POST", "api/contents/users/stranger", taken)
    assert answer.status == 404
    for method, body in (("DELETE", None), ("PATCH", {"path": "users/stranger/elsewhere"})):
        answer = await server("stranger", method, "api/contents/users/stranger", body)
        assert answer.status == 404
    assert (server.root / "users/stranger/given/a.py").exists()


# ---------------------------------------------------------------- spellings

SPELLINGS = [
    "users/owner/./project/main.py",
    "users/owner/x/../project/main.py",
    "users/stranger/../owner/project/main.py",
    "users/stranger/%2e%2e/owner/project/main.py",
    "users%2Fstranger%2F..%2Fowner%2Fproject%2Fmain.py",
    "users/owner%2F%2Fproject/main.py",
    "users/owner/project/main.py%00",
    "users/owner/project%5Cmain.py",
    "%2E/users/owner/project/main.py",
]


@pytest.mark.parametrize("call", ["api/contents", "files", "view", "nbconvert/html"])
async def test_a_path_has_one_spelling(server: Server, call: str) -> None:
    for path in SPELLINGS:
        for who in ("stranger", "viewer"):
            answer = await server(who, "GET", f"{call}/{path}")
            assert answer.status in (400, 404), (who, path)
            assert b"x = 1" not in answer.body


async def test_not_even_an_admin_writes_by_another_spelling(server: Server) -> None:
    """Or a locked document would be overwritten under another name."""
    server.world.locked[FILE] = LOCK
    for path in SPELLINGS[:6]:
        answer = await server("root", "PUT", f"api/contents/{path}", TEXT)
        assert answer.status in (400, 423), path
    assert (server.root / FILE).read_text() == "x = 1\n"


async def test_the_root_is_not_reached_as_an_absolute_path(server: Server) -> None:
    for path in (f"files/{server.root}/{FILE}", f"files/%2F{str(server.root)[1:]}/{FILE}"):
        for who in ("stranger", "owner"):
            answer = await server(who, "GET", path)
            assert answer.status in (301, 302, 400, 404)
            assert b"x = 1" not in answer.body


async def test_hidden_files_are_closed(server: Server) -> None:
    (server.root / FOLDER / ".env").write_text("KEY = 1\n")
    (server.root / FOLDER / ".hidden").mkdir()
    (server.root / FOLDER / ".hidden/a.py").write_text("KEY = 1\n")
    for path in (f"{FOLDER}/.env", f"{FOLDER}/.hidden/a.py", f"{FOLDER}/.hidden"):
        for method, call, body in [
            ("GET", f"api/contents/{path}", None),
            ("PUT", f"api/contents/{path}", TEXT),
            ("GET", f"files/{path}", None),
            ("POST", f"api/contents/{path}/checkpoints", None),
            ("POST", f"api/contents/{path}/checkpoints/checkpoint", None),
            ("PUT", f"api/collaboration/session/{path}", {}),
            ("POST", f"api/contents/{FOLDER}", {"copy_from": path}),
            ("PATCH", f"api/contents/{FILE}", {"path": path}),
        ]:
            answer = await server("owner", method, call, body)
            assert answer.status == 400, (method, call)
            assert b"KEY" not in answer.body
    assert ".env" not in await names(server, "owner", FOLDER)
    assert (server.root / FOLDER / ".env").read_text() == "KEY = 1\n"


# ---------------------------------------------------------------- links


async def test_links_give_nothing_that_their_targets_do_not(server: Server) -> None:
    outside = server.root.parent / "outside"
    outside.mkdir()
    (outside / "a.py").write_text("outside = 1\n")
    folder = server.root / FOLDER
    (folder / "out.py").symlink_to(outside / "a.py")
    (folder / "out").symlink_to(outside)
    (folder / "secret.py").symlink_to(server.root / "secret.py")
    (folder / "fine.py").symlink_to(server.root / FILE)
    for path in ("out.py", "out/a.py", "out", "secret.py"):
        for call in ("api/contents", "files"):
            answer = await server("owner", "GET", f"{call}/{FOLDER}/{path}")
            assert answer.status == 404, path
    for path in ("out.py", "secret.py", "out/new.py"):
        answer = await server("owner", "PUT", f"api/contents/{FOLDER}/{path}", TEXT)
        assert answer.status == 404, path
    assert (server.root / "secret.py").read_text() == "secret = 1\n"
    assert not (outside / "new.py").exists()
    assert (await server("viewer", "GET", f"api/contents/{FOLDER}/fine.py")).status == 200
    copied = await server("owner", "POST", "api/contents/users/owner", {"copy_from": FOLDER})
    assert (copied.status, copied.reason) == (400, "invalid_request")
    # A lock on a file holds under the name of a link to it, too.
    server.world.locked[FILE] = LOCK
    answer = await server("owner", "PUT", f"api/contents/{FOLDER}/fine.py", TEXT)
    assert answer.status == 423


# ---------------------------------------------------------------- both ends


async def test_nobody_copies_what_they_may_not_read(server: Server) -> None:
    for body in ({"copy_from": FILE}, {"copy_from": f"/{FILE}"}, {"copy_from": FOLDER}):
        answer = await server("stranger", "POST", "api/contents/users/stranger", body)
        assert answer.status == 404
    assert list((server.root / "users/stranger").iterdir()) == []
    answer = await server("viewer", "POST", "api/contents/users/viewer", {"copy_from": FILE})
    assert answer.status == 201
    for bad in (7, ["x"], {"x": 1}):
        answer = await server("viewer", "POST", "api/contents/users/viewer", {"copy_from": bad})
        assert (answer.status, answer.reason) == (400, "invalid_request")
        assert answer.json["errors"][0]["field"] == "copy_from"


async def test_a_body_that_is_no_object_is_refused(server: Server) -> None:
    for raw in ([], "x", 7):
        answer = await server("owner", "PATCH", f"api/contents/{FILE}", raw)
        assert answer.status == 400


async def test_both_ends_of_a_move_are_checked(server: Server) -> None:
    mine = server.root / "users/viewer/mine.py"
    mine.write_text("")
    for source, target in [
        (FILE, "users/viewer/out.py"),
        ("users/viewer/mine.py", f"{FOLDER}/in.py"),
    ]:
        answer = await server("viewer", "PATCH", f"api/contents/{source}", {"path": target})
        assert answer.status == 403
    answer = await server(
        "stranger", "PATCH", "api/contents/users/viewer/mine.py", {"path": "users/stranger/x.py"}
    )
    assert answer.status == 404
    assert mine.exists()
    assert (server.root / FILE).exists()
    assert server.world.moves == []


async def test_only_an_owner_moves_or_deletes_what_is_shared(server: Server) -> None:
    body = {"path": "users/owner/renamed"}
    for who, status in (("stranger", 404), ("viewer", 403), ("editor", 403)):
        assert (await server(who, "PATCH", f"api/contents/{FOLDER}", body)).status == status
        assert (await server(who, "DELETE", f"api/contents/{FOLDER}")).status == status
    assert (await server("owner", "PATCH", f"api/contents/{FOLDER}", body)).status == 200
    assert server.world.moves == [("renamed", FOLDER, "users/owner/renamed")]
    moved = await server("viewer", "GET", "api/contents/users/owner/renamed/main.py")
    assert moved.status == 200
    assert (await server("viewer", "GET", f"api/contents/{FILE}")).status == 404


async def test_two_sessions_never_come_to_overlap(server: Server) -> None:
    (server.root / "users/owner/second").mkdir()
    await server.share("users/owner/second", "directory", owner=Role.OWNER)
    body = {"path": f"{FOLDER}/second"}
    for who in ("owner", "root"):
        answer = await server(who, "PATCH", "api/contents/users/owner/second", body)
        assert (answer.status, answer.reason) == (409, "path_shared")
    assert (server.root / "users/owner/second").exists()


async def test_who_is_told_of_moves(server: Server) -> None:
    new = f"{FOLDER}/new.py"
    assert (await server("editor", "PATCH", f"api/contents/{FILE}", {"path": new})).status == 200
    assert (await server("editor", "DELETE", f"api/contents/{new}")).status == 204
    assert server.world.moves == [("renamed", FILE, new), ("deleted", new)]


async def test_a_file_whose_roles_can_not_follow_stays_where_it_was(server: Server) -> None:
    server.world.move_error = DatabaseUnavailable("The database can't be reached.")
    body = {"path": f"{FOLDER}/new.py"}
    answer = await server("editor", "PATCH", f"api/contents/{FILE}", body)
    assert (answer.status, answer.reason) == (503, "database_unavailable")
    assert (server.root / FILE).read_text() == "x = 1\n"
    assert not (server.root / FOLDER / "new.py").exists()


# ---------------------------------------------------------------- the end of a session


async def by_cookie(server: Server, who: str) -> dict[str, str]:
    """Return the headers of a page of ``who``."""
    page = await server(None, "GET", "lab", headers={"Cookie": f"name={who}"})
    (xsrf,) = (
        value.partition(";")[0]
        for value in page.response.headers.get_list("Set-Cookie")
        if value.startswith("_xsrf=")
    )
    return {"Cookie": f"name={who}; {xsrf}", "X-XSRFToken": xsrf.partition("=")[2]}


@pytest.mark.parametrize("who", ["owner", "root"])
@pytest.mark.parametrize("path", [FOLDER, "users/owner"])
async def test_a_cookie_alone_ends_no_session_by_deleting_its_files(
    server: Server, who: str, path: str
) -> None:
    headers = await by_cookie(server, who)
    answer = await server(None, "DELETE", f"api/contents/{path}", headers=headers)
    assert (answer.status, answer.reason) == (403, "confirmation_required")
    asked = answer.json["confirmation"]["id"]
    page = f"/collab-ai/confirm/{asked}"
    assert answer.json["confirmation"]["url"].endswith(page)
    assert page in answer.json["message"]
    assert (server.root / FILE).exists()
    assert server.world.moves == []
    _, _, action = server.world.asked[asked]
    assert (action.kind, action.about.session_name) == (Kind.DELETE_SESSION, FOLDER)
    assert (action.about.path, action.delete_files) == (path, True)
    # JupyterLab's file browser knows nothing of confirmations: its browser names it.
    (cookie,) = (
        value
        for value in answer.response.headers.get_list("Set-Cookie")
        if value.startswith(COOKIE)
    )
    for said in ("HttpOnly", "SameSite=Strict", "Path=/a%40b/api/contents"):
        assert said in cookie
    headers["Cookie"] += f"; {cookie.partition(';')[0]}"
    again = await server(None, "DELETE", f"api/contents/{path}", headers=headers)
    assert (again.status, again.json["confirmation"]["id"]) == (403, asked)
    server.world.confirmed.add(asked)
    # It is for this path, this method and this person alone.
    (server.root / "users/owner/second").mkdir()
    await server.share("users/owner/second", "directory", owner=Role.OWNER)
    other = await server(None, "DELETE", "api/contents/users/owner/second", headers=headers)
    assert (other.status, other.reason) == (403, "confirmation_required")
    done = await server(None, "DELETE", f"api/contents/{path}", headers=headers)
    if path == FOLDER:
        assert done.status == 204
        assert server.world.moves == [("deleted", FOLDER)]
        assert (await server("viewer", "GET", f"api/contents/{FOLDER}")).status == 404
    else:
        # Another session would end too by now, of which the page said nothing.
        assert (done.status, done.reason) == (403, "confirmation_required")
        assert (server.root / FILE).exists()


async def test_several_sessions_are_named_together(server: Server) -> None:
    for number in range(7):
        (server.root / f"users/owner/more{number}").mkdir()
        await server.share(f"users/owner/more{number}", "directory", owner=Role.OWNER)
    headers = await by_cookie(server, "owner")
    answer = await server(None, "DELETE", "api/contents/users/owner", headers=headers)
    assert "8 sessions" in answer.json["message"]
    _, _, action = server.world.asked[answer.json["confirmation"]["id"]]
    assert action.sessions == 8
    assert action.about.session_name is not None
    assert action.about.session_name.endswith("3 more")


async def test_an_ordinary_file_is_deleted_without_ceremony(server: Server) -> None:
    headers = await by_cookie(server, "editor")
    answer = await server(None, "DELETE", f"api/contents/{FILE}", headers=headers)
    assert answer.status == 204
    assert server.world.asked == {}


async def test_who_sends_no_xsrf_token_is_not_even_asked(server: Server) -> None:
    headers = {"Cookie": "name=owner"}
    answer = await server(None, "DELETE", f"api/contents/{FOLDER}", headers=headers)
    assert answer.status == 403
    assert server.world.asked == {}


async def test_a_program_confirms_nothing(server: Server) -> None:
    assert (await server("owner", "DELETE", f"api/contents/{FOLDER}")).status == 204


async def test_a_link_is_no_way_round_the_role(server: Server) -> None:
    """An editor may not delete or move what is shared, by whatever links it is named."""
    (server.root / "users/editor/link").symlink_to("../owner", target_is_directory=True)
    by_link = "users/editor/link/project"
    assert (await server("editor", "GET", f"api/contents/{by_link}")).status == 200
    body = {"path": "users/editor/mine"}
    assert (await server("editor", "DELETE", f"api/contents/{by_link}")).status == 403
    assert (await server("editor", "PATCH", f"api/contents/{by_link}", body)).status == 403
    headers = await by_cookie(server, "root")
    answer = await server(None, "DELETE", f"api/contents/{by_link}", headers=headers)
    assert (answer.status, answer.reason) == (403, "confirmation_required")
    assert (server.root / FILE).exists()
    # Whoever may does, and what is known of it follows.
    assert (await server("root", "DELETE", f"api/contents/{by_link}/main.py")).status == 204
    assert server.world.moves == [("deleted", FILE)]


# ---------------------------------------------------------------- locks


async def test_nothing_is_replaced_where_the_ai_writes(server: Server) -> None:
    made = await server("owner", "POST", f"api/contents/{FILE}/checkpoints")
    checkpoint = f"api/contents/{FILE}/checkpoints/{made.json['id']}"
    server.world.locked[FILE] = LOCK
    calls: list[tuple[str, str, Any]] = [
        ("PUT", f"api/contents/{FILE}", TEXT),
        ("PATCH", f"api/contents/{FILE}", {"path": f"{FOLDER}/new.py"}),
        ("PATCH", f"api/contents/{FOLDER}/page.html", {"path": FILE}),
        ("DELETE", f"api/contents/{FILE}", None),
        ("POST", checkpoint, None),
    ]
    for method, path, body in calls:
        for who in ("owner", "editor", "root"):
            answer = await server(who, method, path, body)
            assert (answer.status, answer.reason) == (423, "locked"), (who, method)
            assert answer.json["lock"] == LOCK
        for who, status in (("viewer", 403), ("stranger", 404)):
            assert (await server(who, method, path, body)).status == status
    assert (server.root / FILE).read_text() == "x = 1\n"
    assert (await server("editor", "GET", f"api/contents/{FILE}")).status == 200
    server.world.locked.clear()
    assert (await server("editor", "PUT", f"api/contents/{FILE}", TEXT)).status == 200


# ---------------------------------------------------------------- nbconvert


async def test_a_notebook_does_not_choose_what_is_run_to_convert_it(server: Server) -> None:
    """``script`` loads the exporter that the notebook names."""
    notebook = {
        **NOTEBOOK,
        "metadata": {"language_info": {"name": "x", "nbconvert_exporter": "pdf"}},
    }
    path = f"{FOLDER}/book.ipynb"
    (server.root / path).write_text(json.dumps(notebook))
    for form in ("script", "pdf", "latex", "webpdf", "qtpdf", "custom", "nonsense"):
        answer = await server("editor", "GET", f"nbconvert/{form}/{path}")
        assert (answer.status, answer.reason) == (403, "admin_required")
    for form in ("html", "python", "markdown", "notebook"):
        assert (await server("viewer", "GET", f"nbconvert/{form}/{path}")).status == 200
