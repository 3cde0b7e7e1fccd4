"""The page where a person confirms a grave action with their password."""

from __future__ import annotations

from urllib.parse import quote

from jupyter_server.auth.decorator import allow_unauthenticated

from jupyter_collab_ai.errors import CollabError, InvalidCredentials, NotFound, RateLimited
from jupyter_collab_ai.identity.confirmations import Confirmations, PageOutdated
from jupyter_collab_ai.identity.pages import Page
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.web.confirming import CANNOT_CONFIRM, UNAVAILABLE

#: The page has an origin of its own and no scripts, so that scripts of this server's other
#: pages can neither read what is typed here nor change what is said here.
CSP = (
    "sandbox allow-forms; default-src 'none'; style-src 'unsafe-inline'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class ConfirmPage(Page):
    """``/collab-ai/confirm/{id}``.

    A form of a sandboxed page is sent with ``Origin: null`` and, being of another site to the
    browser, without cookies of ``SameSite=Lax``. What says that it is the page of the login
    that asked is its nonce, which only a page that was got with that login's cookie holds;
    what says that a person wants it is the password.
    """

    policy = CSP

    def initialize(self, confirmations: Confirmations) -> None:
        """Get what the handler works with."""
        self.confirmations = confirmations

    def check_xsrf_cookie(self) -> None:
        """Ask for none: the nonce takes its place."""

    def xsrf_field(self) -> str:
        """Return nothing: no cookie came, and the one that there is must not be replaced."""
        return ""

    async def get(self, confirmation_id: str) -> None:
        """Name the action, and ask for the password."""
        principal = self.principal
        assert principal is not None  # the gate led everybody else to the login
        if confirmation_id == UNAVAILABLE:
            self.show("confirm.html", error=NotFound(CANNOT_CONFIRM), state="over", again=None)
            return
        await self._show(confirmation_id, principal)

    @allow_unauthenticated
    async def post(self, confirmation_id: str) -> None:
        """Confirm it."""
        principal = self.principal
        try:
            await self.confirmations.give(
                confirmation_id,
                nonce=self.get_body_argument("nonce", ""),
                password=self.get_body_argument("password", "", strip=False),
                is_secret=self.provider.is_secret,
                principal=principal,
                address=self.request.remote_ip or "",
            )
        except (InvalidCredentials, RateLimited) as error:
            await self._show(confirmation_id, principal, error)
        except (NotFound, PageOutdated) as error:
            self._explain(confirmation_id, error)
        else:
            self.show("confirm.html", state="done")

    async def _show(
        self, confirmation_id: str, principal: Principal | None, error: CollabError | None = None
    ) -> None:
        try:
            found = await self.confirmations.show(confirmation_id, principal)
        except NotFound as over:
            self._explain(confirmation_id, over)
            return
        if found.confirmed:
            self.show("confirm.html", state="done")
            return
        here = self._url(confirmation_id)
        self.show("confirm.html", error=error, state="ask", found=found, here=here)

    def _explain(self, confirmation_id: str, error: CollabError) -> None:
        again = self._url(confirmation_id) if isinstance(error, PageOutdated) else None
        self.show("confirm.html", error=error, state="over", again=again)

    def _url(self, confirmation_id: str) -> str:
        return self.page_url(f"collab-ai/confirm/{quote(confirmation_id, safe='')}")
