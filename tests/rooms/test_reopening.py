"""Documents that are opened again and again, by real yjs; upstream loses text at the third."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.serverapp import ServerApp
from pycrdt import Map

from jupyter_collab_ai.storage.database import Database
from tests.rooms.engine import EDITOR, until
from tests.rooms.net import Server
from tests.rooms.test_sockets import jp_server_config  # noqa: F401  # a fixture
from tests.support.node import Node


@pytest.mark.parametrize("which", ["lab", "own"])
async def test_text_is_whole_at_each_of_five_openings(
    jp_serverapp: ServerApp, jp_root_dir: Path, database: Database, node: Node, which: str
) -> None:
    (jp_root_dir / "a.py").write_text("# start\n")
    expected = "# start\n"
    for number in range(5):
        server = Server(jp_serverapp, database)
        server.people.rights["ada"] = EDITOR
        if which == "lab":
            url = f"ws://{server.url}api/collaboration/room"
            room = f"text:file:{server.file_ids.id_of('a.py')}"
        else:
            url, room = f"ws://{server.url}collab-ai/ws", "session?path=a.py&x="
        typed = f"opened {number} 🦉\n"
        expected += typed
        seen = await _open(node, url, room, typed, which)
        assert seen["text"] == expected, number
        assert not seen["pending"]
        await until(
            lambda expected=expected: (jp_root_dir / "a.py").read_text() == expected, "the file"
        )
        # The state map is written after each save, which is what upstream stumbles over.
        if number % 2:
            (live,) = server.rooms.all()
            await until(lambda live=live: live.doc.get("state", type=Map).get("dirty") is False)
        await server.close()


async def _open(node: Node, url: str, room: str, typed: str, which: str) -> dict[str, Any]:
    out = await asyncio.to_thread(node.run, "open.mjs", url, room, "ada", typed, which)
    seen: dict[str, Any] = json.loads(out)
    return seen
