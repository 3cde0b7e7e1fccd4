"""The API's description is valid, says every error, and describes the calls that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

from jupyter_collab_ai import __version__
from jupyter_collab_ai.web.errors import STATUS
from jupyter_collab_ai.web.openapi import description, handlers


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (path, method, operation) of all that is described."""
    for path, item in description()["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference inside of the description."""
    while "$ref" in node:
        found: Any = description()
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def request_schema(operation: dict[str, Any]) -> dict[str, Any]:
    return resolve(operation["requestBody"]["content"]["application/json"]["schema"])


def test_it_is_valid() -> None:
    OpenAPIV31SpecValidator(description()).validate()


def test_it_is_of_this_version() -> None:
    assert description()["info"]["version"] == __version__


def test_nothing_is_described_that_no_call_has() -> None:
    text = json.dumps(description())
    for kind in ("schemas", "responses", "parameters", "headers"):
        for name in description()["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text, f"{kind}/{name} is not used"


def test_each_call_has_a_name_of_its_own() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))


def test_a_request_takes_no_unknown_member() -> None:
    bodies = [
        (path, method, request_schema(operation))
        for path, method, operation in operations()
        if "requestBody" in operation
    ]
    assert bodies
    for path, method, schema in bodies:
        assert schema.get("additionalProperties") is False, f"{method} {path}"
        for member in schema["properties"].values():
            nested = resolve(member)
            if nested.get("type") == "object":
                assert nested.get("additionalProperties") is False, f"{method} {path}"


def test_each_reason_stands_under_its_status() -> None:
    said: set[str] = set()
    for path, method, operation in operations():
        for status, response in operation["responses"].items():
            for reason in resolve(response).get("x-reasons", ()):
                assert str(STATUS[reason]) == status, f"{method} {path}: {reason}"
                said.add(reason)
    assert said == set(STATUS)


def test_each_error_names_its_reasons_and_has_the_one_shape() -> None:
    for path, method, operation in operations():
        for status, response in operation["responses"].items():
            answer = resolve(response)
            if status < "400" or "text/html" in answer.get("content", {}):
                continue
            schema = answer["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/error"}, f"{method} {path} {status}"
            for reason in answer["x-reasons"]:
                assert f"`{reason}`" in answer["description"], f"{method} {path} {status}"


def test_each_parameter_of_a_path_is_described() -> None:
    for path, method, operation in operations():
        described = {
            parameter["name"]
            for parameter in map(resolve, operation.get("parameters", ()))
            if parameter["in"] == "path"
        }
        assert described == set(re.findall(r"{(\w+)}", path)), f"{method} {path}"


async def test_everybody_may_read_it(jp_fetch, jp_serverapp, jp_base_url) -> None:
    rules = handlers(lambda pattern: f"{jp_base_url}collab-ai/{pattern}")
    jp_serverapp.web_app.add_handlers(".*$", rules)
    response = await jp_fetch("collab-ai", "openapi.json", headers={"Authorization": ""})
    answered = json.loads(response.body)
    assert answered["paths"] == description()["paths"]
    assert answered["servers"] == [{"url": f"{jp_base_url}collab-ai"}]
