"""The benchmark of the debugger, over a small set that is written here."""

from __future__ import annotations

import asyncio
import json

from benchmarks.debugger.__main__ import main
from benchmarks.debugger.measure import Score, related, weakness
from benchmarks.debugger.sets import Case, read
from benchmarks.debugger.tools import OURS, Told
from tests.support.fake_model import FakeModel, says_json

FAULTY = "    p = 0\n    for x in a:\n        p *= x\n    return p\n"
FIXED = FAULTY.replace("p = 0", "p = 1")
ROW = {
    "task_id": "T/0",
    "bug_type": "value misuse",
    "declaration": "def f(a):\n",
    "buggy_solution": FAULTY,
    "canonical_solution": FIXED,
}


def test_it_prints_each_tool_for_each_set(tmp_path, capsys):
    (tmp_path / "humanevalpack.jsonl").write_text(json.dumps(ROW))
    insecure = tmp_path / "SecurityEval/Testcases_Insecure_Code/CWE-502"
    insecure.mkdir(parents=True)
    (insecure / "a.py").write_text("import pickle\nx = pickle.loads(input())\n")
    assert main([str(tmp_path), "--kinds"]) == 0
    printed = capsys.readouterr().out
    assert "| HumanEvalFix | all | this, analyzers alone | 1 | 1 | 1 | 1 | 0 | – |" in printed
    assert "| HumanEvalFix | all | bandit | 1 | 0 | 0 | 0 | 0 | – |" in printed
    assert "| SecurityEval | all | ruff | 1 | 1 | – | – | – | 0 |" in printed
    assert "| SecurityEval | all | this, analyzers alone | 1 | 1 | – | – | – | 1 |" in printed
    assert "examples of" not in printed


def test_examples_of_other_tools_are_counted_by_the_line(tmp_path, capsys):
    examples = tmp_path / "bandit/examples"
    examples.mkdir(parents=True)
    (examples / "e.py").write_text(
        "import subprocess\nimport yaml\n\n\ndef f(x):\n    return yaml.load(x)\n\n\n"
        "subprocess.run('a | b', shell=True)  # nosec\n\n\nassert f\n"
    )
    assert main([str(tmp_path), "--kinds", "--tools", OURS]) == 0
    printed = capsys.readouterr().out
    assert "| bandit | all | 1 | 1 | 0 |" in printed
    assert "| bandit | B506 | 1 | 1 | – |" in printed


def test_weaknesses_are_compared_by_their_numbers():
    assert weakness("CWE-089") == 89
    assert weakness("bug") is None
    assert related(79, 80)
    assert not related(79, 502)
    assert not related(79, None)


async def test_a_model_can_be_asked_too(tmp_path, capsys):
    (tmp_path / "humanevalpack.jsonl").write_text(json.dumps(ROW))
    fake = FakeModel()
    fake.reply(says_json({"summary": "s", "findings": [], "assessments": []}))
    arguments = [str(tmp_path), "--tools", OURS, "--model", fake.url]
    try:
        assert await asyncio.to_thread(main, arguments) == 0
    finally:
        await fake.close()
    assert len(fake.seen) == 2
    assert "| HumanEvalFix | all | this, with a model | 1 | 1 | 1 | 1 | 0 | – |" in (
        capsys.readouterr().out
    )


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
    case, described = read(tmp_path)
    assert case.faulty == "def add(a, b):\n    return a - b\n"
    assert case.faulty_lines == {2}
    assert "Adds." in described.faulty
    assert described.half == case.half
