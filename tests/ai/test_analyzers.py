"""Analyzers on real snippets: what they find, where, and that nothing hostile harms them."""

from __future__ import annotations

import asyncio
import os
import sys
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from jupyter_collab_ai.ai.analyzers import compile_worker
from jupyter_collab_ai.ai.analyzers.base import Analyzer, AnalyzerFailed
from jupyter_collab_ai.ai.analyzers.explanations import explain
from jupyter_collab_ai.ai.analyzers.process import Processes
from jupyter_collab_ai.ai.analyzers.rules import rule_for
from jupyter_collab_ai.ai.analyzers.service import Analyzers
from jupyter_collab_ai.ai.findings import MODEL, Category, Edit, Finding, Fix, Severity
from jupyter_collab_ai.ai.locations import Location, Position, Span
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot, Part
from jupyter_collab_ai.ai.verify import verify_all

ALL_FOUR = '''\
import sqlite3, subprocess

def find(name, seen=[]):
    """« names » 🔍"""
    seen.append(name); rows = sqlite3.connect("x").execute(f"SELECT * FROM t WHERE n = '{name}'")
    return rows, nothing_like_it

def double(rows)
    result = []
    for row in rows:
        result.append(row * 2)
    return result

def shell(cmd):
    subprocess.run(cmd, shell=True, check=True)
'''


@pytest.fixture
def analyzers():
    return Analyzers(extra=[])


def text(source, path="a.py"):
    return DocumentSnapshot.of_text(path, source)


def notebook(*sources, language="python"):
    parts = tuple(
        source if isinstance(source, Part) else Part(f"c{index}", "code", source)
        for index, source in enumerate(sources)
    )
    return DocumentSnapshot("a.ipynb", language, parts, is_notebook=True)


def seen(analysis, *, cells=False):
    return {
        (
            *((finding.location.cell_id,) if cells else ()),
            finding.location.start.line,
            finding.category.value,
            finding.rule,
        )
        for finding in analysis.findings
    }


async def test_one_mistake_hides_none_of_the_four_kinds(analyzers):
    analysis = await analyzers.analyze(text(ALL_FOUR))
    assert seen(analysis) == {
        (3, "bug", "B006"),
        (5, "security", "S608"),
        (6, "bug", "F821"),
        (8, "syntax", "SyntaxError"),
        (11, "performance", "PERF401"),
        (15, "security", "S602"),
    }
    assert analysis.parses is False
    assert [name.split()[0] for name in analysis.analyzers] == ["cpython", "ruff", "rules"]
    (undefined,) = [item for item in analysis.findings if item.rule == "F821"]
    assert text(ALL_FOUR).text_at(undefined.location) == "nothing_like_it"


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("def f(:\n    pass\n", 1),
        ("x = (1,\n", 1),
        ("def f():\n    x = (1,\n    return x\n", 2),
        ("  x = 1\n", 1),
        ("print 'a'\n", 1),
        ("'''never closed\n", 1),
        ("if x = 1:\n    pass\n", 1),
        ("def f():\nreturn 1\n", 2),
        ("return 1\n", 1),
        ("for i in range(3):\n    continue\nbreak\n", 3),
        ("x = 1\n\ny = 2 2\n", 3),
        ("def f(a, a):\n    pass\n", 1),
        ("x = 'a\ny = 1\n", 1),
        ("class A\n    pass\n", 1),
        ("await f()\n", 1),
        ("x = {1: 2]\n", 1),
        ("a = 1\n\tb = 2\n", 2),
        ("x = 1\0\n", 1),
        ("(" * 5000, 1),
        ("x = " + "-" * 100_000 + "1\n", 1),
        ("é = 1\nπ = 🦉\n", 2),
    ],
)
async def test_what_does_not_parse(analyzers, source, line):
    analysis = await analyzers.analyze(text(source))
    first = analysis.findings[0]
    assert (first.category, first.location.start.line) == (Category.SYNTAX, line)
    assert first.explanation.endswith("can run.")
    assert first.certain
    assert analysis.parses is False
    assert await analyzers.parses(text(source)) is False


async def test_several_mistakes_are_all_told(analyzers):
    source = "def f()\n    return 1\n\ndef g():\n    x = [1, 2\n    return x\n\nclass A:\nx = 1\n"
    analysis = await analyzers.analyze(text(source))
    assert [item.location.start.line for item in analysis.findings] == [1, 5, 9]


