"""``jupyter collab-ai keys …``: the keys that sign logins."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_collab_ai.cli.desk import Desk
from jupyter_collab_ai.cli.table import render
from jupyter_collab_ai.clock import rfc3339
from jupyter_collab_ai.errors import InvalidRequest, NotFound
from jupyter_collab_ai.identity import keys
from jupyter_collab_ai.identity.tokens import LEEWAY, LOGIN_LIFETIME
from jupyter_collab_ai.settings import Settings, read_settings

if TYPE_CHECKING:
    from jupyter_collab_ai.cli.users import Commands

#: Seconds for which a key is kept after the last token that it signed.
KEEP = LOGIN_LIFETIME.total_seconds() + LEEWAY + keys.LOOK_FOR_NEWEST


def add_to(subjects: Commands) -> None:
    """Add ``keys`` and what can be done about them."""
    subject = subjects.add_parser(
        "keys", help="the keys that sign logins", description="The keys that sign logins."
    )
    commands = subject.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, run, help_ in (
        ("list", _list, "show which keys there are, and never the keys themselves"),
        ("rotate", _rotate, "sign with a new key from now on; nobody is signed out"),
    ):
        command = commands.add_parser(name, help=help_, description=f"{help_.capitalize()}.")
        command.set_defaults(run=run)


def _list(options: argparse.Namespace) -> None:
    del options
    ring = keys.load(_file(read_settings()))
    rows = [
        (
            key.kid,
            rfc3339(datetime.fromtimestamp(key.created, UTC)),
            "signs and verifies" if key is ring.keys[0] else "verifies",
        )
        for key in ring.keys
    ]
    sys.stdout.write(render(("KEY", "MADE", "USE"), rows))


def _rotate(options: argparse.Namespace) -> None:
    with Desk(options.root) as desk:
        ring = keys.rotate(_file(desk.settings), keep=KEEP)
        kid = ring.keys[0].kid
        desk.note("keys_rotated", kid)
    sys.stdout.write(f"Logins are signed with the new key {kid} from now on.\n")


def _file(settings: Settings) -> Path:
    if settings.secret_key is not None:
        raise InvalidRequest(
            "The key is that of COLLAB_AI_SECRET_KEY; to change it, put the old one into "
            "COLLAB_AI_OLD_SECRET_KEYS and start the servers again."
        )
    path = settings.key_file
    if not path.exists():
        raise NotFound(f"There are no keys in {path.parent} yet; the first start makes them.")
    return path
