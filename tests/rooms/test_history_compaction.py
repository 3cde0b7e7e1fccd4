"""The log stays small, and is still the whole truth."""

from __future__ import annotations

import asyncio
import base64
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text
from sqlalchemy import select, update

from jupyter_collab_ai.ids import DocumentId, UserId
from jupyter_collab_ai.rooms import compaction, registry
from jupyter_collab_ai.rooms.compaction import Plan, plan_days, plan_spans
from jupyter_collab_ai.rooms.content import build, make_cell
from jupyter_collab_ai.rooms.log import NotKept, Origin, Recorded
from jupyter_collab_ai.rooms.shared import SharedDocuments
from jupyter_collab_ai.rooms.spans import by_day, group
from jupyter_collab_ai.rooms.tally import Tally
from jupyter_collab_ai.rooms.timeline import Recent, pieces_of
from jupyter_collab_ai.rooms.yupdate import IdRanges, decode_state_vector, parse_update
from jupyter_collab_ai.storage.tables import document_snapshots, document_spans, documents
from tests.rooms.engine import House, until
from tests.rooms.past import Desk, names

BEGUN = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime(2027, 1, 1, tzinfo=UTC)


def state_of(updates: list[bytes]) -> tuple[str, Any, dict[int, int], list[tuple[int, int, int]]]:
    """Return all that can be told of a document: texts, cells, what is known and deleted."""
    doc = build(updates)
    everything = parse_update(doc.get_update())
    return (
        str(doc.get("source", type=Text)),
        [cell.to_py() for cell in doc.get("cells", type=Array)],
        {client: structs[-1].end for client, structs in everything.clients.items()},
        sorted(everything.deletions),
    )


class Log:
    """A log as random people write it, each with a copy of their own."""

    def __init__(self) -> None:
        self.copies = {name: Doc(client_id=1000 + number) for number, name in enumerate("abc")}
        self.rows: list[Recorded] = []
        self.now = BEGUN
        self._sent: list[bytes] = []
        for doc in self.copies.values():
            doc.observe(lambda event: self._sent.append(event.update))

    def step(self, name: str, action: str, where: int, pause: int) -> None:
        doc = self.copies[name]
        text: Text = doc.get("source", type=Text)
        cells: Array[Any] = doc.get("cells", type=Array)
        state: Map[Any] = doc.get("state", type=Map)
        self._sent.clear()
        length = len(str(text))
        at = len(str(text)[: where % (length + 1)].encode())
        with doc.transaction():
            if action == "type":
                text.insert(at, "xyä😀"[where % 4] * (1 + where % 3))
            elif action == "delete" and length:
                del text[at : at + len(str(text).encode()[at:].decode()[:3].encode())]
            elif action == "cell":
                cells.insert(where % (len(cells) + 1), _cell(f"{name}{where}{len(self.rows)}"))
            elif action == "uncell" and len(cells):
                del cells[where % len(cells)]
            elif action == "set" and len(cells):
                cells[where % len(cells)]["execution_count"] = float(where)
            elif action == "state":
                state["document_id"] = f"{where}"
        updates = [*self._sent]
        self.now += timedelta(seconds=pause)
        for data in updates:
            for other in self.copies.values():
                if other is not doc:
                    other.apply_update(data)
            self.rows.append(
                Recorded(len(self.rows) + 1, data, Origin.CLIENT, UserId(f"id-{name}"), self.now)
            )
        self._sent.clear()


def _cell(id_: str) -> Map[Any]:
    return make_cell({"id": id_, "cell_type": "code", "source": f"print({id_!r})"})


steps = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["type", "type", "type", "delete", "cell", "uncell", "set", "state"]),
        st.integers(0, 40),
        st.sampled_from([0, 1, 30, 200, 400, 4000, 90000]),
    ),
    min_size=1,
    max_size=60,
)


def written(plan: list[tuple[str, str, int, int]]) -> Log:
    log = Log()
    for step in plan:
        log.step(*step)
    return log


