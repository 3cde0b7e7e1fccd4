"""The gate, sentence by sentence, with real documents on the other side.

That documents and log stay the same under random plans is in ``test_gate_plans.py``.
"""

from __future__ import annotations

import pytest
from pycrdt import Array, Doc, Map, Text, merge_updates

from jupyter_collab_ai.ids import UserId
from jupyter_collab_ai.rooms.gate import (
    MAX_BARRED,
    MAX_NEW_CLIENTS,
    Accept,
    Answer,
    Defer,
    DropSilently,
    Ignore,
    LogState,
    Malformed,
    NotIntegrable,
    RefusalReason,
    Refuse,
    Reset,
    ResetReason,
    Standing,
    is_server_client,
    judge,
    judge_state_vector,
    server_client_id,
)
from jupyter_collab_ai.rooms.protocol import SyncKind
from jupyter_collab_ai.rooms.yupdate import (
    Id,
    IdRanges,
    decode_state_vector,
    encode_state_vector,
    parse_update,
    write_blob,
    write_varuint,
)

ALICE, BOB, EVE = UserId("alice"), UserId("bob"), UserId("eve")
SERVER = server_client_id(b"the file")
UPDATE, STEP1, STEP2 = SyncKind.UPDATE, SyncKind.STEP1, SyncKind.STEP2


class Client:
    """A Yjs client, and how its connection stands."""

    def __init__(self, room: Room, account: UserId, client: int, *, may_edit: bool = True) -> None:
        self.room = room
        self.doc = Doc(client_id=client)
        self.id = client
        self.source = self.doc.get("source", type=Text)
        self.state = self.doc.get("state", type=Map)
        self.sent: list[bytes] = []
        self.doc.observe(lambda event: self.sent.append(event.update))
        self.connect(account, may_edit)

    def connect(self, account: UserId | None = None, may_edit: bool | None = None) -> None:
        """Connect, or connect again with the same document, and take in what the room has."""
        if account is None:
            account = self.standing.account
        if may_edit is None:
            may_edit = self.standing.may_edit
        self.standing = Standing(account=account, may_edit=may_edit, client=self.id)
        self.pull()

    def pull(self) -> None:
        self.doc.apply_update(self.room.doc.get_update(self.doc.get_state()))
        self.sent.clear()

    def type(self, text: str, at: int | None = None) -> bytes:
        self.source.insert(len(str(self.source).encode()) if at is None else at, text)
        return self.sent.pop()

    def erase(self, start: int, end: int) -> bytes:
        del self.source[start:end]
        return self.sent.pop()

    def send(self, payload: bytes, kind: SyncKind = UPDATE):
        return self.room.receive(self, kind, payload)

    def sync(self):
        """Answer the room's step 1."""
        return self.send(self.doc.get_update(self.room.doc.get_state()), STEP2)

    def ask(self):
        return self.send(self.doc.get_state(), STEP1)

    def may_edit(self, may: bool) -> None:
        self.standing = Standing(**{**_fields(self.standing), "may_edit": may})


def _fields(standing: Standing) -> dict:
    return {name: getattr(standing, name) for name in Standing.__slots__}


class Room:
    """Does what a room does with verdicts, without connections."""

    def __init__(self, text: str = "one two three") -> None:
        self.doc = Doc(client_id=SERVER)
        self.doc.get("source", type=Text).insert(0, text)
        self.doc.get("state", type=Map)["path"] = "a.py"
        self.log = LogState.of_document(self.doc.get_update(), {SERVER: None})
        self.claims: dict[int, UserId] = {}
        self.doc.observe(lambda event: self.log.absorb_deletions(IdRanges.decode(event.delete_set)))

    @property
    def text(self) -> str:
        return str(self.doc.get("source", type=Text))

    def receive(self, client: Client, kind: SyncKind, payload: bytes):
        before = self.doc.get_update()
        verdict = judge(kind, payload, client.standing, self.log, self.claims)
        client.standing = client.standing.after(kind, verdict)
        if isinstance(verdict, Accept):
            self.log.take(verdict, client.standing.account)
            self.doc.apply_update(payload)
        elif isinstance(verdict, Refuse):
            self.log.note_refusal(verdict, client.standing.account)
        assert self.log.state == decode_state_vector(self.doc.get_state())
        if not isinstance(verdict, Accept):
            assert self.doc.get_update() == before
        return verdict


@pytest.fixture
def room():
    return Room()


@pytest.fixture
def alice(room):
    return Client(room, ALICE, 100)


@pytest.fixture
def bob(room):
    return Client(room, BOB, 200)


