"""Whether whoever began an operation may still go on with it, until it has ended.

Who is signed out, deactivated, demoted or removed writes nothing any more, whatever they have
begun: that is asked in the transaction that records what was made, so nothing can slip in between.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from sqlalchemy import select

from jupyter_collab_ai.ai.ports import Logins
from jupyter_collab_ai.ai.store import Kind
from jupyter_collab_ai.errors import CollabError, DatabaseUnavailable, NotFound, RoleRequired
from jupyter_collab_ai.ids import DocumentId, SessionId, UserId
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.sessions.roles import Capability
from jupyter_collab_ai.sessions.service import Sessions
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.tables import documents

#: What somebody has to be allowed to, as long as an operation of theirs runs.
NEEDED = {Kind.DEBUGGER: Capability.DEBUG, Kind.GENERATOR: Capability.GENERATE}
#: Seconds after which it is asked again, as another server's word may be lost.
RECHECK = 5.0
#: The same, where there was no answer.
RETRY = 1.0


@dataclass(frozen=True)
class Claim:
    """What an operation rests on: somebody, where they are a member, and what they do there."""

    principal: Principal
    session_id: SessionId
    document_id: DocumentId
    capability: Capability


class Permits:
    """Asks ``sessions`` and ``identity`` about those whose operations run."""

    def __init__(self, database: Database, sessions: Sessions, logins: Logins) -> None:
        self._database = database
        self._sessions = sessions
        self._logins = logins

    def require_write(self, tx: Tx, principal: Principal, document_id: DocumentId) -> None:
        """Refuse to let the AI write for somebody; what was allowed is, until ``tx`` ends.

        This has to come before whatever else the transaction changes, so that it waits for
        nobody who waits for it.

        Raises:
            TokenExpired, TokenRevoked: The login has ended, or the account is deactivated.
            NotFound, RoleRequired: They may not write where the document is now.
        """
        now = self._logins.as_of(tx, principal, keep=True)
        self._require_at(tx, now, document_id, Capability.GENERATE, keep=True)

    def require(self, tx: Tx, claim: Claim, *, keep: bool = True) -> Principal:
        """Refuse to go on with what writes nothing yet; return the principal as it is now.

        A document, or its session, may be moved meanwhile, so being allowed to by the session in
        which it was begun is enough.

        Raises:
            TokenExpired, TokenRevoked: The login has ended, or the account is deactivated.
            NotFound, RoleRequired: They may not do this any more.
        """
        now = self._logins.as_of(tx, claim.principal, keep=keep)
        try:
            _, standing = self._sessions.look_in(tx, now, claim.session_id, keep=keep)
            standing.require(claim.capability)
        except (NotFound, RoleRequired):
            self._require_at(tx, now, claim.document_id, claim.capability, keep=keep)
        return now

    def _require_at(
        self,
        tx: Tx,
        principal: Principal,
        document_id: DocumentId,
        capability: Capability,
        *,
        keep: bool,
    ) -> None:
        path = tx.execute(
            select(documents.c.path).where(documents.c.id == document_id)
        ).scalar_one_or_none()
        if path is None:
            raise NotFound("The document is gone; it may have been deleted.")
        self._sessions.look_at(tx, principal, path, keep=keep).require(capability)

    async def until_lost(self, claim: Claim) -> None:
        """Wait until somebody seems not to be allowed any more to go on."""
        principal = claim.principal
        changed = asyncio.Event()

        def heard(session_id: SessionId | None, user_id: UserId | None) -> None:
            del session_id
            if user_id in (None, principal.user_id):
                changed.set()

        stop_hearing = self._sessions.watch(heard)
        try:
            while True:
                changed.clear()
                # Whoever is no admin any more may be a member: that is no end of a login here.
                stop_watching = self._logins.watch(principal, changed.set)
                try:
                    pause = RECHECK
                    try:
                        principal = await self._database.read(
                            lambda tx: self.require(tx, claim, keep=False)
                        )
                    except DatabaseUnavailable:
                        pause = RETRY
                    except CollabError:
                        return
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(pause):
                            await changed.wait()
                finally:
                    stop_watching()
        finally:
            stop_hearing()
