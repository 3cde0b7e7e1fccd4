"""The fixtures themselves: what they promise to the other tests."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import make_url

from jupyter_collab_ai.storage.database import Database
from tests.support import postgres as postgres_module
from tests.support.node import SCRIPTS, Node
from tests.support.postgres import PostgresCluster, PostgresMissing
from tests.support.processes import start, wait_until
from tests.support.server import ServerFactory


def tables_in(url: str) -> list[str]:
    """Return the names of the tables in the database at ``url``."""
    engine = create_engine(make_url(url).set(drivername=_drivers[url.partition(":")[0]]))
    try:
        return inspect(engine).get_table_names()
    finally:
        engine.dispose()


_drivers = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg2"}


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_gets_an_empty_database(database_url: str, turn: int) -> None:
    assert tables_in(database_url) == []
    engine = create_engine(
        make_url(database_url).set(drivername=_drivers[database_url.partition(":")[0]])
    )
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE mine (id integer)")
    engine.dispose()


async def test_the_open_database_is_the_one_of_the_url(
    database: Database, database_url: str, database_backend: str
) -> None:
    assert database.is_sqlite == (database_backend == "sqlite")
    assert "sessions" in await asyncio.to_thread(tables_in, database_url)
    assert await database.read(lambda tx: tx.now()) > 0


def test_postgres_keeps_its_data_over_a_crash() -> None:
    cluster = PostgresCluster()
    try:
        cluster.start()
        cluster.create_database("kept")
        cluster.stop(signal.SIGQUIT)
        with pytest.raises(psycopg2.OperationalError):
            cluster.execute("SELECT 1", "kept")
        cluster.start()
        cluster.execute("SELECT 1", "kept")
    finally:
        cluster.remove()


def test_without_postgres_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_module, "_candidates", lambda: iter([Path("/nowhere")]))
    with pytest.raises(PostgresMissing, match="install") as caught:
        PostgresCluster()
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has this signal")
def test_a_child_dies_with_the_tests(tmp_path: Path) -> None:
    child_file = tmp_path / "child"
    parent = start(
        [
            sys.executable,
            "-c",
            "import pathlib, sys, time; sys.path.insert(0, sys.argv[1])\n"
            "from tests.support.processes import start\n"
            "child = start(['sleep', '600'])\n"
            "pathlib.Path(sys.argv[2]).write_text(f'{child.pid}\\n')\n"
            "time.sleep(600)",
            str(Path(__file__).parents[2]),
            str(child_file),
        ]
    )
    wait_until(
        lambda: child_file.exists() and child_file.read_text().endswith("\n"),
        timeout=30,
        what="the child to be started",
    )
    child = int(child_file.read_text())
    parent.kill()
    parent.wait(10)
    wait_until(lambda: _is_gone(child), timeout=10, what="the child to die")


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # Dead, but nobody has asked for its exit status yet.
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "Z"


_loops: list[asyncio.AbstractEventLoop] = []


async def test_an_async_test_runs(jp_asyncio_loop: asyncio.AbstractEventLoop) -> None:
    assert asyncio.get_running_loop() is jp_asyncio_loop
    _loops.append(jp_asyncio_loop)


async def test_the_jupyter_server_runs_on_the_loop_of_the_test(
    jp_fetch, jp_serverapp, jp_asyncio_loop: asyncio.AbstractEventLoop
) -> None:
    assert asyncio.get_running_loop() is jp_asyncio_loop
    assert jp_serverapp.io_loop.asyncio_loop is jp_asyncio_loop
    response = await jp_fetch("api", "status")
    assert response.code == 200
    _loops.append(jp_asyncio_loop)


def test_each_test_has_a_loop_of_its_own(jp_asyncio_loop: asyncio.AbstractEventLoop) -> None:
    assert not jp_asyncio_loop.is_closed()
    assert all(loop.is_closed() for loop in _loops)


def test_node_finds_the_packages(node: Node) -> None:
    script = "two-documents.mjs"
    assert (SCRIPTS / script).exists()
    assert node.run(script).strip() == "hello world"
    assert not (SCRIPTS / "node_modules").exists()


def test_a_failing_script_tells_why(node: Node) -> None:
    with pytest.raises(RuntimeError, match="no-such-script"):
        node.run("no-such-script.mjs")


def test_chromium_renders(chromium: Path) -> None:
    page = subprocess.run(
        [
            *(str(chromium), "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            "data:text/html,<title>t</title><script>document.title='made by script'</script>",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "<title>made by script</title>" in page.stdout, page.stderr


BARE = {"ServerApp": {"jpserver_extensions": {"jupyter_collab_ai": False}}}


def test_a_server_is_killed_and_restarted_on_its_folders(collab_server: ServerFactory) -> None:
    server = collab_server(config=BARE, ready="api")
    base_url, first = server.base_url, server.pid
    (server.root / "kept.txt").write_text("kept")
    server.kill()
    assert not server.running
    assert _is_gone(first)

    server.restart()
    assert (server.base_url, server.pid != first) == (base_url, True)
    request = urllib.request.Request(
        f"{base_url}api/contents/kept.txt", headers={"Authorization": f"token {server.token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["content"] == "kept"
    assert "jupyterlab" in server.log.lower()


def test_a_server_without_our_extension_does_not_pass_for_ours(
    collab_server: ServerFactory,
) -> None:
    with pytest.raises(RuntimeError, match="collab-ai/health answered 40"):
        collab_server(config=BARE)


def test_a_server_that_does_not_start_tells_why(collab_server: ServerFactory) -> None:
    with pytest.raises(RuntimeError, match="NoSuchOption"):
        collab_server(args=("--ServerApp.port=NoSuchOption",))
