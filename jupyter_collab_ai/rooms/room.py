"""The live copy of one document: an actor that records, acknowledges and shows.

One worker takes what came in, in order. It gates each message, records all that is accepted
in one transaction, and only then applies it, tells the senders and shows it to the others.
Nothing else changes the document, so nobody is ever shown what is not recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from pycrdt import Array, Doc, Map, Subscription, Text, TransactionEvent

from jupyter_collab_ai.errors import StaleDocument
from jupyter_collab_ai.ids import SessionId, UserId
from jupyter_collab_ai.rooms import protocol
from jupyter_collab_ai.rooms.close_codes import Ending
from jupyter_collab_ai.rooms.connection import Connection, Frame
from jupyter_collab_ai.rooms.copies import (
    EMPTY_UPDATE,
    change_copy,
    log_state_of,
    merged,
    new_client_id,
)
from jupyter_collab_ai.rooms.documents import Document, Kind
from jupyter_collab_ai.rooms.gate import (
    Accept,
    Answer,
    Defer,
    DropSilently,
    Ignore,
    Joined,
    LogState,
    Malformed,
    Refuse,
    Reset,
    ResetReason,
    Verdict,
    judge,
    judge_joined,
    judge_update,
)
from jupyter_collab_ai.rooms.inbox import Closed, Inbox
from jupyter_collab_ai.rooms.log import (
    ClientRecord,
    DocumentForgotten,
    Entry,
    Fence,
    Known,
    LogGone,
    LogMoved,
    Origin,
    UpdateLog,
)
from jupyter_collab_ai.rooms.panics import catch_panics
from jupyter_collab_ai.rooms.ports import Right, Rights
from jupyter_collab_ai.rooms.presence import Gathering
from jupyter_collab_ai.rooms.rechecking import Rechecking
from jupyter_collab_ai.rooms.recorder import Recorder
from jupyter_collab_ai.rooms.work import (
    CatchUp,
    Change,
    Edit,
    Foreign,
    Item,
    Judged,
    Look,
    SyncFrame,
    parse,
    parse_large,
)
from jupyter_collab_ai.rooms.yupdate import IdRanges
from jupyter_collab_ai.web import metrics
from jupyter_collab_ai.web.metrics import Transport

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Frames of a connection that may wait for what they hang on.
MAX_DEFERRED = 4096

_CLOSED = "The document was closed; open it again."


class NotJoined(Exception):
    """What was recorded in another document doesn't fit into this one."""

    def __init__(self, verdict: Joined) -> None:
        super().__init__(verdict.value)
        self.verdict = verdict


