# ruff: noqa: E501 - short programs in one line each
"""Examples that stand in a text, worked out by hand, and the line that is at fault."""

from __future__ import annotations

import ast
import textwrap
import time

import pytest

from jupyter_collab_ai.ai.analyzers.python_rules import engine, examples
from jupyter_collab_ai.ai.analyzers.python_rules.module import Module
from jupyter_collab_ai.ai.analyzers.python_rules.reckoning import (
    Endless,
    Reckoner,
    Unknown,
    Wrong,
)

RULE = "example-does-not-hold"


def found(source):
    """Return (line, title) of examples that do not hold."""
    source = textwrap.dedent(source).strip("\n")
    hits = engine.apply(
        ast.parse(source), source.split("\n"), [0], ends=time.monotonic() + 30, most=100
    )
    return [(hit["line"], hit["title"]) for hit in hits if hit["rule"] == RULE]


def work_out(source, *arguments):
    tree = ast.parse(textwrap.dedent(source))
    functions = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}
    reckoner = Reckoner(functions, {"math"}, time.monotonic() + 30)
    return reckoner.call(next(iter(functions)), list(arguments))


LARGEST = '''
def largest(a):
    """Tell the largest.

    >>> largest([1, 3, 2])
    3
    """
    best = a[0]
    for x in a:
        if x {} best:
            best = x
    return best
'''


def test_the_line_at_fault_is_named_with_what_would_stand_there():
    assert found(LARGEST.format("<")) == [
        (
            9,
            "`largest([1, 3, 2])` should be 3 and gives 1; it would be with `x > best` here",
        )
    ]
    assert not found(LARGEST.format(">"))


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("def f(n):\n    'f(3) == 6'\n    return sum(range(n))", 3),
        ("def f(n):\n    return n * 3\n\nassert f(2) == 4", 2),
        ("def f(n):\n    return n * 3\n\ndef test_f():\n    assert f(2) == 4", 2),
        ("class T(C):\n    def test(self):\n        self.assertEqual(f(2), 4)\n\ndef f(n):\n    return n + 1", 6),
        ("def f(a, b):\n    '- f(1, 2) => [2, 1]'\n    return [a, b]", 3),
        ("def f(a):\n    'f(4) ➞ true'\n    return a % 2 != 0", 3),
        ("def f(s):\n    \"\"\"\n    >>> f('ab')\n    'AB'\n    \"\"\"\n    return s.lower()", 6),
        ("def g(n):\n    return n - 1\n\ndef f(n):\n    'f(1) returns 4.'\n    return 2 * g(n)", 2),
        ("def f(n):\n    'f(5) == 2'\n    c = 0\n    while n:\n        n ^= n - 1\n        c += 1\n    return c", 5),
        ("SIZE = 3\ndef f(n):\n    'f(2) == 6'\n    return n + SIZE", 4),
        ("def f(a):\n    'f([]) == 0'\n    return a[0] if len(a) >= 0 else 0", 3),
    ],
)  # fmt: skip
def test_examples_are_found_in_many_forms(source, line):
    assert [place for place, _ in found(source)] == [line]


@pytest.mark.parametrize(
    "source",
    [
        "def f(n):\n    'f(2) == 4'\n    return n * 2",
        "def f(n):\n    'f(2) == 4'\n    return other(n)",
        "def f(n):\n    'f(2) == something'\n    return 1",
        "def f(n):\n    '''\n    >>> f(0)\n    Traceback (most recent call last):\n    '''\n    return 1",
        "@wrapped\ndef f(n):\n    'f(2) == 4'\n    return 1",
        "def f(n):\n    'f(2) == 0.3333333'\n    return 1 / 3",
        "def f(n):\n    'f(2) == [1, 2]'\n    return 1, 2",
    ],
)
def test_examples_that_hold_or_can_not_be_told_are_left_alone(source):
    assert not found(source)


def test_where_no_change_helps_the_example_may_be_wrong():
    source = "def f(a):\n    'f(5) == 977'\n    return a"
    (hit,) = engine.apply(
        ast.parse(source), source.split("\n"), [0], ends=time.monotonic() + 30, most=9
    )
    assert (hit["line"], hit["severity"], hit["confidence"]) == (3, "warning", 0.6)


def test_the_tree_is_as_before_when_a_change_was_found():
    tree = ast.parse(LARGEST.format("<"))
    before = ast.dump(tree)
    assert list(examples.examples(Module(tree)))
    assert ast.dump(tree) == before


