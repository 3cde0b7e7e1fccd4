"""Whether a client's sync message may go into a document: the decision, and what it rests on.

Pure: no document, no database, no clock. The room asks for each message, in order, and does
what the verdict says; nothing else decides about updates.

Interface::

    log = LogState.of_document(doc.get_update(), owners, barred)   # when the room opens
    standing = Standing(account=user_id, may_edit=True)            # one for each connection

    verdict = judge(message.kind, message.payload, standing, log, claims)
    standing = standing.after(message.kind, verdict)
    match verdict:
        case Answer():        # a step 1: answer with step 2
        case Accept():        # log.take(verdict, account); record; apply;
                              # acknowledge; show
        case Ignore():        # nothing new in it; acknowledge
        case DropSilently():  # not recorded, not acknowledged, nobody is told
        case Defer():         # not recorded, not acknowledged; if verdict.ask, send a step 1 now
        case Refuse():        # log.note_refusal(verdict, account); persist verdict.bars, the
                              # account as owner of those ids, and verdict.deletions; send
                              # verdict.message()
        case Reset():         # send {"type": "reset"}, then end the connection
        case Malformed():     # end the connection

    log.absorb(parse_update(data), None)          # what the server itself wrote
    log.absorb_deletions(IdRanges.decode(event.delete_set))   # after each apply; see below
    log.begin() … log.commit() | log.rollback()   # where recording may fail

``claims`` says by which Yjs client ids other connections that are open now show themselves
(:meth:`~.awareness.Presence.claims`), so that nobody bars or takes an id that somebody is about
to write under.

Integrating an update deletes more than it says: of two values that were written to one key at
the same time one is deleted, and what is inserted into a deleted type is deleted at once. Only a
document knows, so the room passes on the delete set of each transaction
(``pycrdt.TransactionEvent.delete_set``). Without it a viewer's honest reply would look like an
edit.

The rules, each with what the contract says in our words:

1. *A viewer's update never changes the document.* It is an edit if it has a struct beyond what
   the log holds, or deletes what the log has not deleted. What has neither is ignored: a client
   answers step 1 with all deletions that it knows.
2. *What touches only the shared map "state" is dropped without notice*: JupyterLab writes its
   own document id there, unasked. Later structs of that connection hang on what was dropped, so
   it is reset when it is promoted (:attr:`Standing.dropped`).
3. *Any other edit of a viewer is refused*, the connection stays open, and its structs are barred
   from that clock on, for everybody: they shall not slip in later. An id that is somebody
   else's is not barred, or any viewer could silence any editor: under it nobody but its owner is
   accepted anyway (rule 6). Deletions have no clock of their own; those that were refused are
   kept for the account, and a later step 2 that brings them again is reset. (A later *update*
   that deletes the same text is a new act.)
4. *Who merely relays barred structs is reset, not barred*; so is whoever was refused and may
   edit by now.
5. *A client of an unknown history is reset*: where its state vector or its step 2 is ahead of
   the log for an id that its account doesn't own, among them ids of the server that the log has
   never seen, by which the copy of a lost or replaced log is known.
6. *A Yjs client id belongs to the account that first inserted under it.* A new struct under
   somebody else's id is refused. Known structs of others come along in every step 2, and
   deletions of others' text are everyday editing: both are fine.
7. *After a refusal nothing more is accepted from that client id until it is reset*: the ids that
   the refused connection writes under are barred too, as a dropped insert poisons what follows.
   A connection that shows itself by a barred id is reset whatever it brings.
8. *A dropped insert poisons what follows* (yrs integrates later structs all the same, and tells
   nobody): every new struct must directly follow what the log holds of its client, and its
   neighbours and its parent must be in the log or in the same update; so must what it deletes.
   Where something is missing from an update it may still be on its way, as when a person types
   while the connection is being made: the update is deferred, and the client is asked for all it
   has. What is missing from a step 2 is missing for good: reset.
9. *Both halves of a surrogate pair stay together.* Yjs and yrs differ in what becomes of a
   character that is cut in two, so browsers and server would show different texts: reset.
10. *A parent must be a shared type* (or deleted by now): yrs fails to apply anything else. *Both
   neighbours must lie in the same list, or under the same key of the same map*: no client writes
   anything else, and Yjs and yrs make different things of it.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from heapq import heappop, heappush
from itertools import chain
from typing import Any, Final, NamedTuple

from jupyter_collab_ai.ids import UserId
from jupyter_collab_ai.rooms.protocol import SyncKind
from jupyter_collab_ai.rooms.yupdate import (
    Id,
    IdRanges,
    Kind,
    MalformedUpdate,
    Struct,
    Update,
    decode_state_vector,
    parse_update,
)

#: The shared map in which clients and server keep what is not content.
STATE_MAP: Final = "state"
#: Ids that one update may newly claim: the tabs that one person had open while offline.
MAX_NEW_CLIENTS: Final = 64
#: Ids of one person that are kept as barred, each in the log. Beyond, nothing is noted: whoever
#: goes on is reset, and so has nothing left that could slip in later.
MAX_BARRED: Final = 1000

#: Yjs draws ids from 32 bits, pycrdt from 53, so these are practically nobody else's.
_SERVER_IDS: Final = range(2**53 - 2**32, 2**53)


def server_client_id(seed: bytes) -> int:
    """Return a Yjs client id for the server, the same for the same seed.

    Under an id of a content's hash, loading a file anew gives either the same history or one
    that is known to be another. :func:`is_server_client` knows all of them, so that no client
    can bring one that the log has never seen.
    """
    return _SERVER_IDS[int.from_bytes(hashlib.sha256(seed).digest()[:4], "big")]


def is_server_client(client: int) -> bool:
    """Tell whether a Yjs client id is kept for the server."""
    return client == 0 or client in _SERVER_IDS


# ---------------------------------------------------------------- what is known


class NotIntegrable(ValueError):
    """An update hangs on what the log doesn't hold."""


