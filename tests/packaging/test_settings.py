"""Every setting is explained, and nothing is explained that is not there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_collab_ai.app import CollabAI
from jupyter_collab_ai.settings import read_settings

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "jupyter_collab_ai"


class RecordingEnvironment(dict[str, str]):
    """Remembers which variables were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, name: str, default: object = None) -> object:  # type: ignore[override]
        self.asked.add(name)
        return super().get(name, default)


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The environment variables that the server reads."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    environment = RecordingEnvironment()
    read_settings(environment)
    assert "COLLAB_AI_DATABASE_URL" in environment.asked
    return environment.asked


def test_the_example_sets_exactly_what_is_read(variables: set[str]) -> None:
    text = (ROOT / "set_env.sh.example").read_text()
    assert set(re.findall(r"^#export ([A-Z_]+)=", text, re.M)) == variables


def test_the_documentation_explains_exactly_what_is_read(variables: set[str]) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", text, re.M)) == variables


def test_the_documentation_explains_exactly_the_traits_there_are() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    traits = {f"CollabAI.{name}" for name in CollabAI.class_own_traits(config=True)}
    assert set(re.findall(r"^\| `(CollabAI\.\w+)` \|", text, re.M)) == traits


def _reads_of_the_environment(tree: ast.AST) -> Iterator[int]:
    """Yield the lines that read single variables of the process's environment."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr="getenv" | "environb"):
                yield node.lineno
            case ast.Subscript(value=ast.Attribute(value=ast.Name(id="os"), attr="environ")):
                yield node.lineno
            case ast.Attribute(
                value=ast.Attribute(value=ast.Name(id="os"), attr="environ"), attr=name
            ) if name not in {"items", "copy"}:
                yield node.lineno
            case ast.ImportFrom(module="os", names=names) if any(
                alias.name in {"environ", "getenv"} for alias in names
            ):
                yield node.lineno


@pytest.mark.parametrize(
    "source",
    ["import os\nos.environ['A']", "import os\nos.getenv('A')", "from os import environ"],
)
def test_a_read_of_the_environment_is_recognised(source: str) -> None:
    assert list(_reads_of_the_environment(ast.parse(source)))


#: Hand on to other programs what these need to run, such as PATH; no setting of ours.
HANDING_ON = {PACKAGE / "ai" / "analyzers" / "process.py"}


def test_only_one_module_reads_the_environment() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path not in {PACKAGE / "settings.py", *HANDING_ON}
        for line in _reads_of_the_environment(ast.parse(path.read_text()))
    ]
    assert found == []


def test_no_setting_is_handed_on(variables: set[str]) -> None:
    for path in HANDING_ON:
        assert not [name for name in variables if name in path.read_text()]
