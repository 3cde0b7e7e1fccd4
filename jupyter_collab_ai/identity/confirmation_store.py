"""Queries about confirmations."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.grave import Action
from jupyter_collab_ai.ids import LoginId, UserId
from jupyter_collab_ai.storage.database import Tx
from jupyter_collab_ai.storage.tables import confirmations, logins, users

#: From the asking to the doing.
LIFETIME = timedelta(minutes=5)
#: How many an account may have; with one more, the oldest that nobody confirmed is dropped.
MAX_OPEN = 20


@dataclass(frozen=True)
class Confirmation:
    """Something that a person has to confirm, or has confirmed, and that is not done yet."""

    user_id: UserId
    username: str
    login_id: LoginId
    action: Action
    confirmed: bool
    digest: str
    nonce_hash: str | None

    def fits(self, confirmation_id: str, request: bytes) -> bool:
        """Return whether it is about this very request."""
        return hmac.compare_digest(self.digest, _digest(confirmation_id, request))

    def was_shown_with(self, nonce: str) -> bool:
        """Return whether the page that was shown last holds this nonce."""
        return self.nonce_hash is not None and hmac.compare_digest(self.nonce_hash, _hash(nonce))


def add(
    tx: Tx,
    confirmation_id: str,
    user_id: UserId,
    login_id: LoginId,
    request: bytes,
    action: Action,
) -> None:
    """Add one, and sweep those that have expired or are too many."""
    now = tx.now()
    tx.execute(delete(confirmations).where(confirmations.c.expires_at <= now))
    known = tx.execute(
        select(confirmations.c.hash)
        .where(confirmations.c.user_id == user_id)
        # False, which is not confirmed, comes before True on either database.
        .order_by(confirmations.c.confirmed_at.is_not(None), confirmations.c.created_at)
    ).scalars()
    hashes = list(known)
    for dropped in hashes[: max(0, len(hashes) - MAX_OPEN + 1)]:
        tx.execute(delete(confirmations).where(confirmations.c.hash == dropped))
    tx.execute(
        insert(confirmations).values(
            hash=_hash(confirmation_id),
            user_id=user_id,
            login_id=login_id,
            digest=_digest(confirmation_id, request),
            action=action.as_json(),
            created_at=utcnow(),
            expires_at=now + LIFETIME.total_seconds(),
        )
    )


def find(tx: Tx, confirmation_id: str) -> Confirmation | None:
    """Return the one of this id, if it has not expired, and the login and account are good."""
    row = tx.execute(
        select(confirmations, users.c.username)
        .join(logins, logins.c.id == confirmations.c.login_id)
        .join(users, users.c.id == confirmations.c.user_id)
        .where(
            confirmations.c.hash == _hash(confirmation_id),
            confirmations.c.expires_at > tx.now(),
            logins.c.revoked_at.is_(None),
            logins.c.expires_at > utcnow(),
            users.c.is_active,
        )
    ).one_or_none()
    return None if row is None else _confirmation(row)


def show(tx: Tx, confirmation_id: str, nonce: str) -> None:
    """Note that the page is shown with this nonce; the one that it had before is dead."""
    tx.execute(
        update(confirmations)
        .where(confirmations.c.hash == _hash(confirmation_id))
        .values(nonce_hash=_hash(nonce))
    )


def give(tx: Tx, confirmation_id: str, nonce: str) -> bool:
    """Note that the person confirms it; False where the page was not the one shown last."""
    given = tx.execute(
        update(confirmations)
        .where(
            confirmations.c.hash == _hash(confirmation_id),
            confirmations.c.nonce_hash == _hash(nonce),
            confirmations.c.confirmed_at.is_(None),
            confirmations.c.expires_at > tx.now(),
        )
        .values(confirmed_at=utcnow(), nonce_hash=None)
    )
    return bool(given.rowcount)


def use(tx: Tx, confirmation_id: str) -> bool:
    """Use one up that was given; of any number of requests at once, one does."""
    used = tx.execute(
        delete(confirmations).where(
            confirmations.c.hash == _hash(confirmation_id),
            confirmations.c.confirmed_at.is_not(None),
        )
    )
    return bool(used.rowcount)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


def _digest(confirmation_id: str, request: bytes) -> str:
    # Keyed by the id, which is not stored: a request may hold passwords, and whoever reads
    # the database must not be able to try some.
    return hmac.new(confirmation_id.encode(errors="replace"), request, "sha256").hexdigest()


def _confirmation(row: Row[Any]) -> Confirmation:
    return Confirmation(
        user_id=UserId(row.user_id),
        username=row.username,
        login_id=LoginId(row.login_id),
        action=Action.from_json(row.action),
        confirmed=row.confirmed_at is not None,
        digest=row.digest,
        nonce_hash=row.nonce_hash,
    )
