"""From a seed to a plan."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

PEOPLE = 3
FUNCTIONS = 6


class Outcome(Enum):
    """What the model does when it is asked."""

    GOOD = "good"
    #: Writes the function anew with another indentation.
    DEEP = "deep"
    FAILS = "fails"
    PROSE = "prose"
    TORN = "torn"


class Mode(Enum):
    """Where an operation writes."""

    FUNCTION = "function"
    LINES = "lines"
    APPEND = "append"
    INSERT = "insert"
    DOCUMENT = "document"


@dataclass(frozen=True)
class Type:
    """A person types a line, or deletes some."""

    person: int
    #: In the scope of the newest operation, at its edge, or anywhere.
    where: str
    deletes: bool
    chance: float


@dataclass(frozen=True)
class Begin:
    """A person starts an operation, whose model then waits to be released."""

    operation: int
    person: int
    mode: Mode
    outcome: Outcome
    function: int


@dataclass(frozen=True)
class Release:
    """The model answers, while a person may be typing."""

    operation: int
    typing: int


@dataclass(frozen=True)
class End:
    """Somebody cancels an operation, or the owner breaks its lock."""

    operation: int
    breaks: bool


@dataclass(frozen=True)
class Undo:
    """An operation is taken back."""

    operation: int


@dataclass(frozen=True)
class Kill:
    """The server is killed and started again."""


Step = Type | Begin | Release | End | Undo | Kill


@dataclass(frozen=True)
class Plan:
    """What is to be played."""

    seed: int
    steps: tuple[Step, ...]

    @property
    def undoes(self) -> bool:
        """Whether something is undone, which may leave what people built on it without it."""
        return any(isinstance(step, Undo) for step in self.steps)


def generate(seed: int, operations: int, *, kill: bool | None = None) -> Plan:
    """Return the plan of a seed.

    Args:
        seed: What it is made of.
        operations: How many there are.
        kill: Whether the server is killed in it; by chance where nothing is said.
    """
    chance = random.Random(seed)
    steps: list[Step] = []
    kill = chance.random() < 0.3 if kill is None else kill
    kill_at = chance.randrange(operations) if kill else -1
    undoes = chance.random() < 0.3

    def some_typing(most: int) -> None:
        steps.extend(
            Type(
                chance.randrange(PEOPLE),
                chance.choices(("in", "edge", "across", "else"), (4, 2, 2, 2))[0],
                chance.random() < 0.25,
                chance.random(),
            )
            for _ in range(chance.randrange(most + 1))
        )

    for number in range(operations):
        outcome = chance.choices(tuple(Outcome), (5, 5, 1, 1, 1))[0]
        mode = chance.choices(tuple(Mode), (5, 3, 2, 2, 2))[0]
        begin = Begin(number, chance.randrange(PEOPLE), mode, outcome, chance.randrange(FUNCTIONS))
        steps.append(begin)
        some_typing(3)
        if number == kill_at:
            steps.append(Kill())
            some_typing(2)
            continue
        if chance.random() < 0.15:
            steps.append(End(number, chance.random() < 0.5))
        else:
            steps.append(Release(number, chance.randrange(4)))
        some_typing(2)
        if undoes and chance.random() < 0.5:
            steps.append(Undo(number))
    return Plan(seed, tuple(steps))
