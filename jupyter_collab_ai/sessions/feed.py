"""What is told to the pages of a session when its members change, here or on another server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from sqlalchemy import select

from jupyter_collab_ai.errors import CollabError
from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.sessions import store
from jupyter_collab_ai.sessions.service import Sessions
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.tables import users
from jupyter_collab_ai.web.events import EventHub, Subscription

log = logging.getLogger(__name__)


class Logins(Protocol):
    """Whether whoever opened a stream is still signed in."""

    def watch(self, principal: Principal, ended: Callable[[], None]) -> Callable[[], None]:
        """Call ``ended`` once the login or the account ends; returns how to stop."""
        ...


class Feed:
    """Publishes changes of members, and ends the streams of who may no longer follow."""

    def __init__(
        self, database: Database, sessions: Sessions, hub: EventHub, logins: Logins
    ) -> None:
        self._database = database
        self._sessions = sessions
        self._hub = hub
        self._logins = logins
        self._readers: set[tuple[Principal, SessionId, Subscription]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        database.changes.subscribe(store.MEMBER, self._member_changed)
        database.changes.subscribe(store.SESSION, self._session_changed)

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
            self._recheck_all()
            return
        session_id, _, user_id = key.partition(":")
        self._spawn(self._publish(SessionId(session_id), UserId(user_id)))
        self._recheck_all(SessionId(session_id), UserId(user_id))

    def _session_changed(self, key: str | None) -> None:
        self._recheck_all(None if key is None else SessionId(key))

    def _recheck_all(
        self, session_id: SessionId | None = None, user_id: UserId | None = None
    ) -> None:
        for entry in tuple(self._readers):
            principal, followed, _ = entry
            if session_id in (None, followed) and user_id in (None, principal.user_id):
                self._spawn(self._recheck(entry))

    async def _recheck(self, entry: tuple[Principal, SessionId, Subscription]) -> None:
        principal, session_id, reader = entry
        try:
            await self._sessions.standing_in(principal, session_id)
        except CollabError:
            # Whether it is not allowed or not known to be: the page asks again, and is told.
            reader.end()

    async def _publish(self, session_id: SessionId, user_id: UserId) -> None:
        def read(tx: Tx) -> tuple[dict[str, Any] | None, str | None]:
            row = tx.execute(select(users).where(users.c.id == user_id)).one_or_none()
            role = store.role_of(tx, session_id, user_id)
            return (
                None if row is None else store.user_json(row),
                None if role is None else role.value,
            )

        try:
            user, role = await self._database.read(read)
        except CollabError:
            log.warning("A change of members could not be told: the database can't be reached.")
            return
        if user is None:
            return
        data = {"username": user["username"], "role": role, "user": user}
        self._hub.publish(session_id, "member", data)
        if role is not None:
            self._hub.publish(session_id, "role", {"username": user["username"], "role": role})

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
