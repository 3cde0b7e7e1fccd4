"""``kill -9`` while three people type: what was acknowledged or seen is there, once (D11)."""

from __future__ import annotations

import asyncio
import re

import pytest

from examples.story.clients import PycrdtClient
from tests.blackbox.client import Api, Person
from tests.support.server import ServerFactory

#: How often the server is killed, and how much is acknowledged to each person before.
KILLS = 2
MARKS = 40


@pytest.mark.slow
async def test_three_people_type_while_the_server_is_killed(
    collab_server: ServerFactory, database_url: str
) -> None:
    server = await asyncio.to_thread(collab_server, database_url=database_url)
    api = Api(server)
    people = [await asyncio.to_thread(api.register, name) for name in ("ada", "ben", "cleo")]
    session = people[0].share(content="# start\n")
    for person in people[1:]:
        people[0].add(session, person, "editor")
    url = people[0].socket_of(session, ack="1")
    clients = [await PycrdtClient(one.username).connect(url, one.token) for one in people]
    typed = [0, 0, 0]
    for _ in range(KILLS):
        before = list(typed)
        base = [client.sent for client in clients]
        tasks = [
            asyncio.create_task(_type(client, number, typed))
            for number, client in enumerate(clients)
        ]
        for client, sent in zip(clients, base, strict=True):
            await client.until(
                lambda client=client, sent=sent: client.acknowledged >= sent + MARKS,  # type: ignore[misc]
                "the marks to be recorded",
                60,
            )
        await asyncio.to_thread(server.kill)
        for task in tasks:
            task.cancel()
        for client in clients:
            await client.until(lambda client=client: client.close_code is not None, "the end")  # type: ignore[misc]
        recorded = [
            first + client.acknowledged - sent
            for first, client, sent in zip(before, clients, base, strict=True)
        ]
        seen = [_marks(client.text) for client in clients]
        await asyncio.to_thread(server.start)
        fresh = await PycrdtClient("fresh").connect(url, people[0].token)
        found = _marks(fresh.text)
        for number in range(3):
            of_others = {
                mark
                for other in range(3)
                if other != number
                for mark in seen[other]
                if mark[0] == number
            }
            acknowledged = {(number, count) for count in range(recorded[number])}
            assert acknowledged | of_others <= set(found), "nothing is lost"
        assert len(found) == len(set(found)), "nothing is doubled"
        clients = [
            await _again(client, person, url)
            for client, person in zip(clients, people, strict=True)
        ]
        every = {(number, count) for number in range(3) for count in range(typed[number])}
        for client in (*clients, fresh):
            await client.until(
                lambda client=client, every=every: set(_marks(client.text)) == every,  # type: ignore[misc]
                "all marks",
            )
            assert len(_marks(client.text)) == len(every)
        text = fresh.text
        assert all(client.text == text for client in clients)
        file = server.root / session["path"]
        await fresh.until(
            lambda file=file, text=text: file.read_text() == text,  # type: ignore[misc]
            "the file",
            10,
        )
        await fresh.close()
    for client in clients:
        await client.close()


async def _again(client: PycrdtClient, person: Person, url: str) -> PycrdtClient:
    await client.close()
    return await PycrdtClient(person.username, doc=client.doc).connect(url, person.token)


async def _type(client: PycrdtClient, number: int, typed: list[int]) -> None:
    while client.close_code is None:
        await client.insert(len(client.text), f"<{number}:{typed[number]}>")
        typed[number] += 1
        await asyncio.sleep(0.01)


def _marks(text: str) -> list[tuple[int, int]]:
    # Marks of two people at the same place never run into each other: each is one insertion.
    return [(int(who), int(count)) for who, count in re.findall(r"<(\d+):(\d+)>", text)]


@pytest.mark.slow
async def test_a_fork_that_is_not_merged_outlives_a_kill(
    collab_server: ServerFactory, database_url: str
) -> None:
    server = await asyncio.to_thread(collab_server, database_url=database_url)
    api = Api(server)
    ada, ben = [await asyncio.to_thread(api.register, name) for name in ("ada", "ben")]
    session = ada.share(content="# start\n")
    ada.add(session, ben, "editor")
    opened = ada.labs_socket_of(session["path"])
    room = opened.partition("api/collaboration/room/")[2].partition("?")[0]
    made = ada.jupyter(
        "PUT", f"api/collaboration/fork/{room}", body={"title": "An idea", "synchronize": True}
    ).json
    fork = f"{server.ws_url}api/collaboration/room/{made['fork_roomid']}"
    url = f"{fork}?ack=1&sessionId={made['sessionId']}"
    one = await PycrdtClient("ada").connect(url, ada.token)
    two = await PycrdtClient("ben").connect(url, ben.token)
    for client, text in ((one, "by ada\n"), (two, "by ben\n")):
        await client.insert(len(client.text), text)
        await client.sees(text)
        await client.until(
            lambda client=client: client.acknowledged == client.sent,  # type: ignore[misc]
            "the edit to be recorded",
        )
    await asyncio.to_thread(server.kill)
    for client in (one, two):
        await client.until(lambda client=client: client.close_code is not None, "the end")  # type: ignore[misc]
        await client.close()
    await asyncio.to_thread(server.start)
    listed = ben.jupyter("GET", f"api/collaboration/fork/{room}").json
    assert [info["title"] for info in listed.values()] == ["An idea"]
    # With the same Yjs document, as a page that has only lost its connection.
    again = await PycrdtClient("ada", doc=one.doc).connect(url, ada.token)
    await again.sees("by ben\n")
    await again.insert(0, "later\n")
    await again.until(lambda: again.acknowledged == again.sent, "the edit to be recorded")
    root = await PycrdtClient("ben").connect(ben.socket_of(session, ack="1"), ben.token)
    assert root.text == "# start\n"
    await root.insert(len(root.text), "meanwhile\n")
    await root.until(lambda: root.acknowledged == root.sent, "the edit to be recorded")
    merge = f"api/collaboration/fork/{made['fork_roomid']}?merge=true"
    answer = await asyncio.to_thread(ben.jupyter, "DELETE", merge)
    assert answer.status == 200, answer
    await root.sees("later\n")
    lines = ["# start", "by ada", "by ben", "later", "meanwhile"]
    assert sorted(root.text.splitlines()) == lines
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
    root = await PycrdtClient("ben").connect(ben.socket_of(session), ben.token)
    assert sorted(root.text.splitlines()) == lines
    assert (await asyncio.to_thread(ben.jupyter, "DELETE", merge)).status == 404
    await root.close()
