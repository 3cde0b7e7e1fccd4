"""Walk through everything: three people, one document, one AI, by public ways alone.

    python examples/walkthrough.py

starts a JupyterLab of its own in a temporary folder, with accounts, files and a model server
of its own, and drives it with curl, with pycrdt, and with yjs and y-websocket in Node. It
prints what it does and sees, and ends with an error at the first thing that is not so.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from story.accounts import the_one_who_starts_it, three_people
from story.clients import JavaScript
from story.console import WalkthroughFailed
from story.curl import Curl
from story.debugger import look_for_faults
from story.generator import write_code
from story.live import together
from story.model import ModelServer
from story.recovery import come_back
from story.server import Server
from story.world import World

STEPS = (
    the_one_who_starts_it,
    three_people,
    together,
    look_for_faults,
    write_code,
    come_back,
)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--database-url",
        help="walk on this PostgreSQL database, which must be empty, not on the embedded one",
    )
    parser.add_argument(
        "--node-modules",
        type=Path,
        help="a node_modules folder with the packages of tests/node; else npm installs them",
    )
    parser.add_argument("--keep", action="store_true", help="do not delete the folder at the end")
    return parser.parse_args()


async def walk(folder: Path, database_url: str | None, node_modules: Path | None) -> None:
    """Take all steps, on a new server in ``folder``.

    Raises:
        WalkthroughFailed: Something was not as it has to be.
    """
    if shutil.which("curl") is None:
        raise WalkthroughFailed("No curl found: install it (Debian, Ubuntu: apt-get install curl).")
    javascript = await JavaScript.prepare(folder / "node", node_modules)
    model = ModelServer()
    server = Server(folder, database_url)
    world = World(server, Curl(server.url), javascript, model)
    try:
        await server.start()
        for step in STEPS:
            await step(world)
    finally:
        await server.stop()
        await model.close()


async def main() -> int:
    """Walk, and return the exit status."""
    options = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="walkthrough-"))
    task = asyncio.current_task()
    assert task is not None
    # A request to end must end the server too.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    began = time.monotonic()
    try:
        await walk(folder, options.database_url, options.node_modules)
    except WalkthroughFailed as error:
        print(f"\n  ✗ {error}", file=sys.stderr)
        return 1
    finally:
        if options.keep:
            print(f"\nKept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"\nAll of it holds ({time.monotonic() - began:.0f} s).")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
