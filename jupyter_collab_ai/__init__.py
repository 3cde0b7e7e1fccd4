"""Multi-user editing for JupyterLab with roles, and an AI that works in the live document."""

__version__ = "0.1.0"
