"""Contract, "Sessions": files that are shared, members, invitations, roles."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.blackbox.client import Api, Person, secret_of
from tests.support.processes import wait_until

SESSION = {
    "id",
    "name",
    "path",
    "type",
    "role",
    "owner",
    "member_count",
    "created_at",
    "updated_at",
    "lock",
}


def roles_in(person: Person, session: dict[str, Any]) -> dict[str, str]:
    items = person("GET", f"sessions/{session['id']}/members").ok()["items"]
    return {item["user"]["username"]: item["role"] for item in items}


# ---------------------------------------------------------------- making


def test_a_session_is_what_the_contract_says(ada: Person, root: Path) -> None:
    answer = ada("POST", "sessions", body={"name": "Lecture 1", "content": "print('ä')\n"})
    session = answer.ok(201)
    assert session.keys() == SESSION
    assert answer.headers["Location"].endswith(f"/collab-ai/sessions/{session['id']}")
    assert (session["name"], session["type"], session["role"]) == ("Lecture 1", "file", "owner")
    assert session["path"] == f"users/{ada.username}/Lecture 1.py"
    assert session["owner"] == ada.user
    assert (session["member_count"], session["lock"]) == (1, None)
    assert (root / session["path"]).read_text(encoding="utf-8") == "print('ä')\n"
    assert ada("GET", f"sessions/{session['id']}").ok() == session
    assert roles_in(ada, session) == {ada.username: "owner"}


def test_an_account_has_a_folder(ada: Person, root: Path) -> None:
    assert (root / "users" / ada.username).is_dir()


@pytest.mark.parametrize(
    ("body", "file", "kind"),
    [
        ({"name": "a"}, "a.py", "file"),
        ({"name": "b.txt"}, "b.txt", "file"),
        ({"name": "c", "type": "notebook"}, "c.ipynb", "notebook"),
        ({"name": "d.ipynb"}, "d.ipynb", "notebook"),
        ({"name": "e", "type": "directory"}, "e", "directory"),
    ],
    ids=json.dumps,
)
def test_without_a_path_the_server_makes_one(
    ada: Person, root: Path, body: dict[str, Any], file: str, kind: str
) -> None:
    session = ada("POST", "sessions", body=body).ok(201)
    assert (session["path"], session["type"]) == (f"users/{ada.username}/{file}", kind)
    made = root / session["path"]
    assert made.is_dir() if kind == "directory" else made.is_file()
    if kind == "notebook":
        assert json.loads(made.read_text())["nbformat"] == 4


def test_a_file_that_is_there_is_shared_as_it_is(ada: Person, root: Path) -> None:
    path = f"users/{ada.username}/old.py"
    (root / path).write_text("old = True\n")
    with_content = {"name": "x", "path": path, "content": "new = True\n"}
    ada("POST", "sessions", body=with_content).refused(409, "path_exists")
    session = ada("POST", "sessions", body={"name": "x", "path": path}).ok(201)
    assert session["path"] == path
    assert (root / path).read_text() == "old = True\n"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/{home}/a.py",
        "{home}/../a.py",
        "{home}/./a.py",
        "./{home}/a.py",
        "{home}//a.py",
        "{home}/a.py/",
        "{home}/.hidden.py",
        "{home}/.git/a.py",
        "{home}\\a.py",
        "{home}/a\u0000.py",
        "{home}/a\n.py",
        "{home}/e\u0301.py",
        "..",
        "~/a.py",
    ],
)
def test_a_path_that_is_not_canonical_is_refused(ada: Person, path: str) -> None:
    body = {"name": "x", "path": path.format(home=f"users/{ada.username}")}
    answer = ada("POST", "sessions", body=body)
    if path.startswith("~"):  # a name like any other, but not in the caller's folder
        assert answer.status in (403, 404), answer
        return
    error = answer.refused(400, "invalid_request")
    assert [item["field"] for item in error["errors"]] == ["path"]


def test_only_what_lies_at_home_can_be_shared(ada: Person, ben: Person, root: Path) -> None:
    (root / "common.py").write_text("")
    (root / "users" / ben.username / "his.py").write_text("")
    paths = ("common.py", f"users/{ben.username}/his.py", "users", "new.py", "users/new.py")
    for path in paths:
        answer = ada("POST", "sessions", body={"name": "x", "path": path})
        assert answer.status in (403, 404), (path, answer)
        assert answer.json["reason"] in ("role_required", "admin_required", "not_found")
    # what is there and what is not look the same
    there = ada("POST", "sessions", body={"name": "x", "path": f"users/{ben.username}/his.py"})
    not_there = ada("POST", "sessions", body={"name": "x", "path": f"users/{ben.username}/no.py"})
    assert (there.status, there.body) == (not_there.status, not_there.body)


def test_an_admin_may_share_anything(api: Api, root: Path) -> None:
    (root / "data").mkdir(exist_ok=True)
    name = f"{len(list((root / 'data').iterdir()))}.py"
    (root / "data" / name).write_text("")
    session = api.admin()("POST", "sessions", body={"name": "d", "path": f"data/{name}"}).ok(201)
    assert session["path"] == f"data/{name}"


def test_a_type_that_does_not_fit_is_refused(ada: Person, root: Path) -> None:
    (root / "users" / ada.username / "folder").mkdir()
    body = {"name": "x", "path": f"users/{ada.username}/folder", "type": "file"}
    ada("POST", "sessions", body=body).refused(400, "invalid_request")
    body = {"name": "x.py", "type": "notebook", "content": "no notebook"}
    ada("POST", "sessions", body=body).refused(400, "invalid_request")


def test_sessions_never_overlap(ada: Person) -> None:
    home = f"users/{ada.username}"
    folder = ada("POST", "sessions", body={"name": "f", "type": "directory"}).ok(201)
    assert folder["path"] == f"{home}/f"
    for path in (f"{home}/f", f"{home}/f/inside.py", home):
        body = {"name": "x", "path": path}
        ada("POST", "sessions", body=body).refused(409, "path_shared")
    ada("POST", "sessions", body={"name": "x", "path": f"{home}/f2.py"}).ok(201)


def test_two_at_once_do_not_share_the_same_path(ada: Person) -> None:
    (first,) = [ada.share("base.py")]
    path = first["path"].replace("base.py", "race.py")

    def share(_: int) -> int:
        return ada("POST", "sessions", body={"name": "x", "path": path}).status

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(share, range(4))) == [201, 409, 409, 409]


def test_a_name_that_is_taken_on_disk_is_told(ada: Person) -> None:
    ada.share("twice.py")
    answer = ada("POST", "sessions", body={"name": "twice.py", "content": "x"})
    assert answer.status == 409
    assert answer.json["reason"] in ("path_exists", "path_shared")


# ---------------------------------------------------------------- seeing


def test_what_is_not_mine_is_not_there(ada: Person, ben: Person, session: dict[str, Any]) -> None:
    where = f"sessions/{session['id']}"
    member = {"session_id": session["id"], "username": ada.username, "role": "viewer"}
    attempts = [
        ben("GET", where),
        ben("PUT", where, body={"name": "mine"}),
        ben("DELETE", where),
        ben("GET", f"{where}/members"),
        ben("DELETE", f"{where}/members/{ada.username}"),
        ben("GET", f"{where}/invitations"),
        ben("GET", f"{where}/activity"),
        ben("GET", f"{where}/locks"),
        ben("GET", f"{where}/events"),
        ben("POST", "sessions/invite", body={"session_id": session["id"], "role": "viewer"}),
        ben("PUT", "sessions/access", body=member),
        ben("POST", "ai/code-debugger", body={"session_id": session["id"]}),
        ben("POST", "ai/code-generator", body={"session_id": session["id"], "instructions": "x"}),
    ]
    missing = ben("GET", "sessions/none").refused(404, "not_found")
    for answer in attempts:
        # word for word what is said of a session that never was
        assert answer.refused(404, "not_found") == missing


def test_my_sessions_are_listed_in_pages(ada: Person, ben: Person) -> None:
    made = [ada.share(f"n{number}.py")["id"] for number in range(5)]
    ada.add({"id": made[0]}, ben, "viewer")
    seen: list[str] = []
    after: dict[str, str] = {}
    pages = 0
    while True:
        page = ada("GET", "sessions", query={"limit": "2", **after}).ok()
        assert page.keys() == {"items", "next"}
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        pages += 1
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert sorted(seen) == sorted(made)
    assert pages == 3
    (shared,) = ben("GET", "sessions").ok()["items"]
    assert (shared["id"], shared["role"]) == (made[0], "viewer")
    (found,) = ada("GET", "sessions", query={"query": "n3"}).ok()["items"]
    assert found["id"] == made[3]
    assert ada("GET", "sessions", query={"query": "%"}).ok()["items"] == []


def test_all_sessions_are_for_admins(api: Api, ada: Person, session: dict[str, Any]) -> None:
    ada("GET", "sessions", query={"all": "true"}).refused(403, "admin_required")
    query = {"all": "true", "query": session["path"]}
    (found,) = api.admin()("GET", "sessions", query=query).ok()["items"]
    assert (found["id"], found["role"]) == (session["id"], None)


def test_an_admin_does_what_an_owner_does(api: Api, ben: Person, session: dict[str, Any]) -> None:
    admin = api.admin()
    seen = admin("GET", f"sessions/{session['id']}").ok()
    assert seen["role"] is None
    admin.add(session, ben, "viewer")
    admin("PUT", f"sessions/{session['id']}", body={"name": "renamed"}).ok()
    activity = admin("GET", f"sessions/{session['id']}/activity").ok()["items"]
    assert admin("GET", "me").ok()["username"] in json.dumps(activity)
    admin("DELETE", f"sessions/{session['id']}").ok(204)


# ---------------------------------------------------------------- changing, ending


def test_a_session_can_be_renamed_and_moved(
    ada: Person, ben: Person, session: dict[str, Any], root: Path
) -> None:
    ada.add(session, ben, "editor")
    where = f"sessions/{session['id']}"
    assert ada("PUT", where, body={"name": "Better"}).ok()["name"] == "Better"
    path = f"users/{ada.username}/better.py"
    moved = ada("PUT", where, body={"path": path}).ok()
    assert (moved["path"], moved["name"], moved["id"]) == (path, "Better", session["id"])
    assert (root / path).read_text() == "x = 1\n"
    assert not (root / session["path"]).exists()
    assert ben("GET", where).ok()["path"] == path
    assert ben.jupyter("GET", f"api/contents/{path}").status == 200
    assert moved["updated_at"] >= session["updated_at"]


def test_a_move_does_not_overwrite(ada: Person, ben: Person, session: dict[str, Any]) -> None:
    other = ada.share("other.py", "other\n")
    where = f"sessions/{session['id']}"
    answer = ada("PUT", where, body={"path": other["path"]})
    assert answer.status == 409
    assert answer.json["reason"] in ("path_exists", "path_shared")
    answer = ada("PUT", where, body={"path": f"users/{ben.username}/given.py"})
    assert answer.status in (403, 404)
    ada("PUT", where, body={"path": "../x.py"}).refused(400, "invalid_request")
    assert ada("GET", where).ok()["path"] == session["path"]


@pytest.mark.parametrize("delete", [True, False])
def test_a_session_can_be_ended(
    ada: Person, ben: Person, session: dict[str, Any], root: Path, delete: bool
) -> None:
    ada.add(session, ben, "editor")
    query = {"delete_files": "true"} if delete else {}
    ada("DELETE", f"sessions/{session['id']}", query=query).ok(204)
    assert (root / session["path"]).exists() is not delete
    for person in (ada, ben):
        person("GET", f"sessions/{session['id']}").refused(404, "not_found")
    assert ben.jupyter("GET", f"api/contents/{session['path']}").status == 404


# ---------------------------------------------------------------- members


def test_a_member_is_what_the_contract_says(
    ada: Person, ben: Person, session: dict[str, Any]
) -> None:
    ada.add(session, ben, "editor")
    items = ben("GET", f"sessions/{session['id']}/members").ok()["items"]
    assert all(item.keys() == {"user", "role", "joined_at", "online"} for item in items)
    assert {item["user"]["username"]: item["role"] for item in items} == {
        ada.username: "owner",
        ben.username: "editor",
    }
    assert not any(item["online"] for item in items)
    assert ben("GET", f"sessions/{session['id']}").ok()["member_count"] == 2


def test_a_member_can_be_removed(ada: Person, ben: Person, session: dict[str, Any]) -> None:
    ada.add(session, ben, "editor")
    ada("DELETE", f"sessions/{session['id']}/members/{ben.username}").ok(204)
    ben("GET", f"sessions/{session['id']}").refused(404, "not_found")
    assert ben.jupyter("GET", f"api/contents/{session['path']}").status == 404
    again = ada("DELETE", f"sessions/{session['id']}/members/{ben.username}")
    again.refused(404, "not_found")


def test_a_member_can_leave_but_not_remove_others(
    ada: Person, ben: Person, cleo: Person, session: dict[str, Any]
) -> None:
    ada.add(session, ben, "editor")
    ada.add(session, cleo, "viewer")
    members = f"sessions/{session['id']}/members"
    ben("DELETE", f"{members}/{cleo.username}").refused(403, "role_required")
    cleo("DELETE", f"{members}/{ada.username}").refused(403, "role_required")
    cleo("DELETE", f"{members}/{cleo.username}").ok(204)
    assert roles_in(ada, session) == {ada.username: "owner", ben.username: "editor"}


def test_a_session_keeps_an_owner(ada: Person, ben: Person, session: dict[str, Any]) -> None:
    ada.add(session, ben, "editor")
    mine = f"sessions/{session['id']}/members/{ada.username}"
    ada("DELETE", mine).refused(409, "last_owner")
    ada.set_role(session, ada, "editor").refused(409, "last_owner")
    assert ada.set_role(session, ben, "owner").ok()["role"] == "owner"
    # What lies in her own folder stays hers, whoever wants it otherwise.
    for person in (ada, ben):
        refused = person("DELETE", mine).refused(409, "last_owner")
        assert "own folder" in refused["message"]
        person.set_role(session, ada, "viewer").refused(409, "last_owner")
    assert ada.jupyter("GET", f"api/contents/{session['path']}").status == 200


def outside(api: Api, ada: Person, ben: Person) -> dict[str, Any]:
    """Share something that lies in nobody's own folder, and hand it over."""
    admin = api.admin()
    body = {"name": "handed over", "path": f"data/{ada.username}.py"}
    session: dict[str, Any] = admin("POST", "sessions", body=body).ok(201)
    admin.add(session, ada, "owner")
    admin.add(session, ben, "owner")
    name = admin("GET", "me").ok()["username"]
    admin("DELETE", f"sessions/{session['id']}/members/{name}").ok(204)
    return session


