"""What admins do to accounts, whether they ask by a call or at a terminal."""

from __future__ import annotations

from collections.abc import Collection

from jupyter_collab_ai.errors import FieldError, InvalidRequest, NotFound, UsernameTaken
from jupyter_collab_ai.identity import store
from jupyter_collab_ai.identity.names import check_looks, check_username, fold_username
from jupyter_collab_ai.identity.passwords import Hasher, check_password
from jupyter_collab_ai.storage import audit
from jupyter_collab_ai.storage.audit import By
from jupyter_collab_ai.storage.database import Database, Tx

#: Changes of who is an admin run one after the other, so that two don't end the last two.
_ADMINS = "admins"


class Administration:
    """Makes, shows and changes accounts for those who may; it does not ask who they are."""

    def __init__(self, database: Database, hasher: Hasher, *, starters: Collection[str]) -> None:
        """Work on ``database``.

        Args:
            database: Where accounts are.
            hasher: Hashes passwords.
            starters: The usernames of those who start servers; they stay active admins, and
                nobody else gets such a name.
        """
        self._database = database
        self._hasher = hasher
        self._starters = frozenset(starters)

    async def page(
        self, *, limit: int, after: str | None = None, query: str | None = None
    ) -> tuple[list[store.User], str | None]:
        """Return accounts by name, and the name after which the list goes on."""
        return await self._database.read(
            lambda tx: store.page_of_users(tx, limit=limit, after=after, query=query)
        )

    async def user(self, username: str) -> store.User:
        """Return one account.

        Raises:
            NotFound: There is none of this name.
        """
        folded = fold_username(username)
        found = await self._database.read(lambda tx: store.find_user_named(tx, folded))
        if found is None:
            raise _missing()
        return found

    async def require_free(self, username: str, *, reuse: bool) -> str:
        """Return the folded username that a new account may have.

        Args:
            username: The name.
            reuse: Whether it may be that of a deleted account. Its files are below the root of
                some server, maybe on another machine, and would go with it.

        Raises:
            InvalidRequest: It can't be a username.
            UsernameTaken: There is or was an account of this name, or it is reserved.
        """
        folded = check_username(username)
        if folded in self._starters:
            raise UsernameTaken(
                "This username is reserved for whoever starts the server; choose another."
            )
        await self._database.read(lambda tx: _require_free(tx, folded, reuse=reuse))
        return folded

    async def create(
        self,
        username: str,
        password: str,
        *,
        display_name: str | None = None,
        email: str | None = None,
        is_admin: bool = False,
        reuse: bool = False,
        by: By,
    ) -> store.User:
        """Make an account; it gets its folder when it is first signed in to.

        Args:
            username: How it is called.
            password: What it signs in with.
            display_name: How others see it; the username where it is left out.
            email: Where its owner can be written to.
            is_admin: Whether it may do everything.
            reuse: Whether the name may be that of a deleted account, whose files go with it.
            by: Who asks for it, for the audit log.

        Raises:
            InvalidRequest: The name, the password or another value can't be used.
            UsernameTaken: There is or was an account of this name, or it is reserved.
        """
        folded = await self.require_free(username, reuse=reuse)
        check_password(password)
        values = check_looks({"display_name": display_name, "email": email})
        stored = await self._hasher.hash(password)

        def write(tx: Tx) -> store.User:
            _require_free(tx, folded, reuse=reuse)
            made = store.add_user(tx, folded, stored_hash=stored, is_admin=is_admin, **values)
            _note(tx, "account_created", made, by, is_admin=is_admin)
            return made

        return await self._database.write(write)

    async def set_password(self, username: str, password: str, *, by: By) -> store.User:
        """Give an account another password, and end all its logins.

        Raises:
            NotFound: There is none of this name.
            InvalidRequest: The password can't be one.
        """
        check_password(password)
        user = await self.user(username)
        stored = await self._hasher.hash(password)

        def write(tx: Tx) -> store.User:
            # The password first: whoever signs in with the old one at this moment either is
            # told that it is wrong, or has a login by now, which ends with the others.
            store.change_user(tx, user.id, password_hash=stored)
            store.end_tokens(tx, user.id)
            _note(tx, "password_set", user, by)
            return _found(tx, user)

        return await self._database.write(write)

    async def change(
        self,
        username: str,
        *,
        is_admin: bool | None = None,
        is_active: bool | None = None,
        no_starter: bool = False,
        by: By,
    ) -> store.User:
        """Make an account an admin or not, active or not; its logins end when deactivated.

        Args:
            username: Which account.
            is_admin: Whether it may do everything; None leaves it as it is.
            is_active: Whether it can be signed in to; None leaves it as it is.
            no_starter: Whether the account starts no server any more, if it ever did.
            by: Who asks for it, for the audit log.

        Raises:
            NotFound: There is none of this name.
            InvalidRequest: It is the account of whoever starts the server, or the only admin.
        """
        user = await self.user(username)
        lost = "is_admin" if is_admin is False else "is_active" if is_active is False else None
        is_starter = user.starts_server or user.username in self._starters
        if lost is not None and is_starter and not no_starter:
            raise starters_own(lost)

        def write(tx: Tx) -> store.User:
            if lost is not None and store.is_only_admin(tx, user.id):
                sentence = "This is the only active admin; make somebody else one first."
                raise InvalidRequest(sentence, errors=[FieldError(lost, sentence)])
            given = {"is_admin": is_admin, "is_active": is_active}
            values = {name: value for name, value in given.items() if value is not None}
            store.change_user(tx, user.id, **values)
            if no_starter and user.starts_server:
                store.change_user(tx, user.id, starts_server=False)
            if is_active is False:
                store.end_tokens(tx, user.id)
            if values:
                _note(tx, "account_changed", user, by, **values)
            return _found(tx, user)

        return await self._database.write(write, lock=_ADMINS)


def starters_own(field: str) -> InvalidRequest:
    """Return the error of who would take from the starter's account what it has to keep."""
    sentence = "This account belongs to whoever starts the server; it stays an active admin."
    return InvalidRequest(sentence, errors=[FieldError(field, sentence)])


def _require_free(tx: Tx, folded: str, *, reuse: bool) -> None:
    if store.find_user_named(tx, folded) is not None:
        raise UsernameTaken("This username is taken; choose another.")
    if not reuse and store.was_taken(tx, folded):
        # Whoever got the name would get the files of the one who had it before.
        raise UsernameTaken(
            "An account of this name was deleted, and its files may still be there; "
            "choose another name."
        )


def _note(tx: Tx, action: str, user: store.User, by: By, **detail: bool) -> None:
    audit.note(
        tx,
        by.actor,
        action,
        session_id=None,
        target=user.username,
        detail=detail or None,
        address=by.address,
    )


def _found(tx: Tx, user: store.User) -> store.User:
    found = store.find_user(tx, user.id)
    if found is None:  # deleted at this moment
        raise _missing()
    return found


def _missing() -> NotFound:
    return NotFound("There is no account of this name.")
