"""Fixtures of the rooms' tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jupyter_collab_ai.storage.database import Database
from tests.rooms.engine import House


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    """Rooms on a database and a folder of this test alone."""
    root = tmp_path / "root"
    root.mkdir()
    house = House(database, root)
    yield house
    await house.rooms.close_all(within=5)
