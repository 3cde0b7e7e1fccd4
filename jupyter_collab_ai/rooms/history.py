"""The history of documents for people: what was done, when and by whom, and going back to it.

All of it is read from the log and written to it; there is no second history. What takes long
(playing a history again, comparing, finding out who wrote what) runs in worker threads, at
most :data:`AT_ONCE` at a time, on copies that end with the request.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import json
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import select

from jupyter_collab_ai.clock import rfc3339
from jupyter_collab_ai.errors import FieldError, InvalidRequest, NotFound, StaleDocument
from jupyter_collab_ai.ids import DocumentId, SessionId, UserId
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.rooms.blame import Blamed, Credit, blame
from jupyter_collab_ai.rooms.compaction import MOST, Compactor
from jupyter_collab_ai.rooms.content import Content, content_of
from jupyter_collab_ai.rooms.copies import new_client_id
from jupyter_collab_ai.rooms.documents import Document, Kind
from jupyter_collab_ai.rooms.freezing import frozen
from jupyter_collab_ai.rooms.linediff import compare
from jupyter_collab_ai.rooms.log import (
    LogGone,
    NotKept,
    Origin,
    read_history,
    read_known,
    read_updates,
)
from jupyter_collab_ai.rooms.ports import People, Rights, WriteLocks
from jupyter_collab_ai.rooms.registry import Rooms
from jupyter_collab_ai.rooms.restoring import Wish, content_with_ids, restoration
from jupyter_collab_ai.rooms.room import LiveRoom
from jupyter_collab_ai.rooms.spans import Span
from jupyter_collab_ai.rooms.timeline import Recent, read_recent, read_spans, recent_spans, span_of
from jupyter_collab_ai.rooms.versions import (
    Named,
    Ref,
    Versions,
    cut,
    delete_name,
    id_of,
    id_of_kept,
    put_name,
    read_versions,
    ref_of,
)
from jupyter_collab_ai.storage.audit import note
from jupyter_collab_ai.storage.database import Database, Tx
from jupyter_collab_ai.storage.tables import document_spans, document_updates, documents

T = TypeVar("T")

#: Requests that may play a history again at the same time; others wait for their turn.
AT_ONCE = 2
#: Documents of which it is remembered who wrote what, and lines of all of them.
MOST_BLAMED = 16
MOST_LINES = 200_000
#: Times that a document is restored anew because somebody wrote meanwhile; then it is merged.
TRIES = 5

_GONE = "The document has been deleted or started anew meanwhile; load it again."
_NOT_KEPT = "This moment is no longer told apart from what came after it; load the history again."


class _Moved(Exception):
    """Somebody has written since the change was worked out."""


class _LockCame(Exception):
    """An operation has begun to write."""


class History:
    """Answers what people ask about the past of a session's documents."""

    def __init__(
        self,
        database: Database,
        rooms: Rooms,
        rights: Rights,
        people: People,
        locks: WriteLocks,
        compactor: Compactor,
    ) -> None:
        """Answer from the log in ``database``, and write by way of ``rooms``."""
        self._database = database
        self._rooms = rooms
        self._rights = rights
        self._people = people
        self._locks = locks
        self._compactor = compactor
        self._versions = Versions(database)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._blamed: OrderedDict[tuple[DocumentId, str, int], list[Blamed]] = OrderedDict()

    # ------------------------------------------------------------ what was done

    async def items(
        self,
        principal: Principal,
        session_id: str,
        path: str | None,
        *,
        limit: int,
        after: str | None = None,
        named: bool = False,
    ) -> dict[str, Any]:
        """Return one page of the history of a document, the newest first.

        Raises:
            NotFound: There is no such document, or not for ``principal``.
            InvalidRequest: ``after`` is not what a page said comes next.
        """
        before = _parse_cursor(after)
        document = await self._find(principal, session_id, path)
        recent, names = await self._recent(document)
        spans = await self._in_turn(recent_spans, recent)
        kept: list[tuple[_Key, Span | Named]] = [
            (_key_of_kept(one), one) for one in names if one.kept
        ]
        cuts = cut(names)

        def read(tx: Tx) -> list[tuple[_Key, Span | Named]]:
            found: list[tuple[_Key, Span | Named]] = []
            rows = (
                _named_spans(tx, document.id, spans, cuts)
                if named
                else _all_spans(tx, document.id, spans, limit, before)
            )
            ours: Iterable[tuple[_Key, Span | Named]] = (
                (_key(span), span) for span in rows if span.parts or span.seq in cuts
            )
            for key, one in heapq.merge(kept, ours, key=lambda item: item[0], reverse=True):
                if before is None or key < before:
                    found.append((key, one))
                if len(found) > limit:
                    break
            return found

        found = await self._database.read(read)
        page = found[:limit]
        people = {id_ for _, one in page for id_ in _people_in(one)}
        people |= {
            user_id
            for _, one in page
            if one.seq in cuts and (user_id := cuts[one.seq].user_id) is not None
        }
        users = await self._people.describe(people)
        for _, one in page:
            if isinstance(one, Span) and spans and one is spans[-1]:
                self._compactor.shown.note(document.id, one.seq)
        return {
            "items": [_item(document, one, cuts, users) for _, one in page],
            "next": _cursor(page[-1][0]) if len(found) > limit else None,
        }

    async def version(
        self,
        principal: Principal,
        session_id: str,
        version: str,
        path: str | None,
        *,
        against: str | None = None,
    ) -> bytes:
        """Return a version as JSON, with what differs from another one if that is asked for.

        Raises:
            NotFound: There is no such version or document, or not for ``principal``.
        """
        document = await self._find(principal, session_id, path)
        ref = ref_of(document, version)
        about, updates, content = await self._read_version(document, ref)
        other: tuple[list[bytes], Content | None] | None = None
        if against is not None:
            _, old_updates, old = await self._read_version(document, ref_of(document, against))
            other = old_updates, old

        def work() -> bytes:
            kind = document.kind
            answer = {
                **about,
                "path": document.path,
                "type": kind.type,
                "content": content_of(kind, updates) if content is None else content,
            }
            if other is not None:
                old = _comparable(kind, *other)
                new = _comparable(kind, updates, content)
                answer["diff"] = {"against": against, **compare(kind, old, new)}
            return _encode(answer)

        return await self._in_turn(work)

    async def blame(self, principal: Principal, session_id: str, path: str | None) -> bytes:
        """Return as JSON who wrote each line of a document, and when.

        Raises:
            NotFound: There is no such document, or not for ``principal``.
        """
        document = await self._find(principal, session_id, path)
        seq, blamed = await self._blame(document)
        users = await self._people.describe(
            {
                id_
                for text in blamed
                for line in text.lines
                for id_ in (*line.authors, *_person(line.last))
            }
            | {id_ for text in blamed for id_ in _person(text.last)}
        )

        def work() -> bytes:
            texts = [_blamed(document, text, users) for text in blamed]
            answer: dict[str, Any] = {
                "version": id_of(document, seq),
                "path": document.path,
                "type": document.kind.type,
            }
            if document.kind is Kind.NOTEBOOK:
                answer["cells"] = texts
            else:
                answer["lines"] = texts[0]["lines"]
            return _encode(answer)

        return await asyncio.to_thread(work)

    async def _blame(self, document: Document) -> tuple[int, list[Blamed]]:
        key = (document.id, document.epoch, document.seq)
        if key in self._blamed:
            self._blamed.move_to_end(key)
            return document.seq, self._blamed[key]
        async with self._turns:
            recent, _ = await self._recent(document)

            def read(tx: Tx) -> Any:
                rows = read_updates(tx, document.id)
                first = recent.kept[0].seq if recent.kept else 0
                older = read_spans(tx, document.id, before=first, limit=len(rows))[::-1]
                clients = read_known(tx, document.id).clients
                return rows, older, {one.client_id: one.user_id for one in clients}

            rows, older, owners = await self._database.read(read)

            def work() -> list[Blamed]:
                return blame(document.kind, rows, [*older, *recent_spans(recent)], owners)

            blamed = await asyncio.to_thread(work)
        seq = rows[-1].seq
        self._blamed[document.id, document.epoch, seq] = blamed
        while len(self._blamed) > 1 and (
            len(self._blamed) > MOST_BLAMED
            or sum(len(text.lines) for one in self._blamed.values() for text in one) > MOST_LINES
        ):
            self._blamed.popitem(last=False)
        return seq, blamed

    # ------------------------------------------------------------ names

    async def name(
        self,
        principal: Principal,
        session_id: str,
        name: str,
        *,
        version: str | None = None,
        path: str | None = None,
        address: str | None = None,
    ) -> dict[str, Any]:
        """Name a version, the document as it is now by default; return it as in the history.

        Raises:
            NotFound: There is no such version or document, or not for ``principal``.
            RoleRequired: ``principal`` may not.
            InvalidRequest: There are too many names.
        """
        document = await self._find(principal, session_id, path, write=True)
        ref = Ref() if version in (None, "current") else ref_of(document, str(version))

        def write(tx: Tx) -> Named:
            named = put_name(tx, document, ref, name, principal.user_id)
            note(
                tx,
                principal,
                "version_named",
                session_id=session_id,
                target=document.path,
                detail={"version": _version_of(document, named), "name": name},
                address=address,
            )
            return named

        named = await self._database.write(write)
        return await self._describe(document, named)

    async def unname(
        self,
        principal: Principal,
        session_id: str,
        version: str,
        *,
        path: str | None = None,
        address: str | None = None,
    ) -> None:
        """Take the name from a version; what was kept beside the history goes with its name.

        Raises:
            NotFound: There is no such version or document, or it has no name.
            RoleRequired: ``principal`` may not.
        """
        document = await self._find(principal, session_id, path, write=True)
        ref = ref_of(document, version)

        def write(tx: Tx) -> None:
            named = delete_name(tx, document, ref)
            note(
                tx,
                principal,
                "version_unnamed",
                session_id=session_id,
                target=document.path,
                detail={"version": version, "name": named.name},
                address=address,
            )

        await self._database.write(write)

    # ------------------------------------------------------------ going back

    async def restore(
        self,
        principal: Principal,
        session_id: str,
        version: str,
        *,
        path: str | None = None,
        wish: Wish,
        against: str | None = None,
        address: str | None = None,
    ) -> dict[str, Any]:
        """Write a version, or a part of one, into the document as one new change.

        Raises:
            NotFound: There is no such version, cell or document, or not for ``principal``.
            RoleRequired: ``principal`` may not.
            Locked: An AI operation is writing there.
            StaleDocument: What the hunks replace has changed since.
        """
        document = await self._find(principal, session_id, path, write=True)
        if against is not None and wish.hunks is None:
            sentence = "Only hunks are compared with another version; leave this out."
            raise InvalidRequest(sentence, errors=[FieldError("against", sentence)])
        await self._locks.refuse(document.path)
        _, updates, kept = await self._read_version(document, ref_of(document, version))
        content = await self._in_turn(_comparable, document.kind, updates, kept)
        base: list[bytes] | None = None
        if against is not None:
            seq = ref_of(document, against).seq
            if seq is None:
                raise NotFound("Hunks can be compared with versions of the document only.")
            base = await self._updates_at(document, seq)
        async with self._rooms.hold(document.path) as room:
            if room.document.id != document.id or room.epoch != document.epoch:
                raise StaleDocument(_GONE)
            async with contextlib.AsyncExitStack() as stack:
                if wish.whole:
                    await stack.enter_async_context(frozen(room))
                writing = _Writing(
                    room, principal, session_id, path, version, content, wish, base, address
                )
                seq, changed = await self._write(writing)
        return {
            "version": id_of(document, seq),
            "restored": version,
            "changed": changed,
        }

    async def _write(self, writing: _Writing) -> tuple[int, bool]:
        room = writing.room
        for left in reversed(range(TRIES)):
            seq, state = await room.look(lambda doc: (room.seq, doc.get_update()))
            data = await asyncio.to_thread(
                restoration,
                room.kind,
                state,
                new_client_id(),
                writing.content,
                writing.wish,
                writing.base,
            )
            if data is None:
                return seq, False
            # The role may have changed while all this went on.
            await self._rights.document_path(
                writing.principal, SessionId(writing.session_id), writing.path, write=True
            )
            expected = seq if left else None
            try:
                done = await room.add(
                    data,
                    origin=Origin.RESTORE,
                    user_id=writing.principal.user_id,
                    fence=partial(self._check, writing=writing, expected=expected),
                )
            except _Moved:
                continue
            except _LockCame:
                await self._locks.refuse(room.path)
                continue
            return done, True
        raise StaleDocument("Operations keep writing here; try again in a moment.")

    def _check(self, tx: Tx, writing: _Writing, expected: int | None) -> None:
        """Refuse in the transaction that records it what can no longer be written."""
        document = writing.room.document
        newest = tx.execute(
            select(documents.c.seq).where(documents.c.id == document.id)
        ).scalar_one()
        if expected is not None and newest != expected + 1:
            raise _Moved
        if self._locks.stands(tx, document.id):
            raise _LockCame
        detail: dict[str, Any] = {"version": writing.version}
        if writing.wish.cell_id is not None:
            detail["cell_id"] = writing.wish.cell_id
        if writing.wish.hunks is not None:
            detail["hunks"] = len(writing.wish.hunks)
        note(
            tx,
            writing.principal,
            "version_restored",
            session_id=writing.session_id,
            target=writing.room.path,
            detail=detail,
            address=writing.address,
        )

    # ------------------------------------------------------------ inside

    async def _in_turn(self, work: Callable[..., T], *args: Any) -> T:
        async with self._turns:
            return await asyncio.to_thread(work, *args)

    async def _find(
        self, principal: Principal, session_id: str, path: str | None, *, write: bool = False
    ) -> Document:
        """Return a document that somebody may read, or write; its first version is there."""
        found = await self._rights.document_path(
            principal, SessionId(session_id), path, write=write
        )
        document = await self._rooms.describe(found)
        if not document.seq:
            # Nobody has opened it yet: what the file holds becomes the first version.
            async with self._rooms.hold(found):
                pass
            document = await self._rooms.describe(found)
        return document

    async def _recent(self, document: Document) -> tuple[Recent, list[Named]]:
        def read(tx: Tx) -> tuple[Recent, list[Named]]:
            return (
                read_recent(tx, document.id, document.epoch),
                read_versions(tx, document.id),
            )

        try:
            found = await self._database.read(read)
            if len(found[0].tail) > MOST:
                # So many are left of a server that did not compact yet.
                await self._compactor.compact(document.id)
                found = await self._database.read(read)
        except (LogGone, NotKept):
            raise NotFound(_GONE) from None
        return found

    async def _updates_at(self, document: Document, seq: int) -> list[bytes]:
        try:
            return list(
                (await self._rooms.log.history_at(document.id, document.epoch, seq)).updates
            )
        except LogGone:
            raise NotFound(_GONE) from None
        except NotKept:
            raise NotFound(_NOT_KEPT) from None

    async def _read_version(
        self, document: Document, ref: Ref
    ) -> tuple[dict[str, Any], list[bytes], Content | None]:
        """Return what is told of a version, and its updates or its content."""
        if ref.kept is not None:
            named, content = await self._versions.content(document, ref.kept)
            about = {
                "version": id_of_kept(named),
                "at": rfc3339(named.at),
                "name": named.name,
            }
            return about, [], content
        assert ref.seq is not None

        def read(tx: Tx) -> tuple[list[bytes], datetime, str | None]:
            seq = ref.seq or 0
            updates = read_history(tx, document.id, document.epoch, seq).updates
            at = tx.execute(
                select(document_updates.c.created_at).where(
                    document_updates.c.document_id == document.id, document_updates.c.seq == seq
                )
            ).scalar_one()
            name = cut(read_versions(tx, document.id)).get(seq)
            return list(updates), at, None if name is None else name.name

        try:
            updates, at, name = await self._database.read(read)
        except LogGone:
            raise NotFound(_GONE) from None
        except NotKept:
            raise NotFound(_NOT_KEPT) from None
        return {"version": id_of(document, ref.seq), "at": rfc3339(at), "name": name}, updates, None

    async def _describe(self, document: Document, named: Named) -> dict[str, Any]:
        """Return a version that was just named, as in the history."""
        if named.kept:
            users = await self._people.describe(_people_in(named))
            return _item(document, named, {}, users)
        recent, names = await self._recent(document)
        spans = await self._in_turn(recent_spans, recent)
        cuts = cut(names)

        def read(tx: Tx) -> list[Span]:
            return _named_spans(tx, document.id, spans, {named.seq: named})

        found = await self._database.read(read)
        span = found[0] if found else Span(named.seq, named.at, named.at)
        by = () if named.user_id is None else (named.user_id,)
        users = await self._people.describe({*_people_in(span), *by})
        return _item(document, span, {**cuts, named.seq: named}, users)


