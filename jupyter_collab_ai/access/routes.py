"""The table: what each handler of the whole server needs of whoever calls it.

Handlers are named by import path, so that a package which is not installed costs nothing.
A handler that does not stand here is for admins alone, and so is a method that does not.
``docs/`` shows the table; a test boots a server with all extensions and fails where a route
of theirs has no rule.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from tornado.web import RequestHandler

from jupyter_collab_ai.access.rules import (
    ADMIN,
    HANDSHAKE,
    PAGE,
    PUBLIC,
    SIGNED_IN,
    Effect,
    Need,
    Rule,
    Rules,
    Target,
    Who,
    member,
)
from jupyter_collab_ai.grave import Kind
from jupyter_collab_ai.sessions.roles import Capability

_READ: Final = Need(Capability.READ, Target.PATH)
_WRITE: Final = Need(Capability.WRITE, Target.PATH)
_LOOK: Final = Need(Capability.READ, Target.PATH, way=True)
_REPLACE: Final = Need(Capability.WRITE, Target.PATH, Effect.REPLACED)
_RUN_KERNEL: Final = member(Need(Capability.EXECUTE, Target.KERNEL), watched=True)
_RUN_SESSION: Final = Need(Capability.EXECUTE, Target.KERNEL_SESSION)
_RUN_BODY: Final = Need(Capability.EXECUTE, Target.KERNEL_SESSION_BODY)

_SERVER: Final[dict[str, Rules]] = {
    # ------------------------------------------------------------ what holds no data
    "base.handlers.APIVersionHandler": {"GET": PUBLIC},
    "base.handlers.FileFindHandler": {"*": PUBLIC},
    "base.handlers.PublicStaticFileHandler": {"*": PUBLIC},
    "base.handlers.TrailingSlashHandler": {"*": PUBLIC},
    "base.handlers.RedirectWithParams": {"*": PUBLIC},
    "base.handlers.MainHandler": {"*": PUBLIC},
    "base.handlers.Template404": {"*": PUBLIC},
    "auth.login.LoginFormHandler": {"*": PUBLIC},
    "auth.login.LegacyLoginHandler": {"*": PUBLIC},
    "auth.logout.LogoutHandler": {"*": PUBLIC},
    "services.contents.handlers.NotebooksRedirectHandler": {"*": SIGNED_IN},
    "services.api.handlers.APISpecHandler": {"*": SIGNED_IN},
    "services.api.handlers.APIStatusHandler": {"GET": SIGNED_IN},
    # Says of a permission only whether one is an admin: see authorizer.py.
    "services.api.handlers.IdentityHandler": {"GET": SIGNED_IN, "PATCH": SIGNED_IN},
    "services.security.handlers.CSPReportHandler": {"POST": SIGNED_IN},
    "services.kernelspecs.handlers.MainKernelSpecHandler": {"GET": SIGNED_IN},
    "services.kernelspecs.handlers.KernelSpecHandler": {"GET": SIGNED_IN},
    "kernelspecs.handlers.KernelSpecResourceHandler": {"*": SIGNED_IN},
    "services.nbconvert.handlers.NbconvertRootHandler": {"GET": SIGNED_IN},
    # The pages of all read it; what they may change there would be changed for all.
    "services.config.handlers.ConfigHandler": {"GET": SIGNED_IN, "PUT": ADMIN, "PATCH": ADMIN},
    "base.handlers.PrometheusMetricsHandler": {
        "GET": Rule(Who.ADMIN, public_unless="authenticate_prometheus")
    },
    # ------------------------------------------------------------ files
    "services.contents.handlers.ContentsHandler": {
        "GET": member(_LOOK, only_ours=True),
        "POST": member(
            _WRITE, Need(Capability.READ, Target.COPY_FROM, Effect.COPIED), only_ours=True
        ),
        "PUT": member(_REPLACE, only_ours=True),
        "PATCH": member(
            Need(Capability.WRITE, Target.PATH, Effect.MOVED_FROM),
            Need(Capability.WRITE, Target.BODY_PATH, Effect.MOVED_TO),
            only_ours=True,
        ),
        # A session ends with what it shares.
        "DELETE": member(
            Need(Capability.WRITE, Target.PATH, Effect.REMOVED, becomes=Kind.DELETE_SESSION),
            only_ours=True,
        ),
    },
    "services.contents.handlers.CheckpointsHandler": {
        "GET": member(_READ),
        "POST": member(_WRITE),
    },
    "services.contents.handlers.ModifyCheckpointsHandler": {
        "POST": member(_REPLACE),
        "DELETE": member(_WRITE),
    },
    "services.contents.handlers.TrustNotebooksHandler": {"POST": member(_WRITE)},
    "base.handlers.AuthenticatedFileHandler": {
        "*": member(Need(Capability.READ, Target.RAW_PATH), page=True)
    },
    "files.handlers.FilesHandler": {"*": member(Need(Capability.READ, Target.RAW_PATH), page=True)},
    "view.handlers.ViewHandler": {"GET": member(_READ, page=True)},
    "nbconvert.handlers.NbconvertFileHandler": {"GET": member(_READ, page=True, only_ours=True)},
    # Takes a document from nowhere, so there is nobody who shares it; costs much time.
    "nbconvert.handlers.NbconvertPostHandler": {"POST": ADMIN},
    "services.api.handlers.PathResolverHandler": {
        "GET": member(Need(Capability.READ, Target.QUERY_PATH, way=True))
    },
    # ------------------------------------------------------------ running code
    "services.kernels.handlers.MainKernelHandler": {
        "GET": Rule(Who.SIGNED_IN, only_ours=True),
        "POST": ADMIN,
    },
    "services.kernels.handlers.KernelHandler": {"GET": _RUN_KERNEL, "DELETE": _RUN_KERNEL},
    "services.kernels.handlers.KernelActionHandler": {"POST": _RUN_KERNEL},
    "services.kernels.websocket.KernelWebsocketHandler": {"GET": _RUN_KERNEL},
    "services.sessions.handlers.SessionRootHandler": {
        "GET": Rule(Who.SIGNED_IN, only_ours=True),
        "POST": member(_RUN_BODY),
    },
    "services.sessions.handlers.SessionHandler": {
        "GET": member(_RUN_SESSION),
        "PATCH": member(_RUN_SESSION, _RUN_BODY),
        "DELETE": member(_RUN_SESSION),
    },
    # ------------------------------------------------------------ the server itself
    "services.events.handlers.EventHandler": {"POST": ADMIN},
    # Tells of everybody's files and documents.
    "services.events.handlers.SubscribeWebsocket": {"GET": ADMIN},
    "services.shutdown.ShutdownHandler": {"POST": ADMIN},
}

_LAB: Final[dict[str, Rules]] = {
    "jupyterlab_server.handlers.LabHandler": {"GET": PAGE},
    "jupyterlab_server.handlers.NotFoundHandler": {"GET": PAGE},
    "jupyterlab_server.themes_handler.ThemesHandler": {"*": PUBLIC},
    "jupyterlab_server.translations_handler.TranslationsHandler": {
        "GET": Rule(Who.SIGNED_IN, only_ours=True)
    },
    "jupyterlab_server.listings_handler.ListingsHandler": {"GET": SIGNED_IN},
    "jupyterlab_server.licenses_handler.LicensesHandler": {"GET": SIGNED_IN},
    # Each account has its own.
    "jupyterlab_server.settings_handler.SettingsHandler": {
        "GET": Rule(Who.SIGNED_IN, only_ours=True),
        "PUT": Rule(Who.SIGNED_IN, only_ours=True),
    },
    "jupyterlab_server.workspaces_handler.WorkspacesHandler": {
        "GET": Rule(Who.SIGNED_IN, only_ours=True),
        "PUT": Rule(Who.SIGNED_IN, only_ours=True),
        "DELETE": Rule(Who.SIGNED_IN, only_ours=True),
    },
    "jupyterlab.handlers.error_handler.ErrorHandler": {"GET": PAGE},
    "jupyterlab.handlers.announcements.CheckForUpdateHandler": {"GET": SIGNED_IN},
    "jupyterlab.handlers.announcements.NewsHandler": {"GET": SIGNED_IN},
    "jupyterlab.handlers.build_handler.BuildHandler": {
        "GET": Rule(Who.SIGNED_IN, only_ours=True),
        "POST": ADMIN,
        "DELETE": ADMIN,
    },
    # Install packages on the server, and switch off plugins for everybody.
    "jupyterlab.handlers.extension_manager_handler.ExtensionHandler": {"GET": ADMIN, "POST": ADMIN},
    "jupyterlab.handlers.plugin_manager_handler.PluginHandler": {"GET": ADMIN, "POST": ADMIN},
    # Notebook 7's pages; two of them tell whether a path exists, and of which kind it is.
    "notebook.app.TreeHandler": {"GET": member(_LOOK, page=True)},
    "notebook.app.NotebookHandler": {"GET": member(_LOOK, page=True)},
    "notebook.app.FileHandler": {"GET": PAGE},
    "notebook.app.ConsoleHandler": {"GET": PAGE},
    "notebook.app.TerminalHandler": {"GET": PAGE},
    "notebook.app.CustomCssHandler": {"GET": PAGE},
}

_EXTENSIONS: Final[dict[str, Rules]] = {
    "jupyter_server_terminals.api_handlers.TerminalRootHandler": {
        "GET": Rule(Who.SIGNED_IN, only_ours=True),
        "POST": ADMIN,
    },
    "jupyter_server_terminals.api_handlers.TerminalHandler": {"GET": ADMIN, "DELETE": ADMIN},
    "jupyter_server_terminals.handlers.TermSocket": {"GET": ADMIN},
    "jupyter_lsp.handlers.LanguageServersHandler": {"GET": Rule(Who.SIGNED_IN, only_ours=True)},
    # Language servers read and write files by paths in messages.
    "jupyter_lsp.handlers.LanguageServerWebSocketHandler": {"GET": ADMIN},
    "jupyter_server_fileid.handler.FileIDHandler": {
        "GET": member(Need(Capability.READ, Target.QUERY_PATH))
    },
    "jupyter_server_fileid.handler.FilePathHandler": {
        "GET": member(Need(Capability.READ, Target.FILE_ID))
    },
    # Tell how much memory and processor time everybody's code takes, and stop the server's loop
    # while they look; what a kernel takes, whoever may run code in it may ask the kernel itself.
    "jupyter_resource_usage.api.ApiHandler": {"GET": ADMIN},
    "jupyter_resource_usage.api.KernelUsageHandler": {"GET": _RUN_KERNEL},
    # Opening a document asks for its id by a PUT; nothing is written.
    "jupyter_server_ydoc.handlers.DocSessionHandler": {"PUT": member(_READ, only_ours=True)},
    "jupyter_server_ydoc.handlers.YDocWebSocketHandler": {
        "GET": member(Need(Capability.READ, Target.ROOM), only_ours=True)
    },
    # Upstream's own make documents beside the room, which nobody would guard.
    "jupyter_server_ydoc.handlers.DocForkHandler": {
        "GET": member(Need(Capability.READ, Target.ROOT_ROOM), only_ours=True),
        "PUT": member(Need(Capability.WRITE, Target.ROOT_ROOM), only_ours=True),
        "DELETE": member(Need(Capability.WRITE, Target.FORK), only_ours=True),
    },
    # Changes nothing: it makes a copy that only who asks can see.
    "jupyter_server_ydoc.handlers.TimelineHandler": {
        "GET": member(_READ, only_ours=True),
    },
    # Moves such a copy; to restore what it shows, the handler asks for the right to write.
    "jupyter_server_ydoc.handlers.UndoRedoHandler": {
        "PUT": member(Need(Capability.READ, Target.ROOT_ROOM), only_ours=True),
    },
}

#: This package's own: who is not public asks for an account, and the service behind for the role.
_OURS: Final[dict[str, Rules]] = {
    "web.handlers.UnknownHandler": {"*": PUBLIC},
    "web.health.HealthHandler": {"GET": PUBLIC},
    "web.openapi.OpenapiHandler": {"GET": PUBLIC},
    # Pages and calls for who has no identity yet, or has one and may show it.
    "identity.pages.LoginPage": {"*": PUBLIC},
    "identity.pages.LogoutPage": {"*": PUBLIC},
    "identity.pages.RegisterPage": {"*": PUBLIC},
    "identity.pages.JoinPage": {"*": PUBLIC},
    "identity.account_page.AccountPage": {"GET": PAGE, "POST": PAGE},
    "identity.account_page.PasswordPage": {"GET": PAGE, "POST": Rule(Who.PUBLIC, page=True)},
    # Its form brings no cookie, as it has an origin of its own; a nonce and the password do.
    "identity.confirm_page.ConfirmPage": {"GET": PAGE, "POST": Rule(Who.PUBLIC, page=True)},
    "identity.handlers.RegisterHandler": {"POST": PUBLIC},
    "identity.handlers.LoginHandler": {"POST": PUBLIC},
    "identity.handlers.RefreshHandler": {"POST": PUBLIC},
    "identity.handlers.LogoutHandler": {"POST": SIGNED_IN},
    "identity.handlers.MeHandler": {"GET": SIGNED_IN, "PATCH": SIGNED_IN},
    "identity.handlers.PasswordHandler": {"PUT": SIGNED_IN},
    "identity.handlers.LoginListHandler": {"GET": SIGNED_IN},
    "identity.handlers.LoginEndHandler": {"DELETE": SIGNED_IN},
    "identity.handlers.UserListHandler": {"GET": ADMIN},
    "identity.handlers.UserHandler": {"*": ADMIN},
    "identity.handlers.ServerActivityHandler": {"GET": ADMIN},
    "sessions.handlers.SessionListHandler": {"GET": SIGNED_IN, "POST": SIGNED_IN},
    "sessions.handlers.SessionHandler": {"*": SIGNED_IN},
    "sessions.handlers.MemberListHandler": {"GET": SIGNED_IN},
    "sessions.handlers.MemberHandler": {"DELETE": SIGNED_IN},
    "sessions.handlers.InviteHandler": {"POST": SIGNED_IN},
    "sessions.handlers.InvitationListHandler": {"GET": SIGNED_IN},
    "sessions.handlers.InvitationHandler": {"DELETE": SIGNED_IN},
    "sessions.handlers.AcceptHandler": {"POST": SIGNED_IN},
    "sessions.handlers.AccessHandler": {"PUT": SIGNED_IN},
    "sessions.handlers.ActivityHandler": {"GET": SIGNED_IN},
    "sessions.handlers.EventsHandler": {"GET": Rule(Who.SIGNED_IN, lasting=True)},
    "rooms.history_handlers.HistoryListHandler": {"GET": SIGNED_IN},
    "rooms.history_handlers.VersionHandler": {"GET": SIGNED_IN},
    "rooms.history_handlers.BlameHandler": {"GET": SIGNED_IN},
    "rooms.history_handlers.VersionListHandler": {"POST": SIGNED_IN},
    "rooms.history_handlers.NamedVersionHandler": {"DELETE": SIGNED_IN},
    "rooms.history_handlers.RestoreHandler": {"POST": SIGNED_IN},
    "rooms.sockets.SessionSocket": {"GET": HANDSHAKE},
    "ai.handlers.DebuggerHandler": {"POST": SIGNED_IN},
    "ai.handlers.GeneratorHandler": {"POST": SIGNED_IN},
    "ai.handlers.FixHandler": {"POST": SIGNED_IN},
    "ai.handlers.OperationsHandler": {"GET": SIGNED_IN},
    "ai.handlers.OperationHandler": {"GET": SIGNED_IN, "DELETE": SIGNED_IN},
    "ai.handlers.ApplyHandler": {"POST": SIGNED_IN},
    "ai.handlers.UndoHandler": {"POST": SIGNED_IN},
    "ai.handlers.ModelsHandler": {"GET": SIGNED_IN},
    "ai.handlers.UsageHandler": {"GET": SIGNED_IN},
    "ai.handlers.FindingsHandler": {"GET": SIGNED_IN},
    "ai.handlers.LocksHandler": {"GET": SIGNED_IN},
    "ai.handlers.LockHandler": {"DELETE": SIGNED_IN},
}

#: The whole table.
TABLE: Final[Mapping[str, Rules]] = {
    "tornado.web.RedirectHandler": {"*": PUBLIC},
    # What Tornado answers with where there is no route.
    "tornado.web.ErrorHandler": {"*": PUBLIC},
    **{f"jupyter_server.{name}": rules for name, rules in _SERVER.items()},
    **_LAB,
    **_EXTENSIONS,
    **{f"jupyter_collab_ai.{name}": rules for name, rules in _OURS.items()},
}


def name_of(handler: type[RequestHandler]) -> str:
    """Return the import path by which the table knows a handler."""
    return f"{handler.__module__}.{handler.__qualname__}"


def rules_of(
    handler: type[RequestHandler],
    allowed: Collection[str] = (),
    public: Collection[type[RequestHandler]] = (),
) -> Rules | None:
    """Return the rules of a handler, or None where it is not known.

    Args:
        handler: The class that the router names.
        allowed: Handlers of other extensions that the administrator has opened.
        public: Those where another identity provider signs people in.
    """
    name = name_of(handler)
    if name in TABLE:
        return TABLE[name]
    if handler in public:
        return {"*": PUBLIC}
    if name in allowed:
        return {"*": Rule(Who.SIGNED_IN, watched=True)}
    return None


def rule_of(rules: Rules | None, method: str) -> Rule:
    """Return the rule of one HTTP method. What is not known is for admins alone."""
    if rules is None:
        return ADMIN
    if method in rules:
        return rules[method]
    if method == "HEAD" and "GET" in rules:
        return rules["GET"]
    return rules.get("*", ADMIN)
