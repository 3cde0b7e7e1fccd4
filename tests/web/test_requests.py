"""Bodies and queries are read strictly, and every mistake is named."""

from __future__ import annotations

import contextlib
import json
from enum import Enum
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, StringConstraints

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


# ---------------------------------------------------------------- sentences and names


class Part(Body):
    size: Annotated[int, Field(ge=1, le=9)]


class Choice(Body):
    word: Annotated[str, StringConstraints(min_length=2, max_length=4, pattern=r"^[^x]*$")] = "abc"
    mode: Literal["here", "there"] = "here"
    flag: bool = False
    parts: Annotated[list[Part], Field(min_length=1, max_length=2)] | None = None
    either: Annotated[str, StringConstraints(max_length=4)] | Part | None = None
    many: list[Annotated[str, StringConstraints(min_length=1)] | Part] | None = None
    colour: Colour = Colour.RED
    empty: Annotated[str, StringConstraints(min_length=1)] = "a"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"word": 1}, {"word": "This has to be text."}),
        ({"word": "a"}, {"word": "This has at least 2 characters."}),
        ({"word": "abcde"}, {"word": "This has at most 4 characters."}),
        ({"word": "axb"}, {"word": "This is not of the form that is needed here."}),
        ({"empty": ""}, {"empty": "This can't be empty."}),
        ({"mode": "x"}, {"mode": "This has to be 'here' or 'there'."}),
        ({"colour": "x"}, {"colour": "This has to be 'red'."}),
        ({"flag": 1}, {"flag": "This has to be true or false."}),
        ({"parts": {}}, {"parts": "This has to be a list."}),
        ({"parts": []}, {"parts": "This can't be empty."}),
        ({"parts": [{"size": 1}] * 3}, {"parts": "This has at most 2 items."}),
        ({"parts": [{"size": 0}]}, {"parts.0.size": "This has to be at least 1."}),
        ({"parts": [{"size": 10}]}, {"parts.0.size": "This has to be at most 9."}),
        ({"parts": [{"size": 1.5}]}, {"parts.0.size": "This has to be a whole number."}),
        ({"parts": [5]}, {"parts.0": "This has to be an object."}),
        ({"either": 5}, {"either": "This has to be text or an object."}),
        ({"either": {"size": 0}}, {"either.size": "This has to be at least 1."}),
        ({"either": {}}, {"either.size": "This member is needed."}),
        (
            {"either": {"size": 1, "more": 1}},
            {"either.more": "There is no such member."},
        ),
        ({"either": "abcde"}, {"either": "This has at most 4 characters."}),
        ({"many": [5]}, {"many.0": "This has to be text or an object."}),
        ({"many": ["a", {"size": "x"}]}, {"many.1.size": "This has to be a whole number."}),
    ],
    ids=str,
)
def test_each_sentence_can_be_acted_on_and_each_field_exists(body, told):
    with pytest.raises(InvalidRequest) as caught:
        parse_body(Choice, json.dumps(body).encode())
    assert {error.field: error.message for error in caught.value.errors} == told
    assert len(caught.value.errors) == len(told)


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"name": "\\ud800x"}', "name"),
        (b'{"name": "a", "more": [{"deep": "\\udfff"}]}', "more.0.deep"),
        (b'{"name": "a", "more": {"\\udfff": 1}}', "more"),
        (b'{"\\ud800": 1}', ""),
    ],
)
def test_half_a_character_is_no_fault_of_the_json(raw, field):
    errors = errors_of(raw)
    assert errors == {
        field: "This holds half of a character (a lone surrogate), which is no valid Unicode."
    }
    json.dumps(errors, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"name": "a", "name": "b"}', "name"),
        (b'{"name": "a", "name": "a"}', "name"),
        (b'{"name": "a", "more": {"x": 1, "x": 1}}', "x"),
    ],
)
def test_a_member_is_given_once(raw, field):
    assert errors_of(raw) == {field: "This member may be given once only."}


def test_a_nul_is_in_no_parameter():
    class Search(Query):
        query: str | None = None

    with pytest.raises(InvalidRequest) as caught:
        parse_query(Search, {"query": [b"a\x00"]})
    assert [error.field for error in caught.value.errors] == ["query"]


def test_words_of_a_query():
    class Search(Query):
        all: bool = False

    for model, arguments, told in (
        (Page, {"limit": [b"x"]}, "This has to be a whole number."),
        (Search, {"all": [b"x"]}, "This has to be true or false."),
        (Search, {"al": [b"true"]}, "There is no such parameter."),
    ):
        with pytest.raises(InvalidRequest) as caught:
            parse_query(model, arguments)
        assert [error.message for error in caught.value.errors] == [told]


@pytest.mark.parametrize("name", ["_xsrf", "token"])
def test_what_other_layers_read_passes(name):
    assert parse_query(Page, {name: [b"x"], "limit": [b"7"]}).limit == 7
