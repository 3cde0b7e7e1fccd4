"""Multi-user editing for JupyterLab with roles, and an AI that works in the live document."""

__version__ = "0.1.0"


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Say where the built JupyterLab extension is, for ``jupyter-builder develop``."""
    return [{"src": "labextension", "dest": "jupyter-collab-ai"}]
