"""What a document holds, as text or as a notebook, and how it becomes a Yjs document.

What makes whole documents here is for worker threads: a Yjs document is made, used and dropped
within one call, since pycrdt binds a document to its thread.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import zlib
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from jupyter_ydoc import YNotebook, YUnicode
from jupyter_ydoc.ybasedoc import YBaseDoc
from pycrdt import Array, Doc, Map, Text

from jupyter_collab_ai.rooms.documents import Kind
from jupyter_collab_ai.rooms.gate import server_client_id
from jupyter_collab_ai.rooms.panics import without_panics

#: A text, or a notebook as :mod:`nbformat` 4 has it.
Content = Any

#: What the model of a notebook puts into its metadata where the file has nothing.
_FILLED_IN = {"kernelspec": {"name": "", "display_name": ""}, "language_info": {"name": ""}}


def model_of(kind: Kind, doc: Doc[Any]) -> YBaseDoc:
    """Return the ``jupyter_ydoc`` model on top of ``doc``."""
    return YNotebook(doc) if kind is Kind.NOTEBOOK else YUnicode(doc)


@without_panics
def first_update(kind: Kind, content: Content, path: str, digest: str | None) -> bytes:
    """Return the update that makes an empty document hold what was read from its file.

    Each load has a Yjs client id of its own, so that whoever comes with a copy of another one
    is known by it. Under one id for all, other text would count as known and stay as it is.
    """
    doc: Doc[Any] = Doc(client_id=server_client_id(secrets.token_bytes(16)))
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
    return content_in(kind, build(updates))


@without_panics
def content_in(kind: Kind, doc: Doc[Any]) -> Content:
    """Return what a document holds."""
    if kind is not Kind.NOTEBOOK:
        return model_of(kind, doc).get()
    # Each time other ids for cells of one id would make each look at a document differ.
    content = YNotebook(doc).get(deduplicate=False)
    metadata = content["metadata"]
    for key, empty in _FILLED_IN.items():
        if metadata.get(key) == empty:
            del metadata[key]
    return content


@without_panics
def build(updates: list[bytes], client_id: int | None = None) -> Doc[Any]:
    """Return a document of these updates."""
    doc: Doc[Any] = Doc(client_id=client_id)
    with doc.transaction():
        for data in updates:
            doc.apply_update(data)
    return doc


def has_doubled_ids(kind: Kind, content: Content) -> bool:
    """Tell whether cells of a notebook have the same id.

    So it is after two people have moved one cell at the same time: then there are two of it.
    """
    if kind is not Kind.NOTEBOOK:
        return False
    ids = [cell["id"] for cell in content["cells"] if "id" in cell]
    return len(set(ids)) < len(ids)


def tell_cells_apart(doc: Doc[Any]) -> None:
    """Give each cell an id of its own that has one of a cell before it."""
    seen = set()
    for cell in doc.get("cells", type=Array):
        if cell.get("id") in seen:
            cell["id"] = str(uuid4())
        seen.add(cell.get("id"))


def make_cell(cell: Mapping[str, Any]) -> Map[Any]:
    """Return a cell of a notebook for a document, as ``YNotebook.create_ycell`` makes it.

    (That one makes an undo manager first, which panics within a transaction.)
    """
    made = {key: value for key, value in cell.items() if key != "execution_state"}
    made.setdefault("id", str(uuid4()))
    made["source"] = Text(made.get("source", ""))
    made["metadata"] = Map(made.get("metadata", {}))
    if made["cell_type"] == "code":
        made["outputs"] = Array([make_output(output) for output in made.get("outputs", [])])
        made.setdefault("execution_count", None)
        made["execution_state"] = "idle"
    return Map(made)


def make_output(output: Mapping[str, Any]) -> Map[Any]:
    """Return an output of a cell for a document; the text of a stream can grow there."""
    made = dict(output)
    if made.get("output_type") == "stream":
        text = made.get("text", "")
        made["text"] = Text(text if isinstance(text, str) else "".join(text))
    return Map(made)


def same(kind: Kind, one: Content, other: Content) -> bool:
    """Tell whether two contents are the same as far as a file can show."""
    if kind is Kind.TEXT:
        return bool(one == other)
    return _notebook(one) == _notebook(other)


def holds(kind: Kind, state: bytes, content: Content) -> bool:
    """Tell whether a document holds a content, as far as a file can show."""
    return same(kind, content_of(kind, [state]), content)


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


def pack(content: Content) -> bytes:
    """Return a content as it is kept in the database; large ones take time."""
    return zlib.compress(encoded(content))


def unpack(packed: bytes) -> Content:
    """Return the content of :func:`pack`."""
    return json.loads(zlib.decompress(packed))


def encoded(content: Content) -> bytes:
    """Return a content as bytes, the same for the same content."""
    return json.dumps(content, ensure_ascii=False).encode("utf-8", "surrogatepass")