def test_an_owner_leaves_others(api: Api, ada: Person, ben: Person) -> None:
    session = outside(api, ada, ben)
    ada("DELETE", f"sessions/{session['id']}/members/{ada.username}").ok(204)
    ada("GET", f"sessions/{session['id']}").refused(404, "not_found")
    assert ben("GET", f"sessions/{session['id']}").ok()["role"] == "owner"


def test_two_owners_who_leave_at_once_leave_one(ada: Person, ben: Person, api: Api) -> None:
    session = outside(api, ada, ben)

    def leave(person: Person) -> int:
        return person("DELETE", f"sessions/{session['id']}/members/{person.username}").status

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(leave, (ada, ben))) == [204, 409]


def test_a_role_can_be_changed(ada: Person, ben: Person, session: dict[str, Any]) -> None:
    ada.add(session, ben, "viewer")
    answer = ada.set_role(session, ben, "editor").ok()
    assert answer == {"user": ben.user, "role": "editor"}
    assert ben("GET", f"sessions/{session['id']}").ok()["role"] == "editor"


def test_only_an_owner_changes_roles(
    ada: Person, ben: Person, cleo: Person, session: dict[str, Any]
) -> None:
    ada.add(session, ben, "editor")
    error = ben.set_role(session, ben, "owner").refused(403, "role_required")
    assert "owner" in error["message"]
    ada.set_role(session, cleo, "viewer").refused(404, "not_found")
    body = {"session_id": session["id"], "username": "no.such.user", "role": "viewer"}
    ada("PUT", "sessions/access", body=body).refused(404, "not_found")
    body = {"session_id": session["id"], "username": ben.username, "role": "admin"}
    ada("PUT", "sessions/access", body=body).refused(400, "invalid_request")


