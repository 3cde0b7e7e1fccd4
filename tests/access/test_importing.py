"""A server whose protection can't even be imported does not start."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import jupyter_collab_ai
from tests.support.server import ServerFactory


@pytest.mark.parametrize("error", [ImportError, AttributeError, SyntaxError])
def test_what_goes_wrong_in_an_import_is_an_end_and_not_a_warning(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jupyter passes over an AttributeError there, and logs all others."""

    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "jupyter_collab_ai.app":
                raise error("half of it is missing")

    monkeypatch.delitem(sys.modules, "jupyter_collab_ai.app", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(SystemExit, match=r"not started.*half of it is missing"):
        jupyter_collab_ai._jupyter_server_extension_points()


def test_a_dependency_that_can_not_be_imported_ends_the_server(
    tmp_path: Path, collab_server: ServerFactory
) -> None:
    broken = tmp_path / "broken"
    (broken / "limits").mkdir(parents=True)
    (broken / "limits" / "__init__.py").write_text("raise ImportError('no wheel for this one')\n")
    path = os.pathsep.join(filter(None, [str(broken), os.environ.get("PYTHONPATH")]))
    server = collab_server(env={"PYTHONPATH": path}, start=False)
    server.launch()
    assert server.wait() != 0
    said = server.log
    assert "The server is not started, because jupyter_collab_ai" in said
    assert "no wheel for this one" in said
    assert "is running at" not in said
    assert "error adding extension" not in said
    assert "Traceback" not in said
