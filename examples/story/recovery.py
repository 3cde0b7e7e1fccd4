"""Step 6: what outlives the server."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from .clients import LiveClient, PycrdtClient
from .console import check, step, tell
from .world import World

#: How many marks are typed before the server is killed.
MARKS = 60


async def come_back(world: World) -> None:
    """Walk step 6."""
    step(6, "After kill -9, and four times opened")
    async with world.closing():
        await _killed(world)
    for session, label in ((world.inventory, "file"), (world.sales, "notebook")):
        await _four_times(world, session, label)


async def _people_and_roles(world: World) -> list[tuple[str, Any]]:
    seen: list[tuple[str, Any]] = []
    for person in world.people:
        me = (await world.api(person, "GET", "me", expect=200)).json
        sessions = (await world.api(person, "GET", "sessions", expect=200)).json["items"]
        roles = sorted((item["id"], item["path"], item["role"]) for item in sessions)
        seen.append((me["id"], roles))
    return seen


async def _killed(world: World) -> None:
    ada, ben, _ = world.people
    before = await _people_and_roles(world)
    tell("Ben types one mark after the other, Ada looks on, and the server is killed.")
    hers = await world.in_node(ada, world.socket_of(world.inventory))
    his = await world.in_python(ben, world.socket_of(world.inventory, ack="1"))
    await his.insert(0, "# marks:\n")
    await his.is_recorded()
    last = his.sent
    typing = asyncio.create_task(_type_marks(his))
    await his.until(lambda: his.acknowledged >= last + MARKS, "the marks to be recorded", 60)
    await world.server.kill()
    typing.cancel()
    acknowledged = his.acknowledged - last
    seen = _marks(hers)
    await his.until(lambda: his.close_code is not None, "the end")
    check(acknowledged >= MARKS, f"{acknowledged} marks were acknowledged, Ada saw {len(seen)}")
    typed = len(_marks(his))
    check(typed >= acknowledged, f"{typed} were typed")

    tell("A new server on the same folders. Someone who was not there opens the file.")
    await world.server.start()
    check(await _people_and_roles(world) == before, "users, sessions and roles are all there")
    fresh = await world.in_python(ada, world.socket_of(world.inventory))
    marks = _marks(fresh)
    check(len(marks) == len(set(marks)), "no mark is there twice")
    check(marks == sorted(marks), "and all stand in order")
    check(
        set(marks) >= set(range(acknowledged)) | set(seen),
        "every mark is there that was acknowledged, or that Ada saw",
        seen=(acknowledged, seen, marks),
    )
    tell("Ben's document comes back with what the dead server had not recorded.")
    again = await world.in_python(ben, world.socket_of(world.inventory, ack="1"), doc=his.doc)
    await again.is_recorded()
    await hers.until(lambda: len(_marks(hers)) == typed, "all marks")
    check(_marks(hers) == list(range(typed)), f"all {typed} are there, once, in Ada's editor too")
    check(hers.text == again.text, "both have the same text")
    below = hers.text.index("\n", hers.text.index("# marks:")) + 1
    await hers.insert(below, "# and on it goes\n")
    await again.sees("# and on it goes")
    await world.on_disk(world.inventory, "# and on it goes", hers)


async def _type_marks(client: PycrdtClient) -> None:
    for number in range(100_000):
        end = client.text.index("\n", client.text.index("# marks:"))
        await client.insert(end, f" <{number}>")
        # One mark is on its way while the next is typed, as with a person.
        await client.until(lambda: client.sent - client.acknowledged < 5, "an acknowledgement")


def _marks(client: LiveClient) -> list[int]:
    line = client.text.partition("# marks:")[2].partition("\n")[0]
    return [int(number) for number in re.findall(r"<(\d+)>", line)]


async def _four_times(world: World, session: dict[str, Any], label: str) -> None:
    tell(f"The {label} is opened, edited and closed four times, each time on a new server.")
    ada = world.ada
    url = await world.labs_socket_of(ada, session)
    for number in range(1, 5):
        async with world.closing():
            writer = await world.in_node(ada, url, by="header", kind=session["type"])
            check(not writer.pending, f"open {number}: real yjs holds nothing back")
            for earlier in range(1, number):
                check(_line(earlier) in writer.text, f"and shows what was typed at {earlier}")
            await writer.insert(0, _line(number) + "\n")
            await world.on_disk(session, _line(number), writer)
            whole = writer.text
        await world.server.stop()
        await world.server.start()
        url = await world.labs_socket_of(ada, session)
        async with world.closing():
            reader = await world.in_node(ada, url, by="header", kind=session["type"])
            check(
                reader.text == whole and not reader.pending,
                f"after the restart the whole text is there ({len(whole)} characters)",
                seen=(reader.pending, reader.text[:300], whole[:300]),
            )


def _line(number: int) -> str:
    return f"# opened {number} times – ✓"