# ---------------------------------------------------------------- invitations


def test_an_invitation_by_name_is_a_membership(
    ada: Person, ben: Person, session: dict[str, Any]
) -> None:
    body = {"session_id": session["id"], "role": "editor", "username": ben.username.upper()}
    answer = ada("POST", "sessions/invite", body=body).ok(201)
    assert "url" not in answer
    assert ben("GET", f"sessions/{session['id']}").ok()["role"] == "editor"
    ada("POST", "sessions/invite", body=body).refused(409, "already_member")
    body["username"] = "no.such.user"
    answer = ada("POST", "sessions/invite", body=body)
    assert answer.status in (201, 404)
    if answer.status == 201:  # a link for that name alone
        secret = secret_of(answer.json["url"])
        ben("POST", "invitations/accept", body={"invitation": secret}).refused(404, "not_found")


def test_a_link_is_an_invitation(ada: Person, ben: Person, session: dict[str, Any]) -> None:
    body = {"session_id": session["id"], "role": "viewer", "expires_in": 600, "max_uses": 2}
    answer = ada("POST", "sessions/invite", body=body).ok(201)
    invitation = answer["invitation"]
    assert invitation.keys() - {"username", "email"} == {
        "id",
        "role",
        "created_at",
        "expires_at",
        "uses",
        "max_uses",
    }
    assert (invitation["uses"], invitation["max_uses"]) == (0, 2)
    left = datetime.fromisoformat(invitation["expires_at"]) - datetime.now(UTC)
    assert 500 < left.total_seconds() <= 601
    secret = secret_of(answer["url"])
    assert len(secret) >= 20
    assert secret not in json.dumps(invitation)
    joined = ben("POST", "invitations/accept", body={"invitation": secret}).ok()
    assert joined.keys() == SESSION
    assert (joined["id"], joined["role"]) == (session["id"], "viewer")
    listed = ada("GET", f"sessions/{session['id']}/invitations")
    assert secret.encode() not in listed.body
    (item,) = listed.ok()["items"]
    assert (item["id"], item["uses"]) == (invitation["id"], 1)


