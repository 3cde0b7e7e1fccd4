"""Files are made, moved and deleted through Jupyter's contents manager, and nothing beside."""

from __future__ import annotations

import json
import warnings

import nbformat
import pytest
from jupyter_server.services.contents.filemanager import FileContentsManager
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from jupyter_server.utils import ensure_async
from tornado.web import HTTPError

from jupyter_collab_ai.errors import DocumentTooLarge, InvalidRequest, NotFound, PathExists
from jupyter_collab_ai.sessions.contents import MAX_CONTENT, JupyterContents, new_model


@pytest.fixture(params=[AsyncLargeFileManager, FileContentsManager])
def manager(request, tmp_path):
    (tmp_path / "root").mkdir()
    return request.param(root_dir=str(tmp_path / "root"), delete_to_trash=False)


@pytest.fixture
def contents(manager):
    return JupyterContents(manager)


@pytest.fixture
def root(manager, tmp_path):
    return tmp_path / "root"


async def make(contents, path, kind="file", content=None):
    await contents.create(path, await contents.prepare(kind, content))


async def test_a_file_is_made_with_its_folders(contents, root):
    await make(contents, "users/ada/x/a.py", content="print('ä')\n")
    assert (root / "users/ada/x/a.py").read_text(encoding="utf-8") == "print('ä')\n"
    assert await contents.kind("users/ada/x/a.py") == "file"
    assert await contents.kind("users/ada/x") == "directory"
    assert await contents.kind("users/ada/y") is None
    await make(contents, "users/ada/empty.py")
    assert (root / "users/ada/empty.py").read_bytes() == b""


async def test_nothing_is_overwritten(contents, root):
    await make(contents, "a.py", content="first\n")
    with pytest.raises(PathExists):
        await make(contents, "a.py", content="second\n")
    with pytest.raises(PathExists):
        await make(contents, "a.py/b.py", content="second\n")
    assert (root / "a.py").read_text() == "first\n"


@pytest.mark.parametrize("as_text", [True, False])
async def test_a_notebook_is_valid_and_of_the_version_with_ids(contents, root, as_text):
    content = {
        "cells": [
            {
                "cell_type": "code",
                "source": "1 + 1",
                "metadata": {"trusted": True, "tags": ["x"]},
                "outputs": [],
                "execution_count": None,
            }
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 2,
    }
    await make(contents, "a.ipynb", "notebook", json.dumps(content) if as_text else content)
    await make(contents, "new.ipynb", "notebook")
    for name in ("a.ipynb", "new.ipynb"):
        assert await contents.kind(name) == "notebook"
        notebook = json.loads((root / name).read_text())
        assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            nbformat.validate(notebook)
    (cell,) = json.loads((root / "a.ipynb").read_text())["cells"]
    assert cell["source"] in ("1 + 1", ["1 + 1"])
    # trust is not for whoever sends it to give
    assert cell["metadata"] == {"tags": ["x"]}


def test_an_old_notebook_is_brought_up_to_date():
    old = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": ""},
        "worksheets": [
            {"metadata": {}, "cells": [{"cell_type": "markdown", "metadata": {}, "source": "x"}]}
        ],
    }
    notebook = new_model("notebook", old)["content"]
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.cells[0].source == "x"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("notebook", "no notebook"),
        ("notebook", ""),
        ("notebook", {}),
        ("notebook", {"cells": 1, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}),
        ("notebook", {"cells": [{}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}),
        ("notebook", "[1]"),
        ("notebook", {"nbformat": "4"}),
        ("notebook", {"nbformat": 5, "nbformat_minor": 0, "cells": [], "metadata": {}}),
        ("notebook", {"cells": []}),
        ("file", {"cells": []}),
        ("directory", "text"),
    ],
)
def test_content_that_can_not_be_held_is_refused(kind, content):
    with pytest.raises(InvalidRequest) as caught:
        new_model(kind, content)
    assert [error.field for error in caught.value.errors] == ["content"]


