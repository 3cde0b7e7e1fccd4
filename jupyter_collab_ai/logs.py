"""The log of the package: it is the server's own, and says nothing too often."""

from __future__ import annotations

import logging
import time

from tornado.web import HTTPError

from jupyter_collab_ai.errors import CollabError

PACKAGE = "jupyter_collab_ai"
#: Seconds in which one and the same trouble is logged once.
EVERY = 60.0


class _ToServer(logging.Handler):
    """Hands what is logged to the handlers of the server's logger, whichever they are then."""

    def __init__(self, server: logging.Logger, level_before: int) -> None:
        super().__init__()
        self._server = server
        #: What the package's logger had before.
        self.level_before = level_before

    def emit(self, record: logging.LogRecord) -> None:
        self._server.handle(record)


def join(server: logging.Logger | logging.LoggerAdapter[logging.Logger]) -> None:
    """Let what the package logs go where the server's log goes, with time, level and name.

    Where an administrator has given the package's logger handlers or a level, such as by
    ``ServerApp.logging_config``, they are left as they are.

    Args:
        server: The server's logger, which has read its configuration, or an adapter of it.
    """
    leave()
    package = logging.getLogger(PACKAGE)
    if package.handlers:
        return
    logger = server.logger if isinstance(server, logging.LoggerAdapter) else server
    package.addHandler(_ToServer(logger, package.level))
    package.propagate = False
    if package.level == logging.NOTSET:
        # (What is shown of it is up to the handlers of the server, as for its own lines.)
        package.setLevel(logger.getEffectiveLevel())


def leave() -> None:
    """Undo what :func:`join` did."""
    package = logging.getLogger(PACKAGE)
    for handler in tuple(package.handlers):
        if isinstance(handler, _ToServer):
            package.removeHandler(handler)
            package.propagate = True
            package.setLevel(handler.level_before)


def cause_of(error: BaseException) -> str:
    """Return in one line what is wrong, for the log.

    Of an error that nobody foresaw it is the kind alone: its text may quote what people wrote, or
    a secret.
    """
    if isinstance(error, CollabError | HTTPError | OSError):
        return " ".join(str(error).split()) or type(error).__name__
    return type(error).__name__


class Rarely:
    """Tells whether something is to be said, or was said a moment ago."""

    def __init__(self, every: float = EVERY) -> None:
        """Prepare to say each thing once in ``every`` seconds."""
        self._every = every
        self._said: dict[str, float] = {}

    def is_due(self, what: str) -> bool:
        """Return whether ``what`` is to be said now; then it counts as said."""
        now = time.monotonic()
        self._said = {one: at for one, at in self._said.items() if now - at < self._every}
        if what in self._said:
            return False
        self._said[what] = now
        return True

    def forget(self) -> None:
        """Let all be said anew."""
        self._said = {}