@pytest.fixture
def eve(room):
    """A viewer."""
    return Client(room, EVE, 300, may_edit=False)


# ---------------------------------------------------------------- editors


def test_an_editor_writes(room, alice, bob):
    verdict = alice.send(alice.type("!"))
    assert isinstance(verdict, Accept)
    assert verdict.binds == {100}
    assert verdict.inserted == {100: (0, 1)}
    assert not verdict.deleted
    assert room.text == "one two three!"
    again = alice.send(alice.type("?"))
    assert isinstance(again, Accept)
    assert again.binds == frozenset()
    assert room.log.owners[100] == ALICE


def test_what_is_known_is_ignored(room, alice):
    update = alice.type("!")
    alice.send(update)
    assert alice.send(update) == Ignore()
    assert alice.send(room.doc.get_update(), STEP2) == Ignore()
    assert alice.send(b"\0\0") == Ignore()


def test_an_editor_deletes_the_text_of_others(room, alice, bob):
    alice.send(alice.type("!!"))
    bob.pull()
    verdict = bob.send(bob.erase(0, 15))
    assert isinstance(verdict, Accept)
    assert set(verdict.deleted.clients()) == {SERVER, 100}
    assert verdict.binds == frozenset()
    assert room.text == ""
    assert bob.sync() == Ignore()


def test_deleting_what_was_deleted_is_nothing_new(room, alice, bob):
    bob.send(bob.erase(0, 4))
    assert alice.send(alice.erase(0, 4)) == Ignore()
    partly = alice.send(alice.erase(0, 4))
    assert isinstance(partly, Accept)
    assert partly.deleted == IdRanges([(SERVER, 4, 8)])


def test_one_update_may_carry_known_structs_of_others_and_new_ones(room, alice, bob):
    alice.send(alice.type("!"))
    bob.pull()
    bob.type("?")
    verdict = bob.send(bob.doc.get_update(), STEP2)
    assert isinstance(verdict, Accept)
    assert verdict.binds == {200}
    assert room.text == "one two three!?"


def test_a_step_2_may_overlap_what_came_before(room, alice):
    """It was made for a step 1 that is older than an update on its way."""
    old = room.doc.get_state()
    alice.send(alice.type("abc"))
    alice.type("def")
    verdict = alice.send(alice.doc.get_update(old), STEP2)
    assert isinstance(verdict, Accept)
    assert verdict.inserted == {100: (3, 6)}
    assert room.text == "one two threeabcdef"


def test_offline_edits_of_a_new_client_are_accepted(room):
    carol = Client(room, UserId("carol"), 500)
    carol.type("written offline")
    assert carol.ask() == Answer()
    assert isinstance(carol.sync(), Accept)


def test_two_tabs_of_one_person(room, alice):
    """The browser shares edits between its tabs, so one may bring those of the other."""
    other = Client(room, ALICE, 101)
    update = alice.type("!")
    other.doc.apply_update(update)
    other.sent.clear()
    typed = other.type("?")
    # The other tab's text is missing, but it may be on its way.
    other.standing = other.standing.after(STEP2, Ignore())
    assert other.send(typed) == Defer(ask=True)
    verdict = other.sync()
    assert isinstance(verdict, Accept)
    assert verdict.binds == {100, 101}
    assert alice.send(update) == Ignore()
    assert room.text == "one two three!?"


def test_a_person_types_while_the_connection_is_made(room, alice):
    """Edits from offline come with step 2; what is typed before that hangs on them."""
    alice.type("offline ")
    alice.connect()
    typed = alice.type("and on")
    assert alice.send(typed) == Defer(ask=False)
    more = alice.type("!")
    assert alice.send(more) == Defer(ask=False)
    assert isinstance(alice.sync(), Accept)
    assert alice.standing.synced
    assert not alice.standing.deferred
    assert room.text == "one two threeoffline and on!"
    assert isinstance(alice.send(alice.type("?")), Accept)


def test_nothing_is_accepted_before_what_was_deferred(room, alice):
    """Or an acknowledgement of the later one would cover the earlier one."""
    alice.sync()
    alice.type("lost")
    assert alice.send(alice.type(" found")) == Defer(ask=True)
    assert alice.send(alice.erase(0, 1)) == Defer(ask=False)
    assert isinstance(alice.sync(), Accept)
    assert room.text == "ne two threelost found"


# ---------------------------------------------------------------- gaps


def test_a_dropped_insert_does_not_poison_the_log(room, alice):
    alice.sync()
    alice.type("A")
    assert alice.send(alice.type("B", at=0)) == Defer(ask=True)  # yrs would take this in
    assert isinstance(alice.sync(), Accept)
    assert room.text == "Bone two threeA"


