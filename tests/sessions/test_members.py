"""Members: seen by all of them, changed by owners, and never without one."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_collab_ai.errors import LastOwner, NotFound
from jupyter_collab_ai.sessions.roles import Role


async def elsewhere(house, admin, person):
    """Share something that lies in nobody's own folder, and hand it over."""
    session = await house.share(admin, "notes", path="data/notes.py")
    await house.add(session, person, Role.OWNER)
    await house.members.remove(admin, session["id"], admin.username)
    return session


async def test_members_are_listed_with_who_is_online(house, ada, ben, cleo):
    session = await house.share(ada)
    await house.add(session, ben, Role.VIEWER)
    house.presence.here[session["id"]] = {ben.user_id}
    items = await house.members.all(ben, session["id"])
    assert [(item["user"]["username"], item["role"], item["online"]) for item in items] == [
        ("ada", "owner", False),
        ("ben", "viewer", True),
    ]
    assert items[0].keys() == {"user", "role", "joined_at", "online"}
    # what somebody's address is, is nobody else's business
    assert "email" not in items[0]["user"]
    with pytest.raises(NotFound):
        await house.members.all(cleo, session["id"])


async def test_a_role_is_changed_and_written_down_once(house, ada, ben):
    session = await house.share(ada)
    await house.add(session, ben, Role.VIEWER)
    for _ in range(2):
        answer = await house.members.set_role(ada, session["id"], "BEN", Role.EDITOR)
        assert (answer["user"]["username"], answer["role"]) == ("ben", "editor")
    assert await house.roles(session) == {"ada": "owner", "ben": "editor"}
    assert (await house.audit(session))[1:] == [("ada", "role_changed", "ben")]


@pytest.mark.parametrize("username", ["cleo", "nobody", "", "b\0n", "x" * 64, "%"])
async def test_who_is_no_member_has_no_role_to_change(house, ada, cleo, username):
    session = await house.share(ada)
    with pytest.raises(NotFound):
        await house.members.set_role(ada, session["id"], username, Role.EDITOR)
    with pytest.raises(NotFound):
        await house.members.remove(ada, session["id"], username)


async def test_everybody_may_leave_but_the_last_owner(house, ada, ben, cleo, admin):
    session = await elsewhere(house, admin, ada)
    await house.add(session, ben, Role.VIEWER)
    await house.add(session, cleo, Role.EDITOR)
    await house.members.remove(ben, session["id"], "Ben")
    with pytest.raises(LastOwner):
        await house.members.remove(ada, session["id"], "ada")
    with pytest.raises(LastOwner):
        await house.members.set_role(ada, session["id"], "ada", Role.VIEWER)
    await house.members.set_role(ada, session["id"], "ada", Role.OWNER)
    await house.members.set_role(ada, session["id"], "cleo", Role.OWNER)
    await house.members.remove(ada, session["id"], "ada")
    assert await house.roles(session) == {"cleo": "owner"}
    assert [each[1:] for each in await house.audit(session)][2:] == [
        ("member_left", "ben"),
        ("role_changed", "cleo"),
        ("member_left", "ada"),
    ]


async def test_an_owner_who_can_not_sign_in_is_none(house, ada, ben, admin):
    session = await elsewhere(house, admin, ada)
    await house.add(session, ben, Role.OWNER)
    await house.deactivate(ben)
    with pytest.raises(LastOwner):
        await house.members.remove(ada, session["id"], "ada")
    # but can be removed
    await house.members.remove(ada, session["id"], "ben")
    assert await house.roles(session) == {"ada": "owner"}


@pytest.mark.parametrize("act", ["leave", "demote", "demote each other", "remove each other"])
async def test_of_owners_who_go_at_once_one_stays(house, admin, act):
    people = [await house.person(f"owner{number}") for number in range(5)]
    session = await elsewhere(house, admin, people[0])
    for person in people[1:]:
        await house.add(session, person, Role.OWNER)
    names = [person.username for person in people]
    targets = names[1:] + names[:1] if "each other" in act else names

    async def go(person, username):
        if "demote" in act:
            await house.members.set_role(person, session["id"], username, Role.VIEWER)
        else:
            await house.members.remove(person, session["id"], username)

    await asyncio.gather(*map(go, people, targets), return_exceptions=True)
    roles = await house.roles(session)
    assert "owner" in roles.values()
    if "each other" not in act:
        assert list(roles.values()).count("owner") == 1


async def test_nobody_is_shut_out_of_their_own_folder(house, ada, ben, admin):
    session = await house.share(ada)
    await house.add(session, ben, Role.OWNER)
    for person in (ada, ben, admin):
        for role in (Role.EDITOR, Role.VIEWER):
            with pytest.raises(LastOwner, match="own folder of ada"):
                await house.members.set_role(person, session["id"], "Ada", role)
        with pytest.raises(LastOwner, match="own folder of ada"):
            await house.members.remove(person, session["id"], "Ada")
    await house.members.set_role(ben, session["id"], "ada", Role.OWNER)
    assert (await house.sessions.standing(ada, session["path"])).role is Role.OWNER
    # Others may go, and where it lies in nobody's own folder, everybody may.
    await house.sessions.update(admin, session["id"], path="data/notes.py")
    await house.members.set_role(ben, session["id"], "ada", Role.VIEWER)
    await house.members.remove(ada, session["id"], "ada")
    assert await house.roles(session) == {"ben": "owner"}


async def test_what_comes_into_somebodys_own_folder_is_theirs(house, ada, ben, admin):
    moved = await house.share(admin, "one", path="data/one.py")
    followed = await house.share(admin, "two", path="data/two.py")
    await house.add(followed, ada, Role.VIEWER)
    await house.sessions.update(admin, moved["id"], path="users/ada/one.py")
    # By whatever else moves files.
    await house.sessions.renamed("data/two.py", "users/ada/two.py")
    for session in (moved, followed):
        assert (await house.roles(session))["ada"] == "owner"
        assert ("member_added", "ada") in [each[1:] for each in await house.audit(session)]
    # An admin's own folder is one's own, too, and stays so when one is no admin any more.
    await house.sessions.update(admin, moved["id"], path="users/root/one.py")
    assert (await house.roles(moved))["root"] == "owner"
    await house.sessions.renamed("users/ada/two.py", "users/root/two.py")
    assert (await house.roles(followed))["root"] == "owner"


async def test_what_was_shared_in_a_folder_before_its_owner_came_is_theirs(house, ada, admin):
    early = await house.share(admin, "task", path="users/zoe/task.py")
    other = await house.share(admin, "other", path="users/zoe2/task.py")
    zoe = await house.person("zoe")
    assert await house.roles(early) == {"root": "owner", "zoe": "owner"}
    assert await house.roles(other) == {"root": "owner"}
    assert (await house.sessions.standing(zoe, early["path"])).role is Role.OWNER
    # Once is enough.
    await house.sessions.make_home("zoe")
    assert [each[1] for each in await house.audit(early)].count("member_added") == 1
