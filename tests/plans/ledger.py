"""What was typed by whom, what became of it, and so what has to be in a document at rest.

Pure. Each followed character is unique when it is first typed; moves, pastes and undo may bring
it again. An edit is acknowledged, refused, or uncertain (it was sent, and the connection or the
server ended before anybody said what became of it).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tests.plans.generate import is_followed

#: Who has written what a document holds at first.
THE_FILE = "the file"

#: Where text is: in which cell; "" for a text document.
Parts = list[tuple[str, str]]


class Fate(Enum):
    """What became of an edit."""

    PENDING = "pending"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"


@dataclass
class Edit:
    """One transaction, of a client or of the disk."""

    who: str
    inserted: Parts = field(default_factory=list)
    deleted: Parts = field(default_factory=list)
    #: Cells that it made, and those of which it took away all there was.
    added: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    fate: Fate = Fate.PENDING
    #: Which frame of the current connection brings it; None as long as none has.
    frame: int | None = None
    #: An earlier connection brought it, and ended before it was acknowledged.
    sent_before: bool = False
    #: As which role, and how often that had changed by then; see :class:`Roles`.
    role: str | None = None
    flips: int = 0

    def undone(self) -> Edit:
        """Return what taking it back does at the most."""
        return Edit(
            self.who,
            inserted=list(self.deleted),
            deleted=list(self.inserted),
            added=list(self.gone),
            gone=list(self.added),
        )


class Roles:
    """Who may do what; None while it changes, and for those who were removed."""

    def __init__(self) -> None:
        self._roles: dict[tuple[int, str], str | None] = {}
        self._flips: Counter[tuple[int, str]] = Counter()

    def set(self, person: int, document: str, role: str | None) -> None:
        """Note a role; None while nobody can tell."""
        self._roles[person, document] = role
        self._flips[person, document] += 1

    def get(self, person: int, document: str) -> tuple[str | None, int]:
        """Return a role, and how often it has changed."""
        return self._roles.get((person, document)), self._flips[person, document]


class Account:
    """The edits of one client, in the copy of the document that it has now."""

    def __init__(self, ledger: Ledger, name: str, person: int, document: str) -> None:
        self.ledger = ledger
        self.name = name
        self.person = person
        self.document = document
        self.pending: list[Edit] = []
        #: Something was refused, so nothing more of this copy is accepted.
        self.refused = False
        self._stack: list[Edit] = []
        self._flips_at_start = self._flips()

    def _flips(self) -> int:
        return self.ledger.roles.get(self.person, self.document)[1]

    @property
    def always_editor(self) -> bool:
        """Whether nothing but an editor's right was ever known for this copy."""
        role, flips = self.ledger.roles.get(self.person, self.document)
        return role in ("owner", "editor") and flips == self._flips_at_start

    def typed(self, done: dict[str, Any], frame: int | None, *, changed: bool = True) -> None:
        """Note an edit.

        Args:
            done: What it did.
            frame: The frame that carried it; None while not connected.
            changed: Whether there was an update; taking back what is gone already makes none.
        """
        if "popped" in done:
            edit = Edit(self.name)
            for _ in range(done["popped"]):
                undone = self._stack.pop().undone()
                edit.inserted += undone.inserted
                edit.deleted += undone.deleted
                edit.added += undone.added
                edit.gone += undone.gone
        else:
            edit = Edit(
                self.name,
                [(container, text) for container, text in done["inserted"]],
                [(container, text) for container, text in done["deleted"]],
                list(done["added"]),
                list(done["gone"]),
            )
            self._stack.append(edit)
        if not changed:
            return
        edit.frame = frame
        edit.role, edit.flips = self.ledger.roles.get(self.person, self.document)
        self.ledger.edits[self.document].append(edit)
        if self.refused:
            edit.fate = Fate.REFUSED
        else:
            self.pending.append(edit)

    def connection(self) -> None:
        """Begin to count frames anew; what the last connection carried may have arrived."""
        for edit in self.pending:
            edit.sent_before = edit.sent_before or edit.frame is not None
            edit.frame = None

    def step2(self, frame: int) -> None:
        """All that was not sent goes with this frame."""
        for edit in self.pending:
            if edit.frame is None:
                edit.frame = frame

    def saved(self, seq: int) -> None:
        """The server has acknowledged up to a frame."""
        role, flips = self.ledger.roles.get(self.person, self.document)
        for edit in self.pending:
            if edit.frame is None or edit.frame > seq:
                continue
            edit.fate = Fate.ACKNOWLEDGED
            if edit.inserted and edit.role == role == "viewer" and edit.flips == flips:
                self.ledger.fault(f"{self.name}: what a viewer typed was acknowledged: {edit}")
        self.pending = [edit for edit in self.pending if edit.fate is Fate.PENDING]

    def was_refused(self, notice: dict[str, Any]) -> None:
        """The server has refused something; nothing that is pending comes in any more."""
        if self.always_editor or notice.get("reason") != "role_required":
            self.ledger.fault(f"{self.name}: an editor was refused: {notice}")
        self.refused = True
        self._end(Fate.REFUSED)

    def was_reset(self, notice: dict[str, Any]) -> None:
        """The server wants the client to start afresh: it takes nothing of it any more."""
        if self.always_editor:
            self.ledger.fault(f"{self.name}: an editor was reset: {notice}")
        self.refused = True
        self._end(Fate.REFUSED)

    def fresh(self) -> None:
        """The client has a new, empty copy."""
        self._end(Fate.REFUSED, sent=Fate.UNCERTAIN)
        self.refused = False
        self._stack.clear()
        self._flips_at_start = self._flips()

    def _end(self, fate: Fate, sent: Fate | None = None) -> None:
        for edit in self.pending:
            edit.fate = fate if edit.frame is None or sent is None else sent
            if edit.sent_before:
                edit.fate = Fate.UNCERTAIN
        self.pending = []


