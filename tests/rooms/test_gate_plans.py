"""Random plans of edits, role flips, lost connections and hostile frames, replayed by seed.

Whatever happens, the log's knowledge equals what the document says, nobody without the right
changes anything, and all who are in step with the log show the same.
"""

from __future__ import annotations

import random
from collections import deque

import pytest
from pycrdt import Array, Doc, Map, Text

from jupyter_collab_ai.ids import UserId
from jupyter_collab_ai.rooms.gate import (
    Accept,
    Defer,
    DropSilently,
    Ignore,
    LogState,
    Malformed,
    Refuse,
    Reset,
    Standing,
    judge,
    server_client_id,
)
from jupyter_collab_ai.rooms.protocol import SyncKind
from jupyter_collab_ai.rooms.yupdate import (
    IdRanges,
    decode_state_vector,
    parse_update,
)
from tests.rooms.test_yupdate import UPDATES, apply

SERVER = server_client_id(b"plans")
EDITS = [*["text"] * 5, "erase", "erase", "map", "unmap", "push", "pop", "nest", "in", "state"]
STEP1, STEP2, UPDATE = SyncKind.STEP1, SyncKind.STEP2, SyncKind.UPDATE


class Room:
    """A document behind the gate; what it accepts goes to all connections."""

    def __init__(self) -> None:
        self.doc = Doc(client_id=SERVER)
        self.doc.get("source", type=Text).insert(0, "aé漢😀z\n" * 3)
        self.doc.get("cells", type=Array)
        self.doc.get("meta", type=Map)
        self.doc.get("state", type=Map)["path"] = "a.py"
        self.log = LogState.of_document(self.doc.get_update(), {SERVER: None})
        self.record: list[bytes] = [self.doc.get_update()]
        self.doc.observe(self.observe)
        self.peers: list[Peer] = []
        self.verdicts: list[type] = []

    def observe(self, event) -> None:
        self.log.absorb_deletions(IdRanges.decode(event.delete_set))

    def receive(self, peer: Peer, kind: SyncKind, payload: bytes) -> None:
        verdict = judge(kind, payload, peer.standing, self.log, self.claims(peer))
        self.verdicts.append(type(verdict))
        peer.standing = peer.standing.after(kind, verdict)
        account = peer.standing.account
        if isinstance(verdict, Accept):
            assert peer.standing.may_edit
            self.log.take(verdict, account)
            self.record.append(payload)
            self.doc.apply_update(payload)
            for other in self.peers:
                if other is not peer:
                    other.inbox.append((UPDATE, payload))
        elif isinstance(verdict, Refuse):
            self.log.note_refusal(verdict, account)
        elif isinstance(verdict, Reset):
            peer.reset()
        elif isinstance(verdict, Defer) and verdict.ask:
            peer.inbox.append((STEP1, self.doc.get_state()))
        elif kind is STEP1:
            peer.inbox.append((STEP2, self.doc.get_update(payload)))

    def claims(self, peer: Peer):
        return {it.standing.client: it.standing.account for it in self.peers if it is not peer}

    def restart(self) -> None:
        """Forget what was noted, and read it again from a document made of the record."""
        doc = Doc(client_id=SERVER)
        for data in self.record:
            doc.apply_update(data)
        refused = self.log.refused_deletions
        self.log = LogState.of_document(doc.get_update(), self.log.owners, self.log.barred)
        self.log.refused_deletions = refused
        self.doc = doc
        doc.observe(self.observe)

    def check(self) -> None:
        assert self.log.state == decode_state_vector(self.doc.get_state())
        assert self.log.deleted == parse_update(self.doc.get_update()).deletions
        again = LogState.of_document(self.doc.get_update(), self.log.owners)
        assert again.deleted == self.log.deleted
        assert again.state == self.log.state


class Peer:
    """A Yjs client on a connection that keeps the order, and may be lost."""

    def __init__(self, room: Room, chance: random.Random, account: str, may_edit: bool) -> None:
        self.room = room
        self.chance = chance
        self.inbox: deque[tuple[SyncKind, bytes]] = deque()
        self.outbox: deque[tuple[SyncKind, bytes]] = deque()
        self.standing = Standing(account=UserId(account), may_edit=may_edit)
        self.resets = 0
        self.reset()

    def reset(self) -> None:
        """Start again from an empty document."""
        self.resets += 1
        self.doc = Doc(client_id=self.chance.randrange(2**32))
        self.doc.get("state", type=Map)
        self.remote = False
        self.doc.observe(self.observe)
        self.connect()

    def observe(self, event) -> None:
        if not self.remote:
            self.outbox.append((UPDATE, event.update))

    def connect(self) -> None:
        """Connect with the document as it is; what was on its way is lost."""
        self.inbox.clear()
        self.outbox.clear()
        self.standing = Standing(
            account=self.standing.account,
            may_edit=self.standing.may_edit,
            client=self.doc.client_id,
        )
        self.outbox.append((STEP1, self.doc.get_state()))
        self.inbox.append((STEP1, self.room.doc.get_state()))

    def take(self) -> None:
        kind, payload = self.inbox.popleft()
        if kind is STEP1:
            self.outbox.append((STEP2, self.doc.get_update(payload)))
            return
        self.remote = True
        self.doc.apply_update(payload)
        self.remote = False

    def give(self) -> None:
        self.room.receive(self, *self.outbox.popleft())

    def edit(self) -> None:
        chance = self.chance
        what = chance.choice(
            ["text"] * 5 + ["erase", "erase", "map", "unmap", "push", "pop", "nest", "in", "state"]
        )
        cells = self.doc.get("cells", type=Array)
        if what == "state":
            self.doc.get("state", type=Map)[chance.choice(["document_id", "path"])] = (
                chance.random()
            )
        elif what == "in":
            nested = [it for it in cells if isinstance(it, Map)]
            if nested:
                chance.choice(nested)["source"].insert(0, chance.choice(["x", "é", "😀"]))
        else:
            text = "".join(chance.choices("ab é漢😀\n", k=chance.randint(1, 4)))
            apply(self.doc, (what, chance.randrange(1000), text))


