"""Code for another Python than the server's, stubs, and what only notebooks can do."""

from __future__ import annotations

import sys

import pytest

from jupyter_collab_ai.ai.analyzers.service import Analyzers
from jupyter_collab_ai.ai.languages import version_of_notebook
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part

#: What an older Python refuses, with the version that it needs.
NEWER = [
    ('d = {"k": 1}\nprint(f"{d["k"]}")\n', 2, (3, 12)),
    ("type Pairs[T] = list[tuple[T, T]]\n", 1, (3, 12)),
    ("type Number = int\nx: Number = 1\n", 1, (3, 12)),
    ("def first[T](xs: list[T]) -> T:\n    x: T = xs[0]\n    return x\n", 1, (3, 12)),
    (
        "class Box[T]:\n    value: T\n\n    def get(self) -> T:\n        return self.value\n",
        1,
        (3, 12),
    ),
    ("class Box[T = int]:\n    value: T\n", 1, (3, 13)),
    ("try:\n    print()\nexcept OSError, ValueError:\n    print(1)\n", 3, (3, 14)),
]


@pytest.fixture
async def analyzers():
    made = Analyzers(extra=[])
    yield made
    await made.close()


def text(source, path="a.py"):
    return DocumentSnapshot.of_text(path, source)


def notebook(*sources, version=()):
    parts = tuple(Part(f"c{index}", "code", source) for index, source in enumerate(sources))
    return DocumentSnapshot("a.ipynb", "python", parts, is_notebook=True, language_version=version)


def told(analysis):
    return [
        (item.location.cell_id, item.location.start.line, item.severity.value, item.rule)
        for item in analysis.findings
    ]


@pytest.mark.parametrize(("source", "line", "needs"), NEWER)
async def test_what_a_newer_python_reads_is_no_mistake(analyzers, source, line, needs):
    analysis = await analyzers.analyze(text(source))
    assert analysis.parses is True
    assert await analyzers.parses(text(source)) is True
    known = sys.version_info >= needs
    newer = [item for item in told(analysis) if item[3] == "newer-python"]
    assert newer == ([] if known else [(None, line, "info", "newer-python")])
    assert all(severity == "info" for _, _, severity, _ in told(analysis))


async def test_the_rest_of_newer_code_is_looked_at(analyzers):
    source = "def f[T](x: T, y=[]) -> T:\n    y.append(x)\n    return y.sort()\n\nprint(lost)\n"
    rules = {item[3] for item in told(await analyzers.analyze(text(source)))}
    assert {"none-from-in-place", "F821"} <= rules


async def test_a_real_mistake_beside_newer_code_is_still_one(analyzers):
    analysis = await analyzers.analyze(text("type Number = int\n\ndef f(:\n    pass\n"))
    assert analysis.parses is False
    assert (None, 3, "error", "SyntaxError") in told(analysis)


@pytest.mark.parametrize(
    ("version", "expected"), [((3, 13), []), ((3, 10), ["error"]), ((), ["info"])]
)
async def test_the_kernel_of_a_notebook_says_what_it_can_read(analyzers, version, expected):
    snapshot = notebook("%matplotlib inline\ntype Number = int", "x: Number = 1", version=version)
    analysis = await analyzers.analyze(snapshot)
    if sys.version_info >= (3, 12):
        # What the server itself reads, nobody asks about.
        expected = []
    assert [severity for *_, severity, _ in told(analysis)] == expected
    assert analysis.parses is (expected != ["error"])


def test_the_version_of_a_kernel_is_read_from_the_notebook():
    assert version_of_notebook({"language_info": {"name": "python", "version": "3.12.4"}}) == (
        3,
        12,
    )
    for odd in ({}, {"language_info": 3}, {"language_info": {"version": 3}}):
        assert version_of_notebook(odd) == ()
    assert version_of_notebook({"language_info": {"version": "new"}}) == ()


async def test_a_stub_may_name_what_it_defines_later(analyzers):
    source = "class A:\n    def b(self, other: B = ...) -> B: ...\n\nclass B(A): ...\n"
    assert (await analyzers.analyze(text(source, "a.pyi"))).findings == ()


async def test_calls_without_brackets_are_no_mistake_in_a_notebook(analyzers):
    snapshot = notebook("x = [1, 2]\n/sum x", ",print a b", ";print a b\ny = (x\n, x)")
    assert (await analyzers.analyze(snapshot)).findings == ()
    assert (await analyzers.analyze(notebook("x = (1\n/ 2)", "y = (x\n,x)"))).findings == ()
    analysis = await analyzers.analyze(text("/sum x\n"))
    assert analysis.parses is False, "in a file they are"


async def test_a_name_from_a_cell_below_is_no_unknown_name(analyzers):
    snapshot = notebook("show(data)", "def show(it):\n    print(it)", "data, rest = [1], 2", "nil")
    assert told(await analyzers.analyze(snapshot)) == [
        ("c0", 1, "warning", "F821"),
        ("c0", 1, "warning", "F821"),
        ("c3", 1, "error", "F821"),
    ]
    snapshot = notebook("print(count)", "def f():\n    count = 1\n    return count")
    assert told(await analyzers.analyze(snapshot)) == [("c0", 1, "error", "F821")]


@pytest.mark.parametrize(
    ("source", "severity"),
    [
        ("def again():\n    raise\n\ntry:\n    print()\nexcept OSError:\n    again()\n", "warning"),
        ("from there import Literal\nx: Literal['redis', 'valkey'] = 'redis'\n", "warning"),
        ("globals().update(a=1)\nprint(a)\n", None),
        ("__all__ = ['a']\nglobals().update(a=1)\n", None),
        ("print(a)\n", "error"),
    ],
)
async def test_what_may_be_right_is_no_error(analyzers, source, severity):
    found = {item.severity.value for item in (await analyzers.analyze(text(source))).findings}
    assert found == ({severity} if severity else set())
