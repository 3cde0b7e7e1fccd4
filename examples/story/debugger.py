"""Step 4: the debugger, with no model and with one, and a fix in the live document."""

from __future__ import annotations

from typing import Any

from .clients import LiveClient
from .console import check, step, tell
from .model import NAME
from .model_answers import debugger_answer
from .world import World

#: What is wrong with inventory.py: the category, and the line on which it stands.
FAULTS = (
    ("security", 'query = f"SELECT sku'),
    ("bug", "def sell(self, sku, quantity, discounts=[])"),
    ("performance", "orders.append((Item(*row[:4])"),
    ("performance", "return list(sorted(revenue"),
    ("bug", 'unit_price=parse_price(line["price"])'),
    ("security", 'subprocess.run(f"cp {database} {target}", shell=True'),
    ("bug", 'elif options.command is "sell":'),
)
BROKEN = "def broken(:\n    pass\n"


async def look_for_faults(world: World) -> None:
    """Walk step 4."""
    step(4, "The debugger")
    async with world.closing():
        hers = await world.in_node(world.ada, world.socket_of(world.inventory))
        await _by_analyzers(world, hers)
    tell("A model is configured: OPENAI_BASE_URL names a server that speaks OpenAI's protocol.")
    await world.server.stop()
    world.server.env["OPENAI_BASE_URL"] = world.model.url
    await world.server.start()
    async with world.closing():
        hers = await world.in_node(world.ada, world.socket_of(world.inventory))
        await _with_a_model(world, hers)
        await _a_fix(world, hers)


async def debug(world: World, **more: Any) -> dict[str, Any]:
    """Let Ben run the debugger on inventory.py, and return the report."""
    body = {"session_id": world.inventory["id"], **more}
    answer = await world.api(world.ben, "POST", "ai/code-debugger", body=body, expect=200)
    report: dict[str, Any] = answer.json
    for finding in report["findings"]:
        start = finding["location"]["start"]
        print(
            f"      {start['line']:>4}:{start['column']:<3} {finding['category']:<12}"
            f"{finding['source']:<10}{finding['title']}"
        )
    return report


def found(report: dict[str, Any], category: str, text: str, line: str) -> dict[str, Any] | None:
    """Return the finding of ``category`` on the line of ``text`` that holds ``line``."""
    lines = text.splitlines()
    for finding in report["findings"]:
        number = finding["location"]["start"]["line"]
        if finding["category"] == category and line in lines[number - 1]:
            return dict(finding)
    return None


async def _by_analyzers(world: World, hers: LiveClient) -> None:
    tell("With no model: Ben asks for faults; the analyzers find three kinds.")
    report = await debug(world)
    check(report["model"] is None, "no model was asked")
    check(bool(report["analyzers"]), f"analyzers: {report['analyzers']}")
    for category, line in FAULTS:
        check(
            found(report, category, hers.text, line) is not None,
            f"{category}: {line}",
            seen=report["findings"],
        )

    tell("Ada types something that does not parse: the fourth kind.")
    await hers.type_after("# Ada\n", BROKEN)
    report = await debug(world)
    check(
        found(report, "syntax", hers.text, "def broken(:") is not None,
        "syntax: def broken(:",
        seen=report["findings"],
    )
    await hers.delete(hers.text.index(BROKEN), len(BROKEN))

    tell("Cléo, a viewer, may not run it.")
    body = {"session_id": world.inventory["id"]}
    answer = await world.api(world.cleo, "POST", "ai/code-debugger", body=body, expect=403)
    check(answer.reason == "role_required", answer.json["message"])


async def _with_a_model(world: World, hers: LiveClient) -> None:
    tell("With a model: what it finds is added, at the lines where the text really is.")
    world.model.answer = debugger_answer
    report = await debug(world)
    check(report["model"] == NAME, f"{report['model']} was asked")
    line = "total_seconds = 0"
    check(line not in hers.text, "(the model also speaks of text that is not there)")
    by_model = [finding for finding in report["findings"] if finding["source"] == "model"]
    check(
        found({"findings": by_model}, "bug", hers.text, "return total[0]") is not None,
        "its finding stands at the line that it quotes, not at the number that it gave",
        seen=by_model,
    )
    check(len(by_model) == 1, "its finding about text that is not there is dropped", seen=by_model)
    check(
        found(report, "security", hers.text, FAULTS[0][1]) is not None,
        "the analyzers' findings are there too",
    )


async def _a_fix(world: World, hers: LiveClient) -> None:
    tell("Ben applies a fix that was verified; it arrives in Ada's open document.")
    report = await debug(world)
    finding = found(report, "performance", hers.text, "return list(sorted(revenue")
    assert finding is not None
    fix = finding.get("fix")
    check(fix is not None and fix["verified"], "a verified fix: " + (fix or {})["description"])
    changes = hers.text_changes
    path = f"ai/fixes/{finding['id']}/apply"
    await world.api(world.ben, "POST", path, expect=200)
    await hers.sees("return sorted(revenue, key=revenue.get, reverse=True)")
    check(hers.text_changes == changes + 1, "as one change")
    answer = await world.api(world.ben, "POST", path, expect=409)
    check(answer.reason == "stale_document", "it can't be applied twice")
    report = await debug(world)
    check(
        found(report, "performance", hers.text, "return sorted(revenue") is None,
        "the debugger no longer finds it",
    )
