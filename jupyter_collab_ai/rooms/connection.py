"""One client of a room, whatever the endpoint by which it came."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from jupyter_collab_ai.ids import new_id
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.rooms.close_codes import Ending
from jupyter_collab_ai.rooms.gate import Standing
from jupyter_collab_ai.rooms.ports import Right
from jupyter_collab_ai.web import metrics


class Frame:
    """A binary message, encoded once for all who get it."""

    __slots__ = ("payload", "wire")

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        #: The same as an unmasked, uncompressed WebSocket frame (RFC 6455, section 5.2).
        self.wire = _header(len(payload)) + payload


def _header(size: int) -> bytes:
    if size < 126:
        return bytes((0x82, size))
    if size < 1 << 16:
        return b"\x82\x7e" + size.to_bytes(2, "big")
    return b"\x82\x7f" + size.to_bytes(8, "big")


class Transport(Protocol):
    """What carries frames to one client."""

    def send(self, frame: Frame) -> None:
        """Send a frame, or keep it while the client is slow; never waits and never raises.

        A client that is too far behind is closed with :attr:`Ending.BEHIND` instead.
        """
        ...

    def close(self, ending: Ending, sentence: str | None = None) -> None:
        """End the connection; what was not sent yet may be lost."""
        ...


class Connection:
    """One client: who it is, what it may do, and what has come of its messages so far."""

    def __init__(
        self,
        principal: Principal,
        right: Right,
        transport: Transport,
        *,
        acknowledge: bool = False,
        max_message: int | None = None,
    ) -> None:
        """Describe a client that may read the document.

        Args:
            principal: The account behind it.
            right: What it may do now.
            transport: What carries frames to it.
            acknowledge: Whether it wants to hear of each update that was recorded.
            max_message: Bytes that one of its messages may have.
        """
        self.id = new_id()
        self.principal = principal
        self._right = right
        self.standing = Standing(principal.user_id, may_edit=right.may_write)
        self.acknowledge = acknowledge
        self.max_message = max_message
        self._transport = transport
        #: When the right was last asked for, by the monotonic clock.
        self.checked_at = time.monotonic()
        #: Update and step-2 frames that it has sent.
        self.frames = 0
        #: Those of them that wait for what they hang on.
        self.deferred: list[int] = []
        self.ended = False
        self.on_end: Callable[[], None] | None = None
        self.on_right: Callable[[], None] | None = None
        self.on_looks: Callable[[], None] | None = None
        #: Step 1 frames that were sent to it, and step 2 frames that came back.
        self._asked = 0
        self._answered = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}

    @property
    def right(self) -> Right:
        """What it may do now."""
        return self._right

    def set_right(self, right: Right) -> None:
        """Judge what it sends from now on by another right."""
        self._right = right
        self.standing = replace(self.standing, may_edit=right.may_write)
        if self.on_right is not None:
            self.on_right()

    def set_looks(self, display_name: str, color: str) -> None:
        """Show others by another name and color who it is."""
        self.principal = replace(self.principal, display_name=display_name, color=color)
        if self.on_looks is not None:
            self.on_looks()

    def describe_right(self) -> dict[str, Any]:
        """Return what it may do, for a raw frame to its page."""
        return {
            "read_only": not self.right.may_write,
            "session": self.right.session_id,
            "role": self.right.role,
            "capabilities": sorted(self.right.capabilities),
        }

    def send(self, frame: Frame) -> None:
        """Send a frame, unless the connection has ended."""
        if not self.ended:
            self._transport.send(frame)

    def ask(self, step1: Frame) -> asyncio.Future[None]:
        """Ask for what it has; done once its answer was taken in, or it has ended."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.ended:
            answer.set_result(None)
            return answer
        self._asked += 1
        number = self._asked
        self._waiting[number] = answer
        answer.add_done_callback(lambda _: self._waiting.pop(number, None))
        self.send(step1)
        return answer

    def ask_in_passing(self, step1: Frame) -> None:
        """Ask for what it has, and wait for nothing."""
        self._asked += 1
        self.send(step1)

    def has_answered(self) -> None:
        """Note that an answer of it was taken in; clients answer in the order of the questions."""
        self._answered = min(self._answered + 1, self._asked)
        self._wake(self._answered)

    def _wake(self, up_to: int) -> None:
        for number, answer in tuple(self._waiting.items()):
            if number <= up_to and not answer.done():
                answer.set_result(None)

    def end(self, ending: Ending, sentence: str | None = None) -> None:
        """End it once; its room lets go of it."""
        if self.ended:
            return
        self.ended = True
        metrics.ended(ending.name.lower())
        self._wake(self._asked)
        self._transport.close(ending, sentence)
        if self.on_end is not None:
            self.on_end()
