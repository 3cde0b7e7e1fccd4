"""Where generated code goes: targets, and what they become on the text that is there now.

Pure, except that anchors are made and read through a view of the live document.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any
from uuid import uuid4

from jupyter_collab_ai.ai.around import Around
from jupyter_collab_ai.ai.cells import Cell, Unclear, new_key, split
from jupyter_collab_ai.ai.edits import minimal
from jupyter_collab_ai.ai.findings import Edit
from jupyter_collab_ai.ai.indenting import deeper, indented
from jupyter_collab_ai.ai.languages import PYTHON
from jupyter_collab_ai.ai.locations import Lines, Location, NoSuchPlace, Position, Span
from jupyter_collab_ai.ai.ports import Editor, LiveCell, View
from jupyter_collab_ai.ai.snapshot import CODE, DocumentSnapshot, Part
from jupyter_collab_ai.errors import FieldError, InvalidRequest
from jupyter_collab_ai.locks.leases import Lease
from jupyter_collab_ai.locks.scopes import Scope, ScopeKind
from jupyter_collab_ai.rooms.textdiff import MAX_EDITS, diff, diff_hunks

_DEFINES = re.compile(r"\s*(async\s+def|def|class|@)")


class Mode(Enum):
    """What is done with the code."""

    APPEND = "append"
    REPLACE_DOCUMENT = "replace_document"
    REPLACE = "replace"
    INSERT = "insert"
    NEW_CELL = "new_cell"


#: Those that replace text, and so may be wanted in parts.
WHOLE = frozenset({Mode.REPLACE, Mode.REPLACE_DOCUMENT})


@dataclass(frozen=True)
class Target:
    """Where somebody wants code to go."""

    mode: Mode
    location: Location | None = None


class Moved(Exception):
    """The text that the code was made for is no longer there, or no longer that text."""


class NothingToDo(Exception):
    """The document holds already what was to be written."""


class NoSuchEdit(Exception):
    """A result has fewer edits than were named; the argument says how many."""


#: The numbers of the edits that are wanted; None for all.
Chosen = frozenset[int] | None


@dataclass(frozen=True)
class Place:
    """Where code goes, in a form that survives edits and restarts."""

    mode: Mode
    scope: ScopeKind
    cell_id: str | None = None
    start: bytes | None = None
    end: bytes | None = None
    #: What the model was shown in the scope.
    expected: str = ""
    #: The cell that is to be made, for :attr:`Mode.NEW_CELL`.
    new_cell_id: str | None = None
    #: All cells that the model was shown, where the whole notebook is replaced.
    cells: tuple[tuple[str, str, str], ...] = ()
    #: The word in the lines that begin them.
    key: str = ""
    #: What stood around a range or cell; None for others, and where an older version kept it.
    around: Around | None = None

    @property
    def shown(self) -> list[tuple[str, str]]:
        """The type and source of each cell."""
        return [(type_, source) for _, type_, source in self.cells]

    def as_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return {
            "mode": self.mode.value,
            "scope": self.scope.value,
            "cell_id": self.cell_id,
            "start": _text(self.start),
            "end": _text(self.end),
            "expected": self.expected,
            "new_cell_id": self.new_cell_id,
            "cells": [list(cell) for cell in self.cells],
            "key": self.key,
            "around": None if self.around is None else self.around.as_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Place:
        """Return what :meth:`as_json` made JSON of."""
        return cls(
            Mode(data["mode"]),
            ScopeKind(data["scope"]),
            data["cell_id"],
            _raw(data["start"]),
            _raw(data["end"]),
            data["expected"],
            data["new_cell_id"],
            tuple((one, two, three) for one, two, three in data["cells"]),
            data.get("key", ""),
            Around.from_json(data.get("around")),
        )


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


def _raw(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)


# ---------------------------------------------------------------- from a target to a place


def default_target(snapshot: DocumentSnapshot) -> Target:
    """Return what is meant where nothing is said."""
    return Target(Mode.REPLACE_DOCUMENT if snapshot.is_blank else Mode.APPEND)


def find_place(view: View, snapshot: DocumentSnapshot, target: Target) -> Place:
    """Return the place that a target means in the document as it is now.

    Raises:
        InvalidRequest: There is no such place.
    """
    mode, location = target.mode, target.location
    if mode is Mode.REPLACE_DOCUMENT:
        if location is not None:
            raise _refused("target.location", "replace_document takes no location.")
        return _document(snapshot)
    if mode in (Mode.REPLACE, Mode.INSERT):
        if location is None:
            raise _refused("target.location", f"The mode {mode.value} needs a location.")
        span = _span(snapshot, location)
        if mode is Mode.INSERT and span.start != span.end:
            raise _refused("target.location", "A place of insertion has to end where it begins.")
        return _range(view, snapshot, mode, location.cell_id, span)
    if not snapshot.is_notebook:
        if mode is Mode.NEW_CELL:
            raise _refused("target.mode", "A text file has no cells; use append.")
        if location is not None:
            raise _refused("target.location", "append takes no location in a text file.")
        size = len(snapshot.parts[0].source)
        return _range(view, snapshot, mode, None, Span(size, size))
    if mode is Mode.APPEND and location is not None:
        cell_id = location.cell_id
        _span(snapshot, location)
        size = len(snapshot.part(cell_id).source)
        return _range(view, snapshot, mode, cell_id, Span(size, size))
    return _new_cell(view, snapshot, location)


def _document(snapshot: DocumentSnapshot) -> Place:
    if not snapshot.is_notebook:
        expected = snapshot.parts[0].source
        return Place(Mode.REPLACE_DOCUMENT, ScopeKind.DOCUMENT, expected=expected)
    cells = tuple((str(part.cell_id), part.type, part.source) for part in snapshot.parts)
    place = Place(Mode.REPLACE_DOCUMENT, ScopeKind.DOCUMENT, cells=cells)
    return replace(place, key=new_key(place.shown))


def _range(
    view: View, snapshot: DocumentSnapshot, mode: Mode, cell_id: str | None, span: Span
) -> Place:
    source = snapshot.part(cell_id).source
    whole_cell = cell_id is not None and span == Span(0, len(source)) and bool(source)
    if span.start == span.end:
        # A place of insertion stays at one place: at the end of the text, where it is there.
        start = end = view.anchor(cell_id, span.start, after=span.start == len(source))
    else:
        # What people type at the edges of a range stays out of it.
        start = view.anchor(cell_id, span.start, after=True)
        end = view.anchor(cell_id, span.end, after=False)
    scope = ScopeKind.CELL if whole_cell else ScopeKind.RANGE
    around = Around.of(source, span)
    return Place(mode, scope, cell_id, start, end, span.of(source), around=around)


def _new_cell(view: View, snapshot: DocumentSnapshot, location: Location | None) -> Place:
    new_id = uuid4().hex[:12]
    if location is not None:
        _span(snapshot, location)
    if not snapshot.parts:
        return Place(Mode.NEW_CELL, ScopeKind.DOCUMENT, new_cell_id=new_id)
    before = snapshot.parts[-1].cell_id if location is None else location.cell_id
    end = view.anchor(before, len(snapshot.part(before).source), after=True)
    return Place(Mode.NEW_CELL, ScopeKind.RANGE, before, end, end, new_cell_id=new_id)


def _span(snapshot: DocumentSnapshot, location: Location) -> Span:
    try:
        return snapshot.span_of(location)
    except NoSuchPlace as error:
        raise _refused("target.location", str(error)) from None


def _refused(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, errors=[FieldError(field, message)])


# ---------------------------------------------------------------- where it is now


def scope_now(view: View, place: Place) -> Scope:
    """Return what a place covers at this moment.

    Raises:
        Moved: Its cell is gone.
    """
    if place.scope is ScopeKind.DOCUMENT:
        return Scope.document()
    start, end = _located(view, place.start), _located(view, place.end)
    if place.scope is ScopeKind.CELL and place.cell_id is not None:
        return Scope.cell(place.cell_id)
    return Scope.range(place.cell_id, min(start, end), max(start, end))


def again(view: View, snapshot: DocumentSnapshot, place: Place) -> Place:
    """Return a place with what stands there by now, for code that is still to be made.

    Args:
        view: The text as it is now.
        snapshot: The same.
        place: As it was before.

    Raises:
        Moved: It is gone, or what was to be replaced is, or other text has grown into it.
    """
    if place.scope is ScopeKind.DOCUMENT:
        return find_place(view, snapshot, Target(place.mode))
    if place.cell_id not in snapshot.cell_ids:
        raise Moved
    source = snapshot.part(place.cell_id).source
    if place.scope is ScopeKind.CELL and source.strip():
        return _range(view, snapshot, place.mode, place.cell_id, Span(0, len(source)))
    span = _span_now(view, place)
    expected = span.of(source)
    if place.mode is Mode.REPLACE and place.expected.strip() and not expected.strip():
        raise Moved  # it is not there, wherever it may be
    _require_beside(source, span, place)
    return replace(place, expected=expected, around=Around.of(source, span))


def found_again(view: View, place: Place) -> Place:
    """Return a place where its text is by now: the same one, or one with other anchors.

    Anchors lose their text where it is deleted and comes back, as by an undo, or where all is
    written anew. It is taken for the same text only with the lines around it, never for its
    own sake.

    Raises:
        Moved: It is not there, or it is not certain which it is.
    """
    cell = _cell(view, place.cell_id)
    if place.scope is ScopeKind.DOCUMENT or place.mode is Mode.NEW_CELL or not place.expected:
        return place
    if cell is None:
        raise Moved
    if _span_now(view, place).of(cell.source) == place.expected:
        return place
    found = None if place.around is None else place.around.find(cell.source, place.expected)
    if found is None:
        raise Moved
    return replace(
        place,
        start=view.anchor(cell.id, found.start, after=True),
        end=view.anchor(cell.id, found.end, after=False),
    )


def _span_now(view: View, place: Place) -> Span:
    start, end = _located(view, place.start), _located(view, place.end)
    return Span(min(start, end), max(start, end))


def _require_beside(source: str, span: Span, place: Place) -> None:
    # What is added at the end of a text begins a line of its own there.
    if place.around is None or place.mode is Mode.APPEND:
        return
    if not place.around.is_beside(source, span):
        raise Moved


def _located(view: View, anchor: bytes | None) -> int:
    found = None if anchor is None else view.locate(anchor)
    if found is None:
        raise Moved
    return found[1]


def scope_of_lease(view: View, lease: Lease) -> Scope | None:
    """Return what a lease covers at this moment, or None where its cell is gone."""
    try:
        return scope_now(
            view,
            Place(Mode.REPLACE, lease.scope, lease.cell_id, lease.start_anchor, lease.end_anchor),
        )
    except Moved:
        return None


def location_of(view: View, scope: Scope) -> Location | None:
    """Return a scope as a location; None for a whole document, or where its cell is gone."""
    if scope.kind is ScopeKind.DOCUMENT:
        return None
    cell = _cell(view, scope.cell_id)
    if cell is None:
        return None
    lines = Lines(cell.source)
    if scope.kind is ScopeKind.CELL:
        return lines.location(Span(0, len(cell.source)), cell.id)
    end = min(scope.end, len(cell.source))
    return lines.location(Span(min(scope.start, end), end), cell.id)


def _cell(view: View, cell_id: str | None) -> LiveCell | None:
    return next((cell for cell in view.cells() if cell.id == cell_id), None)


# ---------------------------------------------------------------- what is written


@dataclass(frozen=True)
class Change:
    """What writing some code means on a text as it is now."""

    #: For each text, what is replaced by what, in the order of the text.
    replaced: tuple[tuple[str | None, tuple[tuple[Span, str], ...]], ...] = ()
    #: Cells to be deleted.
    deleted: tuple[str, ...] = ()
    #: Cells to be made: before which index of the cells that then stand, id, type and source.
    inserted: tuple[tuple[int, str, str, str], ...] = ()
    #: The same as the contract tells it.
    edits: tuple[Edit, ...] = ()


def work_out(view: View, place: Place, code: str, language: str, chosen: Chosen = None) -> Change:
    """Return what is to be changed so that ``code`` stands at ``place``.

    Args:
        view: The text as it is now.
        place: Where the code goes.
        code: The code.
        language: Of the document.
        chosen: Which of the edits are wanted, by their numbers from 0; None for all.

    Raises:
        Moved: What the code was made for is gone, or is no longer what it was.
        NothingToDo: It stands there already, or nothing is wanted.
        NoSuchEdit: There are not as many edits.
    """
    if place.mode is Mode.NEW_CELL:
        _require_edits(chosen, 1)
        return _add_cell(view, place, code)
    if place.scope is ScopeKind.DOCUMENT and view.notebook:
        return _replace_cells(view, place, code, chosen)
    cell = _cell(view, place.cell_id)
    if cell is None:
        raise Moved
    if place.scope is ScopeKind.DOCUMENT:
        span = Span(0, len(cell.source))
    else:
        span = _span_now(view, place)
        _require_beside(cell.source, span, place)
    if span.of(cell.source) != place.expected:
        raise Moved
    if place.scope is ScopeKind.DOCUMENT:
        new = code
    else:
        new = compose(cell.source, span, place.mode, code, language)
    return _replace_text(cell, span, new, whole=place.mode in WHOLE, chosen=chosen)


def _replace_text(cell: LiveCell, span: Span, new: str, *, whole: bool, chosen: Chosen) -> Change:
    """Replace a part of a text by edits as small as they can be.

    Args:
        cell: The text.
        span: What is replaced.
        new: By what.
        whole: Whether it may become several edits, of which not all need be wanted.
        chosen: Which are wanted.
    """
    lines = Lines(cell.source)
    if not whole:
        small, less = minimal(cell.source, span, new)
        _require_edits(chosen, 1)
        if small.start == small.end and not less:
            raise NothingToDo
        edit = Edit(lines.location(small, cell.id), less)
        return Change(((cell.id, ((small, less),)),), edits=(edit,))
    hunks = diff_hunks(span.of(cell.source), new)
    _require_edits(chosen, len(hunks))
    pieces: list[tuple[Span, str]] = []
    edits: list[Edit] = []
    many = sum(len(hunk.edits) for hunk in hunks) > MAX_EDITS
    for number, hunk in enumerate(hunks):
        if chosen is not None and number not in chosen:
            continue
        at = Span(span.start + hunk.start, span.start + hunk.end)
        small, less = minimal(cell.source, at, hunk.new_text)
        edits.append(Edit(lines.location(small, cell.id), less))
        if many:
            pieces.append((small, less))
        else:
            pieces += (
                (Span(span.start + one.start, span.start + one.end), one.new_text)
                for one in hunk.edits
            )
    if not pieces:
        raise NothingToDo
    return Change(((cell.id, tuple(pieces)),), edits=tuple(edits))


def _require_edits(chosen: Chosen, count: int) -> None:
    if chosen is None:
        return
    if any(not 0 <= number < count for number in chosen):
        raise NoSuchEdit(count)
    if not chosen:
        raise NothingToDo


def _add_cell(view: View, place: Place, code: str) -> Change:
    assert place.new_cell_id is not None
    ids = [cell.id for cell in view.cells()]
    if place.new_cell_id in ids:
        raise NothingToDo
    if place.cell_id is None:
        index = len(ids)
    elif place.cell_id in ids:
        index = ids.index(place.cell_id) + 1
    else:
        raise Moved
    source = code.rstrip("\n")
    return Change(
        inserted=((index, place.new_cell_id, CODE, source),),
        edits=(Edit(_beginning(place.new_cell_id), source),),
    )


def _beginning(cell_id: str) -> Location:
    return Location(Position(1, 1), Position(1, 1), cell_id)


def _replace_cells(view: View, place: Place, code: str, chosen: Chosen) -> Change:
    """Replace a whole notebook; cells that stay the same keep their ids and outputs."""
    live = view.cells()
    if tuple((str(cell.id), cell.type, cell.source) for cell in live) != place.cells:
        raise Moved
    try:
        new = split(code, place.key, place.shown)
    except Unclear:
        raise Moved from None  # an older version read it, in another way
    replaced: list[tuple[str | None, tuple[tuple[Span, str], ...]]] = []
    deleted: list[str] = []
    inserted: list[tuple[int, str, str, str]] = []
    edits: list[Edit] = []
    at = 0
    count = 0

    def wanted() -> bool:
        nonlocal count
        count += 1
        return chosen is None or count - 1 in chosen

    for gone, kept, added in _runs(new, len(place.cells)):
        for cell_id, _, source in place.cells[gone.start : gone.end]:
            # An empty cell may have outputs, and models pass over it.
            if not source.strip() or not wanted():
                at += 1
                continue
            deleted.append(cell_id)
            whole = Lines(source).location(Span(0, len(source)), cell_id)
            edits.append(Edit(whole, ""))
        for cell in added:
            if not wanted():
                continue
            new_id = uuid4().hex[:12]
            inserted.append((at, new_id, cell.type, cell.source))
            edits.append(Edit(_beginning(new_id), cell.source))
            at += 1
        if kept is None:
            continue
        cell_id, _, source = place.cells[gone.end]
        hunks = tuple((Span(one.start, one.end), one.new_text) for one in diff(source, kept.source))
        if hunks and wanted():
            replaced.append((cell_id, hunks))
            small, less = minimal(source, Span(0, len(source)), kept.source)
            edits.append(Edit(Lines(source).location(small, cell_id), less))
        at += 1
    _require_edits(chosen, count)
    if not edits:
        raise NothingToDo
    return Change(tuple(replaced), tuple(deleted), tuple(inserted), tuple(edits))


def _runs(new: Sequence[Cell], count: int) -> Iterator[tuple[Span, Cell | None, list[Cell]]]:
    """Return what lies before each cell that stays, and before the end: gone cells, new ones."""
    first = 0
    added: list[Cell] = []
    for cell in new:
        if cell.index is None:
            added.append(cell)
            continue
        yield Span(first, cell.index), cell, added
        first, added = cell.index + 1, []
    yield Span(first, count), None, added


def apply_change(editor: Editor, change: Change) -> None:
    """Make a change in the live document."""
    for cell_id, replacements in change.replaced:
        for span, text in reversed(replacements):
            editor.replace(cell_id, span.start, span.end, text)
    for cell_id in change.deleted:
        editor.delete_cell(cell_id)
    for index, cell_id, kind, source in change.inserted:
        editor.insert_cell(index, cell_id, kind, source)


def compose(source: str, span: Span, mode: Mode, code: str, language: str) -> str:
    """Return the text that takes the place of ``span``, so that ``code`` fits what is around."""
    code = code.strip("\n")
    before, after = source[: span.start], source[span.end :]
    if mode is Mode.APPEND:
        if not before.strip():
            return f"{code}\n"
        gap = "\n" if not before.endswith("\n") else ""
        # Python's style guide wants two empty lines before a definition.
        wanted = 2 if language == PYTHON and _DEFINES.match(code) else 1
        blank = len(before) - len(before.rstrip("\n")) - (0 if gap else 1)
        lines = "\n" * max(0, wanted - max(blank, 0))
        return f"{gap}{lines}{code}\n"
    line = before.rpartition("\n")[2]
    if line and not line.strip():
        # The first line has its indent already.
        code = indented(code, line, language)[len(line) :]
    if mode is Mode.INSERT:
        if not line.strip() and after and not after.startswith("\n"):
            # At the beginning of a line, what stands there moves down.
            return f"{code}\n{line}"
        if line.strip() and ("\n" in code or not after or after.startswith("\n")):
            return f"\n{code}" if not after or after.startswith("\n") else f"\n{code}\n"
        return code
    old = span.of(source)
    if not line:
        code = _as_deep_as(old, code, language)
    return f"{code}\n" if old.endswith("\n") else code


def _as_deep_as(old: str, code: str, language: str) -> str:
    """Indent code that begins at the margin as deep as what it replaces."""
    first = next((line for line in old.split("\n") if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip())]
    return code if not indent or code[:1].isspace() else deeper(code, indent, language)


# ---------------------------------------------------------------- trying it on a copy


class SnapshotView:
    """A snapshot as a view, on which a change can be worked out before it is made."""

    def __init__(
        self, snapshot: DocumentSnapshot, anchors: dict[bytes, tuple[str | None, int]]
    ) -> None:
        self._snapshot = snapshot
        self._anchors = anchors
        self.path = snapshot.path
        self.notebook = snapshot.is_notebook
        self.seq = snapshot.seq
        self.metadata: dict[str, Any] = {}

    def cells(self) -> Sequence[LiveCell]:
        """Return all parts."""
        return [_Cell(part.cell_id, part.type, part.source) for part in self._snapshot.parts]

    def anchor(self, cell_id: str | None, offset: int, *, after: bool) -> bytes:
        """Snapshots do not move, so nothing has to be anchored."""
        raise NotImplementedError

    def locate(self, anchor: bytes) -> tuple[str | None, int] | None:
        """Return where an anchor was at the moment of the snapshot."""
        return self._anchors.get(anchor)

    def anchors(self, places: Sequence[tuple[str | None, int, bool]]) -> list[bytes]:
        """Snapshots do not move, so nothing has to be anchored."""
        raise NotImplementedError

    def locate_all(self, anchors: Sequence[bytes]) -> list[tuple[str | None, int] | None]:
        """Return where anchors were at the moment of the snapshot."""
        return [self.locate(anchor) for anchor in anchors]


@dataclass(frozen=True)
class _Cell:
    id: str | None
    type: str
    source: str


def freeze(view: View, place: Place, snapshot: DocumentSnapshot) -> SnapshotView:
    """Return ``snapshot``, which was made of ``view``, with the anchors of ``place``."""
    found = {
        anchor: located
        for anchor in (place.start, place.end)
        if anchor is not None and (located := view.locate(anchor)) is not None
    }
    return SnapshotView(snapshot, found)


def changed(snapshot: DocumentSnapshot, change: Change) -> DocumentSnapshot:
    """Return a copy of a snapshot with a change made."""
    parts = list(snapshot.parts)
    for cell_id, replacements in change.replaced:
        index = [part.cell_id for part in parts].index(cell_id)
        source = parts[index].source
        for span, text in reversed(replacements):
            source = source[: span.start] + text + source[span.end :]
        parts[index] = replace(parts[index], source=source)
    parts = [part for part in parts if part.cell_id not in change.deleted]
    for index, cell_id, kind, source in change.inserted:
        parts.insert(index, Part(cell_id, kind, source))
    return snapshot.with_parts(parts)
