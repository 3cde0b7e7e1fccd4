"""What tests of the engine share: people, rights that can be changed, and Yjs clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from pycrdt import Doc, Map, Text, YMessageType, YSyncMessageType, read_message

from jupyter_collab_ai.errors import NotFound
from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.principal import Credential, Principal
from jupyter_collab_ai.rooms import protocol
from jupyter_collab_ai.rooms.close_codes import Ending
from jupyter_collab_ai.rooms.connection import Connection, Frame
from jupyter_collab_ai.rooms.files import Files
from jupyter_collab_ai.rooms.ports import Right, Stop
from jupyter_collab_ai.rooms.registry import Rooms
from jupyter_collab_ai.rooms.room import LiveRoom
from jupyter_collab_ai.storage.database import Database
from jupyter_collab_ai.web.events import EventHub

SESSION = SessionId("session")

VIEWER = Right(may_read=True, may_write=False, session_id=SESSION)
EDITOR = Right(may_read=True, may_write=True, session_id=SESSION)
NOBODY = Right(may_read=False, may_write=False)


def person(name: str) -> Principal:
    return Principal(UserId(f"id-{name}"), name, name.title(), "#123456", False, Credential.BEARER)


class People:
    """Who may do what, until a test changes it; implements ``Rights`` and ``Logins``."""

    def __init__(self) -> None:
        self.rights: dict[str, Right] = {}
        self._watchers: list[Callable[[SessionId | None, UserId | None], None]] = []
        self._logins: list[tuple[Principal, Callable[[], None]]] = []
        self._followers: list[tuple[Principal, Callable[[str, str], None]]] = []

    async def right(self, principal: Principal, path: str) -> Right:
        return self.rights.get(principal.username, NOBODY)

    async def rights_of(self, principals: Sequence[Principal], path: str) -> list[Right]:
        return [await self.right(principal, path) for principal in principals]

    async def document_path(
        self, principal: Principal, session_id: SessionId, path: str | None
    ) -> str:
        if session_id != SESSION or principal.username not in self.rights or path is None:
            raise NotFound("There is no such session, or it is not shared with you.")
        return path

    def watch(self, *args: Any) -> Stop:
        if len(args) == 1:
            self._watchers.append(args[0])
            return lambda: self._watchers.remove(args[0])
        self._logins.append(args)
        return lambda: self._logins.remove(args)

    def follow(self, principal: Principal, changed: Callable[[str, str], None]) -> Stop:
        entry = (principal, changed)
        self._followers.append(entry)
        return lambda: self._followers.remove(entry)

    def rename(self, name: str, display_name: str, color: str) -> None:
        for principal, changed in tuple(self._followers):
            if principal.username == name:
                changed(display_name, color)

    def set(self, name: str, right: Right) -> None:
        self.rights[name] = right
        for watcher in tuple(self._watchers):
            watcher(SESSION, person(name).user_id)

    def sign_out(self, name: str) -> None:
        for principal, ended in tuple(self._logins):
            if principal.username == name:
                ended()


class Events(EventHub):
    """Notes what is published, and hands it to who follows."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[tuple[str, dict[str, Any]]] = []

    def publish(self, session_id: SessionId, type_: str, data: dict[str, Any]) -> None:
        self.published.append((type_, data))
        super().publish(session_id, type_, data)


