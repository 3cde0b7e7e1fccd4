"""What is committed: versions agree, lock files name no host, the two commands are the ones run."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import jupyter_collab_ai

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def committed(*patterns: str) -> list[Path]:
    """Return the files in git that match the patterns."""
    names = subprocess.run(
        ["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in names.stdout.split("\0") if name]


def test_the_version_is_the_same_everywhere() -> None:
    package = json.loads((ROOT / "labextension" / "package.json").read_text())
    assert package["version"] == PROJECT["version"] == jupyter_collab_ai.__version__


def test_there_is_a_lock_file_for_each_list_of_npm_packages() -> None:
    folders = {path.parent for path in committed("*package.json")}
    locks = {path.parent for path in committed("*yarn.lock", "*package-lock.json")}
    assert folders == locks


@pytest.mark.parametrize("lock", committed("*yarn.lock"), ids=lambda path: path.parent.name)
def test_no_yarn_lock_names_a_host(lock: Path) -> None:
    assert not re.search(r"https?:|__archiveUrl", lock.read_text())


@pytest.mark.parametrize("lock", committed("*package-lock.json"), ids=lambda path: path.parent.name)
def test_no_npm_lock_says_where_a_package_came_from(lock: Path) -> None:
    packages = json.loads(lock.read_text())["packages"]
    assert len(packages) > 1
    assert not [name for name, package in packages.items() if "resolved" in package]


def test_no_tool_is_told_a_registry() -> None:
    settings = committed("*.npmrc", "*.yarnrc.yml", "*pyproject.toml", "*package.json", ".ci/*")
    assert len(settings) >= 5
    for path in settings:
        # What may hold "registry" is the setting that keeps its address out, and a package.
        text = path.read_text().replace("omit-lockfile-registry-resolved=true", "")
        text = text.replace("@jupyterlab/docregistry", "")
        assert not re.search(r"registry|index-url|find-links", text, re.I), path


def test_the_readme_has_two_commands_of_one_line_each() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    assert len(blocks) == 2
    assert all(block.count("\n") == 1 for block in blocks)
    start, test = blocks
    assert start.endswith("jupyter lab\n")
    assert "-m pytest" in test


def test_ci_runs_the_second_command_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    pattern = re.search(r"grep -E '(.*)' README\.md", script)
    assert pattern is not None
    found = re.findall(f"{pattern[1]}.*$", (ROOT / "README.md").read_text(), re.M)
    assert len(found) == 1
    checked = subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_every_link_between_our_documents_leads_somewhere() -> None:
    links = 0
    for page in committed("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
            links += 1
    assert links > 5


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "index.md").read_text()
    pages = sorted(path.name for path in folder.glob("0*.md"))
    assert pages == sorted(re.findall(r"\((0.*?\.md)\)", index))
    assert len({name[:4] for name in pages}) == len(pages)
