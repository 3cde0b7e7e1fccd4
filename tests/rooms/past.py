"""What tests of the history share: its service on rooms of a test, and clocks that can be set."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update

from jupyter_collab_ai.errors import Locked, RoleRequired
from jupyter_collab_ai.ids import DocumentId, SessionId, UserId
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.rooms.compaction import Compactor
from jupyter_collab_ai.rooms.history import History
from jupyter_collab_ai.rooms.restoring import wish_of
from jupyter_collab_ai.storage.tables import (
    document_snapshots,
    document_spans,
    document_updates,
)
from tests.rooms.engine import EDITOR, SESSION, House, person


class Desk:
    """Who looks at the past of one document, as ``name``."""

    def __init__(self, house: House, path: str = "a.py") -> None:
        self.house = house
        self.path = path
        self.locked = False
        self.compactor: Compactor = house.rooms.compactor
        self.history = History(
            house.database, house.rooms, Doors(house), Crowd(), self, self.compactor
        )

    # ---- WriteLocks

    async def refuse(self, path: str) -> None:
        if self.locked:
            raise Locked("The AI is writing there.", extra={"lock": {"id": "lock"}})

    def stands(self, tx: Any, document_id: DocumentId) -> bool:
        return self.locked

    # ---- what a test asks

    async def list(self, name: str = "alice", **query: Any) -> dict[str, Any]:
        query.setdefault("limit", 50)
        return await self.history.items(self.as_(name), SESSION, self.path, **query)

    async def items(self, **query: Any) -> list[dict[str, Any]]:
        return (await self.list(**query))["items"]

    async def version(self, version: str, against: str | None = None) -> dict[str, Any]:
        answer = await self.history.version(
            self.as_("alice"), SESSION, version, self.path, against=against
        )
        return json.loads(answer)

    async def content(self, version: str) -> Any:
        return (await self.version(version))["content"]

    async def blame(self) -> dict[str, Any]:
        return json.loads(await self.history.blame(self.as_("alice"), SESSION, self.path))

    async def name(self, name: str, version: str | None = None, by: str = "alice") -> Any:
        return await self.history.name(self.as_(by), SESSION, name, version=version, path=self.path)

    async def restore(
        self, version: str, *, by: str = "alice", against: str | None = None, **wish: Any
    ) -> dict[str, Any]:
        return await self.history.restore(
            self.as_(by),
            SESSION,
            version,
            path=self.path,
            wish=wish_of(wish.get("cell_id"), wish.get("hunks")),
            against=against,
        )

    def as_(self, name: str) -> Principal:
        self.house.people.rights.setdefault(name, EDITOR)
        return person(name)

    # ---- what lies in the database

    async def document(self) -> Any:
        document = await self.house.rooms.documents.by_path(self.path)
        assert document is not None
        return document

    async def compact(self) -> None:
        await self.compactor.compact((await self.document()).id)

    async def stored(self) -> int:
        """Return how many bytes of content the database holds of the document."""
        document_id = (await self.document()).id

        def read(tx: Any) -> int:
            return sum(
                tx.execute(
                    select(func.coalesce(func.sum(func.length(table.c.data)), 0)).where(
                        table.c.document_id == document_id
                    )
                ).scalar_one()
                for table in (document_updates, document_snapshots)
            )

        return await self.house.database.read(read)

    async def rows(self) -> list[Any]:
        document_id = (await self.document()).id
        return await self.house.database.read(
            lambda tx: tx.execute(
                select(document_updates)
                .where(document_updates.c.document_id == document_id)
                .order_by(document_updates.c.seq)
            ).all()
        )

    async def age(self, by: timedelta) -> None:
        """Let what was recorded so far have happened earlier."""
        document_id = (await self.document()).id

        def write(tx: Any) -> None:
            for table, columns in (
                (document_updates, ("created_at",)),
                (document_spans, ("started_at", "ended_at")),
            ):
                mine = table.c.document_id == document_id
                for row in tx.execute(select(table).where(mine)).all():
                    values: dict[str, Any] = {name: getattr(row, name) - by for name in columns}
                    if table is document_spans:
                        values["parts"] = [
                            {
                                **part,
                                "last": (datetime.fromisoformat(part["last"]) - by).isoformat(),
                            }
                            for part in row.parts
                        ]
                    tx.execute(update(table).where(mine, table.c.seq == row.seq).values(values))

        await self.house.database.write(write)

    async def settle(self) -> None:
        """Wait until all that was sent is recorded."""
        async with self.house.rooms.hold(self.path) as room:
            assert await room.settle(10)


class Doors:
    """``Rights`` of a house, that know who may write."""

    def __init__(self, house: House) -> None:
        self._people = house.people

    def __getattr__(self, name: str) -> Any:
        return getattr(self._people, name)

    async def document_path(
        self,
        principal: Principal,
        session_id: SessionId,
        path: str | None,
        *,
        write: bool = False,
    ) -> str:
        found = await self._people.document_path(principal, session_id, path)
        if write and not self._people.rights[principal.username].may_write:
            raise RoleRequired("This needs the role editor.")
        return found


class Crowd:
    """``People`` of a test: whoever has an id."""

    async def describe(self, user_ids: Collection[UserId]) -> Mapping[UserId, dict[str, Any]]:
        return {id_: {"username": id_.removeprefix("id-")} for id_ in user_ids}


def names(item: dict[str, Any]) -> list[str]:
    return [user["username"] for user in item["authors"]]
