"""A type for each kind of id, so that one is never passed for another."""

from __future__ import annotations

import secrets
from typing import NewType

UserId = NewType("UserId", str)
LoginId = NewType("LoginId", str)
SessionId = NewType("SessionId", str)
InvitationId = NewType("InvitationId", str)
DocumentId = NewType("DocumentId", str)
LockId = NewType("LockId", str)
OperationId = NewType("OperationId", str)
FindingId = NewType("FindingId", str)

ID_BYTES = 15


def new_id() -> str:
    """Return a random id of 20 URL-safe characters (120 bits)."""
    return secrets.token_urlsafe(ID_BYTES)
