"""Code is indented as deep as its place, and still does the same."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_collab_ai.ai.indenting import deeper, indented, within_strings
from jupyter_collab_ai.ai.locations import Span
from jupyter_collab_ai.ai.placing import Mode, compose

SQL = 'sql = """\nSELECT 1\n  FROM t\n"""\nrun(sql)\n'
BODY = "def f():\n    x = 1\n    \n"

statements = st.sampled_from(
    [
        "x = 1",
        'x = """\na\n\n  b\n"""',
        "x = '''  \n'''",
        'x = f"""\n{x}\n   """',
        'x = "a\\\nb"',
        "x = (\n1,\n  2)",
        'f(\n"""\na""",\n)',
        "if x:\n    y = '''\n'''\n\n    z = 2",
        '# it\'s "one"',
        'def g():\n    """A.\n\n    More.\n    """\n    return """\n1"""',
        "",
    ]
)


@given(st.lists(statements, min_size=1, max_size=5), st.sampled_from(["    ", "\t", "  "]))
def test_what_is_indented_does_the_same(pieces: list[str], indent: str) -> None:
    code = "\n".join(["y = 0", *pieces])
    whole = f"if 1:\n{deeper(code, indent, 'python')}\n"
    (block,) = ast.parse(whole).body
    assert isinstance(block, ast.If)
    assert _told(block.body) == _told(ast.parse(code).body)
    assert indented(deeper(code, indent, "python"), "", "python").split() == code.split()


def _told(body: list[ast.stmt]) -> list[str]:
    """Return what some statements are; what is said in docstrings, without its indent."""
    for node in (inner for one in body for inner in ast.walk(one)):
        if isinstance(node, ast.FunctionDef) and (said := ast.get_docstring(node)):
            node.body[0] = ast.Expr(ast.Constant(said))
    return [ast.dump(one) for one in body]


def test_a_string_of_several_lines_stays_as_it_is() -> None:
    for mode, piece in ((Mode.INSERT, ""), (Mode.REPLACE, "    x = 1")):
        start = BODY.index(piece) if piece else BODY.index("    \n") + 4
        span = Span(start, start + len(piece))
        new = BODY[: span.start] + compose(BODY, span, mode, SQL, "python") + BODY[span.end :]
        (made,) = [node for node in ast.walk(ast.parse(new)) if isinstance(node, ast.Constant)
                   and isinstance(node.value, str)]  # fmt: skip
        assert made.value == "\nSELECT 1\n  FROM t\n"
        assert "    run(sql)" in new


@pytest.mark.parametrize(
    ("code", "language", "rows"),
    [
        ('x = """\na\n', "python", {1, 2}),
        ('!echo "a\ny = 1\n', "python", set()),
        ("a = `\nb\n`;\n", "javascript", {1, 2, 3}),
        ("f(a)\ng(b)\n", "javascript", set()),
        ('let a = "x\ny";\n', "rust", {1, 2}),
        ("cat <<E\na\nE\n", "bash", {1, 2, 3}),
        ("std::cout << a;\nf();\n", "cpp", set()),
        ("a: |\n  `b`\n", "yaml", set()),
    ],
)
def test_in_doubt_lines_stay_where_they_are(code: str, language: str, rows: set[int]) -> None:
    assert within_strings(code, language) == rows
