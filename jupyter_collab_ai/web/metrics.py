"""What is counted, for Prometheus, on Jupyter's own ``/metrics``.

Labels take few values, all known here or in an enumeration: nothing that a client sends becomes
one. ``docs/administration.md`` explains each.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from jupyter_collab_ai.web.errors import STATUS, bare_body, reasons_of_bare_errors


class Transport(StrEnum):
    """By what something came that was refused."""

    #: A plain HTTP request.
    HTTP = "http"
    #: The handshake of a WebSocket.
    HANDSHAKE = "handshake"
    #: A message on a WebSocket that is open.
    MESSAGE = "message"


class Endpoint(StrEnum):
    """Which WebSocket somebody came by."""

    #: ``/collab-ai/ws/``, for any Yjs client.
    WS = "ws"
    #: JupyterLab's own, of a document.
    JUPYTERLAB = "jupyterlab"
    #: JupyterLab's list of who is online.
    LOBBY = "lobby"
    #: A document that goes through what was recorded of it.
    TIMELINE = "timeline"


#: Why a message is refused, besides :data:`~jupyter_collab_ai.web.errors.STATUS`: the words of
#: :class:`jupyter_collab_ai.rooms.gate.RefusalReason` and ``ResetReason``, and ``malformed``.
MESSAGE_REASONS: Final = frozenset(
    {
        "role_required",
        "not_yours",
        "unknown_history",
        "barred",
        "role_changed",
        "gap",
        "split_character",
        "malformed",
        "too_large",
    }
)
#: All that ``reason`` can be.
REASONS: Final = frozenset(STATUS) | MESSAGE_REASONS | reasons_of_bare_errors() | {"other"}

_refusals = Counter(
    "collab_ai_refusals",
    "What was refused, by the way it came and the reason that its sender was given.",
    ["transport", "reason"],
)
_rooms = Gauge("collab_ai_rooms", "Live documents that are in memory.")
_unsaved = Gauge(
    "collab_ai_unsaved_documents", "Live documents whose files can't be saved at the moment."
)
_connections = Gauge(
    "collab_ai_connections", "WebSockets that are open, by endpoint.", ["endpoint"]
)
_ends = Counter(
    "collab_ai_connections_ended",
    "WebSockets that the server has ended, by the reason.",
    ["ending"],
)
_updates = Counter(
    "collab_ai_updates_recorded",
    "Updates of documents that were recorded in the log, by who made them.",
    ["origin"],
)
#: The same by origin: to look one up takes longer than to count.
_updates_of = cache(_updates.labels)
_append = Histogram(
    "collab_ai_log_append_seconds",
    "Seconds that recording one batch of updates took, with the waiting for the database.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


def refused(transport: Transport, reason: str) -> None:
    """Count something that was refused."""
    _refusals.labels(transport.value, reason if reason in REASONS else "other").inc()


def refused_with(transport: Transport, status: int) -> None:
    """Count something that was refused with a bare HTTP status."""
    refused(transport, bare_body(status)["reason"])


def room_opened() -> None:
    """Count a room that was opened."""
    _rooms.inc()


def room_closed() -> None:
    """Count a room that was freed."""
    _rooms.dec()


def save_failed() -> None:
    """Count a document whose file can't be saved."""
    _unsaved.inc()


def save_mended() -> None:
    """Count a document whose file can be saved again, or that is not in memory any more."""
    _unsaved.dec()


def connected(endpoint: Endpoint) -> None:
    """Count a connection that has come in."""
    _connections.labels(endpoint.value).inc()


def disconnected(endpoint: Endpoint) -> None:
    """Count a connection that has gone."""
    _connections.labels(endpoint.value).dec()


def ended(ending: str) -> None:
    """Count a connection that the server has ended; ``ending`` is of an enumeration."""
    _ends.labels(ending).inc()


def recorded(origins: list[str], seconds: float) -> None:
    """Count a batch of updates that is in the log; ``origins`` are of an enumeration."""
    _append.observe(seconds)
    for origin in origins:
        _updates_of(origin).inc()
