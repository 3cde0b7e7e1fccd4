"""Pages hear of changes of members, from whichever server, and no longer than they may."""

from __future__ import annotations

import asyncio
import contextlib

from sqlalchemy import update

from jupyter_collab_ai.errors import DatabaseUnavailable
from jupyter_collab_ai.identity.store import USER
from jupyter_collab_ai.sessions.feed import Feed
from jupyter_collab_ai.sessions.roles import Role
from jupyter_collab_ai.sessions.standings import Standings
from jupyter_collab_ai.storage.database import Database
from jupyter_collab_ai.storage.tables import users
from jupyter_collab_ai.web.events import EventHub
from tests.sessions.conftest import Logins, until


class Reader:
    """Collects what a stream says."""

    def __init__(self, feed, principal, session):
        self.events = []
        self.data = []
        self.ended = False
        self._ready = asyncio.Event()
        self.task = asyncio.create_task(self._read(feed, principal, session["id"]))

    async def _read(self, feed, principal, session_id):
        with feed.follow(principal, session_id) as reader:
            self._ready.set()
            while (event := await reader.get()) is not None:
                self.events.append((event.type, event.data["username"], event.data["role"]))
                self.data.append(event.data)
        self.ended = True

    async def __aenter__(self):
        await self._ready.wait()
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


async def test_who_comes_changes_and_goes_is_told(house, ada, ben):
    session = await house.share(ada)
    other = await house.share(ada, "other")
    async with Reader(house.feed, ada, session) as reader:
        await house.invitations.invite(ada, other["id"], Role.EDITOR, username="ben")
        await house.invitations.invite(ada, session["id"], Role.EDITOR, username="ben")
        await until(lambda: ("role", "ben", "editor") in reader.events)
        await house.members.set_role(ada, session["id"], "ben", Role.VIEWER)
        await until(lambda: ("role", "ben", "viewer") in reader.events)
        await house.members.remove(ada, session["id"], "ben")
        await until(lambda: ("member", "ben", None) in reader.events)
        assert reader.events == [
            ("member", "ben", "editor"),
            ("role", "ben", "editor"),
            ("member", "ben", "viewer"),
            ("role", "ben", "viewer"),
            ("member", "ben", None),
        ]
        assert not reader.ended


async def test_the_last_event_is_true_however_fast_roles_change(house, ada, ben):
    session = await house.share(ada)
    await house.add(session, ben, Role.VIEWER)
    async with Reader(house.feed, ada, session) as reader:
        for number in range(40):
            role = (Role.EDITOR, Role.VIEWER)[number % 2]
            await house.members.set_role(ada, session["id"], "ben", role)
        await house.members.set_role(ada, session["id"], "ben", Role.OWNER)
        await until(lambda: ("role", "ben", "owner") in reader.events)
        assert reader.events[-1] == ("role", "ben", "owner")
        assert len(reader.events) <= 82


async def test_another_name_of_a_member_is_told(house, ada, ben, cleo):
    session = await house.share(ada)
    other = await house.share(ada, "other")
    await house.add(session, ben, Role.VIEWER)

    async def rename(person, **values):
        def write(tx):
            tx.execute(update(users).where(users.c.id == person.user_id).values(**values))
            tx.notify(USER, person.user_id)

        await house.database.write(write)

    async with Reader(house.feed, ada, session) as reader, Reader(house.feed, ada, other) as two:
        await rename(cleo, display_name="Nobody here")
        await rename(ben, display_name="Benedict", color="#abcdef")
        await until(lambda: reader.data)
        await rename(ada, display_name="Ada L.")
        await until(lambda: len(reader.data) == 2 and len(two.data) == 1)
        # Nobody's role has changed.
        assert reader.events == [("member", "ben", "viewer"), ("member", "ada", "owner")]
        assert reader.data[0]["user"]["display_name"] == "Benedict"
        assert reader.data[0]["user"]["color"] == "#abcdef"
        assert "email" not in reader.data[0]["user"]
        assert two.events == [("member", "ada", "owner")]


async def test_another_name_of_the_session_is_told(house, ada, ben):
    session = await house.share(ada)
    await house.add(session, ben, Role.OWNER)
    async with Reader(house.feed, ben, session) as reader:
        await house.sessions.update(ada, session["id"], name="Lecture")
        await until(lambda: reader.data)
        assert reader.events == [("member", "ada", "owner")]
        told = {key: session[key] for key in ("id", "name", "path", "type")}
        assert reader.data[0]["session"] == {**told, "name": "Lecture"}
        await house.sessions.update(ada, session["id"], path="users/ada/moved.py")
        await until(lambda: len(reader.data) > 1)
        assert reader.data[-1]["session"]["path"] == "users/ada/moved.py"


async def test_who_may_no_longer_follow_is_let_go_and_others_are_not(house, ada, ben, admin):
    session = await house.share(ada)
    await house.add(session, ben, Role.VIEWER)
    async with (
        Reader(house.feed, ben, session) as his,
        Reader(house.feed, ada, session) as hers,
        Reader(house.feed, admin, session) as admins,
    ):
        await house.members.remove(ada, session["id"], "ben")
        await until(lambda: his.ended)
        assert not hers.ended
        assert not admins.ended
        await house.sessions.delete(ada, session["id"])
        await until(lambda: hers.ended and admins.ended)
    assert house.logins.watched == 0


async def test_who_is_removed_before_following_begins_is_let_go(house, ada, ben):
    session = await house.share(ada)
    async with Reader(house.feed, ben, session) as reader:
        await until(lambda: reader.ended)


async def test_a_stream_ends_with_the_login(house, ada):
    session = await house.share(ada)
    async with Reader(house.feed, ada, session) as reader:
        house.logins.end(ada)
        await until(lambda: reader.ended)


async def test_changes_on_another_server_are_told(house, ada, ben):
    session = await house.share(ada)
    await house.add(session, ben, Role.VIEWER)
    database = Database(house.database.url)
    await database.open()
    try:
        feed = Feed(database, Standings(database), EventHub(), Logins())
        await until(lambda: database.changes.live)
        async with Reader(feed, ada, session) as hers, Reader(feed, ben, session) as his:
            await house.members.set_role(ada, session["id"], "ben", Role.EDITOR)
            await until(lambda: ("role", "ben", "editor") in hers.events)
            await house.members.remove(ada, session["id"], "ben")
            await until(lambda: ("member", "ben", None) in hers.events and his.ended)
            # whatever was missed is read anew by who comes back
            database.changes.set_live(False)
            await until(lambda: hers.ended)
        await feed.close()
    finally:
        await database.close()


async def test_a_page_that_can_not_be_told_is_let_go(house, ada, ben, monkeypatch):
    session = await house.share(ada)
    async with Reader(house.feed, ada, session) as reader:
        await until(lambda: not house.feed._tasks)

        async def fail(function):
            raise DatabaseUnavailable("It can't be reached.")

        monkeypatch.setattr(house.database, "read", fail)
        house.database.changes.publish([("member", f"{session['id']}:{ben.user_id}")])
        await until(lambda: reader.ended)


async def test_nothing_is_left_when_it_closes(house, ada):
    session = await house.share(ada)
    async with Reader(house.feed, ada, session) as reader:
        await house.feed.close()
        await until(lambda: reader.ended)
    assert house.logins.watched == 0
    assert not house.feed._tasks
