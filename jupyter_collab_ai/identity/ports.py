"""What identity asks of other rooms; ``app.py`` plugs the answers in."""

from __future__ import annotations

from typing import Any, Protocol

from jupyter_collab_ai.ids import UserId
from jupyter_collab_ai.principal import Principal


class Invitations(Protocol):
    """The links by which people come."""

    async def check(self, secret: str) -> dict[str, Any]:
        """Return ``session_name``, ``path``, ``role`` and ``invited_by``.

        Raises:
            NotFound, InvitationExpired, InvitationUsed, InvitationRevoked: It opens nothing.
        """
        ...

    async def joined(self, principal: Principal, secret: str) -> str | None:
        """Return the path of what an invitation is to, if ``principal`` is a member already."""
        ...

    async def accept(
        self, principal: Principal, secret: str, *, address: str | None = None
    ) -> dict[str, Any]:
        """Make ``principal`` a member, and return the session.

        Raises:
            NotFound, InvitationExpired, InvitationUsed, InvitationRevoked: It opens nothing.
        """
        ...


class Accounts(Protocol):
    """Told of accounts that come and go."""

    async def make_home(self, username: str) -> None:
        """Make the folder that is a user's own."""
        ...

    async def may_delete(self, user_id: UserId) -> None:
        """Refuse where others would be left in a session without an owner.

        Raises:
            LastOwner: The account is the only owner of a session.
        """
        ...

    async def home_holds_files(self, username: str) -> bool:
        """Return whether there is anything in the folder that is a user's own."""
        ...

    async def end_abandoned(self) -> None:
        """End the sessions that have no members any more, as their accounts were deleted."""
        ...