def test_a_step_2_with_a_gap_is_reset(room, alice):
    alice.type("A")
    state = alice.doc.get_state()
    alice.type("B")
    assert alice.send(alice.doc.get_update(state), STEP2) == Reset(ResetReason.GAP)


def test_a_hole_in_the_middle_is_a_gap(room, alice):
    parts = [alice.type(letter) for letter in "abc"]
    assert alice.send(merge_updates(parts[0], parts[2]), STEP2) == Reset(ResetReason.GAP)
    assert alice.send(merge_updates(parts[0], parts[2])) == Defer(ask=False)


def test_deleting_what_is_not_there_yet_is_a_gap(room, alice, bob):
    """yrs would keep it, and delete what bob writes later, unseen."""
    bob.send(bob.type("x"))
    assert alice.send(b"\0" + IdRanges([(200, 0, 5)]).encode(), STEP2) == Reset(ResetReason.GAP)
    assert alice.send(b"\0" + IdRanges([(200, 0, 5)]).encode()) == Defer(ask=False)
    assert alice.send(b"\0" + IdRanges([(999, 0, 1)]).encode(), STEP2) == Reset(ResetReason.GAP)


def item(
    client: int,
    clock: int,
    text: str = "x",
    *,
    origin: Id | None = None,
    right: Id | None = None,
    parent: Id | str = "source",
) -> bytes:
    """An update with one string, as hostile as one likes."""
    out = bytearray((1, 1))
    write_varuint(out, client)
    write_varuint(out, clock)
    out.append(4 | (0x80 if origin else 0) | (0x40 if right else 0))
    for id_ in (origin, right):
        if id_:
            write_varuint(out, id_.client)
            write_varuint(out, id_.clock)
    if not origin and not right:
        if isinstance(parent, str):
            out.append(1)
            write_blob(out, parent.encode())
        else:
            out.append(0)
            write_varuint(out, parent.client)
            write_varuint(out, parent.clock)
    write_blob(out, text.encode())
    return bytes(out) + b"\0"


@pytest.mark.parametrize(
    "update",
    [
        item(100, 0, origin=Id(100, 0)),
        item(100, 0, origin=Id(100, 7)),
        item(100, 0, origin=Id(SERVER, 4000)),
        item(100, 0, right=Id(777, 0)),
        item(100, 0, parent=Id(777, 0)),
    ],
)
def test_missing_neighbours_and_parents_are_gaps(alice, update):
    assert alice.send(update, STEP2) == Reset(ResetReason.GAP)


def test_structs_that_hang_on_each_other_are_a_gap(alice):
    one = item(100, 0, origin=Id(101, 0))
    other = item(101, 0, origin=Id(100, 0))
    assert alice.send(b"\2" + one[1:-1] + other[1:], STEP2) == Reset(ResetReason.GAP)


def test_structs_may_hang_on_each_other_in_turns(room, alice):
    """Alice's two tabs continued each other's lines."""
    other = Client(room, ALICE, 101)
    for _ in range(5):
        other.doc.apply_update(alice.type("a"))
        other.sent.clear()
        alice.doc.apply_update(other.type("b"))
        alice.sent.clear()
    assert isinstance(alice.sync(), Accept)
    assert room.text == "one two threeababababab"


def test_a_parent_that_is_no_shared_type_is_malformed(alice):
    """yrs reads such an update, but fails to apply it: after it was recorded."""
    update = item(100, 0, parent=Id(SERVER, 0))
    with pytest.raises(RuntimeError):
        alice.room.doc.apply_update(update)
    assert isinstance(alice.send(update), Malformed)


def test_neighbours_in_different_places_are_malformed(room, alice):
    """Yjs and yrs would show different texts."""
    cells = room.doc.get("cells", type=Array)
    cells.append(Text("other text"))
    room.log.absorb(parse_update(room.doc.get_update()), None)
    last = room.log.clock(SERVER) - 1
    for update in (
        item(100, 0, origin=Id(SERVER, 0), right=Id(SERVER, last)),
        item(100, 0, origin=Id(SERVER, 13), right=Id(SERVER, 1)),
    ):
        assert isinstance(alice.send(update), Malformed)
    assert isinstance(
        alice.send(item(100, 0, origin=Id(SERVER, last - 1), right=Id(SERVER, last))), Accept
    )
    assert str(cells[0]) == "other texxt"


