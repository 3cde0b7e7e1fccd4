"""Everybody × every way into the live server, on both databases.

The number of cells and their verdicts are printed (``pytest -s``) and kept in the report of the
run (``--junitxml``).
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable

import pytest
from tornado.web import HTTPError, RequestHandler
from tornado.websocket import WebSocketClientConnection, WebSocketHandler

from jupyter_collab_ai.access.gate import Admission, Gate, Route
from jupyter_collab_ai.access.routes import name_of
from tests.attack.conftest import ACCOUNTS, EVERYBODY, MARK, NOBODIES, Live
from tests.attack.routes import THROUGH, Cell, cells_of, leaves

#: Requests that are made at a time.
ABREAST = 8

Report = Callable[[str, object], None]


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Let the gate decide, and answer for everything behind it: nothing is really done.

    Returns what was asked of the gate: handlers and methods.
    """
    asked: list[tuple[str, str]] = []
    admit = Gate.admit

    async def admit_and_stop(self: Gate, handler: RequestHandler, route: Route) -> Admission | None:
        asked.append((name_of(route.handler), handler.request.method or ""))
        admission = await admit(self, handler, route)
        if not handler._finished:
            raise HTTPError(THROUGH)
        return admission

    monkeypatch.setattr(Gate, "admit", admit_and_stop)
    return asked


async def sweep(
    live: Live, asked: list[tuple[str, str]], chosen: list[tuple[Cell, str]]
) -> Counter[int]:
    """Make the requests; returns how often each verdict came."""
    verdicts: Counter[int] = Counter()
    wrong: list[str] = []
    abreast = asyncio.Semaphore(ABREAST)

    async def one(cell: Cell, who: str) -> None:
        async with abreast:
            body = None if cell.method in ("GET", "HEAD", "OPTIONS", "DELETE") else cell.body
            answer = await live(who, cell.method, cell.url, body)
        verdicts[answer.status] += 1
        if answer.status != cell.expected(who):
            wrong.append(f"{who}: {cell}: {answer.status}, not {cell.expected(who)}")

    await asyncio.gather(*(one(cell, who) for cell, who in chosen))
    assert wrong == [], f"{len(wrong)} of {len(chosen)}: {'; '.join(wrong[:20])}"
    # Each request has been to the handler that it was meant for. (Not those that Tornado refuses:
    # for a method that the handler lacks, or as they bring no XSRF token.)
    meant = {
        (cell.handler, cell.method)
        for cell, who in chosen
        if cell.expected(who) != 405 and not cell.foreign
    }
    assert meant - set(asked) == set()
    return verdicts


def report(record: Report, database: str, name: str, verdicts: Counter[int]) -> None:
    """Tell the size of a matrix and what came of it."""
    told = ", ".join(
        f"{'through' if status == THROUGH else status}: {count}"
        for status, count in sorted(verdicts.items())
    )
    print(f"\n{name} on {database}: {verdicts.total()} cells ({told})")
    record(f"matrix of {name} on {database}", f"{verdicts.total()} cells: {told}")


async def test_every_route_and_method(
    live: Live,
    probe: list[tuple[str, str]],
    database_backend: str,
    record_testsuite_property: Report,
) -> None:
    """A sample: each cell by one person, so that each person is tried at a tenth of them."""
    cells = cells_of(live, live.extension._gate)
    chosen = [(cell, EVERYBODY[at % len(EVERYBODY)]) for at, cell in enumerate(cells)]
    verdicts = await sweep(live, probe, chosen)
    report(record_testsuite_property, database_backend, "routes (sample)", verdicts)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_every_route_and_method_for_everybody(
    live: Live,
    probe: list[tuple[str, str]],
    database_backend: str,
    record_testsuite_property: Report,
) -> None:
    cells = cells_of(live, live.extension._gate)
    chosen = [(cell, who) for cell in cells for who in EVERYBODY]
    verdicts = await sweep(live, probe, chosen)
    report(record_testsuite_property, database_backend, "routes", verdicts)


async def test_no_route_is_left_out(live: Live) -> None:
    cells = cells_of(live, live.extension._gate)
    patterns = {pattern for pattern, _ in leaves(live.app.web_app.default_router)}
    tried = {cell.pattern for cell in cells}
    # What is left is where a browser looks by itself.
    assert [
        each for each in patterns - tried if "robots" not in each and "favicon" not in each
    ] == []
    for cell in cells:
        path = cell.url.partition("?")[0]
        assert re.fullmatch(cell.pattern, live.base + path), cell


