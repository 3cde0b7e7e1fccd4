"""JupyterLab's settings and workspaces: each account has its own."""

from __future__ import annotations

import json

import pytest

from jupyter_collab_ai.access import lab
from tests.access.conftest import Server

THEMES = "lab/api/settings/@jupyterlab/apputils-extension:themes"
SPACE = "lab/api/workspaces/default"


def workspace(name: str = "default", **data: object) -> dict[str, object]:
    return {"data": data, "metadata": {"id": name}}


async def test_settings_are_ones_own(server: Server) -> None:
    dark = {"raw": json.dumps({"theme": "JupyterLab Dark"})}
    light = {"raw": json.dumps({"theme": "JupyterLab Light"})}
    assert (await server("viewer", "PUT", THEMES, dark)).status == 204
    assert (await server("root", "PUT", THEMES, light)).status == 204
    found = {
        who: (await server(who, "GET", THEMES)).json["settings"].get("theme")
        for who in ("viewer", "owner", "root")
    }
    assert found == {"viewer": "JupyterLab Dark", "owner": None, "root": "JupyterLab Light"}
    everything = (await server("viewer", "GET", "lab/api/settings")).json["settings"]
    theme = next(each for each in everything if each["id"].endswith("apputils-extension:themes"))
    assert "Dark" in theme["raw"]
    # Whoever starts the server keeps the folder that JupyterLab has always used.
    assert not (server.world.data / "id-root").exists()
    assert (server.world.data / "id-viewer").stat().st_mode & 0o777 == 0o700


async def test_ones_own_language(server: Server) -> None:
    name = "lab/api/settings/@jupyterlab/translation-extension:plugin"
    french = {"raw": json.dumps({"locale": "fr_FR"})}
    assert (await server("viewer", "PUT", name, french)).status == 204
    assert (await server("viewer", "GET", "lab/api/translations/default")).status == 200


@pytest.mark.parametrize(
    "name",
    [
        "..:x",
        "../../..:x",
        "@jupyterlab/../../../x:y",
        "x:../../y",
        "/etc:x",
        "@a/b/c:d",
        "nonsense",
        "a:b:c",
        ".:x",
        "x:.y",
    ],
)
async def test_settings_are_no_way_to_files(server: Server, name: str) -> None:
    (server.root / "users/owner/project/x.json").write_text('{"type": "object", "secret": 1}')
    quoted = name.replace("/", "%2F").replace(".", "%2E")
    for who in ("owner", "root"):
        for method, body in (("GET", None), ("PUT", {"raw": "{}"})):
            answer = await server(who, method, f"lab/api/settings/{quoted}", body)
            assert answer.status == 400, (who, method)


async def test_workspaces_are_ones_own(server: Server) -> None:
    """What JupyterLab remembers of a person lies in these: the layout, and the recent files."""
    assert (await server("viewer", "PUT", SPACE, workspace(secret="path"))).status == 204
    assert (await server("viewer", "GET", SPACE)).json["data"] == {"secret": "path"}
    for who in ("owner", "root"):
        for path in (SPACE, "lab/api/workspaces"):
            assert b"secret" not in (await server(who, "GET", path)).body
        assert (await server(who, "DELETE", SPACE)).status == 404
    assert (await server("viewer", "DELETE", SPACE)).status == 204


async def test_workspaces_are_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "MAX_WORKSPACES", 2)
    monkeypatch.setattr(lab, "MAX_BODY", 1000)
    for name in ("a", "b"):
        answer = await server("viewer", "PUT", f"lab/api/workspaces/{name}", workspace(name))
        assert answer.status == 204
    again = await server("viewer", "PUT", "lab/api/workspaces/a", workspace("a", x=1))
    assert again.status == 204
    answer = await server("viewer", "PUT", "lab/api/workspaces/c", workspace("c"))
    assert (answer.status, answer.reason) == (413, "request_too_large")
    large = await server("viewer", "PUT", "lab/api/workspaces/a", workspace("a", x="x" * 1000))
    assert large.status == 413
    assert (await server("viewer", "PUT", THEMES, {"raw": " " * 1000})).status == 413


async def test_members_are_not_told_to_build_jupyterlab(server: Server) -> None:
    assert (await server("owner", "GET", "lab/api/build")).json["status"] == "stable"
    told = (await server("owner", "GET", "lsp/status")).json
    assert told == {"version": 2, "sessions": {}, "specs": {}}
