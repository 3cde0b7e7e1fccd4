"""Which database a server works on: paths mean files below one folder, and no other."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from jupyter_collab_ai.errors import InvalidRequest
from jupyter_collab_ai.opening import OtherRoot, name_of, open_for, open_known
from jupyter_collab_ai.settings import Settings
from jupyter_collab_ai.storage.database import Database


def file_of(database: Database) -> Path:
    """Return where an embedded database is, and let go of it."""
    assert database.url.database is not None
    database.close_now()
    return Path(database.url.database)


@pytest.fixture
def embedded(tmp_path: Path) -> Settings:
    """Settings that name no database, in a data folder that others may read."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    return Settings(None, folder)


def test_each_root_has_an_embedded_database_of_its_own(embedded: Settings) -> None:
    first = file_of(open_for(embedded, "/srv/a"))
    assert first == embedded.data_dir / "collab.db"
    second = file_of(open_for(embedded, "/srv/b"))
    assert second != first
    third = file_of(open_for(embedded, "/srv/c"))
    assert len({first, second, third}) == 3
    for path, name in ((first, "/srv/a"), (second, "/srv/b"), (third, "/srv/c")):
        assert file_of(open_for(embedded, name)) == path
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_nobody_else_may_read_one_that_was_readable(embedded: Settings) -> None:
    path = file_of(open_for(embedded, "/srv/a"))
    path.chmod(0o644)
    database = open_for(embedded, "/srv/a")
    database.write_now(lambda tx: tx.notify("user", "u1"))
    for each in path.parent.glob("collab.db*"):
        assert stat.S_IMODE(each.stat().st_mode) == 0o600, each
    database.close_now()


def test_a_database_that_is_named_belongs_to_one_root(database_url: str, tmp_path: Path) -> None:
    settings = Settings(database_url, tmp_path)
    open_for(settings, "/srv/a").close_now()
    with pytest.raises(OtherRoot, match="/srv/a"):
        open_for(settings, "/srv/b")
    open_for(settings, "/srv/a").close_now()


def test_a_folder_is_the_same_by_whatever_link(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").symlink_to("a")
    assert name_of(str(tmp_path / "a")) == name_of(str(tmp_path / "b" / ".." / "b"))
    assert name_of("/caf\udce9") == "/caf\\xe9"


def test_at_a_terminal_the_folder_is_named_where_there_are_several(
    embedded: Settings, tmp_path: Path
) -> None:
    made = file_of(open_known(embedded, None))
    assert made == embedded.data_dir / "collab.db"
    assert file_of(open_known(embedded, None)) == made
    folders = [tmp_path / "a", tmp_path / "b"]
    files = []
    for folder in folders:
        folder.mkdir()
        files.append(file_of(open_for(embedded, name_of(str(folder)))))
    assert files[0] == made
    with pytest.raises(InvalidRequest, match="--root"):
        open_known(embedded, None)
    for folder, path in zip(folders, files, strict=True):
        assert file_of(open_known(embedded, str(folder))) == path
    with pytest.raises(InvalidRequest, match="No server has been started"):
        open_known(embedded, str(tmp_path / "c"))
