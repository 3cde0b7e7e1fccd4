"""The command: ``python -m benchmarks.merge``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.merge.methods import METHODS, Outcome
from benchmarks.merge.trials import Trial, make, runs

Row = dict[str, str | float]


def measure(trials: Sequence[Trial]) -> list[Row]:
    """Return, for each method and both moments, shares of all trials in percent."""
    rows: list[Row] = []
    for name, method in METHODS.items():
        for in_flight in (False, True):
            outcomes = [method(trial, in_flight) for trial in trials]
            pairs = list(zip(trials, outcomes, strict=True))
            written = [pair for pair in pairs if pair[1].written]
            rows.append(
                {
                    "method": name,
                    "edit": "in flight" if in_flight else "before",
                    "runs": _share([runs(outcome.text) for _, outcome in pairs]),
                    "runs, of those written": _share([runs(one.text) for _, one in written]),
                    "edit kept": _share([_kept(*pair) for pair in pairs]),
                    "written": _share([outcome.written for outcome in outcomes]),
                    "taken back": _share([outcome.taken_back for outcome in outcomes]),
                }
            )
    return rows


def _kept(trial: Trial, outcome: Outcome) -> bool:
    return outcome.text.count(trial.mark) == 1


def _share(values: Sequence[bool]) -> float:
    return round(100 * sum(values) / len(values), 1) if values else float("nan")


def table(rows: Sequence[Row]) -> str:
    """Return rows as a table in Markdown."""
    names = list(rows[0])
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    for row in rows:
        cells = [value if isinstance(value, str) else f"{value:.1f} %" for value in row.values()]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Make the trials, and print what came of them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.merge", description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--out", type=Path, help="where the rows are kept as JSON")
    options = parser.parse_args()
    trials = [make(seed) for seed in range(options.first, options.first + options.trials)]
    same = _share([trial.same_function for trial in trials])
    print(f"{len(trials)} trials, the edit in the rewritten function in {same} % of them\n")
    rows = measure(trials)
    print(table(rows))
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