# ---------------------------------------------------------------- WebSockets


async def test_every_websocket_for_everybody(
    live: Live, database_backend: str, record_testsuite_property: Report
) -> None:
    cells = [
        cell
        for cell in cells_of(live, live.extension._gate)
        if cell.method == "GET" and cell.handler in SOCKETS
    ]
    assert {cell.handler for cell in cells} == set(SOCKETS), "a WebSocket that nobody knows"
    sockets = {
        name_of(live.extension._gate.route_of(handler).handler)
        for _, handler in leaves(live.app.web_app.default_router)
        if issubclass(handler, WebSocketHandler)
    }
    assert sockets == set(SOCKETS)
    verdicts: Counter[int] = Counter()
    wrong = []
    for cell in cells:
        for who in EVERYBODY:
            url = live.ws() if cell.handler == OWN else cell.url
            got = await verdict_of(live, who, url)
            wanted = expected(cell, who)
            verdicts[got] += 1
            if got != wanted:
                wrong.append(f"{who}: {cell}: {got}, not {wanted}")
            # A page of another site is refused, whoever's cookie or token it brings.
            foreign = await live.shake_hands(who, url, Origin="http://evil.example")
            verdicts[foreign if isinstance(foreign, int) else 101] += 1
            if foreign not in (401, 403):
                wrong.append(f"{who}: {cell}: {foreign} from another site")
    assert wrong == [], "; ".join(wrong)
    report(record_testsuite_property, database_backend, "handshakes", verdicts)


OWN = "jupyter_collab_ai.rooms.sockets.SessionSocket"
SOCKETS = (
    OWN,
    "jupyter_collab_ai.rooms.jupyterlab.RoomSocket",
    "jupyter_lsp.handlers.LanguageServerWebSocketHandler",
    "jupyter_server_terminals.handlers.TermSocket",
    "jupyter_server.services.kernels.websocket.KernelWebsocketHandler",
    "jupyter_server.services.events.handlers.SubscribeWebsocket",
)
#: What an admin is told who comes through to where nothing runs.
NOTHING_THERE = {
    "jupyter_server_terminals.handlers.TermSocket": 404,
    "jupyter_server.services.kernels.websocket.KernelWebsocketHandler": 404,
}


def expected(cell: Cell, who: str) -> int:
    """Return the status, or the close code where the handshake is accepted and refused then."""
    if cell.handler == OWN:
        if who in NOBODIES:
            return 4401
        return 101 if who in ("admin", "owner", "editor", "viewer") else 4404
    status = cell.expected(who)
    return NOTHING_THERE.get(cell.handler, 101) if status == THROUGH else status


async def verdict_of(live: Live, who: str, url: str) -> int:
    """Return 101 where somebody comes in and stays, else how they are refused."""
    socket = await live.shake_hands(who, url)
    if not isinstance(socket, WebSocketClientConnection):
        return socket
    try:
        async with asyncio.timeout(5):
            first = await socket.read_message()
    except TimeoutError:
        return 101  # it says nothing of its own accord
    if first is None:
        return int(socket.close_code or 0)
    socket.close()
    return 101


# ---------------------------------------------------------------- what only really doing it shows


async def test_what_lets_itself_be_read_breaks_nothing(live: Live) -> None:
    """Each GET that the table allows, really made: no way in answers with an error of its own."""
    cells = [
        cell
        for cell in cells_of(live, live.extension._gate)
        if cell.method in ("GET", "HEAD") and cell.handler not in SOCKETS and cell.implemented
    ]
    wrong = []
    for at, cell in enumerate(cells):
        if any(part in cell.url for part in ENDLESS) or (cell.method, cell.handler) in FAULTY:
            continue
        who = ACCOUNTS[at % len(ACCOUNTS)]
        answer = await live(who, cell.method, cell.url)
        if answer.status >= 500:
            wrong.append(f"{who}: {cell}: {answer.status}")
        if who != "admin" and str(live.root).encode() in answer.body:
            wrong.append(f"{who}: {cell}: tells a folder of the server's disk")
        if who not in ("admin", "owner") and MARK.encode() in answer.body:
            wrong.append(f"{who}: {cell}: tells what is nobody's business")
    assert wrong == [], "; ".join(wrong)


#: Upstream's own faults, which nobody gains anything by.
FAULTY = {("HEAD", "jupyter_server.services.api.handlers.APISpecHandler")}
#: Do not end, or ask the network.
ENDLESS = ("/events", "api/update", "api/news", "lab/api/extensions")
