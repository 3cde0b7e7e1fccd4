"""Documents' files, by way of Jupyter's contents manager with its hooks and its root."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import nbformat
from jupyter_server.utils import ensure_async
from tornado.web import HTTPError

from jupyter_collab_ai.errors import DocumentTooLarge, InvalidRequest, NotFound
from jupyter_collab_ai.rooms.content import Content, digest_of, same
from jupyter_collab_ai.rooms.documents import Kind

#: Bytes that a file may have to be edited together.
MAX_FILE = 64 * 1024 * 1024


@dataclass(frozen=True)
class Stamp:
    """What tells one version of a file from another without reading it."""

    last_modified: datetime | None
    writable: bool


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

    def __init__(self, manager: Callable[[], Any], *, max_file: int = MAX_FILE) -> None:
        """Use what ``manager`` returns, which may be set up later than this is.

        Args:
            manager: Returns the contents manager.
            max_file: Bytes that a file may have.
        """
        self._manager = manager
        self._max_file = max_file

    async def stat(self, path: str) -> Stamp:
        """Look at the file without reading it.

        Raises:
            NotFound: There is no such file.
            DocumentTooLarge: It is too large to be edited together.
        """
        model = await self._get(path, content=False)
        if model.get("type") == "directory":
            raise NotFound("That is a folder, not a document; open a file in it.")
        size = model.get("size")
        if isinstance(size, int) and size > self._max_file:
            raise DocumentTooLarge(
                f"The file is larger than {self._max_file // 2**20} MiB, "
                "which is the most that can be edited together."
            )
        return _stamp(model)

    async def read(self, path: str, kind: Kind) -> OnDisk:
        """Read the file.

        Raises:
            NotFound: There is no such file.
            DocumentTooLarge: It is too large to be edited together.
            InvalidRequest: It is not text in UTF-8, or not a notebook.
        """
        await self.stat(path)
        model = await self._get(path, content=True, type=kind.type, format=kind.format)
        content, newline = model["content"], "\n"
        digest = str(model.get("hash") or await asyncio.to_thread(digest_of, content))
        if kind is Kind.TEXT:
            content, newline = await asyncio.to_thread(_normalize, content)
        return OnDisk(content, digest, _stamp(model), newline)

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

    async def digest(self, path: str, kind: Kind) -> str:
        """Return the hash of the file, as :meth:`read` has it.

        Raises:
            NotFound: There is no such file.
            InvalidRequest: As of :meth:`read`, where the contents manager knows no hashes.
        """
        model = await self._get(
            path, content=False, type=kind.type, format=kind.format, hashed=True
        )
        return str(model.get("hash") or (await self.read(path, kind)).digest)

    async def _get(
        self, path: str, *, content: bool, hashed: bool = False, **options: str
    ) -> dict[str, Any]:
        manager = self._manager()
        wanted: dict[str, Any] = {"content": content, **options}
        if content or hashed:
            wanted["require_hash"] = True
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
        return NotFound("There is no such file; it may have been moved or deleted.")
    if error.status_code == 400:
        return InvalidRequest(
            "The file can't be edited together: it is not text in UTF-8, or not a valid notebook."
        )
    return error


def _expected_hash(kind: Kind, content: Content) -> str:
    """Return the hash of what Jupyter's own contents manager makes of a content on disk."""
    text = content
    if kind is Kind.NOTEBOOK:
        notebook = nbformat.from_dict(content)  # type: ignore[no-untyped-call]
        text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
        text = text if text.endswith("\n") else f"{text}\n"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _stamp(model: dict[str, Any]) -> Stamp:
    return Stamp(model.get("last_modified"), bool(model.get("writable", True)))


def _normalize(text: str) -> tuple[str, str]:
    pairs = text.count("\r\n")
    if not pairs:
        return text, "\n"
    normal = text.replace("\r\n", "\n")
    # Where a file mixes both, those that prevail are written back.
    return normal, "\r\n" if pairs * 2 >= normal.count("\n") else "\n"
