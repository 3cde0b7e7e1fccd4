"""The command itself: its arguments, and what becomes of errors."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from sqlalchemy.exc import SQLAlchemyError

from jupyter_collab_ai.cli import audit, keys, users
from jupyter_collab_ai.errors import CollabError
from jupyter_collab_ai.identity.keys import UnsafeKeys
from jupyter_collab_ai.storage.engine import InvalidDatabaseUrl
from jupyter_collab_ai.storage.migrate import SchemaTooNew

#: Exit statuses; argparse exits with 2 where the command is not understood.
DONE = 0
FAILED = 1
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return the exit status.

    Args:
        arguments: What was typed behind the name of the command; by default the process's own.
    """
    # A name that the terminal's encoding lacks must not keep the others from being listed.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except CollabError as error:
        return _fail(error.message)
    except (InvalidDatabaseUrl, SchemaTooNew, UnsafeKeys) as error:
        return _fail(str(error))
    except SQLAlchemyError as error:
        # Its text holds the values of the statement, of which one may be a hash.
        cause = getattr(error, "orig", None) or error
        return _fail(f"The database refused the command ({type(cause).__name__}).")
    except BrokenPipeError:
        # Whoever read has enough, as `head` has. What is left must not be flushed at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        return _fail(f"{error.strerror or 'The system refused the command'}{where}.")
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return INTERRUPTED
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jupyter collab-ai",
        description="Administer jupyter-collab-ai. Servers may run meanwhile; what changes holds "
        "on them at once.",
        epilog="The database is the server's: start the command as the same user and with the "
        "same COLLAB_AI_… variables.",
    )
    parser.add_argument("--version", action="version", version=version("jupyter-collab-ai"))
    parser.add_argument(
        "--root",
        metavar="FOLDER",
        help="the folder in which the server is started; needed where servers were started in "
        "several, and each has an embedded database",
    )
    subjects = parser.add_subparsers(title="subjects", required=True, metavar="SUBJECT")
    for subject in (users, keys, audit):
        subject.add_to(subjects)
    return parser


def _fail(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return FAILED
