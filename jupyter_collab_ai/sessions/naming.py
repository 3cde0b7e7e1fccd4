"""How what is shared is called on the disk, and what kind of thing it is by its name."""

from __future__ import annotations

import re
import unicodedata

from jupyter_collab_ai.errors import FieldError, InvalidRequest
from jupyter_collab_ai.sessions.paths import name_of

#: Bytes that the name of a new file may have, its extension included.
MAX_FILE_NAME = 200

#: Characters in which names of files differ from names of sessions.
_NOT_IN_FILES = re.compile(r'[\x00-\x1f\x7f-\x9f\u2028\u2029/\\:*?"<>|]+')
#: An extension has a letter in it, so that ``Lecture 1.5`` has none, and no space.
_EXTENSION = re.compile(r"\.(?=[0-9]*[A-Za-z])[A-Za-z0-9_+-]{1,16}\Z")


def file_name(name: str, type_: str | None) -> str:
    """Return the name of the file or folder that a session called ``name`` gets.

    Raises:
        InvalidRequest: Nothing is left of it that a file could be called by.
    """
    cleaned = _NOT_IN_FILES.sub("-", unicodedata.normalize("NFC", name)).strip(" .-")
    if not cleaned:
        raise InvalidRequest(
            "The name has nothing that a file could be called by; name a path too.",
            errors=[FieldError("name", "This can't be made a file name.")],
        )
    found = _EXTENSION.search(cleaned, 1)
    if type_ == "directory":
        extension = ""
    elif found is not None:
        extension = found.group()
        cleaned = cleaned[: found.start()]
    else:
        extension = ".ipynb" if type_ == "notebook" else ".py"
    stem = cleaned.encode()[: MAX_FILE_NAME - len(extension)].decode(errors="ignore")
    return stem.rstrip(" .") + extension


def kind_of(path: str, type_: str | None, found: str | None) -> str:
    """Return what is shared: what is there (``found``), or what is to be made.

    Raises:
        InvalidRequest: That is not what was asked for by ``type_``.
    """
    by_name = kind_by_name(path)
    kind = found or type_ or by_name
    if type_ not in (None, kind) or (kind != "directory" and kind != by_name):
        raise InvalidRequest(
            f"This path can't be shared as a {type_ or kind}; what ends in .ipynb is a notebook, "
            "and nothing else is.",
            errors=[FieldError("type", f"This has to be {found or by_name}.")],
        )
    return kind


def require_same_kind(path: str, kind: str) -> None:
    """Refuse a new path of what is shared already that would make it another kind of thing.

    Raises:
        InvalidRequest: It would.
    """
    if kind != "directory" and kind != kind_by_name(path):
        ending = "has to end in .ipynb" if kind == "notebook" else "can't end in .ipynb"
        sentence = f"What is shared is a {kind} and stays one, so its path {ending}."
        raise InvalidRequest(sentence, errors=[FieldError("path", sentence)])


def kind_by_name(path: str) -> str:
    """Return whether a file of this name is a ``notebook`` or a ``file`` like any other."""
    return "notebook" if name_of(path).endswith(".ipynb") else "file"
