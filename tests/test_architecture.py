"""Who may import whom: the contracts in ``pyproject.toml`` hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINT = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the package in ``folder`` against our contracts."""
    return subprocess.run(
        [*LINT, "--config", str(ROOT / "pyproject.toml")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_the_rooms_import_only_what_they_may() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout


def make_package(folder: Path) -> Path:
    """Make a package with the same rooms, all empty."""
    package = folder / "jupyter_collab_ai"
    for room in ("storage", "web", "identity", "sessions", "locks", "access", "rooms", "ai"):
        (package / room).mkdir(parents=True)
        (package / room / "__init__.py").touch()
    for name in (
        "__init__",
        "app",
        "grave",
        "settings",
        "principal",
        "errors",
        "ids",
        "clock",
        "interpreter",
        "real_paths",
        "logs",
    ):
        (package / f"{name}.py").touch()
    return package


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("storage/database.py", "sessions.roles"),
        ("identity/service.py", "sessions.roles"),
        ("rooms/live.py", "sessions.roles"),
        ("ai/operations.py", "identity.accounts"),
        ("access/gate.py", "storage.database"),
        ("web/handlers.py", "app"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, module: str, imported: str) -> None:
    package = make_package(tmp_path)
    target = package / f"{imported.replace('.', '/')}.py"
    target.touch()
    assert lint(tmp_path).returncode == 0

    (package / module).write_text(f"import jupyter_collab_ai.{imported}\n")
    result = lint(tmp_path)
    assert result.returncode == 1
    assert f"jupyter_collab_ai.{imported}" in result.stdout


def test_a_new_room_needs_a_line(tmp_path: Path) -> None:
    package = make_package(tmp_path)
    (package / "attic").mkdir()
    (package / "attic" / "__init__.py").touch()
    result = lint(tmp_path)
    assert result.returncode == 1
    assert "jupyter_collab_ai.attic" in result.stdout