class LogState:
    """What the log holds, as far as the gate has to know.

    Kept up to date by :meth:`absorb`; always equal to what a document says that was built from
    the same updates (given :meth:`absorb_deletions`).
    """

    def __init__(self) -> None:
        """Know an empty log."""
        #: Of each client, the clock up to which it is known.
        self.state: dict[int, int] = {}
        self.deleted = IdRanges()
        #: Whose each Yjs client id is; None for the server's own.
        self.owners: dict[int, UserId | None] = {}
        #: Clocks from which on nothing is accepted.
        self.barred: dict[int, int] = {}
        #: How many of these are whose.
        self.barred_of: dict[UserId | None, int] = {}
        #: Deletions that were refused, by account.
        self.refused_deletions: dict[UserId, IdRanges] = {}
        self._state_map = IdRanges()
        self._types = IdRanges()
        self._low_halves = IdRanges()
        self._places = _Places()
        self._undo: list[Callable[[], None]] | None = None

    @classmethod
    def of_document(
        cls,
        data: bytes,
        owners: Mapping[int, UserId | None],
        barred: Mapping[int, int] | None = None,
        refused: Mapping[UserId, IdRanges] | None = None,
    ) -> LogState:
        """Know what a whole document holds; large ones take time (see ``parse_update``).

        Args:
            data: All of it, as one update (``doc.get_update()``).
            owners: Whose each client id is. One in the document that is not named counts as
                the server's, so that nobody can take it over.
            barred: The clocks from which on nothing is accepted.
            refused: Deletions that were refused, by account.

        Raises:
            MalformedUpdate: ``data`` is no update.
            NotIntegrable: ``data`` is not all of a document.
        """
        log = cls()
        log.owners.update(owners)
        log.barred.update(barred or {})
        log.barred_of.update(Counter(map(owners.get, log.barred)))
        log.refused_deletions.update(refused or {})
        log.absorb(parse_update(data), None)
        return log

    def clock(self, client: int) -> int:
        """Return up to which clock a client is known."""
        return self.state.get(client, 0)

    def take(self, accepted: Accept, account: UserId) -> None:
        """Take note of an update right after it was accepted, before anything else."""
        self._absorb(accepted.update, accepted.plan, account)

    def absorb(self, update: Update, account: UserId | None) -> None:
        """Take note of an update that goes into the log.

        Args:
            update: The update.
            account: Whose it is, to whom ids that are nobody's yet go; None for the server.

        Raises:
            NotIntegrable: It hangs on what the log doesn't hold; nothing was noted.
        """
        plan = _plan(update, self)
        if not plan.complete:
            raise NotIntegrable("The update hangs on what the log does not hold.")
        self._absorb(update, plan, account)

    def _absorb(self, update: Update, plan: _Plan, account: UserId | None) -> None:
        deleted = update.deletions
        if plan.gone:
            deleted = IdRanges(
                (struct.client, max(struct.clock, self.clock(struct.client)), struct.end)
                for struct in plan.fresh
                if struct.kind in (Kind.GC, Kind.DELETED)
            )
            deleted.merge(update.deletions)
        state_map = IdRanges()
        for struct in plan.fresh:
            if _parent_is_among(struct, self._state_map, state_map):
                state_map.add(struct.client, struct.clock, struct.end)
        self._extend(self._state_map, state_map)
        self._extend(self._types, plan.types)
        self._extend(self._low_halves, plan.low_halves)
        undo = self._places.extend(plan.places)
        if self._undo is not None:
            self._undo.append(undo)
        self._extend(self.deleted, deleted)
        for client, clock in plan.clocks.items():
            self._set(self.state, client, clock)
            if client not in self.owners:
                self._set(self.owners, client, account)

    def absorb_deletions(self, deletions: IdRanges) -> None:
        """Take note of all that a transaction has deleted in the document."""
        self._extend(self.deleted, deletions)

    def is_open_to(self, client: int, account: UserId | None) -> bool:
        """Tell whether an id can become an account's that has written under it elsewhere.

        Nobody has it, or somebody else tried to write under it here, was refused, and never wrote
        anything: whoever may only look could keep any id from those who use it in a fork.
        """
        if client not in self.owners:
            return True
        tried = client in self.barred and not self.clock(client)
        return tried and self.owners[client] != account

    def learn(self, owners: Mapping[int, UserId | None]) -> None:
        """Take note of whose ids are that are open to them; to be called before they come."""
        for client, account in owners.items():
            if not self.is_open_to(client, account):
                continue
            if client in self.barred:
                loser = self.owners.get(client)
                self._set(self.barred_of, loser, self.barred_of.get(loser, 0) - 1)
                self._drop(self.barred, client)
            self._set(self.owners, client, account)

    def note_refusal(self, refusal: Refuse, account: UserId) -> None:
        """Take note of what was refused, so that it does not slip in later."""
        for client, clock in refusal.bars.items():
            if client not in self.barred:
                self._set(self.barred_of, account, self.barred_of.get(account, 0) + 1)
            self._set(self.barred, client, min(clock, self.barred.get(client, clock)))
            # Nobody else wrote under it, so whoever brings it after this relays.
            if client not in self.owners:
                self._set(self.owners, client, account)
        if refusal.deletions:
            self._extend(self.refused_deletions.setdefault(account, IdRanges()), refusal.deletions)

    def begin(self) -> None:
        """From now on remember how to take back what is noted."""
        self._undo = []

    def commit(self) -> None:
        """Keep what was noted since :meth:`begin`."""
        self._undo = None

    def rollback(self) -> None:
        """Take back what was noted since :meth:`begin`."""
        for undo in reversed(self._undo or ()):
            undo()
        self._undo = None

    def _extend(self, ranges: IdRanges, more: IdRanges) -> None:
        if not more:
            return
        if self._undo is not None:
            added = ranges.missing(more)
            self._undo.append(lambda: ranges.remove(added))
        ranges.merge(more)

    def _set(self, table: dict[Any, Any], key: object, value: object) -> None:
        if self._undo is not None:
            if key in table:
                self._undo.append(lambda old=table[key]: table.__setitem__(key, old))  # type: ignore[misc]
            else:
                self._undo.append(lambda: table.__delitem__(key))
        table[key] = value

    def _drop(self, table: dict[Any, Any], key: object) -> None:
        old = table.pop(key)
        if self._undo is not None:
            self._undo.append(lambda: table.__setitem__(key, old))


