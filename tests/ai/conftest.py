"""Fixtures of the tests of operations."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.fake_model import FakeModel


@pytest.fixture
async def fake() -> AsyncIterator[FakeModel]:
    """A model server that does as it is told."""
    fake = FakeModel()
    yield fake
    await fake.close()
