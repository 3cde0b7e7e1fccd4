"""The measurements: each makes a document, lets processes of clients loose, and looks on."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.rooms.figures import quantile
from benchmarks.rooms.peers import Peer
from benchmarks.rooms.wire import Client, Door
from tests.support.processes import end, start, wait_until

_ROOT = Path(__file__).resolve().parents[2]
#: Seconds that the last keystroke has to arrive.
_PATIENCE = 30.0


class Lost(RuntimeError):
    """Somebody was not shown what was typed."""


@dataclass(frozen=True)
class Load:
    """How many type how fast, and how many look on."""

    name: str
    rooms: int
    #: How many look on in each room, beside the one who types.
    receivers: int
    #: Keystrokes a second in each room.
    rate: float
    seconds: float

    @property
    def keystrokes(self) -> int:
        """How many each typist makes."""
        return max(2, round(self.rate * self.seconds))


@dataclass
class Typing:
    """What came of a load; times in milliseconds."""

    peer: str
    load: str
    p50: float
    p99: float
    #: Of the server's processes, in microseconds for each keystroke on each other's screen.
    cpu_us: float
    #: Of the database's processes, where it has its own.
    database_cpu_us: float
    #: Frames in which these came, by keystroke and receiver: below 1 where some were merged.
    frames: float
    #: None where the server acknowledges nothing.
    ack_p50: float | None
    ack_p99: float | None
    load_average: float = field(default_factory=lambda: os.getloadavg()[0])

    def to_json(self) -> dict[str, Any]:
        """Return it for the file of raw results."""
        return asdict(self)


class _Helper:
    """A process of clients that is told things, and tells things, in lines of JSON."""

    def __init__(self, module: str, plan: object) -> None:
        self._process: subprocess.Popen[bytes] = start(
            [sys.executable, "-m", f"benchmarks.rooms.{module}"],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.tell(plan)

    def tell(self, what: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        self._process.stdin.flush()

    def hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Lost(f"The clients ended with {self._process.wait()}.")
        return json.loads(line)

    def close(self) -> None:
        end(self._process, 9, timeout=10)


@contextmanager
def _helper(module: str, plan: object) -> Iterator[_Helper]:
    helper = _Helper(module, plan)
    try:
        yield helper
    finally:
        helper.close()


def _cpu(processes: Sequence[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def _calm(peer: Peer) -> None:
    """Wait until the server has done what the connections brought about."""
    processes = [*peer.processes(), *peer.database_processes()]
    before = _cpu(processes)

    def idle() -> bool:
        nonlocal before
        time.sleep(0.2)
        now = _cpu(processes)
        calm, before = now - before < 0.04, now
        return calm

    wait_until(idle, timeout=30, what=f"{peer.name} to be idle")


def typing(peer: Peer, load: Load) -> Typing:
    """Let people type and others look on.

    Raises:
        Lost: Somebody was not shown something.
    """
    rooms = [peer.document("") for _ in range(load.rooms)]
    people = itertools.count()
    writers = [peer.door(room, next(people), typist=True) for room in rooms]
    readers = [peer.door(room, next(people)) for room in rooms for _ in range(load.receivers)]
    count = load.keystrokes
    crowd_plan = {
        "doors": [door.to_json() for door in readers],
        "keystrokes": count,
        "seconds": load.seconds + _PATIENCE,
    }
    typist_plan = {
        "doors": [door.to_json() for door in writers],
        "keystrokes": count,
        "rate": load.rate,
    }
    with _helper("crowd", crowd_plan) as crowd, _helper("typist", typist_plan) as typist:
        crowd.hear()
        typist.hear()
        _calm(peer)
        server, database = peer.processes(), peer.database_processes()
        cpu, database_cpu = _cpu(server), _cpu(database)
        typist.tell("begin")
        typed = typist.hear()["typists"]
        seen = crowd.hear()
        cpu, database_cpu = _cpu(server) - cpu, _cpu(database) - database_cpu
    if seen["missing"]:
        raise Lost(f"{seen['missing']} of {len(readers)} did not see all on {peer.name}.")
    delays: list[float] = []
    for index, arrivals in enumerate(seen["seen"]):
        sent = typed[index // load.receivers]["sent"]
        shown = 0
        for highest, at in arrivals:
            delays += [(at - sent[number]) / 1e6 for number in range(shown, highest + 1)]
            shown = highest + 1
    waits = [
        (at - sent) / 1e6
        for one in typed
        if len(one["acknowledged"]) == count
        for sent, at in zip(one["sent"], one["acknowledged"], strict=True)
    ]
    delivered = len(readers) * count
    return Typing(
        peer.name,
        load.name,
        quantile(delays, 0.5),
        quantile(delays, 0.99),
        cpu / delivered * 1e6,
        database_cpu / delivered * 1e6,
        seen["frames"] / delivered,
        quantile(waits, 0.5) if waits else None,
        quantile(waits, 0.99) if waits else None,
    )


def memory(peer: Peer, documents: int, content: str) -> float:
    """Return the bytes that the server needs for an open document with one client."""

    def opened() -> list[Client]:
        document = peer.document(content)
        if not peer.keeps:
            return []  # whoever brought it has it open
        client = Client(peer.door(document))
        client.sync()
        return [client]

    # The first one brings what all share.
    clients = opened()
    _calm(peer)
    before = _memory(peer)
    for _ in range(documents):
        clients += opened()
    _calm(peer)
    after = _memory(peer)
    for client in clients:
        client.close()
    return (after - before) / documents


def _memory(peer: Peer) -> int:
    return sum(int(process.memory_info().rss) for process in peer.processes())


@dataclass(frozen=True)
class Opening:
    """How long it took to open a document, in milliseconds; None where nothing is kept."""

    cold: float | None
    warm: float
    #: Bytes that came.
    size: int


def opening(peer: Peer, content: str, suffix: str) -> Opening:
    """Open a document that nobody has open, then once more.

    From before the connection until the whole state has come, with the handshake.
    """
    document = peer.document(content, suffix)
    # On Jupyter's endpoint a page asks for the room's id before.
    door = peer.door(document)
    cold, holder, _ = _open(door)
    try:
        warm, second, size = _open(door)
        second.close()
    finally:
        holder.close()
    return Opening(cold if peer.keeps else None, warm, size)


def _open(door: Door) -> tuple[float, Client, int]:
    begun = time.perf_counter()
    client = Client(door)
    state = client.sync()
    return (time.perf_counter() - begun) * 1e3, client, len(state)
