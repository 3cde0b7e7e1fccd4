"""Sessions as a server has them: real files, a real database, and people with accounts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from sqlalchemy import insert, select, update

from jupyter_collab_ai.clock import utcnow
from jupyter_collab_ai.grave import Action
from jupyter_collab_ai.ids import SessionId, UserId, new_id
from jupyter_collab_ai.principal import Credential, Principal
from jupyter_collab_ai.sessions import store
from jupyter_collab_ai.sessions.contents import JupyterContents
from jupyter_collab_ai.sessions.feed import Feed
from jupyter_collab_ai.sessions.invitations import Invitations
from jupyter_collab_ai.sessions.members import Members
from jupyter_collab_ai.sessions.roles import Role
from jupyter_collab_ai.sessions.service import Sessions
from jupyter_collab_ai.storage.database import Database
from jupyter_collab_ai.storage.tables import activity, users
from jupyter_collab_ai.web.events import EventHub


class Presence:
    """Who is here, as the test says."""

    def __init__(self) -> None:
        self.here: dict[SessionId, set[UserId]] = {}

    def online(self, session_id: SessionId) -> set[UserId]:
        return self.here.get(session_id, set())


class Locks:
    """What is locked, as the test says."""

    def __init__(self) -> None:
        self.of_session: dict[SessionId, dict[str, Any]] = {}
        self.of_path: dict[str, dict[str, Any]] = {}

    async def current(self, session_id: SessionId) -> dict[str, Any] | None:
        return self.of_session.get(session_id)

    async def blocking(self, path: str) -> dict[str, Any] | None:
        return self.of_path.get(path)


class Moves:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []
        #: Called in the middle of a move, once the files are where they will be.
        self.meanwhile: Callable[[], Any] | None = None

    async def renamed(self, old: str, new: str) -> None:
        self.told.append(("renamed", old, new))
        if self.meanwhile is not None:
            await self.meanwhile()

    async def deleted(self, path: str) -> None:
        self.told.append(("deleted", path))


class Logins:
    """Lets the test end logins."""

    def __init__(self) -> None:
        self._watched: list[tuple[Principal, Callable[[], None]]] = []

    @property
    def watched(self) -> int:
        return len(self._watched)

    def watch(self, principal: Principal, ended: Callable[[], None]) -> Callable[[], None]:
        entry = (principal, ended)
        self._watched.append(entry)
        return lambda: self._watched.remove(entry)

    def end(self, principal: Principal) -> None:
        for watched, ended in tuple(self._watched):
            if watched == principal:
                ended()


class Confirmations:
    """Writes down what it is asked for, and confirms nothing."""

    def __init__(self) -> None:
        self.asked: list[Action] = []

    async def ask(
        self,
        principal: Principal,
        request: bytes,
        action: Action,
        *,
        given: str | None,
        address: str,
    ) -> str | None:
        self.asked.append(action)
        return "confirm-me"


@dataclass
class House:
    """One server's sessions, and what surrounds them."""

    database: Database
    root: Path
    presence: Presence = field(default_factory=Presence)
    locks: Locks = field(default_factory=Locks)
    moves: Moves = field(default_factory=Moves)
    logins: Logins = field(default_factory=Logins)
    hub: EventHub = field(default_factory=EventHub)
    confirmations: Confirmations = field(default_factory=Confirmations)

    def __post_init__(self) -> None:
        manager = AsyncLargeFileManager(root_dir=str(self.root), delete_to_trash=False)
        self.contents = JupyterContents(manager)
        self.sessions = Sessions(self.database, self.contents, self.locks, self.moves)
        self.members = Members(self.database, self.sessions, self.presence)
        self.invitations = Invitations(self.database, self.sessions)
        self.feed = Feed(self.database, self.sessions, self.hub, self.logins)

    async def person(self, username: str, *, admin: bool = False) -> Principal:
        """Make an account with a folder of its own."""
        principal = Principal(
            user_id=UserId(new_id()),
            username=username,
            display_name=username.title(),
            color="#000000",
            is_admin=admin,
            credential=Credential.BEARER,
        )
        await self.database.write(
            lambda tx: tx.execute(
                insert(users).values(
                    id=principal.user_id,
                    username=username,
                    display_name=principal.display_name,
                    email=f"{username}@example.org",
                    color=principal.color,
                    is_admin=admin,
                    created_at=utcnow(),
                )
            )
        )
        await self.sessions.make_home(username)
        return principal

    async def deactivate(self, person: Principal) -> None:
        await self.database.write(
            lambda tx: tx.execute(
                update(users).where(users.c.id == person.user_id).values(is_active=False)
            )
        )

    async def share(self, person: Principal, name: str = "notes.py", **more: Any) -> dict[str, Any]:
        return await self.sessions.create(person, name=name, **more)

    async def add(self, session: dict[str, Any], person: Principal, role: Role) -> None:
        await self.database.write(
            lambda tx: store.put_member(tx, session["id"], person.user_id, role)
        )

    async def roles(self, session: dict[str, Any]) -> dict[str, str]:
        """Return who is what in a session, by the database."""
        members = await self.database.read(lambda tx: store.members_of(tx, session["id"]))
        return {member.user["username"]: member.role.value for member in members}

    async def audit(self, session: dict[str, Any]) -> list[tuple[str | None, str, str | None]]:
        """Return who did what to whom, the oldest first."""
        rows = await self.database.read(
            lambda tx: tx.execute(
                select(activity)
                .where(activity.c.session_id == session["id"])
                .order_by(activity.c.id)
            ).all()
        )
        return [(row.actor, row.action, row.target) for row in rows]


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> House:
    root = tmp_path / "root"
    root.mkdir()
    return House(database, root)


@pytest.fixture
async def ada(house: House) -> Principal:
    return await house.person("ada")


@pytest.fixture
async def ben(house: House) -> Principal:
    return await house.person("ben")


@pytest.fixture
async def cleo(house: House) -> Principal:
    return await house.person("cleo")


@pytest.fixture
async def admin(house: House) -> Principal:
    return await house.person("root", admin=True)


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)
