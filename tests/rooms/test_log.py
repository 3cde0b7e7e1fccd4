"""The log of updates: what is recorded, in which order, and what is refused."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.ids import UserId
from jupyter_collab_ai.rooms.documents import Document, Documents
from jupyter_collab_ai.rooms.log import (
    ClientRecord,
    DocumentForgotten,
    Entry,
    Known,
    LogGone,
    LogMoved,
    Origin,
    UpdateLog,
    append,
)
from jupyter_collab_ai.storage.database import Database, Tx

ADA = UserId("ada")
ENTRIES = [
    Entry(b"\x00one", Origin.CLIENT, ADA),
    Entry(b"", Origin.DISK),
    Entry(bytes(range(256)) * 400, Origin.AI, ADA),
]


@pytest.fixture
async def document(database: Database) -> Document:
    """A document that nothing was recorded of."""
    return await Documents(database).ensure("a.py")


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_updates_alone_are_recorded_as_those_with_more(
    database: Database, document: Document, count: int
) -> None:
    log = UpdateLog(database)
    entries = ENTRIES[:count]
    other = await Documents(database).ensure("b.py")
    before = utcnow()
    assert await log.append(document.id, document.epoch, 0, entries) == count

    def record(tx: Tx) -> int:
        return append(tx, other.id, other.epoch, 0, entries)

    assert await database.write(record) == count
    rows = await log.after(document.id, document.epoch, 0)
    assert [(row.seq, row.data, row.origin, row.user_id) for row in rows] == [
        (seq, entry.data, entry.origin, entry.user_id) for seq, entry in enumerate(entries, start=1)
    ]
    assert all(before <= row.at <= utcnow() for row in rows)
    others = await log.after(other.id, other.epoch, 0)
    assert [(row.seq, row.data, row.origin, row.user_id) for row in others] == [
        (row.seq, row.data, row.origin, row.user_id) for row in rows
    ]
    seqs = await Documents(database).seqs([document.id, other.id])
    assert set(seqs.values()) == {count}


@pytest.mark.parametrize("learned", [None, Known([ClientRecord(1, ADA)])])
async def test_what_others_have_recorded_has_to_be_seen_first(
    database: Database, document: Document, learned: Known | None
) -> None:
    log = UpdateLog(database)
    await log.append(document.id, document.epoch, 0, ENTRIES[:1])
    for expected in (0, 2):
        with pytest.raises(LogMoved):
            await log.append(document.id, document.epoch, expected, ENTRIES[1:], learned=learned)
    with pytest.raises(LogGone):
        await log.append(document.id, "another", 1, ENTRIES[1:], learned=learned)
    assert len(await log.after(document.id, document.epoch, 0)) == 1
    assert await log.known(document.id) == Known([], [])
    await Documents(database).forget("a.py")
    with pytest.raises(DocumentForgotten):
        await log.append(document.id, document.epoch, 1, ENTRIES[1:], learned=learned)


async def test_of_many_at_once_each_place_in_the_log_is_taken_once(
    database: Database, document: Document
) -> None:
    log = UpdateLog(database)

    async def write(number: int) -> None:
        data = [Entry(b"%d" % number, Origin.CLIENT), Entry(b"%d again" % number, Origin.CLIENT)]
        while True:
            seq = (await Documents(database).seqs([document.id]))[document.id]
            try:
                await log.append(document.id, document.epoch, seq, data)
            except LogMoved:
                continue
            return

    await asyncio.gather(*map(write, range(8)))
    rows = await log.after(document.id, document.epoch, 0)
    assert [row.seq for row in rows] == list(range(1, 17))
    # Nothing came between the two of one writer.
    written = [row.data for row in rows]
    assert [one + b" again" for one in written[::2]] == written[1::2]
    assert sorted(written[::2]) == [b"%d" % number for number in range(8)]