def settle(room: Room) -> None:
    while any(peer.inbox or peer.outbox for peer in room.peers):
        for peer in room.peers:
            while peer.inbox:
                peer.take()
            while peer.outbox:
                peer.give()
                room.check()


SEEDS = range(60)


def play(seed: int) -> Room:
    chance = random.Random(seed)
    room = Room()
    room.peers = [
        Peer(room, chance, "alice", True),
        Peer(room, chance, "alice", True),
        Peer(room, chance, "bob", True),
        Peer(room, chance, "carol", False),
        Peer(room, chance, "dave", False),
    ]
    for _ in range(250):
        peer = chance.choice(room.peers)
        step = chance.random()
        if step < 0.3:
            peer.edit()
        elif step < 0.6 and peer.outbox:
            peer.give()
            room.check()
        elif step < 0.9 and peer.inbox:
            peer.take()
        elif step < 0.93:
            peer.connect()
        elif step < 0.94:
            room.restart()
        elif step < 0.96:
            may_edit = not peer.standing.may_edit
            dropped = peer.standing.dropped
            for it in room.peers:
                if it.standing.account == peer.standing.account:
                    dropped = it.standing.dropped
                    it.standing = Standing(
                        **{
                            **{name: getattr(it.standing, name) for name in Standing.__slots__},
                            "may_edit": may_edit,
                        }
                    )
                    if may_edit and dropped:
                        it.reset()
    settle(room)
    return room


@pytest.mark.parametrize("seed", SEEDS)
def test_log_and_documents_stay_the_same(seed):
    room = play(seed)
    # Who edited without the right has a document of its own; after a reset it is in step.
    for peer in room.peers:
        if not peer.standing.may_edit or peer.standing.dropped:
            peer.reset()
    settle(room)
    expected = room.doc.get_update()
    for peer in room.peers:
        assert parse_update(peer.doc.get_update()) == parse_update(expected)
        assert str(peer.doc.get("source", type=Text)) == str(room.doc.get("source", type=Text))
    # What was recorded gives the same document again.
    again = Doc()
    for data in room.record:
        again.apply_update(data)
    assert parse_update(again.get_update()) == parse_update(expected)


def test_the_plans_reach_every_verdict():
    seen = {verdict for seed in SEEDS for verdict in play(seed).verdicts}
    assert {Accept, Ignore, DropSilently, Defer, Refuse, Reset} <= seen


def test_editors_lose_nothing_and_are_not_reset():
    """Without role flips, everything that honest editors write gets in, as it is."""
    for seed in range(60):
        chance = random.Random(seed)
        room = Room()
        room.peers = [Peer(room, chance, name, True) for name in ("alice", "alice", "bob")]
        for _ in range(200):
            peer = chance.choice(room.peers)
            step = chance.random()
            if step < 0.4:
                peer.edit()
            elif step < 0.65 and peer.outbox:
                peer.give()
            elif step < 0.95 and peer.inbox:
                peer.take()
            elif step > 0.98:
                peer.connect()
            elif step > 0.97:
                room.restart()
        settle(room)
        assert [peer.resets for peer in room.peers] == [1, 1, 1]
        assert not {Refuse, Reset, Malformed, DropSilently} & set(room.verdicts)
        text = str(room.doc.get("source", type=Text))
        assert {str(peer.doc.get("source", type=Text)) for peer in room.peers} == {text}


def test_whatever_is_accepted_can_be_applied():
    """Updates with bytes changed at random: the document takes all that the gate lets in."""
    chance = random.Random(11)
    accepted = 0
    for _ in range(12_000):
        room = Room()
        whole = Doc()
        for data in chance.choices(UPDATES, k=2):
            whole.apply_update(data)
        data = bytearray(chance.choice([whole.get_update(), chance.choice(UPDATES)]))
        for _ in range(chance.randint(0, 3)):
            data[chance.randrange(len(data))] = chance.choice((0, 1, 0x80, chance.randrange(256)))
        standing = Standing(account=UserId("alice"), may_edit=True)
        verdict = judge(STEP2, bytes(data), standing, room.log)
        if isinstance(verdict, Accept):
            accepted += 1
            room.log.take(verdict, standing.account)
            room.doc.apply_update(bytes(data))
            room.check()
    assert accepted > 1500
