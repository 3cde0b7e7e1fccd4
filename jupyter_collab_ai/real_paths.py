"""Where a path below the server's root leads on the disk, by way of links."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from jupyter_server.services.contents.fileio import FileManagerMixin


def root_of(manager: Any) -> str | None:
    """Return the folder of a contents manager's files; None where they are not on a disk."""
    on_disk = isinstance(manager, FileManagerMixin)
    return str(manager.root_dir) if on_disk else None


async def real_path_in(manager: Any, path: str) -> str | None:
    """Return what :func:`real_path` does; ``path`` itself where the files are not on a disk."""
    root = root_of(manager)
    return path if root is None else await asyncio.to_thread(real_path, root, path)


def real_path(root: str, path: str) -> str | None:
    """Return the path, relative to the root, of what ``path`` leads to; asks the disk.

    Args:
        root: The folder of all files.
        path: Relative to it, with ``/`` between its parts.

    Returns:
        ``path`` itself where no link is on the way; None where one leads out of the root, or to
        the root itself.
    """
    top = os.path.realpath(root)
    wanted = os.path.join(top, *path.split("/"))  # noqa: PTH118  # realpath of Path is strict
    real = os.path.realpath(wanted)
    if real == wanted:
        return path
    relative = os.path.relpath(real, top)
    if relative == os.curdir or relative.split(os.sep, 1)[0] == os.pardir:
        return None
    return relative.replace(os.sep, "/")
