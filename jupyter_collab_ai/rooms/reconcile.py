"""Bringing what changed in a file into the live document: three ways, for texts and notebooks.

The base is the document as it was when the file was last known to hold it. What changed from
there to the file goes into the live document, unless people have changed the same since: then
theirs stands. A notebook is merged cell by cell and, within a cell, like a text.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from jupyter_ydoc.utils import cast_all
from pycrdt import Array, Doc, Map, Text

from jupyter_collab_ai.rooms.content import Content, make_cell, make_output
from jupyter_collab_ai.rooms.documents import Kind
from jupyter_collab_ai.rooms.merge import merge
from jupyter_collab_ai.rooms.textdiff import apply_edits_to_text, diff

Cell = dict[str, Any]

#: Parts of a cell that are merged as a whole.
_WHOLE = ("attachments", "outputs", "execution_count")


@dataclass(frozen=True)
class Outcome:
    """What came of a merge."""

    #: In how many places both had changed, and the live document stands.
    conflicts: int
    #: What the file holds, with the cells' ids that they have in the document.
    content: Content


def merge_into(kind: Kind, doc: Doc[Any], base: Doc[Any] | None, disk: Content) -> Outcome:
    """Bring the file's content into a document; for worker threads.

    Args:
        kind: What the document is.
        doc: The live document, or a copy; is changed.
        base: The document that the file was last known to hold. Where it is not known, what
            the file holds replaces what the document holds.
        disk: What the file holds now.
    """
    if kind is Kind.NOTEBOOK:
        return _NotebookMerge(doc, base, disk).run()
    text = doc.get("source", type=Text)
    before = None if base is None else str(base.get("source", type=Text))
    return Outcome(_merge_text(text, before, disk), disk)


def distance(kind: Kind, one: Content, other: Content) -> int:
    """Return how far two contents are apart: in characters, or in cells; for worker threads."""
    if kind is Kind.TEXT:
        return sum(edit.end - edit.start + len(edit.new_text) for edit in diff(one, other))
    shapes = [
        Counter(_shape(_plain(cell)) for cell in content["cells"]) for content in (one, other)
    ]
    return ((shapes[0] - shapes[1]) + (shapes[1] - shapes[0])).total()


def _merge_text(text: Text, base: str | None, disk: str) -> int:
    live = str(text)
    if base is None:
        apply_edits_to_text(text, diff(live, disk))
        return 0
    merged = merge(base, live, disk)
    apply_edits_to_text(text, merged.edits)
    return len(merged.conflicts)


@dataclass
class _NotebookMerge:
    """The merge of one notebook."""

    doc: Doc[Any]
    base_doc: Doc[Any] | None
    disk: dict[str, Any]
    conflicts: int = 0
    live: Array[Any] = field(init=False)

    def run(self) -> Outcome:
        """Merge."""
        self.live = self.doc.get("cells", type=Array)
        source = self.base_doc if self.base_doc is not None else self.doc
        base = [_plain(cell.to_py()) for cell in source.get("cells", type=Array)]
        disk = _with_ids([_plain(cell) for cell in self.disk["cells"]], base)
        self._merge_metadata()
        self._merge_cells({cell["id"]: cell for cell in base}, disk)
        self._delete({cell["id"]: cell for cell in base}, {cell["id"] for cell in disk})
        self._insert_and_move([cell["id"] for cell in base], disk)
        cells = [
            {**cell, "id": named["id"]}
            for cell, named in zip(self.disk["cells"], disk, strict=True)
        ]
        return Outcome(self.conflicts, {**self.disk, "cells": cells})

    # ------------------------------------------------------------ cells that stay

    def _merge_cells(self, base: Mapping[str, Cell], disk: Sequence[Cell]) -> None:
        live = {cell["id"]: cell for cell in self.live}
        for changed in disk:
            mine = live.get(changed["id"])
            before = base.get(changed["id"])
            if mine is None:
                # People have deleted it meanwhile; if the file changed it too, theirs stands.
                self.conflicts += before is not None and before != changed
            elif before is None:
                self.conflicts += _plain(mine.to_py()) != changed
            elif before != changed:
                self._merge_cell(mine, before, changed)

    def _merge_cell(self, mine: Map[Any], before: Cell, changed: Cell) -> None:
        now = _plain(mine.to_py() or {})
        if before["cell_type"] != changed["cell_type"]:
            if now == before:
                index = self._index(changed["id"])
                del self.live[index]
                self.live.insert(index, make_cell(changed))
            else:
                self.conflicts += now != changed
            return
        base_source = before["source"] if self.base_doc is not None else None
        self.conflicts += _merge_text(mine["source"], base_source, changed["source"])
        metadata = mine.get("metadata")
        if isinstance(metadata, Map):
            self._merge_keys(metadata, before["metadata"], changed["metadata"])
        for key in _WHOLE:
            if before.get(key) == changed.get(key) or now.get(key) == changed.get(key):
                continue
            if now.get(key) == before.get(key):
                _set(mine, key, changed.get(key))
            else:
                self.conflicts += 1

    # ------------------------------------------------------------ metadata

    def _merge_metadata(self) -> None:
        meta = self.doc.get("meta", type=Map)
        base = _ints((self.base_doc or self.doc).get("meta", type=Map).to_py() or {})
        for key in ("nbformat", "nbformat_minor"):
            disk = self.disk.get(key)
            if disk is not None and disk != base.get(key) and disk != meta.get(key):
                meta[key] = float(disk)
        metadata = meta.get("metadata")
        if isinstance(metadata, Map):
            self._merge_keys(metadata, base.get("metadata", {}), self.disk.get("metadata", {}))

    def _merge_keys(self, live: Map[Any], base: Mapping[str, Any], disk: Mapping[str, Any]) -> None:
        now = _ints(live.to_py() or {})
        for key in {*base, *disk} - {"trusted"}:
            before, changed, mine = base.get(key), disk.get(key), now.get(key)
            if changed in (before, mine):
                continue
            # The model of a notebook fills these in where the file has none.
            if changed is None and key in ("kernelspec", "language_info"):
                continue
            if mine != before:
                self.conflicts += 1
            elif changed is None:
                del live[key]
            else:
                live[key] = _floats(changed)

    # ------------------------------------------------------------ cells that come, go, move

    def _delete(self, base: Mapping[str, Cell], kept: set[str]) -> None:
        for index in reversed(range(len(self.live))):
            cell = self.live[index]
            before = base.get(cell["id"])
            if cell["id"] in kept or before is None:
                continue
            if _plain(cell.to_py()) == before:
                del self.live[index]
            else:
                self.conflicts += 1

    def _insert_and_move(self, base: Sequence[str], disk: Sequence[Cell]) -> None:
        live = [cell["id"] for cell in self.live]
        common = set(base) & {cell["id"] for cell in disk} & set(live)
        before, changed, mine = (
            [id_ for id_ in order if id_ in common]
            for order in (base, [cell["id"] for cell in disk], live)
        )
        if changed not in (before, mine):
            if mine == before:
                self._reorder(changed)
            else:
                self.conflicts += 1
        previous: str | None = None
        for cell in disk:
            if cell["id"] not in base and cell["id"] not in live:
                index = 0 if previous is None else self._index(previous) + 1
                self.live.insert(index, make_cell(cell))
                previous = cell["id"]
            elif cell["id"] in live:
                previous = cell["id"]

    def _reorder(self, wanted: Sequence[str]) -> None:
        moved = set(wanted) - _rising([cell["id"] for cell in self.live], wanted)
        for place, id_ in enumerate(wanted):
            if id_ not in moved:
                continue
            index = self._index(id_)
            # yjs 13 knows no moves: the cell is made anew.
            cell = self.live[index].to_py()
            del self.live[index]
            target = self._index(wanted[place - 1]) + 1 if place else 0
            self.live.insert(target, make_cell(cell))

    def _index(self, id_: str) -> int:
        return next(index for index, cell in enumerate(self.live) if cell["id"] == id_)


def _rising(order: Sequence[str], wanted: Sequence[str]) -> set[str]:
    """Return a largest set of ids that stand in the wanted order already."""
    place = {id_: index for index, id_ in enumerate(wanted)}
    ids = [id_ for id_ in order if id_ in place]
    best: list[list[str]] = []
    for id_ in ids:
        chains = [chain for chain in best if place[chain[-1]] < place[id_]]
        best.append([*_longest(chains), id_])
    return set(_longest(best))


def _longest(chains: Sequence[list[str]]) -> list[str]:
    return max(chains, key=lambda chain: len(chain), default=[])


def _set(cell: Map[Any], key: str, value: Any) -> None:
    if key == "outputs" and isinstance(cell.get("outputs"), Array):
        outputs = cell["outputs"]
        outputs.clear()
        outputs.extend([make_output(output) for output in value or []])
    elif value is None and key != "execution_count":
        if key in cell:
            del cell[key]
    else:
        cell[key] = _floats(value)


def _plain(cell: Mapping[str, Any]) -> Cell:
    """Return a cell in a form in which equal cells compare equal."""
    plain: Cell = _ints(copy.deepcopy(dict(cell)))
    plain.pop("execution_state", None)
    plain["metadata"] = {
        key: value for key, value in plain.get("metadata", {}).items() if key != "trusted"
    }
    if isinstance(plain.get("source"), list):
        plain["source"] = "".join(plain["source"])
    for output in plain.get("outputs", []):
        if isinstance(output.get("text"), list):
            output["text"] = "".join(output["text"])
    if not plain.get("attachments"):
        plain.pop("attachments", None)
    return plain


def _with_ids(cells: list[Cell], base: Sequence[Cell]) -> list[Cell]:
    """Give cells without an id (before nbformat 4.5) that of the same cell in the base."""
    if all("id" in cell for cell in cells):
        return cells
    named = [{**cell} for cell in cells]
    matcher = SequenceMatcher(a=[_shape(it) for it in base], b=[_shape(it) for it in cells])
    for tag, start, end, disk_start, disk_end in matcher.get_opcodes():
        if tag in ("equal", "replace"):
            for offset in range(min(end - start, disk_end - disk_start)):
                named[disk_start + offset].setdefault("id", base[start + offset]["id"])
    for index, cell in enumerate(named):
        cell.setdefault("id", f"new-{index}-{len(base)}")
    return named


def _shape(cell: Cell) -> tuple[str, str]:
    return cell["cell_type"], cell["source"]


def _ints(value: Any) -> Any:
    # JavaScript has one kind of number; what it wrote arrives here as a float.
    return _cast(value, float, int)


def _floats(value: Any) -> Any:
    # yrs makes big integers of Python's, which JSON in a browser can't hold.
    return _cast(value, int, float)


_Number = type[int] | type[float]
_cast_all: Callable[[Any, _Number, _Number], Any] = cast_all


def _cast(value: Any, from_: _Number, to: _Number) -> Any:
    (cast,) = _cast_all([copy.deepcopy(value)], from_, to)
    return cast
