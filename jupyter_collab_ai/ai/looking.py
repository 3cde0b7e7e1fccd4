"""What operations look at: a document as it is now."""

from __future__ import annotations

from jupyter_collab_ai.ai.ports import LiveDocument, View
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot
from jupyter_collab_ai.errors import DocumentTooLarge, FieldError, InvalidRequest

#: Characters that a document may have to be looked at.
MOST_CHARACTERS = 1_000_000


def take_snapshot(view: View) -> DocumentSnapshot:
    """Return a document as it is now.

    Raises:
        DocumentTooLarge: It is too large to be looked at.
    """
    snapshot = DocumentSnapshot.of_view(view)
    if snapshot.size > MOST_CHARACTERS:
        raise DocumentTooLarge(
            f"The document has more than {MOST_CHARACTERS:,} characters, which is too much for "
            "the AI to look at."
        )
    return snapshot


async def snapshot_of(document: LiveDocument) -> DocumentSnapshot:
    """Return a live document as it is now.

    Raises:
        DocumentTooLarge: It is too large to be looked at.
        StaleDocument: It was closed.
    """
    return await document.look(take_snapshot)


def invalid(field: str, message: str) -> InvalidRequest:
    """Return the error that says what is wrong with one member of a request."""
    return InvalidRequest(message, errors=[FieldError(field, message)])
