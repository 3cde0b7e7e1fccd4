"""What people type into a cell while somebody else moves, changes or deletes it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from playwright.async_api import expect

from tests.support.server import LabServer
from tests.ui.people import PATIENCE, People, Person
from tests.ui.test_changes import Wire, share

pytestmark = pytest.mark.timeout(240)

#: The texts of the notebook's cells, in their order, each with its type.
_CELLS = """() => [...document.querySelectorAll('.jp-Notebook .jp-Cell')].map(cell => {
  const content = cell.querySelector('.cm-content');
  const text = (content?.cmTile?.view ?? content?.cmView?.view)?.state.doc.toString() ?? '';
  return (cell.classList.contains('jp-MarkdownCell') ? 'markdown ' : '') + text;
})"""
_PATH = "shop/cells.ipynb"


def _notebook(cells: int = 4) -> dict[str, Any]:
    return {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {},
                "source": f"cell_{number} = {number}",
                "outputs": [],
                "execution_count": None,
            }
            for number in range(cells)
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


class Two:
    """Ann, who arranges cells, and Ben, who types into one of them."""

    def __init__(self, ann: Person, ben: Person) -> None:
        self.ann = ann
        self.ben = ben
        self.wire = Wire()

    @classmethod
    async def come(cls, lab: LabServer, people: People) -> Two:
        """Let both open the notebook."""
        (lab.root / _PATH).write_text(json.dumps(_notebook()))
        _, link = share(lab, _PATH, "editor", None)
        both = cls(await people.come("ann"), await people.come("ben"))
        await both.wire.tap(both.ben)
        await asyncio.gather(both.ann.follow(link), both.ben.follow(link))
        for person in (both.ann, both.ben):
            await person.sees("cell_0")
            await expect(person.page.locator(".jp-Notebook .jp-Cell")).to_have_count(4)
        return both

    async def enter(self, cell: int) -> None:
        """Ben puts his cursor at the end of a cell."""
        await self.ben.page.locator(".jp-Cell .cm-content").nth(cell).click()
        await self.ben.page.keyboard.press("Control+End")

    async def arrange(self, cell: int, *keys: str) -> None:
        """Ann selects a cell and presses keys."""
        await self.ann.page.locator(".jp-Cell .jp-InputPrompt").nth(cell).click()
        for key in keys:
            await self.ann.page.keyboard.press(key)

    async def both_see(self, cells: list[str]) -> None:
        """Wait until the notebook is so for both."""
        for person in (self.ann, self.ben):
            await _become(person, cells)


async def _become(person: Person, cells: list[str]) -> None:
    loop = asyncio.get_running_loop()
    ends = loop.time() + 20
    while (found := await person.page.evaluate(_CELLS)) != cells:
        assert loop.time() < ends, (person.name, found)
        await asyncio.sleep(0.05)


@pytest.fixture
async def two(lab: LabServer, people: People) -> Two:
    """Two people in one notebook."""
    return await Two.come(lab, people)


async def test_one_goes_on_typing_in_a_cell_that_is_moved_or_becomes_another(
    two: Two, people: People
) -> None:
    """The cursor goes along, and no key is lost, gets into another cell or acts as a command."""
    words = " # add dd, mix xx, jump aa bb, zz"
    expected = [f"cell_{number} = {number}" for number in range(4)]
    place = 1
    await two.enter(place)
    for keys, to, kind in (
        (["Control+Shift+ArrowDown"], 2, ""),
        (["Control+Shift+ArrowUp"], 1, ""),
        (["m"], 1, "markdown "),
    ):
        typing = asyncio.ensure_future(two.ben.page.keyboard.type(words, delay=40))
        await asyncio.sleep(0.4)
        await two.arrange(place, *keys)
        await typing
        text = expected.pop(place) + words
        expected.insert(to, kind + text)
        place = to
        await two.both_see(expected)
    assert not people.faults


async def test_keys_go_nowhere_when_their_cell_is_deleted(two: Two, people: People) -> None:
    """They neither get into the next cell nor act on it, and one is told."""
    await two.enter(1)
    typing = asyncio.ensure_future(two.ben.page.keyboard.type("x dd aa bb xx " * 3, delay=40))
    await asyncio.sleep(0.4)
    await two.arrange(1, "d", "d")
    await typing
    await two.ben.appears("The cell that you were in was deleted.")
    await two.both_see(["cell_0 = 0", "cell_2 = 2", "cell_3 = 3"])
    await two.ben.button("Copy its text").click()
    copied = await two.ben.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("cell_1 = 1x"), copied
    # A click brings one back to work.
    await two.enter(1)
    await two.ben.page.keyboard.type(" # here")
    await two.both_see(["cell_0 = 0", "cell_2 = 2 # here", "cell_3 = 3"])
    assert not people.faults


async def test_what_is_typed_offline_is_kept_when_its_cell_is_moved_or_deleted(
    two: Two, people: People
) -> None:
    """It gets into the copy, beside what others wrote there; else it is offered."""
    await two.wire.lose(two.ben)
    await two.ben.appears("The connection is lost.")
    await two.enter(0)
    await two.ben.page.keyboard.press("Backspace")
    await two.ben.page.keyboard.type("7\nben = 1")
    await two.enter(2)
    await two.ben.page.keyboard.type(" # by Ben")
    await two.enter(3)
    await two.ben.page.keyboard.type(" # lost")
    # The last first, so that the places of the others stay.
    await two.arrange(3, "d", "d")
    await two.arrange(2, "m")
    await two.arrange(0, "Control+Shift+ArrowDown")
    await two.ann.page.locator(".jp-Cell .cm-content").nth(1).click()
    await two.ann.page.keyboard.press("Control+Home")
    await two.ann.page.keyboard.type("# by Ann\n")
    await two.wire.find(two.ben)
    await two.ben.disappears("The connection is lost.")
    await two.both_see(
        ["cell_1 = 1", "# by Ann\ncell_0 = 7\nben = 1", "markdown cell_2 = 2 # by Ben"]
    )
    offered = two.ben.page.get_by_label("What you typed")
    await expect(offered).to_have_value("cell_3 = 3 # lost", timeout=PATIENCE)
    await two.ben.accept()
    assert not people.faults
