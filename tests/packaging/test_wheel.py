"""What is built: the extension is in it, whoever builds it, and no Node.js is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def path_without_node(folder: Path) -> str:
    """Return a search path with all programs of the present one but Node.js and its kin."""
    without = {"node", "nodejs", "npm", "npx", "corepack", "yarn", "jlpm"}
    folder.mkdir()
    for entry in os.environ["PATH"].split(os.pathsep):
        for program in Path(entry).glob("*"):
            link = folder / program.name
            if program.name not in without and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)


def run(*command: str, cwd: Path, env: dict[str, str] | None = None) -> None:
    """Run a command that has to succeed."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a fresh clone of what is committed."""
    folder = tmp_path_factory.mktemp("clone") / "repository"
    run("git", "clone", "-q", str(ROOT), str(folder), cwd=ROOT)
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel built from a clone, with a home of its own and no Node.js to be found."""
    folder = tmp_path_factory.mktemp("wheel")
    env = {
        **os.environ,
        "HOME": str(tmp_path_factory.mktemp("home")),
        "PATH": path_without_node(folder / "bin"),
    }
    command = (sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(folder), str(checkout))
    run(*command, cwd=folder, env=env)
    (built,) = folder.glob("*.whl")
    return built


def names_in(wheel: Path) -> set[str]:
    """Return the files in a wheel, without the names that differ from build to build."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if "/static/" not in name}


def test_the_wheel_holds_all_that_the_server_needs(wheel: Path, checkout: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    data = next(name for name in names if ".data/data/" in name).partition("/data/")[0] + "/data/"
    extension = f"{data}share/jupyter/labextensions/jupyter-collab-ai/"
    assert f"{extension}package.json" in names
    assert f"{extension}install.json" in names
    assert f"{extension}static/style.js" in names
    assert any(name.startswith(f"{extension}static/remoteEntry.") for name in names)
    assert f"{data}etc/jupyter/jupyter_server_config.d/jupyter_collab_ai.json" in names

    committed = subprocess.run(
        ["git", "ls-files", "jupyter_collab_ai"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert set(committed) <= names
    inside = {name.partition("/")[0] for name in names}
    assert {name.partition("-")[0] for name in inside} == {"jupyter_collab_ai"}


def test_building_leaves_the_checkout_clean(wheel: Path, checkout: Path) -> None:
    status = subprocess.run(
        ["git", "status", "--porcelain"], cwd=checkout, capture_output=True, text=True, check=True
    )
    assert status.stdout == ""


def test_a_wheel_from_the_sdist_needs_no_node(wheel: Path, checkout: Path, tmp_path: Path) -> None:
    # `wheel` has built the extension in the checkout; the sdist takes it along.
    made = tmp_path / "made"
    script = "import sys, hatchling.build as b; b.build_sdist(sys.argv[1])"
    build_env = tmp_path / "env"
    run(sys.executable, "-m", "venv", str(build_env), cwd=tmp_path)
    python = str(build_env / "bin" / "python")
    requirements = ("hatchling>=1.27", "hatch-jupyter-builder>=0.10", "jupyter-builder>=1.3,<2")
    run(python, "-m", "pip", "install", "-q", *requirements, cwd=tmp_path)
    made.mkdir()
    path = f"{build_env / 'bin'}{os.pathsep}{path_without_node(tmp_path / 'bin')}"
    env = {**os.environ, "PATH": path}
    run(python, "-c", script, str(made), cwd=checkout, env=env)
    (sdist,) = made.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    assert not (source / "labextension" / "node_modules").exists()
    script = "import sys, hatchling.build as b; b.build_wheel(sys.argv[1])"
    run(python, "-c", script, str(made), cwd=source, env=env)
    (again,) = made.glob("*.whl")
    assert names_in(again) == names_in(wheel)
