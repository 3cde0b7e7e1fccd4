"""A model that writes what a plan says, out of what it is shown, and keeps people's lines."""

from __future__ import annotations

import asyncio
import re

from tests.aiplans.generate import Begin, Mode, Outcome
from tests.support import fake_model as say
from tests.support.fake_model import Chat, FakeModel

_INSIDE = re.compile(
    r"What the code replaces:\n<(?P<mark>[\w-]+)>\n(?P<text>.*?)\n</(?P=mark)>", re.DOTALL
)


class Scripted:
    """Answers for the operations of a plan, each once it is released."""

    def __init__(self, fake: FakeModel) -> None:
        self.fake = fake
        self.operations: dict[int, Begin] = {}
        self.gates: dict[int, asyncio.Event] = {}
        self.asked: dict[int, asyncio.Event] = {}
        fake.reply(self._reply)

    def expect(self, begin: Begin) -> None:
        """Get ready for an operation."""
        self.operations[begin.operation] = begin
        self.gates[begin.operation] = asyncio.Event()
        self.asked[begin.operation] = asyncio.Event()

    async def _reply(self, chat: Chat) -> None:
        prompt = chat.seen.body["messages"][1]["content"]
        number = int(re.findall(r"operation (\d+)", prompt)[-1])
        begin = self.operations[number]
        self.asked[number].set()
        await self.gates[number].wait()
        await answer(begin, prompt)(chat)


def answer(begin: Begin, prompt: str) -> say.Reply:
    """Return what the model says for an operation."""
    name = f"ai_{begin.operation}"
    match begin.outcome:
        case Outcome.FAILS:
            return say.refuses(400, "no")
        case Outcome.PROSE:
            return say.says(f"I would rather not write {name}, my friend.")
        case Outcome.TORN:
            return say.says(f"```python\ndef {name}(:\n    (\n```\n")
        case _:
            found = _INSIDE.search(prompt)
            inside = found["text"] if found else ""
            code = rewrite(inside, name, deep=begin.outcome is Outcome.DEEP, mode=begin.mode)
            return say.says(f"```python\n{code}```\n")


def rewrite(text: str, name: str, *, deep: bool, mode: Mode) -> str:
    """Return code that is new in many lines, and in which each line of a person still stands."""
    if mode in (Mode.APPEND, Mode.INSERT):
        return f"def {name}():\n    return {name!r}\n"
    lines = text.rstrip("\n").split("\n")
    if mode is Mode.LINES:
        indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())] if lines[0].strip() else "    "
        return "\n".join([f"{indent}{name} = {name!r}", *lines]) + "\n"
    result: list[str] = []
    named = False
    for line in lines:
        is_inside = line[:1] == " " and line.strip()
        result.append(f"    {line}" if deep and is_inside else line)
        if line.startswith("def "):
            if not named:
                result.append(f"    {name} = {name!r}")
                named = True
            if deep:
                result.append("    if True:")
    return "\n".join(result) + "\n"
