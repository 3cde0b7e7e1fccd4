"""The command: ``python -m tests.plans``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
import traceback
from pathlib import Path

from tests.plans.generate import Plan, generate
from tests.plans.keep import load, save
from tests.plans.play import play
from tests.plans.world import World


def main() -> int:
    """Play plans; the exit status is 1 where one failed."""
    options = _options()
    plans = (
        [load(path) for path in options.replay]
        if options.replay
        else [
            generate(seed, options.steps)
            for seed in range(options.first, options.first + options.seeds)
        ]
    )
    plans = [plan for plan in plans for _ in range(options.times)]
    failed = 0
    with World.made(options.database) as world:
        for plan in plans:
            begun = time.monotonic()
            wrong = attempt(plan, world)
            took = time.monotonic() - begun
            print(f"seed {plan.seed}: {'FAILED' if wrong else 'ok'} in {took:.1f} s", flush=True)
            if not wrong:
                continue
            failed += 1
            if options.minimise:
                plan, wrong = minimise(plan, wrong, world)
            print("\n".join(f"  {sentence}" for sentence in wrong[:20]))
            print(f"  saved as {save(plan, wrong, options.out, options.database)}", flush=True)
    print(f"{len(plans)} plans on {options.database}, {failed} failed")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.plans", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many plans")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--steps", type=int, default=80, help="how long each plan is")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--replay", type=Path, nargs="+", help="play saved plans instead")
    parser.add_argument("--times", type=int, default=1, help="how often to play each plan")
    parser.add_argument("--minimise", action="store_true", help="cut down plans that fail")
    parser.add_argument("--out", type=Path, default=Path(), help="where plans that fail are kept")
    return parser.parse_args()


def attempt(plan: Plan, world: World) -> list[str]:
    """Play a plan; what went wrong in playing it counts as well."""
    try:
        return asyncio.run(play(plan, world))
    except Exception as error:
        return [f"{type(error).__name__}: {error}", *traceback.format_exc().splitlines()[-12:]]


def minimise(plan: Plan, wrong: list[str], world: World) -> tuple[Plan, list[str]]:
    """Leave out steps as long as the plan still fails.

    It may fail by chance, so what is left may hold more steps than are needed.
    """
    size = max(1, len(plan.steps) // 2)
    while True:
        start = 0
        while start < len(plan.steps):
            steps = plan.steps[:start] + plan.steps[start + size :]
            shorter = Plan(plan.seed, plan.text, plan.cells, plan.clients, steps)
            found = attempt(shorter, world)
            if found:
                plan, wrong = shorter, found
                print(f"  fails with {len(steps)} steps", flush=True)
            else:
                start += size
        if size == 1:
            return plan, wrong
        size //= 2


if __name__ == "__main__":
    sys.exit(main())
