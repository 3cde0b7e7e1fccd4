"""The command: ``python -m benchmarks.rooms``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.rooms.documents import NOTEBOOKS, TEXTS, notebook, text
from benchmarks.rooms.measure import Load, memory, opening, typing
from benchmarks.rooms.peers import (
    HOCUSPOCUS,
    OURS,
    OURS_LAB,
    OURS_POSTGRES,
    RELAY,
    UPSTREAM,
    YWEBSOCKET,
    Peer,
    running,
)
from benchmarks.rooms.report import report

NAMES = (OURS, OURS_POSTGRES, OURS_LAB, UPSTREAM, HOCUSPOCUS, YWEBSOCKET, RELAY)
PARTS = ("typing", "memory", "opening")

LOADS = (
    *(Load(f"1 types 20/s, {n} look on", 1, n, 20, 5) for n in (10, 50, 100, 200)),
    *(Load(f"1 types 200/s, {n} look on", 1, n, 200, 2) for n in (50, 100)),
    Load("50 rooms of 4, each typed in 2/s", 50, 3, 2, 5),
)
#: Not measured: V8 compiles what runs often, and caches fill.
WARMING = Load("to get warm", 1, 10, 200, 3)
QUICK_LOADS = (
    Load("1 types 20/s, 3 look on", 1, 3, 20, 0.5),
    Load("2 rooms of 4, each typed in 10/s", 2, 3, 10, 0.5),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables, and keep the raw results."""
    options = _options(arguments)
    os.nice(options.nice)
    kept: dict[str, Any] = {
        "begun": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpus": os.cpu_count(),
        "load_average": [os.getloadavg()],
        "quick": options.quick,
        "results": [],
    }
    out: Path = options.out or Path(tempfile.gettempdir()) / "jupyter-collab-ai-rooms.json"
    with (
        tempfile.TemporaryDirectory(prefix="collab-bench-") as folder,
        running(options.only or list(NAMES), Path(folder), 4 if options.quick else 50) as peers,
    ):
        for result in _measure(options, peers):
            kept["results"].append(result)
            print(json.dumps(result), file=sys.stderr, flush=True)
    kept["load_average"].append(os.getloadavg())
    out.write_text(json.dumps(kept, indent=1))
    print(report(kept))
    print(f"\nRaw results: {out}")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rooms", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small and short: does it still work?")
    parser.add_argument("--repeat", type=int, default=3, help="how often to measure each")
    parser.add_argument("--only", nargs="+", choices=NAMES, help="only these servers")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="only these parts")
    parser.add_argument("--loads", help="only the loads whose name holds this")
    parser.add_argument("--nice", type=int, default=0, help="how much to yield to others")
    parser.add_argument("--out", type=Path, help="where the raw results are kept, as JSON")
    return parser.parse_args(arguments)


def _measure(options: argparse.Namespace, peers: Sequence[Peer]) -> Iterator[dict[str, Any]]:
    loads = QUICK_LOADS if options.quick else LOADS
    sizes = TEXTS[:1] if options.quick else TEXTS
    cells = NOTEBOOKS[:1] if options.quick else NOTEBOOKS
    repeat = 1 if options.quick else options.repeat

    def rounds(act: Callable[[Peer], dict[str, Any]]) -> Iterator[dict[str, Any]]:
        # In turns, so that whatever else the machine does meanwhile hits all alike.
        for _ in range(repeat):
            for peer in peers:
                yield {"peer": peer.name, **act(peer)}

    if "memory" in options.parts:
        # First and once: later, what has become free meanwhile is used again.
        documents = 3 if options.quick else 40
        for peer in peers:
            used = memory(peer, documents, text(10_000))
            yield {"peer": peer.name, "part": "memory", "bytes": used}
    if "typing" in options.parts:
        for peer in peers:
            typing(peer, QUICK_LOADS[0] if options.quick else WARMING)
        for load in loads:
            if options.loads is None or options.loads in load.name:
                yield from rounds(
                    lambda peer, load=load: {  # type: ignore[misc]
                        "part": "typing",
                        **typing(peer, load).to_json(),
                    }
                )
    if "opening" in options.parts:
        made = [
            *((f"text of {label}", text(size), ".py") for label, size in sizes),
            *((f"notebook of {count} cells", notebook(count), ".ipynb") for count in cells),
        ]
        for name, content, suffix in made:
            yield from rounds(
                lambda peer, name=name, content=content, suffix=suffix: {  # type: ignore[misc]
                    "part": "opening",
                    "document": name,
                    **vars(opening(peer, content, suffix)),
                }
            )


if __name__ == "__main__":
    sys.exit(main())
