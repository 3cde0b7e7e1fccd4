"""The event loop is not kept waiting by threads that compute."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from jupyter_collab_ai.interpreter import SWITCH_INTERVAL, favour_the_loop


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = sys.getswitchinterval()
    frozen = gc.get_freeze_count()
    yield
    sys.setswitchinterval(before)
    if not frozen:
        gc.unfreeze()


def test_a_thread_gives_the_interpreter_back_soon() -> None:
    sys.setswitchinterval(0.005)
    favour_the_loop()
    assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL)


def test_what_somebody_made_shorter_stays() -> None:
    sys.setswitchinterval(SWITCH_INTERVAL / 5)
    favour_the_loop()
    assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL / 5, rel=0.1)


def test_what_is_loaded_is_not_looked_through_again() -> None:
    favour_the_loop()
    assert gc.get_freeze_count()
