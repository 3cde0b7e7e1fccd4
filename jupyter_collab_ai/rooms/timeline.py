"""The spans of a document's history, as far as they are kept and as far as they are still to be.

What was compacted has a row in ``document_spans`` for each row of the log. What came later, the
tail, is read from the log and put together when somebody asks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select

from jupyter_collab_ai.ids import DocumentId
from jupyter_collab_ai.rooms.content import build
from jupyter_collab_ai.rooms.log import Origin, Recorded, read_history, require_epoch
from jupyter_collab_ai.rooms.panics import without_panics
from jupyter_collab_ai.rooms.spans import LOOK_BACK, Part, Span, group
from jupyter_collab_ai.rooms.tally import Effect, Tally
from jupyter_collab_ai.rooms.yupdate import parse_update
from jupyter_collab_ai.storage.database import Tx
from jupyter_collab_ai.storage.tables import (
    document_spans,
    document_updates,
    document_versions,
    documents,
)

#: Spans that were kept to which the tail may still belong.
OPEN_ENDED = 2 * (LOOK_BACK + 1)


@dataclass(frozen=True)
class Recent:
    """The newest part of a history, before it is put together."""

    #: The newest spans that were kept, in order.
    kept: Sequence[Span]
    #: The number of the last update before them.
    floor: int
    #: The document up to and with them, as updates.
    state: Sequence[bytes]
    tail: Sequence[Recorded]
    #: Updates after which there is a named version.
    named: frozenset[int]
    saved_seq: int
    saving_seq: int | None

    @property
    def start(self) -> int:
        """The number of the last update that was compacted."""
        return self.kept[-1].seq if self.kept else 0


def read_recent(tx: Tx, document_id: DocumentId, epoch: str, *, most: int | None = None) -> Recent:
    """Read the newest part of a history.

    Args:
        tx: The transaction.
        document_id: The document.
        epoch: The history that is meant.
        most: How many updates of the tail to read.

    Raises:
        LogGone: There is no such history any more.
    """
    require_epoch(tx, document_id, epoch)
    kept = read_spans(tx, document_id, limit=OPEN_ENDED + 1)[::-1]
    named = read_named(tx, document_id)
    kept = [_closed(span, named) for span in kept]
    floor = 0
    if len(kept) > OPEN_ENDED:
        floor = kept.pop(0).seq
    start = kept[-1].seq if kept else 0
    statement = (
        select(document_updates)
        .where(document_updates.c.document_id == document_id, document_updates.c.seq > start)
        .order_by(document_updates.c.seq)
    )
    rows = tx.execute(statement if most is None else statement.limit(most)).all()
    row = tx.execute(
        select(documents.c.saved_seq, documents.c.saving_seq).where(documents.c.id == document_id)
    ).one()
    state = read_history(tx, document_id, epoch, start).updates if start else ()
    return Recent(
        kept, floor, state, [recorded(row) for row in rows], named, row.saved_seq, row.saving_seq
    )


def read_spans(
    tx: Tx, document_id: DocumentId, *, before: int | None = None, limit: int
) -> list[Span]:
    """Read spans that were kept, the newest first."""
    statement = select(document_spans).where(document_spans.c.document_id == document_id)
    if before is not None:
        statement = statement.where(document_spans.c.seq < before)
    rows = tx.execute(statement.order_by(document_spans.c.seq.desc()).limit(limit))
    return [span_of(row) for row in rows]


def read_named(tx: Tx, document_id: DocumentId) -> frozenset[int]:
    """Read the updates after which there is a named version."""
    return frozenset(
        tx.execute(
            select(document_versions.c.seq).where(
                document_versions.c.document_id == document_id,
                document_versions.c.content.is_(None),
            )
        ).scalars()
    )


def span_of(row: Row[Any]) -> Span:
    """Return a row of ``document_spans``."""
    parts = tuple(Part.from_json(part) for part in row.parts)
    return Span(row.seq, row.started_at, row.ended_at, parts)


def recorded(row: Row[Any]) -> Recorded:
    """Return a row of ``document_updates``."""
    return Recorded(row.seq, bytes(row.data), Origin(row.origin), row.user_id, row.created_at)


def _closed(span: Span, named: Collection[int]) -> Span:
    if span.seq not in named:
        return span
    return Span(span.seq, span.started, span.ended, span.parts, closed=True)


@without_panics
def recent_spans(recent: Recent) -> list[Span]:
    """Return the newest spans as people see them, the oldest first; for worker threads."""
    tally = tally_of(recent.state)
    pieces = (piece for piece, _ in pieces_of(tally, recent.tail, recent.named))
    return group([*recent.kept, *pieces])


def tally_of(state: Sequence[bytes]) -> Tally:
    """Return a tally of a document, given as updates; for worker threads."""
    if not state:
        return Tally()
    whole = state[0] if len(state) == 1 else build(list(state)).get_update()
    return Tally.of_state(whole)


def pieces_of(
    tally: Tally, updates: Iterable[Recorded], closed: Collection[int]
) -> Iterator[tuple[Span, Effect]]:
    """Yield each update as a span of its own, with what it does."""
    for one in updates:
        effect = tally.take(parse_update(one.data))
        yield _piece(one, effect, closed=one.seq in closed), effect


def _piece(one: Recorded, effect: Effect, *, closed: bool) -> Span:
    parts: tuple[Part, ...] = ()
    # Under these, ids are those of whoever wrote under them.
    by_owners = one.origin in (Origin.CLIENT, Origin.MERGE)
    # Of an empty file nothing is loaded, but its history begins there.
    if not effect.silent or one.origin is Origin.LOAD:
        parts = (
            Part(
                one.user_id,
                one.origin,
                effect.added,
                effect.deleted,
                one.at,
                () if by_owners else tuple(sorted(effect.clients)),
                effect.deletions.encode(),
            ),
        )
    return Span(one.seq, one.at, one.at, parts, closed)
