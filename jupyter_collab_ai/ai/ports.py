"""What operations ask of live documents; ``rooms`` gives it without knowing operations.

All that has to happen without a gap (look, compare, write) is given to a document as one
function, which gets the document as it is at that moment. Offsets count characters (Unicode
code points) from 0 in one text: the whole file, or the source of one cell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from jupyter_collab_ai.ids import DocumentId, SessionId, UserId
from jupyter_collab_ai.principal import Principal
from jupyter_collab_ai.storage.database import Tx

T = TypeVar("T")


class LiveCell(Protocol):
    """One text of a document: a cell of a notebook, or the whole of a text file."""

    @property
    def id(self) -> str | None:
        """The id of the cell; None in a text file."""
        ...

    @property
    def type(self) -> str:
        """``code``, ``markdown`` or ``raw``; ``code`` in a text file."""
        ...

    @property
    def source(self) -> str:
        """The text."""
        ...


class View(Protocol):
    """A live document at one moment; to be used within the call that it was given to only."""

    @property
    def path(self) -> str:
        """Where the file is now, canonical."""
        ...

    @property
    def notebook(self) -> bool:
        """Whether it has cells."""
        ...

    @property
    def seq(self) -> int:
        """The number of the newest update that it holds."""
        ...

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of a notebook as plain JSON; empty for a text file."""
        ...

    def cells(self) -> Sequence[LiveCell]:
        """Return all cells in order; of a text file, its text as the only one."""
        ...

    def anchor(self, cell_id: str | None, offset: int, *, after: bool) -> bytes:
        """Return a position that moves with the text, and can be kept in the database.

        Args:
            cell_id: The cell; None in a text file.
            offset: From 0 up to and with the length of the text.
            after: Whether it stays with the character after it, else with the one before.

        Raises:
            KeyError: There is no such cell.
        """
        ...

    def anchors(self, places: Sequence[tuple[str | None, int, bool]]) -> list[bytes]:
        """Return what :meth:`anchor` does for many places (cell, offset, after) at once.

        Raises:
            KeyError: There is no such cell.
        """
        ...

    def locate(self, anchor: bytes) -> tuple[str | None, int] | None:
        """Return the cell and the offset where an anchor is now; None where its cell is gone."""
        ...

    def locate_all(self, anchors: Sequence[bytes]) -> list[tuple[str | None, int] | None]:
        """Return what :meth:`locate` does for many anchors at once."""
        ...


class Editor(View, Protocol):
    """A live document at the moment at which it is changed.

    All changes made in one call become one update, which nobody sees in parts.
    """

    def replace(self, cell_id: str | None, start: int, end: int, text: str) -> None:
        """Put ``text`` in place of what is between two offsets.

        Raises:
            KeyError: There is no such cell.
        """
        ...

    def insert_cell(self, index: int, cell_id: str, cell_type: str, source: str) -> None:
        """Put a new cell before the one at ``index``, or at the end."""
        ...

    def delete_cell(self, cell_id: str) -> None:
        """Remove a cell.

        Raises:
            KeyError: There is no such cell.
        """
        ...


class LiveDocument(Protocol):
    """A live document, as long as it is held."""

    @property
    def document_id(self) -> DocumentId:
        """The id of its row."""
        ...

    async def look(self, function: Callable[[View], T]) -> T:
        """Return what ``function`` makes of the document as it is now.

        ``function`` must be quick, and must not keep the view.
        """
        ...

    async def study(self, function: Callable[[View], T]) -> T:
        """Return what ``function`` makes, in a worker thread, of the document as it is now.

        ``function`` may take its time, and sees a copy; the document may have changed by then.

        Raises:
            StaleDocument: The document was closed.
        """
        ...

    async def edit(
        self,
        function: Callable[[Editor], T],
        *,
        user_id: UserId,
        fence: Callable[[Tx], None] | None = None,
    ) -> tuple[int, T]:
        """Change the document as one step, recorded as the AI's on behalf of a user.

        What ``function`` or ``fence`` raises ends the edit; nothing is changed then.

        Args:
            function: Looks, decides and changes; must be quick.
            user_id: For whom it is done.
            fence: Called in the database transaction that records the change.

        Returns:
            The number of the update, by which :meth:`undo` finds it, and what ``function``
            returned.

        Raises:
            StaleDocument: The document was closed meanwhile.
        """
        ...

    async def undo(
        self, seq: int, *, user_id: UserId, fence: Callable[[Tx], None] | None = None
    ) -> bool:
        """Take one update back as one step, and leave whatever others wrote since.

        Returns:
            False where nothing was left to take back.

        Raises:
            StaleDocument: The document was closed, or its history given up, meanwhile.
        """
        ...

    async def without(self, seq: int, function: Callable[[View], T]) -> T | None:
        """Return what ``function`` makes of the document as :meth:`undo` would leave it.

        Returns:
            None where there is nothing to be taken back.

        Raises:
            StaleDocument: The document was closed, or its history given up, meanwhile.
        """
        ...

    def frozen(self) -> AbstractAsyncContextManager[bool]:
        """Hold its editors still for a moment, before the whole of it is written anew.

        The block begins once all have sent what they have, or have not answered in time; they
        hold still for a second at the most. The value tells whether all have answered.
        """
        ...

    async def changed(self, seq: int) -> int:
        """Wait until the document holds an update after ``seq``, and return the newest's number.

        Raises:
            StaleDocument: The document was closed.
        """
        ...


class LiveDocuments(Protocol):
    """The live documents of this server."""

    def hold(self, path: str) -> AbstractAsyncContextManager[LiveDocument]:
        """Open the document at a canonical path and keep it open for the length of a block.

        Raises:
            NotFound: There is no such file.
            DocumentTooLarge: It is too large to be edited together.
        """
        ...

    async def id_of(self, path: str) -> DocumentId | None:
        """Return the document at a canonical path, if one was ever opened there."""
        ...

    async def path_of(self, document_id: DocumentId) -> str | None:
        """Return where a document is now; None where it is gone."""
        ...


class Logins(Protocol):
    """Whether somebody is still signed in (``identity.service.Identity``)."""

    def as_of(self, tx: Tx, principal: Principal, *, keep: bool) -> Principal:
        """Return a principal as its account is in a transaction.

        Args:
            tx: The transaction.
            principal: As it was when it was authenticated.
            keep: Whether account and login stay so until the transaction, which writes, ends.

        Raises:
            TokenExpired, TokenRevoked: The login has ended, or the account is deactivated.
        """
        ...

    def watch(self, principal: Principal, ended: Callable[[], None]) -> Callable[[], None]:
        """Call ``ended`` once the login or the account ends; returns how to stop."""
        ...


class Files(Protocol):
    """Tells what lies where (``sessions.contents.JupyterContents``)."""

    async def kind(self, path: str) -> str | None:
        """Return ``file``, ``notebook`` or ``directory``; None where there is nothing."""
        ...


class Events(Protocol):
    """Tells the pages of a session what has happened (``web.events.EventHub``)."""

    def publish(self, session_id: SessionId, type_: str, data: dict[str, Any]) -> None:
        """Tell all who follow the session."""
        ...
