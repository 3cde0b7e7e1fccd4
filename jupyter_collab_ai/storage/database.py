"""The one way to the database: short functions run in worker threads, one transaction each.

The event loop never waits for the database, and no transaction ever waits for the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, TypeVar
from zlib import crc32

from sqlalchemy import CursorResult, Executable, and_, delete, insert, or_, text
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import DatabaseUnavailable
from jupyter_collab_ai.ids import new_id
from jupyter_collab_ai.storage.changes import (
    CHANNEL,
    Change,
    ChangeBus,
    PostgresListener,
    SqliteListener,
)
from jupyter_collab_ai.storage.checkpoints import Checkpointer
from jupyter_collab_ai.storage.driver import Prepared, Row
from jupyter_collab_ai.storage.engine import BEGUN, begin_writing, make_engine, parse_url
from jupyter_collab_ai.storage.migrate import migrate
from jupyter_collab_ai.storage.tables import changes as changes_table
from jupyter_collab_ai.storage.trouble import (
    UNREACHABLE,
    TroubleLog,
    explained,
    place_of,
    unavailable,
)
from jupyter_collab_ai.storage.writer import Undone, Writer

T = TypeVar("T")

#: Worker threads, and so connections, of one server.
WORKERS = 8
#: How long a change is kept for other processes on the same SQLite file.
KEEP_CHANGES = timedelta(minutes=10)

#: The topic of what a server writes to find out whether it can; nobody listens to it.
_TRIAL = "trial"


class Tx:
    """One transaction, given to the function that :class:`Database` runs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.changes: list[Change] = []

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite, for the few statements that differ."""
        return self._connection.dialect.name == "sqlite"

    def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Run one statement."""
        return self._connection.execute(statement, parameters)

    def run(self, statement: Prepared, rows: Row | Sequence[Row]) -> int:
        """Run a statement that is needed often; return how many rows were changed."""
        return statement.run(self._connection, rows)

    def notify(self, topic: str, key: str) -> None:
        """Tell all servers of a change of ``key`` once this transaction is committed."""
        if (topic, key) not in self.changes:
            self.changes.append((topic, key))

    def now(self) -> float:
        """Return the database's own clock, in seconds since the epoch.

        Leases are compared by this clock alone, as those of several servers may differ.
        """
        clock = (
            "SELECT (julianday('now') - 2440587.5) * 86400.0"
            if self.is_sqlite
            else "SELECT extract(epoch from clock_timestamp())::double precision"
        )
        return float(self.execute(text(clock)).scalar_one())