@pytest.mark.parametrize(
    "source",
    [
        "",
        "\n",
        "x = 1\n",
        "# nur ein Kommentar 🦉",
        "def f(x: int) -> int:\n    return x\n",
        "x = 'a\x0cb'\n",
        "match 1:\n    case _:\n        pass\n",
        "async def f():\n    return [x async for x in y()]\n\n\ndef y():\n    pass\n",
        "\ufeffx = 1\n",
        "x = 1 \r\ny = 2\n",
    ],
)
async def test_what_is_fine_has_no_findings(analyzers, source):
    analysis = await analyzers.analyze(text(source))
    assert analysis.findings == ()
    assert analysis.parses is True


async def test_a_name_that_may_be_in_what_does_not_parse_is_not_called_undefined(analyzers):
    analysis = await analyzers.analyze(
        text("def helper(a, b)\n    return a + b\n\nprint(helper(1, 2))\n")
    )
    assert seen(analysis) == {(1, "syntax", "SyntaxError")}


async def test_a_notebook_is_seen_as_a_whole(analyzers):
    snapshot = notebook(
        "%matplotlib inline\nimport os\nfiles = !ls\nos?",
        Part("md", "markdown", "# This is (not Python"),
        "def f(x=[]):\n    return x\n\nf(files)",
        "def broken(:\n    pass",
        "%%bash\nif [ -f x ]; then echo (",
        "%%time\nfor i in range(3):\n    print(lost)\nprint(os.name)",
        "await f()",
        "display(files); print(_)",
    )
    analysis = await analyzers.analyze(snapshot)
    assert seen(analysis, cells=True) == {
        ("c2", 1, "bug", "B006"),
        ("c3", 1, "syntax", "SyntaxError"),
        ("c5", 3, "bug", "F821"),
    }


async def test_names_from_elsewhere_are_not_undefined_in_a_notebook(analyzers):
    assert (await analyzers.analyze(notebook("%run other.py", "print(theirs)"))).findings == ()


async def test_fixes_of_a_notebook_are_in_their_cell(analyzers):
    snapshot = notebook("x = [3]", "%%time\n\ny = list(sorted(x))")
    (finding,) = (await analyzers.analyze(snapshot)).findings
    assert finding.fix is not None
    (edit,) = finding.fix.edits
    assert edit.location.cell_id == "c1"
    assert snapshot.text_at(edit.location) == "list(sorted(x))"


async def test_javascript_and_typescript(analyzers):
    source = 'const owl = "🦉"; if (owl === NaN) { eval(owl); }\n'
    analysis = await analyzers.analyze(text(source, "a.js"))
    assert seen(analysis) == {(1, "bug", "use-isnan"), (1, "security", "no-eval")}
    found = {item.rule: text(source, "a.js").text_at(item.location) for item in analysis.findings}
    assert found == {"use-isnan": "NaN", "no-eval": "eval"}
    assert analysis.parses is True
    broken = await analyzers.analyze(text("let x: number = foo(\n", "a.ts"))
    assert seen(broken) == {(1, "syntax", None)}
    assert broken.parses is False


async def test_json_and_what_nobody_can_read(analyzers):
    assert seen(await analyzers.analyze(text('{"a": 1,}', "a.json"))) == {(1, "syntax", None)}
    unknown = await analyzers.analyze(text("(((", "a.xyz"))
    assert (unknown.findings, unknown.parses, unknown.analyzers) == ((), None, ())


async def test_the_deep_check_is_asked_on_demand():
    analysis = await Analyzers(deep=True, extra=[]).analyze(text(ALL_FOUR))
    assert [name.split()[0] for name in analysis.analyzers] == [
        "cpython",
        "ruff",
        "rules",
        "bandit",
    ]


class Broken:
    name, version, languages, checks_syntax = "broken", "1", frozenset({"python"}), False

    async def analyze(self, snapshot):
        raise RuntimeError("oh")


class Liar(Broken):
    name = "liar"

    async def analyze(self, snapshot):
        nowhere = Location(Position(99, 1), Position(99, 2))
        return [Finding(Category.BUG, Severity.ERROR, "t", "e", nowhere, "liar", 1.0)]


async def test_an_analyzer_of_others_can_do_no_harm():
    assert isinstance(Broken(), Analyzer)
    analysis = await Analyzers(extra=[Broken(), Liar()]).analyze(text(ALL_FOUR))
    assert len(analysis.findings) == 6
    assert analysis.failures == ("broken failed.",)


# ---------------------------------------------------------------- processes


async def gone(pid):
    deadline = time.monotonic() + 10
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        assert time.monotonic() < deadline, "the process is still there"
        await asyncio.sleep(0.01)


SLEEP = """
import os, sys, time
with open(sys.argv[1], "w") as file:
    file.write(str(os.getpid()))
time.sleep(60)
"""


