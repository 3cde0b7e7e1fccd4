"""Presence, with pycrdt's awareness on the other side."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pycrdt import Awareness, Doc

from jupyter_collab_ai.ids import UserId
from jupyter_collab_ai.rooms.awareness import (
    MAX_PAYLOAD,
    MAX_STATE,
    TIMEOUT,
    Entry,
    MalformedAwareness,
    Outcome,
    Presence,
    Seat,
    encode_awareness,
    identity,
    parse_awareness,
)
from jupyter_collab_ai.rooms.gate import server_client_id

ALICE, BOB, EVE = UserId("alice"), UserId("bob"), UserId("eve")


def seat(key: str, account: UserId, *, may_edit: bool = True, name: str | None = None) -> Seat:
    user = identity(username=account, display_name=name or account.title(), color="#123456")
    return Seat(key, account, may_edit, user)


A, B = seat("a", ALICE), seat("b", BOB)
E = seat("e", EVE, may_edit=False)


def says(client: int, clock: int, state: dict | None) -> bytes:
    return encode_awareness([(client, clock, state)])


def heard(payload: bytes | None) -> list[tuple[int, int, dict | None]]:
    if payload is None:
        return []
    return [(it.client, it.clock, json.loads(it.json)) for it in parse_awareness(payload)]


@pytest.fixture
def presence():
    return Presence()


# ---------------------------------------------------------------- the form


@settings(derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**53 - 1),
            st.integers(0, 2**31 - 1),
            st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
        )
    )
)
def test_there_and_back(entries):
    assert heard(encode_awareness(entries)) == entries


@settings(derandomize=True, deadline=None, max_examples=2000)
@given(st.binary(max_size=60))
def test_garbage_raises_nothing_else(data):
    with contextlib.suppress(MalformedAwareness):
        Presence().receive(A, data, 0)


def test_reads_and_writes_what_pycrdt_does():
    one = Awareness(Doc(client_id=5))
    one.set_local_state({"user": {"name": "é😀"}})
    (entry,) = parse_awareness(one.encode_awareness_update([5]))
    assert entry.client == 5
    assert json.loads(entry.json) == {"user": {"name": "é😀"}}
    other = Awareness(Doc(client_id=6))
    other.apply_awareness_update(encode_awareness([(5, 3, {"user": {"name": "é😀"}})]), "")
    assert other.states[5] == {"user": {"name": "é😀"}}


@pytest.mark.parametrize(
    "state",
    ["", "{", "[]", "1", '"x"', "NaN", '{"a":NaN}', '{"a":1e999}', '{"a":"\\ud800"}', "[" * 10**5],
)
def test_what_is_no_state_is_malformed(presence, state):
    body = state.encode()
    size = bytes([len(body)]) if len(body) < 128 else b"\xa0\x8d\x06"
    with pytest.raises(MalformedAwareness):
        presence.receive(A, b"\1\5\0" + size + body, 0)
    assert presence.claims() == {}


def test_limits(presence):
    with pytest.raises(MalformedAwareness):
        presence.receive(A, says(1, 0, {"x": "y" * MAX_STATE}), 0)
    with pytest.raises(MalformedAwareness):
        parse_awareness(bytes(MAX_PAYLOAD + 1))
    with pytest.raises(MalformedAwareness):
        presence.receive(A, says(1, 2**31, {}), 0)
    presence.receive(A, says(1, 0, {"n": 10**40}), 0)


# ---------------------------------------------------------------- who one is


def test_others_see_the_account_whatever_the_client_says(presence):
    forged = {"user": {"username": "root", "name": "Root"}, "cursor": [1, 2]}
    outcome = presence.receive(A, says(100, 1, forged), 0)
    expected = {
        "cursor": [1, 2],
        "user": {
            "username": "alice",
            "name": "Alice",
            "display_name": "Alice",
            "initials": "A",
            "color": "#123456",
            "avatar_url": None,
        },
    }
    assert heard(outcome.others) == [(100, 1, expected)]
    assert heard(presence.snapshot()) == [(100, 1, expected)]
    # Its own state comes back as it was, or its own name would flicker.
    assert heard(outcome.echo) == [(100, 1, forged)]
    assert outcome.refused is None
    assert presence.client_of("a") == 100
    assert presence.claims() == {100: ALICE}


def test_a_state_without_a_user_gets_one(presence):
    (entry,) = heard(presence.receive(A, says(100, 0, {}), 0).others)
    assert entry[2]["user"]["username"] == "alice"


def test_initials():
    assert identity(username="x", display_name="Ada King Lovelace", color="c")["initials"] == "AK"
    assert identity(username="x", display_name=" ", color="c")["initials"] == "X"


def test_a_viewer_does_not_decide_whether_the_file_is_saved(presence):
    (entry,) = heard(presence.receive(E, says(300, 0, {"autosave": False, "a": 1}), 0).others)
    assert "autosave" not in entry[2]
    assert entry[2]["a"] == 1
    (entry,) = heard(presence.receive(A, says(100, 0, {"autosave": False}), 0).others)
    assert entry[2]["autosave"] is False


def test_a_role_that_changes_is_seen_at_once(presence):
    presence.receive(A, says(100, 5, {"autosave": False}), 0)
    payload = presence.change(seat("a", ALICE, may_edit=False), 1)
    ((client, clock, state),) = heard(payload)
    assert (client, "autosave" in state) == (100, False)
    assert clock == 6
    assert presence.change(seat("a", ALICE, may_edit=False), 2) is None
    renamed = heard(presence.change(seat("a", ALICE, may_edit=False, name="Al"), 3))
    assert renamed[0][2]["user"]["name"] == "Al"
    # What the client sends next must be seen by all who saw those.
    ((_, after, _),) = heard(presence.receive(A, says(100, 6, {"x": 1}), 4).others)
    assert after > renamed[0][1]
    assert presence.change(B, 4) is None


# ---------------------------------------------------------------- entries of others


def test_what_is_merely_re_sent_is_ignored_in_silence(presence):
    shown = presence.receive(A, says(100, 3, {"x": 1}), 0).others
    presence.receive(B, says(200, 0, {}), 0)
    assert presence.receive(B, shown, 0) == Outcome()
    assert presence.receive(B, says(100, 2, {"x": 0}), 0) == Outcome()
    # She was not heard of for long, so the other's client believes that she has left.
    assert presence.receive(B, says(100, 3, None), 0) == Outcome()
    assert presence.receive(B, says(100, 9, None), 0) == Outcome()
    # Long gone, or never heard of.
    assert presence.receive(B, says(555, 3, None), 0) == Outcome()
    assert presence.receive(B, says(555, 3, {"x": 1}), 0) == Outcome()
    assert presence.states().keys() == {100, 200}
    assert presence.states()[100]["x"] == 1


def test_own_news_among_re_sent_entries(presence):
    presence.receive(A, says(100, 3, {"x": 1}), 0)
    outcome = presence.receive(
        B, encode_awareness([(100, 3, {"x": 1}), (200, 0, {"y": 1}), (555, 1, None)]), 0
    )
    assert [entry[0] for entry in heard(outcome.others)] == [200]
    assert [entry[0] for entry in heard(outcome.echo)] == [200]
    assert outcome.refused is None


def test_who_speaks_for_another_is_refused(presence):
    presence.receive(A, says(100, 3, {"x": 1}), 0)
    mallory = {"user": {"name": "mallory"}, "autosave": False}
    assert presence.receive(B, says(100, 1000, mallory), 0) == Outcome(refused=100)
    assert presence.client_of("b") is None
    outcome = presence.receive(B, encode_awareness([(200, 0, {}), (100, 4, mallory)]), 0)
    assert outcome.refused == 100
    assert [entry[0] for entry in heard(outcome.others)] == [200]
    assert presence.states()[100]["user"]["name"] == "Alice"
    assert heard(presence.receive(A, says(100, 4, {"x": 2}), 0).others)[0][1] == 4


def test_ids_that_belong_to_another_by_the_log_or_to_the_server(presence):
    owners = {100: ALICE, 7: None}
    for client in (100, 7, 0, server_client_id(b"x")):
        assert presence.receive(B, says(client, 0, {}), 0, owners) == Outcome(refused=client)
    assert presence.claims() == {}
    assert presence.receive(A, says(100, 0, {}), 0, owners).others


def test_a_second_id_is_not_shown(presence):
    presence.receive(A, says(100, 0, {}), 0)
    assert presence.receive(A, says(101, 0, {"ghost": 1}), 0) == Outcome()
    assert presence.states().keys() == {100}


def test_the_other_tab_of_one_person_is_ignored_in_silence(presence):
    presence.receive(A, says(100, 0, {}), 0)
    presence.receive(seat("a2", ALICE), says(101, 0, {}), 0)
    assert presence.receive(A, says(101, 5, {"x": 1}), 0) == Outcome()


# ---------------------------------------------------------------- coming and going


def test_who_goes_is_removed_and_seen_again_on_return(presence):
    other = Awareness(Doc(client_id=200))
    other.apply_awareness_update(presence.receive(A, says(100, 5, {"x": 1}), 0).others, "")
    assert other.states[100]["x"] == 1
    gone = presence.leave("a")
    assert heard(gone) == [(100, 5, None)]
    other.apply_awareness_update(gone, "")
    assert 100 not in other.states
    assert presence.leave("a") is None
    assert presence.snapshot() is None
    # y-websocket connects again with the same state at the same clock.
    outcome = presence.receive(seat("a3", ALICE), says(100, 5, {"x": 1}), 1)
    assert heard(outcome.echo)[0][1] == 5
    other.apply_awareness_update(outcome.others, "")
    assert other.states[100]["x"] == 1
    other.apply_awareness_update(
        presence.receive(seat("a3", ALICE), says(100, 6, {"x": 2}), 2).others, ""
    )
    assert other.states[100]["x"] == 2


def test_a_new_connection_takes_the_id_from_one_that_does_not_know_it_ended(presence):
    presence.receive(A, says(100, 5, {"x": 1}), 0)
    again = seat("a3", ALICE)
    assert presence.receive(again, says(100, 5, {"x": 1}), 1).others is None
    assert presence.client_of("a3") == 100
    assert presence.client_of("a") is None
    assert presence.leave("a") is None
    assert presence.states().keys() == {100}
    assert heard(presence.leave("a3")) == [(100, 5, None)]


def test_a_client_may_say_that_it_leaves_and_come_back(presence):
    presence.receive(A, says(100, 5, {"x": 1}), 0)
    outcome = presence.receive(A, says(100, 6, None), 0)
    assert heard(outcome.others) == [(100, 6, None)]
    assert presence.snapshot() is None
    assert presence.client_of("a") == 100
    assert heard(presence.receive(A, says(100, 7, {"x": 2}), 0).others)[0][1] == 7


def test_who_is_silent_is_shown_no_longer(presence):
    presence.receive(A, says(100, 5, {}), 0)
    presence.receive(B, says(200, 0, {}), 20)
    assert presence.expire(TIMEOUT - 1) is None
    assert heard(presence.expire(TIMEOUT)) == [(100, 5, None)]
    assert presence.expire(TIMEOUT) is None
    assert presence.change(seat("a", ALICE, name="X"), TIMEOUT + 1) is None
    # The next word is seen, whatever its clock.
    ((_, clock, _),) = heard(presence.receive(A, says(100, 5, {}), 31).others)
    assert clock == 6
    assert heard(presence.leave("a")) == [(100, 6, None)]


def test_a_renewal_is_passed_on(presence):
    """Or others would believe after 30 seconds that she has left."""
    presence.receive(A, says(100, 5, {"x": 1}), 0)
    assert heard(presence.receive(A, says(100, 6, {"x": 1}), 15).others)[0][1] == 6


def test_what_is_repeated_is_echoed_alone(presence):
    presence.receive(A, says(100, 5, {"x": 1}), 0)
    outcome = presence.receive(A, says(100, 5, {"x": 1}), 1)
    assert outcome.others is None
    assert outcome.echo is not None
    assert presence.receive(A, says(100, 4, {"x": 0}), 1) == Outcome()


class Plan(RuleBasedStateMachine):
    """Whatever comes and goes: pycrdt's awareness, fed by the room, shows what the room shows."""

    @initialize()
    def begin(self):
        self.presence = Presence()
        self.now = 0.0
        self.clocks = dict.fromkeys(range(1, 5), 0)
        self.seats: dict[int, Seat] = {}
        self.connections = 0
        self.observer = Awareness(Doc(client_id=999))
        self.last_clock: dict[int, int] = {}

    def show(self, payload):
        for client, clock, state in heard(payload):
            previous = self.last_clock.get(client, -1)
            assert clock > previous or (clock == previous and state is None)
            self.last_clock[client] = clock
        if payload is not None:
            self.observer.apply_awareness_update(payload, "")

    @rule(client=st.integers(1, 4), old=st.booleans())
    def connect(self, client, old):
        if not old and client in self.seats:
            self.show(self.presence.leave(self.seats[client].key))
        self.connections += 1
        account = UserId(f"user {client % 3}")
        self.seats[client] = seat(str(self.connections), account)

    @rule(
        client=st.integers(1, 4),
        step=st.integers(0, 3),
        state=st.none() | st.fixed_dictionaries({"x": st.integers(0, 2)}),
    )
    def say(self, client, step, state):
        if client in self.seats:
            self.clocks[client] += step
            payload = says(client, self.clocks[client], state)
            self.show(self.presence.receive(self.seats[client], payload, self.now).others)

    @rule(liar=st.integers(1, 4), client=st.integers(1, 4), clock=st.integers(0, 50))
    def lie(self, liar, client, clock):
        if liar in self.seats and liar % 3 != client % 3 and client in self.presence.claims():
            before = self.presence.states()
            payload = says(client, clock, {"forged": True})
            outcome = self.presence.receive(self.seats[liar], payload, self.now)
            assert outcome.others is None
            assert self.presence.states() == before

    @rule(client=st.integers(1, 4), name=st.sampled_from(["One", "Two"]))
    def rename(self, client, name):
        if client in self.seats:
            it = self.seats[client]
            self.seats[client] = seat(it.key, it.account, name=name)
            self.show(self.presence.change(self.seats[client], self.now))

    @rule(seconds=st.sampled_from([1, 10, 31]))
    def wait(self, seconds):
        self.now += seconds
        self.show(self.presence.expire(self.now))

    @invariant()
    def same(self):
        if not hasattr(self, "presence"):
            return
        states = {client: it for client, it in self.observer.states.items() if client != 999}
        assert states == self.presence.states()
        late = Awareness(Doc(client_id=998))
        snapshot = self.presence.snapshot()
        if snapshot is not None:
            late.apply_awareness_update(snapshot, "")
        assert {client: it for client, it in late.states.items() if client != 998} == states


TestPlan = Plan.TestCase
TestPlan.settings = settings(
    derandomize=True, deadline=None, max_examples=150, stateful_step_count=40
)


def test_entries_are_values():
    assert parse_awareness(says(1, 2, None)) == [Entry(1, 2, "null")]


def test_a_first_state_at_clock_0_is_seen(presence):
    """y-protocols compares with 0 where it knows nothing of a client, and so sees no change."""
    other = Awareness(Doc(client_id=200))
    other.apply_awareness_update(says(100, 0, {"x": 1}), "")
    assert 100 not in other.states
    other.apply_awareness_update(presence.receive(A, says(100, 0, {"x": 1}), 0).others, "")
    assert other.states[100]["x"] == 1
