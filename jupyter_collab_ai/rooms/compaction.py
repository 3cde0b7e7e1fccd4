"""Keeping the log small: spans instead of updates, days instead of old spans.

The rows of the log are merged to one for each span of work, text that came and went within a
span is dropped, and one snapshot is kept so that opening is quick. All that is left still plays
to the same document, and to the same document at the end of each span; see
``docs/decisions`` for why it is done so.

What is to be done is worked out on copies in a worker thread. It is then written in one
transaction, which holds the document's row and gives up where anything has changed that it
rests on; so neither a writer nor another server can come in between, and a server that is
killed has done all of it or nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import reduce
from itertools import takewhile
from typing import Any

from pycrdt import Doc
from sqlalchemy import delete, func, insert, or_, select, update

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import DatabaseUnavailable
from jupyter_collab_ai.ids import DocumentId
from jupyter_collab_ai.rooms.content import build
from jupyter_collab_ai.rooms.copies import merged
from jupyter_collab_ai.rooms.documents import find_by_id
from jupyter_collab_ai.rooms.log import LogGone, NotKept, Origin, Recorded
from jupyter_collab_ai.rooms.panics import without_panics
from jupyter_collab_ai.rooms.spans import Span, by_day, group
from jupyter_collab_ai.rooms.timeline import (
    Recent,
    pieces_of,
    read_named,
    read_recent,
    recorded,
    span_of,
    tally_of,
)
from jupyter_collab_ai.rooms.yupdate import (
    IdRanges,
    parse_update,
    with_deletions,
    without_deleted_content,
)
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.tables import (
    document_snapshots,
    document_spans,
    document_updates,
    documents,
)

log = logging.getLogger(__name__)

#: Days for which every span is kept; older ones become one a day.
KEEP_DAYS = 30
#: Updates after the last compaction from which on it is time for the next.
COMPACT_AFTER = 500
#: Updates that are compacted at a time.
MOST = 5000
#: Spans that are thinned at a time.
MOST_SPANS = 500
#: A save looks at the document as it was at most so long ago.
SETTLED = timedelta(minutes=15)
#: How long a version that somebody was shown stays apart from what came after it.
SHOWN = 3600.0
#: Versions that are remembered to have been shown.
MOST_SHOWN = 1000
#: Seconds between two looks for documents of which nobody thinks.
SWEEP = 3600.0


class _Changed(Exception):
    """What was worked out rests on what is no longer so."""


@dataclass(frozen=True)
class Plan:
    """What is to be written in place of some rows of the log."""

    #: The rows that are read and go.
    replaced: Sequence[int]
    #: What comes instead: the same updates in fewer rows, and what they are.
    rows: Sequence[Recorded]
    spans: Sequence[Span]
    thinned: bool = False
    #: The whole document after the last of them.
    snapshot: bytes | None = None


@dataclass
class Shown:
    """The ends of spans that go on, which people were shown as versions."""

    _until: dict[tuple[DocumentId, int], float] = field(default_factory=dict)

    def note(self, document_id: DocumentId, seq: int) -> None:
        """Remember that somebody was shown this version."""
        now = time.monotonic()
        self._until.pop((document_id, seq), None)
        self._until[document_id, seq] = now + SHOWN
        for key, until in list(self._until.items()):
            if until > now and len(self._until) <= MOST_SHOWN:
                break
            del self._until[key]

    def of(self, document_id: DocumentId) -> set[int]:
        """Return the versions of a document that somebody may still look at."""
        now = time.monotonic()
        return {
            seq for (id_, seq), until in self._until.items() if id_ == document_id and until > now
        }


class Compactor:
    """Compacts documents when their rooms say that it is time, and old ones now and then."""

    def __init__(self, database: Database, *, keep_days: int = KEEP_DAYS) -> None:
        """Compact the log in ``database``.

        Args:
            database: Where the log is.
            keep_days: Days for which every span is kept; 0 keeps them for ever.
        """
        self._database = database
        self._keep = timedelta(days=keep_days) if keep_days else None
        self.shown = Shown()
        self._locks: dict[DocumentId, asyncio.Lock] = {}
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look now and then for what is left to be compacted."""
        self._sweeping = asyncio.create_task(self._sweep_on(), name="collab-ai compaction")

    async def close(self) -> None:
        """Stop looking."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)

    async def compact(self, document_id: DocumentId) -> None:
        """Compact the log of one document as far as it can be.

        Raises:
            DatabaseUnavailable: The database can't be reached; nothing is lost.
        """
        lock = self._locks.setdefault(document_id, asyncio.Lock())
        try:
            async with lock:
                while await self._join(document_id):
                    pass
                while await self._thin(document_id):
                    pass
        except (LogGone, NotKept, _Changed):
            log.debug("The document %s changed while it was compacted; later again.", document_id)
        finally:
            if not lock.locked():
                self._locks.pop(document_id, None)

    async def _join(self, document_id: DocumentId) -> bool:
        """Make spans of updates; tell whether there may be more."""

        def read(tx: Tx) -> tuple[str, Recent, list[Recorded]] | None:
            document = find_by_id(tx, document_id)
            if document is None:
                return None
            recent = read_recent(tx, document_id, document.epoch, most=MOST)
            return document.epoch, recent, _rows(tx, document_id, [one.seq for one in recent.kept])

        found = await self._database.read(read)
        if found is None:
            return False
        epoch, recent, rows = found
        shown = self.shown.of(document_id)
        plan = await asyncio.to_thread(plan_spans, recent, rows, shown, utcnow())
        if plan is None:
            return False
        await self._database.write(lambda tx: write_plan(tx, document_id, epoch, plan))
        return len(recent.tail) == MOST

    async def _thin(self, document_id: DocumentId) -> bool:
        """Make one version of each old day; tell whether there may be more."""
        if self._keep is None:
            return False
        before = self._keep_from()

        def read(tx: Tx) -> tuple[str, list[Span], list[Recorded]] | None:
            document = find_by_id(tx, document_id)
            if document is None:
                return None
            found = tx.execute(
                select(document_spans)
                .where(
                    document_spans.c.document_id == document_id,
                    document_spans.c.thinned.is_(False),
                )
                .order_by(document_spans.c.seq)
                .limit(MOST_SPANS)
            )
            # What the file holds is the base of the next merge, so it stays apart as well.
            closed = read_named(tx, document_id) | {document.saved_seq, document.saving_seq}
            spans = [
                replace(span, closed=span.seq in closed)
                for span in takewhile(lambda span: span.ended < before, map(span_of, found))
            ]
            rows = _rows(tx, document_id, [span.seq for span in spans])
            if len(rows) != len(spans):
                raise _Changed
            return document.epoch, spans, rows

        found = await self._database.read(read)
        if found is None or not found[1]:
            return False
        epoch, spans, rows = found
        plan = await asyncio.to_thread(plan_days, by_day(spans), rows)
        await self._database.write(lambda tx: write_plan(tx, document_id, epoch, plan))
        return len(spans) == MOST_SPANS

    def _keep_from(self) -> datetime:
        """Return from when on all spans are kept: the beginning of a day."""
        assert self._keep is not None
        day = utcnow() - self._keep
        return day.replace(hour=0, minute=0, second=0, microsecond=0)

    async def _sweep_on(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            try:
                for document_id in await self._database.read(self._waiting):
                    await self.compact(document_id)
            except DatabaseUnavailable:
                log.info("The log could not be compacted; it is tried again.")
            except Exception:
                log.exception("The log could not be compacted.")

    def _waiting(self, tx: Tx) -> list[DocumentId]:
        """Return documents with much to be compacted, or with old spans."""
        newest = (
            select(func.max(document_spans.c.seq))
            .where(document_spans.c.document_id == documents.c.id)
            .scalar_subquery()
        )
        due = documents.c.seq > func.coalesce(newest, 0) + COMPACT_AFTER
        if self._keep is not None:
            old = select(document_spans.c.document_id).where(
                document_spans.c.thinned.is_(False),
                document_spans.c.ended_at < self._keep_from(),
            )
            due = or_(due, documents.c.id.in_(old))
        return list(tx.execute(select(documents.c.id).where(due)).scalars())


# ---------------------------------------------------------------- what is to be done


@without_panics
def plan_spans(
    recent: Recent, rows: Sequence[Recorded], shown: Collection[int], now: datetime
) -> Plan | None:
    """Work out how updates become spans; for worker threads.

    Args:
        recent: The newest part of the history.
        rows: The rows of the log of the spans in it that were kept.
        shown: Versions that stay apart for now.
        now: The time.

    Returns:
        None where there is nothing to be done.
    """
    # A save may be under way that will note that the file holds the document as it was a moment
    # ago; what the file held before is the base of the next merge, so it stays as well.
    tail = list(
        takewhile(lambda one: one.seq <= recent.saved_seq or one.at < now - SETTLED, recent.tail)
    )
    if not tail:
        return None
    pins = {recent.saved_seq, recent.saving_seq, *shown}
    closed = recent.named | {pin for pin in pins if pin is not None}
    kept = [
        replace(_with_deletions(one, row), closed=one.seq in closed)
        for one, row in zip(recent.kept, rows, strict=True)
    ]
    pieces = [piece for piece, _ in pieces_of(tally_of(recent.state), tail, closed)]
    spans = group([*kept, *pieces])
    unchanged = 0
    while unchanged < len(kept) and spans[unchanged].seq == kept[unchanged].seq:
        unchanged += 1
    spans = spans[unchanged:]
    old = list(rows[unchanged:])
    made, snapshot = _deltas(recent.state, old, tail, spans)
    replaced = [one.seq for one in (*old, *tail)]
    return Plan(replaced, made, spans, snapshot=snapshot)


def _with_deletions(span: Span, row: Recorded) -> Span:
    """Return a span that was kept; what its only part deleted is what its update deletes."""
    if len(span.parts) != 1:
        return span
    deletions = parse_update(row.data).deletions.encode()
    return replace(span, parts=(replace(span.parts[0], deletions=deletions),))


def _deltas(
    state: Sequence[bytes], old: Sequence[Recorded], tail: Sequence[Recorded], spans: Sequence[Span]
) -> tuple[list[Recorded], bytes]:
    """Return one update for each span, and the document after the last."""
    doc: Doc[Any] = build(list(state))
    deleted = _deletions(doc)
    made: list[Recorded] = []
    at_old = at_tail = 0
    for span in spans:
        parts: list[Recorded] = []
        while at_old < len(old) and old[at_old].seq <= span.seq:
            parts.append(old[at_old])
            at_old += 1
        before = doc.get_state()
        begun = at_tail
        with doc.transaction():
            while at_tail < len(tail) and tail[at_tail].seq <= span.seq:
                doc.apply_update(tail[at_tail].data)
                at_tail += 1
        data = [one.data for one in parts]
        if at_tail > begun:
            after = _deletions(doc)
            data.append(with_deletions(doc.get_update(before), deleted.missing(after)))
            deleted = after
        made.append(_row(span, without_deleted_content(merged(data))))
    return made, doc.get_update()


def _deletions(doc: Doc[Any]) -> IdRanges:
    """Return all that is deleted in a document."""
    return parse_update(doc.get_update(doc.get_state())).deletions


def _row(span: Span, data: bytes) -> Recorded:
    authors = span.authors
    origin = span.origin if span.parts else Origin.SERVER
    return Recorded(span.seq, data, origin, authors[0] if len(authors) == 1 else None, span.ended)


@without_panics
def plan_days(runs: Sequence[Sequence[Span]], rows: Iterable[Recorded]) -> Plan:
    """Work out how old spans become one a day; for worker threads."""
    by_seq = {one.seq: one for one in rows}
    made: list[Recorded] = []
    spans: list[Span] = []
    for run in runs:
        first, *others = (_with_deletions(span, by_seq[span.seq]) for span in run)
        whole = reduce(Span.followed_by, others, first)
        data = merged([by_seq[span.seq].data for span in run])
        made.append(_row(whole, without_deleted_content(data)))
        spans.append(whole)
    return Plan([span.seq for run in runs for span in run], made, spans, thinned=True)


# ---------------------------------------------------------------- reading and writing


def _rows(tx: Tx, document_id: DocumentId, seqs: Sequence[int]) -> list[Recorded]:
    if not seqs:
        return []
    found = tx.execute(
        select(document_updates)
        .where(document_updates.c.document_id == document_id, document_updates.c.seq.in_(seqs))
        .order_by(document_updates.c.seq)
    )
    return [recorded(row) for row in found]


def write_plan(tx: Tx, document_id: DocumentId, epoch: str, plan: Plan) -> None:
    """Put a plan into effect, all of it or nothing.

    Raises:
        _Changed: The rows are no longer those that it was worked out for.
    """
    # Takes the row's lock: nobody else records, compacts or names a version until the commit.
    held = tx.execute(
        update(documents)
        .where(documents.c.id == document_id, documents.c.epoch == epoch)
        .values(seq=documents.c.seq)
        .returning(documents.c.saved_seq, documents.c.saving_seq)
    ).one_or_none()
    if held is None:
        raise LogGone
    table = document_updates
    first, last = plan.replaced[0], plan.replaced[-1]
    within = (table.c.document_id == document_id, table.c.seq >= first, table.c.seq <= last)
    there = list(tx.execute(select(table.c.seq).where(*within).order_by(table.c.seq)).scalars())
    ends = {one.seq for one in plan.rows}
    needed = {held.saved_seq, held.saving_seq, *read_named(tx, document_id)}
    if there != list(plan.replaced) or any(
        seq is not None and first <= seq <= last and seq not in ends for seq in needed
    ):
        raise _Changed
    tx.execute(delete(table).where(*within))
    tx.execute(insert(table), [_update_values(document_id, one) for one in plan.rows])
    tx.execute(
        delete(document_spans).where(
            document_spans.c.document_id == document_id,
            document_spans.c.seq >= first,
            document_spans.c.seq <= last,
        )
    )
    tx.execute(
        insert(document_spans),
        [_span_values(document_id, span, thinned=plan.thinned) for span in plan.spans],
    )
    if plan.snapshot is not None:
        tx.execute(
            delete(document_snapshots).where(
                document_snapshots.c.document_id == document_id,
                document_snapshots.c.seq <= last,
            )
        )
        tx.execute(
            insert(document_snapshots).values(
                document_id=document_id, seq=last, data=plan.snapshot, created_at=utcnow()
            )
        )


def _update_values(document_id: DocumentId, one: Recorded) -> Mapping[str, Any]:
    return {
        "document_id": document_id,
        "seq": one.seq,
        "data": one.data,
        "origin": one.origin.value,
        "user_id": one.user_id,
        "created_at": one.at,
    }


def _span_values(document_id: DocumentId, span: Span, *, thinned: bool) -> Mapping[str, Any]:
    alone = len(span.parts) == 1
    return {
        "document_id": document_id,
        "seq": span.seq,
        "started_at": span.started,
        "ended_at": span.ended,
        "parts": [part.as_json(alone=alone) for part in span.parts],
        "thinned": thinned,
    }