@dataclass(frozen=True, slots=True)
class Standing:
    """One connection, as far as its messages are judged by it."""

    account: UserId
    #: Whether its role allows edits now.
    may_edit: bool
    #: The Yjs client id under which it shows itself; None as long as it has not.
    client: int | None = None
    #: Something of it was refused.
    refused: bool = False
    #: Something of it was refused or dropped, so its document differs from ours, and what
    #: it writes may hang on that. It has to be reset where it is to be promoted.
    dropped: bool = False
    #: Its step 2 has come since it was last asked.
    synced: bool = False
    #: An update of it was deferred; until its step 2 has come, so is all that follows.
    deferred: bool = False
    #: Entries of the map "state" that were dropped.
    ghosts: IdRanges = field(default_factory=IdRanges)

    def after(self, kind: SyncKind, verdict: Verdict) -> Standing:
        """Return how the connection stands after a verdict about a message of this kind."""
        match verdict:
            case Refuse():
                return replace(self, refused=True, dropped=True)
            case DropSilently(ids=ids):
                ghosts = self.ghosts.copy()
                ghosts.merge(ids)
                return replace(self, dropped=True, ghosts=ghosts)
            case Defer():
                return replace(self, synced=False, deferred=True)
            case Accept() | Ignore() if kind is SyncKind.STEP2:
                return replace(self, synced=True, deferred=False)
            case _:
                return self


