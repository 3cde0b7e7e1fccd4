"""Making, showing, moving and ending sessions."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_collab_ai.errors import (
    AdminRequired,
    CollabError,
    DocumentTooLarge,
    InvalidRequest,
    LastOwner,
    Locked,
    NotFound,
    PathExists,
    PathShared,
    RoleRequired,
)
from jupyter_collab_ai.sessions import store
from jupyter_collab_ai.sessions.contents import MAX_CONTENT
from jupyter_collab_ai.sessions.roles import Role

# ---------------------------------------------------------------- making


async def test_a_session_has_what_the_contract_says(house, ada):
    session = await house.share(ada, "Lecture 1", content="x = 1\n")
    assert session == {
        "id": session["id"],
        "name": "Lecture 1",
        "path": "users/ada/Lecture 1.py",
        "type": "file",
        "role": "owner",
        "owner": {
            "id": ada.user_id,
            "username": "ada",
            "display_name": "Ada",
            "color": "#000000",
            "is_admin": False,
            "is_active": True,
            "created_at": session["owner"]["created_at"],
        },
        "member_count": 1,
        "created_at": session["created_at"],
        "updated_at": session["created_at"],
        "lock": None,
    }
    assert session["created_at"].endswith("Z")
    assert (house.root / session["path"]).read_text() == "x = 1\n"
    assert await house.audit(session) == [("ada", "session_created", session["path"])]


async def test_what_is_there_is_shared_as_it_is(house, ada):
    (house.root / "users/ada/old.py").write_text("old\n")
    (house.root / "users/ada/folder").mkdir()
    with pytest.raises(PathExists):
        await house.share(ada, "old", content="new\n")
    session = await house.share(ada, "old")
    assert (session["path"], session["type"]) == ("users/ada/old.py", "file")
    assert (house.root / session["path"]).read_text() == "old\n"
    folder = await house.share(ada, "x", path="users/ada/folder")
    assert folder["type"] == "directory"


async def test_two_sessions_never_overlap(house, ada):
    await house.share(ada, "a", path="users/ada/a", type_="directory")
    for path in ("users/ada/a", "users/ada/a/b", "users/ada/a/b/c.py", "users/ada"):
        with pytest.raises(PathShared):
            await house.share(ada, "x", path=path)
    for path in ("users/ada/ab", "users/ada/a.py", "users/ada/b/a"):
        await house.share(ada, "x", path=path)


async def test_of_two_at_once_one_wins_and_keeps_its_text(house, ada):
    paths = ["users/ada/f/x.py", "users/ada/f", "users/ada/f/x.py", "users/ada/f/y.py"]
    kinds = [None, "directory", None, None]
    made = await asyncio.gather(
        *(
            house.share(
                ada,
                f"s{number}",
                path=path,
                type_=kind,
                content=None if kind else f"{number}\n",
            )
            for number, (path, kind) in enumerate(zip(paths, kinds, strict=True))
        ),
        return_exceptions=True,
    )
    won = [each for each in made if isinstance(each, dict)]
    lost = [each for each in made if not isinstance(each, dict)]
    assert all(isinstance(each, PathShared | PathExists) for each in lost), lost
    assert won
    for one in won:
        for other in won:
            assert one is other or not (one["path"] + "/").startswith(other["path"] + "/")
        if one["type"] == "file":
            assert (house.root / one["path"]).read_text() == one["name"][1:] + "\n"
    page = await house.sessions.page(ada, limit=10)
    assert {each["id"] for each in page["items"]} == {each["id"] for each in won}


async def test_who_comes_second_does_not_write_into_the_file_of_the_first(house, ada):
    made = await asyncio.gather(
        *(house.share(ada, "same", content=f"{number}\n") for number in range(10)),
        return_exceptions=True,
    )
    (won,) = [number for number, each in enumerate(made) if isinstance(each, dict)]
    assert (house.root / "users/ada/same.py").read_text() == f"{won}\n"


async def test_without_its_file_there_is_no_session(house, ada):
    (house.root / "users/ada/file.py").write_text("")
    with pytest.raises(PathExists):
        await house.share(ada, "x", path="users/ada/file.py/inside.py")
    assert (await house.sessions.page(ada, limit=10))["items"] == []
    standing = await house.sessions.standing(ada, "users/ada/file.py/inside.py")
    assert standing.session_id is None


@pytest.mark.parametrize(
    ("more", "error", "field"),
    [
        ({"path": "users/ada/../x"}, InvalidRequest, "path"),
        ({"path": "users/ada/x.py", "type_": "notebook"}, InvalidRequest, "type"),
        ({"type_": "notebook", "content": "{}"}, InvalidRequest, "content"),
        ({"type_": "directory", "content": "x"}, InvalidRequest, "content"),
        ({"content": "x" * (MAX_CONTENT + 1)}, DocumentTooLarge, None),
    ],
)
async def test_what_can_not_be_made_leaves_nothing(house, ada, more, error, field):
    with pytest.raises(error) as caught:
        await house.share(ada, "x", **more)
    assert [each.field for each in caught.value.errors] == ([field] if field else [])
    assert list((house.root / "users/ada").iterdir()) == []
    assert (await house.sessions.page(ada, limit=10))["items"] == []


async def test_only_what_lies_at_home_can_be_shared(house, ada, ben, admin):
    (house.root / "data.py").write_text("")
    shared = await house.share(admin, "d", path="data.py")
    await house.add(shared, ada, Role.EDITOR)
    with pytest.raises(AdminRequired):
        await house.share(ada, "x", path="data.py")
    for path in ("other.py", "users", "users/ben/x.py", "users/adam/x.py", "users/ben"):
        with pytest.raises(NotFound):
            await house.share(ada, "x", path=path)


async def test_nobody_shares_the_folder_of_all_folders(house, admin):
    with pytest.raises(InvalidRequest) as caught:
        await house.share(admin, "x", path="users")
    assert caught.value.errors[0].field == "path"


async def test_an_admin_shares_at_a_home_without_taking_it_away(house, ada, ben, admin):
    session = await house.share(admin, "x", path="users/ada/x.py")
    assert await house.roles(session) == {"root": "owner", "ada": "owner"}
    assert session["owner"]["username"] == "root"
    assert (await house.sessions.standing(ada, "users/ada/x.py")).role is Role.OWNER
    elsewhere = await house.share(admin, "y", path="data/y.py")
    assert await house.roles(elsewhere) == {"root": "owner"}


async def test_nothing_is_shared_through_a_link(house, ada, ben):
    (house.root / "users/ben/secret.py").write_text("secret\n")
    (house.root / "users/ada/mine.py").symlink_to(house.root / "users/ben/secret.py")
    with pytest.raises(InvalidRequest):
        await house.share(ada, "x", path="users/ada/mine.py")
    session = await house.share(ada, "y")
    with pytest.raises(InvalidRequest):
        await house.sessions.update(ada, session["id"], path="users/ada/mine.py")


# ---------------------------------------------------------------- showing


async def test_sessions_come_in_pages_newest_first(house, ada, ben, admin):
    made = [(await house.share(ada, f"s{number}"))["id"] for number in range(7)]
    await house.share(ben, "his")
    seen, after = [], None
    while True:
        page = await house.sessions.page(ada, limit=3, after=after)
        seen += [item["id"] for item in page["items"]]
        if len(seen) == 3:
            # what is made while one turns the pages does not move them
            await house.share(ada, "later")
        after = page["next"]
        if after is None:
            break
        assert after.replace("-", "").replace("_", "").isalnum()
    assert seen == made[::-1]
    everybody = await house.sessions.page(admin, limit=100, everybody=True)
    assert len(everybody["items"]) == 9
    assert {item["role"] for item in everybody["items"]} == {None}
    assert (await house.sessions.page(admin, limit=100))["items"] == []
    with pytest.raises(AdminRequired):
        await house.sessions.page(ada, limit=100, everybody=True)


@pytest.mark.parametrize("after", ["", "x", "é", "AAAA", "bm90IGEgdGltZX54", "a\0b", "=" * 9])
async def test_a_cursor_that_is_none_is_refused(house, ada, after):
    with pytest.raises(InvalidRequest) as caught:
        await house.sessions.page(ada, limit=3, after=after)
    assert caught.value.errors[0].field == "after"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("übung", ["Übung 1", "übung 2"]),
        ("ÜBUNG 1", ["Übung 1"]),
        ("U\u0308bung", ["Übung 1", "übung 2"]),
        ("", ["100 %", "snake_case", "Übung 1", "übung 2"]),
        ("%", ["100 %"]),
        ("_", ["snake_case"]),
        ("users/ada", ["100 %", "snake_case", "Übung 1", "übung 2"]),
        ("\\", []),
        ("\0", []),
    ],
)
async def test_sessions_are_found_by_name_and_path(house, ada, query, found):
    for number, name in enumerate(("Übung 1", "übung 2", "100 %", "snake_case")):
        await house.share(ada, name, path=f"users/ada/{number}.py")
    page = await house.sessions.page(ada, limit=10, query=query)
    assert sorted(item["name"] for item in page["items"]) == sorted(found)


async def test_what_is_found_comes_in_pages_too(house, ada, monkeypatch):
    monkeypatch.setattr(store, "_BATCH", 2)
    for number in range(7):
        await house.share(ada, f"{'odd' if number % 2 else 'even'}{number}")
    first = await house.sessions.page(ada, limit=2, query="EVEN")
    rest = await house.sessions.page(ada, limit=2, query="EVEN", after=first["next"])
    assert [item["name"] for page in (first, rest) for item in page["items"]] == [
        "even6",
        "even4",
        "even2",
        "even0",
    ]
    assert rest["next"] is None


async def test_the_summary_is_that_of_each_session(house, ada, ben, cleo):
    one, two = await house.share(ada, "one"), await house.share(ben, "two")
    await house.add(one, ben, Role.VIEWER)
    await house.add(two, cleo, Role.EDITOR)
    house.locks.of_session[one["id"]] = {"id": "lock"}
    items = {item["id"]: item for item in (await house.sessions.page(ben, limit=9))["items"]}
    assert [
        (item["role"], item["owner"]["username"], item["member_count"], item["lock"])
        for item in (items[one["id"]], items[two["id"]])
    ] == [("viewer", "ada", 2, {"id": "lock"}), ("owner", "ben", 2, None)]


# ---------------------------------------------------------------- moving


async def test_a_move_takes_file_members_and_documents_along(house, ada, ben):
    session = await house.share(ada, content="x\n")
    await house.add(session, ben, Role.EDITOR)
    moved = await house.sessions.update(
        ada, session["id"], name="New", path="users/ada/deep/new.py"
    )
    assert (moved["id"], moved["name"], moved["path"]) == (
        session["id"],
        "New",
        "users/ada/deep/new.py",
    )
    assert (house.root / moved["path"]).read_text() == "x\n"
    assert not (house.root / session["path"]).exists()
    assert house.moves.told == [("renamed", session["path"], moved["path"])]
    assert await house.roles(session) == {"ada": "owner", "ben": "editor"}
    assert [action for _, action, _ in await house.audit(session)] == [
        "session_created",
        "session_moved",
        "session_renamed",
    ]


@pytest.mark.parametrize("by", ["session", "contents"])
async def test_nobody_is_turned_away_while_it_moves(house, ada, ben, by):
    """Live documents follow after the session: until then their rights are asked at the old path.

    Whoever is told of the change asks at once, and must not hear that they are no members.
    """
    session = await house.share(ada, "f", type_="directory")
    await house.add(session, ben, Role.EDITOR)
    old, new = session["path"], "users/ada/g"
    answers = []

    async def ask(*_):
        answers.append((await house.sessions.standing(ben, f"{old}/x.py")).role)
        answers.append((await house.sessions.standing(ben, f"{new}/x.py")).role)

    tasks = []
    house.sessions.watch(lambda *_: tasks.append(asyncio.ensure_future(ask())))
    house.moves.meanwhile = ask
    if by == "session":
        await house.sessions.update(ada, session["id"], path=new)
    else:
        (house.root / old).rename(house.root / new)
        await house.sessions.renamed(old, new)
    await asyncio.gather(*tasks)
    assert len(answers) >= 4
    assert set(answers) == {Role.EDITOR}
    assert (await house.sessions.standing(ben, f"{old}/x.py")).role is None
    assert (await house.sessions.standing(ben, f"{new}/x.py")).role is Role.EDITOR


async def test_a_move_that_fails_leaves_all_where_it_was(house, ada, ben):
    session = await house.share(ada, content="x\n")
    await house.add(session, ben, Role.EDITOR)

    async def fail():
        raise RuntimeError("the rooms could not follow")

    house.moves.meanwhile = fail
    with pytest.raises(RuntimeError):
        await house.sessions.update(ada, session["id"], path="users/ada/new.py")
    assert (house.root / session["path"]).read_text() == "x\n"
    assert not (house.root / "users/ada/new.py").exists()
    assert (await house.sessions.standing(ben, session["path"])).role is Role.EDITOR
    assert (await house.sessions.standing(ben, "users/ada/new.py")).role is None

    house.moves.meanwhile = None
    (house.root / session["path"]).unlink()
    with pytest.raises(NotFound):
        await house.sessions.update(ada, session["id"], path="users/ada/new.py")
    found, _ = await house.sessions.standing_in(ada, session["id"])
    assert found.path == session["path"]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("users/ada/other.py", PathShared),
        ("users/ada/there.py", PathExists),
        ("users/ada/folder/in.py", PathShared),
        ("users/ada/notes.py/in.py", InvalidRequest),
        ("users/ada/notes.ipynb", InvalidRequest),
        ("users/ada/../x.py", InvalidRequest),
        ("users/ben/x.py", NotFound),
        ("users", NotFound),
        ("x.py", NotFound),
    ],
)
async def test_where_a_session_can_not_go(house, ada, ben, path, error):
    session = await house.share(ada)
    await house.share(ada, "other")
    await house.share(ada, "folder", type_="directory")
    (house.root / "users/ada/there.py").write_text("there\n")
    with pytest.raises(error):
        await house.sessions.update(ada, session["id"], path=path)
    found, _ = await house.sessions.standing_in(ada, session["id"])
    assert found.path == session["path"]
    assert (house.root / session["path"]).exists()
    assert (house.root / "users/ada/there.py").read_text() == "there\n"


async def test_a_home_stays_where_it_is(house, ada, admin):
    session = await house.share(ada, "all", path="users/ada")
    with pytest.raises(InvalidRequest):
        await house.sessions.update(admin, session["id"], path="elsewhere")
    (house.root / "users/ada/x.py").write_text("")
    await house.sessions.delete(ada, session["id"], delete_files=True)
    assert (house.root / "users/ada").is_dir()
    assert not (house.root / "users/ada/x.py").exists()


async def test_what_an_admin_moves_to_a_home_is_its_owners_too(house, ada, ben, admin):
    session = await house.share(admin, "x", path="data/x.py")
    await house.add(session, ada, Role.VIEWER)
    await house.sessions.update(admin, session["id"], path="users/ada/x.py")
    assert (await house.roles(session))["ada"] == "owner"


async def test_two_moves_to_one_place(house, ada):
    sessions = [await house.share(ada, f"s{number}") for number in range(4)]
    moved = await asyncio.gather(
        *(house.sessions.update(ada, each["id"], path="users/ada/goal.py") for each in sessions),
        return_exceptions=True,
    )
    (won,) = [each for each in moved if isinstance(each, dict)]
    assert all(isinstance(each, dict | PathShared | PathExists) for each in moved)
    for session in sessions:
        found, _ = await house.sessions.standing_in(ada, session["id"])
        assert (found.path == "users/ada/goal.py") == (found.id == won["id"])
        assert (house.root / found.path).exists()


async def test_what_the_ai_writes_in_stays(house, ada):
    session = await house.share(ada)
    house.locks.of_path[session["path"]] = {"id": "lock"}
    with pytest.raises(Locked) as caught:
        await house.sessions.update(ada, session["id"], path="users/ada/new.py")
    assert caught.value.extra == {"lock": {"id": "lock"}}
    with pytest.raises(Locked):
        await house.sessions.delete(ada, session["id"], delete_files=True)
    assert (house.root / session["path"]).exists()
    await house.sessions.delete(ada, session["id"])


# ---------------------------------------------------------------- following


async def test_sessions_follow_what_is_moved_by_other_means(house, ada, ben):
    inside = await house.share(ada, "x", path="users/ada/f/x.py")
    beside = await house.share(ada, "y", path="users/ada/f2.py")
    await house.add(inside, ben, Role.EDITOR)
    (house.root / "users/ada/f").rename(house.root / "users/ada/g")
    await house.sessions.renamed("users/ada/f", "users/ada/g")
    paths = {item["path"] for item in (await house.sessions.page(ada, limit=9))["items"]}
    assert paths == {"users/ada/g/x.py", beside["path"]}
    assert (await house.sessions.standing(ben, "users/ada/g/x.py")).role is Role.EDITOR
    assert house.moves.told == [("renamed", "users/ada/f", "users/ada/g")]
    await house.sessions.renamed("users/ada/g/x.py", "users/ada/g/x.ipynb")
    found, _ = await house.sessions.standing_in(ada, inside["id"])
    assert (found.path, found.type) == ("users/ada/g/x.ipynb", "notebook")


async def test_a_move_that_would_make_two_overlap_is_refused(house, ada):
    await house.share(ada, "f", type_="directory")
    session = await house.share(ada, "x")
    for new in ("users/ada/f/x.py", "users/ada/f", "users/ada/.x.py", "users/ada/" + "x" * 300):
        assert not await house.sessions.may_move(session["path"], new)
        with pytest.raises(PathShared):
            await house.sessions.renamed(session["path"], new)
    assert await house.sessions.may_move(session["path"], "users/ada/free.py")
    assert await house.sessions.may_move("users/ada/unshared.py", "users/ada/f/y.py")
    # within itself everything moves together
    assert await house.sessions.may_move("users/ada/f", "users/ada/f/g")
    assert house.moves.told == []


async def test_when_documents_can_not_follow_sessions_do_not(house, ada):
    session = await house.share(ada)

    async def fail():
        raise RuntimeError

    house.moves.meanwhile = fail
    with pytest.raises(RuntimeError):
        await house.sessions.renamed(session["path"], "users/ada/new.py")
    found, _ = await house.sessions.standing_in(ada, session["id"])
    assert found.path == session["path"]


async def test_sessions_end_with_their_files(house, ada, ben):
    inside = await house.share(ada, "x", path="users/ada/f/x.py")
    beside = await house.share(ada, "y", path="users/ada/f2.py")
    await house.add(inside, ben, Role.EDITOR)
    heard = []
    house.sessions.watch(lambda *change: heard.append(change))
    await house.sessions.deleted("users/ada/f")
    assert (inside["id"], ben.user_id) in heard
    with pytest.raises(NotFound):
        await house.sessions.standing_in(ada, inside["id"])
    await house.sessions.standing_in(ada, beside["id"])
    assert house.moves.told == [("deleted", "users/ada/f")]
    assert (await house.audit(inside))[-1] == (None, "session_deleted", "users/ada/f/x.py")


# ---------------------------------------------------------------- ending


@pytest.mark.parametrize("delete_files", [True, False])
async def test_a_session_ends(house, ada, ben, delete_files):
    session = await house.share(ada, "f", type_="directory")
    (house.root / "users/ada/f/x.py").write_text("")
    await house.add(session, ben, Role.EDITOR)
    await house.invitations.invite(ada, session["id"], Role.VIEWER)
    with pytest.raises(RoleRequired):
        await house.sessions.delete(ben, session["id"], delete_files=delete_files)
    heard = []
    house.sessions.watch(lambda *change: heard.append(change))
    await house.sessions.delete(ada, session["id"], delete_files=delete_files)
    assert (session["id"], ben.user_id) in heard
    assert (house.root / "users/ada/f/x.py").exists() is not delete_files
    assert house.moves.told == ([("deleted", "users/ada/f")] if delete_files else [])
    for person in (ada, ben):
        with pytest.raises(NotFound):
            await house.sessions.standing_in(person, session["id"])
    assert (await house.audit(session))[-1] == ("ada", "session_deleted", "users/ada/f")
    again = await house.share(ada, "f", type_="directory")
    assert again["id"] != session["id"]


# ---------------------------------------------------------------- rights


@pytest.mark.parametrize(
    ("role", "error"), [(Role.EDITOR, RoleRequired), (Role.VIEWER, RoleRequired), (None, NotFound)]
)
async def test_what_is_an_owners_is_refused_to_others(house, ada, ben, cleo, role, error):
    session = await house.share(ada)
    if role is not None:
        await house.add(session, ben, role)
    await house.add(session, cleo, Role.VIEWER)
    id_ = session["id"]
    acts = [
        lambda: house.sessions.update(ben, id_, name="mine"),
        lambda: house.sessions.update(ben, id_, path="users/ben/mine.py"),
        lambda: house.sessions.delete(ben, id_),
        lambda: house.sessions.delete(ben, id_, delete_files=True),
        lambda: house.sessions.activity(ben, id_, limit=9),
        lambda: house.members.set_role(ben, id_, "ben", Role.OWNER),
        lambda: house.members.set_role(ben, id_, "nobody", Role.OWNER),
        lambda: house.members.remove(ben, id_, "cleo"),
        lambda: house.members.remove(ben, id_, "nobody"),
        lambda: house.invitations.invite(ben, id_, Role.VIEWER),
        lambda: house.invitations.open(ben, id_),
        lambda: house.invitations.revoke(ben, id_, "none"),
    ]
    before = (await house.roles(session), await house.audit(session))
    for act in acts:
        with pytest.raises(CollabError) as caught:
            await act()
        assert type(caught.value) is error
    assert (await house.roles(session), await house.audit(session)) == before


async def test_an_admin_does_it_all_and_it_is_written_down(house, ada, ben, cleo, admin):
    session = await house.share(ada)
    id_ = session["id"]
    await house.sessions.update(admin, id_, name="theirs")
    await house.sessions.update(admin, id_, path="data/theirs.py")
    await house.invitations.invite(admin, id_, Role.VIEWER, username="ben")
    await house.members.set_role(admin, id_, "ben", Role.EDITOR)
    await house.members.remove(admin, id_, "ben")
    page = await house.sessions.activity(admin, id_, limit=100)
    assert [(item["actor"], item["action"]) for item in page["items"]][::-1] == [
        ("ada", "session_created"),
        ("root", "session_renamed"),
        ("root", "session_moved"),
        ("root", "member_added"),
        ("root", "role_changed"),
        ("root", "member_removed"),
    ]
    await house.sessions.delete(admin, id_, delete_files=True)


async def test_activity_comes_in_pages(house, ada):
    session = await house.share(ada)
    for number in range(5):
        await house.sessions.update(ada, session["id"], name=f"n{number}")
    seen, after = [], None
    while True:
        page = await house.sessions.activity(ada, session["id"], limit=2, after=after)
        seen += [item["target"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == ["n4", "n3", "n2", "n1", "n0", session["path"]]
    for wrong in ("", "x", "-1", "1" * 30, "²", "1\0"):
        with pytest.raises(InvalidRequest):
            await house.sessions.activity(ada, session["id"], limit=2, after=wrong)


# ---------------------------------------------------------------- accounts


async def test_an_account_that_others_need_can_not_be_deleted(house, ada, ben):
    await house.sessions.may_delete(ada.user_id)
    session = await house.share(ada)
    await house.sessions.may_delete(ada.user_id)
    await house.add(session, ben, Role.EDITOR)
    with pytest.raises(LastOwner):
        await house.sessions.may_delete(ada.user_id)
    await house.sessions.may_delete(ben.user_id)
    await house.members.set_role(ada, session["id"], "ben", Role.OWNER)
    await house.sessions.may_delete(ada.user_id)


async def test_sessions_of_nobody_end(house, ada, ben, admin):
    from sqlalchemy import delete

    from jupyter_collab_ai.storage.tables import users

    hers, his = await house.share(ada), await house.share(ben)
    await house.database.write(
        lambda tx: tx.execute(delete(users).where(users.c.id == ada.user_id))
    )
    await house.sessions.end_abandoned()
    with pytest.raises(NotFound):
        await house.sessions.standing_in(admin, hers["id"])
    await house.sessions.standing_in(admin, his["id"])
    assert (await house.audit(hers))[-1] == (None, "session_deleted", hers["path"])
