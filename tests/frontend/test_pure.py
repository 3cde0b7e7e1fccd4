"""Pure functions of the JupyterLab extension, run in Node.js as they were compiled."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from jupyter_collab_ai.ai.locations import Lines, Position
from tests.support.node import Node

COMPILED = Path(__file__).parents[2] / "labextension" / "lib"
ALPHABET = ("a", " ", "é", "\n", "\n\n", "漢", "👩‍💻", "𝒳", "\t", "e\u0301", "\u2028", "\r")


class Functions:
    """Calls functions, many in one process."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def __call__(self, calls: list[dict[str, Any]]) -> list[Any]:
        lines = "".join(json.dumps(call) + "\n" for call in calls)
        out = self._node.run("pure.mjs", str(COMPILED), stdin=lines)
        return [json.loads(line) for line in out.split("\n") if line]


@pytest.fixture
def functions(node: Node) -> Functions:
    """The functions, by their calls."""
    assert COMPILED.exists(), "Build the extension first: pip install -e ."
    return Functions(node)


def _texts(count: int) -> list[str]:
    rng = random.Random(7)
    return ["".join(rng.choices(ALPHABET, k=rng.randrange(40))) for _ in range(count)]


def _units(text: str) -> int:
    """Return how many UTF-16 units a text has, in which JavaScript counts."""
    return len(text.encode("utf-16-le")) // 2


def test_an_edit_is_shown_as_whole_lines(functions: Functions) -> None:
    rng = random.Random(3)
    calls: list[dict[str, Any]] = []
    expected: list[list[str]] = []
    for text in ("\nx = 1\n", *_texts(60)):
        for _ in range(5):
            start, end = sorted((rng.randrange(len(text) + 1), rng.randrange(len(text) + 1)))
            new = rng.choice(("", "漢", "one\ntwo", "\n"))
            ends = {"from": _units(text[:start]), "to": _units(text[:end])}
            calls.append({"call": "hunk", "text": text, **ends, "replacement": new})
            first = text.rfind("\n", 0, start) + 1
            last = text.find("\n", end)
            last = len(text) if last < 0 else last
            around = text[first:start], text[end:last]
            expected.append([text[first:last], f"{around[0]}{new}{around[1]}"])
    for answer, (before, after) in zip(functions(calls), expected, strict=True):
        assert answer == {
            "before": before.removesuffix("\n").split("\n") if before else [],
            "after": after.removesuffix("\n").split("\n") if after else [],
        }


def test_positions_are_those_of_the_server(functions: Functions) -> None:
    expected: list[tuple[int, Position]] = []
    calls: list[dict[str, Any]] = []
    for text in _texts(60):
        for offset in range(len(text) + 1):
            position = Lines(text).position(offset)
            units = _units(text[:offset])
            expected.append((units, position))
            place = {"line": position.line, "column": position.column}
            calls.append({"call": "offset", "text": text, "position": place})
            calls.append({"call": "position", "text": text, "offset": units})
    answers = functions(calls)
    assert len(answers) == len(calls) > 1000
    for (units, position), offset, back in zip(expected, answers[::2], answers[1::2], strict=True):
        assert offset == units
        assert back == {"line": position.line, "column": position.column}


@pytest.mark.parametrize(
    ("line", "column", "offset"), [(1, 99, 2), (2, 1, 3), (2, 99, 5), (9, 1, 5), (2, 2, 4)]
)
def test_a_position_outside_is_moved_to_the_nearest_place(
    functions: Functions, line: int, column: int, offset: int
) -> None:
    position = {"line": line, "column": column}
    assert functions([{"call": "offset", "text": "ab\ncd", "position": position}]) == [offset]


