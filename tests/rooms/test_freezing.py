"""Editors hold still, and answer with what they have, before the whole document is written."""

from __future__ import annotations

import asyncio
import time

from jupyter_collab_ai.rooms.close_codes import Ending
from jupyter_collab_ai.rooms.shared import SharedDocuments
from tests.rooms.engine import EDITOR, VIEWER, Client, House, person, until

AI = person("ada").user_id


def kinds(client: Client) -> list[str]:
    return [one["type"] for one in client.raw if one["type"] in ("freeze", "thaw")]


async def test_what_was_typed_before_comes_before(house: House) -> None:
    house.write("a.py", "one\n")
    ada = await house.client("ada", "a.py")
    cleo = await house.client("cleo", "a.py", VIEWER)
    async with SharedDocuments(house.rooms).hold("a.py") as shared:
        ada.text.insert(0, "hers ")  # not sent yet

        async def write() -> tuple[bool, str]:
            async with shared.frozen() as all_answered:
                return all_answered, await shared.look(lambda view: view.cells()[0].source)

        writing = asyncio.create_task(write())
        await until(lambda: kinds(ada) == ["freeze"])
        assert not writing.done()
        await ada.flush()
        assert await asyncio.wait_for(writing, 0.7) == (True, "hers one\n")
    assert kinds(ada) == ["freeze", "thaw"]
    assert next(one for one in ada.raw if one["type"] == "freeze")["seconds"] == 1.0
    assert kinds(cleo) == [], "who may only look has nothing to hold still"


async def test_who_does_not_answer_is_waited_for_less_than_a_second(house: House) -> None:
    house.write("a.py", "one\n")
    ada = await house.client("ada", "a.py")
    async with SharedDocuments(house.rooms).hold("a.py") as shared:
        begun = time.monotonic()
        async with shared.frozen() as all_answered:
            assert not all_answered
        assert time.monotonic() - begun < 1
        # Its late answer and what it typed are taken like any.
        await ada.type("two\n")
        await until(lambda: len(ada.saved) >= 1)
        assert await shared.look(lambda view: view.cells()[0].source) == "one\ntwo\n"


async def test_nobody_is_waited_for_who_has_gone(house: House) -> None:
    house.write("a.py", "one\n")
    ada = await house.client("ada", "a.py")
    async with SharedDocuments(house.rooms).hold("a.py") as shared:
        asyncio.get_running_loop().call_later(0.05, ada.connection.end, Ending.SIGNED_OUT)
        async with asyncio.timeout(0.6), shared.frozen() as all_answered:
            assert all_answered
        async with asyncio.timeout(0.6), shared.frozen() as all_answered:
            assert all_answered, "an empty room has nobody to ask"


async def test_who_joins_meanwhile_holds_still_as_well(house: House) -> None:
    house.write("a.py", "one\n")
    async with SharedDocuments(house.rooms).hold("a.py") as shared:
        async with shared.frozen(), shared.frozen():
            ben = await house.client("ben", "a.py", EDITOR)
            assert kinds(ben) == ["freeze", "freeze"]
        assert kinds(ben) == ["freeze", "freeze", "thaw"], "the last one lets them go"
