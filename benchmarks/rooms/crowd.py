"""A process of people who look on: it notes when which keystroke reached whom.

Reads one line of JSON, ``{"doors": [...], "keystrokes": n, "seconds": s}``; prints
``{"ready": n}`` once everybody is in, and at the end what came to whom and when.
"""

from __future__ import annotations

import json
import selectors
import sys
import time

from benchmarks.rooms.wire import Client, Door, newest_keystroke


def main() -> None:
    """Connect, look on until all keystrokes have come or the time is over, and tell."""
    plan = json.loads(sys.stdin.readline())
    last = plan["keystrokes"] - 1
    clients = [Client(Door(**door)) for door in plan["doors"]]
    for client in clients:
        client.sync()
    selector = selectors.DefaultSelector()
    #: Of each, the highest keystroke seen so far and when, as often as that rose.
    seen: list[list[tuple[int, int]]] = [[] for _ in clients]
    frames = [0] * len(clients)
    for number, client in enumerate(clients):
        selector.register(client.socket, selectors.EVENT_READ, (number, client))
    print(json.dumps({"ready": len(clients)}), flush=True)
    waiting = len(clients)
    highest = [-1] * len(clients)
    deadline = time.monotonic() + plan["seconds"]
    while waiting and time.monotonic() < deadline:
        for key, _ in selector.select(0.5):
            number, client = key.data
            for message in client.receive():
                found = newest_keystroke(message)
                if found < 0:
                    client.answer(message)
                    continue
                frames[number] += 1
                if found > highest[number]:
                    highest[number] = found
                    seen[number].append((found, time.monotonic_ns()))
                    waiting -= found == last
    print(json.dumps({"seen": seen, "frames": sum(frames), "missing": waiting}), flush=True)
    sys.stdin.readline()  # keep the connections until the others are done


if __name__ == "__main__":
    main()
