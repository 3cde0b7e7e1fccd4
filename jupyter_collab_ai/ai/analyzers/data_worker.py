"""What does not parse as YAML or TOML, by their real parsers; runs behind :mod:`.worker`."""

from __future__ import annotations

import re
import tomllib
from typing import Any

_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")


def answer(request: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Return the first mistake of each text."""
    check = _yaml if request["language"] == "yaml" else _toml
    return [check(text) for text in request["texts"]]


def _toml(text: str) -> list[dict[str, Any]]:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = _PLACE.search(message)
        if place is None:
            line = len(text.rstrip("\n").split("\n"))
            return [_mistake(line, 1, message.removesuffix(" (at end of document)"))]
        return [_mistake(int(place[1]), int(place[2]), message[: place.start()])]
    except RecursionError:
        return [_mistake(1, 1, "It is nested too deeply to be read")]
    return []


def _yaml(text: str) -> list[dict[str, Any]]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        # Events alone: nothing is built, so no tag can do anything and no alias can grow.
        for _ in yaml.parse(text, Loader=loader):
            pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = error.problem or error.context or "This can't be read as YAML"
        opened = error.context_mark
        if opened is not None and "quoted scalar" in (error.context or ""):
            # What is never closed is told where it was opened.
            line, column = opened.line + 1, opened.column + 1
        return [_mistake(line, column, message)]
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return [_mistake(line, 1, "It holds a character that YAML does not allow")]
    except yaml.YAMLError:
        return [_mistake(1, 1, "This can't be read as YAML")]
    except RecursionError:
        return [_mistake(1, 1, "It is nested too deeply to be read")]
    return []


def _mistake(line: int, column: int, message: str) -> dict[str, Any]:
    return {
        "line": line,
        "column": column,
        "end_line": line,
        "end_column": column + 1,
        "kind": "message",
        "what": message,
    }
