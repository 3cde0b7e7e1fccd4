"""The ways into a session: by name at once, or by a secret link."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import (
    AlreadyMember,
    FieldError,
    InvalidRequest,
    InvitationExpired,
    InvitationRevoked,
    InvitationUsed,
    NotFound,
)
from jupyter_collab_ai.grave import About
from jupyter_collab_ai.ids import UserId
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.sessions import store
from jupyter_collab_ai.sessions.roles import Capability, Role
from jupyter_collab_ai.sessions.service import Sessions
from jupyter_collab_ai.storage import audit
from jupyter_collab_ai.storage.database import Database, Tx

#: How long an invitation can be accepted where nothing else is said, and at the most.
DEFAULT_EXPIRY = timedelta(days=7)
MAX_EXPIRY = timedelta(days=365)
#: Random bytes of a link's secret.
SECRET_BYTES = 32

_USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,63}")
_UNKNOWN = "There is no such invitation; ask for a new link."


@dataclass(frozen=True)
class Invited:
    """What came of an invitation: the secret is told this once."""

    invitation: store.Invitation
    #: None where an account became a member at once.
    secret: str | None = field(repr=False)


class Invitations:
    """Makes invitations, shows what they are to, and lets people in by them."""

    def __init__(self, database: Database, sessions: Sessions) -> None:
        self._database = database
        self._sessions = sessions

    async def invite(
        self,
        principal: Principal,
        session_id: str,
        role: Role,
        *,
        username: str | None = None,
        email: str | None = None,
        expires_in: int | None = None,
        max_uses: int | None = None,
        address: str | None = None,
    ) -> Invited:
        """Make an account a member, or make a link that makes its bearer one.

        Args:
            principal: Who invites.
            session_id: To which session.
            role: As what.
            username: Whom. Where there is no account of this name yet, the link is for whoever
                registers under it, and for nobody else.
            email: To whom the link is going to be sent; shown in the list.
            expires_in: Seconds for which the link can be used; seven days if left out.
            max_uses: How many may use the link; one if left out, and where ``username`` is given.
            address: Where the request comes from.

        Raises:
            NotFound, RoleRequired: Who asks may not, or the account is deactivated.
            AlreadyMember: The account is a member.
            InvalidRequest: The username can't be one, the link for one account is to be used
                more than once, or the session has as many members or invitations as one may.
        """
        name = _folded(username)
        if name is not None and max_uses not in (None, 1):
            sentence = "An invitation for one account can be used once; leave max_uses out."
            raise InvalidRequest(sentence, errors=[FieldError("max_uses", sentence)])
        lifetime = DEFAULT_EXPIRY if expires_in is None else timedelta(seconds=expires_in)
        secret = secrets.token_urlsafe(SECRET_BYTES)

        def write(tx: Tx, session: store.Session) -> Invited:
            joins = name is not None and self._join_by_name(tx, session, name, role)
            if not joins:
                self._sessions.bounds.require_invitation(tx, session.id)
            made = store.add_invitation(
                tx,
                session.id,
                role,
                secret,
                username=name,
                email=email,
                created_by=principal.user_id,
                expires_at=utcnow() + min(lifetime, MAX_EXPIRY),
                max_uses=1 if name is not None or max_uses is None else max_uses,
                uses=1 if joins else 0,
            )
            audit.note(
                tx,
                principal,
                "member_added" if joins else "invited",
                session_id=session.id,
                target=made.username or made.email or made.id,
                detail={"role": role.value, "invitation": made.id},
                address=address,
            )
            return Invited(made, None if joins else secret)

        return await self._sessions.change_in(principal, session_id, Capability.MANAGE, write)

    async def about(self, principal: Principal, session_id: str, username: str | None) -> About:
        """Return what a session and whoever is invited are called, for who may invite.

        Raises:
            NotFound, RoleRequired: ``principal`` may not.
            InvalidRequest: The username can't be one.
        """
        name = _folded(username)
        about = await self._sessions.about(principal, session_id)
        if name is None:
            return about
        user = await self._database.read(lambda tx: store.user_named(tx, name))
        shown = None if user is None else str(user.display_name)
        return replace(about, username=name, display_name=shown)

    async def open(self, principal: Principal, session_id: str) -> list[dict[str, Any]]:
        """Return the invitations that can still be accepted.

        Raises:
            NotFound, RoleRequired: Who asks may not.
        """
        session = await self._sessions.require_in(principal, session_id, Capability.MANAGE)
        found = await self._database.read(lambda tx: store.invitations_of(tx, session.id))
        return [invitation.as_json() for invitation in found]

    async def revoke(
        self,
        principal: Principal,
        session_id: str,
        invitation_id: str,
        *,
        address: str | None = None,
    ) -> None:
        """Revoke an invitation; who has accepted it stays a member.

        Raises:
            NotFound, RoleRequired: Who asks may not, or there is no such invitation.
        """

        def write(tx: Tx, session: store.Session) -> None:
            if not store.revoke_invitation(tx, session.id, invitation_id):
                raise NotFound("There is no such invitation.")
            audit.note(
                tx,
                principal,
                "invitation_revoked",
                session_id=session.id,
                target=invitation_id,
                address=address,
            )

        await self._sessions.change_in(principal, session_id, Capability.MANAGE, write)

    async def check(self, secret: str, *, username: str | None = None) -> dict[str, Any]:
        """Return what an invitation is to, for the page that asks whether to accept it.

        Args:
            secret: The link's secret.
            username: Who would accept it, where that is known.

        Returns:
            ``session_name``, ``path``, ``role``, ``invited_by`` (a display name, or None where
            that account is gone) and ``username`` (for whom alone it is, or None).

        Raises:
            NotFound: There is no such invitation, or it is for somebody else.
            InvitationExpired, InvitationUsed, InvitationRevoked: It is over.
        """

        def read(tx: Tx) -> dict[str, Any]:
            invitation, session = _find(tx, secret, username)
            _require_usable(invitation)
            return {
                "session_name": session.name,
                "path": session.path,
                "role": invitation.role.value,
                "invited_by": store.display_name_of(tx, invitation.created_by),
                "username": invitation.username,
            }

        return await self._database.read(read)

    async def joined(self, principal: Principal, secret: str) -> str | None:
        """Return the path of what an invitation is to, if ``principal`` is a member already.

        So that whoever follows the link again, or has registered with it, is let through even
        where it is used up.
        """

        def read(tx: Tx) -> str | None:
            try:
                _, session = _find(tx, secret, principal.username)
            except NotFound:
                return None
            member = store.role_of(tx, session.id, principal.user_id)
            return None if member is None else session.path

        return await self._database.read(read)

    async def accept(
        self, principal: Principal, secret: str, *, address: str | None = None
    ) -> dict[str, Any]:
        """Become a member by an invitation, and return the session.

        A role that one has already is never lowered, and then no use is counted.

        Raises:
            NotFound: There is no such invitation, or it is for somebody else.
            InvitationExpired, InvitationUsed, InvitationRevoked: It is over.
            InvalidRequest: The session has as many members as one may.
        """

        def write(tx: Tx) -> store.Session:
            invitation, session = _find(tx, secret, principal.username)
            _require_usable(invitation)
            current = store.role_of(tx, session.id, principal.user_id)
            if current is not None and current.rank >= invitation.role.rank:
                return session
            if current is None:
                self._sessions.bounds.require_member(tx, session.id)
            if not store.use_invitation(tx, invitation.id):
                _require_usable(replace(invitation, uses=invitation.max_uses))
            store.put_member(tx, session.id, principal.user_id, invitation.role)
            audit.note(
                tx,
                principal,
                "invitation_accepted",
                session_id=session.id,
                target=principal.username,
                detail={"role": invitation.role.value, "invitation": invitation.id},
                address=address,
            )
            return session

        session = await self._database.write(write, lock=store.LOCK)
        return await self._sessions.describe(principal, session)

    def _join_by_name(self, tx: Tx, session: store.Session, username: str, role: Role) -> bool:
        """Make the account of this name a member; False where there is none."""
        user = store.user_named(tx, username)
        if user is None:
            return False
        if not user.is_active:
            raise NotFound("The account of this name is deactivated; ask an admin of this server.")
        if store.role_of(tx, session.id, UserId(user.id)) is not None:
            raise AlreadyMember(f"{user.username} is a member already; change the role instead.")
        self._sessions.bounds.require_member(tx, session.id)
        store.put_member(tx, session.id, UserId(user.id), role)
        return True


def _folded(username: str | None) -> str | None:
    name = None if username is None else username.casefold()
    if name is not None and _USERNAME.fullmatch(name) is None:
        sentence = "This can't be a username; leave it out to get a link for anybody."
        raise InvalidRequest(sentence, errors=[FieldError("username", sentence)])
    return name


def _find(tx: Tx, secret: str, username: str | None) -> tuple[store.Invitation, store.Session]:
    invitation = store.invitation_by_secret(tx, secret)
    session = None if invitation is None else store.find(tx, invitation.session_id)
    if invitation is None or session is None:
        raise NotFound(_UNKNOWN)
    if username is not None and invitation.username not in (None, username):
        # Who it is for is nobody else's business.
        raise NotFound(_UNKNOWN)
    return invitation, session


def _require_usable(invitation: store.Invitation) -> None:
    if invitation.revoked_at is not None:
        raise InvitationRevoked("This invitation was taken back; ask for a new one.")
    if invitation.expires_at <= utcnow():
        raise InvitationExpired("This invitation has expired; ask for a new one.")
    if invitation.uses >= invitation.max_uses:
        raise InvitationUsed("This invitation was used already; ask for a new one.")
