"""Does this JSON parse? Python's own parser is asked."""

from __future__ import annotations

import asyncio
import json
import platform

from jupyter_collab_ai.ai.findings import Category, Finding, Severity
from jupyter_collab_ai.ai.locations import Span, visible
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot

NAME = "json"


class JsonSyntax:
    """The analyzer for JSON (RFC 8259)."""

    name = NAME
    version = platform.python_version()
    languages = frozenset({"json"})
    checks_syntax = True

    async def analyze(self, snapshot: DocumentSnapshot) -> list[Finding]:
        """Return the first mistake, if there is one."""
        return await asyncio.to_thread(_check, snapshot)


def _check(snapshot: DocumentSnapshot) -> list[Finding]:
    findings = []
    for part in snapshot.code():
        if not part.source.strip():
            continue
        try:
            json.loads(part.source)
        except json.JSONDecodeError as error:
            message, at = error.msg, error.pos
        except RecursionError:
            message, at = "It is nested too deeply to be read", 0
        else:
            continue
        span = visible(part.source, Span(min(at, len(part.source)), min(at, len(part.source))))
        findings.append(
            Finding(
                Category.SYNTAX,
                Severity.ERROR,
                message,
                "This is not JSON, so no program can read it. Text stands in double quotes, a "
                "comma between two items and none after the last, and there are no comments.",
                part.lines.location(span, part.cell_id),
                NAME,
                1.0,
            )
        )
    return findings
