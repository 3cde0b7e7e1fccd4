"""The names and versions of what access leans on inside other packages."""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.metadata import version
from typing import Any

#: The versions that this was written for, by package.
VERSIONS = {
    "jupyter_server": ("2.",),
    "tornado": ("6.",),
    "jupyterlab_server": ("2.",),
    "jupyter_server_ydoc": ("3.0.",),
}

#: Names that are overridden or read, so that the gate would be left open if they changed.
NAMES = (
    "tornado.web:Application.get_handler_delegate",
    "tornado.web:Application.find_handler",
    "tornado.web:RequestHandler.prepare",
    "tornado.web:stream_request_body",
    "tornado.http1connection:HTTP1Connection.set_max_body_size",
    "tornado.web:RequestHandler.write_error",
    "tornado.websocket:WebSocketHandler.on_connection_close",
    "jupyter_server.base.handlers:AuthenticatedHandler.token",
    "jupyter_server.base.handlers:JupyterHandler.check_host",
    "jupyter_server.base.handlers:JupyterHandler.check_origin",
    "jupyter_server.base.handlers:JupyterHandler.set_cors_headers",
    "jupyter_server.base.handlers:APIHandler.options",
    "jupyter_server.services.contents.handlers:ContentsHandler._finish_model",
    "jupyter_server.services.contents.fileio:FileManagerMixin",
    "jupyter_server.services.api.handlers:IdentityHandler",
    "jupyter_server.serverapp:ServerApp.identity_provider_class",
    "jupyter_server.serverapp:ServerApp.authorizer_class",
    "jupyter_server.serverapp:ServerApp.allow_unauthenticated_access",
    "jupyter_server_ydoc.handlers:YDocWebSocketHandler.prepare",
)

#: Parameters of functions that are called by name.
PARAMETERS = {
    "tornado.web:Application.get_handler_delegate": (
        *("self", "request", "target_class", "target_kwargs", "path_args", "path_kwargs"),
    ),
    "jupyter_server.services.contents.handlers:ContentsHandler._finish_model": (
        *("self", "model", "location"),
    ),
    "jupyter_server.auth.authorizer:Authorizer.is_authorized": (
        *("self", "handler", "user", "action", "resource"),
    ),
}


class UpstreamChanged(RuntimeError):
    """A package that access leans on is not one that this version knows."""


def check_upstream() -> None:
    """Make sure that what access leans on is there.

    Raises:
        UpstreamChanged: It is not; the server must not start, for it might run unguarded.
    """
    for package, known in VERSIONS.items():
        installed = version(package)
        if not installed.startswith(known):
            raise UpstreamChanged(
                f"{package} {installed} is installed; this version of jupyter-collab-ai knows "
                f"{' and '.join(f'{each}x' for each in known)}."
            )
    for name in NAMES:
        _find(name)
    for name, parameters in PARAMETERS.items():
        if tuple(inspect.signature(_find(name)).parameters) != parameters:
            raise UpstreamChanged(_changed(name))


def _find(name: str) -> Any:
    module, _, path = name.partition(":")
    try:
        found: Any = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        raise UpstreamChanged(_changed(name)) from None
    return found


def _changed(name: str) -> str:
    return (
        f"{name} differs from what jupyter-collab-ai expects; install the versions that it "
        "names in its requirements."
    )
