"""JupyterLab's own calls, as each account may see them: what runs, settings, workspaces.

These handlers take the place of upstream's of the same name.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from jupyter_lsp.handlers import LanguageServersHandler
from jupyter_server.services.kernels.handlers import MainKernelHandler
from jupyter_server.services.sessions.handlers import SessionRootHandler
from jupyter_server.utils import ensure_async
from jupyter_server_terminals.api_handlers import TerminalRootHandler
from jupyterlab.handlers.build_handler import BuildHandler
from jupyterlab_server.settings_handler import SettingsHandler
from jupyterlab_server.settings_utils import SchemaHandler
from jupyterlab_server.translations_handler import TranslationsHandler
from jupyterlab_server.workspaces_handler import (
    WORKSPACE_EXTENSION,
    WorkspacesHandler,
    WorkspacesManager,
    slugify,
)
from tornado.web import RequestHandler

from jupyter_collab_ai.access.gate import Admitted, Replacements
from jupyter_collab_ai.errors import InvalidRequest, RequestTooLarge
from jupyter_collab_ai.sessions.paths import is_canonical
from jupyter_collab_ai.sessions.roles import Capability

#: Bytes that one settings file or workspace may have.
MAX_BODY = 1024 * 1024
#: Workspaces that an account may have.
MAX_WORKSPACES = 100

# An npm package and a plugin of it. Upstream joins both to folders as they come, so that
# dots and slashes would lead to any JSON file on the disk.
_SCHEMA = re.compile(
    r"(@[a-z0-9~-][a-z0-9._~-]*/)?[A-Za-z0-9~-][A-Za-z0-9._~-]*:[A-Za-z0-9_~-][\w.~-]*"
)


class OwnHandler(Admitted):
    """Answers upstream's way for admins, and in a way of its own for others."""

    async def _may_run(self, path: object) -> bool:
        if not isinstance(path, str) or not is_canonical(path):
            return False
        standing = await self.collab_gate.decisions.standings.standing(self.admitted, path)
        return standing.may(Capability.EXECUTE)

    async def _sessions(self, handler: RequestHandler) -> list[dict[str, Any]]:
        """Return the kernel sessions of documents that one may run code for."""
        found = await ensure_async(handler.settings["session_manager"].list_sessions())
        return [session for session in found if await self._may_run(session.get("path"))]


def _dump(value: object) -> str:
    return json.dumps(value, default=str)


class OwnKernelsHandler(OwnHandler, MainKernelHandler):
    """``/api/kernels``: the list shows the kernels that one may use."""

    async def get(self) -> None:
        """Return the kernels that one may use."""
        if self.admitted.is_admin:
            await ensure_async(super().get())
            return
        self.finish(_dump([session["kernel"] for session in await self._sessions(self)]))


class OwnKernelSessionsHandler(OwnHandler, SessionRootHandler):
    """``/api/sessions``: the list shows the kernel sessions that one may use."""

    async def get(self) -> None:
        """Return the kernel sessions that one may use."""
        if self.admitted.is_admin:
            await ensure_async(super().get())
            return
        self.finish(_dump(await self._sessions(self)))


class OwnTerminalsHandler(OwnHandler, TerminalRootHandler):
    """``/api/terminals``: only admins have any."""

    async def get(self) -> None:
        """Return the terminals."""
        if self.admitted.is_admin:
            await ensure_async(super().get())
            return
        self.finish("[]")


class OwnLanguageServersHandler(OwnHandler, LanguageServersHandler):  # type: ignore[misc]
    """``/lsp/status``: only admins may use language servers."""

    async def get(self) -> None:
        """Return the language servers."""
        if self.admitted.is_admin:
            await ensure_async(super().get())
            return
        self.finish(_dump({"version": 2, "sessions": {}, "specs": {}}))


class OwnBuildHandler(OwnHandler, BuildHandler):  # type: ignore[misc]
    """``/lab/api/build``: only admins are told that JupyterLab could be built."""

    async def get(self) -> None:
        """Return whether JupyterLab wants to be built."""
        if self.admitted.is_admin:
            await ensure_async(super().get())
            return
        self.finish(_dump({"status": "stable", "message": ""}))


class OwnSchemaHandler(OwnHandler, SchemaHandler):
    """Base of what reads and writes settings, in the account's own folder."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Turn to the account's own folder."""
        await super().prepare()
        if self.collab_admission is None or self._finished:
            return
        name = self.path_kwargs.get("schema_name")
        if name and not _SCHEMA.fullmatch(name):
            raise InvalidRequest("This is not the name of a plugin's settings.")
        _require_small(self)
        own = self.collab_gate.folders.of(self.admitted)
        if own is not None:
            self.settings_dir = str(_private(own, "settings"))


class OwnSettingsHandler(OwnSchemaHandler, SettingsHandler):
    """``/lab/api/settings``: each account has its own."""


class OwnTranslationsHandler(OwnSchemaHandler, TranslationsHandler):
    """``/lab/api/translations``: which language is a setting."""


class OwnWorkspacesHandler(OwnHandler, WorkspacesHandler):
    """``/lab/api/workspaces``: each account has its own."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Turn to the account's own folder."""
        await super().prepare()
        if self.collab_admission is None or self._finished:
            return
        _require_small(self)
        own = self.collab_gate.folders.of(self.admitted)
        if own is None:
            return
        folder = _private(own, "workspaces")
        self.manager = WorkspacesManager(str(folder))
        if self.request.method == "PUT":
            saved = {path.name for path in folder.glob(f"*{WORKSPACE_EXTENSION}")}
            name = slugify(self.path_kwargs.get("space_name") or "") + WORKSPACE_EXTENSION
            if len(saved) >= MAX_WORKSPACES and name not in saved:
                raise RequestTooLarge(
                    f"You have {MAX_WORKSPACES} workspaces; delete some that you don't need."
                )


def _require_small(handler: RequestHandler) -> None:
    if len(handler.request.body) > MAX_BODY:
        raise RequestTooLarge(
            f"The request is larger than {MAX_BODY // 1024} KiB; send less at a time."
        )


def _private(own: Path, name: str) -> Path:
    """Return a folder of an account, made if it is not there, for the server's user alone."""
    own.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    own.mkdir(mode=0o700, exist_ok=True)
    folder = own / name
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


REPLACEMENTS: Replacements = {
    MainKernelHandler: (OwnKernelsHandler, None),
    SessionRootHandler: (OwnKernelSessionsHandler, None),
    TerminalRootHandler: (OwnTerminalsHandler, None),
    LanguageServersHandler: (OwnLanguageServersHandler, None),
    BuildHandler: (OwnBuildHandler, None),
    SettingsHandler: (OwnSettingsHandler, None),
    TranslationsHandler: (OwnTranslationsHandler, None),
    WorkspacesHandler: (OwnWorkspacesHandler, None),
}
