"""Held against updates by real Yjs, against pycrdt, and against garbage."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, get_state

from jupyter_collab_ai.rooms.yupdate import (
    MAX_CLOCK,
    Id,
    IdRanges,
    Kind,
    MalformedUpdate,
    decode_state_vector,
    encode_state_vector,
    parse_update,
    struct_ranges,
    utf16_length,
    write_varuint,
)

SEEDED = settings(derandomize=True, deadline=None, max_examples=300)

FIXTURES = json.loads((Path(__file__).parent / "fixtures" / "updates.json").read_text())
#: What Yjs calls each kind.
KINDS = {
    "GC": Kind.GC,
    "Skip": Kind.SKIP,
    "ContentDeleted": Kind.DELETED,
    "ContentBinary": Kind.BINARY,
    "ContentString": Kind.STRING,
    "ContentEmbed": Kind.EMBED,
    "ContentFormat": Kind.FORMAT,
    "ContentType": Kind.TYPE,
    "ContentAny": Kind.ANY,
    "ContentDoc": Kind.SUBDOCUMENT,
}
UPDATES = [base64.b64decode(fixture["update"]) for fixture in FIXTURES]


def as_id(pair: list[int] | None) -> Id | None:
    return None if pair is None else Id(*pair)


@pytest.mark.parametrize("fixture", FIXTURES, ids=lambda it: it["name"])
def test_reads_what_yjs_reads(fixture):
    update = parse_update(base64.b64decode(fixture["update"]))
    expected = []
    for it in fixture["structs"]:
        parent = it.get("parent")
        expected.append(
            (
                it["client"],
                it["clock"],
                it["length"],
                KINDS[it["kind"]],
                as_id(it.get("origin")),
                as_id(it.get("right_origin")),
                Id(*parent) if isinstance(parent, list) else parent,
                it.get("parent_sub"),
            )
        )
    assert [struct[:8] for struct in update.structs()] == expected
    assert update.deletions == IdRanges(
        (client, clock, clock + length) for client, clock, length in fixture["deletions"]
    )


def test_the_fixtures_hold_every_kind():
    seen = {struct.kind for data in UPDATES for struct in parse_update(data).structs()}
    assert seen == set(Kind)


def test_struct_ranges_leave_holes_out():
    by_name = {it["name"]: base64.b64decode(it["update"]) for it in FIXTURES}
    assert struct_ranges(by_name["merged, with a hole"]) == {30: (0, 6)}
    assert struct_ranges(by_name["merged, from the middle"]) == {30: (3, 5)}
    assert struct_ranges(by_name["a deletion alone"]) == {}


def test_second_halves_of_surrogate_pairs_are_known():
    (struct,) = parse_update(
        bytes([1, 1, 5, 0, 4, 1, 1, 116, 6]) + "a😀b".encode() + b"\0"
    ).structs()
    assert struct.length == 4
    assert struct.low_halves == (2,)


# ---------------------------------------------------------------- against pycrdt

OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["text", "erase", "map", "unmap", "push", "pop", "nest"]),
        st.integers(0, 1000),
        st.text("ab é漢😀\n", min_size=1, max_size=6),
    ),
    max_size=25,
)


def apply(doc: Doc, operation: tuple[str, int, str]) -> None:
    what, number, text = operation
    source = doc.get("source", type=Text)
    cells = doc.get("cells", type=Array)
    meta = doc.get("meta", type=Map)
    content = str(source)
    if what == "text":
        at = number % (len(content) + 1)
        source.insert(len(content[:at].encode()), text)
    elif what == "erase" and content:
        start = number % len(content)
        end = min(len(content), start + 3)
        del source[len(content[:start].encode()) : len(content[:end].encode())]
    elif what == "map":
        meta[f"k{number % 3}"] = {"text": [text, number, None, 0.5, True, b"\0"]}
    elif what == "unmap" and f"k{number % 3}" in meta:
        del meta[f"k{number % 3}"]
    elif what == "push":
        cells.append(text)
    elif what == "pop" and len(cells):
        del cells[number % len(cells)]
    elif what == "nest":
        cells.append(Map({"source": Text(text), "list": Array([number])}))


@SEEDED
@given(OPERATIONS, st.integers(1, 2**53 - 1))
def test_agrees_with_pycrdt(operations, client):
    doc = Doc(client_id=client)
    updates: list[tuple[bytes, bytes, bytes]] = []
    doc.observe(lambda event: updates.append((event.update, event.before_state, event.after_state)))
    deletions = IdRanges()
    for operation in operations:
        apply(doc, operation)
    for data, before, after in updates:
        update = parse_update(data)
        deletions.merge(update.deletions)
        known, now = decode_state_vector(before), decode_state_vector(after)
        assert struct_ranges(data) == {
            client: (known.get(client, 0), end)
            for client, end in now.items()
            if end != known.get(client, 0)
        }
    whole = parse_update(doc.get_update())
    assert whole.deletions == deletions
    state = {client: structs[-1].end for client, structs in whole.clients.items()}
    assert encode_state_vector(state) == doc.get_state() == get_state(doc.get_update())


# ---------------------------------------------------------------- garbage


def read_or_refuse(data: bytes) -> bool:
    try:
        parse_update(data)
    except MalformedUpdate:
        return False
    return True


@pytest.mark.parametrize("data", UPDATES, ids=[it["name"] for it in FIXTURES])
def test_what_is_cut_off_or_has_more_is_malformed(data):
    assert not any(read_or_refuse(data[:end]) for end in range(len(data)))
    assert not read_or_refuse(data + b"\0")


@settings(SEEDED, max_examples=3000)
@given(st.binary(max_size=200))
def test_garbage_raises_nothing_else(data):
    read_or_refuse(data)
    for decode in (decode_state_vector, IdRanges.decode, struct_ranges):
        with contextlib.suppress(MalformedUpdate):
            decode(data)


def test_damaged_updates_raise_nothing_else_and_what_is_read_pycrdt_reads_too():
    """Of 20,000 updates with a few bytes changed, a good part is still readable."""
    chance = random.Random(7)
    read = 0
    for _ in range(20_000):
        data = bytearray(chance.choice(UPDATES))
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] = chance.choice(
                (0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256))
            )
        if read_or_refuse(bytes(data)):
            read += 1
            try:
                Doc().apply_update(bytes(data))
            except RuntimeError as error:  # readable, but it hangs on what is not there
                assert "block parent" in str(error)
    assert read > 2000


def counted(*values: int) -> bytes:
    out = bytearray()
    for value in values:
        write_varuint(out, value)
    return bytes(out)


HEAD = bytes([1, 1, 5, 0])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        counted(2**40, 1, 1),
        counted(1, 2**40, 1, 0),
        counted(0, 2**40),
        counted(0, 1, 5, 2**40),
        HEAD + counted(0, MAX_CLOCK + 1) + b"\0",
        counted(1, 2, 5, 0) + counted(0, MAX_CLOCK) + counted(0, 1) + b"\0",
        counted(0, 1, 5, 1, MAX_CLOCK, 1),
        counted(0, 1, 2**53, 1, 0, 1),
        HEAD + bytes([0, 0, 0]),  # no length
        bytes([0, 1, 5, 1, 3, 0]),  # a deletion of nothing, which makes Yjs throw
        HEAD + bytes([4, 1, 1, 116, 0, 0]),  # an empty string
        HEAD + bytes([8, 1, 1, 116, 0, 0]),  # an empty list
        HEAD + bytes([4, 2, 1, 116, 1, 97, 0]),  # neither a name nor an id
        HEAD + bytes([4, 1, 1, 0xFF, 1, 97, 0]),  # not UTF-8
        HEAD + bytes([4, 1, 1, 116, 3, 0xED, 0xA0, 0x80, 0]),  # half a surrogate pair
        HEAD + bytes([2, 1, 1, 97, 1, 1, 49, 0]),  # JSON content
        HEAD + bytes([7, 1, 1, 97, 5, 1, 97, 0]),  # an XML hook
        HEAD + bytes([7, 1, 1, 97, 7, 0]),  # a weak link
        HEAD + bytes([0x80, 1, 0]),  # a deleted run with an origin
        HEAD + bytes([8, 1, 1, 97, 1, 115, 0]),  # a value of no type
        bytes([1, 1, 0x85, 0, 0, 0, 1, 0]),  # a number in a longer form than needed
        bytes([2, 1, 5, 0, 0, 1, 1, 5, 1, 0, 1, 0]),  # a client twice
        bytes([1, 0, 5, 0, 0]),  # a client without structs
        bytes([0, 2, 5, 1, 0, 1, 5, 1, 1, 1]),
    ],
)
def test_odd_input_is_malformed(data):
    assert not read_or_refuse(data)


@pytest.mark.parametrize(
    "text",
    ["", "undefined", "NaN", "1e999", "1" + "0" * 400, '"\\ud800"', "[" * 100_000, "[1,]", '"\n"'],
)
def test_json_that_not_all_read_alike_is_malformed(text):
    body = counted(len(text.encode())) + text.encode()
    assert not read_or_refuse(HEAD + bytes([5, 1, 1, 116]) + body + b"\0")


def test_json_is_read():
    body = json.dumps({"a": [1, -2.5e3, None, True, "é😀\u2028"]}).encode()
    assert read_or_refuse(HEAD + bytes([5, 1, 1, 116]) + counted(len(body)) + body + b"\0")


def test_deep_nesting_is_malformed_before_it_overflows_a_stack():
    head = HEAD + bytes([8, 1, 1, 97, 1])
    assert read_or_refuse(head + bytes([117, 1]) * 200 + bytes([126, 0]))
    assert not read_or_refuse(head + bytes([117, 1]) * 201 + bytes([126, 0]))
    assert not read_or_refuse(head + bytes([117, 1]) * 1_000_000 + bytes([126, 0]))
    deep = b"[" * 300 + b"]" * 300
    assert not read_or_refuse(HEAD + bytes([5, 1, 1, 116]) + counted(len(deep)) + deep + b"\0")


def test_hostile_delete_sets_take_no_more_than_linear_time():
    """Descending ranges would each move all that are there already."""
    number = 200_000
    ranges = b"".join(counted(2 * index, 1) for index in reversed(range(number)))
    start = time.process_time()
    deletions = parse_update(b"\0" + counted(1, 5, number) + ranges).deletions
    odd = IdRanges((5, 2 * index + 1, 2 * index + 2) for index in range(number - 1))
    deletions.merge(odd)
    assert list(deletions) == [(5, 0, 2 * number - 1)]
    assert time.process_time() - start < 10


# ---------------------------------------------------------------- state vectors


@SEEDED
@given(st.dictionaries(st.integers(0, 2**53 - 1), st.integers(1, MAX_CLOCK)))
def test_state_vectors_there_and_back(vector):
    assert decode_state_vector(encode_state_vector(vector)) == vector


def test_state_vectors_leave_out_clients_of_nothing():
    assert encode_state_vector({5: 0, 6: 1}) == bytes([1, 6, 1])


# ---------------------------------------------------------------- sets of ids

RANGES = st.lists(
    st.tuples(st.integers(1, 2), st.integers(0, 60), st.integers(0, 9)).map(
        lambda it: (it[0], it[1], it[1] + it[2])
    ),
    max_size=40,
)


def members(ranges) -> set[tuple[int, int]]:
    return {(client, clock) for client, start, end in ranges for clock in range(start, end)}


@SEEDED
@given(RANGES, RANGES)
def test_sets_of_ids_are_sets(left, right):
    one, other = IdRanges(left), IdRanges(right)
    added = IdRanges()
    for client, start, end in left:
        added.add(client, start, end)
    assert added == one
    listed = list(one)
    assert sorted(listed) == listed or len(one.clients()) > 1
    for (client, _, end), (next_client, start, _) in itertools.pairwise(listed):
        assert client != next_client or end < start
    assert members(one) == members(left)
    assert members(one.missing(other)) == members(right) - members(left)
    assert one.overlaps(other) == bool(members(left) & members(right))
    for client, start, end in right:
        assert one.covers(client, start, end) == (
            {(client, clock) for clock in range(start, end)} <= members(left)
        )
    united, rest = one.copy(), one.copy()
    united.merge(other)
    assert members(united) == members(left) | members(right)
    rest.remove(other)
    assert members(rest) == members(left) - members(right)
    assert rest == IdRanges(rest)
    assert members(one) == members(left)
    assert IdRanges.decode(one.encode()) == one
    assert bool(one) == bool(members(left))


@SEEDED
@given(st.text())
def test_utf16_length(text):
    assert utf16_length(text) == len(text.encode("utf-16-le")) // 2
