"""Sessions: what is shared, and what becomes of it when its files move."""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_collab_ai.clock import rfc3339
from jupyter_collab_ai.errors import (
    AdminRequired,
    FieldError,
    InvalidRequest,
    LastOwner,
    Locked,
    NotFound,
    PathExists,
    PathShared,
    StaleDocument,
)
from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.sessions import store
from jupyter_collab_ai.sessions.bounds import DEFAULT_BOUNDS, Bounds
from jupyter_collab_ai.sessions.naming import (
    file_name,
    kind_by_name,
    kind_of,
    require_same_kind,
)
from jupyter_collab_ai.sessions.paths import (
    HOMES,
    canonical,
    home_holding,
    home_of,
    is_canonical,
    is_home,
    is_within,
    join,
)
from jupyter_collab_ai.sessions.ports import Contents, Locks, Moves
from jupyter_collab_ai.sessions.roles import DEFAULT_POLICY, Capability, Policy, Role
from jupyter_collab_ai.sessions.standings import Standings
from jupyter_collab_ai.storage import audit
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.web.cursors import cursor_of, parse_cursor

_SHARED = "This path is shared already, by itself or with a folder; use that session instead."
_MOVED_INTO = (
    "What is shared can't be moved there: the new path is in another session, hidden or too long."
)


