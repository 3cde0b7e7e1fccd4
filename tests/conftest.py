"""Fixtures that every room's tests may use; what they are made of is in ``tests/support``."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import settings
from jupyter_server.extension.manager import ExtensionManager
from jupyter_server.serverapp import ServerApp

from tests.support.node import Node, NodeMissing, install_node_modules
from tests.support.postgres import PostgresCluster, PostgresMissing
from tests.support.server import ServerFactory
from tests.upstream_failures import FAILURES

if TYPE_CHECKING:
    from jupyter_collab_ai.storage.database import Database

pytest_plugins = ["pytest_jupyter.jupyter_server"]

# How long an example takes says more about the machine than about what is tested.
settings.register_profile("default", deadline=None)
settings.load_profile("default")

_numbers = itertools.count(1)
_SORTED_EXTENSIONS = ExtensionManager.sorted_extensions


# ---------------------------------------------------------------- what tests are about


#: What asks the database through the same functions as others that run on both: it is run on the
#: second database in the full run.
TWICE_IN_THE_FULL_RUN = (
    "access",
    "ai/test_generator.py",
    "ai/test_injections.py",
    "ai/test_upstream_failures.py",
    "aiplans",
    "attack",
    "blackbox",
    "cli",
    "identity/test_account_page.py",
    "identity/test_confirm_page.py",
    "identity/test_external.py",
    "plans",
    "rooms/test_disk.py",
    "rooms/test_disk_races.py",
    "rooms/test_disk_watch.py",
    "rooms/test_history.py",
    "rooms/test_reopening.py",
    "rooms/test_sockets.py",
    "rooms/test_timelines.py",
    "sessions/test_handlers.py",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Return how many processes ``-n auto`` starts: tests wait for a good part of their time."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return (psutil.cpu_count(logical=False) or os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let ``-k D5`` select the tests of one fault of others, and leave the slowest out."""
    about: dict[str, set[str]] = {}
    for name, failure in FAILURES.items():
        for test in failure.tests:
            about.setdefault(test, set()).add(name)
    folder = Path(__file__).parent
    for item in items:
        test = f"{item.path.relative_to(folder).as_posix()}::{getattr(item, 'originalname', '')}"
        item.extra_keyword_matches.update(about.get(test, ()))
        if test.startswith(TWICE_IN_THE_FULL_RUN) and "postgresql" in item.name:
            item.add_marker(pytest.mark.slow)


# ---------------------------------------------------------------- one event loop
#
# pytest-asyncio runs the tests and the fixtures that are coroutines; pytest-jupyter runs its
# server on `jp_asyncio_loop`. Here both are the same loop, which is new for each test.


@pytest.fixture
async def _test_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


@pytest.fixture(autouse=True)
def jp_asyncio_loop(_test_loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    """The loop of the test, in place of one of pytest-jupyter's own."""
    asyncio.set_event_loop(_test_loop)
    return _test_loop


@pytest.fixture(autouse=True)
def jp_server_cleanup(jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Clean up the in-process server of tests that have one.

    pytest-jupyter's own makes a server for each test that has none, to clean that up.
    """
    yield
    if not ServerApp.initialized():
        return
    app = ServerApp.instance()
    # notebook_shim replaces it for the whole process, and fails where it is not installed itself.
    setattr(ExtensionManager, "sorted_extensions", _SORTED_EXTENSIONS)  # noqa: B010
    with contextlib.suppress(RuntimeError, SystemExit):
        jp_asyncio_loop.run_until_complete(app._cleanup())
    if hasattr(app, "kernel_manager"):
        app.kernel_manager.context.destroy()
    ServerApp.clear_instance()


# ---------------------------------------------------------------- databases


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    """A real PostgreSQL server of this test run alone."""
    try:
        cluster = PostgresCluster()
    except PostgresMissing as error:
        pytest.fail(str(error), pytrace=False)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from jupyter_collab_ai.storage.database import Database

    path = tmp_path_factory.mktemp("template") / "collab.db"
    _migrate(Database(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def _postgres_template(postgres: PostgresCluster) -> str:
    from jupyter_collab_ai.storage.database import Database

    _migrate(Database(postgres.create_database("collab_template")))
    return "collab_template"


def _migrate(database: Database) -> None:
    database.migrate()
    asyncio.run(database.close())


@pytest.fixture(params=["sqlite", "postgresql"])
def database_backend(request: pytest.FixtureRequest) -> str:
    """Which kind of database the test runs on; every test that asks for one runs on both."""
    return str(request.param)


@pytest.fixture
def database_url(
    request: pytest.FixtureRequest, database_backend: str, tmp_path: Path
) -> Iterator[str]:
    """The URL of a new database: empty, or up to date where the test also uses ``database``."""
    # Copying a database that is up to date is quicker than to migrate each one.
    migrated = "database" in request.fixturenames
    if database_backend == "sqlite":
        path = tmp_path / "collab.db"
        if migrated:
            shutil.copyfile(request.getfixturevalue("_sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    cluster: PostgresCluster = request.getfixturevalue("postgres")
    template = request.getfixturevalue("_postgres_template") if migrated else "template0"
    name = f"collab_{next(_numbers)}"
    yield cluster.create_database(name, template)
    cluster.drop_database(name)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open database, up to date, on SQLite and on PostgreSQL."""
    from jupyter_collab_ai.storage.database import Database

    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


# ---------------------------------------------------------------- servers and clients


@pytest.fixture
def collab_server(tmp_path: Path) -> Iterator[ServerFactory]:
    """Starts real ``jupyter lab`` processes: ``collab_server(database_url=…, env={…})``."""
    factory = ServerFactory(tmp_path)
    yield factory
    factory.close()


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Node.js with the packages of ``tests/node``, to run the scripts there."""
    try:
        node = Node.find()
        modules = install_node_modules(node)
    except NodeMissing as error:
        pytest.fail(str(error), pytrace=False)
    node.use(modules, tmp_path_factory.mktemp("node") / "scripts")
    yield node
    node.close()


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The program file of a Chromium or Chrome."""
    from tests.support.chromium import ChromiumMissing, find_chromium

    try:
        return find_chromium()
    except ChromiumMissing as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def python() -> str:
    """The interpreter that runs the tests, for scripts that are run as a user runs them."""
    return sys.executable
