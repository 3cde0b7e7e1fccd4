"""A document's log as steps that can be gone through, and going through them.

Pure but for Yjs documents, which are made and dropped within one call: all of it is for worker
threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pycrdt import Doc, Map, get_state
from sqlalchemy import func, select

from jupyter_collab_ai.errors import DocumentTooLarge
from jupyter_collab_ai.ids import DocumentId
from jupyter_collab_ai.rooms.content import Content, build
from jupyter_collab_ai.rooms.copies import change_copy
from jupyter_collab_ai.rooms.documents import Kind
from jupyter_collab_ai.rooms.gate import STATE_MAP
from jupyter_collab_ai.rooms.log import Origin, Recorded, read_history, read_updates
from jupyter_collab_ai.rooms.panics import without_panics
from jupyter_collab_ai.rooms.reconcile import merge_into
from jupyter_collab_ai.rooms.restoring import content_with_ids
from jupyter_collab_ai.rooms.timeline import pieces_of, tally_of
from jupyter_collab_ai.storage.database import Tx
from jupyter_collab_ai.storage.tables import document_updates

#: Rows of the log that are steps; those before them are where the steps begin.
MOST_STEPS: Final = 1000
#: Bytes that these rows may have together, and the document that they begin with.
MOST_BYTES: Final = 8 * 1024 * 1024
MOST_BASE: Final = 32 * 1024 * 1024
#: Bytes that going to and fro may add to a copy, beside as much as it had at first.
MOST_GROWTH: Final = 4 * 1024 * 1024

#: Under which key of the shared map "state" a copy says that it was moved. So each move writes
#: under the copy's own client id, and whoever takes what they saw here for the document is known
#: by it: what is undone by deletions alone could not be told from a person's own.
MARK: Final = "timeline"

_TOO_LARGE = (
    "This document is too large for a timeline; its history shows and restores what it was."
)
_TOO_OFTEN = "This timeline was moved too often; open it anew."


@dataclass(frozen=True)
class Tape:
    """What was read of a log."""

    #: The document before the first of ``rows``, as updates.
    base: Sequence[bytes]
    rows: Sequence[Recorded]


@dataclass(frozen=True)
class Steps:
    """A log to be gone through."""

    base: bytes
    updates: Sequence[bytes]
    #: Of each step, when it was recorded (seconds since the epoch), and how many of ``updates``
    #: there are by then.
    marks: Sequence[tuple[float, int]]

    @property
    def last(self) -> int:
        """The number of the newest step."""
        return len(self.marks) - 1

    def content(self, kind: Kind, step: int) -> Content:
        """Return what the document was at a step; takes time."""
        _, count = self.marks[step]
        return content_with_ids(kind, [self.base, *self.updates[:count]])


def read_tape(tx: Tx, document_id: DocumentId, epoch: str) -> Tape:
    """Read the newest part of a log, and what was before it.

    Raises:
        LogGone: There is no such history any more.
    """
    sizes = tx.execute(
        select(document_updates.c.seq, func.length(document_updates.c.data).label("size"))
        .where(document_updates.c.document_id == document_id)
        .order_by(document_updates.c.seq.desc())
        .limit(MOST_STEPS + 1)
    ).all()
    start, size = 0, 0
    for count, row in enumerate(sizes):
        size += row.size
        if count == MOST_STEPS or (size > MOST_BYTES and count):
            start = row.seq
            break
    base = read_history(tx, document_id, epoch, start).updates if start else ()
    return Tape(base, read_updates(tx, document_id, after=start))


@without_panics
def steps_of(tape: Tape) -> tuple[Steps, bytes]:
    """Return a log as steps, and the whole document as one update.

    Raises:
        DocumentTooLarge: It is too large for that.
    """
    base = build(list(tape.base)).get_update()
    if len(base) > MOST_BASE or sum(len(row.data) for row in tape.rows) > MOST_BASE:
        raise DocumentTooLarge(_TOO_LARGE)
    marks: list[tuple[float, int]] = []
    if tape.base:
        marks.append((tape.rows[0].at.timestamp() if tape.rows else 0.0, 0))
    pieces = pieces_of(tally_of(tape.base), tape.rows, ())
    for count, (row, (piece, _)) in enumerate(zip(tape.rows, pieces, strict=True), start=1):
        if not piece.silent or row.origin is Origin.LOAD or not marks:
            marks.append((row.at.timestamp(), count))
        else:
            # What nobody sees belongs to what was seen before it.
            marks[-1] = (marks[-1][0], count)
    updates = [row.data for row in tape.rows]
    return Steps(base, updates, marks or [(0.0, 0)]), build([base, *updates]).get_update()


@dataclass(frozen=True)
class Copy:
    """A document that goes through its steps."""

    kind: Kind
    steps: Steps
    #: Under which it writes what brings it from one step to another.
    client_id: int
    #: The document as it was recorded.
    origin: bytes
    #: What it is now.
    state: bytes
    step: int

    @property
    def moved(self) -> bool:
        """Whether it was ever anywhere else than at the end."""
        return self.state is not self.origin

    @property
    def most_bytes(self) -> int:
        """Bytes that it takes at the most, however it is moved."""
        recorded = len(self.steps.base) + sum(map(len, self.steps.updates)) + len(self.origin)
        return recorded + _most_state(self.origin)


def _most_state(origin: bytes) -> int:
    return 2 * len(origin) + MOST_GROWTH


@without_panics
def move(copy: Copy, step: int) -> tuple[Copy, bytes]:
    """Bring a copy to another step; return it, and the change as an update.

    Raises:
        DocumentTooLarge: It was moved so often that it has become too large.
    """
    wanted = copy.steps.content(copy.kind, step)

    def change(doc: Doc[Any]) -> None:
        doc.get(STATE_MAP, type=Map)[MARK] = step
        merge_into(copy.kind, doc, None, wanted)

    data, _ = change_copy(copy.state, copy.client_id, change)
    assert data is not None  # the mark at least
    state = build([copy.state, data]).get_update()
    if len(state) > _most_state(copy.origin):
        raise DocumentTooLarge(_TOO_OFTEN)
    return Copy(copy.kind, copy.steps, copy.client_id, copy.origin, state, step), data


@without_panics
def restoration_of(copy: Copy, state: bytes) -> bytes | None:
    """Return the update that makes a document what a copy shows, all that the copy wrote included.

    So whoever followed the copy has it already. None where the copy was never moved.

    Args:
        copy: What was recorded once, and moved.
        state: The document as it is now.
    """
    if not copy.moved:
        return None
    wanted = copy.steps.content(copy.kind, copy.step)

    def change(doc: Doc[Any]) -> None:
        del doc.get(STATE_MAP, type=Map)[MARK]
        # What was recorded since the copy was made is taken back as well.
        merge_into(copy.kind, doc, None, wanted)

    both = build([state, copy.state]).get_update()
    data, _ = change_copy(both, copy.client_id, change)
    assert data is not None
    return build([both, data]).get_update(get_state(state))
