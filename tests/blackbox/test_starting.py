"""What keeps a server from starting is said in one sentence, with which database and why."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.support.processes import wait_until
from tests.support.server import LabServer, ServerFactory


def ready(server: LabServer) -> list[str]:
    """Return the lines of the log once all of the start is in it: it answers a little before."""
    wait_until(lambda: "Ready:" in server.log, timeout=30, what="the server says that it is ready")
    return server.log.splitlines()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "postgresql://ada:hush@127.0.0.1:1/none",
            "The PostgreSQL database none at 127.0.0.1:1 can't be used: connection to server at",
        ),
        ("postgresql://ada:hush@hush@h/none", "In a password write @ as %40"),
        ("sqlite:///{folder}/none/a.db", "there is no folder {folder}/none."),
    ],
)
async def test_a_database_that_is_of_no_use(
    url: str, said: str, tmp_path: Path, collab_server: ServerFactory
) -> None:
    server = collab_server(database_url=url.format(folder=tmp_path), start=False)
    server.launch()
    assert await asyncio.to_thread(server.wait) != 0
    [line] = [one for one in server.log.splitlines() if "The server is not started" in one]
    assert said.format(folder=tmp_path) in line
    assert "protected" not in line
    assert "hush" not in server.log
    assert "Traceback" not in server.log


async def test_a_root_that_can_not_be_written_costs_one_line(
    tmp_path: Path, collab_server: ServerFactory
) -> None:
    server = collab_server(start=False)
    # (Nothing is forbidden to root, who may run this, but a file is no folder to anybody.)
    (server.root / "users").write_text("in the way")
    await asyncio.to_thread(server.start)
    lines = [line for line in await asyncio.to_thread(ready, server) if "The folder of" in line]
    assert len(lines) == 1, server.log
    assert "could not be made" in lines[0]
    assert "Traceback" not in server.log
    assert "failed" not in server.log.lower()


async def test_the_log_says_where_all_is_and_who_may_register(
    tmp_path: Path, collab_server: ServerFactory
) -> None:
    server = await asyncio.to_thread(collab_server)
    data = server.folder / "data" / "collab-ai"
    told = await asyncio.to_thread(ready, server)
    lines = [line for line in told if "jupyter_collab_ai.app]" in line]
    assert len(lines) == 1, server.log
    assert re.match(r"\[I \d{4}-\d\d-\d\d \d\d:\d\d:\d\d", lines[0])
    assert lines[0].endswith(
        f"Ready: all is kept in the SQLite file {data}/collab.db; the data folder is {data}; "
        f"logins are signed by the key in {data}/keys.json; "
        "whoever is on this machine may register."
    )
