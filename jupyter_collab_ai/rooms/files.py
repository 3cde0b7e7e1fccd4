"""Documents' files, by way of Jupyter's contents manager with its hooks and its root."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from jupyter_server.utils import ensure_async
from tornado.web import HTTPError

from jupyter_collab_ai.errors import DocumentTooLarge, FieldError, InvalidRequest, NotFound
from jupyter_collab_ai.real_paths import real_path_in
from jupyter_collab_ai.rooms import local_files
from jupyter_collab_ai.rooms.content import Content, digest_of, same
from jupyter_collab_ai.rooms.documents import Kind
from jupyter_collab_ai.rooms.heavy import Heavy
from jupyter_collab_ai.rooms.local_files import LocalFile, Save, Unreadable

log = logging.getLogger(__name__)

#: Bytes that a file may have to be edited together: each time somebody opens it the server is
#: busy with nothing else for about 3 ms for each MB.
MAX_FILE = 64 * 1024 * 1024
#: So many times as large a document may grow that is edited together already. Its file is
#: saved whatever its size, but is not opened again.
GROWTH = 2

_NO_FILE = "There is no such file; it may have been moved or deleted."
_UNREADABLE = "The file can't be read from the server's disk; try again later."
_FOLDER = "That is a folder, not a document; open a file in it."


@dataclass(frozen=True)
class Stamp:
    """What tells one version of a file from another without reading it."""

    last_modified: datetime | None
    writable: bool
    #: Bytes, where the contents manager tells.
    size: int = 0


@dataclass(frozen=True)
class OnDisk:
    """A file as it was read, with the line ends that a document has: line feeds alone."""

    content: Content
    digest: str
    stamp: Stamp
    #: What the lines of the file end with.
    newline: str


@dataclass(frozen=True)
class Written:
    """A file as it was after it was written; no digest where somebody else was faster."""

    digest: str | None
    stamp: Stamp


class Files:
    """Reads and writes documents through the contents manager of the server."""

    def __init__(
        self,
        manager: Callable[[], Any],
        *,
        max_file: int = MAX_FILE,
        heavy: Heavy | None = None,
    ) -> None:
        """Use what ``manager`` returns, which may be set up later than this is.

        Args:
            manager: Returns the contents manager.
            max_file: Bytes that a file may have.
            heavy: Does what takes long.
        """
        self._manager = manager
        self._max_file = max_file
        self.heavy = heavy or Heavy()
        self._turn = asyncio.Lock()

    async def real(self, path: str) -> str | None:
        """Return the path of what ``path`` leads to; None where a link leads out of the root."""
        return await real_path_in(self._manager(), path)

    async def stat(self, path: str) -> Stamp:
        """Look at the file without reading it.

        Raises:
            NotFound: There is no such file.
            OSError: The disk does not say.
        """
        place = local_files.place_of(self._manager(), path)
        if place is not None:
            return await asyncio.to_thread(_stamp_of_place, place)
        model = await self._get(path, content=False)
        if model.get("type") == "directory":
            raise NotFound(_FOLDER)
        return _stamp(model)

    async def stamps(self, paths: Sequence[str]) -> list[Stamp | None]:
        """Look at files as :meth:`stat` does, all in one go.

        Returns:
            None for those that are not there, and for those of which only the contents manager
            can tell.
        """
        manager = self._manager()
        return await asyncio.to_thread(lambda: [_stamp_or_none(manager, path) for path in paths])

    async def require_fit(self, path: str, *, grown: bool) -> None:
        """Make sure that a file is not too large.

        Args:
            path: Where it is.
            grown: Whether it may have grown while it was edited together.

        Raises:
            NotFound: There is no such file.
            DocumentTooLarge: It is too large to be edited together.
        """
        try:
            size = (await self.stat(path)).size
        except OSError as error:
            log.warning("The file %r could not be looked at: %s", path, error.strerror)
            raise NotFound(_UNREADABLE) from error
        if size > self._max_file * (GROWTH if grown else 1):
            raise DocumentTooLarge(
                f"The file has {size / 2**20:,.1f} MiB; files of up to "
                f"{self._max_file / 2**20:,.4g} MiB can be edited together. Make it smaller "
                "(of a notebook, clear the outputs), or let an administrator raise the limit."
            )

    async def read(self, path: str, kind: Kind) -> OnDisk:
        """Read the file.

        Raises:
            NotFound: There is no such file.
            InvalidRequest: It is not text in UTF-8, or not a notebook.
        """
        try:
            content, digest, stamp = await self._read_local(path, kind)
        except (OSError, Unreadable):
            # The contents manager can, or says what is the matter in its own way.
            model = await self._get(path, content=True, type=kind.type, format=kind.format)
            content, stamp = model["content"], _stamp(model)
            digest = str(model.get("hash") or await asyncio.to_thread(digest_of, content))
        newline = "\n"
        if kind is Kind.TEXT:
            content, newline = await asyncio.to_thread(_normalize, content)
        return OnDisk(content, digest, stamp, newline)

    async def write(self, path: str, kind: Kind, content: Content, newline: str) -> Written:
        """Write the file and return what it then was.

        Raises:
            NotFound: The folder is gone.
            HTTPError: The contents manager refused.
        """
        if kind is Kind.TEXT and newline != "\n":
            content = content.replace("\n", newline)
        model = {"type": kind.type, "format": kind.format, "content": content}
        try:
            # A save that has begun has to end, or the file may be left torn.
            saved = await asyncio.shield(
                asyncio.ensure_future(ensure_async(self._manager().save(model, path)))
            )
        except HTTPError as error:
            raise _translated(error) from error
        model = await self._get(
            path, content=False, type=kind.type, format=kind.format, hashed=True
        )
        if model.get("last_modified") != saved.get("last_modified"):
            return Written(None, _stamp(saved))
        # The time alone proves nothing: many changes fit into one tick of a file system's clock.
        if model.get("hash") == await asyncio.to_thread(_expected_hash, kind, content):
            return Written(model["hash"], _stamp(model))
        now = await self.read(path, kind)
        meant = content.replace("\r\n", "\n") if kind is Kind.TEXT else content
        if not await asyncio.to_thread(same, kind, now.content, meant):
            return Written(None, _stamp(saved))
        return Written(now.digest, now.stamp)

    async def _read_local(self, path: str, kind: Kind) -> tuple[Content, str, Stamp]:
        """Return what a file holds, its hash and stamp, read without the contents manager.

        Raises:
            OSError, Unreadable: The contents manager has to do it.
        """
        local = LocalFile.find(self._manager(), path, kind)
        if local is None or not local.may_be_read():
            raise Unreadable
        # Before it is read: what is changed while it is read is found later.
        stamp = await self.stat(path)
        if kind is Kind.TEXT:
            read = await asyncio.to_thread(local_files.read_text, local.os_path)
        else:
            read = await self.heavy.run_if(
                local.large, local_files.read_notebook, local.os_path, local.signing
            )
        return *read, stamp

    def find_local(self, path: str, kind: Kind) -> LocalFile | None:
        """Return the file if it can be written without the contents manager."""
        local = LocalFile.find(self._manager(), path, kind)
        return local if local is not None and local.may_be_written() else None

    async def write_local(
        self, local: LocalFile, state: bytes, newline: str, replaces: str | None, client_id: int
    ) -> tuple[Written, bytes]:
        """Write a document to its file, in a worker thread or in another process.

        Args:
            local: The file.
            state: The document, as one update.
            newline: What its lines end with.
            replaces: The hash of the file as it is now.
            client_id: Under which the document is marked as saved.

        Returns:
            What the file then was, and the update that marks the document as saved; it is
            empty where nothing is to be marked.

        Raises:
            ChangedOnDisk, DoubledIds: Nothing was written.
            OSError: It could not be written.
        """
        order = Save(
            path=str(local.os_path),
            kind=local.kind,
            state=state,
            newline=newline,
            replaces=replaces,
            signing=local.signing,
            client_id=client_id,
        )
        saved = await self.heavy.run_if(local.large, local_files.save, order)
        await self._take_turn()
        stamp = _stamp(await local.was_saved())
        try:
            same_file = local.os_path.stat().st_mtime_ns == saved.modified_ns
        except OSError:
            same_file = False
        if not same_file:
            return Written(None, stamp), b""
        return Written(saved.digest, stamp), saved.mark

    async def close(self) -> None:
        """Let go of what was started on the way."""
        await self.heavy.close()

    async def digest(self, path: str, kind: Kind) -> str:
        """Return the hash of the file, as :meth:`read` has it.

        Raises:
            NotFound: There is no such file.
            InvalidRequest: As of :meth:`read`, where the contents manager knows no hashes.
        """
        local = LocalFile.find(self._manager(), path, kind)
        if local is not None:
            with contextlib.suppress(OSError):
                return await asyncio.to_thread(local_files.digest_of_file, local.os_path)
        model = await self._get(
            path, content=False, type=kind.type, format=kind.format, hashed=True
        )
        return str(model.get("hash") or (await self.read(path, kind)).digest)

    async def _take_turn(self) -> None:
        """Let whoever types go first: one call of the contents manager begins at a time.

        Jupyter's own does most of its work on the event loop. The rooms of a server tend to look
        and to save at the same moments, and all of them in a row would take a tenth of a second.
        """
        async with self._turn:
            await asyncio.sleep(0)

    async def _get(
        self, path: str, *, content: bool, hashed: bool = False, **options: str
    ) -> dict[str, Any]:
        manager = self._manager()
        wanted: dict[str, Any] = {"content": content, **options}
        if content or hashed:
            wanted["require_hash"] = True
        await self._take_turn()
        try:
            try:
                model = await ensure_async(manager.get(path, **wanted))
            except TypeError:
                if "require_hash" not in wanted:
                    raise
                # Contents managers written before Jupyter Server 2.11 know no hashes.
                del wanted["require_hash"]
                model = await ensure_async(manager.get(path, **wanted))
        except HTTPError as error:
            raise _translated(error) from error
        return dict(model)


def _translated(error: HTTPError) -> Exception:
    if error.status_code == 404:
        return NotFound(_NO_FILE)
    if error.status_code == 400:
        sentence = (
            "The file can't be edited together: it is not text in UTF-8, or not a valid notebook."
        )
        return InvalidRequest(sentence, errors=[FieldError("path", sentence)])
    return error


def _expected_hash(kind: Kind, content: Content) -> str:
    """Return the hash of what Jupyter's own contents manager makes of a content on disk."""
    text = content
    if kind is Kind.NOTEBOOK:
        notebook = nbformat.from_dict(content)  # type: ignore[no-untyped-call]
        text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
        text = text if text.endswith("\n") else f"{text}\n"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _stamp_or_none(manager: Any, path: str) -> Stamp | None:
    try:
        place = local_files.place_of(manager, path)
        return None if place is None else _stamp_of_place(place)
    except Exception:
        # Whoever looks at this one alone is told what is the matter; it is none of the others'.
        return None


def _stamp_of_place(place: Path) -> Stamp:
    """Return what the contents manager would say of a file on this machine."""
    try:
        found = place.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise NotFound(_NO_FILE) from None
    if stat.S_ISDIR(found.st_mode):
        raise NotFound(_FOLDER)
    modified = datetime.fromtimestamp(found.st_mtime, UTC)
    return Stamp(modified, os.access(place, os.W_OK), found.st_size)


def _stamp(model: dict[str, Any]) -> Stamp:
    size = model.get("size")
    return Stamp(
        model.get("last_modified"),
        bool(model.get("writable", True)),
        size if isinstance(size, int) else 0,
    )


def _normalize(text: str) -> tuple[str, str]:
    pairs = text.count("\r\n")
    if not pairs:
        return text, "\n"
    normal = text.replace("\r\n", "\n")
    # Where a file mixes both, those that prevail are written back.
    return normal, "\r\n" if pairs * 2 >= normal.count("\n") else "\n"
