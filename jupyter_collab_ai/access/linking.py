"""Putting the gate into a Jupyter server, and making sure that it stands there.

Jupyter swallows what goes wrong while an extension is linked and loaded, and would go on
without it: unguarded. So everything here ends the process instead.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jupyter_server.auth import IdentityProvider, PasswordIdentityProvider
from jupyter_server.nbconvert.handlers import NbconvertFileHandler
from jupyter_server.serverapp import ServerApp
from jupyter_server.services.contents.handlers import ContentsHandler
from jupyter_server.utils import JupyterServerAuthWarning
from tornado.web import RequestHandler
from traitlets.config import Config

from jupyter_collab_ai.access import lab
from jupyter_collab_ai.access.authorizer import GateAuthorizer
from jupyter_collab_ai.access.confirming import Confirming
from jupyter_collab_ai.access.contents import SafeNbconvertHandler, SharedContentsHandler
from jupyter_collab_ai.access.decisions import Decisions
from jupyter_collab_ai.access.files import Files
from jupyter_collab_ai.access.folders import Folders
from jupyter_collab_ai.access.gate import Gate, Replacements
from jupyter_collab_ai.access.pages import PageConfigHook
from jupyter_collab_ai.access.ports import Locks, Logins, Moves, SideRooms, Standings
from jupyter_collab_ai.access.resolve import SIDE_ROOMS
from jupyter_collab_ai.access.upstream import check_upstream
from jupyter_collab_ai.web.confirming import Confirmations
from jupyter_collab_ai.web.seats import Seats

#: Identity providers of Jupyter's own, which ours takes the place of.
_REPLACEABLE = (IdentityProvider, PasswordIdentityProvider)

#: What takes the place of upstream's handlers, besides those that other rooms bring.
REPLACEMENTS: Replacements = {
    ContentsHandler: (SharedContentsHandler, None),
    NbconvertFileHandler: (SafeNbconvertHandler, None),
    **lab.REPLACEMENTS,
}


@contextmanager
def or_exit(because: str = "it could not be protected") -> Iterator[None]:
    """End the process where something goes wrong, for the server must not run unguarded.

    Args:
        because: What that means for the server; empty where the errors are sentences that a
            person understands without it.

    Raises:
        SystemExit: Something went wrong.
    """
    try:
        yield
    except Exception as error:
        before = f", because {because}:" if because else "."
        raise SystemExit(
            f"The server is not started{before} {str(error) or type(error).__name__}"
        ) from error


def link(
    serverapp: ServerApp,
    provider: type[IdentityProvider],
    external: Callable[[type[IdentityProvider]], type[IdentityProvider]] | None = None,
) -> None:
    """Set who tells who somebody is and what they may do, before the server makes them.

    Args:
        serverapp: The server, which has read its configuration.
        provider: The identity provider of this package.
        external: Returns the one that leaves it to another identity provider who somebody is,
            and itself for that one; None where no other one is to be in charge.

    Raises:
        SystemExit: It is not possible.
    """
    with or_exit():
        check_upstream()
        configured = serverapp.identity_provider_class
        settings: dict[str, Any] = {
            "authorizer_class": GateAuthorizer,
            "allow_unauthenticated_access": False,
        }
        if external is not None:
            _follow(serverapp, external)
        elif configured in (*_REPLACEABLE, provider):
            settings["identity_provider_class"] = provider
        else:
            raise RuntimeError(
                f"ServerApp.identity_provider_class is set to {configured.__name__}; set "
                "CollabAI.external_accounts = True to take its users as accounts, or remove the "
                "setting to keep accounts here."
            )
        # In the configuration, too: the server applies it again later.
        serverapp.update_config(Config({"ServerApp": settings}))
        for name, value in settings.items():
            setattr(serverapp, name, value)
        # Says of each handler without a decorator that somebody has to be signed in there,
        # which the gate sees to for all.
        warnings.filterwarnings("ignore", category=JupyterServerAuthWarning)


def _follow(
    serverapp: ServerApp, external: Callable[[type[IdentityProvider]], type[IdentityProvider]]
) -> None:
    """Stand in front of whichever other identity provider is configured.

    JupyterHub's own extension sets it after this one was linked.
    """

    def stand_in_front(_change: object = None) -> None:
        configured = serverapp.identity_provider_class
        if configured not in _REPLACEABLE:
            serverapp.identity_provider_class = external(configured)

    serverapp.observe(stand_in_front, "identity_provider_class")
    stand_in_front()


def install(
    serverapp: ServerApp,
    *,
    standings: Standings,
    locks: Locks,
    moves: Moves,
    logins: Logins,
    folders: Folders,
    confirmations: Confirmations,
    seats: Seats,
    replacements: Mapping[type[RequestHandler], tuple[type[RequestHandler], Mapping[str, Any]]],
    allowed: tuple[str, ...] = (),
    public: tuple[type[RequestHandler], ...] = (),
    members_run_code: bool = False,
    side_rooms: SideRooms | None = None,
    manager: Callable[[], Any] | None = None,
) -> Gate:
    """Put the gate in front of each request, before the server listens.

    Args:
        serverapp: The server, which has made its web application.
        standings: Who may do what where.
        locks: What is locked.
        moves: Told of files that were moved or deleted.
        logins: Tells of logins that end.
        folders: Where each account keeps its settings and workspaces.
        confirmations: Keeps what people have to confirm.
        seats: Counts the connections of each account.
        replacements: Handlers of other rooms that answer instead of upstream's.
        allowed: Handlers of other extensions that every account may call.
        public: Handlers where another identity provider signs people in.
        members_run_code: Whether there is a role that may run code.
        side_rooms: The rooms that belong to a document and have no file.
        manager: Returns the contents manager; the server's without it.

    Raises:
        SystemExit: It is not possible.
    """
    with or_exit():
        application = serverapp.web_app
        gate = Gate(
            Decisions(standings, locks, Files(manager or (lambda: serverapp.contents_manager))),
            moves,
            logins,
            folders,
            Confirming(confirmations),
            seats,
            replacements={**REPLACEMENTS, **replacements},
            allowed=allowed,
            public=public,
        )
        application.settings[SIDE_ROOMS] = side_rooms
        gate.stand_in(application)
        guard_pages(serverapp, members_run_code=members_run_code)
        return gate


def guard_pages(serverapp: ServerApp, *, members_run_code: bool) -> None:
    """Have the last word on what JupyterLab's pages are told.

    To be called again where something else may have taken that place.
    """
    settings = serverapp.web_app.settings
    hook = settings.get("page_config_hook")
    if not isinstance(hook, PageConfigHook):
        settings["page_config_hook"] = PageConfigHook(hook, members_run_code=members_run_code)


def verify_installed(serverapp: ServerApp, gate: Gate, provider: type[IdentityProvider]) -> None:
    """Make sure, at last before the server listens, that nothing was put aside.

    Raises:
        SystemExit: The server would run unguarded.
    """
    with or_exit():
        application = serverapp.web_app
        settings = application.settings
        standing = {
            "the gate": gate.stands_in(application),
            "the authorizer": type(settings.get("authorizer")) is GateAuthorizer,
            "the identity provider": isinstance(settings.get("identity_provider"), provider),
            "the hook of pages": isinstance(settings.get("page_config_hook"), PageConfigHook),
            "the need to sign in": settings.get("allow_unauthenticated_access") is False,
            # Without it scripts of other sites could act with the cookie of whoever visits them.
            "the XSRF check": not settings.get("disable_check_xsrf", False),
        }
        missing = [name for name, stands in standing.items() if not stands]
        if missing:
            raise RuntimeError(
                f"{' and '.join(missing)} is not in place; look for another extension or a "
                "setting that replaces it."
            )
