"""A history as a list: its entries, their order and its pages."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from jupyter_collab_ai.clock import rfc3339
from jupyter_collab_ai.errors import FieldError, InvalidRequest
from jupyter_collab_ai.ids import DocumentId, UserId
from jupyter_collab_ai.rooms.documents import Document
from jupyter_collab_ai.rooms.log import Origin
from jupyter_collab_ai.rooms.spans import Span
from jupyter_collab_ai.rooms.timeline import read_spans, span_of
from jupyter_collab_ai.rooms.versions import Named, cut, id_of, id_of_kept
from jupyter_collab_ai.storage.database import Tx
from jupyter_collab_ai.storage.tables import document_spans, document_updates

#: Spans that are read at a time to find the one before another.
_FEW = 5

#: By what a history is ordered: after which update, and whether beside the history and which.
Key = tuple[int, int, str]


@dataclass(frozen=True)
class Entry:
    """A span of work, or a content that was kept beside the history."""

    key: Key
    #: None where a content was kept.
    span: Span | None
    #: Its name, if it has one.
    named: Named | None
    #: The last update of the span before; None for the first.
    previous: int | None

    @property
    def people(self) -> set[UserId]:
        """Whose names have to be known to show it."""
        people = set() if self.span is None else set(self.span.authors)
        if self.named is not None and self.named.user_id is not None:
            people.add(self.named.user_id)
        return people

    def as_json(self, document: Document, users: Mapping[UserId, dict[str, Any]]) -> dict[str, Any]:
        """Return it as the API shows it."""
        span, named = self.span, self.named
        if span is None:
            assert named is not None
            version, origin = id_of_kept(named), named.origin or Origin.DISK
            span = Span(named.seq, named.at, named.at)
        else:
            version, origin = id_of(document, span.seq), span.origin
        by = None if named is None or named.user_id is None else users.get(named.user_id)
        return {
            "version": version,
            "previous": None if self.previous is None else id_of(document, self.previous),
            "from": rfc3339(span.started),
            "to": rfc3339(span.ended),
            "authors": [users[id_] for id_ in span.authors if id_ in users],
            "origin": origin.value,
            "added": span.added,
            "removed": span.deleted,
            "name": None if named is None else named.name,
            "named_by": by,
            "beside": self.span is None,
        }


def read_page(
    tx: Tx,
    document: Document,
    spans: Sequence[Span],
    names: Sequence[Named],
    *,
    limit: int,
    before: Key | None,
    named: bool,
) -> tuple[list[Entry], bool]:
    """Return the newest entries before one of them, and whether there are more.

    Args:
        tx: The transaction.
        document: The document.
        spans: Its newest spans, the oldest first.
        names: All that was named or kept.
        limit: How many entries are wanted.
        before: Where to begin.
        named: Whether only those with a name are wanted.
    """
    cuts = cut(names)
    kept = (entry_of_kept(one) for one in names if one.kept)
    ours = (
        _named(tx, document.id, spans, cuts)
        if named
        else _all(tx, document.id, spans, cuts, limit, before)
    )
    found: list[Entry] = []
    for entry in heapq.merge(
        sorted(kept, key=_key_of, reverse=True), ours, key=_key_of, reverse=True
    ):
        if before is not None and entry.key >= before:
            continue
        if len(found) == limit:
            return found, True
        found.append(entry)
    return found, False


def find_entry(
    tx: Tx, document_id: DocumentId, spans: Sequence[Span], names: Sequence[Named], seq: int
) -> Entry | None:
    """Return the entry whose span ends with an update, or of the update itself.

    None where there is no such update, or it was compacted together with later ones.
    """
    span = _find(tx, document_id, spans, seq)
    if span is None:
        at = tx.execute(
            select(document_updates.c.created_at).where(
                document_updates.c.document_id == document_id, document_updates.c.seq == seq
            )
        ).scalar_one_or_none()
        if at is None:
            return None
        span = Span(seq, at, at)
    cuts = cut(names)
    previous = _previous(tx, document_id, spans, cuts, seq)
    return Entry((seq, 0, ""), span, cuts.get(seq), previous)


def cursor_of(entry: Entry) -> str:
    """Return what a client sends to get what comes after an entry."""
    return ".".join(map(str, entry.key))


def parse_cursor(text: str | None) -> Key | None:
    """Return what :func:`cursor_of` made text of.

    Raises:
        InvalidRequest: It did not.
    """
    if text is None:
        return None
    seq, _, rest = text.partition(".")
    rank, _, name = rest.partition(".")
    if not (seq.isascii() and seq.isdigit() and len(seq) < 18 and rank in ("0", "1")):
        sentence = "This is not what a page said comes next."
        raise InvalidRequest(sentence, errors=[FieldError("after", sentence)])
    return int(seq), int(rank), name


def _key_of(entry: Entry) -> Key:
    return entry.key


def entry_of_kept(named: Named) -> Entry:
    """Return the entry of a content that was kept."""
    # Of those that were kept after the same update, the newest comes first.
    key = (named.seq, 1, f"{named.at.timestamp():020.6f}-{named.id}")
    return Entry(key, None, named, named.seq)


def _all(
    tx: Tx,
    document_id: DocumentId,
    spans: Sequence[Span],
    cuts: Mapping[int, Named],
    limit: int,
    before: Key | None,
) -> Iterator[Entry]:
    """Yield all spans that are shown, the newest first, read as far as they are asked for."""
    last: Span | None = None
    for span in _shown(_newest_first(tx, document_id, spans, limit, before), cuts):
        if last is not None:
            yield Entry((last.seq, 0, ""), last, cuts.get(last.seq), span.seq)
        last = span
    if last is not None:
        yield Entry((last.seq, 0, ""), last, cuts.get(last.seq), None)


def _newest_first(
    tx: Tx, document_id: DocumentId, spans: Sequence[Span], limit: int, before: Key | None
) -> Iterator[Span]:
    yield from reversed(spans)
    first = spans[0].seq if spans else 0
    if before is not None:
        first = min(first, before[0] + 1)
    while older := read_spans(tx, document_id, before=first, limit=limit + 2):
        yield from older
        first = older[-1].seq


def _named(
    tx: Tx, document_id: DocumentId, spans: Sequence[Span], cuts: Mapping[int, Named]
) -> Iterator[Entry]:
    for seq in sorted(cuts, reverse=True):
        span = _find(tx, document_id, spans, seq)
        if span is not None:
            previous = _previous(tx, document_id, spans, cuts, seq)
            yield Entry((seq, 0, ""), span, cuts[seq], previous)


def _find(tx: Tx, document_id: DocumentId, spans: Sequence[Span], seq: int) -> Span | None:
    recent = {span.seq: span for span in spans}
    if seq in recent:
        return recent[seq]
    row = tx.execute(
        select(document_spans).where(
            document_spans.c.document_id == document_id, document_spans.c.seq == seq
        )
    ).one_or_none()
    return None if row is None else span_of(row)


def _previous(
    tx: Tx, document_id: DocumentId, spans: Sequence[Span], cuts: Mapping[int, Named], seq: int
) -> int | None:
    """Return the last update of the span that is shown before the one that ends with ``seq``."""
    older = (
        span for span in _newest_first(tx, document_id, spans, _FEW, (seq, 0, "")) if span.seq < seq
    )
    return next((span.seq for span in _shown(older, cuts)), None)


def _shown(spans: Iterable[Span], cuts: Mapping[int, Named]) -> Iterator[Span]:
    """Yield the spans that people are shown: in which something was done, or with a name."""
    return (span for span in spans if not span.silent or span.seq in cuts)
