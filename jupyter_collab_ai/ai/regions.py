"""What was written into a live document, and whether it is still whole a moment later."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from jupyter_collab_ai.ai.analyzers.service import Analyzers
from jupyter_collab_ai.ai.placing import Change, apply_change
from jupyter_collab_ai.ai.ports import Editor, LiveDocument, View
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot

#: Seconds in which an edit that was on its way at the commit arrives.
IN_FLIGHT = 0.75
#: Seconds within which the merged text has to parse again.
TAKE_BACK = 2.0


@dataclass(frozen=True)
class Region:
    """What was written, with anchors: to find out whether others have changed it since."""

    pieces: tuple[tuple[bytes, bytes, str], ...]

    def is_touched(self, view: View) -> bool:
        """Tell whether the text there is no longer what was written."""
        for start, end, text in self.pieces:
            one, other = view.locate(start), view.locate(end)
            if one is None or other is None:
                return True
            source = next((cell.source for cell in view.cells() if cell.id == one[0]), "")
            if source[one[1] : other[1]] != text:
                return True
        return False


def write_change(editor: Editor, change: Change) -> Region:
    apply_change(editor, change)
    pieces = []
    for cell_id, replacements in change.replaced:
        moved = 0
        for span, text in replacements:
            start = span.start + moved
            end = start + len(text)
            moved += len(text) - (span.end - span.start)
            pieces.append(
                (
                    editor.anchor(cell_id, start, after=False),
                    editor.anchor(cell_id, end, after=True),
                    text,
                )
            )
    return Region(tuple(pieces))


async def is_torn(document: LiveDocument, seq: int, region: Region, analyzers: Analyzers) -> bool:
    """Watch what was written; tell whether an edit that was in flight has torn it.

    Returns:
        True where somebody's edit came into it right after it was written, and the text no
        longer parses :data:`TAKE_BACK` seconds later.

    Raises:
        StaleDocument: The document was closed.
    """
    clock = asyncio.get_running_loop()
    begun = clock.time()
    newest = seq
    touched = False
    while (left := begun + IN_FLIGHT - clock.time()) > 0 and not touched:
        try:
            async with asyncio.timeout(left):
                newest = await document.changed(newest)
        except TimeoutError:
            break
        touched = await document.look(region.is_touched)
    if not touched:
        return False
    while True:
        snapshot = await document.look(DocumentSnapshot.of_view)
        if await analyzers.parses(snapshot) is not False:
            return False
        left = begun + TAKE_BACK - clock.time()
        if left <= 0:
            return True
        try:
            async with asyncio.timeout(left):
                await document.changed(snapshot.seq)
        except TimeoutError:
            return True
