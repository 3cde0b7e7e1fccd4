"""Handshakes that are refused leave nothing behind, however many there are.

Upstream builds a room for each before it knows who is asking: 1,500 of them cost 84 MiB for good.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from tests.blackbox.client import Api, Person
from tests.rooms.engine import until
from tests.support.server import LabServer, ServerFactory

#: Handshakes at a time.
ABREAST = 16
#: Kibibytes by which the server may have grown: what an allocator keeps, far below what one room
#: for each handshake takes.
SLACK = 24 * 1024


def memory(server: LabServer) -> int:
    """Return the kibibytes of memory that the server's process has."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])


def gauge(api: Api, name: str) -> float:
    """Return a number of the server's metrics; all its labels together."""
    shown = api.admin().jupyter("GET", "metrics").body.decode()
    values = re.findall(rf"^{name}(?:{{[^}}]*}})? ([\d.e+-]+)$", shown, re.MULTILINE)
    return sum(float(value) for value in values)


#: Where somebody knocks, what they send, and how they are refused.
Door = tuple[str, dict[str, str], int]


def doors(api: Api, ada: Person, eve: Person, session: dict[str, Any]) -> list[Door]:
    """Return the ways in which somebody may be refused at either endpoint."""
    base = api.server.ws_url
    room = ada.labs_socket_of(session["path"])
    mine = {"Authorization": f"Bearer {eve.token}"}
    good = {"Authorization": f"Bearer {ada.token}"}
    forged = {"Authorization": f"Bearer {ada.token[:-6]}AAAAAA"}
    return [
        (ada.socket_of(session), {}, 4401),
        (ada.socket_of(session), forged, 4401),
        (ada.socket_of(session), mine, 4404),
        (f"{base}collab-ai/ws/made-up-{{number}}", mine, 4404),
        (ada.socket_of(session), {**good, "Origin": "http://evil.example"}, 403),
        (room, {}, 401),
        (room, forged, 401),
        (room, mine, 404),
        (f"{base}api/collaboration/room/made-up-{{number}}", {}, 401),
        (f"{base}api/collaboration/room/text:file:made-up-{{number}}", mine, 404),
        (f"{base}api/collaboration/room/json:notebook:{{number}}", mine, 404),
        (room, {**good, "Origin": "http://evil.example"}, 403),
    ]


async def knock(url: str, headers: dict[str, str]) -> int:
    """Shake hands; returns the status or the close code."""
    try:
        socket = await websocket_connect(HTTPRequest(url, headers=headers, request_timeout=30))
    except HTTPClientError as error:
        return int(error.code)
    while await socket.read_message() is not None:
        pass
    return int(socket.close_code or 0)


async def storm(places: list[Door], count: int) -> Counter[int]:
    """Knock so often, by turns at each door; returns how it ended."""
    numbers: Iterator[int] = itertools.count()
    verdicts: Counter[int] = Counter()

    async def one_after_the_other() -> None:
        while (number := next(numbers)) < count:
            url, headers, wanted = places[number % len(places)]
            got = await knock(url.format(number=number), headers)
            verdicts[got] += 1
            assert got == wanted, (url, got, wanted)

    await asyncio.gather(*(one_after_the_other() for _ in range(ABREAST)))
    return verdicts


@pytest.fixture
def quiet_server(collab_server: ServerFactory) -> LabServer:
    """A server on which nothing else goes on."""
    return collab_server(args=("--CollabAI.room_idle_seconds=1", "--ServerApp.log_level=ERROR"))


async def knocked(server: LabServer, count: int, record: Callable[[str, object], None]) -> None:
    api = Api(server)
    ada, eve = api.register("ada"), api.register("eve")
    session = ada.share()
    places = doors(api, ada, eve, session)
    # What is made once for all is made before it is measured.
    await storm(places, 120)
    rooms, connections = gauge(api, "collab_ai_rooms"), gauge(api, "collab_ai_connections")
    refusals = gauge(api, "collab_ai_refusals_total")
    before = memory(server)
    verdicts = await storm(places, count)
    after = memory(server)
    told = ", ".join(f"{code}: {many}" for code, many in sorted(verdicts.items()))
    print(f"\n{count} handshakes refused ({told}); {(after - before) / 1024:+.1f} MiB")
    record(f"{count} refused handshakes", f"{told}; {(after - before) / 1024:+.1f} MiB")
    assert gauge(api, "collab_ai_rooms") == rooms == 0
    await until(lambda: gauge(api, "collab_ai_connections") == connections)
    assert gauge(api, "collab_ai_refusals_total") >= refusals + count
    assert after - before < SLACK
    # Whoever may come in still does, and an idle room is freed.
    assert await arrives(ada, session)
    await until(lambda: gauge(api, "collab_ai_rooms") == 0, "the idle room to be freed", within=20)


async def arrives(person: Person, session: dict[str, Any]) -> bool:
    """Return whether somebody is let in and shown the document."""
    headers = {"Authorization": f"Bearer {person.token}"}
    socket = await websocket_connect(HTTPRequest(person.socket_of(session), headers=headers))
    first = await socket.read_message()
    socket.close()
    while await socket.read_message() is not None:
        pass
    return isinstance(first, bytes)


async def test_refused_handshakes_leave_nothing(
    quiet_server: LabServer, record_testsuite_property: Callable[[str, object], None]
) -> None:
    await knocked(quiet_server, 600, record_testsuite_property)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_ten_thousand_refused_handshakes_leave_nothing(
    quiet_server: LabServer, record_testsuite_property: Callable[[str, object], None]
) -> None:
    await knocked(quiet_server, 10_000, record_testsuite_property)
