"""The one gate that each request to the whole server passes before anything else happens.

Tornado asks :meth:`tornado.web.Application.get_handler_delegate` for each request of each
route, also of routes that are added later. Here it answers with a subclass of the route's
handler that has :class:`GuardMixin` in front, whose ``prepare`` runs before upstream's: some
of upstream's handlers act in theirs before they know who is asking.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

from jupyter_server.base.call_context import CallContext
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import ensure_async, origin_matches_pat, url_path_join
from jupyter_server_ydoc.handlers import YDocWebSocketHandler
from tornado import httputil
from tornado.web import Application, ErrorHandler, HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler

from jupyter_collab_ai.access.bodies import bounded
from jupyter_collab_ai.access.confirming import Confirming
from jupyter_collab_ai.access.decisions import Decisions
from jupyter_collab_ai.access.folders import Folders
from jupyter_collab_ai.access.ports import Logins, Moves, Stop
from jupyter_collab_ai.access.resolve import paths_of
from jupyter_collab_ai.access.routes import rule_of, rules_of
from jupyter_collab_ai.access.rules import NOBODY, PUBLIC, Need, Rule, Rules, Who
from jupyter_collab_ai.errors import AdminRequired, CollabError, NotAuthenticated, NotFound
from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.web import metrics
from jupyter_collab_ai.web.errors import bare_body, body_of, headers_of, status_of
from jupyter_collab_ai.web.metrics import Transport
from jupyter_collab_ai.web.seats import Seats

log = logging.getLogger(__name__)

#: For a handler of upstream's: the one that takes its place, and what that is initialised
#: with; None for what upstream's is.
Replacements = Mapping[type[RequestHandler], tuple[type[RequestHandler], Mapping[str, Any] | None]]

_CLOSE_POLICY = 1008
#: What a browser offers besides the access token, and how the token itself begins.
_SUBPROTOCOL = "collab-ai"
_BEARER = "bearer."
_UNKNOWN = "There is no such thing, or it is not shared with you."


@dataclass(frozen=True)
class Route:
    """What the gate knows of a handler of the router."""

    handler: type[RequestHandler]
    #: None for a handler that does not stand in the table.
    rules: Rules | None
    #: Whether it took the place of upstream's.
    ours: bool

    def rule(self, method: str) -> Rule:
        """Return the rule of a method of this handler."""
        if method == "OPTIONS" and self._is_preflight():
            return PUBLIC
        rule = rule_of(self.rules, method)
        if rule.only_ours and not self.ours:
            return NOBODY
        if issubclass(self.handler, YDocWebSocketHandler):
            # It would make a second live copy of a document before it knows who is asking.
            return NOBODY
        return rule

    def _is_preflight(self) -> bool:
        return getattr(self.handler, "options", None) is APIHandler.options

    def implements(self, method: str) -> bool:
        """Return whether the handler has the method at all."""
        found = getattr(self.handler, method.lower(), None)
        return found is not None and found is not getattr(RequestHandler, method.lower(), None)

    def methods(self) -> list[str]:
        """Return all methods that the handler has."""
        return sorted(filter(self.implements, self.handler.SUPPORTED_METHODS))


@dataclass(frozen=True)
class Admission:
    """What the gate found: the request may go on, in the name of this principal."""

    principal: Principal
    rule: Rule
    wanted: tuple[tuple[Need, str], ...] = ()


class Admitted:
    """What a handler behind the gate can ask of it."""

    collab_gate: Gate
    collab_route: Route
    #: Set once the gate has let the request through; None where nobody has to be known.
    collab_admission: Admission | None = None

    @property
    def admitted(self) -> Principal:
        """In whose name the request goes on."""
        assert self.collab_admission is not None
        return self.collab_admission.principal


class GuardMixin(Admitted):
    """Stands in front of a handler's class, so that its ``prepare`` is the first."""

    async def prepare(self) -> None:
        """Pass the gate, and only then do what upstream does first."""
        handler = _handler(self)
        admission = await self.collab_gate.admit(handler, self.collab_route)
        if handler._finished:
            return
        self.collab_admission = admission
        result = super().prepare()  # type: ignore[misc]
        if result is not None:
            await result
        if admission is not None and not handler._finished:
            self._require_same(handler, admission)
            # Only now upstream has looked whether a page of this server asks.
            await self.collab_gate.confirm(handler, admission)
            if admission.rule.lasting or isinstance(handler, WebSocketHandler):
                self._collab_seat = self.collab_gate.seats.take(admission.principal.user_id)

    _collab_seat: Stop | None = None

    def _collab_leave(self) -> None:
        """Give back what the connection took."""
        seat, self._collab_seat = self._collab_seat, None
        if seat is not None:
            seat()

    def on_finish(self) -> None:
        """Give back what the connection took: the answer is sent."""
        self._collab_leave()
        super().on_finish()  # type: ignore[misc]

    @staticmethod
    def _require_same(handler: RequestHandler, admission: Admission) -> None:
        """Make sure that upstream found the same account as the gate."""
        principal = principal_of(handler.current_user)
        if principal is None or principal.user_id != admission.principal.user_id:
            raise NotAuthenticated("Sign in first, or send a valid access token.")

    @property
    def token(self) -> str:
        """Jupyter's own token is on no page: whoever reads it is the server's admin."""
        return ""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer a refusal; anything else is upstream's."""
        handler = _handler(self)
        if isinstance(handler, JupyterHandler) and not hasattr(handler, "_jupyter_current_user"):
            # It was refused before anybody asked who it is, which upstream's page does.
            handler.current_user = handler._jupyter_current_user = None
        exc_info = kwargs.get("exc_info")
        error = exc_info[1] if exc_info else None
        if not isinstance(error, CollabError):
            if 400 <= status_code < 500:
                metrics.refused_with(_transport(handler), status_code)
            if status_code == HTTPStatus.METHOD_NOT_ALLOWED:
                # RFC 9110, section 15.5.6.
                handler.set_header("Allow", ", ".join(self.collab_route.methods()))
            if self._is_a_call_of_ours(handler, status_code):
                self._answer_json(handler, status_code, bare_body(status_code))
            else:
                super().write_error(status_code, **kwargs)  # type: ignore[misc]
            _finish(handler)
            return
        metrics.refused(_transport(handler), error.reason)
        status = status_of(error)
        handler.set_status(status)
        for name, value in headers_of(error).items():
            handler.set_header(name, value)
        if self._answers_with_a_page(handler):
            shown = HTTPError(status, error.message)
            super().write_error(status, exc_info=(HTTPError, shown, None))  # type: ignore[misc]
        else:
            self._answer_json(handler, status, body_of(error))
        _finish(handler)

    @staticmethod
    def _answer_json(handler: RequestHandler, status: int, body: Mapping[str, Any]) -> None:
        handler.set_status(status)
        handler.set_header("Cache-Control", "no-store")
        handler.set_header("Content-Type", "application/json")
        if handler.request.method != "HEAD":
            handler.write(json.dumps(body, ensure_ascii=False).encode())

    @staticmethod
    def _is_a_call_of_ours(handler: RequestHandler, status: int) -> bool:
        """Tell whether a program asks below our prefix, whoever answers there."""
        ours = url_path_join(handler.settings.get("base_url", "/"), "collab-ai/")
        return handler.request.path.startswith(ours) and (
            status == HTTPStatus.METHOD_NOT_ALLOWED or isinstance(handler, WebSocketHandler)
        )

    def _answers_with_a_page(self, handler: RequestHandler) -> bool:
        rule = self.collab_route.rule(handler.request.method or "")
        return rule.page and "Authorization" not in handler.request.headers

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log what is unexpected; a refusal that the client is told about is no event."""
        if not isinstance(value, CollabError):
            super().log_exception(typ, value, tb)  # type: ignore[misc]


class SocketGuardMixin(GuardMixin):
    """Ends a WebSocket of upstream's when its login, its account or its right ends."""

    _collab_watch: Stop | None = None
    _collab_over = False

    async def prepare(self) -> None:
        """Pass the gate, and watch over what it was opened with."""
        await super().prepare()
        if self.collab_admission is not None and self.collab_admission.rule.watched:
            self._collab_watch = self.collab_gate.watch(self.collab_admission, self._collab_end)

    def _collab_end(self) -> None:
        self._collab_over = True
        self._collab_unwatch()
        handler = _handler(self)
        assert isinstance(handler, WebSocketHandler)
        handler.close(_CLOSE_POLICY, "You may no longer use this connection.")

    def _collab_unwatch(self) -> None:
        stop, self._collab_watch = self._collab_watch, None
        if stop is not None:
            stop()

    def _collab_leave(self) -> None:
        self._collab_unwatch()
        super()._collab_leave()

    def open(self, *args: str, **kwargs: str) -> Any:
        """Begin, unless it was ended while the handshake went on."""
        if self._collab_over:
            self._collab_end()
            return None
        return super().open(*args, **kwargs)  # type: ignore[misc]

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Select what upstream does, else the one that goes with an access token.

        A browser gives a connection up where none of those that it offers is selected.
        """
        selected: str | None = super().select_subprotocol(subprotocols)  # type: ignore[misc]
        if selected is None or selected.startswith(_BEARER):
            return _SUBPROTOCOL if _SUBPROTOCOL in subprotocols else None
        return selected

    def on_connection_close(self) -> None:
        """Stop watching: the connection is over."""
        self._collab_leave()
        super().on_connection_close()  # type: ignore[misc]

    def on_finish(self) -> None:
        """Stop watching where the handshake failed; one that did not is finished with 101."""
        if _handler(self).get_status() == 101:
            super(GuardMixin, self).on_finish()  # type: ignore[misc]
        else:
            super().on_finish()


def _transport(handler: RequestHandler) -> Transport:
    is_socket = isinstance(handler, WebSocketHandler)
    return Transport.HANDSHAKE if is_socket else Transport.HTTP


def _handler(mixin: object) -> RequestHandler:
    assert isinstance(mixin, RequestHandler)
    return mixin


def _finish(handler: RequestHandler) -> None:
    """Finish by Tornado's own means: some handlers have a ``finish`` that can't be called so."""
    if not handler._finished:
        RequestHandler.finish(handler)


def _may_be_known(application: Application, request: httputil.HTTPServerRequest) -> bool:
    """Tell whether a request carries a credential that could be good."""
    provider = application.settings.get("identity_provider")
    may_be_known: Callable[[httputil.HTTPServerRequest], bool] | None
    may_be_known = getattr(provider, "may_be_known", None)
    return may_be_known is not None and may_be_known(request)


def principal_of(user: object) -> Principal | None:
    """Return the principal of what the identity provider returned."""
    principal = getattr(user, "principal", None)
    return principal if isinstance(principal, Principal) else None


class Gate:
    """Lets each request through, or refuses it."""

    def __init__(
        self,
        decisions: Decisions,
        moves: Moves,
        logins: Logins,
        folders: Folders,
        confirming: Confirming,
        seats: Seats,
        *,
        replacements: Replacements,
        allowed: Collection[str] = (),
        public: Collection[type[RequestHandler]] = (),
    ) -> None:
        """Make a gate.

        Args:
            decisions: Who may do what at a path.
            moves: Told of files that were moved or deleted.
            logins: Tells of logins that end.
            folders: Where each account keeps its settings and workspaces.
            confirming: Asks people to confirm what ends sessions.
            seats: Counts the connections of each account.
            replacements: Which of our handlers answer instead of upstream's.
            allowed: Handlers of other extensions that every account may call.
            public: Handlers that find out who somebody is, so that they know nobody yet.
        """
        self.decisions = decisions
        self.moves = moves
        self.folders = folders
        self.seats = seats
        self._logins = logins
        self._confirming = confirming
        self._replacements = dict(replacements)
        self._allowed = frozenset(allowed)
        self._public = frozenset(public)
        self._guarded: dict[type[RequestHandler], type[RequestHandler]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        #: What each request is handed to, by the name under which the application has it.
        self._in_the_way: dict[str, Callable[..., Any]] = {}

    # ------------------------------------------------------------ classes

    def route_of(self, handler: type[RequestHandler]) -> Route:
        """Return what is known of a handler that the router names."""
        replacement = self._replacements.get(handler)
        return Route(
            handler if replacement is None else replacement[0],
            rules_of(handler, self._allowed, self._public),
            replacement is not None,
        )

    def guarded(self, handler: type[RequestHandler]) -> type[RequestHandler]:
        """Return the guarded subclass that answers where the router names ``handler``."""
        if issubclass(handler, GuardMixin):
            return handler
        known = self._guarded.get(handler)
        if known is None:
            route = self.route_of(handler)
            mixin = SocketGuardMixin if issubclass(route.handler, WebSocketHandler) else GuardMixin
            known = type(
                f"Guarded{route.handler.__name__}",
                (mixin, route.handler),
                {
                    "__module__": route.handler.__module__,
                    "collab_gate": self,
                    "collab_route": route,
                },
            )
            self._guarded[handler] = known
        return known

    def kwargs_of(
        self, handler: type[RequestHandler], kwargs: dict[str, Any] | None
    ) -> dict[str, Any] | None:
        """Return what the handler that answers is initialised with."""
        _, own = self._replacements.get(handler, (handler, None))
        return kwargs if own is None else dict(own)

    def stand_in(self, application: Application) -> None:
        """Stand in the way of each request to ``application``."""
        make = application.get_handler_delegate
        find = application.find_handler

        def get_handler_delegate(
            request: httputil.HTTPServerRequest,
            target_class: type[RequestHandler],
            target_kwargs: dict[str, Any] | None = None,
            path_args: list[bytes] | None = None,
            path_kwargs: dict[str, bytes] | None = None,
        ) -> Any:
            guarded = self.guarded(target_class)
            return make(
                request,
                bounded(request, guarded, lambda: _may_be_known(application, request)),
                self.kwargs_of(target_class, target_kwargs),
                path_args,
                path_kwargs,
            )

        def find_handler(request: httputil.HTTPServerRequest, **kwargs: Any) -> Any:
            delegate = find(request, **kwargs)
            handler = getattr(delegate, "handler_class", None)
            if not (isinstance(handler, type) and issubclass(handler, GuardMixin)):
                # A route whose target is no handler, but a function or another router.
                log.warning("Refused %s: it has no handler that can be guarded.", request.path)
                return get_handler_delegate(request, ErrorHandler, {"status_code": 404})
            return delegate

        application.get_handler_delegate = get_handler_delegate  # type: ignore[method-assign]
        application.find_handler = find_handler  # type: ignore[method-assign]
        application.settings["collab_gate"] = self
        self._in_the_way = {
            "get_handler_delegate": get_handler_delegate,
            "find_handler": find_handler,
        }

    def stands_in(self, application: Application) -> bool:
        """Return whether each request to ``application`` passes this gate."""
        return (
            application.settings.get("collab_gate") is self
            and bool(self._in_the_way)
            and self._in_the_way.items() <= vars(application).items()
        )

    # ------------------------------------------------------------ requests

    async def admit(self, handler: RequestHandler, route: Route) -> Admission | None:
        """Let a request through, or refuse it. None where nobody has to be known.

        A request that was answered here, by a redirect to the login, is finished.

        Raises:
            CollabError: It is refused.
            HTTPError: It is refused, for a reason that upstream knows too.
        """
        method = handler.request.method or ""
        rule = route.rule(method)
        if rule.public_unless is not None and not handler.settings.get(rule.public_unless, True):
            return None
        if rule.who is Who.PUBLIC:
            return None
        if not route.implements(method):
            raise HTTPError(405)
        if rule.who is Who.NOBODY:
            raise NotFound(_UNKNOWN)
        principal = await self._authenticate(handler)
        if handler._finished:
            return None
        _check_origin(handler)
        if rule.who is Who.HANDSHAKE:
            return None
        if principal is None:
            self._refuse_stranger(handler, rule)
            return None
        if rule.who is Who.ADMIN and not principal.is_admin:
            raise AdminRequired("Only an admin of this server may do this.")
        if rule.who is not Who.MEMBER:
            return Admission(principal, rule)
        wanted = await self._wanted(handler, rule, principal)
        await self.decisions.require(principal, wanted)
        return Admission(principal, rule, wanted)

    async def confirm(self, handler: RequestHandler, admission: Admission) -> None:
        """Let a request on only if the person has confirmed it, where it needs that.

        Raises:
            ConfirmationRequired: It does; the error says where.
            RateLimited: Too many confirmations were asked for.
        """
        for need, path in admission.wanted:
            if need.becomes is None or not self._confirming.needed(admission.principal, need):
                continue
            ending = await self.decisions.sessions_at(path)
            if ending:
                await self._confirming.require(
                    handler, admission.principal, need.becomes, path, ending
                )

    async def _wanted(
        self, handler: RequestHandler, rule: Rule, principal: Principal
    ) -> tuple[tuple[Need, str], ...]:
        wanted = []
        for need in rule.needs:
            try:
                paths = await paths_of(handler, need.target)
            except AdminRequired:
                if not principal.is_admin:
                    raise
                paths = []
            wanted += [(need, path) for path in paths]
        return tuple(wanted)

    async def _authenticate(self, handler: RequestHandler) -> Principal | None:
        if isinstance(handler, JupyterHandler):
            CallContext.set(CallContext.JUPYTER_HANDLER, handler)
            if not handler.check_host():
                raise HTTPError(403)
        provider = handler.settings["identity_provider"]
        user = await ensure_async(provider.get_user(handler))
        handler.current_user = user
        if isinstance(handler, JupyterHandler):
            handler._jupyter_current_user = user
            if not handler._finished:
                handler.set_cors_headers()
        return principal_of(user)

    def _refuse_stranger(self, handler: RequestHandler, rule: Rule) -> None:
        may_redirect = handler.request.method in ("GET", "HEAD")
        # Whom another identity provider has signed in already, its login would send back here.
        may_redirect = may_redirect and not getattr(handler, "collab_signed_in", False)
        if rule.page and may_redirect and "Authorization" not in handler.request.headers:
            metrics.refused(Transport.HTTP, NotAuthenticated.reason)
            # Another identity provider may ask for a URL of its own for each request; one that
            # has a query says there where to come back to, as Tornado has it.
            if handler.settings.get("login_url"):
                login = handler.get_login_url()
            else:
                login = url_path_join(handler.settings.get("base_url", "/"), "login")
            if "?" not in login:
                login += "?" + urlencode({"next": handler.request.uri or "/"})
            handler.redirect(login)
            return
        error = getattr(handler, "collab_auth_error", None)
        if isinstance(error, CollabError):
            raise error
        raise NotAuthenticated("Sign in first, or send a valid access token.")

    # ------------------------------------------------------------ open WebSockets

    def watch(self, admission: Admission, ended: Callable[[], None]) -> Stop:
        """Call ``ended`` once what let a connection in does not hold any more."""
        principal = admission.principal
        stops = [self._logins.watch(principal, ended)]

        def changed(_session_id: SessionId | None, user_id: UserId | None) -> None:
            if user_id is None or user_id == principal.user_id:
                task = asyncio.ensure_future(self._recheck(admission, ended))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

        if admission.wanted and not principal.is_admin:
            stops.append(self.decisions.standings.watch(changed))

        def stop() -> None:
            for each in stops:
                each()

        return stop

    async def _recheck(self, admission: Admission, ended: Callable[[], None]) -> None:
        try:
            await self.decisions.require(admission.principal, admission.wanted)
        except CollabError:
            ended()
        except Exception:
            log.exception("A connection was ended, because its right could not be checked.")
            ended()


def _check_origin(handler: RequestHandler) -> None:
    """Refuse a WebSocket that a page of another site opens.

    Upstream leaves this to each handler: that of the rooms lets everybody in, and the others
    whoever sends a token. Jupyter's settings ``allow_origin`` and ``allow_origin_pat`` hold.
    """
    if not isinstance(handler, WebSocketHandler):
        return
    headers = handler.request.headers
    origin = headers.get("Origin") or headers.get("Sec-Websocket-Origin")
    if origin is None:
        # No browser.
        return
    origin = origin.lower()
    allowed = handler.settings.get("allow_origin", "")
    pattern = handler.settings.get("allow_origin_pat", "")
    if allowed:
        fits = allowed in ("*", origin)
    else:
        fits = bool(pattern) and origin_matches_pat(pattern, origin)
    if not fits and urlsplit(origin).netloc != headers.get("Host", "").lower():
        raise HTTPError(403)


__all__ = ["Admission", "Gate", "GuardMixin", "Replacements", "Route", "principal_of"]
