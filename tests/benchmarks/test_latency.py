"""The program that measures what people wait for runs, and says what it is to say."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from benchmarks.latency.__main__ import Figures


def test_a_ratio_is_one_of_medians() -> None:
    figures = Figures([0.2, 9.0, 0.4], [0.1, 0.2, 0.2])
    assert figures.ratio == 2.0
    assert figures.line("ours", "theirs") == "ours: 400 ms, 2.00 times theirs (200 ms)"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_program_says_every_figure() -> None:
    command = [sys.executable, "-m", "benchmarks.latency", "--quick", "--lines", "40"]
    made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert made.returncode == 0, made.stderr
    assert len(re.findall(r"[\d.]+ times ", made.stdout)) == 3, made.stdout