async def until(condition: Callable[[], Any], what: str = "it", within: float = 10) -> None:
    """Wait for a condition, with a deadline."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + within
    while not condition():
        assert loop.time() < ends, f"waited too long for {what}"
        await asyncio.sleep(0.005)


class Client:
    """A Yjs client on pycrdt, joined to a room without a network between."""

    def __init__(
        self,
        room: LiveRoom,
        principal: Principal,
        right: Right,
        *,
        doc: Doc[Any] | None = None,
        acknowledge: bool = True,
    ) -> None:
        self.room = room
        self.doc: Doc[Any] = doc if doc is not None else Doc()
        self.text = self.doc.get("source", type=Text)
        self.state = self.doc.get("state", type=Map)
        self.raw: list[dict[str, Any]] = []
        self.awareness: list[bytes] = []
        self.closed: Ending | None = None
        self.updates = 0
        self.synced = False
        self._sending: list[bytes] = []
        self._applying = False
        self.doc.observe(self._changed)
        self.connection = Connection(
            principal, right, ClientTransport(self), acknowledge=acknowledge
        )

    async def join(self) -> Client:
        self.room.join(self.connection)
        await self.send(protocol.sync_step1(self.doc.get_state()))
        await until(lambda: self.synced or self.closed, "the client to be in sync")
        await self.flush()
        return self

    # ---- Transport

    def send_frame(self, frame: Frame) -> None:
        data = frame.payload
        if data[0] == YMessageType.SYNC:
            payload = read_message(data[2:])
            if data[1] == YSyncMessageType.SYNC_STEP1:
                self._sending.append(protocol.sync_step2(self.doc.get_update(payload)))
                return
            self.updates += 1
            self._applying = True
            self.doc.apply_update(payload)
            self._applying = False
            if data[1] == YSyncMessageType.SYNC_STEP2:
                self.synced = True
        elif data[0] == YMessageType.AWARENESS:
            self.awareness.append(read_message(data[1:]))
        else:
            self.raw.append(json.loads(read_message(data[1:])))

    def close(self, ending: Ending, sentence: str | None = None) -> None:
        self.closed = ending

    # ---- what a test does

    async def send(self, data: bytes) -> None:
        waiting = self.room.receive(self.connection, protocol.parse_frame(data))
        if waiting is not None:
            await waiting

    async def flush(self) -> None:
        """Send what was done here, in order."""
        while self._sending:
            await self.send(self._sending.pop(0))

    def _changed(self, event: Any) -> None:
        if not self._applying:
            self._sending.append(protocol.update(event.update))

    async def type(self, text: str, at: int | None = None) -> None:
        """Insert text, counted in bytes as pycrdt does, at the end by default."""
        self.text.insert(len(self.text) if at is None else at, text)
        await self.flush()

    @property
    def saved(self) -> list[int]:
        return [one["seq"] for one in self.raw if one["type"] == "saved"]

    @property
    def refused(self) -> list[dict[str, Any]]:
        return [one for one in self.raw if one["type"] == "refused"]

    @property
    def resets(self) -> list[str]:
        return [one["reason"] for one in self.raw if one["type"] == "reset"]

    async def leave(self) -> None:
        self.room.leave(self.connection)


# A transport's ``send`` is given frames, a test's gives bytes.
class ClientTransport:
    def __init__(self, client: Client) -> None:
        self._client = client

    def send(self, frame: Frame) -> None:
        self._client.send_frame(frame)

    def close(self, ending: Ending, sentence: str | None = None) -> None:
        self._client.close(ending, sentence)


class House:
    """Rooms on a database and a folder, that can be closed and built again."""

    def __init__(self, database: Database, root: Path, **options: Any) -> None:
        self.database = database
        self.root = root
        self.people = People()
        self.events = Events()
        self.manager = AsyncLargeFileManager(root_dir=str(root))
        self.options = {"idle": 60.0, **options}
        self.rooms = self.build()

    def build(self) -> Rooms:
        return Rooms(
            self.database,
            Files(lambda: self.manager),
            self.people,
            events=self.events,
            **self.options,
        )

    async def restart(self) -> None:
        """Stop in good order, and start again."""
        await self.rooms.close_all()
        self.rooms = self.build()

    def crash(self) -> None:
        """End like a process that is killed: nothing is saved, nobody is told."""
        for room in self.rooms.all():
            entry = self.rooms._open[room.document.id]
            assert room._worker is not None
            room._worker.cancel()
            if entry.projection._task is not None:  # a fork may have nothing to follow
                entry.projection._task.cancel()
        self.rooms = self.build()

    def write(self, path: str, text: str) -> None:
        (self.root / path).write_bytes(text.encode())

    def read(self, path: str) -> str:
        # While it is being written, a character may be cut in two.
        return (self.root / path).read_bytes().decode(errors="replace")

    async def client(
        self,
        name: str,
        path: str,
        right: Right = EDITOR,
        doc: Doc[Any] | None = None,
        **options: Any,
    ) -> Client:
        """Join the document at ``path`` as ``name``."""
        self.people.rights[name] = right
        room = await self.rooms.acquire(path)
        return await Client(room, person(name), right, doc=doc, **options).join()
