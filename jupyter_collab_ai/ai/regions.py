"""What was written into a live document, and whether it is still whole a moment later."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from jupyter_collab_ai.ai.analyzers.service import Analyzers
from jupyter_collab_ai.ai.placing import Change, apply_change
from jupyter_collab_ai.ai.ports import Editor, LiveDocument, View
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot

#: Seconds in which an edit that was on its way at the commit arrives.
IN_FLIGHT = 1.25
#: Seconds within which the merged text has to parse again.
TAKE_BACK = 2.0


@dataclass(frozen=True)
class Region:
    """What was written, with anchors: to find out whether others have changed it since."""

    #: Of each text that was changed, the lines from the first change to the last.
    stretches: tuple[tuple[bytes, bytes, str], ...]
    #: The document right after it was written.
    written: DocumentSnapshot

    def is_touched(self, view: View) -> bool:
        """Tell whether the text there is no longer what it was made."""
        for start, end, text in self.stretches:
            one, other = view.locate(start), view.locate(end)
            if one is None or other is None:
                return True
            source = next((cell.source for cell in view.cells() if cell.id == one[0]), "")
            if source[one[1] : other[1]] != text:
                return True
        return False


def write_change(editor: Editor, change: Change) -> Region:
    """Make a change in the live document, and return where it was made."""
    apply_change(editor, change)
    written = DocumentSnapshot.of_view(editor)
    stretches = []
    for cell_id, replacements in change.replaced:
        if not replacements:
            continue
        source = written.part(cell_id).source
        grown = sum(len(text) - (span.end - span.start) for span, text in replacements)
        # An edit between two changes, or beside one in its line, can tear them as well.
        start = source.rfind("\n", 0, replacements[0][0].start) + 1
        end = source.find("\n", replacements[-1][0].end + grown)
        end = len(source) if end < 0 else end
        stretches.append(
            (
                editor.anchor(cell_id, start, after=False),
                editor.anchor(cell_id, end, after=True),
                source[start:end],
            )
        )
    return Region(tuple(stretches), written)


async def is_torn(document: LiveDocument, seq: int, region: Region, analyzers: Analyzers) -> bool:
    """Watch what was written; tell whether an edit that was in flight has torn it.

    Returns:
        True where somebody's edit came right after it was written, and the text, which parsed
        when it was written, no longer does :data:`TAKE_BACK` seconds later: because the edit
        came into what was written, or because the text would parse without what was written.

    Raises:
        StaleDocument: The document was closed.
    """
    clock = asyncio.get_running_loop()
    begun = clock.time()
    newest, touched = seq, False
    while (left := begun + IN_FLIGHT - clock.time()) > 0 and not touched:
        try:
            async with asyncio.timeout(left):
                newest = await document.changed(newest)
        except TimeoutError:
            break
        touched = await document.look(region.is_touched)
    if newest == seq or await analyzers.parses(region.written) is False:
        return False
    while True:
        snapshot = await document.look(DocumentSnapshot.of_view)
        if await analyzers.parses(snapshot) is not False:
            return False
        left = begun + TAKE_BACK - clock.time()
        if left <= 0:
            break
        try:
            async with asyncio.timeout(left):
                await document.changed(snapshot.seq)
        except TimeoutError:
            break
    if touched:
        return True
    without = await document.without(seq, DocumentSnapshot.of_view)
    return without is not None and await analyzers.parses(without) is True
