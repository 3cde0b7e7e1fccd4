"""Who may do what where, as it is now."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from jupyter_collab_ai.errors import NotFound
from jupyter_collab_ai.grave import About
from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.sessions import store
from jupyter_collab_ai.sessions.paths import home_of, is_within
from jupyter_collab_ai.sessions.roles import DEFAULT_POLICY, Capability, Policy, Role, Standing
from jupyter_collab_ai.storage.changes import ChangeCache
from jupyter_collab_ai.storage.database import Database, Tx

T = TypeVar("T")

_NO_SESSION = "There is no such session, or it is not shared with you."


class Standings:
    """The one place that knows who may do what where."""

    def __init__(self, database: Database, *, policy: Policy = DEFAULT_POLICY) -> None:
        self._database = database
        self._policy = policy
        self._standings: ChangeCache[tuple[UserId, str], tuple[SessionId | None, Role | None]] = (
            ChangeCache(
                database.changes,
                store.MEMBER,
                matches=lambda key, cached: key.endswith(":" + cached[0]),
            )
        )
        self._visible: ChangeCache[UserId, tuple[str, ...]] = ChangeCache(
            database.changes,
            store.MEMBER,
            matches=lambda key, cached: key.endswith(":" + cached),
        )
        #: Where files that are being moved just now were, and where they will be.
        self._moving: dict[str, str] = {}
        # A new session may cover any path, so what is known of all paths goes.
        database.changes.subscribe(store.SESSION, lambda _: self._forget())

    async def standing(self, principal: Principal, path: str) -> Standing:
        """Return what ``principal`` is at a canonical path.

        Where a session covers the path, membership decides. Elsewhere everybody has an
        owner's rights in their own folder, and none outside of it.
        """
        path = self._moved(path)
        key = (principal.user_id, path)
        known = self._standings.get(key)
        if known is None:
            ticket = self._standings.ticket()
            known = await self._database.read(lambda tx: _at(tx, path, principal.user_id))
            self._standings.put(key, known, ticket)
        return self._standing(principal, path, known)

    async def standings(self, principals: Sequence[Principal], path: str) -> list[Standing]:
        """Return what each of many is at a canonical path, by one question to the database."""
        path = self._moved(path)
        ids = {each.user_id for each in principals}
        cached = {user_id: self._standings.get((user_id, path)) for user_id in ids}
        known = {user_id: found for user_id, found in cached.items() if found is not None}
        if asked := ids - known.keys():
            ticket = self._standings.ticket()
            session_id, roles = await self._database.read(lambda tx: _all_at(tx, path))
            for user_id in asked:
                known[user_id] = session_id, roles.get(user_id)
                self._standings.put((user_id, path), known[user_id], ticket)
        return [self._standing(each, path, known[each.user_id]) for each in principals]

    def _standing(
        self, principal: Principal, path: str, known: tuple[SessionId | None, Role | None]
    ) -> Standing:
        session_id, role = known
        if session_id is None and is_within(path, home_of(principal.username)):
            role = Role.OWNER
        return Standing(role, session_id, principal.is_admin, self._policy)

    async def standing_in(
        self, principal: Principal, session_id: str
    ) -> tuple[store.Session, Standing]:
        """Return a session and what ``principal`` is in it.

        Raises:
            NotFound: There is none, or ``principal`` may not know of it.
        """
        return await self._database.read(lambda tx: self.look_in(tx, principal, session_id))

    def look_in(
        self, tx: Tx, principal: Principal, session_id: str, *, keep: bool = False
    ) -> tuple[store.Session, Standing]:
        """Do what :meth:`standing_in` does, in a transaction.

        With ``keep`` a role stays as it is until the transaction, which writes, ends.

        Raises:
            NotFound: There is no such session, or ``principal`` may not know of it.
        """
        session = store.find(tx, session_id)
        if session is None:
            raise NotFound(_NO_SESSION)
        role = store.role_of(tx, session.id, principal.user_id, keep=keep)
        standing = Standing(role, session.id, principal.is_admin, self._policy)
        if not standing.may(Capability.SEE):
            raise NotFound(_NO_SESSION)
        return session, standing

    def look_at(self, tx: Tx, principal: Principal, path: str, *, keep: bool = False) -> Standing:
        """Do what :meth:`standing` does, in a transaction; ``keep`` as of :meth:`look_in`."""
        path = self._moved(path)
        return self._standing(principal, path, _at(tx, path, principal.user_id, keep=keep))

    async def require_in(
        self, principal: Principal, session_id: str, capability: Capability
    ) -> store.Session:
        """Return a session in which ``principal`` may do this.

        Raises:
            NotFound: There is none, or ``principal`` may not know of it.
            RoleRequired: They may know of it but not do this.
        """
        session, standing = await self.standing_in(principal, session_id)
        standing.require(capability)
        return session

    async def change_in(
        self,
        principal: Principal,
        session_id: str,
        capability: Capability,
        change: Callable[[Tx, store.Session], T],
    ) -> T:
        """Change something of a session, if ``principal`` may when it is done.

        Changes of sessions run one after the other, so whoever was demoted by the one before
        is refused.

        Raises:
            NotFound: There is no such session, or ``principal`` may not know of it.
            RoleRequired: They may know of it but not do this.
        """
        # Whoever may not do it does not keep those waiting who may.
        await self.require_in(principal, session_id, capability)

        def write(tx: Tx) -> T:
            session, standing = self.look_in(tx, principal, session_id)
            standing.require(capability)
            return change(tx, session)

        return await self._database.write(write, lock=store.LOCK)

    async def about(self, principal: Principal, session_id: str) -> About:
        """Return what a session is called, for who may end it or give it away.

        Raises:
            NotFound, RoleRequired: ``principal`` may not.
        """
        session = await self.require_in(principal, session_id, Capability.MANAGE)
        return About(session_id=session.id, session_name=session.name, path=session.path)

    async def visible_paths(self, principal: Principal) -> tuple[str, ...]:
        """Return the folders and files that ``principal`` may see, besides the ways to them."""
        shared = self._visible.get(principal.user_id)
        if shared is None:
            ticket = self._visible.ticket()
            shared = tuple(
                await self._database.read(lambda tx: store.paths_of(tx, principal.user_id))
            )
            self._visible.put(principal.user_id, shared, ticket)
        return tuple(sorted({home_of(principal.username), *shared}))

    async def sessions_at(self, path: str) -> list[store.Session]:
        """Return the sessions at a path and in it."""
        return await self._database.read(lambda tx: store.at_or_below(tx, path))

    async def may_move(self, old: str, new: str) -> bool:
        """Return whether files may be moved without two sessions coming to overlap."""
        return await self._database.read(lambda tx: store.in_the_way(tx, old, new) is None)

    def watch(
        self, changed: Callable[[SessionId | None, UserId | None], None]
    ) -> Callable[[], None]:
        """Call ``changed`` with the session and user whose standing may have changed.

        None stands for all. Returns how to stop.
        """

        def member(key: str | None) -> None:
            if key is None:
                changed(None, None)
            else:
                changed(*store.parse_member(key))

        stops = [
            self._database.changes.subscribe(store.MEMBER, member),
            # What a session covers may have changed, for whoever is anywhere.
            self._database.changes.subscribe(store.SESSION, lambda _: changed(None, None)),
        ]

        def stop() -> None:
            for each in stops:
                each()

        return stop

    @contextlib.contextmanager
    def _following(self, old: str, new: str) -> Iterator[None]:
        """Let whoever has a file of ``old`` open be what they are at ``new``, while it moves.

        A session, its files and its live documents can't move in one instant, and nobody is
        to be turned away in between.
        """
        self._moving[old] = new
        self._forget()
        try:
            yield
        finally:
            self._moving.pop(old, None)
            self._forget()

    def _moved(self, path: str) -> str:
        # (Also asked by threads of the database.)
        for old, new in tuple(self._moving.items()):
            if is_within(path, old):
                return new + path[len(old) :]
        return path

    def _forget(self) -> None:
        self._standings.clear()
        self._visible.clear()


def _all_at(tx: Tx, path: str) -> tuple[SessionId | None, dict[UserId, Role]]:
    session = store.covering(tx, path)
    return (None, {}) if session is None else (session.id, store.roles_of(tx, session.id))


def _at(
    tx: Tx, path: str, user_id: UserId, *, keep: bool = False
) -> tuple[SessionId | None, Role | None]:
    session = store.covering(tx, path)
    if session is None:
        return None, None
    return session.id, store.role_of(tx, session.id, user_id, keep=keep)
