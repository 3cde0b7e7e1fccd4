"""What people use inside notebooks: widgets that the JupyterLab extension draws."""

from __future__ import annotations

from jupyter_collab_ai.widgets.debugger import AIDebugger

__all__ = ["AIDebugger"]