def test_own_text_is_what_was_typed_since_and_still_stands(functions: Functions) -> None:
    before = ["other", 0, "shared text", 0]
    since = 2
    cases = [
        ([before, ["mine", 0, "old ", 0], ["mine", 4, "new ", 0]], "new "),
        # What somebody else typed in between is not one's own.
        ([before, ["mine", 0, "x", 0], ["mine", 1, "ab", 0], ["other", 2, "THEIRS", 0]], "a\nb"),
        # What was deleted again does not come back.
        ([before, ["mine", 0, "x", 0], ["mine", 1, "abc", 0], ["mine", 2, "", 1]], "a\nc"),
        # What goes on where one has typed before is cut off from that.
        ([before, ["mine", 0, "old", 0], ["mine", 3, "new", 0]], "new"),
        ([before, ["mine", 0, "old", 0], ["other", 0, "theirs", 0]], ""),
        ([before, ["mine", 0, "old", 0], ["mine", 1, "👩‍💻", 0]], "👩‍💻"),
    ]
    answers = functions([{"call": "own", "edits": e, "since": since} for e, _ in cases])
    assert answers == [text for _, text in cases]


def _replay(text: str, edits: list[list[Any]], copy: str, latest: int) -> dict[str, Any]:
    """Ask for own edits, and others' without a number, to be made again in a copy."""
    return {"call": "replay", "text": text, "edits": edits, "copy": copy, "latest": latest}


def test_own_edits_are_made_again_in_a_copy_that_lacks_them(functions: Functions) -> None:
    one = [[5, 0, " # a", 1], [9, 0, "b", 2], [4, 1, "7", 3]]
    cases = [
        # Nothing of it was seen; some of it; all of it.
        (_replay("x = 1", one, "x = 1", 0), "x = 7 # ab"),
        (_replay("x = 1", one, "x = 1 # a", 2), "x = 7 # ab"),
        (_replay("x = 1", one, "x = 7 # ab", 3), "x = 7 # ab"),
        # What others wrote into the copy stays, and what they took out of it stays away.
        (_replay("x = 1", one, "y\nx = 1  # Ann", 0), "y\nx = 7 # ab  # Ann"),
        (_replay("one two three", [[13, 0, " four", 1]], "one three", 0), "one three four"),
        # What others did before is in the copy already, and is not made again.
        (_replay("a", [[1, 0, "b", None], [2, 0, "c", 1]], "ab", 0), "abc"),
        (_replay("one two", [[0, 4, "", None], [3, 0, "!", 1]], "two", 0), "two!"),
        # What is typed and deleted again does not come back; what is deleted does not either.
        (_replay("a", [[1, 0, "bc", 1], [2, 1, "", 2]], "a", 0), "ab"),
        (_replay("abc", [[1, 1, "", 1]], "abc\nnew", 0), "ac\nnew"),
        # What was settled is no longer told from what others wrote, who have deleted it.
        (_replay("a", [[1, 0, "b", 1], [2, 0, "c", 2]], "a", 2) | {"settled": 1}, "ac"),
    ]
    answers = functions([call for call, _ in cases])
    assert [answer["result"] for answer in answers] == [text for _, text in cases]


def test_a_copy_of_any_moment_becomes_the_whole_text(functions: Functions) -> None:
    rng = random.Random(5)
    calls: list[dict[str, Any]] = []
    for _ in range(150):
        text = first = "".join(rng.choices("ab\n", k=rng.randrange(6)))
        edits: list[list[Any]] = []
        states = [text]
        for number in range(1, rng.randrange(2, 12)):
            at = rng.randrange(len(text) + 1)
            remove = rng.randrange(min(3, len(text) - at) + 1)
            insert = "".join(rng.choices("abc\n", k=rng.randrange(4)))
            edits.append([at, remove, insert, number])
            text = text[:at] + insert + text[at + remove :]
            states.append(text)
        latest = rng.randrange(len(states))
        seen = rng.randrange(latest + 1)
        calls.append(_replay(first, edits, states[seen], latest))
    for call, answer in zip(calls, functions(calls), strict=True):
        text = call["text"]
        states = [text]
        for at, remove, insert, _ in call["edits"]:
            text = text[:at] + insert + text[at + remove :]
            states.append(text)
        assert answer["now"] == text
        # Which of several moments with one text it was can't be told, and makes no difference.
        assert answer["result"] == text, call


