"""The other end of :mod:`.heavy`: a process that works off what it is given, one after another.

It ends when the server's end of its pipe is closed, also by ``kill -9``, and leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import struct
import sys
from typing import IO, Any

#: Before each message: how many bytes it has.
HEADER = struct.Struct(">Q")


class Failed(RuntimeError):
    """What was asked for failed with an error that can't be told as it was."""


class ServerGone(RuntimeError):
    """The server has ended; what is not done yet must not be done any more."""


#: In such a process, the server's id.
_server: int | None = None


def require_server() -> None:
    """Make sure that the server that wanted this still runs, where this is a process of its own.

    Raises:
        ServerGone: It does not: by now another one may have written something newer.
    """
    if _server is not None and os.getppid() != _server:
        raise ServerGone("The server has ended.")


def write(stream: IO[bytes], message: object) -> None:
    """Send a message."""
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    stream.write(HEADER.pack(len(data)))
    stream.write(data)
    stream.flush()


def read(stream: IO[bytes]) -> Any:
    """Receive a message.

    Raises:
        EOFError: There will be none.
    """
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        raise EOFError
    (size,) = HEADER.unpack(header)
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)  # noqa: S301 (both ends are ours, and nobody else has the pipe)


def _work(message: Any) -> tuple[bool, Any]:
    function, arguments = message
    try:
        return True, function(*arguments)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301
        except Exception:
            return False, Failed(f"{type(error).__name__}: {error}")
        return False, error


def main() -> None:
    """Work until there is nothing more to come."""
    global _server
    _server = os.getppid()
    # An interrupt of the terminal is for the server, which may want to save at its end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Those who type go first where there are too few processors for both.
    with contextlib.suppress(OSError, AttributeError):
        os.nice(5)
    # Whatever is printed by mistake must not get between the messages.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        while True:
            try:
                message = read(sys.stdin.buffer)
            except EOFError:
                return
            write(answers, _work(message))
            del message


if __name__ == "__main__":
    # What is pickled names this module by its full name.
    from jupyter_collab_ai.rooms import helper_process

    helper_process.main()
