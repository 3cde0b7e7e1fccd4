"""Queries about accounts, logins and refresh tokens, by noun."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from sqlalchemy import Row, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from jupyter_collab_ai.clock import rfc3339, utcnow
from jupyter_collab_ai.errors import UsernameTaken
from jupyter_collab_ai.identity.names import color_of
from jupyter_collab_ai.ids import LoginId, UserId, new_id
from jupyter_collab_ai.storage.database import Tx
from jupyter_collab_ai.storage.tables import former_usernames, logins, refresh_tokens, users

#: Change topics; the keys are the ids.
USER = "user"
LOGIN = "login"
#: Within this time after its first use a refresh token that comes again is only refused: two
#: tabs of one browser may use it at once. Later it was stolen, or its rightful user's was.
GRACE = timedelta(seconds=5)
#: Logins that an account may have; with one more, the one that was not used longest ends.
MAX_LOGINS = 256
#: Characters that another identity provider may call somebody by, and be called by itself.
MAX_EXTERNAL = 255
#: How exactly it is known when a login was used last.
USE = timedelta(minutes=10)


@dataclass(frozen=True)
class User:
    """One account."""

    id: UserId
    username: str
    display_name: str
    email: str | None
    color: str
    is_admin: bool
    is_active: bool
    created_at: datetime
    has_password: bool
    #: Counts up when all tokens of the account have to end.
    token_version: int
    #: Whether somebody started a server as this account.
    starts_server: bool
    #: Which other identity provider the account comes from; None for one of our own.
    issuer: str | None

    def as_json(self) -> dict[str, Any]:
        """Return what its owner and admins see."""
        value: dict[str, Any] = {
            "id": self.id,
            "username": self.username,
            "display_name": self.display_name,
            "color": self.color,
            "is_admin": self.is_admin,
            "is_active": self.is_active,
            "created_at": rfc3339(self.created_at),
        }
        if self.email is not None:
            value["email"] = self.email
        return value


@dataclass(frozen=True)
class External:
    """Somebody as another identity provider knows them."""

    #: Which provider.
    issuer: str
    #: What it calls them; it never calls two of them the same.
    subject: str


@dataclass(frozen=True)
class Login:
    """One login: where tokens and cookies come from, and with which they end."""

    id: LoginId
    user_id: UserId
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    address: str | None
    user_agent: str | None

    def as_json(self, current: LoginId | None) -> dict[str, Any]:
        """Return what its owner sees."""
        return {
            "id": self.id,
            "created_at": rfc3339(self.created_at),
            "last_used_at": rfc3339(self.last_used_at),
            "expires_at": rfc3339(self.expires_at),
            "address": self.address,
            "user_agent": self.user_agent,
            "current": self.id == current,
        }


class Rotation(Enum):
    """What came of a refresh token."""

    DONE = "done"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    #: Its login has ended.
    DEAD = "dead"
    #: It was used a moment ago, as by two tabs at once; its login goes on.
    JUST_USED = "just used"
    #: It was used before, so somebody has it who should not: its login has ended just now.
    REUSED = "reused"


# ---------------------------------------------------------------- accounts


def find_user(tx: Tx, user_id: str, *, keep: bool = False) -> User | None:
    """Return the account of this id; with ``keep`` it stays as it is until ``tx`` ends."""
    found = select(users).where(users.c.id == user_id)
    row = tx.execute(found.with_for_update(read=True) if keep else found).one_or_none()
    return None if row is None else _user(row)


def find_user_named(tx: Tx, username: str) -> User | None:
    """Return the account of this folded name."""
    if not storable(username):
        return None
    row = tx.execute(select(users).where(users.c.username == username)).one_or_none()
    return None if row is None else _user(row)


def find_external(tx: Tx, external: External) -> User | None:
    """Return the account of somebody whom another identity provider knows."""
    if not storable(external.subject):
        return None
    row = tx.execute(
        select(users).where(users.c.issuer == external.issuer, users.c.subject == external.subject)
    ).one_or_none()
    return None if row is None else _user(row)


def password_hash(tx: Tx, user_id: UserId) -> str | None:
    """Return the hash of an account's password."""
    return tx.execute(
        select(users.c.password_hash).where(users.c.id == user_id)
    ).scalar_one_or_none()


def still_has(tx: Tx, user_id: UserId, stored_hash: str) -> bool:
    """Return whether an account is active with this password, and keep it so until the end.

    Hashing takes so long that the password may have been changed meanwhile.
    """
    row = tx.execute(
        select(users.c.password_hash, users.c.is_active)
        .where(users.c.id == user_id)
        .with_for_update()
    ).one_or_none()
    return row is not None and row.is_active and row.password_hash == stored_hash