@pytest.mark.parametrize(
    ("source", "arguments", "wanted"),
    [
        ("def f(a):\n    b, *c = a\n    return b, c", ([1, 2, 3],), (1, [2, 3])),
        ("def f(n):\n    for i in range(n):\n        yield i\n    yield from [8]", (2,), [0, 1, 8]),
        ("def f(s):\n    return ''.join(sorted(s, key=lambda c: -ord(c)))", ("abc",), "cba"),
        ("def f(s):\n    try:\n        return int(s)\n    except ValueError:\n        return -1", ("x",), -1),
        ("def f(a):\n    d = {}\n    for x in a:\n        d[x] = d.get(x, 0) + 1\n    return d", ("aab",), {"a": 2, "b": 1}),
        ("import math\ndef f(x):\n    return math.ceil(math.sqrt(x))", (10,), 4),
        ("def f(n):\n    return 1 if n < 2 else n * f(n - 1)", (5,), 120),
        ("def f(a):\n    return {x: [y for y in a if y > x] for x in a}", ([1, 2],), {1: [2], 2: []}),
        ("def f(a):\n    for x in a:\n        if x > 1:\n            break\n    else:\n        return 0\n    return x", ([1, 2, 3],), 2),
        ("def f(a):\n    a += [1]\n    a[0] -= 1\n    return f'{a[0]}/{len(a)}'", ([5],), "4/2"),
        ("def f(a):\n    def g(b, c=2):\n        return a + b * c\n    return g(3)", (1,), 7),
    ],
)  # fmt: skip
def test_what_functions_give(source, arguments, wanted):
    assert work_out(source, *arguments) == wanted


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    return open('/etc/passwd')",
        "def f():\n    return ().__class__",
        "def f():\n    return ''.format(1)",
        "def f():\n    return '{0.__class__}'.format(1)",
        "def f():\n    return __import__('os')",
        "def f():\n    import os\n    return os.getcwd()",
        "def f():\n    return getattr('', 'join')",
        "def f():\n    return eval('1')",
        "def f():\n    return type('')",
        "def f():\n    return 'a' * 10 ** 9",
        "def f():\n    return 9 ** 9 ** 9",
        "def f():\n    return 1 << 10 ** 9",
        "def f():\n    return sum(range(10 ** 12))",
        "def f():\n    return '%999999999d' % 1",
        "def f():\n    return f'{1:>999999999}'",
        "def f():\n    a = []\n    for i in range(99):\n        a = [a, a]\n    return str(a)",
        "def f():\n    a = []\n    a.append(a)\n    return a == [a]",
        "def f():\n    return math.factorial(10 ** 6)",
        "class A: pass\n\ndef f():\n    return A()",
        "def f():\n    return list(map(math.factorial, [10 ** 7]))",
        "def f():\n    return math.prod([2 ** 3990 + 1] * 4900)",
        "def f():\n    return round(7, -10 ** 8)",
        "def f():\n    return list(map(round, [7], [-10 ** 8]))",
        "def f():\n    return sum(b'x' * 300000000)",
        "def f():\n    return sum(b'%0300000000d' % 1)",
        "def f():\n    d = {}\n    for i in range(30):\n        d = {0: d, 1: d}\n    return f'{d}'",
        "def f(a=1 / 0):\n    return 1",
    ],
)
def test_nothing_else_can_be_reached_and_nothing_gets_large(source):
    started = time.monotonic()
    tree = ast.parse(source)
    functions = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}
    with pytest.raises(Unknown):
        Reckoner(functions, {"math"}, time.monotonic() + 30).call("f", [])
    assert time.monotonic() - started < 5


def test_what_never_ends_and_what_fails():
    with pytest.raises(Endless):
        work_out("def f():\n    while True:\n        pass")
    with pytest.raises(Endless):
        work_out("def f(n):\n    return f(n)", 1)
    with pytest.raises(Wrong) as wrong:
        work_out("def f(a):\n    b = 1\n    return a[b]", [1])
    assert (wrong.value.kind, wrong.value.line) == ("IndexError", 3)
    with pytest.raises(Unknown):
        Reckoner({}, set(), time.monotonic(), {}).call("f", [])


def test_what_is_given_back_is_not_large_either():
    """Also where it was put together first, and filled afterwards."""
    tree = ast.parse(
        textwrap.dedent(
            """
            def f():
                tops, ends = [], []
                for i in range(4):
                    end = []
                    top = end
                    for j in range(8):
                        top = [top, top]
                    tops.append(top)
                    ends.append(end)
                a, b, c, d = tops
                x, y, z, w = ends
                w.append(c)
                z.append(b)
                y.append(a)
                return d
            """
        )
    )
    functions = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}
    with pytest.raises(Unknown):
        Reckoner(functions, {"math"}, time.monotonic() + 30).call("f", [])


@pytest.mark.parametrize(
    "source",
    [
        "\n".join(f"a{i} = {i}" for i in range(20_000)),
        "".join(
            f'def f{i}(x):\n    """f{i}(1) == 1{" " * 9900}2"""\n    return x\n' for i in range(9)
        ),
        "X = ["
        + "1, " * 100_000
        + "]\n"
        + "".join(f'def f{i}(x):\n    """f{i}(1) == 2"""\n    return x\n' for i in range(40)),
    ],
    ids=["constants", "spaces", "a table"],
)
def test_no_text_takes_long(source):
    module = Module(ast.parse(source))
    started = time.process_time()
    list(examples.examples(module))
    assert time.process_time() - started < 3


def test_what_can_not_be_written_out_is_no_example():
    function = 'def f(x):\n    """f(1) == 2"""\n    return 1\n'
    large = f"0x{'f' * 5000}"
    assert found(f"{function}assert f({large}) == 1")
    assert not found(f'def f(x):\n    """f({large}) == {large}"""\n    return 1\n')
