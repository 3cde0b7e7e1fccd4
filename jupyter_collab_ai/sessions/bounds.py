"""How many of each thing there may be, so that nobody fills the database."""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_collab_ai.errors import InvalidRequest
from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.sessions import store
from jupyter_collab_ai.storage.database import Tx


@dataclass(frozen=True)
class Bounds:
    """What one account and one session may have at the most."""

    #: Sessions of which an account is an owner.
    sessions: int = 2000
    #: Members of a session.
    members: int = 1000
    #: Invitations of a session that can still be accepted.
    invitations: int = 1000

    def require_session(self, tx: Tx, user_id: UserId) -> None:
        """Refuse another session of an account.

        Raises:
            InvalidRequest: It has as many as it may.
        """
        if store.count_owned(tx, user_id) >= self.sessions:
            raise InvalidRequest(
                f"You own {self.sessions} sessions, which is as many as one account may; "
                "end one that you don't need any more."
            )

    def require_member(self, tx: Tx, session_id: SessionId) -> None:
        """Refuse another member of a session.

        Raises:
            InvalidRequest: It has as many as it may.
        """
        if store.count_members(tx, session_id) >= self.members:
            raise InvalidRequest(
                f"The session has {self.members} members, which is as many as one may have; "
                "its owner has to remove one first."
            )

    def require_invitation(self, tx: Tx, session_id: SessionId) -> None:
        """Refuse another invitation to a session.

        Raises:
            InvalidRequest: It has as many as it may.
        """
        if store.count_open_invitations(tx, session_id) >= self.invitations:
            raise InvalidRequest(
                f"The session has {self.invitations} open invitations, which is as many as one "
                "may have; revoke one that is not needed any more."
            )


DEFAULT_BOUNDS = Bounds()
