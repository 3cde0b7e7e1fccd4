"""The page about who may call what says what the table says."""

from __future__ import annotations

from pathlib import Path

from jupyter_collab_ai.access.documentation import render
from jupyter_collab_ai.access.routes import TABLE

PAGE = Path(__file__).parents[2] / "docs" / "access.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == render(), (
        "Write it anew: python -m jupyter_collab_ai.access.documentation > docs/access.md"
    )


def test_every_handler_is_on_it_once_for_each_rule() -> None:
    rows = [line for line in render().splitlines() if line.startswith("| `")]
    assert len(rows) == sum(len(rules) for rules in TABLE.values())
