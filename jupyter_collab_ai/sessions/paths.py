"""Paths below the server's root, in the one form in which they are compared.

Another spelling of a path (``./a``, ``b/../a``) would get a second live copy of the same file,
and roles that were given for the first would not hold for it. So there is one spelling, and
whatever is not in it is refused rather than corrected.
"""

from __future__ import annotations

import re
import unicodedata

from jupyter_collab_ai.errors import FieldError, InvalidRequest

#: Bytes that a path may have.
MAX_PATH = 1000
#: Bytes that one part of a path may have. Most file systems take 255; Jupyter puts the names of
#: checkpoints and of half-written files together from it.
MAX_PART = 240
#: The folder that holds everybody's own folder.
HOMES = "users"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def canonical(path: str, *, field: str = "path") -> str:
    """Return ``path`` if it is in the one allowed form.

    Args:
        path: Relative to the server's root, with ``/`` between its parts.
        field: What the error calls it.

    Raises:
        InvalidRequest: It is empty, absolute, dotted, hidden, or has characters or a length
            that can't be used.
    """
    problem = _problem(path)
    if problem is not None:
        raise InvalidRequest(
            f"The path can't be used: {problem}", errors=[FieldError(field, problem)]
        )
    return path


def is_canonical(path: str) -> bool:
    """Return whether :func:`canonical` would take ``path``."""
    return _problem(path) is None


def _problem(path: str) -> str | None:
    if not path:
        return "it is empty."
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode."
    if size > MAX_PATH:
        return f"it is longer than {MAX_PATH} bytes."
    if path.startswith("/"):
        return "it has to be relative to the server's root."
    if "\\" in path:
        return "it has a backslash; separate its parts by /."
    if _CONTROL.search(path):
        return "it has control characters."
    if unicodedata.normalize("NFC", path) != path:
        return "it is not in Unicode's normal form C."
    for part in path.split("/"):
        if not part:
            return "one of its parts is empty."
        if part.startswith("."):
            return "hidden files and dotted parts can't be shared."
        if len(part.encode()) > MAX_PART:
            return f"one of its parts is longer than {MAX_PART} bytes."
    return None


def is_within(path: str, folder: str) -> bool:
    """Return whether ``path`` is ``folder`` or lies in it; the root (``""``) holds all."""
    return not folder or path == folder or path.startswith(folder + "/")


def overlap(one: str, other: str) -> bool:
    """Return whether one of the paths holds the other."""
    return is_within(one, other) or is_within(other, one)


def ancestors(path: str) -> list[str]:
    """Return ``path`` and every folder above it but the root, the longest first."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]


def home_of(username: str) -> str:
    """Return the folder that is ``username``'s own."""
    return f"{HOMES}/{username}"


def home_holding(path: str) -> str | None:
    """Return the username whose own folder ``path`` is or lies in, whether it exists or not."""
    parts = path.split("/", 2)
    return parts[1] if len(parts) > 1 and parts[0] == HOMES else None


def is_home(path: str) -> bool:
    """Return whether ``path`` is somebody's own folder itself."""
    return path.count("/") == 1 and home_holding(path) is not None


def parent_of(path: str) -> str:
    """Return the folder that ``path`` lies in; ``""`` is the root."""
    return path.rpartition("/")[0]


def name_of(path: str) -> str:
    """Return the last part of ``path``."""
    return path.rpartition("/")[2]


def join(folder: str, name: str) -> str:
    """Return the path of ``name`` in ``folder``."""
    return f"{folder}/{name}" if folder else name
