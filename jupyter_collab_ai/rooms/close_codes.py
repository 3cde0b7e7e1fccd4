"""How a WebSocket ends, for each reason. Nowhere else is a close code chosen.

Codes from 4000 on are an application's own (RFC 6455, section 7.4.2); what each means to a
client stands in the contract. JupyterLab's provider knows only 1003 with a JSON reason
(``@jupyter/docprovider``, ``_onConnectionClosed``): it shows the sentence and lets go of the
document, and offers to reload the page where ``reloadable`` says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

from jupyter_collab_ai.errors import CollabError

#: Bytes that a close frame has room for after its code (RFC 6455, section 5.5).
MAX_REASON = 123


class Ending(Enum):
    """Why a connection ends: the code on ``/ws/``, and a short sentence for the person."""

    SIGNED_OUT = (4401, "You were signed out; sign in again.")
    REMOVED = (4403, "You are no longer a member.")
    NOT_FOUND = (4404, "There is no such document for you.")
    RESET = (4409, "The document has to be opened anew.")
    UNREADABLE = (1003, "A message was not understood.")
    TOO_LARGE = (1009, "A message was too large.")
    BEHIND = (1013, "Too far behind; connect again.")
    UNAVAILABLE = (1013, "Not possible just now; try again.")
    STOPPING = (1001, "The server is going away.")

    def __init__(self, code: int, sentence: str) -> None:
        self.code = code
        self.sentence = sentence


#: What reconnecting by itself can heal, which JupyterLab's provider does for every other code.
_RECONNECT = frozenset({Ending.BEHIND, Ending.UNAVAILABLE, Ending.STOPPING})

_BY_REASON = {
    "not_authenticated": Ending.SIGNED_OUT,
    "invalid_credentials": Ending.SIGNED_OUT,
    "token_expired": Ending.SIGNED_OUT,
    "token_revoked": Ending.SIGNED_OUT,
    "role_required": Ending.REMOVED,
    "not_found": Ending.NOT_FOUND,
    "invalid_request": Ending.NOT_FOUND,
    "document_too_large": Ending.NOT_FOUND,
    "request_too_large": Ending.TOO_LARGE,
    "stale_document": Ending.RESET,
    "rate_limited": Ending.BEHIND,
    "database_unavailable": Ending.UNAVAILABLE,
}


def ending_of(error: CollabError) -> Ending:
    """Return how a connection ends that can't be served because of ``error``."""
    return _BY_REASON.get(error.reason, Ending.UNAVAILABLE)


@dataclass(frozen=True)
class CloseFrame:
    """The code and the reason that go over the wire."""

    code: int
    reason: str


def for_ws(ending: Ending, sentence: str | None = None) -> CloseFrame:
    """Return how our own endpoint closes."""
    return CloseFrame(ending.code, _cut(sentence or ending.sentence, MAX_REASON))


def for_jupyterlab(ending: Ending, sentence: str | None = None) -> CloseFrame:
    """Return how JupyterLab's endpoint closes, in words that its provider understands."""
    if ending in _RECONNECT or ending is Ending.TOO_LARGE:
        return for_ws(ending, sentence)
    reason = {
        "reason": "unknown_session",
        "sessionId": "",
        "reloadable": ending is Ending.RESET,
        "errorReason": "",
    }
    room = MAX_REASON - len(_json(reason))
    wanted = sentence or ending.sentence
    if len(_json(wanted)) - 2 > room:
        wanted = ending.sentence
    reason["errorReason"] = wanted
    return CloseFrame(1003, _json(reason))


def end_frame(ending: Ending, sentence: str | None = None) -> dict[str, Any]:
    """Return the raw frame that says how a connection ends, to a page that reads it."""
    return {
        "type": "end",
        "code": ending.code,
        "message": sentence or ending.sentence,
        "reconnect": ending in _RECONNECT,
    }


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")