async def test_a_process_that_takes_too_long_is_killed(tmp_path):
    processes = Processes(time_limit=1.0)
    file = tmp_path / "pid"
    with pytest.raises(AnalyzerFailed, match="took more than 1 s"):
        await processes.run([sys.executable, "-c", SLEEP, str(file)])
    await gone(int(file.read_text()))


async def test_a_process_is_killed_with_its_caller(tmp_path):
    file = tmp_path / "pid"
    task = asyncio.create_task(Processes().run([sys.executable, "-c", SLEEP, str(file)]))
    deadline = time.monotonic() + 20
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(int(file.read_text()))


async def test_a_process_that_writes_too_much_is_killed():
    processes = Processes(output_limit=100_000)
    with pytest.raises(AnalyzerFailed, match="more than can be shown"):
        await processes.run([sys.executable, "-c", "while True: print('x' * 1000)"])


async def test_a_process_sees_no_secrets_and_an_empty_folder(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    code = "import os; print(sorted(os.listdir('.')), 'OPENAI_API_KEY' in os.environ, os.getcwd())"
    output = await Processes().run([sys.executable, "-c", code], files={"a.js": "x"})
    listing, _, folder = output.stdout.decode().strip().partition("False ")
    assert listing.strip() == "['a.js']"
    assert not os.path.exists(folder)  # noqa: ASYNC240


async def test_a_program_that_is_not_there_is_told():
    with pytest.raises(AnalyzerFailed, match="can't be started"):
        await Processes().run(["/nowhere/at-all"])


async def test_only_few_run_at_once(tmp_path):
    code = (
        "import os, sys, time; n = sys.argv[1]; open(n, 'x').close(); time.sleep(0.2);"
        "print(len(os.listdir(os.path.dirname(n)))); os.remove(n)"
    )
    processes = Processes(at_once=2)
    outputs = await asyncio.gather(
        *(processes.run([sys.executable, "-c", code, str(tmp_path / str(i))]) for i in range(6))
    )
    assert max(int(output.stdout) for output in outputs) <= 2


# ---------------------------------------------------------------- the worker


PIECES = ("def f(x):", "    return x", "(", ")", "[", "'''", '"', "if x:", "else", ":", "\t")
MORE = ("    y = 1", "class A:", "  z", "for i in x:", "🦉", "\\", "\x00", "lambda", "\r", "f'{'")
pieces = st.sampled_from((*PIECES, *MORE, "#", "@", "="))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(pieces, max_size=14).map("\n".join), st.booleans())
@example("\0", False)
def test_what_is_left_always_parses_and_has_as_many_lines(source, in_notebook):
    ends = time.monotonic() + 5
    answer = compile_worker.examine(source, notebook=in_notebook, ends=ends)
    rows = source.count("\n") + 1
    for mistake in answer["mistakes"]:
        assert 1 <= mistake["line"] <= rows
        assert (mistake["line"], mistake["column"]) <= (mistake["end_line"], mistake["end_column"])
    readable = answer["readable"]
    if readable is None or not answer["mistakes"]:
        return
    assert readable.count("\n") == source.count("\n")
    compile(readable, "x", "exec", compile_worker.ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    before, after = source.split("\n"), readable.split("\n")
    if not in_notebook:
        changed = {i for i, (a, b) in enumerate(zip(before, after, strict=True), 1) if a != b}
        assert changed == set(answer["touched"])


async def test_analyzers_never_run_what_they_read(analyzers, tmp_path):
    mark = tmp_path / "mark"
    source = f"open({str(mark)!r}, 'w').close()\n__import__('os').mkdir({str(mark)!r} + 'x')\n"
    await analyzers.analyze(text(source))
    await analyzers.analyze(notebook(f"!touch {mark}", source))
    assert list(tmp_path.iterdir()) == []


def test_every_rule_has_a_category_and_words():
    assert rule_for("S602").cwe == "CWE-78"
    assert rule_for("SIM118").category is Category.PERFORMANCE
    assert rule_for("PLE1142").category is Category.SYNTAX
    assert "shell" in explain("S602", "m")
    assert explain("XYZ1", "The message") == "The message."


# ---------------------------------------------------------------- fixes


async def check(analyzers, source, finding, confirmed=()):
    snapshot = text(source)
    before = await analyzers.analyze(snapshot)
    (result,) = await verify_all(snapshot, [finding], before, analyzers, confirmed=confirmed)
    return result.fix


def by_model(source, quote, new, *, edit=None):
    snapshot = text(source)
    start = source.index(quote)
    place = snapshot.location(None, Span(start, start + len(quote)))
    changed = edit or quote
    at = source.index(changed)
    where = snapshot.location(None, Span(at, at + len(changed)))
    fix = Fix("d", (Edit(where, new),), by_model=True)
    return Finding(Category.BUG, Severity.ERROR, "t", "e", place, MODEL, 0.6, fix=fix)


GOOD = "def mean(values):\n    return sum(values) / 1\n\n\nprint(mean([1, 2]))\n"


@pytest.mark.parametrize(
    ("quote", "new", "verified"),
    [
        ("sum(values) / 1", "sum(values) / len(values)", True),
        ("sum(values) / 1", "sum(values) / (len(values)", False),
        ("sum(values) / 1", "sum(values) / len(valuse)", False),
        ("def mean(values):\n    return sum(values) / 1\n", "", False),
        ("def mean(values):", "def average(values):", False),
        ("    return sum(values) / 1", "    return sum(values) / len(values)\n  x = 1", False),
    ],
)
async def test_a_fix_of_the_model_is_tried(analyzers, quote, new, verified):
    fix = await check(analyzers, GOOD, by_model(GOOD, quote, new))
    assert fix is not None
    assert fix.verified is verified


@pytest.mark.parametrize(
    "new", ["sum(values) / 1", "sum(values) / 1  # fixed", "sum( values ) / 1"]
)
async def test_a_fix_that_changes_nothing_is_dropped(analyzers, new):
    assert await check(analyzers, GOOD, by_model(GOOD, "sum(values) / 1", new)) is None


async def test_a_fix_that_leaves_the_finding_is_not_verified(analyzers):
    finding = by_model(GOOD, "sum(values) / 1", "[3]", edit="[1, 2]")
    fix = await check(analyzers, GOOD, finding)
    assert fix is not None
    assert not fix.verified


async def test_an_unsafe_fix_needs_somebody_who_agrees(analyzers):
    source = "def f(x=[]):\n    return x\n"
    analysis = await analyzers.analyze(text(source))
    (finding,) = analysis.findings
    assert not finding.fix.verified
    assert not (await check(analyzers, source, finding)).verified
    assert (await check(analyzers, source, finding, [finding.id])).verified


async def test_a_safe_fix_of_an_analyzer_is_verified(analyzers):
    source = "def f(x):\n    return list(sorted(x))\n"
    (finding,) = (await analyzers.analyze(text(source))).findings
    assert (await check(analyzers, source, finding)).verified


async def test_a_danger_that_is_known_is_not_told_again(analyzers):
    source = "import os\nx = input()\nos.system(x)  # nosec B605\nos.system(x)  # no second\n"
    analysis = await analyzers.analyze(text(source))
    told = {
        one.location.start.line for one in analysis.findings if one.category.value == "security"
    }
    assert told == {4}
    cells = await analyzers.analyze(notebook("import os", "os.system(input())  # nosec"))
    assert not cells.findings


async def test_hints_are_told_only_where_they_are_wanted(analyzers):
    source = "def f(a, k):\n    return k in a.keys()\n"
    assert not (await analyzers.analyze(text(source))).findings
    (hint,) = (await Analyzers(hints=True, extra=[]).analyze(text(source))).findings
    assert (hint.rule, hint.category) == ("SIM118", Category.PERFORMANCE)


async def test_a_list_that_grows_step_by_step_is_told_as_little_more_than_a_hint(analyzers):
    source = "def f(a):\n    b = []\n    for x in a:\n        b.append(x * 2)\n    return b\n"
    (slow,) = (await analyzers.analyze(text(source))).findings
    assert (slow.rule, slow.category, slow.severity) == (
        "PERF401",
        Category.PERFORMANCE,
        Severity.INFO,
    )


async def test_who_knows_more_of_a_line_is_heard(analyzers):
    source = (
        "import random\n\ndef new_token():\n    token = random.randint(0, 9)\n    return token\n"
    )
    (finding,) = (await analyzers.analyze(text(source))).findings
    assert (finding.rule, finding.cwe) == ("predictable-random", "CWE-330")


async def test_one_rule_does_not_fill_a_report(analyzers):
    analysis = await analyzers.analyze(text("x = {" + "1,\n" * 3000 + "}\n"))
    assert {one.rule for one in analysis.findings} == {"B033"}
    assert len(analysis.findings) == 100


async def test_code_that_looks_different_from_what_runs_is_a_danger(analyzers):
    (finding,) = (await analyzers.analyze(text("x = 'a\u202e b'\n"))).findings
    assert (finding.rule, finding.cwe, finding.category) == (
        "PLE2502",
        "CWE-1007",
        Category.SECURITY,
    )
