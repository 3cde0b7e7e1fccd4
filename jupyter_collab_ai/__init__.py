"""Multi-user editing for JupyterLab with roles, and an AI that works in the live document."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Say where the built JupyterLab extension is, for ``jupyter-builder develop``."""
    return [{"src": "labextension", "dest": "jupyter-collab-ai"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Say to Jupyter's server which application the extension is."""
    # Imported when it is asked for: whoever needs the client alone needs no server.
    from jupyter_collab_ai.app import CollabAI

    return [{"module": "jupyter_collab_ai.app", "app": CollabAI}]
