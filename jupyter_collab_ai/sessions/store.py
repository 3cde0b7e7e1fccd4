"""Queries about sessions, members, invitations and the audit, by noun."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, and_, delete, desc, func, insert, or_, select, update
from sqlalchemy.sql import ColumnElement

from jupyter_collab_ai.clock import rfc3339, utcnow
from jupyter_collab_ai.ids import InvitationId, SessionId, UserId, new_id
from jupyter_collab_ai.sessions.paths import ancestors, is_canonical
from jupyter_collab_ai.sessions.roles import Role
from jupyter_collab_ai.storage.database import Tx
from jupyter_collab_ai.storage.tables import invitations, members, sessions, users

#: Change topics; the keys are the session's id, and ``session:user``.
SESSION = "session"
MEMBER = "member"
#: The topic of accounts, of which ``identity`` tells.
USER = "user"
#: All changes of one kind in one lock, so that checks over several rows hold.
LOCK = "sessions"
#: How long it can still be told of an invitation that it is over, and why.
KEEP_INVITATIONS = timedelta(days=30)
#: Sessions that are read at a time where not all of them may be wanted.
_BATCH = 500


@dataclass(frozen=True)
class Session:
    """One session."""

    id: SessionId
    name: str
    path: str
    type: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Member:
    """One member of a session, with the account."""

    user: dict[str, Any]
    user_id: UserId
    role: Role
    joined_at: datetime


@dataclass(frozen=True)
class Invitation:
    """One invitation, without its secret."""

    id: InvitationId
    session_id: SessionId
    role: Role
    username: str | None
    email: str | None
    created_by: UserId | None
    created_at: datetime
    expires_at: datetime
    uses: int
    max_uses: int
    revoked_at: datetime | None

    def as_json(self) -> dict[str, Any]:
        """Return what clients are shown."""
        value: dict[str, Any] = {
            "id": self.id,
            "role": self.role.value,
            "created_at": rfc3339(self.created_at),
            "expires_at": rfc3339(self.expires_at),
            "uses": self.uses,
            "max_uses": self.max_uses,
        }
        if self.username is not None:
            value["username"] = self.username
        if self.email is not None:
            value["email"] = self.email
        return value


def parse_member(key: str) -> tuple[SessionId, UserId]:
    """Return whom a change of the topic :data:`MEMBER` is about."""
    session_id, _, user_id = key.partition(":")
    return SessionId(session_id), UserId(user_id)


def hash_secret(secret: str) -> str:
    """Return what is kept of a secret with 256 random bits; no salt is needed for those."""
    return hashlib.sha256(secret.encode()).hexdigest()


# ---------------------------------------------------------------- sessions


def find(tx: Tx, session_id: str) -> Session | None:
    """Return the session of this id."""
    if not _storable(session_id):
        return None
    row = tx.execute(select(sessions).where(sessions.c.id == session_id)).one_or_none()
    return None if row is None else _session(row)


def covering(tx: Tx, path: str) -> Session | None:
    """Return the session that ``path`` belongs to; there is one at the most."""
    row = tx.execute(
        select(sessions)
        .where(sessions.c.path.in_(ancestors(path)))
        .order_by(desc(func.length(sessions.c.path)))
        .limit(1)
    ).one_or_none()
    return None if row is None else _session(row)


def overlapping(tx: Tx, path: str, *, but: SessionId | None = None) -> Session | None:
    """Return a session whose files would be shared twice if ``path`` were shared."""
    row = tx.execute(
        select(sessions).where(_overlaps(path), sessions.c.id != (but or "")).limit(1)
    ).one_or_none()
    return None if row is None else _session(row)


def at_or_below(tx: Tx, path: str) -> list[Session]:
    """Return the sessions at ``path`` and in it."""
    rows = tx.execute(select(sessions).where(or_(sessions.c.path == path, _below(path))))
    return [_session(row) for row in rows]


def not_owned_below(tx: Tx, path: str, username: str) -> bool:
    """Return whether there is a session at ``path`` or in it that a user is no owner of."""
    owned = (
        select(members.c.session_id)
        .join(users, users.c.id == members.c.user_id)
        .where(users.c.username == username, members.c.role == Role.OWNER.value)
    )
    found = select(sessions.c.id).where(
        or_(sessions.c.path == path, _below(path)), sessions.c.id.not_in(owned)
    )
    return tx.execute(found.limit(1)).one_or_none() is not None


def in_the_way(tx: Tx, old: str, new: str) -> str | None:
    """Return a path that no session can have, where what is at ``old`` is moved to ``new``."""
    moved = at_or_below(tx, old)
    inside = {session.id for session in moved}
    for session in moved:
        target = new + session.path[len(old) :]
        if not is_canonical(target):
            return target
        found = tx.execute(select(sessions.c.id).where(_overlaps(target))).scalars()
        if any(other not in inside for other in found):
            return target
    return None


def abandoned(tx: Tx) -> list[Session]:
    """Return the sessions without a member."""
    rows = tx.execute(
        select(sessions).where(
            ~select(members.c.user_id).where(members.c.session_id == sessions.c.id).exists()
        )
    )
    return [_session(row) for row in rows]


def left_without_owner(tx: Tx, user_id: UserId) -> Session | None:
    """Return a session that has other members, none of them an owner, without this user."""
    other = members.alias("other")
    others = select(other.c.user_id).where(
        other.c.session_id == sessions.c.id, other.c.user_id != user_id
    )
    row = tx.execute(
        select(sessions)
        .join(members, members.c.session_id == sessions.c.id)
        .where(
            members.c.user_id == user_id,
            members.c.role == Role.OWNER.value,
            others.exists(),
            ~others.where(other.c.role == Role.OWNER.value).exists(),
        )
        .limit(1)
    ).one_or_none()
    return None if row is None else _session(row)


def add(tx: Tx, name: str, path: str, type_: str) -> Session:
    """Add a session."""
    now = utcnow()
    session = Session(SessionId(new_id()), name, path, type_, now, now)
    tx.execute(
        insert(sessions).values(
            id=session.id, name=name, path=path, type=type_, created_at=now, updated_at=now
        )
    )
    tx.notify(SESSION, session.id)
    return session


def change(tx: Tx, session_id: SessionId, **values: Any) -> None:
    """Change columns of a session."""
    tx.execute(
        update(sessions).where(sessions.c.id == session_id).values(**values, updated_at=utcnow())
    )
    tx.notify(SESSION, session_id)


def remove(tx: Tx, session_id: SessionId) -> None:
    """Remove a session, its members and its invitations."""
    for user_id in tx.execute(
        select(members.c.user_id).where(members.c.session_id == session_id)
    ).scalars():
        tx.notify(MEMBER, f"{session_id}:{user_id}")
    tx.execute(delete(sessions).where(sessions.c.id == session_id))
    tx.notify(SESSION, session_id)


def paths_of(tx: Tx, user_id: UserId) -> list[str]:
    """Return the paths of all sessions of a user."""
    return list(
        tx.execute(
            select(sessions.c.path)
            .join(members, members.c.session_id == sessions.c.id)
            .where(members.c.user_id == user_id)
        ).scalars()
    )


@dataclass(frozen=True)
class Page:
    """Some sessions of a list, and where the list goes on."""

    items: list[Session]
    after: tuple[datetime, str] | None


def page(
    tx: Tx,
    *,
    user_id: UserId | None,
    limit: int,
    after: tuple[datetime, str] | None,
    query: str | None,
) -> Page:
    """Return sessions, the newest first; of a user, or of everybody where it is None."""
    needle = _folded(query or "")
    items: list[Session] = []
    for session in _newest_first(tx, user_id, after, _BATCH if needle else limit + 1):
        # Not in SQL: what it takes for the same letter depends on the database and its locale.
        if needle in _folded(session.name) or needle in _folded(session.path):
            items.append(session)
            if len(items) > limit:
                last = items[limit - 1]
                return Page(items[:limit], (last.created_at, last.id))
    return Page(items, None)


def _newest_first(
    tx: Tx, user_id: UserId | None, after: tuple[datetime, str] | None, batch: int
) -> Iterator[Session]:
    statement = select(sessions)
    if user_id is not None:
        statement = statement.join(members, members.c.session_id == sessions.c.id).where(
            members.c.user_id == user_id
        )
    statement = statement.order_by(desc(sessions.c.created_at), desc(sessions.c.id)).limit(batch)
    while True:
        page = statement
        if after is not None:
            page = page.where(
                or_(
                    sessions.c.created_at < after[0],
                    and_(sessions.c.created_at == after[0], sessions.c.id < after[1]),
                )
            )
        found = [_session(row) for row in tx.execute(page)]
        yield from found
        if len(found) < batch:
            return
        after = (found[-1].created_at, found[-1].id)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


@dataclass(frozen=True)
class Summary:
    """What is told of a session besides its own columns."""

    owner: dict[str, Any] | None
    member_count: int
    role: Role | None


def summaries(tx: Tx, ids: Sequence[SessionId], user_id: UserId) -> list[Summary]:
    """Return owner, number of members and the role of ``user_id`` for each session.

    Of several owners, the one who joined first is named.
    """
    counts: dict[str, int] = {
        row.session_id: row.member_count
        for row in tx.execute(
            select(members.c.session_id, func.count().label("member_count"))
            .where(members.c.session_id.in_(ids))
            .group_by(members.c.session_id)
        )
    }
    roles: dict[str, Role] = {
        row.session_id: Role(row.role)
        for row in tx.execute(
            select(members.c.session_id, members.c.role).where(
                members.c.session_id.in_(ids), members.c.user_id == user_id
            )
        )
    }
    owners: dict[str, dict[str, Any]] = {}
    for row in tx.execute(
        select(members.c.session_id, users)
        .join(users, users.c.id == members.c.user_id)
        .where(members.c.session_id.in_(ids), members.c.role == Role.OWNER.value)
        .order_by(members.c.joined_at, members.c.user_id)
    ):
        owners.setdefault(row.session_id, user_json(row))
    return [Summary(owners.get(key), counts.get(key, 0), roles.get(key)) for key in ids]


# ---------------------------------------------------------------- members


def asking_for_sessions_of(user_id: UserId) -> Select[tuple[str]]:
    """Return the question for the ids of the sessions of which a user is a member."""
    return select(members.c.session_id).where(members.c.user_id == user_id)


def role_of(tx: Tx, session_id: SessionId, user_id: UserId, *, keep: bool = False) -> Role | None:
    """Return the role of a user, or None for who is no member.

    With ``keep`` a role stays as it is until ``tx`` ends.
    """
    found = select(members.c.role).where(
        members.c.session_id == session_id, members.c.user_id == user_id
    )
    value = tx.execute(found.with_for_update(read=True) if keep else found).scalar_one_or_none()
    return None if value is None else Role(value)


def sessions_of(tx: Tx, user_id: UserId) -> list[SessionId]:
    """Return the sessions of which a user is a member."""
    return [SessionId(found) for found in tx.execute(asking_for_sessions_of(user_id)).scalars()]


def roles_of(tx: Tx, session_id: SessionId) -> dict[UserId, Role]:
    """Return the role of each member; a session has a bounded number of them."""
    rows = tx.execute(
        select(members.c.user_id, members.c.role).where(members.c.session_id == session_id)
    )
    return {row.user_id: Role(row.role) for row in rows}


def members_of(tx: Tx, session_id: SessionId) -> list[Member]:
    """Return the members of a session in the order in which they joined."""
    rows = tx.execute(
        select(members.c.role, members.c.joined_at, users)
        .join(users, users.c.id == members.c.user_id)
        .where(members.c.session_id == session_id)
        .order_by(members.c.joined_at, users.c.username)
    )
    return [Member(user_json(row), UserId(row.id), Role(row.role), row.joined_at) for row in rows]


def first_owner(tx: Tx, session_id: SessionId) -> UserId | None:
    """Return which of the owners of a session joined first."""
    found = tx.execute(
        select(members.c.user_id)
        .where(members.c.session_id == session_id, members.c.role == Role.OWNER.value)
        .order_by(members.c.joined_at, members.c.user_id)
        .limit(1)
    ).scalar_one_or_none()
    return None if found is None else UserId(found)


def has_other_owner(tx: Tx, session_id: SessionId, user_id: UserId) -> bool:
    """Return whether somebody else is an owner too, and can sign in."""
    return (
        tx.execute(
            select(members.c.user_id)
            .join(users, users.c.id == members.c.user_id)
            .where(
                members.c.session_id == session_id,
                members.c.role == Role.OWNER.value,
                members.c.user_id != user_id,
                users.c.is_active,
            )
            .limit(1)
        ).one_or_none()
        is not None
    )


def count_owned(tx: Tx, user_id: UserId) -> int:
    """Return of how many sessions an account is an owner."""
    owned = select(func.count()).where(
        members.c.user_id == user_id, members.c.role == Role.OWNER.value
    )
    return int(tx.execute(owned).scalar_one())


def count_members(tx: Tx, session_id: SessionId) -> int:
    """Return how many members a session has."""
    counted = select(func.count()).where(members.c.session_id == session_id)
    return int(tx.execute(counted).scalar_one())


def put_member(tx: Tx, session_id: SessionId, user_id: UserId, role: Role) -> None:
    """Make a user a member in this role, or change the role."""
    changed = tx.execute(
        update(members)
        .where(members.c.session_id == session_id, members.c.user_id == user_id)
        .values(role=role.value)
    )
    if not changed.rowcount:
        tx.execute(
            insert(members).values(
                session_id=session_id, user_id=user_id, role=role.value, joined_at=utcnow()
            )
        )
    tx.notify(MEMBER, f"{session_id}:{user_id}")


def remove_member(tx: Tx, session_id: SessionId, user_id: UserId) -> None:
    """End a membership."""
    tx.execute(
        delete(members).where(members.c.session_id == session_id, members.c.user_id == user_id)
    )
    tx.notify(MEMBER, f"{session_id}:{user_id}")


def user_named(tx: Tx, username: str) -> Row[Any] | None:
    """Return the account of this name, whatever its case."""
    if not _storable(username):
        return None
    return tx.execute(select(users).where(users.c.username == username.casefold())).one_or_none()


def display_name_of(tx: Tx, user_id: UserId | None) -> str | None:
    """Return how an account is called, or None where it is gone."""
    return tx.execute(
        select(users.c.display_name).where(users.c.id == user_id)
    ).scalar_one_or_none()


def user_json(row: Row[Any]) -> dict[str, Any]:
    """Return what members see of an account; e-mail addresses are nobody else's business."""
    return {
        "id": row.id,
        "username": row.username,
        "display_name": row.display_name,
        "color": row.color,
        "is_admin": row.is_admin,
        "is_active": row.is_active,
        "created_at": rfc3339(row.created_at),
    }


