"""Operations on live documents in this process: real rooms, leases and database, and a model
that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from jupyter_collab_ai.ai.analyzers.service import Analyzers
from jupyter_collab_ai.ai.board import LockBoard
from jupyter_collab_ai.ai.debugging import DebugRequest
from jupyter_collab_ai.ai.generating import GenerateRequest
from jupyter_collab_ai.ai.locations import Location, Position
from jupyter_collab_ai.ai.model import Model, ModelSettings
from jupyter_collab_ai.ai.operations import Operations
from jupyter_collab_ai.ai.placing import Mode, Target
from jupyter_collab_ai.ai.retention import DEFAULT_KEEPING, Keeping
from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.errors import NotFound, TokenRevoked
from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.locks.leases import Leases
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.rooms.shared import SharedDocuments
from jupyter_collab_ai.sessions.roles import Capability, Role, Standing
from jupyter_collab_ai.sessions.service import Sessions
from jupyter_collab_ai.sessions.store import Session
from jupyter_collab_ai.storage.database import Database
from jupyter_collab_ai.storage.tables import users
from tests.rooms.engine import SESSION, House, person
from tests.support.fake_model import FakeModel

FILE = "a.py"


class Plain:
    """Files of which none is a link."""

    async def real(self, path: str) -> str:
        return path


class OneSession(Sessions):
    """What operations ask of ``sessions``: one session, and who has which role in it."""

    def __init__(self, path: str, type_: str) -> None:
        self._contents = Plain()  # type: ignore[assignment]
        self.session = Session(SESSION, "s", path, type_, utcnow(), utcnow())
        self.roles: dict[str, Role] = {"ada": Role.OWNER, "ben": Role.EDITOR, "cleo": Role.VIEWER}
        self._watchers: list[Callable[[SessionId | None, UserId | None], None]] = []

    async def standing_in(
        self, principal: Principal, session_id: SessionId | str
    ) -> tuple[Session, Standing]:
        return self.look_in(None, principal, session_id)

    def look_in(
        self, tx: Any, principal: Principal, session_id: SessionId | str, *, keep: bool = False
    ) -> tuple[Session, Standing]:
        standing = self.look_at(tx, principal, "")
        if session_id != SESSION or not standing.may(Capability.SEE):
            raise NotFound("There is no such session, or it is not shared with you.")
        return self.session, standing

    async def standing(self, principal: Principal, path: str) -> Standing:
        return self.look_at(None, principal, path)

    def look_at(self, tx: Any, principal: Principal, path: str, *, keep: bool = False) -> Standing:
        return Standing(self.roles.get(principal.username), SESSION, principal.is_admin)

    def watch(
        self, changed: Callable[[SessionId | None, UserId | None], None]
    ) -> Callable[[], None]:
        self._watchers.append(changed)
        return lambda: self._watchers.remove(changed)

    def put(self, name: str, role: Role | None, *, told: bool = True) -> None:
        """Give somebody another role, or none; ``told`` is whether it is heard of."""
        if role is None:
            del self.roles[name]
        else:
            self.roles[name] = role
        for changed in tuple(self._watchers) if told else ():
            changed(SESSION, person(name).user_id)


class Logins:
    """What operations ask of ``identity``: who is signed in, and who is an admin."""

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.admins: set[str] = set()
        self._watchers: list[tuple[Principal, Callable[[], None]]] = []

    def as_of(self, tx: Any, principal: Principal, *, keep: bool) -> Principal:
        if principal.username in self.gone:
            raise TokenRevoked("This login has ended; sign in again.")
        return replaced(principal, is_admin=principal.username in self.admins)

    def watch(self, principal: Principal, ended: Callable[[], None]) -> Callable[[], None]:
        entry = (principal, ended)
        self._watchers.append(entry)
        return lambda: self._watchers.remove(entry)

    def sign_out(self, name: str, *, told: bool = True) -> None:
        """End somebody's login."""
        self.gone.add(name)
        self._tell(name, told)

    def demote(self, name: str, *, told: bool = True) -> None:
        """Let somebody be no admin any more."""
        self.admins.discard(name)
        self._tell(name, told)

    def _tell(self, name: str, told: bool) -> None:
        for principal, ended in tuple(self._watchers) if told else ():
            if principal.username == name:
                ended()


class Disk:
    """What lies where, below a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def kind(self, path: str) -> str | None:
        place = self._root / path
        if not place.exists():
            return None
        return "directory" if place.is_dir() else "file"


class AiHouse(House):
    """Rooms, and operations on them."""

    def __init__(
        self,
        database: Database,
        root: Path,
        fake: FakeModel,
        *,
        path: str = FILE,
        type_: str = "file",
        keeping: Keeping = DEFAULT_KEEPING,
    ) -> None:
        super().__init__(database, root)
        self.fake = fake
        self.sessions = OneSession(path, type_)
        self.logins = Logins()
        self.documents = SharedDocuments(self.rooms)
        self.leases = Leases(database)
        self.board = LockBoard(database, self.leases, lambda: self.documents, self.events)
        self.model = Model(
            ModelSettings(None, fake.url, "m"), deadline=20, silence=5, max_retries=0
        )
        self.operations = Operations(
            database,
            self.documents,
            self.sessions,
            self.logins,
            self.leases,
            self.board,
            Analyzers(),
            self.model,
            self.events,
            Disk(root),
            keeping,
        )

    async def open(self) -> AiHouse:
        """Make the accounts."""
        names = [person(name) for name in self.sessions.roles]

        def write(tx: Any) -> None:
            for one in names:
                tx.execute(
                    insert(users).values(
                        id=one.user_id,
                        username=one.username,
                        display_name=one.username,
                        color="#000",
                        created_at=utcnow(),
                    )
                )

        await self.database.write(write)
        return self

    async def close(self) -> None:
        """Let go of everything."""
        await self.operations.close()
        await self.board.close()
        await self.rooms.close_all(within=5)

    async def generate(
        self, instructions: str = "Write it.", *, name: str = "ben", **more: Any
    ) -> dict[str, Any]:
        """Run the generator."""
        heard = more.pop("heard", None)
        return await self.operations.generate(
            replaced(person(name), is_admin=name in self.logins.admins),
            GenerateRequest(SESSION, instructions, **more),
            (lambda *event: heard.append(event)) if heard is not None else (lambda *_: None),
        )

    async def debug(self, *, name: str = "ben", **more: Any) -> dict[str, Any]:
        """Run the debugger."""
        return await self.operations.debug(
            person(name), DebugRequest(SESSION, **more), lambda *_: None
        )

    async def text(self, path: str = FILE) -> str:
        """Return what a live document holds."""
        async with self.documents.hold(path) as document:
            return await document.look(lambda view: view.cells()[0].source)

    async def locks(self) -> int:
        """Return how many leases stand."""
        return len(await self.leases.of_session(SESSION))

    async def quiet(self) -> None:
        """Wait until nothing is watched or worked on any more."""
        background = [
            task
            for task in self.operations._runner._background
            if "_live_on" not in repr(task.get_coro())
        ]
        await asyncio.gather(*background, return_exceptions=True)


def at(
    line: int, column: int, end_line: int | None = None, end_column: int | None = None, **more: Any
) -> Location:
    """Return a location."""
    return Location(
        Position(line, column),
        Position(end_line or line, end_column or column),
        more.get("cell_id"),
    )


def replace(line: int, end_line: int, **more: Any) -> Target:
    """Return the lines from one up to another as a target."""
    return Target(Mode.REPLACE, at(line, 1, end_line, 1, **more))


USER = UserId("id-ben")
