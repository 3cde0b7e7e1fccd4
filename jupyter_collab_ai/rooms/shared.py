"""The one way for server code to read, anchor and change a live text or notebook.

Offsets here count characters (Unicode code points); pycrdt counts UTF-8 bytes, and Yjs
UTF-16 code units. Nobody outside this module has to know.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from jupyter_ydoc.utils import cast_all
from pycrdt import Array, Assoc, Doc, Map, StickyIndex, Text, UndoManager, merge_updates

from jupyter_collab_ai.errors import StaleDocument
from jupyter_collab_ai.ids import DocumentId, UserId
from jupyter_collab_ai.rooms import freezing
from jupyter_collab_ai.rooms.content import build, make_cell
from jupyter_collab_ai.rooms.documents import Kind
from jupyter_collab_ai.rooms.gate import server_client_id
from jupyter_collab_ai.rooms.log import Fence, LogGone, NotKept, Origin, UpdateLog
from jupyter_collab_ai.rooms.panics import without_panics
from jupyter_collab_ai.rooms.registry import Rooms
from jupyter_collab_ai.rooms.room import LiveRoom
from jupyter_collab_ai.rooms.watching import watched
from jupyter_collab_ai.rooms.yupdate import IdRanges, decode_state_vector

T = TypeVar("T")

#: A character of a text as Yjs names it: the client, its clock, and how many UTF-16 units it has.
Character = tuple[int, int, int]

#: Anchors that are looked for in one copy of a document: each has to count those before it.
AT_ONCE = 200

_CLOSED = "The document was closed or started anew meanwhile; open it again."


@dataclass(frozen=True)
class SharedCell:
    """One text of a document, as it was when it was looked at."""

    id: str | None
    type: str
    source: str


class SharedView:
    """A live document at one moment."""

    def __init__(self, doc: Doc[Any], kind: Kind, path: str, seq: int) -> None:
        self._doc = doc
        self._kind = kind
        self._path = path
        self._seq = seq

    @property
    def path(self) -> str:
        """Where the file is now, canonical."""
        return self._path

    @property
    def notebook(self) -> bool:
        """Whether it has cells."""
        return self._kind is Kind.NOTEBOOK

    @property
    def seq(self) -> int:
        """The number of the newest update that it holds."""
        return self._seq

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of a notebook as plain JSON; empty for a text file."""
        if not self.notebook:
            return {}
        meta = self._doc.get("meta", type=Map).to_py() or {}
        metadata = meta.get("metadata", {})
        # JavaScript has one kind of number, which arrives here as a float.
        cast_all(metadata, float, int)
        return dict(metadata)

    def cells(self) -> Sequence[SharedCell]:
        """Return all cells in order; of a text file, its text as the only one."""
        if not self.notebook:
            return (SharedCell(None, "code", str(self._source)),)
        return tuple(
            SharedCell(str(cell.get("id")), str(cell.get("cell_type")), str(cell.get("source")))
            for cell in self._cells
        )

    def anchor(self, cell_id: str | None, offset: int, *, after: bool) -> bytes:
        """Return a position that moves with the text; see ``ai.ports.View.anchor``.

        Raises:
            KeyError: There is no such cell.
            IndexError: The offset is beyond the text.
        """
        return self.anchors([(cell_id, offset, after)])[0]

    def anchors(self, places: Sequence[tuple[str | None, int, bool]]) -> list[bytes]:
        """Return an anchor for each of many places, at about the cost of one.

        Raises:
            KeyError: There is no such cell.
            IndexError: An offset is beyond its text.
        """
        lengths: dict[str | None, int] = {}
        wanted: dict[str | None, set[int]] = {}
        for cell_id, offset, after in places:
            if cell_id not in lengths:
                lengths[cell_id] = len(str(self._text(cell_id)))
            if not 0 <= offset <= lengths[cell_id]:
                raise IndexError(offset)
            index = _beside(offset, after)
            if 0 <= index < lengths[cell_id]:
                wanted.setdefault(cell_id, set()).add(index)
        characters: dict[tuple[str | None, int], Character] = {}
        copy = self._copy() if wanted else self
        for cell_id, indices in wanted.items():
            for index, character in copy._identify(cell_id, indices).items():
                characters[cell_id, index] = character
        return [
            json.dumps(
                [cell_id, after, characters.get((cell_id, _beside(offset, after)))],
                separators=(",", ":"),
            ).encode()
            for cell_id, offset, after in places
        ]

    def locate(self, anchor: bytes) -> tuple[str | None, int] | None:
        """Return the cell and the offset where an anchor is now; None where its cell is gone."""
        return self.locate_all([anchor])[0]

    def locate_all(self, anchors: Sequence[bytes]) -> list[tuple[str | None, int] | None]:
        """Return where each of many anchors is now, at about the cost of a few."""
        return [
            place
            for first in range(0, len(anchors), AT_ONCE)
            for place in self._locate_all(anchors[first : first + AT_ONCE])
        ]

    def _locate_all(self, anchors: Sequence[bytes]) -> list[tuple[str | None, int] | None]:
        read: list[tuple[str | None, bool, Character | None]] = []
        sources: dict[str | None, str] = {}
        wanted: dict[str | None, set[Character]] = {}
        for anchor in anchors:
            cell_id, after, named = json.loads(anchor)
            character = None if named is None else (named[0], named[1], named[2])
            read.append((cell_id, after, character))
            with contextlib.suppress(KeyError):
                if cell_id not in sources:
                    sources[cell_id] = str(self._text(cell_id))
                if character is not None:
                    wanted.setdefault(cell_id, set()).add(character)
        found: dict[tuple[str | None, Character], tuple[int, bool]] = {}
        copy = self._copy() if wanted else self
        for cell_id, characters in wanted.items():
            bytes_at = copy._find(cell_id, characters)
            gone = characters - bytes_at.keys()
            # For a character that is gone this counts what is left of it, which is right.
            bytes_at |= self._copy()._left_of(gone) if gone else {}
            offsets = _offsets(sources[cell_id], bytes_at.values())
            for character, at in bytes_at.items():
                found[cell_id, character] = offsets[at], character in gone

        def place(
            cell_id: str | None, after: bool, character: Character | None
        ) -> tuple[str | None, int] | None:
            if cell_id not in sources:
                return None
            if character is None:
                return cell_id, len(sources[cell_id]) if after else 0
            offset, gone = found[cell_id, character]
            return cell_id, offset if after or gone else offset + 1

        return [place(*one) for one in read]

    def _identify(self, cell_id: str | None, indices: Collection[int]) -> dict[int, Character]:
        """Return the Yjs ids of characters.

        pycrdt's own ``sticky_index`` takes bytes for clocks, so beyond ASCII it names another
        character or none (0.14.13). The delete set of a deletion names the right one, so the
        characters are deleted in this copy, the last one first.
        """
        text = self._text(cell_id)
        starts = _bytes_at(str(text), {*indices, *(index + 1 for index in indices)})
        found: dict[int, Character] = {}
        deleted: list[bytes] = []
        with watched(self._doc, lambda event: deleted.append(event.delete_set)):  # type: ignore[attr-defined]
            for index in sorted(indices, reverse=True):
                deleted.clear()
                del text[starts[index] : starts[index + 1]]
                ((client, clock, end),) = IdRanges.decode(deleted[0])
                found[index] = client, clock, end - clock
        return found

    def _find(self, cell_id: str | None, characters: Collection[Character]) -> dict[Character, int]:
        """Return at which bytes characters are, of those that are there.

        They are deleted in this copy one after the other, which tells where each one was.
        """
        text = self._text(cell_id)
        raw = str(text).encode()
        changes: list[list[dict[str, Any]]] = []
        text.observe(lambda event: changes.append(event.delta))  # type: ignore[attr-defined]
        found: dict[Character, int] = {}
        #: Where those were that are deleted by now, in order, and how many bytes they had.
        missing: list[tuple[int, int]] = []
        for client, clock, length in characters:
            changes.clear()
            self._doc.apply_update(b"\0" + IdRanges([(client, clock, clock + length)]).encode())
            if not changes:
                continue
            at = int(changes[0][0].get("retain", 0))
            for position, size in missing:
                if position <= at:
                    at += size
            found[client, clock, length] = at
            bisect.insort(missing, (at, _size(raw[at])))
        return found

    def _left_of(self, characters: Collection[Character]) -> dict[Character, int]:
        """Return how many bytes there are before the places of characters that are gone."""
        found: dict[Character, int] = {}
        with self._doc.transaction() as transaction:
            for client, clock, length in characters:
                place = {"item": {"client": client, "clock": clock}, "assoc": Assoc.AFTER.value}
                index = StickyIndex.from_json(place).get_index(transaction)
                found[client, clock, length] = index
        return found

    def _copy(self) -> SharedView:
        return SharedView(build([self._doc.get_update()]), self._kind, self._path, self._seq)

    @property
    def _source(self) -> Text:
        source: Text = self._doc.get("source", type=Text)
        return source

    @property
    def _cells(self) -> Array[Any]:
        cells: Array[Any] = self._doc.get("cells", type=Array)
        return cells

    def _text(self, cell_id: str | None) -> Text:
        if not self.notebook:
            if cell_id is not None:
                raise KeyError(cell_id)
            return self._source
        source = self._cells[self._index(cell_id)]["source"]
        assert isinstance(source, Text)
        return source

    def _index(self, cell_id: str | None) -> int:
        for index, cell in enumerate(self._cells):
            if cell_id is not None and cell.get("id") == cell_id:
                return index
        raise KeyError(cell_id)


