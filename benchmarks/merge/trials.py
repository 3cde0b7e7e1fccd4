"""The trials: a module of eight functions, a rewrite of one of them, and a person's edit."""

from __future__ import annotations

import io
import random
import re
import tokenize
import warnings
from dataclasses import dataclass

#: How often the person's edit is in the function that the model rewrites.
SAME_FUNCTION = 0.39

#: Each function as it stands, and as a model writes it anew; both do the same.
FUNCTIONS: tuple[tuple[str, str], ...] = (
    (
        """\
def total(rows):
    result = 0
    for row in rows:
        if row > 0:
            result = result + row
    return result
""",
        '''\
def total(rows):
    """Return the sum of what is positive."""
    return sum(row for row in rows if row > 0)
''',
    ),
    (
        """\
def longest(words):
    best = ""
    for word in words:
        if len(word) > len(best):
            best = word
    return best
""",
        '''\
def longest(words: list[str]) -> str:
    """Return the first of the longest words."""
    best = ""
    for word in words:
        if len(word) <= len(best):
            continue
        best = word
    return best
''',
    ),
    (
        """\
def count(text):
    seen = {}
    for character in text:
        if character in seen:
            seen[character] = seen[character] + 1
        else:
            seen[character] = 1
    return seen
""",
        """\
def count(text):
    seen = {}
    for character in text:
        seen[character] = seen.get(character, 0) + 1
    return seen
""",
    ),
    (
        """\
def pairs(items):
    result = []
    for index in range(len(items) - 1):
        one = items[index]
        other = items[index + 1]
        result.append((one, other))
    return result
""",
        """\
def pairs(items):
    result = []
    if len(items) > 1:
        for one, other in zip(items, items[1:], strict=False):
            result.append((one, other))
    return result
""",
    ),
    (
        """\
def clean(lines):
    kept = []
    for line in lines:
        line = line.strip()
        if line == "":
            continue
        kept.append(line)
    return kept
""",
        """\
def clean(lines):
    try:
        kept = [line.strip() for line in lines]
    except AttributeError:
        kept = [str(line).strip() for line in lines]
    return [line for line in kept if line]
""",
    ),
    (
        """\
def mean(numbers):
    if not numbers:
        return 0
    value = 0
    for number in numbers:
        value += number
    return value / len(numbers)
""",
        '''\
def mean(numbers):
    """Return the mean, and 0 of nothing."""
    if numbers:
        value = sum(numbers)
        return value / len(numbers)
    return 0
''',
    ),
    (
        """\
def flip(table):
    result = {}
    for key in table:
        value = table[key]
        result[value] = key
    return result
""",
        """\
def flip(table):
    result = {}
    for key, value in table.items():
        result[value] = key
    return result
""",
    ),
    (
        """\
def clamp(value, low, high):
    if value < low:
        return low
    if value > high:
        return high
    return value
""",
        '''\
def clamp(value, low=0, high=100):
    """Return the nearest value between two others."""
    if low > high:
        low, high = high, low
    return max(low, min(value, high))
''',
    ),
)

#: What is called to see whether a module runs, and what has to come of it.
CALLS = """
assert total([1, -2, 3]) == 4
assert longest(["a", "bcd", "efg"]) == "bcd"
assert count("abca") == {"a": 2, "b": 1, "c": 1}
assert pairs([1, 2, 3]) == [(1, 2), (2, 3)]
assert clean([" a ", "", "b"]) == ["a", "b"]
assert mean([1, 2, 3]) == 2 and mean([]) == 0
assert flip({"a": 1}) == {1: "a"}
assert clamp(5, 0, 3) == 3 and clamp(-1, 0, 3) == 0 and clamp(2, 0, 3) == 2
"""
_CHECK = compile(CALLS, "calls", "exec")


@dataclass(frozen=True)
class Replacement:
    """Characters of a text that are replaced."""

    start: int
    end: int
    text: str

    def apply(self, source: str) -> str:
        """Return the text with it."""
        return source[: self.start] + self.text + source[self.end :]


@dataclass(frozen=True)
class Trial:
    """One module, one rewrite and one edit, both made of the same text."""

    source: str
    #: Where the function is that the model was given, and what it answered.
    rewrite: Replacement
    #: What the person did.
    edit: Replacement
    #: What is new in the person's edit, by which it is found again.
    mark: str
    same_function: bool

    @property
    def rewritten(self) -> str:
        """The whole module as the model would have it."""
        return self.rewrite.apply(self.source)


def runs(source: str) -> bool:
    """Tell whether a module parses, and does what it did."""
    namespace: dict[str, object] = {}
    try:
        warnings.simplefilter("ignore", SyntaxWarning)
        exec(compile(source, "module", "exec"), namespace)
        exec(_CHECK, namespace)
    except Exception:
        return False
    return True


def make(seed: int) -> Trial:
    """Return the trial of a seed: always the same."""
    chance = random.Random(seed)
    order = chance.sample(FUNCTIONS, len(FUNCTIONS))
    chosen = chance.randrange(len(order))
    same = chance.random() < SAME_FUNCTION
    edited = chosen if same else chance.choice([one for one in range(8) if one != chosen])
    starts, at = [], 0
    for old, _ in order:
        starts.append(at)
        at += len(old) + 2
    source = "\n\n".join(old for old, _ in order)
    old, new = order[chosen]
    rewrite = Replacement(starts[chosen], starts[chosen] + len(old), new)
    for _ in range(100):
        edit = _edit(chance, order[edited][0], starts[edited], seed)
        if edit is not None and runs(edit.apply(source)):
            return Trial(source, rewrite, edit, edit.text, same)
    raise AssertionError(f"no edit was found for the seed {seed}")


def _edit(chance: random.Random, function: str, start: int, seed: int) -> Replacement | None:
    """Return one thing that a person does in a function, which may break it."""
    lines = function.split("\n")[:-1]
    number = chance.randrange(1, len(lines))
    line = lines[number]
    begin = start + sum(len(one) + 1 for one in lines[:number])
    indent = line[: len(line) - len(line.lstrip())]
    kind = chance.choice(("line", "block", "comment", "word", "value", "value", "word"))
    if kind == "line":
        return Replacement(begin, begin, f"{indent}mark_{seed} = {chance.randrange(100)}\n")
    if kind == "block":
        text = f"{indent}if mark_{seed} := len('ab'):\n{indent}    assert mark_{seed} == 2\n"
        return Replacement(begin, begin, text)
    if kind == "comment":
        end = begin + len(line)
        return Replacement(end, end, f"  # mark_{seed}")
    if kind == "value":
        # Somewhere in an expression, as one who looks for a fault prints or changes a value.
        places = list(re.finditer(r"(?<=[=(] )?\b(?:return|=|>|<|==) (?=\S)", line))
        if not places:
            return None
        at = begin + chance.choice(places).end()
        return Replacement(at, at, f"0 * len('mark_{seed}') or ")
    names = _names(line)
    if not names:
        return None
    column, name = chance.choice(names)
    return Replacement(
        begin + column, begin + column + len(name), f"(lambda mark_{seed}={name}: mark_{seed})()"
    )


def _names(line: str) -> list[tuple[int, str]]:
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(f"{line.lstrip()}\n").readline))
    except tokenize.TokenError:
        return []
    indent = len(line) - len(line.lstrip())
    return [
        (indent + token.start[1], token.string)
        for token in tokens
        if token.type in (tokenize.NAME, tokenize.NUMBER)
    ]
