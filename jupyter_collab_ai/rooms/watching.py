"""Watching a document for a while, and letting go of it.

pycrdt's observers hold the document that holds them, where Python's collector can't see it: a
document that is watched to its end is never freed (0.14.13).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pycrdt import Doc, TransactionEvent


@contextmanager
def watched(doc: Doc[Any], seen: Callable[[TransactionEvent], None]) -> Iterator[None]:
    """Tell ``seen`` of each transaction that ends within the block."""
    subscription = doc.observe(seen)
    try:
        yield
    finally:
        doc.unobserve(subscription)
