"""Sessions: what is shared, with whom, in which role."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from jupyter_collab_ai.clock import rfc3339, utcnow
from jupyter_collab_ai.errors import (
    AdminRequired,
    AlreadyMember,
    FieldError,
    InvalidRequest,
    InvitationExpired,
    InvitationRevoked,
    InvitationUsed,
    LastOwner,
    Locked,
    NotFound,
    PathExists,
    PathShared,
)
from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.sessions import store
from jupyter_collab_ai.sessions.paths import canonical, home_of, is_within, join, name_of
from jupyter_collab_ai.sessions.ports import Contents, Locks, Moves, Presence
from jupyter_collab_ai.sessions.roles import (
    DEFAULT_POLICY,
    NOBODY,
    Capability,
    Policy,
    Role,
    Standing,
)
from jupyter_collab_ai.storage.changes import ChangeCache
from jupyter_collab_ai.storage.database import Database, Tx

#: How long an invitation can be accepted where nothing else is said, and at the most.
DEFAULT_EXPIRY = timedelta(days=7)
MAX_EXPIRY = timedelta(days=365)
#: Characters in which names of files differ from names of sessions.
_NOT_IN_FILES = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028\u2029/\\:*?"<>|]+')

_NO_SESSION = "There is no such session, or it is not shared with you."
_NO_USER = "There is no account of this name; send a link instead."
_LAST_OWNER = "A session always keeps one owner; make somebody else an owner first."


@dataclass(frozen=True)
class Invited:
    """What came of an invitation: the secret is told this once."""

    invitation: store.Invitation
    secret: str | None


class Sessions:
    """The one place that knows who may do what where."""

    def __init__(
        self,
        database: Database,
        contents: Contents,
        presence: Presence,
        locks: Locks,
        moves: Moves,
        *,
        policy: Policy = DEFAULT_POLICY,
    ) -> None:
        self._database = database
        self._contents = contents
        self._presence = presence
        self._locks = locks
        self._moves = moves
        self._policy = policy
        self._standings: ChangeCache[tuple[UserId, str], tuple[SessionId | None, Role | None]] = (
            ChangeCache(
                database.changes,
                store.MEMBER,
                matches=lambda key, cached: key.endswith(":" + cached[0]),
            )
        )
        # A new session may cover any path, so what is known of all paths goes.
        database.changes.subscribe(store.SESSION, lambda _: self._standings.clear())

    # ------------------------------------------------------------ who may do what

    async def standing(self, principal: Principal, path: str) -> Standing:
        """Return what ``principal`` is at a canonical path.

        Where a session covers the path, membership decides. Elsewhere everybody has an
        owner's rights in their own folder, and none outside of it.
        """
        key = (principal.user_id, path)
        known = self._standings.get(key)
        if known is None:
            ticket = self._standings.ticket()
            known = await self._database.read(lambda tx: _at(tx, path, principal.user_id))
            self._standings.put(key, known, ticket)
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

        def read(tx: Tx) -> tuple[store.Session | None, Role | None]:
            session = store.find(tx, session_id)
            if session is None:
                return None, None
            return session, store.role_of(tx, session.id, principal.user_id)

        session, role = await self._database.read(read)
        if session is None:
            raise NotFound(_NO_SESSION)
        standing = Standing(role, session.id, principal.is_admin, self._policy)
        if not standing.may(Capability.SEE):
            raise NotFound(_NO_SESSION)
        return session, standing

    async def visible_paths(self, principal: Principal) -> tuple[str, ...]:
        """Return the folders and files that ``principal`` may see, besides the ways to them."""
        shared = await self._database.read(lambda tx: store.paths_of(tx, principal.user_id))
        return tuple(sorted({home_of(principal.username), *shared}))

    async def session_of(self, path: str) -> SessionId | None:
        """Return the session that covers a canonical path."""
        found = await self._database.read(lambda tx: store.covering(tx, path))
        return None if found is None else found.id

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
                session_id, _, user_id = key.partition(":")
                changed(SessionId(session_id), UserId(user_id))

        stops = [
            self._database.changes.subscribe(store.MEMBER, member),
            # What a session covers may have changed, for whoever is anywhere.
            self._database.changes.subscribe(store.SESSION, lambda _: changed(None, None)),
        ]

        def stop() -> None:
            for each in stops:
                each()

        return stop

    # ------------------------------------------------------------ sessions

    async def create(
        self,
        principal: Principal,
        *,
        name: str,
        path: str | None,
        type_: str | None,
        content: object | None,
        address: str | None = None,
    ) -> dict[str, Any]:
        """Share a file or folder, made if it does not exist, and return the session.

        Raises:
            InvalidRequest: The path, the type or the content can't be used.
            AdminRequired: It lies outside the folder of who asks.
            NotFound: It does, and who asks may not know of it.
            PathExists: ``content`` was given for what exists.
            PathShared: Another session has it, holds it or lies in it.
        """
        if path is None:
            path = join(home_of(principal.username), _file_name(name, type_))
        path = canonical(path)
        await self._require_own(principal, path)
        await self._require_free(path)
        found = await self._contents.kind(path)
        kind = _kind(path, type_, found)
        if found is None:
            await self._contents.create(path, kind, content)
        elif content is not None:
            raise PathExists(
                "There is something at this path already; leave the content out to share it."
            )

        def write(tx: Tx) -> store.Session:
            if store.overlapping(tx, path) is not None:
                raise PathShared(_shared_sentence())
            session = store.add(tx, name, path, kind)
            store.put_member(tx, session.id, principal.user_id, Role.OWNER)
            store.note(
                tx,
                principal,
                "session_created",
                session_id=session.id,
                target=path[:256],
                address=address,
            )
            return session

        session = await self._database.write(write, lock=store.LOCK)
        return await self.describe(principal, session)

    async def describe(self, principal: Principal, session: store.Session) -> dict[str, Any]:
        """Return a session as clients see it."""
        (described,) = await self._describe_all(principal, [session])
        return described

    async def page(
        self,
        principal: Principal,
        *,
        limit: int,
        after: str | None,
        query: str | None,
        everybody: bool,
    ) -> dict[str, Any]:
        """Return one page of sessions, the newest first.

        Raises:
            AdminRequired: ``everybody`` was asked for by somebody who is no admin.
            InvalidRequest: ``after`` is not what a page said comes next.
        """
        if everybody and not principal.is_admin:
            raise AdminRequired("Only an admin may list everybody's sessions.")
        cursor = _parse_cursor(after)
        page = await self._database.read(
            lambda tx: store.page(
                tx,
                user_id=None if everybody else principal.user_id,
                limit=limit,
                after=cursor,
                query=query,
            )
        )
        return {
            "items": await self._describe_all(principal, page.items),
            "next": None if page.after is None else f"{page.after[0].isoformat()}~{page.after[1]}",
        }

    async def update(
        self,
        principal: Principal,
        session_id: str,
        *,
        name: str | None,
        path: str | None,
        address: str | None = None,
    ) -> dict[str, Any]:
        """Rename a session, move what it shares, or both.

        Raises:
            NotFound, RoleRequired: Who asks may not.
            PathExists, PathShared: The new path is taken.
            Locked: An AI operation is writing there.
        """
        session, standing = await self.standing_in(principal, session_id)
        standing.require(Capability.MANAGE)
        if path is not None and path != session.path:
            session = await self._move(principal, session, canonical(path), address)
        if name is not None and name != session.name:

            def write(tx: Tx) -> None:
                store.change(tx, session.id, name=name)
                store.note(
                    tx,
                    principal,
                    "session_renamed",
                    session_id=session.id,
                    target=name,
                    address=address,
                )

            await self._database.write(write, lock=store.LOCK)
        session, _ = await self.standing_in(principal, session_id)
        return await self.describe(principal, session)

    async def delete(
        self, principal: Principal, session_id: str, *, delete_files: bool, address: str | None
    ) -> None:
        """End a session, and delete what it shared if that is asked for.

        Raises:
            NotFound, RoleRequired: Who asks may not.
            Locked: The files are to be deleted while an AI operation is writing there.
        """
        session, standing = await self.standing_in(principal, session_id)
        standing.require(Capability.MANAGE)
        if delete_files:
            await self._require_unlocked(session.path)

        def write(tx: Tx) -> None:
            for member in store.members_of(tx, session.id):
                tx.notify(store.MEMBER, f"{session.id}:{member.user_id}")
            store.remove(tx, session.id)
            store.note(
                tx,
                principal,
                "session_deleted",
                session_id=session.id,
                target=session.path[:256],
                detail={"delete_files": delete_files},
                address=address,
            )

        await self._database.write(write, lock=store.LOCK)
        if delete_files:
            await self._moves.deleted(session.path)
            await self._contents.delete(session.path)

    async def renamed(self, old: str, new: str) -> None:
        """Let sessions follow files that were moved by other means than :meth:`update`."""

        def write(tx: Tx) -> None:
            for session in store.at_or_below(tx, old):
                store.change(tx, session.id, path=new + session.path[len(old) :])

        await self._database.write(write, lock=store.LOCK)

    async def may_move(self, old: str, new: str) -> bool:
        """Return whether files may be moved without two sessions coming to overlap."""

        def read(tx: Tx) -> bool:
            moved = store.at_or_below(tx, old)
            inside = {session.id for session in moved}
            for session in moved:
                target = new + session.path[len(old) :]
                other = store.overlapping(tx, target, but=session.id)
                if other is not None and other.id not in inside:
                    return False
            return True

        return await self._database.read(read)

    async def sessions_at(self, path: str) -> list[store.Session]:
        """Return the sessions at a path and in it."""
        return await self._database.read(lambda tx: store.at_or_below(tx, path))

    # ------------------------------------------------------------ members

    async def members(self, principal: Principal, session_id: str) -> list[dict[str, Any]]:
        """Return the members of a session.

        Raises:
            NotFound: There is no such session for who asks.
        """
        session, _ = await self.standing_in(principal, session_id)
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
            LastOwner: The session would be left without an owner.
        """
        session, standing = await self.standing_in(principal, session_id)
        standing.require(Capability.MANAGE)

        def write(tx: Tx) -> dict[str, Any]:
            user, current = _require_member(tx, session.id, username)
            if current is Role.OWNER and role is not Role.OWNER:
                _require_other_owner(tx, session.id)
            if current is not role:
                store.put_member(tx, session.id, UserId(user.id), role)
                store.note(
                    tx,
                    principal,
                    "role_changed",
                    session_id=session.id,
                    target=user.username,
                    detail={"from": current.value, "to": role.value},
                    address=address,
                )
            return store.user_json(user)

        user = await self._database.write(write, lock=store.LOCK)
        return {"user": user, "role": role.value}

    async def remove_member(
        self, principal: Principal, session_id: str, username: str, *, address: str | None = None
    ) -> None:
        """End a membership; everybody may end their own.

        Raises:
            NotFound, RoleRequired: Who asks may not, or there is no such member.
            LastOwner: The session would be left without an owner.
        """
        session, standing = await self.standing_in(principal, session_id)
        leaving = username.casefold() == principal.username
        if not leaving:
            standing.require(Capability.MANAGE)

        def write(tx: Tx) -> None:
            user, current = _require_member(tx, session.id, username)
            if current is Role.OWNER:
                _require_other_owner(tx, session.id)
            store.remove_member(tx, session.id, UserId(user.id))
            store.note(
                tx,
                principal,
                "member_left" if leaving else "member_removed",
                session_id=session.id,
                target=user.username,
                detail={"role": current.value},
                address=address,
            )

        await self._database.write(write, lock=store.LOCK)

    # ------------------------------------------------------------ invitations

    async def invite(
        self,
        principal: Principal,
        session_id: str,
        role: Role,
        *,
        username: str | None,
        email: str | None,
        expires_in: int | None,
        max_uses: int,
        address: str | None = None,
    ) -> Invited:
        """Make an account a member, or make a link that makes its bearer one.

        Raises:
            NotFound, RoleRequired: Who asks may not, or there is no account of this name.
            AlreadyMember: The account is a member.
        """
        session, standing = await self.standing_in(principal, session_id)
        standing.require(Capability.MANAGE)
        lifetime = DEFAULT_EXPIRY if expires_in is None else timedelta(seconds=expires_in)
        expires_at = utcnow() + min(lifetime, MAX_EXPIRY)
        secret = secrets.token_urlsafe(32)

        def write(tx: Tx) -> Invited:
            user = None
            if username is not None:
                user = store.user_named(tx, username)
                if user is None or not user.is_active:
                    raise NotFound(_NO_USER)
                if store.role_of(tx, session.id, UserId(user.id)) is not None:
                    raise AlreadyMember(
                        f"{user.username} is a member already; change the role instead."
                    )
                store.put_member(tx, session.id, UserId(user.id), role)
            made = store.add_invitation(
                tx,
                session.id,
                role,
                secret,
                username=None if user is None else user.username,
                email=email,
                created_by=principal.user_id,
                expires_at=expires_at,
                max_uses=1 if user is not None else max_uses,
                uses=0 if user is None else 1,
            )
            store.note(
                tx,
                principal,
                "invited" if user is None else "member_added",
                session_id=session.id,
                target=made.username or made.email or made.id,
                detail={"role": role.value},
                address=address,
            )
            return Invited(made, None if user is not None else secret)

        return await self._database.write(write, lock=store.LOCK)

    async def invitations(self, principal: Principal, session_id: str) -> list[dict[str, Any]]:
        """Return the invitations that can still be accepted.

        Raises:
            NotFound, RoleRequired: Who asks may not.
        """
        session, standing = await self.standing_in(principal, session_id)
        standing.require(Capability.MANAGE)
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
        session, standing = await self.standing_in(principal, session_id)
        standing.require(Capability.MANAGE)

        def write(tx: Tx) -> None:
            if not store.revoke_invitation(tx, session.id, invitation_id):
                raise NotFound("There is no such invitation.")
            store.note(
                tx,
                principal,
                "invitation_revoked",
                session_id=session.id,
                target=invitation_id,
                address=address,
            )

        await self._database.write(write, lock=store.LOCK)

    async def check(self, secret: str) -> dict[str, Any]:
        """Return what an invitation is to, for the page that asks whether to accept it.

        Raises:
            NotFound: There is no such invitation.
            InvitationExpired, InvitationUsed, InvitationRevoked: It is over.
        """

        def read(tx: Tx) -> dict[str, Any]:
            invitation = _require_open(tx, secret)
            session = store.find(tx, invitation.session_id)
            assert session is not None  # its invitations go with it
            inviter = next(
                (
                    member.user
                    for member in store.members_of(tx, session.id)
                    if member.user_id == invitation.created_by
                ),
                None,
            )
            return {
                "session_name": session.name,
                "path": session.path,
                "role": invitation.role.value,
                "invited_by": None if inviter is None else inviter["display_name"],
            }

        return await self._database.read(read)

    async def accept(
        self, principal: Principal, secret: str, *, address: str | None = None
    ) -> dict[str, Any]:
        """Become a member by an invitation, and return the session.

        A role that one has already is never lowered, and then no use is counted.

        Raises:
            NotFound: There is no such invitation.
            InvitationExpired, InvitationUsed, InvitationRevoked: It is over.
        """

        def write(tx: Tx) -> store.Session:
            invitation = _find_invitation(tx, secret)
            session = store.find(tx, invitation.session_id)
            assert session is not None  # its invitations go with it
            current = store.role_of(tx, session.id, principal.user_id)
            if current is not None and current.rank >= invitation.role.rank:
                # Whoever follows the link a second time just wants in.
                if invitation.revoked_at is not None:
                    _require_usable(invitation)
                return session
            _require_usable(invitation)
            if not store.use_invitation(tx, invitation.id):
                _require_usable(replace(invitation, uses=invitation.max_uses))
            store.put_member(tx, session.id, principal.user_id, invitation.role)
            store.note(
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
        return await self.describe(principal, session)

    # ------------------------------------------------------------ audit

    async def activity(
        self, principal: Principal, session_id: str, *, limit: int, after: str | None
    ) -> dict[str, Any]:
        """Return who did what in a session, the newest first.

        Raises:
            NotFound, RoleRequired: Who asks may not.
            InvalidRequest: ``after`` is not what a page said comes next.
        """
        session, standing = await self.standing_in(principal, session_id)
        standing.require(Capability.MANAGE)
        before = None
        if after is not None:
            if not after.isascii() or not after.isdigit() or len(after) > 18:
                raise _bad_cursor()
            before = int(after)
        rows = await self._database.read(
            lambda tx: store.activity_of(tx, session.id, limit=limit + 1, before=before)
        )
        return {
            "items": [
                {
                    "at": rfc3339(row.at),
                    "actor": row.actor,
                    "action": row.action,
                    "target": row.target,
                    "detail": row.detail,
                }
                for row in rows[:limit]
            ],
            "next": str(rows[limit - 1].id) if len(rows) > limit else None,
        }

    async def make_home(self, username: str) -> None:
        """Make the folder that is a user's own, if it does not exist."""
        path = home_of(username)
        if await self._contents.kind(path) is None:
            await self._contents.create(path, "directory", None)

    # ------------------------------------------------------------ inside

    async def _describe_all(
        self, principal: Principal, found: list[store.Session]
    ) -> list[dict[str, Any]]:
        ids = [session.id for session in found]
        summaries = await self._database.read(
            lambda tx: store.summaries(tx, ids, principal.user_id)
        )
        described = []
        for session in found:
            summary = summaries[session.id]
            described.append(
                {
                    "id": session.id,
                    "name": session.name,
                    "path": session.path,
                    "type": session.type,
                    "role": None if summary.role is None else summary.role.value,
                    "owner": summary.owner,
                    "member_count": summary.member_count,
                    "created_at": rfc3339(session.created_at),
                    "updated_at": rfc3339(session.updated_at),
                    "lock": await self._locks.current(session.id),
                }
            )
        return described

    async def _require_own(self, principal: Principal, path: str) -> None:
        if principal.is_admin or is_within(path, home_of(principal.username)):
            return
        standing = await self.standing(principal, path)
        if standing.may(Capability.SEE):
            raise AdminRequired(
                f"Only an admin may share what lies outside {home_of(principal.username)}."
            )
        raise NotFound(
            f"There is no such path for you; share what lies in {home_of(principal.username)}."
        )

    async def _require_free(self, path: str, *, but: SessionId | None = None) -> None:
        other = await self._database.read(lambda tx: store.overlapping(tx, path, but=but))
        if other is not None:
            raise PathShared(_shared_sentence())

    async def _require_unlocked(self, path: str) -> None:
        lock = await self._locks.blocking(path)
        if lock is not None:
            raise Locked(
                "The AI is writing there; wait until it is done, or break its lock.",
                extra={"lock": lock},
            )

    async def _move(
        self, principal: Principal, session: store.Session, path: str, address: str | None
    ) -> store.Session:
        await self._require_own(principal, path)
        await self._require_free(path, but=session.id)
        _kind(path, session.type, None)
        await self._require_unlocked(session.path)
        if is_within(path, session.path):
            raise InvalidRequest(
                "A folder can't be moved into itself.",
                errors=[FieldError("path", "This lies in the folder itself.")],
            )
        await self._contents.move(session.path, path)

        def write(tx: Tx) -> None:
            store.change(tx, session.id, path=path)
            store.note(
                tx,
                principal,
                "session_moved",
                session_id=session.id,
                target=path[:256],
                detail={"from": session.path},
                address=address,
            )

        await self._database.write(write, lock=store.LOCK)
        await self._moves.renamed(session.path, path)
        return replace(session, path=path)


def _at(tx: Tx, path: str, user_id: UserId) -> tuple[SessionId | None, Role | None]:
    session = store.covering(tx, path)
    if session is None:
        return None, None
    return session.id, store.role_of(tx, session.id, user_id)


def _require_member(tx: Tx, session_id: SessionId, username: str) -> tuple[Any, Role]:
    user = store.user_named(tx, username)
    role = None if user is None else store.role_of(tx, session_id, UserId(user.id))
    if user is None or role is None:
        raise NotFound("There is no member of this name.")
    return user, role


def _require_other_owner(tx: Tx, session_id: SessionId) -> None:
    if store.count_owners(tx, session_id) < 2:
        raise LastOwner(_LAST_OWNER)


def _find_invitation(tx: Tx, secret: str) -> store.Invitation:
    invitation = store.invitation_by_secret(tx, secret)
    if invitation is None:
        raise NotFound("There is no such invitation; ask for a new link.")
    return invitation


def _require_open(tx: Tx, secret: str) -> store.Invitation:
    invitation = _find_invitation(tx, secret)
    _require_usable(invitation)
    return invitation


def _require_usable(invitation: store.Invitation) -> None:
    if invitation.revoked_at is not None:
        raise InvitationRevoked("This invitation was taken back; ask for a new one.")
    if invitation.expires_at <= utcnow():
        raise InvitationExpired("This invitation has expired; ask for a new one.")
    if invitation.uses >= invitation.max_uses:
        raise InvitationUsed("This invitation was used already; ask for a new one.")


def _file_name(name: str, type_: str | None) -> str:
    """Return the name of the file that a session of this name gets."""
    cleaned = _NOT_IN_FILES.sub("-", unicodedata.normalize("NFC", name)).strip(" .-")
    if not cleaned:
        raise InvalidRequest(
            "The name has nothing that a file could be called by; name a path too.",
            errors=[FieldError("name", "This can't be made a file name.")],
        )
    cleaned = cleaned.encode()[:200].decode(errors="ignore")
    if type_ == "directory" or "." in cleaned[1:]:
        return cleaned
    return cleaned + (".ipynb" if type_ == "notebook" else ".py")


def _kind(path: str, type_: str | None, found: str | None) -> str:
    """Return what is shared: what is there, or what is to be made.

    Raises:
        InvalidRequest: That is not what was asked for.
    """
    by_name = "notebook" if name_of(path).endswith(".ipynb") else "file"
    kind = found or type_ or by_name
    if type_ not in (None, kind) or (kind != "directory" and kind != by_name):
        raise InvalidRequest(
            f"This path can't be shared as a {type_ or kind}; what ends in .ipynb is a notebook, "
            "and nothing else is.",
            errors=[FieldError("type", f"This has to be {found or by_name}.")],
        )
    return kind


def _shared_sentence() -> str:
    return "This path is shared already, by itself or with a folder; use that session instead."


def _parse_cursor(after: str | None) -> tuple[datetime, str] | None:
    if after is None:
        return None
    moment, separator, session_id = after.partition("~")
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        raise _bad_cursor() from None
    if not separator or parsed.tzinfo is None:
        raise _bad_cursor()
    return parsed, session_id


def _bad_cursor() -> InvalidRequest:
    return InvalidRequest(
        "This is not where a list goes on; use what the last answer gave as next.",
        errors=[FieldError("after", "Use the next of the last answer.")],
    )


__all__ = ["NOBODY", "Invited", "Sessions"]