def add_user(
    tx: Tx,
    username: str,
    *,
    display_name: str | None = None,
    email: str | None = None,
    stored_hash: str | None = None,
    is_admin: bool = False,
    external: External | None = None,
) -> User:
    """Add an account; ``external`` is who it is to another identity provider.

    Raises:
        UsernameTaken: There is one of this name.
    """
    if find_user_named(tx, username) is not None:
        raise _taken()
    user_id = UserId(new_id())
    try:
        tx.execute(
            insert(users).values(
                id=user_id,
                username=username,
                display_name=display_name or username,
                email=email,
                color=color_of(username),
                password_hash=stored_hash,
                is_admin=is_admin,
                is_active=True,
                issuer=None if external is None else external.issuer,
                subject=None if external is None else external.subject,
                created_at=utcnow(),
            )
        )
    except IntegrityError:
        raise _taken() from None  # by somebody who registered at the same moment
    tx.notify(USER, user_id)
    made = find_user(tx, user_id)
    assert made is not None  # it was added in this transaction
    return made


def change_user(tx: Tx, user_id: UserId, **values: Any) -> None:
    """Change columns of an account."""
    if values:
        tx.execute(update(users).where(users.c.id == user_id).values(**values))
        tx.notify(USER, user_id)


def is_only_admin(tx: Tx, user_id: UserId) -> bool:
    """Return whether an account is an active admin, and no other one is."""
    admins = tx.execute(select(users.c.id).where(users.c.is_admin, users.c.is_active)).scalars()
    return set(admins) == {user_id}


def end_tokens(tx: Tx, user_id: UserId) -> None:
    """End all logins of an account, and each token that was ever made for it."""
    change_user(tx, user_id, token_version=users.c.token_version + 1)
    end_logins(tx, user_id)


def was_taken(tx: Tx, username: str) -> bool:
    """Return whether there was an account of this folded name that is deleted now."""
    found = select(former_usernames).where(former_usernames.c.username == username)
    return tx.execute(found).one_or_none() is not None


def remember_username(tx: Tx, username: str) -> None:
    """Note that an account of this folded name is deleted."""
    tx.execute(delete(former_usernames).where(former_usernames.c.username == username))
    tx.execute(insert(former_usernames).values(username=username, deleted_at=utcnow()))


def delete_user(tx: Tx, user_id: UserId) -> None:
    """Delete an account with its logins and memberships."""
    for login_id in tx.execute(select(logins.c.id).where(logins.c.user_id == user_id)).scalars():
        tx.notify(LOGIN, login_id)
    tx.execute(delete(users).where(users.c.id == user_id))
    tx.notify(USER, user_id)


def page_of_users(
    tx: Tx, *, limit: int, after: str | None, query: str | None
) -> tuple[list[User], str | None]:
    """Return accounts by name, and the name after which the list goes on."""
    if not storable(after or "", query or ""):
        return [], None
    statement = select(users).order_by(users.c.username).limit(limit + 1)
    if after is not None:
        statement = statement.where(users.c.username > after)
    if query:
        needle = query.lower()
        statement = statement.where(
            or_(
                users.c.username.contains(needle, autoescape=True),
                users.c.display_name.icontains(needle, autoescape=True),
            )
        )
    rows = tx.execute(statement).all()
    items = [_user(row) for row in rows[:limit]]
    return items, items[-1].username if len(rows) > limit else None


# ---------------------------------------------------------------- logins


def find_login(tx: Tx, login_id: str, *, keep: bool = False) -> Login | None:
    """Return the login of this id; with ``keep`` it stays as it is until ``tx`` ends."""
    if not storable(login_id):
        return None
    found = select(logins).where(logins.c.id == login_id)
    row = tx.execute(found.with_for_update(read=True) if keep else found).one_or_none()
    return None if row is None else _login(row)


def logins_of(tx: Tx, user_id: UserId) -> list[Login]:
    """Return the logins of an account that have not ended, the newest first."""
    rows = tx.execute(
        select(logins)
        .where(
            logins.c.user_id == user_id,
            logins.c.revoked_at.is_(None),
            logins.c.expires_at > utcnow(),
        )
        .order_by(logins.c.created_at.desc(), logins.c.id)
    )
    return [_login(row) for row in rows]


