"""Step 5: the generator and its lock."""

from __future__ import annotations

import asyncio
from typing import Any

from .clients import LiveClient
from .console import check, step, tell
from .curl import Answer
from .model_answers import GENERATED, generator_answer
from .world import World


async def write_code(world: World) -> None:
    """Walk step 5."""
    step(5, "The generator")
    async with world.closing():
        hers = await world.in_node(world.ada, world.socket_of(world.inventory))
        await _while_people_type(world, hers)
        await _nothing_happens(world, hers)


INSTRUCTIONS = "Write parse_price(text): a price as people write it, such as '1.234,50 €'."


def _generate(world: World, expect: int = 200) -> asyncio.Task[Answer]:
    body = {"session_id": world.inventory["id"], "instructions": INSTRUCTIONS}
    return asyncio.ensure_future(
        world.api(world.ben, "POST", "ai/code-generator", body=body, expect=expect)
    )


async def _locks(world: World) -> list[dict[str, Any]]:
    path = f"sessions/{world.inventory['id']}/locks"
    return list((await world.api(world.ada, "GET", path, expect=200)).json["items"])


async def _while_people_type(world: World, hers: LiveClient) -> None:
    tell("Ben asks for a function; the model thinks about it for a while.")
    world.model.answer = generator_answer
    world.model.gate.clear()
    world.model.asked.clear()
    generation = _generate(world)
    await asyncio.wait_for(world.model.asked.wait(), 20)
    locks = await _locks(world)
    check(len(locks) == 1 and locks[0]["holder"]["username"] == "ben", "everybody sees the lock")
    check({"id", "scope", "operation", "since", "expires_at"} <= locks[0].keys(), "and since when")

    tell("Meanwhile: a second generator for the same place, and a save of the whole file.")
    second = await _generate(world, expect=423)
    check(second.json["lock"]["id"] == locks[0]["id"], "both are told which lock stands")
    model = {"type": "file", "format": "text", "content": "pass\n"}
    path = f"api/contents/{world.inventory['path']}"
    await world.curl.call("PUT", path, token=world.ada.token, body=model, expect=423)

    tell("Ada types elsewhere.")
    his = await world.in_python(world.ben, world.socket_of(world.inventory))
    await hers.type_after("import sys\n", "import re  # while it writes\n")
    await his.sees("# while it writes")
    check(not generation.done() and GENERATED not in hers.text, "nothing half-written is seen")

    tell("The model is done.")
    changes = hers.text_changes
    world.model.gate.set()
    answer = (await generation).json
    check(answer["applied"] is True, "the code is applied", seen=answer)
    checks = {item["name"]: item for item in answer["checks"]}
    check(not checks.pop("runs")["ok"], "nothing is claimed of code that was not run")
    check(
        all(item["ok"] for item in checks.values()), f"it passed {', '.join(checks)}", seen=checks
    )
    await hers.sees(GENERATED.strip())
    check(hers.text_changes == changes + 1, "it came as one change")
    check("# while it writes" in hers.text, "what Ada typed is there too")
    check(await _locks(world) == [], "the lock is gone")


async def _nothing_happens(world: World, hers: LiveClient) -> None:
    before = hers.text
    tell("The model is out of order.")
    world.model.broken = True
    answer = await _generate(world, expect=502)
    check(answer.reason == "model_failed", answer.json["message"])
    world.model.broken = False

    tell("Ben cancels while the model thinks.")
    world.model.gate.clear()
    world.model.asked.clear()
    generation = _generate(world, expect=409)
    await asyncio.wait_for(world.model.asked.wait(), 20)
    operation = (await _locks(world))[0]["operation"]
    await world.api(world.ben, "DELETE", f"ai/operations/{operation}", expect=204)
    check((await generation).reason == "operation_cancelled", "whoever waits is told")
    world.model.gate.set()
    check(await _locks(world) == [], "no lock is left")
    await hers.type_after("import sys\n", "# fence\n")
    await hers.delete(hers.text.index("# fence\n"), len("# fence\n"))
    check(hers.text == before, "nothing was changed")
