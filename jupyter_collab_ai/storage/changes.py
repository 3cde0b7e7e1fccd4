"""Telling every part of every server that something in the database has changed.

A change is a topic and a key, such as ``("user", user_id)``. Subscribers drop what they had
cached for the key; the key ``None`` means that changes may have been missed, so everything
cached under the topic has to go.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import select
import socket
import sqlite3
import threading
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, TypeVar

import psycopg2
from sqlalchemy.engine import URL

from jupyter_collab_ai.logs import Rarely
from jupyter_collab_ai.storage.trouble import words_of

log = logging.getLogger(__name__)

Change = tuple[str, str]
Listener = Callable[[str | None], None]

#: The PostgreSQL notification channel.
CHANNEL = "collab_ai"
#: Seconds between two looks at whether another process wrote to the SQLite file.
SQLITE_POLL = 0.1
#: Seconds between two attempts to reach a lost PostgreSQL server.
RECONNECT = 1.0


class ChangeBus:
    """Hands changes to subscribers, on the event loop, in the order of their commits."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener]] = defaultdict(list)
        #: Whether changes of other processes are being heard.
        self.live = False

    def subscribe(self, topic: str, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with the key of each change of ``topic``; returns how to stop."""
        self._listeners[topic].append(listener)

        def unsubscribe() -> None:
            with contextlib.suppress(ValueError):
                self._listeners[topic].remove(listener)

        return unsubscribe

    def publish(self, changes: Iterable[tuple[str, str | None]]) -> None:
        """Call the subscribers; one that fails does not keep the others from hearing."""
        for topic, key in changes:
            for listener in tuple(self._listeners[topic]):
                try:
                    listener(key)
                except Exception:
                    log.exception("A subscriber of %s changes failed.", topic)

    def set_live(self, live: bool) -> None:
        """Note whether other processes are heard; either way, something may have been missed."""
        self.live = live
        self.publish([(topic, None) for topic in tuple(self._listeners)])


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ChangeCache(Generic[K, V]):
    """Remembers what was read until a change of it is heard, or for ``ttl`` seconds.

    While changes of other processes cannot be heard nothing is remembered at all, because a
    role or login that was revoked elsewhere must not live on here.

    A value read before a change must not be remembered after it, so whoever reads takes a
    :meth:`ticket` first and hands it to :meth:`put`.
    """

    def __init__(
        self,
        bus: ChangeBus,
        topic: str,
        *,
        ttl: float = 5.0,
        size: int = 4096,
        matches: Callable[[str, K], bool] = lambda key, cached: key == cached,
    ) -> None:
        self._bus = bus
        self._ttl = ttl
        self._size = size
        self._matches = matches
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._generation = 0
        bus.subscribe(topic, self._on_change)

    def get(self, key: K) -> V | None:
        """Return what is remembered of ``key``, or None."""
        entry = self._entries.get(key)
        if entry is None or not self._bus.live or entry[0] < time.monotonic():
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def ticket(self) -> int:
        """Return a number that is outdated once any change is heard."""
        return self._generation

    def put(self, key: K, value: V, ticket: int) -> None:
        """Remember ``value``, unless a change was heard since ``ticket`` was taken."""
        if ticket != self._generation or not self._bus.live:
            return
        self._entries[key] = (time.monotonic() + self._ttl, value)
        self._entries.move_to_end(key)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forget everything, also what is being read now."""
        self._on_change(None)

    def _on_change(self, key: str | None) -> None:
        self._generation += 1
        if key is None:
            self._entries.clear()
            return
        for cached in [cached for cached in self._entries if self._matches(key, cached)]:
            del self._entries[cached]


class _News:
    """Says in the log that changes of other servers can't be heard, and that they can again."""

    def __init__(self) -> None:
        self._rarely = Rarely()
        self._lost = False

    def lost(self, error: Exception) -> None:
        self._lost = True
        said = words_of(error)
        if self._rarely.is_due(said):
            log.warning("Lost the database's notifications; it is tried again: %s", said)

    def hears(self) -> None:
        if self._lost:
            self._lost = False
            self._rarely.forget()
            log.info("The database's notifications are heard again.")


class SqliteListener:
    """Hears changes that other processes commit to the same SQLite file.

    SQLite has no notifications, but ``PRAGMA data_version`` tells within microseconds
    whether anybody has committed; only then is the table of changes read.
    """

    def __init__(
        self,
        path: str,
        source: str,
        loop: asyncio.AbstractEventLoop,
        bus: ChangeBus,
    ) -> None:
        self._path = path
        self._news = _News()
        self._source = source
        self._loop = loop
        self._bus = bus
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="collab-ai-changes", daemon=True)

    def start(self) -> None:
        """Begin to listen, in a thread of its own."""
        self._thread.start()
        self._ready.wait(timeout=10)

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except sqlite3.Error as error:
                self._news.lost(error)
                self._set_live(False)
                self._ready.set()
                self._stop.wait(RECONNECT)

    def _listen(self) -> None:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=10)
        try:
            version = self._data_version(connection)
            (newest,) = connection.execute("SELECT coalesce(max(id), 0) FROM changes").fetchone()
            self._set_live(True)
            self._news.hears()
            self._ready.set()
            while not self._stop.wait(SQLITE_POLL):
                current = self._data_version(connection)
                if current == version:
                    continue
                version = current
                rows = connection.execute(
                    "SELECT id, source, topic, key FROM changes WHERE id > ? ORDER BY id",
                    (newest,),
                ).fetchall()
                if rows:
                    newest = rows[-1][0]
                self._tell(
                    [(topic, key) for _, source, topic, key in rows if source != self._source]
                )
        finally:
            connection.close()

    def _set_live(self, live: bool) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._bus.set_live, live)

    def _tell(self, changes: list[Change]) -> None:
        if changes:
            with contextlib.suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._bus.publish, changes)

    @staticmethod
    def _data_version(connection: sqlite3.Connection) -> int:
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        return int(version)


