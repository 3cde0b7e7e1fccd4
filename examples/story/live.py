"""Step 3: live edits over both WebSockets, and what a viewer can't do."""

from __future__ import annotations

import json

from jupyter_ydoc import YNotebook
from pycrdt import Doc, create_awareness_message, write_message, write_var_uint

from .clients import RAW, STEP2, SYNC, PycrdtClient, YWebsocketClient
from .console import check, step, tell
from .world import World


async def together(world: World) -> None:
    """Walk step 3."""
    step(3, "Together in one document")
    async with world.closing():
        await _both_ways(world)
    async with world.closing():
        await _the_viewer(world)
    async with world.closing():
        await _roles_that_change(world)
    async with world.closing():
        await _the_notebook(world)


async def _both_ways(world: World) -> None:
    ada, ben, cleo = world.people
    url = world.socket_of(world.inventory)
    tell("Ada and Cléo come by /ws/, Ben by JupyterLab's own room.")
    hers = await world.in_node(ada, url)
    his = await world.in_python(ben, await world.labs_socket_of(ben, world.inventory))
    cleos = await world.in_python(cleo, url)
    original = (world.server.root / world.inventory["path"]).read_text(encoding="utf-8")
    for client in (hers, his, cleos):
        check(client.text == original, f"{client.name} has the whole file", seen=client.text)
    await hers.type_after("import sys\n", "import zoneinfo  # Ada\n")
    for client in (his, cleos):
        await client.sees("# Ada")
    await his.type_after("VAT = 0.19", "  # Germany – Ben €")
    for client in (hers, cleos):
        await client.sees("# Germany – Ben €")
    check(hers.text == his.text == cleos.text, "all three have the same text")
    await world.on_disk(world.inventory, "# Germany – Ben €", hers)

    tell("Who is there, under which name, is what the server knows, not what a client says.")
    hers.show({"user": {"name": "Ada", "username": "ada"}, "cursor": 1})
    await cleos.until(lambda: "ada" in cleos.shown(), "Ada's cursor")
    cleos.show({"user": {"name": "The Boss", "username": "boss", "display_name": "The Boss"}})
    await his.until(lambda: "cleo" in his.shown(), "Cléo's name")
    check("boss" not in his.shown(), "Cléo called herself The Boss; Ben sees Cléo")
    members = (
        await world.api(ada, "GET", f"sessions/{world.inventory['id']}/members", expect=200)
    ).json
    check(all(item["online"] for item in members["items"]), "all three are online")


async def _the_viewer(world: World) -> None:
    ada, ben, cleo = world.people
    url = world.socket_of(world.inventory)
    hers = await world.in_node(ada, url)
    his = await world.in_python(ben, await world.labs_socket_of(ben, world.inventory))
    before = hers.text

    tell("Cléo, a viewer, types (an update).")
    cleos = await world.in_python(cleo, url)
    first_clock_of = cleos.doc.client_id
    await cleos.insert(0, "SPOILT ")
    refused = await cleos.is_told("refused")
    check(
        (refused["reason"], refused["client"], refused["from_clock"])
        == ("role_required", first_clock_of, 0),
        "she is told that it was refused, and from where on",
        seen=refused,
    )
    await _untouched(before, hers, his, "# before the sync reply\n")

    tell("She sends the same as the answer to a sync request (a step 2).")
    other = await world.in_python(cleo, url)
    offline: Doc[object] = Doc()
    offline.apply_update(other.doc.get_update())
    offline.get("source", type=type(other.source)).insert(0, "SPOILT ")
    other.send(bytes([SYNC, STEP2]) + write_message(offline.get_update()))
    refused = await other.is_told("refused")
    check(refused["reason"] == "role_required", "it is refused", seen=refused)
    await _untouched(before, hers, his, "# before the awareness\n")

    tell("She speaks as Ada's client (an awareness entry with a high clock).")
    hers.show({"user": {"username": "ada"}, "cursor": 7})
    state = json.dumps({"user": {"username": "mallory"}, "autosave": False}).encode()
    entry = write_var_uint(1) + write_var_uint(hers.client_id) + write_var_uint(1000)
    other.send(create_awareness_message(entry + write_message(state)))
    other.show({"cursor": 3})
    await his.until(lambda: his.shown().get("cleo", {}).get("cursor") == 3, "Cléo's own cursor")
    check(set(his.shown()) <= {"ada", "cleo"}, "nobody sees a Mallory", seen=his.shown())
    await hers.until(lambda: hers.states[str(hers.client_id)].get("cursor") == 7, "Ada's own state")
    check("autosave" not in hers.states[str(hers.client_id)], "Ada's own state is what she made it")

    tell("She asks JupyterLab's room to save, and writes the file by REST.")
    room = await world.in_python(cleo, await world.labs_socket_of(cleo, world.inventory))
    room.send(bytes([RAW]) + write_message(b"save") + write_var_uint(5))
    answer = await room.is_told("save")
    check(answer["responseTo"] == 5, "the save is answered, so that no browser waits for ever")
    model = {"type": "file", "format": "text", "content": "SPOILT"}
    path = f"api/contents/{world.inventory['path']}"
    await world.curl.call("PUT", path, token=cleo.token, body=model, expect=403)
    await world.curl.call("DELETE", path, token=cleo.token, expect=403)
    await world.curl.call(
        "PATCH", path, token=cleo.token, body={"path": "users/cleo/mine.py"}, expect=(403, 404)
    )
    await _untouched(before, hers, his, "# before she reads on\n")

    tell("All the while she goes on reading.")
    await his.type_after("import sys\n", "# for Cléo\n")
    await room.sees("# for Cléo")
    check(room.close_code is None, "her connection is open")


