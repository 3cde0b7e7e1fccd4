"""Whether somebody may do what a request asks for, at each path that it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from jupyter_collab_ai.access.files import Files
from jupyter_collab_ai.access.ports import Locks, Shared, Standings
from jupyter_collab_ai.access.rules import Effect, Need
from jupyter_collab_ai.errors import InvalidRequest, Locked, NotFound, PathShared
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.sessions.paths import canonical, is_canonical, is_within
from jupyter_collab_ai.sessions.roles import NOBODY, Capability, Standing

#: Effects before which nobody may be writing there by an operation.
_WHOLESALE = frozenset({Effect.REPLACED, Effect.MOVED_FROM, Effect.MOVED_TO, Effect.REMOVED})
#: What each session inside asks for, where an effect takes in all that is in a folder.
_INSIDE = {
    Effect.COPIED: Capability.READ,
    Effect.MOVED_FROM: Capability.MANAGE,
    Effect.REMOVED: Capability.MANAGE,
}


@dataclass(frozen=True)
class View:
    """What somebody sees of one folder or file, decided before it is read."""

    standing: Standing
    #: Paths in the folder where something else holds than for the folder itself.
    inside: dict[str, Standing] = field(default_factory=dict)
    #: Paths in the folder that lead to something visible.
    ways: frozenset[str] = frozenset()

    def shows(self, path: str) -> bool:
        """Return whether an entry of the folder is to be seen."""
        if not is_canonical(path):
            return False
        return path in self.ways or self._at(path).may(Capability.READ)

    def writable(self, path: str) -> bool:
        """Return whether an entry of the folder, or the folder itself, may be changed."""
        return self._at(path).may(Capability.WRITE)

    def _at(self, path: str) -> Standing:
        return self.inside.get(path, self.standing)


class Decisions:
    """Decides, by asking who has which role, what is locked, and where links lead."""

    def __init__(self, standings: Standings, locks: Locks, files: Files) -> None:
        self.standings = standings
        self.files = files
        self._locks = locks

    async def require(self, principal: Principal, wanted: Sequence[tuple[Need, str]]) -> None:
        """Refuse what ``principal`` may not do.

        Args:
            principal: Who asks.
            wanted: The needs of the request, each with a path.

        Raises:
            InvalidRequest: A path is not in its one form.
            NotFound: ``principal`` may not know of what is there.
            RoleRequired: They may know of it but not do this.
            Locked: An AI operation is writing there.
            PathShared: After a move a file would be shared twice.
        """
        for need, path in wanted:
            _require_plain(path)
            if not principal.is_admin:
                await self._require_one(principal, need, path)
        # Only whoever may act there is told what goes on there.
        for need, path in wanted:
            if need.effect in _WHOLESALE:
                await self._require_unlocked(path)
        await self._require_apart(wanted)

    async def _require_one(self, principal: Principal, need: Need, path: str) -> None:
        if path == "":
            standing = NOBODY
        else:
            canonical(path)
            standing = await self.standings.standing(principal, path)
        if (
            need.way
            and not standing.may(need.capability)
            and await self.on_the_way(principal, path)
        ):
            return
        standing.require(need.capability)
        await self._require_real(principal, need, path)
        inside = _INSIDE.get(need.effect)
        if inside is not None:
            for session in await self.sessions_at(path):
                (await self.standings.standing(principal, session.path)).require(inside)
        if need.effect is Effect.COPIED:
            await self.files.require_no_links(path)

    async def _require_real(self, principal: Principal, need: Need, path: str) -> None:
        real = await self.files.real(path)
        if real == path:
            return
        if real is None or not is_canonical(real):
            raise NotFound("There is no such thing, or it is not shared with you.")
        (await self.standings.standing(principal, real)).require(need.capability)

    async def _require_unlocked(self, path: str) -> None:
        if path == "":
            return
        for each in {path, await self.files.real(path) or path}:
            lock = await self._locks.blocking(each)
            if lock is not None:
                raise Locked(
                    "The AI is writing there; wait until it is done, or break its lock.",
                    extra={"lock": lock},
                )

    async def _require_apart(self, wanted: Sequence[tuple[Need, str]]) -> None:
        old = [path for need, path in wanted if need.effect is Effect.MOVED_FROM]
        new = [path for need, path in wanted if need.effect is Effect.MOVED_TO]
        if old and new and old != new and not await self.standings.may_move(old[0], new[0]):
            raise PathShared(
                "The new path is in another session; end one of the sessions first, or choose "
                "another path."
            )

    async def sessions_at(self, path: str) -> Sequence[Shared]:
        """Return the sessions at a path and in it, also where links lead there."""
        entry = await self.files.entry(path)
        return await self.standings.sessions_at(path if entry is None else entry)

    async def on_the_way(self, principal: Principal, path: str) -> bool:
        """Return whether ``path`` is a folder that leads to something visible."""
        visible = await self.standings.visible_paths(principal)
        return any(is_within(each, path) and each != path for each in visible)

    async def view(self, principal: Principal, path: str) -> View:
        """Return what ``principal`` sees at ``path``, which they may look at.

        As sessions never overlap, one role holds for all that is in a session. Elsewhere it
        depends on the sessions in a folder.
        """
        standing = NOBODY if path == "" else await self.standings.standing(principal, path)
        if principal.is_admin or standing.session_id is not None:
            return View(standing)
        visible = await self.standings.visible_paths(principal)
        below = [each for each in visible if is_within(each, path) and each != path]
        others = set(below)
        if standing.may(Capability.READ):
            others |= {session.path for session in await self.standings.sessions_at(path)}
        depth = len(PurePosixPath(path).parts)
        entries = {each for each in others if len(PurePosixPath(each).parts) == depth + 1}
        return View(
            standing,
            {each: await self.standings.standing(principal, each) for each in entries},
            frozenset(
                "/".join(each.split("/")[: depth + 1]) for each in below if each not in entries
            ),
        )


def _require_plain(path: str) -> None:
    """Refuse other spellings of a path, from admins too: locks go by the one spelling.

    Raises:
        InvalidRequest: It is one.
    """
    if path == "":
        return
    if "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise InvalidRequest("Name the file by its plain path, relative to the server's root.")
