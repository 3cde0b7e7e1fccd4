"""Fixtures of the tests of operations."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jupyter_collab_ai.storage.database import Database
from tests.ai.house import AiHouse
from tests.support.fake_model import FakeModel


@pytest.fixture
async def fake() -> AsyncIterator[FakeModel]:
    """A model server that does as it is told."""
    fake = FakeModel()
    yield fake
    await fake.close()


@pytest.fixture
async def house(database: Database, tmp_path: Path, fake: FakeModel) -> AsyncIterator[AiHouse]:
    """Operations on live documents, on each kind of database."""
    root = tmp_path / "root"
    root.mkdir()
    house = await AiHouse(database, root, fake).open()
    yield house
    await house.close()


@pytest.fixture
async def folder(database: Database, tmp_path: Path, fake: FakeModel) -> AsyncIterator[AiHouse]:
    """The same, where a folder is shared."""
    root = tmp_path / "root"
    (root / "p").mkdir(parents=True)
    house = await AiHouse(database, root, fake, path="p", type_="directory").open()
    yield house
    await house.close()
