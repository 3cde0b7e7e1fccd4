"""A model server that speaks OpenAI's chat protocol and says what the walkthrough tells it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

NAME = "walkthrough-1"

#: Given the request, returns what the model says.
Answerer = Callable[[dict[str, Any]], str]


class ModelServer:
    """Answers with :attr:`answer`, once :attr:`gate` is open."""

    def __init__(self, port: int = 0) -> None:
        """Listen on ``port`` of the loopback address; 0 takes a free one."""
        self.answer: Answerer = lambda _: ""
        self.broken = False
        #: Closed, it keeps a request waiting after the first word of its answer.
        self.gate = asyncio.Event()
        self.gate.set()
        #: Set while a request is being answered.
        self.asked = asyncio.Event()
        self.requests: list[dict[str, Any]] = []
        rules = [("/v1/models", _Models), ("/v1/chat/completions", _Chat, {"model": self})]
        self._server = HTTPServer(Application(rules))
        sockets = bind_sockets(port, "127.0.0.1")
        self.url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/v1"
        self._server.add_sockets(sockets)

    async def close(self) -> None:
        """Stop answering."""
        self.gate.set()
        self._server.stop()
        await self._server.close_all_connections()


class _Models(RequestHandler):
    def get(self) -> None:
        self.write({"object": "list", "data": [{"id": NAME, "object": "model", "owned_by": "us"}]})


class _Chat(RequestHandler):
    def initialize(self, model: ModelServer) -> None:
        self.model = model

    async def post(self) -> None:
        request = json.loads(self.request.body)
        self.model.requests.append(request)
        self.model.asked.set()
        if self.model.broken:
            self.set_status(500)
            self.finish({"error": {"message": "out of order", "type": "server_error"}})
            return
        answer = self.model.answer(request)
        usage = {"prompt_tokens": 100, "completion_tokens": len(answer) // 4 + 1}
        usage["total_tokens"] = sum(usage.values())
        try:
            if request.get("stream"):
                await self._stream(answer, usage)
                return
            await self.model.gate.wait()
            message = {"role": "assistant", "content": answer}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self.finish(self._frame("chat.completion", choice) | {"usage": usage})
        except StreamClosedError:
            return  # whoever asked has gone

    async def _stream(self, answer: str, usage: dict[str, int]) -> None:
        self.set_header("Content-Type", "text/event-stream")
        half = len(answer) // 2
        await self._send({"role": "assistant", "content": answer[:half]})
        await self.model.gate.wait()
        await self._send({"content": answer[half:]})
        await self._send({}, "stop")
        last = self._frame("chat.completion.chunk") | {"usage": usage}
        self.write(f"data: {json.dumps(last)}\n\ndata: [DONE]\n\n")
        self.finish()

    async def _send(self, delta: dict[str, str], reason: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        frame = self._frame("chat.completion.chunk", choice)
        self.write(f"data: {json.dumps(frame)}\n\n")
        await self.flush()

    def _frame(self, kind: str, *choices: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": f"chat-{len(self.model.requests)}",
            "object": kind,
            "created": int(time.time()),
            "model": NAME,
            "choices": list(choices),
        }
