"""Merging a changed file into a live document."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc

from jupyter_collab_ai.rooms.content import Content
from jupyter_collab_ai.rooms.documents import Kind


def merge_into(kind: Kind, doc: Doc[Any], base: Content | None, disk: Content) -> int:
    """Merge."""
    raise NotImplementedError
