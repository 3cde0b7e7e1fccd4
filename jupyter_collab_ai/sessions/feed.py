"""What the pages of a session are told of its members, their accounts and its name.

From whichever server it was changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Iterator
from typing import Any

from sqlalchemy import select

from jupyter_collab_ai.errors import CollabError
from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.logs import cause_of
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.sessions import store
from jupyter_collab_ai.sessions.ports import Logins
from jupyter_collab_ai.sessions.roles import Role
from jupyter_collab_ai.sessions.standings import Standings
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.tables import users
from jupyter_collab_ai.web.events import EventHub, Subscription

log = logging.getLogger(__name__)

_Reader = tuple[Principal, SessionId, Subscription]
#: A member whose membership has changed, or (True) only what their account looks like. None is
#: whoever stands for a session that itself has changed.
_News = tuple[SessionId, UserId | None, bool]


class Feed:
    """Publishes changes of members and sessions, and ends the streams of who may not follow.

    What is published of a member is what holds when it is published, and it is published in
    order: the last event of a member is true. What a session is called stands in the event of a
    member, too: where that alone has changed, in one of its owner.
    """

    def __init__(
        self, database: Database, standings: Standings, hub: EventHub, logins: Logins
    ) -> None:
        self._database = database
        self._standings = standings
        self._hub = hub
        self._logins = logins
        self._readers: set[_Reader] = set()
        #: What is to be told, in order and once each.
        self._changed: dict[_News, None] = {}
        self._publishing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._stops = [
            database.changes.subscribe(store.MEMBER, self._member_changed),
            database.changes.subscribe(store.SESSION, self._session_changed),
            database.changes.subscribe(store.USER, self._user_changed),
        ]

    async def close(self) -> None:
        """Let everyone go, and hear no more."""
        for stop in self._stops:
            stop()
        self._end(None)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextlib.contextmanager
    def follow(self, principal: Principal, session_id: SessionId) -> Iterator[Subscription]:
        """Follow a session as long as ``principal`` may, for the length of the block."""
        with self._hub.follow(session_id) as reader:
            entry = (principal, session_id, reader)
            self._readers.add(entry)
            stop = self._logins.watch(principal, reader.end)
            try:
                # Whatever changed between the check and here was not heard yet.
                self._spawn(self._recheck(entry))
                yield reader
            finally:
                stop()
                self._readers.discard(entry)

    def _member_changed(self, key: str | None) -> None:
        if key is None:
            # Something may have been missed: who comes back reads everything anew.
            self._end(None)
            return
        session_id, user_id = store.parse_member(key)
        self._tell(session_id, user_id)
        self._recheck_all(session_id, user_id)

    def _session_changed(self, key: str | None) -> None:
        if key is not None:
            self._tell(SessionId(key), None)
        self._recheck_all(None if key is None else SessionId(key), None)

    def _user_changed(self, key: str | None) -> None:
        # (Where something may have been missed, the members have ended all streams.)
        if key is not None and self._readers:
            self._spawn(self._tell_of_account(UserId(key)))

    async def _tell_of_account(self, user_id: UserId) -> None:
        try:
            found = await self._database.read(lambda tx: store.sessions_of(tx, user_id))
        except Exception as error:
            log.warning("A change of an account could not be told: %s", cause_of(error))
            self._end(None)
            return
        for session_id in found:
            self._tell(session_id, user_id, account=True)

    def _tell(
        self, session_id: SessionId, user_id: UserId | None, *, account: bool = False
    ) -> None:
        if not any(followed == session_id for _, followed, _ in self._readers):
            return
        self._changed[session_id, user_id, account] = None
        if not self._publishing:
            self._publishing = True
            self._spawn(self._publish_all())

    def _recheck_all(self, session_id: SessionId | None, user_id: UserId | None) -> None:
        for entry in tuple(self._readers):
            principal, followed, _ = entry
            if session_id in (None, followed) and user_id in (None, principal.user_id):
                self._spawn(self._recheck(entry))

    async def _recheck(self, entry: _Reader) -> None:
        principal, session_id, reader = entry
        try:
            await self._standings.standing_in(principal, session_id)
        except CollabError:
            # Whether it is not allowed or not known to be: the page asks again, and is told.
            reader.end()
        except Exception:
            log.exception("A stream was ended, because its right could not be checked.")
            reader.end()

    async def _publish_all(self) -> None:
        try:
            while self._changed:
                news = next(iter(self._changed))
                del self._changed[news]
                await self._publish(*news)
        finally:
            self._publishing = False

    async def _publish(self, session_id: SessionId, user_id: UserId | None, account: bool) -> None:
        def read(tx: Tx) -> tuple[store.Session | None, dict[str, Any] | None, Role | None]:
            session = store.find(tx, session_id)
            member = user_id or (None if session is None else store.first_owner(tx, session.id))
            row = tx.execute(select(users).where(users.c.id == member)).one_or_none()
            if row is None:
                return session, None, None
            return session, store.user_json(row), store.role_of(tx, session_id, UserId(row.id))

        try:
            session, user, role = await self._database.read(read)
        except Exception as error:
            log.warning(
                "A change of members of the session %s could not be told: %s",
                session_id,
                cause_of(error),
            )
            self._end(session_id)
            return
        membership = user_id is not None and not account
        if user is None or (role is None and not membership):
            return
        named = {"username": user["username"], "role": None if role is None else role.value}
        told: dict[str, Any] = {**named, "user": user}
        if session is not None:
            told["session"] = {
                "id": session.id,
                "name": session.name,
                "path": session.path,
                "type": session.type,
            }
        self._hub.publish(session_id, "member", told)
        if membership and role is not None:
            self._hub.publish(session_id, "role", named)

    def _end(self, session_id: SessionId | None) -> None:
        for _, followed, reader in tuple(self._readers):
            if session_id in (None, followed):
                reader.end()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
