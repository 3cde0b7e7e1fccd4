"""A process of people who type, one in each room: real Yjs updates at a steady pace.

Reads one line of JSON, ``{"doors": [...], "keystrokes": n, "rate": per second}``; prints
``{"ready": n}``, begins at the next line, and prints when each keystroke was sent, and when
it was acknowledged by servers that do so.
"""

from __future__ import annotations

import json
import selectors
import sys
import time
from typing import Any

from pycrdt import Doc, Text

from benchmarks.rooms.wire import UPDATE, Client, Door, encode, keystroke

#: Seconds to wait for the last acknowledgement.
_PATIENCE = 20.0
_QUIET = 0.2


class Typist:
    """Somebody who appends to a text."""

    def __init__(self, door: Door, keystrokes: int) -> None:
        self.client = Client(door)
        doc: Doc[Any] = Doc()
        doc.apply_update(self.client.sync())
        #: Frames that the server counts, before the first keystroke: our answer to its question.
        self._earlier = 1
        text = doc.get("source", type=Text)
        made: list[bytes] = []
        subscription = doc.observe(lambda event: made.append(event.update))
        size = len(text)
        for number in range(keystrokes):
            written = keystroke(number)
            text.insert(size, written)
            size += len(written)
        doc.unobserve(subscription)
        # Encoded before the clock runs, as browsers have a machine each.
        self._frames = [encode(door.message(UPDATE, update)) for update in made]
        self.sent: list[int] = []
        self.acknowledged: list[int] = []

    def type(self) -> None:
        """Send the next keystroke."""
        frame = self._frames[len(self.sent)]
        self.sent.append(time.monotonic_ns())
        self.client.socket.sendall(frame)

    def hear(self) -> None:
        """Take in what the server says."""
        for message in self.client.receive():
            number = self.client.acknowledged(message)
            if number is None:
                self.client.answer(message)
            elif number == 0 or number > self._earlier:
                self.acknowledged.append(time.monotonic_ns())


def main() -> None:
    """Connect, wait for the word, type, and tell."""
    plan = json.loads(sys.stdin.readline())
    count, rate = plan["keystrokes"], plan["rate"]
    typists = [Typist(Door(**door), count) for door in plan["doors"]]
    selector = selectors.DefaultSelector()
    for typist in typists:
        selector.register(typist.client.socket, selectors.EVENT_READ, typist)

    def listen(until: float) -> None:
        while True:
            left = until - time.monotonic()
            for key, _ in selector.select(max(0.0, left)):
                key.data.hear()
            if left <= 0:
                return

    print(json.dumps({"ready": len(typists)}), flush=True)
    sys.stdin.readline()
    begun = time.monotonic() + 0.1
    for number in range(count):
        for index, typist in enumerate(typists):
            # Those of several rooms take turns.
            listen(begun + (number + index / len(typists)) / rate)
            typist.type()
    listen(time.monotonic() + _QUIET)
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and any(
        0 < len(typist.acknowledged) < count for typist in typists
    ):
        listen(time.monotonic() + _QUIET)
    # Hocuspocus does not say what it acknowledges: the first may be our answer to its question.
    told = [{"sent": it.sent, "acknowledged": it.acknowledged[-count:]} for it in typists]
    print(json.dumps({"typists": told}), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main()
