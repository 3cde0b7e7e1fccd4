"""Who is asking, as every room needs to know it and no room needs to look it up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from jupyter_collab_ai.ids import LoginId, UserId


class Credential(Enum):
    """By what a request proved who it comes from."""

    #: An access token in ``Authorization: Bearer`` or a WebSocket subprotocol.
    BEARER = "bearer"
    #: The login cookie of a browser, which scripts of others may make it send.
    COOKIE = "cookie"
    #: Jupyter's own token in ``Authorization: token``.
    TOKEN = "token"  # noqa: S105  # the name of a scheme


@dataclass(frozen=True)
class Principal:
    """The account behind a request or a WebSocket, as it was when it was authenticated."""

    user_id: UserId
    username: str
    display_name: str
    color: str
    is_admin: bool
    credential: Credential
    #: None where no login stands behind the credential (Jupyter's own token).
    login_id: LoginId | None = None
