"""The one thread that writes to SQLite.

SQLite lets one transaction write at a time, and whoever finds it busy sleeps and tries again, for
longer each time: with a few busy documents some waited for seconds. Here they stand in line.
All that wait when their turn comes are committed together, since the commit, which waits for
the disk, costs most of it; each in a savepoint, so that one that fails takes nobody along.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.engine import Connection

from jupyter_collab_ai.storage.driver import savepoint

T = TypeVar("T")

#: How many are committed together at the most.
MAX_GROUP = 64


class Undone(Exception):
    """The database gave up the transaction that a function shared with others."""


@dataclass
class _Job:
    function: Callable[[Connection], Any]
    done: Future[Any]


class Writer:
    """Runs functions in transactions, in the order in which they came."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Connection]]) -> None:
        """Prepare to write.

        Args:
            begin: Gives a connection in a transaction that may write, which is committed when
                the block ends, and taken back when it raises.
        """
        self._begin = begin
        #: None ends the thread.
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        # What a process that ends has not committed was not acknowledged to anybody.
        self._thread = threading.Thread(target=self._run, name="collab-ai-db-writer", daemon=True)
        self._thread.start()

    def submit(self, function: Callable[[Connection], T]) -> Future[T]:
        """Run ``function`` when it is its turn.

        Returns:
            What it returned, once that is committed. Otherwise what it raised, what the
            transaction raised (it may or may not be committed then), or :class:`Undone`.

        Raises:
            RuntimeError: The writer is closed.
        """
        done: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("The writer is closed.")
            self._jobs.put(_Job(function, done))
        return done

    def close(self) -> None:
        """Finish what was submitted, and end."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        last = False
        while not last and (job := self._jobs.get()) is not None:
            group = [job]
            with contextlib.suppress(queue.Empty):
                while len(group) < MAX_GROUP:
                    following = self._jobs.get_nowait()
                    if following is None:
                        last = True
                        break
                    group.append(following)
            # From here on they can't be cancelled any more.
            group = [job for job in group if job.done.set_running_or_notify_cancel()]
            if len(group) == 1:
                self._commit_one(group[0])
            elif group:
                self._commit(group)

    def _commit_one(self, job: _Job) -> None:
        try:
            with self._begin() as connection:
                result = job.function(connection)
        except BaseException as error:
            job.done.set_exception(error)
        else:
            job.done.set_result(result)

    def _commit(self, group: list[_Job]) -> None:
        waiting = deque(group)
        results: list[tuple[_Job, Any]] = []
        failed: list[tuple[_Job, BaseException]] = []
        trouble: BaseException | None = None
        try:
            with self._begin() as connection:
                while waiting:
                    job = waiting.popleft()
                    try:
                        with savepoint(connection):
                            result = job.function(connection)
                    except BaseException as error:
                        failed.append((job, error))
                        # A full disk, and some other errors, end the whole transaction.
                        if not _in_transaction(connection):
                            raise Undone from error
                    else:
                        results.append((job, result))
        except Undone as error:
            trouble = error
        except BaseException as error:
            trouble = error
            failed += [(job, error) for job in waiting]
            waiting.clear()
        for job, reason in failed:
            job.done.set_exception(reason)
        for job, result in results:
            if trouble is None:
                job.done.set_result(result)
            else:
                job.done.set_exception(trouble)
        # None of them has begun.
        for job in waiting:
            self._commit_one(job)


def _in_transaction(connection: Connection) -> bool:
    return bool(getattr(connection.connection.dbapi_connection, "in_transaction", False))