def test_content_has_a_limit():
    new_model("file", "x" * MAX_CONTENT)
    with pytest.raises(DocumentTooLarge):
        new_model("file", "x" * (MAX_CONTENT + 1))
    with pytest.raises(DocumentTooLarge):
        new_model("file", "ä" * (MAX_CONTENT // 2 + 1))
    with pytest.raises(DocumentTooLarge):
        new_model("notebook", {"cells": ["x" * MAX_CONTENT]})


async def test_a_move_takes_checkpoints_and_file_ids_along(contents, manager, root):
    told = []
    manager.event_logger.add_listener(
        schema_id=manager.event_schema_id,
        listener=_collects(told),
    )
    await make(contents, "a.py", content="x\n")
    checkpoint = manager.create_checkpoint("a.py")
    if hasattr(checkpoint, "__await__"):
        await checkpoint
    await contents.move("a.py", "deep/er/b.py")
    assert (root / "deep/er/b.py").read_text() == "x\n"
    assert not (root / "a.py").exists()
    assert (root / "deep/er/.ipynb_checkpoints/b-checkpoint.py").exists()
    await contents.delete("deep/er/b.py")
    await manager.event_logger.gather_listeners()
    assert [(data["action"], data["path"], data.get("source_path")) for data in told] == [
        ("rename", "deep/er/b.py", "a.py"),
        ("delete", "deep/er/b.py", None),
    ]


def _collects(told):
    async def listener(logger, schema_id, data):
        if data["action"] in ("rename", "delete"):
            told.append(data)

    return listener


async def test_a_move_overwrites_nothing(contents, root):
    await make(contents, "a.py", content="a\n")
    await make(contents, "b.py", content="b\n")
    with pytest.raises(PathExists):
        await contents.move("a.py", "b.py")
    with pytest.raises(PathExists):
        await contents.move("a.py", "b.py/c.py")
    with pytest.raises(NotFound):
        await contents.move("c.py", "d.py")
    assert [(root / name).read_text() for name in ("a.py", "b.py")] == ["a\n", "b\n"]


async def test_a_folder_is_deleted_with_all_that_is_in_it(contents, root):
    await make(contents, "f/g/a.py")
    await make(contents, "f/b.py")
    await make(contents, "other.py")
    await contents.delete("f")
    assert [path.name for path in root.iterdir() if path.name[0] != "."] == ["other.py"]
    await contents.delete("f")


async def test_what_can_not_be_deleted_is_told(contents, root):
    await make(contents, "f/a.py")
    (root / "f/.git").mkdir()
    (root / "f/.git/config").write_text("")
    with pytest.raises(PathExists, match="deleted"):
        await contents.delete("f")


async def test_deleting_does_not_follow_links(contents, root):
    await make(contents, "f/a.py")
    await make(contents, "elsewhere/precious.py", content="x\n")
    (root / "f/link").symlink_to(root / "elsewhere")
    with pytest.raises(PathExists, match="deleted"):
        await contents.delete("f")
    assert (root / "elsewhere/precious.py").read_text() == "x\n"


async def test_a_path_through_a_link_is_refused(contents, root, tmp_path):
    (tmp_path / "outside").mkdir()
    (root / "data").mkdir()
    (root / "data/out").symlink_to(tmp_path / "outside")
    (root / "data/in.py").symlink_to(root / "a.py")
    for path in ("data/out", "data/out/x.py", "data/in.py"):
        with pytest.raises(InvalidRequest) as caught:
            await contents.require_plain(path)
        assert str(tmp_path) not in caught.value.message
    for path in ("data", "data/x.py", "nowhere/at/all.py"):
        await contents.require_plain(path)


async def test_a_folder_that_somebody_makes_at_the_same_moment_is_taken(
    contents, manager, monkeypatch
):
    save = manager.save

    async def save_second(model, path):
        done = await ensure_async(save(model, path))
        if path == "a/b":
            # What Jupyter's manager says where the folder comes between its look and its making.
            raise HTTPError(500, "File exists")
        return done

    monkeypatch.setattr(manager, "save", save_second)
    folder = await contents.prepare("directory", None)
    with pytest.raises(PathExists):
        await contents.create("a/b", folder)
    # Where it is only on the way, it does not matter who has made it.
    await contents.delete("a/b")
    await contents.create("a/b/c.py", await contents.prepare("file", "text\n"))
    assert await contents.kind("a/b/c.py") == "file"
