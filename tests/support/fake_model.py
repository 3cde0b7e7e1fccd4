"""A model server that does as it is told: answers well, badly, slowly, or not at all.

Also a program, to try things out by hand: ``python -m tests.support.fake_model --port 8899``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

NAME = "fake-1"

Reply = Callable[["Chat"], Awaitable[None]]


@dataclass
class Seen:
    """One request for an answer."""

    body: dict[str, Any]
    headers: dict[str, str]
    #: Set once whoever asked has closed the connection.
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def prompt(self) -> str:
        """All that the model was told."""
        return "\n".join(message["content"] for message in self.body["messages"])


class FakeModel:
    """Gives the replies that were put in, in turn; the last one for ever."""

    def __init__(self, port: int = 0, *, models: list[str] | None = None) -> None:
        self.models = [NAME] if models is None else models
        self.seen: list[Seen] = []
        self.listed = 0
        self._replies: list[Reply] = []
        self._arrived = asyncio.Condition()
        self._server = HTTPServer(
            Application(
                [
                    ("/v1/models", _Models, {"fake": self}),
                    ("/v1/chat/completions", Chat, {"fake": self}),
                    ("/moved/chat/completions", _Moved),
                ]
            )
        )
        sockets = bind_sockets(port, "127.0.0.1")
        self.port = int(sockets[0].getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._server.add_sockets(sockets)

    def reply(self, *replies: Reply) -> None:
        """Give these replies to the next requests, the last one to all that follow."""
        self._replies = list(replies)

    def next_reply(self) -> Reply:
        """Take the reply whose turn it is."""
        if len(self._replies) > 1:
            return self._replies.pop(0)
        return self._replies[0] if self._replies else says("")

    async def asked(self, times: int = 1, *, within: float = 20) -> Seen:
        """Wait until as many requests have come, and return the newest."""
        async with asyncio.timeout(within), self._arrived:
            await self._arrived.wait_for(lambda: len(self.seen) >= times)
        return self.seen[-1]

    async def arrived(self, seen: Seen) -> None:
        """Note a request."""
        async with self._arrived:
            self.seen.append(seen)
            self._arrived.notify_all()

    async def close(self) -> None:
        """Stop answering."""
        self._server.stop()
        await self._server.close_all_connections()


class _Models(RequestHandler):
    def initialize(self, fake: FakeModel) -> None:
        self.fake = fake

    def get(self) -> None:
        self.fake.listed += 1
        data = [{"id": name, "object": "model", "owned_by": "us"} for name in self.fake.models]
        self.write({"object": "list", "data": data})


class _Moved(RequestHandler):
    def post(self) -> None:
        self.redirect("/v1/chat/completions", status=307)


class Chat(RequestHandler):
    """One question; a reply uses its methods."""

    def initialize(self, fake: FakeModel) -> None:
        self.fake = fake

    async def post(self) -> None:
        self.seen = Seen(json.loads(self.request.body), dict(self.request.headers))
        await self.fake.arrived(self.seen)
        with contextlib.suppress(StreamClosedError):
            await self.fake.next_reply()(self)

    def on_connection_close(self) -> None:
        if hasattr(self, "seen"):
            self.seen.gone.set()

    async def begin(self) -> None:
        """Begin an event stream."""
        self.set_header("Content-Type", "text/event-stream")
        await self.flush()

    async def send(self, text: str, **more: Any) -> None:
        """Send a piece of the answer."""
        await self.frame({"index": 0, "delta": {"content": text}, "finish_reason": None, **more})

    async def frame(self, *choices: dict[str, Any], usage: dict[str, int] | None = None) -> None:
        """Send one frame."""
        data = {
            "id": "chat-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": NAME,
            "choices": list(choices),
        }
        if usage is not None:
            data["usage"] = usage
        await self.raw(f"data: {json.dumps(data)}\n\n")

    async def raw(self, text: str) -> None:
        """Send anything."""
        self.write(text)
        await self.flush()

    async def end(self, reason: str = "stop", usage: dict[str, int] | None = None) -> None:
        """End the answer as a server should."""
        await self.frame({"index": 0, "delta": {}, "finish_reason": reason})
        if usage is not None:
            await self.frame(usage=usage)
        await self.raw("data: [DONE]\n\n")


# ---------------------------------------------------------------- replies


def says(text: str, *, reason: str = "stop", usage: tuple[int, int] | None = (10, 5)) -> Reply:
    """Answer well, in a few pieces."""

    async def reply(chat: Chat) -> None:
        await chat.begin()
        size = max(1, len(text) // 4)
        for at in range(0, len(text), size):
            await chat.send(text[at : at + size])
        counted = None
        if usage is not None:
            counted = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": 0}
        await chat.end(reason, counted)

    return reply


def says_json(value: Any) -> Reply:
    """Answer with JSON."""
    return says(json.dumps(value, ensure_ascii=False))


def says_at_once(text: str) -> Reply:
    """Answer without a stream although one was asked for."""

    async def reply(chat: Chat) -> None:
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        chat.finish({"id": "1", "object": "chat.completion", "model": NAME, "choices": [choice]})

    return reply


def refuses(status: int, message: str = "no", **more: Any) -> Reply:
    """Answer with an error."""

    async def reply(chat: Chat) -> None:
        chat.set_status(status)
        chat.finish({"error": {"message": message, "type": "error", **more}})

    return reply


def is_silent() -> Reply:
    """Take the question and never answer."""

    async def reply(chat: Chat) -> None:
        await chat.seen.gone.wait()

    return reply


def waits_for(gate: asyncio.Event, then: Reply) -> Reply:
    """Answer once ``gate`` is open."""

    async def reply(chat: Chat) -> None:
        await gate.wait()
        await then(chat)

    return reply


def breaks_off(text: str) -> Reply:
    """Stop in the middle, without saying that it is the end."""

    async def reply(chat: Chat) -> None:
        await chat.begin()
        await chat.send(text)
        chat.finish()

    return reply


def hangs_up(text: str) -> Reply:
    """Close the connection in the middle."""

    async def reply(chat: Chat) -> None:
        await chat.begin()
        await chat.send(text)
        chat.detach().close()

    return reply


def writes(text: str, content_type: str = "text/event-stream") -> Reply:
    """Answer with anything."""

    async def reply(chat: Chat) -> None:
        chat.set_header("Content-Type", content_type)
        chat.finish(text)

    return reply


def never_ends(piece: str) -> Reply:
    """Go on and on until whoever asked has gone."""

    async def reply(chat: Chat) -> None:
        await chat.begin()
        while not chat.seen.gone.is_set():
            await chat.send(piece)

    return reply


def drips(text: str, pause: float) -> Reply:
    """Answer a character at a time."""

    async def reply(chat: Chat) -> None:
        await chat.begin()
        for character in text:
            await chat.send(character)
            await asyncio.sleep(pause)
        await chat.end()

    return reply


def understands_only(*, without: tuple[str, ...], then: Reply, status: int = 400) -> Reply:
    """Refuse requests that have certain parameters, as old servers do."""

    async def reply(chat: Chat) -> None:
        for name in without:
            key, _, kind = name.partition("=")
            value = chat.seen.body.get(key)
            if value is None or (kind and value.get("type") != kind):
                continue
            chat.set_status(status)
            chat.finish({"error": {"message": f"Unsupported parameter: '{key}'", "type": "x"}})
            return
        await then(chat)

    return reply


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=8899)
    parser.add_argument("--answer", default="```python\nprint('hello')\n```\n")
    options = parser.parse_args()
    fake = FakeModel(options.port)
    fake.reply(says(options.answer))
    print(f"OPENAI_BASE_URL={fake.url}")
    await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
