"""The benchmark of the debugger, over a small set that is written here."""

from __future__ import annotations

import json

from benchmarks.debugger.__main__ import main
from benchmarks.debugger.measure import Score
from benchmarks.debugger.sets import Case, read
from benchmarks.debugger.tools import Told

FAULTY = "    p = 0\n    for x in a:\n        p *= x\n    return p\n"
FIXED = FAULTY.replace("p = 0", "p = 1")


def test_it_prints_each_tool_for_each_set(tmp_path, capsys):
    row = {
        "task_id": "T/0",
        "bug_type": "value misuse",
        "declaration": "def f(a):\n",
        "buggy_solution": FAULTY,
        "canonical_solution": FIXED,
    }
    (tmp_path / "humanevalpack.jsonl").write_text(json.dumps(row))
    insecure = tmp_path / "SecurityEval/Testcases_Insecure_Code/CWE-502"
    insecure.mkdir(parents=True)
    (insecure / "a.py").write_text("import pickle\nx = pickle.loads(input())\n")
    assert main([str(tmp_path), "--kinds"]) == 0
    printed = capsys.readouterr().out
    assert "| HumanEvalFix | all | this, analyzers alone | 1 | 1 | 1 | 1 | 0 |" in printed
    assert "| HumanEvalFix | all | bandit | 1 | 0 | 0 | 0 | 0 |" in printed
    assert "| SecurityEval | all | ruff | 1 | 1 | – | – | – |" in printed


def test_an_empty_folder_is_told(tmp_path, capsys):
    assert main([str(tmp_path)]) == 1
    assert "no set" in capsys.readouterr().err


def test_a_finding_that_the_twin_has_too_counts_for_nothing():
    case = Case("s", "n", "bug", "a = 1\nb = 2\n", "a = 1\nb = 3\n")
    assert case.faulty_lines == {2}
    total = Score()
    total.add(case, [Told(1, "X", "bug")], [Told(1, "X", "bug")])
    assert (total.removed, total.on_line, total.twins_flagged) == (0, 0, 1)
    total.add(case, [Told(2, "Y", "bug")], [])
    assert (total.removed, total.on_line, total.twins_flagged) == (1, 1, 1)


def test_quixbugs_is_read_without_its_descriptions(tmp_path):
    for folder, sign in (("python_programs", "-"), ("correct_python_programs", "+")):
        path = tmp_path / "QuixBugs" / folder
        path.mkdir(parents=True)
        (path / "add.py").write_text(f'def add(a, b):\n    return a {sign} b\n\n"""\nAdds.\n"""\n')
    (case,) = read(tmp_path)
    assert case.faulty == "def add(a, b):\n    return a - b\n"
    assert case.faulty_lines == {2}
