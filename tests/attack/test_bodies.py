"""Bodies that are too large are refused before they are read, whoever sends them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing

import pytest

from jupyter_collab_ai.access.bodies import MOST_OF_STRANGERS
from tests.attack.test_handshakes import SLACK, memory
from tests.blackbox.client import Api
from tests.support.server import LabServer, ServerFactory

HUGE = 400 * 1024 * 1024
CONTENTS = "api/contents/users/ada/large.txt"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    factory = ServerFactory(tmp_path_factory.mktemp("bodies"))
    yield Api(factory())
    factory.close()


def begin(
    server: LabServer, method: str, path: str, headers: Mapping[str, object]
) -> socket.socket:
    """Send the head of a request."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    lines = [f"{method} /{path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


def status_of(connection: socket.socket) -> tuple[int, bytes]:
    """Return the status of the next answer, and its body."""
    file = connection.makefile("rb")
    status = int(file.readline().split()[1])
    length = 0
    for line in iter(file.readline, b"\r\n"):
        if not line:
            return status, b""
        name, _, value = line.decode().partition(":")
        if name.lower() == "content-length":
            length = int(value)
    return status, file.read(length)


def strangers(api: Api) -> dict[str, dict[str, str]]:
    """Return what people send who are not signed in."""
    ada = api.register("ada")
    cookie = f"collab-ai-127-0-0-1-{api.server.port}"
    return {
        "nothing": {},
        "a forged token": {"Authorization": f"Bearer {ada.token[:-6]}AAAAAA"},
        "a wrong token of Jupyter's": {"Authorization": "token wrong"},
        "another scheme": {"Authorization": f"Basic {ada.token}"},
        "a forged cookie": {"Cookie": f"{cookie}={ada.token[:-6]}AAAAAA"},
        "an access token as a cookie": {"Cookie": f"{cookie}={ada.token}"},
        "other cookies": {"Cookie": "_xsrf=1; session=2"},
    }


def test_a_stranger_sends_nothing_large(api: Api) -> None:
    for who, headers in strangers(api).items():
        for method, path in (("PUT", CONTENTS), ("POST", "collab-ai/sessions"), ("POST", "login")):
            length = {"Content-Length": HUGE}
            with closing(begin(api.server, method, path, {**headers, **length})) as connection:
                status, body = status_of(connection)
                assert status == 413, (who, path)
                if path != "login":
                    assert json.loads(body)["reason"] == "request_too_large", (who, path)


def test_what_is_sent_all_the_same_is_not_kept(api: Api) -> None:
    """Up to some size a client that reads no answer before it has sent all hears why."""
    before = memory(api.server)
    with closing(begin(api.server, "PUT", CONTENTS, {"Content-Length": 60 * 2**20})) as connection:
        for _ in range(60):
            connection.sendall(bytes(2**20))
        assert memory(api.server) - before < SLACK
        assert status_of(connection)[0] == 413
        # The connection is as good as before.
        connection.sendall(b"GET /collab-ai/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert status_of(connection)[0] == 200


def test_beyond_that_the_connection_ends(api: Api) -> None:
    before = memory(api.server)
    with closing(begin(api.server, "PUT", CONTENTS, {"Content-Length": HUGE})) as connection:
        with pytest.raises(ConnectionError):
            for _ in range(HUGE // 2**20):
                connection.sendall(bytes(2**20))
        assert memory(api.server) - before < SLACK


@pytest.mark.parametrize("length", ["", "Content-Length: 5, 5000000000", "Content-Length: -1"])
def test_a_body_of_unknown_length_ends_at_the_limit(api: Api, length: str) -> None:
    name, _, value = (length or "Transfer-Encoding: chunked").partition(": ")
    with closing(begin(api.server, "PUT", CONTENTS, {name: value})) as connection:
        chunk = b"10000\r\n" + bytes(2**16) + b"\r\n"
        sent = 0
        try:
            while sent < 64 * MOST_OF_STRANGERS:
                connection.sendall(chunk)
                sent += len(chunk)
            status, _ = status_of(connection)
        except (ConnectionError, IndexError):
            status = 400
        assert status == 400
        # What the kernel holds for both sides comes on top.
        assert sent < 16 * MOST_OF_STRANGERS


def test_a_call_that_says_what_it_takes_gets_no_more(api: Api) -> None:
    ben = api.register("ben")
    headers = {"Authorization": f"Bearer {ben.token}", "Content-Length": HUGE}
    with closing(begin(api.server, "POST", "collab-ai/ai/code-debugger", headers)) as connection:
        status, body = status_of(connection)
    assert status == 413
    assert "send less" in json.loads(body)["message"]


def test_who_is_signed_in_uploads(api: Api) -> None:
    cleo = api.register("cleo")
    text = "x" * (3 * MOST_OF_STRANGERS)
    body = {"type": "file", "format": "text", "content": text}
    path = f"users/{cleo.username}/large.txt"
    assert cleo.jupyter("PUT", f"api/contents/{path}", body=body).status == 201
    assert (api.server.root / path).read_text() == text