def compacted(
    rows: list[Recorded], at: list[int], named: frozenset[int] = frozenset()
) -> tuple[list[Recorded], list[Any], bytes | None]:
    """Compact a log in several goes, each up to one of ``at``."""
    kept: list[Any] = []
    done: list[Recorded] = []
    snapshot: bytes | None = None
    for end in [*sorted(at), len(rows)]:
        start = done[-1].seq if done else 0
        tail = [row for row in rows if start < row.seq <= end]
        recent = Recent(
            kept,
            0,
            [] if snapshot is None else [snapshot],
            tail,
            named,
            saved_seq=0,
            saving_seq=None,
        )
        plan = plan_spans(recent, done, set(), LATER)
        if plan is None:
            continue
        done, kept = applied(plan, done, kept)
        snapshot = plan.snapshot
    return done, kept, snapshot


def applied(plan: Plan, rows: list[Recorded], spans: list[Any]) -> tuple[list[Any], list[Any]]:
    first = plan.replaced[0]
    return (
        [row for row in rows if row.seq < first] + list(plan.rows),
        [span for span in spans if span.seq < first] + list(plan.spans),
    )


@settings(max_examples=80, deadline=None)
@given(
    steps, st.lists(st.integers(1, 60), max_size=3), st.frozensets(st.integers(1, 60), max_size=2)
)
def test_a_compacted_log_is_the_same_document_at_the_end_of_each_span(plan, at, named) -> None:
    log = written(plan)
    rows, spans, snapshot = compacted(log.rows, at, named)
    assert [row.seq for row in rows] == [span.seq for span in spans]
    for index, row in enumerate(rows):
        before = state_of([one.data for one in log.rows[: row.seq]])
        assert state_of([one.data for one in rows[: index + 1]]) == before
    if rows:
        assert snapshot is not None
        assert state_of([snapshot]) == state_of([one.data for one in log.rows])
    # What has a name is still there by itself.
    assert {seq for seq in named if seq <= len(log.rows)} <= {row.seq for row in rows}


@settings(max_examples=40, deadline=None)
@given(steps, st.lists(st.integers(1, 60), max_size=3))
def test_a_thinned_log_is_the_same_document_at_the_end_of_each_day(plan, at) -> None:
    log = written(plan)
    rows, spans, _ = compacted(log.rows, at)
    if not rows:
        return
    days = plan_days(by_day(spans), rows)
    for index, row in enumerate(days.rows):
        before = state_of([one.data for one in log.rows[: row.seq]])
        assert state_of([one.data for one in days.rows[: index + 1]]) == before
    dates = [span.ended.date() for span in days.spans]
    assert len(set(dates)) == len(dates)


@settings(max_examples=60, deadline=None)
@given(steps, st.lists(st.integers(1, 60), max_size=3))
def test_people_see_the_same_history_before_and_after(plan, at) -> None:
    log = written(plan)
    pieces = [piece for piece, _ in pieces_of(Tally(), log.rows, ())]
    seen = group(pieces)
    rows, spans, _ = compacted(log.rows, at)
    assert [
        (span.seq, span.started, span.ended, span.added, span.deleted, set(span.authors))
        for span in spans
    ] == [
        (span.seq, span.started, span.ended, span.added, span.deleted, set(span.authors))
        for span in seen
    ]
    assert group(seen) == seen
    # Who deleted what is still known.
    wanted: dict[Any, IdRanges] = {}
    tally = Tally()
    for row in log.rows:
        effect = tally.take(parse_update(row.data))
        if not effect.silent:
            wanted.setdefault(row.user_id, IdRanges()).merge(effect.deletions)
    found: dict[Any, IdRanges] = {}
    for span, row in zip(spans, rows, strict=True):
        for part in span.parts:
            data = part.as_json(alone=len(span.parts) == 1)
            deletions = (
                base64.b64decode(data["deletions"])
                if "deletions" in data
                else parse_update(row.data).deletions.encode()
            )
            found.setdefault(part.user_id, IdRanges()).merge(IdRanges.decode(deletions))
    for user_id, deletions in wanted.items():
        assert not found.get(user_id, IdRanges()).missing(deletions)