def test_who_writes_into_what_was_deleted_and_collected(room, alice, bob):
    """The cell is gone, and the log was read anew, when an edit of it comes from offline."""
    cells = room.doc.get("cells", type=Array)
    cells.extend([Text("x"), Text("")])
    room.log.absorb(parse_update(room.doc.get_update()), None)
    for client in (alice, bob):
        client.pull()
    for cell in bob.doc.get("cells", type=Array):
        for text in ("a", "b", "c"):
            cell.insert(0, text)
        cell.insert(2, "d")
    del alice.doc.get("cells", type=Array)[0]
    del alice.doc.get("cells", type=Array)[0]
    assert isinstance(alice.sync(), Accept)
    room.log = LogState.of_document(room.doc.get_update(), room.log.owners)
    assert isinstance(bob.sync(), Accept)
    room.log = LogState.of_document(room.doc.get_update(), room.log.owners)
    bob.pull()
    assert bob.sync() == Ignore()


def test_who_wrote_first_into_what_was_collected_since(room, alice, bob):
    """His first line has no neighbour but the deleted cell, the next has collected ones."""
    cells = room.doc.get("cells", type=Array)
    cells.append(Text(""))
    cell = room.log.clock(SERVER)
    room.log.absorb(parse_update(room.doc.get_update()), None)
    cells[0].insert(0, "x")
    room.log.absorb(parse_update(room.doc.get_update()), None)
    del cells[0]
    room.log = LogState.of_document(room.doc.get_update(), {SERVER: None})
    first = item(200, 0, parent=Id(SERVER, cell))
    assert isinstance(bob.send(first), Accept)
    assert isinstance(bob.send(item(200, 1, origin=Id(200, 0), right=Id(SERVER, cell + 1))), Accept)


def test_a_deleted_parent_is_no_fault(room, alice, bob):
    """One writes into a cell that another has deleted."""
    cells = room.doc.get("cells", type=Array)
    room.log.absorb(parse_update(room.doc.get_update()), None)
    cells.append(Text("x"))
    room.log.absorb(parse_update(room.doc.get_update()), None)
    for client in (alice, bob):
        client.pull()
    del alice.doc.get("cells", type=Array)[0]
    bob.doc.get("cells", type=Array)[0].insert(0, "late")
    assert isinstance(alice.send(alice.sent.pop()), Accept)
    assert isinstance(bob.send(bob.sent.pop()), Accept)
    bob.pull()
    assert bob.sync() == Ignore()


def test_characters_are_not_cut_in_two(alice):
    room = Room("a😀b")
    alice = Client(room, ALICE, 100)
    assert isinstance(alice.send(alice.type("é漢😀", at=len("a😀".encode()))), Accept)
    for update in (
        item(100, 4, origin=Id(SERVER, 1)),
        item(100, 4, right=Id(SERVER, 2)),
        item(100, 4, origin=Id(100, 2)),
        b"\0" + IdRanges([(SERVER, 2, 3)]).encode(),
        b"\0" + IdRanges([(SERVER, 0, 2)]).encode(),
    ):
        assert alice.send(update) == Reset(ResetReason.SPLIT_CHARACTER)
    for update in (
        item(100, 4, origin=Id(SERVER, 2)),
        item(100, 5, right=Id(SERVER, 1)),
        b"\0" + IdRanges([(SERVER, 1, 3)]).encode(),
    ):
        assert isinstance(alice.send(update), Accept)


def test_garbage_is_malformed(alice, eve):
    for client in (alice, eve):
        for kind in SyncKind:
            assert isinstance(client.send(b"\1", kind), Malformed)


# ---------------------------------------------------------------- viewers


def test_a_viewers_edit_is_refused_and_barred(room, eve):
    update = eve.type("spam")
    verdict = eve.send(update)
    assert isinstance(verdict, Refuse)
    assert verdict.message() == {
        "type": "refused",
        "reason": "role_required",
        "client": 300,
        "from_clock": 0,
    }
    assert room.log.barred == {300: 0}
    assert eve.standing.dropped
    assert eve.standing.refused


def test_every_further_edit_of_a_viewer_is_refused(room, eve):
    eve.send(eve.type("sp"))
    verdict = eve.send(eve.type("am"))
    assert isinstance(verdict, Refuse)
    assert (verdict.client, verdict.from_clock) == (300, 0)


def test_a_viewers_deletion_is_refused(room, eve):
    verdict = eve.send(eve.erase(0, 3))
    assert isinstance(verdict, Refuse)
    assert verdict.message()["client"] == 300
    assert verdict.from_clock == 0
    assert verdict.deletions == IdRanges([(SERVER, 0, 3)])
    assert isinstance(eve.sync(), Refuse)


