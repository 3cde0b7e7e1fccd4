"""The real things that a plan is played with: a server process, a database, Node, accounts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg2

from jupyter_collab_ai.storage.database import Database
from tests.blackbox.client import Api, Person
from tests.plans.copies import NodeHost
from tests.plans.generate import PEOPLE
from tests.support.node import Node, install_node_modules
from tests.support.postgres import PostgresCluster, break_off
from tests.support.processes import wait_until
from tests.support.server import LabServer

_NAMES = ("ada", "ben", "cleo", "dan")
#: Seconds that the server is given for one call while its database comes back.
_PATIENCE = 30.0


class World:
    """One server on one database; plan after plan is played on it, each on files of its own."""

    def __init__(
        self,
        folder: Path,
        database_url: str,
        node: Node,
        name: str,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.server = LabServer(folder / "server", database_url=database_url, env=env)
        self.api = Api(self.server)
        self.database_url = database_url
        #: Which kind of database it is.
        self.name = name
        self.people: list[Person] = []
        self.plans = 0
        self._node = node
        self._lock: Any = None

    @classmethod
    @contextlib.contextmanager
    def made(cls, database: str, env: Mapping[str, str] | None = None) -> Iterator[World]:
        """Start everything, and end and remove everything afterwards.

        Args:
            database: ``sqlite`` or ``postgresql``.
            env: More environment variables for the server.

        Raises:
            NodeMissing, PostgresMissing: What is needed is not installed.
        """
        with contextlib.ExitStack() as ending, tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            node = Node.find()
            node.use(install_node_modules(node), folder / "node")
            ending.callback(node.close)
            if database == "sqlite":
                url = f"sqlite:///{folder / 'collab.db'}"
            else:
                cluster = PostgresCluster()
                ending.callback(cluster.remove)
                cluster.start()
                url = cluster.create_database("plans")
            world = cls(folder, url, node, database, env)
            # Nobody needs what it would save.
            ending.callback(world.server.kill)
            world.server.start()
            world.people = [world.api.register(name) for name in _NAMES[:PEOPLE]]
            yield world
            world.unlock()

    @contextlib.asynccontextmanager
    async def node(self) -> Any:
        """Give a process of Node for the length of the block."""
        host = NodeHost(self._node)
        await host.open()
        try:
            yield host
        finally:
            await host.close()

    async def log_in_again(self) -> None:
        """Give everybody a new access token, as they live for minutes only."""
        for number, person in enumerate(self.people):
            again = await asyncio.to_thread(self.api.login, person.username)
            self.people[number] = again

    # ------------------------------------------------------------ the server

    async def start(self) -> None:
        """Start it if it does not run."""
        if not self.server.running:
            self.unlock()
            for left in self.server.root.rglob(".~*"):
                left.unlink()  # what a save that was killed leaves behind
            try:
                await asyncio.to_thread(self.server.start)
            except BaseException:
                self.server.kill()  # or the next plan would take it for one that serves
                raise

    async def stop(self) -> None:
        """Stop it in good order."""
        self.unlock()
        await asyncio.to_thread(self.server.stop)

    async def kill(self) -> None:
        """End it with no chance to save anything."""
        await asyncio.to_thread(self.server.kill)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the server stand still, at a moment in which it writes no file.

        Else who reads a file, changes it and writes it would take back what was saved between.
        """
        if not self.server.running:
            yield
            return
        pid = self.server.pid

        def freeze() -> bool:
            os.kill(pid, signal.SIGSTOP)
            # Its threads may run on for a moment, and one of them may write.
            os.waitid(os.P_PID, pid, os.WSTOPPED)
            if not any(self.server.root.rglob(".~*")):
                return True
            os.kill(pid, signal.SIGCONT)
            return False

        wait_until(freeze, timeout=10, what="the server to write no file")
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    # ------------------------------------------------------------ the database

    def lock(self) -> None:
        """Let nobody else write, until :meth:`unlock`."""
        if self._lock is not None:
            return
        if self.name == "sqlite":
            connection: Any = sqlite3.connect(
                self.database_url.removeprefix("sqlite:///"),
                timeout=10,
                isolation_level=None,
                check_same_thread=False,
            )
            connection.execute("BEGIN IMMEDIATE")
        else:
            connection = psycopg2.connect(self.database_url)
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE documents, document_updates IN EXCLUSIVE MODE")
        self._lock = connection

    def unlock(self) -> None:
        """Let others write again."""
        connection, self._lock = self._lock, None
        if connection is None:
            return
        with contextlib.suppress(psycopg2.Error):  # where :meth:`break_off` hit it too
            connection.rollback()
        connection.close()

    def break_off(self) -> None:
        """End all connections to the database; SQLite has none, there a lock comes and goes."""
        if self.name == "sqlite":
            if self._lock is None:
                self.lock()
                self.unlock()
            return
        break_off(self.database_url)

    @contextlib.asynccontextmanager
    async def database(self) -> Any:
        """Give the database to read from, as another server would."""
        database = Database(self.database_url)
        try:
            yield database
        finally:
            await database.close()

    # ------------------------------------------------------------ sessions

    def call(self, person: int, method: str, path: str, **options: Any) -> Any:
        """Call until the server can answer; blocks.

        Raises:
            AssertionError: It refused.
        """
        answers = []

        def answered() -> bool:
            answer = self.people[person](method, path, **options)
            answers.append(answer)
            return answer.status != 503

        wait_until(answered, timeout=_PATIENCE, what="the server's answer", interval=0.1)
        return answers[-1]

    def share(self, name: str, content: str) -> dict[str, Any]:
        """Share a new file of the first person with all others as editors; blocks."""
        owner = self.people[0]
        path = f"users/{owner.username}/{name}"
        (self.server.root / path).write_text(content)
        session: dict[str, Any] = self.call(
            0, "POST", "sessions", body={"name": name, "path": path}
        ).ok(201)
        for person in self.people[1:]:
            owner.add(session, person, "editor")
        return session

    def rename(self, path: str, new: str) -> None:
        """Give a file of the first person another name, as JupyterLab does; blocks.

        Raises:
            AssertionError: The server refused.
        """

        def renamed() -> bool:
            answer = self.people[0].jupyter("PATCH", f"api/contents/{path}", body={"path": new})
            if answer.status == 503:
                return False
            # Where the answer was lost, it was done at the first call.
            assert answer.status == 200 or (self.server.root / new).exists(), answer
            return True

        wait_until(renamed, timeout=_PATIENCE, what="the file's new name", interval=0.1)

    def set_role(
        self, session: dict[str, Any], person: int, old: str | None, role: str | None
    ) -> None:
        """Change the role of a person, remove or invite them; blocks."""
        name = self.people[person].username
        body = {"session_id": session["id"], "username": name, "role": role}
        if role is None:
            answer = self.call(0, "DELETE", f"sessions/{session['id']}/members/{name}")
            # Where the answer was lost, it was done at the first call.
            assert answer.status in (204, 404), answer
        elif old is None:
            answer = self.call(0, "POST", "sessions/invite", body=body)
            assert answer.status in (201, 409), answer
        else:
            assert self.call(0, "PUT", "sessions/access", body=body).status == 200
