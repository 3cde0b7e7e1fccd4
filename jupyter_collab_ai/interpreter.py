"""Settings of the interpreter under which no keystroke waits long for anything else."""

from __future__ import annotations

import gc
import sys

#: Seconds that a thread which computes keeps the interpreter while others wait for it. The event
#: loop gives it away with each call of the system, about ten times for a keystroke, and had it
#: back after Python's own 5 ms each time.
SWITCH_INTERVAL = 0.0005


def favour_the_loop() -> None:
    """Let the event loop go on soon, whatever threads do; to be called when all is loaded."""
    sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_INTERVAL))
    if not gc.get_freeze_count():
        # What is there by now stays. To look through all of it for garbage takes a tenth of a
        # second each time, in which nobody's keystroke goes on.
        gc.collect()
        gc.freeze()
