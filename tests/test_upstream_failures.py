"""The list of the faults of others is true to the tests that there are."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.upstream_failures import FAILURES

TESTS = Path(__file__).parent


@pytest.mark.parametrize("name", FAILURES)
def test_each_fault_of_others_has_tests_that_exist(name: str) -> None:
    failure = FAILURES[name]
    assert failure.tests
    for test in failure.tests:
        file, _, function = test.partition("::")
        tree = ast.parse((TESTS / file).read_text())
        names = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert function in names, test
