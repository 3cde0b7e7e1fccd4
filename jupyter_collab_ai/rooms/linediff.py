"""What differs between two versions, line by line and cell by cell; and putting parts of it back.

Pure. A hunk replaces some lines of the older text by some of the newer one. Its id follows from
what it says, so that the same hunk has the same id whenever two versions are compared.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from jupyter_collab_ai.rooms.content import Content
from jupyter_collab_ai.rooms.documents import Kind
from jupyter_collab_ai.rooms.textdiff import line_changes

#: Hunks that are told; nobody reads more.
MOST_HUNKS = 2000

Cell = dict[str, Any]


@dataclass(frozen=True)
class Hunk:
    """Some lines of the older text, and what stands there in the newer one."""

    id: str
    #: Which line of each text it begins at, from 1; where there are none, before which line.
    old_start: int
    old_lines: tuple[str, ...]
    new_start: int
    new_lines: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "id": self.id,
            "old": _side(self.old_start, self.old_lines),
            "new": _side(self.new_start, self.new_lines),
        }


def _side(start: int, lines: Sequence[str]) -> dict[str, Any]:
    return {"from": start, "to": start + len(lines), "lines": list(lines)}


@dataclass(frozen=True)
class Lines:
    """Which lines of the newer text take the place of which lines of the older one."""

    cell_id: str | None
    #: From 1; the end is the line after the last.
    old: tuple[int, int]
    new: tuple[int, int]


#: What is named of the differences: hunks and changed cells by their ids, or lines.
Named = str | Lines


class NoSuchHunk(LookupError):
    """The two versions do not differ in this."""


def hunks_of(old: str, new: str, *, cell_id: str = "") -> list[Hunk]:
    """Return the changed runs of lines, in order; large texts are for worker threads."""
    old_lines, new_lines = old.split("\n"), new.split("\n")
    seen: Counter[str] = Counter()
    hunks = []
    for a, b, c, d in line_changes(old_lines, new_lines):
        taken, given = tuple(old_lines[a:b]), tuple(new_lines[c:d])
        before = old_lines[a - 1] if a else None
        text = json.dumps([cell_id, before, taken, given])
        seen[text] += 1
        digest = hashlib.sha256(f"{seen[text]} {text}".encode("utf-8", "surrogatepass"))
        hunks.append(Hunk(digest.hexdigest()[:16], a + 1, taken, c + 1, given))
    return hunks


# ---------------------------------------------------------------- whole documents


def compare(kind: Kind, old: Content, new: Content) -> dict[str, Any]:
    """Return what differs between two contents, as the API shows it; for worker threads.

    The cells of both notebooks have ids.
    """
    if kind is Kind.TEXT:
        hunks = hunks_of(old, new)
        return {
            "hunks": [hunk.as_json() for hunk in hunks[:MOST_HUNKS]],
            "truncated": len(hunks) > MOST_HUNKS,
        }
    cells = _changed_cells(old, new)
    left = MOST_HUNKS
    told = []
    for cell in cells:
        if left <= 0:
            break
        left -= 1 + len(cell["hunks"])
        told.append(cell)
    return {
        "cells": told,
        "metadata_changed": old.get("metadata") != new.get("metadata"),
        "truncated": len(told) < len(cells),
    }


def _changed_cells(old: Content, new: Content) -> list[dict[str, Any]]:
    before, after = _by_id(old), _by_id(new)
    common = [id_ for id_ in after if id_ in before]
    stayed = _in_order([id_ for id_ in before if id_ in after], common)
    changes = [
        _change("deleted", id_, cell, []) for id_, cell in before.items() if id_ not in after
    ]
    for id_, cell in after.items():
        was = before.get(id_)
        if was is None:
            changes.append(_change("added", id_, cell, []))
        elif was != cell or id_ not in stayed:
            hunks = hunks_of(was["source"], cell["source"], cell_id=id_)
            change = _change("changed" if was != cell else "moved", id_, cell, hunks)
            change["outputs_changed"] = was.get("outputs") != cell.get("outputs")
            change["metadata_changed"] = was.get("metadata") != cell.get("metadata")
            changes.append(change)
    return changes


def _change(change: str, cell_id: str, cell: Cell, hunks: Sequence[Hunk]) -> dict[str, Any]:
    return {
        "id": f"cell-{cell_id}",
        "cell_id": cell_id,
        "type": cell["cell_type"],
        "change": change,
        "hunks": [hunk.as_json() for hunk in hunks],
    }


def _in_order(old: Sequence[str], new: Sequence[str]) -> set[str]:
    """Return the ids that did not move: all but those that line up otherwise."""
    moved = {id_ for a, b, _, _ in line_changes(old, new) for id_ in old[a:b]}
    return set(old) - moved


def _by_id(content: Content) -> dict[str, Cell]:
    return {str(cell["id"]): cell for cell in content["cells"]}


# ---------------------------------------------------------------- putting parts back


def with_cell(content: Content, version: Content, cell_id: str) -> Content:
    """Return a notebook with one cell as it is in another version of it.

    Raises:
        KeyError: Neither has such a cell.
    """
    wanted = _by_id(version).get(cell_id)
    cells = [cell for cell in content["cells"] if wanted is not None or cell["id"] != cell_id]
    if wanted is None:
        if len(cells) == len(content["cells"]):
            raise KeyError(cell_id)
        return {**content, "cells": cells}
    there = [str(cell["id"]) for cell in cells]
    if cell_id in there:
        cells[there.index(cell_id)] = wanted
        return {**content, "cells": cells}
    order = [str(cell["id"]) for cell in version["cells"]]
    index = 0
    for before in reversed(order[: order.index(cell_id)]):
        if before in there:
            index = there.index(before) + 1
            break
    return {**content, "cells": [*cells[:index], wanted, *cells[index:]]}


def with_parts(kind: Kind, content: Content, version: Content, parts: Collection[Named]) -> Content:
    """Return a content with some of what differs in another version of it.

    Args:
        kind: What both are.
        content: What the hunks were compared with.
        version: From where they are.
        parts: Which of what differs.

    Raises:
        NoSuchHunk: The two do not differ in all of these, or have no such lines.
    """
    ids = {part for part in parts if isinstance(part, str)}
    lines = [part for part in parts if isinstance(part, Lines)]
    if kind is Kind.TEXT:
        if any(part.cell_id is not None for part in lines):
            raise NoSuchHunk("cell_id")
        hunks, found = _named_hunks(content, version, ids, "")
        content = _replaced(content, version, [*hunks, *lines])
    else:
        content, found = _with_cell_parts(content, version, ids, lines)
    if ids - found:
        raise NoSuchHunk(", ".join(sorted(ids - found)))
    return content


def _with_cell_parts(
    content: Content, version: Content, ids: Collection[str], lines: Sequence[Lines]
) -> tuple[Content, set[str]]:
    before, after = _by_id(content), _by_id(version)
    if not {part.cell_id for part in lines} <= before.keys() & after.keys():
        raise NoSuchHunk("cell_id")
    found = set()
    for cell_id in dict.fromkeys((*after, *before)):
        if f"cell-{cell_id}" in ids:
            found.add(f"cell-{cell_id}")
            content = with_cell(content, version, cell_id)
        elif cell_id in before and cell_id in after:
            old, source = before[cell_id], after[cell_id]["source"]
            hunks, named = _named_hunks(old["source"], source, ids, cell_id)
            found |= named
            wanted = [*hunks, *(part for part in lines if part.cell_id == cell_id)]
            if wanted:
                changed = {**old, "source": _replaced(old["source"], source, wanted)}
                content = with_cell(content, {"cells": [changed]}, cell_id)
    return content, found


def _named_hunks(
    old: str, new: str, ids: Collection[str], cell_id: str
) -> tuple[list[Lines], set[str]]:
    hunks = [hunk for hunk in hunks_of(old, new, cell_id=cell_id) if hunk.id in ids]
    named = [
        Lines(
            cell_id,
            (hunk.old_start, hunk.old_start + len(hunk.old_lines)),
            (hunk.new_start, hunk.new_start + len(hunk.new_lines)),
        )
        for hunk in hunks
    ]
    return named, {hunk.id for hunk in hunks}


def _replaced(old: str, new: str, parts: Sequence[Lines]) -> str:
    """Return the older text with lines of the newer one in place of some of its own."""
    lines, others = old.split("\n"), new.split("\n")
    end = len(lines) + 1
    for part in sorted(parts, key=lambda part: part.old, reverse=True):
        start, stop = part.old
        if not (1 <= start <= stop <= end and 1 <= part.new[0] <= part.new[1] <= len(others) + 1):
            raise NoSuchHunk("lines")
        lines[start - 1 : stop - 1] = others[part.new[0] - 1 : part.new[1] - 1]
        end = start
    return "\n".join(lines)
