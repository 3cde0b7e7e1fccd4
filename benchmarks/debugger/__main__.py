"""The command: ``python -m benchmarks.debugger FOLDER``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.debugger.measure import Lines, Score, by_rule, score
from benchmarks.debugger.sets import Case, read
from benchmarks.debugger.tools import (
    AT_ONCE,
    OURS,
    TOOLS,
    WITH_MODEL,
    Told,
    Tool,
    WithModel,
    expected,
)
from jupyter_collab_ai.ai.model import DEADLINE, ModelSettings

_HEAD = (
    "set",
    "half or kind",
    "tool",
    "cases",
    "flagged",
    "gone when repaired",
    "on the line",
    "twins flagged",
    "weakness named",
)
_LINES = ("examples of", "rule", "lines", "named by this", "others named")
#: The sets whose own tools say what is wrong in them.
_EXAMPLES = ("bandit", "ruff")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="benchmarks.debugger", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the sets are, one folder each")
    parser.add_argument("--tools", nargs="*", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--sets", nargs="*", help="names of sets; all where none is named")
    parser.add_argument("--kinds", action="store_true", help="a line for each kind of fault, too")
    parser.add_argument("--model", metavar="URL", help="ask a model behind this server, too")
    parser.add_argument("--model-name", help="which of its models; the first where none is named")
    parser.add_argument(
        "--at-once", type=int, default=AT_ONCE, help="texts that the model is asked about at once"
    )
    parser.add_argument(
        "--patience", type=float, default=DEADLINE, help="seconds that an answer may take"
    )
    parser.add_argument("--quick", action="store_true", help="ten cases of each set only")
    options = parser.parse_args(arguments)
    cases = [one for one in read(options.folder) if not options.sets or one.set in options.sets]
    if options.quick:
        cases = [one for one in cases if one in [c for c in cases if c.set == one.set][:10]]
    if not cases:
        print(f"There is no set in {options.folder}; see benchmarks/README.md.", file=sys.stderr)
        return 1
    tools: dict[str, Tool] = {tool: TOOLS[tool] for tool in options.tools}
    asked = None
    if options.model:
        key = os.environ.get("OPENAI_API_KEY")
        model = ModelSettings(key, options.model, options.model_name)
        tools[WITH_MODEL] = asked = WithModel(
            model, at_once=options.at_once, patience=options.patience
        )
    told = {tool: _ask(ask, cases) for tool, ask in tools.items()}
    print("| " + " | ".join(_HEAD) + " |")
    print("|" + " --- |" * len(_HEAD))
    for (name, label), chosen in _groups(cases, kinds=options.kinds).items():
        for tool, (faulty, fixed) in told.items():
            total = score(
                [cases[i] for i in chosen],
                [faulty[i] for i in chosen],
                [fixed[i] for i in chosen],
            )
            print(_row(name, label, tool, total))
    if OURS in told:
        _examples(cases, told[OURS][0], kinds=options.kinds)
    if asked is not None:
        failed = asked.failures.total()
        print(f"\nThe model was asked about {asked.asked} texts; of {failed} no review came.")
        for sentence, times in asked.failures.most_common():
            print(f"- {times} times: {sentence}")
    return 0


def _examples(cases: Sequence[Case], told: Sequence[Sequence[Told]], *, kinds: bool) -> None:
    """Print how many of the lines that a tool finds in its own examples are found here."""
    chosen = {name: [i for i, one in enumerate(cases) if one.set == name] for name in _EXAMPLES}
    if not any(chosen.values()):
        return
    print("\n| " + " | ".join(_LINES) + " |")
    print("|" + " --- |" * len(_LINES))
    for name, places in chosen.items():
        if not places:
            continue
        wanted = expected(name, [cases[index].faulty for index in places])
        rules = by_rule(wanted, [told[index] for index in places])
        others = rules.pop("others").others
        total = Lines(
            sum(row.expected for row in rules.values()), sum(row.found for row in rules.values())
        )
        print(f"| {name} | all | {total.expected} | {total.found} | {others} |")
        for rule, row in sorted(rules.items()) if kinds else ():
            print(f"| {name} | {rule} | {row.expected} | {row.found} | – |")


def _groups(cases: Sequence[Case], *, kinds: bool) -> dict[tuple[str, str], list[int]]:
    """Return which cases each line of the table is about."""
    groups: dict[tuple[str, str], list[int]] = {}
    for name in dict.fromkeys(case.set for case in cases):
        own = {case.kind for case in cases if case.set == name}
        labels = ["all", "half a", "half b", *(sorted(own) if kinds and len(own) > 1 else ())]
        for label in labels:
            groups[name, label] = [
                index
                for index, case in enumerate(cases)
                if case.set == name and label in {"all", f"half {case.half}", case.kind}
            ]
    return groups


def _ask(ask: Tool, cases: list[Case]) -> tuple[list[list[Told]], list[list[Told]]]:
    """Return what a tool says of all faulty texts, and of their twins."""
    faulty = ask([case.faulty for case in cases])
    with_twin = [case for case in cases if case.fixed is not None]
    answers = iter(ask([case.fixed or "" for case in with_twin]) if with_twin else [])
    return faulty, [next(answers) if case.fixed is not None else [] for case in cases]


def _row(name: str, label: str, tool: str, total: Score) -> str:
    twins = (total.removed, total.on_line, total.twins_flagged) if total.twins else ("–",) * 3
    named = total.named if total.numbered else "–"
    cells = (name, label, tool, total.cases, total.flagged, *twins, named)
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    sys.exit(main())
