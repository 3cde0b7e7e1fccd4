"""One spelling for a path, and which path holds which."""

from __future__ import annotations

import os
import posixpath
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_collab_ai.errors import InvalidRequest
from jupyter_collab_ai.sessions.paths import (
    MAX_PART,
    MAX_PATH,
    ancestors,
    canonical,
    home_holding,
    home_of,
    is_canonical,
    is_home,
    is_within,
    join,
    name_of,
    overlap,
    parent_of,
)

any_text = st.text(max_size=30)
#: Texts of the few characters that make the difference.
tricky = st.text(alphabet="ab./\\ ~\x00\n\u0301e\u2028", max_size=12)
part = st.text(alphabet="ab.é ", min_size=1, max_size=4).filter(is_canonical)
path = st.lists(part, min_size=1, max_size=4).map("/".join)


@given(any_text | tricky)
def test_what_is_taken_is_what_the_disk_takes_it_for(text):
    if not is_canonical(text):
        with pytest.raises(InvalidRequest) as caught:
            canonical(text, field="to")
        assert [error.field for error in caught.value.errors] == ["to"]
        return
    assert canonical(text) == text
    assert posixpath.normpath(text) == text
    assert not posixpath.isabs(text)
    assert text == unicodedata.normalize("NFC", text)
    assert all(part and part[0] != "." for part in text.split("/"))
    # nothing leads out of the root, on any system
    assert ".." not in text.replace("\\", "/").split("/")
    assert os.path.join("/root", text) == os.path.normpath(f"/root/{text}")


@given(tricky)
def test_two_spellings_of_one_file_are_never_both_taken(text):
    plain = posixpath.normpath(text.replace("\\", "/").lstrip("/"))
    assert not (is_canonical(text) and is_canonical(plain) and text != plain)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        ".",
        "..",
        "/a",
        "a/",
        "a//b",
        "./a",
        "a/./b",
        "a/../b",
        ".git/config",
        "a/.hidden",
        "a\\b",
        "a\0b",
        "a\nb",
        "a\x7fb",
        "a\x85b",
        "a\u2028b",
        "e\u0301",
        "\ud800",
        "x" * (MAX_PART + 1),
        "/".join(["x" * 100] * (MAX_PATH // 100)),
    ],
)
def test_what_is_refused(text):
    assert not is_canonical(text)


@pytest.mark.parametrize(
    "text", ["a", "a/b.py", "Übung 1/é.ipynb", "a b", "a.", "a ", "~a", "a..b", "x" * MAX_PART]
)
def test_what_is_taken(text):
    assert canonical(text) == text


def test_a_path_of_another_folder_with_the_same_beginning_is_not_in_it():
    assert not is_within("ab", "a")
    assert not is_within("ab/c", "a")
    assert is_within("a/b", "a")
    assert is_within("a", "a")
    assert is_within("a", "")
    assert not is_within("a", "a/b")


@given(path, path)
def test_within_is_what_ancestors_say(one, other):
    assert is_within(one, other) == (other in ancestors(one))
    assert overlap(one, other) == overlap(other, one)
    assert overlap(one, other) == (is_within(one, other) or is_within(other, one))


@given(path, part)
def test_a_folder_and_a_name_make_a_path(folder, name):
    joined = join(folder, name)
    assert (parent_of(joined), name_of(joined)) == (folder, name)
    assert ancestors(joined) == [joined, *ancestors(folder)]
    assert (parent_of(name), join("", name)) == ("", name)


def test_homes():
    assert home_of("ada") == "users/ada"
    assert home_holding("users/ada") == "ada"
    assert home_holding("users/ada/x/y") == "ada"
    assert home_holding("users") is None
    assert home_holding("user/ada") is None
    assert home_holding("data/users/ada") is None
    assert is_home("users/ada")
    assert not is_home("users/ada/x")
    assert not is_home("users")
    assert not is_home("data/ada")