class SharedEditor(SharedView):
    """A live document at the moment at which it is changed."""

    def replace(self, cell_id: str | None, start: int, end: int, text: str) -> None:
        """Put ``text`` in place of what is between two offsets.

        Raises:
            KeyError: There is no such cell.
            IndexError: An offset is beyond the text.
        """
        target = self._text(cell_id)
        source = str(target)
        if not 0 <= start <= end <= len(source):
            raise IndexError((start, end))
        first, last = _bytes(source, start), _bytes(source, end)
        if first < last:
            del target[first:last]
        if text:
            target.insert(first, text)

    def insert_cell(self, index: int, cell_id: str, cell_type: str, source: str) -> None:
        """Put a new cell before the one at ``index``, or at the end."""
        cells = self._cells
        cell = {"id": cell_id, "cell_type": cell_type, "source": source}
        cells.insert(min(index, len(cells)), make_cell(cell))

    def delete_cell(self, cell_id: str) -> None:
        """Remove a cell.

        Raises:
            KeyError: There is no such cell.
        """
        del self._cells[self._index(cell_id)]


class SharedDocument:
    """A live document, as long as it is held; implements ``ai.ports.LiveDocument``."""

    def __init__(self, room: LiveRoom, update_log: UpdateLog) -> None:
        self._room = room
        self._log = update_log

    @property
    def document_id(self) -> DocumentId:
        """The id of its row."""
        return self._room.document.id

    async def look(self, function: Callable[[SharedView], T]) -> T:
        """Return what ``function`` makes of the document as it is now.

        Raises:
            StaleDocument: The document was closed.
        """
        room = self._room
        return await room.look(
            lambda doc: function(SharedView(doc, room.kind, room.path, room.seq))
        )

    async def study(self, function: Callable[[SharedView], T]) -> T:
        """Return what ``function`` makes, in a worker thread, of the document as it is now.

        Raises:
            StaleDocument: The document was closed.
        """
        room = self._room
        state, seq = await room.look(lambda doc: (doc.get_update(), room.seq))
        return await asyncio.to_thread(_study, function, state, room.kind, room.path, seq)

    async def edit(
        self,
        function: Callable[[SharedEditor], T],
        *,
        user_id: UserId,
        fence: Fence | None = None,
        origin: Origin = Origin.AI,
    ) -> tuple[int, T]:
        """Change the document as one step on behalf of a user; see ``ai.ports``.

        Raises:
            StaleDocument: The document was closed meanwhile.
        """
        room = self._room
        return await room.edit(
            lambda doc: function(SharedEditor(doc, room.kind, room.path, room.seq)),
            origin=origin,
            user_id=user_id,
            fence=fence,
        )

    async def undo(self, seq: int, *, user_id: UserId, fence: Fence | None = None) -> bool:
        """Take one update back as one step, and leave whatever others wrote since.

        Raises:
            StaleDocument: The document was closed, or its history given up, meanwhile.
        """
        data = await self._undoing(seq)
        if data is None:
            return False
        await self._room.add(data, origin=Origin.AI, user_id=user_id, fence=fence)
        return True

    async def without(self, seq: int, function: Callable[[SharedView], T]) -> T | None:
        """Return what ``function`` makes of the document as it would be with one update undone.

        Nothing is written.

        Returns:
            None where there is nothing to be taken back.

        Raises:
            StaleDocument: The document was closed, or its history given up, meanwhile.
        """
        room = self._room
        data = await self._undoing(seq)
        if data is None:
            return None
        state = await room.look(lambda doc: doc.get_update())
        doc = build([state, data])
        return function(SharedView(doc, room.kind, room.path, room.seq))

    async def _undoing(self, seq: int) -> bytes | None:
        """Return the update that takes one back; None where nothing is left of it."""
        room = self._room
        document_id, epoch = room.document.id, room.epoch
        try:
            before = await self._log.history_at(document_id, epoch, seq - 1)
            later = await self._log.after(document_id, epoch, seq - 1)
        except LogGone:
            raise StaleDocument(_CLOSED) from None
        except NotKept:
            return None  # it is so old that it is no longer told apart from what came after
        if not later or later[0].seq != seq:
            return None
        client_id = server_client_id(f"undo {document_id} {epoch} {seq}".encode())
        return await asyncio.to_thread(
            undo_update, room.kind, list(before.updates), [one.data for one in later], client_id
        )

    def frozen(self) -> AbstractAsyncContextManager[bool]:
        """Hold its editors still for a moment, once they have sent all they have."""
        return freezing.frozen(self._room)

    async def changed(self, seq: int) -> int:
        """Wait until the document holds an update after ``seq``, and return the newest's number.

        Raises:
            StaleDocument: The document was closed.
        """
        return await self._room.changed(seq)