def test_a_deletion_under_an_unknown_id_names_nobody(eve):
    eve.standing = Standing(account=EVE, may_edit=False)
    verdict = eve.send(eve.erase(0, 3))
    assert isinstance(verdict, Refuse)
    assert verdict.client is None
    assert verdict.from_clock is None
    assert not verdict.bars


def test_a_viewer_may_repeat_what_is_known(room, alice, eve):
    alice.send(alice.erase(0, 4))
    eve.pull()
    assert eve.sync() == Ignore()
    assert eve.send(eve.doc.get_update(), STEP2) == Ignore()
    assert eve.send(b"\0\0", STEP2) == Ignore()
    assert not eve.standing.dropped


def test_a_viewer_may_repeat_deletions_that_nobody_sent(room, alice, bob, eve):
    """Of two values for one key, every document deletes one by itself."""
    for client in (alice, bob):
        client.doc.get("meta", type=Map)["k"] = client.id
    for client in (alice, bob):
        assert isinstance(client.send(client.sent.pop()), Accept)
    eve.pull()
    assert parse_update(eve.doc.get_update()).deletions
    assert eve.send(eve.doc.get_update(), STEP2) == Ignore()


def test_jupyterlabs_own_write_to_the_state_is_dropped_without_notice(room, eve):
    eve.state["document_id"] = "text:file:1"
    first = eve.send(eve.sent.pop())
    assert first == DropSilently(IdRanges([(300, 0, 1)]))
    # It hangs on the one before, which the log doesn't have, and deletes it.
    eve.state["document_id"] = "text:file:2"
    assert isinstance(eve.send(eve.sent.pop()), DropSilently)
    # It replaces a value of the server.
    eve.state["path"] = "b.py"
    assert isinstance(eve.send(eve.sent.pop()), DropSilently)
    eve.state["nested"] = Map({"a": 1})
    assert isinstance(eve.send(eve.sent.pop()), DropSilently)
    del eve.state["path"]
    assert isinstance(eve.send(eve.sent.pop()), DropSilently)
    assert eve.standing.dropped
    assert not eve.standing.refused
    assert room.log.barred == {}
    # All of it at once, after a reconnection.
    eve.connect()
    assert isinstance(eve.sync(), DropSilently)
    assert isinstance(eve.send(eve.type("spam")), Refuse)


def test_entries_of_two_tabs_in_the_state_are_dropped_without_notice(room, eve):
    """The later entry comes first, and has its place from the earlier one."""
    tab = Client(room, EVE, 301, may_edit=False)
    eve.state["new"] = 1
    tab.doc.apply_update(eve.sent.pop())
    tab.state["new"] = 2
    assert isinstance(tab.sync(), DropSilently)


def test_state_and_content_together_are_refused(room, eve):
    with eve.doc.transaction():
        eve.state["document_id"] = "text:file:1"
        eve.source.insert(0, "spam")
    assert isinstance(eve.send(eve.sent.pop()), Refuse)
    eve.connect()
    with eve.doc.transaction():
        eve.state["document_id"] = "text:file:2"
        del eve.source[0:2]
    assert isinstance(eve.sync(), Refuse)


def test_a_map_of_another_name_is_content(eve):
    eve.doc.get("states", type=Map)["k"] = 1
    assert isinstance(eve.send(eve.sent.pop()), Refuse)


def test_an_entry_named_state_in_another_map_is_content(eve):
    eve.doc.get("meta", type=Map)["state"] = 1
    assert isinstance(eve.send(eve.sent.pop()), Refuse)


# ---------------------------------------------------------------- promotion and demotion


def test_promotion_of_a_connection_of_which_nothing_was_dropped(room, eve):
    eve.sync()
    assert not eve.standing.dropped
    eve.may_edit(True)
    assert isinstance(eve.send(eve.type("hello")), Accept)


def test_promotion_after_a_silent_drop(room, eve):
    eve.state["document_id"] = "text:file:1"
    eve.send(eve.sent.pop())
    eve.may_edit(True)
    assert eve.send(eve.type("hello")) == Reset(ResetReason.ROLE_CHANGED)


def test_what_was_refused_does_not_slip_in_on_promotion(room, eve):
    eve.send(eve.type("spam"))
    eve.may_edit(True)
    assert eve.send(eve.type("eggs")) == Reset(ResetReason.BARRED)
    assert eve.sync() == Reset(ResetReason.BARRED)


