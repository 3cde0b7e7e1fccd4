"""Texts that take long to read if they are read badly, of people and of models.

A regular expression holds the whole server up while it works, whichever thread it works in.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from jupyter_collab_ai.ai.answers import Unusable, parse_code, parse_review, partial_code
from jupyter_collab_ai.ai.blocks import changes, fenced
from jupyter_collab_ai.ai.left_out import left_out
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot
from jupyter_collab_ai.ai.tracebacks import finding_of, places, read_error

#: Seconds of the processor for what took minutes, or longer than anybody waited.
MOST = 5.0


def soon(do: Callable[[], object]) -> None:
    begun = time.thread_time()
    do()
    assert time.thread_time() - begun < MOST


@pytest.mark.parametrize(
    "error",
    [
        "a." * 50_000,
        "a" * 100_000,
        "." * 100_000,
        "a.a:" * 25_000,
        "Cell In [" + "1" * 50_000 + "\n",
        'File "' * 20_000,
        "error[" * 20_000,
        "A" * 99_000 + "Error",
        "\x1b[" * 50_000,
        " " * 100_000,
        "\n" * 100_000,
    ],
    ids=lambda text: repr(text[:10]),
)
def test_an_error_is_read_soon(error: str) -> None:
    soon(lambda: read_error(error))


def test_an_error_that_names_the_document_again_and_again() -> None:
    snapshot = DocumentSnapshot.of_text("a.py", "x = 1\n" * 100_000)
    soon(lambda: finding_of(snapshot, "a.py:1 " * 14_000))
    # The innermost is the last, and is still found.
    error = "\n".join(f"a.py:{number}" for number in range(1, 1000))
    assert [place.line for place in places(snapshot, read_error(error), None)][-1] == 1


def test_a_line_number_that_is_none() -> None:
    # Python makes no number of more than 4,300 digits.
    for text in ('File "a.py", line {}', "Cell In[1], line {}", "a.js:{}", "---> {} x"):
        read_error(text.format("1" * 9000))


@pytest.mark.parametrize(
    "answer",
    [
        "```a\n" * 80_000,
        "   ~~~a\n" * 20_000 + "```\n" * 20_000,
        "\n".join("`" * (3 + number % 400) + "x" for number in range(1500)) + "\n```" * 20_000,
        "`" * 400_000,
        "\n" * 400_000,
        "FIX 1\n<<<<< SEARCH\n" * 20_000,
        "FIX 1\n<<<<< SEARCH\n=====\n" * 15_000,
        "- " * 200_000,
        "<think>" * 50_000,
        "#" + "." * 300_000,
        "# your code here\n" * 20_000,
        "{" * 400_000,
    ],
    ids=lambda text: repr(text[:10]),
)
def test_an_answer_is_read_soon(answer: str) -> None:
    def read() -> None:
        for parse in (parse_review, lambda text: parse_code(text, "python"), partial_code):
            with contextlib.suppress(Unusable):
                parse(answer)
        left_out(answer, ())

    soon(read)


def test_blocks_end_as_they_began() -> None:
    text = "a\n```python\nx = '''\n~~~\n'''\n```\n"
    text += "b\n~~~~\n```\n~~~\n~~~~~\nc\n  ```\n1\n   ```  \n```\nd"
    blocks = fenced(text)
    assert [block.code for block in blocks] == ["x = '''\n~~~\n'''\n", "```\n~~~\n", "1\n"]
    assert [block.info for block in blocks] == ["python", "", ""]
    assert text[blocks[0].start : blocks[0].end] == "```python\nx = '''\n~~~\n'''\n```"
    assert fenced("```\n") == fenced("") == fenced("  ```\n x\n```") == []


def test_changes_are_taken_out_of_the_text() -> None:
    text = (
        '{"findings": []}\n\n**FIX 1**\n```\n<<<<<<< SEARCH\na\n=\n=======\nb\n>>>>>>> REPLACE\n'
        "```\nFIX 2:\n<<<<<<< SEARCH\nc\n=======\n>>>>>>> REPLACE and so on\nFIX 3\nno\n"
    )
    found, rest = changes(text)
    assert {number: (one.search, one.replace) for number, one in found.items()} == {
        1: ("a\n=", "b"),
        2: ("c", ""),
    }
    assert rest == '{"findings": []}\n\n\n```\n and so on\nFIX 3\nno\n'


_LEFT_OUT = [
    "def f():\n    # ... rest of the code ...\n    pass\n",
    "def f():\n    # your code here\n    pass\n",
    "# your code here\n",
    "# ... rest of the code unchanged ...\nx = 1\n",
    "// existing code here\nfoo()\n",
    "x = 1\n# ... existing code ...\ny = 2\n",
    "# rest of the code remains the same\nx = 1\n",
    "x = 1\n# (rest of the function stays the same)\n",
    "def f():\n    '''Say it.'''\n    # Add your code here\n    raise NotImplementedError\n",
    "function f() {\n  // your code here\n}\n",
    "class A:\n    # previous methods here...\n    def g(self):\n        return 1\n",
    "def f():\n    # TODO: implement this\n    ...\n",
    "/* ... existing code ... */\nx();\n",
    "<!-- existing code here -->\n",
    "-- rest of the code as before\nSELECT 1;\n",
    "def f():\n    # rest of the function\n    return\n\n\nx = 1\n",
    "# code remains unchanged\nx = 1\n",
    "# … same as before …\nx = 1\n",
]


@pytest.mark.parametrize("code", _LEFT_OUT)
def test_what_stands_for_code_that_is_not_there(code: str) -> None:
    assert left_out(code, ())
    assert not left_out(code, code.split("\n")), "what was there before is no matter"


@pytest.mark.parametrize(
    "code",
    [
        "# skip the header, then go through the rest of the lines\nfor line in x:\n    f(line)\n",
        "try:\n    f()\nexcept OSError:\n    # ignore the rest of the line\n    pass\n",
        "# existing code paths depend on this\nx = 1\n",
        "# The rest of the code only reads it.\nx = 1\n",
        "def f():\n    # Put your code here to extend it.\n    return x + 1\n",
        "# ... and so it goes on\nx = 1\n",
        "# The same as before, but faster\nx = 1\n",
        "# remaining = total - done\nx = 1\n",
        "x = 1  # the rest\n",
    ],
)
def test_an_ordinary_comment_stands_for_nothing(code: str) -> None:
    assert not left_out(code, ())


def test_a_heading_is_no_comment() -> None:
    assert not left_out("# Existing code, unchanged\n\nText.\n", (), headings=True)
    assert left_out("# Existing code, unchanged\n", ())
