"""Playing a plan on a real server, and finding out what went wrong."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import random
import re
import time
from collections import Counter
from typing import Any

from examples.story.clients import PycrdtClient
from tests.aiplans.generate import (
    FUNCTIONS,
    PEOPLE,
    Begin,
    End,
    Kill,
    Mode,
    Plan,
    Release,
    Type,
    Undo,
)
from tests.aiplans.model import Scripted
from tests.blackbox.client import Answer
from tests.plans.world import World

#: Seconds that an edit is on its way to the server, at the most.
LAG = 0.25
#: Seconds after which torn code has to be whole again, once all is quiet.
WHOLE = 6.0
#: Seconds after which the lock of a server that was killed has ended.
LOCKS = 30.0

BASE = "import os\n\n\n" + "\n\n".join(
    f"def f{number}(a, b):\n"
    f"    one_{number} = a + {number}\n"
    f"    two_{number} = b * {number}\n"
    f"    three_{number} = [one_{number}, two_{number}]\n"
    f"    return three_{number}\n"
    for number in range(FUNCTIONS)
)


#: What people type. What follows it may come to stand right behind it.
_MARK = re.compile(r"(?<!\w)m\d+")


class LateClient(PycrdtClient):
    """A client whose frames are on their way for a while, in order."""

    def __init__(self, name: str, chance: random.Random) -> None:
        super().__init__(name)
        self._chance = chance
        self._due: list[tuple[float, bytes]] = []
        self._sender: asyncio.Task[None] | None = None

    async def connect(self, url: str, token: str) -> LateClient:
        self._due.clear()
        await super().connect(url, token)
        return self

    def send(self, frame: bytes) -> None:
        loop = asyncio.get_running_loop()
        last = self._due[-1][0] if self._due else 0.0
        self._due.append((max(last, loop.time() + self._chance.random() * LAG), frame))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._due:
            await asyncio.sleep(max(0, self._due[0][0] - loop.time()))
            if self._due:
                super().send(self._due.pop(0)[1])

    async def is_recorded(self) -> None:
        await self.until(
            lambda: not self._due and self.acknowledged >= self.sent, "the acknowledgement"
        )

    async def close(self) -> None:
        if self._sender is not None:
            self._sender.cancel()
        await super().close()


class Game:
    """A plan while it is played."""

    def __init__(self, plan: Plan, world: World, model: Scripted) -> None:
        self._plan = plan
        self._world = world
        self._model = model
        self._chance = random.Random(plan.seed)
        self._clients: list[LateClient] = []
        self._session: dict[str, Any] = {}
        self._marks: set[str] = set()
        self._next = 0
        self._typist: int | None = None
        #: All that people have deleted on purpose.
        self._deleted = ""
        self._calls: dict[int, asyncio.Task[Answer]] = {}
        self._ids: dict[int, str] = {}
        self._undone: set[int] = set()
        self._wrong: list[str] = []
        #: Seconds until the locks of a killed server were gone.
        self.freed: list[float] = []
        self.outcomes: Counter[str] = Counter()

    # ------------------------------------------------------------ the steps

    async def play(self) -> list[str]:
        world = self._world
        await world.log_in_again()
        world.plans += 1
        self._session = await asyncio.to_thread(world.share, f"ai{world.plans}.py", BASE)
        for person in range(PEOPLE):
            client = LateClient(world.people[person].username, self._chance)
            self._clients.append(client)
        try:
            await self._connect()
            newest: Begin | None = None
            for step in self._plan.steps:
                match step:
                    case Begin():
                        newest = step
                        await self._begin(step)
                    case Type():
                        await self._type(step, newest)
                        await asyncio.sleep(self._chance.random() * 0.05)
                    case Release():
                        await self._release(step, newest)
                    case End():
                        await self._end(step)
                    case Undo():
                        await self._undo(step)
                    case Kill():
                        await self._kill()
            await self._finish()
        finally:
            for gate in self._model.gates.values():
                gate.set()
            for call in self._calls.values():
                call.cancel()
            for client in self._clients:
                await client.close()
        return self._wrong

    async def _connect(self) -> None:
        for client, person in zip(self._clients, self._world.people[:PEOPLE], strict=True):
            await client.connect(person.socket_of(self._session, ack="1"), person.token)
        await self._settle()

    async def _settle(self) -> None:
        """Wait until everybody has everything."""
        for client in self._clients:
            await client.is_recorded()
        ends = time.monotonic() + 20
        # Any of them may be the one that is behind.
        while len({client.text for client in self._clients}) > 1:
            if time.monotonic() > ends:
                texts = "\n---\n".join(client.text for client in self._clients)
                raise AssertionError(f"the copies differ:\n{texts}")
            await asyncio.sleep(0.01)

    async def _begin(self, step: Begin) -> None:
        await self._settle()
        self._model.expect(step)
        text = self._clients[step.person].text
        body: dict[str, Any] = {
            "session_id": self._session["id"],
            "instructions": f"operation {step.operation}",
            "target": _target(step, text),
        }
        person = self._world.people[step.person]
        call = asyncio.create_task(
            asyncio.to_thread(person, "POST", "ai/code-generator", body=body, timeout=120)
        )
        self._calls[step.operation] = call
        asked = asyncio.create_task(self._model.asked[step.operation].wait())
        await asyncio.wait({call, asked}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        for lock in await self._locks():
            if lock["operation"] not in self._ids.values():
                self._ids[step.operation] = lock["operation"]

    async def _release(self, step: Release, newest: Begin | None) -> None:
        self._model.gates[step.operation].set()
        call = self._calls[step.operation]
        for _ in range(step.typing):
            await asyncio.wait({call}, timeout=self._chance.random() * 0.3)
            await self._type(
                Type(
                    self._chance.randrange(PEOPLE),
                    self._chance.choice(("in", "in", "edge", "across")),
                    self._chance.random() < 0.25,
                    self._chance.random(),
                ),
                newest,
            )
        await asyncio.wait({call}, timeout=60)

    async def _end(self, step: End) -> None:
        found = self._ids.get(step.operation)
        if found is None:
            self._model.gates[step.operation].set()
            return
        if step.breaks:
            locks = await self._locks()
            path = next(
                (
                    f"sessions/{self._session['id']}/locks/{lock['id']}"
                    for lock in locks
                    if lock["operation"] == found
                ),
                None,
            )
            if path is None:
                return
        else:
            path = f"ai/operations/{found}"
        answer = await asyncio.to_thread(self._world.call, 0, "DELETE", path)
        if answer.status != 204:
            self._wrong.append(f"operation {step.operation} can't be ended: {answer}")
        call = self._calls[step.operation]
        await asyncio.wait({call}, timeout=20)
        if not call.done() or call.result().status != 409:
            self._wrong.append(f"operation {step.operation} was cancelled, but: {call}")
        self._model.gates[step.operation].set()

    async def _undo(self, step: Undo) -> None:
        call = self._calls[step.operation]
        await asyncio.wait({call}, timeout=30)
        if not call.done() or call.exception() or call.result().status != 200:
            return
        if not call.result().json["applied"]:
            return
        await self._settle()
        path = f"ai/operations/{call.result().json['operation_id']}/undo"
        answer = await asyncio.to_thread(self._world.call, 0, "POST", path)
        if answer.status == 200:
            self._undone.add(step.operation)
        elif answer.status != 409:
            self._wrong.append(f"operation {step.operation} can't be undone: {answer}")

    async def _kill(self) -> None:
        await self._world.kill()
        killed = time.monotonic()
        for client in self._clients:
            await client.until(lambda client=client: client.close_code is not None, "the end")
        for gate in self._model.gates.values():
            gate.set()
        await self._world.start()
        await self._connect()
        while await self._locks():
            if time.monotonic() - killed > LOCKS:
                self._wrong.append(f"a lock is left after {LOCKS:g} seconds")
                break
            await asyncio.sleep(0.25)
        self.freed.append(time.monotonic() - killed)

    # ------------------------------------------------------------ people

    async def _type(self, step: Type, newest: Begin | None) -> None:
        """Let a person change their copy, by what leaves it whole as they see it.

        What two people type at the same time can tear code without any AI, so here each sees
        what the one before has typed; ``tests/plans`` is about people alone.
        """
        if self._typist not in (None, step.person):
            await self._settle()
        self._typist = step.person
        client = self._clients[step.person]
        chance = random.Random(step.chance)
        for _ in range(20):
            lines = client.text.split("\n")
            first, last = _lines_of(lines, newest.function if newest else 0)
            match step.where:
                case "in":
                    at = chance.randrange(first + 1, last)
                case "edge":
                    at = chance.choice((first, last))
                case "across":
                    at = last - 1
                case _:
                    at = chance.randrange(len(lines))
            at = min(at, len(lines) - 1)
            start = sum(len(line) + 1 for line in lines[:at])
            if step.deletes:
                count = 2 if step.where == "across" else chance.choice((1, 1, 2))
                gone = lines[at : at + count]
                if any(line.startswith(("def ", "import")) for line in gone) or at + count >= len(
                    lines
                ):
                    continue
                length = sum(len(line) + 1 for line in gone)
                after = client.text[:start] + client.text[start + length :]
                if not _parses(after):
                    continue
                text = client.text[start : start + length]
                self._deleted += text
                self._marks -= set(_MARK.findall(text))
                _delete(client, start, length)
                return
            mark = f"m{self._next}"
            indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
            kind = chance.choice(("statement", "statement", "comment", "end"))
            if kind == "end":
                start += len(lines[at])
                new = f"  # {mark}"
            elif kind == "comment":
                new = f"{indent}# {mark}\n"
            else:
                new = f"{indent}{mark} = {self._next}\n"
            if not _parses(client.text[:start] + new + client.text[start:]):
                continue
            self._next += 1
            self._marks.add(mark)
            _insert(client, start, new)
            return

    # ------------------------------------------------------------ the end

    async def _locks(self) -> list[dict[str, Any]]:
        path = f"sessions/{self._session['id']}/locks"
        answer = await asyncio.to_thread(self._world.call, 0, "GET", path)
        items: list[dict[str, Any]] = answer.ok()["items"]
        return items

    async def _finish(self) -> None:
        for gate in self._model.gates.values():
            gate.set()
        await asyncio.wait(self._calls.values(), timeout=90)
        await self._settle()
        if left := await self._locks():
            self._wrong.append(f"locks are left: {left}")
        ends = time.monotonic() + WHOLE
        text = self._clients[0].text
        while not self._plan.undoes and not _parses(text):
            if time.monotonic() > ends:
                self._wrong.append(f"the code stays torn:\n{text}")
                break
            await asyncio.sleep(0.1)
            text = self._clients[0].text
        await self._settle()
        text = self._clients[0].text
        found = Counter(_MARK.findall(text))
        for mark in sorted(self._marks):
            if found[mark] == 0:
                self._wrong.append(f"{mark}, which a person typed, is lost")
            elif found[mark] > 1 and not self._plan.undoes:
                self._wrong.append(f"{mark} is there {found[mark]} times")
        for number, call in self._calls.items():
            await self._check(number, call, text)
        file = self._world.server.root / self._session["path"]
        ends = time.monotonic() + 10
        while file.read_text() != self._clients[0].text:
            if time.monotonic() > ends:
                self._wrong.append("the file is another text")
                break
            await asyncio.sleep(0.1)

    async def _get(self, identity: str) -> dict[str, Any]:
        path = f"ai/operations/{identity}"
        answer = await asyncio.to_thread(self._world.call, 0, "GET", path)
        found: dict[str, Any] = answer.ok()
        return found

    async def _check(self, number: int, call: asyncio.Task[Answer], text: str) -> None:
        """Compare what was said of an operation with what is there."""
        there = f"ai_{number}" in text
        gone = f"ai_{number}" in self._deleted
        if not call.done():
            self._wrong.append(f"operation {number} was never answered")
            return
        if call.exception() is not None:  # the server was killed
            self.outcomes["killed"] += 1
            identity = self._ids.get(number)
            if identity is None:
                return
            ends = time.monotonic() + 10
            while (state := await self._get(identity))["state"] == "running":
                if time.monotonic() > ends:
                    self._wrong.append(f"operation {number} is said to run, its server is dead")
                    break
                await asyncio.sleep(0.2)
            applied = (state["result"] or {}).get("applied", False)
        elif call.result().status != 200:
            self.outcomes[call.result().json["reason"]] += 1
            applied = False
        else:
            identity = call.result().json["operation_id"]
            result = (await self._get(identity))["result"]
            applied = result["applied"]
            if number in self._undone:
                self.outcomes["undone"] += 1
                return
            if call.result().json["applied"] and not applied:
                self.outcomes["taken back"] += 1
            else:
                self.outcomes["applied" if applied else str(result["reason"])] += 1
        if applied and not there and not gone and not self._plan.undoes:
            self._wrong.append(f"operation {number} is said to be applied, but is not there")
        if not applied and there and not self._plan.undoes:
            self._wrong.append(f"operation {number} is not applied, but something of it is there")


def _target(step: Begin, text: str) -> dict[str, Any]:
    lines = text.split("\n")
    first, last = _lines_of(lines, step.function)

    def at(line: int, other: int) -> dict[str, Any]:
        return {"start": {"line": line + 1, "column": 1}, "end": {"line": other + 1, "column": 1}}

    match step.mode:
        case Mode.APPEND:
            return {"mode": "append"}
        case Mode.DOCUMENT:
            return {"mode": "replace_document"}
        case Mode.INSERT:
            return {"mode": "insert", "location": at(first, first)}
        case Mode.LINES:
            return {"mode": "replace", "location": at(last - 1, last)}
        case _:
            return {"mode": "replace", "location": at(first, last)}


def _lines_of(lines: list[str], function: int) -> tuple[int, int]:
    """Return the line of a function's ``def``, and the one after its last."""
    first = next(index for index, line in enumerate(lines) if line.startswith(f"def f{function}("))
    last = first + 1
    for index in range(first + 1, len(lines)):
        if lines[index] and not lines[index].startswith((" ", "#")):
            break
        if lines[index].startswith(" "):
            last = index + 1
    return first, last


def _parses(text: str) -> bool:
    with contextlib.suppress(SyntaxError):
        ast.parse(text)
        return True
    return False


def _insert(client: PycrdtClient, index: int, text: str) -> None:
    client.source.insert(index, text)  # all is ASCII


def _delete(client: PycrdtClient, index: int, length: int) -> None:
    del client.source[index : index + length]


async def play(plan: Plan, world: World, model: Scripted) -> tuple[list[str], Game]:
    """Play a plan; return what went wrong, as sentences, and what happened."""
    game = Game(plan, world, model)
    return await game.play(), game
