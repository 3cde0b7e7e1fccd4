"""What JupyterLab's pages are told about the server they come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tornado.web import RequestHandler

from jupyter_collab_ai.access.gate import principal_of

Hook = Callable[[RequestHandler, dict[str, Any]], dict[str, Any]]

#: Ends of the names of options that hold folders of the server's disk.
_FOLDERS = ("Dir", "Root")
#: Options that hold lists of such folders.
_FOLDER_LISTS = ("labextensionsPath", "extraLabextensionsPath")
#: Buttons and polls for what only admins may do.
_FOR_ADMINS = ("terminalsAvailable", "buildAvailable", "buildCheck", "quitButton")


class PageConfigHook:
    """The hook of JupyterLab's and Notebook's pages.

    Jupyter's token is on no page, and folders of the server's disk on none of members.
    """

    def __init__(self, inner: Hook | None, *, members_run_code: bool = False) -> None:
        """Call ``inner``, the hook that was configured before, first.

        Args:
            inner: The hook that was configured before.
            members_run_code: Whether there is a role that may run code.
        """
        self._inner = inner
        self._members_run_code = members_run_code

    def __call__(self, handler: RequestHandler, config: dict[str, Any]) -> dict[str, Any]:
        """Return what the page is told."""
        if self._inner is not None:
            config = self._inner(handler, config)
        # Upstream keeps changing one dict for all requests.
        config = {**config, "token": ""}
        principal = principal_of(handler.current_user)
        is_admin = principal is not None and principal.is_admin
        # So that a page need not try what would be refused: "always", "by_role" or "never".
        by_role = "by_role" if self._members_run_code else "never"
        config["collabAiRunsCode"] = "always" if is_admin else by_role
        config["collabAiAdmin"] = is_admin
        # By which a page notices that somebody else has signed in in its browser.
        config["collabAiUser"] = "" if principal is None else principal.user_id
        # The style sheet's handler looks up folders here, and shows nothing of it.
        if is_admin or _is_style_sheet(handler):
            return config
        for name, value in config.items():
            if isinstance(value, str) and (name.endswith(_FOLDERS) or value.startswith("file:")):
                config[name] = ""
        config.update({name: [] for name in _FOLDER_LISTS if name in config})
        if isinstance(config.get("extensionManager"), dict):
            nowhere = {"can_install": False, "install_path": None}
            config["extensionManager"] = {**config["extensionManager"], **nowhere}
        config.update(dict.fromkeys(_FOR_ADMINS, False))
        return config


def _is_style_sheet(handler: RequestHandler) -> bool:
    return any(base.__name__ == "CustomCssHandler" for base in type(handler).__mro__)
