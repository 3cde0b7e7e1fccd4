"""Who is in a session, and in which role."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Row

from jupyter_collab_ai.clock import rfc3339
from jupyter_collab_ai.errors import LastOwner, NotFound
from jupyter_collab_ai.grave import About
from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.sessions import store
from jupyter_collab_ai.sessions.paths import home_holding
from jupyter_collab_ai.sessions.ports import Presence
from jupyter_collab_ai.sessions.roles import Capability, Role
from jupyter_collab_ai.sessions.standings import Standings
from jupyter_collab_ai.storage import audit
from jupyter_collab_ai.storage.database import Database, Tx


class Members:
    """Lists members, changes their roles, removes them."""

    def __init__(self, database: Database, standings: Standings, presence: Presence) -> None:
        self._database = database
        self._standings = standings
        self._presence = presence

    async def all(self, principal: Principal, session_id: str) -> list[dict[str, Any]]:
        """Return the members of a session.

        Raises:
            NotFound: There is no such session for who asks.
        """
        session = await self._standings.require_in(principal, session_id, Capability.SEE)
        members = await self._database.read(lambda tx: store.members_of(tx, session.id))
        online = self._presence.online(session.id)
        return [
            {
                "user": member.user,
                "role": member.role.value,
                "joined_at": rfc3339(member.joined_at),
                "online": member.user_id in online,
            }
            for member in members
        ]

    async def about(self, principal: Principal, session_id: str, username: str) -> About:
        """Return what a session and one of its members are called, for who may change roles.

        Raises:
            NotFound, RoleRequired: ``principal`` may not, or there is no such member.
        """
        about = await self._standings.about(principal, session_id)
        user, _ = await self._database.read(
            lambda tx: _require_member(tx, SessionId(str(about.session_id)), username)
        )
        return replace(about, username=user.username, display_name=user.display_name)

    async def set_role(
        self,
        principal: Principal,
        session_id: str,
        username: str,
        role: Role,
        *,
        address: str | None = None,
    ) -> dict[str, Any]:
        """Change the role of a member; it holds on this server when this returns.

        Raises:
            NotFound, RoleRequired: Who asks may not, or there is no such member.
            LastOwner: The session would be left without an owner, or it lies in the own folder
                of the one who would no longer be one.
        """

        def write(tx: Tx, session: store.Session) -> dict[str, Any]:
            user, current = _require_member(tx, session.id, username)
            if current is Role.OWNER and role is not Role.OWNER:
                _require_not_at_home(session, user)
                _require_other_owner(tx, session.id, UserId(user.id))
            if current is not role:
                store.put_member(tx, session.id, UserId(user.id), role)
                audit.note(
                    tx,
                    principal,
                    "role_changed",
                    session_id=session.id,
                    target=user.username,
                    detail={"from": current.value, "to": role.value},
                    address=address,
                )
            return store.user_json(user)

        user = await self._standings.change_in(principal, session_id, Capability.MANAGE, write)
        return {"user": user, "role": role.value}

    async def remove(
        self, principal: Principal, session_id: str, username: str, *, address: str | None = None
    ) -> None:
        """End a membership; everybody may end their own.

        Raises:
            NotFound, RoleRequired: Who asks may not, or there is no such member.
            LastOwner: The session would be left without an owner, or it lies in the own folder
                of the one who would go.
        """
        leaving = username.casefold() == principal.username

        def write(tx: Tx, session: store.Session) -> None:
            user, current = _require_member(tx, session.id, username)
            _require_not_at_home(session, user)
            if current is Role.OWNER:
                _require_other_owner(tx, session.id, UserId(user.id))
            store.remove_member(tx, session.id, UserId(user.id))
            audit.note(
                tx,
                principal,
                "member_left" if leaving else "member_removed",
                session_id=session.id,
                target=user.username,
                detail={"role": current.value},
                address=address,
            )

        needed = Capability.SEE if leaving else Capability.MANAGE
        await self._standings.change_in(principal, session_id, needed, write)


def _require_member(tx: Tx, session_id: SessionId, username: str) -> tuple[Row[Any], Role]:
    user = store.user_named(tx, username)
    role = None if user is None else store.role_of(tx, session_id, UserId(user.id))
    if user is None or role is None:
        raise NotFound("There is no member of this name.")
    return user, role


def _require_not_at_home(session: store.Session, user: Row[Any]) -> None:
    """Refuse to take a session away from whoever's own folder it lies in.

    There they have an owner's rights, and membership decides what those of a session are.
    """
    if home_holding(session.path) == user.username:
        raise LastOwner(
            f"This lies in the own folder of {user.username}, who stays an owner of it; move it "
            "elsewhere, or end the session, instead."
        )


def _require_other_owner(tx: Tx, session_id: SessionId, user_id: UserId) -> None:
    if not store.has_other_owner(tx, session_id, user_id):
        raise LastOwner("A session always keeps one owner; make somebody else an owner first.")
