"""Clients that come back to a document whose room was freed in between."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from pycrdt import Array, Doc, Map, Text

from jupyter_collab_ai.rooms.connection import Frame
from tests.rooms.engine import Client, House, until

ALPHABET = ("a", "é", "漢", "🦉", "\n")


async def freed(house: House, *clients: Client) -> None:
    """Everybody leaves, and the room goes."""
    house.rooms._idle = 0.02
    for client in clients:
        await client.leave()
        house.rooms.release(client.room)
    await until(lambda: house.rooms.all() == (), "the room to be freed")
    house.rooms._idle = 60.0


@pytest.mark.parametrize("offline", ["", "typed offline\n"])
async def test_a_client_comes_back_to_a_room_that_was_freed(house: House, offline: str) -> None:
    house.write("a.py", "start\n")
    ada = await house.client("ada", "a.py")
    await ada.type("mine\n")
    await freed(house, ada)
    ada.text += offline
    again = await house.client("ada", "a.py", doc=ada.doc)
    assert again.closed is None
    bob = await house.client("bob", "a.py")
    assert str(bob.text) == str(again.text) == "start\nmine\n" + offline


@pytest.mark.parametrize("seed", range(12))
async def test_a_file_changed_while_a_client_was_away_with_edits(house: House, seed: int) -> None:
    """Upstream doubles the text at each such return."""
    rng = random.Random(seed)
    house.write("a.py", "".join(f"row {number}\n" for number in range(12)))
    ada = await house.client("ada", "a.py")
    marks: list[str] = []
    for round_ in range(3):
        await ada.type(f"# online {round_}\n", at=0)
        marks.append(f"# online {round_}\n")
        await freed(house, ada)
        lines = house.read("a.py").splitlines(keepends=True)
        lines.insert(rng.randrange(len(lines) // 2, len(lines) + 1), f"# disk {round_}\n")
        marks.append(f"# disk {round_}\n")
        house.write("a.py", "".join(lines))
        typed = f"# offline {round_} {rng.choice(ALPHABET[:-1])}\n"
        ada.text.insert(0, typed)
        marks.append(typed)
        if rng.random() < 0.5:
            bob = await house.client("bob", "a.py")
            await freed(house, bob)
        ada = await house.client("ada", "a.py", doc=ada.doc)
        assert ada.closed is None
    late = await house.client("late", "a.py")
    await until(lambda: str(late.text) == str(ada.text), "both to be the same")
    text = str(late.text)
    for mark in [*marks, *(f"row {number}\n" for number in range(12))]:
        assert text.count(mark) == 1, mark
    await until(lambda: house.read("a.py") == text, "the file")


async def test_a_notebook_survives_a_client_of_another_past(house: House) -> None:
    """Upstream makes one empty cell of it."""
    cells = [new_code_cell(f"x = {number}") for number in range(3)]
    house.write("n.ipynb", nbformat.writes(new_notebook(cells=cells)))
    ada = await house.client("ada", "n.ipynb")
    await freed(house, ada)
    other: Doc[Any] = Doc()
    other.get("cells", type=Array).append(_cell())
    again = await house.client("ada", "n.ipynb", doc=other)
    bob = await house.client("bob", "n.ipynb")
    sources = [str(cell["source"]) for cell in bob.doc.get("cells", type=Array)]
    assert again.closed is None, "a cell that was made before the first connection is kept"
    assert [source for source in sources if source.startswith("x =")] == [
        "x = 0",
        "x = 1",
        "x = 2",
    ]


def _cell() -> Map[Any]:
    return Map({"id": "other", "cell_type": "code", "source": Text("")})


async def test_a_change_is_encoded_once_for_all_who_get_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.write("a.py", "")
    ada = await house.client("ada", "a.py")
    others = [await house.client(f"reader{number}", "a.py") for number in range(5)]
    got: list[Frame] = []
    for other in others:
        transport = other.connection._transport

        def note(frame: Frame, send: Callable[[Frame], None] = transport.send) -> None:
            if b"hello" in frame.payload:
                got.append(frame)
            send(frame)

        monkeypatch.setattr(transport, "send", note)
    await ada.type("hello")
    await until(lambda: all(str(other.text) == "hello" for other in others))
    assert len(got) == 5
    assert len(set(map(id, got))) == 1
