"""What a Yjs update holds, read from its bytes without a document.

Pure: bytes in, values out. The binary forms are those of Yjs 13.6 ("update v1"): see
``src/utils/encoding.js``, ``src/utils/UpdateDecoder.js``, ``src/structs/`` and
``src/utils/DeleteSet.js`` in https://github.com/yjs/yjs and ``encoding.js`` in
https://github.com/dmonad/lib0.

Interface::

    update = parse_update(data)          # Update; MalformedUpdate for anything else
    update.clients                       # {client id: (Struct, ...)} in the order of clocks
    update.deletions                     # IdRanges: what the update deletes
    struct_ranges(data)                  # {client id: (first clock, end clock)}
    decode_state_vector(data), encode_state_vector({client: clock})
    IdRanges: add, covers, missing, merge, encode, decode: sets of ids as sorted ranges

Clocks count what a struct adds: the UTF-16 code units of a string, the members of an array,
one for anything else. An end clock is the first clock that is no longer part.

The reader is stricter than Yjs and yrs, which differ in what they make of odd input: what one
of them would read otherwise than the other is malformed here. A parser that accepts less than
both can't be played off against them. It never recurses deeply, never allocates more than a
small multiple of its input, and raises nothing but :class:`MalformedUpdate`.

There is no function that takes structs out of an update: whatever else in it hangs on them
would be left without its neighbours. An update is accepted or turned away as a whole.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Final, NamedTuple

#: Yjs keeps client ids in JavaScript numbers.
MAX_CLIENT: Final = 2**53 - 1
#: yrs computes with clocks in signed 32 bits.
MAX_CLOCK: Final = 2**31 - 1
#: How deep arrays and objects may lie in one another. Readers in C, Rust and JavaScript all
#: recurse; one update of two bytes a level would otherwise overflow their stack.
MAX_DEPTH: Final = 200

_HAS_ORIGIN: Final = 0x80
_HAS_RIGHT_ORIGIN: Final = 0x40
_HAS_PARENT_SUB: Final = 0x20
_CONTENT: Final = 0x1F


class MalformedUpdate(ValueError):
    """The bytes are no Yjs update, or one that not every implementation reads alike."""


class Kind(IntEnum):
    """What a struct is; the values are those of the wire."""

    #: A deleted struct of which only the length is left.
    GC = 0
    #: A deleted item that still knows its place.
    DELETED = 1
    BINARY = 3
    STRING = 4
    EMBED = 5
    FORMAT = 6
    #: A nested shared type.
    TYPE = 7
    #: Plain values.
    ANY = 8
    SUBDOCUMENT = 9
    #: Nothing: a hole between the structs before and after.
    SKIP = 10


class Id(NamedTuple):
    """The name of one element: who inserted it, and as which of theirs."""

    client: int
    clock: int


class Struct(NamedTuple):
    """One run of elements that a client inserted in one piece."""

    client: int
    clock: int
    length: int
    kind: Kind
    #: The element to the left of which, and to the right of which, it was inserted.
    origin: Id | None = None
    right_origin: Id | None = None
    #: The name of a root type, the id of the item of a nested type, or None where the parent
    #: is that of the origin (or of the right origin).
    parent: str | Id | None = None
    #: The key, for an entry of a map that has no origin.
    parent_sub: str | None = None
    #: Clocks of the second halves of surrogate pairs: nothing may be split before them.
    low_halves: tuple[int, ...] = ()

    @property
    def end(self) -> int:
        """The first clock after this struct."""
        return self.clock + self.length


class Update(NamedTuple):
    """A parsed update."""

    #: Of each client in the update, its structs in the order of clocks, without a gap (a
    #: hole is a struct of kind SKIP).
    clients: dict[int, tuple[Struct, ...]]
    deletions: IdRanges

    def structs(self) -> Iterator[Struct]:
        """Yield all structs, holes included."""
        for structs in self.clients.values():
            yield from structs


#: From how many ranges on sorting is quicker than inserting them.
_FEW: Final = 16


def _melt(pairs: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Return the starts and the ends of ranges, sorted, those that touch made one."""
    pairs.sort()
    starts = [pairs[0][0]]
    ends = [pairs[0][1]]
    for start, end in pairs:
        if start <= ends[-1]:
            if end > ends[-1]:
                ends[-1] = end
        else:
            starts.append(start)
            ends.append(end)
    return starts, ends


