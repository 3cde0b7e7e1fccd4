"""The server's database, open for as long as one command takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from sqlalchemy import Row

from jupyter_collab_ai.errors import NotFound
from jupyter_collab_ai.identity.administration import Administration
from jupyter_collab_ai.identity.names import fold_username, starter_name
from jupyter_collab_ai.identity.passwords import Hasher
from jupyter_collab_ai.identity.starter import (
    NoStarterName,
    find_starter,
    owner_name,
    system_name,
)
from jupyter_collab_ai.identity.store import User
from jupyter_collab_ai.opening import open_known
from jupyter_collab_ai.sessions.paths import home_of
from jupyter_collab_ai.settings import read_settings
from jupyter_collab_ai.storage import audit, roots
from jupyter_collab_ai.storage.audit import TERMINAL, By, Operator
from jupyter_collab_ai.storage.database import Database, Tx

T = TypeVar("T")

#: Accounts that are read in one transaction.
PAGE = 500


class Desk:
    """Where an admin at a terminal gets done what admins may do."""

    def __init__(self, root: str | None = None) -> None:
        """Open the database that servers with the environment's settings use.

        Args:
            root: The folder in which the server is started; needed where there are several.

        Raises:
            InvalidRequest: There are several, or none of this folder.
            InvalidDatabaseUrl, SchemaTooNew: It can't be used.
            DatabaseUnavailable: It can't be reached.
        """
        self.settings = settings = read_settings()
        self.by = By(Operator(system_name()), TERMINAL)
        self._database = open_known(settings, root)
        self._hasher = Hasher()
        self._runner = asyncio.Runner()
        try:
            names = starter_names(self._database, settings.data_dir)
            self._admin = Administration(self._database, self._hasher, starters=names)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Desk:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def place(self) -> str:
        """Which database this is, in words that give no secret away."""
        return self._database.place

    def do(self, what: Callable[[Administration], Coroutine[Any, Any, T]]) -> T:
        """Return what comes of one thing that is to be done."""
        return self._runner.run(what(self._admin))

    def user(self, username: str) -> User:
        """Return one account.

        Raises:
            NotFound: There is none of this name.
        """
        try:
            return self.do(lambda admin: admin.user(username))
        except NotFound:
            raise NotFound(f"There is no account called {username} in {self.place}.") from None

    def occupied_home(self, username: str) -> Path | None:
        """Return the folder of an account that is to be made, if there is something there.

        None as well where the server's files are out of reach: on another machine, or under a
        name that is no path.
        """
        root = self._database.read_now(roots.name_in)
        if root is None or not Path(root).is_absolute():
            return None
        home = Path(root, home_of(fold_username(username)))
        if home.is_dir():
            return home if any(home.iterdir()) else None
        return home if home.exists() else None

    def users(self) -> Iterator[User]:
        """Yield all accounts by name."""
        after: str | None = None
        while True:
            start = after
            items, after = self.do(lambda admin: admin.page(limit=PAGE, after=start))  # noqa: B023
            yield from items
            if after is None:
                return

    def activity(
        self, *, limit: int, actor: str | None, action: str | None, session_id: str | None
    ) -> list[Row[Any]]:
        """Return the newest entries of the audit log, the newest first."""
        rows, _ = self._database.read_now(
            lambda tx: audit.page(
                tx, limit=limit, actor=actor, action=action, session_id=session_id
            )
        )
        return rows

    def note(self, action: str, target: str) -> None:
        """Write into the audit log what was done here."""
        self._database.write_now(
            lambda tx: audit.note(
                tx, self.by.actor, action, session_id=None, target=target, address=self.by.address
            )
        )

    def close(self) -> None:
        """Let go of the database."""
        self._hasher.close()
        self._runner.run(self._database.close())
        self._runner.close()


def starter_names(database: Database, data_dir: Path) -> frozenset[str]:
    """Return the usernames of those who start the servers on this database, as far as is known.

    They are named after the operating system's users. The one at the terminal may be root, so
    whoever owns the files of the server is one too.
    """
    names = {system_name(), owner_name(data_dir)}
    if database.is_sqlite:
        names.add(owner_name(Path(database.url.database or "")))

    def read(tx: Tx) -> frozenset[str]:
        found = set()
        for name in filter(None, names):
            try:
                found.add(find_starter(tx, starter_name(name))[0])
            except NoStarterName:
                continue  # then no server of theirs can start before one of them is an admin
        return frozenset(found)

    return database.read_now(read)
