"""Where something is written when an update is taken back."""

from __future__ import annotations

from collections.abc import Sequence

from jupyter_collab_ai.ai.edits import minimal
from jupyter_collab_ai.ai.locations import Span
from jupyter_collab_ai.ai.placing import Mode, Place
from jupyter_collab_ai.ai.ports import LiveCell, LiveDocument, View
from jupyter_collab_ai.errors import StaleDocument
from jupyter_collab_ai.locks.scopes import ScopeKind

NOTHING_LEFT = "There is nothing left of this result to be taken back."


async def place_of_undo(document: LiveDocument, seq: int) -> Place:
    """Return what changes in a document when an update is taken back.

    Raises:
        StaleDocument: Nothing is left of it, or the document was closed.
    """
    then = await document.without(seq, lambda view: tuple(view.cells()))
    if then is None:
        raise StaleDocument(NOTHING_LEFT)
    return await document.look(lambda view: difference(view, then))


def difference(view: View, then: Sequence[LiveCell]) -> Place:
    """Return the place in a document that holds all in which it differs from a copy."""
    now = view.cells()
    pairs = list(zip(now, then, strict=False))
    changed = [(one, other) for one, other in pairs if one.source != other.source]
    same = [(one.id, one.type) for one in now] == [(one.id, one.type) for one in then]
    if not same or len(changed) != 1:
        return Place(Mode.REPLACE, ScopeKind.DOCUMENT)
    ((one, other),) = changed
    span, _ = minimal(one.source, Span(0, len(one.source)), other.source)
    return Place(
        Mode.REPLACE,
        ScopeKind.RANGE,
        one.id,
        view.anchor(one.id, span.start, after=False),
        view.anchor(one.id, span.end, after=span.end < len(one.source)),
    )