# ---------------------------------------------------------------- invitations


def add_invitation(
    tx: Tx,
    session_id: SessionId,
    role: Role,
    secret: str,
    *,
    username: str | None,
    email: str | None,
    created_by: UserId,
    expires_at: datetime,
    max_uses: int,
    uses: int = 0,
) -> Invitation:
    """Add an invitation; of its secret only a hash is kept.

    Those of the session that were over long ago are swept.
    """
    long_ago = utcnow() - KEEP_INVITATIONS
    tx.execute(
        delete(invitations).where(
            invitations.c.session_id == session_id,
            or_(invitations.c.expires_at < long_ago, invitations.c.revoked_at < long_ago),
        )
    )
    made = Invitation(
        id=InvitationId(new_id()),
        session_id=session_id,
        role=role,
        username=username,
        email=email,
        created_by=created_by,
        created_at=utcnow(),
        expires_at=expires_at,
        uses=uses,
        max_uses=max_uses,
        revoked_at=None,
    )
    tx.execute(
        insert(invitations).values(
            id=made.id,
            session_id=session_id,
            role=role.value,
            secret_hash=hash_secret(secret),
            username=username,
            email=email,
            created_by=created_by,
            created_at=made.created_at,
            expires_at=expires_at,
            uses=uses,
            max_uses=max_uses,
        )
    )
    return made


