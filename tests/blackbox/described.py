"""Each answer that a test gets is held against the API's description."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from openapi_schema_validator import OAS31Validator

from jupyter_collab_ai.web.openapi import description

#: What is told of any address: there is none, or it has no such method.
_ANYWHERE = (404, 405)


@cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    # Fixed names before parameters, as the router has them.
    paths = sorted(description()["paths"], key=lambda path: path.count("{"))
    return [(re.compile(re.sub(r"{\w+}", "[^/]+", path) + "/?"), path) for path in paths]


def _operation(method: str, path: str) -> dict[str, Any] | None:
    for pattern, template in _templates():
        if pattern.fullmatch(f"/{path}"):
            item: dict[str, Any] = description()["paths"][template]
            if method.lower() in item:
                return dict(item[method.lower()])
    return None


def _resolve(node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        found: Any = description()
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def _strict(node: Any) -> Any:
    """Return a schema by which an answer has nothing that is not described."""
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    strict = {name: _strict(value) for name, value in node.items()}
    if isinstance(node.get("properties"), dict) and "type" in node:
        strict.setdefault("additionalProperties", False)
    return strict


@cache
def _components() -> dict[str, Any]:
    return {"schemas": _strict(description()["components"]["schemas"])}


def check(method: str, path: str, status: int, content_type: str, body: bytes) -> None:
    """Fail where an answer is not one that the description has.

    Args:
        method: Of the request.
        path: What follows ``collab-ai/``, without a query.
        status: Of the answer.
        content_type: Of the answer.
        body: Of the answer.
    """
    operation = _operation(method, path)
    if operation is None:
        assert status in _ANYWHERE, f"{method} {path}: {status}, and it is not described"
        return
    what = f"{method} {path} {status}"
    if status == 403 and b'"forbidden"' in body:
        return  # a foreign host, or no XSRF token
    responses = operation["responses"]
    if str(status) not in responses:
        assert status in _ANYWHERE, f"{what} is not described: {body[:500]!r}"
        return
    content = _resolve(responses[str(status)]).get("content")
    if content is None:
        assert body == b"" or 300 <= status < 400, f"{what}: nothing is to be said"
        return
    assert content_type in content, f"{what}: {content_type} is not described"
    if content_type != "application/json":
        return
    schema = {**_strict(content[content_type]["schema"]), "components": _components()}
    value = json.loads(body)
    errors = list(OAS31Validator(schema).iter_errors(value))
    assert not errors, f"{what}: {errors[0].json_path}: {errors[0].message}"
    reasons = _resolve(responses[str(status)]).get("x-reasons")
    if reasons is not None:
        assert value["reason"] in reasons, f"{what}: {value['reason']} is not described"
