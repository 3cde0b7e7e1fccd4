"""A plain HTTP client and people with accounts, for tests that know the contract only."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from tests.blackbox import described
from tests.support.server import LabServer

_numbers = itertools.count(1)
_addresses = itertools.count(os.getpid() * 1000)

PASSWORD = "correct horse battery staple"

#: What every error has, and what some have besides.
ERROR_MEMBERS = {"message", "reason"}
MORE_MEMBERS = {"errors", "lock", "confirmation"}


@dataclass(frozen=True)
class Answer:
    """What the server answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    def ok(self, status: int = 200) -> Any:
        """Return the JSON of an answer that has to have ``status``; None where it has none."""
        assert self.status == status, f"{self.status} {self.body[:1000]!r}"
        return self.json if self.body else None

    def refused(self, status: int, reason: str) -> Any:
        """Return the JSON of an error, which has to be the contract's, whole and clean."""
        assert self.status == status, f"{self.status} {self.body[:1000]!r}"
        assert self.headers.get_content_type() == "application/json"
        error = self.json
        assert error["reason"] == reason, error
        assert error.keys() - MORE_MEMBERS == ERROR_MEMBERS, error
        assert error["message"].strip() == error["message"] != "", error
        assert error["message"].endswith((".", "!", "?")), error
        assert "Traceback" not in error["message"]
        if status == 401:
            assert self.headers["WWW-Authenticate"] == "Bearer"
        if status == 429:
            assert int(self.headers["Retry-After"]) >= 1
        for item in error.get("errors", ()):
            assert item.keys() == {"field", "message"}, error
        return error


def _own_address() -> str | None:
    """Return a loopback address that nobody used yet, as registrations are limited by address."""
    if not sys.platform.startswith("linux"):
        return None  # there only 127.0.0.1 is loopback without set-up
    number = next(_addresses)
    return f"127.{1 + number // 62_500 % 250}.{1 + number // 250 % 250}.{1 + number % 250}"


class Api:
    """Calls to one server; nothing is followed, kept or retried."""

    def __init__(self, server: LabServer) -> None:
        self.server = server

    def __call__(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: object = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        timeout: float = 30,
        source: str | None = None,
    ) -> Answer:
        """Make one of this package's own calls; ``path`` is what follows ``collab-ai/``."""
        return self.jupyter(
            method,
            f"collab-ai/{path}",
            token=token,
            body=body,
            raw=raw,
            headers=headers,
            query=query,
            timeout=timeout,
            source=source,
        )

    def jupyter(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: object = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        timeout: float = 30,
        source: str | None = None,
    ) -> Answer:
        """Make any call; ``path`` is what follows the base URL, ``source`` our own address."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(
            "127.0.0.1",
            self.server.port,
            timeout=timeout,
            source_address=(source, 0) if source else None,
        )
        try:
            target = f"/{path}" + (f"?{urlencode(query)}" if query else "")
            connection.request(method, target, raw, sent)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        # With `?token=` Jupyter's exchange for a cookie comes first, whatever the address.
        if path.startswith("collab-ai/") and "token" not in (query or {}):
            call = path.removeprefix("collab-ai/").partition("?")[0]
            kind = answer.headers.get_content_type()
            described.check(method, call, answer.status, kind, answer.body)
        return answer

    # ------------------------------------------------------------ people

    def register(self, name: str = "user", **more: Any) -> Person:
        """Make a new account, with a name that nobody has, and log it in."""
        username = f"{name}{next(_numbers)}.{os.getpid()}"
        body = {"username": username, "password": PASSWORD, **more}
        user = self("POST", "register", body=body, source=_own_address()).ok(201)
        return self.login(user["username"])

    def login(self, username: str, password: str = PASSWORD) -> Person:
        """Log an account in."""
        body = {"username": username, "password": password}
        return Person(self, self("POST", "login", body=body, source=_own_address()).ok())

    def admin(self) -> Person:
        """Return whoever holds Jupyter's token, who sends it as Jupyter's clients do."""
        return Person(self, {"access_token": self.server.token, "user": {}}, scheme="token")


class Person:
    """Someone who is logged in."""

    def __init__(self, api: Api, tokens: Mapping[str, Any], scheme: str = "Bearer") -> None:
        self.api = api
        self.tokens = dict(tokens)
        self._scheme = scheme
        self.token: str = tokens["access_token"]
        self.user: dict[str, Any] = tokens["user"]

    @property
    def username(self) -> str:
        """Their username."""
        return str(self.user["username"])

    def __call__(self, method: str, path: str, **options: Any) -> Answer:
        """Make one of this package's own calls as this person."""
        return self.jupyter(method, f"collab-ai/{path}", **options)

    def jupyter(self, method: str, path: str, **options: Any) -> Answer:
        """Make any call as this person."""
        headers = {**options.pop("headers", {}), "Authorization": f"{self._scheme} {self.token}"}
        return self.api.jupyter(method, path, headers=headers, **options)

    def share(self, name: str = "notes.py", content: str = "x = 1\n", **more: Any) -> Any:
        """Share a new file."""
        body = {"name": name, "content": content, **more}
        return self("POST", "sessions", body=body).ok(201)

    def add(self, session: Mapping[str, Any], person: Person, role: str) -> None:
        """Make ``person`` a member."""
        body = {"session_id": session["id"], "role": role, "username": person.username}
        self("POST", "sessions/invite", body=body).ok(201)

    def set_role(self, session: Mapping[str, Any], person: Person, role: str) -> Answer:
        """Change the role of a member."""
        body = {"session_id": session["id"], "role": role, "username": person.username}
        return self("PUT", "sessions/access", body=body)

    def link(self, session: Mapping[str, Any], role: str = "viewer", **more: Any) -> str:
        """Make an invitation, and return its secret."""
        body = {"session_id": session["id"], "role": role, **more}
        return secret_of(self("POST", "sessions/invite", body=body).ok(201)["url"])

    # ------------------------------------------------------------ live documents

    def socket_of(self, session: Mapping[str, Any], **query: str) -> str:
        """Return the URL of this package's own WebSocket."""
        url = f"{self.api.server.ws_url}collab-ai/ws/{session['id']}"
        return f"{url}?{urlencode(query)}" if query else url

    def labs_socket_of(self, path: str, kind: str = "file") -> str:
        """Return the URL of JupyterLab's room, asked for as JupyterLab does."""
        body = {"format": "json" if kind == "notebook" else "text", "type": kind}
        answer = self.jupyter("PUT", f"api/collaboration/session/{quote(path)}", body=body)
        assert answer.status in (200, 201), answer
        room = answer.json
        name = f"{room['format']}:{room['type']}:{room['fileId']}"
        query = urlencode({"sessionId": room["sessionId"]})
        return f"{self.api.server.ws_url}api/collaboration/room/{name}?{query}"


def secret_of(url: str) -> str:
    """Return the secret of an invitation's link."""
    parts = urlsplit(url)
    assert parts.path.endswith("/join")
    (secret,) = parse_qs(parts.query)["invitation"]
    assert set(parse_qs(parts.query)) == {"invitation"}
    return secret
