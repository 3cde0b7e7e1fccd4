"""Bodies and queries are read strictly, and every mistake is named."""

from __future__ import annotations

import contextlib
import json
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_collab_ai.errors import InvalidRequest
from jupyter_collab_ai.web.requests import Body, Query, parse_body, parse_query


class Colour(Enum):
    RED = "red"


class Example(Body):
    name: str
    count: int = 0
    colour: Colour | None = None


class Page(Query):
    limit: int = 50


def errors_of(raw: bytes):
    with pytest.raises(InvalidRequest) as caught:
        parse_body(Example, raw)
    assert caught.value.message.endswith(".")
    return {error.field: error.message for error in caught.value.errors}


def test_a_good_body():
    assert parse_body(Example, b'{"name": "a", "colour": "red"}') == Example(
        name="a", colour=Colour.RED
    )


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"{}", "name"),
        (b'{"name": 1}', "name"),
        (b'{"name": "a", "count": "1"}', "count"),
        (b'{"name": "a", "count": 1.5}', "count"),
        (b'{"name": "a", "count": true}', "count"),
        (b'{"name": "a", "nmae": "b"}', "nmae"),
        (b'{"name": "a", "colour": "blue"}', "colour"),
        (b'{"name": null}', "name"),
        (b"[]", ""),
        (b"", ""),
        (b"{", ""),
        (b'{"name": NaN}', ""),
        (b"\xff", ""),
        (b'{"name": "\\ud800"}', None),
        (b"[" * 100_000, ""),
    ],
)
def test_a_bad_body_names_the_member(raw, field):
    errors = errors_of(raw)
    if field is not None:
        assert list(errors) == [field]


def test_all_mistakes_are_named_at_once():
    assert set(errors_of(b'{"count": "x", "more": 1}')) == {"name", "count", "more"}


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(raw):
    with contextlib.suppress(InvalidRequest):
        parse_body(Example, raw)


@given(st.dictionaries(st.text(max_size=8), st.none() | st.integers() | st.text(max_size=8)))
def test_no_object_raises_anything_else(value):
    with contextlib.suppress(InvalidRequest):
        assert parse_body(Example, json.dumps(value).encode()).name == value["name"]


def test_a_query():
    assert parse_query(Page, {"limit": [b"7"]}).limit == 7
    assert parse_query(Page, {}).limit == 50


@pytest.mark.parametrize(
    "arguments", [{"limit": [b"x"]}, {"limit": [b"1", b"2"]}, {"lim": [b"1"]}, {"limit": [b"\xff"]}]
)
def test_a_bad_query(arguments):
    with pytest.raises(InvalidRequest) as caught:
        parse_query(Page, arguments)
    assert caught.value.errors[0].field == next(iter(arguments))


def test_the_time_that_jupyterlab_adds_is_no_parameter():
    assert parse_query(Page, {"limit": [b"7"], "1732390000000": [b""]}).limit == 7
    for arguments in ({"1732390000000": [b"x"]}, {"x1": [b""]}):
        with pytest.raises(InvalidRequest):
            parse_query(Page, arguments)