async def _untouched(before: str, hers: YWebsocketClient, his: PycrdtClient, fence: str) -> None:
    """Check that others have what they had, once both have seen one more edit."""
    await his.insert(0, fence)
    await hers.sees(fence)
    await hers.delete(0, len(fence))
    await his.until(lambda: fence not in his.text, "the deletion")
    check(hers.text == his.text == before, "nothing of it reached the others")


async def _roles_that_change(world: World) -> None:
    ada, ben, cleo = world.people
    url = world.socket_of(world.inventory)
    hers = await world.in_node(ada, url)
    his = await world.in_python(ben, url)

    tell("Ada makes Ben a viewer while he types.")
    await his.insert(0, "# typed as editor\n")
    await hers.sees("# typed as editor")
    await _give(world, "ben", "viewer")
    await his.insert(0, "# typed as viewer\n")
    refused = await his.is_told("refused")
    check(refused["reason"] == "role_required", "his next key is refused", seen=refused)
    await hers.type_after("# typed as editor\n", "# he still reads\n")
    await his.sees("# he still reads")
    check("# typed as viewer" not in hers.text, "he stays connected, read-only")

    tell("She makes him editor again: what was refused does not slip in.")
    await _give(world, "ben", "editor")
    reset = await his.is_told("reset")
    check(reset.get("reason") == "role_changed", "he has to start afresh", seen=reset)
    await his.is_closed_with(4409)
    stubborn = await world.in_python(ben, url, doc=his.doc)
    await stubborn.until(
        lambda: bool(stubborn.told("refused") or stubborn.told("reset")), "a refusal"
    )
    fresh = await world.in_python(ben, url)
    await fresh.insert(0, "# typed as editor again\n")
    await hers.sees("# typed as editor again")
    check("# typed as viewer" not in hers.text, "his old document is not taken back")

    tell("Cléo, who has tried nothing, is made editor: her open document can be typed in.")
    cleos = await world.in_python(cleo, url)
    await _give(world, "cleo", "editor")
    await cleos.insert(0, "# Cléo writes\n")
    await hers.sees("# Cléo writes")
    check(cleos.close_code is None, "without a new connection")
    await _give(world, "cleo", "viewer")

    tell("Ada removes Cléo: her open document is closed, and there is no session for her.")
    room = await world.in_python(cleo, await world.labs_socket_of(cleo, world.inventory))
    member = f"sessions/{world.inventory['id']}/members/cleo"
    await world.api(ada, "DELETE", member, expect=204)
    await cleos.is_closed_with(4403)
    check(True, "on /ws/ with 4403")
    await room.is_closed_with(1003)
    check(True, "in JupyterLab with 1003, which it understands")
    await world.api(cleo, "GET", f"sessions/{world.inventory['id']}", expect=404)
    again = await world.in_python(cleo, url)
    await again.is_closed_with(4404)
    check(not again.synced, "and nothing to connect to")
    invite = {"session_id": world.inventory["id"], "role": "viewer", "username": "cleo"}
    await world.api(ada, "POST", "sessions/invite", body=invite, expect=201)


async def _give(world: World, username: str, role: str) -> None:
    body = {"session_id": world.inventory["id"], "username": username, "role": role}
    answer = await world.api(world.ada, "PUT", "sessions/access", body=body, expect=200)
    check(answer.json["role"] == role, f"{username} is {role}")


async def _the_notebook(world: World) -> None:
    ada, ben, cleo = world.people
    tell("The same in a notebook: Ada by /ws/, Ben by JupyterLab's room, Cléo watching in Node.")
    url = world.socket_of(world.sales)
    hers = await world.in_python(ada, url)
    his = await world.in_python(ben, await world.labs_socket_of(ben, world.sales))
    cleos = await world.in_node(cleo, url, kind="notebook")
    file = world.server.root / world.sales["path"]
    original = json.loads(file.read_text(encoding="utf-8"))
    notebooks = [YNotebook(client.doc) for client in (hers, his)]
    for notebook in notebooks:
        check(_sources(notebook) == [_source(cell) for cell in original["cells"]], "all its cells")

    source = notebooks[0].ycells[1]["source"]
    source += "\n%precision 2"
    await his.until(lambda: "%precision 2" in _sources(notebooks[1])[1], "Ada's magic")
    cell = {"cell_type": "markdown", "id": "sales-99", "metadata": {}, "source": "## Größe 👕"}
    notebooks[1].append_cell(cell)
    await hers.until(lambda: _sources(notebooks[0])[-1] == "## Größe 👕", "Ben's cell")
    await cleos.sees("## Größe 👕")
    await cleos.sees("%precision 2")
    check(not cleos.pending, "Node holds nothing back")
    await world.on_disk(world.sales, "%precision 2", hers)
    saved = json.loads(file.read_text(encoding="utf-8"))
    check(len(saved["cells"]) == len(original["cells"]) + 1, "one cell more is in the file")
    outputs = [cell.get("outputs") for cell in saved["cells"]][: len(original["cells"])]
    check(
        outputs == [cell.get("outputs") for cell in original["cells"]], "with all the old outputs"
    )


def _source(cell: dict[str, object]) -> str:
    source = cell["source"]
    return "".join(source) if isinstance(source, list) else str(source)


def _sources(notebook: YNotebook) -> list[str]:
    return [str(cell["source"]) for cell in notebook.ycells]
