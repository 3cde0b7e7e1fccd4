"""Asking a worker of this package: a question in JSON, an answer in JSON, in another process."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jupyter_collab_ai.ai.analyzers.base import AnalyzerFailed
from jupyter_collab_ai.ai.analyzers.process import Processes

_WORKER = Path(__file__).with_name("worker.py")


async def ask_worker(
    processes: Processes, module: str, request: Any, *, name: str, packages: Iterable[str] = ()
) -> Any:
    """Return what the worker ``module`` answers.

    Args:
        processes: Runs it.
        module: A module of this package with a function ``answer``.
        request: What it is asked; JSON.
        name: What it is called in messages.
        packages: Packages of others that it imports.

    Raises:
        AnalyzerFailed: It can't be started, took too long, or broke down.
    """
    folders = dict.fromkeys(folder for name in packages for folder in folders_of(name))
    output = await processes.run(
        [sys.executable, "-I", "-S", "-B", str(_WORKER), module, *folders],
        stdin=json.dumps(request).encode("utf-8", "replace"),
        name=name,
    )
    try:
        answer = json.loads(output.stdout)
    except ValueError:
        answer = None
    if output.status != 0 or answer is None:
        raise AnalyzerFailed(f"{name} could not read the text; it may be nested too deeply.")
    return answer


def folders_of(package: str) -> list[str]:
    """Return the folders from which a package is imported; none where it isn't installed."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return []
    return [] if spec is None or spec.origin is None else [str(Path(spec.origin).parents[1])]