# ---------------------------------------------------------------- verdicts


class RefusalReason(Enum):
    """Why an edit is refused, in the words of the contract."""

    ROLE_REQUIRED = "role_required"
    NOT_YOURS = "not_yours"


class ResetReason(Enum):
    """Why a client must start again from an empty document."""

    #: It has what the log has never had.
    UNKNOWN_HISTORY = "unknown_history"
    #: It brings what was refused, from its own person or another.
    BARRED = "barred"
    #: Its person may edit by now, but its document holds what was dropped.
    ROLE_CHANGED = "role_changed"
    #: What it sent hangs on what it doesn't send.
    GAP = "gap"
    #: It cut a character in two.
    SPLIT_CHARACTER = "split_character"


@dataclass(frozen=True, slots=True)
class Answer:
    """A step 1: tell the client what it lacks."""


@dataclass(frozen=True, slots=True)
class Accept:
    """Record it, apply it, acknowledge it, show it to the others."""

    update: Update
    #: Ids that become the account's.
    binds: frozenset[int]
    #: What is new, of each client: the first clock and the end clock.
    inserted: Mapping[int, tuple[int, int]]
    #: What it deletes that was not deleted, attributed to the connection.
    deleted: IdRanges
    #: How it goes into the log as that was when it was judged.
    plan: _Plan = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Ignore:
    """Everything in it is in the log: there is nothing to record."""


@dataclass(frozen=True, slots=True)
class DropSilently:
    """A viewer's write to the map "state": not recorded, and nobody is told."""

    ids: IdRanges


@dataclass(frozen=True, slots=True)
class Defer:
    """Something before it is missing; the client's next step 2 will bring it all.

    It is not recorded, so neither it nor a later message may be acknowledged before that.
    """

    #: Whether the client has to be asked by a step 1; otherwise it has been.
    ask: bool


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nothing of it is taken; the sender is told."""

    reason: RefusalReason
    #: What is named to the sender; None where it only deletes, under an id that is not known.
    client: int | None
    from_clock: int | None
    #: Clients from whom nothing is accepted any more from a clock on; to be persisted.
    bars: Mapping[int, int]
    #: The deletions in it that the log lacks; to be persisted.
    deletions: IdRanges

    def message(self) -> dict[str, object]:
        """Return what the sender is told, as the content of a raw frame."""
        return {
            "type": "refused",
            "reason": self.reason.value,
            "client": self.client,
            "from_clock": self.from_clock,
        }


@dataclass(frozen=True, slots=True)
class Reset:
    """The client must start again from an empty document."""

    reason: ResetReason


@dataclass(frozen=True, slots=True)
class Malformed:
    """No Yjs client sends this."""

    detail: str


Verdict = Answer | Accept | Ignore | DropSilently | Defer | Refuse | Reset | Malformed

#: Of each Yjs client id under which an open connection shows itself, the account behind it.
Claims = Mapping[int, UserId]


# ---------------------------------------------------------------- the decision


def judge(
    kind: SyncKind,
    payload: bytes,
    standing: Standing,
    log: LogState,
    claims: Claims | None = None,
) -> Verdict:
    """Decide about one sync message.

    Raises nothing; what can't be read is :class:`Malformed`. For payloads of more than about
    100 kB, call ``parse_update`` in a worker thread and :func:`judge_update` here.
    """
    try:
        if kind is SyncKind.STEP1:
            return judge_state_vector(decode_state_vector(payload), standing, log, claims)
        return judge_update(kind, parse_update(payload), standing, log, claims)
    except MalformedUpdate as error:
        return Malformed(str(error))


def judge_state_vector(
    vector: Mapping[int, int],
    standing: Standing,
    log: LogState,
    claims: Claims | None = None,
) -> Answer | Reset:
    """Decide about a step 1: whether the client's past is one that the log knows."""
    case = _Case(standing, log, claims or {})
    ahead = {client: clock for client, clock in vector.items() if clock > log.clock(client)}
    if any(map(case.is_strange, ahead)):
        return Reset(ResetReason.UNKNOWN_HISTORY)
    if standing.may_edit and any(
        clock > log.barred.get(client, clock) for client, clock in ahead.items()
    ):
        return Reset(ResetReason.BARRED)
    return Answer()


