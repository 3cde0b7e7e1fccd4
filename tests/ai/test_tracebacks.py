"""Why does this fail? Errors of several programs, mapped to lines and cells."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_collab_ai.ai.findings import Category, Severity
from jupyter_collab_ai.ai.locations import NoSuchPlace
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part
from jupyter_collab_ai.ai.tracebacks import finding_of, read_error

MEAN = """\
def mean(values):
    return sum(values) / len(values)


def report(groups):
    for group in groups:
        print(mean(group))


report([[1], []])
"""


def notebook(*sources):
    parts = tuple(Part(f"c{index}", "code", source) for index, source in enumerate(sources))
    return DocumentSnapshot("a.ipynb", "python", parts, is_notebook=True)


def ran(source, tmp_path, name="a.py"):
    file = tmp_path / name
    file.write_text(source)
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=False)
    return done.stderr


def test_what_python_itself_says(tmp_path):
    snapshot = DocumentSnapshot.of_text("users/ada/a.py", MEAN)
    finding = finding_of(snapshot, ran(MEAN, tmp_path))
    assert finding.title == "ZeroDivisionError: division by zero"
    assert (finding.category, finding.severity) == (Category.BUG, Severity.ERROR)
    assert snapshot.text_at(finding.location) == "return sum(values) / len(values)"
    assert "empty list" in finding.explanation
    assert "reached from line 10, then line 7" in finding.explanation


@pytest.mark.parametrize(
    ("source", "line", "kind", "word"),
    [
        ("x = [1]\nprint(x[1])\n", 2, "IndexError", "one too far"),
        ("x = [2, 1].sort()\nprint(x[0])\n", 2, "TypeError", "in place"),
        ("print(int('a'))\n", 1, "ValueError", "no number"),
        ("d = {}\n\nd['a']\n", 3, "KeyError", ".get("),
        ("def f(n):\n    return f(n)\nf(1)\n", 2, "RecursionError", "end"),
        ("import nothing_like_it\n", 1, "ModuleNotFoundError", "installed"),
        ("print(undefined)\n", 1, "NameError", "typing mistake"),
        ("x = 'a' + 1\n", 1, "TypeError", "int()"),
        ("x = (1,\n", 1, "SyntaxError", "can't read"),
        ("raise OSError('disk')\n", 1, "OSError", "OSError: disk."),
        ("try:\n    1 / 0\nexcept ZeroDivisionError:\n    [][0]\n", 4, "IndexError", ""),
        ("from json import loads\n\nloads('')\n", 3, "JSONDecodeError", "print"),
    ],
)
def test_common_errors_are_explained_where_they_happen(tmp_path, source, line, kind, word):
    finding = finding_of(DocumentSnapshot.of_text("a.py", source), ran(source, tmp_path))
    assert (finding.rule, finding.location.start.line) == (kind, line)
    assert word in finding.explanation
    assert finding.certain


IPYTHON = """\
\x1b[31m---------------------------------------------------------------------------\x1b[39m
\x1b[31mZeroDivisionError\x1b[39m                         Traceback (most recent call last)
\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[7]\x1b[39m\x1b[32m, line 2\x1b[39m
      1 \x1b[38;5;28;01mdef\x1b[39;00m unused(): \x1b[38;5;28;01mpass\x1b[39;00m
\x1b[32m----> 2\x1b[39m mean([])

\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[3]\x1b[39m\x1b[32m, line 2\x1b[39m, in mean(values)
      1 def mean(values):
\x1b[32m----> 2\x1b[39m     return sum(values) / len(values)

\x1b[31mZeroDivisionError\x1b[39m: division by zero
"""
OLD_IPYTHON = """\
---------------------------------------------------------------------------
KeyError                                  Traceback (most recent call last)
<ipython-input-5-0c1b3f> in <module>
      1 # a comment
----> 2 table["b"]

KeyError: 'b'
"""
OLDER = OLD_IPYTHON.replace(
    "<ipython-input-5-0c1b3f> in <module>", "Input In [5], in <cell line: 2>()"
)
TEMP = """\
Traceback (most recent call last):
  File "/tmp/ipykernel_4242/1234567.py", line 2, in <module>
    table["b"]
KeyError: 'b'
"""


def test_frames_of_a_notebook_are_found_by_their_text():
    snapshot = notebook(
        "import os\n",
        "def mean(values):\n    return sum(values) / len(values)\n",
        "def unused(): pass\nmean([])\n",
    )
    finding = finding_of(snapshot, IPYTHON, "c2")
    assert (finding.location.cell_id, finding.location.start.line) == ("c1", 2)
    assert "line 2 of cell 3" in finding.explanation
    assert finding.title == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("error", [OLD_IPYTHON, OLDER, TEMP])
def test_older_kernels(error):
    snapshot = notebook('table = {"a": 1}\ntable["a"]', '# a comment\ntable["b"]\n')
    finding = finding_of(snapshot, error)
    assert (finding.location.cell_id, finding.location.start.line) == ("c1", 2)
    assert finding.rule == "KeyError"


def test_other_programs():
    js = (
        "/home/x/a.js:2\n  return x.y.z;\nTypeError: Cannot read properties of undefined\n"
        "    at f (/home/x/a.js:2:14)\n    at Object.<anonymous> (/home/x/a.js:5:1)\n"
        "    at node:internal/main:3:1\n"
    )
    source = "function f(x) {\n  return x.y.z;\n}\n\nf({});\n"
    finding = finding_of(DocumentSnapshot.of_text("a.js", source), js)
    assert (finding.location.start.line, finding.rule) == (2, "TypeError")
    c = "a.c: In function 'main':\na.c:3:5: error: 'x' undeclared (first use in this function)\n"
    finding = finding_of(DocumentSnapshot.of_text("a.c", "int main()\n{\n    x = 1;\n}\n"), c)
    assert finding.location.start.line == 3
    assert finding.title == "'x' undeclared (first use in this function)"


@pytest.mark.parametrize(
    "error",
    [
        "",
        "it does not work",
        'Traceback (most recent call last):\n  File "other.py", line 1, in f\n    x\nKeyError: 1',
        'Traceback (most recent call last):\n  File "a.py", line 9999\nKeyError: 1',
        'Traceback (most recent call last):\n  File "a.py", line 1\n    not there\nKeyError: 1',
    ],
)
def test_what_names_no_line_of_the_document_has_no_finding(error):
    assert finding_of(DocumentSnapshot.of_text("a.py", "x = 1\n"), error) is None


pieces = st.sampled_from(
    [
        *('File "a.py", line 2', "Cell In[1], line 1", "----> 1 x = 1", "    x = 1", "KeyError: a"),
        *('File "a.py", line 99999999999', "<ipython-input-1-a> in b", "Input In [1]", "a.py:3:1"),
        *("\x1b[31m", "Error: 'x", "    ^^^", ":", "é🦉", "\r", "During handling of the above"),
    ]
)


@given(st.lists(pieces, max_size=12).map("\n".join), st.booleans())
def test_any_error_can_be_read(error, in_notebook):
    read_error(error)
    snapshot = (
        notebook("x = 1\n", "y\nx = 1") if in_notebook else DocumentSnapshot.of_text("a.py", MEAN)
    )
    finding = finding_of(snapshot, error)
    if finding is None:
        return
    try:
        assert snapshot.text_at(finding.location).strip()
    except NoSuchPlace:
        pytest.fail("it points at a place that isn't there")