@dataclass(frozen=True)
class _Writing:
    """What is being restored."""

    room: LiveRoom
    principal: Principal
    session_id: str
    #: As the request had it.
    path: str | None
    version: str
    content: Content
    wish: Wish
    base: list[bytes] | None
    address: str | None


def _comparable(kind: Kind, updates: list[bytes], content: Content | None) -> Content:
    """Return a content whose cells have ids."""
    if content is None:
        return content_with_ids(kind, updates)
    if kind is Kind.NOTEBOOK:
        for index, cell in enumerate(content["cells"]):
            cell.setdefault("id", f"cell-{index}")
    return content


def _encode(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogatepass"
    )


# ---------------------------------------------------------------- pages

#: By what the history is ordered: after which update, and whether beside the history and which.
_Key = tuple[int, int, str]


def _key(span: Span) -> _Key:
    return span.seq, 0, ""


def _key_of_kept(named: Named) -> _Key:
    # Of those that were kept after the same update, the newest comes first.
    return named.seq, 1, f"{named.at.timestamp():020.6f}-{named.id}"


def _cursor(key: _Key) -> str:
    return f"{key[0]}.{key[1]}.{key[2]}"


def _parse_cursor(text: str | None) -> _Key | None:
    if text is None:
        return None
    seq, _, rest = text.partition(".")
    rank, _, name = rest.partition(".")
    if not (seq.isascii() and seq.isdigit() and len(seq) < 18 and rank in ("0", "1")):
        sentence = "This is not what a page said comes next."
        raise InvalidRequest(sentence, errors=[FieldError("after", sentence)])
    return int(seq), int(rank), name