class LiveRoom:
    """One document, live. Made and ended by :class:`~.registry.Rooms` alone."""

    def __init__(
        self,
        document: Document,
        doc: Doc[Any],
        seq: int,
        log_state: LogState,
        update_log: UpdateLog,
        rights: Rights,
        *,
        on_failure: Callable[[LiveRoom], None],
    ) -> None:
        """Make a room of a document that was built from its log.

        Args:
            document: The row of the document.
            doc: The document, of which the room takes possession.
            seq: The number of the newest update that ``doc`` holds.
            log_state: What the gate knows of it.
            update_log: Where updates are recorded.
            rights: Who may read and write.
            on_failure: Called when the room can't go on; it has let everyone go then.
        """
        self.document = document
        self.path = document.path
        self.kind = document.kind
        self.epoch = document.epoch
        self.seq = seq
        self.doc = doc
        self.connections: set[Connection] = set()
        #: Those whose rights may have changed; nothing is taken from or shown to anybody until
        #: they were asked for.
        self._stale: set[Connection] = set()
        #: Who has sent what is being worked on; they may have left.
        self._senders: set[Connection] = set()
        self.presence = Gathering(lambda: self.connections, lambda: self._state.owners)
        self._state = log_state
        self._recorder = Recorder(update_log, document.id, document.epoch)
        self._rights = rights
        self._rechecking = Rechecking(
            self.connections, lambda who: rights.rights_of(who, self.path), self._suspect
        )
        self._on_failure = on_failure
        self._inbox: Inbox[Item] = Inbox()
        self._worker: asyncio.Task[None] | None = None
        self._applying = False
        #: Updates that others made directly in the live document, not recorded yet.
        self._direct: list[Change] = []
        self._server_clients: dict[tuple[Origin, UserId | None], int] = {}
        self._changed_at: float | None = None
        #: When it last did so, whether or not the file has that.
        self.edited_at = 0.0
        self.on_change: Callable[[], None] | None = None
        self.on_presence: Callable[[Connection, bool], None] | None = None
        self.failed = False
        self._applied: Change | None = None
        self._advanced = asyncio.Event()
        self._content_subscriptions: list[tuple[Any, Subscription]] = []
        #: What writers are told who join while all are to hold still; see ``freezing``.
        self.freezes: list[Frame] = []
        # (It holds the document that holds it, and has to be let go of at the end.)
        self._subscription: Subscription | None = doc.observe(self._observe)
        # pycrdt lets go of an observer together with the object that it was set on.
        self._content: list[Any]
        if self.kind is Kind.NOTEBOOK:
            self._content = [doc.get("cells", type=Array), doc.get("meta", type=Map)]
        else:
            self._content = [doc.get("source", type=Text)]
        self._listen()

    def when_in_trouble(self, told: Callable[[str | None], None]) -> None:
        """Let ``told`` hear why nothing can be recorded, and with None that it can again."""
        self._recorder.on_trouble = told

    # ------------------------------------------------------------ connections

    def join(self, connection: Connection) -> None:
        """Let a connection in: it is told the epoch, asked for what it has, shown who is here."""
        self.connections.add(connection)
        connection.on_end = lambda: self.leave(connection)
        connection.on_looks = lambda: self.presence.changed(connection)
        hello = {
            "type": "hello",
            "epoch": self.epoch,
            "user": connection.principal.user_id,
            "max_message": connection.max_message,
            **connection.describe_right(),
        }
        connection.send(Frame(protocol.raw(hello)))
        connection.ask_in_passing(Frame(protocol.sync_step1(self.doc.get_state())))
        if connection.right.may_write:
            for freeze in self.freezes:
                connection.send(freeze)
        self.presence.welcome(connection)
        if self.on_presence is not None:
            self.on_presence(connection, True)

    def leave(self, connection: Connection) -> None:
        """Forget a connection, and tell the others that it has gone.

        What it has sent before it went is still worked on.
        """
        if connection in self.connections:
            self.connections.discard(connection)
            self.presence.leave(connection)
            if self.on_presence is not None:
                self.on_presence(connection, False)

    def receive(self, connection: Connection, message: protocol.Message) -> Awaitable[None] | None:
        """Take a message in.

        What is not sync or awareness is none of a document's business and is dropped.

        Returns:
            Where too much waits already, what has to be awaited before the next message of
            this connection is taken in.
        """
        if connection.ended:
            return None
        if isinstance(message, protocol.AwarenessMessage):
            self.presence.receive(connection, message.payload)
            return None
        if isinstance(message, protocol.AwarenessQuery):
            self.presence.welcome(connection)
            return None
        if not isinstance(message, protocol.SyncMessage):
            return None
        frame = SyncFrame(connection, message)
        if message.kind is not protocol.SyncKind.STEP1:
            connection.frames += 1
            frame.number = connection.frames
        size = len(message.payload) + 64
        if self._inbox.full:
            return self._take_in_later(frame, size)
        self._take_in(frame, size)
        return None

    async def _take_in_later(self, frame: SyncFrame, size: int) -> None:
        await self._inbox.room()
        self._take_in(frame, size)

    def _take_in(self, frame: SyncFrame, size: int) -> None:
        with contextlib.suppress(Closed):
            self._inbox.put_now(frame, size)
        if frame.message.kind is protocol.SyncKind.STEP2:
            # What the server itself does from now on has its turn after this.
            frame.connection.has_answered()

    def rights_changed(
        self, session_id: SessionId | None = None, user_id: UserId | None = None
    ) -> None:
        """Ask again what the people here may do, before anything else is taken or shown."""
        for connection in self.connections | self._senders:
            if session_id is not None and connection.right.session_id not in (None, session_id):
                continue
            if user_id in (None, connection.principal.user_id):
                self._stale.add(connection)
        if self._stale:
            self._inbox.wake()

    def _suspect(self, connection: Connection) -> None:
        self._stale.add(connection)
        self._inbox.wake()

    def owners(self) -> dict[int, UserId | None]:
        """Return whose each Yjs client id is that has written here; None for the server's own."""
        return {client: self._state.owners.get(client) for client in self._state.state}

    # ------------------------------------------------------------ changes by the server

    async def look(self, function: Callable[[Doc[Any]], T]) -> T:
        """Return what ``function`` makes of the document, when it is this question's turn.

        Everything in the document is recorded at that moment. ``function`` must be quick and
        change nothing.

        Raises:
            StaleDocument: The room has been closed.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._put(Look(function, done))
        return await done

    async def edit(
        self,
        change: Callable[[Doc[Any]], T],
        *,
        origin: Origin = Origin.SERVER,
        user_id: UserId | None = None,
        fence: Fence | None = None,
    ) -> tuple[int, T]:
        """Change the document as one step, when it is this edit's turn.

        ``change`` gets a copy of the document as it is at that moment, in a transaction. It
        must be quick, and must not keep the copy. What it raises ends the edit: nothing is
        changed then. It may be called again, where somebody else was faster.

        Args:
            change: Makes the change, and returns what the caller wants back.
            origin: What the log says of it.
            user_id: For whom it is made.
            fence: Checked in the transaction that records the change.

        Returns:
            The number of the update (of the newest one, where nothing was to be changed),
            and what ``change`` returned.

        Raises:
            StaleDocument: The room has been closed.
        """
        done: asyncio.Future[tuple[int, T]] = asyncio.get_running_loop().create_future()
        self._put(Edit(change, origin, user_id, fence, done))
        return await done

    async def add(
        self,
        data: bytes,
        *,
        origin: Origin,
        user_id: UserId | None = None,
        fence: Fence | None = None,
    ) -> int:
        """Add an update that the server has made of a copy; return its number.

        Raises:
            StaleDocument: The room has been closed.
        """
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._put(Foreign(data, origin, user_id, fence, done))
        return await done

    async def join_in(
        self,
        data: bytes,
        owners: Mapping[int, UserId | None],
        *,
        origin: Origin,
        user_id: UserId | None = None,
        fence: Fence | None = None,
    ) -> int:
        """Add what was recorded in a fork of this document, or in that of which this is one.

        Its Yjs client ids stay those of whoever wrote under them. Where nothing in it is new,
        nothing is recorded, and ``fence`` is called all the same.

        Args:
            data: The update.
            owners: Whose the ids in it are.
            origin: What the log says of it.
            user_id: For whom it is added, and whose deletions it brings.
            fence: Checked in the transaction that records it.

        Returns:
            The number of the newest update then.

        Raises:
            NotJoined: The two don't fit together; nothing was recorded.
            StaleDocument: The room has been closed.
        """
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._put(Foreign(data, origin, user_id, fence, done, owners))
        return await done

    async def catch_up(self, seq: int | None = None) -> None:
        """Take over what other servers have recorded of this document.

        Args:
            seq: Up to which update at least; None for all that there is.

        Raises:
            StaleDocument: The room has been closed.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(CatchUp(seq, done))
        await done

    async def work_out(self, change: Callable[[Doc[Any]], T]) -> tuple[bytes, T]:
        """Change a copy in a worker thread; return the change as an update for :meth:`add`.

        For changes that take long to work out and need no guard: they are merged with what
        people do meanwhile, as if a colleague had made them. The update is empty where nothing
        changed.

        Raises:
            StaleDocument: The room has been closed.
        """
        state = await self.look(lambda doc: doc.get_update())
        data, result = await asyncio.to_thread(change_copy, state, new_client_id(), change)
        return data or EMPTY_UPDATE, result

    @property
    def log_name(self) -> str:
        """Which document it is, for the log."""
        return f"{self.document.id} ({self.path!r})"

    @property
    def shown_path(self) -> str | None:
        """Where the file is, by what the document itself says to JupyterLab."""
        path: str | None = self.doc.get("state", type=Map).get("path")
        return path

    async def move(self, path: str) -> None:
        """Follow the file to another path, and tell JupyterLab, which shows it in the tab."""
        self.path = path
        # The rights are those of the new place.
        self.rights_changed()
        await self.edit(lambda doc: _set_path(doc, path))

    async def changed(self, seq: int) -> int:
        """Wait until there is an update after ``seq``, and return the newest one's number.

        Raises:
            StaleDocument: The room has been closed.
        """
        while self.seq <= seq:
            if self._inbox.closed:
                raise StaleDocument(_CLOSED)
            await self._advanced.wait()
        return self.seq

    def _put(self, item: Edit | Foreign | Look | CatchUp) -> None:
        try:
            self._inbox.put_now(item)
        except Closed:
            raise StaleDocument(_CLOSED) from None

    # ------------------------------------------------------------ life

    def start(self) -> None:
        """Begin to work."""
        self._worker = asyncio.create_task(self._run(), name=f"collab-ai room {self.document.id}")

    async def close(self, ending: Ending = Ending.STOPPING, *, within: float = 10) -> None:
        """Record what came in so far, let everyone go, and end.

        Args:
            ending: What the connections are told.
            within: Seconds after which what is not recorded by then is given up. Its
                senders were not told that it was, and send it again elsewhere.
        """
        self._inbox.close()
        if self._worker is not None:
            _, late = await asyncio.wait({self._worker}, timeout=within)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        self._let_go(ending)

    def end_connections(self, ending: Ending) -> None:
        """Let everyone go; what they have sent already is still worked on."""
        for connection in tuple(self.connections):
            if ending is Ending.RESET:
                self._reset(connection, ResetReason.UNKNOWN_HISTORY)
            else:
                connection.end(ending)

    async def settle(self, within: float) -> bool:
        """Wait until everything that came in is recorded, for so many seconds at the most."""
        try:
            await asyncio.wait_for(self.look(lambda _: None), within)
        except (TimeoutError, StaleDocument):
            return False
        return True

    def _let_go(self, ending: Ending) -> None:
        self.end_connections(ending)
        self.presence.close()
        self._advanced.set()
        self._rechecking.close()
        self._recorder.close()
        self._stop_listening()
        self._content.clear()
        if self._subscription is not None:
            self.doc.unobserve(self._subscription)
            self._subscription = None

    async def _run(self) -> None:
        items: list[Item] = []
        try:
            with catch_panics():
                while True:
                    items = await self._inbox.take()
                    await self._work(items)
                    if self._inbox.closed and not len(self._inbox):
                        return
        except asyncio.CancelledError:
            raise
        except DocumentForgotten:
            log.info("The file of the document %s was deleted; its room ends.", self.log_name)
            self._give_up(Ending.NOT_FOUND)
        except LogGone:
            log.info("The history of the document %s was given up; its room ends.", self.log_name)
            self._give_up(Ending.RESET)
        except Exception:
            log.exception(
                "A room has failed, of the document %s; whoever is in it connects again.",
                self.log_name,
            )
            self._give_up(Ending.UNAVAILABLE)
        finally:
            self._refuse_rest(items)

    def _give_up(self, ending: Ending) -> None:
        self.failed = True
        self._inbox.close()
        self._let_go(ending)
        self._on_failure(self)

    def _refuse_rest(self, items: Iterable[Item]) -> None:
        rest = [*items, *self._inbox.drain()]
        for item in rest:
            if not isinstance(item, SyncFrame):
                item.fail(StaleDocument(_CLOSED))

    # ------------------------------------------------------------ the worker

    async def _work(self, items: Sequence[Item]) -> None:
        await self._settle_rest()
        frames: list[SyncFrame] = []
        for item in items:
            if isinstance(item, SyncFrame):
                frames.append(item)
                continue
            await self._take_frames(frames)
            frames = []
            if item.done.cancelled():
                continue
            # What other extensions did meanwhile comes first, or it would not be recorded.
            await self._record_direct()
            if isinstance(item, Edit):
                await self._take_edit(item)
            elif isinstance(item, Foreign):
                await self._take_foreign(item)
            elif isinstance(item, CatchUp):
                await self._take_catch_up(item)
            else:
                self._take_look(item)
        await self._take_frames(frames)

    async def _settle_rest(self) -> None:
        """Do what comes before anything is taken or shown.

        What others have done to the live document would be shown with the rest, and whoever was
        demoted or removed is not to be shown what comes next.
        """
        while self._direct or self._stale:
            await self._record_direct()
            await self._refresh_rights()

    async def _take_frames(self, frames: list[SyncFrame]) -> None:
        if not frames:
            return
        self._senders = {frame.connection for frame in frames}
        # Of those who had left by then nobody heard when their rights changed.
        self._stale |= self._senders - self.connections
        await parse_large(frames)
        self._stale |= self._rechecking.too_old()
        asked: set[int] = set()
        elsewhere: dict[int, UserId] = {}
        while True:
            await self._refresh_rights()
            self._state.begin()
            judged = self._judge(frames, elsewhere)
            if unasked := judged.brought - asked:
                asked |= unasked
                found = await self._written_elsewhere(unasked, judged.records)
                if found:
                    elsewhere |= found
                    self._state.rollback()
                    continue
            if not judged.entries:
                if not judged.records and not judged.refused:
                    self._state.commit()
                    break
                # Other servers find out what was refused as they find out what was written.
                judged.entries.append(Entry(EMPTY_UPDATE, Origin.SERVER))
            try:
                await self._recorder.append(self.seq, judged.entries, judged.learned)
            except LogMoved:
                self._state.rollback()
                await self._catch_up()
            else:
                self._state.commit()
                self._advance(len(judged.entries))
                break
        await self._settle_rest()
        self._senders = set()
        self._show(judged)

    async def _written_elsewhere(
        self, clients: Collection[int], records: Mapping[int, ClientRecord]
    ) -> dict[int, UserId]:
        """Return which ids that are new here are others' in a fork, or in its root.

        A page may go from one to the other with the Yjs document that it has, in which there is
        what others wrote: that becomes nobody else's here. Who shows themselves by an id has it.
        """
        found = await self._recorder.elsewhere(clients)
        claims = self.presence.claims()
        return {
            client: account
            for client, account in found.items()
            if records[client].user_id not in (account, claims.get(client))
        }

    def _judge(self, frames: Sequence[SyncFrame], elsewhere: Mapping[int, UserId]) -> Judged:
        """Gate frames, in order; what is accepted counts for those after it.

        Args:
            frames: What came in.
            elsewhere: Whose ids are that are new here, and were written under in other documents.
                Asked of what a page has from before only, not of what is typed just now.
        """
        judged = Judged()
        claims = self.presence.claims()
        of_pasts = {**claims, **elsewhere} if elsewhere else claims
        out: set[Connection] = set()
        for frame in frames:
            connection = frame.connection
            if connection.ended or connection in out:
                continue
            account = connection.principal.user_id
            standing = judged.standings.get(connection, connection.standing)
            kind, payload = frame.message.kind, frame.message.payload
            past = kind is protocol.SyncKind.STEP2
            known = of_pasts if past else claims
            if frame.parsed is None:
                verdict = judge(kind, payload, standing, self._state, known)
            else:
                verdict = judge_update(kind, frame.parsed, standing, self._state, known)
            judged.verdicts.append((frame, verdict))
            judged.standings[connection] = standing.after(kind, verdict)
            if isinstance(verdict, Accept):
                self._state.take(verdict, account)
                judged.entries.append(Entry(payload, Origin.CLIENT, account))
                for client in verdict.binds:
                    judged.records[client] = ClientRecord(client, account)
                if past:
                    judged.brought |= verdict.binds
            elif isinstance(verdict, Refuse):
                # Who tries again costs no second write, and no other server a second look.
                fresh = self._state.refused_deletions.get(account, IdRanges()).missing(
                    verdict.deletions
                )
                bars = [
                    client
                    for client, clock in verdict.bars.items()
                    if clock < self._state.barred.get(client, clock + 1)
                ]
                self._state.note_refusal(verdict, account)
                for client in bars:
                    judged.records[client] = ClientRecord(
                        client, self._state.owners.get(client), self._state.barred[client]
                    )
                if past:
                    judged.brought |= verdict.bars.keys()
                if fresh:
                    judged.refused.setdefault(account, IdRanges()).merge(fresh)
            elif isinstance(verdict, Reset | Malformed):
                out.add(connection)
        return judged

    def _show(self, judged: Judged) -> None:
        """Apply what is recorded, tell the senders, then show it to the others."""
        accepted = [frame for frame, verdict in judged.verdicts if isinstance(verdict, Accept)]
        change = self._apply([frame.message.payload for frame in accepted])
        for connection, standing in judged.standings.items():
            if standing is connection.standing:
                continue  # nothing came of what it sent, and nothing changed meanwhile
            # What changed while this was recorded is not undone.
            connection.standing = replace(
                standing, may_edit=connection.right.may_write, client=connection.standing.client
            )
        for frame, verdict in judged.verdicts:
            self._answer(frame, verdict)
        if change is not None:
            senders = {frame.connection for frame in accepted}
            # Who sent all of it has it; where there are several, each lacks the others' part.
            self._broadcast(change, senders if len(senders) == 1 else set())

    def _answer(self, frame: SyncFrame, verdict: Verdict) -> None:
        connection = frame.connection
        match verdict:
            case Answer():
                missing = self.doc.get_update(frame.message.payload)
                connection.send(Frame(protocol.sync_step2(missing)))
            case Accept() | Ignore():
                if frame.message.kind is protocol.SyncKind.STEP2:
                    # It brings whatever was missing when these came.
                    deferred, connection.deferred = connection.deferred, []
                    for number in deferred:
                        self._acknowledge(connection, number)
                self._acknowledge(connection, frame.number)
            case Defer(ask=ask):
                if len(connection.deferred) < MAX_DEFERRED:
                    connection.deferred.append(frame.number)
                if ask:
                    connection.ask_in_passing(Frame(protocol.sync_step1(self.doc.get_state())))
            case Refuse():
                metrics.refused(Transport.MESSAGE, verdict.reason.value)
                connection.send(Frame(protocol.raw(verdict.message())))
            case Reset(reason=reason):
                metrics.refused(Transport.MESSAGE, reason.value)
                self._reset(connection, reason)
            case Malformed():
                metrics.refused(Transport.MESSAGE, "malformed")
                connection.end(Ending.UNREADABLE)
            case DropSilently():
                pass

    def _acknowledge(self, connection: Connection, number: int) -> None:
        if connection.acknowledge:
            connection.send(Frame(protocol.saved(number)))

    def _reset(self, connection: Connection, reason: ResetReason) -> None:
        connection.send(Frame(protocol.raw({"type": "reset", "reason": reason.value})))
        connection.end(Ending.RESET)

    def _take_look(self, item: Look) -> None:
        try:
            with catch_panics():
                result = item.function(self.doc)
        except Exception as error:
            item.fail(error)
        else:
            item.succeed(result)

    async def _take_edit(self, item: Edit) -> None:
        client_id = self._server_client(item.origin, item.user_id)
        while not item.done.done():
            try:
                data, result = change_copy(self.doc.get_update(), client_id, item.change)
                if data is not None:
                    await self._record_own(data, item.origin, item.user_id, item.fence)
            except LogMoved:
                continue  # the document is another one now: make the change again
            except LogGone:
                raise
            except Exception as error:
                item.fail(error)
            else:
                item.succeed((self.seq, result))

    async def _take_foreign(self, item: Foreign) -> None:
        while not item.done.done():
            try:
                if item.owners is None:
                    await self._record_own(item.data, item.origin, item.user_id, item.fence)
                else:
                    await self._record_joined(item, item.owners)
            except LogMoved:
                continue
            except LogGone:
                raise
            except Exception as error:
                item.fail(error)
            else:
                item.succeed(self.seq)

    async def _record_joined(self, item: Foreign, owners: Mapping[int, UserId | None]) -> None:
        """Record what came from another document, if both agree on it.

        Raises:
            NotJoined: They don't.
            LogMoved: Others have recorded something else; the document now has it.
        """
        update = await parse(item.data)
        # What others hold already goes on to a fork, whoever is in it.
        claims = self._claims_of_writers() if item.origin is Origin.MERGE else {}
        verdict = judge_joined(update, owners, self._state, claims)
        if verdict is Joined.KNOWN:
            if item.fence is not None:
                await self._record_nothing(item.fence)
            return
        if verdict is not Joined.FITS:
            raise NotJoined(verdict)
        mine = {
            client: account
            for client in update.clients
            if (account := owners.get(client)) is not None
            and self._state.is_open_to(client, account)
        }
        await self._record_own(item.data, item.origin, item.user_id, item.fence, mine)

    def _claims_of_writers(self) -> dict[int, UserId]:
        writers = {one.principal.user_id for one in self.connections if one.right.may_write}
        return {
            client: account
            for client, account in self.presence.claims().items()
            if account in writers
        }

    async def _take_catch_up(self, item: CatchUp) -> None:
        if item.seq is None or self.seq < item.seq:
            await self._catch_up(certainly=False)
        item.succeed(None)

    async def _record_nothing(self, fence: Fence) -> None:
        """Do what ``fence`` does, in a transaction in which the document stays as it is.

        Raises:
            LogMoved: Others have recorded something; the document now has it.
        """
        try:
            await self._recorder.append(self.seq, [], fence=fence)
        except LogMoved:
            await self._catch_up()
            raise

    async def _record_own(
        self,
        data: bytes,
        origin: Origin,
        user_id: UserId | None,
        fence: Fence | None,
        owners: Mapping[int, UserId | None] | None = None,
    ) -> None:
        """Record an update of the server's own, then apply and show it.

        Args:
            data: The update.
            origin: What the log says of it.
            user_id: For whom it was made.
            fence: Checked in the transaction that records it.
            owners: Whose ids in it are that are nobody's yet; else they are the server's.

        Raises:
            LogMoved: Others have recorded something else; the document now has it.
        """
        update = await parse(data)
        owners = owners or {}
        learned = Known([ClientRecord(client, account) for client, account in owners.items()])
        self._state.begin()
        try:
            self._state.learn(owners)
            self._state.absorb(update, None)
            await self._recorder.append(
                self.seq, [Entry(data, origin, user_id)], learned, fence=fence
            )
        except LogMoved:
            self._state.rollback()
            if data in await self._catch_up():
                return  # it was recorded although the database seemed to have failed
            raise
        except BaseException:
            self._state.rollback()
            raise
        self._state.commit()
        self._advance(1)
        change = self._apply([data])
        if change is not None:
            await self._refresh_rights()
            self._broadcast(change)

    async def _record_direct(self) -> None:
        """Record what other extensions did to the live document, and show it."""
        while self._direct:
            direct, self._direct = self._direct, []
            data = merged([one.update for one in direct])
            update = await parse(data)
            while True:
                try:
                    await self._recorder.append(self.seq, [Entry(data, Origin.SERVER)])
                except LogMoved:
                    if data in await self._catch_up():
                        break
                else:
                    self._advance(1)
                    self._state.absorb(update, None)
                    break
            for one in direct:
                self._state.absorb_deletions(IdRanges.decode(one.delete_set))
            await self._refresh_rights()
            self._broadcast(data)

    async def _catch_up(self, *, certainly: bool = True) -> set[bytes]:
        """Take over what others have recorded in this document's log; return it.

        Args:
            certainly: Whether something is known to have been recorded, if only refusals.
        """
        later, known = await self._recorder.later(self.seq)
        if not later and not certainly:
            return set()
        change = self._apply([one.data for one in later])
        # Those that were compacted are fewer than their numbers say.
        self._advance(later[-1].seq - self.seq if later else 0)
        self._state = await asyncio.to_thread(log_state_of, self.doc.get_update(), known)
        if change is not None:
            await self._refresh_rights()
            self._broadcast(change)
        return {one.data for one in later}

    def _advance(self, count: int) -> None:
        if count:
            self.seq += count
            self._advanced.set()
            self._advanced = asyncio.Event()

    def _apply(self, updates: Sequence[bytes]) -> bytes | None:
        """Apply recorded updates; return what changed by it, as one update for the others."""
        if not updates:
            return None
        if self._changed_at is not None:
            # It is known that the file has to be written. To be told of each change, too, costs
            # more than to apply it.
            self._stop_listening()
        self._applied = None
        self._applying = True
        try:
            if len(updates) == 1:
                self.doc.apply_update(updates[0])
            else:
                with self.doc.transaction():
                    for data in updates:
                        self.doc.apply_update(data)
        finally:
            self._applying = False
        if self._applied is None:
            return None
        self._state.absorb_deletions(IdRanges.decode(self._applied.delete_set))
        return self._applied.update

    def _broadcast(self, data: bytes, but: Collection[Connection] = ()) -> None:
        frame = Frame(protocol.update(data))
        for connection in tuple(self.connections):
            if connection not in but:
                connection.send(frame)

    async def _refresh_rights(self) -> None:
        """Ask again what those may do whose rights may have changed, and act on it."""
        while self._stale:
            stale = [one for one in self._stale if one in self.connections or one in self._senders]
            self._stale.clear()
            if not stale:
                return
            principals = [connection.principal for connection in stale]
            # Without an answer nothing is taken from anybody, or shown.
            rights = await self._recorder.insist(
                partial(self._rights.rights_of, principals, self.path)
            )
            for connection, right in zip(stale, rights, strict=True):
                if right != connection.right:
                    self._set_right(connection, right)
                connection.checked_at = time.monotonic()

    def _set_right(self, connection: Connection, right: Right) -> None:
        connection.set_right(right)
        if not right.may_read:
            connection.end(Ending.REMOVED)
        elif right.may_write and connection.standing.dropped:
            # What was refused must not slip in now that it would be allowed.
            self._reset(connection, ResetReason.ROLE_CHANGED)
        else:
            role = {"type": "role", **connection.describe_right()}
            connection.send(Frame(protocol.raw(role)))
            self.presence.changed(connection)

    # ------------------------------------------------------------ the document

    def _observe(self, event: TransactionEvent) -> None:
        # The event is of use within this call only.
        # (Of its members pycrdt's stubs name the update alone.)
        change = Change(event.update, event.delete_set)  # type: ignore[attr-defined]
        if not self._content_subscriptions:
            self.edited_at = time.monotonic()
        if self._applying:
            self._applied = change
            return
        # Another extension has written to the document itself.
        self._direct.append(change)
        self._inbox.wake()

    @property
    def changed_at(self) -> float | None:
        """Since when the file lacks some of the content, by the monotonic clock.

        None while it has all of it.
        """
        return self._changed_at

    @changed_at.setter
    def changed_at(self, moment: float | None) -> None:
        self._changed_at = moment
        if moment is None:
            self._listen()

    def _listen(self) -> None:
        """Be told of changes to the content, as opposed to what else is in the document."""
        if self._content_subscriptions:
            return
        for part in self._content:
            observe = part.observe if isinstance(part, Text) else part.observe_deep
            self._content_subscriptions.append((part, observe(self._content_changed)))

    def _stop_listening(self) -> None:
        while self._content_subscriptions:
            part, subscription = self._content_subscriptions.pop()
            part.unobserve(subscription)

    def _content_changed(self, _event: object) -> None:
        self.edited_at = time.monotonic()
        if self._changed_at is None:
            self._changed_at = self.edited_at
            if self.on_change is not None:
                self.on_change()

    def touch(self, since: float | None = None) -> None:
        """Let the file be written soon although nobody has typed.

        Args:
            since: When it counts as changed, by the monotonic clock; now by default.
        """
        self._content_changed(None)
        if since is not None and self.changed_at is not None:
            self.changed_at = min(since, self.changed_at)

    def _server_client(self, origin: Origin, user_id: UserId | None) -> int:
        """Return the client id for changes of one origin, so that each is told from others."""
        found = self._server_clients.get((origin, user_id))
        if found is None:
            found = self._server_clients[(origin, user_id)] = new_client_id()
        return found


def _set_path(doc: Doc[Any], path: str) -> None:
    state = doc.get("state", type=Map)
    if state.get("path") != path:
        state["path"] = path
