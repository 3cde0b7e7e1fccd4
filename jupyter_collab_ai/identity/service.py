"""Accounts and logins: the one place that knows who somebody is."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, Protocol, TypeVar

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import (
    CollabError,
    FieldError,
    InvalidCredentials,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    RateLimited,
    RegistrationClosed,
    TokenExpired,
    TokenRevoked,
    UsernameTaken,
    check_all,
)
from jupyter_collab_ai.identity import store
from jupyter_collab_ai.identity.administration import Administration, starters_own
from jupyter_collab_ai.identity.names import (
    check_looks,
    check_username,
    displayable,
    external_names,
    fold_username,
)
from jupyter_collab_ai.identity.passwords import Hasher, check_password
from jupyter_collab_ai.identity.ports import Accounts, Invitations
from jupyter_collab_ai.identity.registration import Registration
from jupyter_collab_ai.identity.throttle import Throttle
from jupyter_collab_ai.identity.tokens import (
    ACCESS_LIFETIME,
    LOGIN_LIFETIME,
    Audience,
    Tokens,
    hash_refresh_token,
    new_refresh_token,
)
from jupyter_collab_ai.ids import LoginId, UserId
from jupyter_collab_ai.principal import Credential, Principal
from jupyter_collab_ai.storage import audit
from jupyter_collab_ai.storage.audit import By
from jupyter_collab_ai.storage.changes import ChangeCache
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.web.limits import RateLimiter

log = logging.getLogger(__name__)

T = TypeVar("T")

_WRONG = "The username or the password is wrong."
_ELSEWHERE = "Accounts of this server come from its own sign-in service; sign in there."
_REVOKED = "This login has ended; sign in again."
_EXPIRED = "This login has expired; sign in again."
_DEACTIVATED = "Your account on this server is deactivated; ask an admin."
_JUST_USED = (
    "This refresh token was used a moment ago, as by another tab; the login goes on with the "
    "tokens that came of it."
)
#: What a token is for, by how it comes.
_AUDIENCES = {Credential.BEARER: Audience.ACCESS, Credential.COOKIE: Audience.COOKIE}
#: Seconds from an expiry to the look at it, so that the clock is surely past it.
_GRACE = 0.05
#: Characters of a token of Jupyter's that nobody can guess; those that are generated have 48.
_UNGUESSABLE = 32
#: People of another identity provider whose accounts are remembered.
_KNOWN = 10_000
#: Their accounts are made one after the other.
_ADMISSION = "admission"
#: Seconds after which the database is asked again where it could not be reached.
_PATIENCE = 1.0
#: Seconds that the event loop may be told to wait in one go.
_LONGEST_TIMER = 24 * 3600.0


class Identity:
    """Registers, signs in, and tells for each credential whose it is."""

    def __init__(
        self,
        database: Database,
        tokens: Tokens,
        *,
        hasher: Hasher,
        limiter: RateLimiter,
        invitations: Invitations,
        accounts: Accounts,
        starter: store.User,
        external: bool = False,
    ) -> None:
        """Work on ``database``.

        Args:
            database: Where accounts are.
            tokens: Mints and verifies.
            hasher: Hashes passwords.
            limiter: Counts registrations and logins.
            invitations: The links by which people come.
            accounts: Told of accounts that come and go.
            starter: The account of whoever holds Jupyter's token.
            external: Whether another identity provider says who somebody is. Then there are
                no passwords and no tokens of ours.
        """
        self.external = external
        self._known: OrderedDict[store.External, UserId] = OrderedDict()
        self._database = database
        self._tokens = tokens
        self._hasher = hasher
        self._throttle = Throttle(limiter)
        self._invitations = invitations
        self._accounts = accounts
        self._administration = Administration(database, hasher, starters={starter.username})
        self.starter_id = starter.id
        self.starter_name = starter.username
        self._users: ChangeCache[str, store.User] = ChangeCache(database.changes, store.USER)
        self._logins: ChangeCache[str, store.Login] = ChangeCache(database.changes, store.LOGIN)
        self._watches: dict[str, set[_Watch]] = defaultdict(set)
        self._followers: dict[UserId, set[_Follower]] = defaultdict(set)
        database.changes.subscribe(store.USER, self._changed)
        database.changes.subscribe(store.USER, self._user_changed)
        database.changes.subscribe(store.LOGIN, self._changed)
        self._tasks: set[asyncio.Task[None]] = set()
        self._noting: set[LoginId] = set()

    # ------------------------------------------------------------ whose credential it is

    async def authenticate(self, token: str, credential: Credential) -> Principal:
        """Return who an access token or a login cookie belongs to.

        Raises:
            NotAuthenticated, TokenExpired, TokenRevoked: It is no good (any more).
        """
        if self.external:
            raise NotAuthenticated(_ELSEWHERE)
        claims = self._tokens.verify(token, _AUDIENCES[credential])
        login = await self._login(claims.login_id)
        user = await self._user(claims.user_id)
        if login is None or user is None or login.user_id != user.id:
            raise TokenRevoked(_REVOKED)
        if not user.is_active:
            raise TokenRevoked(_DEACTIVATED)
        if login.revoked_at is not None:
            raise TokenRevoked(_REVOKED)
        if claims.version != user.token_version:
            raise TokenRevoked(_REVOKED)
        now = utcnow()
        if login.expires_at <= now:
            raise TokenExpired(_EXPIRED)
        if now - login.last_used_at > store.USE and login.id not in self._noting:
            self._spawn(self._note_use(login.id))
        return _principal(user, credential, login.id)

    def was_signed(self, token: str, credential: Credential) -> bool:
        """Tell whether an access token or a login cookie was made here, be it good or not now."""
        try:
            self._tokens.verify(token, _AUDIENCES[credential])
        except TokenExpired:
            return True
        except NotAuthenticated:
            return False
        return True

    async def authenticate_starter(self) -> Principal:
        """Return who holds Jupyter's own token, which the caller has compared.

        Raises:
            NotAuthenticated: The account is gone.
        """
        user = await self._user(self.starter_id)
        if user is None or not user.is_active:
            raise NotAuthenticated("The account of whoever started this server is gone.")
        return _principal(user, Credential.TOKEN, None)

    async def authenticate_external(
        self, external: store.External, display_name: str, credential: Credential, *, address: str
    ) -> Principal:
        """Return the account of somebody whom another identity provider knows.

        It is made at first sight, by a name that nobody else has or had.

        Args:
            external: Who it is.
            display_name: What they are called there.
            credential: By what they proved it.
            address: Where the request comes from.

        Raises:
            TokenRevoked: The account is deactivated.
            NotAuthenticated: There is no name for it.
        """
        known = self._known.get(external)
        user = None if known is None else await self._user(known)
        if user is None:
            user = await self._external(external, display_name, address)
            self._known[external] = user.id
            if len(self._known) > _KNOWN:
                self._known.popitem(last=False)
        if not user.is_active:
            raise TokenRevoked(_DEACTIVATED)
        return _principal(user, credential, None)

    async def _external(
        self, external: store.External, display_name: str, address: str
    ) -> store.User:
        """Find the account of somebody whom another identity provider knows, or make it."""
        if not store.storable(external.subject):
            raise NotAuthenticated("Your name at your sign-in service can't be used here.")
        found = await self._database.read(lambda tx: store.find_external(tx, external))
        if found is not None:
            return found
        for name in external_names(external.issuer, external.subject):
            if name == self.starter_name or await self._accounts.home_holds_files(name):
                continue

            def add(tx: Tx, name: str = name) -> store.User | None:
                # At the same moment another request, or another server, may be at it too.
                there = store.find_external(tx, external)
                if there is not None or store.was_taken(tx, name):
                    return there
                if store.find_user_named(tx, name) is not None:
                    return None
                shown = displayable(display_name, name)
                made = store.add_user(tx, name, display_name=shown, external=external)
                _note(tx, "account_admitted", made, By(_Account(made), address))
                return made

            try:
                user = await self._database.write(add, lock=_ADMISSION)
            except UsernameTaken:
                continue  # it was registered at this moment
            if user is not None:
                await self._provide_home(user)
                return user
        raise NotAuthenticated("All names that you could have here are taken; ask an admin.")

    async def is_live(self, principal: Principal) -> bool:
        """Return whether what a principal was authenticated by is still good."""
        user = await self._user(principal.user_id)
        if user is None or not user.is_active or (principal.is_admin and not user.is_admin):
            return False
        if principal.login_id is None:
            return True
        login = await self._login(principal.login_id)
        return login is not None and login.revoked_at is None and login.expires_at > utcnow()

    def as_of(self, tx: Tx, principal: Principal, *, keep: bool = False) -> Principal:
        """Return a principal as its account is in a transaction.

        Args:
            tx: The transaction.
            principal: As it was when it was authenticated.
            keep: Whether account and login stay so until the transaction, which writes, ends.

        Raises:
            TokenExpired, TokenRevoked: The login has ended, or the account is deactivated.
        """
        # In the order in which they are changed together.
        user = store.find_user(tx, principal.user_id, keep=keep)
        if user is None or not user.is_active:
            raise TokenRevoked(_DEACTIVATED)
        if principal.login_id is not None:
            login = store.find_login(tx, principal.login_id, keep=keep)
            if login is None or login.revoked_at is not None:
                raise TokenRevoked(_REVOKED)
            if login.expires_at <= utcnow():
                raise TokenExpired(_EXPIRED)
        return _principal(user, principal.credential, principal.login_id)

    def watch(self, principal: Principal, ended: Callable[[], None]) -> Callable[[], None]:
        """Call ``ended`` once, as soon as the principal's login or account ends or expires.

        Returns how to stop.
        """
        watch = _Watch(principal, ended)
        keys = [str(principal.user_id)]
        if principal.login_id is not None:
            keys.append(str(principal.login_id))
        for key in keys:
            self._watches[key].add(watch)
        # What ended between the authentication and here was not heard yet.
        self._spawn(self._check(watch))

        def stop() -> None:
            watch.stop()
            for key in keys:
                self._watches[key].discard(watch)
                if not self._watches[key]:
                    del self._watches[key]

        return stop

    def follow(
        self, principal: Principal, changed: Callable[[str, str], None]
    ) -> Callable[[], None]:
        """Call ``changed`` with a new display name and color of the principal's account.

        It is called with what they are by then, as soon as they differ from what ``principal``
        says or from what was told last. Returns how to stop.
        """
        follower = _Follower(principal, changed)
        followers = self._followers[principal.user_id]
        followers.add(follower)
        # What changed between the authentication and here was not heard yet.
        self._spawn(self._tell_looks(follower))

        def stop() -> None:
            follower.stop()
            followers.discard(follower)
            if not followers and self._followers.get(principal.user_id) is followers:
                del self._followers[principal.user_id]

        return stop

    # ------------------------------------------------------------ coming and going

    async def register(
        self,
        *,
        username: str,
        password: str,
        display_name: str | None,
        email: str | None,
        invitation: str | None,
        registration: Registration,
        address: str,
    ) -> store.User:
        """Make an account with a folder of its own.

        Args:
            username: How it is called.
            password: What it signs in with.
            display_name: How others see it; the username where it is left out.
            email: Where its owner can be written to.
            invitation: The secret of a link, which is accepted at once.
            registration: Who may register by this request.
            address: Where the request comes from.

        Raises:
            InvalidRequest: The name, the password or something else can't be used.
            RegistrationClosed: Nobody may register, or only who is invited.
            NotFound, InvitationExpired, InvitationUsed, InvitationRevoked: The invitation
                opens nothing.
            UsernameTaken: There is an account of this name, it is reserved, or there are files
                where its folder would be.
            RateLimited: Too many came from this address.
        """
        if self.external:
            raise RegistrationClosed(_ELSEWHERE)
        if registration is Registration.CLOSED:
            raise RegistrationClosed("Nobody can register here; ask an admin for an account.")
        if registration is Registration.INVITE and invitation is None:
            raise RegistrationClosed(
                "You need an invitation to register here; ask whoever shares with you for a link."
            )
        folded, _, values = check_all(
            lambda: check_username(username),
            lambda: check_password(password),
            lambda: check_looks({"display_name": display_name, "email": email}),
        )
        # What was only mistyped does not count.
        self._throttle.registration(address)
        if invitation is not None:
            await self._invitations.check(invitation)
        # What is in the folder of that name already, of a deleted account or of a project that
        # has nothing to do with accounts, would be theirs. They are not told of it.
        if (
            folded == self.starter_name
            or await self._named(folded) is not None
            or await self._accounts.home_holds_files(folded)
        ):
            raise UsernameTaken("This username is taken; choose another.")
        stored = await self._hasher.hash(password)

        def add(tx: Tx) -> store.User:
            made = store.add_user(tx, folded, stored_hash=stored, **values)
            _note(tx, "account_registered", made, By(_Account(made), address))
            return made

        user = await self._database.write(add)
        try:
            if invitation is not None:
                principal = _principal(user, Credential.BEARER, None)
                await self._invitations.accept(principal, invitation, address=address)
            await self._accounts.make_home(user.username)
        except BaseException:
            # Others were faster with the invitation, or the disk is full: then nobody came in.
            await asyncio.shield(self._database.write(lambda tx: _withdraw(tx, user, address)))
            raise
        return user

    async def login(
        self, username: str, password: str, *, address: str, user_agent: str | None
    ) -> tuple[store.User, store.Login]:
        """Sign in with a password.

        Raises:
            InvalidCredentials: Name or password are wrong, or the account is deactivated.
            RateLimited: Too many came from this address, or too many failed.
        """
        if self.external:
            raise InvalidCredentials(_ELSEWHERE)
        folded = fold_username(username)[:64]
        async with self._trying(folded, address):
            user, stored = await self._database.read(lambda tx: _password_of(tx, folded))
            matches = await self._hasher.verify(stored, password)
            if user is None or stored is None or not matches:
                raise InvalidCredentials(_WRONG)
            if not user.is_active:
                raise InvalidCredentials(_DEACTIVATED)
            renewed = None
            if self._hasher.outdated(stored):
                renewed = await self._hasher.hash(password)
            known, proven = user, stored

            def write(tx: Tx) -> store.Login:
                if not store.still_has(tx, known.id, proven):
                    raise InvalidCredentials(_WRONG)
                if renewed is not None:
                    store.change_user(tx, known.id, password_hash=renewed)
                return _new_login(tx, known, "password", address, user_agent)

            made = await self._database.write(write)
        await self._provide_home(user)
        return user, made

    async def login_starter(
        self, *, address: str, user_agent: str | None
    ) -> tuple[store.User, store.Login]:
        """Sign in whoever holds Jupyter's own token, which the caller has compared.

        Raises:
            NotAuthenticated: The account is gone.
        """
        user = await self._user(self.starter_id)
        if user is None or not user.is_active:
            raise NotAuthenticated("The account of whoever started this server is gone.")
        return user, await self._database.write(
            lambda tx: _new_login(tx, user, "token", address, user_agent)
        )

    async def login_starter_by(
        self, matches: Callable[[], bool], *, address: str, user_agent: str | None
    ) -> tuple[store.User, store.Login]:
        """Sign in whoever typed Jupyter's own token or password.

        Args:
            matches: Compares what was typed; may take as long as a hash.
            address: Where the request comes from.
            user_agent: What the client calls itself.

        Raises:
            InvalidCredentials: It is another.
            RateLimited: Too many came from this address, or too many failed.
        """
        async with self._trying(self.starter_name, address):
            if not await self._hasher.run(matches):
                raise InvalidCredentials("The token is wrong.")
            return await self.login_starter(address=address, user_agent=user_agent)

    async def count_token(self, address: str, *, right: bool, token: str) -> None:
        """Count a token that came in a request if it was not ``token``, Jupyter's own.

        Raises:
            RateLimited: Too many wrong ones came from this address. Where ``token`` is so short
                that it could be guessed, also for the right one.
        """
        try:
            self._throttle.token(address, right=right, guessable=not is_unguessable(token))
        except RateLimited:
            await self._note_throttled(None, address)
            raise

    async def signs_in_by_token(self, username: str) -> bool:
        """Return whether this is the account of the starter, and has no password of its own."""
        if fold_username(username) != self.starter_name:
            return False
        user = await self._user(self.starter_id)
        return user is not None and not user.has_password

    async def account(self, user_id: UserId) -> store.User | None:
        """Return the account of this id."""
        return await self._user(user_id)

    async def prove(
        self,
        user: store.User,
        password: str,
        is_secret: Callable[[str], bool],
        *,
        address: str,
        then: Callable[[Tx], T],
    ) -> T:
        """Do something that only who knows the password of an account may do.

        Args:
            user: The account.
            password: What was typed; for the account of who starts the server also its token.
            is_secret: Compares with Jupyter's own token; may take as long as a hash.
            address: Where the request comes from.
            then: Does it, in a transaction in which the password is still the account's.

        Raises:
            InvalidCredentials: It is another, or the account is deactivated.
            RateLimited: Too many came from this address, or too many failed.
        """
        async with self._trying(user.username, address):
            by_token = user.id == self.starter_id and await self._hasher.run(
                lambda: is_secret(password)
            )
            stored = await self._database.read(lambda tx: store.password_hash(tx, user.id))
            if not by_token and not await self._hasher.verify(stored, password):
                raise _wrong_proof()

            def write(tx: Tx) -> T:
                if not by_token and (stored is None or not store.still_has(tx, user.id, stored)):
                    raise _wrong_proof()
                return then(tx)

            return await self._database.write(write)

    async def issue(self, user: store.User, login: store.Login) -> dict[str, Any]:
        """Return new tokens of a login that has none yet."""
        refresh = new_refresh_token()
        digest = hash_refresh_token(refresh)
        await self._database.write(lambda tx: store.add_refresh_token(tx, login, digest))
        return self._answer(user, login, refresh)

    def cookie(self, user: store.User, login: store.Login) -> str:
        """Return the value of a browser's login cookie."""
        return self._tokens.mint(
            user.id, login.id, Audience.COOKIE, LOGIN_LIFETIME, version=user.token_version
        )

    async def refresh(self, token: str, *, address: str) -> dict[str, Any]:
        """Return new tokens for a refresh token, which is dead from now on.

        Raises:
            NotAuthenticated: It never was one.
            TokenExpired, TokenRevoked: It is no good any more. One that was used before ends
                its whole login, for then somebody has it who should not.
        """
        if self.external:
            raise TokenRevoked(_ELSEWHERE)
        fresh = new_refresh_token()

        def write(tx: Tx) -> tuple[store.Rotation, store.Login | None, store.User | None]:
            outcome, login = store.rotate_refresh_token(
                tx, hash_refresh_token(token), hash_refresh_token(fresh), LOGIN_LIFETIME
            )
            user = None if login is None else store.find_user(tx, login.user_id)
            if outcome is store.Rotation.REUSED and user is not None:
                _note(tx, "refresh_token_reused", user, By(None, address))
            return outcome, login, user

        outcome, login, user = await self._database.write(write)
        if outcome is store.Rotation.UNKNOWN:
            raise NotAuthenticated("This is not a refresh token; sign in again.")
        if outcome is store.Rotation.EXPIRED:
            raise TokenExpired(_EXPIRED)
        if outcome is store.Rotation.JUST_USED:
            raise TokenRevoked(_JUST_USED)
        if outcome is not store.Rotation.DONE or login is None or user is None:
            raise TokenRevoked(_REVOKED)
        if not user.is_active:
            raise TokenRevoked(_DEACTIVATED)
        return self._answer(user, login, fresh)

    async def logout(self, principal: Principal, *, address: str | None) -> None:
        """End the login of a principal.

        Raises:
            InvalidRequest: Another identity provider keeps it.
        """
        login_id = principal.login_id
        if self.external and principal.credential is not Credential.TOKEN:
            raise InvalidRequest("Sign out where you signed in; this server keeps no logins.")
        if login_id is None:
            return

        def write(tx: Tx) -> None:
            store.end_login(tx, login_id)
            _note(tx, "signed_out", principal, By(principal, address))

        await self._database.write(write)

    # ------------------------------------------------------------ one's own account

    async def me(self, principal: Principal) -> store.User:
        """Return the account of a principal.

        Raises:
            NotAuthenticated: It is gone.
        """
        user = await self._database.read(lambda tx: store.find_user(tx, principal.user_id))
        if user is None:
            raise NotAuthenticated("This account is gone.")
        return user

    async def change_me(self, principal: Principal, changes: dict[str, str | None]) -> store.User:
        """Change ``display_name``, ``email`` or ``color``; only an address can be taken back.

        Raises:
            InvalidRequest: A value can't be used.
        """
        values = check_looks(changes)
        await self._database.write(lambda tx: store.change_user(tx, principal.user_id, **values))
        return await self.me(principal)

    async def change_password(
        self, principal: Principal, current: str, new: str, *, address: str
    ) -> None:
        """Change the password, and end every other login of the account.

        Raises:
            InvalidCredentials: ``current`` is not the password.
            InvalidRequest: ``new`` can't be one, or another identity provider keeps passwords.
            RateLimited: Too many tries with a wrong password.
        """
        await self.replace_password(
            principal, current, new, login_id=principal.login_id, address=address
        )

    async def replace_password(
        self,
        whose: Principal | store.User,
        current: str,
        new: str,
        *,
        login_id: LoginId | None,
        address: str,
        first: Callable[[Tx], None] | None = None,
    ) -> None:
        """Do what :meth:`change_password` does, for an account with the login that stays.

        Args:
            whose: The account.
            current: The password as it is.
            new: The password as it is to be.
            login_id: The login that does not end.
            address: Where the request comes from.
            first: Done before, in the same transaction; what it raises prevents the change.

        Raises:
            InvalidCredentials: ``current`` is not the password.
            InvalidRequest: ``new`` can't be one, or there is no password here to change.
            RateLimited: Too many tries with a wrong password.
        """
        if self.external:
            raise InvalidRequest("Change your password where you sign in; there is none here.")
        user_id = whose.user_id if isinstance(whose, Principal) else whose.id
        actor = whose if isinstance(whose, Principal) else _Account(whose)
        check_password(new, field="new_password")
        async with self._trying(whose.username, address, is_login=False):
            stored = await self._database.read(lambda tx: store.password_hash(tx, user_id))
            if stored is None:
                sentence = (
                    "This account has no password yet; whoever runs the server can set one: "
                    f"jupyter collab-ai user set-password {whose.username}."
                )
                raise InvalidRequest(sentence, errors=[FieldError("current_password", sentence)])
            if not await self._hasher.verify(stored, current):
                raise _wrong_current("The current password is wrong.")
            renewed = await self._hasher.hash(new)
            proven = stored

            def write(tx: Tx) -> None:
                if not store.still_has(tx, user_id, proven):
                    raise _wrong_current("The password was changed at this moment; try again.")
                if first is not None:
                    first(tx)
                store.change_user(tx, user_id, password_hash=renewed)
                store.end_logins(tx, user_id, but=login_id)
                _note(tx, "password_changed", whose, By(actor, address))

            await self._database.write(write)

    async def logins(self, principal: Principal) -> list[dict[str, Any]]:
        """Return the logins of a principal's account."""
        found = await self._database.read(lambda tx: store.logins_of(tx, principal.user_id))
        return [login.as_json(principal.login_id) for login in found]

    async def end_login(self, principal: Principal, login_id: str, *, address: str | None) -> None:
        """End one login of the principal's account.

        Raises:
            NotFound: It has no such login.
        """

        def write(tx: Tx) -> None:
            login = store.find_login(tx, login_id)
            if login is None or login.user_id != principal.user_id or login.revoked_at is not None:
                raise NotFound("There is no such login.")
            store.end_login(tx, login.id)
            _note(tx, "login_ended", principal, By(principal, address), login=login.id)

        await self._database.write(write)

    # ------------------------------------------------------------ accounts, for admins

    async def users(self, *, limit: int, after: str | None, query: str | None) -> dict[str, Any]:
        """Return accounts by name."""
        items, following = await self._administration.page(limit=limit, after=after, query=query)
        return {"items": [user.as_json() for user in items], "next": following}

    async def user(self, username: str) -> store.User:
        """Return one account.

        Raises:
            NotFound: There is none of this name.
        """
        return await self._administration.user(username)

    async def change_user(
        self, username: str, *, is_admin: bool | None, is_active: bool | None, by: By
    ) -> store.User:
        """Make an account an admin or not, active or not; its logins end when deactivated.

        Args:
            username: Which account.
            is_admin: Whether it may do everything; None leaves it as it is.
            is_active: Whether it can be signed in to; None leaves it as it is.
            by: Who asks for it, for the audit log.

        Raises:
            NotFound: There is none of this name.
            InvalidRequest: It is the account of whoever starts the server, or the only admin.
        """
        return await self._administration.change(
            username, is_admin=is_admin, is_active=is_active, by=by
        )

    async def delete_user(self, username: str, *, by: By) -> None:
        """Delete an account; its files stay, and nobody else gets its name while they do.

        Args:
            username: Which account.
            by: Who asks for it, for the audit log.

        Raises:
            NotFound: There is none of this name.
            InvalidRequest: It is the account of whoever starts the server.
            LastOwner: It is the only owner of a session.
        """
        user = await self.user(username)
        if user.id == self.starter_id or user.starts_server:
            raise starters_own("username")
        await self._accounts.may_delete(user.id)

        def write(tx: Tx) -> None:
            store.delete_user(tx, user.id)
            store.remember_username(tx, user.username)
            _note(tx, "account_deleted", user, by)

        await self._database.write(write)
        await self._accounts.end_abandoned()

    async def activity(
        self,
        *,
        limit: int,
        after: str | None,
        session_id: str | None,
        actor: str | None,
        action: str | None,
    ) -> dict[str, Any]:
        """Return what was done on this server, the newest first.

        Raises:
            InvalidRequest: ``after`` is not what a page said comes next.
        """
        before = audit.parse_after(after)
        name = None if actor is None else fold_username(actor)
        rows, following = await self._database.read(
            lambda tx: audit.page(
                tx, limit=limit, before=before, session_id=session_id, actor=name, action=action
            )
        )
        return {
            "items": [audit.as_full_json(row) for row in rows],
            "next": None if following is None else str(following),
        }

    # ------------------------------------------------------------ inside

    @contextlib.asynccontextmanager
    async def _trying(
        self, account: str, address: str, *, is_login: bool = True
    ) -> AsyncIterator[None]:
        """Try a password in the block, as the throttle allows it; what it refuses is noted."""
        async with contextlib.AsyncExitStack() as stack:
            try:
                if is_login:
                    self._throttle.login(address)
                await stack.enter_async_context(self._throttle.attempt(account, address))
            except RateLimited:
                await self._note_throttled(account, address)
                raise
            yield

    async def _note_throttled(self, account: str | None, address: str) -> None:
        if not self._throttle.is_news("" if account is None else account, address):
            return

        def write(tx: Tx) -> None:
            # Of names that are nobody's some are passwords, typed into the wrong field.
            user = None if account is None else store.find_user_named(tx, account)
            target = None if user is None else user.username
            action = "token_throttled" if account is None else "sign_in_throttled"
            audit.note(tx, None, action, session_id=None, target=target, address=address)

        with contextlib.suppress(CollabError):
            await self._database.write(write)

    async def _named(self, folded: str) -> store.User | None:
        return await self._database.read(lambda tx: store.find_user_named(tx, folded))

    async def _provide_home(self, user: store.User) -> None:
        """Make the folder of an account that was made where no server's files are in reach."""
        try:
            await self._accounts.make_home(user.username)
        except Exception:
            # Whoever can't have a folder, as the disk is full, may still see what others share.
            log.exception("The folder of an account could not be made.")

    async def _user(self, user_id: UserId) -> store.User | None:
        known = self._users.get(user_id)
        if known is not None:
            return known
        ticket = self._users.ticket()
        found = await self._database.read(lambda tx: store.find_user(tx, user_id))
        if found is not None:
            self._users.put(user_id, found, ticket)
        return found

    async def _login(self, login_id: LoginId) -> store.Login | None:
        known = self._logins.get(login_id)
        if known is not None:
            return known
        ticket = self._logins.ticket()
        found = await self._database.read(lambda tx: store.find_login(tx, login_id))
        if found is not None:
            self._logins.put(login_id, found, ticket)
        return found

    async def _note_use(self, login_id: LoginId) -> None:
        self._noting.add(login_id)
        try:
            await self._database.write(lambda tx: store.use_login(tx, login_id))
        except CollabError:
            log.warning("The use of a login could not be noted.")
        finally:
            self._noting.discard(login_id)

    def _answer(self, user: store.User, login: store.Login, refresh: str) -> dict[str, Any]:
        return {
            "access_token": self._tokens.mint(
                user.id, login.id, Audience.ACCESS, ACCESS_LIFETIME, version=user.token_version
            ),
            "token_type": "bearer",
            "expires_in": int(ACCESS_LIFETIME.total_seconds()),
            "refresh_token": refresh,
            "user": user.as_json(),
        }

    def _changed(self, key: str | None) -> None:
        watches = (
            {watch for found in self._watches.values() for watch in found}
            if key is None
            else tuple(self._watches.get(key, ()))
        )
        for watch in watches:
            self._spawn(self._check(watch))

    def _user_changed(self, key: str | None) -> None:
        for user_id, followers in tuple(self._followers.items()):
            if key in (None, user_id):
                for follower in tuple(followers):
                    self._spawn(self._tell_looks(follower))

    async def _tell_looks(self, follower: _Follower) -> None:
        follower.asked += 1
        turn = follower.asked
        # Of several answers the one counts that was asked for last.
        while turn == follower.asked and not follower.stopped:
            try:
                user = await self._user(follower.user_id)
            except CollabError:
                await asyncio.sleep(_PATIENCE)
                continue
            if user is not None and turn == follower.asked:
                follower.tell(user.display_name, user.color)
            return

    async def _check(self, watch: _Watch) -> None:
        principal = watch.principal
        try:
            if not await self.is_live(principal):
                watch.end()
                return
            login = None if principal.login_id is None else await self._login(principal.login_id)
        except CollabError:
            # Unknown is not allowed; it is looked at again until it is known.
            watch.look_again_in(_PATIENCE, lambda: self._spawn(self._check(watch)))
            return
        if login is not None:
            watch.look_again_in(
                _seconds_to(login.expires_at), lambda: self._spawn(self._check(watch))
            )

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class _Watch:
    """Somebody who wants to know when a principal's login ends."""

    def __init__(self, principal: Principal, ended: Callable[[], None]) -> None:
        self.principal = principal
        self._ended: Callable[[], None] | None = ended
        self._timer: asyncio.TimerHandle | None = None

    def end(self) -> None:
        """Tell, once."""
        ended = self._ended
        self.stop()
        if ended is not None:
            ended()

    def stop(self) -> None:
        """Tell nothing any more."""
        self._ended = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look_again_in(self, seconds: float, look: Callable[[], None]) -> None:
        """Look again after a while."""
        if self._ended is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(min(seconds, _LONGEST_TIMER), look)


