"""``jupyter collab-ai user …``: accounts, for whoever may read the server's database."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from jupyter_collab_ai.cli.desk import Desk
from jupyter_collab_ai.cli.passwords import take_password
from jupyter_collab_ai.cli.table import render
from jupyter_collab_ai.clock import rfc3339
from jupyter_collab_ai.errors import UsernameTaken

if TYPE_CHECKING:
    from jupyter_collab_ai.identity.store import User

    # argparse has no public name for it.
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_to(subjects: Commands) -> None:
    """Add ``user`` and what can be done about one."""
    user = subjects.add_parser("user", help="accounts", description="Make and change accounts.")
    commands = user.add_subparsers(title="commands", required=True, metavar="COMMAND")

    create = _add(commands, "create", _create, "make an account")
    _add_username(create)
    create.add_argument("--display-name", metavar="NAME", help="how others see it")
    create.add_argument("--email", metavar="ADDRESS", help="where its owner can be written to")
    create.add_argument("--admin", action="store_true", help="let it do everything")
    create.add_argument(
        "--reuse-name",
        action="store_true",
        help="take the name of a deleted account or of a folder with files; the files go with it",
    )
    _add_password(create)

    set_password = _add(
        commands, "set-password", _set_password, "set another password, and end all logins"
    )
    _add_username(set_password)
    _add_password(set_password)

    listing = _add(commands, "list", _list, "show all accounts")
    listing.add_argument("--json", action="store_true", help="as JSON, for programs")

    for name, help_, change, done in (
        ("promote", "make an account an admin", {"is_admin": True}, "is an admin."),
        ("demote", "make an admin an ordinary account", {"is_admin": False}, "is not an admin."),
        (
            "deactivate",
            "close an account and end all its logins; nothing of it is deleted",
            {"is_active": False},
            "is deactivated and signed out everywhere.",
        ),
        ("activate", "open a deactivated account again", {"is_active": True}, "is active."),
    ):
        command = _add(commands, name, _change, help_)
        _add_username(command)
        command.set_defaults(change=change, done=done)
        if False in change.values():
            command.add_argument(
                "--no-starter",
                action="store_true",
                help="say that the account starts no server any more, if it ever did",
            )


# ---------------------------------------------------------------- the commands


def _create(options: argparse.Namespace) -> None:
    with Desk(options.root) as desk:
        # Nobody should think up a password for an account that can't be.
        desk.do(lambda admin: admin.require_free(options.username, reuse=options.reuse_name))
        home = None if options.reuse_name else desk.occupied_home(options.username)
        if home is not None:
            raise UsernameTaken(
                f"The account would own what is in {home} already; choose another name, or give it "
                "to the account with --reuse-name."
            )
        password = take_password(from_stdin=options.password_stdin)
        user = desk.do(
            lambda admin: admin.create(
                options.username,
                password,
                display_name=options.display_name,
                email=options.email,
                is_admin=options.admin,
                reuse=options.reuse_name,
                by=desk.by,
            )
        )
    _say(f"{user.username} has an account{', and is an admin' if user.is_admin else ''}.")


def _set_password(options: argparse.Namespace) -> None:
    with Desk(options.root) as desk:
        desk.user(options.username)
        password = take_password(from_stdin=options.password_stdin)
        user = desk.do(lambda admin: admin.set_password(options.username, password, by=desk.by))
    _say(f"{user.username} has a new password and is signed out everywhere.")


def _list(options: argparse.Namespace) -> None:
    with Desk(options.root) as desk:
        users = list(desk.users())
        place = desk.place
    if options.json:
        shown = [user.as_json() for user in users]
        _say(json.dumps(shown, indent=2, ensure_ascii=False))
    elif users:
        header = ("USERNAME", "NAME", "E-MAIL", "ADMIN", "ACTIVE", "CREATED")
        sys.stdout.write(render(header, [_row(user) for user in users]))
    else:
        _say(f"There are no accounts in {place}.")


def _change(options: argparse.Namespace) -> None:
    with Desk(options.root) as desk:
        desk.user(options.username)
        user = desk.do(
            lambda admin: admin.change(
                options.username,
                **options.change,
                no_starter=getattr(options, "no_starter", False),
                by=desk.by,
            )
        )
    _say(f"{user.username} {options.done}")


# ---------------------------------------------------------------- what they have in common


def _row(user: User) -> tuple[str, ...]:
    return (
        user.username,
        user.display_name,
        user.email or "-",
        "yes" if user.is_admin else "no",
        "yes" if user.is_active else "no",
        rfc3339(user.created_at),
    )


def _add(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], None], help_: str
) -> argparse.ArgumentParser:
    description = f"{help_[0].upper()}{help_[1:]}."
    command = commands.add_parser(name, help=help_, description=description)
    command.set_defaults(run=run)
    return command


def _add_username(command: argparse.ArgumentParser) -> None:
    command.add_argument("username", metavar="USERNAME", help="how the account is called")


def _add_password(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--password-stdin",
        action="store_true",
        help="read the password from standard input instead of asking for it",
    )


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
