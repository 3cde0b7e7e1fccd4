"""Plans that failed, as files."""

from __future__ import annotations

import json
from pathlib import Path

from tests.plans.generate import Plan, plan_of


def save(plan: Plan, wrong: list[str], folder: Path, database: str) -> Path:
    """Write a plan and what was wrong to a file, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"plan-{database}-{plan.seed}-{len(plan.steps)}.json"
    kept = {"plan": plan.to_json(), "wrong": wrong}
    path.write_text(json.dumps(kept, ensure_ascii=False, indent=1))
    return path.resolve()


def load(path: Path) -> Plan:
    """Return the plan in a file."""
    return plan_of(json.loads(path.read_text())["plan"])
