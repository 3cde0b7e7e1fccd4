"""Hostile frames on both WebSockets, while two good clients type on and stay alike.

The seed is in the name of the test; ``COLLAB_AI_FUZZ_SEED`` gives another.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClosedError, websocket_connect

from tests.attack.frames import Fuzzer
from tests.attack.test_handshakes import memory
from tests.blackbox.client import Api, Person
from tests.rooms.engine import until
from tests.rooms.net import NetClient
from tests.support.server import LabServer, ServerFactory

SEED = int(os.environ.get("COLLAB_AI_FUZZ_SEED", "20"))
#: Bytes that a message may have on this server.
LIMIT = 256 * 1024
#: Kibibytes by which it may grow meanwhile, what the good clients type included: thousands of
#: letters by turns are thousands of pieces of the document.
SLACK = 320 * 1024
#: What a viewer types, which nobody may ever see.
UNSEEN = "UNSEEN"


@pytest.fixture
def server(collab_server: ServerFactory) -> LabServer:
    return collab_server(args=(f"--CollabAI.max_message_size={LIMIT}",))


async def typing(client: NetClient, letter: str, stop: asyncio.Event) -> int:
    """Type until it is over; returns how much."""
    count = 0
    while not stop.is_set():
        client.text.insert(0, letter)
        count += 1
        await asyncio.sleep(0.01)
    return count


async def attack(
    person: Person,
    url: str,
    witness: NetClient,
    others: list[int],
    word: str,
    kinds: tuple[str, ...] | None,
    count: int,
    seed: int,
) -> Counter[str]:
    """Send so many frames, connecting again whenever the server hangs up; tells the ends."""
    ends: Counter[str] = Counter()
    socket = None
    headers = {"Authorization": f"Bearer {person.token}"}
    fuzzer = Fuzzer(seed, witness.doc, word, others, LIMIT)
    chosen = kinds or fuzzer.kinds
    for number in range(count):
        frame = fuzzer.frame(chosen[number % len(chosen)])
        for _ in range(2):
            if socket is None:
                socket = await websocket_connect(HTTPRequest(url, headers=headers))
            try:
                await socket.write_message(frame, binary=isinstance(frame, bytes))
                break
            except WebSocketClosedError:
                ends[str(socket.close_code)] += 1
                socket = None
        # Read what there is, so that the server is never waiting for us.
        while socket is not None:
            try:
                async with asyncio.timeout(0.002):
                    if await socket.read_message() is None:
                        ends[str(socket.close_code)] += 1
                        socket = None
            except TimeoutError:
                break
    if socket is not None:
        socket.close()
    return ends


async def fuzz(server: LabServer, count: int, record: Callable[[str, object], None]) -> None:
    api = Api(server)
    ada, ben, vic, dan = (api.register(name) for name in ("ada", "ben", "vic", "dan"))
    session: dict[str, Any] = ada.share(content="# start\n")
    for person, role in ((ben, "editor"), (vic, "viewer"), (dan, "editor")):
        ada.add(session, person, role)
    hers = await NetClient.connect(ada.socket_of(session), ada.token)
    his = await NetClient.connect(ben.labs_socket_of(session["path"]), ben.token)
    hers.type("a")
    his.type("b")
    others = [hers.doc.client_id, his.doc.client_id]
    stop = asyncio.Event()
    typists = [
        asyncio.create_task(typing(client, letter, stop))
        for client, letter in ((hers, "A"), (his, "B"))
    ]
    await attack(vic, vic.socket_of(session), hers, others, UNSEEN, None, 60, SEED + 99)
    before, started = memory(server), time.monotonic()
    # An editor may write, so of what it sends only what can't be its own has to be refused.
    unfounded = ("under another's id", "cut off", "text", "oversized", "presence of others")
    here, labs = ada.socket_of(session), vic.labs_socket_of(session["path"])
    ends = await asyncio.gather(
        attack(vic, here, hers, others, UNSEEN, None, count, SEED),
        attack(vic, labs, hers, others, UNSEEN, None, count, SEED + 1),
        attack(dan, here, hers, others, UNSEEN, unfounded, count, SEED + 2),
        attack(dan, labs, hers, others, "dan", None, count, SEED + 3),
    )
    took = time.monotonic() - started
    stop.set()
    typed = [await typist for typist in typists]
    # Alike: the two, somebody who comes anew, and the file.
    await until(lambda: str(hers.text) == str(his.text), "the two to be alike", within=30)
    late = await NetClient.connect(ada.socket_of(session), ada.token)
    await until(lambda: str(late.text) == str(hers.text), "a third to be alike", within=30)
    file = server.root / session["path"]
    await until(lambda: file.read_text() == str(hers.text), "the file to follow", within=30)
    text = str(hers.text)
    assert UNSEEN not in text
    assert not hers.closed
    assert not his.closed
    assert min(typed) > 20
    told = dict(sum(ends, Counter[str]()))
    grown = (memory(server) - before) / 1024
    summary = f"{4 * count} frames in {took:.0f} s, ends {told}, {grown:+.1f} MiB"
    print(f"\n{summary}; meanwhile {sum(typed)} letters of others")
    record(f"fuzzing with seed {SEED}", summary)
    assert "Traceback" not in server.log, server.log[-4000:]
    assert grown * 1024 < SLACK
    for client in (hers, his, late):
        await client.close()


@pytest.mark.timeout(300)
async def test_hostile_frames_harm_nobody(
    server: LabServer, record_testsuite_property: Callable[[str, object], None]
) -> None:
    await fuzz(server, 300, record_testsuite_property)


@pytest.mark.slow
@pytest.mark.timeout(1800)
async def test_many_hostile_frames_harm_nobody(
    server: LabServer, record_testsuite_property: Callable[[str, object], None]
) -> None:
    await fuzz(server, 4000, record_testsuite_property)
