"""The servers that are compared, each in a process of its own, and how to get into them."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import psutil
from pycrdt import Doc, Text

from benchmarks.rooms.wire import UPDATE, Client, Door
from tests.blackbox.client import Api, Person
from tests.support.node import Node, install_node_modules
from tests.support.postgres import PostgresCluster
from tests.support.processes import end, start, wait_until
from tests.support.server import LabServer, free_port

_PEERS = Path(__file__).parent / "peers"
#: Seconds after which people log in again, as their tokens live for minutes only.
_LOGIN = 240.0

OURS = "this, SQLite"
OURS_POSTGRES = "this, PostgreSQL"
OURS_LAB = "this, SQLite, JupyterLab's endpoint"
UPSTREAM = "jupyter-collaboration"
HOCUSPOCUS = "Hocuspocus"
YWEBSOCKET = "y-websocket"
RELAY = "a bare relay"


class Peer(Protocol):
    """A running server, seen through one of its endpoints."""

    name: str
    #: Whether it keeps documents on disk, so that one can be opened which nobody has open.
    keeps: bool

    def document(self, content: str, suffix: str = ".py") -> str:
        """Make a new document that holds ``content``, and return its name."""
        ...

    def door(self, document: str, person: int = 0, *, typist: bool = False) -> Door:
        """Return how the person of this number gets in."""
        ...

    def processes(self) -> list[psutil.Process]:
        """Return the server's processes."""
        ...

    def database_processes(self) -> list[psutil.Process]:
        """Return those of the database, where it has some."""
        ...


