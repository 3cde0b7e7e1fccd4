"""The history of documents for people: what was done, when and by whom, and going back to it.

All of it is read from the log and written to it; there is no second history. What takes long
(playing a history again, comparing, finding out who wrote what) runs in worker threads, at
most :data:`AT_ONCE` at a time, on copies that end with the request.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

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
from jupyter_collab_ai.rooms.listing import (
    cursor_of,
    entry_of_kept,
    find_entry,
    parse_cursor,
    read_page,
)
from jupyter_collab_ai.rooms.log import (
    LogGone,
    NotKept,
    read_known,
    read_updates,
)
from jupyter_collab_ai.rooms.ports import People, Rights, WriteLocks
from jupyter_collab_ai.rooms.registry import Rooms
from jupyter_collab_ai.rooms.restoring import Wish, content_with_ids, restoration
from jupyter_collab_ai.rooms.rewriting import rewrite
from jupyter_collab_ai.rooms.room import LiveRoom
from jupyter_collab_ai.rooms.timeline import Recent, read_recent, read_spans, recent_spans
from jupyter_collab_ai.rooms.versions import (
    Named,
    Ref,
    Versions,
    delete_name,
    id_of,
    put_name,
    read_versions,
    ref_of,
    version_id,
)
from jupyter_collab_ai.storage.audit import note
from jupyter_collab_ai.storage.database import Database, Tx

T = TypeVar("T")

#: Requests that may play a history again at the same time; others wait for their turn.
AT_ONCE = 2
#: Documents of which it is remembered who wrote what, and lines of all of them.
MOST_BLAMED = 16
MOST_LINES = 200_000

_GONE = "The document has been deleted or started anew meanwhile; load it again."
_NOT_KEPT = "This moment is no longer told apart from what came after it; load the history again."


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
        before = parse_cursor(after)
        document = await self._find(principal, session_id, path)
        recent, names = await self._recent(document)
        spans = await self._in_turn(recent_spans, recent)
        page, more = await self._database.read(
            lambda tx: read_page(
                tx, document, spans, names, limit=limit, before=before, named=named
            )
        )
        users = await self._people.describe({id_ for entry in page for id_ in entry.people})
        if page and spans and page[0].span is spans[-1]:
            # The span may go on, but what was shown stays apart for a while.
            self._compactor.shown.note(document.id, spans[-1].seq)
        return {
            "items": [entry.as_json(document, users) for entry in page],
            "next": cursor_of(page[-1]) if more else None,
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
        updates, content = await self._read_version(document, ref)
        about = await self._describe(document, ref)
        other: tuple[list[bytes], Content | None] | None = None
        if against is not None:
            other = await self._read_version(document, ref_of(document, against))

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
                detail={"version": version_id(document, named), "name": name},
                address=address,
            )
            return named

        named = await self._database.write(write)
        return await self._describe(document, Ref(kept=named.id) if named.kept else Ref(named.seq))

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
        updates, kept = await self._read_version(document, ref_of(document, version))
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

        async def make(state: bytes) -> bytes | None:
            return await asyncio.to_thread(
                restoration,
                room.kind,
                state,
                new_client_id(),
                writing.content,
                writing.wish,
                writing.base,
            )

        async def allowed() -> None:
            await self._rights.document_path(
                writing.principal, SessionId(writing.session_id), writing.path, write=True
            )

        return await rewrite(
            room,
            self._locks,
            writing.principal.user_id,
            make,
            allowed=allowed,
            noted=writing.note,
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
    ) -> tuple[list[bytes], Content | None]:
        """Return a version as its updates, or as a content that was kept."""
        if ref.kept is not None:
            return [], await self._versions.content(document, ref.kept)
        assert ref.seq is not None
        return await self._updates_at(document, ref.seq), None

    async def _describe(self, document: Document, ref: Ref) -> dict[str, Any]:
        """Return a version as it stands in the history."""
        recent, names = await self._recent(document)
        if ref.kept is not None:
            named = next((one for one in names if one.kept and one.id == ref.kept), None)
            if named is None:
                raise NotFound("There is no such version; load the history again.")
            entry = entry_of_kept(named)
        else:
            seq = ref.seq or 0
            spans = await self._in_turn(recent_spans, recent)
            found = await self._database.read(
                lambda tx: find_entry(tx, document.id, spans, names, seq)
            )
            if found is None:
                raise NotFound(_NOT_KEPT)
            entry = found
        users = await self._people.describe(entry.people)
        return entry.as_json(document, users)


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

    def note(self, tx: Tx) -> None:
        """Note who restored what, in the transaction that does it."""
        detail: dict[str, Any] = {"version": self.version}
        if self.wish.cell_id is not None:
            detail["cell_id"] = self.wish.cell_id
        if self.wish.hunks is not None:
            detail["hunks"] = len(self.wish.hunks)
        note(
            tx,
            self.principal,
            "version_restored",
            session_id=self.session_id,
            target=self.room.path,
            detail=detail,
            address=self.address,
        )


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