class PostgresListener:
    """Hears ``NOTIFY`` on one connection of its own, and reconnects when it breaks."""

    def __init__(
        self,
        url: URL,
        source: str,
        loop: asyncio.AbstractEventLoop,
        bus: ChangeBus,
    ) -> None:
        self._url = url
        self._news = _News()
        self._source = source
        self._loop = loop
        self._bus = bus
        self._stop = threading.Event()
        self._ready = threading.Event()
        # Wakes the thread out of its wait when it has to end.
        self._woken, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="collab-ai-changes", daemon=True)

    def start(self) -> None:
        """Begin to listen, in a thread of its own; returns once it hears or cannot."""
        self._thread.start()
        self._ready.wait(timeout=10)

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._waker.send(b"\0")
        self._thread.join(timeout=5)
        self._woken.close()
        self._waker.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except psycopg2.Error as error:
                self._news.lost(error)
                self._tell(self._bus.set_live, False)
                self._ready.set()
                self._stop.wait(RECONNECT)

    def _listen(self) -> None:
        connection = psycopg2.connect(
            **_libpq_parameters(self._url),
            connect_timeout=5,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            application_name="jupyter-collab-ai notifications",
        )
        try:
            connection.set_session(autocommit=True)
            with connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
            # Whatever was sent before LISTEN took hold was missed: caches begin empty.
            self._tell(self._bus.set_live, True)
            self._news.hears()
            self._ready.set()
            while not self._stop.is_set():
                readable, _, _ = select.select([connection, self._woken], [], [])
                if connection not in readable:
                    continue
                connection.poll()
                changes: list[Change] = []
                while connection.notifies:
                    source, topic, key = json.loads(connection.notifies.pop(0).payload)
                    if source != self._source:
                        changes.append((topic, key))
                if changes:
                    self._tell(self._bus.publish, changes)
        finally:
            connection.close()

    def _tell(self, function: Callable[..., None], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(function, *args)


def _libpq_parameters(url: URL) -> dict[str, Any]:
    parameters: dict[str, Any] = dict(url.query)
    named = {
        "host": url.host,
        "port": url.port,
        "dbname": url.database,
        "user": url.username,
        "password": url.password,
    }
    parameters.update({name: value for name, value in named.items() if value is not None})
    return parameters
