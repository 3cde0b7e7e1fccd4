"""The table of routes as a page of the documentation.

``python -m jupyter_collab_ai.access.documentation > docs/access.md`` writes it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from jupyter_collab_ai.access.routes import TABLE

_HEAD = """\
# Who may call what

<!-- Made by python -m jupyter_collab_ai.access.documentation -->

Every request to the Jupyter server passes one gate, which looks up its handler in this table: those
of Jupyter, of its extensions, and of this package. What does not stand here is for admins alone.
*`read` at the path in the URL* means: whoever may read there, by their role in the session that the
path belongs to. Who may not even know of a path is told that there is no such thing.

A handler of this package that every account may call asks the service behind it about the role.
"""

_GROUPS = (
    ("jupyter_server.", "The Jupyter server"),
    ("jupyterlab_server.", "JupyterLab's server"),
    ("jupyterlab.", "JupyterLab"),
    ("notebook.", "Notebook 7"),
    ("jupyter_server_terminals.", "Terminals"),
    ("jupyter_lsp.", "Language servers"),
    ("jupyter_server_fileid.", "File ids"),
    ("jupyter_server_ydoc.", "Collaboration"),
    ("jupyter_resource_usage.", "Resource usage"),
    ("jupyter_collab_ai.", "This package"),
    ("", "Others"),
)


def render() -> str:
    """Return the page, as Markdown."""
    return "\n".join([_HEAD, *_sections()])


def _sections() -> Iterator[str]:
    left = dict(TABLE)
    for prefix, title in _GROUPS:
        names = [name for name in left if name.startswith(prefix)]
        if not names:
            continue
        yield f"## {title}\n"
        yield "| handler | method | who may call it |"
        yield "|---|---|---|"
        for name in sorted(names):
            rules = left.pop(name)
            for method, rule in rules.items():
                called = "every method" if method == "*" else method
                yield f"| `{name.removeprefix(prefix)}` | {called} | {rule.describe()} |"
        yield ""


if __name__ == "__main__":
    sys.stdout.write(render())
