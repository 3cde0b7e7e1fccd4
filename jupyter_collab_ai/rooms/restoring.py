"""Writing an older state into a live document, as the smallest change that does it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pycrdt import Array, Doc

from jupyter_collab_ai.errors import FieldError, InvalidRequest, NotFound, StaleDocument
from jupyter_collab_ai.rooms.content import Content, build, content_of
from jupyter_collab_ai.rooms.copies import change_copy
from jupyter_collab_ai.rooms.documents import Kind
from jupyter_collab_ai.rooms.linediff import Named, NoSuchHunk, with_cell, with_parts
from jupyter_collab_ai.rooms.panics import without_panics
from jupyter_collab_ai.rooms.reconcile import merge_into

_GONE = "What is to be restored there has changed since; compare the versions again."


@dataclass(frozen=True)
class Wish:
    """What of a version is to be restored; all of it where nothing is said."""

    cell_id: str | None = None
    hunks: frozenset[Named] | None = None

    @property
    def whole(self) -> bool:
        """Whether it is the whole document."""
        return self.cell_id is None and self.hunks is None


@without_panics
def content_with_ids(kind: Kind, updates: list[bytes]) -> Content:
    """Return what a document of these updates holds, each cell with the id that it has there.

    (Files of before nbformat 4.5 have no ids of cells.) For worker threads.
    """
    content = content_of(kind, updates)
    if kind is Kind.NOTEBOOK:
        cells = build(updates).get("cells", type=Array)
        for cell, live in zip(content["cells"], cells, strict=True):
            cell["id"] = str(live.get("id"))
    return content


@without_panics
def restoration(
    kind: Kind,
    state: bytes,
    client_id: int,
    version: Content,
    wish: Wish,
    base: list[bytes] | None = None,
) -> bytes | None:
    """Return the update that restores a version, None where nothing is to be changed.

    For worker threads.

    Args:
        kind: What the document is.
        state: The document as it is now.
        client_id: Under which to write.
        version: What is to be restored, cells with their ids.
        wish: What of it.
        base: With what the hunks were compared, where that is not the document as it is now.

    Raises:
        StaleDocument: The hunks are not there, or what they replace has changed since.
        NotFound: There is no such cell.
        InvalidRequest: A text has no cells.
    """
    wanted = version
    if wish.cell_id is not None:
        if kind is Kind.TEXT:
            raise _unclear("cell_id", "A text file has no cells; leave the cell_id out.")
        try:
            wanted = with_cell(content_with_ids(kind, [state]), version, wish.cell_id)
        except KeyError:
            raise NotFound("There is no such cell in either version.") from None
    elif wish.hunks is not None:
        try:
            compared = content_with_ids(kind, base or [state])
            wanted = with_parts(kind, compared, version, wish.hunks)
        except NoSuchHunk:
            raise StaleDocument(_GONE) from None

    def change(doc: Doc[Any]) -> int:
        return merge_into(kind, doc, None if base is None else build(base), wanted).conflicts

    data, conflicts = change_copy(state, client_id, change)
    if conflicts:
        raise StaleDocument(_GONE)
    return data


def wish_of(cell_id: str | None, hunks: Collection[Named] | None) -> Wish:
    """Return what is to be restored.

    Raises:
        InvalidRequest: Both a cell and hunks are named.
    """
    if cell_id is not None and hunks is not None:
        raise _unclear("hunks", "Name a cell or hunks, not both.")
    return Wish(cell_id, None if hunks is None else frozenset(hunks))


def _unclear(field: str, sentence: str) -> InvalidRequest:
    return InvalidRequest(sentence, errors=[FieldError(field, sentence)])
