"""What a role may do: one table, asked by every way into the server."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from jupyter_collab_ai.errors import NotFound, RoleRequired
from jupyter_collab_ai.ids import SessionId


class Role(Enum):
    """What somebody is in a session."""

    OWNER = "owner"
    EDITOR = "editor"
    VIEWER = "viewer"

    @property
    def rank(self) -> int:
        """How far the role reaches; a higher one may do all that a lower one may."""
        return {Role.VIEWER: 1, Role.EDITOR: 2, Role.OWNER: 3}[self]


class Capability(Enum):
    """Something that a role may or may not do."""

    #: See the session, its members and who is online.
    SEE = "see"
    #: Open documents, follow edits, read history.
    READ = "read"
    #: Change documents; create, rename, upload and delete files; restore history.
    WRITE = "write"
    #: Run the debugger.
    DEBUG = "debug"
    #: Apply a fix, run the generator.
    GENERATE = "generate"
    #: Cancel an operation of one's own and break its lock.
    CANCEL_OWN = "cancel_own"
    #: Cancel anybody's operation and break its lock.
    CANCEL_ANY = "cancel_any"
    #: Invite, change roles, remove, update and delete.
    MANAGE = "manage"
    #: Run code in kernels.
    EXECUTE = "execute"


_VIEWER = frozenset({Capability.SEE, Capability.READ})
_EDITOR = _VIEWER | {
    Capability.WRITE,
    Capability.DEBUG,
    Capability.GENERATE,
    Capability.CANCEL_OWN,
}
_OWNER = _EDITOR | {Capability.CANCEL_ANY, Capability.MANAGE}

#: The table. What stands in no row is refused.
TABLE: dict[Role, frozenset[Capability]] = {
    Role.OWNER: _OWNER,
    Role.EDITOR: _EDITOR,
    Role.VIEWER: _VIEWER,
}


@dataclass(frozen=True)
class Policy:
    """The table, as the administrator's traits have changed it."""

    table: dict[Role, frozenset[Capability]]

    @classmethod
    def of(
        cls,
        *,
        debugger_roles: tuple[Role, ...] = (Role.OWNER, Role.EDITOR),
        execution_roles: tuple[Role, ...] = (),
    ) -> Policy:
        """Return the table where these roles may debug and execute, and no others."""
        return cls(
            {
                role: (capabilities - {Capability.DEBUG, Capability.EXECUTE})
                | ({Capability.DEBUG} if role in debugger_roles else set())
                | ({Capability.EXECUTE} if role in execution_roles else set())
                for role, capabilities in TABLE.items()
            }
        )

    def may(self, role: Role | None, capability: Capability) -> bool:
        """Return whether ``role`` may; None, who is no member, may nothing."""
        return role is not None and capability in self.table[role]

    def least(self, capability: Capability) -> Role | None:
        """Return the lowest role that may, or None if no role may."""
        able = [role for role in Role if self.may(role, capability)]
        return min(able, key=lambda role: role.rank, default=None)


#: The table as it is where nothing was configured.
DEFAULT_POLICY = Policy.of()


def may(role: Role | None, capability: Capability) -> bool:
    """Return whether ``role`` may, by the table as it is without configuration."""
    return DEFAULT_POLICY.may(role, capability)


@dataclass(frozen=True)
class Standing:
    """What somebody is at a path, and so what they may do there."""

    #: The role whose rights apply. Admins, and everybody in their own folder, have an owner's.
    role: Role | None
    #: The session that the path belongs to, if it is shared.
    session_id: SessionId | None = None
    #: Whether the rights come from being an admin, not from membership.
    as_admin: bool = False
    policy: Policy = DEFAULT_POLICY

    def may(self, capability: Capability) -> bool:
        """Return whether this standing allows it."""
        if self.as_admin:
            return True
        return self.policy.may(self.role, capability)

    def require(self, capability: Capability) -> None:
        """Refuse what this standing does not allow.

        Raises:
            NotFound: Whoever asks may not even know of it.
            RoleRequired: They may know of it but not do this.
        """
        if self.may(capability):
            return
        if not self.may(Capability.SEE):
            raise NotFound("There is no such thing, or it is not shared with you.")
        least = self.policy.least(capability)
        if least is None:
            raise RoleRequired("Only an admin of this server may do this.")
        article = "an" if least.value[0] in "aeiou" else "a"
        raise RoleRequired(
            f"This needs the role {least.value}; ask an owner of the session to make you "
            f"{article} {least.value}."
        )


#: The standing of somebody who may know nothing of a path.
NOBODY = Standing(None)
