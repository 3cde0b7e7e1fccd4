"""Plays a plan on a real server, brings everything to rest, and says what is wrong then."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Awaitable, Callable
from itertools import takewhile
from pathlib import Path
from typing import Any

from pycrdt import Array, Doc, Text
from sqlalchemy import select

from jupyter_collab_ai.ids import DocumentId
from jupyter_collab_ai.rooms.log import read_history, read_updates
from jupyter_collab_ai.rooms.yupdate import decode_state_vector, parse_update
from jupyter_collab_ai.storage.database import Tx
from jupyter_collab_ai.storage.tables import documents
from tests.plans.copies import Copy, NodeCopy, NodeHost, PythonCopy, State
from tests.plans.generate import DOCUMENTS, PEOPLE, Plan, Step
from tests.plans.ledger import THE_FILE, Account, Edit, Ledger
from tests.plans.world import World

#: Seconds in which everything comes to rest, and in which the file then follows.
SETTLE = 45.0
FILE = 15.0

#: What the server may never write into its log.
_COMPLAINTS = (
    "A room has failed",
    "Saving a document failed",
    "Uncaught exception",
    "could not be opened",
    "never retrieved",
)

_BEGINS = re.compile(r"\[[A-Z] \d{4}-")


class NotAtRest(Exception):
    """Something did not come true in time."""


async def play(plan: Plan, world: World) -> list[str]:
    """Play a plan; return a sentence for each thing that is wrong."""
    world.plans += 1
    await world.start()
    await world.log_in_again()
    logged = len(world.server.log)
    wrong = await _play(plan, world)
    return wrong + _complaints(world.server.log[logged:])


async def _play(plan: Plan, world: World) -> list[str]:
    async with world.node() as host:
        player = Player(plan, world, host)
        await player.prepare()
        try:
            for number, step in enumerate(plan.steps):
                try:
                    await player.do(step)
                except NotAtRest as error:
                    return [f"step {number} {step['op']}: {error}", *player.ledger.faults]
            return await player.rest()
        finally:
            world.unlock()
            await player.close()


def _complaints(log: str) -> list[str]:
    lines = log.splitlines()
    found = []
    for number, line in enumerate(lines):
        if any(word in line for word in _COMPLAINTS):
            told = takewhile(lambda one: not _BEGINS.match(one), lines[number + 1 : number + 60])
            found.append(f"in the server's log: {line} … " + " ".join([*told][-6:]))
    return found[:5]


class Player:
    """One plan while it is played."""

    def __init__(self, plan: Plan, world: World, host: NodeHost) -> None:
        self.plan = plan
        self.world = world
        self.host = host
        self.ledger = Ledger()
        self.sessions: dict[str, dict[str, Any]] = {}
        self.copies: list[Copy] = []
        #: People who were removed are not told what becomes of what they had sent.
        self.members: dict[tuple[int, str], str | None] = {}
        #: Where the files are that are not where they belong.
        self.gone: dict[str, Path] = {}
        self._renamed = 0

    async def prepare(self) -> None:
        """Share the documents, and make the clients."""
        name = f"plan-{self.world.plans}"
        contents = {"text": self.plan.text, "notebook": _notebook(self.plan.cells)}
        for document, ending in (("text", "py"), ("notebook", "ipynb")):
            self.sessions[document] = await asyncio.to_thread(
                self.world.share, f"{name}.{ending}", contents[document]
            )
            for person in range(PEOPLE):
                role = "editor" if person else "owner"
                self.members[person, document] = role
                self.ledger.roles.set(person, document, role)
        self.ledger.by_disk("text", Edit(THE_FILE, [("", self.plan.text)]), certain=True)
        cells = [(cell["id"], cell["source"]) for cell in self.plan.cells]
        self.ledger.by_disk("notebook", Edit(THE_FILE, cells), certain=True)
        self.copies = [
            await self._copy(number, client) for number, client in enumerate(self.plan.clients)
        ]

    async def _copy(self, number: int, client: dict[str, Any]) -> Copy:
        person = self.world.people[client["person"]]
        session = self.sessions[client["document"]]
        name = f"client {number} ({client['kind']}, {person.username})"
        account = Account(self.ledger, name, client["person"], client["document"])
        url = person.socket_of(session, ack="1")
        if client["kind"] == "python":
            return PythonCopy(number, client, url, account)
        if client["kind"] == "lab":
            kind = "file" if client["document"] == "text" else "notebook"
            made = await asyncio.to_thread(person.labs_socket_of, session["path"], kind)
            url = f"{made}&ack=1"
        return NodeCopy(number, client, url, account, self.host)

    async def close(self) -> None:
        """End all clients."""
        for copy in self.copies:
            await copy.drop()

    # ------------------------------------------------------------ steps

    async def do(self, step: Step) -> None:
        """Do one step."""
        for copy in self.copies:
            if copy.account.refused and copy.client["tidy"]:
                await self._start_afresh(copy)
        match step["op"]:
            case "join":
                await self._join(self.copies[step["client"]])
            case "leave":
                await self.copies[step["client"]].leave(step["how"])
            case "burst":
                edits: dict[int, list[Step]] = {}
                for edit in step["edits"]:
                    edits.setdefault(edit["client"], []).append(edit)
                await asyncio.gather(*(self._several(one) for one in edits.values()))
            case "role":
                await self._flip(step)
            case "disk":
                await self._disk(step)
            case "rename":
                await self._rename(step["document"])
            case "vanish":
                self._vanish(step["document"])
            case "return":
                self._return(step["document"])
            case "sync":
                await self._quiet("everybody to be in step", self.copies)
            case "lock":
                await asyncio.to_thread(self.world.lock)
            case "unlock":
                self.world.unlock()
            case "break":
                await asyncio.to_thread(self.world.break_off)
            case "stop":
                await self.world.stop()
            case "kill":
                await self.world.kill()
            case "start":
                await self.world.start()
            case _:
                await self.copies[step["client"]].type(step)

    async def _several(self, edits: list[Step]) -> None:
        for edit in edits:
            await self.copies[edit["client"]].type(edit)
            await asyncio.sleep(0)

    async def _join(self, copy: Copy) -> None:
        if copy.ended == 4409:
            await copy.fresh()
        await copy.join(self.world.people[copy.client["person"]].token)

    async def _start_afresh(self, copy: Copy) -> None:
        wanted = copy.wanted or copy.ended == 4409
        await copy.fresh()
        if wanted:
            await self._join(copy)

    async def _flip(self, step: Step) -> None:
        person, document, role = step["person"], step["document"], step["role"]
        old = self.members[person, document]
        if old == role or not self.world.server.running:
            return
        self.world.unlock()
        # What was sent is to be judged by the role it was typed in.
        theirs = [
            copy
            for copy in self.copies
            if (copy.client["person"], copy.client["document"]) == (person, document)
        ]
        await self._quiet("a person's edits to be judged", theirs)
        self.ledger.roles.set(person, document, None)
        await asyncio.to_thread(self.world.set_role, self.sessions[document], person, old, role)
        self.members[person, document] = role
        self.ledger.roles.set(person, document, role)

    async def _quiet(self, what: str, copies: list[Copy]) -> None:
        """Wait until nothing of those who are connected is on its way."""

        async def quiet() -> str | None:
            for copy in copies:
                if not copy.wanted or copy.account.refused:
                    continue
                if self.members[copy.client["person"], copy.client["document"]] is None:
                    continue
                state = await copy.state()
                if not state.synced or copy.account.pending:
                    return f"{copy.account.name}: {_brief(copy, state)}"
            return None

        if self.world.server.running:
            self.world.unlock()
            for document in tuple(self.gone):
                self._return(document)
            await _until(quiet, what, SETTLE)

    # ------------------------------------------------------------ the disk

    async def _rename(self, document: str) -> None:
        """Give the file another name, as its owner does in JupyterLab, while people go on."""
        if not self.world.server.running or document in self.gone:
            return
        self.world.unlock()
        self._renamed += 1
        old = self._file(document)
        session = self.sessions[document]
        name = f"{old.stem.partition('_')[0]}_{self._renamed}{old.suffix}"
        path = str(Path(session["path"]).with_name(name))
        await asyncio.to_thread(self.world.rename, session["path"], path)
        told = await asyncio.to_thread(self.world.call, 0, "GET", f"sessions/{session['id']}")
        if told.ok()["path"] != path:
            self.ledger.fault(f"the session is at {told.ok()['path']} instead of {path}")
        session["path"] = path

    def _vanish(self, document: str) -> None:
        """Move the file to where nobody looks for it."""
        if document in self.gone:
            return
        path = self._file(document)
        aside = self.world.server.root.parent / path.name
        with self.world.frozen():
            os.replace(path, aside)
        self.gone[document] = aside

    def _return(self, document: str) -> None:
        """Put the file back as it was."""
        aside = self.gone.pop(document, None)
        if aside is not None:
            os.replace(aside, self._file(document))

    async def _disk(self, step: Step) -> None:
        document = step["document"]
        if document in self.gone:
            return
        path = self._file(document)
        witness = await self._witness(document) if step["calm"] else None
        with self.world.frozen():
            before = path.read_text()
            after, edit = (_changed_text if document == "text" else _changed_notebook)(before, step)
            if after == before:
                return
            if step["how"] == "replace":
                aside = path.with_name(f"{path.name}.new")
                aside.write_text(after)
                os.replace(aside, path)
            else:
                path.write_text(after)
        if witness is None:
            self.ledger.by_disk(document, edit)
            return

        async def merged() -> str | None:
            return await self._unsaved(document, witness)

        # Nobody has changed anything meanwhile, so it has to be merged as it is.
        await _until(merged, "a change on disk to be merged", FILE)
        self.ledger.by_disk(document, edit, certain=True)

    async def _witness(self, document: str) -> Copy | None:
        """Wait until nothing of a document moves; return a client that is in step, if any is."""
        copies = [
            copy for copy in self._present(document) if copy.wanted and not copy.account.refused
        ]
        if not copies or not self.world.server.running:
            return None
        await self._quiet("everybody to be in step", copies)
        # Meanwhile somebody may have been refused.
        witness = next((copy for copy in copies if not copy.account.refused), None)
        if witness is None:
            return None

        async def saved() -> str | None:
            return await self._unsaved(document, witness)

        await _until(saved, "the file to hold the document", FILE)
        return witness

    async def _unsaved(self, document: str, copy: Copy) -> str | None:
        """Tell how the file differs from what a client holds."""
        state = await copy.state()
        content = _plain(state.content)
        held = _held(document, self._file(document).read_text())
        wanted = content if document == "text" else [_of_file(cell) for cell in content]
        if wanted == held:
            return None
        return f"{copy.account.name}, {_brief(copy, state)}: {_shown(wanted, held)}"

    def _file(self, document: str) -> Path:
        return self.world.server.root / self.sessions[document]["path"]

    # ------------------------------------------------------------ at rest

    async def rest(self) -> list[str]:
        """Let everybody come back, wait until nothing moves any more, and check."""
        self.world.unlock()
        for document in tuple(self.gone):
            self._return(document)
        await self.world.start()
        try:
            await _until(self._come_back, "everybody to be back", SETTLE)
            for document in DOCUMENTS:
                await self._agree(document)
        except NotAtRest as error:
            return [str(error), *self.ledger.faults]
        wrong = list(self.ledger.faults)
        for document in DOCUMENTS:
            wrong += await self._check(document)
        return wrong

    async def _come_back(self) -> str | None:
        for copy in self.copies:
            if self.members[copy.client["person"], copy.client["document"]] is None:
                if copy.wanted:
                    await copy.leave("polite")
                continue
            if copy.account.refused or copy.ended == 4409:
                await copy.fresh()
            if not copy.wanted:
                await self._join(copy)
            state = await copy.state()
            if not (state.connected and state.synced) or copy.account.pending:
                return f"{copy.account.name}: {_brief(copy, state)}"
        return None

    def _present(self, document: str) -> list[Copy]:
        return [
            copy
            for copy in self.copies
            if copy.client["document"] == document
            and self.members[copy.client["person"], document] is not None
        ]

    async def _agree(self, document: str) -> None:
        """Wait until all copies, a fresh one, and the file are the same."""
        client = {"person": 0, "document": document, "kind": "python", "shown": False}
        fresh = await self._copy(-1, {**client, "tidy": True})
        await fresh.join(self.world.people[0].token)
        present = [fresh, *self._present(document)]
        try:

            async def equal() -> str | None:
                states = [await copy.state() for copy in present]
                for copy, state in zip(present, states, strict=True):
                    if not state.synced or copy.account.pending or copy.account.refused:
                        return f"{copy.account.name}: {_brief(copy, state)}"
                    difference = _difference(states[0], state)
                    if difference is not None:
                        return f"{copy.account.name}: {difference}"
                return None

            await _until(equal, f"all copies of the {document} to be equal", SETTLE)

            async def saved() -> str | None:
                return await self._unsaved(document, fresh)

            await _until(saved, f"the file of the {document} to hold it", FILE)
            await _until(equal, f"all copies of the {document} to be equal", SETTLE)
        finally:
            await fresh.drop()

    async def _check(self, document: str) -> list[str]:
        client = {"person": 0, "document": document, "kind": "python", "shown": False}
        fresh = await self._copy(-1, {**client, "tidy": True})
        await fresh.join(self.world.people[0].token)

        async def synced() -> str | None:
            state = await fresh.state()
            return None if state.synced and not fresh.account.pending else "it is not"

        try:
            await _until(synced, "a fresh client to be in step", SETTLE)
            room = await fresh.state()
        finally:
            await fresh.drop()
        wrong = []
        for copy in self._present(document):
            state = await copy.state()
            if state.pending:
                wrong.append(f"{copy.account.name}: yjs holds something back")
            difference = _difference(room, state)
            if difference is not None:
                wrong.append(f"{copy.account.name} differs from the room: {difference}")
        for which, replayed in await self._replayed(document):
            difference = _difference(room, replayed)
            if difference is not None:
                wrong.append(f"{which} of the {document} differs from the room: {difference}")
        return wrong + self.ledger.check(document, _parts(room.content))

    async def _replayed(self, document: str) -> list[tuple[str, State]]:
        """Return what the log gives, from its beginning and from its newest snapshot."""
        path = self.sessions[document]["path"]

        def read(tx: Tx) -> tuple[list[bytes], list[bytes]]:
            row = tx.execute(
                select(documents.c.id, documents.c.epoch).where(documents.c.path == path)
            ).one()
            history = read_history(tx, DocumentId(row.id), row.epoch)
            whole = [one.data for one in read_updates(tx, DocumentId(row.id))]
            return whole, list(history.updates)

        async with self.world.database() as database:
            whole, short = await database.read(read)
        return [("the log", _replay(document, whole)), ("the snapshot", _replay(document, short))]


def _replay(document: str, updates: list[bytes]) -> State:
    doc: Doc[Any] = Doc()
    for data in updates:
        doc.apply_update(data)
    content = (
        str(doc.get("source", type=Text))
        if document == "text"
        else doc.get("cells", type=Array).to_py()
    )
    return State(content, doc.get_update(), pending=False, connected=True, synced=True)


# ---------------------------------------------------------------- comparing


def _plain(content: Any) -> Any:
    """Return numbers as Python has them, for JavaScript knows one kind only."""
    if isinstance(content, list):
        return [_plain(one) for one in content]
    if isinstance(content, dict):
        return {key: _plain(value) for key, value in content.items()}
    if isinstance(content, float) and content.is_integer():
        return int(content)
    return content


def _difference(one: State, other: State) -> str | None:
    if _plain(one.content) != _plain(other.content):
        return f"the content: {_shown(one.content, other.content)}"
    vectors = [decode_state_vector(_vector(state.update)) for state in (one, other)]
    if vectors[0] != vectors[1]:
        return f"the state vector: {vectors[0]} and {vectors[1]}"
    deletions = [parse_update(state.update).deletions for state in (one, other)]
    if deletions[0] != deletions[1]:
        return f"the delete set: {list(deletions[0])} and {list(deletions[1])}"
    return None


def _vector(update: bytes) -> bytes:
    doc: Doc[Any] = Doc()
    doc.apply_update(update)
    return doc.get_state()


def _parts(content: Any) -> list[tuple[str, str]]:
    if isinstance(content, str):
        return [("", content)]
    return [(cell["id"], cell["source"]) for cell in content]


def _held(document: str, text: str) -> Any:
    """Return what a file holds, a notebook cell by cell."""
    if document == "text":
        return text
    try:
        return [_of_file(cell) for cell in json.loads(text)["cells"]]
    except ValueError:
        return text


def _of_file(cell: dict[str, Any]) -> dict[str, str]:
    return {key: "".join(cell[key]) for key in ("id", "cell_type", "source")}


def _shown(one: Any, other: Any) -> str:
    texts = [
        value if isinstance(value, str) else json.dumps(_plain(value), ensure_ascii=False)
        for value in (one, other)
    ]
    pairs = enumerate(zip(*texts, strict=False))
    at = next((index for index, (a, b) in pairs if a != b), min(map(len, texts)))
    return " and ".join(
        f"{len(text)} characters, at {at} {text[max(0, at - 20) : at + 60]!r}" for text in texts
    )


def _brief(copy: Copy, state: State) -> str:
    account = copy.account
    return (
        f"connected {state.connected}, synced {state.synced}, wanted {copy.wanted},"
        f" ended {copy.ended}, refused {account.refused}, {len(account.pending)} pending"
        f" {[(edit.frame, edit.sent_before) for edit in account.pending[:5]]}"
    )


# ---------------------------------------------------------------- files


def _notebook(cells: list[dict[str, Any]]) -> str:
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _changed_text(before: str, step: Step) -> tuple[str, Edit]:
    lines = before.splitlines(keepends=True)
    edit = Edit("the disk")
    at = step["at"] % (len(lines) + 1)
    if step["change"] == "insert" or not lines:
        lines.insert(at, f"{step['text']}\n")
        edit.inserted.append(("", step["text"]))
    elif step["change"] == "append":
        # Also where the last line has no end.
        lines.append(step["text"])
        edit.inserted.append(("", step["text"]))
    elif step["change"] == "delete":
        edit.deleted.append(("", lines.pop(at % len(lines))))
    else:
        at %= len(lines)
        lines[at] = step["text"] + lines[at]
        edit.inserted.append(("", step["text"]))
    return "".join(lines), edit


def _changed_notebook(before: str, step: Step) -> tuple[str, Edit]:
    content = json.loads(before)
    cells = content["cells"]
    edit = Edit("the disk")
    at = step["at"] % (len(cells) + 1)
    if step["change"] == "insert" or not cells:
        id_ = f"disk-{step['at']}"
        cell = {"id": id_, "cell_type": "markdown", "metadata": {}, "source": [step["text"]]}
        cells.insert(at, cell)
        edit.inserted.append((id_, step["text"]))
        edit.added.append(id_)
    elif step["change"] == "delete":
        cell = cells.pop(at % len(cells))
        edit.deleted.append((cell["id"], "".join(cell["source"])))
        edit.gone.append(cell["id"])
    else:
        cell = cells[at % len(cells)]
        source = "".join(cell["source"])
        first = step["change"] == "edit"
        whole = step["text"] + source if first else source + step["text"]
        cell["source"] = whole.splitlines(keepends=True)
        edit.inserted.append((cell["id"], step["text"]))
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n", edit


async def _until(condition: Callable[[], Awaitable[str | None]], what: str, within: float) -> None:
    """Wait until a condition has nothing to say any more.

    Raises:
        NotAtRest: It still says something after ``within`` seconds.
    """
    deadline = time.monotonic() + within
    while (lacking := await condition()) is not None:
        if time.monotonic() > deadline:
            raise NotAtRest(f"waited {within:g} s in vain for {what}: {lacking}")
        await asyncio.sleep(0.03)
