"""What a document holds, as text or as a notebook, and how it becomes a Yjs document.

All functions here are for worker threads: a Yjs document is made, used and dropped within
one call, since pycrdt binds a document to its thread.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from jupyter_ydoc import YNotebook, YUnicode
from jupyter_ydoc.ybasedoc import YBaseDoc
from pycrdt import Doc

from jupyter_collab_ai.rooms.documents import Kind
from jupyter_collab_ai.rooms.panics import without_panics

#: A text, or a notebook as :mod:`nbformat` 4 has it.
Content = Any

#: The Yjs client id of content that comes from a file whose document has no log yet. It is
#: always the same, so the same file always makes the same document.
LOAD_CLIENT = 0


def model_of(kind: Kind, doc: Doc[Any]) -> YBaseDoc:
    """Return the ``jupyter_ydoc`` model on top of ``doc``."""
    return YNotebook(doc) if kind is Kind.NOTEBOOK else YUnicode(doc)


@without_panics
def first_update(kind: Kind, content: Content, path: str, digest: str | None) -> bytes:
    """Return the update that makes an empty document hold what was read from its file."""
    doc: Doc[Any] = Doc(client_id=LOAD_CLIENT)
    model = model_of(kind, doc)
    model.set(content)
    model.path = path
    model.dirty = False
    if digest is not None:
        model.hash = digest
    return doc.get_update()


@without_panics
def content_of(kind: Kind, updates: list[bytes]) -> Content:
    """Return what a document of these updates holds."""
    return model_of(kind, build(updates)).get()


@without_panics
def build(updates: list[bytes], client_id: int | None = None) -> Doc[Any]:
    """Return a document of these updates."""
    doc: Doc[Any] = Doc(client_id=client_id)
    with doc.transaction():
        for data in updates:
            doc.apply_update(data)
    return doc


def same(kind: Kind, one: Content, other: Content) -> bool:
    """Tell whether two contents are the same as far as a file can show."""
    if kind is Kind.TEXT:
        return bool(one == other)
    return _notebook(one) == _notebook(other)


def _notebook(content: Content) -> str:
    # Whether a cell is trusted is not in the file, it is looked up when the file is read.
    plain = json.loads(json.dumps(content, sort_keys=True))
    for cell in plain.get("cells", []):
        cell.get("metadata", {}).pop("trusted", None)
    return json.dumps(plain, sort_keys=True)


def digest_of(content: Content) -> str:
    """Return a hash of a content, for contents managers that know none."""
    text = content if isinstance(content, str) else json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
