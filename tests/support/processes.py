"""Child processes that never outlive the tests, however these end."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

_PR_SET_PDEATHSIG = 1

# Linux sends the death signal when the *thread* that started the child ends, so all children
# are started by one thread that lives as long as the process.
_starter = ThreadPoolExecutor(1, thread_name_prefix="child-starter")


def _die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, number)

    return ask


def start(
    command: list[str],
    *,
    death_signal: signal.Signals = signal.SIGKILL,
    **kwargs: Any,
) -> subprocess.Popen[bytes]:
    """Start ``command``; where the system can, it gets ``death_signal`` when the tests die."""
    ask = _die_with_parent(death_signal)
    return _starter.submit(lambda: subprocess.Popen(command, preexec_fn=ask, **kwargs)).result()


def end(process: subprocess.Popen[bytes], number: int, *, timeout: float) -> None:
    """Send a signal and wait for the end; after ``timeout`` seconds, SIGKILL."""
    if process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout)


def wait_until(
    condition: Callable[[], bool], *, timeout: float, what: str, interval: float = 0.02
) -> None:
    """Wait for ``condition`` in a thread that may block.

    Raises:
        TimeoutError: It did not come true within ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {timeout:g} s in vain: {what}.")
        time.sleep(interval)


def is_root() -> bool:
    """Whether the tests run as root."""
    return hasattr(os, "geteuid") and os.geteuid() == 0
