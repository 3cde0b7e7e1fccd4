"""The tables, in Markdown: absolute figures of each server, and the ratios to this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks.rooms.figures import ratio, typical, written

Result = Mapping[str, Any]


def report(kept: Mapping[str, Any]) -> str:
    """Return all tables of what was measured."""
    results: list[Result] = kept["results"]
    before, after = kept["load_average"]
    lines = [
        f"{kept['cpus']} processors; load average {written(before[0])} before, "
        f"{written(after[0])} after, our own load included. Medians of all rounds; in brackets, "
        "how many times the figure of the first line it is.",
    ]
    by_load = _grouped(results, "typing", "load")
    for load, of_load in by_load.items():
        lines += ["", f"### {load}", ""]
        lines += _table(
            {
                "p50, ms": "p50",
                "p99, ms": "p99",
                "server CPU, µs": "cpu_us",
                "database CPU, µs": "database_cpu_us",
                "frames": "frames",
                "acknowledged p50, ms": "ack_p50",
                "p99, ms ": "ack_p99",
            },
            of_load,
        )
    of_memory = [result for result in results if result["part"] == "memory"]
    if of_memory:
        lines += ["", "### Memory of an open document of 10 kB", ""]
        lines += _table({"kB": lambda result: result["bytes"] / 1000}, of_memory)
    for document, of_document in _grouped(results, "opening", "document").items():
        lines += ["", f"### Opening a {document}", ""]
        lines += _table({"first, ms": "cold", "again, ms": "warm"}, of_document)
    return "\n".join(lines)


def _grouped(results: Iterable[Result], part: str, key: str) -> dict[str, list[Result]]:
    groups: dict[str, list[Result]] = {}
    for result in results:
        if result["part"] == part:
            groups.setdefault(result[key], []).append(result)
    return groups


def _table(
    columns: Mapping[str, str | Callable[[Result], float | None]], results: Sequence[Result]
) -> list[str]:
    """Return a table with a line for each server."""
    peers = list(dict.fromkeys(result["peer"] for result in results))

    def figure(peer: str, column: str | Callable[[Result], float | None]) -> float | None:
        return typical(
            result[column] if isinstance(column, str) else column(result)
            for result in results
            if result["peer"] == peer
        )

    lines = ["| server | " + " | ".join(columns) + " |", "|---" + "|--:" * len(columns) + "|"]
    for peer in peers:
        cells = []
        for column in columns.values():
            value, first = figure(peer, column), figure(peers[0], column)
            times = ratio(value, first)
            cell = written(value)
            if times is not None and peer != peers[0]:
                cell += f" ({written(times)}×)"
            cells.append(cell)
        lines.append(f"| {peer} | " + " | ".join(cells) + " |")
    return lines
