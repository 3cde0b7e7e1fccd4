"""``jupyter collab-ai audit``: who did what, when and from where."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from jupyter_collab_ai.cli.desk import Desk
from jupyter_collab_ai.cli.table import render
from jupyter_collab_ai.storage.audit import as_full_json

if TYPE_CHECKING:
    from jupyter_collab_ai.cli.users import Commands


def add_to(subjects: Commands) -> None:
    """Add ``audit``."""
    command = subjects.add_parser(
        "audit",
        help="who did what, when and from where",
        description="Show who did what, when and from where, the newest first.",
    )
    command.add_argument("--limit", type=_count, default=50, help="entries at the most (50)")
    command.add_argument("--user", metavar="USERNAME", help="only what this account did")
    command.add_argument("--action", metavar="WORD", help="only what is called so")
    command.add_argument("--session", metavar="ID", help="only what is about this session")
    command.add_argument("--json", action="store_true", help="as JSON lines, for programs")
    command.set_defaults(run=_show)


def _show(options: argparse.Namespace) -> None:
    with Desk(options.root) as desk:
        rows = desk.activity(
            limit=options.limit,
            actor=None if options.user is None else options.user.casefold(),
            action=options.action,
            session_id=options.session,
        )
    entries = [as_full_json(row) for row in rows]
    if options.json:
        for entry in entries:
            sys.stdout.write(f"{json.dumps(entry, ensure_ascii=False)}\n")
        return
    lines = [
        (
            entry["at"],
            _plain(entry["actor"]),
            _plain(entry["action"]),
            _plain(entry["target"]),
            _plain(entry["address"]),
            _plain(" ".join(f"{key}={value}" for key, value in (entry["detail"] or {}).items())),
        )
        for entry in entries
    ]
    sys.stdout.write(render(("WHEN", "WHO", "WHAT", "WHOM", "FROM", "DETAIL"), lines))


def _plain(text: str | None) -> str:
    """Return a text without what a terminal could take for a command."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text or "")
    return shown or "-"


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100_000:
        raise argparse.ArgumentTypeError("give a number from 1 to 100000")
    return value
