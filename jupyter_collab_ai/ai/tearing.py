"""Whether what was written into a live document is still whole a moment later."""

from __future__ import annotations

import asyncio

from jupyter_collab_ai.ai.analyzers.service import Analyzers
from jupyter_collab_ai.ai.placing import Change, apply_change
from jupyter_collab_ai.ai.ports import Editor, LiveDocument
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot

#: Seconds in which an edit that was on its way at the commit arrives.
IN_FLIGHT = 1.25
#: Seconds within which the merged text has to parse again.
TAKE_BACK = 2.0


def write_change(editor: Editor, change: Change) -> DocumentSnapshot:
    """Make a change in the live document, and return the document right after it."""
    apply_change(editor, change)
    return DocumentSnapshot.of_view(editor)


async def is_torn(
    document: LiveDocument, seq: int, written: DocumentSnapshot, analyzers: Analyzers
) -> bool:
    """Watch what was written; tell whether an edit that was in flight has torn it.

    Args:
        document: The document.
        seq: The number of the update that wrote it.
        written: The document right after it.
        analyzers: Which can parse it.

    Returns:
        True where somebody's edit came right after it was written, and the text, which parsed
        when it was written, no longer does :data:`TAKE_BACK` seconds later, and would without
        what was written. What people have not finished typing does not parse either way.

    Raises:
        StaleDocument: The document was closed.
    """
    clock = asyncio.get_running_loop()
    begun = clock.time()
    newest = seq
    while (left := begun + IN_FLIGHT - clock.time()) > 0:
        try:
            async with asyncio.timeout(left):
                newest = await document.changed(newest)
        except TimeoutError:
            break
    if newest == seq or await analyzers.parses(written) is False:
        return False
    while True:
        snapshot = await document.look(DocumentSnapshot.of_view)
        if await analyzers.parses(snapshot) is not False:
            return False
        left = begun + TAKE_BACK - clock.time()
        if left <= 0:
            return await is_broken_by(document, seq, analyzers)
        try:
            async with asyncio.timeout(left):
                await document.changed(snapshot.seq)
        except TimeoutError:
            continue


async def is_broken_by(document: LiveDocument, seq: int, analyzers: Analyzers) -> bool:
    """Tell whether a document does not parse, and would without one update.

    Raises:
        StaleDocument: The document was closed.
    """
    if await analyzers.parses(await document.look(DocumentSnapshot.of_view)) is not False:
        return False
    without = await document.without(seq, DocumentSnapshot.of_view)
    return without is not None and await analyzers.parses(without) is True
