"""Contract, "Sessions": history, versions, blame and restore, as the outside sees them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.blackbox.client import Answer, Person
from tests.blackbox.conftest import Opener
from tests.blackbox.test_locks import Waiting, waiting
from tests.support.processes import wait_until

LINES = {"from": 1, "to": 2}

__all__ = ["waiting"]


@pytest.fixture
def shared(ada: Person, ben: Person, cleo: Person) -> dict[str, Any]:
    """A file of Ada, with Ben as editor and Cléo as viewer."""
    session: dict[str, Any] = ada.share(content="first\nsecond\n")
    ada.add(session, ben, "editor")
    ada.add(session, cleo, "viewer")
    return session


def history(person: Person, session: dict[str, Any], **query: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = person(
        "GET", f"sessions/{session['id']}/history", query=query
    ).ok()["items"]
    return items


def authors(item: dict[str, Any]) -> list[str]:
    return [user["username"] for user in item["authors"]]


def content(person: Person, session: dict[str, Any], version: str, **query: str) -> Any:
    path = f"sessions/{session['id']}/history/{version}"
    return person("GET", path, query=query).ok()["content"]


def restore(person: Person, session: dict[str, Any], version: str, **more: Any) -> Answer:
    return person("POST", f"sessions/{session['id']}/restore", body={"version": version, **more})


async def test_everybody_sees_who_did_what(
    ada: Person, ben: Person, cleo: Person, shared: dict[str, Any], open_live: Opener
) -> None:
    one, two = await open_live(ada, shared), await open_live(ben, shared)
    await one.insert(0, "ada's\n")
    await two.sees("ada's")
    await two.insert(0, "ben's\n")
    await one.sees("ben's")
    items = history(cleo, shared)
    assert [authors(item) for item in items] == [[ben.username], [ada.username], []]
    assert [item["origin"] for item in items] == ["client", "client", "load"]
    assert [item["previous"] for item in items] == [
        items[1]["version"],
        items[2]["version"],
        None,
    ]
    assert content(cleo, shared, items[1]["version"]) == "ada's\nfirst\nsecond\n"
    blame = cleo("GET", f"sessions/{shared['id']}/blame").ok()
    assert [(line["author"] or {}).get("username") for line in blame["lines"]] == [
        ben.username,
        ada.username,
        None,
        None,
    ]
    assert [line["line"] for line in blame["lines"]] == [1, 2, 3, 4]


async def test_what_is_restored_reaches_everybody_and_the_file(
    ada: Person, ben: Person, shared: dict[str, Any], open_live: Opener, root: Path
) -> None:
    one = await open_live(ada, shared)
    await one.insert(0, "wrong\n")
    await one.sees("wrong")
    first = history(ada, shared)[-1]
    answer = restore(ben, shared, first["version"]).ok()
    assert answer["restored"] == first["version"] and answer["changed"]
    await one.until(lambda: one.text == "first\nsecond\n", "what was restored")
    path = root / shared["path"]
    await asyncio.to_thread(
        wait_until, lambda: path.read_text() == "first\nsecond\n", timeout=10, what="the file"
    )
    newest, before = history(ada, shared)[:2]
    assert (newest["version"], newest["origin"]) == (answer["version"], "restore")
    assert authors(newest) == [ben.username]
    restore(ada, shared, before["version"]).ok()
    await one.until(lambda: one.text.startswith("wrong\n"), "that it was taken back")
    log = ada("GET", f"sessions/{shared['id']}/activity").ok()["items"]
    assert [item["action"] for item in log[:2]] == ["version_restored"] * 2


async def test_moments_have_names(ada: Person, ben: Person, shared: dict[str, Any]) -> None:
    path = f"sessions/{shared['id']}/versions"
    named = ben("POST", path, body={"name": "Before the exam"}).ok(201)
    assert named["name"] == "Before the exam"
    assert named["named_by"]["username"] == ben.username
    assert history(ada, shared, named="true") == [named]
    ada("POST", path, body={"name": "Exam", "version": named["version"]}).ok(201)
    (renamed,) = history(ada, shared, named="true")
    assert (renamed["name"], renamed["version"]) == ("Exam", named["version"])
    ada("DELETE", f"{path}/{named['version']}").ok(204)
    assert history(ada, shared, named="true") == []


def test_who_may_not_write_restores_and_names_nothing(
    ada: Person, cleo: Person, shared: dict[str, Any], api: Any
) -> None:
    (first,) = history(cleo, shared)
    eve = api.register("eve")
    for person, status, reason in ((cleo, 403, "role_required"), (eve, 404, "not_found")):
        restore(person, shared, first["version"]).refused(status, reason)
        person("POST", f"sessions/{shared['id']}/versions", body={"name": "x"}).refused(
            status, reason
        )
        person("DELETE", f"sessions/{shared['id']}/versions/{first['version']}").refused(
            status, reason
        )
    for path in ("history", f"history/{first['version']}", "blame"):
        eve("GET", f"sessions/{shared['id']}/{path}").refused(404, "not_found")
        api("GET", f"sessions/{shared['id']}/{path}").refused(401, "not_authenticated")


@pytest.mark.parametrize("version", ["999999-abcdefgh", "nonsense", "kept-nothing", "0-x"])
def test_there_are_no_other_versions(ada: Person, shared: dict[str, Any], version: str) -> None:
    history(ada, shared)
    ada("GET", f"sessions/{shared['id']}/history/{version}").refused(404, "not_found")
    restore(ada, shared, version).refused(404, "not_found")
    body = {"name": "x", "version": version}
    ada("POST", f"sessions/{shared['id']}/versions", body=body).refused(404, "not_found")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"version": 1},
        {"version": "current", "hunks": []},
        {"version": "current", "extra": True},
        {"version": "current", "cell_id": "x", "hunks": ["y"]},
        {
            "version": "current",
            "hunks": [{"old": {"from": 1, "to": 2}, "new": {"from": 1, "to": 2}}],
        },
        {"version": "current", "against": "current"},
        {"version": "current", "cell_id": "x"},
    ],
    ids=json.dumps,
)
def test_what_is_asked_for_has_to_be_clear(
    ada: Person, shared: dict[str, Any], body: dict[str, Any]
) -> None:
    ada("POST", f"sessions/{shared['id']}/restore", body=body).refused(400, "invalid_request")


async def test_nothing_is_restored_under_a_lock(
    ada: Person, ben: Person, shared: dict[str, Any], waiting: Waiting
) -> None:
    (first,) = history(ada, shared)
    _, lock = await waiting(ben, shared)
    error = restore(ada, shared, first["version"]).refused(423, "locked")
    assert error["lock"]["id"] == lock["id"]


def test_a_notebook_in_a_folder(ada: Person, ben: Person) -> None:
    folder = ada.share(name="course", content=None, type="directory")
    ada.add(folder, ben, "viewer")
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("1 + 1"), nbformat.v4.new_markdown_cell("# Hi")]
    )
    model = {"type": "notebook", "format": "json", "content": notebook}
    ada.jupyter("PUT", f"api/contents/{folder['path']}/a.ipynb", body=model)
    (first,) = history(ben, folder, path="a.ipynb")
    shown = content(ben, folder, first["version"], path="a.ipynb")
    assert [cell["source"] for cell in shown["cells"]] == ["1 + 1", "# Hi"]
    nbformat.validate(nbformat.from_dict(shown))
    blame = ben("GET", f"sessions/{folder['id']}/blame", query={"path": "a.ipynb"}).ok()
    assert [cell["cell_id"] for cell in blame["cells"]] == [
        cell["id"] for cell in notebook["cells"]
    ]
    assert [len(cell["lines"]) for cell in blame["cells"]] == [1, 1]
    ben("GET", f"sessions/{folder['id']}/history").refused(400, "invalid_request")
    ben("GET", f"sessions/{folder['id']}/history", query={"path": "b.py"}).refused(404, "not_found")
    ben("GET", f"sessions/{folder['id']}/history", query={"path": "../x"}).refused(
        400, "invalid_request"
    )


def test_the_query_says_which_file_of_a_folder_too(ada: Person) -> None:
    folder = ada.share(name="tools", content=None, type="directory")
    model = {"type": "file", "format": "text", "content": "one\n"}
    for name in ("a.py", "b.py"):
        ada.jupyter("PUT", f"api/contents/{folder['path']}/{name}", body=model)
    (first,) = history(ada, folder, path="a.py")
    versions, restoring = (f"sessions/{folder['id']}/{call}" for call in ("versions", "restore"))
    body = {"name": "Begun", "version": first["version"]}
    named = ada("POST", versions, body=body, query={"path": "a.py"}).ok(201)
    assert history(ada, folder, path="a.py", named="true") == [named]
    body = {"version": first["version"]}
    answer = ada("POST", restoring, body=body, query={"path": "a.py"}).ok()
    assert not answer["changed"]
    # Said twice it has to be the same.
    ada("POST", restoring, body={**body, "path": "a.py"}, query={"path": "a.py"}).ok()
    for call, asked in ((versions, {"name": "Other"}), (restoring, body)):
        asked = {**asked, "path": "b.py"}
        error = ada("POST", call, body=asked, query={"path": "a.py"}).refused(
            400, "invalid_request"
        )
        assert [item["field"] for item in error["errors"]] == ["path"]
    error = ada("POST", restoring, body=body, query={"pth": "a.py"}).refused(400, "invalid_request")
    assert [item["field"] for item in error["errors"]] == ["pth"]