def judge_update(
    kind: SyncKind,
    update: Update,
    standing: Standing,
    log: LogState,
    claims: Claims | None = None,
) -> Verdict:
    """Decide about an update that was parsed already: a step 2, or one as it happens."""
    case = _Case(standing, log, claims or {})
    fresh = case.fresh(update)
    lacking = log.deleted.missing(update.deletions)
    if standing.may_edit:
        return case.judge_editor(kind, update, fresh, lacking)
    return case.judge_viewer(kind, update, fresh, lacking)


class Joined(Enum):
    """Whether what was recorded in another document may be recorded here as well."""

    #: Nothing in it is new here.
    KNOWN = "known"
    FITS = "fits"
    #: An id under which something was written there is another account's here.
    OTHERS = "others"
    #: Something of it is what was refused here.
    BARRED = "barred"
    #: It hangs on what is not here, or lies where it can't.
    MISFIT = "misfit"


def judge_joined(
    update: Update,
    owners: Mapping[int, UserId | None],
    log: LogState,
    claims: Claims | None = None,
) -> Joined:
    """Decide about an update of a document that was once a copy of this one, or is one.

    Whoever wrote in either passed its gate; what is left to ask is whether both agree on whose
    the ids are, and on what was refused. (Under an id that one account uses on both sides for
    different things, which no Yjs client does, what is here stays.)

    Args:
        update: The update.
        owners: Whose the ids are that have written in the other document.
        log: What is known here.
        claims: By which ids those show themselves who may write here, and are about to.
    """
    claims = claims or {}
    case = _Case(Standing(UserId(""), may_edit=True), log, {})
    fresh = case.fresh(update)
    lacking = log.deleted.missing(update.deletions)
    # Also where nothing of it is new: under the same numbers may be something else here.
    if any(
        not log.is_open_to(client, account) and log.owners[client] != account
        for client, account in owners.items()
    ):
        return Joined.OTHERS
    if any(
        client not in log.owners and claims.get(client, owners.get(client)) != owners.get(client)
        for client in fresh
    ):
        return Joined.OTHERS
    if not fresh and not lacking:
        return Joined.KNOWN
    if any(
        case._reaches_bar(client, fresh) and not log.is_open_to(client, owners.get(client))
        for client in fresh
    ):
        return Joined.BARRED
    plan = _plan(update, log)
    if (
        not plan.complete
        or plan.misplaced
        or any(end > plan.clock(client, log) for client, _, end in lacking)
        or _splits_character(plan, lacking, log)
    ):
        return Joined.MISFIT
    return Joined.FITS


#: Of each client, the first new clock and the end clock of what is beyond the log.
_Fresh = dict[int, tuple[int, int]]


