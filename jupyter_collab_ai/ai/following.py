"""Findings in a text that moves: they go with it, or go away where it was changed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from jupyter_collab_ai.ai.around import Around
from jupyter_collab_ai.ai.findings import Edit, Finding, Fix
from jupyter_collab_ai.ai.locations import Lines, Location, Span
from jupyter_collab_ai.ai.placing import Moved
from jupyter_collab_ai.ai.ports import View
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot
from jupyter_collab_ai.locks.scopes import Scope, ScopeKind
from jupyter_collab_ai.rooms.textdiff import TextEdit, diff

#: Characters of the lines around a finding beyond which their digest is kept instead.
MOST_KEPT = 4_000

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
    for finding in findings:
        try:
            one = replace(finding, location=follow(finding.location))
            if finding.fix is not None:
                one = replace(one, fix=_follow_fix(finding.fix, follow))
        except Moved:
            continue
        moved.append(one)
    return moved, _kept(view, now, moved)


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


def _kept(view: View, now: DocumentSnapshot, findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return findings with anchors, by which they and their fixes are found again."""
    locations = [
        location
        for finding in findings
        for location in (finding.location, *(edit.location for edit in _edits(finding)))
    ]
    places = [
        (location.cell_id, *_held_by(now.part(location.cell_id).lines.span_of(location)))
        for location in locations
    ]
    anchors = iter(
        view.anchors(
            [
                (cell_id, offset, after)
                for cell_id, start, end in places
                for offset, after in (start, end)
            ]
        )
    )
    kept: list[dict[str, Any]] = []
    for number, finding in enumerate(findings):
        data: dict[str, Any] = {
            "finding": finding.as_json(),
            "number": number,
            "place": _kept_place(now, finding.location, next(anchors), next(anchors)),
        }
        if finding.fix is not None:
            data["edits"] = [
                {
                    **_kept_place(now, edit.location, next(anchors), next(anchors), whole=True),
                    "new_text": edit.new_text,
                }
                for edit in finding.fix.edits
            ]
        kept.append(data)
    return kept


def _edits(finding: Finding) -> Sequence[Edit]:
    return () if finding.fix is None else finding.fix.edits


def _held_by(span: Span) -> tuple[tuple[int, bool], tuple[int, bool]]:
    """Return at which offsets a span is anchored, and whether to the character after them."""
    if span.start == span.end:
        return (span.start, False), (span.start, False)
    return (span.start, True), (span.end, False)


def _kept_place(
    now: DocumentSnapshot, location: Location, start: bytes, end: bytes, *, whole: bool = False
) -> dict[str, Any]:
    """Return what a place is found by again.

    Args:
        now: The document.
        location: The place.
        start: Its anchor.
        end: That of its end.
        whole: Whether all of its text is needed, however long it is.
    """
    part = now.part(location.cell_id)
    span = part.lines.span_of(location)
    first = part.lines.span(location.start.line).start
    last = part.lines.span(location.end.line).end
    long = not whole and last - first > MOST_KEPT
    text = span.of(part.source)
    return {
        "cell_id": location.cell_id,
        "start": base64.b64encode(start).decode(),
        "end": base64.b64encode(end).decode(),
        "expected": _digest(text) if long else text,
        # By which its place is found again.
        "around": None if long else Around.of(part.source, span).as_json(),
        **({"long": True} if long else {}),
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def current_findings(view: View, kept: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Return findings that were kept as they are now; those whose text is gone are left out.

    A fix whose text alone is gone is left out of its finding.
    """
    places = [
        place
        for data in kept
        for place in (data.get("place"), *data.get("edits", ()))
        if place is not None
    ]
    found = _Places(view, places)
    lines = {cell.id: Lines(cell.source) for cell in view.cells()}

    def location(place: Mapping[str, Any]) -> Location:
        cell_id, span = found.of(place)
        return lines[cell_id].location(span, cell_id)

    current: list[Finding] = []
    for data in kept:
        # Those that were kept by an older version say where their fixes are, not where they are.
        if data.get("place") is None:
            continue
        finding = Finding.from_json(data["finding"])
        try:
            finding = replace(finding, location=location(data["place"]))
        except Moved:
            continue
        fix = finding.fix
        if fix is not None:
            try:
                edits = tuple(
                    Edit(location(edit), edit["new_text"]) for edit in data.get("edits", ())
                )
                fix = replace(fix, edits=edits)
            except Moved:
                fix = None
        finding = replace(finding, fix=fix)
        current.append(finding)
    return current


def fix_places(view: View, kept: Sequence[Mapping[str, Any]]) -> list[Replacement]:
    """Return where the edits of a fix are now.

    Raises:
        Moved: The text that it fixes is gone, or is another one now.
    """
    found = _Places(view, kept)
    return [(*found.of(one), one["new_text"]) for one in kept]


class _Places:
    """Where kept places are in a document at one moment."""

    def __init__(self, view: View, kept: Sequence[Mapping[str, Any]]) -> None:
        self._sources = {cell.id: cell.source for cell in view.cells()}
        anchors = [base64.b64decode(place[end]) for place in kept for end in ("start", "end")]
        located = iter(view.locate_all(anchors))
        self._located = {id(place): (next(located), next(located)) for place in kept}

    def of(self, kept: Mapping[str, Any]) -> tuple[str | None, Span]:
        """Return the cell and the span of one of them.

        Raises:
            Moved: Its text is gone, or is another one now.
        """
        cell_id, expected = kept["cell_id"], kept["expected"]
        source = self._sources.get(cell_id)
        if source is None:
            raise Moved
        around = Around.from_json(kept.get("around"))
        start, end = self._located[id(kept)]
        if start is not None and end is not None and start[1] <= end[1]:
            span = Span(start[1], end[1])
            text = span.of(source)
            same = (_digest(text) if kept.get("long") else text) == expected
            # Where nothing is replaced, only the lines around can tell that it is the place.
            known = expected if around is None else expected or around.is_on(source, span)
            if same and known and not (around and around.is_cut(source, span)):
                return cell_id, span
        found = None if around is None else around.find(source, expected)
        if found is None:
            raise Moved
        return cell_id, found


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
