"""Event streams reach who follows, in order, and let go of who can't keep up."""

from __future__ import annotations

from jupyter_collab_ai.ids import SessionId
from jupyter_collab_ai.web.events import MAX_BACKLOG, Event, EventHub, encode

A, B = SessionId("a"), SessionId("b")


async def drain(reader):
    events = []
    while (event := await reader.get()) is not None:
        events.append(event)
    return events


async def test_events_reach_who_follows_that_session():
    hub = EventHub()
    with hub.follow(A) as reader, hub.follow(B) as other:
        hub.publish(A, "role", {"username": "ada"})
        hub.publish(A, "member", {"username": "ben"})
        hub.close()
        assert await drain(reader) == [
            Event("role", {"username": "ada"}),
            Event("member", {"username": "ben"}),
        ]
        assert await drain(other) == []


async def test_a_slow_reader_is_let_go_and_the_others_are_not():
    hub = EventHub()
    with hub.follow(A) as slow:
        for number in range(MAX_BACKLOG + 10):
            hub.publish(A, "saved", {"seq": number})
        with hub.follow(A) as quick:
            hub.publish(A, "saved", {"seq": -1})
            hub.end(A)
            assert await drain(quick) == [Event("saved", {"seq": -1})]
        assert len(await drain(slow)) == MAX_BACKLOG
        assert slow.ended


def test_what_goes_over_the_wire():
    event = Event("member", {"name": "Zoë\nevent: forged"})
    assert encode(event) == ('event: member\ndata: {"name":"Zoë\\nevent: forged"}\n\n'.encode())
