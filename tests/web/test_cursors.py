"""Cursors can stand in a URL as they are, and what is none is refused."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote

import pytest

from jupyter_collab_ai.errors import InvalidRequest
from jupyter_collab_ai.web.cursors import cursor_of, parse_cursor


def packed(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=2))])
@pytest.mark.parametrize("id_", ["", "a", "ab~-_", "é"])
def test_to_and_fro(zone, id_):
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, zone)
    cursor = cursor_of(moment, id_)
    assert quote(cursor, safe="") == cursor
    assert parse_cursor(cursor) == (moment, id_)
    assert parse_cursor(None) is None


@pytest.mark.parametrize(
    "after",
    [
        "",
        "x",
        "é",
        "AAAA",
        "=" * 9,
        "2026-01-02T03:04:05+00:00~id",
        packed("2026-01-02T03:04:05+00:00"),
        packed("2026-01-02T03:04:05~id"),
        packed("2026-01-02T03:04:05+00:00~a\0b"),
        packed("0001-01-01T00:00:00+14:00~id"),
        packed("9999-12-31T23:59:59-14:00~id"),
    ],
)
def test_what_is_no_cursor(after):
    with pytest.raises(InvalidRequest) as caught:
        parse_cursor(after)
    assert [error.field for error in caught.value.errors] == ["after"]
