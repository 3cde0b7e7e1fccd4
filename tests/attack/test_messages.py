"""Everybody who may come in × every kind of message × both WebSockets.

What is expected follows from the table of roles alone: whoever may write is heard by others,
nobody else is, whatever the message.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pycrdt import Doc, Map, Text

from jupyter_collab_ai.rooms import protocol
from jupyter_collab_ai.rooms.awareness import encode_awareness, parse_awareness
from jupyter_collab_ai.sessions.roles import Capability, Role, may
from tests.attack.conftest import Live
from tests.attack.line import Line

#: Who may come in, and what they are there; None is an admin, who may do everything.
PEOPLE = {
    "admin": None,
    "owner": Role.OWNER,
    "editor": Role.EDITOR,
    "viewer": Role.VIEWER,
}
_numbers = itertools.count(1)


def writes(who: str) -> bool:
    role = PEOPLE[who]
    return role is None or may(role, Capability.WRITE)


@dataclass
class Scene:
    """Who speaks, who looks on, and what the speaker says of itself."""

    speaker: Line
    witness: Line
    word: str


def copy_of(line: Line) -> Doc[Any]:
    doc: Doc[Any] = Doc()
    doc.apply_update(line.doc.get_update())
    return doc


def changed(line: Line, change: Callable[[Doc[Any]], None]) -> bytes:
    """Return the update of a change that somebody makes who has what ``line`` has."""
    doc = copy_of(line)
    before = doc.get_state()
    change(doc)
    return doc.get_update(before)


def typed(scene: Scene) -> bytes:
    return changed(scene.speaker, lambda doc: doc.get("source", type=Text).insert(0, scene.word))


def an_update(scene: Scene) -> bytes:
    return protocol.update(typed(scene))


def a_step_2(scene: Scene) -> bytes:
    return protocol.sync_step2(typed(scene))


def a_deletion(scene: Scene) -> bytes:
    def delete(doc: Doc[Any]) -> None:
        text = doc.get("source", type=Text)
        del text[0 : len(text)]

    return protocol.update(changed(scene.speaker, delete))


def what_is_known(scene: Scene) -> bytes:
    return protocol.sync_step2(scene.speaker.doc.get_update())


def the_state_alone(scene: Scene) -> bytes:
    def note(doc: Doc[Any]) -> None:
        doc.get("state", type=Map)["document_id"] = scene.word

    return protocol.update(changed(scene.speaker, note))


def under_anothers_id(scene: Scene) -> bytes:
    """Take the id of the witness, and write what it never wrote."""
    doc: Doc[Any] = Doc(client_id=scene.witness.doc.client_id)
    doc.apply_update(scene.speaker.doc.get_update())
    before = doc.get_state()
    doc.get("source", type=Text).insert(0, scene.word)
    return protocol.update(doc.get_update(before))


def presence(scene: Scene) -> bytes:
    state = {"user": {"username": "mallory", "name": scene.word}, "cursor": None}
    return protocol.awareness(encode_awareness([(scene.speaker.doc.client_id, 1, state)]))


def anothers_presence(scene: Scene) -> bytes:
    state = {"user": {"username": "mallory", "name": scene.word}}
    return protocol.awareness(encode_awareness([(scene.witness.doc.client_id, 10**6, state)]))


#: The message, and what comes of it for who may write and for who may not: ``shown`` to others,
#: ``ignored``, ``refused`` by a raw frame that says so, ``answered``, or ``ended``.
KINDS: dict[str, tuple[Callable[[Scene], bytes | str], str, str]] = {
    "update": (an_update, "shown", "refused"),
    "step 2": (a_step_2, "shown", "refused"),
    "deletion": (a_deletion, "shown", "refused"),
    "step 2 of what is known": (what_is_known, "ignored", "ignored"),
    "update of the state alone": (the_state_alone, "ignored", "ignored"),
    "update under another's id": (under_anothers_id, "refused", "refused"),
    "presence": (presence, "ignored", "ignored"),
    "another's presence": (anothers_presence, "refused", "refused"),
    "question who is here": (lambda _: b"\x03", "ignored", "ignored"),
    "request to save": (lambda _: b"\x02\x04save\x07", "ignored", "ignored"),
    "raw frame of the server's kind": (
        lambda _: protocol.raw({"type": "role", "read_only": False}),
        "ended or ignored",
        "ended or ignored",
    ),
    "unknown type": (lambda _: b"\x7d\x01a", "ignored", "ignored"),
    "unknown sync type": (lambda _: b"\x00\x09\x00", "ended", "ended"),
    "text": (lambda _: "hello", "ended", "ended"),
    "nothing": (lambda _: b"", "ended", "ended"),
    "cut off": (lambda _: b"\x00\x02\x7f\x01", "ended", "ended"),
    "number without end": (lambda _: b"\xff" * 30, "ended", "ended"),
    "update that is none": (lambda _: protocol.update(b"\xff" * 40), "ended", "ended"),
    "presence that is none": (lambda _: protocol.awareness(b"\x05\x01"), "ended", "ended"),
}


async def play(live: Live, scene: Scene, kind: str) -> str:
    """Send the message; returns what came of it."""
    make, *_ = KINDS[kind]
    before = str(scene.witness.text)
    scene.speaker.send(make(scene))
    stayed = await scene.speaker.settle()
    await scene.witness.settle()
    if str(scene.witness.text) != before:
        return "shown"
    if not stayed:
        return "ended"
    return "refused" if scene.speaker.told("refused") else "ignored"


def endpoints() -> Iterator[str]:
    yield "ws"
    yield "jupyterlab"


@pytest.mark.parametrize("endpoint", endpoints())
async def test_every_message_of_everybody(
    live: Live,
    endpoint: str,
    database_backend: str,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    url = live.ws() if endpoint == "ws" else await live.room()
    await live.add_account("witness")
    await live.add_member("witness", "editor")
    verdicts: Counter[str] = Counter()
    wrong = []
    for kind, (_, for_writers, for_others) in KINDS.items():
        for who in PEOPLE:
            witness = await Line.open(live, "witness", live.ws())
            if not str(witness.text):
                witness.send(
                    protocol.update(
                        changed(witness, lambda doc: doc.get("source", type=Text).insert(0, "x"))
                    )
                )
            # The witness owns the id under which it shows itself and writes.
            witness.send(
                protocol.update(
                    changed_by(witness, lambda doc: doc.get("source", type=Text).insert(0, "w"))
                )
            )
            shown = {"user": {"username": "witness"}}
            witness.send(protocol.awareness(encode_awareness([(witness.doc.client_id, 1, shown)])))
            await witness.settle()
            speaker = await Line.open(live, who, url)
            word = f"word{next(_numbers)}"
            got = await play(live, Scene(speaker, witness, word), kind)
            wanted = for_writers if writes(who) else for_others
            verdicts[got] += 1
            if got not in wanted.split(" or "):
                wrong.append(f"{who}: {kind} on {endpoint}: {got}, not {wanted}")
            # Names are those of the accounts, whatever anybody says.
            for payload in witness.awareness:
                for entry in parse_awareness(payload):
                    assert "mallory" not in entry.json, (who, kind)
                    if entry.client == witness.doc.client_id and word in entry.json:
                        wrong.append(f"{who}: {kind} on {endpoint}: speaks for another")
            await speaker.close()
            await witness.close()
    assert wrong == [], "; ".join(wrong)
    told = ", ".join(f"{word}: {count}" for word, count in sorted(verdicts.items()))
    print(f"\nmessages on {endpoint}, {database_backend}: {verdicts.total()} cells ({told})")
    record_testsuite_property(
        f"matrix of messages on {endpoint}, {database_backend}",
        f"{verdicts.total()} cells: {told}",
    )


def changed_by(line: Line, change: Callable[[Doc[Any]], None]) -> bytes:
    """Return the update of a change that is made in the document of ``line`` itself."""
    before = line.doc.get_state()
    change(line.doc)
    return line.doc.get_update(before)
