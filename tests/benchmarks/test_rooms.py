"""The benchmark of live editing still runs, and yields every figure; how high is not asked."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.rooms.__main__ import NAMES
from benchmarks.rooms.figures import quantile, ratio, typical, written
from benchmarks.rooms.peers import HOCUSPOCUS, OURS, OURS_LAB, OURS_POSTGRES, UPSTREAM

ACKNOWLEDGE = {OURS, OURS_POSTGRES, OURS_LAB, HOCUSPOCUS}
KEEP = {OURS, OURS_POSTGRES, OURS_LAB, UPSTREAM}
ROOT = Path(__file__).resolve().parents[2]


def test_quantiles_are_values_that_occurred() -> None:
    assert [quantile([3, 1, 2, 4], share) for share in (0, 0.25, 0.5, 0.75, 0.99, 1)] == [
        *(1, 1, 2, 3, 4, 4),
    ]
    with pytest.raises(ValueError, match="nothing"):
        quantile([], 0.5)


def test_what_was_not_measured_has_no_ratio() -> None:
    assert typical([None, 3, 1, 2]) == 2
    assert typical([None]) is None
    assert (ratio(3, 2), ratio(None, 2), ratio(3, None), ratio(3, 0)) == (1.5, None, None, None)
    assert [written(value) for value in (None, 0.123, 12.34, 1234.5)] == [
        *("–", "0.12", "12.3", "1234"),
    ]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_figure_of_every_server_is_there(tmp_path: Path) -> None:
    out = tmp_path / "raw.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.rooms", "--quick", "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    results = json.loads(out.read_text())["results"]
    for part, parts in (("typing", 2), ("memory", 1), ("opening", 2)):
        for name in NAMES:
            found = [it for it in results if (it["part"], it["peer"]) == (part, name)]
            assert len(found) == parts, (part, name)
            for result in found:
                _check(result)
            assert name in done.stdout


def _check(result: dict[str, float | str | None]) -> None:
    name = result["peer"]
    if result["part"] == "typing":
        wanted = ["p50", "p99", "cpu_us", "database_cpu_us", "frames"]
        wanted += ["ack_p50", "ack_p99"] if name in ACKNOWLEDGE else []
    elif result["part"] == "memory":
        wanted = ["bytes"]
    else:
        wanted = ["warm", "size", *(["cold"] if name in KEEP else [])]
    for figure in wanted:
        value = result[figure]
        assert isinstance(value, int | float), (name, figure)
        assert math.isfinite(value), (name, figure)
    for positive in {"p50", "p99", "frames", "ack_p50", "warm", "cold", "size"} & {*wanted}:
        value = result[positive]
        assert isinstance(value, int | float), (name, positive)
        assert value > 0, (name, positive)
