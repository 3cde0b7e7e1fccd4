"""Reading what a client sent, strictly, and telling it which member is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from jupyter_collab_ai.errors import FieldError, InvalidRequest

#: What a value of another type has to be instead, by pydantic's name of the error.
_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
#: What is wrong otherwise, with what pydantic says of the bound.
_SENTENCES = {
    "missing": "This {noun} is needed.",
    "extra_forbidden": "There is no such {noun}.",
    # That it is JSON was found out before.
    "json_invalid": "This is nested too deeply; send less at a time.",
    "string_pattern_mismatch": "This is not of the form that is needed here.",
    "string_too_short": "This has at least {min_length} characters.",
    "string_too_long": "This has at most {max_length} characters.",
    "too_short": "This has at least {min_length} items.",
    "too_long": "This has at most {max_length} items.",
    "greater_than_equal": "This has to be at least {ge}.",
    "less_than_equal": "This has to be at most {le}.",
    "literal_error": "This has to be {expected}.",
    "enum": "This has to be {expected}.",
}
_EMPTY = "This can't be empty."
_HALF = "This holds half of a character (a lone surrogate), which is no valid Unicode."
#: Parameters that other layers read: Tornado's XSRF token, and Jupyter's own.
_OF_OTHERS = frozenset({"_xsrf", "token"})

#: Where in a request something stands: members and, in lists, numbers.
_Place = tuple[str | int, ...]


class Body(BaseModel):
    """Base of request bodies: types are not coerced, and an unknown member is an error."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Query(BaseModel):
    """Base of query parameters: text is turned into numbers, unknown ones are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=BaseModel)


def parse_body(model: type[M], raw: bytes) -> M:
    """Turn the bytes of a request into ``model``.

    Raises:
        InvalidRequest: It is not JSON, not an object, or not what ``model`` asks for.
    """
    try:
        data = json.loads(
            raw.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_object
        )
    except _RepeatedError as error:
        sentence = "This member may be given once only."
        raise _invalid([FieldError(error.name, sentence)]) from None
    except (ValueError, RecursionError):
        raise InvalidRequest(
            "The body is not valid JSON.", errors=[FieldError("", "This is not valid JSON.")]
        ) from None
    if not isinstance(data, dict):
        raise InvalidRequest(
            "The body has to be a JSON object.",
            errors=[FieldError("", "This has to be an object.")],
        )
    try:
        text = json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        # Legal in JSON's grammar, but no text.
        raise _invalid([FieldError(_name(_half_in(data)), _HALF)]) from None
    try:
        # In JSON mode a string may stand for an enum and a list for a tuple.
        return model.model_validate_json(text)
    except ValidationError as error:
        raise _invalid(_errors_of(error, data, "member")) from None


def is_cache_buster(name: str, values: list[bytes]) -> bool:
    """Return whether a parameter is the time, which JupyterLab adds against caches."""
    return name.isascii() and name.isdigit() and values == [b""]


def parse_query(model: type[M], arguments: Mapping[str, list[bytes]]) -> M:
    """Turn the query of a request into ``model``; a parameter may be given once.

    Raises:
        InvalidRequest: A parameter is unknown, repeated, or not what ``model`` asks for.
    """
    data: dict[str, str] = {}
    for name, values in arguments.items():
        if name in _OF_OTHERS or is_cache_buster(name, values):
            continue
        if len(values) > 1:
            raise _invalid([FieldError(name, "This may be given once only.")])
        try:
            data[name] = values[0].decode("utf-8")
        except UnicodeDecodeError:
            raise _invalid([FieldError(name, "This is not UTF-8.")]) from None
        if "\0" in data[name]:
            # PostgreSQL can't even be asked for it.
            raise _invalid([FieldError(name, "This has a character that can't be used: NUL.")])
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _invalid(_errors_of(error, data, "parameter")) from None


def _errors_of(error: ValidationError, data: Mapping[str, Any], noun: str) -> list[FieldError]:
    """Return what is wrong with each member, in words of our own and by names that exist."""
    found: dict[_Place, list[ErrorDetails]] = {}
    for item in error.errors(include_url=False):
        place = _place_of(item["loc"], data, needed=item["type"] == "missing")
        found.setdefault(place, []).append(item)
    around = {place[:length] for place in found for length in range(len(place))}
    told = []
    for place, items in found.items():
        others = [item for item in items if item["type"] not in _TYPES]
        if others:
            sentence = _sentence(others[0], noun)
        elif place in around:
            # It is of one of several types, so what is wrong in it says more.
            continue
        else:
            kinds = dict.fromkeys(_TYPES[item["type"]] for item in items)
            sentence = f"This has to be {' or '.join(kinds)}."
        told.append(FieldError(_name(place), sentence))
    return told


def _place_of(loc: _Place, data: object, *, needed: bool) -> _Place:
    """Return the place of an error, without the names that pydantic gives to alternatives.

    Args:
        loc: The place as pydantic has it.
        data: What was sent.
        needed: Whether the last of it is a member that is missing.
    """
    place = []
    for index, part in enumerate(loc):
        if isinstance(data, Mapping) and part in data:
            data = data[str(part)]
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
        elif not (needed and index == len(loc) - 1):
            continue
        place.append(part)
    return tuple(place)


def _sentence(item: ErrorDetails, noun: str) -> str:
    known, bounds = item["type"], item.get("ctx", {})
    if bounds.get("min_length") == 1:
        return _EMPTY
    if known in _SENTENCES:
        return _SENTENCES[known].format(noun=noun, **bounds)
    # Pydantic puts its own words before those of our validators.
    message = item["msg"].removeprefix("Value error, ")
    return message if message.endswith(".") else message + "."


def _half_in(data: object) -> _Place:
    """Return where text with a lone surrogate stands, or the object that has it as a name."""
    waiting: list[tuple[_Place, object]] = [((), data)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, str) and not _encodable(value):
            return place
        if isinstance(value, dict):
            if not all(map(_encodable, value)):
                return place
            waiting += [((*place, name), each) for name, each in value.items()]
        elif isinstance(value, list):
            waiting += [((*place, index), each) for index, each in enumerate(value)]
    return ()


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _name(place: _Place) -> str:
    return ".".join(str(part) for part in place)


def _invalid(errors: list[FieldError]) -> InvalidRequest:
    first = errors[0]
    where = f"{first.field}: " if first.field else ""
    return InvalidRequest(f"The request is not valid: {where}{first.message}", errors=errors)


class _RepeatedError(ValueError):
    """A member stands twice in one object."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name if _encodable(name) else ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _RepeatedError(name)
            seen.add(name)
    return made


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
