"""The door to the workers that read untrusted text: runs in a process of its own.

``python -I -S -B worker.py MODULE [FOLDER…]`` reads JSON from standard input, gives it to the
function ``answer`` of a module of this package, and writes what that returns as JSON. Nothing
that is read is executed. The process sees nobody's site-packages: only the standard library,
this package and the folders that are named, in this order.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import warnings
from pathlib import Path

#: Bytes and seconds that a hostile text can cost.
MEMORY = 2 * 1024**3
CPU_SECONDS = 20


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
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


def main() -> None:
    """Answer one request."""
    limit_resources()
    warnings.simplefilter("ignore")
    module, *folders = sys.argv[1:]
    sys.path += [str(Path(__file__).resolve().parents[3]), *folders]
    answer = importlib.import_module(f"jupyter_collab_ai.ai.analyzers.{module}").answer
    json.dump(answer(json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    main()