class _Case:
    """A message of one connection, before the gate."""

    def __init__(self, standing: Standing, log: LogState, claims: Claims) -> None:
        self.standing = standing
        self.log = log
        self.claims = claims

    def fresh(self, update: Update) -> _Fresh:
        """Return what of an update lies beyond the log."""
        fresh: _Fresh = {}
        for client, structs in update.clients.items():
            known = self.log.clock(client)
            new = [it for it in structs if it.end > known and it.kind is not Kind.SKIP]
            if new:
                fresh[client] = (max(known, new[0].clock), new[-1].end)
        return fresh

    def is_strange(self, client: int) -> bool:
        """Tell whether an id is the server's or somebody else's."""
        log, account = self.log, self.standing.account
        if client in log.owners:
            return log.owners[client] != account
        if is_server_client(client):
            return True
        return self.claims.get(client, account) != account

    def judge_viewer(
        self, kind: SyncKind, update: Update, fresh: _Fresh, lacking: IdRanges
    ) -> Verdict:
        log = self.log
        if not fresh and not lacking:
            return Ignore()
        ids = self._only_state(update, lacking)
        if ids is not None:
            return DropSilently(ids)
        strange = {client for client in fresh if self.is_strange(client)}
        relayed = self._relayed(fresh, strange)
        own = {
            client: first
            for client, (first, _) in fresh.items()
            if client not in strange and client not in relayed
        }
        if relayed and not own:
            return Reset(ResetReason.BARRED)
        if strange and kind is SyncKind.STEP2:
            return Reset(ResetReason.UNKNOWN_HISTORY)
        if not fresh:
            own = self._own_next()
        bars = {client: min(clock, log.barred.get(client, clock)) for client, clock in own.items()}
        named = bars or {client: first for client, (first, _) in fresh.items()}
        return self._refuse(RefusalReason.ROLE_REQUIRED, named, bars, lacking)

    def judge_editor(
        self, kind: SyncKind, update: Update, fresh: _Fresh, lacking: IdRanges
    ) -> Verdict:
        log, standing = self.log, self.standing
        if kind is SyncKind.UPDATE and standing.deferred:
            return Defer(ask=False)
        if not fresh and not lacking:
            return Ignore()
        if standing.refused:
            return Reset(ResetReason.BARRED)
        if standing.dropped:
            return Reset(ResetReason.ROLE_CHANGED)
        if standing.client in log.barred and not self.is_strange(standing.client):
            # Also where it only deletes: what was refused before may be among that.
            return Reset(ResetReason.BARRED)
        strange = {client for client in fresh if self.is_strange(client)}
        if any(self._reaches_bar(client, fresh) for client in fresh):
            return Reset(ResetReason.BARRED)
        if strange:
            return self._judge_strange(kind, fresh, strange, lacking)
        refused = log.refused_deletions.get(standing.account)
        if kind is SyncKind.STEP2 and refused is not None and refused.overlaps(lacking):
            return Reset(ResetReason.BARRED)
        binds = frozenset(client for client in fresh if client not in log.owners)
        if len(binds) > MAX_NEW_CLIENTS:
            return Reset(ResetReason.UNKNOWN_HISTORY)
        plan = _plan(update, log)
        if not plan.complete or any(end > plan.clock(client, log) for client, _, end in lacking):
            if kind is SyncKind.STEP2:
                return Reset(ResetReason.GAP)
            return Defer(ask=standing.synced)
        if plan.misplaced:
            return Malformed("A struct lies where none can be.")
        if _splits_character(plan, lacking, log):
            return Reset(ResetReason.SPLIT_CHARACTER)
        return Accept(update, binds, fresh, lacking, plan)

    def _judge_strange(
        self, kind: SyncKind, fresh: _Fresh, strange: set[int], lacking: IdRanges
    ) -> Verdict:
        log = self.log
        # A struct that comes alone is an attempt to write; a whole state is a past.
        if kind is SyncKind.STEP2 or any(
            is_server_client(client) and client not in log.owners for client in strange
        ):
            return Reset(ResetReason.UNKNOWN_HISTORY)
        bars = {client: first for client, (first, _) in fresh.items() if client not in strange}
        bars = {**self._own_next(), **bars}
        named = {client: first for client, (first, _) in fresh.items() if client in strange}
        return self._refuse(RefusalReason.NOT_YOURS, named, bars, lacking)

    def _refuse(
        self,
        reason: RefusalReason,
        named: Mapping[int, int],
        bars: Mapping[int, int],
        lacking: IdRanges,
    ) -> Refuse | Reset:
        """Refuse, naming the connection's own id where it is among those to be named."""
        more = sum(client not in self.log.barred for client in bars)
        if more and self.log.barred_of.get(self.standing.account, 0) + more > MAX_BARRED:
            return Reset(ResetReason.BARRED)
        client: int | None = self.standing.client
        if client not in named:
            client = min(named, default=None)
        known = IdRanges(
            (client, start, min(end, self.log.clock(client))) for client, start, end in lacking
        )
        from_clock = None if client is None else named[client]
        return Refuse(reason, client, from_clock, bars, known)

    def _own_next(self) -> dict[int, int]:
        """Return the connection's own id, where it is known and nobody else's, and its clock."""
        client = self.standing.client
        if client is None or self.is_strange(client):
            return {}
        return {client: self.log.clock(client)}

    def _reaches_bar(self, client: int, fresh: _Fresh) -> bool:
        bar = self.log.barred.get(client)
        return bar is not None and fresh[client][1] > bar

    def _relayed(self, fresh: _Fresh, strange: set[int]) -> set[int]:
        """Return the clients whose barred structs this connection got from elsewhere."""
        return {
            client
            for client in fresh
            if self._reaches_bar(client, fresh)
            and (client in strange or self.standing.client not in (None, client))
        }

    def _only_state(self, update: Update, lacking: IdRanges) -> IdRanges | None:
        """Return what of an update is new, if all of that lies in the shared map "state"."""
        log = self.log
        new = [
            struct
            for struct in update.structs()
            if struct.kind is not Kind.SKIP and struct.end > log.clock(struct.client)
        ]
        known = log._state_map.copy()
        known.merge(self.standing.ghosts)
        found = IdRanges()
        # A struct may come before the one from which it inherits its parent, if that is of
        # another client.
        for _ in range(2):
            left = []
            for struct in new:
                if _parent_is_among(struct, known, found):
                    found.add(struct.client, struct.clock, struct.end)
                else:
                    left.append(struct)
            new = left
        known.merge(found)
        if new or known.missing(lacking):
            return None
        return found


