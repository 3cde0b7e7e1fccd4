"""What all steps of the walkthrough share."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from .clients import JavaScript, LiveClient, PycrdtClient, YWebsocketClient
from .console import check
from .curl import Answer, Curl
from .model import ModelServer
from .server import Server

#: The files that people share.
DATA = Path(__file__).parent.parent / "data"


@dataclass
class Person:
    """Someone with an account."""

    username: str
    display_name: str
    password: str
    token: str = ""
    refresh_token: str = ""


@dataclass
class World:
    """The server, the people, and what they have made so far."""

    server: Server
    curl: Curl
    javascript: JavaScript
    model: ModelServer
    ada: Person = field(
        default_factory=lambda: Person("ada", "Ada L.", "correct horse battery staple")
    )
    ben: Person = field(default_factory=lambda: Person("ben", "Ben", "tr0ub4dor & friends"))
    cleo: Person = field(default_factory=lambda: Person("cleo", "Cléo", "日本語のパスワード"))
    #: The session of ``inventory.py``, and that of ``sales.ipynb``.
    inventory: dict[str, Any] = field(default_factory=dict)
    sales: dict[str, Any] = field(default_factory=dict)
    _open: list[LiveClient] = field(default_factory=list)

    @property
    def people(self) -> tuple[Person, Person, Person]:
        """Everybody."""
        return self.ada, self.ben, self.cleo

    async def api(self, person: Person, method: str, path: str, **options: Any) -> Answer:
        """Make a call as ``person``."""
        return await self.curl.api(method, path, token=person.token, **options)

    # ------------------------------------------------------------ live documents

    def socket_of(self, session: dict[str, Any], **query: str) -> str:
        """Return the URL of this package's own WebSocket."""
        url = f"{self.server.ws_url}collab-ai/ws/{session['id']}"
        return f"{url}?{urlencode(query)}" if query else url

    async def labs_socket_of(self, person: Person, session: dict[str, Any]) -> str:
        """Return the URL of JupyterLab's room, asked for as JupyterLab does."""
        notebook = session["type"] == "notebook"
        body = {"format": "json", "type": "notebook"} if notebook else {}
        answer = await self.curl.call(
            "PUT",
            f"api/collaboration/session/{quote(session['path'])}",
            token=person.token,
            body=body or {"format": "text", "type": "file"},
            expect=(200, 201),
        )
        room = answer.json
        name = f"{room['format']}:{room['type']}:{room['fileId']}"
        query = urlencode({"sessionId": room["sessionId"]})
        return f"{self.server.ws_url}api/collaboration/room/{name}?{query}"

    async def in_python(self, person: Person, url: str, **options: Any) -> PycrdtClient:
        """Open a document with pycrdt."""
        client = PycrdtClient(f"{person.username} (pycrdt)", **options)
        self._open.append(client)
        return await client.connect(url, person.token)

    async def in_node(self, person: Person, url: str, **options: Any) -> YWebsocketClient:
        """Open a document with yjs and y-websocket."""
        client = YWebsocketClient(f"{person.username} (y-websocket)", self.javascript)
        self._open.append(client)
        return await client.connect(url, person.token, **options)

    @contextlib.asynccontextmanager
    async def closing(self) -> AsyncIterator[None]:
        """Close at the end whatever was opened in the block."""
        before = len(self._open)
        try:
            yield
        finally:
            while len(self._open) > before:
                await self._open.pop().close()

    async def on_disk(self, session: dict[str, Any], text: str, client: LiveClient) -> None:
        """Check that ``text`` reaches the file within the five seconds that it may take."""
        file = self.server.root / session["path"]
        await client.until(lambda: text in file.read_text(encoding="utf-8"), "the file", 5.5)
        check(True, f"the file on disk follows: {text.strip()[:60]!r}")