class Lab:
    """A JupyterLab server: ours, by either endpoint, or a plain one."""

    keeps = True

    def __init__(
        self,
        name: str,
        server: LabServer,
        people: People | None,
        *,
        labs_endpoint: bool,
        cluster: PostgresCluster | None = None,
    ) -> None:
        self.name = name
        self._server = server
        self._people = people
        self._labs_endpoint = labs_endpoint
        self._cluster = cluster
        self._numbers = itertools.count(1)
        self._prefix = name.replace(" ", "").replace(",", "-").replace("'", "")
        self._rooms: dict[str, str] = {}

    def document(self, content: str, suffix: str = ".py") -> str:
        """Write a file."""
        name = f"{self._prefix}-{next(self._numbers)}{suffix}"
        folder = self._server.root / (self._people.folder if self._people else "")
        (folder / name).write_text(content)
        return name

    def door(self, document: str, person: int = 0, *, typist: bool = False) -> Door:
        """Return the way to the room of a file."""
        ack = {"ack": "1"} if typist and self._people is not None else {}
        if self._people is None:
            headers = {"Authorization": f"token {self._server.token}"}
        else:
            headers = {"Authorization": f"Bearer {self._people.token(person)}"}
        if not self._labs_endpoint:
            assert self._people is not None
            query = urlencode({"path": document, **ack})
            url = f"{self._server.ws_url}collab-ai/ws/{self._people.session}?{query}"
            return Door(url, headers)
        folder = f"{self._people.folder}/" if self._people else ""
        url = self._room(folder + document, headers)
        return Door(f"{url}&{urlencode(ack)}" if ack else url, headers)

    def _room(self, path: str, headers: dict[str, str]) -> str:
        if path not in self._rooms:
            kind = "notebook" if path.endswith(".ipynb") else "file"
            body = {"format": "json" if kind == "notebook" else "text", "type": kind}
            request = urllib.request.Request(
                f"{self._server.base_url}api/collaboration/session/{quote(path)}",
                json.dumps(body).encode(),
                {**headers, "Content-Type": "application/json"},
                method="PUT",
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                room = json.load(answer)
            name = f"{room['format']}:{room['type']}:{room['fileId']}"
            query = urlencode({"sessionId": room["sessionId"]})
            self._rooms[path] = f"{self._server.ws_url}api/collaboration/room/{name}?{query}"
        return self._rooms[path]

    def processes(self) -> list[psutil.Process]:
        """Return the server and its children."""
        return _family(self._server.pid)

    def database_processes(self) -> list[psutil.Process]:
        """Return PostgreSQL's processes."""
        return [] if self._cluster is None else _family(self._cluster.pid)


class People:
    """Accounts that share a folder, with which all connections are made."""

    def __init__(self, server: LabServer, count: int) -> None:
        self._api = Api(server)
        self._members = [self._api.register() for _ in range(count)]
        self._since = time.monotonic()
        owner = self._members[0]
        body = {"name": "bench", "type": "directory"}
        session = owner("POST", "sessions", body=body).ok(201)
        self.session: str = session["id"]
        self.folder: str = session["path"]
        for member in self._members[1:]:
            owner.add(session, member, "editor")

    def token(self, number: int) -> str:
        """Return the access token of somebody."""
        if time.monotonic() - self._since > _LOGIN:
            self._members = [self._again(member) for member in self._members]
            self._since = time.monotonic()
        return self._members[number % len(self._members)].token

    def _again(self, member: Person) -> Person:
        return self._api.login(member.username)


class BareServer:
    """A server of the Yjs world that keeps nothing.

    It holds a document as long as somebody has it open.
    """

    keeps = False

    def __init__(self, name: str, command: list[str], folder: Path, *, prefix: bool) -> None:
        self.name = name
        self._prefix = prefix
        self._port = free_port()
        self._numbers = itertools.count(1)
        self._holders: list[Client] = []
        env = {**os.environ, "HOST": "127.0.0.1", "PORT": str(self._port)}
        self._log = folder / f"{name}.log"
        log = self._log.open("wb")
        self._process: subprocess.Popen[bytes] = start(
            command,
            cwd=folder,
            env={**env, "NODE_ENV": "production"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        log.close()
        wait_until(self._answers, timeout=30, what=f"{name} to answer")

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.name} ended: {self._log.read_text()[-2000:]}")
        try:
            Client(self.door("probe")).close()
        except OSError:
            return False
        return True

    def document(self, content: str, suffix: str = ".py") -> str:
        """Bring a document there, as an update."""
        name = f"document-{next(self._numbers)}"
        if content:
            holder = Client(self.door(name))
            holder.sync()
            holder.send(holder.door.message(UPDATE, as_update(content, suffix)))
            # An answer to what is asked afterwards tells that it has arrived.
            holder.sync()
            self._holders.append(holder)
        return name

    def door(self, document: str, person: int = 0, *, typist: bool = False) -> Door:
        """Return the way to a document."""
        del person, typist
        base = f"ws://127.0.0.1:{self._port}"
        return Door(base, {}, document) if self._prefix else Door(f"{base}/{document}")

    def processes(self) -> list[psutil.Process]:
        """Return the server and its children."""
        return _family(self._process.pid)

    def database_processes(self) -> list[psutil.Process]:
        """Return none."""
        return []

    def stop(self) -> None:
        """End it."""
        end(self._process, signal.SIGTERM, timeout=10)


def as_update(content: str, suffix: str) -> bytes:
    """Return the update that makes a document as Jupyter would have it."""
    if suffix == ".ipynb":
        from jupyter_ydoc import YNotebook

        notebook = YNotebook()
        notebook.set(json.loads(content))
        return bytes(notebook.ydoc.get_update())
    doc: Doc[Any] = Doc()
    doc.get("source", type=Text).insert(0, content)
    return bytes(doc.get_update())


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


@contextmanager
def running(names: list[str], folder: Path, people: int) -> Iterator[list[Peer]]:
    """Start the servers of these names, and end them afterwards.

    Args:
        names: Which.
        folder: Where they keep what they keep.
        people: How many accounts there are on our own.
    """
    with ExitStack() as ending:
        made: dict[str, Peer] = {}
        if OURS in names or OURS_LAB in names:
            server = LabServer(folder / "ours", database_url=f"sqlite:///{folder / 'collab.db'}")
            ending.callback(server.stop)
            members = People(server.start(), people)
            made[OURS] = Lab(OURS, server, members, labs_endpoint=False)
            made[OURS_LAB] = Lab(OURS_LAB, server, members, labs_endpoint=True)
        if OURS_POSTGRES in names:
            cluster = PostgresCluster()
            ending.callback(cluster.remove)
            # As one that is to keep what it was given.
            cluster.start(durable=True)
            url = cluster.create_database("bench")
            server = LabServer(folder / "ours-postgres", database_url=url)
            ending.callback(server.stop)
            members = People(server.start(), people)
            made[OURS_POSTGRES] = Lab(
                OURS_POSTGRES, server, members, labs_endpoint=False, cluster=cluster
            )
        if UPSTREAM in names:
            config = {"ServerApp": {"jpserver_extensions": {"jupyter_collab_ai": False}}}
            server = LabServer(folder / "upstream", config=config, ready="api")
            ending.callback(server.stop)
            server.start()
            made[UPSTREAM] = Lab(UPSTREAM, server, None, labs_endpoint=True)
        if HOCUSPOCUS in names or YWEBSOCKET in names:
            node = Node.find()
            node.use(install_node_modules(node, _PEERS), folder / "node", _PEERS)
            for name, script in ((HOCUSPOCUS, "hocuspocus.mjs"), (YWEBSOCKET, "y-websocket.mjs")):
                if name in names:
                    peer = BareServer(
                        name,
                        [str(node.executable), str(folder / "node" / script)],
                        folder / "node",
                        prefix=name == HOCUSPOCUS,
                    )
                    ending.callback(peer.stop)
                    made[name] = peer
        if RELAY in names:
            peer = BareServer(
                RELAY, [sys.executable, str(_PEERS / "relay.py")], folder, prefix=False
            )
            ending.callback(peer.stop)
            made[RELAY] = peer
        yield [made[name] for name in names]
