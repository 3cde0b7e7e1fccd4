"""Panics of pycrdt as ordinary errors.

What goes wrong in its Rust code arrives as ``pyo3_runtime.PanicException``. That is a
``BaseException``, so it passes every ``except Exception``, and would end a task unnoticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_OURS = (Exception, asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit)


class DocumentPanic(RuntimeError):
    """pycrdt has panicked; the document that it worked on must not be used any more."""


@contextmanager
def catch_panics() -> Iterator[None]:
    """Raise :class:`DocumentPanic` where pycrdt panics in the block."""
    try:
        yield
    except _OURS:
        raise
    except BaseException as panic:
        raise DocumentPanic(f"pycrdt has panicked: {panic}") from None


def without_panics(function: Callable[P, T]) -> Callable[P, T]:
    """Let a function raise :class:`DocumentPanic` where pycrdt panics in it."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with catch_panics():
            return function(*args, **kwargs)

    return wrapped