def test_what_was_refused_does_not_slip_in_on_reconnection(room, eve):
    eve.send(eve.type("spam"))
    eve.connect(may_edit=True)
    assert eve.ask() == Reset(ResetReason.BARRED)
    assert eve.sync() == Reset(ResetReason.BARRED)
    eve.connect(may_edit=False)
    assert eve.ask() == Answer()
    assert isinstance(eve.sync(), Refuse)


def test_a_refused_deletion_does_not_slip_in_on_reconnection(room, eve):
    eve.standing = Standing(account=EVE, may_edit=False)
    eve.send(eve.erase(0, 4))
    eve.connect(may_edit=True)
    assert eve.sync() == Reset(ResetReason.BARRED)
    fresh = Client(room, EVE, 301)
    assert fresh.sync() == Ignore()
    assert isinstance(fresh.send(fresh.erase(0, 4)), Accept)
    assert fresh.sync() == Ignore()


def test_a_refused_deletion_does_not_slip_in_after_a_restart(room, eve):
    """Whoever shows an id that is barred is reset, whatever is known of deletions."""
    assert isinstance(eve.send(eve.erase(0, 3)), Refuse)
    room.log = LogState.of_document(room.doc.get_update(), room.log.owners, room.log.barred)
    eve.connect(may_edit=True)
    assert eve.ask() == Answer()
    assert eve.sync() == Reset(ResetReason.BARRED)
    assert room.text == "one two three"
    fresh = Client(room, EVE, 301)
    assert isinstance(fresh.send(fresh.erase(0, 3)), Accept)


def test_a_fresh_document_of_a_promoted_person_writes(room, eve):
    eve.send(eve.type("spam"))
    fresh = Client(room, EVE, 301)
    assert isinstance(fresh.send(fresh.type("hello")), Accept)


def test_an_editor_made_viewer_is_barred_from_there_on(room, alice, bob):
    alice.send(alice.type("abc"))
    alice.may_edit(False)
    verdict = alice.send(alice.type("def"))
    assert isinstance(verdict, Refuse)
    assert verdict.bars == {100: 3}
    bob.pull()
    assert bob.sync() == Ignore()


def test_who_relays_barred_structs_is_reset_not_barred(room, bob, eve):
    spam = eve.type("spam")
    eve.send(spam)
    bob.doc.apply_update(spam)
    bob.sent.clear()
    assert bob.ask() == Reset(ResetReason.UNKNOWN_HISTORY)
    assert bob.sync() == Reset(ResetReason.BARRED)
    assert bob.send(spam) == Reset(ResetReason.BARRED)
    assert room.log.barred == {300: 0}
    viewer = Client(room, BOB, 201, may_edit=False)
    viewer.doc.apply_update(spam)
    assert viewer.sync() == Reset(ResetReason.BARRED)
    assert viewer.send(spam) == Reset(ResetReason.BARRED)
    tab = Client(room, EVE, 301, may_edit=False)
    tab.doc.apply_update(spam)
    assert tab.sync() == Reset(ResetReason.BARRED)
    assert room.log.barred == {300: 0}


# ---------------------------------------------------------------- authorship


def test_nobody_writes_under_the_id_of_another(room, alice, bob):
    alice.send(alice.type("mine"))
    mallory = Client(room, BOB, 100)
    mallory.standing = Standing(account=BOB, may_edit=True, client=200)
    verdict = mallory.send(mallory.type("forged"))
    assert isinstance(verdict, Refuse)
    assert verdict.message() == {
        "type": "refused",
        "reason": "not_yours",
        "client": 100,
        "from_clock": 4,
    }
    # The owner's next edit, at the very same clock, is fine.
    assert isinstance(alice.send(alice.type("!")), Accept)
    assert room.text == "one two threemine!"
    # The forger is reset, also by the id that it shows itself under.
    assert mallory.send(mallory.type("more")) == Reset(ResetReason.BARRED)
    assert isinstance(bob.send(bob.type("x")), Reset)
    fresh = Client(room, BOB, 201)
    assert isinstance(fresh.send(fresh.type("x")), Accept)


def test_own_structs_beside_forged_ones_are_barred(room, alice, bob):
    alice.send(alice.type("mine"))
    forged = item(100, 4, origin=Id(100, 3))
    own = item(200, 0, origin=Id(100, 4))
    verdict = bob.send(b"\2" + forged[1:-1] + own[1:])
    assert isinstance(verdict, Refuse)
    assert (verdict.client, verdict.from_clock) == (100, 4)
    assert verdict.bars == {200: 0}
    bob.connect()
    assert bob.send(item(200, 0)) == Reset(ResetReason.BARRED)