def test_accepting_never_lowers_a_role(ada: Person, ben: Person, session: dict[str, Any]) -> None:
    ada.add(session, ben, "editor")
    for person, role in ((ben, "editor"), (ada, "owner")):
        secret = ada.link(session, "viewer")
        joined = person("POST", "invitations/accept", body={"invitation": secret}).ok()
        assert joined["role"] == role
    secret = ada.link(session, "owner")
    assert ben("POST", "invitations/accept", body={"invitation": secret}).ok()["role"] == "owner"


def test_a_link_ends(ada: Person, ben: Person, cleo: Person, session: dict[str, Any]) -> None:
    used = ada.link(session, max_uses=1)
    ben("POST", "invitations/accept", body={"invitation": used}).ok()
    cleo("POST", "invitations/accept", body={"invitation": used}).refused(410, "invitation_used")

    revoked = ada.link(session)
    items = ada("GET", f"sessions/{session['id']}/invitations").ok()["items"]
    (fresh,) = [item["id"] for item in items if item["uses"] == 0]
    ada("DELETE", f"sessions/{session['id']}/invitations/{fresh}").ok(204)
    body = {"invitation": revoked}
    cleo("POST", "invitations/accept", body=body).refused(410, "invitation_revoked")
    cleo("POST", "invitations/accept", body={"invitation": "x" * 30}).refused(404, "not_found")
    cleo("GET", f"sessions/{session['id']}").refused(404, "not_found")


