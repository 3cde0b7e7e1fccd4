"""The command as a real process, in a pipe or at a terminal of its own."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: Where the installed commands are, the one under test among them.
BIN = Path(sys.executable).parent
TIMEOUT = 60


@dataclass(frozen=True)
class Done:
    """What came of a command."""

    status: int
    out: str
    err: str = ""


def environment(folder: Path, database_url: str | None = None) -> dict[str, str]:
    """Return the environment of an admin whose data folder is in ``folder``."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.upper().startswith(("JUPYTER", "COLLAB_AI", "JPY_"))
    }
    made = {"JUPYTER_DATA_DIR": str(folder), "PATH": f"{BIN}{os.pathsep}{kept['PATH']}"}
    if database_url is not None:
        made["COLLAB_AI_DATABASE_URL"] = database_url
    return {**kept, **made}


def run(command: Sequence[str], env: Mapping[str, str], given: str = "") -> Done:
    """Run a command without a terminal, with ``given`` on its standard input."""
    done = subprocess.run(
        command,
        input=given.encode(),
        env=dict(env),
        capture_output=True,
        check=False,
        timeout=TIMEOUT,
        start_new_session=True,  # away from the terminal of whoever runs the tests
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def run_at_terminal(
    command: Sequence[str], env: Mapping[str, str], answers: Sequence[tuple[str, str]] = ()
) -> Done:
    """Run a command at a terminal of its own, where each answer is typed after its prompt.

    Returns everything that the terminal has shown, as ``out``.
    """
    ours, its = pty.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        command,
        stdin=its,
        stdout=its,
        stderr=its,
        env=dict(env),
        start_new_session=True,
        preexec_fn=take_terminal,
    )
    os.close(its)
    shown, seen, left = b"", 0, list(answers)
    deadline = time.monotonic() + TIMEOUT
    try:
        while True:
            readable, _, _ = select.select([ours], [], [], max(0, deadline - time.monotonic()))
            assert readable, f"It waits for something: {shown!r}"
            try:
                data = os.read(ours, 4096)
            except OSError:  # Linux's word for the end
                data = b""
            if not data:
                break
            shown += data
            if left and (at := shown.find(left[0][0].encode(), seen)) >= 0:
                seen = at + len(left[0][0])
                os.write(ours, f"{left.pop(0)[1]}\n".encode())
        return Done(process.wait(TIMEOUT), shown.decode().replace("\r\n", "\n"))
    finally:
        process.kill()
        process.wait()
        os.close(ours)