def test_a_struct_that_overlaps_the_known_is_new_where_it_goes_beyond(room, alice, bob):
    alice.send(alice.type("mine"))
    verdict = bob.send(item(100, 0, "mine, no", origin=Id(SERVER, 12)))
    assert isinstance(verdict, Refuse)
    assert (verdict.reason, verdict.from_clock) == (RefusalReason.NOT_YOURS, 4)
    assert bob.send(item(100, 0, "what", origin=Id(SERVER, 12))) == Ignore()


def test_nobody_writes_under_the_ids_of_the_server(room, alice):
    clock = room.log.clock(SERVER)
    assert isinstance(alice.send(item(SERVER, clock)), Refuse)
    assert alice.standing.refused


@pytest.mark.parametrize("client", [0, server_client_id(b"another file")])
def test_ids_of_the_server_that_the_log_never_saw_show_another_history(alice, client):
    for kind in (UPDATE, STEP2):
        assert alice.send(item(client, 0), kind) == Reset(ResetReason.UNKNOWN_HISTORY)
    vector = encode_state_vector({client: 3})
    assert alice.send(vector, STEP1) == Reset(ResetReason.UNKNOWN_HISTORY)


def test_a_copy_of_a_lost_log_is_not_merged_as_a_second_copy():
    old = Room("the whole file")
    alice = Client(old, ALICE, 100)
    alice.send(alice.type("!"))
    new = Room("the whole file")
    new.doc = Doc(client_id=server_client_id(b"epoch 2"))
    new.doc.get("source", type=Text).insert(0, "the whole file")
    new.log = LogState.of_document(new.doc.get_update(), {new.doc.client_id: None})
    alice.room = new
    alice.standing = Standing(account=ALICE, may_edit=True)
    assert alice.ask() == Reset(ResetReason.UNKNOWN_HISTORY)
    assert alice.sync() == Reset(ResetReason.UNKNOWN_HISTORY)


def test_a_client_that_knows_more_of_others_than_the_log_is_reset(room, alice, bob):
    """The log was put back to an older state."""
    alice.send(alice.type("old"))
    bob.pull()
    bob.doc.apply_update(alice.type(" new"))
    bob.sent.clear()
    assert bob.ask() == Reset(ResetReason.UNKNOWN_HISTORY)
    assert bob.sync() == Reset(ResetReason.UNKNOWN_HISTORY)
    bob.may_edit(False)
    assert bob.ask() == Reset(ResetReason.UNKNOWN_HISTORY)
    assert bob.sync() == Reset(ResetReason.UNKNOWN_HISTORY)
    # For the author herself it is an edit like any other.
    assert alice.ask() == Answer()
    assert isinstance(alice.sync(), Accept)


def test_an_id_that_somebody_shows_herself_under_is_hers(room, alice, bob, eve):
    room.claims = {100: ALICE, 200: BOB}
    assert isinstance(bob.send(item(100, 0)), Refuse)
    forged = eve.send(item(100, 0))
    assert isinstance(forged, Refuse)
    assert not forged.bars
    assert 100 not in room.log.barred
    assert isinstance(alice.send(alice.type("hello")), Accept)


def test_a_viewer_does_not_bar_others(room, alice, eve):
    alice.send(alice.type("mine"))
    verdict = eve.send(item(100, 4))
    assert isinstance(verdict, Refuse)
    assert verdict.reason is RefusalReason.ROLE_REQUIRED
    assert not verdict.bars
    assert isinstance(alice.send(alice.type("!")), Accept)


def of_many(clients: range) -> bytes:
    """Return an update of one new struct each."""
    out = bytearray()
    write_varuint(out, len(clients))
    for client in clients:
        out += item(client, 0)[1:-1]
    return bytes(out) + b"\0"


def test_nobody_takes_ids_by_the_dozen(alice):
    first = 1000
    too_many = range(first, first + MAX_NEW_CLIENTS + 1)
    assert alice.send(of_many(too_many)) == Reset(ResetReason.UNKNOWN_HISTORY)
    assert isinstance(alice.send(of_many(too_many[1:])), Accept)


def test_nobody_makes_the_log_grow_by_what_is_refused(room, alice, eve):
    first = 1000
    assert isinstance(eve.send(of_many(range(first, first + MAX_BARRED - 1))), Refuse)
    assert isinstance(eve.send(eve.type("the last")), Refuse)
    for _ in range(2):
        assert eve.send(of_many(range(5000, 5001))) == Reset(ResetReason.BARRED)
    assert len(room.log.barred) == MAX_BARRED
    # What is barred already is refused as ever, also after a restart; others have their own count.
    log = LogState.of_document(room.doc.get_update(), room.log.owners, room.log.barred)
    for known in (room.log, log):
        assert isinstance(judge(UPDATE, eve.type("!"), eve.standing, known), Refuse)
        again = judge(UPDATE, of_many(range(5000, 5001)), eve.standing, known)
        assert again == Reset(ResetReason.BARRED)
        alice.may_edit(False)
        assert isinstance(judge(UPDATE, alice.type("x"), alice.standing, known), Refuse)


