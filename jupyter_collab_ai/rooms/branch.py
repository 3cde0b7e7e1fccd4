"""What a fork has in place of a file: its root, which it may follow while it is open."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from tornado.web import HTTPError

from jupyter_collab_ai.errors import CollabError, DatabaseUnavailable, StaleDocument
from jupyter_collab_ai.ids import DocumentId
from jupyter_collab_ai.logs import cause_of
from jupyter_collab_ai.rooms.log import Origin
from jupyter_collab_ai.rooms.room import LiveRoom, NotJoined

log = logging.getLogger(__name__)

#: Seconds for which changes of the root are gathered before they are taken over.
GATHER = 0.1
#: Seconds until a root that can't be reached is looked for again.
RETRY = 1.0


class Branch:
    """Keeps one fork in step with its root, where it was made to follow it.

    Nobody reads a fork that is not open, so nothing is taken over then; opened again, it takes
    over all that has come since.
    """

    def __init__(
        self,
        room: LiveRoom,
        acquire: Callable[[DocumentId], Awaitable[LiveRoom]],
        release: Callable[[LiveRoom], None],
    ) -> None:
        """Prepare to follow.

        Args:
            room: The fork.
            acquire: Opens the room of a document.
            release: Pays it back.
        """
        self._room = room
        self._acquire = acquire
        self._release = release
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow the root, if the fork is one that does."""
        if self._room.document.follows_root:
            self._task = asyncio.create_task(
                self._follow(), name=f"collab-ai fork {self._room.document.id}"
            )

    async def stop(self, *, save: bool = True) -> bool:
        """End; all of a fork is recorded, and nothing is to be saved."""
        del save
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._room.changed_at = None
        return True

    async def save(self) -> None:
        """Do what there is to do: the log has all of it already."""
        self._room.changed_at = None

    async def abandon(self) -> None:
        """End, as the room has failed."""
        await self.stop()

    async def _follow(self) -> None:
        root_id = self._room.document.root_id
        assert root_id is not None
        name = self._room.log_name
        while True:
            try:
                root = await self._acquire(root_id)
            except DatabaseUnavailable:
                await asyncio.sleep(RETRY)
                continue
            except (CollabError, HTTPError) as error:
                log.info("The fork %s does not follow its document: %s", name, cause_of(error))
                return
            except Exception:
                log.exception(
                    "The fork %s does not follow its document, which can't be opened.", name
                )
                return
            try:
                await self._take_over(root)
            except StaleDocument:
                # Either room has ended. Where it is the fork's, this is cancelled.
                await asyncio.sleep(RETRY)
            except NotJoined as error:
                log.warning(
                    "The fork %s does not follow its document any more: %s", name, error.verdict
                )
                return
            except Exception:
                log.exception("The fork %s does not follow its document any more.", name)
                return
            finally:
                self._release(root)

    async def _take_over(self, root: LiveRoom) -> None:
        fork = self._room
        while True:
            seq, data, owners = await root.look(
                lambda doc: (root.seq, doc.get_update(fork.doc.get_state()), root.owners())
            )
            await fork.join_in(data, owners, origin=Origin.SERVER)
            await root.changed(seq)
            await asyncio.sleep(GATHER)
