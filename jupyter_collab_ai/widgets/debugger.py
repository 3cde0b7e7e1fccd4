"""The AI debugger as a widget in a notebook."""

from __future__ import annotations

from typing import Any, Final

from ipywidgets import DOMWidget
from traitlets import Dict, Unicode

#: Drawn by the JupyterLab extension, also where there is no kernel.
MIME_TYPE: Final = "application/vnd.jupyter-collab-ai.debugger+json"
#: The version of the protocol between this class and its counterpart in the browser.
PROTOCOL: Final = "1.0.0"


class AIDebugger(DOMWidget):  # type: ignore[misc]
    """A button that looks for faults in the notebook that it stands in, and what was found.

    Whoever clicks asks as themselves, by the login of their own browser: the kernel has no
    part in it, and gets no rights by it. It is drawn for people without a kernel, too.

    Example::

        from jupyter_collab_ai import AIDebugger
        debugger = AIDebugger()
        debugger            # click on "Debug"
        debugger.findings   # what was found at last, for code to use
    """

    _model_name = Unicode("AIDebuggerModel").tag(sync=True)
    _model_module = Unicode("jupyter-collab-ai").tag(sync=True)
    _model_module_version = Unicode(PROTOCOL).tag(sync=True)
    _view_name = Unicode("AIDebuggerView").tag(sync=True)
    _view_module = Unicode("jupyter-collab-ai").tag(sync=True)
    _view_module_version = Unicode(PROTOCOL).tag(sync=True)

    #: The report of the last click, as ``POST /ai/code-debugger`` answers it; empty before.
    report = Dict(help="The report of the last click; empty before.").tag(sync=True)

    @property
    def findings(self) -> list[dict[str, Any]]:
        """What was found at the last click, as the contract describes a finding."""
        return list(self.report.get("findings", ()))

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        own = {MIME_TYPE: {"version": PROTOCOL, "model_id": self.model_id}}
        if isinstance(bundle, tuple):
            data, metadata = bundle
            return {**data, **own}, metadata
        return {**(bundle or {}), **own}