def _parent_is_among(struct: Struct, *sets: IdRanges) -> bool:
    """Tell whether a struct lies in the map "state", or in something that does."""
    if struct.parent == STATE_MAP:
        return True
    # Without a parent of its own it has that of its neighbour.
    by = struct.parent if struct.parent is not None else struct.origin or struct.right_origin
    return isinstance(by, Id) and any(ids.has(by) for ids in sets)


# ---------------------------------------------------------------- what fits


class _Place(NamedTuple):
    """Where an element lies: in which type, and under which key if that is a map."""

    parent: str | Id
    key: str | None


class _Places:
    """Where every element lies; None for what only its length is left of.

    A client writes in one place for a while, so few runs hold many elements.
    """

    __slots__ = ("_clients",)

    def __init__(self) -> None:
        #: Of each client, the clocks at which a run begins, ascending, and its place.
        self._clients: dict[int, tuple[list[int], list[_Place | None]]] = {}

    def add(self, client: int, start: int, place: _Place | None) -> None:
        """Note where elements lie from a clock on; later than all that was noted before."""
        starts, places = self._clients.setdefault(client, ([], []))
        if not places or places[-1] != place:
            starts.append(start)
            places.append(place)

    def get(self, id_: Id) -> _Place | _Unknown | None:
        """Return where an element lies, if this knows of it."""
        starts, places = self._clients.get(id_.client, ((), ()))
        index = bisect_right(starts, id_.clock) - 1
        return _UNKNOWN if index < 0 else places[index]

    def extend(self, more: _Places) -> Callable[[], None]:
        """Note what comes after; return how to take that back."""
        lengths = {client: len(self._clients.get(client, ((), ()))[0]) for client in more._clients}
        for client, (starts, places) in more._clients.items():
            for start, place in zip(starts, places, strict=True):
                self.add(client, start, place)

        def undo() -> None:
            for client, length in lengths.items():
                for runs in self._clients[client]:
                    del runs[length:]

        return undo


class _Unknown(Enum):
    """Stands for the place of what is not known."""

    UNKNOWN = 0


_UNKNOWN: Final = _Unknown.UNKNOWN