def test_a_link_expires(ada: Person, ben: Person, session: dict[str, Any]) -> None:
    secret = ada.link(session, expires_in=1, max_uses=100)

    def expired() -> bool:
        answer = ben("POST", "invitations/accept", body={"invitation": secret})
        if answer.status == 200:
            ada("DELETE", f"sessions/{session['id']}/members/{ben.username}").ok(204)
            return False
        answer.refused(410, "invitation_expired")
        return True

    wait_until(expired, timeout=10, what="the invitation to expire", interval=0.2)


def test_a_link_for_one_is_used_by_one(ada: Person, session: dict[str, Any], api: Api) -> None:
    secret = ada.link(session, max_uses=1)
    people = [api.register("guest") for _ in range(4)]

    def accept(person: Person) -> int:
        return person("POST", "invitations/accept", body={"invitation": secret}).status

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(accept, people)) == [200, 410, 410, 410]


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": "admin"},
        {"expires_in": 0},
        {"expires_in": -5},
        {"max_uses": 0},
        {"expires_in": 1e3},
    ],
    ids=json.dumps,
)
def test_an_invitation_has_rules(
    ada: Person, session: dict[str, Any], wrong: dict[str, Any]
) -> None:
    body = {"session_id": session["id"], "role": "viewer", **wrong}
    ada("POST", "sessions/invite", body=body).refused(400, "invalid_request")


