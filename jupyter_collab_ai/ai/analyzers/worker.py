"""The door to the workers that read untrusted text: runs in processes of its own.

``python -I -S -B worker.py FOLDERS MODULES`` (both JSON lists) imports modules of this package and
others once, and then answers one question after the other, each in a child that is forked for it:
what one text does to the interpreter, the next one never sees. A question names a module; its
function ``answer`` gets the rest as JSON, and what it returns is written as JSON. Nothing that is
read is executed. The process sees nobody's site-packages: only the standard library, this package
and the folders that are named, in this order.

With ``--once`` it reads one question to the end of its input, and answers it by itself.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import struct
import sys
import warnings
from pathlib import Path
from typing import Any

#: Bytes and seconds that a hostile text can cost.
MEMORY = 2 * 1024**3
CPU_SECONDS = 20
#: Before each question and answer: how many bytes it has.
HEADER = struct.Struct(">Q")
#: Before each question: that there is one.
WAKE = b"?"
_IN, _OUT = 0, 1
_CHUNK = 1 << 20


def limit_resources() -> None:
    """Bound what a hostile text can cost, where the system can."""
    try:
        import resource
    except ImportError:
        return
    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_CORE, 0),
        # It leaves nobody behind who reads the next text (unless this is root, who may).
        (resource.RLIMIT_NPROC, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


def answer_to(question: bytes) -> bytes:
    """Return what a module of this package says."""
    asked: dict[str, Any] = json.loads(question)
    module = importlib.import_module(asked["module"])
    return json.dumps(module.answer(asked["request"])).encode()


def read(size: int) -> bytes:
    """Read so many bytes of what the server sends.

    Raises:
        EOFError: There are fewer.
    """
    data = bytearray()
    while len(data) < size:
        piece = os.read(_IN, min(size - len(data), _CHUNK))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


def write(data: bytes) -> None:
    """Send an answer."""
    rest = memoryview(HEADER.pack(len(data)) + data)
    while rest:
        rest = rest[os.write(_OUT, rest) :]


def answer_one() -> None:
    """Answer the question that waits; for a child, which ends with this."""
    status = 1
    try:
        limit_resources()
        (size,) = HEADER.unpack(read(HEADER.size))
        write(answer_to(read(size)))
        status = 0
    finally:
        # Nothing of the process that it is a copy of is cleaned up, or told, a second time.
        os._exit(status)


def serve() -> None:
    """Answer until the server hangs up, or a child has died: half an answer may be out then."""
    # A child does not live for long enough to be worth a look for garbage: that, and copying what
    # it looks at, takes a third of its time.
    gc.collect()
    gc.freeze()
    gc.disable()
    while os.read(_IN, 1) == WAKE:
        child = os.fork()
        if child == 0:
            answer_one()
        _, status = os.waitpid(child, 0)
        if status:
            return


def main() -> None:
    """Begin."""
    warnings.simplefilter("ignore")
    folders, modules = (json.loads(word) for word in sys.argv[1:3])
    sys.path += [str(Path(__file__).resolve().parents[3]), *folders]
    if sys.argv[3:] == ["--once"]:
        limit_resources()
        sys.stdout.buffer.write(answer_to(sys.stdin.buffer.read()))
        return
    for module in modules:
        # What can't be imported is told to whoever needs it.
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    serve()


if __name__ == "__main__":
    main()
