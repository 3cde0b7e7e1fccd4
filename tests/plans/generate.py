"""From a seed to a plan: what people do, what happens to the server, its disk and its database.

Pure: the same seed always gives the same plan. A plan is JSON, so that one that found a fault
can be kept and played again. Every number in it is taken modulo what there is to choose from,
so any part of a plan is a plan too.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

Step = dict[str, Any]

#: Who takes part. The first owns all documents and always stays so.
PEOPLE = 4
DOCUMENTS = ("text", "notebook")

#: Every character of these is used once in a plan, so each can be followed: two bytes of UTF-16
#: and three of UTF-8, or four and four.
_BLOCKS = (range(0x4E00, 0x9F00), range(0x20000, 0x2A000), range(0x1F300, 0x1F5FB))
#: Those that come again and again; each is three code points, or a part of something larger.
_FILLING = ("\n", " ", "x", "é", "e\u0301", "🧑‍🚀", "🇪🇺", "\t", "\\")


def is_followed(character: str) -> bool:
    """Tell whether a character is one of those that a plan uses once."""
    code = ord(character)
    return 0x4E00 <= code < 0x9F00 or 0x20000 <= code < 0x2A000 or 0x1F300 <= code < 0x1F5FB


@dataclass
class Plan:
    """What is going to happen."""

    seed: int
    #: What each document holds at first: a text, and the cells of a notebook.
    text: str
    cells: list[dict[str, Any]]
    #: Of each client: ``person``, ``document``, ``kind`` (``python``, ``node`` or ``lab``),
    #: ``tidy`` (starts afresh as soon as it is refused) and ``shown`` (tells its Yjs client id).
    clients: list[dict[str, Any]]
    steps: list[Step]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def plan_of(data: dict[str, Any]) -> Plan:
    """Return the plan that :meth:`Plan.to_json` made ``data`` of."""
    return Plan(**data)


def generate(seed: int, steps: int) -> Plan:
    """Return the plan of a seed.

    Args:
        seed: Any number.
        steps: How many steps it has.
    """
    return _Generator(seed).plan(steps)


#: How often what happens, in shares of all steps.
_WEIGHTS = {
    "edit": 62,
    "burst": 10,
    "leave": 6,
    "join": 8,
    "role": 5,
    "disk": 5,
    "rename": 2,
    "vanish": 1.5,
    "sync": 2,
    "database": 3,
    "down": 1.5,
}
_EDITS = {"insert": 8, "type": 4, "delete": 5, "move": 2, "paste": 2, "undo": 3}
_CELLS = {"add_cell": 2, "delete_cell": 1, "move_cell": 1.5}


class _Generator:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._chance = random.Random(seed)
        self._fresh = {index: iter(self._shuffled(block)) for index, block in enumerate(_BLOCKS)}
        self._cells = 0
        self._down = False
        self._locked = False
        #: Documents whose files are not where they belong.
        self._gone: set[str] = set()

    def plan(self, steps: int) -> Plan:
        text = "".join(f"{self._text(1, 6)}\n" for _ in range(self._chance.randint(0, 8)))
        cells = [self._cell() for _ in range(self._chance.randint(1, 4))]
        clients = [self._client(number) for number in range(self._chance.randint(4, 7))]
        made: list[Step] = [{"op": "join", "client": number} for number in range(len(clients))]
        made.append({"op": "sync"})
        while len(made) < steps:
            made += self._steps(clients)
        return Plan(self._seed, text, cells, clients, made[:steps])

    # ------------------------------------------------------------ who

    def _client(self, number: int) -> dict[str, Any]:
        chance = self._chance
        return {
            "person": number % PEOPLE if number < PEOPLE else chance.randrange(PEOPLE),
            "document": "text" if number < 2 else chance.choice(DOCUMENTS),
            "kind": chance.choice(("python", "python", "node", "node", "lab")),
            "tidy": chance.random() < 0.5,
            "shown": chance.random() < 0.7,
        }

    # ------------------------------------------------------------ what

    def _steps(self, clients: list[dict[str, Any]]) -> Iterator[Step]:
        what = self._pick(_WEIGHTS)
        client = self._chance.randrange(len(clients))
        if self._down and self._chance.random() < 0.3:
            self._down = False
            yield {"op": "start"}
        elif self._locked and self._chance.random() < 0.3:
            self._locked = False
            yield {"op": "unlock"}
        elif self._gone and self._chance.random() < 0.2:
            document = self._chance.choice(sorted(self._gone))
            self._gone.discard(document)
            yield {"op": "return", "document": document}
        elif what == "edit":
            yield {"client": client, **self._edit(clients[client])}
        elif what == "burst":
            several = self._chance.sample(range(len(clients)), self._chance.randint(2, 4))
            edits = [
                {"client": one, **self._edit(clients[one])}
                for one in several
                for _ in range(self._chance.randint(1, 3))
            ]
            yield {"op": "burst", "edits": edits}
        elif what == "join":
            yield {"op": "join", "client": client}
        elif what == "leave":
            yield {"op": "leave", "client": client, "how": self._either("polite", "abrupt")}
        elif what == "disk":
            yield self._disk()
        else:
            yield from self._event(what)

    def _event(self, what: str) -> Iterator[Step]:
        if what == "role":
            if not self._down:
                yield {
                    "op": "role",
                    "person": self._chance.randrange(1, PEOPLE),
                    "document": self._chance.choice(DOCUMENTS),
                    "role": self._chance.choice(("viewer", "viewer", "editor", "editor", None)),
                }
        elif what == "rename":
            if not self._down:
                yield {"op": "rename", "document": self._chance.choice(DOCUMENTS)}
        elif what == "vanish":
            document = self._chance.choice(DOCUMENTS)
            if document not in self._gone:
                self._gone.add(document)
                yield {"op": "vanish", "document": document}
        elif what == "sync":
            if not self._down and not self._locked and not self._gone:
                yield {"op": "sync"}
        elif what == "database":
            if self._either(True, False):
                yield {"op": "break"}
            elif not self._locked:
                self._locked = True
                yield {"op": "lock"}
        elif not self._down:
            self._down = True
            yield {"op": self._chance.choice(("stop", "kill", "kill"))}

    def _edit(self, client: dict[str, Any]) -> Step:
        notebook = client["document"] == "notebook"
        op = self._pick({**_EDITS, **_CELLS} if notebook else _EDITS)
        step: Step = {"op": op}
        if op == "undo":
            return step
        if op == "add_cell":
            return {**step, "at": self._number(), "content": self._cell()}
        if notebook:
            step["cell"] = self._number()
        if op == "move_cell":
            step["to"] = self._number()
        elif op in ("insert", "type"):
            step |= {"at": self._number(), "text": self._text(1, 24 if op == "insert" else 5)}
        elif op != "delete_cell":
            step |= {"at": self._number(), "length": self._chance.randint(1, 6)}
            if op != "delete":
                step["to"] = self._number()
        return step

    def _disk(self) -> Step:
        return {
            "op": "disk",
            "document": self._chance.choice(DOCUMENTS),
            "how": self._either("replace", "in_place"),
            "change": self._chance.choice(("insert", "append", "edit", "delete")),
            "at": self._number(),
            "text": self._text(1, 8, filling=False),
            "calm": self._chance.random() < 0.4,
        }

    def _cell(self) -> dict[str, Any]:
        self._cells += 1
        # As nbformat wants it: up to 64 letters, digits, "-" and "_".
        cell = {"id": f"{self._seed}-{self._cells}", "source": self._text(0, 8), "metadata": {}}
        if self._either(True, False):
            return {**cell, "cell_type": "markdown"}
        return {**cell, "cell_type": "code", "execution_count": None, "outputs": []}

    # ------------------------------------------------------------ chance

    def _text(self, least: int, most: int, *, filling: bool = True) -> str:
        chance = self._chance
        text = ""
        for _ in range(chance.randint(least, most)):
            if filling and chance.random() < 0.25:
                text += chance.choice(_FILLING)
            else:
                block = self._fresh[chance.choice((0, 0, 1, 2))]
                # Of emoji there are the fewest.
                text += chr(next(block, None) or next(self._fresh[1]))
        return text

    def _shuffled(self, block: range) -> list[int]:
        return self._chance.sample(block, len(block)) if len(block) < 1000 else list(block)

    def _number(self) -> int:
        return self._chance.randrange(100_000)

    def _either(self, one: Any, other: Any) -> Any:
        return one if self._chance.random() < 0.5 else other

    def _pick(self, weights: dict[str, float]) -> str:
        return self._chance.choices(list(weights), list(weights.values()))[0]
