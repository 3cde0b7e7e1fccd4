"""One server for the whole run, on each database; people who are new for each test."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from examples.story.clients import JavaScript, LiveClient, PycrdtClient, YWebsocketClient
from examples.story.model import ModelServer
from tests.blackbox.client import Api, Person
from tests.support.node import Node, install_node_modules
from tests.support.server import LabServer, ServerFactory, free_port

#: The key of the model, which no answer may hold.
MODEL_KEY = "sk-that-nobody-sees"


# What differs between the databases is tested in each room on both; the whole server again
# on the second one is part of the full run.
@pytest.fixture(
    scope="session",
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, model_port: int
) -> Iterator[LabServer]:
    """A running ``jupyter lab``."""
    url = None
    if request.param == "postgresql":
        cluster = request.getfixturevalue("postgres")
        url = cluster.create_database(f"blackbox_{os.getpid()}")
    factory = ServerFactory(tmp_path_factory.mktemp("blackbox"))
    yield factory(
        database_url=url,
        env={"OPENAI_BASE_URL": f"http://127.0.0.1:{model_port}/v1", "OPENAI_API_KEY": MODEL_KEY},
    )
    factory.close()


@pytest.fixture(scope="session")
def model_port() -> int:
    """Where the server looks for its model; nobody answers there unless a test asks for one."""
    return free_port()


@pytest.fixture
async def model(model_port: int) -> AsyncIterator[ModelServer]:
    """A model that says what the test tells it."""
    model = ModelServer(model_port)
    yield model
    await model.close()


@pytest.fixture(scope="session")
def api(server: LabServer) -> Api:
    """Calls to the server."""
    return Api(server)


@pytest.fixture
def ada(api: Api) -> Person:
    """Someone with an account."""
    return api.register("ada")


@pytest.fixture
def ben(api: Api) -> Person:
    """Someone else."""
    return api.register("ben")


@pytest.fixture
def cleo(api: Api) -> Person:
    """A third one."""
    return api.register("cleo")


@pytest.fixture
def session(ada: Person) -> dict[str, Any]:
    """A file that Ada shares with nobody yet."""
    made: dict[str, Any] = ada.share()
    return made


# ---------------------------------------------------------------- live clients


@pytest.fixture(scope="session")
def javascript(node: Node, tmp_path_factory: pytest.TempPathFactory) -> JavaScript:
    """Node with yjs and y-websocket."""
    folder = tmp_path_factory.mktemp("javascript") / "scripts"
    return JavaScript.prepared(str(node.executable), folder, install_node_modules(node))


class Opener:
    """Opens documents, and closes what is left open."""

    def __init__(self, javascript: Callable[[], JavaScript]) -> None:
        self._javascript = javascript
        self._clients: list[LiveClient] = []

    async def __call__(
        self, person: Person, url: str | dict[str, Any], **options: Any
    ) -> PycrdtClient:
        """Open with pycrdt; a session stands for its own WebSocket."""
        client = PycrdtClient(person.username, **options)
        self._clients.append(client)
        address = url if isinstance(url, str) else person.socket_of(url, ack="1")
        return await client.connect(address, person.token)

    async def node(
        self, person: Person, url: str | dict[str, Any], **options: Any
    ) -> YWebsocketClient:
        """Open with yjs and y-websocket."""
        client = YWebsocketClient(person.username, self._javascript())
        self._clients.append(client)
        address = url if isinstance(url, str) else person.socket_of(url)
        return await client.connect(address, person.token, **options)

    async def close(self) -> None:
        """Close all."""
        for client in self._clients:
            await client.close()


@pytest.fixture
async def open_live(request: pytest.FixtureRequest) -> AsyncIterator[Opener]:
    """Opens live documents: ``await open_live(person, session)``."""
    opener = Opener(lambda: request.getfixturevalue("javascript"))
    yield opener
    await opener.close()


@pytest.fixture(scope="session")
def root(server: LabServer) -> Path:
    """The server's root."""
    return server.root
