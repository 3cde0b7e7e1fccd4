"""Changes made on a copy of a document, and what else concerns whole documents."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pycrdt import Doc
from pycrdt import merge_updates as merge

from jupyter_collab_ai.rooms.content import build
from jupyter_collab_ai.rooms.gate import LogState, server_client_id
from jupyter_collab_ai.rooms.log import Known
from jupyter_collab_ai.rooms.panics import without_panics
from jupyter_collab_ai.rooms.watching import watched
from jupyter_collab_ai.rooms.yupdate import IdRanges

T = TypeVar("T")

#: An update that changes nothing.
EMPTY_UPDATE = bytes(2)


def new_client_id() -> int:
    """Return a Yjs client id for the server that has never been used."""
    return server_client_id(secrets.token_bytes(16))


@without_panics
def change_copy(
    state: bytes, client_id: int, change: Callable[[Doc[Any]], T]
) -> tuple[bytes | None, T]:
    """Make a change on a copy; return it as an update, None where nothing changed."""
    return change_in(build([state], client_id), change)


@without_panics
def change_in(doc: Doc[Any], change: Callable[[Doc[Any]], T]) -> tuple[bytes | None, T]:
    """Make a change; return it as an update, None where nothing changed."""
    updates: list[bytes] = []
    with watched(doc, lambda event: updates.append(event.update)), doc.transaction():
        result = change(doc)
    return (merged(updates) if updates else None), result


def merged(updates: Sequence[bytes]) -> bytes:
    """Return one update in place of several."""
    return updates[0] if len(updates) == 1 else merge(*updates)


def log_state_of(state: bytes, known: Known) -> LogState:
    """Return what the gate has to know of a document; takes time for a large one."""
    return LogState.of_document(
        state,
        # Without an owner a record that bars is about an id that is nobody's, and no other is
        # without one.
        owners={one.client_id: one.user_id for one in known.clients if one.user_id is not None},
        barred={
            one.client_id: one.barred_from for one in known.clients if one.barred_from is not None
        },
        refused={one.user_id: IdRanges.decode(one.deletions) for one in known.refused},
    )
