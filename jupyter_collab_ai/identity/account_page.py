"""The page of one's own account: where one is signed in, and another password."""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated

from jupyter_collab_ai.errors import (
    CollabError,
    FieldError,
    InvalidCredentials,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    RateLimited,
)
from jupyter_collab_ai.identity.confirm_page import CSP as SANDBOX
from jupyter_collab_ai.identity.confirmations import Confirmations, PageOutdated
from jupyter_collab_ai.identity.pages import Page
from jupyter_collab_ai.principal import Principal

#: What stands in place of a login in the form that ends all others.
OTHERS = "others"


class AccountPage(Page):
    """``/collab-ai/account``: who one is, and the logins, each of which can be ended."""

    async def get(self) -> None:
        """Show them."""
        await self._show(self._principal())

    async def post(self) -> None:
        """End a login, or all others."""
        principal = self._principal()
        wanted = self.get_body_argument("login", "")
        try:
            self.require_fresh()
            logins = await self.identity.logins(principal)
            ending = (
                [login["id"] for login in logins if not login["current"]]
                if wanted == OTHERS
                else [wanted]
            )
            for login_id in ending:
                await self.identity.end_login(
                    principal, login_id, address=self.request.remote_ip or ""
                )
        except CollabError as error:
            await self._show(principal, error)
            return
        # So that to load the page again does not end anything again.
        self.redirect(self.page_url("collab-ai/account"))

    def _principal(self) -> Principal:
        principal = self.principal
        assert principal is not None  # the gate led everybody else to the login
        return principal

    async def _show(self, principal: Principal, error: CollabError | None = None) -> None:
        identity = self.identity
        user = await identity.me(principal)
        self.show(
            "account.html",
            error=error,
            user=user,
            logins=[_shown(login) for login in await identity.logins(principal)],
            external=identity.external,
            others=OTHERS,
            here=self.page_url("collab-ai/account"),
            password_url=self.page_url("collab-ai/account/password"),
            logout_url=self.page_url("logout"),
            home=self.home_url(user.username),
        )


class PasswordPage(Page):
    """``/collab-ai/account/password``: another password.

    Like the page of a confirmation it has no scripts and an origin of its own, so that no
    script reads what is typed. Its form brings no cookie; its nonce says whose it is.
    """

    policy = SANDBOX

    def initialize(self, confirmations: Confirmations) -> None:
        """Get what the handler works with."""
        self.confirmations = confirmations

    def check_xsrf_cookie(self) -> None:
        """Ask for none: the nonce takes its place."""

    def xsrf_field(self) -> str:
        """Return nothing: no cookie came, and the one that there is must not be replaced."""
        return ""

    async def get(self) -> None:
        """Show the form."""
        principal = self.principal
        assert principal is not None  # the gate led everybody else to the login
        try:
            asked = await self.confirmations.ask_for_password(
                principal, address=self.request.remote_ip or ""
            )
        except CollabError as error:
            self._over(error)
            return
        await self._ask(asked, principal)

    @allow_unauthenticated
    async def post(self) -> None:
        """Change the password, and end all other logins."""
        asked = self.get_body_argument("confirmation", "")
        new = self.get_body_argument("new_password", "", strip=False)
        try:
            if new != self.get_body_argument("new_password_again", "", strip=False):
                sentence = "The two passwords differ."
                raise InvalidRequest(sentence, errors=[FieldError("new_password_again", sentence)])
            await self.confirmations.change_password(
                asked,
                nonce=self.get_body_argument("nonce", ""),
                current=self.get_body_argument("current_password", "", strip=False),
                new=new,
                address=self.request.remote_ip or "",
            )
        except (NotFound, PageOutdated) as error:
            self._over(error)
        except (InvalidCredentials, InvalidRequest, RateLimited) as error:
            # Who sends it holds the nonce, or learns nothing by a page that can't be sent.
            await self._ask(asked, None, error)
        else:
            self.show("password.html", state="done", account_url=self._account_url())

    async def _ask(
        self, asked: str, principal: Principal | None, error: CollabError | None = None
    ) -> None:
        try:
            found = await self.confirmations.show(
                asked, principal, nonce=None if error is None else self.get_body_argument("nonce")
            )
        except (NotFound, PageOutdated, NotAuthenticated) as over:
            self._over(over)
            return
        self.show(
            "password.html",
            error=error,
            state="ask",
            found=found,
            asked=asked,
            here=self.page_url("collab-ai/account/password"),
            account_url=self._account_url(),
        )

    def _over(self, error: CollabError) -> None:
        self.show("password.html", error=error, state="over", account_url=self._account_url())

    def _account_url(self) -> str:
        return self.page_url("collab-ai/account")


def _shown(login: dict[str, Any]) -> dict[str, Any]:
    """Return a login in the words of people."""

    def moment(text: str) -> str:
        day, _, time = text.partition("T")
        return f"{day} {time[:5]} UTC"

    return {
        "id": login["id"],
        "current": login["current"],
        "created": moment(login["created_at"]),
        "used": moment(login["last_used_at"]),
        "address": login["address"] or "an unknown address",
        "agent": (login["user_agent"] or "an unknown program")[:120],
    }
