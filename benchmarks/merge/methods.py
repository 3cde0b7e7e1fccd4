"""The ways to write a model's rewrite into a document that a person edits at the same time."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from jupyter_ydoc import YUnicode
from pycrdt import Doc, Text

from benchmarks.merge.trials import Replacement, Trial
from jupyter_collab_ai.ai.locations import Span
from jupyter_collab_ai.ai.placing import Mode, Moved, Target, find_place, work_out
from jupyter_collab_ai.ai.snapshot import DocumentSnapshot
from jupyter_collab_ai.ai.tearing import write_change
from jupyter_collab_ai.rooms.documents import Kind
from jupyter_collab_ai.rooms.shared import SharedEditor, undo_update

PATH = "module.py"


@dataclass(frozen=True)
class Outcome:
    """What the document holds in the end."""

    text: str
    written: bool = True
    taken_back: bool = False


@dataclass
class Copies:
    """The server's copy of a document and the person's, who are apart for a while."""

    trial: Trial
    server: Doc = field(default_factory=lambda: Doc(client_id=1))
    person: Doc = field(default_factory=lambda: Doc(client_id=2))
    log: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server.get("source", type=Text).insert(0, self.trial.source)
        self.log.append(self.server.get_update())
        self.person.apply_update(self.server.get_update())

    def type(self) -> None:
        """Let the person edit."""
        replace(self.person, [self.trial.edit])

    def deliver(self) -> None:
        """Bring the person's edit to the server."""
        update = self.person.get_update(self.server.get_state())
        self.log.append(update)
        self.server.apply_update(update)

    @property
    def text(self) -> str:
        """What the server has."""
        return str(self.server.get("source", type=Text))


def replace(doc: Doc, replacements: Iterable[Replacement]) -> None:
    """Make replacements, which all mean the present text, in one transaction."""
    source = doc.get("source", type=Text)
    text = str(source)
    assert text.isascii()  # pycrdt counts bytes
    with doc.transaction():
        for one in sorted(replacements, key=lambda one: one.start, reverse=True):
            if one.start < one.end:
                del source[one.start : one.end]
            if one.text:
                source.insert(one.start, one.text)


#: Writes into the server's copy, or into a fork of it.
Write = Callable[[Doc, Trial], None]


def direct(write: Write) -> Callable[[Trial, bool], Outcome]:
    """Write into the live document itself, whatever it holds by then."""

    def run(trial: Trial, in_flight: bool) -> Outcome:
        copies = Copies(trial)
        copies.type()
        if not in_flight:
            copies.deliver()
        write(copies.server, trial)
        if in_flight:
            copies.deliver()
        return Outcome(copies.text)

    return run


def forked(write: Write) -> Callable[[Trial, bool], Outcome]:
    """Write into a fork that was made when the model was asked, and merge that."""

    def run(trial: Trial, in_flight: bool) -> Outcome:
        copies = Copies(trial)
        fork: Doc = Doc(client_id=3)
        fork.apply_update(copies.server.get_update())
        copies.type()
        if not in_flight:
            copies.deliver()
        write(fork, trial)
        copies.server.apply_update(fork.get_update(copies.server.get_state()))
        if in_flight:
            copies.deliver()
        return Outcome(copies.text)

    return run


def all_anew(doc: Doc, trial: Trial) -> None:
    """Delete everything and insert the new text."""
    source = doc.get("source", type=Text)
    with doc.transaction():
        source.clear()
        source.insert(0, trial.rewritten)


def ydoc_set(doc: Doc, trial: Trial) -> None:
    """Do what jupyter_ydoc does when a file has changed."""
    YUnicode(doc).set(trial.rewritten)


def at_offsets(doc: Doc, trial: Trial) -> None:
    """Write where the function was when the model was asked, counted from the beginning."""
    source = doc.get("source", type=Text)
    one = trial.rewrite
    with doc.transaction():
        del source[one.start : min(one.end, len(source))]
        source.insert(min(one.start, len(source)), one.text)


def by_lines(doc: Doc, trial: Trial) -> None:
    """Change the lines that differ."""
    text = str(doc.get("source", type=Text))
    old, new = text.splitlines(keepends=True), trial.rewritten.splitlines(keepends=True)
    starts = [0]
    for line in old:
        starts.append(starts[-1] + len(line))
    replace(
        doc,
        [
            Replacement(starts[i1], starts[i2], "".join(new[j1:j2]))
            for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(
                None, old, new, autojunk=False
            ).get_opcodes()
            if tag != "equal"
        ],
    )


def by_characters(doc: Doc, trial: Trial) -> None:
    """Change the characters that differ."""
    text, new = str(doc.get("source", type=Text)), trial.rewritten
    replace(
        doc,
        [
            Replacement(i1, i2, new[j1:j2])
            for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(
                None, text, new, autojunk=False
            ).get_opcodes()
            if tag != "equal"
        ],
    )


def ours(*, takes_back: bool) -> Callable[[Trial, bool], Outcome]:
    """Write as this package does: anchored, and only over the text that the model was given."""

    def run(trial: Trial, in_flight: bool) -> Outcome:
        copies = Copies(trial)
        snapshot = DocumentSnapshot.of_text(PATH, trial.source)
        span = Span(trial.rewrite.start, trial.rewrite.end)
        target = Target(Mode.REPLACE, snapshot.location(None, span))
        place = find_place(editor_on(copies.server), snapshot, target)
        copies.type()
        if not in_flight:
            copies.deliver()
        before = copies.server.get_state()
        editor = editor_on(copies.server)
        try:
            change = work_out(editor, place, trial.rewrite.text, snapshot.language)
        except Moved:
            return Outcome(copies.text, written=False)
        with copies.server.transaction():
            write_change(editor, change)
        position = len(copies.log)
        copies.log.append(copies.server.get_update(before))
        if not in_flight:
            return Outcome(copies.text)
        copies.deliver()
        if takes_back and not _parses(copies.text):
            update = undo_update(Kind.TEXT, copies.log[:position], copies.log[position:], 4)
            assert update is not None
            torn = copies.text
            copies.server.apply_update(update)
            if not _parses(copies.text):
                return Outcome(torn)  # then it is not taken back
            return Outcome(copies.text, written=False, taken_back=True)
        return Outcome(copies.text)

    return run


def editor_on(doc: Doc) -> SharedEditor:
    """Return what the server's own code gets of a live document."""
    return SharedEditor(doc, Kind.TEXT, PATH, 1)


def _parses(text: str) -> bool:
    try:
        compile(text, PATH, "exec")
    except SyntaxError:
        return False
    return True


METHODS: dict[str, Callable[[Trial, bool], Outcome]] = {
    "delete all, insert all": direct(all_anew),
    "jupyter_ydoc's set": direct(ydoc_set),
    "write at fixed offsets": direct(at_offsets),
    "fork, line diff, merge": forked(by_lines),
    "fork, character diff, merge": forked(by_characters),
    "this, without taking back": ours(takes_back=False),
    "this": ours(takes_back=True),
}
