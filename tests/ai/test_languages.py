# ruff: noqa: E501  # programs of other languages are not wrapped
"""Syntax of many languages: where a fault is, in words, and that nothing valid is called wrong."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_collab_ai.ai.analyzers import r_worker
from jupyter_collab_ai.ai.analyzers.brackets import Token, mismatches
from jupyter_collab_ai.ai.analyzers.service import Analyzers
from jupyter_collab_ai.ai.findings import Category
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part

GOOD = {
    "c": "#include <stdio.h>\n#ifdef X\nint f(int a) {\n#else\nint f(long a) {\n#endif\n"
    "  return a == NULL ? '}' : 1; // {\n}\n",
    "h": '#ifndef A_H\n#define A_H\n#ifdef __cplusplus\nextern "C" {\n#endif\n'
    "API_EXPORT int API_CALL f(int a) API_PURE;\n#ifdef __cplusplus\n}\n#endif\n#endif\n",
    "hh": "template <typename T>\nclass A {\n public:\n  T get() const { return t_; }\n T t_;\n};\n",
    "cpp": "#include <any>\nbool f(std::any a) { return a.type() == typeid(int); }\n"
    'auto s = R"({)";\n',
    "java": "class A<T extends B & C> {\n  record P(int x) {}\n  int f() {\n"
    '    return switch (1) { case 1 -> 2; default -> 3; };\n  }\n  String s = """\n  {{\n  """;\n}\n',
    "go": "package main\n\nfunc main() {\n\tfor i := range 3 {\n\t\tprintln(`{`, i)\n\t}\n}\n",
    "rs": "fn f<'a>(x: &'a str) -> impl Fn(u8) -> u8 + 'a {\n    move |y| { y + x.len() as u8 }\n}\n",
    "r": "f <- function(x, ...) {\n  y <- x %>% g(\\(z) z + 1)\n  if (a) 1 else -2\n}\n"
    'x[1, , drop = FALSE]\nr"(a"b)"\n`odd name` <- ~ x | y\n# (\nif (a) {\n} else {\n}\n',
    "jl": "function f(x::T) where {T<:Real}\n    y = x[end]\n    return [i for i in 1:3 if i > 1]\n"
    "end\nstruct A end\n",
    "sql": "SELECT TOP 5 * FROM [t];\nCREATE TABLE `x` (a int auto_increment) ENGINE=InnoDB;\n"
    "INSERT INTO t VALUES (1, 'it''s') ON CONFLICT DO NOTHING; -- ' (\n"
    "CREATE FUNCTION f() RETURNS int AS $$ BEGIN RETURN 1; END; $$ LANGUAGE plpgsql;\n"
    "PRAGMA foreign_keys=ON;\nselect $1, :name, ? from t where a->>'b' = 1;\nVACUUM;\n",
    "sh": 'case "$1" in\n  a) echo "$(ls | wc -l)" ;;\n  *) x=${y%)} ;;\nesac\n'
    'cat <<EOF\n( if\nEOF\nif [ -z "$x" ]; then :; fi\n',
    "json": '{"a": [1, 2.5e3, null]}\n',
    "yaml": "a: &x [1, 2]\nb: *x\n? c\n: !Ref d\n---\ne: |\n  {[\n",
    "toml": "[a]\nb = 1979-05-27T07:32:00Z\nc = '''\n['''\n",
    "css": "@media (min-width: 1px) {\n  a::before { content: '}'; width: calc(1px + (2px)); }\n}\n",
}

BAD = [
    ("c", "int f(int a {\n  return a;\n}\n", 1, "("),
    ("c", "int f(int a) {\n  if (a) {\n    a = 1;\n  return a;\n}\n", (2, 3), "{"),
    ("c", "int f(void) {\n  int a = 1\n  return a;\n}\n", (2, 3), ";"),
    ("cpp", "int main() {\n  std::vector<int> v = {1, 2;\n  return 0;\n}\n", 2, "{"),
    ("java", "class A {\n  void f() {\n    int a = 1;\n  }\n\n  void g() {\n    f();\n}\n", 7, "{"),
    ("java", "class A {\n  int f() {\n    return 1\n  }\n}\n", 3, ";"),
    ("go", "package main\n\nfunc main()\n\tx := 1\n}\n", 3, "}"),
    ("go", "package main\n\nfunc main() {\n\tx := []int{1, 2\n\tprintln(x)\n}\n", 4, "{"),
    ("rs", "fn main() {\n    let x = vec![1, 2;\n    println!(\"{}\", x);\n}\n", 2, "["),
    ("rs", "fn main() {\n    let x = ;\n}\n", 2, ""),
    ("r", "f <- function(x) {\n  y <- c(1, 2\n  y\n}\n", 2, "("),
    ("r", "x <- 5 6\n", 1, "missing"),
    ("r", "x <- 'a\n", 1, "quote"),
    ("r", "if (a) {\n  1\n}\nelse {\n  2\n}\n", 4, "else"),
    ("jl", "function f(x)\n    if x > 1\n        return 1\n    return 2\nend\n", (1, 2, 3), ""),
    ("jl", "x = [1, 2\ny = 3\n", 1, "["),
    ("sql", "SELECT a\nFORM t\nWHERE a = 1;\n", 2, ""),
    ("sql", "SELECT a, b,\nFROM t;\n", 1, "comma"),
    ("sql", "SELECT 1;\nSELECT count(* FROM t;\n", 2, ")"),
    ("sql", "SELEC * FROM t;\n", 1, "SELECT"),
    ("sql", "SELECT 'a FROM t;\nSELECT 2;\n", 1, "quote"),
    ("sh", "if [ -f a ]; then\n  echo a\n", (1, 2), ""),
    ("sh", "for i in 1 2; do\n  echo $i\ndone\nfi\n", 4, "fi"),
    ("sh", "x=$(ls\necho done\n", (1, 2), ""),
    ("json", '{"a": 1,\n "b": }', 2, "value"),
    ("yaml", "a: 1\nb: [1, 2\nc: 3\n", (2, 3), ""),
    ("yaml", "a: 1\n b: 2\n", 2, "apping"),
    ("toml", "a = 1\nb = \n", 2, "value"),
    ("css", "a {\n  color: red;\n\nb { color: blue; }\n", (1, 2), "{"),
]  # fmt: skip


@pytest.fixture(scope="module")
def analyzers():
    return Analyzers(extra=[])


@pytest.mark.parametrize("suffix", GOOD)
async def test_what_is_right_is_not_called_wrong(suffix):
    analysis = await Analyzers(extra=[]).analyze(
        DocumentSnapshot.of_text(f"a.{suffix}", GOOD[suffix])
    )
    assert (analysis.findings, analysis.failures) == ((), ())
    assert analysis.parses is (None if suffix == "r" else True)
    assert analysis.analyzers


@pytest.mark.parametrize(("suffix", "source", "line", "word"), BAD)
async def test_what_is_wrong_is_told_where_it_is(suffix, source, line, word):
    snapshot = DocumentSnapshot.of_text(f"a.{suffix}", source)
    analysis = await Analyzers(extra=[]).analyze(snapshot)
    assert {finding.category for finding in analysis.findings} == {Category.SYNTAX}
    first = analysis.findings[0]
    assert first.location.start.line in (line if isinstance(line, tuple) else (line,))
    assert word in first.title
    assert first.explanation.endswith(".")
    assert snapshot.text_at(first.location).strip()
    assert analysis.parses is False


#: A word of many brackets is a word all the same.
ODD = {("sh", "["), ("sh", "{"), ("yaml", "(")}


SLOW = [
    pytest.param(name, marks=pytest.mark.slow) for name in ("java", "go", "rs", "jl", "css", "yaml")
]


@pytest.mark.parametrize("suffix", ["c", "sql", "sh", "r", *SLOW])
async def test_hostile_text_is_bounded(suffix):
    for text in ("(" * 100_000, "[" * 100_000, "{" * 100_000, "a\0b\n", "\r", "\ud800", "é" * 999):
        began = time.monotonic()
        analysis = await Analyzers(extra=[]).analyze(DocumentSnapshot.of_text(f"a.{suffix}", text))
        assert time.monotonic() - began < 30
        # Either somebody says what is wrong, or that it could not be told.
        assert (
            analysis.findings or analysis.failures or len(text) < 1000 or (suffix, text[0]) in ODD
        )


async def test_a_null_byte_is_told(analyzers):
    snapshot = DocumentSnapshot.of_text("a.go", "package main\nvar x = 1\0\n")
    (finding,) = (await Analyzers(extra=[]).analyze(snapshot)).findings
    assert (finding.title, finding.location.start.line) == ("The text holds a null byte", 2)


async def test_a_template_is_not_judged():
    snapshot = DocumentSnapshot.of_text("a.yaml", "{% if x %}\na: {{ b }}\n{% endif %}\n")
    analysis = await Analyzers(extra=[]).analyze(snapshot)
    assert analysis.findings == ()
    assert analysis.parses is None
    assert analysis.failures == (
        "The text holds marks of a template language, so its syntax was not checked.",
    )


async def test_a_notebook_of_another_language():
    parts = (
        Part("c0", "code", "x = [1, 2]\n"),
        Part("c1", "code", "%%bash\nif ("),
        Part("c2", "code", "y = (1, 2\n"),
    )
    snapshot = DocumentSnapshot("a.ipynb", "julia", parts, is_notebook=True)
    (finding,) = (await Analyzers(extra=[]).analyze(snapshot)).findings
    assert (finding.location.cell_id, finding.location.start.line) == ("c2", 1)


async def test_a_shell_script_is_never_run(tmp_path):
    mark = tmp_path / "mark"
    for source in (
        f"touch {mark}\n",
        f"touch {mark}\nif\n",
        f"$(touch {mark}\n",
        f"`touch {mark}`",
    ):
        await Analyzers(extra=[]).analyze(DocumentSnapshot.of_text("a.sh", source))
    assert not mark.exists()


PAIRS = {"(": ")", "{": "}", "[": "]"}


@given(st.text(alphabet="(){}[] \n", max_size=60))
def test_brackets_are_told_exactly_where_they_do_not_fit(text):
    tokens = [
        Token(character, row, column)
        for row, line in enumerate(text.split("\n"))
        for column, character in enumerate(line)
        if character in "(){}[]"
    ]
    lines = text.split("\n")
    wrong = mismatches(tokens, lines, PAIRS)
    rest = "".join(text.split())
    while any(pair in rest for pair in ("()", "{}", "[]")):
        rest = rest.replace("()", "").replace("{}", "").replace("[]", "")
    assert bool(wrong) == bool(rest)
    assert all(0 <= one.line < len(lines) and one.token in tokens for one in wrong)


@given(st.text(alphabet="xif else(){}[],;+-<\n\"'\\`#%r09\0é", max_size=60))
def test_any_text_can_be_read_as_r(text):
    (mistakes,) = r_worker.answer({"texts": [text]})
    for mistake in mistakes:
        assert 1 <= mistake["line"] <= text.count("\n") + 1