def test_an_anchor_moves_with_its_text(functions: Functions) -> None:
    def ask(start: int, end: int, *edits: list[Any]) -> dict[str, Any]:
        return {"call": "anchor", "text": "one two three", "from": start, "to": end, "edits": edits}

    def at(start: int, end: int, intact: bool) -> dict[str, Any]:
        return {"range": {"from": start, "to": end}, "intact": intact}

    cases = [
        (ask(4, 7), at(4, 7, True)),
        (ask(4, 7, [0, "zero ", 0]), at(9, 12, True)),
        # What is typed at its edges stays out.
        (ask(4, 7, [4, "X", 0]), at(5, 8, True)),
        (ask(4, 7, [7, "X", 0]), at(4, 7, True)),
        (ask(4, 7, [5, "X", 0]), at(4, 8, False)),
        (ask(4, 7, [4, "", 3]), at(4, 4, False)),
        (ask(13, 13), at(13, 13, True)),
        (ask(0, 0, [5, "X", 0]), at(0, 0, True)),
    ]
    assert functions([call for call, _ in cases]) == [answer for _, answer in cases]


def test_the_last_event_of_a_stream_is_what_it_came_to(functions: Functions) -> None:
    stream = 'event: lock\ndata: {"a": 1}\n\n: keep-alive\n\nevent: done\ndata: {"b": 2}\n\n'
    calls = [{"call": "lastEvent", "stream": each} for each in (stream, stream + ": x\n\n", "")]
    done = {"event": "done", "data": '{"b": 2}'}
    assert functions(calls) == [done, done, {"event": "", "data": ""}]


def test_frames_that_are_not_known_are_none(functions: Functions) -> None:
    texts = ['{"type":"saved","seq":3}', '{"type":"new"}', "[]", "null", "{", '"hello"', "{}"]
    answers = functions([{"call": "frame", "text": text} for text in texts])
    assert answers == [{"type": "saved", "seq": 3}, *[None] * 6]


def _cells(names: str) -> list[dict[str, str]]:
    """Return cells by their ids, which are letters; an upper-case one has other text."""
    return [{"id": name.lower(), "type": "code", "source": name, "outputs": ""} for name in names]


@pytest.mark.parametrize(
    ("before", "after", "pairs"),
    [
        ("abc", "abc", ["aa same", "bb same", "cc same"]),
        ("abc", "aBc", ["aa same", "bb changed", "cc same"]),
        ("abc", "ac", ["aa same", "b- removed", "cc same"]),
        ("abc", "bc", ["a- removed", "bb same", "cc same"]),
        ("ac", "abc", ["aa same", "-b added", "cc same"]),
        ("abcd", "acdb", ["aa same", "cc same", "dd same", "bb moved"]),
        ("abcd", "adbc", ["aa same", "dd moved", "bb same", "cc same"]),
        ("ab", "", ["a- removed", "b- removed"]),
        ("", "ab", ["-a added", "-b added"]),
    ],
)
def test_cells_are_paired_by_their_ids(
    functions: Functions, before: str, after: str, pairs: list[str]
) -> None:
    call = {"call": "pairs", "before": _cells(before), "after": _cells(after)}
    (answer,) = functions([call])
    assert [f"{one or '-'}{other or '-'} {change}" for one, other, change in answer] == pairs


def test_each_cell_is_in_one_pair(functions: Functions) -> None:
    rng = random.Random(11)
    letters = "abcdefghij"
    cases = [
        (rng.sample(letters, rng.randrange(9)), rng.sample(letters, rng.randrange(9)))
        for _ in range(200)
    ]
    answers = functions(
        [
            {"call": "pairs", "before": _cells("".join(one)), "after": _cells("".join(other))}
            for one, other in cases
        ]
    )
    for (one, other), pairs in zip(cases, answers, strict=True):
        assert sorted(before for before, _, _ in pairs if before) == sorted(one)
        assert [after for _, after, _ in pairs if after] == other
