"""Does a fix do what it says? It is applied to a copy, and the copy is looked at.

``verified`` is a promise: the copy parses, no longer has the finding, and has no new one.
What changes the meaning of the code on purpose (an analyzer's unsafe fix) also needs
somebody who understands the meaning to agree.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

from jupyter_collab_ai.ai.analyzers.service import Analysis, Analyzers
from jupyter_collab_ai.ai.edits import Conflict, apply_edits, find_all
from jupyter_collab_ai.ai.findings import MODEL, Category, Finding, Fix
from jupyter_collab_ai.ai.locations import NoSuchPlace
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot
from jupyter_collab_ai.ids import FindingId

#: Fixes of one report that are tried; what is beyond is offered as not verified.
MOST_TRIED = 40
#: Seconds after which no further fix is tried, and how many are tried at the same time.
PATIENCE = 20.0
AT_ONCE = 2


async def verify_all(
    snapshot: DocumentSnapshot,
    findings: Sequence[Finding],
    before: Analysis,
    analyzers: Analyzers,
    *,
    confirmed: Collection[FindingId] = (),
) -> list[Finding]:
    """Return the findings with every fix tried; those that can't be applied have none.

    Args:
        snapshot: The document that all locations mean.
        findings: What was found.
        before: What the analyzers say of ``snapshot``.
        analyzers: Asked about the copies.
        confirmed: Findings whose fix somebody who understands the meaning agrees with.
    """
    tried = [finding for finding in findings if finding.fix is not None][:MOST_TRIED]
    turn = asyncio.Semaphore(AT_ONCE)
    ends = time.monotonic() + PATIENCE

    guesses = await _readable_together(snapshot, tried, before, analyzers, confirmed)

    async def in_turn(finding: Finding) -> Fix | None:
        if finding.id in guesses:
            return guesses[finding.id]
        async with turn:
            if time.monotonic() > ends:
                return finding.fix
            return await _verified(snapshot, finding, before, analyzers, finding.id in confirmed)

    async with asyncio.TaskGroup() as group:
        tasks = {finding.id: group.create_task(in_turn(finding)) for finding in tried}
    return [
        replace(finding, fix=tasks[finding.id].result()) if finding.id in tasks else finding
        for finding in findings
    ]


async def _readable_together(
    snapshot: DocumentSnapshot,
    tried: Sequence[Finding],
    before: Analysis,
    analyzers: Analyzers,
    confirmed: Collection[FindingId],
) -> dict[FindingId, Fix]:
    """Return the fixes that can't be verified, where all of them together can be read.

    Of these it is only to be known whether they can be, and a parser for each takes long. Where
    they can't, or want the same place, each is tried by itself.
    """
    guesses = {
        finding.id: replace(finding.fix, verified=False)
        for finding in tried
        if finding.fix is not None
        and not _can_be_verified(finding.fix, finding.id in confirmed)
        and _applied(snapshot, finding.fix) is not None
    }
    if len(guesses) < 2:
        return {}
    try:
        copy = apply_edits(snapshot, [edit for fix in guesses.values() for edit in fix.edits])
    except Conflict:
        return {}
    return guesses if await _can_be_read(copy, before, analyzers) else {}


def _can_be_verified(fix: Fix, confirmed: bool) -> bool:
    return fix.safe or fix.by_model or confirmed


def _applied(snapshot: DocumentSnapshot, fix: Fix) -> DocumentSnapshot | None:
    """Return a copy with a fix; None where it can't be applied, or changes nothing."""
    try:
        copy = apply_edits(snapshot, fix.edits)
    except (NoSuchPlace, Conflict):
        return None
    return None if copy.parts == snapshot.parts else copy


async def _can_be_read(copy: DocumentSnapshot, before: Analysis, analyzers: Analyzers) -> bool:
    """Tell whether a copy is not known to be unreadable, or the document was so before."""
    return not before.parses or await analyzers.parses(copy) is not False


async def _verified(
    snapshot: DocumentSnapshot,
    finding: Finding,
    before: Analysis,
    analyzers: Analyzers,
    confirmed: bool,
) -> Fix | None:
    fix = finding.fix
    assert fix is not None
    copy = _applied(snapshot, fix)
    if copy is None:
        return None
    if not _can_be_verified(fix, confirmed):
        # Whether it can be read is all that there is to know.
        readable = await _can_be_read(copy, before, analyzers)
        return replace(fix, verified=False) if readable else None
    after = await analyzers.analyze(copy)
    if fix.by_model and after.meaning and after.meaning == before.meaning:
        # Only comments or spaces are changed: that fixes nothing.
        return None if after.parses else replace(fix, verified=False)
    verified = (
        after.parses is True
        and not after.failures
        and _is_gone(finding, snapshot, copy, before, after)
        and not Counter(map(_kind, after.findings)) - Counter(map(_kind, before.findings))
        and (not fix.by_model or before.names <= after.names)
    )
    return replace(fix, verified=verified)


def _kind(finding: Finding) -> tuple[object, ...]:
    # Not the line, which a fix may move, nor the text, in which names may change.
    return finding.source, finding.rule, finding.category, finding.location.cell_id


def _is_gone(
    finding: Finding,
    snapshot: DocumentSnapshot,
    copy: DocumentSnapshot,
    before: Analysis,
    after: Analysis,
) -> bool:
    if finding.category is Category.SYNTAX:
        return after.parses is True
    if finding.source != MODEL:
        kind = _kind(finding)
        return sum(_kind(item) == kind for item in after.findings) < sum(
            _kind(item) == kind for item in before.findings
        )
    # A finding of the model is where its text is; without the text there is none.
    cell_id = finding.location.cell_id
    quote = snapshot.text_at(finding.location)
    return len(find_all(copy.part(cell_id).source, quote)) < len(
        find_all(snapshot.part(cell_id).source, quote)
    )
