"""Who is what where, now, and on every server."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_collab_ai.errors import NotFound, PathShared, RoleRequired
from jupyter_collab_ai.sessions import store
from jupyter_collab_ai.sessions.paths import home_of, is_within
from jupyter_collab_ai.sessions.roles import Capability, Role
from jupyter_collab_ai.sessions.standings import Standings
from jupyter_collab_ai.storage.database import Database
from tests.sessions.conftest import House, until


async def test_everybody_is_owner_at_home_and_nobody_elsewhere(house, ada, ben, admin):
    for path in ("users/ada", "users/ada/x.py", "users/ada/deep/er"):
        assert (await house.sessions.standing(ada, path)).role is Role.OWNER
        assert (await house.sessions.standing(ben, path)).role is None
        assert (await house.sessions.standing(admin, path)).as_admin
    for path in ("users", "users/adam", "users/ad", "data", "users/ben"):
        standing = await house.sessions.standing(ada, path)
        assert not any(standing.may(capability) for capability in Capability)


async def test_a_session_gives_its_role_at_and_below_its_path(house, ada, ben, admin):
    session = await house.share(ada, "f", type_="directory")
    await house.add(session, ben, Role.VIEWER)
    for path in ("users/ada/f", "users/ada/f/x.py", "users/ada/f/g/y.py"):
        standing = await house.sessions.standing(ben, path)
        assert (standing.role, standing.session_id) == (Role.VIEWER, session["id"])
        standing = await house.sessions.standing(ada, path)
        assert (standing.role, standing.session_id) == (Role.OWNER, session["id"])
        standing = await house.sessions.standing(admin, path)
        assert (standing.role, standing.as_admin) == (None, True)
    for path in ("users/ada", "users/ada/f2", "users/ada/f.py", "users/ada/x.py"):
        assert (await house.sessions.standing(ben, path)).role is None


async def test_in_a_session_at_home_the_membership_decides(house, ada, ben):
    session = await house.share(ada)
    await house.add(session, ben, Role.OWNER)
    # (Nobody can do that to her; see the members' own tests.)
    await house.add(session, ada, Role.VIEWER)
    standing = await house.sessions.standing(ada, session["path"])
    assert standing.role is Role.VIEWER
    await house.database.write(lambda tx: store.remove_member(tx, session["id"], ada.user_id))
    assert (await house.sessions.standing(ada, session["path"])).role is None
    await house.sessions.delete(ben, session["id"])
    assert (await house.sessions.standing(ada, session["path"])).role is Role.OWNER


async def test_a_standing_in_a_transaction(house, ada, ben, cleo, admin):
    session = await house.share(ada)
    await house.add(session, ben, Role.VIEWER)

    async def roles(person):
        def write(tx):
            at = house.sessions.look_at(tx, person, session["path"], keep=True)
            _, within = house.sessions.look_in(tx, person, session["id"], keep=True)
            assert at == within
            return at

        return await house.database.write(write)

    assert (await roles(ada)).role is Role.OWNER
    assert (await roles(ben)).role is Role.VIEWER
    assert (await roles(admin)).as_admin
    with pytest.raises(NotFound):
        await roles(cleo)
    home = await house.database.write(
        lambda tx: house.sessions.look_at(tx, cleo, "users/cleo/x.py", keep=True)
    )
    assert (home.role, home.session_id) == (Role.OWNER, None)


@pytest.mark.parametrize("what", ["demote", "remove", "end the session"])
async def test_a_standing_in_a_transaction_holds_until_its_end(house, ada, ben, what):
    session = await house.share(ada)
    await house.add(session, ben, Role.EDITOR)
    order = []
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def record(tx):
        standing = house.sessions.look_at(tx, ben, session["path"], keep=True)
        assert standing.may(Capability.WRITE)
        loop.call_soon_threadsafe(asked.set)
        time.sleep(0.2)  # for the other one to come in between
        order.append("recorded")

    async def lose():
        await asked.wait()
        if what == "demote":
            await house.members.set_role(ada, session["id"], "ben", Role.VIEWER)
        elif what == "remove":
            await house.members.remove(ada, session["id"], "ben")
        else:
            await house.sessions.delete(ada, session["id"])
        order.append("lost")

    await asyncio.gather(house.database.write(record), lose())
    assert order == ["recorded", "lost"]


async def test_what_is_known_is_forgotten_when_it_changes(house, ada, ben):
    session = await house.share(ada)
    path = session["path"]

    async def role():
        first = (await house.sessions.standing(ben, path)).role
        assert (await house.sessions.standing(ben, path)).role is first
        return first

    assert await role() is None
    await house.add(session, ben, Role.EDITOR)
    assert await role() is Role.EDITOR
    await house.members.set_role(ada, session["id"], "ben", Role.VIEWER)
    assert await role() is Role.VIEWER
    assert await house.sessions.visible_paths(ben) == ("users/ada/notes.py", "users/ben")
    moved = await house.sessions.update(ada, session["id"], path="users/ada/new.py")
    assert await role() is None
    assert (await house.sessions.standing(ben, moved["path"])).role is Role.VIEWER
    assert await house.sessions.visible_paths(ben) == ("users/ada/new.py", "users/ben")
    await house.members.remove(ada, session["id"], "ben")
    assert (await house.sessions.standing(ben, moved["path"])).role is None
    assert await house.sessions.visible_paths(ben) == ("users/ben",)


async def test_it_is_asked_once_while_nothing_changes(house, ada, monkeypatch):
    session = await house.share(ada)
    await house.sessions.standing(ada, session["path"])
    await house.sessions.visible_paths(ada)

    async def refuse(function):
        raise AssertionError("asked again")

    monkeypatch.setattr(house.database, "read", refuse)
    assert (await house.sessions.standing(ada, session["path"])).role is Role.OWNER
    assert session["path"] in await house.sessions.visible_paths(ada)


async def test_many_are_asked_for_at_once(house, ada, ben, cleo, admin, monkeypatch):
    session = await house.share(ada, "f", type_="directory")
    await house.add(session, ben, Role.VIEWER)
    everybody = [cleo, ben, admin, ada, ben]
    reads = []
    read = house.database.read

    async def counted(function):
        reads.append(function)
        return await read(function)

    for path in ("users/ada/f/x.py", "users/ada/f", "users/ben/y.py", "data"):
        house.sessions._forget()
        monkeypatch.setattr(house.database, "read", counted)
        together = await house.sessions.standings(everybody, path)
        assert together == await house.sessions.standings(everybody, path)
        assert len(reads) == 1, "asked once, and remembered"
        monkeypatch.undo()
        reads.clear()
        house.sessions._forget()
        assert together == [await house.sessions.standing(each, path) for each in everybody]


async def test_another_server_hears_of_changes(house, ada, ben):
    session = await house.share(ada)
    await house.add(session, ben, Role.EDITOR)
    other = Database(house.database.url)
    await other.open()
    try:
        standings = Standings(other)
        heard = []
        await until(lambda: other.changes.live)
        standings.watch(lambda *change: heard.append(change))
        assert (await standings.standing(ben, session["path"])).role is Role.EDITOR
        await house.members.set_role(ada, session["id"], "ben", Role.VIEWER)
        await until(lambda: (session["id"], ben.user_id) in heard)
        assert (await standings.standing(ben, session["path"])).role is Role.VIEWER
        heard.clear()
        await house.sessions.delete(ada, session["id"])
        await until(lambda: (None, None) in heard)
        assert (await standings.standing(ben, session["path"])).role is None
    finally:
        await other.close()


async def test_who_watches_is_told_before_the_change_is_answered(house, ada, ben):
    session = await house.share(ada)
    await house.add(session, ben, Role.EDITOR)
    heard = []
    stop = house.sessions.watch(lambda *change: heard.append(change))
    await house.members.set_role(ada, session["id"], "ben", Role.VIEWER)
    assert heard == [(session["id"], ben.user_id)]
    stop()
    await house.members.remove(ada, session["id"], "ben")
    assert len(heard) == 1


async def test_a_session_is_found_by_members_and_admins_alone(house, ada, ben, cleo, admin):
    session = await house.share(ada)
    await house.add(session, ben, Role.VIEWER)
    for person in (ada, ben, admin):
        found, _ = await house.sessions.standing_in(person, session["id"])
        assert found.id == session["id"]
    with pytest.raises(NotFound) as refused:
        await house.sessions.standing_in(cleo, session["id"])
    for unknown in ("none", "", "a/b", "x" * 10_000, "a\0b", "' or 1=1 --", "é"):
        with pytest.raises(NotFound) as missing:
            await house.sessions.standing_in(cleo, unknown)
        assert missing.value.message == refused.value.message


async def test_who_was_demoted_meanwhile_changes_nothing(house, ada, ben):
    """The role is that of the moment of the change, not of the moment of the question."""
    session = await house.share(ada)
    await house.add(session, ben, Role.OWNER)
    asked = asyncio.Event()
    demoted = asyncio.Event()
    require_in = house.sessions.require_in

    async def slow(principal, session_id, capability):
        found = await require_in(principal, session_id, capability)
        asked.set()
        await demoted.wait()
        return found

    house.sessions.require_in = slow
    late = asyncio.create_task(
        house.invitations.invite(ben, session["id"], Role.EDITOR, max_uses=100)
    )
    await asked.wait()
    house.sessions.require_in = require_in
    await house.members.set_role(ada, session["id"], "ben", Role.VIEWER)
    demoted.set()
    with pytest.raises(RoleRequired):
        await late
    assert await house.invitations.open(ada, session["id"]) == []


NAMES = ("a", "ab", "a/b", "a/bc", "b", "a/b/c")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    shared=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
    roles=st.lists(st.sampled_from([*Role, None]), min_size=4, max_size=4),
    asked=st.sampled_from((*NAMES, "a/b/c/d", "abc", "c")),
)
def test_a_role_reaches_as_far_as_its_session(tmp_path_factory, shared, roles, asked):
    """Against a model: the role at a path is that of the one session that holds it."""

    async def run():
        folder = tmp_path_factory.mktemp("plan")
        (folder / "root").mkdir()
        database = Database(f"sqlite:///{folder / 'collab.db'}")
        await database.open()
        try:
            house = House(database, folder / "root")
            ada, ben = await house.person("ada"), await house.person("ben")
            model = {}
            for name, role in zip(shared, roles, strict=False):
                path = f"{home_of('ada')}/{name}"
                overlaps = any(is_within(path, each) or is_within(each, path) for each in model)
                try:
                    session = await house.share(ada, "x", path=path, type_="directory")
                except PathShared:
                    assert overlaps
                    continue
                assert not overlaps
                model[path] = role
                if role is not None:
                    await house.add(session, ben, role)
            path = f"{home_of('ada')}/{asked}"
            expected = next(
                (role for folder, role in model.items() if is_within(path, folder)), None
            )
            assert (await house.sessions.standing(ben, path)).role is expected
            assert (await house.sessions.standing(ada, path)).role is Role.OWNER
        finally:
            await database.close()

    asyncio.run(run())
