"""Spans of work: what people see of a history instead of single updates.

Pure. A span is a run of updates by the same people without a long pause. Everything that is
not typed by people (a load, a change on disk, an AI's or a restored text) stands by itself.
People who type at the same time share a span, as neither would recognise a document that has
only one's part of it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from jupyter_collab_ai.ids import UserId
from jupyter_collab_ai.rooms.log import Origin
from jupyter_collab_ai.rooms.yupdate import IdRanges

#: A pause after which a new span begins.
PAUSE = timedelta(minutes=5)
#: Within so much of one's last word, somebody who comes back after others typed along with them.
TOGETHER = timedelta(minutes=2)
#: No span lasts longer, however busily people type.
LONGEST = timedelta(minutes=30)
#: Spans by others between which somebody is looked for who typed along with them.
LOOK_BACK = 4

#: What can be joined with more of its kind. An AI's update stays by itself, so that it can be
#: taken back, and so do a load and what was restored.
_JOINED = frozenset({Origin.CLIENT, Origin.DISK, Origin.SERVER})


@dataclass(frozen=True)
class Part:
    """What one account did in one way in a span."""

    user_id: UserId | None
    origin: Origin
    #: Characters of text written, and taken away.
    added: int
    deleted: int
    #: When it was last active.
    last: datetime
    #: Yjs client ids of the server's under which it wrote.
    clients: tuple[int, ...] = ()
    #: What it deleted, as a Yjs delete set. Where it is the only part of its span, and was not
    #: just read from its update, it is left out: all that the update deletes is meant.
    deletions: bytes | None = None

    @property
    def key(self) -> tuple[UserId | None, Origin]:
        """What tells it from other parts of a span."""
        return self.user_id, self.origin

    def joined(self, other: Part) -> Part:
        """Return both as one."""
        return replace(
            self,
            added=self.added + other.added,
            deleted=self.deleted + other.deleted,
            last=max(self.last, other.last),
            clients=tuple(sorted({*self.clients, *other.clients})),
            deletions=_both(self.deletions, other.deletions),
        )

    def as_json(self, *, alone: bool) -> dict[str, Any]:
        """Return it for the database."""
        data: dict[str, Any] = {
            "user": self.user_id,
            "origin": self.origin.value,
            "added": self.added,
            "deleted": self.deleted,
            "last": self.last.isoformat(),
        }
        if self.clients:
            data["clients"] = list(self.clients)
        if not alone and self.deletions is not None:
            data["deletions"] = base64.b64encode(self.deletions).decode()
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Part:
        """Return what :meth:`as_json` made JSON of."""
        deletions = data.get("deletions")
        return cls(
            data["user"],
            Origin(data["origin"]),
            data["added"],
            data["deleted"],
            datetime.fromisoformat(data["last"]),
            tuple(data.get("clients", ())),
            None if deletions is None else base64.b64decode(deletions),
        )


def _both(one: bytes | None, other: bytes | None) -> bytes | None:
    if one is None or other is None:
        return None
    ranges = IdRanges.decode(one)
    ranges.merge(IdRanges.decode(other))
    return ranges.encode()


@dataclass(frozen=True)
class Span:
    """A run of updates that people see as one."""

    #: Its last update, after which the document is the version that it stands for.
    seq: int
    started: datetime
    ended: datetime
    #: Empty where nobody would see that anything was done.
    parts: tuple[Part, ...] = field(default=())
    #: What comes after does not belong to it, come what may: a named version ends here.
    closed: bool = False

    @property
    def silent(self) -> bool:
        """Whether nobody would see that anything was done."""
        return not self.parts

    @property
    def origin(self) -> Origin:
        """How most of it came about, in a word."""
        origins = [part.origin for part in self.parts]
        return Origin.CLIENT if Origin.CLIENT in origins or not origins else origins[0]

    @property
    def authors(self) -> tuple[UserId, ...]:
        """Who did it, whoever wrote most first."""
        weights: dict[UserId, int] = {}
        for part in self.parts:
            if part.user_id is not None:
                weights[part.user_id] = weights.get(part.user_id, 0) + part.added + part.deleted
        return tuple(sorted(weights, key=lambda user_id: -weights[user_id]))

    @property
    def added(self) -> int:
        """Characters of text written."""
        return sum(part.added for part in self.parts)

    @property
    def deleted(self) -> int:
        """Characters of text taken away."""
        return sum(part.deleted for part in self.parts)

    def followed_by(self, other: Span) -> Span:
        """Return this and the span right after it as one."""
        parts = {part.key: part for part in self.parts}
        for part in other.parts:
            known = parts.get(part.key)
            parts[part.key] = part if known is None else known.joined(part)
        if self.silent or other.silent:
            times = self if other.silent else other
            started, ended = times.started, times.ended
        else:
            started, ended = min(self.started, other.started), max(self.ended, other.ended)
        return Span(other.seq, started, ended, tuple(parts.values()), other.closed)


def group(pieces: Iterable[Span]) -> list[Span]:
    """Join spans that follow each other to those that people see.

    What is joined already stays so: ``group(group(pieces)) == group(pieces)``.
    """
    spans: list[Span] = []
    for piece in pieces:
        index = _home(spans, piece)
        for span in reversed(spans[index:]):
            piece = span.followed_by(piece)
        spans[index:] = [piece]
    return spans


def by_day(spans: Sequence[Span]) -> list[list[Span]]:
    """Return runs of spans that fall on one day (UTC) and may become one version of it.

    The first load stays by itself, and no run goes on after a named version.
    """
    runs: list[list[Span]] = []
    for span in spans:
        before = runs[-1][-1] if runs else None
        if (
            before is None
            or before.closed
            or before.ended.date() != span.ended.date()
            or Origin.LOAD in {part.origin for part in (*before.parts, *span.parts)}
        ):
            runs.append([])
        runs[-1].append(span)
    return runs


def _home(spans: Sequence[Span], piece: Span) -> int:
    """Return from which span on all belong together with a piece that comes after them."""
    if not spans or spans[-1].closed:
        return len(spans)
    last = spans[-1]
    if _joins(last, piece):
        return len(spans) - 1
    if not _typed(piece):
        return len(spans)
    authors = set(piece.authors)
    for index in range(len(spans) - 1, max(-1, len(spans) - 2 - LOOK_BACK), -1):
        span = spans[index]
        if span.closed or not (_typed(span) or span.silent):
            break
        if piece.ended - span.started > LONGEST:
            break
        if authors <= set(span.authors) and all(
            piece.started - part.last <= TOGETHER for part in span.parts if part.user_id in authors
        ):
            return index
    return len(spans)


def _joins(span: Span, piece: Span) -> bool:
    """Tell whether a piece simply goes on with a span."""
    if span.silent or piece.silent:
        # Nothing is added to an AI's update, or it could not be taken back any more.
        other = piece if span.silent else span
        return other.silent or other.origin is not Origin.AI
    if len({part.origin for part in (*span.parts, *piece.parts)}) > 1:
        return False
    if span.origin not in _JOINED or not set(piece.authors) <= set(span.authors):
        return False
    return piece.started - span.ended <= PAUSE and piece.ended - span.started <= LONGEST


def _typed(span: Span) -> bool:
    return bool(span.parts) and all(part.origin is Origin.CLIENT for part in span.parts)
