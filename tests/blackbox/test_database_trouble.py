"""Contract: acknowledged means recorded, also while the database is slow, locked, or gone.

With a whole server, and a database that is really so: nothing that is not recorded is
acknowledged or shown, people hear of it, and all heals when the database is back.
"""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.blackbox.client import Api
from tests.blackbox.conftest import Opener
from tests.blackbox.test_events import Stream
from tests.support.postgres import PostgresCluster
from tests.support.processes import wait_until
from tests.support.server import ServerFactory

#: Seconds within which people hear that nothing is saved: two, and what a busy machine adds.
HEARD = 5.0


class Trouble(ABC):
    """A database that fails for a while."""

    url: str

    @abstractmethod
    def begin(self) -> None:
        """Fail from now on."""

    @abstractmethod
    def end(self) -> None:
        """Answer again."""

    @abstractmethod
    def remove(self) -> None:
        """Delete what is not in the test's folder."""

    @contextmanager
    def lasting(self) -> Iterator[None]:
        """Fail for the length of a block."""
        self.begin()
        try:
            yield
        finally:
            self.end()


class Locked(Trouble):
    """Another program holds the write lock of the embedded database."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "collab.db"
        self.url = f"sqlite:///{self._path}"
        self._other: sqlite3.Connection | None = None

    def begin(self) -> None:
        self._other = sqlite3.connect(self._path, isolation_level=None, timeout=30)
        self._other.execute("BEGIN IMMEDIATE")

    def end(self) -> None:
        assert self._other is not None
        self._other.execute("ROLLBACK")
        self._other.close()

    def remove(self) -> None:
        pass


class Postgres(Trouble):
    """A PostgreSQL server of one test alone."""

    def __init__(self, _: Path) -> None:
        self.cluster = PostgresCluster()
        self.cluster.start()
        self.url = self.cluster.create_database("trouble")

    def remove(self) -> None:
        self.cluster.remove()


class Stopped(Postgres):
    """It takes connections and answers nothing."""

    def begin(self) -> None:
        self._processes = [psutil.Process(self.cluster.pid)]
        self._processes += self._processes[0].children(recursive=True)
        for process in self._processes:
            process.send_signal(signal.SIGSTOP)

    def end(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGCONT)


class Crashed(Postgres):
    """It ends in the middle of everything, and is started again."""

    def begin(self) -> None:
        self.cluster.stop(signal.SIGQUIT)

    def end(self) -> None:
        self.cluster.start()


@pytest.fixture(
    params=[Locked, pytest.param(Stopped, marks=pytest.mark.slow), Crashed],
    ids=["sqlite-locked", "postgresql-stopped", "postgresql-crashed"],
)
def trouble(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Trouble]:
    made: Trouble = request.param(tmp_path)
    yield made
    made.remove()


def hears_of_it(stream: Stream) -> Callable[[], bool]:
    """Return whether people were told that nothing is saved, or that nothing is known any more.

    Where changes of rights can't be heard no stream goes on; who comes back reads all anew.
    """
    unsaved = told(stream, False)
    return lambda: unsaved() or stream.ended.is_set()


def told(stream: Stream, saved: bool) -> Callable[[], bool]:
    """Return whether the newest that people heard is whether all is saved."""

    def is_so() -> bool:
        heard = [data["saved"] for name, data in tuple(stream.events) if name == "saved"]
        return bool(heard) and heard[-1] is saved

    return is_so


@pytest.mark.timeout(240)
async def test_nothing_is_acknowledged_or_shown_that_is_not_recorded(
    trouble: Trouble,
    collab_server: ServerFactory,
    open_live: Opener,
    record_property: Callable[[str, Any], None],
) -> None:
    server = await asyncio.to_thread(collab_server, database_url=trouble.url)
    api = Api(server)
    ada, ben = api.register("ada"), api.register("ben")
    session = ada.share(content="")
    ada.add(session, ben, "editor")
    file = server.root / session["path"]
    hers, his = await open_live(ada, session), await open_live(ben, session)
    stream = Stream(ben, session)
    try:
        await hers.insert(0, "before ")
        await hers.is_recorded()
        await his.sees("before ")
        await asyncio.to_thread(
            wait_until, lambda: file.read_text() == "before ", timeout=10, what="the file"
        )
        with trouble.lasting():
            recorded = hers.acknowledged
            began = time.monotonic()
            await hers.insert(len(hers.text), "during ")
            await asyncio.to_thread(
                wait_until, hears_of_it(stream), timeout=HEARD, what="people to hear of it"
            )
            record_property("seconds until people hear", time.monotonic() - began)
            await his.insert(0, "his ")
            # The server goes on: what needs no database answers.
            assert (await asyncio.to_thread(api.jupyter, "GET", "login")).status == 200
            assert hers.acknowledged == recorded
            assert "during" not in his.text
            assert "his" not in hers.text
            assert "during" not in file.read_text()
        for client in (hers, his):
            await client.is_recorded()
        await hers.sees("his ")
        await his.sees("during ")
        assert hers.text == his.text
        assert sorted(hers.text.split()) == ["before", "during", "his"]
        ends = time.monotonic() + 30
        while not told(stream, True)():
            assert time.monotonic() < ends, "people did not hear that it is over"
            if stream.ended.is_set():
                # As a page does; it ends once more when changes of rights can be heard again.
                stream.close()
                stream = await asyncio.to_thread(Stream, ben, session)
                await his.insert(0, "after ")
            await asyncio.sleep(0.05)
        await hers.until(lambda: hers.text == his.text, "what ben typed after it")
        await asyncio.to_thread(
            wait_until, lambda: file.read_text() == hers.text, timeout=20, what="the file"
        )
        assert hers.close_code is his.close_code is None, "nobody had to connect again"
    finally:
        stream.close()
    server.kill()
    await asyncio.to_thread(server.start)
    again = await open_live(ben, session)
    assert again.text == hers.text
    assert "Traceback" not in server.log, server.log[-4000:]


@pytest.mark.timeout(240)
async def test_what_is_typed_while_nothing_can_be_recorded_survives_with_its_client(
    trouble: Trouble, collab_server: ServerFactory, open_live: Opener
) -> None:
    """The server is killed before the database is back: nothing was acknowledged, or is lost."""
    server = await asyncio.to_thread(collab_server, database_url=trouble.url)
    api = Api(server)
    ada = api.register("ada")
    session = ada.share(content="")
    hers = await open_live(ada, session)
    await hers.insert(0, "before ")
    await hers.is_recorded()
    with trouble.lasting():
        await hers.insert(0, "during ")
        server.kill()
        await hers.until(lambda: hers.close_code is not None, "the end of the connection")
        assert hers.acknowledged < hers.sent
    await asyncio.to_thread(server.start)
    again = await open_live(ada, session, doc=hers.doc)
    await again.is_recorded()
    fresh = await open_live(ada, session)
    await fresh.sees("during before ")
    assert fresh.text == "during before "