def invitation_by_secret(tx: Tx, secret: str) -> Invitation | None:
    """Return the invitation with this secret."""
    row = tx.execute(
        select(invitations).where(invitations.c.secret_hash == hash_secret(secret))
    ).one_or_none()
    return None if row is None else _invitation(row)


def count_open_invitations(tx: Tx, session_id: SessionId) -> int:
    """Return how many invitations of a session can still be accepted."""
    counted = select(func.count()).where(*_open_of(session_id))
    return int(tx.execute(counted).scalar_one())


def _open_of(session_id: SessionId) -> tuple[ColumnElement[bool], ...]:
    return (
        invitations.c.session_id == session_id,
        invitations.c.revoked_at.is_(None),
        invitations.c.expires_at > utcnow(),
        invitations.c.uses < invitations.c.max_uses,
    )


def invitations_of(tx: Tx, session_id: SessionId) -> list[Invitation]:
    """Return the invitations of a session that can still be accepted, the newest first."""
    rows = tx.execute(
        select(invitations)
        .where(*_open_of(session_id))
        .order_by(desc(invitations.c.created_at), desc(invitations.c.id))
    )
    return [_invitation(row) for row in rows]


def use_invitation(tx: Tx, invitation_id: InvitationId) -> bool:
    """Count one use; False where none is left, whoever else uses it at the same time."""
    changed = tx.execute(
        update(invitations)
        .where(invitations.c.id == invitation_id, invitations.c.uses < invitations.c.max_uses)
        .values(uses=invitations.c.uses + 1)
    )
    return bool(changed.rowcount)


