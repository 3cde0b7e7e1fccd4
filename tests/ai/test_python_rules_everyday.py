"""What beginners write every day: each rule finds it, and the repaired twin is quiet."""

from __future__ import annotations

import pytest

from tests.ai.test_python_rules import hits

#: rule, the line of the fault, the faulty text
FAULTY = [
    # A notebook's cell is no function.
    ("endless-loop", 2, "i = 0\nwhile i < 10:\n    print(i)"),
    ("endless-loop", 5, "def f(i):\n    return i\n\ni = 0\nwhile i < 10:\n    print(f(1))"),
    ("none-from-in-place", 2, "def f(xs):\n    xs = xs.sort()\n    return xs[0]"),
    ("none-from-in-place", 2, "xs = [3, 1]\nxs = xs.sort()\nprint(xs)"),
    ("none-from-in-place", 3, "xs = []\nfor x in range(3):\n    xs = xs.append(x)"),
    ("none-from-in-place", 2, "def f(xs: list[int], x):\n    xs = xs.append(x)\n    return xs"),
]
#: rule, a text in which it has nothing to say
RIGHT = [
    ("endless-loop", "i = 0\nwhile i < 10:\n    print(i)\n    i += 1"),
    ("endless-loop", "i = 0\ndef f():\n    global i\n    i += 1\nwhile i < 10:\n    f()"),
    ("endless-loop", "xs = [1]\ndef f():\n    xs.pop()\nwhile xs:\n    f()"),
    ("endless-loop", "import time\nwhile True:\n    time.sleep(1)"),
    # Another thread waits for what the function around it says.
    (
        "endless-loop",
        "def f(g):\n    stop = False\n    def run():\n        while not stop:\n            g()\n"
        "    h(run)\n    stop = True",
    ),
    ("none-from-in-place", "import polars as pl\n\ndef f(xs):\n    xs = xs.sort()\n    return xs"),
    ("none-from-in-place", "def f(frame, row):\n    frame = frame.append(row)\n    return frame"),
    ("none-from-in-place", "def f(cursor):\n    cursor = cursor.sort('a', -1)\n    return cursor"),
    ("none-from-in-place", "def f(xs):\n    ys = xs.sort()\n    return ys"),
]


@pytest.mark.parametrize(("rule", "line", "source"), FAULTY)
def test_the_fault_is_found_where_it_is(rule: str, line: int, source: str) -> None:
    assert (line, rule) in hits(source)


@pytest.mark.parametrize(("rule", "source"), RIGHT)
def test_what_is_right_is_left_alone(rule: str, source: str) -> None:
    assert rule not in {found for _, found in hits(source)}