def test_only_an_owner_invites(ada: Person, ben: Person, session: dict[str, Any]) -> None:
    ada.add(session, ben, "editor")
    body = {"session_id": session["id"], "role": "viewer"}
    ben("POST", "sessions/invite", body=body).refused(403, "role_required")
    ben("GET", f"sessions/{session['id']}/invitations").refused(403, "role_required")


def test_the_link_leads_a_browser_to_log_in(ada: Person, session: dict[str, Any], api: Api) -> None:
    secret = ada.link(session)
    answer = api("GET", "join", query={"invitation": secret})
    assert answer.status in (200, 302)
    if answer.status == 302:
        assert "login" in answer.headers["Location"]
    nonsense = api("GET", "join", query={"invitation": "nonsense"})
    assert nonsense.status in (302, 404)
    assert b"Traceback" not in nonsense.body


# ---------------------------------------------------------------- activity and events


def test_what_was_done_is_kept(ada: Person, ben: Person, session: dict[str, Any]) -> None:
    ada.add(session, ben, "viewer")
    ada.set_role(session, ben, "editor").ok()
    ada("DELETE", f"sessions/{session['id']}/members/{ben.username}").ok(204)
    items = ada("GET", f"sessions/{session['id']}/activity").ok()["items"]
    assert len(items) >= 3
    assert {item["actor"] for item in items} == {ada.username}
    assert ben.username in json.dumps(items)


def test_activity_is_for_owners(ada: Person, ben: Person, session: dict[str, Any]) -> None:
    ada.add(session, ben, "editor")
    ben("GET", f"sessions/{session['id']}/activity").refused(403, "role_required")
