"""Taking a password from whoever is at the terminal, unseen."""

from __future__ import annotations

import getpass
import sys
import warnings
from typing import BinaryIO

from jupyter_collab_ai.errors import InvalidRequest
from jupyter_collab_ai.identity.passwords import MAX_LENGTH, check_password

#: Bytes that are read at the most: any password, the end of its line, and one too many.
_MAX_BYTES = 4 * MAX_LENGTH + 3


def take_password(*, from_stdin: bool) -> str:
    """Return a new password, typed twice without echo or piped in.

    Raises:
        InvalidRequest: It can't be a password, or can't be taken in secret.
    """
    return read_password(sys.stdin.buffer) if from_stdin else ask_password()


def ask_password() -> str:
    """Return a password that was typed twice without echo.

    Raises:
        InvalidRequest: It can't be one, was typed differently, or would be seen.
    """
    with warnings.catch_warnings():
        # Where the echo can't be switched off, getpass warns and goes on.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            password = getpass.getpass("New password: ")
            check_password(password)
            again = getpass.getpass("The same again: ")
        except getpass.GetPassWarning:
            raise InvalidRequest(
                "Without a terminal, pass the password through a pipe with --password-stdin."
            ) from None
        except EOFError:
            raise InvalidRequest("No password was typed; nothing was changed.") from None
    if again != password:
        raise InvalidRequest("The two passwords differ; nothing was changed.")
    return password


def read_password(stream: BinaryIO) -> str:
    """Return the password that is the only line of a stream.

    Raises:
        InvalidRequest: It can't be one, or would be seen as it is typed.
    """
    if stream.isatty():
        raise InvalidRequest(
            "--password-stdin is for pipes and files; leave it out to be asked for the password."
        )
    data = stream.read(_MAX_BYTES)
    try:
        password = data.removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise InvalidRequest("The password that was piped in is not UTF-8.") from None
    if "\n" in password:
        raise InvalidRequest("More than one line was piped in; a password is one.")
    check_password(password)
    return password
