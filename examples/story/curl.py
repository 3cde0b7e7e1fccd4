"""REST calls by curl, each printed as a person would type it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .console import WalkthroughFailed, shorten

#: Seconds that a call may take; those that ask a model take the longest.
PATIENCE = 60
_SECRET = ("token", "password", "invitation")


@dataclass(frozen=True)
class Answer:
    """What curl got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    @property
    def reason(self) -> str | None:
        """The reason word of an error."""
        return self.json.get("reason") if self.body else None


class Curl:
    """Runs curl against one server."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    async def api(self, method: str, path: str, **options: Any) -> Answer:
        """Call one of this package's own calls."""
        return await self.call(method, f"collab-ai/{path}", **options)

    async def call(
        self,
        method: str,
        path: str,
        *,
        expect: int | tuple[int, ...],
        token: str | None = None,
        body: object = None,
        cookies: Path | None = None,
        headers: tuple[str, ...] = (),
    ) -> Answer:
        """Run curl, print the command line and the answer, and check the status.

        Args:
            method: The HTTP method.
            path: What follows the server's base URL.
            expect: The status that has to come, or several that may.
            token: An access token.
            body: What to send as JSON.
            cookies: A cookie jar, read and written.
            headers: More headers.

        Raises:
            WalkthroughFailed: Another status came, or none.
        """
        command = ["curl", "-sS", "-i", "--globoff", "-X", method, f"{self.base_url}{path}"]
        shown = ["curl", "-X", method, f"'…/{shorten(path, 90)}'"]
        if token is not None:
            command += ["-H", f"Authorization: Bearer {token}"]
            shown += ["-H", f"'Authorization: Bearer {token[:6]}…'"]
        for header in headers:
            command += ["-H", header]
            shown += ["-H", f"'{shorten(header, 40)}'"]
        if cookies is not None:
            command += ["-b", str(cookies), "-c", str(cookies)]
            shown += ["-b", cookies.name]
        if body is not None:
            command += ["-H", "Content-Type: application/json", "--data-binary", "@-"]
            shown += ["-d", f"'{shorten(json.dumps(_without_secrets(body), ensure_ascii=False))}'"]
        print(f"  $ {' '.join(shown)}", flush=True)
        answer = await _run(command, b"" if body is None else json.dumps(body).encode())
        print(f"    {answer.status} {_summary(answer)}", flush=True)
        if answer.status not in ((expect,) if isinstance(expect, int) else expect):
            text = shorten(answer.body.decode(errors="replace"), 1500)
            raise WalkthroughFailed(f"{method} /{path}: {expect} expected, {answer.status}: {text}")
        return answer


async def _run(command: list[str], body: bytes) -> Answer:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(body), PATIENCE)
    except TimeoutError:
        raise WalkthroughFailed(f"No answer within {PATIENCE} s: {command[5:7]}") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise WalkthroughFailed(f"curl: {err.decode().strip()}")
    head, _, rest = out.partition(b"\r\n\r\n")
    while head.split(b" ", 2)[1] == b"100":  # "100 Continue" stands before the answer
        head, _, rest = rest.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines[1:]]
    return Answer(
        status=int(lines[0].split(" ", 2)[1]),
        headers={name.lower(): value.strip() for name, _, value in pairs},
        body=rest,
    )


def _without_secrets(value: object) -> object:
    if isinstance(value, dict):
        return {
            key: "…"
            if isinstance(item, str) and any(word in key for word in _SECRET)
            else _without_secrets(item)
            for key, item in value.items()
        }
    return value


def _summary(answer: Answer) -> str:
    if answer.headers.get("content-type", "").startswith("application/json"):
        return shorten(json.dumps(_without_secrets(answer.json), ensure_ascii=False), 150)
    where = answer.headers.get("location")
    return f"→ {where}" if where else f"({len(answer.body)} bytes)"
