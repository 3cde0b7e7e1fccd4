"""The comparison of ways to merge a rewrite runs, and ours does what it promises."""

from __future__ import annotations

from benchmarks.merge.__main__ import measure, table
from benchmarks.merge.trials import make, runs


def test_a_trial_is_the_same_each_time_and_fair():
    for seed in range(20):
        trial = make(seed)
        assert trial == make(seed)
        assert runs(trial.source)
        assert runs(trial.rewritten)
        assert runs(trial.edit.apply(trial.source))


def test_ours_keeps_each_edit_and_writes_nothing_that_does_not_run():
    rows = {
        (row["method"], row["edit"]): row for row in measure([make(seed) for seed in range(30)])
    }
    for (method, edit), row in rows.items():
        if method.startswith("this"):
            assert row["edit kept"] == 100
            assert edit == "in flight" or row["runs"] == 100
    assert rows["this", "in flight"]["runs"] > rows["delete all, insert all", "in flight"]["runs"]
    assert rows["delete all, insert all", "before"]["edit kept"] == 0
    assert table(list(rows.values())).count("\n") == len(rows) + 1