class Ledger:
    """Everything that was done to the documents of one plan."""

    def __init__(self) -> None:
        self.roles = Roles()
        self.edits: dict[str, list[Edit]] = defaultdict(list)
        self.faults: list[str] = []

    def fault(self, sentence: str) -> None:
        """Note something that must not happen."""
        self.faults.append(sentence)

    def by_disk(self, document: str, edit: Edit, *, certain: bool = False) -> None:
        """Note a change on disk; it may be left out where people changed the same place."""
        edit.fate = Fate.ACKNOWLEDGED if certain else Fate.UNCERTAIN
        self.edits[document].append(edit)

    def check(self, document: str, parts: Iterable[tuple[str, str]]) -> list[str]:
        """Compare what a document holds with what was done; return what is wrong.

        Args:
            document: Which one.
            parts: Its texts: cell by cell, or the only one.
        """
        found = Counter(
            character for _, text in parts for character in text if is_followed(character)
        )
        bounds = self._bounds(document)
        wrong = [
            f"{document}: {character!r} (U+{ord(character):X}) is there {count} times"
            f" instead of {_words(bounds.get(character, (0, 0)))}:"
            f" {self._story(document, character)}"
            for character, count in found.items()
            if not _within(count, bounds.get(character, (0, 0)))
        ]
        wrong += [
            f"{document}: {character!r} (U+{ord(character):X}) is lost, of {_words(bound)}:"
            f" {self._story(document, character)}"
            for character, bound in bounds.items()
            if character not in found and bound[0] > 0
        ]
        return wrong

    def _bounds(self, document: str) -> dict[str, tuple[int, int]]:
        least: Counter[str] = Counter()
        most: Counter[str] = Counter()
        may_go: set[str] = set()
        must_go: set[str] = set()
        gone: set[str] = set()
        homes: dict[str, set[str]] = defaultdict(set)
        # The server gives a new id to a cell that has another's: then it may be any that went.
        named = {"", *self._first_cells(document)}
        for edit in self.edits[document]:
            named.update(edit.added)
        for edit in self.edits[document]:
            if edit.fate is Fate.REFUSED:
                continue
            sure = edit.fate is Fate.ACKNOWLEDGED
            gone.update(edit.gone)
            for container, text in edit.inserted:
                for character in filter(is_followed, text):
                    most[character] += 1
                    least[character] += sure
                    homes[character].add(container)
            for _, text in edit.deleted:
                may_go.update(text)
                if sure:
                    must_go.update(text)
        bounds = {}
        for character, count in most.items():
            if count == 1 and character in must_go:
                bounds[character] = (0, 0)
            elif (
                character in may_go
                or homes[character] & gone
                or (gone and not homes[character] <= named)
            ):
                bounds[character] = (0, count)
            else:
                bounds[character] = (least[character], count)
        return bounds

    def _first_cells(self, document: str) -> set[str]:
        return {
            container
            for edit in self.edits[document]
            if edit.who == THE_FILE
            for container, _ in edit.inserted
        }

    def _story(self, document: str, character: str) -> str:
        told = []
        for edit in self.edits[document]:
            for verb, parts in (("inserted", edit.inserted), ("deleted", edit.deleted)):
                if any(character in text for _, text in parts):
                    told.append(f"{verb} by {edit.who} as {edit.role} ({edit.fate.value})")
        return "; ".join(told) or "nobody ever typed it"


def _within(count: int, bound: tuple[int, int]) -> bool:
    return bound[0] <= count <= bound[1]


def _words(bound: tuple[int, int]) -> str:
    return str(bound[0]) if bound[0] == bound[1] else f"{bound[0]} to {bound[1]}"
