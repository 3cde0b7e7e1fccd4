"""Where a list goes on that is ordered by time: text that can stand in a URL as it is."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime

from jupyter_collab_ai.errors import FieldError, InvalidRequest


def cursor_of(moment: datetime, id_: str) -> str:
    """Return the cursor after what has this time and this id."""
    text = f"{moment.isoformat()}~{id_}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_cursor(after: str | None) -> tuple[datetime, str] | None:
    """Return what :func:`cursor_of` made text of.

    Raises:
        InvalidRequest: It did not.
    """
    if after is None:
        return None
    try:
        text = base64.b64decode(after + "=" * (-len(after) % 4), "-_", validate=True).decode()
        moment, separator, id_ = text.partition("~")
        parsed = datetime.fromisoformat(moment)
        if parsed.tzinfo is None or not separator or "\0" in id_:
            raise _none()
        # A moment at the very edge of what can be told may have none in UTC.
        return parsed.astimezone(UTC), id_
    except (ValueError, OverflowError, binascii.Error):
        raise _none() from None


def _none() -> InvalidRequest:
    return InvalidRequest(
        "This is not where a list goes on; use what the last answer gave as next.",
        errors=[FieldError("after", "Use the next of the last answer.")],
    )
