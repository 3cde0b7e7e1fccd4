"""What people see of a text that grows."""

from __future__ import annotations

from typing import Any

from jupyter_collab_ai.ai.preview import Preview
from jupyter_collab_ai.ids import LockId, OperationId, SessionId
from tests.rooms.engine import until


class Heard:
    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def publish(self, session_id: SessionId, type_: str, data: dict[str, Any]) -> None:
        self.told.append(data)

    @property
    def texts(self) -> list[str]:
        return [one["text"] for one in self.told]


def preview(heard: Heard) -> Preview:
    return Preview(heard, SessionId("s"), OperationId("o"), LockId("l"), "a.py")  # type: ignore[arg-type]


async def test_what_came_last_is_shown_though_the_model_pauses_then() -> None:
    heard = Heard()
    growing = preview(heard)
    for text in ("a", "a = 1", "a = 1\nb", "a = 1\nb = 2\n"):
        growing.grow(text)
    assert heard.texts == ["a"]
    await until(lambda: len(heard.told) == 2)
    assert heard.texts[-1].strip() == "a = 1\nb = 2"
    growing.end()
    assert heard.told[-1]["state"] == "ended"


async def test_nothing_is_shown_after_the_end() -> None:
    heard = Heard()
    growing = preview(heard)
    growing.grow("a")
    growing.grow("a = 1")
    growing.end()
    other = preview(heard)
    other.grow("b")
    other.grow("b = 1")
    await until(lambda: len(heard.told) == 4)
    assert [one["state"] for one in heard.told] == ["growing", "ended", "growing", "growing"]
    other.end()