@dataclass(slots=True)
class _Plan:
    """In which order the new structs of an update can be integrated."""

    fresh: list[Struct] = field(default_factory=list)
    clocks: dict[int, int] = field(default_factory=dict)
    complete: bool = True
    #: Something lies in what is no shared type, or in two places.
    misplaced: bool = False
    places: _Places = field(default_factory=_Places)
    #: Among the new structs: shared types, and second halves of surrogate pairs.
    types: IdRanges = field(default_factory=IdRanges)
    low_halves: IdRanges = field(default_factory=IdRanges)
    gone: IdRanges = field(default_factory=IdRanges)

    def clock(self, client: int, log: LogState) -> int:
        """Return up to which clock a client is known when all is integrated."""
        return self.clocks.get(client) or log.clock(client)

    def add(self, struct: Struct, log: LogState) -> None:
        """Integrate one struct, of which all neighbours are there."""
        known = self.clock(struct.client, log)
        self.fresh.append(struct)
        self.clocks[struct.client] = struct.end
        parent = struct.parent
        if isinstance(parent, Id) and not any(
            ids.has(parent) for ids in (log._types, self.types, log.deleted, self.gone)
        ):
            self.misplaced = True
        self.places.add(struct.client, max(struct.clock, known), self._place(struct, log))
        if struct.kind is Kind.TYPE:
            self.types.add(struct.client, struct.clock, struct.end)
        elif struct.kind in (Kind.GC, Kind.DELETED):
            self.gone.add(struct.client, struct.clock, struct.end)
        for clock in struct.low_halves:
            self.low_halves.add(struct.client, clock, clock + 1)

    def _place(self, struct: Struct, log: LogState) -> _Place | None:
        """Return where a struct comes to lie."""
        if struct.kind is Kind.GC:
            return None
        parent = struct.parent
        if isinstance(parent, Id) and not (log._types.has(parent) or self.types.has(parent)):
            return None  # deleted before the log was read, and all that was in it collected
        if parent is not None:
            return _Place(parent, struct.parent_sub)
        found = [
            self._place_of(id_, log)
            for id_ in (struct.origin, struct.right_origin)
            if id_ is not None
        ]
        if found[0] != found[-1]:
            self.misplaced = True
        return found[0]

    def _place_of(self, id_: Id, log: LogState) -> _Place | None:
        place = self.places.get(id_)
        if place is _UNKNOWN:
            place = log._places.get(id_)
        return None if place is _UNKNOWN else place


def _plan(update: Update, log: LogState) -> _Plan:
    """Find an order in which every new struct comes after all that it hangs on."""
    plan = _Plan()
    if len(update.clients) == 1:
        # What is typed comes as one struct that goes on where its client was: there is nothing
        # to put into an order.
        ((client, structs),) = update.clients.items()
        first = structs[0]
        if (
            len(structs) == 1
            and first.kind is not Kind.SKIP
            and first.clock == log.clock(client)
            and _missing(first, plan, log) is None
        ):
            plan.add(first, log)
            return plan
    position = dict.fromkeys(update.clients, 0)
    #: Of each client, who waits for which clock of it.
    waiting: dict[int, list[tuple[int, int]]] = {}
    ready = list(update.clients)
    while ready:
        client = ready.pop()
        structs = update.clients[client]
        index = position[client]
        clock = plan.clock(client, log)
        while index < len(structs):
            struct = structs[index]
            if struct.end <= clock or struct.kind is Kind.SKIP:
                index += 1
                continue
            if struct.clock > clock:
                break
            missing = _missing(struct, plan, log)
            if missing is not None:
                heappush(waiting.setdefault(missing.client, []), (missing.clock, client))
                break
            plan.add(struct, log)
            clock = struct.end
            index += 1
        position[client] = index
        waiters = waiting.get(client)
        while waiters and waiters[0][0] < clock:
            ready.append(heappop(waiters)[1])
    plan.complete = all(
        position[client] == len(structs) for client, structs in update.clients.items()
    )
    return plan


def _missing(struct: Struct, plan: _Plan, log: LogState) -> Id | None:
    """Return a neighbour or parent of a struct that is not there yet."""
    for id_ in (struct.origin, struct.right_origin, struct.parent):
        if not isinstance(id_, Id):
            continue
        known = struct.clock if id_.client == struct.client else plan.clock(id_.client, log)
        if id_.clock >= known:
            return id_
    return None


def _splits_character(plan: _Plan, lacking: IdRanges, log: LogState) -> bool:
    """Tell whether an update makes a cut between the halves of a surrogate pair."""
    if not log._low_halves and not plan.low_halves:
        return False
    cuts: chain[Id] = chain(
        (
            Id(struct.client, log.clock(struct.client))
            for struct in plan.fresh
            if struct.clock < log.clock(struct.client)
        ),
        (
            Id(struct.origin.client, struct.origin.clock + 1)
            for struct in plan.fresh
            if struct.origin is not None
        ),
        (struct.right_origin for struct in plan.fresh if struct.right_origin is not None),
        (Id(client, clock) for client, start, end in lacking for clock in (start, end)),
    )
    return any(log._low_halves.has(cut) or plan.low_halves.has(cut) for cut in cuts)
