"""What live editing costs, beside JupyterLab's own and two servers of the Yjs world."""
