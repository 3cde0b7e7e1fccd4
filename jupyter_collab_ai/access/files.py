"""Where paths lead on the disk: what is allowed by its name may be a link to what is not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_collab_ai.errors import InvalidRequest
from jupyter_collab_ai.real_paths import real_path_in, root_of

#: Entries of a folder that are looked at before it is copied as a whole.
MAX_COPIED = 10_000


class Files:
    """The real files behind the paths of the contents manager."""

    def __init__(self, manager: Callable[[], Any]) -> None:
        """Look where ``manager`` keeps its files; one without files has no links either.

        Args:
            manager: Returns the contents manager.
        """
        self._manager = manager

    @property
    def root(self) -> str | None:
        """The folder of all files, or None where they are not on a disk."""
        return root_of(self._manager())

    async def real(self, path: str) -> str | None:
        """Return the path, relative to the root, of what a plain path leads to.

        None where that lies outside the root, or is the root itself.
        """
        return await real_path_in(self._manager(), path)

    async def entry(self, path: str) -> str | None:
        """Return where the entry itself is that ``path`` names, by way of whatever links.

        Unlike :meth:`real` it is a link's own place, where ``path`` ends in one: to move or to
        delete that does nothing to what it leads to. None where it is outside the root.
        """
        folder, _, name = path.rpartition("/")
        if not folder:
            return path
        found = await self.real(folder)
        return None if found is None else f"{found}/{name}"

    async def require_no_links(self, path: str) -> None:
        """Make sure that copying ``path`` copies nothing from elsewhere.

        Raises:
            InvalidRequest: There is a link in it, or it is too large to look.
        """
        if self.root is not None:
            await asyncio.to_thread(_require_no_links, self.root, path)


def _require_no_links(root: str, path: str) -> None:
    left = MAX_COPIED
    folders = [Path(root, *path.split("/"))]
    while folders:
        folder = folders.pop()
        if not folder.is_dir():
            continue
        with os.scandir(folder) as entries:
            for entry in entries:
                left -= 1
                if left < 0:
                    raise InvalidRequest(
                        f"The folder has more than {MAX_COPIED} entries; copy a part of it."
                    )
                if entry.is_symlink():
                    raise InvalidRequest(
                        "The folder has links in it; copy its files one by one instead."
                    )
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
