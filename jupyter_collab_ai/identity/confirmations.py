"""Confirmations: a person says with their password that they want what their browser asks for."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from jupyter_collab_ai.errors import InvalidCredentials, InvalidRequest, NotFound
from jupyter_collab_ai.grave import Action, Kind
from jupyter_collab_ai.identity import confirmation_store as store
from jupyter_collab_ai.identity.service import Identity
from jupyter_collab_ai.identity.store import User
from jupyter_collab_ai.ids import new_id
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.storage import audit
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.web.confirming import UNAVAILABLE
from jupyter_collab_ai.web.limits import CONFIRMATIONS, RateLimiter

#: Random bytes of what the form of a page has to send back.
NONCE_BYTES = 24
#: Adding runs one after the other, so that an account never has too many.
_LOCK = "confirmations"

#: What a confirmation is bound to by which the password is changed on a page of its own.
_BY_PAGE = b"the page of the password"
_OVER = "There is nothing to confirm here any more; ask for it again where you came from."


class PageOutdated(InvalidRequest):
    """The form is not the one that was shown last."""


class _Given(Enum):
    """What is to be said of the confirmation that a request names."""

    NO_GOOD = "no good"
    WAITS = "waits for the person"
    HOLDS = "holds"


@dataclass(frozen=True)
class Shown:
    """What the page shows."""

    action: Action
    user: User
    confirmed: bool
    #: Whether the account may be that of Jupyter's token.
    by_token: bool
    #: What the form has to send back.
    nonce: str = field(repr=False)


class Confirmations:
    """Keeps what is to be confirmed, and lets through, once, what was."""

    def __init__(self, database: Database, identity: Identity, limiter: RateLimiter) -> None:
        """Work on ``database``.

        Args:
            database: Where they are kept, for all servers.
            identity: Knows passwords.
            limiter: Counts how many an account asks for.
        """
        self._database = database
        self._identity = identity
        self._limiter = limiter

    async def ask(
        self,
        principal: Principal,
        request: bytes,
        action: Action,
        *,
        given: str | None,
        address: str,
    ) -> str | None:
        """Return the id of the confirmation that has to be given first.

        It is ``given`` again where that is about this request, but not confirmed yet; None
        where it is confirmed, and used up now; :data:`UNAVAILABLE` where there is no password
        of ours by which it could be.

        Args:
            principal: Who asks.
            request: What the confirmation is bound to.
            action: What the page says.
            given: The id that the request names.
            address: Where the request comes from.

        Raises:
            RateLimited: Too many were asked for.
        """
        login_id = principal.login_id
        if login_id is None:
            return UNAVAILABLE  # the cookie is another identity provider's
        if given is not None:

            def use(tx: Tx) -> _Given:
                found = store.find(tx, given)
                if (
                    found is None
                    or (found.user_id, found.login_id) != (principal.user_id, login_id)
                    or not found.fits(given, request)
                ):
                    return _Given.NO_GOOD
                if not found.confirmed:
                    return _Given.WAITS
                # Of several at once, those that come after the first have to ask anew.
                return _Given.HOLDS if store.use(tx, given) else _Given.NO_GOOD

            match await self._database.write(use):
                case _Given.HOLDS:
                    return None
                case _Given.WAITS:
                    return given
        self._limiter.hit(CONFIRMATIONS, principal.user_id)
        made = new_id()

        def add(tx: Tx) -> None:
            store.add(tx, made, principal.user_id, login_id, request, action)
            _note(tx, principal, "confirmation_asked", action, address)

        await self._database.write(add, lock=_LOCK)
        return made

    async def ask_for_password(self, principal: Principal, *, address: str) -> str:
        """Return the id under which the password can be changed by a page of its own.

        Raises:
            InvalidRequest: There is no password to change.
            RateLimited: Too many were asked for.
        """
        user = await self._identity.me(principal)
        if self._identity.external or principal.login_id is None or not user.has_password:
            raise InvalidRequest("There is no password of this account to change here.")
        asked = await self.ask(
            principal, _BY_PAGE, Action(Kind.CHANGE_PASSWORD), given=None, address=address
        )
        assert asked is not None  # nothing was given that could hold
        return asked

    async def change_password(
        self, confirmation_id: str, *, nonce: str, current: str, new: str, address: str
    ) -> None:
        """Change the password by what a page of its own sent, and end all other logins.

        Args:
            confirmation_id: What :meth:`ask_for_password` returned.
            nonce: What the form sent back.
            current: The password as it is.
            new: The password as it is to be.
            address: Where the request comes from.

        Raises:
            NotFound: It is over.
            PageOutdated: The page was shown again since.
            InvalidRequest: ``new`` can't be a password.
            InvalidCredentials: ``current`` is not the password; the page has to be shown anew.
            RateLimited: Too many were wrong.
        """
        found = await self._database.read(lambda tx: _require(tx, confirmation_id))
        if not found.fits(confirmation_id, _BY_PAGE):
            raise NotFound(_OVER)
        if not found.was_shown_with(nonce):
            raise PageOutdated("This page was too old; open it again.")
        user = await self._identity.account(found.user_id)
        if user is None:
            raise NotFound(_OVER)

        def use(tx: Tx) -> None:
            if not (store.give(tx, confirmation_id, nonce) and store.use(tx, confirmation_id)):
                raise PageOutdated("This page was too old; open it again.")

        await self._identity.replace_password(
            user, current, new, login_id=found.login_id, address=address, first=use
        )

    async def show(
        self, confirmation_id: str, principal: Principal | None, *, nonce: str | None = None
    ) -> Shown:
        """Return what the page shows; pages that were shown before can't be sent any more.

        Args:
            confirmation_id: Which.
            principal: Whose browser it is; None where that was found out by the nonce of the
                page that was shown before.
            nonce: That of the page which was shown before, where it has to be that one.

        Raises:
            NotFound: It is over, or another login's.
            PageOutdated: The page was shown again since.
        """
        before, nonce = nonce, secrets.token_urlsafe(NONCE_BYTES)

        def write(tx: Tx) -> store.Confirmation:
            found = _require(tx, confirmation_id)
            if principal is not None and principal.login_id != found.login_id:
                raise NotFound(_OVER)
            if before is not None and not found.was_shown_with(before):
                raise PageOutdated("This page was too old; open it again.")
            store.show(tx, confirmation_id, nonce)
            return found

        found = await self._database.write(write)
        user = await self._identity.account(found.user_id)
        if user is None:
            raise NotFound(_OVER)
        by_token = user.id == self._identity.starter_id
        return Shown(found.action, user, found.confirmed, by_token, nonce)

    async def give(
        self,
        confirmation_id: str,
        *,
        nonce: str,
        password: str,
        is_secret: Callable[[str], bool],
        principal: Principal | None,
        address: str,
    ) -> None:
        """Confirm it.

        Args:
            confirmation_id: Which.
            nonce: What the form sent back.
            password: What the person typed.
            is_secret: Compares with Jupyter's own token; may take as long as a hash.
            principal: Whose browser it is, where it says so: a form of a page with an origin
                of its own, as this one has, brings no cookie.
            address: Where the request comes from.

        Raises:
            NotFound: It is over, or another login's.
            PageOutdated: The page was shown again since.
            InvalidCredentials: The password is wrong; the page has to be shown anew.
            RateLimited: Too many were wrong.
        """
        found = await self._database.read(lambda tx: _require(tx, confirmation_id))
        if principal is not None and principal.login_id != found.login_id:
            raise NotFound(_OVER)
        if found.confirmed:
            return
        if not found.was_shown_with(nonce):
            raise PageOutdated("This page was too old; open it again to confirm.")
        user = await self._identity.account(found.user_id)
        if user is None:
            raise NotFound(_OVER)

        def write(tx: Tx) -> None:
            _require(tx, confirmation_id)
            if not store.give(tx, confirmation_id, nonce):
                raise PageOutdated("This page was too old; open it again to confirm.")
            _note(tx, found, "confirmation_given", found.action, address)

        try:
            await self._identity.prove(user, password, is_secret, address=address, then=write)
        except InvalidCredentials:
            await self._database.write(
                lambda tx: _note(tx, found, "confirmation_failed", found.action, address)
            )
            raise


def _require(tx: Tx, confirmation_id: str) -> store.Confirmation:
    found = store.find(tx, confirmation_id)
    if found is None:
        raise NotFound(_OVER)
    return found


def _note(tx: Tx, who: audit.Actor, what: str, action: Action, address: str) -> None:
    about = action.about
    audit.note(
        tx,
        who,
        what,
        session_id=about.session_id,
        target=about.username or about.path,
        detail={"action": action.kind.value},
        address=address,
    )
