"""Our rules for Python: what each finds, where, and that the repaired twin is quiet."""

from __future__ import annotations

import ast
import textwrap
import time

import pytest

from jupyter_collab_ai.ai.analyzers.python_rules import engine
from jupyter_collab_ai.ai.analyzers.python_rules.analyzer import PythonRules
from jupyter_collab_ai.ai.analyzers.workers import Workers
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part


def hits(source):
    """Return (line, rule) of all that is found in a text."""
    source = textwrap.dedent(source).strip("\n")
    lines = source.split("\n")
    found = engine.apply(ast.parse(source), lines, [0], ends=time.monotonic() + 30, most=100)
    return {(item["line"], item["rule"]) for item in found}


def text(source):
    return DocumentSnapshot.of_text("a.py", source)


async def test_findings_come_from_a_process_with_their_place_and_what_they_are():
    source = "def f(größe):\n    s = 'ä'; größe = [3, 1]; return größe.sort()\n"
    (finding,) = await PythonRules(Workers()).analyze(text(source))
    assert (finding.rule, finding.category.value, finding.source) == (
        "none-from-in-place",
        "bug",
        "rules",
    )
    assert text(source).text_at(finding.location) == "größe.sort()"
    assert finding.certain


async def test_a_notebook_is_looked_at_as_a_whole_and_findings_are_in_their_cells():
    cells = (
        "%matplotlib inline\nitems = [1]",
        "x = 1",
        "!ls\nfor i in items:\n    items.remove(i)",
    )
    parts = tuple(Part(f"c{n}", "code", cell) for n, cell in enumerate(cells))
    notebook = DocumentSnapshot("a.ipynb", "python", parts, is_notebook=True)
    (finding,) = await PythonRules(Workers()).analyze(notebook)
    assert (finding.location.cell_id, finding.location.start.line) == ("c2", 3)


async def test_nested_deeply_is_no_failure():
    source = "x = " + "-" * 3000 + "1\n\ndef f(a):\n    b = []\n    return b.sort()\n"
    await PythonRules(Workers()).analyze(text(source))


BUGS = {
    "none-from-in-place": (
        ("def f(a):\n    b = list(a)\n    return b.sort(reverse=True)", 3),
        ("def f(a):\n    b = list(a)\n    b.sort(reverse=True)\n    return b",),
    ),
    "result-discarded": (
        ("def f(s: str):\n    s.replace('a', 'b')\n    return s", 2),
        ("def f(s: str):\n    return s.replace('a', 'b')", "def f(x):\n    x.replace('a', 'b')"),
    ),
    "changed-while-iterating": (
        ("def f(a):\n    for x in a:\n        if x:\n            a.remove(x)", 4),
        (
            "def f(a):\n    for x in list(a):\n        a.remove(x)",
            "def f(a):\n    for x in a:\n        if x:\n            a.remove(x)\n            break",
        ),
    ),
    "grows-by-itself": (
        ("def f(a):\n    t = 1\n    for x in a:\n        t *= t * x\n    return t", 4),
        ("def f(a):\n    t = 1\n    for x in a:\n        t *= x\n    return t",),
    ),
}


@pytest.mark.parametrize("rule", BUGS)
def test_a_bug_is_found_and_its_repair_is_quiet(rule):
    (faulty, line), repaired = BUGS[rule]
    assert (line, rule) in hits(faulty)
    for source in repaired:
        assert not {found for found in hits(source) if found[1] == rule}, source