def _all_spans(
    tx: Tx, document_id: DocumentId, spans: list[Span], limit: int, before: _Key | None
) -> Iterable[Span]:
    """Yield the spans of a history, the newest first, read as far as they are asked for."""
    yield from reversed(spans)
    first = spans[0].seq if spans else 0
    if before is not None:
        first = min(first, before[0] + 1)
    while older := read_spans(tx, document_id, before=first, limit=limit + 1):
        yield from older
        first = older[-1].seq


def _named_spans(
    tx: Tx, document_id: DocumentId, spans: list[Span], cuts: Mapping[int, Named]
) -> list[Span]:
    """Return the spans that have a name, the newest first."""
    recent = {span.seq: span for span in spans}
    table = document_spans
    older = tx.execute(
        select(table).where(
            table.c.document_id == document_id,
            table.c.seq.in_([seq for seq in cuts if seq not in recent]),
        )
    )
    found = {**{row.seq: span_of(row) for row in older}, **recent}
    return [found[seq] for seq in sorted(cuts, reverse=True) if seq in found]


def _item(
    document: Document,
    one: Span | Named,
    cuts: Mapping[int, Named],
    users: Mapping[UserId, dict[str, Any]],
) -> dict[str, Any]:
    """Return an entry of a history as the API shows it."""
    named: Named | None
    if isinstance(one, Named):
        named, version = one, id_of_kept(one)
        started = ended = one.at
        authors: Collection[UserId] = ()
        origin = one.origin or Origin.DISK
        added = deleted = 0
    else:
        named, version = cuts.get(one.seq), id_of(document, one.seq)
        started, ended, authors, origin = one.started, one.ended, one.authors, one.origin
        added, deleted = one.added, one.deleted
    return {
        "version": version,
        "from": rfc3339(started),
        "at": rfc3339(ended),
        "authors": [users[id_] for id_ in authors if id_ in users],
        "origin": origin.value,
        "added": added,
        "deleted": deleted,
        "name": None if named is None else named.name,
        "named_by": None if named is None else users.get(named.user_id or UserId("")),
        "beside": isinstance(one, Named),
    }


