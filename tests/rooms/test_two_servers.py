"""Two servers on one database and one folder, with the same document open on both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jupyter_collab_ai.rooms.whole_files import write_whole
from jupyter_collab_ai.storage.database import Database
from tests.rooms.engine import EDITOR, VIEWER, Client, House, until
from tests.rooms.past import Desk


@pytest.fixture
async def houses(
    database: Database, database_url: str, tmp_path: Path
) -> AsyncIterator[list[House]]:
    """Two servers, each with its own connection to the database."""
    root = tmp_path / "root"
    root.mkdir()
    other = Database(database_url)
    await other.open()
    houses = [House(database, root), House(other, root)]
    for house in houses:
        write_whole(house.manager, lambda: False)
    yield houses
    for house in houses:
        await house.rooms.close_all(within=5)
    await other.close()


async def opened(houses: list[House], path: str) -> list[Client]:
    return [
        await house.client(name, path) for house, name in zip(houses, ("ada", "bob"), strict=True)
    ]


async def test_what_one_types_reaches_who_is_on_the_other(houses: list[House]) -> None:
    houses[0].write("a.py", "x\n")
    ada, bob = await opened(houses, "a.py")
    await ada.type("from ada\n")
    await until(lambda: str(bob.text) == "x\nfrom ada\n")
    await bob.type("from bob\n")
    await until(lambda: str(ada.text) == str(bob.text) == "x\nfrom ada\nfrom bob\n")
    await until(lambda: houses[0].read("a.py") == str(ada.text))


async def test_a_change_on_disk_is_merged_once(houses: list[House]) -> None:
    """What one server had recorded and saved, the other one merged into the log once more."""
    house = houses[0]
    house.write("a.py", "one\ntwo\nthree\n")
    ada, bob = await opened(houses, "a.py")
    await ada.type("typed\n")
    await until(lambda: house.read("a.py") == "one\ntwo\nthree\ntyped\n")
    house.write("a.py", "ONE\ntwo\nthree\ntyped\n")
    await until(lambda: "ONE" in str(ada.text) and str(ada.text) == str(bob.text), within=20)
    assert str(ada.text) == "ONE\ntwo\nthree\ntyped\n"
    await bob.type("more\n")
    whole = "ONE\ntwo\nthree\ntyped\nmore\n"
    await until(lambda: str(ada.text) == str(bob.text) == whole, within=20)
    await until(lambda: house.read("a.py") == whole, within=20)


async def test_both_type_while_the_file_changes(houses: list[House]) -> None:
    house = houses[0]
    house.write("a.py", "".join(f"line {number}\n" for number in range(20)))
    ada, bob = await opened(houses, "a.py")
    for number in range(3):
        # At rest, as else what is saved just now would be written over.
        await until(lambda: str(ada.text) == str(bob.text) == house.read("a.py"), within=20)
        changed = f"line {number} changed\n"
        house.write("a.py", house.read("a.py").replace(f"line {number}\n", changed))
        await ada.type(f"ada {number}\n")
        await bob.type(f"bob {number}\n")
        await until(
            lambda changed=changed: changed in str(ada.text) and changed in str(bob.text), within=20
        )
    await until(lambda: str(ada.text) == str(bob.text) == house.read("a.py"), within=20)
    lines = str(ada.text).splitlines()
    wanted = [f"line {number} changed" for number in range(3)]
    wanted += [f"line {number}" for number in range(3, 20)]
    wanted += [f"{name} {number}" for number in range(3) for name in ("ada", "bob")]
    assert sorted(lines) == sorted(wanted)


async def test_what_one_refused_does_not_slip_in_on_the_other(houses: list[House]) -> None:
    """The other server has the document open already, and nothing else is recorded meanwhile."""
    houses[0].write("a.py", "x\n")
    _, bob = await opened(houses, "a.py")
    eve = await houses[0].client("eve", "a.py", VIEWER)
    await eve.type("refused")
    await until(lambda: eve.refused)
    await eve.leave()
    # By now she may edit, and comes to the other server with what she has.
    again = await houses[1].client("eve", "a.py", EDITOR, doc=eve.doc)
    await until(lambda: again.resets)
    assert again.resets == ["barred"]
    assert str(bob.text) == "x\n"


async def test_a_deletion_that_one_refused_does_not_slip_in_on_the_other(
    houses: list[House],
) -> None:
    houses[0].write("a.py", "x\n")
    _, bob = await opened(houses, "a.py")
    eve = await houses[0].client("eve", "a.py", VIEWER)
    del eve.text[0:1]
    await eve.flush()
    await until(lambda: eve.refused)
    await eve.leave()
    again = await houses[1].client("eve", "a.py", EDITOR, doc=eve.doc)
    await until(lambda: again.resets)
    assert str(bob.text) == "x\n"


async def test_a_refusal_is_no_version_of_the_document(houses: list[House]) -> None:
    houses[0].write("a.py", "x\n")
    await opened(houses, "a.py")
    desk = Desk(houses[0])
    before = [{**item, "version": None} for item in await desk.items()]
    eve = await houses[0].client("eve", "a.py", VIEWER)
    await eve.type("refused")
    await until(lambda: eve.refused)
    # It stands at the end of the version before it, as other updates do that show nothing.
    assert [{**item, "version": None} for item in await desk.items()] == before
