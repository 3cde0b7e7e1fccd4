"""The description of the API, for people and for programs that make clients."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated

from jupyter_collab_ai.web.handlers import ApiHandler


@cache
def description() -> dict[str, Any]:
    """Return the API's description as OpenAPI 3.1 has it.

    It is kept by hand beside this file and held against the handlers by a test.
    """
    file = resources.files("jupyter_collab_ai.web") / "openapi.json"
    loaded: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return loaded


class OpenapiHandler(ApiHandler):
    """GET ``/openapi.json``, for everybody."""

    @allow_unauthenticated
    def get(self) -> None:
        """Answer with the description, whose server is this one."""
        here = {"url": f"{self.base_url.rstrip('/')}/collab-ai"}
        self.write_json({**description(), "servers": [here]})

    @allow_unauthenticated
    def head(self) -> None:
        """Answer the same without the body."""
        self.get()


def handlers(url: Callable[[str], str]) -> list[tuple[Any, ...]]:
    """Return the rules of this module."""
    return [(url(r"openapi\.json"), OpenapiHandler)]