def _people_in(one: Span | Named) -> set[UserId]:
    if isinstance(one, Span):
        return set(one.authors)
    return set() if one.user_id is None else {one.user_id}


def _version_of(document: Document, named: Named) -> str:
    return id_of_kept(named) if named.kept else id_of(document, named.seq)


# ---------------------------------------------------------------- lines


def _person(credit: Credit | None) -> tuple[UserId, ...]:
    return () if credit is None or credit.user_id is None else (credit.user_id,)


def _blamed(
    document: Document, text: Blamed, users: Mapping[UserId, dict[str, Any]]
) -> dict[str, Any]:
    about = (
        {}
        if text.cell_id is None
        else {
            "cell_id": text.cell_id,
            "type": text.cell_type,
            **_credit(document, text.last, users),
        }
    )
    lines = [
        {
            "line": number,
            **_credit(document, line.last, users),
            "authors": [users[id_] for id_ in line.authors if id_ in users],
        }
        for number, line in enumerate(text.lines, start=1)
    ]
    return {**about, "lines": lines}


def _credit(
    document: Document, credit: Credit | None, users: Mapping[UserId, dict[str, Any]]
) -> dict[str, Any]:
    if credit is None:
        return {"author": None, "at": None, "origin": None, "version": None}
    return {
        "author": None if credit.user_id is None else users.get(credit.user_id),
        "at": rfc3339(credit.at),
        "origin": credit.origin.value,
        "version": id_of(document, credit.seq),
    }