@settings(max_examples=40, deadline=None)
@given(steps, steps, st.lists(st.integers(1, 60), max_size=2))
def test_a_client_of_any_moment_comes_back_to_a_compacted_log(plan, more, at) -> None:
    log = written(plan)
    old = build([row.data for row in log.rows[: len(log.rows) // 2]])
    old_text: Text = old.get("source", type=Text)
    old_text.insert(0, "offline ")
    for step in more:
        log.step(*step)
    _, _, snapshot = compacted(log.rows, at)
    raw = build([row.data for row in log.rows])
    compact = build([] if snapshot is None else [snapshot])
    for server in (raw, compact):
        server.apply_update(old.get_update(server.get_state()))
        client = build([old.get_update()])
        client.apply_update(server.get_update(client.get_state()))
        assert str(client.get("source", type=Text)) == str(server.get("source", type=Text))
        assert decode_state_vector(client.get_state()) == decode_state_vector(server.get_state())
    assert str(raw.get("source", type=Text)) == str(compact.get("source", type=Text))


# ---------------------------------------------------------------- in the database


async def typed(house: House, desk: Desk, text: str, name: str = "alice") -> None:
    client = await house.client(name, desk.path)
    for character in text:
        await client.type(character)
    await desk.settle()


async def saved(desk: Desk) -> None:
    async with desk.house.rooms.hold(desk.path) as room:
        await desk.house.rooms.save(room)
        await room.settle(5)


async def load(desk: Desk) -> tuple[int, Any]:
    document = await desk.document()
    history = await desk.house.rooms.log.load(document.id, document.epoch)
    return history.seq, await asyncio.to_thread(state_of, list(history.updates))


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_typed_document_takes_a_small_multiple_of_its_size(house: House) -> None:
    house.write("a.py", "")
    desk = Desk(house)
    alice = await house.client("alice", "a.py")
    for number in range(20_000):
        await alice.type("abcdefghi\n"[number % 10])
        if not number % 500:
            await desk.settle()
    await desk.settle()
    await saved(desk)
    await desk.compact()
    assert await desk.stored() < 4 * 20_000
    assert len(await desk.rows()) < 20


async def test_what_came_and_went_takes_no_room(house: House) -> None:
    house.write("a.py", "kept\n")
    desk = Desk(house)
    alice = await house.client("alice", "a.py")
    for _ in range(300):
        await alice.type("x" * 2000)
        del alice.text[5:2005]
        await alice.flush()
    await desk.settle()
    before = await load(desk)
    raw = await desk.stored()
    await saved(desk)
    await desk.compact()
    assert raw > 600_000
    assert await desk.stored() < 10_000
    seq, state = await load(desk)
    assert seq >= before[0] and state[0] == before[1][0] == "kept\n"
    newest = (await desk.items())[0]
    assert (newest["added"], newest["removed"], names(newest)) == (600_000, 600_000, ["alice"])


async def test_a_room_compacts_its_log_as_it_goes_and_at_its_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write("a.py", "")
    desk = Desk(house)
    await typed(house, desk, "x" * 600)
    await saved(desk)

    async def small() -> bool:
        return len(await desk.rows()) < 50

    async with asyncio.timeout(20):
        while not await small():
            # Each look at the database gives way to others.
            pass
    await typed(house, desk, "y" * 150)
    await house.restart()
    assert await small()
    assert (await load(desk))[1][0] == "x" * 600 + "y" * 150


async def test_a_reopened_room_goes_on_where_it_was(house: House) -> None:
    house.write("a.py", "zero ")
    desk = Desk(house)
    bob = await house.client("bob", "a.py")
    await typed(house, desk, "one two ")
    await until(lambda: str(bob.text).endswith("two "))
    await bob.leave()
    bob.text.insert(0, "offline ")
    await saved(desk)
    await desk.compact()
    await house.restart()
    back = await house.client("bob", "a.py", doc=bob.doc)
    await desk.settle()
    assert not back.resets and not back.refused
    assert str(back.text) == "offline zero one two "
    assert (await load(desk))[1][0] == "offline zero one two "


async def test_what_was_refused_stays_barred(house: House) -> None:
    from tests.rooms.engine import EDITOR, VIEWER

    house.write("a.py", "text")
    desk = Desk(house)
    victor = await house.client("victor", "a.py", VIEWER)
    await victor.type("mine")
    await until(lambda: victor.refused)
    await typed(house, desk, "more")
    await saved(desk)
    known = await house.rooms.log.known((await desk.document()).id)
    await desk.compact()
    assert await house.rooms.log.known((await desk.document()).id) == known
    await house.restart()
    again = await house.client("victor", "a.py", EDITOR, doc=victor.doc)
    await until(lambda: again.resets)
    assert "mine" not in (await load(desk))[1][0]


@pytest.mark.parametrize("writers", [3])
async def test_people_write_while_the_log_is_compacted(house: House, writers: int) -> None:
    house.write("a.py", "")
    desk = Desk(house)
    clients = [await house.client(f"writer{number}", "a.py") for number in range(writers)]
    done = False

    async def write(client: Any, mark: str) -> None:
        for number in range(60):
            await client.type(f"{mark}{number};")
            await asyncio.sleep(0)

    async def compact() -> int:
        count = 0
        while not done:
            await saved(desk)
            await asyncio.gather(desk.compact(), desk.compactor._join((await desk.document()).id))
            count += 1
        return count

    monkey = asyncio.create_task(compact())
    await asyncio.gather(*(write(client, "abc"[number]) for number, client in enumerate(clients)))
    await desk.settle()
    done = True
    try:
        count = await monkey
    except compaction._Changed:
        count = 1
    assert count
    await saved(desk)
    await desk.compact()
    await until(lambda: len({str(client.text) for client in clients}) == 1)
    text = (await load(desk))[1][0]
    assert text == str(clients[0].text)
    for mark in "abc":
        for number in range(60):
            assert text.count(f"{mark}{number};") == 1
    await house.restart()
    async with house.rooms.hold("a.py") as room:
        assert str(room.doc.get("source", type=Text)) == text


async def test_a_second_server_that_lags_behind_catches_up(house: House, database: Any) -> None:
    house.write("a.py", "")
    desk = Desk(house)
    other = House(database, house.root)
    try:
        late = await other.client("late", "a.py")
        await typed(house, desk, "word " * 10)
        await saved(desk)
        await desk.compact()
        assert len(await desk.rows()) < 20
        await late.type("late ")
        async with other.rooms.hold("a.py") as room:
            assert await room.settle(10)
            document = await desk.document()
            assert room.seq == document.seq
            assert sorted(str(late.text).split()) == sorted(["word"] * 10 + ["late"])
    finally:
        await other.rooms.close_all(within=5)


class _Killed(Exception):
    pass


@pytest.mark.parametrize("statement", range(6))
async def test_a_server_that_dies_on_the_way_has_done_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, statement: int
) -> None:
    house.write("a.py", "")
    desk = Desk(house)
    await typed(house, desk, "x" * 50)
    await saved(desk)
    rows, before = await desk.rows(), await load(desk)
    write_plan = compaction.write_plan

    def dying(tx: Any, *args: Any) -> None:
        execute, count = tx.execute, 0

        def counted(*args: Any) -> Any:
            nonlocal count
            count += 1
            if count > 2 + statement:
                raise _Killed
            return execute(*args)

        monkeypatch.setattr(tx, "execute", counted)
        write_plan(tx, *args)
        raise _Killed

    monkeypatch.setattr(compaction, "write_plan", dying)
    with pytest.raises(_Killed):
        await desk.compact()
    assert await desk.rows() == rows
    assert await load(desk) == before
    monkeypatch.setattr(compaction, "write_plan", write_plan)
    await desk.compact()
    assert len(await desk.rows()) < 10
    assert (await load(desk))[1] == before[1]


async def test_what_the_file_holds_stays_the_base_of_the_next_merge(house: House) -> None:
    house.write("a.py", "one\ntwo\n")
    desk = Desk(house)
    await typed(house, desk, "three\n")
    await saved(desk)
    document = await desk.document()
    await typed(house, desk, "four\n")
    # As if nothing was saved for long.
    await desk.age(timedelta(hours=1))
    await desk.compact()
    kept = await house.rooms.log.history_at(document.id, document.epoch, document.saved_seq)
    assert (await asyncio.to_thread(state_of, list(kept.updates)))[0] == "one\ntwo\nthree\n"
    with pytest.raises(NotKept):
        await house.rooms.log.history_at(document.id, document.epoch, 3)


async def test_old_spans_become_one_a_day_and_names_stay(house: House) -> None:
    house.write("a.py", "")
    desk = Desk(house)
    for number in range(4):
        await typed(house, desk, f"{number}\n", name="ab"[number % 2])
        if number == 1:
            await desk.name("Half")
        await desk.age(timedelta(minutes=10))
    await saved(desk)
    await desk.compact()
    whole = await desk.items()
    half = (await desk.items(named=True))[0]
    await desk.age(timedelta(days=40))
    await desk.compact()
    await typed(house, desk, "new\n")
    await saved(desk)
    await desk.compact()
    thinned = await desk.items()
    assert 3 <= len(thinned) < len(whole)
    assert await desk.content(half["version"]) == "0\n1\n"
    assert await desk.content("current") == "0\n1\n2\n3\nnew\n"
    with pytest.raises(Exception, match="no longer"):
        await desk.version(whole[3]["version"])
    # Who wrote which line is still known.
    lines = (await desk.blame())["lines"]
    assert [line["author"]["username"] for line in lines] == ["a", "b", "a", "b", "alice"]


async def test_a_version_that_somebody_looks_at_stays_for_a_while(house: House) -> None:
    house.write("a.py", "")
    desk = Desk(house)
    await typed(house, desk, "one")
    shown = (await desk.items())[0]["version"]
    await typed(house, desk, " two")
    await saved(desk)
    await desk.compact()
    assert await desk.content(shown) == "one"
    assert len(await desk.items()) == 2


async def test_documents_that_nobody_opens_are_compacted_in_the_end(house: House) -> None:
    house.write("a.py", "")
    desk = Desk(house)
    await typed(house, desk, "x" * 40)
    document_id = DocumentId((await desk.document()).id)
    assert await house.database.read(desk.compactor._waiting) == []
    await house.database.write(
        lambda tx: tx.execute(update(documents).values(seq=documents.c.seq + 1000))
    )
    assert await house.database.read(desk.compactor._waiting) == [document_id]
    await house.database.write(
        lambda tx: tx.execute(update(documents).values(seq=documents.c.seq - 1000))
    )
    await saved(desk)
    await desk.compact()
    await desk.age(timedelta(days=50))
    assert await house.database.read(desk.compactor._waiting) == [document_id]
    await desk.compact()
    assert await house.database.read(desk.compactor._waiting) == []


async def test_what_an_ai_wrote_can_be_taken_back_after_its_log_was_compacted(
    house: House,
) -> None:
    house.write("a.py", "one\ntwo\n")
    desk = Desk(house)
    await typed(house, desk, "three\n")
    documents = SharedDocuments(house.rooms)
    async with documents.hold("a.py") as document:
        seq, _ = await document.edit(
            lambda editor: editor.replace(None, 4, 7, "2"), user_id=desk.as_("alice").user_id
        )
        await typed(house, desk, "four\n")
        await saved(desk)
        await desk.compact()
        assert len(await desk.rows()) < 10
        assert await document.undo(seq, user_id=desk.as_("alice").user_id)
        assert await desk.content("current") == "one\ntwo\nthree\nfour\n"
        await desk.age(timedelta(days=50))
        await saved(desk)
        await desk.compact()
        assert not await document.undo(seq, user_id=desk.as_("alice").user_id)


async def test_one_snapshot_is_kept(house: House) -> None:
    house.write("a.py", "")
    desk = Desk(house)
    for _ in range(3):
        await typed(house, desk, "x" * 20)
        await saved(desk)
        await desk.compact()
    count = await house.database.read(
        lambda tx: len(tx.execute(select(document_snapshots.c.seq)).all())
    )
    spans = await house.database.read(
        lambda tx: len(tx.execute(select(document_spans.c.seq)).all())
    )
    assert (count, spans) == (1, len(await desk.items()))


async def test_nobody_who_types_is_held_up_by_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "COMPACT_AFTER", 5)
    monkeypatch.setattr(registry, "COMPACT_AT_LAST", 40)
    monkeypatch.setattr(registry, "PAUSE", 2.0)
    compacted: list[float] = []

    async def compact(_: DocumentId) -> None:
        compacted.append(time.monotonic() - room.edited_at)

    monkeypatch.setattr(house.rooms.compactor, "compact", compact)
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    room = ada.room
    for _ in range(10):
        await ada.type("x")
    await room.settle(5)
    # While somebody types it waits, however often the file is saved.
    for _ in range(3):
        await house.rooms.save(room)
    assert compacted == []
    await until(lambda: compacted)
    assert compacted[0] >= 2.0
    # It does not wait for ever.
    monkeypatch.setattr(registry, "PAUSE", 60)
    for _ in range(45):
        await ada.type("y")
    await room.settle(5)
    await house.rooms.save(room)
    await until(lambda: len(compacted) == 2)
