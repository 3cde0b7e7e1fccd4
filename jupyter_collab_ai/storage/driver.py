"""Straight to the database's driver, for the few statements of which every keystroke needs some.

SQLAlchemy compiles a statement once and then still spends several times what SQLite needs to run
it: on events, results and conversions that these statements have no use for. What it compiled is
given to the driver here, with the same conversions of values and the same errors.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import UpdateBase

Row = Mapping[str, Any]


class Prepared:
    """An INSERT, UPDATE or DELETE that is compiled once for each kind of database."""

    def __init__(self, statement: UpdateBase, columns: Sequence[str] | None = None) -> None:
        """Prepare ``statement``.

        Args:
            statement: It gets its values from the parameters that it names.
            columns: Of an INSERT, the columns that it sets.
        """
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, rows: Row | Sequence[Row]) -> int:
        """Run it in the transaction that ``connection`` is in.

        Args:
            connection: It is in a transaction.
            rows: The parameters, or those of several runs.

        Returns:
            How many rows were changed.

        Raises:
            DBAPIError: As SQLAlchemy raises it.
        """
        dialect = connection.dialect
        if len(rows) > 1 and not isinstance(rows, Mapping) and dialect.name != "sqlite":
            # The driver would wait for the server's answer after each of them.
            return self._run_together(connection, rows)
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            # Two threads that both compile it come to the same.
            compiled = self._compiled[dialect.name] = _Compiled(
                self._statement, self._columns, dialect
            )
        with driver_errors(connection):
            cursor = connection.connection.cursor()
            try:
                if isinstance(rows, Mapping):
                    cursor.execute(compiled.text, compiled.bind(rows))
                elif len(rows) == 1:
                    cursor.execute(compiled.text, compiled.bind(rows[0]))
                else:
                    cursor.executemany(compiled.text, [compiled.bind(row) for row in rows])
                return int(cursor.rowcount)
            finally:
                cursor.close()

    def _run_together(self, connection: Connection, rows: Sequence[Row]) -> int:
        done = connection.execute(
            self._statement,
            [dict(row) for row in rows],
            execution_options={"preserve_rowcount": True},
        )
        return int(done.rowcount)


class _Compiled:
    def __init__(
        self, statement: UpdateBase, columns: Sequence[str] | None, dialect: Dialect
    ) -> None:
        compiled = statement.compile(
            dialect=dialect, column_keys=None if columns is None else list(columns)
        )
        self.text = str(compiled)
        positions: Sequence[str] | None = getattr(compiled, "positiontup", None)
        self._positional = positions is not None
        self._binds: list[tuple[str, Callable[[Any], Any] | None]] = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in (compiled.binds if positions is None else positions)
        ]

    def bind(self, row: Row) -> Any:
        """Return the values of ``row`` as the driver wants them."""
        if self._positional:
            return [_bound(row[name], process) for name, process in self._binds]
        return {name: _bound(row[name], process) for name, process in self._binds}


def _bound(value: Any, process: Callable[[Any], Any] | None) -> Any:
    return value if process is None else process(value)


@contextlib.contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """Take back what is done in the block, and nothing else of the transaction, if it raises.

    SQLAlchemy compiles each savepoint anew. For SQLite, whose driver leaves them alone.

    Raises:
        DBAPIError: As SQLAlchemy raises it. What the block itself raises is passed on, also
            where the whole transaction has ended by it.
    """
    driver = connection.connection.dbapi_connection
    assert driver is not None
    cursor = driver.cursor()
    with driver_errors(connection):
        cursor.execute("SAVEPOINT one_of_many")
    try:
        yield
    except BaseException:
        with contextlib.suppress(connection.dialect.loaded_dbapi.Error):
            cursor.execute("ROLLBACK TO one_of_many")
            cursor.execute("RELEASE one_of_many")
        raise
    else:
        with driver_errors(connection):
            cursor.execute("RELEASE one_of_many")
    finally:
        cursor.close()


class driver_errors:  # noqa: N801 - it is used as a function
    """Raise what the driver raises as SQLAlchemy would, and give up a connection that is broken.

    Raises:
        DBAPIError: One of its kinds, by the kind of the driver's error.
    """

    # (A generator with a decorator costs several times as much, and each keystroke needs four.)
    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        if error is None:
            return
        connection = self._connection
        dialect = connection.dialect
        base = dialect.loaded_dbapi.Error
        if not isinstance(error, base):
            return
        broken = dialect.is_disconnect(error, connection.connection.dbapi_connection, None)
        if broken:
            connection.invalidate(error)
        # Neither statement nor parameters: errors reach the log, and those may be secrets.
        raise DBAPIError.instance(
            None,
            None,
            error,
            base,
            hide_parameters=True,
            connection_invalidated=broken,
            dialect=dialect,
        ) from error