class Database:
    """A SQLite file or a PostgreSQL database with our tables in it."""

    def __init__(self, url: str | URL) -> None:
        """Prepare to use the database at ``url``; nothing is connected before :meth:`open`.

        Raises:
            InvalidDatabaseUrl: The URL can't be used.
        """
        self.url = parse_url(url) if isinstance(url, str) else url
        # One more for the thread that writes to SQLite, which keeps its own.
        self._engine = make_engine(self.url, pool_size=WORKERS + 1)
        self._executor = ThreadPoolExecutor(WORKERS, thread_name_prefix="collab-ai-db")
        #: Through which all that writes to SQLite goes, once the event loop runs.
        self._writer = Writer(self._begin_again) if self.is_sqlite else None
        self._kept: Connection | None = None
        self._checkpointer = Checkpointer(self._file) if self.is_sqlite else None
        self._listener: SqliteListener | PostgresListener | None = None
        self._trouble = TroubleLog(self.place)
        #: Names this process in leases and notifications.
        self.server_id = new_id()
        self.changes = ChangeBus()

    def __repr__(self) -> str:
        return f"Database({self.url.render_as_string(hide_password=True)!r})"

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def place(self) -> str:
        """Which database this is, in words that give no secret away."""
        return place_of(self.url)

    @property
    def _file(self) -> str:
        assert self.url.database is not None  # parse_url lets no other through
        return self.url.database

    def migrate(self) -> None:
        """Bring the schema up to date; safe when several servers start at once.

        Blocks; for use before the event loop runs, or in a thread.

        Raises:
            DatabaseUnavailable: The database can't be used; the message says which, and why.
            SchemaTooNew: A newer version of this package has changed the schema.
        """
        with self.explained():
            migrate(self._engine)

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Let errors of the database say what is wrong, for whoever starts a server.

        Raises:
            DatabaseUnavailable: The database can't be used; the message says which, and why.
        """
        try:
            yield
        except DatabaseUnavailable as error:
            raise explained(self.url, error.__cause__ or error) from error
        except (DBAPIError, PoolTimeout) as error:
            raise explained(self.url, error) from error

    async def open(self) -> None:
        """Migrate, and begin to hear the changes of other servers."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self.migrate)
        self.listen()

    def listen(self) -> None:
        """Begin to hear the changes of other servers, on the running event loop."""
        if self._listener is not None:
            return
        loop = asyncio.get_running_loop()
        if self.is_sqlite:
            self._listener = SqliteListener(self._file, self.server_id, loop, self.changes)
        else:
            self._listener = PostgresListener(self.url, self.server_id, loop, self.changes)
        self._listener.start()

    async def close(self) -> None:
        """Finish what is under way and let go of every connection."""
        await asyncio.get_running_loop().run_in_executor(None, self.close_now)

    def close_now(self) -> None:
        """Do what :meth:`close` does in the calling thread, before the event loop runs."""
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
        if self._writer is not None:
            self._writer.close()
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        if self._checkpointer is not None:
            self._checkpointer.close()
        self._executor.shutdown(wait=True)
        self._engine.dispose()

    async def read(self, function: Callable[[Tx], T]) -> T:
        """Run ``function`` in a worker thread, in a transaction that changes nothing.

        Raises:
            DatabaseUnavailable: The database can't be reached.
        """
        return await self._run(lambda: self.read_now(function))

    async def write(
        self, function: Callable[[Tx], T], *, lock: str | None = None, single: bool = False
    ) -> T:
        """Run ``function`` in a worker thread, in one transaction that may change things.

        Args:
            function: What to do; when it raises, nothing is changed. It is called once.
            lock: Transactions of the same name run one after the other, over all servers.
                (On SQLite all writing ones do.)
            single: The function changes things by one statement, which is a transaction by
                itself: to begin and to commit one around it are two more trips to PostgreSQL.

        Raises:
            DatabaseUnavailable: The database can't be reached.
        """

        def begin() -> Future[tuple[T, list[Change]]]:
            if self._writer is None:
                return self._executor.submit(self._write, function, lock, single)
            return self._writer.submit(lambda connection: self._act(connection, function, None))

        result, _ = await self._finish(
            begin, lambda done: self.changes.publish(done[1]), writing=True
        )
        return result

    async def try_writing(self) -> None:
        """Write a little, which changes nothing for anybody, to find out whether it works.

        Raises:
            DatabaseUnavailable: It does not.
        """

        def write(tx: Tx) -> None:
            now = utcnow()
            old = or_(
                changes_table.c.source == self.server_id, changes_table.c.at < now - KEEP_CHANGES
            )
            tx.execute(delete(changes_table).where(and_(changes_table.c.topic == _TRIAL, old)))
            trial = {"source": self.server_id, "topic": _TRIAL, "key": "", "at": now}
            tx.execute(insert(changes_table), trial)

        await self.write(write)

    def read_now(self, function: Callable[[Tx], T]) -> T:
        """Do what :meth:`read` does in the calling thread, which must not be the event loop's."""
        with self._translated(writing=False), self._engine.connect() as connection:
            # Leaving the block rolls back, so nothing can slip in through a read.
            return function(Tx(connection))

    def write_now(self, function: Callable[[Tx], T], *, lock: str | None = None) -> T:
        """Do what :meth:`write` does in the calling thread, before the event loop runs."""
        result, _ = self._write(function, lock)
        return result

    def _write(
        self, function: Callable[[Tx], T], lock: str | None, single: bool = False
    ) -> tuple[T, list[Change]]:
        begin = self._without_transaction if single and lock is None else self._begin
        with self._translated(writing=True), begin() as connection:
            return self._act(connection, function, lock)

    def _without_transaction(self) -> AbstractContextManager[Connection]:
        """Give a connection on which each statement is a transaction."""
        return self._engine.execution_options(isolation_level="AUTOCOMMIT").connect()

    @contextlib.contextmanager
    def _begin(self) -> Iterator[Connection]:
        """Give a connection in a transaction that may write, committed when the block ends."""
        with (
            self._engine.connect().execution_options(collab_write=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextlib.contextmanager
    def _begin_again(self) -> Iterator[Connection]:
        """Do what :meth:`_begin` does on a connection that is kept, for the thread that writes.

        To take one and to give it back costs more than most transactions.
        """
        connection = self._kept
        if connection is None:
            connection = self._engine.connect().execution_options(**{BEGUN: True})
            self._kept = connection
        try:
            with begin_writing(connection):
                yield connection
            if self._checkpointer is not None:
                self._checkpointer.committed()
        except BaseException:
            # Whatever state it is in, the next transaction gets another one.
            self._kept = None
            connection.close()
            raise

    def _act(
        self, connection: Connection, function: Callable[[Tx], T], lock: str | None
    ) -> tuple[T, list[Change]]:
        tx = Tx(connection)
        if lock is not None and not self.is_sqlite:
            connection.execute(
                text("SELECT pg_advisory_xact_lock(:space, :name)"),
                {"space": 0x636F, "name": crc32(lock.encode()) - 2**31},
            )
        result = function(tx)
        self._announce(connection, tx.changes)
        return result, tx.changes

    def _announce(self, connection: Connection, changes: list[Change]) -> None:
        if not changes:
            return
        if self.is_sqlite:
            now = utcnow()
            connection.execute(delete(changes_table).where(changes_table.c.at < now - KEEP_CHANGES))
            connection.execute(
                insert(changes_table),
                [
                    {"source": self.server_id, "topic": topic, "key": key, "at": now}
                    for topic, key in changes
                ],
            )
            return
        for topic, key in changes:
            connection.execute(
                text("SELECT pg_notify(:channel, :payload)"),
                {"channel": CHANNEL, "payload": json.dumps([self.server_id, topic, key])},
            )

    @contextlib.contextmanager
    def _translated(self, *, writing: bool) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except (DBAPIError, PoolTimeout, Undone) as error:
            told = unavailable(error)
            if told is None:
                raise
            self._trouble.met(error, writing=writing)
            raise told from error
        else:
            self._trouble.worked(writing=writing)

    async def _run(self, function: Callable[[], T]) -> T:
        return await self._finish(lambda: self._executor.submit(function), writing=False)

    async def _finish(
        self,
        begin: Callable[[], Future[T]],
        then: Callable[[T], None] | None = None,
        *,
        writing: bool,
    ) -> T:
        """Wait for what is begun.

        Args:
            begin: Begins it.
            then: Called with its result on the event loop, whether or not anybody still waits.
            writing: Whether it may change things.
        """
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[T] = loop.create_future()

        def tell(done: Future[T]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                loop.call_soon_threadsafe(_pass_on, done, waiting, then)

        try:
            begun = begin()
        except RuntimeError:
            # Closed: the server is about to end.
            raise DatabaseUnavailable(UNREACHABLE, retry_after=2) from None
        # A caller that goes away does not undo what was begun: the thread runs to its end.
        begun.add_done_callback(tell)
        with self._translated(writing=writing):
            return await waiting


def _pass_on(done: Future[T], waiting: asyncio.Future[T], then: Callable[[T], None] | None) -> None:
    """Give what came of it to who waits for it, if anybody still does."""
    error = done.exception()
    if error is None and then is not None:
        then(done.result())
    if waiting.done():
        return
    if error is None:
        waiting.set_result(done.result())
    else:
        waiting.set_exception(error)