def test_one_frame_does_not_make_the_log_grow_by_what_is_refused(room, eve):
    many = range(1000, 1000 + MAX_BARRED + 1)
    assert eve.send(of_many(many)) == Reset(ResetReason.BARRED)
    assert not room.log.barred


def test_who_is_in_the_document_but_in_no_record_counts_as_the_server(room, alice):
    log = LogState.of_document(item(100, 0), {})
    assert judge_state_vector({100: 5}, alice.standing, log) == Reset(ResetReason.UNKNOWN_HISTORY)
    verdict = judge(UPDATE, item(100, 1, origin=Id(100, 0)), alice.standing, log)
    assert isinstance(verdict, Refuse)


# ---------------------------------------------------------------- what the log knows


def test_only_what_fits_is_absorbed(room):
    before = room.log.state.copy()
    with pytest.raises(NotIntegrable):
        room.log.absorb(parse_update(item(100, 5)), ALICE)
    assert room.log.state == before
    assert 100 not in room.log.owners


def test_what_was_noted_can_be_taken_back(room, alice, eve):
    def everything():
        log = room.log
        return (
            dict(log.state),
            list(log.deleted),
            dict(log.owners),
            dict(log.barred),
            {account: number for account, number in log.barred_of.items() if number},
            {account: list(ranges) for account, ranges in log.refused_deletions.items() if ranges},
        )

    before = everything()
    room.log.begin()
    for update in (alice.type("abc"), alice.erase(0, 5)):
        verdict = judge(UPDATE, update, alice.standing, room.log)
        room.log.absorb(verdict.update, ALICE)
    for update in (eve.type("spam"), eve.erase(8, 9)):
        verdict = judge(UPDATE, update, eve.standing, room.log)
        room.log.note_refusal(verdict, EVE)
    assert everything() != before
    room.log.rollback()
    assert everything() == before
    room.log.begin()
    room.log.absorb(parse_update(alice.doc.get_update()), ALICE)
    room.log.commit()
    room.log.rollback()
    assert room.log.clock(100) == 3


def test_an_id_goes_from_who_only_tried_it_to_who_wrote_under_it_elsewhere(room, eve):
    verdict = judge(UPDATE, item(700, 0), eve.standing, room.log)
    room.log.note_refusal(verdict, EVE)
    before = (dict(room.log.owners), dict(room.log.barred), dict(room.log.barred_of))
    assert before[0][700] == EVE
    assert not room.log.is_open_to(700, EVE), "what was refused stays refused"
    room.log.begin()
    room.log.learn({700: ALICE})
    assert room.log.owners[700] == ALICE
    assert 700 not in room.log.barred
    assert not room.log.barred_of[EVE]
    room.log.rollback()
    assert (room.log.owners, room.log.barred, room.log.barred_of) == before
    # Under an id that was written under here it is another matter.
    room.log.learn({700: ALICE})
    room.log.absorb(parse_update(item(700, 0)), ALICE)
    assert not room.log.is_open_to(700, EVE)


def test_what_was_taken_back_may_come_in_another_place(room, alice):
    room.log.begin()
    for clock, parent in enumerate(("notes", "more")):
        room.log.absorb(parse_update(item(100, clock, parent=parent)), ALICE)
    room.log.rollback()
    assert isinstance(alice.send(item(100, 0, parent="source")), Accept)
    assert isinstance(alice.send(item(100, 1, origin=Id(100, 0), right=Id(SERVER, 0))), Accept)


def test_a_bar_never_rises(room):
    for clock in (5, 3, 9):
        refusal = Refuse(RefusalReason.ROLE_REQUIRED, 300, clock, {300: clock}, IdRanges())
        room.log.note_refusal(refusal, EVE)
    assert room.log.barred == {300: 3}


def test_ids_of_the_server():
    assert server_client_id(b"a") == server_client_id(b"a") != server_client_id(b"b")
    assert is_server_client(server_client_id(b"a"))
    assert Doc(client_id=server_client_id(b"a")).client_id == server_client_id(b"a")
    assert not any(is_server_client(Doc().client_id) for _ in range(1000))
    assert not is_server_client(2**32 - 1)