class Sessions(Standings):
    """Makes sessions, moves them and ends them, and knows who may do what in them."""

    def __init__(
        self,
        database: Database,
        contents: Contents,
        locks: Locks,
        moves: Moves,
        *,
        policy: Policy = DEFAULT_POLICY,
        bounds: Bounds = DEFAULT_BOUNDS,
    ) -> None:
        """Begin to know who may do what.

        Args:
            database: Where sessions are kept.
            contents: Where what they share is.
            locks: Where an AI operation is writing.
            moves: Told after sessions have followed files that were moved or deleted.
            policy: What each role may do.
            bounds: How many sessions and members there may be.
        """
        super().__init__(database, policy=policy)
        self.bounds = bounds
        self._contents = contents
        self._locks = locks
        self._moves = moves

    # ------------------------------------------------------------ finding

    async def document_in(
        self, principal: Principal, session_id: str, path: str | None, capability: Capability
    ) -> tuple[store.Session, str]:
        """Return a session, and the path of the document in it that is meant.

        A link in a folder means what it leads to, which has to be in the session, too: what
        members may do ends at its edge.

        Args:
            principal: Who asks.
            session_id: Which session.
            path: Which of the files of a folder, relative to it.
            capability: What is to be done there.

        Raises:
            NotFound: There is no such session or document, or ``principal`` may not know of it.
            RoleRequired: They may know of it but not do this.
            InvalidRequest: The session is a folder and ``path`` is missing or not canonical, or
                the session is one file and ``path`` is not.
        """
        session = await self.require_in(principal, session_id, capability)
        if session.type != "directory":
            if path:
                raise _bad_path("This session is one file; leave the path out.")
            named = session.path
        elif not path:
            raise _bad_path("This session is a folder; say which of its files you mean.")
        else:
            named = join(session.path, canonical(path))
        real = await self._contents.real(named)
        if real is None or not is_canonical(real) or not is_within(real, session.path):
            raise NotFound("There is no such document, or it is not shared with you.")
        return session, real

    async def require_document(
        self, principal: Principal, session_id: SessionId, path: str, capability: Capability
    ) -> None:
        """Refuse what is not allowed in a document any more that was one of a session.

        Args:
            principal: Who asks.
            session_id: The session in which it was.
            path: Where the document is now.
            capability: What is to be done there.

        Raises:
            StaleDocument: It has been moved out of the session.
            NotFound, RoleRequired: ``principal`` may not.
        """
        standing = await self.standing(principal, path)
        if standing.session_id != session_id:
            raise StaleDocument("The document has been moved out of the session since.")
        standing.require(capability)

    # ------------------------------------------------------------ making

    async def create(
        self,
        principal: Principal,
        *,
        name: str,
        path: str | None = None,
        type_: str | None = None,
        content: object | None = None,
        address: str | None = None,
    ) -> dict[str, Any]:
        """Share a file or folder, made if it does not exist, and return the session.

        Raises:
            InvalidRequest: The path, the type or the content can't be used, or who asks owns as
                many sessions as an account may.
            DocumentTooLarge: The content is too large to be edited together.
            AdminRequired: It lies outside the folder of who asks.
            NotFound: It does, and who asks may not know of it.
            PathExists: ``content`` was given for what exists.
            PathShared: Another session has it, holds it or lies in it.
        """
        if path is None:
            path = join(home_of(principal.username), file_name(name, type_))
        path = canonical(path)
        await self._require_own(principal, path)
        await self._contents.require_plain(path)
        await self._require_free(path)
        found = await self._contents.kind(path)
        kind = kind_of(path, type_, found)
        if found is not None and content is not None:
            raise PathExists(
                "There is something at this path already; leave the content out to share it."
            )
        prepared = None if found else await self._contents.prepare(kind, content)

        def write(tx: Tx) -> store.Session:
            if store.overlapping(tx, path) is not None:
                raise PathShared(_SHARED)
            self.bounds.require_session(tx, principal.user_id)
            session = store.add(tx, name, path, kind)
            store.put_member(tx, session.id, principal.user_id, Role.OWNER)
            _note(tx, principal, "session_created", session, target=path, address=address)
            _seat_home_owner(tx, principal, session, path)
            return session

        # The path is taken before the file is made: of two who share it at once, the one who
        # is refused must not have written into the other's file.
        session = await self._database.write(write, lock=store.LOCK)
        if prepared is not None:
            try:
                await self._contents.create(path, prepared)
            except BaseException:
                await asyncio.shield(self._withdraw(principal, session))
                raise
        return await self.describe(principal, session)

    async def make_home(self, username: str) -> None:
        """Make the folder that is a user's own, if it does not exist.

        What an admin shared there before there was such a user is the user's, too.
        """
        path = home_of(username)
        if await self._contents.kind(path) is None:
            try:
                await self._contents.create(path, await self._contents.prepare("directory", None))
            except PathExists:
                # Another server has made it at this moment.
                if await self._contents.kind(path) != "directory":
                    raise

        def write(tx: Tx) -> None:
            for session in store.at_or_below(tx, path):
                _seat_home_owner(tx, None, session, session.path)

        if await self._database.read(lambda tx: store.not_owned_below(tx, path, username)):
            await self._database.write(write, lock=store.LOCK)

    async def home_holds_files(self, username: str) -> bool:
        """Return whether there is anything in the folder that is a user's own."""
        return await self._contents.holds_files(home_of(username))

    # ------------------------------------------------------------ showing

    async def describe(self, principal: Principal, session: store.Session) -> dict[str, Any]:
        """Return a session as clients see it."""
        (described,) = await self._describe_all(principal, [session])
        return described

    async def page(
        self,
        principal: Principal,
        *,
        limit: int,
        after: str | None = None,
        query: str | None = None,
        everybody: bool = False,
    ) -> dict[str, Any]:
        """Return one page of sessions, the newest first.

        Raises:
            AdminRequired: ``everybody`` was asked for by somebody who is no admin.
            InvalidRequest: ``after`` is not what a page said comes next.
        """
        if everybody and not principal.is_admin:
            raise AdminRequired("Only an admin may list everybody's sessions.")
        cursor = parse_cursor(after)
        page = await self._database.read(
            lambda tx: store.page(
                tx,
                user_id=None if everybody else principal.user_id,
                limit=limit,
                after=cursor,
                query=query,
            )
        )
        return {
            "items": await self._describe_all(principal, page.items),
            "next": None if page.after is None else cursor_of(*page.after),
        }

    async def activity(
        self, principal: Principal, session_id: str, *, limit: int, after: str | None = None
    ) -> dict[str, Any]:
        """Return who did what in a session, the newest first.

        Raises:
            NotFound, RoleRequired: Who asks may not.
            InvalidRequest: ``after`` is not what a page said comes next.
        """
        session = await self.require_in(principal, session_id, Capability.MANAGE)
        before = audit.parse_after(after)
        rows, following = await self._database.read(
            lambda tx: audit.page(tx, limit=limit, before=before, session_id=session.id)
        )
        return {
            "items": [audit.as_json(row) for row in rows],
            "next": None if following is None else str(following),
        }

    # ------------------------------------------------------------ changing

    async def update(
        self,
        principal: Principal,
        session_id: str,
        *,
        name: str | None = None,
        path: str | None = None,
        address: str | None = None,
    ) -> dict[str, Any]:
        """Rename a session, move what it shares, or both.

        Raises:
            NotFound, RoleRequired: Who asks may not.
            InvalidRequest, AdminRequired: The new path can't be used, or not by who asks.
            PathExists, PathShared: The new path is taken.
            Locked: An AI operation is writing there.
        """
        session = await self.require_in(principal, session_id, Capability.MANAGE)
        if path is not None and path != session.path:
            await self._move(principal, session, canonical(path), address)
        if name is not None and name != session.name:

            def rename(tx: Tx, session: store.Session) -> None:
                store.change(tx, session.id, name=name)
                _note(tx, principal, "session_renamed", session, target=name, address=address)

            await self.change_in(principal, session_id, Capability.MANAGE, rename)
        session, _ = await self.standing_in(principal, session_id)
        return await self.describe(principal, session)

    async def delete(
        self,
        principal: Principal,
        session_id: str,
        *,
        delete_files: bool = False,
        address: str | None = None,
    ) -> None:
        """End a session, and delete what it shared if that is asked for.

        Raises:
            NotFound, RoleRequired: Who asks may not.
            Locked: The files are to be deleted while an AI operation is writing there.
            PathExists: The session has ended, but not all of its files can be deleted.
        """
        session = await self.require_in(principal, session_id, Capability.MANAGE)
        if delete_files:
            await self._require_unlocked(session.path)

        def write(tx: Tx, session: store.Session) -> store.Session:
            _note(
                tx,
                principal,
                "session_deleted",
                session,
                target=session.path,
                detail={"delete_files": delete_files},
                address=address,
            )
            store.remove(tx, session.id)
            return session

        session = await self.change_in(principal, session_id, Capability.MANAGE, write)
        if delete_files:
            await self._moves.deleted(session.path)
            await self._contents.delete(session.path)
            if is_home(session.path):
                await self.make_home(str(home_holding(session.path)))

    # ------------------------------------------------------------ following

    async def renamed(self, old: str, new: str) -> None:
        """Let sessions and live documents follow files that were moved from ``old`` to ``new``.

        Raises:
            PathShared: Two sessions would come to overlap. Nothing has followed.
        """
        with self._following(old, new):
            await self._change_paths(old, new)
            try:
                await self._moves.renamed(old, new)
            except BaseException:
                await asyncio.shield(self._change_paths(new, old))
                raise

    async def deleted(self, path: str) -> None:
        """End the sessions of files that were deleted, and let live documents know."""

        def write(tx: Tx) -> None:
            for session in store.at_or_below(tx, path):
                _note(
                    tx,
                    None,
                    "session_deleted",
                    session,
                    target=session.path,
                    detail={"because": "files_deleted"},
                )
                store.remove(tx, session.id)

        await self._database.write(write, lock=store.LOCK)
        await self._moves.deleted(path)

    # ------------------------------------------------------------ accounts

    async def may_delete(self, user_id: UserId) -> None:
        """Refuse to delete an account where others would be left without an owner.

        Raises:
            LastOwner: It is the only owner of a session that has other members.
        """

        def read(tx: Tx) -> store.Session | None:
            return store.left_without_owner(tx, user_id)

        session = await self._database.read(read)
        if session is not None:
            raise LastOwner(
                f"This account is the only owner of the session {session.name!r}; make another "
                "member an owner, or end the session first."
            )

    async def end_abandoned(self) -> None:
        """End the sessions that have no members any more, as their accounts were deleted."""

        def write(tx: Tx) -> None:
            for session in store.abandoned(tx):
                _note(
                    tx,
                    None,
                    "session_deleted",
                    session,
                    target=session.path,
                    detail={"because": "no_members"},
                )
                store.remove(tx, session.id)

        await self._database.write(write, lock=store.LOCK)

    # ------------------------------------------------------------ inside

    async def _describe_all(
        self, principal: Principal, found: list[store.Session]
    ) -> list[dict[str, Any]]:
        ids = [session.id for session in found]
        summaries = await self._database.read(
            lambda tx: store.summaries(tx, ids, principal.user_id)
        )
        locks = await asyncio.gather(*(self._locks.current(each) for each in ids))
        return [
            {
                "id": session.id,
                "name": session.name,
                "path": session.path,
                "type": session.type,
                "role": None if summary.role is None else summary.role.value,
                "owner": summary.owner,
                "member_count": summary.member_count,
                "created_at": rfc3339(session.created_at),
                "updated_at": rfc3339(session.updated_at),
                "lock": lock,
            }
            for session, summary, lock in zip(found, summaries, locks, strict=True)
        ]

    async def _require_own(self, principal: Principal, path: str) -> None:
        if not principal.is_admin and not is_within(path, home_of(principal.username)):
            standing = await self.standing(principal, path)
            if standing.may(Capability.SEE):
                raise AdminRequired(
                    f"Only an admin may share what lies outside {home_of(principal.username)}."
                )
            raise NotFound(
                f"There is no such path for you; share what lies in {home_of(principal.username)}."
            )
        if path == HOMES:
            sentence = "This folder holds everybody's own folders, so it can't be shared."
            raise InvalidRequest(sentence, errors=[FieldError("path", sentence)])

    async def _require_free(self, path: str, *, but: SessionId | None = None) -> None:
        other = await self._database.read(lambda tx: store.overlapping(tx, path, but=but))
        if other is not None:
            raise PathShared(_SHARED)

    async def _require_unlocked(self, path: str) -> None:
        lock = await self._locks.blocking(path)
        if lock is not None:
            raise Locked(
                "The AI is writing there; wait until it is done, or break its lock.",
                extra={"lock": lock},
            )

    async def _withdraw(self, principal: Principal, session: store.Session) -> None:
        """Take back a session whose file could not be made."""

        def write(tx: Tx) -> None:
            _note(
                tx,
                principal,
                "session_deleted",
                session,
                target=session.path,
                detail={"because": "not_created"},
            )
            store.remove(tx, session.id)

        await self._database.write(write, lock=store.LOCK)

    async def _move(
        self, principal: Principal, session: store.Session, path: str, address: str | None
    ) -> None:
        old = session.path
        await self._require_own(principal, path)
        if is_home(old):
            raise _bad_path("Somebody's own folder stays where it is.")
        if is_within(path, old):
            raise _bad_path("A folder can't be moved into itself.")
        await self._contents.require_plain(path)
        await self._require_free(path, but=session.id)
        require_same_kind(path, session.type)
        await self._require_unlocked(old)
        if await self._contents.kind(path) is not None:
            raise PathExists("There is something at this path already; choose another.")

        def write(tx: Tx, current: store.Session) -> None:
            if current.path != old or store.overlapping(tx, path, but=session.id) is not None:
                raise PathShared("The session or its new path has just been moved; try again.")
            store.change(tx, session.id, path=path)
            _note(
                tx,
                principal,
                "session_moved",
                session,
                target=path,
                detail={"from": old},
                address=address,
            )
            if home_holding(path) != home_holding(old):
                _seat_home_owner(tx, principal, session, path)

        with self._following(old, path):
            await self.change_in(principal, session.id, Capability.MANAGE, write)
            try:
                await self._move_files(old, path)
            except BaseException:
                await asyncio.shield(self._move_back(principal, session, path))
                raise

    async def _move_files(self, old: str, new: str) -> None:
        await self._contents.move(old, new)
        try:
            await self._moves.renamed(old, new)
        except BaseException:
            await asyncio.shield(self._contents.move(new, old))
            raise

    async def _move_back(self, principal: Principal, session: store.Session, path: str) -> None:
        def write(tx: Tx) -> None:
            store.change(tx, session.id, path=session.path)
            _note(
                tx,
                principal,
                "session_moved",
                session,
                target=session.path,
                detail={"from": path, "because": "not_moved"},
            )

        await self._database.write(write, lock=store.LOCK)

    async def _change_paths(self, old: str, new: str) -> None:
        def write(tx: Tx) -> None:
            if store.in_the_way(tx, old, new) is not None:
                raise PathShared(_MOVED_INTO)
            for session in store.at_or_below(tx, old):
                path = new + session.path[len(old) :]
                type_ = session.type if session.type == "directory" else kind_by_name(path)
                store.change(tx, session.id, path=path, type=type_)
                _note(
                    tx,
                    None,
                    "session_moved",
                    session,
                    target=path,
                    detail={"from": session.path},
                )
                if home_holding(path) != home_holding(session.path):
                    _seat_home_owner(tx, None, session, path)

        await self._database.write(write, lock=store.LOCK)


def _seat_home_owner(
    tx: Tx, principal: Principal | None, session: store.Session, path: str
) -> None:
    """Make whoever's own folder the session comes to lie in an owner of it.

    There they have an owner's rights, which an admin who shares something must not take away.
    """
    username = home_holding(path)
    if username is None:
        return
    user = store.user_named(tx, username)
    if user is None or store.role_of(tx, session.id, UserId(user.id)) is Role.OWNER:
        return
    store.put_member(tx, session.id, UserId(user.id), Role.OWNER)
    _note(
        tx,
        principal,
        "member_added",
        session,
        target=username,
        detail={"role": Role.OWNER.value, "because": "own_folder"},
    )


def _note(
    tx: Tx,
    principal: Principal | None,
    action: str,
    session: store.Session,
    *,
    target: str,
    detail: dict[str, Any] | None = None,
    address: str | None = None,
) -> None:
    audit.note(
        tx,
        principal,
        action,
        session_id=session.id,
        target=target,
        detail=detail,
        address=address,
    )


def _bad_path(sentence: str) -> InvalidRequest:
    return InvalidRequest(sentence, errors=[FieldError("path", sentence)])