class SharedDocuments:
    """The live documents of this server; implements ``ai.ports.LiveDocuments``."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    @contextlib.asynccontextmanager
    async def hold(self, path: str) -> AsyncIterator[SharedDocument]:
        """Open the document at a canonical path, and keep it open for the length of a block.

        Raises:
            NotFound: There is no such file.
            InvalidRequest: It can't be edited together.
            DocumentTooLarge: It is too large to be edited together.
        """
        async with self._rooms.hold(path) as room:
            yield SharedDocument(room, self._rooms.log)

    async def id_of(self, path: str) -> DocumentId | None:
        """Return the document at a canonical path, if one was ever opened there."""
        document = await self._rooms.documents.by_path(path)
        return None if document is None else document.id

    async def path_of(self, document_id: DocumentId) -> str | None:
        """Return where a document is now; None where it is gone."""
        document = await self._rooms.documents.by_id(document_id)
        return None if document is None else document.path


@without_panics
def _study(function: Callable[[SharedView], T], state: bytes, kind: Kind, path: str, seq: int) -> T:
    return function(SharedView(build([state]), kind, path, seq))


def _bytes(source: str, offset: int) -> int:
    return offset if source.isascii() else len(source[:offset].encode())


def _beside(offset: int, after: bool) -> int:
    """Return the index of the character that an anchor stays with."""
    return offset if after else offset - 1


def _bytes_at(source: str, offsets: Iterable[int]) -> dict[int, int]:
    """Return at which byte each of some characters begins."""
    found: dict[int, int] = {}
    last = total = 0
    for offset in sorted(offsets):
        total += _bytes(source[last:offset], offset - last)
        found[offset], last = total, offset
    return found


def _offsets(source: str, bytes_at: Iterable[int]) -> dict[int, int]:
    """Return how many characters are before each of some bytes."""
    if source.isascii():
        return {at: at for at in bytes_at}
    raw = source.encode()
    found: dict[int, int] = {}
    last = total = 0
    for at in sorted(bytes_at):
        total += len(raw[last:at].decode(errors="ignore"))
        found[at], last = total, at
    return found


def _size(first: int) -> int:
    """Return how many bytes a character has in UTF-8, by its first one."""
    return 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4


@without_panics
def undo_update(
    kind: Kind, before: list[bytes], updates: list[bytes], client_id: int
) -> bytes | None:
    """Return the update that takes the first of ``updates`` back after all of them.

    The history is played again into a copy that remembers who did what, so it works on any
    update of any age, and after a restart.

    Args:
        kind: What the document is.
        before: All updates before.
        updates: The update to take back, and all after it.
        client_id: Under which to write: always the same for the same update, so that it is
            seen if the update was taken back already.
    """
    doc: Doc[Any] = Doc(client_id=client_id, skip_gc=True)
    with doc.transaction():
        for data in before:
            doc.apply_update(data)
    manager = UndoManager(capture_timeout_millis=0)
    if kind is Kind.NOTEBOOK:
        manager.expand_scope(doc.get("cells", type=Array))
    else:
        manager.expand_scope(doc.get("source", type=Text))
    manager.include_origin(_UNDONE)
    with doc.transaction(origin=_UNDONE):
        doc.apply_update(updates[0])
    with doc.transaction(origin=_LATER):
        for data in updates[1:]:
            doc.apply_update(data)
    if client_id in decode_state_vector(doc.get_state()):
        return None
    taken: list[bytes] = []
    with watched(doc, lambda event: taken.append(event.update)):
        undone = manager.can_undo() and manager.undo()
    if not undone or not taken:
        return None
    return merge_updates(*taken)


_UNDONE = "undone"
_LATER = "later"
