"""Reading what a client sent, strictly, and telling it which member is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from jupyter_collab_ai.errors import FieldError, InvalidRequest

_SENTENCES = {
    "missing": "This member is needed.",
    "extra_forbidden": "There is no such member.",
    "json_invalid": "This is not valid JSON.",
}


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
        data = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidRequest(
            "The body is not valid JSON.", errors=[FieldError("", "This is not valid JSON.")]
        ) from None
    if not isinstance(data, dict):
        raise InvalidRequest(
            "The body has to be a JSON object.",
            errors=[FieldError("", "This has to be an object.")],
        )
    return _validate(model, data, json_types=True)


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
        if is_cache_buster(name, values):
            continue
        if len(values) > 1:
            raise _invalid([FieldError(name, "This may be given once only.")])
        try:
            data[name] = values[0].decode("utf-8")
        except UnicodeDecodeError:
            raise _invalid([FieldError(name, "This is not UTF-8.")]) from None
    return _validate(model, data, json_types=False)


def _validate(model: type[M], data: Mapping[str, Any], *, json_types: bool) -> M:
    try:
        if json_types:
            # In JSON mode a string may stand for an enum and a list for a tuple.
            return model.model_validate_json(json.dumps(data))
        return model.model_validate(dict(data))
    except ValidationError as error:
        raise _invalid(
            [
                FieldError(
                    ".".join(str(part) for part in item["loc"]),
                    _SENTENCES.get(item["type"], _sentence(item["msg"])),
                )
                for item in error.errors(include_url=False, include_context=False)
            ]
        ) from None
    except UnicodeError:
        # A lone surrogate is legal in JSON's grammar but is no text.
        raise _invalid([FieldError("", "This holds text that is not valid Unicode.")]) from None


def _invalid(errors: list[FieldError]) -> InvalidRequest:
    first = errors[0]
    where = f"{first.field}: " if first.field else ""
    return InvalidRequest(f"The request is not valid: {where}{first.message}", errors=errors)


def _sentence(message: str) -> str:
    # pydantic puts its own words before those of our validators
    message = message.removeprefix("Value error, ")
    return message if message.endswith(".") else message + "."


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
