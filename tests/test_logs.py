"""The package's log goes where the server's goes, once and with all that its lines have."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
from jupyter_server.serverapp import ServerApp
from tornado.web import HTTPError

from jupyter_collab_ai import logs
from jupyter_collab_ai.errors import DatabaseUnavailable


@pytest.fixture
def server_log() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """The log of a server that has read its configuration, and what it says."""
    app = ServerApp(log_level=logging.INFO)
    logger = app.log
    kept = list(logger.handlers)
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setLevel(logging.INFO)
    handler.setFormatter(logging.Formatter("[%(levelname)1.1s %(asctime)s %(name)s] %(message)s"))
    logger.handlers = [handler]
    yield logger, said
    logger.handlers = kept
    logs.leave()


def test_a_line_has_level_time_and_name(server_log: tuple[logging.Logger, io.StringIO]) -> None:
    logger, said = server_log
    logs.join(logger)
    # (Linked twice, as in a test, it is still told once.)
    logs.join(logging.LoggerAdapter(logger))
    logging.getLogger("jupyter_collab_ai.rooms.room").info("A room has begun.")
    logging.getLogger("jupyter_collab_ai.rooms.room").debug("A room has details.")
    [line] = said.getvalue().splitlines()
    assert line.startswith("[I 20")
    assert line.endswith(" jupyter_collab_ai.rooms.room] A room has begun.")


def test_what_an_administrator_configured_stays(
    server_log: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, _ = server_log
    own = logging.StreamHandler(io.StringIO())
    package = logging.getLogger(logs.PACKAGE)
    package.addHandler(own)
    try:
        logs.join(logger)
        assert package.handlers == [own]
    finally:
        package.removeHandler(own)


def test_a_level_that_an_administrator_configured_stays(
    server_log: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, _ = server_log
    package = logging.getLogger(logs.PACKAGE)
    package.setLevel(logging.ERROR)
    try:
        logs.join(logger)
        logs.join(logger)
        assert package.level == logging.ERROR
        logs.leave()
        assert package.level == logging.ERROR
    finally:
        package.setLevel(logging.NOTSET)


def test_it_ends_with_the_server(server_log: tuple[logging.Logger, io.StringIO]) -> None:
    logs.join(server_log[0])
    logs.leave()
    package = logging.getLogger(logs.PACKAGE)
    assert (package.handlers, package.propagate, package.level) == ([], True, logging.NOTSET)


def test_what_was_said_is_said_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(logs.time, "monotonic", lambda: now)
    rarely = logs.Rarely(every=10)
    assert [rarely.is_due("a"), rarely.is_due("b"), rarely.is_due("a")] == [True, True, False]
    now = 10.0
    assert rarely.is_due("a")
    rarely.forget()
    assert rarely.is_due("a")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (DatabaseUnavailable("It is\naway."), "It is away."),
        (HTTPError(500, "no %s", "disk"), "HTTP 500: Internal Server Error (no disk)"),
        (ValueError("password = 'hush'"), "ValueError"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_why_something_failed_is_one_line(error: Exception, said: str) -> None:
    assert logs.cause_of(error) == said