class IdRanges:
    """A set of ids, kept as sorted, disjoint ranges for each client.

    This is what Yjs calls a delete set, of use for other sets of ids as well.
    """

    __slots__ = ("_clients",)

    def __init__(self, ranges: Iterable[tuple[int, int, int]] = ()) -> None:
        """Take over ranges of (client, first clock, end clock), in any order."""
        #: Of each client the starts and the ends, both ascending.
        self._clients: dict[int, tuple[list[int], list[int]]] = {}
        if ranges == ():
            return
        by_client: dict[int, list[tuple[int, int]]] = {}
        for client, start, end in ranges:
            if start < end:
                by_client.setdefault(client, []).append((start, end))
        for client, pairs in by_client.items():
            self._clients[client] = _melt(pairs)

    def add(self, client: int, start: int, end: int) -> None:
        """Add the clocks from ``start`` up to, but without, ``end``."""
        if start >= end:
            return
        found = self._clients.get(client)
        if found is None:
            self._clients[client] = ([start], [end])
            return
        starts, ends = found
        if start > ends[-1]:  # by far the most common case
            starts.append(start)
            ends.append(end)
            return
        # All ranges that overlap or touch the new one melt into it.
        first = bisect_left(ends, start)
        last = bisect_right(starts, end)
        if first < last:
            start = min(start, starts[first])
            end = max(end, ends[last - 1])
        starts[first:last] = [start]
        ends[first:last] = [end]

    def merge(self, other: IdRanges) -> None:
        """Add all ids of another set."""
        for client, (starts, ends) in other._clients.items():
            mine = self._clients.get(client)
            if mine is not None and len(starts) <= _FEW:
                for start, end in zip(starts, ends, strict=True):
                    self.add(client, start, end)
            elif mine is None:
                self._clients[client] = (starts.copy(), ends.copy())
            else:
                # One by one, each might move all that come after it.
                pairs = [*zip(*mine, strict=True), *zip(starts, ends, strict=True)]
                self._clients[client] = _melt(pairs)

    def covers(self, client: int, start: int, end: int) -> bool:
        """Tell whether all clocks from ``start`` up to ``end`` are in the set."""
        if start >= end:
            return True
        found = self._clients.get(client)
        if found is None:
            return False
        starts, ends = found
        index = bisect_right(starts, start) - 1
        return index >= 0 and ends[index] >= end

    def has(self, id_: Id) -> bool:
        """Tell whether one id is in the set."""
        return self.covers(id_.client, id_.clock, id_.clock + 1)

    def missing(self, other: IdRanges) -> IdRanges:
        """Return the ids of ``other`` that this set lacks."""
        if not other._clients:
            return IdRanges()
        return IdRanges(
            (client, *gap) for client, start, end in other for gap in self._gaps(client, start, end)
        )

    def overlaps(self, other: IdRanges) -> bool:
        """Tell whether any id is in both sets."""
        return any(
            list(self._gaps(client, start, end)) != [(start, end)] for client, start, end in other
        )

    def remove(self, other: IdRanges) -> None:
        """Take out all ids of another set."""
        for client in {client for client, _, _ in other}:
            if client not in self._clients:
                continue
            kept = [
                gap
                for start, end in list(zip(*self._clients[client], strict=True))
                for gap in other._gaps(client, start, end)
            ]
            if kept:
                self._clients[client] = ([start for start, _ in kept], [end for _, end in kept])
            else:
                del self._clients[client]

    def _gaps(self, client: int, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield the parts of a range that are not in the set."""
        starts, ends = self._clients.get(client, ((), ()))
        index = bisect_right(ends, start)
        while start < end:
            if index == len(starts) or starts[index] >= end:
                yield start, end
                return
            if start < starts[index]:
                yield start, starts[index]
            start = ends[index]
            index += 1

    def clients(self) -> tuple[int, ...]:
        """Return the clients of which any id is in the set."""
        return tuple(self._clients)

    def copy(self) -> IdRanges:
        """Return a set of the same ids that changes on its own."""
        copied = IdRanges()
        copied._clients = {
            client: (starts.copy(), ends.copy()) for client, (starts, ends) in self._clients.items()
        }
        return copied

    def encode(self) -> bytes:
        """Return the set as a Yjs delete set (version 1)."""
        out = bytearray()
        write_varuint(out, len(self._clients))
        for client in sorted(self._clients, reverse=True):
            starts, ends = self._clients[client]
            write_varuint(out, client)
            write_varuint(out, len(starts))
            for start, end in zip(starts, ends, strict=True):
                write_varuint(out, start)
                write_varuint(out, end - start)
        return bytes(out)

    @classmethod
    def decode(cls, data: bytes) -> IdRanges:
        """Read a Yjs delete set (version 1), such as that of a transaction.

        Raises:
            MalformedUpdate: The bytes are none.
        """
        reader = Reader(data)
        ranges = _read_deletions(reader)
        reader.expect_end()
        return ranges

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """Yield (client, first clock, end clock), the clocks of each client ascending."""
        for client, (starts, ends) in self._clients.items():
            for start, end in zip(starts, ends, strict=True):
                yield client, start, end

    def __bool__(self) -> bool:
        return bool(self._clients)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IdRanges):
            return NotImplemented
        return self._clients == other._clients

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"IdRanges({list(self)!r})"


class Reader:
    """Reads lib0's primitives; every step is checked against the end of the input."""

    __slots__ = ("data", "end", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        self.end = len(data)

    def byte(self) -> int:
        """Read one byte."""
        if self.position >= self.end:
            raise MalformedUpdate("The input ends too early.")
        value = self.data[self.position]
        self.position += 1
        return value

    def varuint(self, limit: int = MAX_CLIENT) -> int:
        """Read an unsigned number of at most ``limit``, in the shortest form alone."""
        data, position, end = self.data, self.position, self.end
        if position < end and (value := data[position]) < 0x80 and value <= limit:
            self.position = position + 1
            return value
        value = shift = 0
        while True:
            if position >= end:
                raise MalformedUpdate("The input ends too early.")
            part = data[position]
            position += 1
            value |= (part & 0x7F) << shift
            if value > limit:
                raise MalformedUpdate("A number is too large.")
            if part < 0x80:
                break
            shift += 7
            if shift > 49:
                raise MalformedUpdate("A number is too large.")
        if shift and not part:
            raise MalformedUpdate("A number is not in its shortest form.")
        self.position = position
        return value

    def skip_varint(self) -> None:
        """Pass over a signed number of at most 53 bits."""
        part = self.byte()
        value, shift = part & 0x3F, 6
        while part >= 0x80:
            if shift > 48:
                raise MalformedUpdate("A number is too large.")
            part = self.byte()
            value |= (part & 0x7F) << shift
            shift += 7
        if value > MAX_CLIENT:
            raise MalformedUpdate("A number is too large.")
        if shift > 6 and not part:
            raise MalformedUpdate("A number is not in its shortest form.")

    def count(self, bytes_each: int) -> int:
        """Read how many things follow, each of which takes at least so many bytes."""
        value = self.varuint()
        if value * bytes_each > self.end - self.position:
            raise MalformedUpdate("The input ends too early.")
        return value

    def skip(self, length: int) -> None:
        """Pass over some bytes."""
        if length > self.end - self.position:
            raise MalformedUpdate("The input ends too early.")
        self.position += length

    def blob(self) -> bytes:
        """Read bytes that are preceded by their number."""
        length = self.varuint()
        start = self.position
        self.skip(length)
        return self.data[start : self.position]

    def string(self) -> str:
        """Read a string: UTF-8, preceded by its number of bytes."""
        try:
            return self.blob().decode()
        except UnicodeDecodeError:
            raise MalformedUpdate("A string is not UTF-8.") from None

    def expect_end(self) -> None:
        """Raise unless all input was read."""
        if self.position != self.end:
            raise MalformedUpdate("There is more after the end.")


def write_varuint(out: bytearray, value: int) -> None:
    """Append an unsigned number in lib0's form."""
    while value > 0x7F:
        out.append(0x80 | (value & 0x7F))
        value >>= 7
    out.append(value)


def write_blob(out: bytearray, blob: bytes) -> None:
    """Append bytes, preceded by their number."""
    write_varuint(out, len(blob))
    out += blob


def write_string(out: bytearray, text: str) -> None:
    """Append a string: UTF-8, preceded by its number of bytes."""
    write_blob(out, text.encode())


def utf16_length(text: str) -> int:
    """Return how many UTF-16 code units a text takes: what Yjs counts."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def parse_update(data: bytes) -> Update:
    """Read a Yjs update (version 1), all of it.

    The cost is linear: about one second for a million structs, so large ones belong in a
    worker thread.

    Raises:
        MalformedUpdate: The bytes are no update, or hold what implementations don't read
            alike: a second section for the same client, a struct of no length, the content
            types that are out of use (JSON, XML hooks) or not in Yjs (weak links), numbers not
            in the shortest form, JSON that is not strict, deep nesting.
    """
    reader = Reader(data)
    clients: dict[int, tuple[Struct, ...]] = {}
    for _ in range(reader.count(bytes_each=5)):
        # The smallest struct is a hole or a deleted run: two bytes.
        number = reader.count(bytes_each=2)
        client = reader.varuint(MAX_CLIENT)
        clock = reader.varuint(MAX_CLOCK)
        if client in clients:
            raise MalformedUpdate("A client occurs twice.")
        if not number:
            raise MalformedUpdate("A client occurs without structs.")
        structs: list[Struct] = []
        for _ in range(number):
            struct = _read_struct(reader, client, clock)
            clock = struct.end
            if clock > MAX_CLOCK:
                raise MalformedUpdate("A clock is too large.")
            structs.append(struct)
        clients[client] = tuple(structs)
    deletions = _read_deletions(reader)
    reader.expect_end()
    return Update(clients, deletions)


def struct_ranges(data: bytes) -> dict[int, tuple[int, int]]:
    """Return for each client in an update its first clock and its end clock.

    Holes at either end don't count; a client of which nothing but a hole is there is left out.

    Raises:
        MalformedUpdate: As of :func:`parse_update`.
    """
    ranges: dict[int, tuple[int, int]] = {}
    for client, structs in parse_update(data).clients.items():
        held = [struct for struct in structs if struct.kind is not Kind.SKIP]
        if held:
            ranges[client] = (held[0].clock, held[-1].end)
    return ranges


def with_deletions(data: bytes, deletions: IdRanges) -> bytes:
    """Return an update with other deletions in place of its own.

    Raises:
        MalformedUpdate: As of :func:`parse_update`.
    """
    reader = Reader(data)
    for _ in _walk(reader):
        pass
    return data[: reader.position] + deletions.encode()


def without_deleted_content(data: bytes) -> bytes:
    """Return an update without the text and the values that it inserts and deletes again.

    What is left of them is their place and length, as when a document collects its garbage.
    Shared types stay, as others may hang on them.

    Raises:
        MalformedUpdate: As of :func:`parse_update`.
    """
    deletions = parse_update(data).deletions
    reader = Reader(data)
    out = bytearray()
    copied = 0
    for struct, start, content in _walk(reader):
        if struct.kind not in _PLAIN or not deletions.covers(
            struct.client, struct.clock, struct.end
        ):
            continue
        out += data[copied:start]
        out.append((data[start] & ~_CONTENT) | Kind.DELETED)
        out += data[start + 1 : content]
        write_varuint(out, struct.length)
        copied = reader.position
    return bytes(out + data[copied:])


#: Content that nothing hangs on but neighbours.
_PLAIN: Final = frozenset({Kind.BINARY, Kind.STRING, Kind.EMBED, Kind.ANY})


def _walk(reader: Reader) -> Iterator[tuple[Struct, int, int]]:
    """Yield the structs of an update, where each begins, and where its content does."""
    for _ in range(reader.count(bytes_each=5)):
        number = reader.count(bytes_each=2)
        client = reader.varuint(MAX_CLIENT)
        clock = reader.varuint(MAX_CLOCK)
        for _ in range(number):
            start = reader.position
            struct = _read_struct(reader, client, clock)
            yield struct, start, _content_start(reader.data, start)
            clock = struct.end


def _content_start(data: bytes, start: int) -> int:
    """Return where the content of a struct begins that can be read."""
    reader = Reader(data)
    reader.position = start
    info = reader.byte()
    if info in (Kind.GC, Kind.SKIP):
        return reader.position
    for flag in (_HAS_ORIGIN, _HAS_RIGHT_ORIGIN):
        if info & flag:
            _read_id(reader)
    if not info & (_HAS_ORIGIN | _HAS_RIGHT_ORIGIN):
        if reader.varuint(1):
            reader.string()
        else:
            _read_id(reader)
        if info & _HAS_PARENT_SUB:
            reader.string()
    return reader.position


def decode_state_vector(data: bytes) -> dict[int, int]:
    """Read a state vector: of each client, how much of it is known.

    Raises:
        MalformedUpdate: The bytes are none.
    """
    reader = Reader(data)
    vector: dict[int, int] = {}
    for _ in range(reader.count(bytes_each=2)):
        client = reader.varuint(MAX_CLIENT)
        if client in vector:
            raise MalformedUpdate("A client occurs twice.")
        vector[client] = reader.varuint(MAX_CLOCK)
    reader.expect_end()
    return vector


def encode_state_vector(vector: Mapping[int, int]) -> bytes:
    """Return a state vector in Yjs's form, clients of nothing left out."""
    known = {client: clock for client, clock in vector.items() if clock}
    out = bytearray()
    write_varuint(out, len(known))
    for client in sorted(known, reverse=True):
        write_varuint(out, client)
        write_varuint(out, known[client])
    return bytes(out)


def _read_struct(reader: Reader, client: int, clock: int) -> Struct:
    info = reader.byte()
    if info == Kind.GC:
        return Struct(client, clock, _length(reader), Kind.GC)
    if info == Kind.SKIP:
        return Struct(client, clock, _length(reader), Kind.SKIP)
    read = _CONTENT_READERS.get(info & _CONTENT)
    if read is None:
        raise MalformedUpdate("A struct has content that is not supported.")
    origin = _read_id(reader) if info & _HAS_ORIGIN else None
    right_origin = _read_id(reader) if info & _HAS_RIGHT_ORIGIN else None
    parent: str | Id | None = None
    parent_sub = None
    if origin is None and right_origin is None:
        parent = reader.string() if reader.varuint(1) else _read_id(reader)
        if info & _HAS_PARENT_SUB:
            parent_sub = reader.string()
    length, low_halves = read(reader)
    if not length:
        raise MalformedUpdate("A struct has no length.")
    return Struct(
        client,
        clock,
        length,
        Kind(info & _CONTENT),
        origin,
        right_origin,
        parent,
        parent_sub,
        tuple(clock + offset for offset in low_halves) if low_halves else (),
    )


def _read_id(reader: Reader) -> Id:
    return Id(reader.varuint(MAX_CLIENT), reader.varuint(MAX_CLOCK))


def _length(reader: Reader) -> int:
    length = reader.varuint(MAX_CLOCK)
    if not length:
        raise MalformedUpdate("A length is zero.")
    return length


#: The length of some content, and the offsets of the second halves of its surrogate pairs.
_Extent = tuple[int, tuple[int, ...] | list[int]]


def _read_deleted(reader: Reader) -> _Extent:
    return _length(reader), ()


def _read_binary(reader: Reader) -> _Extent:
    reader.blob()
    return 1, ()


def _read_string(reader: Reader) -> _Extent:
    text = reader.string()
    if text.isascii():
        return len(text), ()
    low_halves = []
    offset = 0
    for character in text:
        if character > "\uffff":
            low_halves.append(offset + 1)
            offset += 1
        offset += 1
    return offset, low_halves


def _read_embed(reader: Reader) -> _Extent:
    _check_json(reader.string())
    return 1, ()


def _read_format(reader: Reader) -> _Extent:
    reader.string()
    _check_json(reader.string())
    return 1, ()


#: Arrays, maps, texts, XML elements, fragments and texts. An XML hook (5) has a name in Yjs and
#: none in yrs; weak links (7) and beyond are not in Yjs.
_TYPES: Final = frozenset({0, 1, 2, 3, 4, 6})
_XML_ELEMENT: Final = 3


def _read_type(reader: Reader) -> _Extent:
    type_ref = reader.byte()
    if type_ref not in _TYPES:
        raise MalformedUpdate("A shared type is not supported.")
    if type_ref == _XML_ELEMENT:
        reader.string()
    return 1, ()


def _read_any_list(reader: Reader) -> _Extent:
    count = reader.count(bytes_each=1)
    _skip_any(reader, count)
    return count, ()


def _read_subdocument(reader: Reader) -> _Extent:
    reader.string()
    _skip_any(reader, 1)
    return 1, ()


# JSON content (2) is out of use since Yjs 13, and yrs reads one string too many of it.
_CONTENT_READERS: Final[dict[int, Callable[[Reader], _Extent]]] = {
    Kind.DELETED: _read_deleted,
    Kind.BINARY: _read_binary,
    Kind.STRING: _read_string,
    Kind.EMBED: _read_embed,
    Kind.FORMAT: _read_format,
    Kind.TYPE: _read_type,
    Kind.ANY: _read_any_list,
    Kind.SUBDOCUMENT: _read_subdocument,
}


def _skip_any(reader: Reader, count: int) -> None:
    """Pass over so many plain values in lib0's "any" form."""
    # Of each open array or object: how many values are left, and whether keys precede them.
    open_: list[tuple[int, bool]] = [(count, False)]
    while open_:
        left, keyed = open_[-1]
        if not left:
            open_.pop()
            continue
        open_[-1] = (left - 1, keyed)
        if keyed:
            reader.string()
        tag = reader.byte()
        if 120 <= tag <= 127 and tag not in (122, 123, 124, 125):
            continue  # undefined, null, false, true
        if tag == 119:
            reader.string()
        elif tag == 125:
            reader.skip_varint()
        elif tag in (122, 123):
            reader.skip(8)  # a big integer, a double
        elif tag == 124:
            reader.skip(4)  # a float
        elif tag == 116:
            reader.blob()
        elif tag in (117, 118):
            if len(open_) > MAX_DEPTH:
                raise MalformedUpdate("Values are nested too deeply.")
            keyed = tag == 118
            open_.append((reader.count(bytes_each=2 if keyed else 1), keyed))
        else:
            raise MalformedUpdate("A value has an unknown type.")


def _check_json(text: str) -> None:
    """Raise unless this is JSON that all implementations read alike."""
    try:
        value = json.loads(text, parse_int=float, parse_constant=_refuse_constant)
        if "\\u" in text:
            # An escaped half of a surrogate pair is read by some, refused by others.
            json.dumps(value, ensure_ascii=False).encode()
        # Numbers beyond a double's range become infinite.
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        raise MalformedUpdate("A value is not JSON.") from None
    if _too_deep(value):
        raise MalformedUpdate("Values are nested too deeply.")


def _refuse_constant(name: str) -> object:
    raise ValueError(name)


def _too_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def _read_deletions(reader: Reader) -> IdRanges:
    clients = reader.count(bytes_each=2)
    if not clients:
        return IdRanges()
    ranges: list[tuple[int, int, int]] = []
    seen: set[int] = set()
    for _ in range(clients):
        client = reader.varuint(MAX_CLIENT)
        if client in seen:
            raise MalformedUpdate("A client occurs twice.")
        seen.add(client)
        for _ in range(reader.count(bytes_each=2)):
            start = reader.varuint(MAX_CLOCK)
            # Yjs throws where it has to keep a deletion of nothing for later.
            length = _length(reader)
            if start + length > MAX_CLOCK:
                raise MalformedUpdate("A clock is too large.")
            ranges.append((client, start, start + length))
    return IdRanges(ranges)
