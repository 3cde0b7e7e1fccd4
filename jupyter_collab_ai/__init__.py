"""Multi-user editing for JupyterLab with roles, and an AI that works in the live document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_collab_ai.widgets import AIDebugger

__all__ = ["AIDebugger", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Return what is loaded when it is first asked for: a server needs no widgets."""
    if name == "AIDebugger":
        from jupyter_collab_ai.widgets import AIDebugger

        return AIDebugger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Say where the built JupyterLab extension is, for ``jupyter-builder develop``."""
    return [{"src": "labextension", "dest": "jupyter-collab-ai"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    """Say to Jupyter's server which application the extension is.

    Raises:
        SystemExit: The extension can't be imported. Jupyter would take any other error for the
            end of the extension alone, and go on without the gate.
    """
    # Imported when it is asked for: whoever needs the client alone needs no server.
    try:
        from jupyter_collab_ai.app import CollabAI
    except Exception as error:
        raise SystemExit(
            "The server is not started, because jupyter_collab_ai, which would protect it, can't "
            f"be imported ({type(error).__name__}: {error}); install it anew with what it needs, "
            "or switch it off with: jupyter server extension disable jupyter_collab_ai"
        ) from error

    return [{"module": "jupyter_collab_ai.app", "app": CollabAI}]
