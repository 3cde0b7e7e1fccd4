"""Which actions are grave: the one place that decides what a person has to confirm.

JavaScript in the output of a notebook that somebody trusts runs in their browser, with their
login cookie. So what takes an account over, gives a session away or destroys it is not done by a
cookie alone: the person confirms it with the password, which such a script does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from jupyter_collab_ai.principal import Credential

_OWNER = "owner"


class Kind(StrEnum):
    """What is asked for, as the audit log calls it."""

    CHANGE_PASSWORD = "change_password"  # noqa: S105  # the name of an action
    CHANGE_ACCOUNT = "change_account"
    DELETE_ACCOUNT = "delete_account"
    CHANGE_ROLE = "change_role"
    INVITE = "invite"
    DELETE_SESSION = "delete_session"


@dataclass(frozen=True)
class About:
    """Whom and what an action is about, in the words by which people know them."""

    #: Of an account that there is, or of one that may come; None where it could be anybody.
    username: str | None = None
    #: None where there is no such account.
    display_name: str | None = None
    session_id: str | None = None
    session_name: str | None = None
    #: Where what the session shares is.
    path: str | None = None


@dataclass(frozen=True)
class Action:
    """Something that a request asks for; what it leaves as it is, is None."""

    kind: Kind
    about: About = About()
    role: str | None = None
    is_admin: bool | None = None
    is_active: bool | None = None
    delete_files: bool = False
    #: How many sessions end by it; :attr:`about` names them all.
    sessions: int = 1
    #: How many may use an invitation.
    max_uses: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return what :meth:`from_json` takes; there is no secret in it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Action:
        """Return the action of what :meth:`as_json` returned."""
        given = {**value, "kind": Kind(value["kind"]), "about": About(**value["about"])}
        return cls(**given)


def is_grave(action: Action) -> bool:
    """Return whether an action can't be undone by whom it hurts."""
    match action.kind:
        case Kind.CHANGE_PASSWORD | Kind.DELETE_ACCOUNT | Kind.DELETE_SESSION:
            return True
        case Kind.CHANGE_ACCOUNT:
            # Who is shut out, or let in again, decides as much as who is an admin.
            return action.is_admin is not None or action.is_active is not None
        case Kind.CHANGE_ROLE | Kind.INVITE:
            return action.role == _OWNER


def needs_confirmation(credential: Credential, action: Action) -> bool:
    """Return whether the person has to confirm it; programs have no cookie."""
    return credential is Credential.COOKIE and is_grave(action)
