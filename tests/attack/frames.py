"""Frames that no honest client sends, made from those that one does."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from pycrdt import Doc, Map, Text

from jupyter_collab_ai.rooms import protocol
from jupyter_collab_ai.rooms.awareness import encode_awareness
from jupyter_collab_ai.rooms.yupdate import write_varuint

Frame = bytes | str


def typed(doc: Doc[Any], word: str, client_id: int | None = None) -> bytes:
    """Return the update of somebody who types ``word`` into a copy of ``doc``."""
    copy: Doc[Any] = Doc() if client_id is None else Doc(client_id=client_id)
    copy.apply_update(doc.get_update())
    before = copy.get_state()
    text = copy.get("source", type=Text)
    text.insert(random.randint(0, len(str(text))), word)  # ASCII, so that bytes are characters
    return copy.get_update(before)


def deleted(doc: Doc[Any]) -> bytes:
    """Return the update of somebody who deletes all the text."""
    copy: Doc[Any] = Doc()
    copy.apply_update(doc.get_update())
    before = copy.get_state()
    text = copy.get("source", type=Text)
    del text[0 : len(text)]
    return copy.get_update(before)


def in_the_state(doc: Doc[Any], word: str) -> bytes:
    """Return the update of somebody who writes to the shared map beside the text."""
    copy: Doc[Any] = Doc()
    copy.apply_update(doc.get_update())
    before = copy.get_state()
    copy.get("state", type=Map)[word] = word
    return copy.get_update(before)


class Fuzzer:
    """Makes frames, by chance but the same ones for the same seed."""

    def __init__(self, seed: int, doc: Doc[Any], word: str, others: list[int], limit: int) -> None:
        """Begin.

        Args:
            seed: Of the chance.
            doc: The document, as the fuzzer sees it.
            word: What it types, to be found again.
            others: Yjs client ids of others.
            limit: Bytes that a message may have.
        """
        self._random = random.Random(seed)
        self._doc = doc
        self._word = word
        self._others = others
        self._limit = limit
        self._kinds: dict[str, Callable[[], Frame]] = {
            "cut off": self._cut_off,
            "flipped": self._flipped,
            "longer": lambda: self._whole() + self._random.randbytes(self._random.randint(1, 20)),
            "noise": lambda: self._random.randbytes(self._random.randint(0, 200)),
            "noise as a known type": self._typed_noise,
            "numbers that overflow": self._overflow,
            "lengths that lie": self._lie,
            "oversized": lambda: protocol.update(
                bytes(self._limit + self._random.randint(1, 4096))
            ),
            "text": self._text,
            "raw": self._raw,
            "garbage as JSON": self._garbage,
            "under another's id": self._stolen,
            "presence of others": self._presence,
            "many presences": self._crowd,
            "save": lambda: b"\x02\x04save" + self._number(),
        }

    @property
    def kinds(self) -> tuple[str, ...]:
        """What kinds of frames it makes."""
        return tuple(self._kinds)

    def frame(self, kind: str) -> Frame:
        """Return a frame of a kind."""
        return self._kinds[kind]()

    def _number(self) -> bytes:
        out = bytearray()
        write_varuint(out, self._random.choice((0, 1, 127, 128, 2**14, 2**31, 2**53 - 1)))
        return bytes(out)

    def _whole(self) -> bytes:
        """Return a frame as it should be."""
        return self._random.choice(
            (
                lambda: protocol.update(typed(self._doc, self._word)),
                lambda: protocol.sync_step2(typed(self._doc, self._word)),
                lambda: protocol.update(deleted(self._doc)),
                lambda: protocol.update(in_the_state(self._doc, self._word)),
                lambda: protocol.sync_step1(self._doc.get_state()),
                lambda: protocol.awareness(
                    encode_awareness([(self._doc.client_id, 1, {"user": {"name": self._word}})])
                ),
            )
        )()

    def _cut_off(self) -> bytes:
        whole = self._whole()
        return whole[: self._random.randint(0, len(whole) - 1)]

    def _flipped(self) -> bytes:
        frame = bytearray(self._whole())
        for _ in range(self._random.randint(1, 4)):
            frame[self._random.randrange(len(frame))] ^= 1 << self._random.randrange(8)
        return bytes(frame)

    def _typed_noise(self) -> bytes:
        head = self._random.choice((b"\x00\x00", b"\x00\x01", b"\x00\x02", b"\x01", b"\x02"))
        noise = self._random.randbytes(self._random.randint(0, 60))
        out = bytearray(head)
        write_varuint(out, len(noise))
        return bytes(out) + noise

    def _overflow(self) -> bytes:
        head = self._random.choice((b"", b"\x00", b"\x00\x02", b"\x01", b"\x00\x00"))
        return head + b"\xff" * self._random.randint(1, 40) + self._random.choice((b"", b"\x01"))

    def _lie(self) -> bytes:
        """Say that more comes than does."""
        out = bytearray(self._random.choice((b"\x00\x02", b"\x00\x01", b"\x01", b"\x02")))
        write_varuint(out, self._random.choice((2**20, 2**32, 2**53 - 1)))
        return bytes(out) + b"\x01" * self._random.randint(0, 10)

    def _text(self) -> str:
        return self._random.choice(("", "hello", "\u0000", "🐍" * 50, json.dumps({"type": "role"})))

    def _raw(self) -> bytes:
        said = self._random.choice(
            (
                {"type": "role", "read_only": False, "role": "owner"},
                {"type": "saved", "seq": 10**9},
                {"type": "reset"},
                {"type": "end", "code": 1000},
            )
        )
        return protocol.raw(said)

    def _garbage(self) -> bytes:
        said = self._random.choice(('{"type":', "[" * 2000, '"' + "\\ud800" + '"', "nul", "1e999"))
        entry = bytearray(b"\x02")
        write_varuint(entry, len(said.encode()))
        return bytes(entry) + said.encode()

    def _stolen(self) -> bytes:
        return protocol.update(
            typed(self._doc, self._word, client_id=self._random.choice(self._others))
        )

    def _presence(self) -> bytes:
        state = self._random.choice(
            ({"user": {"name": self._word, "username": "root"}}, None, {"autosave": False})
        )
        clock = self._random.choice((0, 1, 2**31, 2**53 - 1))
        return protocol.awareness(encode_awareness([(each, clock, state) for each in self._others]))

    def _crowd(self) -> bytes:
        ids = [self._random.randrange(1, 2**32) for _ in range(self._random.randint(2, 300))]
        return protocol.awareness(encode_awareness([(each, 1, {"user": {}}) for each in ids]))