class _Follower:
    """Somebody who wants to know how a principal's account is shown."""

    def __init__(self, principal: Principal, changed: Callable[[str, str], None]) -> None:
        self.user_id = principal.user_id
        #: How often it was asked for them.
        self.asked = 0
        self.stopped = False
        self._known = (principal.display_name, principal.color)
        self._changed = changed

    def tell(self, display_name: str, color: str) -> None:
        """Tell them, if they are news."""
        if not self.stopped and self._known != (display_name, color):
            self._known = (display_name, color)
            self._changed(display_name, color)

    def stop(self) -> None:
        """Tell nothing any more."""
        self.stopped = True


def same_token(given: str, token: str) -> bool:
    """Return whether Jupyter's own token was given; never where there is none."""
    return bool(token) and hmac.compare_digest(
        given.encode(errors="replace"), token.encode(errors="replace")
    )


def is_unguessable(token: str) -> bool:
    """Return whether a token is so long that nobody finds it by trying."""
    return len(token) >= _UNGUESSABLE


def _wrong_proof() -> InvalidCredentials:
    sentence = "This is not your password."
    return InvalidCredentials(sentence, errors=[FieldError("password", sentence)])


def _wrong_current(sentence: str) -> InvalidCredentials:
    return InvalidCredentials(sentence, errors=[FieldError("current_password", sentence)])