def revoke_invitation(tx: Tx, session_id: SessionId, invitation_id: str) -> bool:
    """Revoke an invitation; False where the session has none of this id that is in force."""
    if not _storable(invitation_id):
        return False
    changed = tx.execute(
        update(invitations)
        .where(
            invitations.c.id == invitation_id,
            invitations.c.session_id == session_id,
            invitations.c.revoked_at.is_(None),
        )
        .values(revoked_at=utcnow())
    )
    return bool(changed.rowcount)


def _overlaps(path: str) -> ColumnElement[bool]:
    return or_(sessions.c.path.in_(ancestors(path)), _below(path))


def _storable(text: str) -> bool:
    # PostgreSQL has no NUL in texts, so nothing that is stored has one.
    return "\0" not in text


def _below(path: str) -> ColumnElement[bool]:
    # LIKE folds case on SQLite, and ranges follow the collation on PostgreSQL.
    prefix = path + "/"
    return func.substr(sessions.c.path, 1, len(prefix)) == prefix


def _session(row: Row[Any]) -> Session:
    return Session(SessionId(row.id), row.name, row.path, row.type, row.created_at, row.updated_at)


def _invitation(row: Row[Any]) -> Invitation:
    return Invitation(
        id=InvitationId(row.id),
        session_id=SessionId(row.session_id),
        role=Role(row.role),
        username=row.username,
        email=row.email,
        created_by=row.created_by,
        created_at=row.created_at,
        expires_at=row.expires_at,
        uses=row.uses,
        max_uses=row.max_uses,
        revoked_at=row.revoked_at,
    )
