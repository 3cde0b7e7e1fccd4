"""The folders of a server of which code that is tried may see nothing."""

from __future__ import annotations

import contextlib
from pathlib import Path

from jupyter_core.paths import jupyter_config_path, jupyter_data_dir, jupyter_runtime_dir


def private_folders(root: str, data: Path) -> list[Path]:
    """Return them: what is shared, what is kept, what is set, and the home of who runs it.

    Args:
        root: The folder that the server shows.
        data: Where the database and the keys are.
    """
    folders = [Path(root), data, Path(jupyter_runtime_dir()), Path(jupyter_data_dir())]
    folders += map(Path, jupyter_config_path())
    with contextlib.suppress(RuntimeError):
        folders.append(Path.home())
    return folders
