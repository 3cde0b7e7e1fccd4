"""Findings in a text that moves: they go with it, or go away where it was changed."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jupyter_collab_ai.ai.edits import find_unique
from jupyter_collab_ai.ai.findings import Edit, Finding, Fix
from jupyter_collab_ai.ai.locations import Lines, Location, Span
from jupyter_collab_ai.ai.placing import Moved
from jupyter_collab_ai.ai.ports import View
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot
from jupyter_collab_ai.locks.scopes import Scope, ScopeKind
from jupyter_collab_ai.rooms.textdiff import TextEdit, diff

#: The cell, what is replaced in it, and by what.
Replacement = tuple[str | None, Span, str]


def follow_findings(
    view: View, snapshot: DocumentSnapshot, findings: Sequence[Finding]
) -> tuple[list[Finding], list[dict[str, Any]]]:
    """Move findings with the text, and anchor their fixes; what was changed meanwhile goes."""
    now = DocumentSnapshot.of_view(view)
    shifts: dict[str | None, list[TextEdit] | None] = {}
    for part in snapshot.parts:
        if part.cell_id not in now.cell_ids:
            shifts[part.cell_id] = None
            continue
        source = now.part(part.cell_id).source
        shifts[part.cell_id] = [] if source == part.source else diff(part.source, source)

    def follow(location: Location) -> Location:
        edits = shifts.get(location.cell_id)
        if edits is None:
            raise Moved
        span = _shifted(snapshot.span_of(location), edits)
        return now.location(location.cell_id, span)

    moved: list[Finding] = []
    kept: list[dict[str, Any]] = []
    for finding in findings:
        try:
            one = replace(finding, location=follow(finding.location))
            if finding.fix is not None:
                one = replace(one, fix=_follow_fix(finding.fix, follow))
        except Moved:
            continue
        moved.append(one)
        data: dict[str, Any] = {"finding": one.as_json()}
        if one.fix is not None:
            data["edits"] = [_kept_edit(view, now, edit) for edit in one.fix.edits]
        kept.append(data)
    return moved, kept


def _follow_fix(fix: Fix, follow: Callable[[Location], Location]) -> Fix | None:
    try:
        return replace(
            fix,
            edits=tuple(replace(edit, location=follow(edit.location)) for edit in fix.edits),
        )
    except Moved:
        return None


def _shifted(span: Span, edits: Sequence[TextEdit]) -> Span:
    moved = 0
    for edit in edits:
        if edit.end <= span.start and edit.start < max(span.start, edit.end):
            moved += len(edit.new_text) - (edit.end - edit.start)
        elif edit.start == edit.end == span.start and span.start < span.end:
            moved += len(edit.new_text)
        elif edit.start < span.end or edit.start == edit.end == span.start:
            raise Moved
    return Span(span.start + moved, span.end + moved)


def _kept_edit(view: View, now: DocumentSnapshot, edit: Edit) -> dict[str, Any]:
    cell_id = edit.location.cell_id
    part = now.part(cell_id)
    span = part.lines.span_of(edit.location)
    first = part.lines.span(edit.location.start.line).start
    last = part.lines.span(edit.location.end.line).end
    if span.start == span.end:
        start = end = view.anchor(cell_id, span.start, after=False)
    else:
        start = view.anchor(cell_id, span.start, after=True)
        end = view.anchor(cell_id, span.end, after=False)
    return {
        "cell_id": cell_id,
        "start": base64.b64encode(start).decode(),
        "end": base64.b64encode(end).decode(),
        "expected": span.of(part.source),
        "new_text": edit.new_text,
        # The whole lines around it, by which its place is found again.
        "lines": part.source[first:last],
        "within": span.start - first,
    }


def fix_places(view: View, kept: Sequence[Mapping[str, Any]]) -> list[Replacement]:
    """Return where the edits of a fix are now.

    Raises:
        Moved: The text that it fixes is gone, or is another one now.
    """
    sources = {cell.id: cell.source for cell in view.cells()}
    return [_fix_place(view, sources, one) for one in kept]


def _fix_place(
    view: View, sources: Mapping[str | None, str], kept: Mapping[str, Any]
) -> Replacement:
    cell_id, expected, lines = kept["cell_id"], kept["expected"], kept["lines"]
    source = sources.get(cell_id)
    if source is None:
        raise Moved
    start = view.locate(base64.b64decode(kept["start"]))
    end = view.locate(base64.b64decode(kept["end"]))
    if start is not None and end is not None and start[1] <= end[1]:
        span = Span(start[1], end[1])
        first = span.start - kept["within"]
        same_lines = first >= 0 and source[first : first + len(lines)] == lines
        # Where nothing is replaced, only the lines around can tell that it is the place.
        if span.of(source) == expected and (expected or same_lines):
            return cell_id, span, kept["new_text"]
    found = find_unique(source, lines) if lines.strip() else None
    if found is None:
        raise Moved
    at = found.start + kept["within"]
    return cell_id, Span(at, at + len(expected)), kept["new_text"]


def from_behind(replacement: Replacement) -> tuple[str, int]:
    return replacement[0] or "", replacement[1].start


def scope_of(places: Sequence[Replacement]) -> Scope:
    cells = {cell_id for cell_id, _, _ in places}
    if len(cells) != 1:
        return Scope.document()
    return Scope.range(
        cells.pop(),
        min(span.start for _, span, _ in places),
        max(span.end for _, span, _ in places),
    )


def anchors_of(view: View, scope: Scope) -> tuple[bytes | None, bytes | None]:
    if scope.kind is ScopeKind.DOCUMENT:
        return None, None
    return (
        view.anchor(scope.cell_id, scope.start, after=False),
        view.anchor(scope.cell_id, scope.end, after=True),
    )


def as_edits(view: View, places: Sequence[Replacement]) -> list[Edit]:
    lines = {cell.id: Lines(cell.source) for cell in view.cells()}
    return [Edit(lines[cell_id].location(span, cell_id), text) for cell_id, span, text in places]