def add_login(
    tx: Tx,
    user_id: UserId,
    *,
    method: str,
    lifetime: timedelta,
    address: str | None,
    user_agent: str | None,
) -> Login:
    """Add a login; sweep those of the account that ended long ago, and end one too many."""
    now = utcnow()
    long_ago = now - timedelta(days=1)
    tx.execute(
        delete(logins).where(
            logins.c.user_id == user_id,
            or_(logins.c.expires_at < long_ago, logins.c.revoked_at < long_ago),
        )
    )
    by_use = sorted(logins_of(tx, user_id), key=lambda login: login.last_used_at, reverse=True)
    for login in by_use[MAX_LOGINS - 1 :]:
        end_login(tx, login.id)
    login_id = LoginId(new_id())
    tx.execute(
        insert(logins).values(
            id=login_id,
            user_id=user_id,
            method=method,
            created_at=now,
            last_used_at=now,
            expires_at=now + lifetime,
            address=address,
            user_agent=None if user_agent is None else user_agent[:256],
        )
    )
    made = find_login(tx, login_id)
    assert made is not None  # it was added in this transaction
    return made


def use_login(tx: Tx, login_id: LoginId) -> None:
    """Note that a login is in use."""
    now = utcnow()
    used = tx.execute(
        update(logins)
        .where(logins.c.id == login_id, logins.c.last_used_at < now - USE)
        .values(last_used_at=now)
    )
    if used.rowcount:
        tx.notify(LOGIN, login_id)


def end_login(tx: Tx, login_id: LoginId) -> None:
    """End a login, and with it all its tokens."""
    tx.execute(
        update(logins)
        .where(logins.c.id == login_id, logins.c.revoked_at.is_(None))
        .values(revoked_at=utcnow())
    )
    tx.notify(LOGIN, login_id)


def end_logins(tx: Tx, user_id: UserId, *, but: LoginId | None = None) -> None:
    """End all logins of an account, except for one."""
    for login in logins_of(tx, user_id):
        if login.id != but:
            end_login(tx, login.id)


# ---------------------------------------------------------------- refresh tokens


def add_refresh_token(tx: Tx, login: Login, token_hash: str) -> None:
    """Add a refresh token of a login."""
    tx.execute(
        insert(refresh_tokens).values(
            hash=token_hash,
            login_id=login.id,
            created_at=utcnow(),
            expires_at=login.expires_at,
        )
    )


def rotate_refresh_token(
    tx: Tx, old_hash: str, new_hash: str, lifetime: timedelta
) -> tuple[Rotation, Login | None]:
    """Use a refresh token up, and give its login a new one.

    One statement decides who uses it: of any number at once, one does (RFC 9700, 4.14.2).
    """
    # By the database's clock: those of two servers may differ by more than the grace.
    now = datetime.fromtimestamp(tx.now(), tz=UTC)
    used = tx.execute(
        update(refresh_tokens)
        .where(
            refresh_tokens.c.hash == old_hash,
            refresh_tokens.c.used_at.is_(None),
            refresh_tokens.c.expires_at > now,
        )
        .values(used_at=now)
    )
    row = tx.execute(select(refresh_tokens).where(refresh_tokens.c.hash == old_hash)).one_or_none()
    if row is None:
        return Rotation.UNKNOWN, None
    login = find_login(tx, row.login_id)
    if login is None or login.revoked_at is not None:
        return Rotation.DEAD, None
    if not used.rowcount:
        if row.used_at is None:
            return Rotation.EXPIRED, None
        if now - row.used_at > GRACE:
            end_login(tx, login.id)
            return Rotation.REUSED, login
        return Rotation.JUST_USED, None
    tx.execute(
        update(logins)
        .where(logins.c.id == login.id)
        .values(last_used_at=now, expires_at=now + lifetime)
    )
    # Used ones are kept as long as it takes to tell a thief, not for ever.
    tx.execute(
        delete(refresh_tokens).where(
            refresh_tokens.c.login_id == login.id, refresh_tokens.c.expires_at <= now
        )
    )
    tx.notify(LOGIN, login.id)
    renewed = find_login(tx, login.id)
    assert renewed is not None  # it was found in this transaction
    add_refresh_token(tx, renewed, new_hash)
    return Rotation.DONE, renewed


def storable(*texts: str) -> bool:
    """Return whether both databases can hold these texts; what they can't, is nowhere."""
    return not any("\0" in text or any("\ud800" <= c <= "\udfff" for c in text) for text in texts)


def _taken() -> UsernameTaken:
    return UsernameTaken("This username is taken; choose another.")


def _user(row: Row[Any]) -> User:
    return User(
        id=UserId(row.id),
        username=row.username,
        display_name=row.display_name,
        email=row.email,
        color=row.color,
        is_admin=row.is_admin,
        is_active=row.is_active,
        created_at=row.created_at,
        has_password=row.password_hash is not None,
        token_version=row.token_version,
        starts_server=row.starts_server,
        issuer=row.issuer,
    )


def _login(row: Row[Any]) -> Login:
    return Login(
        id=LoginId(row.id),
        user_id=UserId(row.user_id),
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        address=row.address,
        user_agent=row.user_agent,
    )
