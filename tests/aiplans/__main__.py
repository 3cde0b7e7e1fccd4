"""The command: ``python -m tests.aiplans``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
import traceback
from collections import Counter

from tests.aiplans.generate import generate
from tests.aiplans.model import Scripted
from tests.aiplans.play import play
from tests.plans.world import World
from tests.support.fake_model import FakeModel
from tests.support.server import free_port


def main() -> int:
    """Play plans; the exit status is 1 where one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.aiplans", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many plans")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--operations", type=int, default=8, help="how many in each plan")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    failed = 0
    outcomes: Counter[str] = Counter()
    freed: list[float] = []
    port = free_port()
    with World.made(
        options.database, env={"OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"}
    ) as world:
        for seed in range(options.first, options.first + options.seeds):
            begun = time.monotonic()
            try:
                wrong, happened, waited = asyncio.run(
                    attempt(seed, options.operations, world, port)
                )
                outcomes += happened
                freed += waited
            except Exception as error:
                wrong = [
                    f"{type(error).__name__}: {error}",
                    *traceback.format_exc().splitlines()[-12:],
                ]
            took = time.monotonic() - begun
            print(f"seed {seed}: {'FAILED' if wrong else 'ok'} in {took:.1f} s", flush=True)
            if wrong:
                failed += 1
                print("\n".join(f"  {sentence}" for sentence in wrong[:20]), flush=True)
    print(f"{options.seeds} plans on {options.database}, {failed} failed; {dict(outcomes)}")
    if freed:
        print(f"locks of killed servers were gone after {max(freed):.1f} s at the most")
    return 1 if failed else 0


async def attempt(
    seed: int, operations: int, world: World, port: int, *, kill: bool | None = None
) -> tuple[list[str], Counter[str], list[float]]:
    """Play the plan of a seed with a model of its own."""
    fake = FakeModel(port)
    try:
        wrong, game = await play(generate(seed, operations, kill=kill), world, Scripted(fake))
    finally:
        await fake.close()
    return wrong, game.outcomes, game.freed


if __name__ == "__main__":
    sys.exit(main())
