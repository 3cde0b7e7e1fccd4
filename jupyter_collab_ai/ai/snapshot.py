"""What an operation sees of a document: a value that never changes, not the live thing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from jupyter_collab_ai.ai.languages import (
    language_of_notebook,
    language_of_path,
    version_of_notebook,
)
from jupyter_collab_ai.ai.locations import Lines, Location, NoSuchPlace, Span
from jupyter_collab_ai.ai.ports import View

CODE = "code"


@dataclass(frozen=True)
class Part:
    """One text: a cell of a notebook, or the whole of a text file."""

    #: None in a text file.
    cell_id: str | None
    #: ``code``, ``markdown`` or ``raw``.
    type: str
    source: str

    @cached_property
    def lines(self) -> Lines:
        """Its lines."""
        return Lines(self.source)

    @property
    def is_code(self) -> bool:
        """Whether it is in the language of the document."""
        return self.type == CODE


@dataclass(frozen=True)
class DocumentSnapshot:
    """A document as it was at one moment."""

    path: str
    language: str
    parts: tuple[Part, ...]
    is_notebook: bool = False
    #: The number of the newest update that it holds; 0 where it was never live.
    seq: int = 0
    #: Names that may be defined in what was left out of this copy.
    hidden_names: frozenset[str] = frozenset()
    #: The version of the language that a notebook's kernel ran last; empty where it isn't known.
    language_version: tuple[int, ...] = ()

    @classmethod
    def of_text(cls, path: str, text: str, *, language: str | None = None) -> DocumentSnapshot:
        """Return a text file as a snapshot."""
        return cls(path, language or language_of_path(path), (Part(None, CODE, text),))

    @classmethod
    def of_view(cls, view: View) -> DocumentSnapshot:
        """Return what a live document holds now."""
        parts = tuple(Part(cell.id, cell.type, cell.source) for cell in view.cells())
        language = (
            language_of_notebook(view.metadata) if view.notebook else language_of_path(view.path)
        )
        version = version_of_notebook(view.metadata) if view.notebook else ()
        return cls(view.path, language, parts, view.notebook, view.seq, language_version=version)

    @cached_property
    def _by_id(self) -> Mapping[str | None, Part]:
        return {part.cell_id: part for part in self.parts}

    def part(self, cell_id: str | None) -> Part:
        """Return a cell, or with None the text of a text file.

        Raises:
            NoSuchPlace: There is no such cell.
        """
        try:
            return self._by_id[cell_id]
        except KeyError:
            if cell_id is None:
                raise NoSuchPlace("In a notebook, a place needs a cell_id.") from None
            raise NoSuchPlace("There is no such cell in this document.") from None

    @property
    def cell_ids(self) -> list[str | None]:
        """The ids of all cells, in order."""
        return [part.cell_id for part in self.parts]

    @property
    def size(self) -> int:
        """How many characters it has."""
        return sum(len(part.source) for part in self.parts)

    @property
    def is_blank(self) -> bool:
        """Whether there is nothing in it but space."""
        return all(not part.source.strip() for part in self.parts)

    def code(self) -> Iterable[Part]:
        """Return the parts that hold code."""
        return (part for part in self.parts if part.is_code)

    def span_of(self, location: Location) -> Span:
        """Return the offsets of a location, in its part.

        Raises:
            NoSuchPlace: There is no such place.
        """
        return self.part(location.cell_id).lines.span_of(location)

    def text_at(self, location: Location) -> str:
        """Return the text at a location.

        Raises:
            NoSuchPlace: There is no such place.
        """
        part = self.part(location.cell_id)
        return part.lines.span_of(location).of(part.source)

    def location(self, cell_id: str | None, span: Span) -> Location:
        """Return offsets in one part as a location.

        Raises:
            NoSuchPlace: There is no such place.
        """
        return self.part(cell_id).lines.location(span, cell_id)

    def whole(self, cell_id: str | None) -> Location:
        """Return the location of all of a part.

        Raises:
            NoSuchPlace: There is no such cell.
        """
        return self.location(cell_id, Span(0, len(self.part(cell_id).source)))

    def with_source(self, cell_id: str | None, source: str) -> DocumentSnapshot:
        """Return a copy in which one part holds something else."""
        parts = tuple(
            replace(part, source=source) if part.cell_id == cell_id else part for part in self.parts
        )
        return replace(self, parts=parts)

    def with_parts(self, parts: Iterable[Part]) -> DocumentSnapshot:
        """Return a copy with other parts."""
        return replace(self, parts=tuple(parts))
