"""How files are called that sessions make, and what kind of thing they are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_collab_ai.errors import InvalidRequest
from jupyter_collab_ai.sessions.naming import MAX_FILE_NAME, file_name, kind_of
from jupyter_collab_ai.sessions.paths import home_of, is_canonical, join

types = st.sampled_from(["file", "notebook", "directory", None])


@pytest.mark.parametrize(
    ("name", "type_", "expected"),
    [
        ("notes", None, "notes.py"),
        ("notes", "file", "notes.py"),
        ("notes", "notebook", "notes.ipynb"),
        ("notes", "directory", "notes"),
        ("notes.txt", None, "notes.txt"),
        ("a.7z", None, "a.7z"),
        ("notes.ipynb", None, "notes.ipynb"),
        ("notes.ipynb", "notebook", "notes.ipynb"),
        ("v1.2", "directory", "v1.2"),
        # no extensions, though there is a dot
        ("Lecture 1.5", None, "Lecture 1.5.py"),
        ("Lecture 1.5", "notebook", "Lecture 1.5.ipynb"),
        ("Dr. Smith's notes", None, "Dr. Smith's notes.py"),
        ("and so on...", None, "and so on.py"),
        # what a file can't be called
        ("a/b: c?", None, "a-b- c.py"),
        ("../../etc/passwd", None, "etc-passwd.py"),
        (".hidden", None, "hidden.py"),
        ("e\u0301tude", None, "\u00e9tude.py"),
        ("می‌خواهم", None, "می‌خواهم.py"),
    ],
)
def test_names(name, type_, expected):
    assert file_name(name, type_) == expected


@given(st.text(min_size=1, max_size=300) | st.text(alphabet="a. /é\u0301", max_size=300), types)
def test_every_name_makes_a_path_or_is_refused(name, type_):
    try:
        made = file_name(name, type_)
    except InvalidRequest as error:
        assert [each.field for each in error.errors] == ["name"]
        return
    assert is_canonical(join(home_of("ada"), made))
    assert "/" not in made
    assert len(made.encode()) <= MAX_FILE_NAME


def test_a_long_name_keeps_its_extension():
    assert file_name("é" * 300 + ".md", None).endswith("é.md")
    assert file_name("x" * 300, "notebook") == "x" * (MAX_FILE_NAME - 6) + ".ipynb"


@pytest.mark.parametrize(
    ("path", "type_", "found", "expected"),
    [
        ("a.py", None, None, "file"),
        ("a.ipynb", None, None, "notebook"),
        ("a", "directory", None, "directory"),
        ("a.ipynb", "directory", None, "directory"),
        ("a", None, "directory", "directory"),
        ("a", None, None, "file"),
        ("a.py", "notebook", None, None),
        ("a.ipynb", "file", None, None),
        ("a", "file", "directory", None),
        ("a.py", "directory", "file", None),
        ("a.ipynb", None, "notebook", "notebook"),
    ],
)
def test_kinds(path, type_, found, expected):
    if expected is not None:
        assert kind_of(path, type_, found) == expected
        return
    with pytest.raises(InvalidRequest) as caught:
        kind_of(path, type_, found)
    assert [error.field for error in caught.value.errors] == ["type"]
