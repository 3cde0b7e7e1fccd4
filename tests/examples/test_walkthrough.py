"""The walkthrough of ``examples`` goes all the way, on both databases."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from pathlib import Path

import pytest

from examples.story.console import WalkthroughFailed, check
from tests.support.node import Node, install_node_modules
from tests.support.processes import end, start

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_it_goes_all_the_way(node: Node, python: str, database_url: str) -> None:
    process = start(
        [
            *(python, str(EXAMPLES / "walkthrough.py")),
            *("--node-modules", str(install_node_modules(node))),
            *("--database-url", database_url),
        ],
        death_signal=signal.SIGTERM,
        env=node.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        out, _ = await asyncio.to_thread(process.communicate, timeout=540)
    finally:
        end(process, signal.SIGTERM, timeout=30)
    text = out.decode()
    assert process.returncode == 0, text[-6000:]
    for number in range(1, 7):
        assert f"\n{number}. " in text
    assert "\nAll of it holds" in text


def test_what_is_not_so_stops_it() -> None:
    with pytest.raises(WalkthroughFailed, match="NOT so: all is well"):
        check(False, "all is well")