def _password_of(tx: Tx, folded: str) -> tuple[store.User | None, str | None]:
    user = store.find_user_named(tx, folded)
    return user, None if user is None else store.password_hash(tx, user.id)


def _new_login(
    tx: Tx, user: store.User, method: str, address: str, user_agent: str | None
) -> store.Login:
    made = store.add_login(
        tx,
        user.id,
        method=method,
        lifetime=LOGIN_LIFETIME,
        address=address[:64],
        user_agent=user_agent,
    )
    _note(tx, "signed_in", user, By(_Account(user), address), method=method, login=made.id)
    return made


def _withdraw(tx: Tx, user: store.User, address: str) -> None:
    """Take a registration back that came to nothing."""
    store.delete_user(tx, user.id)
    _note(tx, "account_deleted", user, By(None, address), because="not_registered")


class _Named(Protocol):
    @property
    def username(self) -> str: ...


class _Account:
    """An account that does something by itself, for the audit log."""

    def __init__(self, user: store.User) -> None:
        self.user_id: str | None = user.id
        self.username = user.username


def _note(tx: Tx, action: str, about: _Named, by: By, **detail: object) -> None:
    audit.note(
        tx,
        by.actor,
        action,
        session_id=None,
        target=about.username,
        detail=detail or None,
        address=by.address,
    )


def _principal(user: store.User, credential: Credential, login_id: LoginId | None) -> Principal:
    return Principal(
        user_id=user.id,
        username=user.username,
        display_name=user.display_name,
        color=user.color,
        is_admin=user.is_admin,
        credential=credential,
        login_id=login_id,
    )


def _seconds_to(moment: datetime) -> float:
    return max(0.0, (moment - utcnow()).total_seconds()) + _GRACE


__all__ = ["Identity", "is_unguessable", "same_token"]
