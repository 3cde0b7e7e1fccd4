"""The examples of ``docs/api.md`` do what the page says, one after the other."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from examples.story.clients import JavaScript
from examples.story.model import ModelServer
from jupyter_collab_ai.web.errors import STATUS
from tests.support.server import LabServer, ServerFactory, free_port

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
ANYTHING = "…"


@dataclass(frozen=True)
class Example:
    """A block of code, and what stands under it as its output."""

    language: str
    code: str
    output_language: str | None
    output: str | None


def examples() -> Iterator[Example]:
    """Yield the examples of the page in their order."""
    blocks = list(re.finditer(r"```(\w+)\n(.*?)```\n", PAGE.read_text(encoding="utf-8"), re.S))
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        language, code = block.groups()
        if language in ("json", "text"):
            continue
        if following and following.start() == block.end() and following[1] in ("json", "text"):
            yield Example(language, code, following[1], following[2])
        else:
            yield Example(language, code, None, None)


def matches(expected: object, actual: object) -> bool:
    """Whether ``actual`` is as shown; ``…`` stands for anything, as a key for more members."""
    if expected == ANYTHING:
        return True
    if isinstance(expected, dict) and isinstance(actual, dict):
        named = expected.keys() - {ANYTHING}
        if not named <= actual.keys() or (ANYTHING not in expected and actual.keys() - named):
            return False
        return all(matches(expected[key], actual[key]) for key in named)
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(matches, expected, actual))
    return expected == actual


def script(parts: list[Example], url: str, node: str) -> str:
    """Return one shell script of all examples, with a line after each."""
    lines = ["set -euo pipefail"]
    for number, example in enumerate(parts):
        if example.language == "bash":
            code = re.sub(r"^URL=.*$", f"export URL={url}", example.code, flags=re.M)
            lines += [code, "export SESSION=${SESSION:-} TOKEN=${TOKEN:-}"]
        elif example.language == "python":
            lines += [f"python3 example{number}.py"]
        else:
            lines += [f"{shlex.quote(node)} example{number}.mjs"]
        lines.append(f"printf '\\n--- {number}\\n'")
    return "\n".join(lines)


async def test_the_examples_do_what_the_page_says(tmp_path: Path, javascript: JavaScript) -> None:
    parts = list(examples())
    assert {example.language for example in parts} == {"bash", "python", "js"}
    model = ModelServer(free_port())
    model.answer = lambda request: (
        '{"summary": "", "findings": []}'
        if "double" not in json.dumps(request)
        else "def double(x):\n    return 2 * x\n"
    )
    factory = ServerFactory(tmp_path)
    try:
        server: LabServer = await asyncio.to_thread(factory, env={"OPENAI_BASE_URL": model.url})
        suffix = {"python": "py", "js": "mjs"}
        for number, example in enumerate(parts):
            if example.language in suffix:
                name = f"example{number}.{suffix[example.language]}"
                (javascript.folder / name).write_text(example.code, encoding="utf-8")
        code = script(parts, server.base_url.rstrip("/"), javascript.node)
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", code),
            cwd=javascript.folder,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 90)
    finally:
        await asyncio.to_thread(factory.close)
        await model.close()
    outputs = re.split(r"\n--- \d+\n", out.decode())
    assert process.returncode == 0, f"{err.decode()}\nafter:\n{outputs[-2:]}"
    for example, output in zip(parts, outputs, strict=False):
        if example.output_language == "json":
            assert matches(json.loads(example.output or ""), json.loads(output)), output
        elif example.output_language == "text":
            assert output.strip() == (example.output or "").strip()


def test_the_page_names_every_reason() -> None:
    table = PAGE.read_text(encoding="utf-8")
    for reason, status in STATUS.items():
        line = next(line for line in table.splitlines() if f"`{reason}`" in line and "|" in line)
        assert str(status) in line.split("|")[1], line


def test_a_wrong_output_is_seen() -> None:
    assert matches({"a": ANYTHING, "b": [1]}, {"a": 5, "b": [1]})
    assert matches({"a": 1, ANYTHING: ANYTHING}, {"a": 1, "b": 2})
    assert not matches({"a": 1}, {"a": 1, "b": 2})
    assert not matches({"a": 1, "b": 2}, {"a": 1})
    assert not matches([1], [1, 2])
    assert not matches({"a": "x"}, {"a": "y"})
