"""Carrying what is committed from SQLite's write-ahead log into its file, beside the writing.

SQLite does it itself, in whichever commit makes the log long enough; everybody who waits for that
commit waits for the disk several times as long. Here another thread does it while commits go on.
(https://www.sqlite.org/wal.html, section "Application-Initiated Checkpoints".)
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from pathlib import Path

log = logging.getLogger(__name__)

#: Commits after which the log is carried over: about as many as fill the thousand pages after
#: which SQLite would do it.
EVERY = 200
#: Pages after which SQLite does it after all: a log that is written to all the time is never
#: finished from beside, and would grow for ever.
LAST_RESORT = 16_000


class Checkpointer:
    """A thread that carries over, where it is told that enough was committed."""

    def __init__(self, path: str) -> None:
        """Prepare to work on the database at ``path``, which is in WAL mode."""
        # (A file that is no more is not made again.)
        self._where = f"{Path(path).absolute().as_uri()}?mode=rw"
        self._commits = 0
        self._due = threading.Event()
        self._closed = False
        self._thread = threading.Thread(
            target=self._run, name="collab-ai-db-checkpoints", daemon=True
        )
        self._thread.start()

    def committed(self) -> None:
        """Count a commit; for one thread alone."""
        self._commits += 1
        if self._commits >= EVERY:
            self._commits = 0
            self._due.set()

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._due.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._due.wait()
            # Before the look at whether it is the end, or that might be missed.
            self._due.clear()
            if self._closed:
                return
            try:
                self._carry_over()
            except Exception as error:
                # Nothing is lost by it; the log grows until the next attempt.
                log.warning("The database's log could not be carried over (%s).", error)

    def _carry_over(self) -> None:
        # A connection that stays open would keep the file busy after the server has ended.
        with contextlib.closing(
            sqlite3.connect(self._where, uri=True, isolation_level=None)
        ) as connection:
            # As the log itself is: the file must be on the disk before the log starts again.
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
