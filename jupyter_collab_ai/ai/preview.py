"""Showing everybody the text as it grows, which is not yet part of the document."""

from __future__ import annotations

import asyncio
import time

from jupyter_collab_ai.ai.answers import partial_code
from jupyter_collab_ai.ai.ports import Events
from jupyter_collab_ai.ids import LockId, OperationId, SessionId

#: Seconds between two previews, and characters of each.
PAUSE = 0.15
CHARACTERS = 20_000


class Preview:
    """Shows the text not more often than eyes can follow."""

    def __init__(
        self,
        events: Events,
        session_id: SessionId,
        operation: OperationId,
        lock: LockId,
        path: str,
    ) -> None:
        self._events = events
        self._session_id = session_id
        self._about = {"operation": operation, "lock": lock, "path": path}
        self._shown = 0.0
        self._text = ""
        self._later: asyncio.TimerHandle | None = None

    def grow(self, text: str) -> None:
        """Show the text so far, now or soon."""
        self._text = text
        if self._later is None:
            pause = self._shown + PAUSE - time.monotonic()
            if pause <= 0:
                self._show()
            else:
                # A model that pauses now has not said less than what came in between.
                self._later = asyncio.get_running_loop().call_later(pause, self._show)

    def end(self) -> None:
        """Say that there is nothing to be previewed any more."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        self._tell("ended", "")

    def _show(self) -> None:
        self._later = None
        self._shown = time.monotonic()
        self._tell("growing", partial_code(self._text)[-CHARACTERS:])

    def _tell(self, state: str, text: str) -> None:
        self._events.publish(
            self._session_id, "preview", {**self._about, "state": state, "text": text}
        )
