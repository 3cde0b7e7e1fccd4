"""What a person waits for: a report without a model, and the first words of one.

The debugger over REST, with no model, against a bare ``ruff check`` of the same file; the time
from the request to the first streamed text, without and with the AI lock, against that of the bare
model server. All as ratios of medians, measured in turns in one run.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from ruff import find_ruff_bin  # type: ignore[import-untyped]

from examples.story.model import NAME, ModelServer
from tests.support.server import LabServer

#: A file of everyday size, with a few faults.
FUNCTION = '''
def average_{n}(values, seen=[]):
    """Return the mean of values."""
    seen.append(len(values))
    total = 0
    for value in values:
        total += value
    return total / len(values)
'''
CODE = "def made(value: int) -> int:\n    return value + 1\n"


@dataclass(frozen=True)
class Figures:
    """Seconds, of each round one."""

    ours: list[float]
    bare: list[float]

    @property
    def ratio(self) -> float:
        """How many times as long as the bare tool it takes here."""
        return median(self.ours) / median(self.bare)

    def line(self, what: str, than: str) -> str:
        """Say it in words."""
        return (
            f"{what}: {median(self.ours) * 1000:.0f} ms, "
            f"{self.ratio:.2f} times {than} ({median(self.bare) * 1000:.0f} ms)"
        )


class Caller:
    """Makes calls as the holder of the server's token."""

    def __init__(self, server: LabServer) -> None:
        self._server = server

    def __call__(self, method: str, path: str, body: Mapping[str, object]) -> dict[str, object]:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=120)
        connection.request(method, f"/collab-ai/{path}", json.dumps(body), self._headers())
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if answer.status >= 400:
            raise RuntimeError(f"{path}: {answer.status} {content.decode()}")
        result: dict[str, object] = json.loads(content)
        return result

    def until_first(self, path: str, body: Mapping[str, object], event: str) -> float:
        """Return the seconds until an event of this name begins to come."""
        headers = {**self._headers(), "Accept": "text/event-stream"}
        return until_line(
            ("127.0.0.1", self._server.port), f"/collab-ai/{path}", body, headers, f"event: {event}"
        )

    def _headers(self) -> dict[str, str]:
        return {
            "Authorization": f"token {self._server.token}",
            "Content-Type": "application/json",
        }


def until_line(
    address: tuple[str, int],
    path: str,
    body: Mapping[str, object],
    headers: Mapping[str, str],
    prefix: str,
) -> float:
    """Return the seconds until a line with this beginning comes; the rest is read, too."""
    connection = http.client.HTTPConnection(*address, timeout=120)
    began = time.perf_counter()
    connection.request("POST", path, json.dumps(body), dict(headers))
    answer = connection.getresponse()
    took = None
    for line in answer:
        if took is None and line.decode().startswith(prefix):
            took = time.perf_counter() - began
    connection.close()
    if took is None:
        raise RuntimeError(f"{path} ended with {answer.status} before {prefix!r} came.")
    return took


def timed(act: Callable[[], object]) -> float:
    """Return the seconds that an act takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def debugger(caller: Caller, session: str, file: Path, rounds: int) -> Figures:
    """Measure reports without a model."""
    # The one that the debugger runs.
    command = [
        find_ruff_bin(),
        "check",
        "--isolated",
        "--no-cache",
        "--select",
        "E9,F,B,S,PERF",
        str(file),
    ]
    ours, bare = [], []
    for _ in range(rounds + 1):
        bare.append(timed(lambda: subprocess.run(command, capture_output=True, check=False)))
        body = {"session_id": session}
        ours.append(timed(lambda body=body: caller("POST", "ai/code-debugger", body)))  # type: ignore[misc]
    # The first one starts the analyzers.
    return Figures(ours[1:], bare[1:])


def first_words(
    caller: Caller, session: str, model: ModelServer, rounds: int, *, locked: bool
) -> Figures:
    """Measure the time to the first streamed text of the generator.

    Args:
        caller: Calls the server.
        session: The session of the document.
        model: What the server asks.
        rounds: How often.
        locked: Whether the result is written, so that the place is locked before.
    """
    address = urlsplit(model.url)
    bare_body = {
        "model": NAME,
        "stream": True,
        "messages": [{"role": "user", "content": "Write made()."}],
    }
    headers = {"Content-Type": "application/json"}
    body = {
        "session_id": session,
        "instructions": "Write made().",
        "apply": locked,
        # Each time by the same, so that the document is always as long.
        "target": {"mode": "replace_document"},
    }
    ours, bare = [], []
    for _ in range(rounds + 1):
        bare.append(
            until_line(
                (str(address.hostname), int(address.port or 0)),
                f"{address.path}/chat/completions",
                bare_body,
                headers,
                "data:",
            )
        )
        ours.append(caller.until_first("ai/code-generator", body, "delta"))
    return Figures(ours[1:], bare[1:])


async def measure(lines: int, rounds: int) -> dict[str, Figures]:
    """Start servers, and measure all."""
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Figures] = {}
        model = ModelServer()
        model.answer = lambda _: CODE
        try:
            for name, env in (
                ("debugger", {}),
                ("first words", {"OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "none"}),
            ):
                server = LabServer(Path(folder) / name.replace(" ", "-"), env=env)
                functions = max(1, lines // FUNCTION.count("\n"))
                file = server.root / "measured.py"
                file.write_text("".join(FUNCTION.replace("{n}", str(n)) for n in range(functions)))
                with server:
                    await asyncio.to_thread(server.start)
                    caller = Caller(server)
                    wanted = {"name": "measured", "path": file.name, "type": "file"}
                    made = await asyncio.to_thread(caller, "POST", "sessions", wanted)
                    session = str(made["id"])
                    if name == "debugger":
                        found[name] = await asyncio.to_thread(
                            debugger, caller, session, file, rounds
                        )
                        continue
                    for what, locked in ((name, False), (f"{name}, locked", True)):
                        found[what] = await asyncio.to_thread(
                            first_words, caller, session, model, rounds, locked=locked
                        )
        finally:
            await model.close()
        return found


def main() -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--lines", type=int, default=400, help="how long the file is")
    parser.add_argument("--rounds", type=int, default=15, help="how often each is measured")
    parser.add_argument("--quick", action="store_true", help="only see that it works")
    options = parser.parse_args()
    rounds = 2 if options.quick else options.rounds
    found = asyncio.run(measure(options.lines, rounds))
    print(f"load {os.getloadavg()[0]:.1f}; a file of about {options.lines} lines, {rounds} rounds")
    print(found["debugger"].line("a report without a model", "a bare ruff"))
    print(found["first words"].line("until the first words", "the bare model server"))
    print(found["first words, locked"].line("the same under the lock", "the bare model server"))


if __name__ == "__main__":
    main()
