"""Decisions without a server: what a listing shows is what may be read, or the way to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_server.services.contents.filemanager import FileContentsManager

from jupyter_collab_ai.access.decisions import Decisions
from jupyter_collab_ai.access.files import Files
from jupyter_collab_ai.access.rules import Effect, Need, Target
from jupyter_collab_ai.errors import CollabError, InvalidRequest
from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.principal import Credential, Principal
from jupyter_collab_ai.sessions.paths import home_of, is_within
from jupyter_collab_ai.sessions.roles import Capability, Role, Standing

ADA = Principal(UserId("ada"), "ada", "Ada", "#000000", False, Credential.BEARER)
READ = Need(Capability.READ, Target.PATH)


@dataclass(frozen=True)
class Shared:
    path: str


@dataclass
class Standings:
    """Sessions by path, with the role that Ada has in each."""

    roles: dict[str, Role | None] = field(default_factory=dict)

    async def standing(self, principal: Principal, path: str) -> Standing:
        for shared, role in self.roles.items():
            if is_within(path, shared):
                return Standing(role, SessionId(shared))
        return Standing(Role.OWNER if is_within(path, home_of("ada")) else None)

    async def visible_paths(self, principal: Principal) -> tuple[str, ...]:
        return (home_of("ada"), *(path for path, role in self.roles.items() if role))

    async def sessions_at(self, path: str) -> list[Shared]:
        return [Shared(each) for each in self.roles if is_within(each, path)]

    async def may_move(self, old: str, new: str) -> bool:
        return True

    def watch(self, changed: Any) -> Any:
        raise NotImplementedError


class Nothing:
    """Locks nothing, and keeps no files on a disk."""

    async def blocking(self, path: str) -> None:
        return None


def decisions(roles: dict[str, Role | None]) -> Decisions:
    return Decisions(Standings(roles), Nothing(), Files(Nothing))


part = st.sampled_from(["users", "ada", "bob", "a", "b"])
paths = st.lists(part, min_size=1, max_size=4).map("/".join)


@st.composite
def sessions(draw: st.DrawFn) -> dict[str, Role | None]:
    """Sessions that don't overlap, as the service keeps them."""
    chosen: dict[str, Role | None] = {}
    for path in draw(st.lists(paths, max_size=6)):
        if not any(is_within(path, other) or is_within(other, path) for other in chosen):
            chosen[path] = draw(st.sampled_from([None, *Role]))
    return chosen


@given(sessions(), st.lists(part, max_size=3).map("/".join), part)
async def test_a_listing_shows_what_may_be_read_and_the_ways_there(
    roles: dict[str, Role | None], folder: str, name: str
) -> None:
    deciding = decisions(roles)
    entry = f"{folder}/{name}" if folder else name
    standing = await deciding.standings.standing(ADA, entry)
    readable = standing.may(Capability.READ)
    way = await deciding.on_the_way(ADA, entry)
    view = await deciding.view(ADA, folder)
    assert view.shows(entry) == (readable or way)
    if view.shows(entry):
        assert view.writable(entry) == standing.may(Capability.WRITE)
    try:
        await deciding.require(ADA, [(Need(Capability.READ, Target.PATH, way=True), entry)])
    except CollabError:
        assert not view.shows(entry)
    else:
        assert view.shows(entry)


@given(sessions(), paths, st.sampled_from([Effect.COPIED, Effect.MOVED_FROM, Effect.REMOVED]))
async def test_nothing_is_taken_along_that_may_not_be(
    roles: dict[str, Role | None], path: str, effect: Effect
) -> None:
    deciding = decisions(roles)
    capability = Capability.READ if effect is Effect.COPIED else Capability.WRITE
    inside = Capability.READ if effect is Effect.COPIED else Capability.MANAGE
    standing = await deciding.standings.standing(ADA, path)
    taken = [Standing(role) for each, role in roles.items() if is_within(each, path)]
    allowed = standing.may(capability) and all(each.may(inside) for each in taken)
    try:
        await deciding.require(ADA, [(Need(capability, Target.PATH, effect), path)])
    except CollabError:
        assert not allowed
    else:
        assert allowed


@given(st.text(max_size=20))
async def test_another_spelling_is_never_let_through(path: str) -> None:
    home = "users/ada"
    for spelled in (path, f"{home}/{path}", f"{path}/{home}"):
        try:
            await decisions({}).require(ADA, [(READ, spelled)])
        except CollabError:
            continue
        parts = spelled.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert not any(each.startswith(".") for each in parts)
        assert parts[:2] == ["users", "ada"]


# ---------------------------------------------------------------- the disk


async def test_real_paths(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (root / "a/file.py").write_text("")
    (root / "to-file.py").symlink_to(root / "a/file.py")
    (root / "to-a").symlink_to(root / "a")
    (root / "to-root").symlink_to(root)
    (root / "out").symlink_to(tmp_path)
    (root / "loop").symlink_to(root / "loop")
    files = Files(lambda: FileContentsManager(root_dir=str(root)))
    assert await files.real("a/file.py") == "a/file.py"
    assert await files.real("a/new.py") == "a/new.py"
    assert await files.real("to-file.py") == "a/file.py"
    assert await files.real("to-a/new.py") == "a/new.py"
    assert await files.real("to-root/a") == "a"
    assert await files.real("to-root") is None
    assert await files.real("out") is None
    assert await files.real("out/x") is None
    await files.require_no_links("a")
    with pytest.raises(InvalidRequest, match="links"):
        await files.require_no_links("to-a/..")


async def test_a_root_that_is_a_link_is_fine(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    files = Files(lambda: FileContentsManager(root_dir=str(tmp_path / "root")))
    assert await files.real("x.py") == "x.py"


async def test_a_folder_is_looked_through_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_collab_ai.access.files.MAX_COPIED", 3)
    (tmp_path / "a").mkdir()
    for number in range(4):
        (tmp_path / f"a/{number}").write_text("")
    files = Files(lambda: FileContentsManager(root_dir=str(tmp_path)))
    with pytest.raises(InvalidRequest, match="more than 3"):
        await files.require_no_links("a")
